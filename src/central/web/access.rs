//! Access: programs show a token, people a signature, and readers of pages sit at this machine.

use loaxa_heart::said;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::problem::Problem;
use super::words;
use crate::app::App;
use crate::orders::signed_request::SignedRequest;
use loaxa_heart::domain::ids::KeyId;
use loaxa_heart::wire::request::{
    KEY_HEADER, NONCE_HEADER, Request as Parts, SIGNATURE_HEADER, TIME_HEADER, is_nonce,
};
use loaxa_heart::wire::signing::SIGNATURE_BYTES;

/// Tells whether a request carries the API's token.
pub fn has_token(app: &App, headers: &HeaderMap) -> bool {
    bears(&app.settings.token, headers)
}

/// Tells whether a request carries this token; compared in constant time.
pub fn bears(token: &str, headers: &HeaderMap) -> bool {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(sent) = sent.and_then(|value| value.strip_prefix("Bearer ")) else { return false };
    let (sent, token) = (sent.trim().as_bytes(), token.as_bytes());
    let same_bytes = sent.iter().zip(token).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0;
    !token.is_empty() && sent.len() == token.len() && same_bytes
}

/// Lets in only requests with the token.
pub async fn let_token_in(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if has_token(&app, request.headers()) {
        return next.run(request).await;
    }
    let refusal = Problem { status: StatusCode::UNAUTHORIZED, said: said!("api.token") };
    refusal.into_response()
}

/// Lets readers in: until people have accounts, those on this machine and those with the token.
pub async fn let_readers_in(
    State(app): State<Arc<App>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if from.ip().is_loopback() || has_token(&app, request.headers()) {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, words::in_both(&said!("page.only_here"))).into_response()
}

/// The parts of a request that a person's signature covers.
pub struct SignedParts {
    pub method: Method,
    /// Path with the query, if there is one.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl SignedParts {
    /// Finds the person who signed the request.
    ///
    /// # Errors
    /// Fails when the signature is absent, false, of an unknown key, or not of now, or the request was taken before.
    pub fn signer(&self, app: &App) -> Result<KeyId, Problem> {
        let header = |name| self.headers.get(name).and_then(|value| value.to_str().ok());
        let key = header(KEY_HEADER).and_then(|text| text.parse().ok());
        let at = header(TIME_HEADER).and_then(|text| text.parse().ok());
        let nonce = header(NONCE_HEADER).filter(|nonce| is_nonce(nonce));
        let signature = header(SIGNATURE_HEADER).and_then(signature_of);
        let (Some(key), Some(at), Some(nonce), Some(signature)) = (key, at, nonce, signature) else {
            return Err(Problem {
                status: StatusCode::UNAUTHORIZED,
                said: said!(
                    "api.unsigned",
                    key = KEY_HEADER,
                    time = TIME_HEADER,
                    nonce = NONCE_HEADER,
                    signature = SIGNATURE_HEADER
                ),
            });
        };
        let (method, path, body) = (self.method.as_str(), self.path.as_str(), &self.body[..]);
        let request = Parts { method, path, at, nonce, body };
        Ok(SignedRequest { key, signature, request }.take(app)?)
    }
}

/// Returns the path of a request as it is signed, with its query.
pub fn signed_path(uri: &Uri) -> String {
    uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string)
}

/// Reads a signature in base64.
pub fn signature_of(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    BASE64.decode(text).ok()?.try_into().ok()
}
