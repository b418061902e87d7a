//! `POST /cap`: takes an alert from who has the token for them.

use loaxa_heart::said;
use std::sync::Arc;

use axum::Json;
use axum::body::{self, Body};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::alerts::shown;
use crate::alerts::cap;
use crate::alerts::record::NotAlert;
use crate::app::App;
use crate::store::Scope;
use crate::web::access::{CameFrom, bears, scope_of};
use crate::web::problem::Problem;
use loaxa_heart::config::cap::{ALERT_BYTES_MAX, CapError};
use loaxa_heart::decide::cap_intake::Voucher;

/// Takes an alert; the token is looked at before the body is read.
pub async fn handle(
    State(app): State<Arc<App>>,
    from: CameFrom,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let own = app.settings.cap.as_ref().and_then(|cap| cap.token.as_deref());
    let voucher = if own.is_some_and(|token| bears(token, &headers)) {
        Voucher::Token
    } else if scope_of(&app, &headers, from).await? >= Some(Scope::Announce) {
        Voucher::Staff
    } else {
        return Err(Problem { status: StatusCode::UNAUTHORIZED, said: said!("api.alert_token") });
    };
    let read = body::to_bytes(body, ALERT_BYTES_MAX).await;
    let bytes = read.map_err(|_| NotAlert::Bad(CapError::TooLarge))?;
    let (row, taken) = cap::take(&app, voucher, &bytes).await?;
    Ok((StatusCode::ACCEPTED, Json(shown(&row, &taken))))
}
