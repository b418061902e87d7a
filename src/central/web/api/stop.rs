//! `POST /stop`: ends everything that is not a slot.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};

use super::issued::{By, Issued};
use crate::app::App;
use crate::orders::cancel;
use crate::web::problem::Problem;

/// Ends all live voices and all announcements.
pub async fn handle(State(app): State<Arc<App>>, Query(by): Query<By>) -> Result<Json<Issued>, Problem> {
    app.voices.close_all();
    Ok(Json(Issued { id: cancel::stop_all(&app, by.author).await? }))
}
