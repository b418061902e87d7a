//! `GET /export`: the log as the boxes wrote and signed it, for others to check.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::range::Range;
use crate::app::App;
use crate::store::{LogFilter, LogRow, PrunedLog, ROWS_MAX};
use crate::web::problem::Problem;

/// The cursor of the next page.
const NEXT_CURSOR: &str = "x-next-cursor";

/// Writes the exact bodies, one a line, and behind them what the box signed of its log; the header says where the next page
/// begins. The first page of whole logs begins with where their beginning was deleted.
pub async fn handle(State(app): State<Arc<App>>, Query(range): Query<Range>) -> Result<Response, Problem> {
    let is_whole = range.is_from_the_beginning();
    let filter = LogFilter { limit: range.limit.unwrap_or(ROWS_MAX).min(ROWS_MAX), ..range.into() };
    let of = filter.id.clone();
    let rows = app.store.log(filter).await?;
    let pruned = if is_whole { app.store.pruned_logs().await? } else { Vec::new() };
    let pruned = pruned.iter().filter(|log| of.as_ref().is_none_or(|id| log.id == *id));
    let next = rows.last().map(|row| HeaderValue::from(row.cursor));
    let head = |head: String| format!("{{\"head\":{head}}}\n");
    let line = |row: LogRow| row.body + "\n" + &row.head.map(head).unwrap_or_default();
    let lines: String = pruned.map(PrunedLog::lines).chain(rows.into_iter().map(line)).collect();
    let mut response = ([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response();
    if let Some(next) = next {
        response.headers_mut().insert(NEXT_CURSOR, next);
    }
    Ok(response)
}
