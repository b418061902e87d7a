//! The drawing of the overview.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::gather::{Next, OnAir, Seen, Village};
use super::map::map;
use crate::app::App;
use crate::boxes::alarms::{AlarmGroup, Standing};
use crate::boxes::state::BoxState;
use crate::people::Who;
use crate::web::frame::Frame;
use crate::web::pages::boxes::list::address_of;
use crate::web::pages::class::{class_tag, kind_of};
use crate::web::pages::trouble::{self, Names, care_line, take_button, what_to_do};
use crate::web::parts::{Kind, icon, state};
use crate::web::words;
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;

/// Alarms that are shown in full; the others are on their own page.
const ALARMS_SHOWN: usize = 3;
/// Things that sound, villages, and villages whose trouble is told in the words of the map. What is shown stays small in a
/// province of thousands of boxes: the worst comes first, the rest is counted.
const ON_AIR_SHOWN: usize = 12;
const VILLAGES_SHOWN: usize = 60;
const TOLD_OF_MAP: usize = 20;
/// Things to come, and tasks that somebody has taken.
const NEXT_SHOWN: usize = 6;
const TAKEN_SHOWN: usize = 4;

/// Draws everything below the header.
pub fn overview(app: &App, frame: &Frame, who: &Who, seen: &Seen) -> Markup {
    let names = Names::new(app, &seen.boxes, &seen.people, seen.now);
    html! {
        div.row.apart.nw {
            div { h1.nowrap { (frame.say("page.home")) } p.mute { (words::day(frame.lang, seen.now.date())) } }
            p.clock { span.hide { (frame.say("overview.now")) " " } (seen.now.local().format("%H:%M")) }
        }
        @if !seen.is_connected { p.note.k-look role="alert" { (frame.say("overview.not_connected")) } }
        (alarms(app, frame, who, &names, seen))
        (on_air(app, frame, seen))
        (villages(frame, seen))
        div.cols.wide-l { (next(app, frame, seen)) (taken(frame, &names, seen)) }
    }
}

fn alarms(app: &App, frame: &Frame, who: &Who, names: &Names, seen: &Seen) -> Markup {
    let waiting: Vec<_> = seen.alarms.iter().filter(|alarm| alarm.standing == Standing::Waits).collect();
    let more = waiting.len().saturating_sub(ALARMS_SHOWN);
    html! {
        @for (n, alarm) in waiting.iter().take(ALARMS_SHOWN).enumerate() { (alarm_banner(app, frame, who, names, (alarm, n == 0))) }
        @if more > 0 { p { a href="/canh-bao" { (frame.tell(&said!("overview.more_alarms", more))) } } }
    }
}

fn alarm_banner(
    app: &App,
    frame: &Frame,
    who: &Who,
    names: &Names,
    (alarm, is_main): (&AlarmGroup, bool),
) -> Markup {
    let groups = trouble::groups_of(&names.boxes, alarm.rows.iter().map(|row| row.subject.as_str()));
    html! {
        section.alarm.k-bad.row.apart aria-label=(names.title(frame, alarm)) {
            div { h2 { (icon("bell")) " " (names.title(frame, alarm)) }
                p { @if alarm.what.is_empty() { (frame.say("overview.hears_nothing")) " " } (frame.say("trouble.nobody")) } }
            div.btns {
                @if trouble::may_care(app, who, &groups) { (take_button(frame, alarm, "/", is_main)) }
                a.btn.sec href=(what_to_do(alarm, &names.boxes)) { (frame.say("trouble.what_to_do")) }
            }
        }
    }
}

/// Names villages: one by its name, all as all, others by their count.
fn places<'a>(app: &App, frame: &Frame, villages: impl Iterator<Item = &'a GroupId>, all: usize) -> String {
    let villages: BTreeSet<_> = villages.collect();
    let mut each = villages.iter();
    match (each.next(), each.next()) {
        (Some(only), None) => app.title_of(only),
        _ if villages.len() >= all => frame.say("overview.everywhere").to_owned(),
        _ => frame.tell(&said!("overview.villages", count = villages.len())),
    }
}

/// Counts what is left out when so many are shown.
fn more_than<T>(all: &[T], shown: usize) -> Option<usize> {
    all.len().checked_sub(shown).filter(|more| *more > 0)
}

fn on_air(app: &App, frame: &Frame, seen: &Seen) -> Markup {
    html! {
        section.stack aria-labelledby="h-phat" {
            h2 #h-phat { (frame.say("on_air.title")) }
            @if seen.on_air.is_empty() { p.mute { (frame.say("on_air.silence")) } }
            @else { div.air { @for it in seen.on_air.iter().take(ON_AIR_SHOWN) { (sounding(app, frame, seen, it)) } } }
            @if let Some(more) = more_than(&seen.on_air, ON_AIR_SHOWN) { p { (frame.tell(&said!("overview.more_on_air", more))) } }
        }
    }
}

fn sounding(app: &App, frame: &Frame, seen: &Seen, it: &OnAir) -> Markup {
    let card = match kind_of(it.rung, it.mode) {
        Kind::Programme | Kind::Normal => Kind::OnAir,
        kind => kind,
    };
    let hour = |at: Wall| at.local().format("%H:%M").to_string();
    let times = match it.until {
        Some(until) => said!("overview.from_until", from = hour(it.from), until = hour(until)),
        None => said!("overview.since", from = hour(it.from)),
    };
    let place = places(app, frame, it.villages.iter().flatten(), seen.villages.len());
    html! {
        div.now.stack.(card.class()) {
            div.row.apart { (class_tag(frame.texts, it.rung, it.mode)) span { (frame.tell(&times)) } }
            h3 { (icon("wave")) " " (it.title) }
            p { (frame.tell(&said!("overview.where", place, count = it.boxes))) }
            @if let Some(until) = it.until {
                @let (left, whole) = (until.since(seen.now), until.since(it.from));
                @let done = whole.saturating_sub(left).0 / 1_000_000;
                progress.(card.class()) value=(done) max=(whole.0 / 1_000_000) aria-label=(frame.say("overview.progress")) {}
                p.left { (time_left(frame, left.0 / 1_000_000)) }
            }
        }
    }
}

fn time_left(frame: &Frame, seconds: u64) -> String {
    let said = match seconds {
        0..90 => said!("overview.left_seconds", count = seconds),
        90..7_200 => said!("overview.left_minutes", count = seconds.div_ceil(60)),
        _ => said!("overview.left_hours", hours = seconds / 3_600, minutes = seconds % 3_600 / 60),
    };
    frame.tell(&said)
}

/// The meaning of a state, and its words in the four numbers.
const fn shown(state: BoxState) -> (Kind, &'static str) {
    match state {
        BoxState::OnAir => (Kind::OnAir, "overview.on_air"),
        BoxState::Quiet => (Kind::Quiet, "overview.quiet"),
        BoxState::OutOfContact => (Kind::Unknown, "overview.lost"),
        BoxState::Faulty => (Kind::Bad, "overview.faulty"),
    }
}

fn villages(frame: &Frame, seen: &Seen) -> Markup {
    let title = frame.say("overview.map");
    let map = map(title, &map_words(frame, seen), &seen.villages);
    html! {
        section.stack aria-labelledby="h-loa" {
            h2 #h-loa { (frame.tell(&said!("overview.boxes", count = seen.boxes.len()))) }
            dl.sum {
                @for (index, of) in BoxState::ALL.into_iter().enumerate() {
                    @let (kind, key) = shown(of);
                    div.(kind.class()) { dt { (state(kind, frame.say(key))) } dd { (seen.sums[index]) } }
                }
            }
            @match map {
                Some(map) => div.cols.wide-l {
                    (tiles(frame, seen))
                    div.tight {
                        figure.map { (map) }
                        p.key.mute {
                            span { (frame.say("overview.key_diamond")) }
                            span { (frame.say("overview.key_ring")) }
                            span { (frame.say("overview.key_number")) }
                        }
                    }
                },
                None => (tiles(frame, seen)),
            }
        }
    }
}

fn map_words(frame: &Frame, seen: &Seen) -> String {
    let troubled = seen
        .villages
        .iter()
        .filter(|village| matches!(village.state(), BoxState::OutOfContact | BoxState::Faulty));
    let named: Vec<_> = troubled
        .take(TOLD_OF_MAP)
        .map(|village| format!("{}: {}", village.title, tile_words(frame, village)))
        .collect();
    let rest = frame.say("overview.map_words");
    if named.is_empty() { rest.to_owned() } else { format!("{}. {rest}", named.join("; ")) }
}

fn tiles(frame: &Frame, seen: &Seen) -> Markup {
    html! {
        div.stack {
            ul.tiles { @for village in seen.villages.iter().take(VILLAGES_SHOWN) { li { (tile(frame, seen, village)) } } }
            @if let Some(more) = more_than(&seen.villages, VILLAGES_SHOWN) {
                p { a href="/cum-loa" { (frame.tell(&said!("overview.more_villages", more))) } }
            }
        }
    }
}

/// The words of a tile for a village, beside its colour and its icon.
fn tile_words(frame: &Frame, village: &Village) -> String {
    let (lost, faulty) = (village.count(BoxState::OutOfContact), village.count(BoxState::Faulty));
    let said = match village.state() {
        BoxState::OutOfContact => said!("overview.tile_lost", count = lost),
        BoxState::Faulty => said!("overview.tile_faulty", count = faulty),
        BoxState::OnAir => said!("overview.tile_on_air"),
        BoxState::Quiet => said!("overview.tile_quiet"),
    };
    frame.tell(&said)
}

fn tile(frame: &Frame, seen: &Seen, village: &Village) -> Markup {
    let of = village.state();
    let (kind, _) = shown(of);
    let hour = |at: Wall| {
        let local = at.local();
        let format = if local.date() == seen.now.date() { "%H:%M" } else { "%H:%M, %d/%m" };
        local.format(format).to_string()
    };
    let more = match of {
        BoxState::OutOfContact => {
            village.silent_since.map(|at| frame.tell(&said!("overview.silent_since", at = hour(at))))
        }
        BoxState::Faulty => village.faulty.clone(),
        BoxState::OnAir => village.sounding.as_ref().map(|(_, title)| title.clone()),
        BoxState::Quiet => village.next.map(|at| frame.tell(&said!("overview.plays_at", at = hour(at)))),
    };
    html! {
        a.box.(kind.class()) href=(address_of(village.group.as_ref(), seen.boxes.len())) {
            b { @if village.title.is_empty() { (frame.say("overview.nowhere")) } @else { (village.title) } }
            (state(kind, tile_words(frame, village)))
            @if let Some(more) = more { span.more.mute { br; (more) } }
        }
    }
}

fn next(app: &App, frame: &Frame, seen: &Seen) -> Markup {
    let rest = seen.next.len().saturating_sub(NEXT_SHOWN);
    let last = seen.next.iter().map(|it| it.until.unwrap_or(it.at)).max();
    html! {
        section.stack aria-labelledby="h-tiep" {
            h2 #h-tiep { (frame.say("overview.next")) }
            @if seen.next.is_empty() { p.mute { (frame.say("overview.nothing_next")) } p { a href="/tuan" { (frame.say("overview.see_week")) } } }
            @else { ul.list.tags { @for it in seen.next.iter().take(NEXT_SHOWN) { (coming(app, frame, seen, it)) } } }
            @if rest > 0 { p.mute { (frame.tell(&said!("overview.more_next", rest))) } }
            @else if let Some(last) = last {
                p.mute { (frame.tell(&said!("overview.then_silence", at = last.local().format("%H:%M")))) }
            }
        }
    }
}

fn coming(app: &App, frame: &Frame, seen: &Seen, it: &Next) -> Markup {
    html! {
        li.row.apart {
            span { b.num { (it.at.local().format("%H:%M")) } " \u{a0}" (it.title) br;
                span.mute { (places(app, frame, it.villages.iter(), seen.villages.len())) } }
            (class_tag(frame.texts, it.rung.unwrap_or(Rung::Programme), it.mode))
        }
    }
}

fn taken(frame: &Frame, names: &Names, seen: &Seen) -> Markup {
    let taken: Vec<_> = seen.alarms.iter().filter(|alarm| alarm.standing == Standing::Taken).collect();
    html! {
        section.stack aria-labelledby="h-nhan" {
            h2 #h-nhan { (frame.say("overview.taken")) }
            @if taken.is_empty() { p.mute { (frame.say("overview.nothing_taken")) } }
            @for alarm in taken.iter().take(TAKEN_SHOWN) {
                div.card.band.k-look.tight {
                    h3 { a href=(what_to_do(alarm, &names.boxes)) { (names.title(frame, alarm)) } }
                    p { (care_line(frame, names, alarm)) }
                }
            }
            @if taken.len() > TAKEN_SHOWN { p { a href="/canh-bao" { (frame.say("alarm_page.all")) } } }
        }
    }
}
