//! Two kinds of time that are never mixed up: monotonic moments for durations, wall instants for the calendar.

use crate::texts::{Say, Sentence};
use std::fmt;
use std::ops::{Add, Sub};

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeZone, Utc};
use serde::{Deserialize, Serialize};

/// Vietnam's legal time, UTC+7 without daylight saving (Decision 121/CP of 1967; in force since 1975 everywhere).
pub const VIETNAM: FixedOffset = FixedOffset::east_opt(7 * 3600).expect("7 hours is a valid offset");

/// The end of a day as a time of that day, which people write `24:00`: after every other time, and by arithmetic the next
/// midnight. It is the 60th second of the last minute, which no schedule can name otherwise.
pub const DAY_END: NaiveTime =
    NaiveTime::from_hms_nano_opt(23, 59, 59, 1_000_000_000).expect("a leap second");

/// A length of time in microseconds, never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub u64);

impl Span {
    /// Makes a span of `n` milliseconds.
    pub const fn millis(n: u64) -> Self {
        Self(n * 1_000)
    }
    /// Makes a span of `n` seconds.
    pub const fn secs(n: u64) -> Self {
        Self(n * 1_000_000)
    }
    /// Returns whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }
    /// Returns seconds as a fraction.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
    /// Returns `self - other`, or nothing where `other` is longer.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl From<Span> for std::time::Duration {
    fn from(span: Span) -> Self {
        Self::from_micros(span.0)
    }
}

/// A point on the box's monotonic clock, in microseconds since the machine's boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// Returns the span since `earlier`, or zero where it is later.
    pub const fn since(self, earlier: Moment) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for Moment {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// A wall instant: microseconds since 1970-01-01T00:00:00Z. Written in JSON as RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wall(pub i64);

impl Wall {
    /// The last instant that is taken seriously, 2200-01-01T00:00:00Z; keeps all arithmetic far from overflow.
    pub const MAX: Wall = Wall(7_258_118_400_000_000);

    /// Returns the instant at which clocks in Vietnam show `local`.
    pub fn from_local(local: NaiveDateTime) -> Self {
        Self(local.and_utc().timestamp_micros() - i64::from(VIETNAM.local_minus_utc()) * 1_000_000)
    }

    /// Returns what clocks in Vietnam show at this instant.
    pub fn local(self) -> NaiveDateTime {
        self.utc().with_timezone(&VIETNAM).naive_local()
    }

    /// Returns the date in Vietnam at this instant.
    pub fn date(self) -> NaiveDate {
        self.local().date()
    }

    /// Returns this instant in UTC, clamped to years 1970 to 2200.
    pub fn utc(self) -> DateTime<Utc> {
        Utc.timestamp_micros(self.0.clamp(0, Wall::MAX.0)).single().unwrap_or_default()
    }

    /// Returns `self + span`.
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0 as i64))
    }

    /// Returns `self - span`.
    pub const fn minus(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0 as i64))
    }

    /// Returns the span since `earlier`, or zero where it is later.
    pub const fn since(self, earlier: Wall) -> Span {
        let micros = self.0.saturating_sub(earlier.0);
        Span(if micros < 0 { 0 } else { micros as u64 })
    }
}

impl Sub for Wall {
    type Output = i64;
    /// Returns the signed difference in microseconds.
    fn sub(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.utc().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Wall {
    type Err = chrono::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Clamped as it is written.
        DateTime::parse_from_rfc3339(text).map(|at| Self(at.timestamp_micros().clamp(0, Wall::MAX.0)))
    }
}

impl Serialize for Wall {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Wall {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Wall {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Wall".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// The degree to which the wall clock can be believed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ClockTrust")]
pub enum ClockQuality {
    /// No time since boot: nothing scheduled sounds.
    None,
    /// A battery clock, not earlier than the last time known.
    Floor,
    /// Set by NTP, or by central's signed time.
    Synced,
}

/// A reading of both clocks; every decision takes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    pub mono: Moment,
    pub wall: Wall,
    pub quality: ClockQuality,
    /// Half-width of the wall clock's uncertainty.
    pub uncertainty_ms: u32,
}

impl Reading {
    /// Returns the monotonic moment at which the wall clock will show `wall`, if it is not stepped before; now where it
    /// is past.
    pub fn moment_of(&self, wall: Wall) -> Moment {
        self.mono + wall.since(self.wall)
    }

    /// Reads the clocks as they will be at `moment`, or are now where that is past.
    pub fn at(&self, moment: Moment) -> Self {
        let ahead = moment.since(self.mono);
        Self { mono: self.mono + ahead, wall: self.wall.plus(ahead), ..*self }
    }
}

/// Vietnamese by the clock on the wall, English as logs write it.
impl Say for Wall {
    fn say(&self) -> Sentence {
        Sentence::Each { vi: self.local().format("%H:%M %d/%m/%Y").to_string(), en: self.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vietnam_is_seven_hours_ahead() {
        let wall: Wall = "2026-11-20T22:00:00Z".parse().unwrap();
        assert_eq!(wall.local().to_string(), "2026-11-21 05:00:00");
        assert_eq!(Wall::from_local(wall.local()), wall);
    }

    #[test]
    fn the_end_of_a_day_is_the_next_midnight() {
        let date = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        let midnight = date.succ_opt().unwrap().and_time(NaiveTime::MIN);
        assert_eq!(Wall::from_local(date.and_time(DAY_END)), Wall::from_local(midnight));
        let eleven = NaiveTime::from_hms_opt(23, 0, 0).unwrap();
        assert_eq!((DAY_END - eleven).num_seconds(), 3_600);
        assert!(DAY_END > NaiveTime::from_hms_opt(23, 59, 59).unwrap());
    }

    #[test]
    fn json_keeps_microseconds() {
        let wall = Wall(1_795_212_000_123_456);
        let text = serde_json::to_string(&wall).unwrap();
        assert_eq!(serde_json::from_str::<Wall>(&text).unwrap(), wall);
    }

    #[test]
    fn a_clock_far_away_does_not_panic() {
        for micros in [i64::MIN, 0, i64::MAX] {
            let _ = Wall(micros).local();
            let _ = Wall(micros).plus(Span(u64::MAX >> 1)).to_string();
        }
    }
}
