//! CAP alerts over the API.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::alerts::cap::{self, Taken};
use crate::app::App;
use crate::store::CapRow;
use crate::web::access::{bears, has_token};
use crate::web::problem::Problem;
use loaxa_heart::config::cap::ALERT_BYTES_MAX;
use loaxa_heart::domain::ids::KeyId;

/// Who sends alerts has a token of its own.
pub(super) fn open_routes() -> Router<Arc<App>> {
    Router::new().route("/cap", post(take).layer(DefaultBodyLimit::max(ALERT_BYTES_MAX + 1)))
}

/// For staff's programs only.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/cap/alerts", get(list)).route("/cap/alerts/{id}/approve", post(approve))
}

fn shown(row: &CapRow, taken: &Taken) -> Value {
    json!({ "id": row.id, "reference": row.reference, "received": row.received, "alert": taken })
}

async fn take(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let own = app.settings.cap.as_ref().and_then(|cap| cap.token.as_deref());
    if !has_token(&app, &headers) && !own.is_some_and(|token| bears(token, &headers)) {
        return Err(Problem {
            status: StatusCode::UNAUTHORIZED,
            en: "alerts are taken with the token for them in 'Authorization: Bearer ...'".to_owned(),
            vi: "cần mã truy cập dành cho cảnh báo trong tiêu đề 'Authorization: Bearer ...'".to_owned(),
        });
    }
    let (row, taken) = cap::take(&app, &body).await?;
    Ok((StatusCode::ACCEPTED, Json(shown(&row, &taken))))
}

async fn list(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    let rows = cap::list(&app).await?;
    Ok(Json(rows.iter().map(|(row, taken)| shown(row, taken)).collect()))
}

#[derive(Deserialize)]
struct By {
    key: Option<KeyId>,
}

async fn approve(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(By { key }): Query<By>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "alert": cap::approve(&app, id, key).await? })))
}
