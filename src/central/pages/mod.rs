//! The pages for people: Vietnamese first, plain HTML that refreshes itself, nothing from elsewhere.

mod enrol;
mod home;
mod sign;
mod words;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Deserialize;

use super::api::has_token;
use super::app::App;
use super::store::StoreError;
use loaxa_heart::said;
use loaxa_heart::texts::{Lang, Sentence};

pub use home::is_online;

/// The cookie that keeps the language.
const LANG_COOKIE: &str = "loaxa-lang";

/// Nothing from other servers, nothing inline but what htmx sets itself.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     media-src 'self' blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The pages, their fragments and what they are drawn with, and the media that boxes fetch.
pub fn routes(app: Arc<App>) -> Router {
    let for_readers = Router::new()
        .route("/", get(home_page))
        .route("/fragments/home", get(home_fragment))
        .merge(enrol::routes())
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app), let_readers_in));
    for_readers
        .merge(sign::routes())
        .route("/media/{hash}", get(media))
        .route("/assets/htmx.js", get(|| async { asset("text/javascript", HTMX) }))
        .route("/assets/loaxa.css", get(|| async { asset("text/css", STYLE) }))
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(middleware::map_response(add_headers))
        .with_state(app)
}

const HTMX: &str = include_str!("../assets/htmx-2.0.11.min.js");
const STYLE: &str = include_str!("../assets/loaxa.css");

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=3600")], text)
}

async fn add_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// Until people have accounts, the pages are read on this machine, or by who has the token.
async fn let_readers_in(
    State(app): State<Arc<App>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if from.ip().is_loopback() || has_token(&app, request.headers()) {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, in_both(&said!("page.only_here"))).into_response()
}

#[derive(Deserialize)]
struct Wanted {
    lang: Option<String>,
}

async fn home_page(
    State(app): State<Arc<App>>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    if let Some(chosen) = choose_language(wanted, "/") {
        return Ok(chosen);
    }
    let lang = lang_of(&headers);
    let body = home::fragment(&app, lang).await?;
    Ok(layout(
        &app,
        lang,
        "/",
        html! {
            main #content hx-get="/fragments/home" hx-trigger="every 2s" hx-swap="innerHTML" { (body) }
        },
    )
    .into_response())
}

/// Remembers the language that was asked for, and goes back to the page.
fn choose_language(wanted: Wanted, page: &'static str) -> Option<Response> {
    let lang = Lang::of(&wanted.lang?).tag();
    let cookie = format!("{LANG_COOKIE}={lang}; Path=/; Max-Age=31536000; SameSite=Lax");
    Some(([(header::SET_COOKIE, cookie)], Redirect::to(page)).into_response())
}

async fn home_fragment(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Markup, PageError> {
    Ok(home::fragment(&app, lang_of(&headers)).await?)
}

async fn media(State(app): State<Arc<App>>, Path(hash): Path<String>, request: Request) -> Response {
    app.media.serve(&hash, request).await
}

fn lang_of(headers: &HeaderMap) -> Lang {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookie| cookie.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == LANG_COOKIE).map_or(Lang::Vi, |(_, tag)| Lang::of(tag))
}

/// The frame of every page; `page` is its address.
fn layout(app: &App, lang: Lang, page: &str, content: Markup) -> Markup {
    let texts = crate::TEXTS.of(lang);
    html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="htmx-config" content=(PreEscaped(r#"{&quot;includeIndicatorStyles&quot;:false}"#));
                title { (texts.say("page.title")) " · " (app.settings.commune) }
                link rel="stylesheet" href="/assets/loaxa.css";
                script src="/assets/htmx.js" defer {}
            }
            body {
                header {
                    h1 { (texts.say("page.title")) span.commune { (app.settings.commune) } }
                    nav {
                        @for (address, name) in [("/", "page.home"), ("/sign", "sign.title"), ("/enrol", "enrol.title")] {
                            @if address != page { a href=(address) { (texts.say(name)) } " " }
                        }
                        a href={ (page) "?lang=" (lang.other().tag()) } lang=(lang.other().tag()) { (texts.say("page.other_language")) }
                    }
                }
                (content)
            }
        }
    }
}

/// A line in both languages, for where no page can be drawn.
fn in_both(said: &Sentence) -> String {
    format!("{} · {}\n", said.to(Lang::Vi), said.to(Lang::En))
}

/// What a page can't be drawn for.
struct PageError(StoreError);

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        tracing::error!(error = %self.0, "a page can't be drawn");
        (StatusCode::INTERNAL_SERVER_ERROR, in_both(&said!("page.no_data"))).into_response()
    }
}
