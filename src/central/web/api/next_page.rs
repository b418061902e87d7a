//! The way from a page of a list to the next.

use std::fmt::Display;

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Answers with a page of a list, and names the next one below `/api/v1/`, where there may be one, as RFC 8288 has it.
pub fn with_next(rows: impl Serialize, next: Option<impl Display>) -> Response {
    let link = next.map(|next| [(header::LINK, format!("</api/v1/{next}>; rel=\"next\""))]);
    (link, Json(rows)).into_response()
}
