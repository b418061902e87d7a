//! Alerts that are polled: a feed (Atom or RSS) that links to them or holds them, or an address with one alert.
//!
//! What was read whole and taken is not fetched again until its entry changes; everything else is tried again, more and more
//! seldom. What is passed over is said once to staff.

use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use url::Url;

use super::cap;
use super::record::NotAlert;
use crate::app::App;
use crate::duties::Duty;
use crate::settings::Feed;
use crate::store::{Alarm, AlarmKind, PassedOver, StoreError};
use loaxa_adapters::xml_signature::SignatureError;
use loaxa_heart::config::cap::feed::{self, Brings, Brought, Entry};
use loaxa_heart::config::cap::{self as cap_text, ALERT_BYTES_MAX, Alert, Kind};
use loaxa_heart::decide::cap_intake::Voucher;
use loaxa_heart::domain::ids::ContentHash;

/// Most bytes of a feed.
const FEED_BYTES_MAX: usize = ALERT_BYTES_MAX;

/// Most alerts that are fetched before they are taken, the newest first.
const BATCH_MAX: usize = 50;

/// Most bytes of them; the rest waits for the next batch.
const BATCH_BYTES_MAX: usize = 4 * ALERT_BYTES_MAX;

/// Alerts that are fetched at once: a slow one keeps few others waiting.
const AT_ONCE: usize = 4;

/// Most redirects that are followed.
const REDIRECTS_MAX: usize = 3;

/// Most looks at the feed between two tries of what can't be taken: an hour, where it is looked at every five minutes.
const LOOKS_BETWEEN_MAX: u32 = 11;

/// Times that something is passed over for the same reason before there is an alarm: once may be a moment's fault.
const TIMES_TO_ALARM: u32 = 2;

/// Longest time that a server may take.
const WAIT: Duration = Duration::from_secs(30);

/// A reason for which something of a feed is not taken.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
enum NotBrought {
    Status(u16),
    MovedAway(String),
    MovedOften,
    TooLarge(usize),
    Lost(String),
    Nothing(#[from] feed::WhyNothing),
    NotAlert(#[from] NotAlert),
}

impl Say for NotBrought {
    fn say(&self) -> Sentence {
        match self {
            NotBrought::Status(status) => said!("feed.status", status),
            NotBrought::MovedAway(to) => said!("feed.moved_away", to),
            NotBrought::MovedOften => said!("feed.moved_often", max = REDIRECTS_MAX),
            NotBrought::TooLarge(bytes) => said!("feed.too_large", bytes),
            NotBrought::Lost(detail) => said!("feed.lost", detail),
            NotBrought::Nothing(why) => why.say(),
            NotBrought::NotAlert(not) => not.say(),
        }
    }
}

impl NotBrought {
    /// Says whether the next look may find it mended without anybody changing the alert.
    fn is_passing(&self) -> bool {
        match self {
            NotBrought::Lost(_) | NotBrought::Status(408 | 429 | 500..) => true,
            NotBrought::NotAlert(not) => {
                matches!(
                    not,
                    NotAlert::Store(_) | NotAlert::TooMany | NotAlert::Unsigned(SignatureError::NoProgram(_))
                )
            }
            _ => false,
        }
    }
}

/// Something of a feed that may be an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Job {
    /// Of these addresses the first that proves to be an alert.
    Fetch(Vec<Url>),
    /// An alert that stands in the feed.
    Embedded(String),
}

impl Job {
    /// Gives the name by which a job is remembered and shown.
    fn name(&self, entry: &Entry) -> String {
        match self {
            Job::Fetch(urls) => urls.iter().map(Url::as_str).collect::<Vec<_>>().join(" "),
            Job::Embedded(text) => {
                format!("{} ({})", entry.name, &ContentHash::of(text.as_bytes()).to_string()[..12])
            }
        }
    }
}

/// A memory of the tries to take something.
#[derive(Debug, Clone, Default)]
struct Tried {
    stamp: Option<String>,
    is_taken: bool,
    failures: u32,
    /// Looks that pass before it is tried again.
    rest: u32,
}

impl Tried {
    /// Says whether it is tried in this look: what failed after some looks, and what was taken again where nothing in the
    /// feed would tell that it changed.
    fn is_due(&mut self, stamp: Option<&String>) -> bool {
        let is_changed = self.stamp.as_ref() != stamp;
        let is_due = is_changed || self.rest == 0 && (!self.is_taken || stamp.is_none());
        self.rest = self.rest.saturating_sub(1);
        is_due
    }

    fn end(&mut self, stamp: Option<String>, taken: Result<(), &NotBrought>) {
        self.stamp = stamp;
        self.is_taken = taken.is_ok();
        match taken {
            Ok(()) => self.failures = 0,
            Err(error) if error.is_passing() => {}
            Err(_) => self.failures = self.failures.saturating_add(1),
        }
        let doubled = 1u32.checked_shl(self.failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.rest = doubled.saturating_sub(1).min(LOOKS_BETWEEN_MAX);
        if taken.is_err_and(NotBrought::is_passing) {
            self.rest = 0;
        }
    }
}

/// Polls until it is dropped.
pub async fn run(app: Arc<App>, feed: Feed) {
    let mut tried = BTreeMap::new();
    let mut again = tokio::time::interval(feed.every);
    again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        again.tick().await;
        if !app.has_duty(Duty::Feed) {
            continue;
        }
        let looked = look(&app, &feed, &mut tried).await;
        let said = match looked {
            Ok(()) => app.store.cap_passed_over_no_more(feed.url.to_string()).await,
            Err(error) => pass_over(&app, &feed, feed.url.to_string(), &error).await,
        };
        if let Err(error) = said {
            tracing::error!(%error, "what was passed over can't be kept");
        }
    }
}

async fn look(app: &Arc<App>, feed: &Feed, tried: &mut BTreeMap<String, Tried>) -> Result<(), NotBrought> {
    let bytes = fetch(feed, feed.url.clone(), FEED_BYTES_MAX).await?;
    let text = cap_text::decode(&bytes).map_err(NotAlert::Bad)?;
    let entries = match feed::read_feed(&text, &feed.url).map_err(NotAlert::Bad)? {
        Brought::Alert => {
            cap::take(app, voucher(feed), &bytes).await?;
            return Ok(());
        }
        Brought::Entries(entries) => entries,
    };
    let mut jobs = BTreeMap::new();
    for entry in entries {
        match &entry.brings {
            Brings::Nothing(why) => {
                let why = NotBrought::Nothing(why.clone());
                let name =
                    if entry.name.is_empty() { feed.url.to_string() + "#" } else { entry.name.clone() };
                pass_over(app, feed, name, &why).await.map_err(NotAlert::Store)?;
            }
            Brings::Embedded(text) => insert(&mut jobs, &entry, Job::Embedded(text.clone())),
            Brings::Perhaps(urls) => insert(&mut jobs, &entry, Job::Fetch(urls.clone())),
            Brings::Alerts(urls) => {
                urls.iter().for_each(|url| insert(&mut jobs, &entry, Job::Fetch(vec![url.clone()])));
            }
        }
    }
    tried.retain(|name, _| jobs.contains_key(name));
    let mut due: Vec<_> = jobs
        .into_iter()
        .filter(|(name, (_, stamp))| tried.entry(name.clone()).or_default().is_due(stamp.as_ref()))
        .collect();
    // What was never taken goes first.
    due.sort_by_key(|(name, _)| tried.get(name).map(|tried| (tried.is_taken, tried.failures)));
    let mut due: std::collections::VecDeque<_> = due.into();
    while !due.is_empty() {
        take_batch(app, feed, tried, &mut due).await?;
    }
    Ok(())
}

type Due = (String, (Job, Option<String>));

fn insert(jobs: &mut BTreeMap<String, (Job, Option<String>)>, entry: &Entry, job: Job) {
    jobs.entry(job.name(entry)).or_insert_with(|| (job, entry.stamp.clone()));
}

fn voucher(feed: &Feed) -> Voucher {
    Voucher::Feed(feed.url.origin().ascii_serialization())
}

/// Fetches some alerts and takes them, so that what ends others comes before them: nothing sounds for a moment that the same
/// look cancels.
async fn take_batch(
    app: &Arc<App>,
    feed: &Feed,
    tried: &mut BTreeMap<String, Tried>,
    due: &mut std::collections::VecDeque<Due>,
) -> Result<(), NotBrought> {
    let mut fetched = Vec::new();
    let mut bytes = 0;
    while !due.is_empty() && fetched.len() < BATCH_MAX && bytes < BATCH_BYTES_MAX {
        let mut fetching = JoinSet::new();
        for (name, (job, stamp)) in due.drain(..due.len().min(AT_ONCE)) {
            let feed = feed.clone();
            fetching.spawn(async move { (name, stamp, bring(&feed, job).await) });
        }
        for (name, stamp, brought) in fetching.join_all().await {
            bytes += brought.as_ref().map_or(0, Vec::len);
            let read = brought.as_ref().ok().and_then(|bytes| cap_text::read(bytes).ok());
            fetched.push((read.as_ref().map(newest_first), name, stamp, brought));
        }
    }
    // What can't be read comes last.
    fetched.sort_by(|(a, ..), (b, ..)| a.is_none().cmp(&b.is_none()).then(a.cmp(b)));
    for (_, name, stamp, brought) in fetched {
        let taken = match brought {
            Ok(bytes) => cap::take(app, voucher(feed), &bytes).await.map(|_| ()).map_err(NotBrought::from),
            Err(error) => Err(error),
        };
        tried.entry(name.clone()).or_default().end(stamp, taken.as_ref().copied());
        let said = match taken {
            Ok(()) => app.store.cap_passed_over_no_more(name).await,
            Err(error) => pass_over(app, feed, name, &error).await,
        };
        said.map_err(NotAlert::Store)?;
    }
    Ok(())
}

fn newest_first(alert: &Alert) -> (std::cmp::Reverse<loaxa_heart::domain::time::Wall>, u8) {
    let kind = match alert.kind {
        Kind::Cancel(_) => 0,
        Kind::Update(_) => 1,
        Kind::Alert | Kind::Ack(_) | Kind::Error(_) => 2,
    };
    (std::cmp::Reverse(alert.sent), kind)
}

/// Tells staff of what is not taken: in the list at once, and on the page once where it stays so.
async fn pass_over(app: &App, feed: &Feed, what: String, error: &NotBrought) -> Result<(), StoreError> {
    let ((why, why_vi), at) = (error.say().in_both(), app.now());
    let passed = PassedOver { what: what.clone(), why: why.clone(), why_vi, last: at };
    let times = app.store.pass_over_cap(passed).await?;
    if times == 1 {
        tracing::warn!(feed = %feed.url, what, why, "something of the feed of alerts is passed over");
    }
    if times != TIMES_TO_ALARM {
        return Ok(());
    }
    let detail = format!("{what}: {why}");
    let alarm =
        Alarm { kind: AlarmKind::AlertPassedOver, subject: feed.url.to_string(), detail, at, times: 1 };
    app.store.raise_alarm(alarm).await
}

/// Gets the octets of an alert; of several addresses that may be one, the first that is.
async fn bring(feed: &Feed, job: Job) -> Result<Vec<u8>, NotBrought> {
    let urls = match job {
        Job::Embedded(text) => return Ok(text.into_bytes()),
        Job::Fetch(urls) => urls,
    };
    let mut first = None;
    let only = urls.len() == 1;
    for url in urls {
        match fetch(feed, url, ALERT_BYTES_MAX).await {
            Ok(bytes) if only || cap_text::read(&bytes).is_ok() => return Ok(bytes),
            fetched => first = first.or(Some(fetched)),
        }
    }
    first.unwrap_or(Err(feed::WhyNothing::NoLink.into()))
}

/// Fetches an address of the feed's own server, over redirects that stay there.
async fn fetch(feed: &Feed, url: Url, bytes_max: usize) -> Result<Vec<u8>, NotBrought> {
    let feed = feed.clone();
    let fetched = tokio::task::spawn_blocking(move || {
        let agent = agent(&feed)?;
        let mut url = url;
        for _ in 0..=REDIRECTS_MAX {
            let answer =
                agent.get(url.as_str()).call().map_err(|error| NotBrought::Lost(error.to_string()))?;
            match answer.status().as_u16() {
                200 => return whole_body(answer, bytes_max),
                301 | 302 | 303 | 307 | 308 => {
                    let to =
                        answer.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or_default();
                    url = url
                        .join(to)
                        .ok()
                        .filter(|to| to.origin() == feed.url.origin())
                        .ok_or_else(|| NotBrought::MovedAway(to.to_owned()))?;
                }
                status => return Err(NotBrought::Status(status)),
            }
        }
        Err(NotBrought::MovedOften)
    });
    fetched.await.map_err(|error| NotBrought::Lost(error.to_string()))?
}

fn agent(feed: &Feed) -> Result<ureq::Agent, NotBrought> {
    let mut tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
    if let Some(path) = &feed.ca {
        let unread = |error| NotBrought::Lost(format!("{}: {error}", path.display()));
        let pem = std::fs::read(path).map_err(unread)?;
        let items = ureq::tls::parse_pem(&pem).filter_map(|item| match item {
            Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        });
        let certificates: Vec<Certificate> = items.collect();
        tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
    }
    let config = ureq::Agent::config_builder()
        .tls_config(tls.build())
        .timeout_global(Some(WAIT))
        .http_status_as_error(false)
        // Elsewhere nobody vouches for what is sent: redirects are looked at first.
        .max_redirects(0);
    Ok(config.build().into())
}

fn whole_body(mut answer: ureq::http::Response<ureq::Body>, bytes_max: usize) -> Result<Vec<u8>, NotBrought> {
    let mut bytes = Vec::new();
    let mut body = answer.body_mut().as_reader().take(bytes_max as u64 + 1);
    body.read_to_end(&mut bytes).map_err(|error| NotBrought::Lost(error.to_string()))?;
    if bytes.len() > bytes_max { Err(NotBrought::TooLarge(bytes_max)) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_again_more_and_more_seldom() {
        let stamp = Some("2026-11-26".to_owned());
        let mut tried = Tried::default();
        let mut looks = Vec::new();
        for look in 0..40 {
            if tried.is_due(stamp.as_ref()) {
                looks.push(look);
                tried.end(stamp.clone(), Err(&NotBrought::Status(404)));
            }
        }
        assert_eq!(looks, [0, 1, 3, 7, 15, 27, 39]);
        tried.end(stamp.clone(), Err(&NotBrought::Lost("no route".to_owned())));
        assert!(tried.is_due(stamp.as_ref()), "the network may be back");
        tried.end(stamp.clone(), Ok(()));
        assert!(!tried.is_due(stamp.as_ref()), "it is taken");
        assert!(tried.is_due(Some(&"2026-11-27".to_owned())), "it changed");
        tried.end(None, Ok(()));
        assert!(tried.is_due(None), "nothing would tell that it changed");
    }
}
