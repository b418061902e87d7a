//! The page to sign in on.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use crate::app::App;
use crate::people::sign_in::{self, Begun, Next, NotIn, Place};
use crate::people::{Who, devices};
use crate::store::StoreError;
use crate::web::access::{client, may_try, note_wrong_token};
use crate::web::doors::{SECOND_STEP, SIGN_IN};
use crate::web::form::{Faults, Input, Sent};
use crate::web::frame::{Frame, PageError};
use crate::web::session;
use loaxa_heart::domain::ids::AccountId;
use loaxa_heart::texts::Say;

/// The page of the account, for somebody whose password is easily guessed.
const WEAK: &str = "/tai-khoan?mat-khau=yeu";

/// The page to go back to.
#[derive(Deserialize)]
pub struct Back {
    ve: Option<String>,
}

impl Back {
    /// The page, if it is one of this server.
    pub fn page(&self) -> Option<&str> {
        let page = self.ve.as_deref()?;
        let is_ours = page.starts_with('/')
            && !page.starts_with("//")
            && !page.contains(|c: char| c == '\\' || c.is_control());
        is_ours.then_some(page)
    }
}

pub async fn page(State(app): State<Arc<App>>, frame: Frame, Query(back): Query<Back>) -> Markup {
    draw(&app, &frame, &back, &Faults::default(), "")
}

pub async fn enter(
    State(app): State<Arc<App>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Query(back): Query<Back>,
    frame: Frame,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Response, PageError> {
    let from = client(&app, from, &headers);
    let device = match session::device_of(&app, &headers) {
        Some(mark) => devices::known(&app, sent.get("ten"), mark).await,
        None => None,
    };
    if device.is_none()
        && let Err(refusal) = may_try(&app, from)
    {
        return Ok(refusal.into_response());
    }
    let place = place(from.to_string(), &headers);
    let (account, password) = (sent.get("ten"), sent.get("mat-khau"));
    match sign_in::with_password(&app, account, password, place, device.as_ref()).await {
        Ok(begun) if begun.weak => Ok(go_on(&app, &begun, Some(WEAK))),
        Ok(begun) => Ok(go_on(&app, &begun, back.page())),
        Err(NotIn::Store(error)) => Err(error.into()),
        Err(not) => {
            if device.is_none() {
                note_wrong_token(&app, from, "password").await;
            }
            let faults = Faults::one("ten", not.say());
            let page = draw(&app, &frame, &back, &faults, sent.get("ten"));
            Ok((StatusCode::UNAUTHORIZED, page).into_response())
        }
    }
}

/// The first page: without the database, the one that goes.
fn home(app: &App) -> &'static str {
    if app.store.is_away() { "/khan-cap" } else { "/" }
}

/// The place that a request comes from.
pub fn place(address: String, headers: &HeaderMap) -> Place {
    let browser = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Place { address, browser: browser.unwrap_or_default().to_owned() }
}

/// Gives the browser its session, and goes on to the next step.
pub fn go_on(app: &App, begun: &Begun, back: Option<&str>) -> Response {
    let to = match begun.next {
        Next::In => back.unwrap_or_else(|| home(app)).to_owned(),
        Next::Code => with_back(SECOND_STEP, back),
        Next::SetUp => with_back("/dang-nhap/dat-ma", back),
    };
    if begun.next == Next::In {
        return (cookies(app, &begun.secret, &begun.person), Redirect::to(&to)).into_response();
    }
    ([(header::SET_COOKIE, session::begin(app, &begun.secret))], Redirect::to(&to)).into_response()
}

/// An address with the page to go back to.
pub fn with_back(page: &str, back: Option<&str>) -> String {
    let Some(back) = back else { return page.to_owned() };
    let encoded: String = url::form_urlencoded::byte_serialize(back.as_bytes()).collect();
    format!("{page}?ve={encoded}")
}

/// Gives the browser the session of a second step that was right.
pub fn come_in(app: &App, secret: &str, who: &Who, back: &Back) -> Response {
    let to = Redirect::to(back.page().unwrap_or_else(|| home(app)));
    (cookies(app, secret, &who.person.id), to).into_response()
}

/// The cookies of a browser in which a person is signed in now.
fn cookies(app: &App, secret: &str, person: &AccountId) -> AppendHeaders<[(HeaderName, String); 2]> {
    let device = session::keep_device(app, &devices::mark(app, person));
    AppendHeaders([(header::SET_COOKIE, session::begin(app, secret)), (header::SET_COOKIE, device)])
}

pub async fn leave(State(app): State<Arc<App>>, who: Option<axum::Extension<Who>>) -> Response {
    // The browser forgets its session in any case: a store that fails keeps nobody in.
    if let Some(axum::Extension(who)) = who
        && let Err(error) = end(&app, &who).await
    {
        tracing::error!(person = %who.person.id, %error, "a session whose person has left is not ended");
    }
    ([(header::SET_COOKIE, session::end(&app))], Redirect::to(SIGN_IN)).into_response()
}

async fn end(app: &App, who: &Who) -> Result<(), StoreError> {
    app.store.end_session(who.person.id.clone(), who.session.secret).await?;
    app.store.note_act(who.act("signed_out", who.person.id.as_str())).await
}

fn draw(app: &App, frame: &Frame, back: &Back, faults: &Faults, account: &str) -> Markup {
    let title = frame.say("sign_in.title");
    let action = with_back(SIGN_IN, back.page());
    let content = html! {
        div.narrow.form {
            h1 { (title) }
            @if app.store.is_away() {
                div.alarm.k-look.tight role="status" { p { (frame.say("sign_in.without_database")) } }
            }
            (faults.summary(frame))
            form.stack method="post" action=(action) {
                (Input {
                    autocomplete: Some("username"),
                    ..Input::text("ten", frame.say("sign_in.account"), account)
                }.draw(frame, faults))
                (Input::password("mat-khau", frame.say("sign_in.password"), "current-password").draw(frame, faults))
                div.btns { button.btn { (frame.say("sign_in.go_on")) } }
            }
            p { b { (frame.say("sign_in.forgotten")) } " " (frame.say("sign_in.who_helps")) }
        }
    };
    frame.draw_with(app, title, &[super::script::PATH], content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_server() {
        let check = |ve: &str, expected: Option<&str>| {
            assert_eq!(Back { ve: Some(ve.to_owned()) }.page(), expected);
        };
        check("/soan-tin", Some("/soan-tin"));
        check("//ke-xau.vn", None);
        check("https://ke-xau.vn", None);
        check("/\\ke-xau.vn", None);
        check("/\t/ke-xau.vn", None);
    }
}
