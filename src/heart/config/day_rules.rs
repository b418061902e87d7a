//! Times of day and rules for days, as a programme file gives them for slots and holidays.

use crate::said;
use chrono::{NaiveDate, NaiveTime, TimeDelta, Timelike, Weekday};

use super::fields::{Fields, Value};
use crate::domain::programme::{DayRule, Days};
use crate::domain::recurrence::Recurrence;
use crate::domain::time::DAY_END;

/// Reads the first and last day under `valid_from` and `valid_until`.
pub(super) fn validity(fields: &mut Fields<'_>) -> (Option<NaiveDate>, Option<NaiveDate>) {
    let from = fields.get("valid_from").and_then(|value| value.date());
    let value = fields.get("valid_until");
    let until = value.as_ref().and_then(Value::date);
    if let (Some(from), Some(until), Some(value)) = (from, until, value)
        && until < from
    {
        value.problem(said!("problem.backward_dates", from));
    }
    (from, until)
}

const NOON: NaiveTime = NaiveTime::from_hms_opt(12, 0, 0).expect("a time of day");

/// Reads the starts and ends of a slot's table.
pub(super) fn times(fields: &mut Fields<'_>) -> Option<Vec<(NaiveTime, NaiveTime)>> {
    let starts_value = fields.need("start");
    let end_value = fields.get("end");
    let minutes_value = fields.get("minutes");
    let starts_value = starts_value?;
    let starts: Option<Vec<_>> = starts_value.list().iter().map(Value::time).collect();
    let starts = starts?;
    match (end_value, minutes_value) {
        (Some(end), None) if starts.len() == 1 && !starts_value.is_list() => {
            let (start, time) = (starts[0], end.end_time()?);
            // From the evening to the morning after; anything else is a slip.
            if time > start || start >= NOON && time <= NOON {
                return Some(vec![(start, time)]);
            }
            end.problem(said!("problem.ends_early", start = hm(start), end = hm(time)));
            None
        }
        (None, Some(minutes)) => {
            let minutes: u32 = minutes.integer(1..=1_440)?;
            let slot = |start: NaiveTime| {
                let end = start.overflowing_add_signed(TimeDelta::minutes(minutes.into())).0;
                (start, if end == NaiveTime::MIN { DAY_END } else { end })
            };
            Some(starts.into_iter().map(slot).collect())
        }
        (Some(end), None) => {
            end.problem(said!("problem.one_end"));
            None
        }
        (Some(end), Some(_)) => {
            end.problem(said!("problem.end_and_minutes"));
            None
        }
        (None, None) => {
            fields.problem(said!("problem.no_end"));
            None
        }
    }
}

/// Writes a time of day as people do: `05:00`, with seconds only where there are some, and [`DAY_END`] as `24:00`.
pub fn hm(time: NaiveTime) -> String {
    if time == DAY_END {
        return "24:00".to_owned();
    }
    time.format(if time.second() == 0 { "%H:%M" } else { "%H:%M:%S" }).to_string()
}

/// Reads the days of a slot; every day where none are named.
pub(super) fn days(fields: &mut Fields<'_>) -> Days {
    let weekdays = fields.get("days").and_then(|value| weekdays(&value));
    let rule = fields.get("rrule");
    let rule_from = fields.get("rrule_from");
    let mut rules: Vec<_> = weekdays.into_iter().collect();
    rules.extend(calendar_rules(fields));
    let (valid_from, valid_until) = validity(fields);
    let except = fields.get("except").map(|value| value.list()).unwrap_or_default();
    let except = except.iter().filter_map(Value::date).collect();
    if let Some(value) = rule {
        let from = rule_from.map_or(valid_from, |value| value.date());
        match from {
            Some(from) => rules.extend(recurrence(&value, from)),
            None => value.problem(said!("problem.no_first_day")),
        }
    } else if let Some(value) = rule_from {
        value.problem(said!("problem.no_rule"));
    }
    if rules.is_empty() {
        rules.push(DayRule::Weekdays(EVERY_DAY.to_vec()));
    }
    Days { rules, valid_from, valid_until, except }
}

pub const EVERY_DAY: [Weekday; 7] =
    [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];

/// Days of the week as files name them.
pub(super) const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Mon),
    ("tue", Weekday::Tue),
    ("wed", Weekday::Wed),
    ("thu", Weekday::Thu),
    ("fri", Weekday::Fri),
    ("sat", Weekday::Sat),
    ("sun", Weekday::Sun),
];

fn weekdays(value: &Value<'_>) -> Option<DayRule> {
    if !value.is_list() {
        return value.choice(&[("daily", ())]).map(|()| DayRule::Weekdays(EVERY_DAY.to_vec()));
    }
    let days: Option<Vec<_>> = value.list().iter().map(|day| day.choice(&WEEKDAYS)).collect();
    let days = days?;
    if days.is_empty() {
        value.problem(said!("problem.no_weekday"));
        return None;
    }
    Some(DayRule::Weekdays(days))
}

/// Reads the rules under `lunar`, `yearly` and `dates`.
pub(super) fn calendar_rules(fields: &mut Fields<'_>) -> Vec<DayRule> {
    let mut list = |key| fields.get(key).map(|value| value.list()).unwrap_or_default();
    let (lunar, yearly_days, dates) = (list("lunar"), list("yearly"), list("dates"));
    let lunar = lunar.iter().filter_map(|value| value.parse().map(DayRule::Lunar));
    let yearly_days = yearly_days.iter().filter_map(yearly);
    let dates = dates.iter().filter_map(|value| value.date().map(DayRule::Date));
    lunar.chain(yearly_days).chain(dates).collect()
}

/// Reads a solar `day/month` of every year.
fn yearly(value: &Value<'_>) -> Option<DayRule> {
    let text = value.text()?;
    let parts = text.split_once('/').and_then(|(day, month)| Some((day.parse().ok()?, month.parse().ok()?)));
    // 2024 is a leap year: 29 February exists.
    let real = parts.filter(|(day, month)| NaiveDate::from_ymd_opt(2024, *month, *day).is_some());
    if real.is_none() {
        value.problem(said!("problem.no_yearly_day", text = text.escape_debug()));
    }
    real.map(|(day, month)| DayRule::Yearly { month, day })
}

fn recurrence(value: &Value<'_>, from: NaiveDate) -> Option<DayRule> {
    let rule = value.text()?;
    match Recurrence::new(rule, from) {
        Ok(recurrence) if recurrence.first().is_some() => {
            Some(DayRule::Recurrence { rule: rule.to_owned(), from })
        }
        Ok(_) => {
            value.problem(said!("problem.rule_never"));
            None
        }
        Err(error) => {
            value.problem(said!("problem.bad_rule", error));
            None
        }
    }
}
