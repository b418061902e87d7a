//! The page on which a reader shows the token, for a session of a day: `assets/login.js`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Form, Router};
use maud::{Markup, PreEscaped, html};
use serde::Deserialize;

use super::layout::{Wanted, asset, choose_language, lang_of, layout};
use crate::app::App;
use crate::web::access::{client, is_token, may_try, note_wrong_token};
use crate::web::session;
use crate::web::texts::TEXTS;
use loaxa_heart::texts::Texts;

const SCRIPT: &str = include_str!("../assets/login.js");

/// Largest form, in bytes.
const FORM_BYTES_MAX: usize = 4 * 1024;

/// The page, and its script.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/login", get(page).post(enter).layer(DefaultBodyLimit::max(FORM_BYTES_MAX)))
        .route("/assets/login.js", get(|| async { asset("text/javascript", SCRIPT) }))
}

#[derive(Deserialize)]
struct Shown {
    token: String,
}

async fn page(State(app): State<Arc<App>>, Query(wanted): Query<Wanted>, headers: HeaderMap) -> Response {
    if let Some(chosen) = choose_language(wanted, "/login") {
        return chosen;
    }
    let lang = lang_of(&headers);
    layout(&app, lang, "/login", content(TEXTS.of(lang), false)).into_response()
}

async fn enter(
    State(app): State<Arc<App>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(Shown { token }): Form<Shown>,
) -> Response {
    let from = client(&app, from, &headers);
    if let Err(refusal) = may_try(&app, from) {
        return refusal.into_response();
    }
    if is_token(&app.settings.token, token.trim()) {
        return ([(header::SET_COOKIE, session::begin(&app))], Redirect::to("/")).into_response();
    }
    note_wrong_token(&app, from, "shown on the page").await;
    let lang = lang_of(&headers);
    let page = layout(&app, lang, "/login", content(TEXTS.of(lang), true));
    (StatusCode::UNAUTHORIZED, page).into_response()
}

fn content(texts: &Texts, wrong: bool) -> Markup {
    html! {
        main {
            h2 { (texts.say("login.title")) }
            @if wrong { p #problem.alarm role="alert" { (texts.say("login.wrong")) } }
            form #login-form method="post" action="/login" {
                label { (texts.say("login.token")) input #token name="token" type="password" required autocomplete="current-password"; }
                button { (texts.say("login.enter")) }
            }
            p.small { (texts.say("login.why")) }
        }
        script src="/assets/login.js" defer { (PreEscaped("")) }
    }
}
