//! Access: programs show a token, people a signature, and browsers of readers a session.

use loaxa_heart::said;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::{self, HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::problem::Problem;
use super::server::CameTo;
use crate::app::App;
use crate::link::crowd::Seat;
use crate::orders::cosigning::NotTaken;
use crate::orders::signed_request::SignedRequest;
use crate::store::{AlarmKind, Scope, at_once};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::ids::{ContentHash, KeyId};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::wire::request::{
    KEY_HEADER, NONCE_HEADER, Request as Parts, SIGNATURE_HEADER, TIME_HEADER, is_nonce,
};
use loaxa_heart::wire::signing::SIGNATURE_BYTES;

/// Finds what the token of a request may do; `None` where it carries none, or one that is not good. A wrong one is counted
/// against its address. The token of the settings, which belongs to nobody, is for programs on this machine: whoever reads
/// it is the machine's administrator.
///
/// # Errors
/// Fails when the address has guessed too often, sends the token of the settings from elsewhere, or the store does not answer.
pub async fn scope_of(app: &App, headers: &HeaderMap, from: CameFrom) -> Result<Option<Scope>, Problem> {
    let Some(token) = bearer(headers) else { return Ok(None) };
    let is_here = from.is_this_machine(app, headers);
    let from = client(app, from.peer, headers);
    may_try(app, from)?;
    if is_token(&app.settings.token, token) {
        return match is_here {
            true => Ok(Some(Scope::Admin)),
            false => Err(Problem { status: StatusCode::FORBIDDEN, said: said!("api.token_of_the_machine") }),
        };
    }
    // A token is random and long: who finds out how its hash differs from others learns nothing of it.
    let row = at_once(app.store.token(ContentHash::of(token.as_bytes()))).await?;
    let detail = match &row {
        Some(row) if row.is_good(app.now()) => return Ok(Some(row.scope)),
        Some(row) => row.name.as_str(),
        None => "unknown",
    };
    note_wrong_token(app, from, detail).await;
    Ok(None)
}

/// The two ends of a request's connection.
#[derive(Debug, Clone, Copy)]
pub struct CameFrom {
    peer: SocketAddr,
    to: Option<IpAddr>,
}

impl CameFrom {
    /// Tells whether the asker runs on this machine, and is no proxy that speaks for others.
    fn is_this_machine(self, app: &App, headers: &HeaderMap) -> bool {
        let peer = self.peer.ip().to_canonical();
        if headers.contains_key(FORWARDED_FOR) {
            // A proxy that the settings do not name may speak for anybody.
            let is_named = is_proxy(app, peer);
            let asker = forwarded(headers, |ip| is_proxy(app, ip), peer);
            return is_named && asker.is_some_and(|ip| ip.to_canonical().is_loopback());
        }
        peer.is_loopback() || self.to.is_some_and(|to| to.to_canonical() == peer)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CameFrom {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Self, Infallible> {
        let to = parts.extensions.get::<CameTo>().and_then(|came_to| came_to.0);
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
        // Whoever is known by no address is nobody of this machine.
        Ok(Self { peer: peer.unwrap_or(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)), to })
    }
}

/// Checks that an address has not guessed too often.
///
/// # Errors
/// Fails when it has; no token of it is looked at then.
pub fn may_try(app: &App, from: IpAddr) -> Result<(), Problem> {
    if app.token_tries.is_shut_out(from, monotonic()) {
        return Err(Problem { status: StatusCode::TOO_MANY_REQUESTS, said: said!("api.many_tries") });
    }
    Ok(())
}

/// Counts a wrong token against its address, and raises an alarm.
pub async fn note_wrong_token(app: &App, from: IpAddr, detail: &str) {
    app.token_tries.note(from, monotonic());
    app.suspect(AlarmKind::WrongToken, &from.to_string(), detail).await;
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let sent = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    Some(sent.strip_prefix("Bearer ")?.trim())
}

/// Tells whether a request carries this token.
pub fn bears(token: &str, headers: &HeaderMap) -> bool {
    bearer(headers).is_some_and(|sent| is_token(token, sent))
}

/// Tells whether `sent` is this token; compared in constant time.
pub fn is_token(token: &str, sent: &str) -> bool {
    let (sent, token) = (sent.as_bytes(), token.as_bytes());
    let same_bytes = sent.iter().zip(token).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0;
    !token.is_empty() && sent.len() == token.len() && same_bytes
}

fn is_proxy(app: &App, ip: IpAddr) -> bool {
    app.settings.page.proxies.iter().any(|proxy| proxy.to_canonical() == ip.to_canonical())
}

/// The address of who asks: behind a proxy, the last that the proxy names; its own where it names none.
pub fn client(app: &App, from: SocketAddr, headers: &HeaderMap) -> IpAddr {
    if !is_proxy(app, from.ip()) {
        return from.ip();
    }
    forwarded(headers, |ip| is_proxy(app, ip), from.ip()).unwrap_or(from.ip())
}

/// Finds the last address that proxies name and that is none of theirs; `peer` where all are. `None` where there is something
/// behind it that is no address: what stands before that came from the asker, who may write anything.
fn forwarded(headers: &HeaderMap, is_proxy: impl Fn(IpAddr) -> bool, peer: IpAddr) -> Option<IpAddr> {
    let values: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
    for value in values.into_iter().rev() {
        for entry in value.to_str().ok()?.rsplit(',') {
            let ip = address(entry.trim())?;
            if !is_proxy(ip) {
                return Some(ip);
            }
        }
    }
    Some(peer)
}

/// Reads an address, with or without a port.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().map(IpAddr::V6).ok();
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    entry.parse().ok().or_else(with_port).or_else(bare)
}

/// Header in which a proxy names who asked it.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Checks that a request carries a token that may this.
///
/// # Errors
/// Fails when it carries none that is good, or one of a smaller scope.
async fn need(app: &App, needed: Scope, headers: &HeaderMap, from: CameFrom) -> Result<(), Problem> {
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
    from: CameFrom,
    request: Request,
    next: Next,
) -> Response {
    match need(&app, needed, request.headers(), from).await {
        Ok(()) => {
            keep_seat(&request);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// Keeps the connection of somebody who is known, however many strangers want in.
pub fn keep_seat(request: &Request) {
    if let Some(seat) = request.extensions().get::<Arc<Seat>>() {
        seat.keep();
    }
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
    pub async fn signer(&self, app: &App) -> Result<KeyId, Problem> {
        let Signed { key, at, nonce, signature } = signature_in(&self.headers)?;
        let (method, path, body) = (self.method.as_str(), self.path.as_str(), &self.body[..]);
        let request = Parts { method, path, at, nonce, body };
        Ok(SignedRequest { key, signature, request }.take(app).await?)
    }
}

/// The headers of a signed request.
struct Signed<'a> {
    key: KeyId,
    at: Wall,
    nonce: &'a str,
    signature: [u8; SIGNATURE_BYTES],
}

/// Reads who signed a request, when, and the signature.
fn signature_in(headers: &HeaderMap) -> Result<Signed<'_>, Problem> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let key = header(KEY_HEADER).and_then(|text| text.parse().ok());
    let at = header(TIME_HEADER).and_then(|text| text.parse().ok());
    let nonce = header(NONCE_HEADER).filter(|nonce| is_nonce(nonce));
    let signature = header(SIGNATURE_HEADER).and_then(signature_of);
    let (Some(key), Some(at), Some(nonce), Some(signature)) = (key, at, nonce, signature) else {
        let (key, time, nonce, signature) = (KEY_HEADER, TIME_HEADER, NONCE_HEADER, SIGNATURE_HEADER);
        return Err(Problem {
            status: StatusCode::UNAUTHORIZED,
            said: said!("api.unsigned", key, time, nonce, signature),
        });
    };
    Ok(Signed { key, at, nonce, signature })
}

/// Checks, before a body is read, that a request carries a signature of a key that is known.
///
/// # Errors
/// Fails when it carries none, or the key is a stranger's.
pub fn signature_is_plausible(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let Signed { key, .. } = signature_in(headers)?;
    match app.keyring.public_key(&key) {
        Some(_) => Ok(()),
        None => Err(NotTaken::Stranger(key).into()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_counts_is_the_last_that_a_proxy_names() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let (proxy, peer) = (ip("10.0.0.1"), ip("10.0.0.2"));
        let check = |values: &[&str], expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(FORWARDED_FOR, value.parse().unwrap());
            }
            let found = forwarded(&headers, |ip| [proxy, peer].contains(&ip), peer);
            assert_eq!(found, expected.map(ip), "{values:?}");
        };
        check(&["203.0.113.7"], Some("203.0.113.7"));
        check(&["198.51.100.1, 203.0.113.7"], Some("203.0.113.7"));
        check(&["198.51.100.1, 198.51.100.2, 203.0.113.7"], Some("203.0.113.7"));
        check(&["198.51.100.1", "198.51.100.2,203.0.113.7", "10.0.0.1"], Some("203.0.113.7"));
        check(&["198.51.100.1, 203.0.113.7:4711"], Some("203.0.113.7"));
        check(&["198.51.100.1, [2001:db8::7]:4711"], Some("2001:db8::7"));
        check(&["198.51.100.1, [2001:db8::7]"], Some("2001:db8::7"));
        check(&["2001:db8::1, 2001:db8::7, 10.0.0.1:80"], Some("2001:db8::7"));
        check(&["127.0.0.1, unknown"], None);
        check(&["127.0.0.1, 203.0.113.7, _hidden, 10.0.0.1"], None);
        check(&["127.0.0.1,"], None);
        check(&["10.0.0.1, 10.0.0.2"], Some("10.0.0.2"));
        check(&[], Some("10.0.0.2"));
    }
}
