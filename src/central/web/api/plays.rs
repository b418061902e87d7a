//! `GET /plays`: what sounded, newest first, page by page.

use std::sync::Arc;

use axum::extract::{OriginalUri, Query, State};
use axum::response::Response;

use super::next_page::with_next;
use super::range::Range;
use crate::app::App;
use crate::store::LogFilter;
use crate::web::problem::Problem;

/// Lists plays, joined from their start and their end. Where there may be more, `Link` names the next page, as RFC 8288 has it.
pub async fn handle(
    State(app): State<Arc<App>>,
    OriginalUri(asked): OriginalUri,
    Query(range): Query<Range>,
) -> Result<Response, Problem> {
    let filter: LogFilter = range.into();
    let limit = filter.limit as usize;
    let rows = app.store.plays(filter).await?;
    let last = rows.last().filter(|_| rows.len() >= limit);
    let next = last.map(|last| {
        let asked = asked.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let rest = asked.filter(|pair| !pair.starts_with("before="));
        let rest: String = rest.map(|pair| format!("{pair}&")).collect();
        format!("plays?{rest}before={}", last.cursor)
    });
    Ok(with_next(&rows, next))
}
