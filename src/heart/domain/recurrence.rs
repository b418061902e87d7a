//! RFC 5545 recurrence rules over days.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime};
use rrule::{RRule, RRuleSet, RRuleSetIter, Tz, Unvalidated};

use super::time::VIETNAM;
use crate::said;
use crate::texts::{Say, Sentence};

/// Longest rule that is read; every day of a year by its number takes 1,400 bytes.
const RULE_BYTES_MAX: usize = 2_000;

/// The faults of a text that is no recurrence rule for days.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum BadRule {
    TooLong,
    NotAscii(char),
    NoFrequency,
    SubDaily(String),
    SetsTime(String),
    BadUntil(String),
    EndsBeforeStart { from: NaiveDate, until: NaiveDate },
    Syntax(String),
}

impl Say for BadRule {
    fn say(&self) -> Sentence {
        match self {
            BadRule::TooLong => said!("rule.too_long", max = RULE_BYTES_MAX),
            BadRule::NotAscii(letter) => said!("rule.not_ascii", letter = letter.escape_debug()),
            BadRule::NoFrequency => said!("rule.no_frequency"),
            BadRule::SubDaily(freq) => said!("rule.sub_daily", freq),
            BadRule::SetsTime(part) => said!("rule.sets_time", part),
            BadRule::BadUntil(until) => said!("rule.bad_until", until),
            BadRule::EndsBeforeStart { from, until } => said!("rule.ends_before_start", until, from),
            BadRule::Syntax(detail) => said!("rule.syntax", detail),
        }
    }
}

/// The days of an RRULE value, found as they are asked for and then remembered.
pub struct Recurrence {
    from: NaiveDate,
    found: Mutex<Found>,
}

/// Days already found, as bits of each year, and where the search stands.
struct Found {
    years: BTreeMap<i32, [u64; 6]>,
    /// Every day before this one is known.
    known_until: NaiveDate,
    rest: Option<Box<RRuleSetIter>>,
}

impl Recurrence {
    /// Reads an RRULE value (with or without `RRULE:`) that starts on `from`. UNTIL names the last day, which counts;
    /// an UNTIL with a time in UTC means its date in Vietnam.
    ///
    /// # Errors
    /// Says what is wrong with the text. A rule that is well formed and never happens is no error here.
    pub fn new(text: &str, from: NaiveDate) -> Result<Self, BadRule> {
        let (rule, until) = day_rule(text)?;
        let start = midnight(from);
        let mut rule: RRule<Unvalidated> = rule.parse().map_err(syntax)?;
        if let Some(until) = until {
            if until < from {
                return Err(BadRule::EndsBeforeStart { from, until });
            }
            rule = rule.until(midnight(until));
        }
        let set = RRuleSet::new(start).rrule(rule.validate(start).map_err(syntax)?).limit();
        let rest = Some(Box::new(set.into_iter()));
        Ok(Self { from, found: Mutex::new(Found { years: BTreeMap::new(), known_until: from, rest }) })
    }

    /// Tells whether the rule names `date`.
    pub fn contains(&self, date: NaiveDate) -> bool {
        if date < self.from {
            return false;
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        while found.known_until <= date && found.search().is_some() {}
        let (word, bit) = place(date);
        found.years.get(&date.year()).is_some_and(|days| days[word] & bit != 0)
    }

    /// Lists all days that the rule names; `None` where there are more than `max`.
    pub fn all(&self, max: usize) -> Option<Vec<NaiveDate>> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = max;
        while found.search().is_some() {
            left = left.checked_sub(1)?;
        }
        let of_year = |(year, days): (&i32, &[u64; 6])| {
            let (year, days) = (*year, *days);
            let is_named = move |ordinal: &u32| {
                let (word, bit) = ((*ordinal - 1) / 64, (*ordinal - 1) % 64);
                days[word as usize] & (1 << bit) != 0
            };
            (1..=366).filter(is_named).filter_map(move |ordinal| NaiveDate::from_yo_opt(year, ordinal))
        };
        let all: Vec<_> = found.years.iter().flat_map(of_year).collect();
        (all.len() <= max).then_some(all)
    }

    /// Returns the first day that the rule names at all.
    pub fn first(&self) -> Option<NaiveDate> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.years.is_empty() {
            found.search();
        }
        let (year, days) = found.years.first_key_value()?;
        let word = days.iter().position(|word| *word != 0)?;
        NaiveDate::from_yo_opt(*year, word as u32 * 64 + days[word].trailing_zeros() + 1)
    }
}

impl Found {
    /// Finds one more day.
    fn search(&mut self) -> Option<NaiveDate> {
        let next = self.rest.as_mut()?.next().map(|at| at.date_naive());
        let Some(date) = next else {
            self.rest = None;
            self.known_until = NaiveDate::MAX;
            return None;
        };
        let (word, bit) = place(date);
        self.years.entry(date.year()).or_default()[word] |= bit;
        self.known_until = date.succ_opt().unwrap_or(NaiveDate::MAX);
        Some(date)
    }
}

impl fmt::Debug for Recurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recurrence from {}", self.from)
    }
}

/// Returns the word and bit of a year's bits that stand for `date`.
fn place(date: NaiveDate) -> (usize, u64) {
    let day = date.ordinal0();
    (day as usize / 64, 1 << (day % 64))
}

/// Days are reckoned at midnight UTC, so that no time zone can shift them.
fn midnight(date: NaiveDate) -> DateTime<Tz> {
    date.and_time(NaiveTime::MIN).and_utc().with_timezone(&Tz::UTC)
}

fn syntax(error: impl fmt::Display) -> BadRule {
    BadRule::Syntax(error.to_string())
}

/// Parts a rule from its UNTIL, and returns the day that this names: the crate would read it in the machine's own time
/// zone.
fn day_rule(text: &str) -> Result<(String, Option<NaiveDate>), BadRule> {
    if text.len() > RULE_BYTES_MAX {
        return Err(BadRule::TooLong);
    }
    // The crate cuts such a text in the middle of a letter, and panics.
    if let Some(letter) = text.chars().find(|letter| !letter.is_ascii()) {
        return Err(BadRule::NotAscii(letter));
    }
    let text = text.trim().to_ascii_uppercase();
    let text = text.strip_prefix("RRULE:").unwrap_or(&text);
    let mut until = None;
    let mut frequency = None;
    let mut kept = Vec::new();
    for part in text.split(';').filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("UNTIL", value)) => until = Some(until_day(value)?),
            Some((key @ ("BYHOUR" | "BYMINUTE" | "BYSECOND"), _)) => {
                return Err(BadRule::SetsTime(key.to_owned()));
            }
            Some(("FREQ", value)) => {
                if matches!(value, "HOURLY" | "MINUTELY" | "SECONDLY") {
                    return Err(BadRule::SubDaily(value.to_owned()));
                }
                frequency = Some(value);
                kept.push(part);
            }
            _ => kept.push(part),
        }
    }
    frequency.ok_or(BadRule::NoFrequency)?;
    Ok((kept.join(";"), until))
}

fn until_day(text: &str) -> Result<NaiveDate, BadRule> {
    let bad = || BadRule::BadUntil(text.to_owned());
    let at = |text: &str| NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S").map_err(|_| bad());
    if let Some(utc) = text.strip_suffix('Z') {
        return Ok(at(utc)?.and_utc().with_timezone(&VIETNAM).date_naive());
    }
    NaiveDate::parse_from_str(text, "%Y%m%d").or_else(|_| Ok(at(text)?.date()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn check(rule: &str, expected: &[&str]) {
        let rule = Recurrence::new(rule, date("2026-01-01")).unwrap();
        let days = date("2025-06-01").iter_days().take(600);
        let found: Vec<_> = days.filter(|day| rule.contains(*day)).map(|day| day.to_string()).collect();
        assert_eq!(found, expected);
    }

    fn check_bad(rule: &str, expected: &str) {
        let error = Recurrence::new(rule, date("2026-01-01")).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn days_are_found_in_any_order() {
        check("FREQ=MONTHLY;BYDAY=-1FR;COUNT=3", &["2026-01-30", "2026-02-27", "2026-03-27"]);
        check("rrule:freq=yearly;bymonth=2;bymonthday=29", &[]);
        check("FREQ=WEEKLY;BYDAY=MO;UNTIL=20260112", &["2026-01-05", "2026-01-12"]);
        check("FREQ=WEEKLY;BYDAY=MO;UNTIL=20260111T220000Z", &["2026-01-05", "2026-01-12"]);
        let rule = Recurrence::new("FREQ=DAILY;INTERVAL=2", date("2026-01-01")).unwrap();
        for (day, expected) in [("2027-01-01", false), ("2026-01-03", true), ("2025-12-30", false)] {
            assert_eq!(rule.contains(date(day)), expected, "{day}");
        }
    }

    #[test]
    fn what_is_not_about_days_is_refused() {
        check_bad("FREQ=HOURLY", "within a day");
        check_bad("FREQ=DAILY;BYHOUR=5", "time of day");
        check_bad("INTERVAL=2", "no FREQ");
        check_bad("FREQ=DAILY;UNTIL=20269999", "no date");
        check_bad("FREQ=DAILY;UNTIL=20251231", "before it starts");
        check_bad(&format!("FREQ=DAILY;BYDAY={}MO", "MO,".repeat(700)), "longer than");
        check_bad("FREQ=SOMETIMES", "");
        check_bad("FREQ=DAILY;BYMONTH=13", "");
    }

    #[test]
    fn a_rule_that_never_happens_is_known() {
        let first = |rule| Recurrence::new(rule, date("2026-01-01")).unwrap().first();
        assert_eq!(first("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), None);
        assert_eq!(first("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), None);
        assert_eq!(first("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"), Some(date("2028-02-29")));
        let never = Recurrence::new("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", date("2026-01-01")).unwrap();
        assert!(!never.contains(date("2099-02-28")));
    }
}
