//! The parts of one central process, shared by everything above this file.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tokio::sync::broadcast;

use crate::foreseen::Outlooks;
use crate::keyring::Keyring;
use crate::link::outbound::Outbound;
use crate::media::MediaFolder;
use crate::settings::Settings;
use crate::store::{Alarm, AlarmKind, SharedStore};
use crate::voices::Voices;
use loaxa_heart::decide::delivery;
use loaxa_heart::domain::ids::{BoxId, GroupId};
use loaxa_heart::domain::time::{Span, Wall};

/// The parts of one central process. All state that matters lies in the store.
pub struct App {
    pub settings: Settings,
    pub store: SharedStore,
    pub keyring: Keyring,
    pub outbound: Outbound,
    pub media: MediaFolder,
    /// Base address that boxes and browsers use, without a slash at the end.
    pub public_url: String,
    pub counters: Counters,
    /// Voices that are live now.
    pub voices: Voices,
    pub outlooks: Outlooks,
    /// Tells the gate which boxes must go.
    pub revoked: broadcast::Sender<BoxId>,
    raised: Mutex<BTreeMap<(AlarmKind, BoxId), Wall>>,
}

/// Counts of what `boxes` took, refused and put off, since the start.
#[derive(Debug, Default)]
pub struct Counters {
    pub messages_refused: AtomicU64,
    pub batches_put_off: AtomicU64,
    pub entries_added: AtomicU64,
}

impl Counters {
    /// Adds to a counter.
    pub fn more(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

/// Everything that this process counts, since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Log entries that were not there before.
    pub entries_added: u64,
    /// Messages of boxes that were wrong, or of strangers.
    pub messages_refused: u64,
    /// Batches of logs that found no room; their boxes send them again.
    pub batches_put_off: u64,
    /// Messages that the broker did not get at once; boxes get them after their next heartbeat.
    pub messages_unsent: u64,
    /// Pieces of live voices that slow boxes did not get.
    pub voice_pieces_dropped: u64,
    /// Boxes that found no room beside a live voice's other listeners.
    pub listeners_refused: u64,
}

/// Alarms about one box are written at most this often.
const ALARM_EVERY: Span = Span::secs(10);

/// Boxes whose last alarm is remembered; when it is full, all are forgotten.
const RAISED_MAX: usize = 4_096;

impl App {
    /// Puts the parts together.
    pub fn new(
        settings: Settings,
        store: SharedStore,
        keyring: Keyring,
        outbound: Outbound,
        media: MediaFolder,
        public_url: String,
        revoked: broadcast::Sender<BoxId>,
    ) -> Self {
        let (counters, raised) = (Counters::default(), Mutex::default());
        let (voices, outlooks) = (Voices::default(), Outlooks::default());
        Self {
            settings,
            store,
            keyring,
            outbound,
            media,
            public_url,
            counters,
            voices,
            outlooks,
            revoked,
            raised,
        }
    }

    /// Tells whether browsers come with TLS: to this process, or to a proxy before it.
    pub fn is_behind_tls(&self) -> bool {
        self.public_url.starts_with("https://")
    }

    /// The wall clock of this machine.
    pub fn now(&self) -> Wall {
        loaxa_adapters::clock::wall()
    }

    /// Everything that was counted since the start.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            entries_added: read(&self.counters.entries_added),
            messages_refused: read(&self.counters.messages_refused),
            batches_put_off: read(&self.counters.batches_put_off),
            messages_unsent: self.outbound.unsent(),
            voice_pieces_dropped: self.voices.pieces_dropped(),
            listeners_refused: self.voices.listeners_refused(),
        }
    }

    /// The groups of a box with all above them.
    pub fn groups_of(&self, own: &[GroupId]) -> Vec<GroupId> {
        delivery::with_ancestors(own, &self.settings.parents())
    }

    /// Counts a message that was refused, tells the log, and raises an alarm, at most one a box in [`ALARM_EVERY`].
    pub async fn refuse(&self, kind: AlarmKind, id: &BoxId, detail: String) {
        Counters::more(&self.counters.messages_refused, 1);
        let now = self.now();
        if !self.alarm_is_due(kind, id, now) {
            return;
        }
        tracing::warn!(%id, kind = kind.code(), detail, "refused what a box sent");
        let alarm = Alarm { kind, subject: id.to_string(), detail, at: now };
        if let Err(error) = self.store.raise_alarm(alarm).await {
            tracing::error!(%error, "an alarm could not be kept");
        }
    }

    fn alarm_is_due(&self, kind: AlarmKind, id: &BoxId, now: Wall) -> bool {
        let mut raised = self.raised.lock().expect("nothing panics while it holds the list of alarms");
        let key = (kind, id.clone());
        if raised.get(&key).is_some_and(|last| now.since(*last) < ALARM_EVERY) {
            return false;
        }
        if raised.len() >= RAISED_MAX {
            raised.clear();
        }
        raised.insert(key, now);
        true
    }
}
