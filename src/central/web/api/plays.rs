//! `GET /plays`: what sounded, newest first, page by page.

use std::sync::Arc;

use axum::Json;
use axum::extract::{OriginalUri, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

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
        [(header::LINK, format!("</api/v1/plays?{rest}before={}>; rel=\"next\"", last.cursor))]
    });
    Ok((next, Json(rows)).into_response())
}
