//! Plays, each joined from the entries of its start and its end.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::answer::Answer;
use super::log::LogFilter;
use super::tagged;
use loaxa_heart::decide::plausible::Implausible;
use loaxa_heart::domain::announcement::{BulletinClass, Mode, Rung};
use loaxa_heart::domain::ids::{BoxId, CampaignId, Epoch, PlayId, SectionId, SlotId};
use loaxa_heart::domain::playback::{PlayOutcome, SlotKey, Subject};
use loaxa_heart::domain::time::Wall;

/// One play: what sounded on which box, when and for how long.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlayRow {
    /// Grows in the order of arrival.
    pub cursor: i64,
    #[serde(rename = "box")]
    pub id: BoxId,
    pub box_title: String,
    pub epoch: Epoch,
    pub play: PlayId,
    /// Two fields in JSON: `subject` and `subject_id`.
    #[serde(flatten, serialize_with = "as_kind_and_id")]
    pub subject: Subject,
    pub title: String,
    pub section: Option<SectionId>,
    pub campaign: Option<CampaignId>,
    pub class: Option<BulletinClass>,
    pub mode: Option<Mode>,
    pub rung: Rung,
    pub source: String,
    pub language: String,
    pub repetition: u32,
    pub volume_percent: u32,
    pub scheduled: Option<Wall>,
    /// The time at which the entry of its start was written.
    pub opened: Wall,
    /// The time of the first sample; `None` until the play has ended, or where none sounded.
    pub started: Option<Wall>,
    pub ended: Option<Wall>,
    /// Frames of 48 kHz.
    pub frames_played: Option<u64>,
    pub frames_due: Option<u64>,
    /// `None` while it sounds. Two fields in JSON: `outcome` with the word, `reason` with more about it as the box said
    /// it, itself JSON.
    #[serde(flatten, serialize_with = "as_outcome_and_reason")]
    pub outcome: Option<PlayOutcome>,
    pub heard: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub implausible: Option<Implausible>,
}

fn as_kind_and_id<S: Serializer>(subject: &Subject, to: S) -> Result<S::Ok, S::Error> {
    let (kind, id) = subject_apart(subject);
    let mut fields = to.serialize_map(Some(2))?;
    fields.serialize_entry("subject", kind)?;
    fields.serialize_entry("subject_id", &id)?;
    fields.end()
}

fn as_outcome_and_reason<S: Serializer>(outcome: &Option<PlayOutcome>, to: S) -> Result<S::Ok, S::Error> {
    let (word, reason) = outcome.as_ref().map(outcome_apart).unzip();
    let mut fields = to.serialize_map(Some(2))?;
    fields.serialize_entry("outcome", &word)?;
    fields.serialize_entry("reason", &reason.flatten())?;
    fields.end()
}

/// Takes a subject apart: `announcement`, `slot` or `live`, and its id, a slot's with its date.
pub(super) fn subject_apart(subject: &Subject) -> (&'static str, String) {
    match subject {
        Subject::Announcement { command } => ("announcement", command.to_string()),
        Subject::Slot(key) => ("slot", format!("{}/{}", key.slot, key.date)),
        Subject::Live { voice } => ("live", voice.clone()),
    }
}

/// Puts a subject together again; `None` where there is no such kind, or the id is none of it.
pub(super) fn subject_together(kind: &str, id: &str) -> Option<Subject> {
    match kind {
        "announcement" => Some(Subject::Announcement { command: id.parse().ok()? }),
        "slot" => {
            let (slot, date) = id.split_once('/')?;
            Some(Subject::Slot(SlotKey { slot: SlotId::new(slot).ok()?, date: date.parse().ok()? }))
        }
        "live" => Some(Subject::Live { voice: id.to_owned() }),
        _ => None,
    }
}

/// Takes an outcome apart: the word, and more about it as JSON.
pub(super) fn outcome_apart(outcome: &PlayOutcome) -> (String, Option<String>) {
    tagged::apart("outcome", outcome)
}

/// Plays of one box and section added up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportRow {
    #[serde(rename = "box")]
    pub id: BoxId,
    pub box_title: String,
    pub section: Option<SectionId>,
    pub plays: u64,
    pub finished: u64,
    /// Plays beside those, which can't be true and are not added up.
    pub implausible: u64,
    pub seconds_played: f64,
    /// Slots that were due and did not sound, counted by the word for their reason; in the box's row without a section.
    pub not_aired: BTreeMap<String, u64>,
}

impl ReportRow {
    /// A box of which nothing sounded.
    pub(super) fn empty(id: BoxId, box_title: String) -> Self {
        let (plays, finished, implausible, seconds_played) = (0, 0, 0, 0.0);
        Self {
            id,
            box_title,
            section: None,
            plays,
            finished,
            implausible,
            seconds_played,
            not_aired: BTreeMap::new(),
        }
    }
}

/// A play that has begun and not ended, as far as the log of its box has come.
#[derive(Debug, Clone, PartialEq)]
pub struct SoundingRow {
    pub id: BoxId,
    pub subject: Subject,
    pub title: String,
    pub mode: Option<Mode>,
    pub rung: Rung,
    pub opened: Wall,
}

/// The plays of all boxes.
pub trait Plays: Send + Sync {
    /// Lists the latest open play of each box in its present epoch.
    fn sounding(&self) -> Answer<'_, Vec<SoundingRow>>;

    /// Lists plays, newest first: by the time that they say, but none is newer than its arrival.
    fn plays(&self, filter: LogFilter) -> Answer<'_, Vec<PlayRow>>;

    /// Adds up plays that were opened in a period, and slots of it that did not sound.
    fn report(&self, from: Wall, to: Wall) -> Answer<'_, Vec<ReportRow>>;
}
