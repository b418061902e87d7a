//! The seven days of a week with all that sounds on them.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate, Timelike};
use maud::{Markup, html};

use super::address::Address;
use crate::app::App;
use crate::foreseen::{Week, WeekSession};
use crate::programmes::week::{Scene, Shown};
use crate::store::{NoticeRow, NoticeState};
use crate::web::frame::Frame;
use crate::web::words;
use loaxa_heart::domain::days::ProgrammeDays;
use loaxa_heart::domain::lunar::LunarDate;
use loaxa_heart::domain::programme::Slot;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;

/// Everything that the days are drawn from.
pub struct Drawn<'a> {
    pub frame: &'a Frame,
    pub app: &'a App,
    pub address: &'a Address,
    pub scene: &'a Scene,
    pub week: &'a Week,
    pub notices: &'a [NoticeRow],
    /// Villages of the place.
    pub villages: usize,
    pub today: NaiveDate,
    /// Slots lead to the page on which they are changed.
    pub writes: bool,
}

/// A thing on a day, with the time at which it stands.
struct Entry {
    at: Wall,
    drawn: Markup,
}

/// Draws the days.
pub fn draw(it: &Drawn<'_>) -> Markup {
    let days: Vec<(&Shown, ProgrammeDays)> = it
        .scene
        .shown
        .iter()
        .filter_map(|shown| Some((shown, ProgrammeDays::new(&shown.programme).ok()?)))
        .collect();
    let monday = it.address.monday();
    html! {
        ol.week { @for n in 0..7 { (day(it, &days, monday + Days::new(n))) } }
    }
}

fn day(it: &Drawn<'_>, days: &[(&Shown, ProgrammeDays)], date: NaiveDate) -> Markup {
    let is_today = date == it.today;
    let holidays = days.iter().flat_map(|(shown, days)| {
        let titles = days.holidays(date).into_iter();
        titles.filter_map(|id| shown.programme.holidays.get(&id)).map(|holiday| holiday.title.as_str())
    });
    let holidays: Vec<&str> = holidays.collect();
    let mut entries = entries(it, date);
    entries.sort_by_key(|entry| entry.at);
    let part = |from: u32, until: u32| {
        let here = entries.iter().filter(move |entry| {
            let local = entry.at.local();
            let hour = if local.date() < date { 0 } else { local.hour() };
            (from..until).contains(&hour)
        });
        here.map(|entry| &entry.drawn).collect::<Vec<_>>()
    };
    html! {
        li.day.today[is_today] {
            div {
                h2 { (it.frame.texts.code("weekday", &date.format("%a").to_string().to_lowercase())) }
                p.d { b { (date.format("%d/%m")) @if is_today { ", " (it.frame.say("week.today")) } }
                    " " span { (lunar(it.frame, date)) }
                    @for title in &holidays { " " b { (title) } } }
            }
            @for (from, until) in [(0, 12), (12, 18), (18, 24)] { div { @for drawn in part(from, until) { (drawn) } } }
        }
    }
}

/// The lunar date, with its name on the first and the middle of a month.
fn lunar(frame: &Frame, date: NaiveDate) -> String {
    let lunar = LunarDate::from_solar(date);
    let leap = if lunar.leap { frame.say("week.leap") } else { "" };
    let plain = frame.tell(&said!("week.lunar", day = lunar.day, month = lunar.month, leap));
    match lunar.day {
        1 => format!("{plain}, {}", frame.say("week.first_of_month")),
        15 => format!("{plain}, {}", frame.say("week.full_moon")),
        _ => plain,
    }
}

fn entries(it: &Drawn<'_>, date: NaiveDate) -> Vec<Entry> {
    let blocks = it.week.sessions.chunk_by(WeekSession::is_also);
    let mut entries = Vec::new();
    for block in blocks.clone().filter(|block| block[0].planned.start.date() == date) {
        entries.push(Entry { at: block[0].planned.start, drawn: block_of(it, block) });
    }
    let midnight = Wall::from_local(date.and_hms_opt(0, 0, 0).unwrap_or_default());
    let reaches = |session: &&WeekSession| {
        session.planned.start < midnight && session.planned.end > midnight && session.silent().is_none()
    };
    for session in blocks.map(|block| &block[0]).filter(reaches) {
        let until = session.planned.end.local().format("%H:%M");
        let drawn = html! { p.slot.k-prog.off { b.num { (it.frame.tell(&said!("week.goes_on", until))) } " " (session.planned.title) } };
        entries.push(Entry { at: midnight, drawn });
    }
    for shown in &it.scene.shown {
        let left_out = |slot: &&Slot| {
            slot.days.except.contains(&date)
                && !shown.programme.slots.iter().any(|other| is_once_of(other, slot, date))
        };
        entries.extend(shown.programme.slots.iter().filter(left_out).map(|slot| Entry {
            at: Wall::from_local(date.and_time(slot.start)),
            drawn: off(it, shown, slot, date),
        }));
    }
    entries.extend(it.notices.iter().filter_map(|row| {
        let at = row.content.at.filter(|at| at.date() == date)?;
        let waits = if row.state == NoticeState::Submitted { it.frame.say("week.waits") } else { "" };
        let drawn = html! { a.slot.k-normal href={ "/tin/" (row.id) } { b.num { (at.local().format("%H:%M")) } " " (row.content.title) (waits) } };
        Some(Entry { at, drawn })
    }));
    entries
}

/// Tells whether a slot stands for another one on one day.
pub fn is_once_of(other: &Slot, slot: &Slot, date: NaiveDate) -> bool {
    let name = format!("{}.{}", slot.id, date.format("%Y%m%d"));
    other.id.as_str().strip_prefix(&name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The times of a session as people write them; `hôm sau` where it ends on the next day.
pub fn times(frame: &Frame, start: Wall, end: Wall) -> String {
    let (from, until) = (start.local(), end.local());
    let next = if until.date() > from.date() { frame.say("week.next_day") } else { "" };
    format!("{}–{}{next}", from.format("%H:%M"), until.format("%H:%M"))
}

/// Draws a slot of a day once, for all who hear it, each in their own way.
fn block_of(it: &Drawn<'_>, block: &[WeekSession]) -> Markup {
    let session = &block[0];
    let planned = &session.planned;
    let silent = session.silent();
    let villages: BTreeSet<_> = block.iter().flat_map(|session| &session.villages).collect();
    let place = (villages.len() < it.villages).then(|| words::villages(it.app, villages));
    let inside = html! {
        b.num { (times(it.frame, planned.start, planned.end)) } " "
        (planned.title)
        @if let Some(place) = place { br; (place) }
        @if let Some(reason) = silent { br; (it.frame.tell(&said!("week.silent", why = words::not_played(reason, it.frame.texts)))) }
    };
    let href = format!(
        "/tuan/khung?{}&ct={}&khung={}",
        it.address.on(planned.key.date).query(),
        session.programme,
        planned.key.slot
    );
    html! {
        @if it.writes { a.slot.k-prog.off[silent.is_some()] href=(href) { (inside) } }
        @else { p.slot.k-prog.off[silent.is_some()] { (inside) } }
    }
}

/// Counts the villages of the place; what sounds in all of them names none.
pub fn villages(week: &Week) -> usize {
    let all = week.sessions.iter().flat_map(|session| &session.villages);
    all.collect::<BTreeSet<_>>().len()
}

fn off(it: &Drawn<'_>, shown: &Shown, slot: &Slot, date: NaiveDate) -> Markup {
    let inside = html! { b.num { (slot.start.format("%H:%M")) } " " (slot.title) br; (it.frame.say("week.off_today")) };
    let href = format!("/tuan/khung?{}&ct={}&khung={}", it.address.on(date).query(), shown.id, slot.id);
    html! {
        @if it.writes { a.slot.k-prog.off href=(href) { (inside) } } @else { p.slot.k-prog.off { (inside) } }
    }
}
