//! Days as they were planned and as they turned out, kept under the names of their time: what is deleted, renamed or moved
//! later changes no report of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::calls::NewLetter;
use super::commands::CommandRow;
use super::deliveries::DeliveryRow;
use super::plays::PlayRow;
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::ids::{
    AccountId, BoxId, CampaignId, CommandId, ContentHash, GroupId, NoticeId, SectionId, SlotId,
};
use loaxa_heart::domain::playback::{NotPlayed, SlotKey, SlotOutcome, Subject};
use loaxa_heart::domain::time::Wall;

/// The names of sections and campaigns on a day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Names {
    pub sections: BTreeMap<SectionId, String>,
    pub campaigns: BTreeMap<CampaignId, NamedCampaign>,
}

/// A campaign as it was called on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedCampaign {
    pub title: String,
    pub responsible: String,
}

/// A session that a box was to air.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DueSession {
    #[serde(flatten)]
    pub key: SlotKey,
    pub title: String,
    pub start: Wall,
    /// Hard end.
    pub end: Wall,
    pub parts: Vec<DuePart>,
}

/// Something that was to sound in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuePart {
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<SectionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub responsible: Option<String>,
    pub ms: u64,
}

/// A box on a day: its names, and what it was to air.
#[derive(Debug, Clone, PartialEq)]
pub struct DayBox {
    pub id: BoxId,
    pub title: String,
    /// Empty for a box in no group.
    pub village: String,
    pub village_title: String,
    pub households: Option<u32>,
    pub sessions: Arc<Vec<DueSession>>,
}

/// A day as it was planned.
#[derive(Debug, Clone, PartialEq)]
pub struct DayPlan {
    pub day: NaiveDate,
    pub made: Wall,
    pub names: Names,
    pub boxes: Vec<DayBox>,
}

/// A box whose day is to be reckoned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSettle {
    pub day: NaiveDate,
    pub id: BoxId,
    /// Names the last reason, as no other was ever named; another one meanwhile keeps the box on the list.
    pub mark: i64,
}

/// Everything that a box's log says of a day.
#[derive(Debug, Clone, PartialEq)]
pub struct DayFacts {
    pub day: NaiveDate,
    /// Plays from the day's begin until noon of the next, and those of announcements that were due, whenever they sounded;
    /// without those that can't be true.
    pub plays: Vec<PlayRow>,
    /// The last word on each slot.
    pub ends: BTreeMap<SlotId, SlotEnd>,
    /// Items that did not sound.
    pub not_played: Vec<(Subject, NotPlayed)>,
    /// Deliveries of the announcements that were due.
    pub deliveries: BTreeMap<CommandId, DeliveryRow>,
    /// Stretches of time of which the log has arrived without a gap.
    pub known: Vec<(Wall, Wall)>,
}

/// The end of a slot on the day, as the box tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotEnd {
    pub title: String,
    pub scheduled: Wall,
    pub outcome: SlotOutcome,
}

/// An announcement with what its notice says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Announced {
    pub row: CommandRow,
    pub section: Option<SectionId>,
    pub campaign: Option<CampaignId>,
    pub responsible: Option<String>,
    /// The accounts of who wrote and who approved it; `None` where no notice stands behind it.
    pub author: Option<AccountId>,
    pub approver: Option<AccountId>,
    pub notice: Option<NoticeId>,
}

/// The fate of something that was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    OnAir,
    Aired,
    /// Some of it sounded.
    Partly,
    Missed,
    /// The box has not told.
    Unknown,
}

impl Fate {
    /// All of them, in the order of the form.
    pub const ALL: [Fate; 5] = [Fate::Aired, Fate::Partly, Fate::Missed, Fate::Unknown, Fate::OnAir];

    /// The word in the database, in addresses and in the tables of texts.
    pub const fn code(self) -> &'static str {
        match self {
            Fate::OnAir => "on_air",
            Fate::Aired => "aired",
            Fate::Partly => "partly",
            Fate::Missed => "missed",
            Fate::Unknown => "unknown",
        }
    }
}

/// Something that was due on a box, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Airing {
    #[serde(skip)]
    pub subject: Subject,
    pub due: Wall,
    pub title: String,
    pub class: Rung,
    pub campaign: Option<CampaignId>,
    pub fate: Fate,
    /// A code of the texts' section `missed_because`; empty where nothing is missing.
    pub reason: String,
    pub planned_ms: u64,
    pub aired_ms: u64,
    /// Sections of it, and people who answer for it, by name or account.
    #[serde(skip)]
    pub sections: Vec<SectionId>,
    #[serde(skip)]
    pub people: Vec<String>,
}

/// The parts of a day that are added up together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SumKey {
    pub section: String,
    pub section_title: String,
    pub campaign: String,
    pub campaign_title: String,
    pub class: Rung,
    pub responsible: String,
    /// A code of the texts' section `missed_because`, in rows of what was missed; else empty.
    pub reason: String,
}

/// Times added up; `planned = aired + missed + unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sums {
    pub planned_ms: u64,
    pub aired_ms: u64,
    pub missed_ms: u64,
    pub unknown_ms: u64,
    /// Time that sounded beside the plan.
    pub extra_ms: u64,
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.planned_ms += other.planned_ms;
        self.aired_ms += other.aired_ms;
        self.missed_ms += other.missed_ms;
        self.unknown_ms += other.unknown_ms;
        self.extra_ms += other.extra_ms;
    }
}

/// A day of a box, reckoned.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settled {
    pub airings: Vec<Airing>,
    pub sums: BTreeMap<SumKey, Sums>,
}

/// A day of a box, reckoned, with the mark under which it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reckoned {
    pub of: ToSettle,
    pub place: DayBox,
    pub settled: Settled,
}

/// A question for airings, latest first. What is empty asks for all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AiringFilter {
    pub from: Option<Wall>,
    /// Exclusive.
    pub to: Option<Wall>,
    pub id: Option<BoxId>,
    pub villages: Vec<GroupId>,
    pub class: Option<Rung>,
    pub campaign: Option<CampaignId>,
    pub section: Option<SectionId>,
    /// A name, or an account.
    pub person: Option<String>,
    pub fate: Option<Fate>,
    /// Only those before this one, in the order of the list.
    pub before: Option<(Wall, i64)>,
    pub limit: u32,
}

/// An airing as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AiringRow {
    pub id: i64,
    pub day: NaiveDate,
    #[serde(rename = "box")]
    pub box_id: BoxId,
    pub box_title: String,
    pub village: String,
    pub village_title: String,
    #[serde(flatten)]
    pub airing: Airing,
}

/// Airings counted by their fate.
pub type FateCounts = BTreeMap<Fate, u64>;

/// A choice of sums: whole days, both counted.
#[derive(Debug, Clone, PartialEq)]
pub struct SumFilter {
    pub from: NaiveDate,
    pub until: NaiveDate,
    pub campaign: Option<CampaignId>,
}

/// Sums of a month and village.
#[derive(Debug, Clone, PartialEq)]
pub struct SumRow {
    /// As `2026-10`.
    pub month: String,
    pub village: String,
    pub village_title: String,
    pub key: SumKey,
    pub sums: Sums,
}

/// A village in a period, as it was called last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VillageRow {
    pub village: String,
    pub title: String,
    pub households: Option<u32>,
    pub boxes: u64,
}

/// A box whose late log changed a day that was over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Supplement {
    /// The day on which the log came.
    pub on: NaiveDate,
    pub box_title: String,
    pub days: u64,
}

/// The hash of all logs on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Anchor {
    pub day: NaiveDate,
    pub made: Wall,
    pub hash: ContentHash,
    /// Lines that were hashed, one for each log: box, epoch, number and hash of its last record. `None` where they were not
    /// asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<String>,
}

/// Bytes of heads that are read at once, beyond the first anchor: each anchor has a line for every log that there is.
pub const HEADS_BYTES_MAX: u64 = 4 << 20;

/// Some anchors, and where the rest begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorPage {
    pub anchors: Vec<Anchor>,
    /// The day before which there are more.
    pub next: Option<NaiveDate>,
}

/// Days: planned, settled, added up.
pub trait DaySums: Send + Sync {
    /// The plan of a day.
    fn day_plan(&self, day: NaiveDate) -> Answer<'_, Option<DayPlan>>;

    /// The first and the last day that has a plan.
    fn days_kept(&self) -> Answer<'_, Option<(NaiveDate, NaiveDate)>>;

    /// The last day that has a plan, up to this one: a clock that was wrong may have planned others.
    fn last_day_kept(&self, until: NaiveDate) -> Answer<'_, Option<NaiveDate>>;

    /// Keeps the plan of a day in place of the one before, and has all its boxes reckoned.
    fn keep_day(&self, plan: DayPlan) -> Answer<'_, ()>;

    /// Has boxes reckoned anew on a day.
    fn mark_to_settle(&self, day: NaiveDate, boxes: Vec<BoxId>) -> Answer<'_, ()>;

    /// Has the boxes reckoned anew that were to get these announcements, on the day on which those were due.
    fn mark_announced(&self, day: NaiveDate, commands: BTreeSet<CommandId>) -> Answer<'_, ()>;

    /// Has every day reckoned of which there are plays, where none was before.
    fn mark_history(&self) -> Answer<'_, ()>;

    /// Lists boxes whose day is to be reckoned, latest days first.
    fn to_settle(&self, limit: u32) -> Answer<'_, Vec<ToSettle>>;

    /// Reads what the logs of boxes say of a day on which these announcements were due; each of the boxes is in the answer.
    fn day_facts(
        &self,
        day: NaiveDate,
        boxes: Vec<BoxId>,
        due: Vec<CommandId>,
    ) -> Answer<'_, BTreeMap<BoxId, DayFacts>>;

    /// Lists the announcements that were due on a day, without tests: at their hour, or when they were issued.
    fn due_on(&self, day: NaiveDate) -> Answer<'_, Vec<Announced>>;

    /// Finds announcements that were issued, were due or expired after `from` and until `to`, by the day on which they were
    /// due; without tests.
    fn announced_within(&self, from: Wall, to: Wall) -> Answer<'_, BTreeMap<NaiveDate, BTreeSet<CommandId>>>;

    /// Reads one announcement with its notice.
    fn announcement(&self, id: CommandId) -> Answer<'_, Option<Announced>>;

    /// Keeps what days of boxes turned out to be, those whose mark is still the one under which they were read; the others are
    /// reckoned again. `on` is today: a day that was over and says more now is a supplement.
    fn settle(&self, reckoned: Vec<Reckoned>, on: NaiveDate) -> Answer<'_, ()>;

    /// Lists airings, latest first.
    fn airings(&self, filter: AiringFilter) -> Answer<'_, Vec<AiringRow>>;

    /// Counts the airings of a filter by their fate; its `before` and `limit` play no part.
    fn count_airings(&self, filter: AiringFilter) -> Answer<'_, FateCounts>;

    /// Reads one airing.
    fn airing(&self, id: i64) -> Answer<'_, Option<AiringRow>>;

    /// Adds days up by month, village and key.
    fn sums(&self, filter: SumFilter) -> Answer<'_, Vec<SumRow>>;

    /// Lists the villages that had boxes in a period.
    fn villages_of(&self, from: NaiveDate, until: NaiveDate) -> Answer<'_, Vec<VillageRow>>;

    /// Lists the late logs that changed days of a period.
    fn supplements(&self, from: NaiveDate, until: NaiveDate) -> Answer<'_, Vec<Supplement>>;

    /// Keeps that the report of a month was made, with the letter that goes out; false where it had been.
    fn note_report(
        &self,
        month: String,
        made: Wall,
        sums: Sums,
        letter: Option<NewLetter>,
    ) -> Answer<'_, bool>;

    /// Lists the months whose reports were made, latest first.
    fn made_reports(&self) -> Answer<'_, Vec<(String, Wall)>>;

    /// Keeps the hash of all logs as they are now; the first of a day stays.
    fn keep_anchor(&self, day: NaiveDate, made: Wall) -> Answer<'_, Anchor>;

    /// Lists anchors, latest first, those before a day where one is given. With their heads they are no more than
    /// [`HEADS_BYTES_MAX`] holds, and one at least.
    fn anchors(&self, before: Option<NaiveDate>, with_heads: bool, limit: u32) -> Answer<'_, AnchorPage>;
}
