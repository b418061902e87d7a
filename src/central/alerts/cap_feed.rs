//! Alerts that are polled: a feed (Atom or RSS) that links to them, or an address with one alert.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use roxmltree::{Document, ParsingOptions};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use url::Url;

use super::cap;
use crate::app::App;
use crate::settings::Feed;
use loaxa_heart::config::cap::{ALERT_BYTES_MAX, NODES_MAX};

/// Most bytes of a feed.
const FEED_BYTES_MAX: u64 = 1 << 20;

/// Most alerts that one look at a feed fetches; the rest waits for the next.
const LINKS_MAX: usize = 50;

/// Links that are remembered, so that nothing is fetched twice.
const SEEN_MAX: usize = 10_000;

/// How long a server may take.
const WAIT: Duration = Duration::from_secs(30);

/// Polls until it is dropped.
pub async fn run(app: Arc<App>, feed: Feed) {
    let mut seen = BTreeSet::new();
    let mut again = tokio::time::interval(feed.every);
    again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        again.tick().await;
        if let Err(error) = look(&app, &feed, &mut seen).await {
            tracing::warn!(url = %feed.url, error, "the feed of alerts can't be read");
        }
    }
}

async fn look(app: &Arc<App>, feed: &Feed, seen: &mut BTreeSet<Url>) -> Result<(), String> {
    let bytes = fetch(feed, feed.url.clone(), FEED_BYTES_MAX).await?;
    match links(&bytes, &feed.url)? {
        None => take(app, &feed.url, &bytes).await,
        Some(links) => {
            if seen.len() > SEEN_MAX {
                seen.clear();
            }
            let fresh: Vec<_> =
                links.into_iter().filter(|link| !seen.contains(link)).take(LINKS_MAX).collect();
            for link in fresh {
                // One that can't be fetched now is tried with the next look.
                match fetch(feed, link.clone(), ALERT_BYTES_MAX as u64 + 1).await {
                    Ok(alert) => {
                        take(app, &link, &alert).await;
                        seen.insert(link);
                    }
                    Err(error) => tracing::warn!(%link, error, "an alert can't be fetched"),
                }
            }
        }
    }
    Ok(())
}

async fn take(app: &Arc<App>, from: &Url, bytes: &[u8]) {
    if let Err(error) = cap::take(app, bytes).await {
        tracing::warn!(%from, %error, "an alert of the feed is not taken");
    }
}

async fn fetch(feed: &Feed, url: Url, bytes_max: u64) -> Result<Vec<u8>, String> {
    let feed = feed.clone();
    let fetched = tokio::task::spawn_blocking(move || {
        let mut tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        if let Some(path) = &feed.ca {
            let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let items = ureq::tls::parse_pem(&pem).filter_map(|item| match item {
                Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            });
            let certificates: Vec<Certificate> = items.collect();
            tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
        }
        // Elsewhere nobody vouches for what is sent.
        let config =
            ureq::Agent::config_builder().tls_config(tls.build()).timeout_global(Some(WAIT)).max_redirects(0);
        let agent: ureq::Agent = config.build().into();
        let mut answer = agent.get(url.as_str()).call().map_err(|error| error.to_string())?;
        if answer.status() != 200 {
            return Err(format!("it answers with status {}", answer.status().as_u16()));
        }
        let mut bytes = Vec::new();
        let mut body = answer.body_mut().as_reader().take(bytes_max + 1);
        body.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() as u64 > bytes_max { Err(format!("larger than {bytes_max} bytes")) } else { Ok(bytes) }
    });
    fetched.await.map_err(|error| error.to_string())?
}

/// The alerts that a feed links to on its own server; `None` where it is an alert itself.
fn links(bytes: &[u8], base: &Url) -> Result<Option<Vec<Url>>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text.trim_start_matches('\u{feff}'), options)
        .map_err(|error| error.to_string())?;
    let root = document.root_element();
    if root.tag_name().name() == "alert" {
        return Ok(None);
    }
    let entries = root.descendants().filter(|node| matches!(node.tag_name().name(), "entry" | "item"));
    let link = |entry: roxmltree::Node<'_, '_>| {
        let links = entry.children().filter(|node| node.tag_name().name() == "link");
        let written = links.filter_map(|node| {
            let is_alert = node.attribute("rel").is_none_or(|rel| rel == "alternate" || rel == "enclosure");
            node.attribute("href").or(node.text()).filter(|_| is_alert).map(str::to_owned)
        });
        // The one that says that it is CAP, or else the first.
        let written: Vec<_> = written.collect();
        written
            .iter()
            .find(|link| link.contains("cap") || link.ends_with(".xml"))
            .or(written.first())
            .cloned()
    };
    let found = entries.filter_map(link).filter_map(|link| base.join(link.trim()).ok());
    Ok(Some(found.filter(|link| link.origin() == base.origin()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(feed: &str, expected: Option<&[&str]>) {
        let base = Url::parse("https://kttv.example.vn/cap/feed.xml").unwrap();
        let found = links(feed.as_bytes(), &base).unwrap();
        let found = found.map(|links| links.iter().map(Url::to_string).collect::<Vec<_>>());
        assert_eq!(found, expected.map(|links| links.iter().map(|link| (*link).to_owned()).collect()));
    }

    #[test]
    fn feeds_of_both_kinds_link_to_alerts_on_their_own_server() {
        check(
            "<feed xmlns='http://www.w3.org/2005/Atom'><link href='/x'/><entry><link rel='self' href='no'/>\
             <link type='application/cap+xml' href='a.xml'/></entry><entry><link href='https://evil.example/b.xml'/>\
             </entry></feed>",
            Some(&["https://kttv.example.vn/cap/a.xml"]),
        );
        check(
            "<rss version='2.0'><channel><link>https://kttv.example.vn/</link><item><title>Lũ</title>\
             <link>https://kttv.example.vn/cap/7</link></item></channel></rss>",
            Some(&["https://kttv.example.vn/cap/7"]),
        );
        check("<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'/>", None);
        let base = Url::parse("https://a/").unwrap();
        assert!(links(b"<!DOCTYPE a [<!ENTITY b 'c'>]><feed>&b;</feed>", &base).is_err());
        assert!(links(b"no feed", &base).is_err());
    }
}
