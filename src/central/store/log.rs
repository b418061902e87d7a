//! The log of the boxes, as they wrote and signed it.

use serde::Serialize;

use super::answer::Answer;
use loaxa_heart::decide::plausible::Implausible;
use loaxa_heart::domain::ids::{BoxId, CommandId, ContentHash, Epoch};
use loaxa_heart::domain::playback::{Entry, NotPlayed};
use loaxa_heart::domain::time::Wall;

/// Records of one box whose signature and inner chain were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    pub id: BoxId,
    pub epoch: Epoch,
    pub arrived: Wall,
    /// The oldest record that the box still holds; 0 where it does not say.
    pub oldest: u64,
    pub records: Vec<Record>,
    /// The box's signature over the end of it, checked.
    pub head: Option<String>,
}

/// One checked record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub seq: u64,
    pub hash: ContentHash,
    pub prev: ContentHash,
    /// The exact bytes that were hashed.
    pub body: String,
    pub entry: Entry,
    /// The reason for which it can't be true.
    pub implausible: Option<Implausible>,
}

/// The fate of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ingested {
    pub contiguous_upto: u64,
    /// A number was seen with a different body, or the chain does not fit what is stored.
    pub forked: bool,
    /// Records that were not there before.
    pub added: u64,
    /// Records that were there already.
    pub known: u64,
    /// Records after a gap, or in one that the box told of; not taken.
    pub after_gap: u64,
}

/// A question for rows of the log or of plays.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogFilter {
    pub id: Option<BoxId>,
    pub from: Option<Wall>,
    /// Exclusive.
    pub to: Option<Wall>,
    pub event: Option<String>,
    pub command: Option<CommandId>,
    /// Only rows that came after this cursor.
    pub after: Option<i64>,
    /// Only rows that stand behind the one of this cursor: of plays in the order of their list.
    pub before: Option<i64>,
    /// Of plays: only those that can't be true, in place of all others.
    pub implausible: bool,
    /// Of the log: the latest arrived first.
    pub newest_first: bool,
    pub limit: u32,
}

/// A log entry as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogRow {
    /// Grows in the order of arrival: the `after` of the next question.
    pub cursor: i64,
    #[serde(rename = "box")]
    pub id: BoxId,
    pub epoch: Epoch,
    pub seq: u64,
    pub hash: ContentHash,
    pub event: String,
    pub arrived: Wall,
    /// The exact bytes that were hashed.
    pub body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub implausible: Option<Implausible>,
    /// The envelope in which the box signed the log up to here; one a day is kept, the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
}

/// Something that was due and did not sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotPlayedRow {
    pub id: BoxId,
    pub box_title: String,
    pub at: Wall,
    pub title: String,
    pub reason: NotPlayed,
}

/// The log of all boxes.
pub trait Log: Send + Sync {
    /// Takes a checked batch in. The outer answer resolves when the store has it in its queue, in the order of the
    /// calls; the inner one when it is on disk.
    fn ingest(&self, batch: Batch) -> Answer<'_, Answer<'static, Ingested>>;

    /// Lists log entries in the order of arrival.
    fn log(&self, filter: LogFilter) -> Answer<'_, Vec<LogRow>>;

    /// Lists what was due and did not sound, latest arrived first; without entries that can't be true.
    fn not_played(&self, limit: u32) -> Answer<'_, Vec<NotPlayedRow>>;

    /// Finds the number up to which the log of an epoch has arrived without a gap.
    fn contiguous_upto(&self, id: BoxId, epoch: Epoch) -> Answer<'_, u64>;
}
