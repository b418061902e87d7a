//! Pages and API over HTTP, and who may ask for what.

mod access;
mod api;
pub mod doors;
mod elsewhere;
mod entity_tag;
mod errand;
mod events;
mod form;
mod frame;
mod hosts;
mod live_audio;
mod local_time;
mod pace;
mod pages;
mod parts;
mod problem;
mod public;
mod refusals;
mod report_file;
mod server;
mod session;
mod shared;
pub mod texts;
pub mod tls;
mod words;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::app::{App, Counters};
use hosts::Hosts;
use tls::Certificates;

/// The listener of page and API, and what belongs to it.
pub struct Door {
    pub listener: TcpListener,
    pub certificates: Option<Certificates>,
    /// The names that this server answers to.
    pub names: Vec<String>,
}

/// Answers requests until `stopped` resolves, and those that are open by then to their end.
pub async fn serve(door: Door, app: Arc<App>, stopped: oneshot::Receiver<()>) {
    let Door { listener, certificates, names } = door;
    let proxies = app.settings.page.proxies.clone();
    let hosts = Arc::new(Hosts { names, tls: app.is_behind_tls() });
    let routes = routes(Arc::clone(&app))
        .layer(middleware::map_response_with_state(Arc::clone(&app), count_refused_methods))
        .layer(middleware::from_fn_with_state(app, refusals::draw))
        .layer(middleware::from_fn(errand::run))
        .layer(middleware::from_fn_with_state(hosts, hosts::guard));
    server::serve(listener, certificates, routes, proxies, stopped).await;
}

fn routes(app: Arc<App>) -> Router {
    pages::routes(Arc::clone(&app)).merge(live_audio::routes(Arc::clone(&app))).merge(api::routes(app))
}

/// Counts requests by a method that is not taken: nobody's browser sends them, and programs that look for holes do.
async fn count_refused_methods(State(app): State<Arc<App>>, response: Response) -> Response {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        Counters::more(&app.counters.methods_refused, 1);
    }
    response
}

/// Every address of a page with who may pass its door.
pub fn page_doors() -> Vec<(&'static str, doors::Needs)> {
    pages::pages().doors()
}
