//! The time for which things are kept, and what was deleted when that time was over. Sums of days, heads that boxes signed,
//! and anchors stay for ever.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::audit::NewAct;
use loaxa_heart::domain::ids::{BoxId, ContentHash, Epoch};
use loaxa_heart::domain::time::Wall;

/// Most rows that go in one step, so that nobody waits long behind it; a whole month of the log goes at once on a server.
pub const PRUNED_AT_ONCE: u32 = 500;

/// The kinds of things that are deleted when their time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Perishable {
    /// Entries of the boxes' logs, with the lines of the log's page that follow from them.
    Log,
    /// Audio that nothing uses any more, live voices among it.
    Audio,
    /// Notices that were never sent.
    Drafts,
    /// Words of villagers, some days after they were answered.
    Feedback,
    /// The audit trail.
    Acts,
    /// Orders that are over, their notices, and how far each came at each box. Documents in force stay, and what the log still
    /// names.
    Orders,
    /// Letters to people who were called, and events to receivers, that were sent or given up.
    Outgoing,
}

impl Perishable {
    pub const ALL: [Perishable; 7] = [
        Perishable::Log,
        Perishable::Audio,
        Perishable::Drafts,
        Perishable::Feedback,
        Perishable::Acts,
        Perishable::Orders,
        Perishable::Outgoing,
    ];

    /// The word in the database, in forms and in the tables of texts.
    pub const fn code(self) -> &'static str {
        match self {
            Perishable::Log => "log",
            Perishable::Audio => "audio",
            Perishable::Drafts => "drafts",
            Perishable::Feedback => "feedback",
            Perishable::Acts => "acts",
            Perishable::Orders => "orders",
            Perishable::Outgoing => "outgoing",
        }
    }
}

/// The times for which things are kept, and the time in which villagers are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeepingRule {
    pub log_months: u32,
    pub audio_months: u32,
    pub draft_months: u32,
    /// Days after the answer.
    pub feedback_days: u32,
    pub act_months: u32,
    pub order_months: u32,
    pub outgoing_months: u32,
    pub answer_days: u32,
}

impl Default for KeepingRule {
    fn default() -> Self {
        Self {
            log_months: 24,
            audio_months: 12,
            draft_months: 6,
            feedback_days: 90,
            act_months: 60,
            order_months: 24,
            outgoing_months: 12,
            answer_days: 7,
        }
    }
}

/// The log of one store of a box, as far as it was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrunedLog {
    #[serde(rename = "box")]
    pub id: BoxId,
    pub epoch: Epoch,
    /// The last entry that was deleted, with the hash that the rest continues.
    pub upto: u64,
    pub hash: ContentHash,
    pub at: Wall,
    /// The envelope in which the box signed its log up to that entry.
    #[serde(skip)]
    pub head: Option<String>,
}

impl PrunedLog {
    /// Writes what an export says of it: where the log was cut, and what the box signed there.
    pub fn lines(&self) -> String {
        let head = self.head.as_ref().map(|head| format!("{{\"head\":{head}}}\n")).unwrap_or_default();
        format!("{}\n{head}", serde_json::json!({ "pruned": self }))
    }
}

/// Deletions of a kind so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrunedRow {
    pub kept: Perishable,
    /// Everything older is gone.
    pub before: Wall,
    pub at: Wall,
    pub rows: u64,
}

/// The room that a kind of things takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRow {
    /// A code of the texts' section `room`.
    pub what: String,
    pub bytes: u64,
    pub measured: Wall,
}

/// The keeping of things for a time.
pub trait Keeping: Send + Sync {
    /// Reads the rule that staff set, or the one that holds without them.
    fn keeping_rule(&self) -> Answer<'_, KeepingRule>;

    /// Keeps another rule.
    fn set_keeping_rule(&self, rule: KeepingRule, act: NewAct) -> Answer<'_, ()>;

    /// Finds the earliest broadcast that somebody complains of who has no answer yet.
    fn complained_since(&self) -> Answer<'_, Option<Wall>>;

    /// Deletes some of what is older than `before`, [`PRUNED_AT_ONCE`] rows or a month, and says how many went; 0 at the end.
    /// Of logs and orders nothing goes while days before then wait to be reckoned. Audio goes one by one.
    fn prune(&self, kept: Perishable, before: Wall, now: Wall) -> Answer<'_, u64>;

    /// Lists audio that was added before then, and that nothing since then names: no notice in work, no order that is in
    /// force, no programme, no prepared message.
    fn unused_media(&self, before: Wall, now: Wall, limit: u32) -> Answer<'_, Vec<ContentHash>>;

    /// Forgets audio that is unused still; false where it is used now.
    fn forget_media(&self, hash: ContentHash, before: Wall, now: Wall) -> Answer<'_, bool>;

    /// Lists logs that were deleted in part.
    fn pruned_logs(&self) -> Answer<'_, Vec<PrunedLog>>;

    /// Lists what was deleted so far, by kind.
    fn pruned(&self) -> Answer<'_, Vec<PrunedRow>>;

    /// Measures the tables, and keeps what they take.
    fn measure_room(&self, beside: Vec<(String, u64)>, now: Wall) -> Answer<'_, ()>;

    /// Lists the room that things took when they were measured last, the largest first.
    fn room(&self) -> Answer<'_, Vec<RoomRow>>;
}
