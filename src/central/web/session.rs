//! The cookie of a person's session.

use axum::http::{HeaderMap, header};

use crate::app::App;
use crate::people::sign_in::LASTS;

/// The cookie's name; behind TLS with the prefix that binds it to this host.
const COOKIE: &str = "loaxa-session";
const COOKIE_TLS: &str = "__Host-loaxa-session";

fn name(app: &App) -> &'static str {
    if app.is_behind_tls() { COOKIE_TLS } else { COOKIE }
}

/// Makes the header `set-cookie` of a session that begins.
pub fn begin(app: &App, secret: &str) -> String {
    let secure = if app.is_behind_tls() { "; Secure" } else { "" };
    let lasts = LASTS.as_millis() / 1_000;
    format!("{}={secret}; Path=/; Max-Age={lasts}; HttpOnly; SameSite=Strict{secure}", name(app))
}

/// Makes the header `set-cookie` that takes a session's cookie away.
pub fn end(app: &App) -> String {
    let secure = if app.is_behind_tls() { "; Secure" } else { "" };
    format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict{secure}", name(app))
}

/// Finds the secret of the session that a request belongs to.
pub fn secret_of<'h>(app: &App, headers: &'h HeaderMap) -> Option<&'h str> {
    cookie(headers, name(app))
}

/// Finds a cookie by its name.
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookie| cookie.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}
