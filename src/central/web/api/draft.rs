//! `POST /drafts`: drafts a command for people to sign.

use loaxa_heart::said;
use std::sync::Arc;

use axum::Json;
use axum::body::{self, Body};
use axum::extract::{OriginalUri, Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::foreseen;
use crate::app::App;
use crate::orders::cosigning::{self, DraftAsked, Drafter};
use crate::web::access::{self, SignedParts};
use crate::web::problem::Problem;

/// Largest draft.
const DRAFT_BYTES_MAX: usize = 256 * 1024;

/// The question of somebody who wants to know beforehand.
#[derive(Deserialize)]
pub struct Asks {
    #[serde(default)]
    foresee: bool,
}

/// Makes a draft; the signature of the request shows who asks. Of a stranger no body is read. With `foresee`, it only says
/// what would become of the order.
pub async fn handle(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    Query(Asks { foresee }): Query<Asks>,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    access::signature_is_plausible(&app, &headers)?;
    let body = body::to_bytes(body, DRAFT_BYTES_MAX).await;
    let body = body.map_err(|error| Problem::bad(said!("api.draft", error)))?;
    let asked_by = SignedParts { method, path: access::signed_path(&uri), headers, body };
    let issuer = asked_by.signer(&app).await?;
    let unreadable = |error: serde_json::Error| Problem::bad(said!("api.draft", error));
    let asked: DraftAsked = serde_json::from_slice(&asked_by.body).map_err(unreadable)?;
    if foresee {
        let expected = cosigning::foresee(&app, issuer, asked).await?;
        return Ok((StatusCode::OK, Json(json!({ "expected": expected.as_ref().map(foreseen::of) }))));
    }
    let id = cosigning::make(&app, Drafter::Person, issuer, asked).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}
