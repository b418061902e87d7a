//! The script of the pages on which people sign in: passkeys, and passwords shown as they are typed.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::app::App;
use crate::web::frame::asset;

const SIGN_IN: &str = include_str!("../../assets/sign_in.js");

/// The address of the script.
pub const PATH: &str = "/assets/sign_in.js";

pub fn assets() -> Router<Arc<App>> {
    Router::new().route(PATH, get(|| async { asset("text/javascript", SIGN_IN) }))
}
