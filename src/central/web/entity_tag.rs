//! Entity tags: whoever has an answer already is not sent it again.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use loaxa_heart::domain::ids::ContentHash;

/// Digits of an entity tag.
const DIGITS: usize = 32;

/// The tag of an answer with this body.
pub fn of(body: &[u8]) -> String {
    let mut digits = ContentHash::of(body).to_string();
    digits.truncate(DIGITS);
    format!("\"{digits}\"")
}

/// Tells whether whoever asks has the answer of this tag.
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known
        .flat_map(|tags| tags.split(','))
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == tag || known == "*")
}

/// Answers a page that asks by itself with what it has, where nothing has changed.
pub async fn spare_fragments(request: Request, next: Next) -> Response {
    let is_fragment = request.method() == Method::GET && request.uri().path().starts_with("/fragments/");
    let headers = is_fragment.then(|| request.headers().clone());
    let response = next.run(request).await;
    match headers {
        Some(headers) if response.status() == StatusCode::OK => spare(&headers, response).await,
        _ => response,
    }
}

async fn spare(headers: &HeaderMap, response: Response) -> Response {
    let (mut about, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let tag = of(&body);
    let is_known = is_known(headers, &tag);
    about.headers.insert(header::ETAG, HeaderValue::from_str(&tag).expect("digits are in a header"));
    // The browser asks each time, and what it kept is for nobody else.
    about.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    about.headers.insert(header::VARY, HeaderValue::from_static("Cookie"));
    if is_known {
        about.status = StatusCode::NOT_MODIFIED;
        about.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(about, Body::empty());
    }
    Response::from_parts(about, Body::from(body))
}
