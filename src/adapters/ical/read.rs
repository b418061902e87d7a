//! Events to slots.

use chrono::{
    DateTime, Days as DayCount, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Utc,
};
use chrono_tz::Tz;
use icalendar::parser::{Component, Property, read_calendar, unfold};
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;

use super::{DIGEST_PROPERTY, Event, SLOT_PROPERTY, Times, every_day};
use loaxa_heart::config::problem::{Problem, Problems};
use loaxa_heart::config::programme_file::parse_slot;
use loaxa_heart::domain::programme::{DayRule, Days, Slot};
use loaxa_heart::domain::recurrence::Recurrence;
use loaxa_heart::domain::time::VIETNAM;

/// Most events of a calendar.
pub const EVENTS_MAX: usize = 1_000;

/// Most dates that one event names one by one.
const DATES_MAX: usize = 5_000;

/// Deepest nesting of components; the standard needs three.
const DEPTH_MAX: usize = 8;

/// Reads the events of a calendar.
///
/// # Errors
/// All events that are no slots: across midnight, in a zone that changes its offset, with single changed days, ...
pub fn parse(text: &str, file: &str) -> Result<Vec<Event>, Problems> {
    let problem = |line: usize, key: &str, said: Sentence| Problem {
        file: file.to_owned(),
        line,
        column: 1,
        key: key.to_owned(),
        said,
    };
    let lines = event_lines(text).map_err(|wrong| problem(0, "", wrong))?;
    let unfolded = unfold(text);
    let calendar = read_calendar(&unfolded).map_err(|error| {
        let first = error.lines().next().unwrap_or_default().to_owned();
        problem(0, "", said!("ical.none", detail = first))
    })?;
    let mut components = Vec::new();
    collect(&calendar.components, &mut components);
    let mut events = Vec::new();
    let mut problems = Vec::new();
    for (component, line) in components.into_iter().zip(lines) {
        match event(component, line) {
            Ok(event) => events.push(event),
            Err(wrong) => problems.push(problem(line, "VEVENT", wrong)),
        }
    }
    if problems.is_empty() { Ok(events) } else { Err(Problems(problems)) }
}

/// The lines on which events begin.
fn event_lines(text: &str) -> Result<Vec<usize>, Sentence> {
    let mut depth: usize = 0;
    let mut events = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let starts =
            |word: &str| line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        if starts("BEGIN:") {
            depth += 1;
        } else if starts("END:") {
            depth = depth.saturating_sub(1);
        }
        if depth > DEPTH_MAX {
            return Err(said!("ical.deep", max = DEPTH_MAX));
        }
        if starts("BEGIN:VEVENT") {
            events.push(index + 1);
        }
    }
    if events.len() > EVENTS_MAX {
        return Err(said!("ical.many", count = events.len(), max = EVENTS_MAX));
    }
    Ok(events)
}

fn collect<'c, 'p>(components: &'c [Component<'p>], events: &mut Vec<&'c Component<'p>>) {
    for component in components {
        if component.name.as_str().eq_ignore_ascii_case("VEVENT") {
            events.push(component);
        }
        collect(&component.components, events);
    }
}

fn all<'c>(component: &'c Component<'_>, name: &'c str) -> impl Iterator<Item = &'c Property<'c>> {
    component.properties.iter().filter(move |property| property.name.as_str().eq_ignore_ascii_case(name))
}

fn value<'c>(component: &'c Component<'_>, name: &'c str) -> Option<&'c str> {
    all(component, name).next().map(|property| property.val.as_str())
}

fn event(component: &Component<'_>, line: usize) -> Result<Event, Sentence> {
    if value(component, "RECURRENCE-ID").is_some() {
        return Err(said!("ical.changed_day"));
    }
    let times = times(component)?;
    let exact = value(component, DIGEST_PROPERTY) == Some(&times.digest());
    let slot = value(component, SLOT_PROPERTY).and_then(|text| parse_slot(text).ok());
    let days = days(&times)?;
    let slot = match slot {
        Some(slot) if !exact => {
            let Times { title, start, end, .. } = times.clone();
            // The days of a holiday slot are those of the holiday; once written out they are days as any other.
            Some(Slot { title, start, end, days: days.clone(), holiday: None, ..slot })
        }
        slot => slot,
    };
    let uid = value(component, "UID").unwrap_or_default().to_owned();
    Ok(Event { uid, title: times.title, start: times.start, end: times.end, days, slot, line })
}

fn times(component: &Component<'_>) -> Result<Times, Sentence> {
    let property = |name| all(component, name).next();
    let start = property("DTSTART").ok_or(said!("ical.no_start"))?;
    let at = instants(start)?.into_iter().next().ok_or(said!("ical.empty_start"))?;
    let local = at.with_timezone(&VIETNAM).naive_local();
    let end = match (property("DTEND"), value(component, "DURATION")) {
        (Some(end), _) => instants(end)?.into_iter().next(),
        (None, Some(text)) => duration(text).map(|length| at + length),
        (None, None) => None,
    };
    let end = end.ok_or(said!("ical.no_end"))?.with_timezone(&VIETNAM).naive_local();
    if end <= local {
        return Err(said!("ical.backward"));
    }
    if end.date() != local.date() {
        return Err(said!("ical.midnight"));
    }
    let mut rules = all(component, "RRULE");
    let rule = rules.next().map(|rule| day_rule(rule.val.as_str(), local.time()));
    if rules.next().is_some() {
        return Err(said!("ical.two_rules"));
    }
    if rule.is_some() {
        repeats_in_vietnam(start, &at)?;
    }
    let title =
        value(component, "SUMMARY").unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let title = if title.is_empty() { "Phát thanh".to_owned() } else { title };
    let (more, except) =
        (dates(component, "RDATE", local.time())?, dates(component, "EXDATE", local.time())?);
    Ok(Times { title, first: local.date(), start: local.time(), end: end.time(), rule, more, except })
}

/// A rule in capitals whose UNTIL is the last day on which the event's time is not later than it.
fn day_rule(rule: &str, time: NaiveTime) -> String {
    let rule = rule.trim().to_ascii_uppercase();
    let part = |part: &str| {
        let until = part.strip_prefix("UNTIL=");
        let digits = until.map(|until| until.trim_end_matches('Z'));
        let at = digits.and_then(|digits| NaiveDateTime::parse_from_str(digits, "%Y%m%dT%H%M%S").ok());
        let Some(at) = at else { return part.to_owned() };
        let local = if part.ends_with('Z') { at.and_utc().with_timezone(&VIETNAM).naive_local() } else { at };
        let early = DayCount::new(u64::from(local.time() < time));
        (local.date() - early).format("UNTIL=%Y%m%d").to_string()
    };
    rule.split(';').map(part).collect::<Vec<_>>().join(";")
}

/// The dates of RDATE or EXDATE, which must be at the event's own time of day.
fn dates(component: &Component<'_>, name: &'static str, time: NaiveTime) -> Result<Vec<NaiveDate>, Sentence> {
    let mut dates = Vec::new();
    for property in all(component, name) {
        if is_date(property) {
            dates.extend(property.val.as_str().split(',').map(plain_date).collect::<Result<Vec<_>, _>>()?);
            continue;
        }
        for at in instants(property)? {
            let local = at.with_timezone(&VIETNAM).naive_local();
            if local.time() == time {
                dates.push(local.date());
            } else if name == "RDATE" {
                return Err(said!("ical.other_time", name, local));
            }
        }
        if dates.len() > DATES_MAX {
            return Err(said!("ical.many_dates", max = DATES_MAX, name));
        }
    }
    dates.sort_unstable();
    dates.dedup();
    Ok(dates)
}

fn parameter<'c>(property: &'c Property<'_>, name: &str) -> Option<&'c str> {
    let found = property.params.iter().find(|parameter| parameter.key.as_str().eq_ignore_ascii_case(name))?;
    Some(found.val.as_ref()?.as_str().trim_matches('"'))
}

fn is_date(property: &Property<'_>) -> bool {
    parameter(property, "VALUE").is_some_and(|kind| kind.eq_ignore_ascii_case("DATE"))
}

fn plain_date(text: &str) -> Result<NaiveDate, Sentence> {
    NaiveDate::parse_from_str(text.trim(), "%Y%m%d")
        .map_err(|_| said!("ical.no_date", text = text.escape_debug()))
}

/// The zone of a property; a time without one is Vietnam's.
fn zone(property: &Property<'_>) -> Result<Tz, Sentence> {
    match parameter(property, "TZID") {
        // Outlook's name.
        None | Some("SE Asia Standard Time") => Ok(Tz::Asia__Ho_Chi_Minh),
        Some(name) => name.parse().map_err(|_| said!("ical.no_zone", zone = name.escape_debug())),
    }
}

/// The instants of a property with one or more times.
fn instants(property: &Property<'_>) -> Result<Vec<DateTime<Utc>>, Sentence> {
    if is_date(property) {
        return Err(said!("ical.all_day"));
    }
    let zone = zone(property)?;
    let instant = |text: &str| {
        let bad = || said!("ical.no_time", text = text.escape_debug());
        let (digits, utc) = match text.trim().strip_suffix('Z') {
            Some(digits) => (digits, true),
            None => (text.trim(), false),
        };
        let local = NaiveDateTime::parse_from_str(digits, "%Y%m%dT%H%M%S").map_err(|_| bad())?;
        if utc {
            return Ok(local.and_utc());
        }
        let at = zone.from_local_datetime(&local).earliest();
        at.map(|at| at.with_timezone(&Utc)).ok_or_else(bad)
    };
    property.val.as_str().split(',').map(instant).collect()
}

/// Refuses a series whose rule, written for another zone, would mean other days or times in Vietnam.
fn repeats_in_vietnam(start: &Property<'_>, at: &DateTime<Utc>) -> Result<(), Sentence> {
    let utc = start.val.as_str().trim().ends_with('Z');
    let zone = if utc { Tz::UTC } else { zone(start)? };
    let offset = |at: &DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix();
    if offset(at) != offset(&(*at + DayCount::new(182))) {
        return Err(said!("ical.clocks_change", zone));
    }
    if at.with_timezone(&zone).date_naive() != at.with_timezone(&VIETNAM).date_naive() {
        return Err(said!("ical.other_day", zone));
    }
    Ok(())
}

/// A length as `P1DT2H3M4S` or `P1W`.
fn duration(text: &str) -> Option<TimeDelta> {
    let mut total = TimeDelta::zero();
    let mut number = String::new();
    for c in text.trim().strip_prefix('+').unwrap_or(text.trim()).strip_prefix('P')?.chars() {
        if c.is_ascii_digit() && number.len() < 6 {
            number.push(c);
            continue;
        }
        let seconds = match c {
            'T' if number.is_empty() => continue,
            'W' => 7 * 86_400,
            'D' => 86_400,
            'H' => 3_600,
            'M' => 60,
            'S' => 1,
            _ => return None,
        };
        total += TimeDelta::seconds(seconds * number.parse::<i64>().ok()?);
        number.clear();
    }
    number.is_empty().then_some(total)
}

/// The days that an event names.
fn days(times: &Times) -> Result<Days, Sentence> {
    let mut days =
        Days { rules: Vec::new(), valid_from: None, valid_until: None, except: times.except.clone() };
    let mut singles = times.more.clone();
    match &times.rule {
        None => singles.insert(0, times.first),
        Some(rule) => {
            let recurrence =
                Recurrence::new(rule, times.first).map_err(|error| said!("ical.bad_rule", error))?;
            if recurrence.first().is_none() {
                return Err(said!("ical.never"));
            }
            // The first day counts, even where the rule does not name it.
            if !recurrence.contains(times.first) {
                singles.push(times.first);
            }
            if rule == "FREQ=DAILY" && singles.is_empty() {
                days.rules.push(every_day());
                days.valid_from = Some(times.first);
            } else {
                days.rules.push(DayRule::Recurrence { rule: rule.clone(), from: times.first });
            }
        }
    }
    singles.sort_unstable();
    singles.dedup();
    days.rules.extend(singles.into_iter().map(DayRule::Date));
    Ok(days)
}
