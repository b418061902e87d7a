//! CAP alerts over the API.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Problem, bears, has_token};
use crate::app::App;
use crate::cap::{self, NotAlert, Taken};
use crate::store::CapRow;
use loaxa_heart::config::cap::ALERT_BYTES_MAX;
use loaxa_heart::domain::ids::KeyId;
use loaxa_heart::said;
use loaxa_heart::texts::Say;

/// Who sends alerts has a token of its own.
pub(super) fn open_routes() -> Router<Arc<App>> {
    Router::new().route("/cap", post(take).layer(DefaultBodyLimit::max(ALERT_BYTES_MAX + 1)))
}

/// For staff's programs only.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/cap/alerts", get(list)).route("/cap/alerts/{id}/approve", post(approve))
}

impl From<NotAlert> for Problem {
    fn from(not: NotAlert) -> Self {
        let status = match not {
            NotAlert::Refused(refused) => return refused.into(),
            NotAlert::NotTaken(not) => return not.into(),
            NotAlert::Store(error) => return error.into(),
            NotAlert::Off | NotAlert::NotADraft | NotAlert::Over => StatusCode::CONFLICT,
            NotAlert::NoSuch(_) => StatusCode::NOT_FOUND,
            NotAlert::Bad(_) | NotAlert::Unsigned(_) | NotAlert::CancelByKey => StatusCode::BAD_REQUEST,
        };
        Self { status, said: not.say() }
    }
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
        return Err(Problem { status: StatusCode::UNAUTHORIZED, said: said!("api.alert_token") });
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
