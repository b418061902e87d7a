//! Messages that are prepared for emergencies: spoken, heard and kept before anybody needs them.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::audit::NewAct;
use loaxa_heart::domain::ids::{AccountId, ContentHash, PreparedId};
use loaxa_heart::domain::time::Wall;

/// The occasion for which a message is prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageUse {
    /// Warns of a danger.
    Alarm,
    /// Says that a danger is over.
    AllClear,
    /// Says that an alarm was a mistake.
    FalseAlarm,
}

impl MessageUse {
    pub const ALL: [MessageUse; 3] = [MessageUse::Alarm, MessageUse::AllClear, MessageUse::FalseAlarm];

    /// The word in forms and in the tables of texts.
    pub const fn code(self) -> &'static str {
        match self {
            MessageUse::Alarm => "alarm",
            MessageUse::AllClear => "all_clear",
            MessageUse::FalseAlarm => "false_alarm",
        }
    }
}

/// A kind of danger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Danger {
    Flood,
    Landslide,
    Dam,
    Storm,
    Fire,
    Other,
}

impl Danger {
    pub const ALL: [Danger; 6] =
        [Danger::Flood, Danger::Landslide, Danger::Dam, Danger::Storm, Danger::Fire, Danger::Other];

    /// The word in forms and in the tables of texts.
    pub const fn code(self) -> &'static str {
        match self {
            Danger::Flood => "flood",
            Danger::Landslide => "landslide",
            Danger::Dam => "dam",
            Danger::Storm => "storm",
            Danger::Fire => "fire",
            Danger::Other => "other",
        }
    }
}

/// A prepared message. It never changes: a better one takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    pub id: PreparedId,
    pub purpose: MessageUse,
    pub danger: Danger,
    pub title: String,
    pub text: String,
    /// BCP 47 tag.
    pub language: String,
    /// The words as they were spoken and heard.
    pub media: ContentHash,
    pub ms: u32,
    /// A siren sounds before the words.
    pub siren: bool,
    pub repeat: u16,
    pub by: AccountId,
    pub made: Wall,
    /// The time from which it is offered no more.
    pub ended: Option<Wall>,
}

/// The prepared messages of a commune.
pub trait Messages: Send + Sync {
    /// Adds a message, in place of another where it replaces one; false where that one is gone already.
    fn add_message(&self, message: MessageRow, replaces: Option<PreparedId>, act: NewAct)
    -> Answer<'_, bool>;

    /// Takes a message off the list; false where it is off already.
    fn end_message(&self, id: PreparedId, at: Wall, act: NewAct) -> Answer<'_, bool>;

    /// Finds a message, also one that is offered no more.
    fn message(&self, id: PreparedId) -> Answer<'_, Option<MessageRow>>;

    /// Lists the messages that are offered, by title.
    fn messages(&self) -> Answer<'_, Vec<MessageRow>>;
}
