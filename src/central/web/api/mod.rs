//! The API for programs and for the command line; `assets/openapi.json` describes it.

mod airings;
mod alerts;
mod anchors;
mod announce;
mod announcement;
mod announcements;
mod approve_alert;
mod audio;
mod body;
mod boxes;
mod cancel;
mod documents;
mod draft;
mod drafts;
mod enrol;
mod export;
mod foreseen;
mod groups;
mod invite;
mod issued;
mod list_groups;
mod local_emergency;
mod log;
mod media;
mod metrics;
mod next_page;
mod on_air;
mod openapi;
mod plays;
mod policy;
mod prepared;
mod programme;
mod range;
mod report;
mod reports;
mod revoke;
mod sent;
mod sign;
pub mod software;
mod software_build;
mod speak;
mod status;
mod stop;
mod take_alert;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};

use crate::app::App;
use crate::store::Scope;
use crate::web::access;
use crate::web::problem::plain_as_problem;
use loaxa_heart::wire::codec::MEDIA_BYTES_MAX;

/// Largest request that carries no audio, and room for the fields beside the audio of one that does.
const FIELDS_BYTES_MAX: usize = 256 * 1024;
/// Largest request of a box that enrols.
const ENROL_BYTES_MAX: usize = 4 * 1024;
/// Largest request that carries a signature.
const SIGNATURE_BYTES_MAX: usize = 4 * 1024;

/// The routes under `/api/v1`.
pub fn routes(app: Arc<App>) -> Router {
    let guarded = |routes: Router<Arc<App>>, needed: Scope| {
        let state = (Arc::clone(&app), needed);
        routes.route_layer(middleware::from_fn_with_state(state, access::let_token_in))
    };
    let routes = guarded(reading(), Scope::Read)
        .merge(guarded(announcing(), Scope::Announce))
        .merge(guarded(administration(), Scope::Admin))
        .merge(open());
    let routes = routes.layer(middleware::map_response(plain_as_problem));
    Router::new().nest("/api/v1", routes.layer(middleware::map_response(as_attachment))).with_state(app)
}

/// Has browsers keep an answer as a file instead of showing it as a page.
async fn as_attachment(mut response: Response) -> Response {
    let attachment = HeaderValue::from_static("attachment; filename=\"api.json\"");
    response.headers_mut().entry(header::CONTENT_DISPOSITION).or_insert(attachment);
    response
}

/// Routes that tell what is, what was and what was ordered.
fn reading() -> Router<Arc<App>> {
    Router::new()
        .route("/announcements", get(announcements::handle))
        .route("/announcements/{id}", get(announcement::handle))
        .route("/media/{hash}", get(media::handle))
        .route("/groups", get(list_groups::handle))
        .route("/documents", get(documents::handle))
        .route("/cap/alerts", get(alerts::handle))
        .route("/boxes", get(boxes::handle))
        .route("/on-air", get(on_air::handle))
        .route("/plays", get(plays::handle))
        .route("/log", get(log::handle))
        .route("/export", get(export::handle))
        .route("/report", get(report::handle))
        .route("/reports", get(reports::handle))
        .route("/airings", get(airings::handle))
        .route("/anchors", get(anchors::handle))
        .route("/software", get(software::show))
        .route("/status", get(status::handle))
        .route("/metrics", get(metrics::handle))
}

/// Routes that make boxes speak, or end it.
fn announcing() -> Router<Arc<App>> {
    let with_audio = DefaultBodyLimit::max(MEDIA_BYTES_MAX as usize + FIELDS_BYTES_MAX);
    Router::new()
        .route("/announcements", post(announce::handle).layer(with_audio))
        .route("/announcements/{id}/cancel", post(cancel::handle))
        .route("/stop", post(stop::handle))
        // Bounded by the longest session.
        .route("/live", post(speak::handle).layer(DefaultBodyLimit::disable()))
        .route("/media", post(upload::handle))
        .route("/cap/alerts/{id}/approve", post(approve_alert::handle))
}

/// Routes that change what boxes do by themselves, or take boxes in and shut them out.
fn administration() -> Router<Arc<App>> {
    let with_fields = DefaultBodyLimit::max(FIELDS_BYTES_MAX);
    Router::new()
        .route("/programmes", post(programme::handle).layer(with_fields))
        .route("/policies", post(policy::handle))
        .route("/local-emergencies", post(local_emergency::handle))
        .route("/prepared", post(prepared::handle).layer(with_fields))
        .route("/groups", post(groups::handle))
        .route("/software", post(software::publish))
        .route("/software/builds", post(software_build::handle))
        .route("/enrolments", post(invite::handle))
        .route("/boxes/{id}/revoke", post(revoke::handle))
}

/// Routes without the token: each finds out by itself who is asking.
fn open() -> Router<Arc<App>> {
    let with_fields = DefaultBodyLimit::max(FIELDS_BYTES_MAX);
    Router::new()
        .route("/drafts", get(drafts::handle).post(draft::handle).layer(with_fields))
        .route(
            "/drafts/{id}/signatures",
            post(sign::handle).layer(DefaultBodyLimit::max(SIGNATURE_BYTES_MAX)),
        )
        .route("/cap", post(take_alert::handle))
        .route("/openapi.json", get(openapi::handle))
        .route("/enrol", post(enrol::handle).layer(DefaultBodyLimit::max(ENROL_BYTES_MAX)))
}
