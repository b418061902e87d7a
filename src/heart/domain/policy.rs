//! The policy that the guard on the box keeps: hours, length and loudness of sound.

use crate::said;
use crate::texts::{Say, Sentence};
use chrono::{NaiveDate, NaiveTime, Timelike, Weekday};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::time::DAY_END;

/// A stretch of a day in which sound is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Empty for every day. Written as `Mon` .. `Sun`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub days: Vec<Weekday>,
    #[schemars(with = "String")]
    pub from: NaiveTime,
    /// Exclusive, later than `from`. Midnight is written `23:59:60`, and may be given as `24:00`.
    #[serde(deserialize_with = "end_of_window")]
    #[schemars(with = "String")]
    pub until: NaiveTime,
}

fn end_of_window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.as_str() {
        "24:00" | "24:00:00" => Ok(DAY_END),
        text => text.parse().map_err(D::Error::custom),
    }
}

/// The limits of a box. Only an actual emergency passes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// A higher version replaces a lower one.
    pub version: u32,
    pub allowed: Vec<Window>,
    /// Days of the week without any programme.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub rest_weekdays: Vec<Weekday>,
    /// Single days without any programme.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub rest_dates: Vec<NaiveDate>,
    /// Longest stretch of sound without a pause of five minutes.
    pub session_minutes_max: u32,
    /// Most minutes of sound a day.
    pub day_minutes_max: u32,
    /// Ceiling from 06:00 to 21:00 (the day band of QCVN 26:2010/BTNMT).
    pub volume_day_percent_max: u8,
    /// Ceiling from 21:00 to 06:00 (the night band of QCVN 26:2010/BTNMT).
    pub volume_night_percent_max: u8,
    /// Ceilings of the box's zone, on top of the bands; for instance near a hospital.
    #[serde(default = "hundred")]
    pub volume_zone_percent_max: u8,
}

const fn hundred() -> u8 {
    100
}

impl Default for Policy {
    /// Allows 04:45 to 21:30 every day, 3 h in one stretch, 6 h a day, 100 % by day and 60 % by night.
    fn default() -> Self {
        let at = |hour, minute| NaiveTime::from_hms_opt(hour, minute, 0).expect("a time of day");
        Self {
            version: 0,
            allowed: vec![Window { days: Vec::new(), from: at(4, 45), until: at(21, 30) }],
            rest_weekdays: Vec::new(),
            rest_dates: Vec::new(),
            session_minutes_max: 180,
            day_minutes_max: 360,
            volume_day_percent_max: 100,
            volume_night_percent_max: 60,
            volume_zone_percent_max: 100,
        }
    }
}

/// The day band of QCVN 26:2010/BTNMT.
pub const DAY_BAND_HOURS: std::ops::Range<u32> = 6..21;

impl Policy {
    /// Returns the loudest volume that the time of day and the zone allow.
    pub fn ceiling(&self, time: NaiveTime) -> u8 {
        let band = if DAY_BAND_HOURS.contains(&time.hour()) {
            self.volume_day_percent_max
        } else {
            self.volume_night_percent_max
        };
        band.min(self.volume_zone_percent_max)
    }
}

/// The rule by which the guard refuses a play.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    thiserror::Error,
)]
#[serde(tag = "rule", rename_all = "snake_case")]
#[error("{}", self.say())]
pub enum GuardRefusal {
    OutsideHours,
    RestDay,
    #[serde(rename = "session_too_long")]
    StretchTooLong {
        minutes: u32,
    },
    DayFull {
        minutes: u32,
    },
    #[serde(rename = "clock_untrusted")]
    ClockUnknown,
    ExerciseAtNight,
}

impl Say for GuardRefusal {
    fn say(&self) -> Sentence {
        match self {
            GuardRefusal::OutsideHours => said!("guard.outside_hours"),
            GuardRefusal::RestDay => said!("guard.rest_day"),
            GuardRefusal::StretchTooLong { minutes } => said!("guard.stretch_too_long", minutes),
            GuardRefusal::DayFull { minutes } => said!("guard.day_full", minutes),
            GuardRefusal::ClockUnknown => said!("guard.clock_unknown"),
            GuardRefusal::ExerciseAtNight => said!("guard.exercise_at_night"),
        }
    }
}
