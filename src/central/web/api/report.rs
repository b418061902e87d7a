//! `GET /report`: minutes aired by box and section.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;

use crate::app::App;
use crate::store::ReportRow;
use crate::web::problem::Problem;
use loaxa_heart::domain::time::Wall;

/// The time from `from` on and before `to`.
#[derive(Deserialize)]
pub struct Period {
    from: Wall,
    to: Wall,
}

/// Adds plays up.
pub async fn handle(
    State(app): State<Arc<App>>,
    Query(period): Query<Period>,
) -> Result<Json<Vec<ReportRow>>, Problem> {
    Ok(Json(app.store.report(period.from, period.to).await?))
}
