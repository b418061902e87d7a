//! The boxes, and their signs of life.

use serde::Serialize;

use super::answer::Answer;
use crate::settings::BoxDeclared;
use loaxa_heart::domain::ids::{BoxId, Epoch, GroupId};
use loaxa_heart::domain::time::{ClockTrust, Span, Wall};
use loaxa_heart::wire::messages::{Holds, OnAir};

/// A box that has not spoken for so long is out of contact: two heartbeats and some patience.
const SILENT_MAX: Span = Span::secs(150);

/// A box and what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BoxRow {
    pub id: BoxId,
    pub title: String,
    pub groups: Vec<GroupId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When the last message came.
    pub last_seen: Option<Wall>,
    /// Its connection broke off and it has not spoken since.
    pub lost: bool,
    pub software: Option<String>,
    pub clock: Option<ClockTrust>,
    pub epoch: Option<Epoch>,
    /// Log entries that wait on the box.
    pub backlog: u64,
    pub faults: Vec<String>,
    /// What it said last that it holds.
    pub holds: Option<Holds>,
    /// What its log says is sounding.
    pub on_air: Option<OnAir>,
}

impl BoxRow {
    /// Whether the box can be reached now.
    pub fn is_online(&self, now: Wall) -> bool {
        !self.lost && self.last_seen.is_some_and(|at| now.since(at) < SILENT_MAX)
    }
}

/// A hello or a heartbeat.
#[derive(Debug, Clone, PartialEq)]
pub struct SignOfLife {
    pub id: BoxId,
    pub at: Wall,
    pub clock: ClockTrust,
    /// `None` where it says that nothing has changed.
    pub holds: Option<Holds>,
    pub kind: SignKind,
}

/// What only one of the two says.
#[derive(Debug, Clone, PartialEq)]
pub enum SignKind {
    Hello { software: String, epoch: Epoch },
    Heartbeat { backlog: u64, faults: Vec<String> },
}

/// The boxes that central knows.
pub trait Boxes: Send + Sync {
    /// Takes the boxes of the configuration over; those that it does not name stay as they are. A box that was revoked
    /// stays without a key until it is enrolled anew; once groups were sent, they are not the configuration's any more.
    fn declare_boxes(&self, boxes: Vec<BoxDeclared>) -> Answer<'_, ()>;

    /// Remembers the key of a box that has none yet; says whether it was taken.
    fn trust_box_key(&self, id: BoxId, title: String, key: String) -> Answer<'_, bool>;

    /// What is enrolled of one box.
    fn enrolled(&self, id: BoxId) -> Answer<'_, Option<BoxDeclared>>;

    /// What a box said last that it holds.
    fn holds(&self, id: BoxId) -> Answer<'_, Option<Holds>>;

    /// All boxes with what is known of them, by id.
    fn boxes(&self) -> Answer<'_, Vec<BoxRow>>;

    /// Remembers a sign of life, unless a later one is there already.
    fn note_sign_of_life(&self, sign: SignOfLife) -> Answer<'_, ()>;

    /// Remembers that a box's connection broke off.
    fn note_lost(&self, id: BoxId, at: Wall) -> Answer<'_, ()>;
}
