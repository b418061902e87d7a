//! Events from slots.

use chrono::{Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

use super::{DIGEST_PROPERTY, SLOT_PROPERTY, Times, ZONE};
use loaxa_heart::config::day_rules::EVERY_DAY;
use loaxa_heart::config::programme_text::write_slot;
use loaxa_heart::domain::days::ProgrammeDays;
use loaxa_heart::domain::programme::{DayRule, Programme, Slot};
use loaxa_heart::domain::recurrence::BadRule;
use loaxa_heart::domain::time::{DAY_END, Wall};

/// A content line is folded after so many bytes (RFC 5545, 3.1).
const LINE_BYTES_MAX: usize = 75;

/// Longest search, in days, for the first day of a slot that has none in the span asked for.
const SEARCH_DAYS: u64 = 20 * 366;

/// Writes the slots of a programme. Days that no RRULE can name (lunar ones, holidays) are written one by one for
/// `from` to `until`; `stamp` says when the calendar was made. A slot without any day from `from` on is left out.
///
/// # Errors
/// A recurrence rule that can't be read; a programme from a file has none.
pub fn write(
    programme: &Programme,
    from: NaiveDate,
    until: NaiveDate,
    stamp: Wall,
) -> Result<String, BadRule> {
    let all = ProgrammeDays::new(programme)?;
    let mut out = Lines::calendar(&programme.title);
    for (index, slot) in programme.slots.iter().enumerate() {
        let due = |date: &NaiveDate| all.on(*date).due.iter().any(|due| due.slot == index);
        let Some(times) = times(programme, slot, due, from, until)? else { continue };
        out.event(&format!("{}@{}.loaxa", slot.id, programme.id), &times, stamp);
        out.text(SLOT_PROPERTY, &write_slot(slot));
        out.text(DIGEST_PROPERTY, &times.digest());
        out.raw("END:VEVENT");
    }
    Ok(out.end())
}

/// Writes single sessions: title, identity, start and end of each.
pub fn write_sessions<'s>(
    title: &str,
    sessions: impl IntoIterator<Item = (&'s str, String, Wall, Wall)>,
    stamp: Wall,
) -> String {
    let mut out = Lines::calendar(title);
    for (title, uid, start, end) in sessions {
        let (start, end) = (start.local(), end.local());
        let times = Times {
            title: title.to_owned(),
            first: start.date(),
            start: start.time(),
            end: if end.date() > start.date() && end.time() == NaiveTime::MIN { DAY_END } else { end.time() },
            rule: None,
            more: Vec::new(),
            except: Vec::new(),
        };
        out.event(&uid, &times, stamp);
        out.raw("END:VEVENT");
    }
    out.end()
}

/// Puts a slot into the words of an event; `due` tells on which days the slot really sounds.
fn times(
    programme: &Programme,
    slot: &Slot,
    due: impl Fn(&NaiveDate) -> bool,
    from: NaiveDate,
    until: NaiveDate,
) -> Result<Option<Times>, BadRule> {
    let search_end = from + Days::new(SEARCH_DAYS);
    let Some(first_due) = from.iter_days().take_while(|date| *date < search_end).find(&due) else {
        return Ok(None);
    };
    let times = |first, rule, more, except| Times {
        title: slot.title.split_whitespace().collect::<Vec<_>>().join(" "),
        first,
        start: slot.start,
        end: slot.end,
        rule,
        more,
        except,
    };
    let Some(rule) = rule(programme, slot) else {
        let more = first_due.iter_days().skip(1).take_while(|date| *date <= until).filter(&due).collect();
        return Ok(Some(times(first_due, None, more, Vec::new())));
    };
    let mut plain = Programme { slots: vec![slot.clone()], ..programme.clone() };
    plain.slots[0].days.except.clear();
    plain.holidays.clear();
    let plain = ProgrammeDays::new(&plain)?;
    let by_rule = |date: &NaiveDate| !plain.on(*date).due.is_empty();
    let Some(first) = from.iter_days().take_while(|date| *date <= first_due).find(by_rule) else {
        return Ok(None);
    };
    let until = until.max(slot.days.except.iter().max().copied().unwrap_or(until));
    let except =
        first.iter_days().take_while(|date| *date <= until).filter(|date| by_rule(date) && !due(date));
    Ok(Some(times(first, Some(rule), Vec::new(), except.collect())))
}

/// The RRULE of a slot whose days one rule can name for ever.
fn rule(programme: &Programme, slot: &Slot) -> Option<String> {
    let [rule] = &slot.days.rules[..] else { return None };
    if slot.holiday.is_some() {
        return None;
    }
    let campaign = slot.campaign.as_ref().and_then(|id| programme.campaigns.get(id));
    let until = [slot.days.valid_until, campaign.map(|campaign| campaign.until)].into_iter().flatten().min();
    let until = until.map(|date| date.format(";UNTIL=%Y%m%d").to_string()).unwrap_or_default();
    let rule = match rule {
        DayRule::Weekdays(days) if days[..] == EVERY_DAY => "FREQ=DAILY".to_owned(),
        DayRule::Weekdays(days) => {
            let names: Vec<_> = days.iter().map(|day| NAMES[day.num_days_from_monday() as usize]).collect();
            format!("FREQ=WEEKLY;BYDAY={}", names.join(","))
        }
        DayRule::Yearly { month, day } => format!("FREQ=YEARLY;BYMONTH={month};BYMONTHDAY={day}"),
        DayRule::Recurrence { rule, .. } => {
            let rule = rule.trim().to_ascii_uppercase();
            let rule = rule.strip_prefix("RRULE:").unwrap_or(&rule).trim_end_matches(';').to_owned();
            // An end of its own, or a count that would begin anew, can't be put together with ours.
            if rule.contains("COUNT=") || rule.contains("UNTIL=") {
                return None;
            }
            rule
        }
        DayRule::Lunar(_) | DayRule::Date(_) => return None,
    };
    Some(rule + &until)
}

const NAMES: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

/// A local time in Vietnam as UTC.
fn utc(local: NaiveDateTime) -> String {
    Wall::from_local(local).utc().format("%Y%m%dT%H%M%SZ").to_string()
}

/// The standard wants the UNTIL of an event with a zone in UTC.
fn until_as_instant(rule: &str, start: NaiveTime) -> String {
    let part = |part: &str| {
        let date =
            part.strip_prefix("UNTIL=").and_then(|date| NaiveDate::parse_from_str(date, "%Y%m%d").ok());
        date.map_or(part.to_owned(), |date| format!("UNTIL={}", utc(date.and_time(start))))
    };
    rule.split(';').map(part).collect::<Vec<_>>().join(";")
}

fn local(date: NaiveDate, time: NaiveTime) -> String {
    let end_of_day = date.and_time(NaiveTime::MIN) + TimeDelta::days(1);
    let at = if time == DAY_END { end_of_day } else { date.and_time(time) };
    at.format("%Y%m%dT%H%M%S").to_string()
}

/// Content lines that grow.
struct Lines(String);

impl Lines {
    fn calendar(title: &str) -> Self {
        let mut lines = Self(String::new());
        for line in ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Loa Xa//loaxa//VI", "CALSCALE:GREGORIAN"] {
            lines.raw(line);
        }
        lines.text("X-WR-CALNAME", title);
        let zone = format!("TZID:{ZONE}");
        let zone =
            ["BEGIN:VTIMEZONE", &zone, "BEGIN:STANDARD", "DTSTART:19700101T000000", "TZOFFSETFROM:+0700"];
        zone.iter().for_each(|line| lines.raw(line));
        ["TZOFFSETTO:+0700", "TZNAME:+07", "END:STANDARD", "END:VTIMEZONE"]
            .iter()
            .for_each(|line| lines.raw(line));
        lines
    }

    fn end(mut self) -> String {
        self.raw("END:VCALENDAR");
        self.0
    }

    /// An event without its end.
    fn event(&mut self, uid: &str, times: &Times, stamp: Wall) {
        self.raw("BEGIN:VEVENT");
        self.text("UID", uid);
        self.raw(&format!("DTSTAMP:{}", stamp.utc().format("%Y%m%dT%H%M%SZ")));
        self.text("SUMMARY", &times.title);
        let dates = |dates: &[NaiveDate]| {
            dates.iter().map(|date| local(*date, times.start)).collect::<Vec<_>>().join(",")
        };
        self.raw(&format!("DTSTART;TZID={ZONE}:{}", local(times.first, times.start)));
        let last = times.first + Days::new((times.end <= times.start).into());
        self.raw(&format!("DTEND;TZID={ZONE}:{}", local(last, times.end)));
        times
            .rule
            .iter()
            .for_each(|rule| self.raw(&format!("RRULE:{}", until_as_instant(rule, times.start))));
        if !times.more.is_empty() {
            self.raw(&format!("RDATE;TZID={ZONE}:{}", dates(&times.more)));
        }
        if !times.except.is_empty() {
            self.raw(&format!("EXDATE;TZID={ZONE}:{}", dates(&times.except)));
        }
    }

    fn text(&mut self, name: &str, text: &str) {
        let text = text.replace('\\', "\\\\").replace(';', "\\;").replace(',', "\\,");
        let text: String = text.replace('\n', "\\n").chars().filter(|c| !c.is_control()).collect();
        self.raw(&format!("{name}:{text}"));
    }

    /// One content line, folded.
    fn raw(&mut self, line: &str) {
        let mut bytes = 0;
        for c in line.chars() {
            if bytes + c.len_utf8() > LINE_BYTES_MAX {
                self.0.push_str("\r\n ");
                bytes = 1;
            }
            self.0.push(c);
            bytes += c.len_utf8();
        }
        self.0.push_str("\r\n");
    }
}
