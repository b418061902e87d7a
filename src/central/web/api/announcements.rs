//! `GET /announcements`: announcements, newest first, page by page.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::next_page::with_next;
use super::range::ROWS;
use crate::app::App;
use crate::orders::refused::Refused;
use crate::store::ROWS_MAX;
use crate::web::problem::Problem;
use loaxa_heart::domain::ids::CommandId;

/// The part of the announcements that is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The last announcement of the page before.
    before: Option<CommandId>,
    limit: Option<u32>,
}

/// Lists announcements. Where there may be more, `Link` names the next page, as RFC 8288 has it.
pub async fn handle(State(app): State<Arc<App>>, Query(asked): Query<Asked>) -> Result<Response, Problem> {
    if let Some(before) = &asked.before
        && app.store.command(before.clone()).await?.is_none()
    {
        return Err(Refused::NoSuchAnnouncement(before.clone()).into());
    }
    let limit = asked.limit.unwrap_or(ROWS).clamp(1, ROWS_MAX);
    let rows = app.store.announcements(asked.before, limit).await?;
    let last = rows.last().filter(|_| rows.len() == limit as usize);
    let next = last.map(|last| format!("announcements?limit={limit}&before={}", last.id));
    Ok(with_next(&rows, next))
}
