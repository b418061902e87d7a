//! The boxes, and their signs of life.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answer::Answer;
use crate::settings::BoxDeclared;
use loaxa_heart::decide::delivery::with_ancestors;
use loaxa_heart::decide::schedule::Listeners;
use loaxa_heart::domain::ids::{BoxId, Epoch, GroupId};
use loaxa_heart::domain::time::{ClockQuality, Span, Wall};
use loaxa_heart::wire::messages::{Holds, OnAir, Usage};

/// Silence after which a box counts as out of contact: two heartbeats and half of one.
pub const SILENT_MAX: Span = Span::secs(150);

/// A box and what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BoxRow {
    pub id: BoxId,
    pub title: String,
    pub groups: Vec<GroupId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The time of the last message.
    pub last_seen: Option<Wall>,
    /// The connection broke off, and no message came since.
    pub lost: bool,
    pub software: Option<String>,
    /// BCP 47 tags of the languages of its village, in turn; none where it has not said them.
    pub languages: Vec<String>,
    pub clock: Option<ClockQuality>,
    pub epoch: Option<Epoch>,
    /// Log entries that wait on the box.
    pub backlog: u64,
    pub faults: Vec<String>,
    /// The commands and documents that it holds, as it said last.
    pub holds: Option<Holds>,
    /// The play that its log says is sounding.
    pub on_air: Option<OnAir>,
}

/// The groups and languages of a box. Boxes that share both hear the same programmes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Audience {
    pub groups: Vec<GroupId>,
    pub languages: Vec<String>,
}

impl Audience {
    /// The listeners of its boxes, with the groups above its own.
    pub fn listeners(&self, parents: &BTreeMap<GroupId, GroupId>) -> Listeners {
        let groups = with_ancestors(&self.groups, parents).into_iter().collect();
        Listeners { groups, languages: self.languages.clone() }
    }
}

impl BoxRow {
    pub fn audience(&self) -> Audience {
        Audience { groups: self.groups.clone(), languages: self.languages.clone() }
    }

    /// Tells whether the box can be reached now.
    pub fn is_online(&self, now: Wall) -> bool {
        !self.lost && self.last_seen.is_some_and(|at| now.since(at) < SILENT_MAX)
    }
}

/// A hello or a heartbeat.
#[derive(Debug, Clone, PartialEq)]
pub struct SignOfLife {
    pub id: BoxId,
    pub at: Wall,
    pub clock: ClockQuality,
    /// `None` where it says that nothing has changed.
    pub holds: Option<Holds>,
    pub kind: SignKind,
}

/// The fields that only one of the two has.
#[derive(Debug, Clone, PartialEq)]
pub enum SignKind {
    Hello { software: String, languages: Vec<String>, epoch: Epoch },
    Heartbeat { backlog: u64, faults: Vec<String>, usage: Option<Usage> },
}

/// The boxes that central knows.
pub trait Boxes: Send + Sync {
    /// Takes the boxes of the configuration over; those that it does not name stay as they are. A box that was revoked
    /// stays without a key until it is enrolled anew; once groups were sent, they are not the configuration's any more.
    fn declare_boxes(&self, boxes: Vec<BoxDeclared>) -> Answer<'_, ()>;

    /// Remembers the key of a box that has none yet; says whether it was taken.
    fn trust_box_key(&self, id: BoxId, title: String, key: String) -> Answer<'_, bool>;

    /// Reads what is enrolled of one box.
    fn enrolled(&self, id: BoxId) -> Answer<'_, Option<BoxDeclared>>;

    /// Reads what a box holds, as it said last.
    fn holds(&self, id: BoxId) -> Answer<'_, Option<Holds>>;

    /// Lists all boxes with what is known of them, by id.
    fn boxes(&self) -> Answer<'_, Vec<BoxRow>>;

    /// Counts the boxes.
    fn count_boxes(&self) -> Answer<'_, usize>;

    /// Remembers a sign of life, unless a later one is there already. Says whether people see another state than before.
    /// It is shown at once, and is on disk within a minute.
    fn note_sign_of_life(&self, sign: SignOfLife) -> Answer<'_, bool>;

    /// Remembers that a box's connection broke off.
    fn note_lost(&self, id: BoxId, at: Wall) -> Answer<'_, ()>;
}
