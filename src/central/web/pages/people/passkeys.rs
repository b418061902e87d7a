//! Making, showing and taking away passkeys. The questions and answers are between script and browser; what they lead to is a
//! form like others.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Json, Router};
use axum::routing::get;
use maud::{Markup, html};
use serde::Serialize;

use super::account;
use super::sign_in::{Back, come_in, with_back};
use crate::app::App;
use crate::people::Who;
use crate::people::passkeys::{self, NoPasskey};
use crate::store::PasskeyRow;
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::{Frame, PageError, asset, moment};
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::texts::Say;

/// The script of passkeys, which also shows passwords that are typed.
pub const SCRIPT: &str = "/assets/sign_in.js";

pub fn assets() -> Router<Arc<App>> {
    const TEXT: &str = include_str!("../../assets/sign_in.js");
    Router::new().route(SCRIPT, get(|| async { asset("text/javascript", TEXT) }))
}

pub async fn begin_making(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Response {
    question(&frame, passkeys::begin_making(&app, &who).await)
}

pub async fn begin_showing(State(app): State<Arc<App>>, frame: Frame, who: Who) -> Response {
    question(&frame, passkeys::begin_showing(&app, &who).await)
}

fn question(frame: &Frame, question: Result<impl Serialize, NoPasskey>) -> Response {
    match question {
        Ok(question) => Json(question).into_response(),
        Err(not) => (StatusCode::CONFLICT, frame.tell(&not.say()).to_string()).into_response(),
    }
}

pub async fn make(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    match passkeys::finish_making(&app, &who, sent.get("ten-may"), sent.get("tra-loi")).await {
        Ok(()) => Ok(Redirect::to(account::PATH).into_response()),
        Err(NoPasskey::Store(error)) => Err(error.into()),
        Err(not) => account::refuse(&app, &frame, &who, &Faults::one("ten-may", not.say())).await,
    }
}

pub async fn remove(State(app): State<Arc<App>>, who: Who, sent: Sent) -> Result<Redirect, PageError> {
    if let Ok(id) = sent.get("khoa").parse::<ContentHash>() {
        passkeys::remove(&app, &who, id).await?;
    }
    Ok(Redirect::to(account::PATH))
}

pub async fn show(
    State(app): State<Arc<App>>,
    Query(back): Query<Back>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    match passkeys::finish_showing(&app, &who, sent.get("tra-loi")).await {
        Ok(secret) => Ok(come_in(&app, &secret, &back)),
        Err(NoPasskey::Store(error)) => Err(error.into()),
        Err(not) => super::second_step::refuse(&app, &frame, &who, &back, &Faults::one("ma", not.say())).await,
    }
}

/// The button of the second step; the script shows it where the browser knows passkeys.
pub fn to_show(frame: &Frame, back: &Back) -> Markup {
    let action = with_back("/dang-nhap/khoa-may", back.page());
    html! {
        form.stack method="post" action=(action) hidden data-khoa-may="get" data-hoi="/dang-nhap/khoa-may/hoi" {
            input type="hidden" name="tra-loi";
            (said_when_it_fails(frame))
            div.btns { button.btn { (frame.say("passkey.show")) } }
            p.mute { (frame.say("passkey.or_code")) }
        }
    }
}

fn said_when_it_fails(frame: &Frame) -> Markup {
    html! { p.err role="alert" hidden data-loi { (frame.say("passkey.failed")) } }
}

/// The passkeys of one's own account, and the form for another.
pub fn section(frame: &Frame, who: &Who, keys: &[PasskeyRow], faults: &Faults) -> Markup {
    html! {
        section.stack aria-labelledby="h-km" {
            h2 #h-km { (frame.say("passkey.title")) }
            p { (frame.say("passkey.why")) }
            ul.list { @for key in keys { (one(frame, key)) } }
            @if who.person.totp.is_some() {
                form.stack.narrow method="post" action="/tai-khoan/khoa-may" data-khoa-may="create" data-hoi="/tai-khoan/khoa-may/hoi" {
                    (Input {
                        hint: Some(frame.say("passkey.name_hint")),
                        ..Input::text("ten-may", frame.say("passkey.name"), "")
                    }.draw(frame, faults))
                    input type="hidden" name="tra-loi";
                    (said_when_it_fails(frame))
                    div.btns { button.btn.sec { (frame.say("passkey.add")) } }
                }
            } @else { p.mute { (frame.say("passkey.code_first")) } }
        }
    }
}

fn one(frame: &Frame, key: &PasskeyRow) -> Markup {
    html! {
        li.row.apart {
            span {
                b { (key.name) }
                br; span.mute {
                    (frame.say("passkey.made")) " " (moment(key.made))
                    @if let Some(used) = key.used { br; (frame.say("account.last_used")) " " (moment(used)) }
                }
            }
            form method="post" action="/tai-khoan/khoa-may/xoa" {
                input type="hidden" name="khoa" value=(key.id);
                button.btn.sec { (frame.say("passkey.remove")) }
            }
        }
    }
}
