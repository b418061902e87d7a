//! `POST /announcements/{id}/cancel`: ends one announcement.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};

use super::issued::{By, Issued};
use crate::app::App;
use crate::orders::cancel;
use crate::store::{at_once, to_the_end};
use crate::web::problem::Problem;
use loaxa_heart::domain::ids::CommandId;

/// Cancels an announcement.
pub async fn handle(
    State(app): State<Arc<App>>,
    Path(id): Path<CommandId>,
    Query(by): Query<By>,
) -> Result<Json<Issued>, Problem> {
    // Also where the caller hangs up.
    let cancelled = to_the_end(at_once(async move { cancel::cancel(&app, id, by.author).await }));
    Ok(Json(Issued { id: cancelled.await? }))
}
