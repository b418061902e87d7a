//! Audio on its way to the box: one at a time, the urgent and the soonest first, tried again for as long as it is wanted.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::adapters::backoff::Backoff;
use crate::adapters::clock::monotonic;
use crate::adapters::fetch::{FetchError, Fetcher};
use crate::domain::announcement::Media;
use crate::domain::ids::ContentHash;
use crate::domain::sound::Fault;
use crate::domain::time::{Moment, Span, Wall};

/// Most files that are waited for.
const WANTED_MAX: usize = 1_024;

/// Delay between two tries for one file.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(120));

/// Tries after which a file that the server does not have, or has wrong, is given up.
const TRIES_MAX: u32 = 20;

/// What came of a download.
pub type Done = (ContentHash, Result<(), Fault>);

enum Request {
    Fetch { media: Media, by: Wall, urgent: bool },
    Base(String),
}

/// A handle on the downloading thread; it ends when this is dropped.
pub struct Downloads(Sender<Request>);

struct Wanted {
    media: Media,
    urgent: bool,
    by: Wall,
    not_before: Moment,
    tries: u32,
    backoff: Backoff,
}

impl Downloads {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(
        fetcher: Fetcher,
        base: Option<String>,
        seed: u64,
        done: UnboundedSender<Done>,
    ) -> std::io::Result<Self> {
        let (sender, requests) = channel();
        let worker = Worker { fetcher, base, seed, wanted: BTreeMap::new(), done };
        std::thread::Builder::new().name("downloads".into()).spawn(move || worker.run(&requests))?;
        Ok(Self(sender))
    }

    /// Wants a file.
    pub fn fetch(&self, media: Media, by: Wall, urgent: bool) {
        // The thread ends only with this handle.
        let _ = self.0.send(Request::Fetch { media, by, urgent });
    }

    /// Central says where its media are.
    pub fn set_base(&self, base: String) {
        let _ = self.0.send(Request::Base(base));
    }
}

struct Worker {
    fetcher: Fetcher,
    base: Option<String>,
    seed: u64,
    wanted: BTreeMap<ContentHash, Wanted>,
    done: UnboundedSender<Done>,
}

impl Worker {
    fn run(mut self, requests: &Receiver<Request>) {
        loop {
            match requests.recv_timeout(self.pause().into()) {
                Ok(request) => self.take(request),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Everything that waits is known before the first is chosen.
            while let Ok(request) = requests.try_recv() {
                self.take(request);
            }
            self.fetch_next();
        }
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Base(base) => {
                self.base = Some(base);
                self.wanted.values_mut().for_each(|wanted| wanted.not_before = Moment(0));
            }
            Request::Fetch { media, by, urgent } => {
                if self.fetcher.dir().has(&media.sha256) {
                    return self.tell(media.sha256, Ok(()));
                }
                if self.wanted.len() >= WANTED_MAX && !urgent {
                    let detail = format!("{WANTED_MAX} files wait already");
                    return self.tell(media.sha256, Err(Fault::Damaged { what: media.path, detail }));
                }
                let backoff = Backoff::new(RETRY.0, RETRY.1, self.seed ^ media.bytes);
                let wanted = Wanted { media, urgent, by, not_before: Moment(0), tries: 0, backoff };
                self.wanted.insert(wanted.media.sha256, wanted);
            }
        }
    }

    fn pause(&self) -> Span {
        const IDLE: Span = Span::secs(3_600);
        if self.base.is_none() {
            return IDLE;
        }
        let now = monotonic();
        self.wanted.values().map(|wanted| wanted.not_before.since(now)).min().unwrap_or(IDLE)
    }

    fn fetch_next(&mut self) {
        let Some(base) = self.base.clone() else { return };
        let now = monotonic();
        let ready = self.wanted.values().filter(|wanted| wanted.not_before <= now);
        let Some(hash) =
            ready.min_by_key(|wanted| (!wanted.urgent, wanted.by)).map(|wanted| wanted.media.sha256)
        else {
            return;
        };
        let Some(mut wanted) = self.wanted.remove(&hash) else { return };
        match self.fetcher.fetch(&base, &wanted.media) {
            Ok(_) => self.tell(hash, Ok(())),
            Err(error) => {
                wanted.tries += 1;
                let server_has_not = !matches!(error, FetchError::Network { .. });
                if error.may_pass() && !(server_has_not && wanted.tries >= TRIES_MAX) {
                    wanted.not_before = monotonic() + Span(wanted.backoff.next_delay().as_micros() as u64);
                    self.wanted.insert(hash, wanted);
                } else {
                    tracing::warn!(sha256 = %hash, %error, "audio can't be fetched");
                    let (what, detail) = (wanted.media.path, error.to_string());
                    self.tell(hash, Err(Fault::Damaged { what, detail }));
                }
            }
        }
    }

    fn tell(&self, hash: ContentHash, result: Result<(), Fault>) {
        // The daemon is ending when nobody listens.
        let _ = self.done.send((hash, result));
    }
}
