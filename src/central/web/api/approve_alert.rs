//! `POST /cap/alerts/{id}/approve`: the duty officer lets a draft go out.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::alerts::cap_sending;
use crate::app::App;
use crate::web::problem::Problem;
use loaxa_heart::domain::ids::KeyId;

/// The person who signs first; without one, the keys on this server sign.
#[derive(Deserialize)]
pub struct By {
    key: Option<KeyId>,
}

/// Approves a draft.
pub async fn handle(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(By { key }): Query<By>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "alert": cap_sending::approve(&app, id, key).await? })))
}
