//! One emergency for the officers: who is being called, what is on the air, and what was stopped.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::air;
use super::parts::{boxes_in, second, status_of, steps, unless_store};
use crate::app::App;
use crate::notify;
use crate::orders::emergency::{self, NotEmergency};
use crate::people::Who;
use crate::store::{
    CallFor, CallRow, CallState, CalledRow, Reply, ReplyRow, StoreError, at_once, to_the_end,
};
use crate::web::form::Sent;
use crate::web::frame::{Frame, PageError, World, refusal};
use crate::web::parts::{Kind, icon};
use loaxa_heart::domain::ids::{CommandId, KeyId};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::Say;
use loaxa_heart::wire::signing::SIGNATURE_BYTES;

pub async fn page(
    State(app): State<Arc<App>>,
    Path(id): Path<CommandId>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let row = match emergency::read(&app, &id).await {
        Ok(row) => row,
        Err(not) => return refused(&app, &frame, unless_store(not)?),
    };
    if row.purpose == CallFor::Drill {
        return Ok(Redirect::to("/truc-ban").into_response());
    }
    if row.state == CallState::Calling && row.by != who.person.id {
        return Ok(Redirect::to(&format!("/khan-cap/{id}/dong-y")).into_response());
    }
    let path = format!("/khan-cap/{id}");
    let (title, at) = match row.state {
        CallState::Chosen | CallState::Calling => (frame.say("emergency.calling"), 1),
        CallState::OnAir => (row.title.as_str(), 2),
        CallState::Stopped => (row.title.as_str(), 3),
        CallState::CalledOff | CallState::Answered => (frame.say("emergency.called_off"), 0),
        CallState::Expired => (frame.say("emergency.expired"), 1),
    };
    let live = live(&app, &frame, &row, who.now).await?;
    let is_over = emergency::is_over(&app, &row).await?;
    let content = html! {
        div.row.apart { h1 { (title) } (steps(&frame, at)) }
        @if row.state == CallState::OnAir && !is_over {
            form method="post" action=(path) { button.stop #dung name="viec" value="dung" { (icon("stop")) (frame.say("emergency.stop")) } }
            p.mute { (frame.say("emergency.stop_how")) }
        }
        div.stack #dien-bien hx-get={ "/fragments/khan-cap/" (id) "?luc=" (code(row.state, is_over)) } hx-trigger="every 1s" { (live) }
        (air::after(&app, &frame, &row, is_over).await?)
    };
    Ok(frame.draw_in(&app, World::Actual, title, &["/assets/sign/emergency.js"], content).into_response())
}

const fn code(state: CallState, is_over: bool) -> &'static str {
    match state {
        CallState::OnAir if is_over => "over",
        CallState::Chosen => "chosen",
        CallState::Calling => "calling",
        CallState::OnAir => "on_air",
        CallState::Stopped => "stopped",
        CallState::CalledOff => "called_off",
        CallState::Answered => "answered",
        CallState::Expired => "expired",
    }
}

#[derive(Deserialize)]
pub struct Seen {
    luc: Option<String>,
}

pub async fn fragment(
    State(app): State<Arc<App>>,
    Path(id): Path<CommandId>,
    Query(seen): Query<Seen>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    let row = match emergency::read(&app, &id).await {
        Ok(row) => row,
        Err(not) => return Ok(status_of(&unless_store(not)?).into_response()),
    };
    // The page around it is another one in another state.
    let is_over = emergency::is_over(&app, &row).await?;
    if seen.luc.is_some_and(|luc| luc != code(row.state, is_over)) {
        return Ok(([("hx-refresh", "true")], StatusCode::OK).into_response());
    }
    Ok(live(&app, &frame, &row, who.now).await?.into_response())
}

/// Draws what changes by itself.
async fn live(app: &Arc<App>, frame: &Frame, row: &CallRow, now: Wall) -> Result<Markup, StoreError> {
    match row.state {
        CallState::Chosen | CallState::Calling => calling(app, frame, row, now).await,
        CallState::OnAir | CallState::Stopped => air::draw(app, frame, row, now).await,
        CallState::CalledOff | CallState::Answered => {
            Ok(html! { p.note { (frame.say("emergency.was_called_off")) } })
        }
        CallState::Expired => Ok(html! { p.note { (frame.say("emergency.nobody_agreed")) } }),
    }
}

async fn calling(app: &Arc<App>, frame: &Frame, row: &CallRow, now: Wall) -> Result<Markup, StoreError> {
    let mut called = app.store.called(row.id.clone()).await?;
    let replies = app.store.replies(row.id.clone()).await?;
    let planned = notify::planned(app, row).await?;
    let is_held = notify::plan::held_since(&replies, now).is_some();
    // Whoever is due is called within a moment, and shown so.
    for (contact, at) in notify::plan::called_by(&planned, &replies, now) {
        if called.iter().all(|row| row.contact != contact.key()) {
            called.push(CalledRow { contact: contact.key(), name: contact.name, at });
        }
    }
    // On an open page somebody may answer before their turn.
    for reply in &replies {
        if called.iter().all(|row| row.contact != reply.person.as_str()) {
            let name = app.store.person(reply.person.clone()).await?.map(|person| person.name);
            let contact = reply.person.to_string();
            called.push(CalledRow { name: name.unwrap_or_else(|| contact.clone()), contact, at: reply.at });
        }
    }
    let is_called = |key: &str| called.iter().any(|row| row.contact == key);
    let mut waiting: Vec<_> = planned.iter().filter(|(contact, _)| !is_called(&contact.key())).collect();
    if is_held {
        waiting.clear();
    }
    let boxes = app.store.boxes().await?;
    let count = boxes_in(app, &boxes, &row.groups).len();
    Ok(html! {
        div.cols {
            div.stack {
                div.card.soft.k-emer.stack {
                    p.lead { b { (row.title) } br; (frame.tell(&said!("emergency.places_boxes", places = row.groups.len(), boxes = count))) }
                    @if let Some((contact, at)) = waiting.first() {
                        @let left = at.since(now).as_millis().div_ceil(1_000);
                        p.count-down role="timer" { (left / 60) ":" (format!("{:02}", left % 60)) }
                        p { (frame.tell(&said!("emergency.then_calls", name = contact.name))) }
                    }
                    @if planned.is_empty() { p.err { (frame.say("emergency.nobody_to_call")) } }
                }
                p.note { b { (frame.say("emergency.silent_yet")) } " " (frame.say("emergency.sounds_when")) }
                form method="post" action={ "/khan-cap/" (row.id) } {
                    button.btn.c-line.k-emer name="viec" value="huy" { (frame.say("emergency.call_off")) } }
            }
            section.stack aria-labelledby="h-goi" {
                h2 #h-goi { (frame.say("emergency.who_is_called")) }
                ol.chain {
                    @for person in &called { (one_called(frame, person, &replies)) }
                    @for (contact, at) in &waiting {
                        li.k-quiet { (icon("clock")) b { (contact.name) } br; (frame.tell(&said!("emergency.will_call", at = second(*at)))) }
                    }
                }
            }
        }
    })
}

/// A person who was called, with their answer.
pub fn one_called(frame: &Frame, person: &CalledRow, replies: &[ReplyRow]) -> Markup {
    let reply = replies.iter().find(|reply| reply.person.as_str() == person.contact);
    let (kind, drawing, words) = match reply {
        None => (Kind::Look, "bell", said!("emergency.called_since", at = second(person.at))),
        Some(row) if row.reply == Reply::Listening => {
            (Kind::Good, "ok", said!("emergency.is_listening", at = second(row.at)))
        }
        Some(row) => (Kind::Bad, "no", said!("emergency.has_declined", at = second(row.at))),
    };
    html! { li.(kind.class()) { (icon(drawing)) b { (person.name) } br; (frame.tell(&words)) } }
}

fn refused(app: &App, frame: &Frame, not: NotEmergency) -> Result<Response, PageError> {
    Ok(refusal(app, frame, status_of(&not), &not.say()))
}

pub async fn act(
    State(app): State<Arc<App>>,
    Path(id): Path<CommandId>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let done = match sent.get("viec") {
        "dung" => stop(&app, &who, &id).await,
        "huy" => emergency::call_off(&app, &who, &id).await,
        "nghe" => emergency::reply(&app, &who, &id, Reply::Listening).await,
        "khong" => emergency::reply(&app, &who, &id, Reply::Declined).await,
        "tiep" => match sent.get("tin").parse() {
            Ok(message) => emergency::follow_up(&app, &who, &id, message).await.map(drop),
            Err(_) => Err(NotEmergency::NotPrepared),
        },
        _ => emergency::read(&app, &id).await.map(drop),
    };
    let to = match sent.get("viec") {
        "khong" => "/".to_owned(),
        _ => format!("/khan-cap/{id}"),
    };
    match done {
        // Somebody else was faster: the page says how it stands.
        Ok(()) | Err(NotEmergency::Past(_)) => Ok(Redirect::to(&to).into_response()),
        Err(not) => refused(&app, &frame, unless_store(not)?),
    }
}

/// Ends an emergency to the end, also where the browser hangs up meanwhile.
async fn stop(app: &Arc<App>, who: &Who, id: &CommandId) -> Result<(), NotEmergency> {
    let (app, who, id) = (Arc::clone(app), who.clone(), id.clone());
    to_the_end(at_once(async move { emergency::stop(&app, &who, &id).await })).await
}

/// Takes a signature and sends what it completes, also where the browser hangs up meanwhile.
async fn sign_and_send(
    app: &Arc<App>,
    who: &Who,
    id: &CommandId,
    key: KeyId,
    signature: [u8; SIGNATURE_BYTES],
) -> Result<CallState, NotEmergency> {
    let (app, who, id) = (Arc::clone(app), who.clone(), id.clone());
    to_the_end(at_once(async move { emergency::sign(&app, &who, &id, key, signature).await })).await
}

/// Takes the signature of an officer from the page's script.
pub async fn sign(
    State(app): State<Arc<App>>,
    Path(id): Path<CommandId>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let signature = BASE64.decode(sent.get("chu-ky")).ok().and_then(|bytes| bytes.try_into().ok());
    let signed = match (sent.get("khoa").parse(), signature) {
        (Ok(key), Some(signature)) => sign_and_send(&app, &who, &id, key, signature).await,
        _ => match emergency::read(&app, &id).await {
            Ok(_) => Err(NotEmergency::NotYourKey),
            Err(not) => Err(not),
        },
    };
    match signed {
        Ok(state) => {
            let to = format!("/khan-cap/{id}");
            Ok(Json(json!({ "den": to, "dang-phat": state == CallState::OnAir })).into_response())
        }
        Err(not) => {
            let not = unless_store(not)?;
            Ok((status_of(&not), Json(json!({ "loi": frame.tell(&not.say()) }))).into_response())
        }
    }
}
