//! One's own account: password, telephone, and the places where one is signed in.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use crate::app::App;
use crate::people::Who;
use crate::people::accounts::{self, NotDone};
use crate::people::passkeys;
use crate::people::passwords::CHARS_MIN;
use crate::store::SessionRow;
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::{Frame, PageError, moment};
use crate::web::parts::{Kind, state};
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::said;
use loaxa_heart::texts::Say;

pub const PATH: &str = "/tai-khoan";
/// The reason for which the page was opened.
#[derive(Deserialize)]
pub struct Why {
    #[serde(rename = "mat-khau")]
    password: Option<String>,
}

pub async fn page(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    Query(why): Query<Why>,
) -> Result<Markup, PageError> {
    let faults = match why.password.as_deref() {
        Some("yeu") => Faults::one("mat-khau", said!("account.weak")),
        _ => Faults::default(),
    };
    draw(&app, &frame, &who, &faults).await
}

/// Answers with the page and its faults.
pub async fn refuse(app: &App, frame: &Frame, who: &Who, faults: &Faults) -> Result<Response, PageError> {
    Ok((StatusCode::BAD_REQUEST, draw(app, frame, who, faults).await?).into_response())
}

pub async fn change_password(
    State(app): State<Arc<App>>,
    frame: Frame,
    who: Who,
    sent: Sent,
) -> Result<Response, PageError> {
    let (old, new) = (sent.get("mat-khau-cu"), sent.get("mat-khau"));
    if new != sent.get("nhac-lai") {
        return refuse(&app, &frame, &who, &Faults::one("nhac-lai", said!("people.not_the_same"))).await;
    }
    let fault = match accounts::change_password(&app, &who, old, new).await {
        Ok(()) => return Ok(Redirect::to(PATH).into_response()),
        Err(NotDone::Store(error)) => return Err(error.into()),
        Err(NotDone::Code) => ("mat-khau-cu", said!("people.wrong_old")),
        Err(not) => ("mat-khau", not.say()),
    };
    refuse(&app, &frame, &who, &Faults::one(fault.0, fault.1)).await
}

pub async fn end_session(State(app): State<Arc<App>>, who: Who, sent: Sent) -> Result<Redirect, PageError> {
    let id = who.person.id.clone();
    let ended = match sent.get("phien").parse::<ContentHash>() {
        Ok(secret) => app.store.end_session(id.clone(), secret).await?,
        Err(_) => {
            let others = app.store.sessions(id.clone()).await?.len() > 1;
            app.store.end_sessions(id.clone(), Some(who.session.secret)).await?;
            others
        }
    };
    if !ended {
        return Ok(Redirect::to(PATH));
    }
    app.store.note_act(who.act("sessions_ended", id.as_str())).await?;
    Ok(Redirect::to(PATH))
}

async fn draw(app: &App, frame: &Frame, who: &Who, faults: &Faults) -> Result<Markup, PageError> {
    let sessions = app.store.sessions(who.person.id.clone()).await?;
    let keys = if passkeys::are_possible(app) {
        Some(app.store.passkeys(who.person.id.clone()).await?)
    } else {
        None
    };
    let changes = super::changed_keys::of_account(app, frame, who).await?;
    let title = frame.say("account.title");
    let content = html! {
        h1 { (title) }
        (faults.summary(frame))
        div.cols {
            section.stack aria-labelledby="h-mk" {
                h2 #h-mk { (frame.say("account.password")) }
                (password_form(frame, faults))
            }
            section.stack aria-labelledby="h-dt" {
                h2 #h-dt { (frame.say("account.phone")) }
                @if who.person.totp.is_some() {
                    p { (state(Kind::Good, frame.say("account.phone_is_set"))) }
                    p { (frame.tell(&said!("account.codes_left", count = who.person.recovery_left))) }
                } @else { p { (state(Kind::Look, frame.say("account.phone_is_not_set"))) } }
                p { a.btn.sec href="/dang-nhap/dat-ma" { (frame.say(if who.person.totp.is_some() { "account.phone_anew" } else { "account.phone_first" })) } }
            }
        }
        @if let Some(keys) = &keys { (super::passkey_parts::section(frame, who, keys, faults)) }
        section.stack aria-labelledby="h-ph" {
            h2 #h-ph { (frame.say("account.sessions")) }
            ul.list { @for session in &sessions { (one_session(frame, who, session)) } }
            form method="post" action="/tai-khoan/phien" {
                button.btn.sec { (frame.say("account.end_others")) }
            }
        }
        (changes)
        section.stack aria-labelledby="h-dl" {
            h2 #h-dl { (frame.say("account.data")) }
            p.narrow { (frame.say("account.data_what")) }
            p.narrow { (frame.say("account.data_how_long")) }
            p { a.btn.sec href=(super::own_data::PATH) { (frame.say("account.data_take")) } }
        }
    };
    Ok(frame.draw_with(app, title, &[super::script::PATH], content))
}

fn password_form(frame: &Frame, faults: &Faults) -> Markup {
    let hint = frame.tell(&said!("people.password_hint", min = CHARS_MIN));
    html! {
        form.stack.narrow method="post" action="/tai-khoan/mat-khau" {
            (Input::password("mat-khau-cu", frame.say("account.old_password"), "current-password").draw(frame, faults))
            (Input {
                hint: Some(&hint),
                ..Input::password("mat-khau", frame.say("people.new_password"), "new-password")
            }.draw(frame, faults))
            (super::strength::meter(frame, super::strength::OWN))
            (Input::password("nhac-lai", frame.say("people.again"), "new-password").draw(frame, faults))
            div.btns { button.btn { (frame.say("account.change")) } }
        }
    }
}

fn one_session(frame: &Frame, who: &Who, session: &SessionRow) -> Markup {
    let is_this = session.secret == who.session.secret;
    html! {
        li.row.apart {
            span {
                b { (session.from) } @if is_this { " · " (frame.say("account.this_one")) }
                br; span.mute { (session.browser) br; (frame.say("account.last_used")) " " (moment(session.seen)) }
            }
            @if !is_this {
                form method="post" action="/tai-khoan/phien" {
                    input type="hidden" name="phien" value=(session.secret);
                    button.btn.sec { (frame.say("account.end_this")) }
                }
            }
        }
    }
}
