//! `GET /anchors`: the daily hash of all logs, page by page.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use chrono::NaiveDate;
use serde::Deserialize;

use super::next_page::with_next;
use crate::app::App;
use crate::store::ROWS_MAX;
use crate::web::problem::Problem;

/// The part of the anchors that is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The day of the last anchor of the page before.
    before: Option<NaiveDate>,
    limit: Option<u32>,
    /// Asks for the lines that were hashed, too.
    #[serde(default = "yes")]
    heads: bool,
}

const fn yes() -> bool {
    true
}

/// Lists anchors, latest first; today's is made where it is not there yet. Where there are more, `Link` names the next page,
/// as RFC 8288 has it.
pub async fn handle(State(app): State<Arc<App>>, Query(asked): Query<Asked>) -> Result<Response, Problem> {
    let Asked { before, limit, heads } = asked;
    if before.is_none() {
        let now = app.now();
        app.store.keep_anchor(now.date(), now).await?;
    }
    let limit = limit.unwrap_or(ROWS_MAX).clamp(1, ROWS_MAX);
    let page = app.store.anchors(before, heads, limit).await?;
    let next = page.next.map(|day| format!("anchors?limit={limit}&heads={heads}&before={day}"));
    Ok(with_next(page.anchors, next))
}
