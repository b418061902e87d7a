//! Live voices that another central takes: what pages and boxes ask here about them is passed on to it.

use std::convert::Infallible;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header, request};
use bytes::Bytes;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::access::signed_path;
use crate::app::App;
use crate::settings::PageTls;
use loaxa_heart::wire::voice::{VOICE_HZ, wav_header};

/// Marks what one central passes on to another, which passes it on no further.
const PASSED_ON: &str = "x-loaxa-passed-on";
/// Headers by which the other central knows who asks.
const PASSED: [HeaderName; 5] =
    [header::HOST, header::ORIGIN, header::COOKIE, header::CONTENT_TYPE, header::USER_AGENT];
/// Time in which another central is reached.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// Time in which it answers a piece of a voice; a page waits no longer for the next one.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Another central of which nothing comes this long has gone; while it is there, it ends a silent voice sooner itself.
const SILENT_MAX: Duration = Duration::from_secs(4);
/// Bytes that are read of a voice at once: a tenth of a second.
const PIECE_BYTES: usize = VOICE_HZ as usize * 2 / 10;

/// A request as it came, but for its body.
pub struct Asked {
    method: Method,
    path: String,
    pub headers: HeaderMap,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut request::Parts, _: &S) -> Result<Self, Infallible> {
        let uri: &Uri = &parts.uri;
        Ok(Self { method: parts.method.clone(), path: signed_path(uri), headers: parts.headers.clone() })
    }
}

/// Finds the address of the central that takes a voice; `None` where that is this one, or nobody knows of it.
pub async fn place_of(app: &App, name: &str, headers: &HeaderMap) -> Option<String> {
    if !app.store.has_peers() || headers.contains_key(PASSED_ON) {
        return None;
    }
    let place = app.store.voice_at(name.to_owned()).await.ok().flatten();
    place.filter(|place| Some(place) != app.settings.peer_url.as_ref())
}

/// Passes a request on, and gives the other central's answer.
pub async fn pass_on(app: &Arc<App>, place: String, asked: Asked, body: Bytes) -> StatusCode {
    let app = Arc::clone(app);
    let answer = tokio::task::spawn_blocking(move || {
        let agent = agent(&app, Some(ANSWER_MAX))?;
        let url = format!("{place}{}", asked.path);
        let mut request = match asked.method {
            Method::PUT => agent.put(&url),
            _ => agent.post(&url),
        };
        for name in PASSED {
            if let Some(value) = asked.headers.get(&name) {
                request = request.header(name, value.clone());
            }
        }
        request.header(PASSED_ON, "1").send(&body[..]).map_err(io::Error::other)
    });
    match answer.await {
        Ok(Ok(answer)) => answer.status(),
        failed => {
            let failed = failed.map(|answer| answer.err());
            tracing::warn!(?failed, "a piece of a live voice does not reach the central that takes it");
            StatusCode::BAD_GATEWAY
        }
    }
}

/// Listens to a voice that another central takes. The first box of this central that asks has it brought here for all.
pub async fn listen(app: &Arc<App>, session: &str, headers: &HeaderMap) -> Option<Receiver<Bytes>> {
    let place = place_of(app, session, headers).await?;
    let is_first = app.voices.open_as(session);
    let pieces = app.voices.listen(session);
    if !is_first {
        return pieces;
    }
    let (tell, told) = oneshot::channel();
    let (app, session) = (Arc::clone(app), session.to_owned());
    tokio::task::spawn_blocking(move || {
        match open(&app, &format!("{place}/live/{session}")) {
            Ok(voice) => {
                // Whoever asked first may have gone; the others listen.
                let _ = tell.send(());
                carry(&app, &session, voice);
            }
            Err(error) => {
                tracing::warn!(%error, place, "a live voice is not heard from the central that takes it");
            }
        }
        app.voices.close(&session);
    });
    told.await.ok()?;
    pieces
}

fn open(app: &App, url: &str) -> io::Result<impl Read + Send + use<>> {
    let answer = agent(app, None)?.get(url).header(PASSED_ON, "1").call().map_err(io::Error::other)?;
    if !answer.status().is_success() {
        return Err(io::Error::other(answer.status().to_string()));
    }
    let mut voice = answer.into_body().into_reader();
    // Each who listens here gets a head of their own.
    voice.read_exact(&mut vec![0; wav_header(VOICE_HZ, None).len()])?;
    Ok(voice)
}

/// Passes a voice on in whole samples until it ends, or nobody here listens any more.
fn carry(app: &App, session: &str, mut voice: impl Read) {
    let (mut piece, mut kept) = ([0; PIECE_BYTES], 0);
    while let Ok(read @ 1..) = voice.read(&mut piece[kept..]) {
        let whole = (kept + read) / 2 * 2;
        let is_open = app.voices.pass_on(session, &Bytes::copy_from_slice(&piece[..whole]));
        if !is_open || !app.voices.is_heard(session) {
            return;
        }
        piece.copy_within(whole..kept + read, 0);
        kept = kept + read - whole;
    }
}

fn agent(app: &App, longest: Option<Duration>) -> io::Result<ureq::Agent> {
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(&roots(app)?));
    let config = ureq::Agent::config_builder()
        .tls_config(tls.build())
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_connect(Some(CONNECT_MAX))
        .timeout_recv_response(Some(ANSWER_MAX))
        .timeout_per_read(Some(SILENT_MAX))
        .timeout_global(longest);
    Ok(config.build().into())
}

/// The authorities that vouch for the other centrals: those that vouch for this one.
fn roots(app: &App) -> io::Result<Vec<Certificate<'static>>> {
    let pem = match (&app.settings.page.tls, &app.settings.enrolment) {
        (PageTls::Files { ca: Some(path), .. }, _) => std::fs::read(path)?,
        (PageTls::OwnAuthority, Some(enrolment)) => enrolment.ca.certificate.clone().into_bytes(),
        (PageTls::Off, _) => return Ok(Vec::new()),
        _ => {
            let known = rustls_native_certs::load_native_certs().certs;
            return Ok(known.iter().map(|it| Certificate::from_der(it).to_owned()).collect());
        }
    };
    let items = parse_pem(&pem).filter_map(Result::ok);
    Ok(items.filter_map(|item| if let PemItem::Certificate(it) = item { Some(it) } else { None }).collect())
}
