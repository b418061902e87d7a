//! Events for other systems, as a portal or a channel of messages: who gets which, and the outbox in which they wait. An event
//! is kept in the same transaction as what it tells of.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::audit::NewAct;
use super::calls::Tried;
use loaxa_heart::domain::time::Wall;

/// Most receivers of a commune.
pub const RECEIVERS_MAX: u32 = 10;

/// Most events of a receiver that are kept; beyond them the oldest go, sent or not.
pub const EVENTS_OF_RECEIVER_MAX: u32 = 2_000;

/// The kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventKind {
    #[serde(rename = "notice.approved")]
    NoticeApproved,
    #[serde(rename = "notice.aired")]
    NoticeAired,
    #[serde(rename = "notice.cancelled")]
    NoticeCancelled,
    #[serde(rename = "emergency.on_air")]
    EmergencyOnAir,
    #[serde(rename = "emergency.ended")]
    EmergencyEnded,
    #[serde(rename = "feedback.received")]
    FeedbackReceived,
    /// Sent by the button that tries a receiver.
    #[serde(rename = "test")]
    Test,
}

impl EventKind {
    /// The kinds that a receiver can choose.
    pub const CHOICES: [EventKind; 6] = [
        EventKind::NoticeApproved,
        EventKind::NoticeAired,
        EventKind::NoticeCancelled,
        EventKind::EmergencyOnAir,
        EventKind::EmergencyEnded,
        EventKind::FeedbackReceived,
    ];

    /// The type of the event in its body, and the word in the database.
    pub const fn code(self) -> &'static str {
        match self {
            EventKind::NoticeApproved => "notice.approved",
            EventKind::NoticeAired => "notice.aired",
            EventKind::NoticeCancelled => "notice.cancelled",
            EventKind::EmergencyOnAir => "emergency.on_air",
            EventKind::EmergencyEnded => "emergency.ended",
            EventKind::FeedbackReceived => "feedback.received",
            EventKind::Test => "test",
        }
    }
}

/// A system that gets events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverRow {
    /// A number that the store gives.
    pub id: i64,
    pub title: String,
    pub url: String,
    /// The secret that both share.
    pub secret: Vec<u8>,
    pub kinds: Vec<EventKind>,
}

/// An event on its way to a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// A number that the store gives.
    pub id: i64,
    pub receiver: i64,
    pub kind: EventKind,
    pub body: String,
    pub made: Wall,
    pub tries: u32,
    /// The time of the next try; `None` once it was sent or given up.
    pub due: Option<Wall>,
    pub sent: Option<Wall>,
    /// The fault of the last try.
    pub fault: Option<String>,
}

/// Receivers and their outbox.
pub trait Webhooks: Send + Sync {
    /// Adds a receiver; false where there are as many as there is room for.
    fn add_receiver(&self, receiver: ReceiverRow, act: NewAct) -> Answer<'_, bool>;

    /// Removes a receiver with what waits for it; false where there is none.
    fn end_receiver(&self, id: i64, act: NewAct) -> Answer<'_, bool>;

    /// Lists the receivers.
    fn receivers(&self) -> Answer<'_, Vec<ReceiverRow>>;

    /// Puts an event that only tries a receiver into the outbox; false where there is no such receiver.
    fn try_receiver(&self, id: i64, at: Wall) -> Answer<'_, bool>;

    /// Lists events that are due at `now`: of each receiver the oldest, so that one that is dead keeps no other waiting.
    fn events_due(&self, now: Wall) -> Answer<'_, Vec<EventRow>>;

    /// Keeps what became of a try.
    fn event_tried(&self, id: i64, tried: Tried) -> Answer<'_, ()>;

    /// Lists events, the latest first.
    fn events(&self, limit: u32) -> Answer<'_, Vec<EventRow>>;
}
