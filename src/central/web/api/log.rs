//! `GET /log`: log entries in the order of their arrival.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::Serialize;

use super::range::Range;
use crate::app::App;
use crate::store::LogRow;
use crate::web::problem::Problem;

/// Entries, and where the next page begins.
#[derive(Serialize)]
pub struct LogPage {
    entries: Vec<LogRow>,
    /// The `after` of the next question.
    next: Option<i64>,
}

/// Lists entries.
pub async fn handle(
    State(app): State<Arc<App>>,
    Query(range): Query<Range>,
) -> Result<Json<LogPage>, Problem> {
    let entries = app.store.log(range.into()).await?;
    Ok(Json(LogPage { next: entries.last().map(|row| row.cursor), entries }))
}
