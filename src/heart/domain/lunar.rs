//! The Vietnamese lunar calendar, reckoned for UTC+7 by Ho Ngoc Duc's public method: months begin on the day of
//! the new moon, month 11 holds the winter solstice, and of 13 months between two solstices the first without a
//! major solar term is the leap month.

use std::f64::consts::TAU;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use crate::said;
use crate::texts::{Say, Sentence};
use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

/// A day of every lunar year, for instance the 15th of the 7th month; month 0 stands for every month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LunarDay {
    /// 1 to 12, or 0 for every month.
    pub month: u8,
    /// 1 to 30.
    pub day: u8,
}

/// The relation of a date to a [`LunarDay`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meets {
    No,
    Exactly,
    /// The date is the 29th and last of its month, and stands in for the 30th.
    ForThe30th,
}

impl LunarDay {
    /// Compares `date` with this day. A named month means the regular one and not its leap repetition; every month
    /// means leap months too. The 30th of a month of 29 days is the 29th.
    pub fn meets(self, date: &LunarDate) -> Meets {
        let month = self.month == 0 || (self.month == date.month && !date.leap);
        if month && self.day == date.day {
            Meets::Exactly
        } else if month && self.day == 30 && date.day == 29 && date.month_days == 29 {
            Meets::ForThe30th
        } else {
            Meets::No
        }
    }
}

impl fmt::Display for LunarDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.month {
            0 => write!(f, "{}", self.day),
            month => write!(f, "{}/{month}", self.day),
        }
    }
}

/// A text that is not `day/month` or `day` of the lunar calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum BadLunarDay {
    Form,
    NoSuchDay(u8),
    NoSuchMonth(u8),
}

impl Say for BadLunarDay {
    fn say(&self) -> Sentence {
        match self {
            BadLunarDay::Form => said!("lunar.form"),
            BadLunarDay::NoSuchDay(day) => said!("lunar.no_such_day", day),
            BadLunarDay::NoSuchMonth(month) => said!("lunar.no_such_month", month),
        }
    }
}

impl FromStr for LunarDay {
    type Err = BadLunarDay;
    fn from_str(text: &str) -> Result<Self, BadLunarDay> {
        let (day, month) = match text.split_once('/') {
            Some((day, month)) => (day, Some(month)),
            None => (text, None),
        };
        let number = |text: &str| text.trim().parse::<u8>().map_err(|_| BadLunarDay::Form);
        let day = number(day)?;
        let month = month.map(number).transpose()?;
        match (day, month) {
            (0 | 31.., _) => Err(BadLunarDay::NoSuchDay(day)),
            (_, Some(month @ (0 | 13..))) => Err(BadLunarDay::NoSuchMonth(month)),
            _ => Ok(Self { month: month.unwrap_or(0), day }),
        }
    }
}

/// A date of the Vietnamese lunar calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LunarDate {
    /// The solar year in which the first month of the lunar year begins.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// The day lies in the leap repetition of `month`.
    pub leap: bool,
    /// 1 to 30.
    pub day: u8,
    /// Length of the month, 29 or 30.
    pub month_days: u8,
}

impl LunarDate {
    /// Converts a solar date. Equal to the published tables for 1900 to 2099.
    pub fn from_solar(date: NaiveDate) -> Self {
        let day = julian_day(date);
        // The cycle that holds the solar year's beginning ends in its December, or a little earlier.
        let ending = cycle(date.year());
        let ended = day >= ending.starts[ending.months];
        let (year, cycle) =
            if ended { (date.year() + 1, cycle(date.year() + 1)) } else { (date.year(), ending) };
        let index = cycle.starts[..cycle.months].partition_point(|start| *start <= day) - 1;
        let (month, leap) = cycle.month(index);
        Self {
            year: if month >= 11 { year - 1 } else { year },
            month,
            leap,
            day: (day - cycle.starts[index] + 1) as u8,
            month_days: (cycle.starts[index + 1] - cycle.starts[index]) as u8,
        }
    }

    /// Converts day `day` of a lunar month to a solar date, or to `None` where there is no such month or day.
    pub fn to_solar(year: i32, month: u8, leap: bool, day: u8) -> Option<NaiveDate> {
        let (start, length) = month_of(year, month, leap)?;
        let real = (1..=length).contains(&day);
        real.then(|| solar(start + i32::from(day) - 1)).flatten()
    }

    /// Returns the length of a lunar month in days, or `None` where there is no such month.
    pub fn month_length(year: i32, month: u8, leap: bool) -> Option<u8> {
        month_of(year, month, leap).map(|(_, length)| length)
    }

    /// Returns the first day of a lunar year: Tết.
    pub fn new_year(year: i32) -> Option<NaiveDate> {
        Self::to_solar(year, 1, false, 1)
    }
}

impl fmt::Display for LunarDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leap = if self.leap { " nhuận" } else { "" };
        write!(f, "{}/{}{leap}/{}", self.day, self.month, self.year)
    }
}

/// Returns start (Julian day) and length of a lunar month.
fn month_of(year: i32, month: u8, leap: bool) -> Option<(i32, u8)> {
    // Months 11 and 12 of a lunar year lie in the cycle that begins with its own solstice.
    let cycle = if month >= 11 { cycle(year.checked_add(1)?) } else { cycle(year) };
    let index = (0..cycle.months).find(|index| cycle.month(*index) == (month, leap))?;
    let start = cycle.starts[index];
    Some((start, (cycle.starts[index + 1] - start) as u8))
}

/// The months from the 11th of one lunar year up to the 11th of the next.
#[derive(Debug, Clone, Copy)]
struct Cycle {
    /// First days as Julian days; `starts[months]` is the first day of the next cycle.
    starts: [i32; 14],
    /// 12 or 13.
    months: usize,
    /// Index of the leap month.
    leap: Option<usize>,
}

impl Cycle {
    /// Returns the number of the month at `index`, and whether it is its leap repetition.
    fn month(&self, index: usize) -> (u8, bool) {
        let leaps_before = usize::from(self.leap.is_some_and(|leap| leap <= index));
        let number = (10 + index - leaps_before) % 12 + 1;
        (number as u8, self.leap == Some(index))
    }
}

const CACHED_FROM: i32 = 1900;
const CACHED_YEARS: usize = 300;
static CACHE: [OnceLock<Cycle>; CACHED_YEARS] = [const { OnceLock::new() }; CACHED_YEARS];

/// Returns the cycle that ends in the solstice month of solar year `year`. Reckoned once for 1900 to 2199.
fn cycle(year: i32) -> Cycle {
    let place = usize::try_from(year - CACHED_FROM).ok().and_then(|index| CACHE.get(index));
    match place {
        Some(place) => *place.get_or_init(|| reckon_cycle(year)),
        None => reckon_cycle(year),
    }
}

fn reckon_cycle(year: i32) -> Cycle {
    let first = solstice_moon(year - 1);
    let months = usize::try_from(solstice_moon(year) - first).expect("solstices follow each other");
    let mut starts = [0; 14];
    for (moon, start) in (first..).zip(starts.iter_mut().take(months + 1)) {
        *start = new_moon_day(moon);
    }
    let without_major_term = |index: &usize| solar_term(starts[*index]) == solar_term(starts[*index + 1]);
    let leap = if months == 13 { (1..13).find(without_major_term) } else { None };
    Cycle { starts, months, leap }
}

/// Returns the number of the new moon that begins month 11 of the lunar year `year`: the last one not after the winter
/// solstice.
fn solstice_moon(year: i32) -> i64 {
    let last_day = julian_day(NaiveDate::from_ymd_opt(year, 12, 31).unwrap_or(NaiveDate::MAX));
    let moon = ((f64::from(last_day) - 2_415_021.0) / SYNODIC_MONTH_DAYS).floor() as i64;
    // The ninth twelfth of the ecliptic begins at 270 degrees, the winter solstice.
    if solar_term(new_moon_day(moon)) >= 9 { moon - 1 } else { moon }
}

/// Mean length of a lunation in days.
const SYNODIC_MONTH_DAYS: f64 = 29.530_588_853;

/// Returns the Julian day, reckoned from midnight in UTC+7, on which new moon number `moon` (0: 1900-01-01) falls. Jean
/// Meeus, "Astronomical Formulae for Calculators", 1982.
fn new_moon_day(moon: i64) -> i32 {
    let k = moon as f64;
    let t = k / 1236.85;
    let (t2, t3) = (t * t, t * t * t);
    let sin = |degrees: f64| degrees.to_radians().sin();
    let mean = 2_415_020.759_33 + 29.530_588_68 * k + 0.000_117_8 * t2 - 0.000_000_155 * t3
        + 0.000_33 * sin(166.56 + 132.87 * t - 0.009_173 * t2);
    let sun = 359.224_2 + 29.105_356_08 * k - 0.000_033_3 * t2 - 0.000_003_47 * t3;
    let anomaly = 306.025_3 + 385.816_918_06 * k + 0.010_730_6 * t2 + 0.000_012_36 * t3;
    let latitude = 21.296_4 + 390.670_506_46 * k - 0.001_652_8 * t2 - 0.000_002_39 * t3;
    let correction = (0.173_4 - 0.000_393 * t) * sin(sun) + 0.002_1 * sin(2.0 * sun) - 0.406_8 * sin(anomaly)
        + 0.016_1 * sin(2.0 * anomaly)
        - 0.000_4 * sin(3.0 * anomaly)
        + 0.010_4 * sin(2.0 * latitude)
        - 0.005_1 * sin(sun + anomaly)
        - 0.007_4 * sin(sun - anomaly)
        + 0.000_4 * sin(2.0 * latitude + sun)
        - 0.000_4 * sin(2.0 * latitude - sun)
        - 0.000_6 * sin(2.0 * latitude + anomaly)
        + 0.001_0 * sin(2.0 * latitude - anomaly)
        + 0.000_5 * sin(sun + 2.0 * anomaly);
    let dynamical = if t < -11.0 {
        0.001 + 0.000_839 * t + 0.000_226_1 * t2 - 0.000_008_45 * t3 - 0.000_000_081 * t * t3
    } else {
        -0.000_278 + 0.000_265 * t + 0.000_262 * t2
    };
    (mean + correction - dynamical + 0.5 + 7.0 / 24.0).floor() as i32
}

/// Returns the twelfth of the ecliptic (0 from the spring equinox) in which the sun is at the midnight, UTC+7, that
/// begins a day.
fn solar_term(day: i32) -> u8 {
    let t = (f64::from(day) - 2_451_545.5 - 7.0 / 24.0) / 36_525.0;
    let t2 = t * t;
    let anomaly = (357.529_10 + 35_999.050_30 * t - 0.000_155_9 * t2 - 0.000_000_48 * t * t2).to_radians();
    let mean = 280.466_45 + 36_000.769_83 * t + 0.000_303_2 * t2;
    let centre = (1.914_600 - 0.004_817 * t - 0.000_014 * t2) * anomaly.sin()
        + (0.019_993 - 0.000_101 * t) * (2.0 * anomaly).sin()
        + 0.000_290 * (3.0 * anomaly).sin();
    let longitude = (mean + centre).to_radians().rem_euclid(TAU);
    (longitude / TAU * 12.0).floor() as u8
}

/// Julian day of 0000-12-31, the day before chrono's first.
const DAY_BEFORE_CE: i32 = 1_721_425;

fn julian_day(date: NaiveDate) -> i32 {
    date.num_days_from_ce() + DAY_BEFORE_CE
}

fn solar(julian_day: i32) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(julian_day - DAY_BEFORE_CE)
}
