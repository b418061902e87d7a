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
use crate::store::{AlarmKind, Scope};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::ids::{ContentHash, KeyId};
use loaxa_heart::wire::request::{
    KEY_HEADER, NONCE_HEADER, Request as Parts, SIGNATURE_HEADER, TIME_HEADER, is_nonce,
};
use loaxa_heart::wire::signing::SIGNATURE_BYTES;

/// Finds what the token of a request may do; `None` where it carries none, or one that is not good. A wrong one is counted
/// against its address.
///
/// # Errors
/// Fails when the address has guessed too often, or the store does not answer.
pub async fn scope_of(app: &App, headers: &HeaderMap, from: SocketAddr) -> Result<Option<Scope>, Problem> {
    let Some(token) = bearer(headers) else { return Ok(None) };
    let (from, now) = (from.ip(), monotonic());
    if app.token_tries.is_shut_out(from, now) {
        return Err(Problem { status: StatusCode::TOO_MANY_REQUESTS, said: said!("api.many_tries") });
    }
    if is_same(&app.settings.token, token) {
        return Ok(Some(Scope::Admin));
    }
    // A token is random and long: who finds out how its hash differs from others learns nothing of it.
    let row = app.store.token(ContentHash::of(token.as_bytes())).await?;
    let detail = match &row {
        Some(row) if row.is_good(app.now()) => return Ok(Some(row.scope)),
        Some(row) => row.name.as_str(),
        None => "unknown",
    };
    app.token_tries.note(from, now);
    app.suspect(AlarmKind::WrongToken, &from.to_string(), detail).await;
    Ok(None)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let sent = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    Some(sent.strip_prefix("Bearer ")?.trim())
}

/// Tells whether a request carries this token.
pub fn bears(token: &str, headers: &HeaderMap) -> bool {
    bearer(headers).is_some_and(|sent| is_same(token, sent))
}

/// Compares in constant time.
fn is_same(token: &str, sent: &str) -> bool {
    let (sent, token) = (sent.as_bytes(), token.as_bytes());
    let same_bytes = sent.iter().zip(token).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0;
    !token.is_empty() && sent.len() == token.len() && same_bytes
}

/// Checks that a request carries a token that may this.
///
/// # Errors
/// Fails when it carries none that is good, or one of a smaller scope.
pub async fn need(app: &App, needed: Scope, headers: &HeaderMap, from: SocketAddr) -> Result<(), Problem> {
    match scope_of(app, headers, from).await? {
        Some(has) if has >= needed => Ok(()),
        Some(has) => Err(Problem {
            status: StatusCode::FORBIDDEN,
            said: said!("api.scope", has = has.code(), needed = needed.code()),
        }),
        None => Err(Problem { status: StatusCode::UNAUTHORIZED, said: said!("api.token") }),
    }
}

/// Lets in only requests with a token that may what the routes do.
pub async fn let_token_in(
    State((app, needed)): State<(Arc<App>, Scope)>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    match need(&app, needed, request.headers(), from).await {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// Lets readers in: until people have accounts, those on this machine and those with a token.
pub async fn let_readers_in(
    State(app): State<Arc<App>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if from.ip().is_loopback() || need(&app, Scope::Read, request.headers(), from).await.is_ok() {
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
