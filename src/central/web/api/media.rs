//! `GET /media/{hash}`: what is known of an audio file.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use crate::app::App;
use crate::orders::refused::Refused;
use crate::store::MediaRow;
use crate::web::problem::Problem;
use loaxa_heart::domain::ids::ContentHash;

/// Describes the audio of a hash.
pub async fn handle(
    State(app): State<Arc<App>>,
    Path(hash): Path<ContentHash>,
) -> Result<Json<MediaRow>, Problem> {
    let row = app.store.media(hash).await?;
    Ok(Json(row.ok_or_else(|| Refused::NoSuchMedia(hash.to_string()))?))
}
