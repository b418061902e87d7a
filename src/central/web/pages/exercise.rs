//! The page of exercises: another address, colour and verb than the real thing, and no field that could make it real.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};

use crate::app::App;
use crate::orders::emergency;
use crate::orders::exercise::{self, EVE_HOUR, FROM_HOUR, MORNING_HOUR, NotExercise, UNTIL_HOUR};
use crate::people::Who;
use crate::store::{CommandRow, MessageUse, ROWS_MAX, Role};
use crate::web::doors::{Needs, Pages};
use crate::web::form::{Faults, Sent};
use crate::web::frame::{Frame, PageError, World, moment, refusal};
use crate::web::local_time::{date, time};
use crate::web::parts::{Kind, icon, tag};
use loaxa_heart::domain::announcement::Mode;
use loaxa_heart::domain::ids::{CommandId, GroupId};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::Say;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command};

/// The only fields of the form. A request with any other is refused as a whole.
const FIELDS: [&str; 5] = ["bai", "noi", "ngay", "gio", "chu"];

/// Adds the page.
pub fn add(pages: Pages) -> Pages {
    pages.page("/dien-tap", Needs::Role(&[Role::Duty]), get(page).post(act)).page(
        "/dien-tap/{id}/huy",
        Needs::Role(&[Role::Duty]),
        post(call_off),
    )
}

async fn page(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Result<Markup, PageError> {
    draw(&app, &frame, &who, &Faults::default(), &Sent(Vec::new())).await
}

async fn act(State(app): State<Arc<App>>, frame: Frame, who: Who, sent: Sent) -> Result<Response, PageError> {
    let mut faults = Faults::default();
    if let Some((name, _)) = sent.0.iter().find(|(name, _)| !FIELDS.contains(&name.as_str())) {
        faults.add("bai", said!("emergency.unknown_field", name));
    }
    let message = sent.get("bai").parse().ok();
    if message.is_none() {
        faults.add("bai", said!("exercise.not_prepared"));
    }
    let day = date(sent.get("ngay"), who.now.date());
    if day.is_none() {
        faults.add("ngay", said!("compose.bad_date"));
    }
    let hour = time(sent.get("gio"));
    if hour.is_none() {
        faults.add("gio", said!("compose.bad_time"));
    }
    if !is_typed(sent.get("chu")) {
        faults.add("chu", said!("exercise.not_typed"));
    }
    let groups: Vec<GroupId> = sent.all("noi").filter_map(|id| id.parse().ok()).collect();
    if let (Some(message), Some(day), Some(hour), true) = (message, day, hour, faults.is_empty()) {
        match exercise::schedule(&app, &who, message, groups, day.and_time(hour)).await {
            Ok(()) => return Ok(Redirect::to("/dien-tap").into_response()),
            Err(NotExercise::Store(error)) => return Err(error.into()),
            Err(not) => faults.add(field_of(&not), not.say()),
        }
    }
    let page = draw(&app, &frame, &who, &faults, &sent).await?;
    Ok((StatusCode::BAD_REQUEST, page).into_response())
}

/// Takes an exercise back, and what tells of it.
async fn call_off(
    State(app): State<Arc<App>>,
    Path(id): Path<CommandId>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    match exercise::call_off(&app, &who, &id).await {
        Ok(()) => Ok(Redirect::to("/dien-tap").into_response()),
        Err(NotExercise::Store(error)) => Err(error.into()),
        Err(not @ NotExercise::NotYours) => Ok(refusal(&app, &frame, StatusCode::FORBIDDEN, &not.say())),
        Err(not) => Ok(refusal(&app, &frame, StatusCode::NOT_FOUND, &not.say())),
    }
}

/// The time of an announcement, as its command says.
fn time_of(row: &CommandRow) -> Option<Wall> {
    let command: Command = codec::decode(row.payload.as_bytes()).ok()?;
    match command.body {
        Body::Announce { plan, .. } => plan.at,
        _ => None,
    }
}

/// Tells whether somebody typed the word of exercises, with or without its signs, in Vietnamese or English.
fn is_typed(text: &str) -> bool {
    use unicode_normalization::UnicodeNormalization;
    let plain = |c: &char| !unicode_normalization::char::is_combining_mark(*c);
    let text: String = text.trim().to_lowercase().nfd().filter(plain).collect();
    matches!(text.as_str(), "dien tap" | "exercise")
}

fn field_of(not: &NotExercise) -> &'static str {
    match not {
        NotExercise::NotPrepared | NotExercise::Refused(_) | NotExercise::Store(_) => "bai",
        NotExercise::NoPlace | NotExercise::NotYours => "noi",
        NotExercise::Hour => "gio",
        NotExercise::TooSoon | NotExercise::TooFar => "ngay",
    }
}

async fn draw(
    app: &Arc<App>,
    frame: &Frame,
    who: &Who,
    faults: &Faults,
    sent: &Sent,
) -> Result<Markup, PageError> {
    let messages = app.store.messages().await?;
    let alarms: Vec<_> = messages.iter().filter(|row| row.purpose == MessageUse::Alarm).collect();
    let offered = emergency::places(app).into_iter();
    let offered: Vec<_> = offered
        .filter(|group| app.stands(group, &[]) && who.may(app, Role::Duty, std::slice::from_ref(group)))
        .collect();
    let live = app.store.issued_since(Wall(0), Wall::MAX, who.now, ROWS_MAX).await?;
    let is_cut = live.len() == ROWS_MAX as usize;
    let scheduled: Vec<_> = live.into_iter().rev().filter(|row| row.mode == Some(Mode::Exercise)).collect();
    let title = frame.say("exercise.title");
    let content = html! {
        div.cols.wide-l {
            form.form method="post" action="/dien-tap" {
                div.tight {
                    p { (tag(Kind::Exercise, frame.say("exercise.tag"))) }
                    h1 { (title) }
                    p.lead { (frame.say("exercise.lead")) }
                    (faults.summary(frame))
                }
                fieldset.field.bad[faults.has("bai")] {
                    legend.lab-l #bai { (frame.say("exercise.which")) }
                    (faults.beside(frame, "bai"))
                    @if alarms.is_empty() { p { (frame.say("emergency.nothing_prepared")) " " a href="/tin-soan-san" { (frame.say("message.title")) } } }
                    div.picks.boxed { @for message in &alarms {
                        @let id = format!("bai-{}", message.id);
                        div.pick.k-exer { input type="radio" name="bai" value=(message.id) id=(id) checked[sent.get("bai") == message.id.as_str()];
                            label for=(id) { b { (frame.tell(&said!("exercise.title_of", title = message.title))) } (frame.say("exercise.chime")) } }
                    } }
                    p.mute { (frame.say("exercise.or_drill")) " " a href="/truc-ban" { (frame.say("roster.title")) } }
                }
                (places(app, frame, &offered, faults, sent))
                (when(frame, faults, sent))
                div.field.bad[faults.has("chu")] {
                    label.lab-l for="chu" { (frame.say("exercise.type_it")) }
                    p.hint #chu-h { (frame.say("exercise.type_it_why")) }
                    (faults.beside(frame, "chu"))
                    input.w-date #chu name="chu" autocomplete="off" aria-describedby="chu-h" value=(sent.get("chu"));
                }
                div.btns { button.btn.c-line.k-exer { (frame.say("exercise.schedule")) } }
            }
            div.side.stack { (before(frame)) @if !scheduled.is_empty() {
                section.card.stack aria-labelledby="h-da-xep" {
                    h2 #h-da-xep { (frame.say("exercise.scheduled")) }
                    ul.list { @for row in &scheduled { li.tight {
                        b { (row.title) } @if let Some(at) = time_of(row) { p { (moment(at)) } }
                        p.mute { (frame.tell(&said!("exercise.scheduled_by", name = row.author, at = moment(row.issued_at)))) }
                        form method="post" action={ "/dien-tap/" (row.id) "/huy" } { button.btn.sec { (frame.say("exercise.call_off")) } } } } }
                    @if is_cut { p.mute { (frame.tell(&said!("page.newest", shown = scheduled.len()))) } }
                }
            } }
        }
    };
    Ok(frame.draw_in(app, World::Exercise, title, &[], content))
}

fn places(app: &App, frame: &Frame, offered: &[GroupId], faults: &Faults, sent: &Sent) -> Markup {
    let chosen: Vec<_> = sent.all("noi").collect();
    let title = |id: &GroupId| app.settings.groups.iter().find(|group| group.id == *id);
    html! {
        fieldset.field.bad[faults.has("noi")] {
            legend.lab-l #noi { (frame.say("exercise.where")) }
            (faults.beside(frame, "noi"))
            div.picks.two { @for group in offered {
                @let id = format!("noi-{group}");
                div.pick { input type="checkbox" name="noi" value=(group) id=(id) checked[chosen.contains(&group.as_str())];
                    label for=(id) { (title(group).map_or(group.as_str(), |known| known.title.as_str())) } }
            } }
        }
    }
}

fn when(frame: &Frame, faults: &Faults, sent: &Sent) -> Markup {
    html! {
        fieldset.field.bad[faults.has("ngay") || faults.has("gio")] {
            legend.lab-l { (frame.say("exercise.when")) }
            p.hint { (frame.tell(&said!("exercise.hours", from = FROM_HOUR, until = UNTIL_HOUR))) }
            (faults.beside(frame, "ngay")) (faults.beside(frame, "gio"))
            div.row {
                div { label for="ngay" { (frame.say("compose.day")) }
                    input.w-date #ngay name="ngay" inputmode="numeric" placeholder="05/12/2026" value=(sent.get("ngay")); }
                div { label for="gio" { (frame.say("compose.hour")) }
                    input.w-time #gio name="gio" inputmode="numeric" placeholder="08:00" value=(sent.get("gio")); }
            }
        }
    }
}

/// Draws what people will hear, and when.
fn before(frame: &Frame) -> Markup {
    html! {
        section.card.soft.k-exer.stack aria-labelledby="h-bao-truoc" {
            h2 #h-bao-truoc { (frame.say("exercise.people_will_hear")) }
            ol.chain {
                li.k-exer { (icon("bell")) b { (frame.tell(&said!("exercise.on_the_eve", hour = EVE_HOUR))) } br; (frame.say("exercise.told_first")) }
                li.k-exer { (icon("bell")) b { (frame.tell(&said!("exercise.on_the_day", hour = MORNING_HOUR))) } br; (frame.say("exercise.told_again")) }
                li.k-exer { (icon("wave")) b { (frame.say("exercise.at_the_hour")) } br; (frame.say("exercise.sounds_so")) }
            }
        }
    }
}
