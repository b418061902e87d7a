//! CAP alerts over the API.

use std::sync::Arc;

use axum::body::{self, Body};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Problem, bears, has_token};
use crate::app::App;
use crate::cap::{self, NotAlert, Taken};
use crate::cap_sending;
use crate::store::{CapRow, PassedOver};
use loaxa_heart::config::cap::{ALERT_BYTES_MAX, CapError};
use loaxa_heart::decide::cap_intake::Voucher;
use loaxa_heart::domain::ids::KeyId;
use loaxa_heart::said;
use loaxa_heart::texts::Say;

/// Who sends alerts has a token of its own.
pub(super) fn open_routes() -> Router<Arc<App>> {
    Router::new().route("/cap", post(take))
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

/// Shows what was passed over as the alerts are shown: staff look at one list.
fn shown_as_passed_over(passed: &PassedOver) -> Value {
    let alert = json!({ "state": "passed_over", "title": "", "why": passed.why, "why_vi": passed.why_vi });
    json!({ "id": "", "reference": passed.what, "received": passed.last, "alert": alert })
}

/// The token is looked at before the body is read.
async fn take(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let own = app.settings.cap.as_ref().and_then(|cap| cap.token.as_deref());
    let voucher = if has_token(&app, &headers) {
        Voucher::Staff
    } else if own.is_some_and(|token| bears(token, &headers)) {
        Voucher::Token
    } else {
        return Err(Problem { status: StatusCode::UNAUTHORIZED, said: said!("api.alert_token") });
    };
    let read = body::to_bytes(body, ALERT_BYTES_MAX).await;
    let bytes = read.map_err(|_| NotAlert::Bad(CapError::TooLarge))?;
    let (row, taken) = cap::take(&app, voucher, &bytes).await?;
    Ok((StatusCode::ACCEPTED, Json(shown(&row, &taken))))
}

async fn list(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    let taken = cap::list(&app).await?;
    let passed = cap::passed_over(&app).await?;
    let taken = taken.iter().map(|(row, taken)| (row.received, shown(row, taken)));
    let passed = passed.iter().map(|passed| (passed.last, shown_as_passed_over(passed)));
    let mut all: Vec<_> = taken.chain(passed).collect();
    all.sort_by_key(|(received, _)| std::cmp::Reverse(*received));
    Ok(Json(all.into_iter().map(|(_, shown)| shown).collect()))
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
    Ok(Json(json!({ "alert": cap_sending::approve(&app, id, key).await? })))
}
