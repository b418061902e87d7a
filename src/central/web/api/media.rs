//! `GET /media/{hash}`: what is known of an audio file.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use super::audio::Told;
use crate::app::App;
use crate::orders::refused::Refused;
use crate::web::problem::Problem;
use loaxa_heart::domain::ids::ContentHash;

/// Describes the audio of a hash.
pub async fn handle(
    State(app): State<Arc<App>>,
    Path(hash): Path<ContentHash>,
) -> Result<Json<Told>, Problem> {
    let row = app.store.media(hash).await?;
    Ok(Json(row.ok_or_else(|| Refused::NoSuchMedia(hash.to_string()))?.into()))
}
