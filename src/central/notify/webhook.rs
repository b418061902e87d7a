//! Events for other programs, which pass them on to a telephone: signed by the convention of standardwebhooks.com.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::address;
use crate::settings::Webhook;
use loaxa_heart::domain::time::Wall;

/// Longest time that the receiver may take.
const WAIT: Duration = Duration::from_secs(10);

/// Sends an event once.
///
/// # Errors
/// Says what went wrong: no answer, or one that is no success. The event is tried again under the same id.
pub fn send(settings: Option<&Webhook>, id: &str, body: &str, now: Wall) -> Result<(), String> {
    let settings = settings.ok_or("no webhook is configured any more")?;
    let timestamp = now.0 / 1_000_000;
    let answer = agent(settings)
        .post(settings.url.as_str())
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp.to_string())
        .header("webhook-signature", signature(&settings.secret, id, timestamp, body))
        .send(body);
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("the receiver answered {}", answer.status().as_u16())),
        Err(error) => Err(error.to_string()),
    }
}

/// Signs id, time and body.
fn signature(secret: &[u8], id: &str, timestamp: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length is a key");
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
}

fn agent(settings: &Webhook) -> ureq::Agent {
    let certificates: Vec<_> = match settings.url.scheme() {
        "https" => rustls_native_certs::load_native_certs().certs,
        _ => Vec::new(),
    };
    let roots: Vec<_> = certificates.iter().map(|it| Certificate::from_der(it).to_owned()).collect();
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(&roots));
    // A receiver that sends elsewhere might send to a machine inside.
    let config = ureq::Agent::config_builder()
        .tls_config(tls.build())
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(WAIT))
        .build();
    let resolver = Outside { private: settings.private_addresses };
    ureq::Agent::with_parts(config, DefaultConnector::default(), resolver)
}

/// Finds addresses at the very moment of the connection, so that a name that changes its mind reaches nothing inside.
#[derive(Debug)]
struct Outside {
    private: bool,
}

impl Resolver for Outside {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let found = address::resolve(host, port, self.private)
            .map_err(|fault| ureq::Error::Io(std::io::Error::other(fault)))?;
        let mut addresses = self.empty();
        // As many as the transport tries.
        found.into_iter().take(16).for_each(|address| addresses.push(address));
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_signed_as_the_convention_says() {
        // The example of the specification's libraries.
        let secret = BASE64.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = r#"{"test": 2432232314}"#;
        let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
