//! The pages for people: Vietnamese first, plain HTML that refreshes itself, nothing from elsewhere.

mod alarms;
mod boxes;
mod class;
mod emergency;
mod exercise;
mod feedback;
mod live;
mod log;
mod notices;
mod overview;
mod own_key;
mod people;
mod point;
mod received;
mod reports;
mod roster;
mod settings;
mod sign;
mod software;
mod training;
mod trouble;
mod week;
mod whole_commune;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::doors::Pages;
use super::events;
use super::frame::asset;
use super::public;
use crate::app::App;
use crate::disk::DiskState;
use crate::store::within;
use crate::web::entity_tag;
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;
use loaxa_heart::texts::Say;

/// The content policy of all pages: nothing from other servers, and no inline script or style.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     media-src 'self' blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Published htmx but for its `version`, which is left empty: nobody needs to know it.
/// After it idiomorph: parts that come anew change only what differs, so focus and selection stay where they are.
const HTMX: &str = concat!(
    include_str!("../assets/htmx-2.0.11.min.js"),
    "\n",
    include_str!("../assets/idiomorph-ext-0.8.0.min.js")
);
const STYLE: &str = include_str!("../assets/loaxa.css");
const FRAME: &str = include_str!("../assets/frame.js");
const LIVE: &str = include_str!("../assets/live.js");

/// Largest form of a page, in bytes.
const FORM_BYTES_MAX: usize = 256 * 1024;

/// All pages with their doors.
pub fn pages() -> Pages {
    [
        overview::add,
        alarms::add,
        boxes::add,
        emergency::add,
        exercise::add,
        feedback::add,
        public::add,
        live::add,
        log::add,
        notices::add,
        people::add,
        received::add,
        reports::add,
        roster::add,
        settings::add,
        sign::add,
        software::add,
        training::add,
        week::add,
        events::add,
    ]
    .into_iter()
    .fold(Pages::default(), |pages, add| add(pages))
}

/// The pages, their fragments and what they are drawn with, and the media that boxes fetch.
pub fn routes(app: Arc<App>) -> Router {
    pages()
        .into_router(&app)
        .layer(middleware::from_fn(entity_tag::spare_fragments))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .merge(sign::assets())
        .merge(notices::assets())
        .merge(emergency::assets())
        .merge(live::assets())
        .merge(people::assets())
        .merge(public::assets())
        .merge(week::assets())
        .merge(reports::assets())
        .route("/media/{hash}", get(media))
        .route("/assets/htmx.js", get(|| async { asset("text/javascript", HTMX) }))
        .route("/assets/frame.js", get(|| async { asset("text/javascript", FRAME) }))
        .route("/assets/live.js", get(|| async { asset("text/javascript", LIVE) }))
        .route("/assets/loaxa.css", get(|| async { asset("text/css", STYLE) }))
        .route("/healthz", get(healthz))
        .layer(middleware::map_response(add_headers))
        .with_state(app)
}

async fn add_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// Time after which a database server that does not answer counts as gone; a slow one is slow.
const REACHED_WITHIN: Span = Span::secs(5);

/// Time without the broker after which others are to be asked in place of this central.
const BROKER_LOST_MAX: Span = Span::secs(8);

/// Tells programs that watch this server whether it can keep what it is told; the reason, where it can't.
async fn healthz(State(app): State<Arc<App>>) -> Response {
    let full = Some(app.disk.state()).filter(|state| state.is_full()).and_then(DiskState::say);
    let fault = match full {
        Some(full) => Some(full),
        None if let Some(seconds) = app.clock.off(monotonic()) => {
            Some(said!("machine_clock.off", minutes = seconds.unsigned_abs() / 60))
        }
        None if app.store.has_peers() && app.outbound.lost_for(monotonic()) >= BROKER_LOST_MAX => {
            Some(said!("no_broker.lost"))
        }
        None => within(REACHED_WITHIN, app.store.reach()).await.err().map(|error| error.say()),
    };
    match fault {
        None => "ok\n".into_response(),
        Some(said) => {
            let (en, vi) = said.in_both();
            (StatusCode::SERVICE_UNAVAILABLE, format!("{en}\n{vi}\n")).into_response()
        }
    }
}

async fn media(State(app): State<Arc<App>>, Path(hash): Path<String>, request: Request) -> Response {
    app.media.serve(&hash, request).await
}
