//! `GET /anchors`: the daily hash of all logs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::app::App;
use crate::store::{Anchor, ROWS_MAX};
use crate::web::problem::Problem;

/// Lists anchors, latest first; today's is made where it is not there yet.
pub async fn handle(State(app): State<Arc<App>>) -> Result<Json<Vec<Anchor>>, Problem> {
    let now = app.now();
    app.store.keep_anchor(now.date(), now).await?;
    Ok(Json(app.store.anchors(ROWS_MAX).await?))
}
