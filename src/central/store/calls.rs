//! Calls for a second duty officer: for an emergency that one officer has signed, or as a drill.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::audit::NewAct;
use loaxa_heart::domain::ids::{AccountId, CommandId, GroupId, PreparedId};
use loaxa_heart::domain::time::{Span, Wall};

/// Time after which a call that nobody answered is over: that of the order to be signed.
const CALL_LASTS: Span = Span::secs(3_600);

/// The purpose of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallFor {
    Emergency,
    /// Tries the chain of calling; nothing sounds on any loudspeaker.
    Drill,
}

/// The state of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// An officer has chosen, and not signed yet: nobody is called.
    Chosen,
    Calling,
    /// The second officer agreed, and the boxes were told.
    OnAir,
    /// An officer ended it on all boxes.
    Stopped,
    /// The first officer took it back before anybody agreed.
    CalledOff,
    /// A drill that somebody answered.
    Answered,
    /// Nobody agreed within its hour.
    Expired,
}

/// A call, under the id of the command that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRow {
    pub id: CommandId,
    pub purpose: CallFor,
    pub state: CallState,
    /// `None` in a drill.
    pub message: Option<PreparedId>,
    pub title: String,
    pub groups: Vec<GroupId>,
    pub by: AccountId,
    /// The time at which it was chosen, then that of the first signature.
    pub began: Wall,
    /// The person who agreed, or answered a drill.
    pub agreed_by: Option<AccountId>,
    pub agreed: Option<Wall>,
    /// The person who stopped it or took it back.
    pub ended_by: Option<AccountId>,
    pub ended: Option<Wall>,
}

impl CallRow {
    /// The state at `now`.
    pub fn state_at(&self, now: Wall) -> CallState {
        let waits = matches!(self.state, CallState::Chosen | CallState::Calling);
        if waits && now.since(self.began) >= CALL_LASTS { CallState::Expired } else { self.state }
    }
}

/// A step of a call: taken only from the state that whoever asks saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallStep {
    pub id: CommandId,
    pub from: CallState,
    pub to: CallState,
    pub by: AccountId,
    pub at: Wall,
    pub act: NewAct,
}

/// The answer of a person who was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The person is there and decides: nobody else is called.
    Listening,
    /// The person does not agree: the next are called.
    Declined,
}

/// The answer of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyRow {
    pub person: AccountId,
    pub reply: Reply,
    pub at: Wall,
}

/// A person who was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalledRow {
    /// The account, or the name of somebody without one.
    pub contact: String,
    pub name: String,
    pub at: Wall,
}

/// The way that a letter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Email,
    Webhook,
}

/// A letter that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLetter {
    pub channel: Channel,
    /// The address of an e-mail; empty for the webhook.
    pub to: String,
    /// The subject of an e-mail, the type of a webhook's event.
    pub subject: String,
    pub body: String,
}

/// A letter of a call, with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterRow {
    /// A number that the store gives.
    pub id: i64,
    pub call: CommandId,
    pub contact: String,
    pub letter: NewLetter,
    pub made: Wall,
    pub tries: u32,
    pub sent: Option<Wall>,
    /// The fault of the last try.
    pub fault: Option<String>,
}

/// The fate of a try to send a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    Sent(Wall),
    /// Tried again at this time.
    Again(Wall, String),
    GivenUp(String),
}

/// Calls, and the letters that they send.
pub trait Calls: Send + Sync {
    /// Keeps a new call; false where there is one under this id.
    fn add_call(&self, call: CallRow, act: NewAct) -> Answer<'_, bool>;

    fn call(&self, id: CommandId) -> Answer<'_, Option<CallRow>>;

    /// Lists calls that began after `since`, the newest first.
    fn calls(&self, since: Wall) -> Answer<'_, Vec<CallRow>>;

    /// Lists the newest drills.
    fn drills(&self, limit: u32) -> Answer<'_, Vec<CallRow>>;

    /// Takes a step; false where the call is in another state.
    fn step_call(&self, step: CallStep) -> Answer<'_, bool>;

    /// Keeps a person's answer in place of their earlier one.
    fn reply(&self, call: CommandId, reply: ReplyRow, act: NewAct) -> Answer<'_, ()>;

    /// Lists the answers to a call, the first first.
    fn replies(&self, call: CommandId) -> Answer<'_, Vec<ReplyRow>>;

    /// Notes that a person is called, with the letters to them; false where they were called before.
    fn note_called(&self, call: CommandId, called: CalledRow, letters: Vec<NewLetter>) -> Answer<'_, bool>;

    /// Lists who was called, the first first.
    fn called(&self, call: CommandId) -> Answer<'_, Vec<CalledRow>>;

    /// Lists letters that are due at `now`.
    fn letters_due(&self, now: Wall, limit: u32) -> Answer<'_, Vec<LetterRow>>;

    /// Keeps what became of a try.
    fn letter_tried(&self, id: i64, tried: Tried) -> Answer<'_, ()>;

    /// Lists the letters of a call.
    fn letters(&self, call: CommandId) -> Answer<'_, Vec<LetterRow>>;

    /// Claims the sending of a message after a call has ended; false where it was claimed before.
    fn claim_follow_up(&self, call: CommandId, message: PreparedId, act: NewAct) -> Answer<'_, bool>;

    /// Keeps the command that followed, or gives the claim back.
    fn end_follow_up(
        &self,
        call: CommandId,
        message: PreparedId,
        command: Option<CommandId>,
    ) -> Answer<'_, ()>;

    /// Keeps which notices tell of an exercise.
    fn add_exercise(&self, exercise: CommandId, notices: Vec<CommandId>, act: NewAct) -> Answer<'_, ()>;

    /// Lists the notices that tell of an exercise.
    fn exercise_notices(&self, exercise: CommandId) -> Answer<'_, Vec<CommandId>>;

    /// Lists what followed a call: messages with their commands.
    fn follow_ups(&self, call: CommandId) -> Answer<'_, Vec<(PreparedId, Option<CommandId>)>>;
}
