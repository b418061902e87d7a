//! `GET /announcements`: the newest announcements.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::range::ROWS;
use crate::app::App;
use crate::store::CommandRow;
use crate::web::problem::Problem;

/// Lists announcements, newest first.
pub async fn handle(State(app): State<Arc<App>>) -> Result<Json<Vec<CommandRow>>, Problem> {
    Ok(Json(app.store.announcements(ROWS).await?))
}
