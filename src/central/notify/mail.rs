//! E-mails by the office's own mail server.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport};

use super::address;
use crate::settings::Email;
use crate::store::NewLetter;

/// Longest time that the mail server may take for each of its answers.
const WAIT: Duration = Duration::from_secs(10);

/// Hands a letter to the mail server.
///
/// # Errors
/// Says what went wrong; the letter is tried again.
pub fn send(settings: Option<&Email>, letter: &NewLetter) -> Result<(), String> {
    let settings = settings.ok_or("no mail server is configured any more")?;
    let url = &settings.url;
    let host = url.host_str().ok_or("the mail server has no name")?;
    let is_wrapped = url.scheme() == "smtps";
    let port = url.port().unwrap_or(if is_wrapped { 465 } else { 587 });
    let addresses = address::resolve(host, port, settings.private_addresses)?;
    let is_here = addresses.iter().all(|address| address.ip().is_loopback());
    let tls = || TlsParameters::new(host.to_owned()).map_err(|error| error.to_string());
    let tls = match is_wrapped {
        true => Tls::Wrapper(tls()?),
        // On this machine nobody reads along.
        false if is_here => Tls::None,
        false => Tls::Required(tls()?),
    };
    let mut server = SmtpTransport::builder_dangerous(host).port(port).tls(tls).timeout(Some(WAIT));
    if let Some(password) = &settings.password {
        server = server.credentials(Credentials::new(url.username().replace("%40", "@"), password.clone()));
    }
    let message = Message::builder()
        .from(settings.from.parse().map_err(|error| format!("{}: {error}", settings.from))?)
        .to(letter.to.parse().map_err(|error| format!("{}: {error}", letter.to))?)
        .subject(&letter.subject)
        .header(ContentType::TEXT_PLAIN)
        .body(letter.body.clone())
        .map_err(|error| error.to_string())?;
    server.build().send(&message).map_err(|error| error.to_string())?;
    Ok(())
}
