//! `GET /plays`: what sounded, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};

use super::range::Range;
use crate::app::App;
use crate::store::PlayRow;
use crate::web::problem::Problem;

/// Lists plays, joined from their start and their end.
pub async fn handle(
    State(app): State<Arc<App>>,
    Query(range): Query<Range>,
) -> Result<Json<Vec<PlayRow>>, Problem> {
    Ok(Json(app.store.plays(range.into()).await?))
}
