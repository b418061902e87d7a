//! `[calling]`, `[email]` and `[webhook]` of `central.toml`: the ways in which a second duty officer is called.

use crate::said;
use std::path::PathBuf;
use url::Url;

use super::box_file::{Paths, absent_or};
use super::fields::{Fields, Value};

/// The times and ways of calling.
#[derive(Debug, Clone, PartialEq)]
pub struct CallingConfig {
    /// Seconds from one person to the next who does not answer.
    pub next_after_s: u32,
    /// Seconds from the beginning to the level above.
    pub above_after_s: u32,
    pub email: Option<EmailConfig>,
    pub webhook: Option<WebhookConfig>,
}

/// `[email]`.
#[derive(Debug, Clone, PartialEq)]
pub struct EmailConfig {
    /// `smtps://user@host:port`, or `smtp://` with TLS begun by the server.
    pub url: Url,
    /// Holds the password of the user.
    pub password_file: Option<PathBuf>,
    pub from: String,
    /// The server stands in the office's own network.
    pub private_addresses: bool,
}

/// `[webhook]`.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookConfig {
    pub url: Url,
    /// Holds the secret of both: `whsec_` and base64.
    pub secret_file: PathBuf,
    /// The receiver runs in the office's own network.
    pub private_addresses: bool,
}

/// Reads all three tables; each may be absent.
pub(super) fn read(root: &mut Fields<'_>, paths: &Paths<'_>) -> Option<CallingConfig> {
    let mut times = root.section("calling");
    let next = times.get("next_after_s").map_or(Some(60), |value| value.integer(5..=600));
    let above = times.get("above_after_s").map_or(Some(180), |value| value.integer(10..=3_600));
    times.finish();
    let email = root.get("email").map(|value| email(value.table()?, paths));
    let webhook = root.get("webhook").map(|value| webhook(value.table()?, paths));
    Some(CallingConfig {
        next_after_s: next?,
        above_after_s: above?,
        email: absent_or(email)?,
        webhook: absent_or(webhook)?,
    })
}

fn email(mut fields: Fields<'_>, paths: &Paths<'_>) -> Option<EmailConfig> {
    let value = fields.need("url");
    let url: Option<Url> = value.as_ref().and_then(|value| value.parse());
    let password_file = fields.get("password_file").map(|value| paths.existing(&value));
    let from_value = fields.need("from");
    let from = from_value.as_ref().and_then(|value| value.words());
    let private = addresses(&mut fields);
    fields.finish();
    let url = url?;
    if !matches!(url.scheme(), "smtp" | "smtps") || url.host_str().is_none() || url.password().is_some() {
        value?.problem(said!("problem.no_mail_server"));
        return None;
    }
    let from = from?;
    if !from.contains('@') {
        from_value?.problem(said!("problem.no_sender"));
        return None;
    }
    let password_file = absent_or(password_file)?;
    Some(EmailConfig { url, password_file, from: from.to_owned(), private_addresses: private? })
}

fn webhook(mut fields: Fields<'_>, paths: &Paths<'_>) -> Option<WebhookConfig> {
    let value = fields.need("url");
    let url: Option<Url> = value.as_ref().and_then(|value| value.parse());
    let secret_file = fields.need("secret_file").and_then(|value| paths.existing(&value));
    let private = addresses(&mut fields);
    fields.finish();
    let (url, private) = (url?, private?);
    // What is called for is nobody's business on the way.
    if !(url.scheme() == "https" || url.scheme() == "http" && private) {
        value?.problem(said!("problem.open_webhook"));
        return None;
    }
    Some(WebhookConfig { url, secret_file: secret_file?, private_addresses: private })
}

fn addresses(fields: &mut Fields<'_>) -> Option<bool> {
    let read = |value: Value<'_>| value.choice(&[("public", false), ("private", true)]);
    fields.get("addresses").map_or(Some(false), read)
}
