//! The words of villagers about what they heard, and the answers of staff. Nothing in them tells who the villagers are.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::audit::NewAct;
use loaxa_heart::domain::ids::{AccountId, GroupId};
use loaxa_heart::domain::time::Wall;

/// Most words of villagers that are kept; beyond them the oldest that need no answer any more go.
pub const FEEDBACK_MAX: u32 = 20_000;

/// The kinds of what villagers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackKind {
    /// Heard well: counted, and answered by nobody.
    Clear,
    TooLoud,
    /// Too faint, or it rattled.
    TooFaint,
    NotHeard,
    WrongHour,
    Other,
}

impl FeedbackKind {
    pub const ALL: [FeedbackKind; 6] = [
        FeedbackKind::Clear,
        FeedbackKind::TooFaint,
        FeedbackKind::TooLoud,
        FeedbackKind::NotHeard,
        FeedbackKind::WrongHour,
        FeedbackKind::Other,
    ];

    /// The word in the database, in forms and in the tables of texts.
    pub const fn code(self) -> &'static str {
        match self {
            FeedbackKind::Clear => "clear",
            FeedbackKind::TooLoud => "too_loud",
            FeedbackKind::TooFaint => "too_faint",
            FeedbackKind::NotHeard => "not_heard",
            FeedbackKind::WrongHour => "wrong_hour",
            FeedbackKind::Other => "other",
        }
    }

    /// Finds a kind by its word.
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// The broadcast that somebody speaks of, by the centre's own name for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broadcast {
    pub id: String,
    pub title: String,
    pub at: Wall,
}

/// The answer of staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedbackAnswer {
    pub by: AccountId,
    pub at: Wall,
    pub words: String,
}

/// The words of a villager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedbackRow {
    /// A number that the store gives.
    pub id: i64,
    /// The code by which whoever said it finds the answer.
    pub code: String,
    pub village: GroupId,
    pub kind: FeedbackKind,
    pub words: String,
    pub about: Option<Broadcast>,
    pub made: Wall,
    /// The time by which it must be answered; `None` where nothing is to be answered.
    pub due: Option<Wall>,
    pub answer: Option<FeedbackAnswer>,
}

/// Words of villagers, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedbackSum {
    pub village: String,
    /// The village's name of the last of the days.
    pub title: String,
    pub kind: FeedbackKind,
    pub said: u64,
    /// Those that need an answer, and those that had it in time or late.
    pub asked: u64,
    pub in_time: u64,
    pub late: u64,
}

/// The words of villagers.
pub trait Feedback: Send + Sync {
    /// Keeps what somebody said, and counts it under the village's name of now; false where there is no room:
    /// [`FEEDBACK_MAX`] wait for an answer.
    fn add_feedback(&self, row: FeedbackRow, village_title: String) -> Answer<'_, bool>;

    /// Finds what was said under a code.
    fn feedback_by_code(&self, code: String) -> Answer<'_, Option<FeedbackRow>>;

    /// Finds what was said by its number.
    fn feedback(&self, id: i64) -> Answer<'_, Option<FeedbackRow>>;

    /// Lists what waits for an answer, what is due first before the rest.
    fn feedback_waiting(&self, limit: u32) -> Answer<'_, Vec<FeedbackRow>>;

    /// Lists what was answered or needs no answer, the latest first.
    fn feedback_past(&self, limit: u32) -> Answer<'_, Vec<FeedbackRow>>;

    /// Keeps an answer; false where it was answered before.
    fn answer_feedback(&self, id: i64, answer: FeedbackAnswer, act: NewAct) -> Answer<'_, bool>;

    /// Counts what was said in a period, by village and kind.
    fn feedback_counts(&self, from: Wall, until: Wall) -> Answer<'_, BTreeMap<(GroupId, FeedbackKind), u64>>;

    /// Adds up what was said on these days, both counted, by village and kind. The numbers stay when the words go.
    fn feedback_sums(&self, from: NaiveDate, until: NaiveDate) -> Answer<'_, Vec<FeedbackSum>>;

    /// Counts by village what should have been answered by `now`, with the earliest time that it was due.
    fn feedback_overdue(&self, now: Wall) -> Answer<'_, Vec<(GroupId, u64, Wall)>>;
}
