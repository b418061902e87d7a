//! The cookie of a person's session.

use axum::http::{HeaderMap, header};

use crate::app::App;
use crate::people::devices;
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

/// The cookie of a browser that somebody signed in from, and the same in the training commune.
fn device_name(app: &App) -> &'static str {
    match (app.is_for_training(), app.is_behind_tls()) {
        (false, false) => "loaxa-device",
        (false, true) => "__Host-loaxa-device",
        (true, false) => "loaxa-training-device",
        (true, true) => "__Host-loaxa-training-device",
    }
}

/// Makes the header `set-cookie` by which a browser is known again, which is asked for where one signs in only.
pub fn keep_device(app: &App, mark: &str) -> String {
    let secure = if app.is_behind_tls() { "; Secure" } else { "" };
    let lasts = devices::LASTS.as_millis() / 1_000;
    format!("{}={mark}; Path=/; Max-Age={lasts}; HttpOnly; SameSite=Strict{secure}", device_name(app))
}

/// Finds the mark of a browser that somebody signed in from.
pub fn device_of<'h>(app: &App, headers: &'h HeaderMap) -> Option<&'h str> {
    cookie(headers, device_name(app))
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
