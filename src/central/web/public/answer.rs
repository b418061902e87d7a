//! Answers that caches may keep, and that pages of other sites may read.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::web::entity_tag;

/// Answers with something that caches may keep, or says that it is what whoever asks has already.
pub fn cached(headers: &HeaderMap, kind: &'static str, seconds: u32, body: String) -> Response {
    let tag = entity_tag::of(body.as_bytes());
    let is_known = entity_tag::is_known(headers, &tag);
    let about = [
        (header::CACHE_CONTROL, format!("public, max-age={seconds}")),
        (header::ETAG, tag),
        // The language is the reader's.
        (header::VARY, "Cookie".to_owned()),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, [(header::CONTENT_TYPE, kind)], body).into_response()
}

/// Lets pages of other sites read the answer: everybody may know it.
pub fn allow_other_sites(answer: &mut Response) {
    let everybody = HeaderValue::from_static("*");
    answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, everybody);
}
