//! Time zones under the names that calendars use: those of the tz database, of Windows, and those that the calendar itself
//! explains.

use chrono::{
    DateTime, Datelike, Duration, FixedOffset, NaiveDate, NaiveDateTime, Offset, TimeZone, Utc, Weekday,
};
use chrono_tz::{TZ_VARIANTS, Tz};
use icalendar::parser::Component;

use super::properties::{all, value};
use super::windows_zones::WINDOWS_ZONES;

/// Most changes of clocks that a calendar's own zone is read for.
const OBSERVANCES_MAX: usize = 64;

/// A zone in which a time of a calendar is written.
#[derive(Debug, Clone)]
pub(super) enum Zone {
    Known(Tz),
    /// By the calendar's own VTIMEZONE.
    Explained(Vec<Observance>),
}

/// A time of the year from which clocks show an offset.
#[derive(Debug, Clone)]
pub(super) struct Observance {
    from: NaiveDateTime,
    /// Month, week of the month (-1 for the last) and weekday on which it comes again each year.
    yearly: Option<(u32, i8, Weekday)>,
    before: FixedOffset,
    offset: FixedOffset,
}

/// Finds a zone that is known by its name. Some programs write the name behind a path of their own, Outlook that of Windows.
pub(super) fn known(name: &str) -> Option<Tz> {
    let name = name.trim();
    let windows = || WINDOWS_ZONES.iter().find(|(windows, _)| windows.eq_ignore_ascii_case(name));
    let behind_a_path = || {
        let parts: Vec<_> = name.split('/').collect();
        (1..parts.len()).find_map(|from| parts[from..].join("/").parse().ok())
    };
    let of_iana =
        |name: &str| TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name)).copied();
    of_iana(name).or_else(|| windows().and_then(|(_, name)| of_iana(name))).or_else(behind_a_path)
}

/// Reads what a VTIMEZONE explains; `None` where that can't be followed.
pub(super) fn explained(zone: &Component<'_>) -> Option<Zone> {
    let parts = zone.components.iter().filter(|part| {
        ["STANDARD", "DAYLIGHT"].iter().any(|name| part.name.as_str().eq_ignore_ascii_case(name))
    });
    let observances: Vec<_> = parts.take(OBSERVANCES_MAX).map(observance).collect::<Option<_>>()?;
    (!observances.is_empty()).then_some(Zone::Explained(observances))
}

fn observance(part: &Component<'_>) -> Option<Observance> {
    let from = NaiveDateTime::parse_from_str(value(part, "DTSTART")?.trim(), "%Y%m%dT%H%M%S").ok()?;
    let offset = offset(value(part, "TZOFFSETTO")?)?;
    let before = value(part, "TZOFFSETFROM").and_then(self::offset).unwrap_or(offset);
    let yearly = match value(part, "RRULE") {
        Some(rule) => Some(yearly(rule)?),
        None => None,
    };
    // Single dates are followed by nobody who writes calendars today.
    all(part, "RDATE").next().is_none().then_some(Observance { from, yearly, before, offset })
}

fn offset(text: &str) -> Option<FixedOffset> {
    let text = text.trim();
    let (sign, digits) = (text.get(..1)?, text.get(1..)?);
    let number = |range| digits.get(range).and_then(|part: &str| part.parse::<i32>().ok());
    let seconds = number(0..2)? * 3_600 + number(2..4)? * 60 + number(4..6).unwrap_or(0);
    match sign {
        "+" => FixedOffset::east_opt(seconds),
        "-" => FixedOffset::west_opt(seconds),
        _ => None,
    }
}

/// Reads `FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU`, the only form in which zones change their clocks.
fn yearly(rule: &str) -> Option<(u32, i8, Weekday)> {
    let rule = rule.to_ascii_uppercase();
    let part = |name: &str| rule.split(';').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    let day = part("BYDAY")?;
    let (week, day) = day.split_at_checked(day.len().checked_sub(2)?)?;
    let weekday = match day {
        "MO" => Weekday::Mon,
        "TU" => Weekday::Tue,
        "WE" => Weekday::Wed,
        "TH" => Weekday::Thu,
        "FR" => Weekday::Fri,
        "SA" => Weekday::Sat,
        "SU" => Weekday::Sun,
        _ => return None,
    };
    let week = week.parse().ok().filter(|week| (-1..=5).contains(week) && *week != 0)?;
    (part("FREQ")? == "YEARLY").then_some((part("BYMONTH")?.parse().ok()?, week, weekday))
}

impl Observance {
    /// Finds its last beginning that is not after `local`.
    fn last_begin(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        if local < self.from {
            return None;
        }
        let Some((month, week, weekday)) = self.yearly else { return Some(self.from) };
        let of_year = |year: i32| {
            let date = match week {
                -1 => {
                    let next = NaiveDate::from_ymd_opt(year + month as i32 / 12, month % 12 + 1, 1)?;
                    let last = next.pred_opt()?;
                    let back = last.weekday().days_since(weekday);
                    last - Duration::days(back.into())
                }
                week => NaiveDate::from_weekday_of_month_opt(year, month, weekday, week.unsigned_abs())?,
            };
            Some(date.and_time(self.from.time()))
        };
        let begins = [local.year(), local.year() - 1].into_iter().filter_map(of_year);
        begins.filter(|begin| *begin <= local && *begin >= self.from).max().or(Some(self.from))
    }
}

impl Zone {
    /// Gives the instant at which clocks of the zone show `local`, the earlier one of two; `None` where they never do.
    pub fn instant(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        let offset = match self {
            Zone::Known(zone) => {
                return zone.from_local_datetime(&local).earliest().map(|at| at.with_timezone(&Utc));
            }
            Zone::Explained(observances) => {
                let begun = observances.iter().filter_map(|it| Some((it.last_begin(local)?, it.offset)));
                let first = observances.iter().min_by_key(|it| it.from).map(|it| it.before);
                begun.max_by_key(|(begin, _)| *begin).map(|(_, offset)| offset).or(first)?
            }
        };
        offset.from_local_datetime(&local).earliest().map(|at| at.with_timezone(&Utc))
    }

    /// Gives what clocks of the zone show at an instant.
    pub fn local(&self, at: DateTime<Utc>) -> NaiveDateTime {
        match self {
            Zone::Known(zone) => at.with_timezone(zone).naive_local(),
            Zone::Explained(observances) => {
                let offsets = observances.iter().map(|it| it.offset.fix());
                let mut shown = offsets.map(|offset| at.with_timezone(&offset).naive_local());
                shown.find(|local| self.instant(*local) == Some(at)).unwrap_or(at.naive_utc())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_tz_database_and_of_windows_are_known() {
        let check = |name: &str, expected: Option<Tz>| assert_eq!(known(name), expected, "{name}");
        check("Asia/Ho_Chi_Minh", Some(Tz::Asia__Ho_Chi_Minh));
        check("asia/saigon", Some(Tz::Asia__Saigon));
        check("SE Asia Standard Time", Some(Tz::Asia__Bangkok));
        check("W. Europe Standard Time", Some(Tz::Europe__Berlin));
        check("/citadel.org/20190914_1/Asia/Ho_Chi_Minh", Some(Tz::Asia__Ho_Chi_Minh));
        check("(UTC+07:00) Bangkok, Hanoi, Jakarta", Some(Tz::Asia__Bangkok));
        check("Alberta Standard Time", Some(Tz::America__Edmonton));
        check("Nowhere", None);
        for (name, zone) in WINDOWS_ZONES {
            assert!(zone.parse::<Tz>().is_ok(), "{name}: {zone}");
        }
    }
}
