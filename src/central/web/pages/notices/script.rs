//! The script that the browser adds to the page to write on: `assets/compose.js`.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::app::App;
use crate::web::frame::asset;

const COMPOSE: &str = include_str!("../../assets/compose.js");

/// The address of the script.
pub const PATH: &str = "/assets/compose.js";

pub fn assets() -> Router<Arc<App>> {
    Router::new().route("/assets/compose.js", get(|| async { asset("text/javascript", COMPOSE) }))
}
