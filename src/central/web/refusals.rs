//! Refusals for people: whatever a browser asked for and did not get is said on a page, with a way onwards, whoever refused it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::Value;

use super::access::client;
use super::frame::{Frame, lang_of, refusal_in_words};
use super::session;
use crate::app::App;
use crate::people::sign_in::{self, AskedBy};
use crate::store::at_once;
use loaxa_heart::texts::Lang;

/// Longest words of a refusal that are read, in bytes.
const WORDS_BYTES_MAX: usize = 16 * 1024;
/// Headers of the refusal that its page keeps.
const KEPT: [header::HeaderName; 3] = [header::ALLOW, header::RETRY_AFTER, header::SET_COOKIE];

/// Draws a page in place of a refusal that a person would see as bare words, or as their browser's own page.
pub async fn draw(
    State(app): State<Arc<App>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if !wants_page(request.headers()) {
        return next.run(request).await;
    }
    let (headers, path) = (request.headers().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let (status, kind) = (response.status(), kind_of(&response));
    if !(status.is_client_error() || status.is_server_error()) || kind.starts_with("text/html") {
        return response;
    }
    let kept: Vec<_> =
        KEPT.iter().filter_map(|name| Some((name, response.headers().get(name)?.clone()))).collect();
    let address = client(&app, from, &headers).to_string();
    let who = match session::secret_of(&app, &headers) {
        Some(secret) => at_once(sign_in::who(&app, secret, address, AskedBy::Page)).await.ok().flatten(),
        None => None,
    };
    let frame = Frame::new(lang_of(&headers), who, path);
    let words = match kind.starts_with("application/json") {
        true => told(response.into_body(), frame.lang).await,
        false => None,
    };
    let words = words.unwrap_or_else(|| frame.say(words_for(status)).to_owned());
    let mut page = refusal_in_words(&app, &frame, status, &words);
    page.headers_mut().extend(kept.into_iter().map(|(name, value)| (name.clone(), value)));
    page
}

/// Tells whether a browser asks for a page, and not a script or a program for an answer.
fn wants_page(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text(header::ACCEPT).contains("text/html") && !headers.contains_key("hx-request")
}

fn kind_of(response: &Response) -> String {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.unwrap_or_default().to_owned()
}

/// Reads the reason that a program would be told, in the reader's language.
async fn told(body: Body, lang: Lang) -> Option<String> {
    let bytes = to_bytes(body, WORDS_BYTES_MAX).await.ok()?;
    let told: Value = serde_json::from_slice(&bytes).ok()?;
    let words = told[if lang == Lang::Vi { "error_vi" } else { "error" }].as_str()?;
    Some(words.to_owned())
}

/// The words for a refusal without words.
fn words_for(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "refused.not_found",
        StatusCode::METHOD_NOT_ALLOWED => "refused.method",
        StatusCode::PAYLOAD_TOO_LARGE => "refused.too_large",
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => "refused.forbidden",
        status if status.is_client_error() => "refused.not_read",
        _ => "refused.fault",
    }
}
