//! `GET /on-air`: what sounds now, and where.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::boxes::{self, BoxState};
use crate::app::App;
use crate::web::problem::Problem;

/// Lists the plays that the boxes in contact have begun and not ended.
pub async fn handle(State(app): State<Arc<App>>) -> Result<Json<Vec<Value>>, Problem> {
    let sounding = boxes::states(&app).await?.into_iter().filter_map(|BoxState { row, online }| {
        let on_air = row.on_air.filter(|_| online)?;
        Some(json!({ "box": row.id, "box_title": row.title, "play": on_air.play, "title": on_air.title }))
    });
    Ok(Json(sounding.collect()))
}
