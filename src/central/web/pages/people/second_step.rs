//! The second step of a sign-in: a code of the telephone, or one of the sheet.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::sign_in::{Back, come_in};
use crate::app::App;
use crate::people::Who;
use crate::people::passkeys;
use crate::people::sign_in::{self, NotIn};
use crate::web::doors::SIGN_IN;
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::{Frame, PageError};
use crate::web::parts::icon;
use loaxa_heart::texts::Say;

pub async fn page(
    State(app): State<Arc<App>>,
    Query(back): Query<Back>,
    frame: Frame,
    who: Who,
) -> Result<Response, PageError> {
    match who.person.totp {
        Some(_) => Ok(draw(&app, &frame, &who, &back, &Faults::default()).await?.into_response()),
        None => Ok(Redirect::to("/dang-nhap/dat-ma").into_response()),
    }
}

/// Answers with the page and its faults.
pub async fn refuse(
    app: &App,
    frame: &Frame,
    who: &Who,
    back: &Back,
    faults: &Faults,
) -> Result<Response, PageError> {
    Ok((StatusCode::UNAUTHORIZED, draw(app, frame, who, back, faults).await?).into_response())
}

pub async fn enter(
    State(app): State<Arc<App>>,
    Query(back): Query<Back>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    match sign_in::with_code(&app, &who, sent.get("ma")).await {
        Ok(secret) => Ok(come_in(&app, &secret, &who, &back)),
        Err(NotIn::Store(error)) => Err(error.into()),
        Err(not) => refuse(&app, &frame, &who, &back, &Faults::one("ma", not.say())).await,
    }
}

async fn draw(
    app: &App,
    frame: &Frame,
    who: &Who,
    back: &Back,
    faults: &Faults,
) -> Result<Markup, PageError> {
    let has_keys =
        passkeys::are_possible(app) && !app.store.passkeys(who.person.id.clone()).await?.is_empty();
    let title = frame.say("sign_in.is_it_you");
    let content = html! {
        div.narrow.form {
            a.back href=(SIGN_IN) { (icon("back")) (frame.say("sign_in.step_back")) }
            div.tight { p.kick { (frame.say("sign_in.second_of_two")) } h1 { (title) } }
            (faults.summary(frame))
            @if has_keys { (super::passkey_parts::to_show(frame, back)) }
            form.stack method="post" {
                (Input {
                    hint: Some(frame.say("sign_in.open_the_app")),
                    autocomplete: Some("one-time-code"),
                    class: Some("w-code"),
                    ..Input::text("ma", frame.say("sign_in.code"), "")
                }.draw(frame, faults))
                div.btns { button.btn.sec[has_keys] { (frame.say("sign_in.with_code")) } }
            }
            details { summary { (frame.say("sign_in.no_phone")) } p { (frame.say("sign_in.no_phone_do")) } }
        }
    };
    Ok(frame.draw_with(app, title, &[super::script::PATH], content))
}
