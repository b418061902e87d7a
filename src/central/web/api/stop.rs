//! `POST /stop`: ends everything that is not a slot.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};

use super::issued::{By, Issued};
use crate::app::App;
use crate::orders::cancel;
use crate::store::{News, at_once, to_the_end, urgently};
use crate::web::problem::Problem;

/// Ends all live voices and all announcements.
pub async fn handle(State(app): State<Arc<App>>, Query(by): Query<By>) -> Result<Json<Issued>, Problem> {
    app.voices.close_all();
    // Also where the caller hangs up.
    to_the_end(async move {
        let id = at_once(cancel::stop_all(&app, by.author)).await?;
        // Boxes were told; this ends voices that other centrals still take.
        if let Err(error) = urgently(app.store.tell_peers(vec![News::Silence])).await {
            tracing::error!(%error, "other centrals do not know that live voices are to end");
        }
        Ok(Json(Issued { id }))
    })
    .await
}
