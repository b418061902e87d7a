//! Faults of a programme as a whole: names that lead nowhere, lists that hold themselves, slots that would sound at
//! once or never.

use crate::said;
use crate::texts::Sentence;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate, NaiveTime, TimeDelta};

use super::day_rules::hm;
use super::fields::{Reader, did_you_mean};
use super::programme_places::{Name, NameOf, Places};
use crate::domain::days::ProgrammeDays;
use crate::domain::ids::PlaylistId;
use crate::domain::programme::{Content, DayRule, HolidayEffect, Item, Programme, Slot};
use crate::domain::sound::Pattern;
use crate::domain::time::Span;

/// Most slots of a programme.
const SLOTS_MAX: usize = 200;

/// Most holidays of a programme.
const HOLIDAYS_MAX: usize = 50;

/// Most dates and rules for days of all slots and holidays together.
const RULES_MAX: usize = 5_000;

/// Most items of a playlist after nested lists have been put in place.
const ITEMS_MAX: usize = 5_000;

/// Most unknown names that are told, each with the name that is nearest.
const NAMES_TOLD_MAX: usize = 50;

/// Most lists that are named of a circle.
const WAY_MAX: usize = 12;

/// Years for which slots are looked at day by day: solar and lunar dates meet anew after a Metonic cycle of 19 years.
const LOOK_YEARS: u64 = 19;

/// Day from which slots without a first day are looked at; any fixed day would do.
const LOOK_FROM: NaiveDate = NaiveDate::from_ymd_opt(2026, 1, 1).expect("a date");

/// Notes in `reader` all that is wrong with the whole.
pub(super) fn check(programme: &Programme, places: &Places, reader: &Reader<'_>) {
    names(programme, places, reader);
    let of_slots = programme.slots.iter().map(|slot| slot.days.rules.len() + slot.days.except.len());
    let of_holidays = programme.holidays.values().map(|holiday| holiday.rules.len());
    let rules: usize = of_slots.chain(of_holidays).sum();
    for (key, count, max) in [
        ("slot", programme.slots.len(), SLOTS_MAX),
        ("holiday", programme.holidays.len(), HOLIDAYS_MAX),
        ("slot.days", rules, RULES_MAX),
    ] {
        if count > max {
            reader.problem(0, key, said!("problem.too_many", count, max));
        }
    }
    if !reader.is_clean() {
        return;
    }
    nesting(programme, places, reader);
    holidays(programme, places, reader);
    chimes(programme, places, reader);
    if reader.is_clean() {
        days(programme, places, reader);
    }
}

fn names(programme: &Programme, places: &Places, reader: &Reader<'_>) {
    fn names_of<K: ToString, V>(map: &BTreeMap<K, V>) -> BTreeSet<String> {
        map.keys().map(K::to_string).collect()
    }
    let sections = names_of(&programme.sections);
    let campaigns = names_of(&programme.campaigns);
    let playlists = names_of(&programme.playlists);
    let holidays = names_of(&programme.holidays);
    let mut told = 0;
    for name in &places.names {
        let known = match name.of {
            NameOf::Section => &sections,
            NameOf::Campaign => &campaigns,
            NameOf::Playlist => &playlists,
            NameOf::Holiday => &holidays,
        };
        if !known.contains(&name.name) && told < NAMES_TOLD_MAX {
            told += 1;
            let near = did_you_mean(&name.name, known.iter().map(String::as_str));
            reader.problem(name.at, &name.key, unknown_name(name, near));
        }
    }
    let mut seen: BTreeMap<_, usize> = BTreeMap::new();
    for (slot, at) in programme.slots.iter().zip(&places.slots) {
        if let Some(first) = seen.insert(&slot.id, *at) {
            reader.problem(
                *at,
                "slot.id",
                said!("problem.id_in_line", id = slot.id, line = reader.line(first)),
            );
        }
    }
}

/// Says that something is named which the programme does not have, with a name that is near or the table to add.
fn unknown_name(name: &Name, near: Option<Sentence>) -> Sentence {
    let written = name.name.escape_debug();
    let or_add = |table: &str| near.unwrap_or_else(|| said!("problem.add_table", table, id = written));
    match name.of {
        NameOf::Section => said!("problem.no_section", id = written, remedy = or_add("section")),
        NameOf::Campaign => said!("problem.no_campaign", id = written, remedy = or_add("campaign")),
        NameOf::Playlist => said!("problem.no_playlist", id = written, remedy = or_add("playlist")),
        NameOf::Holiday => said!("problem.no_holiday", id = written, remedy = or_add("holiday")),
    }
}

/// Refuses lists that hold themselves, by nesting or as a fallback, or that grow out of bounds.
fn nesting(programme: &Programme, places: &Places, reader: &Reader<'_>) {
    let mut sizes = BTreeMap::new();
    for id in programme.playlists.keys() {
        let at = places.playlists[id];
        match size(programme, id, &mut sizes) {
            Ok(items) if items > ITEMS_MAX => {
                reader.problem(at, "playlist", said!("problem.too_nested", items, max = ITEMS_MAX));
            }
            Ok(_) => {}
            Err(cycle) => {
                // Every list on the way or before it would tell the same once more.
                return reader.problem(at, "playlist", said!("problem.contains_itself", cycle));
            }
        }
    }
}

/// A list whose items are being counted: those after the nested list that is counted first.
struct Counting<'p> {
    id: &'p PlaylistId,
    rest: std::slice::Iter<'p, Item>,
    items: usize,
}

/// Counts the items of a list with those of its nested ones, or shows the way on which the list comes back to itself.
/// Lists may be nested as deep as there are lists, so that no call stands for one.
fn size<'p>(
    programme: &'p Programme,
    id: &'p PlaylistId,
    sizes: &mut BTreeMap<&'p PlaylistId, usize>,
) -> Result<usize, String> {
    let begin = |id: &'p PlaylistId| Counting { id, rest: programme.playlists[id].items.iter(), items: 0 };
    if let Some(size) = sizes.get(id) {
        return Ok(*size);
    }
    let (mut above, mut open) = (vec![begin(id)], BTreeSet::from([id]));
    while let Some(counting) = above.last_mut() {
        let Some(item) = counting.rest.next() else {
            let (id, items) = (counting.id, counting.items);
            sizes.insert(id, items);
            open.remove(id);
            above.pop();
            if let Some(holder) = above.last_mut() {
                holder.items = holder.items.saturating_add(items);
            }
            continue;
        };
        let (Content::Playlist(nested) | Content::Relay { fallback: Some(nested), .. }) = &item.content
        else {
            counting.items = counting.items.saturating_add(1);
            continue;
        };
        match sizes.get(nested) {
            Some(size) => counting.items = counting.items.saturating_add(*size),
            None if open.insert(nested) => above.push(begin(nested)),
            None => return Err(way(above.iter().map(|counting| counting.id).chain([nested]))),
        }
    }
    Ok(sizes[id])
}

/// Writes the way of a circle, its beginning and its end where it is long.
fn way<'p>(lists: impl Iterator<Item = &'p PlaylistId>) -> String {
    let mut way: Vec<_> = lists.map(PlaylistId::as_str).collect();
    if way.len() > WAY_MAX {
        way.splice(WAY_MAX / 2..way.len() - WAY_MAX / 2, ["..."]);
    }
    way.join(" > ")
}

fn holidays(programme: &Programme, places: &Places, reader: &Reader<'_>) {
    for holiday in programme.holidays.values() {
        let at = places.holidays[&holiday.id];
        let slots: Vec<_> = (0..programme.slots.len())
            .filter(|slot| programme.slots[*slot].holiday.as_ref() == Some(&holiday.id))
            .collect();
        match holiday.effect {
            HolidayEffect::Replace | HolidayEffect::Add if slots.is_empty() => {
                reader.problem(at, "holiday.effect", said!("problem.no_holiday_slot", holiday = holiday.id))
            }
            HolidayEffect::Silence => {
                for slot in slots {
                    reader.problem(
                        places.slots[slot],
                        "slot.holiday",
                        said!("problem.silent_holiday", holiday = holiday.id),
                    );
                }
            }
            _ => {}
        }
    }
}

fn chimes(programme: &Programme, places: &Places, reader: &Reader<'_>) {
    let length = |pattern: &Option<Pattern>| pattern.as_ref().map_or(Span(0), Pattern::length);
    for (slot, at) in programme.slots.iter().zip(&places.slots) {
        let chimes = length(&slot.opening) + length(&slot.closing);
        let lasts = Span::secs(slot.length().num_seconds().unsigned_abs());
        if lasts <= chimes {
            reader.problem(
                *at,
                "slot",
                said!(
                    "problem.chimes_too_long",
                    slot = slot.id,
                    seconds = lasts.as_secs_f64(),
                    chimes = Sentence::decimal(chimes.as_secs_f64(), 1)
                ),
            );
        }
    }
}

/// Refuses slots that never sound, and slots that would sound at once.
fn days(programme: &Programme, places: &Places, reader: &Reader<'_>) {
    let Ok(days) = ProgrammeDays::new(programme) else {
        reader.problem(0, "slot.rrule", said!("problem.unreadable_rule"));
        return;
    };
    let mut never: Vec<usize> = (0..programme.slots.len()).collect();
    let mut clashing: Vec<Pair> = pairs(programme).collect();
    let first = programme.slots.iter().map(first_day).min().unwrap_or(LOOK_FROM);
    let last = programme.slots.iter().map(first_day).max().unwrap_or(LOOK_FROM) + Days::new(LOOK_YEARS * 366);
    let mut date = first;
    let mut yesterday = vec![false; programme.slots.len()];
    while date < last && !(never.is_empty() && clashing.is_empty()) {
        let mut due = vec![false; programme.slots.len()];
        days.on(date).due.into_iter().for_each(|slot| due[slot.slot] = true);
        never.retain(|slot| !due[*slot]);
        clashing.retain(|pair| {
            let before = if pair.next_day { &yesterday } else { &due };
            let clash = before[pair.one] && due[pair.other];
            if clash {
                let (a, b) = (&programme.slots[pair.one], &programme.slots[pair.other]);
                let line = reader.line(places.slots[pair.one]);
                let said = said!(
                    "problem.overlap",
                    slot = b.id,
                    slot_from = hm(b.start),
                    slot_until = hm(b.end),
                    other = a.id,
                    other_from = hm(a.start),
                    other_until = hm(a.end),
                    line,
                    date
                );
                reader.problem(places.slots[pair.other], "slot", said);
            }
            !clash
        });
        yesterday = due;
        date += TimeDelta::days(1);
    }
    for slot in never {
        reader.problem(
            places.slots[slot],
            "slot",
            said!("problem.never_sounds", slot = programme.slots[slot].id, first),
        );
    }
}

/// Returns the first day that is worth looking at for a slot.
fn first_day(slot: &Slot) -> NaiveDate {
    let named = slot.days.rules.iter().filter_map(|rule| match rule {
        DayRule::Date(date) => Some(*date),
        DayRule::Recurrence { from, .. } => Some(*from),
        _ => None,
    });
    named
        .chain(slot.days.valid_from)
        .chain(slot.days.valid_until)
        .chain([LOOK_FROM])
        .min()
        .unwrap_or(LOOK_FROM)
}

/// Two slots whose times and audiences meet.
struct Pair {
    one: usize,
    other: usize,
    /// `one` reaches beyond midnight, and meets `other` on the day after.
    next_day: bool,
}

/// Finds the slots whose times and audiences meet.
fn pairs(programme: &Programme) -> impl Iterator<Item = Pair> + '_ {
    let slots = &programme.slots;
    let share = |a: &Slot, b: &Slot| {
        let everybody = a.audience.is_empty() || b.audience.is_empty();
        everybody || a.audience.iter().any(|group| b.audience.contains(group))
    };
    let span = |slot: &Slot| (slot.start - NaiveTime::MIN, slot.start - NaiveTime::MIN + slot.length());
    let meet = move |pair: &Pair| {
        let (a, b) = (&slots[pair.one], &slots[pair.other]);
        let later = if pair.next_day { TimeDelta::days(1) } else { TimeDelta::zero() };
        let ((a_from, a_until), (b_from, b_until)) = (span(a), span(b));
        a_from < b_until + later && b_from + later < a_until && share(a, b)
    };
    let all = (0..slots.len()).flat_map(move |one| (one + 1..slots.len()).map(move |other| (one, other)));
    let same_day = all.map(|(one, other)| Pair { one, other, next_day: false });
    let late = (0..slots.len()).filter(|slot| slots[*slot].end <= slots[*slot].start);
    let next_day =
        late.flat_map(|one| (0..slots.len()).map(move |other| Pair { one, other, next_day: true }));
    same_day.chain(next_day).filter(meet)
}
