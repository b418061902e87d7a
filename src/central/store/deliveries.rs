//! Deliveries: how far each announcement has come with each box.

use serde::{Serialize, Serializer};

use super::answer::Answer;
use loaxa_heart::decide::delivery::{Standing, Step};
use loaxa_heart::domain::ids::{BoxId, CommandId, GroupId};
use loaxa_heart::domain::playback::{CommandRefusal, NotPlayed};
use loaxa_heart::domain::time::Wall;

/// The delivery of an announcement to one box.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeliveryRow {
    #[serde(rename = "box")]
    pub id: BoxId,
    pub title: String,
    #[serde(serialize_with = "step_code")]
    pub step: Step,
    /// In JSON a text that is itself JSON, as the box said it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub reason: Option<NotHeard>,
    pub sent: Option<Wall>,
    pub received: Option<Wall>,
    pub staged: Option<Wall>,
    pub started: Option<Wall>,
    /// The time at which it was over, however it ended.
    pub over: Option<Wall>,
}

/// A version of what decides what a box is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Grows with each command that is added or ended.
    pub commands: u64,
    /// Grows with each step of a delivery to the box.
    pub deliveries: u64,
}

/// The reason for which a box did not play an announcement, or did not take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum NotHeard {
    NotPlayed(NotPlayed),
    Refused(CommandRefusal),
}

fn step_code<S: Serializer>(step: &Step, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(step.code())
}

fn as_text<S: Serializer>(reason: &Option<NotHeard>, to: S) -> Result<S::Ok, S::Error> {
    let text = reason.as_ref().map(|reason| serde_json::to_string(reason).expect("reasons are JSON"));
    text.serialize(to)
}

/// The delivery chain of every announcement.
pub trait Deliveries: Send + Sync {
    /// The chain of an announcement, one row a box.
    fn deliveries(&self, command: CommandId) -> Answer<'_, Vec<DeliveryRow>>;

    /// Commands for any of these groups that a box may hold at `now`, oldest first, with the step that it has reached.
    fn standing(&self, id: BoxId, groups: Vec<GroupId>, now: Wall) -> Answer<'_, Vec<Standing>>;

    /// The version of the commands, documents and deliveries that decide what a box is sent: while it is the same, nothing
    /// but time has changed them.
    fn version(&self, id: &BoxId) -> Version;
}
