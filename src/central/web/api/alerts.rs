//! `GET /cap/alerts`: alerts that were taken, and what was passed over.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::alerts::cap;
use crate::alerts::record::Taken;
use crate::app::App;
use crate::store::{CapRow, PassedOver};
use crate::web::problem::Problem;

/// Shows an alert with its reference.
pub fn shown(row: &CapRow, taken: &Taken) -> Value {
    json!({ "id": row.id, "reference": row.reference, "received": row.received, "alert": taken })
}

/// Shows what was passed over as the alerts are shown: staff look at one list.
fn shown_as_passed_over(passed: &PassedOver) -> Value {
    let alert = json!({ "state": "passed_over", "title": "", "why": passed.why, "why_vi": passed.why_vi });
    json!({ "id": "", "reference": passed.what, "received": passed.last, "alert": alert })
}

/// Lists both, newest first.
pub async fn handle(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    let taken = cap::list(&app).await?;
    let passed = cap::passed_over(&app).await?;
    let taken = taken.iter().map(|(row, taken)| (row.received, shown(row, taken)));
    let passed = passed.iter().map(|passed| (passed.last, shown_as_passed_over(passed)));
    let mut all: Vec<_> = taken.chain(passed).collect();
    all.sort_by_key(|(received, _)| std::cmp::Reverse(*received));
    Ok(Json(all.into_iter().map(|(_, shown)| shown).collect()))
}
