//! Planned sessions and their plays.

use serde::Serialize;

use crate::domain::days::DayNote;
use crate::domain::ids::{CampaignId, SectionId};
use crate::domain::playback::{NotPlayed, SlotKey};
use crate::domain::policy::GuardRefusal;
use crate::domain::programme::ItemKind;
use crate::domain::time::{Span, Wall};

/// A session as it would sound.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedSession {
    #[serde(flatten)]
    pub key: SlotKey,
    pub title: String,
    pub start: Wall,
    /// Hard end.
    pub end: Wall,
    /// 0 to 100, before the guard's ceiling.
    pub volume_percent: u8,
    pub notes: Vec<DayNote>,
    pub plays: Vec<Planned>,
}

/// Something that would sound in a session, or would be there and not sound.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Planned {
    pub from: Wall,
    /// Instant at which the play would be over; equal to `from` for what has no length.
    pub to: Wall,
    /// The length is an estimate.
    pub about: bool,
    pub title: String,
    pub kind: ItemKind,
    /// A chime, not an item.
    pub chime: bool,
    pub section: Option<SectionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
    /// Name of the person who answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub responsible: Option<String>,
    pub language: String,
    pub fate: Fate,
}

/// The outcome that a play would have.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    Whole,
    /// Faded out at the hard end.
    HardEnd,
    /// Stopped by the guard.
    Guarded {
        reason: GuardRefusal,
    },
    NotPlayed {
        reason: NotPlayed,
    },
}

impl Planned {
    /// Returns how long the play would really sound.
    pub fn sounds(&self) -> Span {
        if matches!(self.fate, Fate::NotPlayed { .. }) { Span(0) } else { self.to.since(self.from) }
    }
}
