//! A week that is to sound like another: the difference first, then the changes.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{Datelike, NaiveDate};
use maud::{Markup, html};

use super::address::Address;
use super::asked::{Asked, asked};
use super::refusals::{self, Wanted};
use crate::app::App;
use crate::people::Who;
use crate::programmes::copying::{self, Difference, Missing};
use crate::programmes::proposals::{self, NewText};
use crate::programmes::week;
use crate::store::{Change, ChangeKind};
use crate::web::form::{Faults, Query, Sent};
use crate::web::frame::{Frame, PageError};
use crate::web::local_time;
use crate::web::parts::icon;
use loaxa_heart::config::day_rules::hm;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::said;
use loaxa_heart::texts::Say;

pub async fn page(
    State(app): State<Arc<App>>,
    query: Query,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let get = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let address = Address::of_query(&app, &who, &query);
    let asked = asked(&app, &frame, address, get("ct"), "").await?;
    let from = source(&asked.address, get("tu"));
    Ok(draw(&app, &frame, &asked, from, &Faults::default()))
}

/// The Monday of the week to copy; the week before where none is named.
fn source(address: &Address, text: &str) -> NaiveDate {
    let named = local_time::date(text, address.day).filter(|day| (2000..=2180).contains(&day.year()));
    week::monday(named.unwrap_or(address.later(-7).day))
}

pub async fn act(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let address = Address::of_form(&app, &who, &sent);
    let asked = asked(&app, &frame, address, sent.get("ct"), "").await?;
    let from = source(&asked.address, sent.get("tu"));
    let again = asked.address.week();
    let Ok(seen) = sent.get("ban").parse::<ContentHash>() else {
        return Ok(Redirect::to(&again).into_response());
    };
    let difference = copying::difference(&asked.shown.programme, from, asked.address.monday());
    if difference.is_empty() {
        return Ok(Redirect::to(&again).into_response());
    }
    let content = &asked.shown.basis.content;
    let done = match copying::apply(&content.text, &difference) {
        Ok(text) => {
            let boxes = asked.scene.hearing(&app, &asked.shown.programme.group, &[]).len() as u32;
            let (kind, title) = (ChangeKind::WeekCopied, frame.tell(&counts(&difference)));
            let before = Some(asked.address.monday().format("%d/%m/%Y").to_string());
            let after = Some(from.format("%d/%m/%Y").to_string());
            let change = Change { kind, title, day: None, before, after, boxes };
            let new = NewText { seen, text, media: content.media.clone(), change };
            proposals::change(&app, &who, &asked.shown.basis, new).await
        }
        Err(not) => Err(not),
    };
    let Err(not) = done else { return Ok(Redirect::to(&format!("{again}#vua-sua")).into_response()) };
    let wanted =
        Wanted { seen: Some(seen), before: None, after: None, title: frame.say("week.copy"), again: &again };
    match refusals::answer(&app, &frame, not, wanted).await? {
        Ok(answered) => Ok(answered),
        Err(not) => Ok(draw(&app, &frame, &asked, from, &Faults::one("tu", not.say()))),
    }
}

fn counts(difference: &Difference) -> loaxa_heart::texts::Sentence {
    said!("week.copy_counts", added = difference.added.len(), removed = difference.removed.len())
}

fn draw(app: &Arc<App>, frame: &Frame, asked: &Asked, from: NaiveDate, faults: &Faults) -> Response {
    let (address, to) = (&asked.address, asked.address.monday());
    let difference = copying::difference(&asked.shown.programme, from, to);
    let title = frame.say("week.copy");
    let days = said!("week.copy_days", from = from.format("%d/%m/%Y"), to = to.format("%d/%m/%Y"));
    let content = html! {
        div { a.back href=(address.week()) { (icon("back")) (frame.say("week.title")) } h1 { (title) }
            p.mute { (asked.shown.programme.title) } }
        (faults.summary(frame))
        form.row method="get" action="/tuan/chep" {
            input type="hidden" name="noi" value=(address.group);
            input type="hidden" name="ngay" value=(address.day);
            input type="hidden" name="ct" value=(asked.shown.id);
            div.field { label for="tu" { (frame.say("week.copy_from")) }
                (faults.beside(frame, "tu"))
                input.w-date #tu name="tu" value=(from.format("%d/%m/%Y")); }
            button.btn.sec { (frame.say("week.compare")) }
        }
        section.stack aria-labelledby="h-khac" {
            h2 #h-khac { (frame.tell(&days)) }
            @if difference.is_empty() { p { (frame.say("week.same_weeks")) } } @else {
                p { (frame.tell(&counts(&difference))) }
                ul.list {
                    @for it in &difference.removed { li { (missing(frame, it, false)) } }
                    @for it in &difference.added { li { (missing(frame, it, true)) } }
                }
                form method="post" action="/tuan/chep" {
                    input type="hidden" name="noi" value=(address.group);
                    input type="hidden" name="ngay" value=(address.day);
                    input type="hidden" name="ct" value=(asked.shown.id);
                    input type="hidden" name="tu" value=(from);
                    input type="hidden" name="ban" value=(asked.shown.basis.digest);
                    div.btns { button.btn { (frame.say("week.copy_it")) } }
                }
            }
        }
    };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    (status, frame.draw(app, title, content)).into_response()
}

fn missing(frame: &Frame, it: &Missing, is_new: bool) -> Markup {
    let weekday = frame.texts.code("weekday", &it.day.format("%a").to_string().to_lowercase());
    let words = format!("{}–{} {}", hm(it.start), hm(it.end), it.title);
    html! {
        span.mute { (weekday) " " (it.day.format("%d/%m")) } " "
        @if is_new { ins { (words) } } @else { del { (words) } }
    }
}
