//! `GET /boxes`: all boxes with what is known of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::app::App;
use crate::store::{BoxRow, StoreError};
use crate::web::problem::Problem;

/// A box as it is known, and whether it can be reached.
#[derive(Serialize)]
pub struct BoxState {
    #[serde(flatten)]
    pub row: BoxRow,
    /// The box has spoken lately.
    pub online: bool,
}

/// Reads all boxes, by id.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn states(app: &App) -> Result<Vec<BoxState>, StoreError> {
    let now = app.now();
    let rows = app.store.boxes().await?.into_iter();
    Ok(rows.map(|row| BoxState { online: row.is_online(now), row }).collect())
}

/// Lists the boxes.
pub async fn handle(State(app): State<Arc<App>>) -> Result<Json<Vec<BoxState>>, Problem> {
    Ok(Json(states(&app).await?))
}
