//! `GET /openapi.json`: the description of the API.

use axum::http::header;
use axum::response::IntoResponse;

/// Gives the document that describes the API; whoever reads it needs no token.
pub async fn handle() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("../assets/openapi.json"))
}
