//! `GET /cap/alerts`: alerts that were taken, page by page, and what was passed over.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::next_page::with_next;
use crate::alerts::cap;
use crate::alerts::record::Taken;
use crate::app::App;
use crate::store::{CapRow, PassedOver, ROWS_MAX};
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

/// The part of the alerts that is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The last alert of the page before.
    before: Option<String>,
    limit: Option<u32>,
}

/// Lists both, newest first; what was passed over is on the first page. Where there may be more, `Link` names the next page,
/// as RFC 8288 has it.
pub async fn handle(State(app): State<Arc<App>>, Query(asked): Query<Asked>) -> Result<Response, Problem> {
    let limit = asked.limit.unwrap_or(ROWS_MAX).clamp(1, ROWS_MAX);
    let is_first = asked.before.is_none();
    let page = cap::list(&app, asked.before, limit).await?;
    let passed = if is_first { cap::passed_over(&app).await? } else { Vec::new() };
    let taken = page.alerts.iter().map(|(row, taken)| (row.received, shown(row, taken)));
    let passed = passed.iter().map(|passed| (passed.last, shown_as_passed_over(passed)));
    let mut all: Vec<_> = taken.chain(passed).collect();
    all.sort_by_key(|(received, _)| std::cmp::Reverse(*received));
    let all: Vec<Value> = all.into_iter().map(|(_, shown)| shown).collect();
    Ok(with_next(all, page.next.map(|id| format!("cap/alerts?limit={limit}&before={id}"))))
}
