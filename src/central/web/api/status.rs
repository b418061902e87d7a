//! `GET /status`: whether central reaches its broker, and what it has counted.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::app::{App, Counts};

/// The state of this process.
#[derive(Serialize)]
pub struct Status {
    /// Central is connected to its broker.
    connected: bool,
    since_start: Counts,
}

/// Tells the state of this process.
pub async fn handle(State(app): State<Arc<App>>) -> Json<Status> {
    Json(Status { connected: app.outbound.is_connected(), since_start: app.counts() })
}
