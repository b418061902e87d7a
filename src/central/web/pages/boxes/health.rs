//! The health of a box over the last seven days: bars for the eye, and the same as a table.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use maud::{Markup, html};

use crate::store::{HealthRow, SAMPLE};
use crate::web::frame::Frame;
use crate::web::parts::Kind;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;

/// Hours that the bars show.
pub const HOURS: u64 = 7 * 24;
/// Signs of life of an hour without a gap, and those from which on it counts as whole: some are lost on the way.
const SIGNS_FULL: u32 = 60;
const SIGNS_WELL: u32 = 50;

/// The judgement of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hour {
    Well,
    /// Contact with gaps, a clock that was unknown for a while, or a fault.
    Partly,
    /// Nothing was heard.
    Unknown,
}

/// The hours of a box, by the number of the hour since the bars begin.
struct Hours<'a> {
    rows: BTreeMap<u64, &'a HealthRow>,
    /// The first hour that is known at all.
    first: u64,
}

impl<'a> Hours<'a> {
    fn new(rows: &'a [HealthRow], begin: Wall) -> Self {
        let number = |row: &HealthRow| row.hour.since(begin).0 / SAMPLE.0;
        let rows: BTreeMap<_, _> = rows.iter().map(|row| (number(row), row)).collect();
        let first = rows.keys().next().copied().unwrap_or(HOURS);
        Self { rows, first }
    }

    fn each(&self, judge: impl Fn(&HealthRow) -> Hour) -> Vec<Hour> {
        (0..HOURS).map(|hour| self.rows.get(&hour).map_or(Hour::Unknown, |row| judge(row))).collect()
    }
}

/// The start of the bars: so many whole hours before the end of the hour of `now`.
pub fn begin(now: Wall) -> Wall {
    let hour = SAMPLE.0 as i64;
    Wall(now.0 - now.0.rem_euclid(hour) + hour).minus(Span::secs(HOURS * 3_600))
}

/// Draws the bars and the table.
pub fn draw(frame: &Frame, rows: &[HealthRow], now: Wall) -> Markup {
    let begin = begin(now);
    let hours = Hours::new(rows, begin);
    let minute = (now.0.rem_euclid(SAMPLE.0 as i64) / 60_000_000) as u32;
    // The hour of now is not over.
    let expected = |row: &HealthRow| if row.hour.plus(SAMPLE) > now { minute.max(1) } else { SIGNS_FULL };
    let well = |row: &HealthRow| row.signs * SIGNS_FULL >= SIGNS_WELL * expected(row);
    let contact = hours.each(|row| if well(row) { Hour::Well } else { Hour::Partly });
    let clock = hours.each(|row| if row.without_clock == 0 { Hour::Well } else { Hour::Partly });
    let faults = hours.each(|row| if row.faulty == 0 { Hour::Well } else { Hour::Partly });
    let known = HOURS - hours.first.min(HOURS);
    let minutes = known.saturating_sub(1) * 60 + u64::from(minute);
    let heard: u64 = rows.iter().map(|row| u64::from(row.signs.min(SIGNS_FULL))).sum();
    let percent = (heard * 100).checked_div(minutes.max(1)).unwrap_or(0).min(100);
    let count = |hours: &[Hour]| hours.iter().filter(|hour| **hour == Hour::Partly).count();
    let day = |days: u64| begin.plus(Span::secs(days * 86_400)).local().format("%d/%m").to_string();
    html! {
        @if rows.is_empty() { p.mute { (frame.say("health.nothing")) } } @else {
            div.card.stack {
                (bar(frame, "health.contact", &frame.tell(&said!("health.percent", percent)), &contact, Kind::Look))
                (bar(frame, "health.clock", &clock_words(frame, count(&clock)), &clock, Kind::Look))
                (bar(frame, "health.faults", &fault_words(frame, count(&faults)), &faults, Kind::Bad))
                p.axis aria-hidden="true" { span { (day(0)) } span { (day(3)) } span { (now.local().format("%d/%m")) } }
                (key(frame))
            }
            details { summary { (frame.say("health.as_table")) } (table(frame, rows)) }
        }
    }
}

/// Says so many MiB as a person does, in GB from one on.
pub fn size(frame: &Frame, mib: u64) -> String {
    let said = match mib {
        0..1_024 => said!("health.megabytes", count = mib),
        _ => said!("health.gigabytes", count = Sentence::decimal(mib as f64 / 1_024.0, 1)),
    };
    frame.tell(&said)
}

fn clock_words(frame: &Frame, hours: usize) -> String {
    if hours == 0 {
        frame.say("health.clock_right").to_owned()
    } else {
        frame.tell(&said!("health.hours", hours))
    }
}

fn fault_words(frame: &Frame, hours: usize) -> String {
    if hours == 0 {
        frame.say("health.no_faults").to_owned()
    } else {
        frame.tell(&said!("health.hours", hours))
    }
}

/// A bar of an hour's width each; hours that are alike are one piece.
fn bar(frame: &Frame, key: &'static str, words: &str, hours: &[Hour], partly: Kind) -> Markup {
    let mut pieces: Vec<(usize, usize, Hour)> = Vec::new();
    for (at, hour) in hours.iter().enumerate() {
        match pieces.last_mut() {
            Some((_, length, kind)) if kind == hour => *length += 1,
            _ => pieces.push((at, 1, *hour)),
        }
    }
    html! {
        div {
            p.row.apart { b { (frame.say(key)) } span { (words) } }
            svg.bar viewBox={ "0 0 " (HOURS) " 10" } preserveAspectRatio="none" aria-hidden="true" {
                @for (at, length, hour) in pieces {
                    @match hour {
                        Hour::Well => rect.fc.k-ok x=(at) width=(length) height="10" {},
                        Hour::Partly => rect.fc.(partly.class()) x=(at) width=(length) height="10" {},
                        Hour::Unknown => rect fill="url(#ruled)" x=(at) width=(length) height="10" {},
                    }
                }
            }
        }
    }
}

fn key(frame: &Frame) -> Markup {
    let of = |kind: Kind, key: &'static str| {
        html! { span.(kind.class()) {
            svg viewBox="0 0 14 11" aria-hidden="true" {
                @if kind == Kind::Unknown { rect fill="url(#ruled)" width="14" height="11" {} }
                @else { rect.fc width="14" height="11" {} }
            }
            (frame.say(key))
        } }
    };
    html! { p.key {
        (of(Kind::Good, "health.good")) (of(Kind::Look, "health.partly")) (of(Kind::Bad, "health.faulty")) (of(Kind::Unknown, "health.unknown"))
    } }
}

fn table(frame: &Frame, rows: &[HealthRow]) -> Markup {
    let mut days: BTreeMap<NaiveDate, Vec<&HealthRow>> = BTreeMap::new();
    for row in rows {
        days.entry(row.hour.date()).or_default().push(row);
    }
    let columns = [
        "health.day",
        "health.contact",
        "health.clock",
        "health.faults",
        "health.disk",
        "health.data",
        "health.backlog",
        "health.software",
    ];
    let size = |mib: u64| size(frame, mib);
    let hours = |count: usize| frame.tell(&said!("health.hours", hours = count));
    html! {
        table.t role="table" {
            caption { (frame.say("health.title")) }
            thead role="rowgroup" { tr role="row" {
                @for key in columns { th role="columnheader" scope="col" { (frame.say(key)) } }
            } }
            tbody role="rowgroup" {
                @for (date, rows) in days.iter().rev() {
                    @let bad = |of: fn(&HealthRow) -> u32| rows.iter().filter(|row| of(row) > 0).count();
                    tr role="row" {
                        th role="rowheader" scope="row" { (date.format("%d/%m")) }
                        td role="cell" data-l=(frame.say(columns[1])) { (hours(rows.len())) }
                        td role="cell" data-l=(frame.say(columns[2])) { (clock_words(frame, bad(|row| row.without_clock))) }
                        td role="cell" data-l=(frame.say(columns[3])) { (fault_words(frame, bad(|row| row.faulty))) }
                        @let usage = rows.iter().rev().find_map(|row| row.usage);
                        td role="cell" data-l=(frame.say(columns[4])) { (usage.map(|usage| size(usage.disk_free_mib)).unwrap_or_default()) }
                        td role="cell" data-l=(frame.say(columns[5])) { (usage.map(|usage| size(usage.month_mib)).unwrap_or_default()) }
                        td role="cell" data-l=(frame.say(columns[6])) { (rows.iter().map(|row| row.backlog_max).max().unwrap_or(0)) }
                        td role="cell" data-l=(frame.say(columns[7])) { (rows.last().and_then(|row| row.software.as_deref()).unwrap_or_default()) }
                    }
                }
            }
        }
    }
}
