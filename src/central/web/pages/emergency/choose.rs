//! The page on which the first officer chooses a prepared message and its places, types their number and signs.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::super::own_key::{key, words};
use super::parts::{boxes_in, how, status_of, steps, title_of, unless_store};
use crate::app::App;
use crate::orders::emergency::{self, Chosen, NotEmergency};
use crate::people::Who;
use crate::store::{BoxRow, MessageRow, MessageUse, Role};
use crate::web::form::Sent;
use crate::web::frame::{Frame, PageError, World};
use crate::web::parts::{Kind, icon, state};
use loaxa_heart::domain::ids::{CommandId, GroupId};
use loaxa_heart::said;
use loaxa_heart::texts::Say;

/// Places that are shown before the others are folded away.
const SHOWN: usize = 8;

/// The only fields that a choice has. A request with any other is refused as a whole: there is no field that says whether
/// it is real.
const FIELDS: [&str; 5] = ["tin", "noi", "so", "khoa", "sau"];

#[derive(Deserialize)]
pub struct After {
    sau: Option<CommandId>,
}

pub async fn page(
    State(app): State<Arc<App>>,
    Query(after): Query<After>,
    frame: Frame,
    who: Who,
) -> Result<Markup, PageError> {
    let wanted = |message: &MessageRow| (message.purpose == MessageUse::Alarm) == after.sau.is_none();
    let messages: Vec<_> = app.store.messages().await?.into_iter().filter(wanted).collect();
    let boxes = app.store.boxes().await?;
    let title = frame.say("emergency.title");
    let content = html! {
        div.row.apart { h1 { (title) } (steps(&frame, 0)) }
        @if messages.is_empty() {
            section.alarm.k-look.narrow.tight {
                h2 { (frame.say("emergency.nothing_prepared")) }
                p { a href="/tin-soan-san" { (frame.say("message.title")) } }
            }
        } @else {
            div.cols #khan-cap data-sau=[after.sau.as_ref()] {
                div.form { (choice(&frame, &messages)) (places(&app, &frame, &who, &boxes)) }
                div.form.side { (confirm(&frame)) }
            }
            (words(&app, &frame))
        }
    };
    Ok(frame.draw_in(&app, World::Actual, title, &["/assets/sign/emergency.js"], content))
}

fn choice(frame: &Frame, messages: &[MessageRow]) -> Markup {
    html! {
        fieldset.field {
            legend.lab-l { (frame.say("emergency.choose_message")) }
            div.picks.boxed {
                @for message in messages {
                    @let id = format!("tin-{}", message.id);
                    div.pick.k-emer {
                        input type="radio" name="tin" value=(message.id) id=(id)
                            data-ten=(message.title) data-loi=(message.text) data-am=(message.media);
                        label for=(id) { b { (message.title) } (how(frame, message)) }
                    }
                }
            }
        }
    }
}

fn places(app: &App, frame: &Frame, who: &Who, boxes: &[BoxRow]) -> Markup {
    let offered = emergency::places(app).into_iter();
    let offered: Vec<_> = offered
        .filter(|group| app.stands(group, boxes) && who.may(app, Role::Duty, std::slice::from_ref(group)))
        .collect();
    let (first, rest) = offered.split_at(offered.len().min(SHOWN));
    let one = |group: &GroupId| {
        let id = format!("noi-{group}");
        let inside = boxes_in(app, boxes, std::slice::from_ref(group));
        let silent = inside.iter().filter(|row| !row.is_online(who.now)).count();
        html! {
            div.pick {
                input type="checkbox" name="noi" value=(group) id=(id) data-cum=(inside.len());
                label for=(id) { (title_of(app, group)) " "
                    span.mute.nowrap { (frame.tell(&said!("compose.boxes", count = inside.len()))) }
                    @if silent > 0 { br; (state(Kind::Unknown, frame.tell(&said!("compose.silent", count = silent)))) } }
            }
        }
    };
    html! {
        fieldset.field {
            legend.lab-l { (frame.say("emergency.choose_places")) }
            div.picks.two { @for group in first { (one(group)) } }
            @if !rest.is_empty() {
                details { summary { (frame.tell(&said!("emergency.more_places", count = rest.len()))) }
                    div.picks.two { @for group in rest { (one(group)) } } }
            }
        }
    }
}

fn confirm(frame: &Frame) -> Markup {
    html! {
        section.stack aria-labelledby="h-nghe" {
            h2 #h-nghe { (frame.say("emergency.people_will_hear")) }
            div.card.band.k-emer.tight {
                p.lead #tin-loi { (frame.say("emergency.choose_first")) }
                button.btn.sec #nghe-rieng type="button" hidden { (icon("ear")) (frame.say("emergency.listen")) }
            }
        }
        div.field {
            label.lab-l for="so" { (frame.say("emergency.type_number")) }
            p.hint #so-h { (frame.say("emergency.type_number_how")) }
            input.w-num #so inputmode="numeric" autocomplete="off" aria-describedby="so-h";
        }
        (key(frame, frame.say("emergency.passphrase")))
        div.tight {
            p.err #loi-phat role="alert" tabindex="-1" hidden {}
            button.hold.k-emer #giu type="button" disabled { (frame.say("emergency.hold")) " "
                span.nowrap { (frame.say("emergency.hold_real")) } small #giu-so {} }
            p { (frame.say("emergency.second_is_called")) }
        }
    }
}

/// Answers the page's script with the bytes to be signed. Nobody is called, and nothing sounds, before they are signed.
pub async fn act(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let refused =
        |not: NotEmergency| (status_of(&not), Json(json!({ "loi": frame.tell(&not.say()) }))).into_response();
    if let Some((name, _)) = sent.0.iter().find(|(name, _)| !FIELDS.contains(&name.as_str())) {
        let said = said!("emergency.unknown_field", name);
        return Ok((StatusCode::BAD_REQUEST, Json(json!({ "loi": frame.tell(&said) }))).into_response());
    }
    let groups: Result<Vec<_>, _> = sent.all("noi").map(str::parse).collect();
    let after = Some(sent.get("sau")).filter(|sau| !sau.is_empty());
    let (Ok(groups), Ok(message), after) = (groups, sent.get("tin").parse(), after.map(str::parse)) else {
        return Ok(refused(NotEmergency::NotPrepared));
    };
    let (Ok(key), Ok(after)) = (sent.get("khoa").parse(), after.transpose()) else {
        return Ok(refused(NotEmergency::NotYourKey));
    };
    let chosen = Chosen { message, groups, typed: sent.get("so").to_owned(), key, after };
    match emergency::choose(&app, &who, chosen).await {
        Ok(to_sign) => Ok(Json(json!({ "ma": to_sign.id, "ban-ky": to_sign.payload })).into_response()),
        Err(not) => Ok(refused(unless_store(not)?)),
    }
}
