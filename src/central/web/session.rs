//! The session of a reader's browser: a cookie that central's key signed when the token was shown.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::app::App;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::time::{Span, Wall};

/// The cookie's name.
const COOKIE: &str = "loaxa-session";
/// Length of a session: a working day.
const LASTS: Span = Span::secs(12 * 3_600);

/// The bytes that are signed for a session. No envelope and no request begins like this. They name the token, so that with
/// another token all sessions are over.
fn to_be_signed(token: &str, until: Wall) -> Vec<u8> {
    format!("loaxa-session v1\n{until}\n{}", ContentHash::of(token.as_bytes())).into_bytes()
}

/// Makes the header `set-cookie` of a new session.
pub fn begin(app: &App) -> String {
    let until = app.now().plus(LASTS);
    let signature = app.settings.keys.central.sign(&to_be_signed(&app.settings.token, until));
    let secure = if app.is_behind_tls() { "; Secure" } else { "" };
    format!(
        "{COOKIE}={}.{}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}",
        until.0,
        BASE64.encode(signature),
        LASTS.as_millis() / 1_000
    )
}

/// Tells whether a request belongs to a session that is not over.
pub fn is_open(app: &App, headers: &HeaderMap) -> bool {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|cookie| cookie.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut sessions = pairs.filter(|(name, _)| *name == COOKIE);
    sessions.any(|(_, session)| is_good(app, session))
}

fn is_good(app: &App, session: &str) -> bool {
    let Some((until, signature)) = session.split_once('.') else { return false };
    let (until, signature) = (until.parse().ok().map(Wall), BASE64.decode(signature).ok());
    let Some((until, signature)) = until.zip(signature.and_then(|bytes| bytes.try_into().ok())) else {
        return false;
    };
    let key = app.settings.keys.central.public();
    app.now() < until && key.verifies(&to_be_signed(&app.settings.token, until), &signature)
}
