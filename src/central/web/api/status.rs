//! `GET /status`: whether central reaches its broker, and what it has counted.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::app::{App, Counts};
use loaxa_heart::texts::Sentence;

/// The state of this process.
#[derive(Serialize)]
pub struct Status {
    /// Central is connected to its broker.
    connected: bool,
    /// The trouble of the centre's disk, in both languages.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<Wrong>,
    since_start: Counts,
}

/// A sentence in both languages.
#[derive(Serialize)]
pub struct Wrong {
    en: String,
    vi: String,
}

/// Tells the state of this process.
pub async fn handle(State(app): State<Arc<App>>) -> Json<Status> {
    let wrong = |said: Sentence| {
        let (en, vi) = said.in_both();
        Wrong { en, vi }
    };
    let disk = app.disk.state().say().map(wrong);
    Json(Status { connected: app.outbound.is_connected(), disk, since_start: app.counts() })
}
