//! Programmes, slots, playlists and items, as checked values: what can be written here can be aired.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{NaiveDate, NaiveTime, TimeDelta, Weekday};
use serde::{Deserialize, Serialize};

use super::announcement::Interruption;
use super::ids::{CampaignId, GroupId, HolidayId, PlaylistId, ProgrammeId, SectionId, SlotId};
use super::lunar::LunarDay;
use super::sound::Pattern;

/// The plan of a group: slots, what fills them, and the days that change it.
#[derive(Debug, Clone, PartialEq)]
pub struct Programme {
    pub id: ProgrammeId,
    /// A higher version replaces a lower one.
    pub version: u32,
    pub title: String,
    pub group: GroupId,
    /// In the order of the file; no two can sound at once (checked).
    pub slots: Vec<Slot>,
    pub playlists: BTreeMap<PlaylistId, Playlist>,
    pub holidays: BTreeMap<HolidayId, Holiday>,
    pub sections: BTreeMap<SectionId, Section>,
    pub campaigns: BTreeMap<CampaignId, Campaign>,
}

/// One session of a programme.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    pub id: SlotId,
    pub title: String,
    /// Local time.
    pub start: NaiveTime,
    /// Hard end, local time: what still sounds fades out. An end that is not after `start` is on the next day.
    /// Midnight is [`DAY_END`](super::time::DAY_END).
    pub end: NaiveTime,
    pub days: Days,
    /// Sounds only on these holidays; such a slot replaces the everyday ones.
    pub holiday: Option<HolidayId>,
    pub playlist: PlaylistId,
    pub order: Order,
    pub fill: Fill,
    pub opening: Option<Pattern>,
    pub closing: Option<Pattern>,
    pub lateness: Lateness,
    /// Longest delay of the start, in seconds; the hard end bounds it anyway.
    pub start_within_s: Option<u32>,
    pub interruption: Interruption,
    pub volume_percent: u8,
    pub section: Option<SectionId>,
    pub campaign: Option<CampaignId>,
    /// Only boxes of one of these groups; empty for all.
    pub audience: Vec<GroupId>,
}

impl Slot {
    /// Returns the time from start to hard end.
    pub fn length(&self) -> TimeDelta {
        let length = self.end - self.start;
        if length > TimeDelta::zero() { length } else { length + TimeDelta::days(1) }
    }
}

/// The days of a slot: any of the rules, inside the validity, not on an exception.
#[derive(Debug, Clone, PartialEq)]
pub struct Days {
    pub rules: Vec<DayRule>,
    pub valid_from: Option<NaiveDate>,
    /// Inclusive.
    pub valid_until: Option<NaiveDate>,
    pub except: Vec<NaiveDate>,
}

/// One way to name days.
#[derive(Debug, Clone, PartialEq)]
pub enum DayRule {
    Weekdays(Vec<Weekday>),
    /// An RFC 5545 RRULE value without DTSTART, of frequency DAILY or longer; its start is `from`.
    Recurrence {
        rule: String,
        from: NaiveDate,
    },
    /// A day of the Vietnamese lunar calendar; a 30th in a month of 29 days is the 29th.
    Lunar(LunarDay),
    Date(NaiveDate),
    /// A solar day of every year.
    Yearly {
        month: u32,
        day: u32,
    },
}

/// The order in which the items of a slot sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// From the first on, each day anew.
    InTurn,
    /// Each day goes on after the last item that was finished the day before; remembered over restarts.
    Rotating,
    /// Shuffled, the same on all boxes, differently each day.
    Shuffled,
}

/// The use of time that is left when every item has sounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// Silence.
    Once,
    /// The list starts again until the hard end.
    Loop,
    /// Silence, and an item that can't end before the hard end is not started.
    Fitting,
}

/// The behaviour of a slot that could not start in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lateness {
    /// Enters where it would be now.
    Join,
    /// Plays from the start, until the hard end.
    Shift,
    /// Does not sound.
    Skip,
}

/// An ordered list of items.
#[derive(Debug, Clone, PartialEq)]
pub struct Playlist {
    pub id: PlaylistId,
    pub title: String,
    pub items: Vec<Item>,
}

/// One thing in a playlist.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub title: String,
    pub content: Content,
    pub kind: ItemKind,
    /// BCP 47 tag of `content`.
    pub language: String,
    /// Other languages of the item, by BCP 47 tag.
    pub translations: BTreeMap<String, Content>,
    pub section: Option<SectionId>,
    pub campaign: Option<CampaignId>,
    /// Name of the person who answers for it.
    pub responsible: Option<String>,
    pub licence: Option<String>,
    pub valid_from: Option<NaiveDate>,
    /// Inclusive.
    pub valid_until: Option<NaiveDate>,
    pub interruption: Option<Interruption>,
    /// At least 1.
    pub repeats: u16,
    pub gap_s: u32,
    pub gain_db: f32,
    /// Only boxes of one of these groups; empty for all.
    pub audience: Vec<GroupId>,
}

/// The content of an item.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// An audio file. `ms` is its length where the file could be opened when the programme was read.
    File { path: PathBuf, ms: Option<u32> },
    /// Words to be spoken; `ms` is an estimate.
    Text { text: String, ms: u32 },
    /// A station's stream, for so long; `None` until the hard end.
    Relay { url: String, minutes: Option<u32>, fallback: Option<PlaylistId> },
    /// The items of another list, in place of this one.
    Playlist(PlaylistId),
}

/// The kind of an item: days of mourning silence music.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    #[default]
    Speech,
    Music,
}

/// A set of days that change the programme.
#[derive(Debug, Clone, PartialEq)]
pub struct Holiday {
    pub id: HolidayId,
    pub title: String,
    pub rules: Vec<DayRule>,
    /// Days that the holiday lasts from each day named, at least 1.
    pub lasts_days: u16,
    pub effect: HolidayEffect,
}

/// The effect of a holiday on the everyday slots, of its own programme and of the others of the same group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HolidayEffect {
    /// The holiday's own slots sound instead of the everyday ones.
    Replace,
    /// The holiday's own slots sound beside the everyday ones.
    Add,
    /// Music is left out, speech stays.
    Mourning,
    /// The programmes are silent.
    Silence,
}

/// A content category.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    pub id: SectionId,
    pub title: String,
    pub responsible: Option<String>,
    /// Minutes a week that the plan asks for.
    pub weekly_minutes_min: Option<u32>,
}

/// Items and slots with a purpose.
#[derive(Debug, Clone, PartialEq)]
pub struct Campaign {
    pub id: CampaignId,
    pub title: String,
    pub from: NaiveDate,
    /// Inclusive. Slots and items of the campaign sound only between the two.
    pub until: NaiveDate,
    pub responsible: String,
    pub messages: Vec<String>,
}
