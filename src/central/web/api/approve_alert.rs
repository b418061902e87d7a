//! `POST /cap/alerts/{id}/approve`: the duty officer lets a draft go out.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::foreseen;
use crate::alerts::cap_sending;
use crate::app::App;
use crate::web::problem::Problem;
use loaxa_heart::domain::ids::KeyId;

/// The person who signs first; without one, the keys on this server sign.
#[derive(Deserialize)]
pub struct By {
    key: Option<KeyId>,
    /// Nothing is sent, and the answer says what would become of it.
    #[serde(default)]
    foresee: bool,
}

/// Approves a draft. With `foresee`, it only says what would become of its announcements.
pub async fn handle(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(By { key, foresee }): Query<By>,
) -> Result<Json<Value>, Problem> {
    if foresee {
        let expected = cap_sending::foresee(&app, &id, key).await?;
        let expected: Vec<_> = expected.iter().map(foreseen::of).collect();
        return Ok(Json(json!({ "expected": expected })));
    }
    Ok(Json(json!({ "alert": cap_sending::approve(&app, id, key).await? })))
}
