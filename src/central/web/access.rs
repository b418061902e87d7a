//! Access: programs show a token, people a signature, and browsers of readers a session.

use loaxa_heart::said;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::problem::Problem;
use super::session;
use crate::app::App;
use crate::link::crowd::Seat;
use crate::orders::cosigning::NotTaken;
use crate::orders::signed_request::SignedRequest;
use loaxa_heart::domain::ids::KeyId;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::wire::request::{KEY_HEADER, SIGNATURE_HEADER, TIME_HEADER};
use loaxa_heart::wire::signing::SIGNATURE_BYTES;

/// Tells whether a request carries the API's token.
pub fn has_token(app: &App, headers: &HeaderMap) -> bool {
    bears(&app.settings.token, headers)
}

/// Tells whether a request carries this token; compared in constant time.
pub fn bears(token: &str, headers: &HeaderMap) -> bool {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(sent) = sent.and_then(|value| value.strip_prefix("Bearer ")) else { return false };
    is_token(token, sent.trim())
}

/// Tells whether `sent` is this token; compared in constant time.
pub fn is_token(token: &str, sent: &str) -> bool {
    let (sent, token) = (sent.as_bytes(), token.as_bytes());
    let same_bytes = sent.iter().zip(token).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0;
    !token.is_empty() && sent.len() == token.len() && same_bytes
}

/// The address of who asks, for the log: behind a proxy, the last that the proxy names.
pub fn client(app: &App, from: SocketAddr, headers: &HeaderMap) -> IpAddr {
    let is_proxy =
        |ip: IpAddr| app.settings.page.proxies.iter().any(|proxy| proxy.to_canonical() == ip.to_canonical());
    if !is_proxy(from.ip()) {
        return from.ip();
    }
    let named = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<IpAddr> =
        named.flat_map(|list| list.split(',')).filter_map(|address| address.trim().parse().ok()).collect();
    named.into_iter().rev().find(|ip| !is_proxy(*ip)).unwrap_or(from.ip())
}

/// Header in which a proxy names who asked it.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Lets in only requests with the token.
pub async fn let_token_in(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if has_token(&app, request.headers()) {
        keep_seat(&request);
        return next.run(request).await;
    }
    let refusal = Problem { status: StatusCode::UNAUTHORIZED, said: said!("api.token") };
    refusal.into_response()
}

/// A connection with the token stays, however many strangers want in.
fn keep_seat(request: &Request) {
    if let Some(seat) = request.extensions().get::<Arc<Seat>>() {
        seat.keep();
    }
}

/// Lets readers in: those with a session, and those with the token. Others are shown where to log in; where they sit is no
/// proof, since a proxy on this machine sits here for everybody.
pub async fn let_readers_in(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if session::is_open(&app, request.headers()) || has_token(&app, request.headers()) {
        keep_seat(&request);
        return next.run(request).await;
    }
    if request.headers().contains_key(HTMX_REQUEST) {
        // A fragment of a page whose session is over: the page goes to the login as a whole.
        return (StatusCode::UNAUTHORIZED, [(HTMX_REDIRECT, LOGIN)]).into_response();
    }
    Redirect::to(LOGIN).into_response()
}

/// The page to log in on.
const LOGIN: &str = "/login";
/// Header of requests for a fragment.
const HTMX_REQUEST: &str = "hx-request";
/// Header that sends the whole page elsewhere.
const HTMX_REDIRECT: &str = "hx-redirect";

/// The parts of a request that a person's signature covers.
pub struct SignedParts {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl SignedParts {
    /// Finds the person who signed the request.
    ///
    /// # Errors
    /// Fails when the signature is absent, false, of an unknown key, or not of now.
    pub fn signer(&self, app: &App) -> Result<KeyId, Problem> {
        let (key, at, signature) = signature_in(&self.headers)?;
        let (method, path, body) = (self.method.as_str(), self.path.as_str(), &self.body[..]);
        Ok(SignedRequest { key, at, signature, method, path, body }.check(app)?)
    }
}

/// Reads who signed a request, when, and the signature.
fn signature_in(headers: &HeaderMap) -> Result<(KeyId, Wall, [u8; SIGNATURE_BYTES]), Problem> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let key = header(KEY_HEADER).and_then(|text| text.parse().ok());
    let at = header(TIME_HEADER).and_then(|text| text.parse().ok());
    let signature = header(SIGNATURE_HEADER).and_then(signature_of);
    let (Some(key), Some(at), Some(signature)) = (key, at, signature) else {
        let (key, time, signature) = (KEY_HEADER, TIME_HEADER, SIGNATURE_HEADER);
        return Err(Problem {
            status: StatusCode::UNAUTHORIZED,
            said: said!("api.unsigned", key, time, signature),
        });
    };
    Ok((key, at, signature))
}

/// Checks, before a body is read, that a request carries a signature of a key that is known.
///
/// # Errors
/// Fails when it carries none, or the key is a stranger's.
pub fn signature_is_plausible(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let (key, ..) = signature_in(headers)?;
    match app.keyring.public_key(&key) {
        Some(_) => Ok(()),
        None => Err(NotTaken::Stranger(key).into()),
    }
}

/// Reads a signature in base64.
pub fn signature_of(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    BASE64.decode(text).ok()?.try_into().ok()
}
