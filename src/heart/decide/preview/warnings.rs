//! Warnings before anything is sent: what the guard will refuse of programmes, in its very words.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{Days, NaiveDate, Weekday};
use serde::Serialize;

use super::planned::{Fate, PlannedSession};
use super::rehearsal::rehearse;
use super::text::{clock, clock_at_end};
use crate::decide::schedule::{Calendar, Listeners, Timetable};
use crate::domain::ids::{GroupId, SlotId};
use crate::domain::playback::NotPlayed;
use crate::domain::policy::{GuardRefusal, Policy};
use crate::domain::programme::{Content, Item, Playlist, Programme};
use crate::domain::time::Wall;
use crate::said;
use crate::texts::{Say, Sentence};

/// Days on which slots are looked for: all but the rarest come in a year and a lunar leap month.
const LOOK_DAYS: u64 = 400;

/// Most different days that are rehearsed for one audience.
const DAYS_MAX: usize = 24;

/// Most audiences that are rehearsed.
const AUDIENCES_MAX: usize = 12;

/// Most warnings.
pub const WARNINGS_MAX: usize = 50;

/// Assumed length of audio that can't be looked at.
const ASSUMED_MS: u32 = 60_000;

/// A session that the guard will refuse, cut short or make quieter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    pub slot: SlotId,
    pub title: String,
    /// The first such session that was found.
    pub start: Wall,
    pub end: Wall,
    #[serde(flatten)]
    pub what: Refusal,
}

/// The guard's answer to a session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Refusal {
    /// Nothing of it sounds.
    Silent { reason: GuardRefusal },
    /// The guard stops it before its end.
    Stopped { reason: GuardRefusal },
    /// The guard lowers its volume.
    Quieter { percent: u8, asked: u8 },
}

impl Warning {
    /// Tells whether something is not heard that should be; a lower volume is only told.
    pub const fn is_refusal(&self) -> bool {
        !matches!(self.what, Refusal::Quieter { .. })
    }
}

impl Say for Warning {
    fn say(&self) -> Sentence {
        let Warning { slot, title, start, end, what } = self;
        let session = said!(
            "warning.session",
            title,
            slot,
            from = clock(*start),
            until = clock_at_end(*start, *end),
            date = start.local().format("%d/%m/%Y")
        );
        match what {
            Refusal::Silent { reason } => said!("warning.silent", session, reason),
            Refusal::Stopped { reason } => said!("warning.stopped", session, reason),
            Refusal::Quieter { percent, asked } => said!("warning.quieter", session, percent, asked),
        }
    }
}

/// Rehearses each kind of day that programmes have from `from` on, for each of their audiences, and tells what the guard
/// refuses under `policy`. Each slot is told once for each reason.
pub fn warnings(timetable: &Timetable, policy: &Policy, from: NaiveDate) -> Vec<Warning> {
    let timetable = with_lengths(timetable);
    let mut told: BTreeSet<(SlotId, Refusal)> = BTreeSet::new();
    let mut found: Vec<Warning> = Vec::new();
    for listeners in audiences(&timetable) {
        for date in kinds_of_days(&timetable, &listeners, policy, from) {
            for session in rehearse(&timetable, &listeners, policy, date, date) {
                for what in refusals(&session, policy) {
                    if found.len() < WARNINGS_MAX && told.insert((session.key.slot.clone(), what.clone())) {
                        let PlannedSession { key, title, start, end, .. } = session.clone();
                        found.push(Warning { slot: key.slot, title, start, end, what });
                    }
                }
            }
        }
    }
    found.sort_by_key(|warning| warning.start);
    found
}

/// Tells what the guard does to a session.
fn refusals(session: &PlannedSession, policy: &Policy) -> Vec<Refusal> {
    let mut found = BTreeSet::new();
    let sounds = session.plays.iter().any(|play| !matches!(play.fate, Fate::NotPlayed { .. }));
    for play in &session.plays {
        let reason = match &play.fate {
            Fate::Guarded { reason } => reason,
            Fate::NotPlayed { reason: NotPlayed::Guarded { reason } } => reason,
            Fate::Whole | Fate::HardEnd | Fate::NotPlayed { .. } => continue,
        };
        let reason = reason.clone();
        found.insert(if sounds { Refusal::Stopped { reason } } else { Refusal::Silent { reason } });
    }
    // A slot that names no volume asks for 100 %, which means: as loud as is allowed.
    let (asked, percent) = (session.volume_percent, policy.ceiling(session.start.local().time()));
    if sounds && percent < asked && asked < 100 {
        found.insert(Refusal::Quieter { percent, asked });
    }
    found.into_iter().collect()
}

/// Gives audio that can't be looked at a length, so that the guard is asked about it.
fn with_lengths(timetable: &Timetable) -> Timetable {
    let known = |content: &Content| match content {
        Content::File { path, ms: None } => Content::File { path: path.clone(), ms: Some(ASSUMED_MS) },
        other => other.clone(),
    };
    let item = |item: &Item| Item { content: known(&item.content), ..item.clone() };
    let list = |list: &Playlist| Playlist { items: list.items.iter().map(item).collect(), ..list.clone() };
    let calendars = timetable.calendars().iter().filter_map(|calendar| {
        let programme = (**calendar.programme()).clone();
        let playlists = programme.playlists.iter().map(|(id, it)| (id.clone(), list(it))).collect();
        Calendar::new(Arc::new(Programme { playlists, ..programme })).ok()
    });
    Timetable::new(calendars.collect()).unwrap_or_default()
}

/// Lists who hears the programmes: everybody in their groups, and each group that is addressed by name.
fn audiences(timetable: &Timetable) -> Vec<Listeners> {
    let programmes = || timetable.calendars().iter().map(|calendar| calendar.programme());
    let everybody: BTreeSet<GroupId> = programmes().map(|programme| programme.group.clone()).collect();
    let slots = programmes().flat_map(|programme| programme.slots.iter().flat_map(|slot| &slot.audience));
    let items = programmes().flat_map(|programme| programme.playlists.values().flat_map(|list| &list.items));
    let named: BTreeSet<_> = slots.chain(items.flat_map(|item| &item.audience)).cloned().collect();
    let plain = Listeners { groups: everybody.clone(), languages: Vec::new() };
    let with = |group: GroupId| {
        let groups = everybody.iter().cloned().chain([group]).collect();
        Listeners { groups, languages: Vec::new() }
    };
    std::iter::once(plain).chain(named.into_iter().take(AUDIENCES_MAX).map(with)).collect()
}

/// Finds a day of each kind: those with the same slots and the same rules of the guard are one kind.
fn kinds_of_days(
    timetable: &Timetable,
    listeners: &Listeners,
    policy: &Policy,
    from: NaiveDate,
) -> Vec<NaiveDate> {
    use chrono::Datelike;
    let by_weekday = policy.allowed.iter().any(|window| !window.days.is_empty());
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let last = from + Days::new(LOOK_DAYS);
    for date in from.iter_days().take_while(|date| *date < last) {
        let sessions = timetable.sessions_on(date, listeners);
        if sessions.is_empty() {
            continue;
        }
        let slots: Vec<_> = sessions.iter().map(|it| (it.calendar, it.slot, it.mourning)).collect();
        let weekday: Weekday = date.weekday();
        let rests = policy.rest_weekdays.contains(&weekday) || policy.rest_dates.contains(&date);
        let rules = (rests, by_weekday.then(|| weekday.num_days_from_monday()));
        if seen.insert((slots, rules)) {
            found.push(date);
        }
        if found.len() == DAYS_MAX {
            break;
        }
    }
    found
}
