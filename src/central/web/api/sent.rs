//! The answer of everything that sends a document.

use axum::Json;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::orders::documents::Sent;
use crate::web::problem::Problem;

/// Says which document was sent, in which version, by which command.
pub fn sent(Sent { id, name, version }: Sent) -> (StatusCode, Json<Value>) {
    (StatusCode::CREATED, Json(json!({ "id": id, "document": name.to_string(), "version": version })))
}

/// An answer to a document.
pub type Answer = Result<(StatusCode, Json<Value>), Problem>;
