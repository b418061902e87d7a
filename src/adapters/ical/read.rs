//! Events to slots.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days as DayCount, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use icalendar::parser::{Component, Property, read_calendar, unfold};
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;

use super::properties::{all, parameter, value};
use super::zones::{self, Zone};
use super::{DIGEST_PROPERTY, Event, SLOT_PROPERTY, Times, every_day};
use loaxa_heart::config::files;
use loaxa_heart::config::problem::{Problem, Problems};
use loaxa_heart::config::programme_file::parse_slot;
use loaxa_heart::domain::programme::{DayRule, Days, Slot};
use loaxa_heart::domain::recurrence::Recurrence;
use loaxa_heart::domain::time::{DAY_END, VIETNAM};

/// Most events of a calendar.
pub const EVENTS_MAX: usize = 1_000;

/// Most dates that one event names one by one.
const DATES_MAX: usize = 5_000;

/// Most zones that a calendar explains.
const ZONES_MAX: usize = 200;

/// Deepest nesting of components; the standard needs three.
const DEPTH_MAX: usize = 8;

/// Reads the bytes of a calendar as text. Long lines may be folded in the middle of a letter, so that only the unfolded text
/// is UTF-8.
///
/// # Errors
/// Says in what it is not written.
pub fn decode(bytes: &[u8]) -> Result<String, Sentence> {
    files::decode(bytes).or_else(|wrong| {
        let mut unfolded = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some((first, after)) = rest.split_first() {
            rest = match rest {
                [b'\r', b'\n', b' ' | b'\t', after @ ..] | [b'\n', b' ' | b'\t', after @ ..] => after,
                _ => {
                    unfolded.push(*first);
                    after
                }
            };
        }
        files::decode(&unfolded).map_err(|_| wrong)
    })
}

/// Reads the events of a calendar. What was cancelled is left out; a single day of a series that was moved or cancelled is
/// taken out of it, and sounds where it was moved.
///
/// # Errors
/// Lists all events that are no slots: across midnight, all day, without an end in a zone that changes its clocks, ...
pub fn parse(text: &str, file: &str) -> Result<Vec<Event>, Problems> {
    let problem = |line: usize, key: &str, said: Sentence| Problem {
        file: file.to_owned(),
        line,
        column: 1,
        key: key.to_owned(),
        said,
    };
    let text = text.trim_start_matches('\u{feff}');
    // Old Macs end lines with the return alone.
    let with_newlines = (!text.contains('\n')).then(|| text.replace('\r', "\r\n"));
    let text = with_newlines.as_deref().unwrap_or(text);
    let lines = event_lines(text).map_err(|wrong| problem(0, "", wrong))?;
    let unfolded = unfold(text);
    let calendar = read_calendar(&unfolded).map_err(|error| {
        let first = error.lines().next().unwrap_or_default().to_owned();
        problem(0, "", said!("ical.none", detail = first))
    })?;
    let (mut components, mut zones) = (Vec::new(), Vec::new());
    collect(&calendar.components, "VEVENT", &mut components);
    collect(&calendar.components, "VTIMEZONE", &mut zones);
    let method = calendar.properties.iter().find(|it| it.name.as_str().eq_ignore_ascii_case("METHOD"));
    let book = Book {
        zones: explained(&zones),
        all_cancelled: method.is_some_and(|it| it.val.as_str().trim().eq_ignore_ascii_case("CANCEL")),
        components: components.into_iter().zip(lines).collect(),
    };
    let (mut events, mut problems) = (Vec::new(), Vec::new());
    for (component, line) in book.sounding() {
        match book.events(component, line) {
            Ok(some) => events.extend(some),
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

fn collect<'c, 'p>(components: &'c [Component<'p>], name: &str, found: &mut Vec<&'c Component<'p>>) {
    for component in components {
        if component.name.as_str().eq_ignore_ascii_case(name) {
            found.push(component);
        }
        collect(&component.components, name, found);
    }
}

/// Reads the zones that a calendar explains, by their names.
fn explained(zones: &[&Component<'_>]) -> BTreeMap<String, Zone> {
    let named = zones.iter().take(ZONES_MAX).filter_map(|zone| {
        let name = value(zone, "TZID")?.trim().trim_matches('"').to_owned();
        Some((name, zones::explained(zone)?))
    });
    named.collect()
}

/// The events of a calendar, which speak of each other.
struct Book<'c, 'p> {
    zones: BTreeMap<String, Zone>,
    /// The calendar as a whole takes its events back.
    all_cancelled: bool,
    /// With the line on which each begins.
    components: Vec<(&'c Component<'p>, usize)>,
}

/// Occurrences that an event does not have.
#[derive(Default)]
struct Except {
    instants: BTreeSet<DateTime<Utc>>,
    /// Days in the event's own zone.
    dates: BTreeSet<NaiveDate>,
}

impl<'c, 'p> Book<'c, 'p> {
    /// Gives the components of which something sounds. Of one event in several editions the newest counts.
    fn sounding(&self) -> impl Iterator<Item = (&'c Component<'p>, usize)> + '_ {
        let sequence =
            |component| value(component, "SEQUENCE").and_then(|text| text.trim().parse::<u32>().ok());
        let edition = |component: &Component<'_>| {
            let uid = value(component, "UID").unwrap_or_default().trim().to_owned();
            (uid, value(component, "RECURRENCE-ID").map(|text| text.trim().to_owned()))
        };
        let mut newest: BTreeMap<_, (u32, usize)> = BTreeMap::new();
        for (index, (component, _)) in self.components.iter().enumerate() {
            let this = (sequence(component).unwrap_or(0), index);
            let kept = newest.entry(edition(component)).or_insert(this);
            *kept = this.max(*kept);
        }
        let is_newest = move |index: usize, component| {
            let edition = edition(component);
            edition.0.is_empty() || newest.get(&edition).is_some_and(|(_, newest)| *newest == index)
        };
        let all = self.components.iter().enumerate();
        all.filter(move |(index, (component, _))| {
            !self.all_cancelled && !is_cancelled(component) && is_newest(*index, component)
        })
        .map(|(_, found)| *found)
    }

    /// Reads an event: one, or several where its hour differs from day to day.
    fn events(&self, component: &Component<'_>, line: usize) -> Result<Vec<Event>, Sentence> {
        let uid = value(component, "UID").unwrap_or_default().to_owned();
        let is_override = value(component, "RECURRENCE-ID").is_some();
        let moved = if is_override { Except::default() } else { self.moved(&uid)? };
        let is_whole = moved.instants.is_empty() && moved.dates.is_empty();
        let mut slot = value(component, SLOT_PROPERTY).and_then(|text| parse_slot(text).ok());
        let mut events = Vec::new();
        for times in self.times(component, moved)? {
            let exact = is_whole && value(component, DIGEST_PROPERTY) == Some(&times.digest());
            let days = days(&times)?;
            let slot = match slot.take() {
                Some(slot) if !exact => {
                    let Times { title, start, end, .. } = times.clone();
                    // The days of a holiday slot are those of the holiday; once written out they are days as any other.
                    Some(Slot { title, start, end, days: days.clone(), holiday: None, ..slot })
                }
                slot => slot,
            };
            let Times { title, start, end, .. } = times;
            events.push(Event { uid: uid.clone(), title, start, end, days, slot, line });
        }
        Ok(events)
    }

    /// Finds the single days of a series that other components move or cancel.
    fn moved(&self, uid: &str) -> Result<Except, Sentence> {
        let mut except = Except::default();
        if uid.is_empty() {
            return Ok(except);
        }
        for (component, _) in &self.components {
            if value(component, "UID") != Some(uid) {
                continue;
            }
            for original in all(component, "RECURRENCE-ID") {
                if parameter(original, "RANGE").is_some() {
                    return Err(said!("ical.range"));
                }
                self.add(original, &mut except)?;
            }
        }
        Ok(except)
    }

    /// Adds the times or days of a property to what is left out.
    fn add(&self, property: &Property<'_>, except: &mut Except) -> Result<(), Sentence> {
        for text in property.val.as_str().split(',') {
            match self.moment(property, text)? {
                At::Instant(at) => drop(except.instants.insert(at)),
                At::Day(date) => drop(except.dates.insert(date)),
            }
            if except.instants.len() + except.dates.len() > DATES_MAX {
                let name = property.name.as_str().to_owned();
                return Err(said!("ical.many_dates", max = DATES_MAX, name));
            }
        }
        Ok(())
    }

    /// Finds the zone of a property; a time without one is Vietnam's.
    fn zone(&self, property: &Property<'_>) -> Result<Zone, Sentence> {
        let Some(name) = parameter(property, "TZID") else { return Ok(Zone::Known(Tz::Asia__Ho_Chi_Minh)) };
        let known = zones::known(name).map(Zone::Known);
        let found = known.or_else(|| self.zones.get(name.trim()).cloned());
        found.ok_or_else(|| said!("ical.no_zone", zone = name.escape_debug()))
    }

    /// Reads one value of a property; of a period, its begin.
    fn moment(&self, property: &Property<'_>, text: &str) -> Result<At, Sentence> {
        let text = text.split('/').next().unwrap_or_default().trim();
        if is_date(property) || (text.len() == 8 && !text.contains('T')) {
            return plain_date(text).map(At::Day);
        }
        let bad = || said!("ical.no_time", text = text.escape_debug());
        let (digits, is_utc) = text.strip_suffix('Z').map_or((text, false), |digits| (digits, true));
        let local = NaiveDateTime::parse_from_str(digits, "%Y%m%dT%H%M%S").map_err(|_| bad())?;
        match is_utc {
            true => Ok(At::Instant(local.and_utc())),
            false => self.zone(property)?.instant(local).map(At::Instant).ok_or_else(bad),
        }
    }

    fn instant(&self, property: &Property<'_>) -> Result<DateTime<Utc>, Sentence> {
        match self.moment(property, property.val.as_str())? {
            At::Instant(at) => Ok(at),
            At::Day(_) => Err(said!("ical.all_day")),
        }
    }

    /// Puts an event into times of Vietnam, without the occurrences that are left out.
    fn times(&self, component: &Component<'_>, mut except: Except) -> Result<Vec<Times>, Sentence> {
        let property = |name| all(component, name).next();
        let start = property("DTSTART").ok_or(said!("ical.no_start"))?;
        if start.val.as_str().trim().is_empty() {
            return Err(said!("ical.empty_start"));
        }
        let at = self.instant(start)?;
        let length = match (property("DTEND"), value(component, "DURATION")) {
            (Some(end), _) => Some(self.instant(end)? - at),
            (None, text) => text.and_then(duration),
        };
        let length = length.ok_or(said!("ical.no_end"))?;
        let (start_time, end) = day_times(at, length)?;
        let mut rules = all(component, "RRULE");
        let rule = rules.next();
        if rules.next().is_some() {
            return Err(said!("ical.two_rules"));
        }
        for property in all(component, "EXDATE") {
            self.add(property, &mut except)?;
        }
        let is_utc = start.val.as_str().trim().ends_with('Z');
        let zone = if is_utc { Zone::Known(Tz::UTC) } else { self.zone(start)? };
        let more = self.more(component, &zone, at)?;
        let title = value(component, "SUMMARY").unwrap_or_default().split_whitespace();
        let title = Some(title.collect::<Vec<_>>().join(" ")).filter(|title| !title.is_empty());
        let title = title.unwrap_or_else(|| "Phát thanh".to_owned());
        let series = match rule {
            Some(rule) => series(rule.val.as_str(), at, &zone)?,
            None => Series::Single(vec![at]),
        };
        let first = vietnam(at).date();
        let local = |at: &DateTime<Utc>| vietnam(*at);
        let is_left_out = |at: &DateTime<Utc>| {
            except.instants.contains(at) || except.dates.contains(&zone.local(*at).date())
        };
        match series {
            Series::Single(mut singles) => {
                singles.extend(more);
                singles.retain(|at| !is_left_out(at));
                by_time(&title, &singles, length)
            }
            Series::Rule(rule) => {
                let same_time = |local: &NaiveDateTime| local.time() == start_time;
                let mut left_out: BTreeSet<_> =
                    except.instants.iter().map(local).filter(same_time).map(|local| local.date()).collect();
                left_out.extend(except.dates.iter().filter_map(|date| {
                    zone.instant(date.and_time(zone.local(at).time())).map(|at| vietnam(at).date())
                }));
                let (same, other): (Vec<_>, Vec<_>) =
                    more.into_iter().partition(|at| vietnam(*at).time() == start_time);
                let mut more: Vec<_> = same.iter().map(|at| vietnam(*at).date()).collect();
                more.sort_unstable();
                more.dedup();
                let except = left_out.into_iter().collect();
                let by_rule = Times {
                    title: title.clone(),
                    first,
                    start: start_time,
                    end,
                    rule: Some(rule),
                    more,
                    except,
                };
                let mut all = vec![by_rule];
                all.extend(by_time(&title, &other, length)?);
                Ok(all)
            }
        }
    }

    /// Reads the RDATEs; those without a time are at the event's own.
    fn more(
        &self,
        component: &Component<'_>,
        zone: &Zone,
        at: DateTime<Utc>,
    ) -> Result<Vec<DateTime<Utc>>, Sentence> {
        let mut more = Vec::new();
        for property in all(component, "RDATE") {
            for text in property.val.as_str().split(',') {
                more.extend(match self.moment(property, text)? {
                    At::Instant(at) => Some(at),
                    At::Day(date) => zone.instant(date.and_time(zone.local(at).time())),
                });
                if more.len() > DATES_MAX {
                    return Err(said!("ical.many_dates", max = DATES_MAX, name = "RDATE"));
                }
            }
        }
        Ok(more)
    }
}

/// A value of a property: an instant, or a day without a time.
enum At {
    Instant(DateTime<Utc>),
    Day(NaiveDate),
}

/// The occurrences of an event, seen from Vietnam.
enum Series {
    /// By a rule over days, always at the same time.
    Rule(String),
    Single(Vec<DateTime<Utc>>),
}

fn is_cancelled(component: &Component<'_>) -> bool {
    let status = value(component, "STATUS").unwrap_or_default().trim();
    status.eq_ignore_ascii_case("CANCELLED") || status.eq_ignore_ascii_case("CANCELED")
}

fn vietnam(at: DateTime<Utc>) -> NaiveDateTime {
    at.with_timezone(&VIETNAM).naive_local()
}

const NOON: TimeDelta = TimeDelta::hours(12);

/// Gives the times of day at which an occurrence begins and ends in Vietnam.
fn day_times(at: DateTime<Utc>, length: TimeDelta) -> Result<(NaiveTime, NaiveTime), Sentence> {
    let start = vietnam(at);
    let end = at.checked_add_signed(length).map(vietnam).ok_or(said!("ical.midnight"))?;
    if end <= start {
        return Err(said!("ical.backward"));
    }
    let next_midnight = (start.date() + DayCount::new(1)).and_time(NaiveTime::MIN);
    match end {
        end if end == next_midnight => Ok((start.time(), DAY_END)),
        end if end.date() == start.date() => Ok((start.time(), end.time())),
        // From the evening to the morning after, as a slot may last.
        end if end < next_midnight + NOON && start.time() - NaiveTime::MIN >= NOON => {
            Ok((start.time(), end.time()))
        }
        _ => Err(said!("ical.midnight")),
    }
}

/// Puts single occurrences into events, one for each time of day; the first of all comes first.
fn by_time(title: &str, singles: &[DateTime<Utc>], length: TimeDelta) -> Result<Vec<Times>, Sentence> {
    let mut found: Vec<Times> = Vec::new();
    for at in singles {
        let ((start, end), date) = (day_times(*at, length)?, vietnam(*at).date());
        match found.iter_mut().find(|times| (times.start, times.end) == (start, end)) {
            Some(times) => times.more.push(date),
            None => {
                let (title, more, except) = (title.to_owned(), Vec::new(), Vec::new());
                found.push(Times { title, first: date, start, end, rule: None, more, except });
            }
        }
    }
    for times in &mut found {
        times.more.sort_unstable();
        times.more.dedup();
    }
    Ok(found)
}

/// Puts a rule that was written for a zone into Vietnam's days.
fn series(rule: &str, at: DateTime<Utc>, zone: &Zone) -> Result<Series, Sentence> {
    let there = zone.local(at);
    let ahead = vietnam(at) - there;
    let is_steady = [91, 182, 273].into_iter().all(|days| {
        let later = at + TimeDelta::days(days);
        vietnam(later) - zone.local(later) == ahead
    });
    let rule = day_rule(rule, there.time(), zone);
    let shift = (vietnam(at).date() - there.date()).num_days();
    if is_steady && let Some(rule) = shifted(&rule, shift) {
        return Ok(Series::Rule(rule));
    }
    let days = Recurrence::new(&rule, there.date()).map_err(|error| said!("ical.bad_rule", error))?;
    let mut days = days.all(DATES_MAX).ok_or_else(|| match is_steady {
        true => said!("ical.other_day"),
        false => said!("ical.clocks_change"),
    })?;
    // The first day counts, even where the rule does not name it.
    if days.first() != Some(&there.date()) {
        days.insert(0, there.date());
    }
    Ok(Series::Single(days.into_iter().filter_map(|day| zone.instant(day.and_time(there.time()))).collect()))
}

/// A rule in capitals whose UNTIL is the last day on which the event's time is not later than it.
fn day_rule(rule: &str, time: NaiveTime, zone: &Zone) -> String {
    let rule = rule.trim().to_ascii_uppercase();
    let part = |part: &str| {
        let until = part.strip_prefix("UNTIL=");
        let digits = until.map(|until| until.trim_end_matches('Z'));
        let at = digits.and_then(|digits| NaiveDateTime::parse_from_str(digits, "%Y%m%dT%H%M%S").ok());
        let Some(at) = at else { return part.to_owned() };
        let local = if part.ends_with('Z') { zone.local(at.and_utc()) } else { at };
        let early = DayCount::new(u64::from(local.time() < time));
        (local.date() - early).format("UNTIL=%Y%m%d").to_string()
    };
    rule.split(';').map(part).collect::<Vec<_>>().join(";")
}

/// Moves a rule by whole days; `None` where days of a month or a year would become others.
fn shifted(rule: &str, days: i64) -> Option<String> {
    if days == 0 {
        return Some(rule.to_owned());
    }
    let weekday = |name: &str| {
        let index = NAMES.iter().position(|known| *known == name)? as i64;
        Some(NAMES[(index + days).rem_euclid(7) as usize])
    };
    let part = |part: &str| match part.split_once('=')? {
        ("FREQ", "DAILY" | "WEEKLY") | ("INTERVAL" | "COUNT", _) => Some(part.to_owned()),
        ("BYDAY", list) => {
            let moved: Option<Vec<_>> = list.split(',').map(weekday).collect();
            Some(format!("BYDAY={}", moved?.join(",")))
        }
        ("WKST", first) => Some(format!("WKST={}", weekday(first)?)),
        ("UNTIL", until) => {
            let until = NaiveDate::parse_from_str(until, "%Y%m%d").ok()?;
            Some((until + TimeDelta::days(days)).format("UNTIL=%Y%m%d").to_string())
        }
        _ => None,
    };
    let mut parts: Vec<_> = rule.split(';').filter(|it| !it.is_empty()).map(part).collect::<Option<_>>()?;
    // A week begins on Monday where nothing else is said; moved, it begins a day later.
    let is_counted_by_weeks = parts.iter().any(|part| part == "FREQ=WEEKLY");
    if is_counted_by_weeks && !parts.iter().any(|part| part.starts_with("WKST=")) {
        parts.push(format!("WKST={}", weekday("MO")?));
    }
    Some(parts.join(";"))
}

const NAMES: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

fn is_date(property: &Property<'_>) -> bool {
    parameter(property, "VALUE").is_some_and(|kind| kind.eq_ignore_ascii_case("DATE"))
}

fn plain_date(text: &str) -> Result<NaiveDate, Sentence> {
    NaiveDate::parse_from_str(text.trim(), "%Y%m%d")
        .map_err(|_| said!("ical.no_date", text = text.escape_debug()))
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
