//! `POST /drafts/{id}/signatures`: takes a person's signature.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::JsonBody;
use super::foreseen;
use crate::app::App;
use crate::orders::cosigning::{self, NotTaken};
use crate::store::{at_once, to_the_end};
use crate::web::access::signature_of;
use crate::web::problem::Problem;
use loaxa_heart::domain::ids::{CommandId, KeyId};

/// A signature over the payload of a draft.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    key: KeyId,
    /// Base64.
    signature: String,
}

/// Adds a signature, which itself shows who asks.
pub async fn handle(
    State(app): State<Arc<App>>,
    Path(id): Path<CommandId>,
    JsonBody(Signed { key, signature }): JsonBody<Signed>,
) -> Result<Json<Value>, Problem> {
    let signature = signature_of(&signature).ok_or_else(|| NotTaken::BadSignature(key.clone()))?;
    let (central, draft) = (Arc::clone(&app), id.clone());
    let signed = async move { cosigning::sign(&central, draft, key, signature).await };
    // The order goes out also where the caller hangs up.
    let sent = to_the_end(at_once(signed)).await?;
    let expected = if sent { foreseen::expected(&app, &id).await } else { None };
    Ok(Json(json!({ "sent": sent, "expected": expected })))
}
