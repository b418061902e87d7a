//! The cookie of a person's session.

use axum::http::{HeaderMap, header};

use crate::app::App;
use crate::people::sign_in::LASTS;

/// The cookie's name; behind TLS with the prefix that binds it to this host.
const COOKIE: &str = "loaxa-session";
const COOKIE_TLS: &str = "__Host-loaxa-session";

/// The same in the training commune: browsers keep cookies by name and host, whatever the port.
const TRAINING_COOKIE: &str = "loaxa-training";
const TRAINING_COOKIE_TLS: &str = "__Host-loaxa-training";

fn name(app: &App) -> &'static str {
    match (app.is_for_training(), app.is_behind_tls()) {
        (false, false) => COOKIE,
        (false, true) => COOKIE_TLS,
        (true, false) => TRAINING_COOKIE,
        (true, true) => TRAINING_COOKIE_TLS,
    }
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
