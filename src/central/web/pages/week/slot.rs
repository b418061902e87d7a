//! A slot on a day: what will sound in it, and the form that changes it, once or on all its days; and a new slot.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::NaiveDate;
use maud::{Markup, html};

use super::address::Address;
use super::asked::{Asked, asked};
use super::days;
use super::refusals::{self, Wanted};
use super::slot_form::{Form, Read, Scope};
use crate::app::App;
use crate::foreseen::WeekSession;
use crate::people::Who;
use crate::programmes::NotProposal;
use crate::programmes::proposals::{self, NewText};
use crate::store::{Change, ChangeKind};
use crate::web::form::{Faults, Query, Sent};
use crate::web::frame::{Frame, PageError};
use crate::web::parts::icon;
use crate::web::words;
use loaxa_heart::config::day_rules::hm;
use loaxa_heart::config::programme_edit::ProgrammeText;
use loaxa_heart::decide::preview::{Fate, Planned};
use loaxa_heart::domain::ids::{ContentHash, SlotId};
use loaxa_heart::domain::programme::{Content, Slot};
use loaxa_heart::said;
use loaxa_heart::texts::Say;

/// Most minutes by which an address moves a slot.
const LATER_MAX: i64 = 720;

/// Boxes that are named.
const NAMED_MAX: usize = 12;

pub async fn page(
    State(app): State<Arc<App>>,
    query: Query,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let get = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let address = Address::of_query(&app, &who, &query);
    let asked = asked(&app, &frame, address, get("ct"), get("khung")).await?;
    let later = get("lech").parse().ok().filter(|minutes: &i64| minutes.abs() <= LATER_MAX);
    let shown = Shown { faults: &Faults::default(), sent: None, later: later.unwrap_or(0) };
    draw(&app, &frame, &asked, shown).await
}

pub async fn act(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let address = Address::of_form(&app, &who, &sent);
    let asked = asked(&app, &frame, address, sent.get("ct"), sent.get("khung")).await?;
    let Ok(seen) = sent.get("ban").parse::<ContentHash>() else {
        return Ok(Redirect::to(&asked.address.week()).into_response());
    };
    let read = match Read::of(&asked, &sent) {
        Ok(read) => read,
        Err(faults) => return draw(&app, &frame, &asked, Shown::again(&faults, &sent)).await,
    };
    let new = match wanted(&app, &frame, &asked, &read, sent.get("viec"), seen) {
        Ok(new) => new,
        Err(not) => {
            let faults = Faults::one("bat-dau", not.say());
            return draw(&app, &frame, &asked, Shown::again(&faults, &sent)).await;
        }
    };
    let again = asked.address.week();
    let (before, after, title) =
        (new.change.before.clone(), new.change.after.clone(), new.change.title.clone());
    match proposals::change(&app, &who, &asked.shown.basis, new).await {
        Ok(()) => Ok(Redirect::to(&format!("{again}#vua-sua")).into_response()),
        Err(not) => {
            let (before, after) = (before.as_deref(), after.as_deref());
            let wanted = Wanted { seen: Some(seen), before, after, title: &title, again: &again };
            match refusals::answer(&app, &frame, not, wanted).await? {
                Ok(answered) => Ok(answered),
                Err(not) => {
                    draw(&app, &frame, &asked, Shown::again(&Faults::one("bat-dau", not.say()), &sent)).await
                }
            }
        }
    }
}

/// Makes the changed text of what a form asks for, with the change in words.
fn wanted(
    app: &App,
    frame: &Frame,
    asked: &Asked,
    read: &Read,
    does: &str,
    seen: ContentHash,
) -> Result<NewText, NotProposal> {
    let (content, day) = (&asked.shown.basis.content, asked.address.day);
    let mut text = ProgrammeText::open(&content.text)?;
    let once = read.scope == Scope::Once;
    let before = asked.slot.as_ref().map(|slot| told(frame, slot));
    let changed = read.applied(asked.slot.as_ref());
    let mut after = Some(changed.said(frame));
    let kind = match (&asked.slot, does, once) {
        (None, ..) => {
            text.add_slot(&read.fields, once.then_some(day))?;
            ChangeKind::SlotAdded
        }
        (Some(slot), "bo", _) => {
            after = None;
            if once {
                text.silence_once(&slot.id, day)?
            } else {
                text.remove_slot(&slot.id)?
            };
            ChangeKind::SlotRemoved
        }
        (Some(slot), "lai", _) => {
            text.restore_once(&slot.id, day)?;
            ChangeKind::SlotRestored
        }
        (Some(slot), _, true) => {
            text.change_once(&slot.id, day, &read.fields)?;
            ChangeKind::SlotChanged
        }
        (Some(slot), _, false) => {
            text.change_slot(&slot.id, &read.fields)?;
            ChangeKind::SlotChanged
        }
    };
    let audience = asked.slot.as_ref().map_or(&[][..], |slot| &slot.audience);
    let boxes = asked.scene.hearing(app, &asked.shown.programme.group, audience).len() as u32;
    let title = changed.title;
    let change = Change { kind, title, day: once.then_some(day), before, after, boxes };
    Ok(NewText { seen, text: text.text(), media: content.media.clone(), change })
}

/// A slot's times in words.
fn told(frame: &Frame, slot: &Slot) -> String {
    let next = if slot.end <= slot.start { frame.say("week.next_day") } else { "" };
    format!("{}–{}{next}", hm(slot.start), hm(slot.end))
}

/// A form as it is drawn: with the faults of what was sent, or with times so many minutes later.
struct Shown<'a> {
    faults: &'a Faults,
    sent: Option<&'a Sent>,
    later: i64,
}

impl<'a> Shown<'a> {
    fn again(faults: &'a Faults, sent: &'a Sent) -> Self {
        Self { faults, sent: Some(sent), later: 0 }
    }
}

async fn draw(app: &Arc<App>, frame: &Frame, asked: &Asked, shown: Shown<'_>) -> Result<Response, PageError> {
    let Shown { faults, sent, later } = shown;
    let planned = match &asked.slot {
        Some(slot) => sessions(app, asked, &slot.id).await,
        None => Vec::new(),
    };
    let title = match &asked.slot {
        Some(slot) => slot.title.clone(),
        None => frame.say("week.add").to_owned(),
    };
    let day = asked.address.day;
    let weekday = frame.texts.code("weekday", &day.format("%a").to_string().to_lowercase());
    let content = html! {
        div {
            a.back href=(asked.address.week()) { (icon("back")) (frame.say("week.title")) }
            h1 { (title) }
            p.mute { (weekday) ", " (day.format("%d/%m/%Y")) @if let Some(slot) = &asked.slot { ", " (told(frame, slot)) } " · " (asked.shown.programme.title) }
        }
        (faults.summary(frame))
        div.cols {
            (Form { frame, asked, faults, sent, later }.draw())
            section.stack aria-labelledby="h-nghe" {
                @if asked.slot.is_some() {
                    h2 #h-nghe { (frame.say("week.will_sound")) }
                    (sounding(app, frame, asked, &planned, day))
                } @else { h2 #h-nghe { (frame.say("week.who_hears")) } }
                (hearing(app, frame, asked))
            }
        }
    };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    Ok((status, frame.draw(app, &title, content)).into_response())
}

/// Language of most items: it is not named.
const MAIN_LANGUAGE: &str = "vi";
/// Plays of a slot that are shown at once: a list that is repeated has hundreds.
const PLAYS_SHOWN: usize = 12;

/// Finds the sessions of a slot on the day, as the heart rehearses them.
async fn sessions(app: &App, asked: &Asked, slot: &SlotId) -> Vec<WeekSession> {
    let Ok(week) = asked.scene.plan(app, asked.address.monday()).await else { return Vec::new() };
    let here = |it: &&WeekSession| it.planned.key.slot == *slot && it.planned.key.date == asked.address.day;
    week.sessions.iter().filter(here).cloned().collect()
}

fn sounding(app: &App, frame: &Frame, asked: &Asked, planned: &[WeekSession], day: NaiveDate) -> Markup {
    let excepted = asked.slot.as_ref().is_some_and(|slot| slot.days.except.contains(&day));
    html! {
        @if planned.is_empty() { p.mute { (frame.say(if excepted { "week.off_today" } else { "week.not_due" })) } }
        @for session in planned {
            p { b { (days::times(frame, session.planned.start, session.planned.end)) }
                @if planned.len() > 1 { " " (words::villages(app, &session.villages)) } }
            @let (first, rest) = session.planned.plays.split_at(session.planned.plays.len().min(PLAYS_SHOWN));
            ul.list { @for play in first { (one_play(frame, play)) } }
            @if !rest.is_empty() { details { summary { (frame.tell(&said!("week.more_plays", count = rest.len()))) }
                ul.list { @for play in rest { (one_play(frame, play)) } } } }
        }
        @for url in relays(asked) { p { a href=(url) rel="noreferrer" { (icon("play")) (frame.say("week.listen_relay")) } } }
    }
}

/// Draws what sounds from a time on, and why not all of it does.
fn one_play(frame: &Frame, play: &Planned) -> Markup {
    html! {
        li { span.num { (play.from.local().format("%H:%M:%S")) } " " @if play.chime { (frame.say("week.chime")) } @else { (play.title) }
            @if !play.chime && play.language != MAIN_LANGUAGE { " " span.mute { "(" (frame.texts.code("language", &play.language)) ")" } }
            @match &play.fate {
                Fate::Whole => {},
                Fate::HardEnd => { br; span.mute { (frame.say("week.hard_end")) } },
                Fate::Guarded { reason } => { br; span.mute { (frame.tell(&said!("week.stopped", why = reason.say()))) } },
                Fate::NotPlayed { reason } => { br; span.mute { (frame.tell(&said!("week.silent", why = words::not_played(reason, frame.texts)))) } },
            }
        }
    }
}

/// The stations that a slot passes on.
fn relays(asked: &Asked) -> Vec<&str> {
    let list = asked.slot.as_ref().and_then(|slot| asked.shown.programme.playlists.get(&slot.playlist));
    let items = list.into_iter().flat_map(|list| &list.items);
    items
        .filter_map(
            |item| if let Content::Relay { url, .. } = &item.content { Some(url.as_str()) } else { None },
        )
        .collect()
}

fn hearing(app: &App, frame: &Frame, asked: &Asked) -> Markup {
    let audience = asked.slot.as_ref().map_or(&[][..], |slot| &slot.audience);
    let boxes = asked.scene.hearing(app, &asked.shown.programme.group, audience);
    let names: Vec<_> = boxes.iter().take(NAMED_MAX).map(|row| row.title.as_str()).collect();
    html! {
        p { b { (frame.tell(&said!("compose.boxes", count = boxes.len()))) } ": " (names.join(", ")) @if boxes.len() > NAMED_MAX { " …" } }
    }
}
