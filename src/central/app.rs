//! The parts of one central process, shared by everything above this file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::broadcast;

use crate::alarm_rate::AlarmRate;
use crate::alert_quota::AlertQuota;
use crate::changes::{Changed, Changes};
use crate::clock_check::ClockCheck;
use crate::disk::Disk;
use crate::duties::{Duties, Duty};
use crate::foreseen::{Days, Outlooks, Recent, Week};
use crate::gazetteer::Gazetteer;
use crate::keyring::Keyring;
use crate::link::outbound::Outbound;
use crate::log_quota::LogQuotas;
use crate::media::MediaFolder;
use crate::mouths::Mouths;
use crate::nonces::Nonces;
use crate::one_each::OneEach;
use crate::owed::Owed;
use crate::paces::Paces;
use crate::settings::{Group, Settings, Training};
use crate::sign_in_tries::SignInTries;
use crate::store::{Alarm, AlarmKind, BoxRow, Kept, SharedStore, StoreError, urgently};
use crate::token_tries::TokenTries;
use crate::uploads::Uploads;
use crate::voices::Voices;
use loaxa_heart::decide::delivery;
use loaxa_heart::domain::ids::{BoxId, CommandId, GroupId};
use loaxa_heart::domain::programme::Programme;
use loaxa_heart::domain::time::Wall;

/// The parts of one central process. All state that matters lies in the store.
pub struct App {
    pub settings: Settings,
    /// The parent of each group that has one.
    parents: BTreeMap<GroupId, GroupId>,
    pub store: SharedStore,
    /// The disk under the store.
    pub disk: Arc<Disk>,
    /// Commands that were sent and that the disk refused.
    pub owed: Owed,
    pub keyring: Keyring,
    pub outbound: Outbound,
    pub media: MediaFolder,
    pub uploads: Uploads,
    /// Base address that boxes and browsers use, without a slash at the end.
    pub public_url: String,
    pub counters: Counters,
    /// Voices that are live now.
    pub voices: Voices,
    /// Voices that come from pages.
    pub mouths: Mouths,
    /// The writers for whom the engine speaks.
    pub speaking: OneEach,
    /// The pace of each person.
    pub paces: Paces,
    pub outlooks: Outlooks,
    pub days: Days,
    /// Programmes as they were read, by the digest of their text and audio.
    pub programmes: Recent<Programme>,
    pub weeks: Recent<Week>,
    /// Tells open pages what has changed.
    pub changes: Changes,
    /// The names that staff gave to groups, as they were read last.
    places: Gazetteer,
    /// Tells the gate which boxes must go.
    pub revoked: broadcast::Sender<BoxId>,
    /// The use that boxes make of their quotas.
    pub log_quotas: Arc<LogQuotas>,
    /// Nonces of signed requests.
    pub nonces: Nonces,
    pub token_tries: TokenTries,
    pub sign_in_tries: SignInTries,
    /// New alerts of each source.
    pub alert_quota: AlertQuota,
    alarm_rate: AlarmRate,
    /// The check of this machine's clock.
    pub clock: ClockCheck,
    /// The duties that this central has for all that share its database.
    pub duties: Duties,
}

/// Counts of what `boxes` took, refused and put off, since the start.
#[derive(Debug, Default)]
pub struct Counters {
    pub messages_refused: AtomicU64,
    pub batches_put_off: AtomicU64,
    pub signs_dropped: AtomicU64,
    pub entries_added: AtomicU64,
    pub methods_refused: AtomicU64,
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
    /// Messages of boxes that found no room, or were not dealt with in time; boxes say them again.
    pub signs_dropped: u64,
    /// Messages that the broker did not get at once; boxes get them after their next heartbeat.
    pub messages_unsent: u64,
    /// Pieces of live voices that slow boxes did not get.
    pub voice_pieces_dropped: u64,
    /// Boxes that found no room beside a live voice's other listeners.
    pub listeners_refused: u64,
    /// Requests whose method no page and no part of the API takes there.
    pub methods_refused: u64,
}

/// Time between two tries to keep what the disk refused.
const OWED_EVERY: Duration = Duration::from_secs(2);

/// Time between two looks for counts that wait to be written.
const WAITING_ALARMS_EVERY: Duration = Duration::from_secs(2);

impl App {
    /// Puts the parts together.
    pub fn new(
        settings: Settings,
        (store, disk): (SharedStore, Arc<Disk>),
        keyring: Keyring,
        outbound: Outbound,
        (media, uploads): (MediaFolder, Uploads),
        public_url: String,
        revoked: broadcast::Sender<BoxId>,
    ) -> Self {
        let counters = Counters::default();
        let (voices, outlooks, days) = (Voices::default(), Outlooks::default(), Days::default());
        let (changes, places) = (Changes::default(), Gazetteer::default());
        let (log_quotas, alarm_rate) = (Arc::default(), AlarmRate::default());
        Self {
            parents: settings.parents(),
            duties: Duties::new(store.has_peers()),
            settings,
            store,
            disk,
            owed: Owed::default(),
            keyring,
            outbound,
            media,
            uploads,
            public_url,
            counters,
            voices,
            mouths: Mouths::default(),
            speaking: OneEach::default(),
            paces: Paces::default(),
            outlooks,
            days,
            programmes: Recent::default(),
            weeks: Recent::default(),
            changes,
            places,
            revoked,
            log_quotas,
            nonces: Nonces::new(loaxa_adapters::clock::wall()),
            token_tries: TokenTries::default(),
            sign_in_tries: SignInTries::default(),
            alert_quota: AlertQuota::default(),
            alarm_rate,
            clock: ClockCheck::new(loaxa_adapters::clock::wall(), loaxa_adapters::clock::monotonic()),
        }
    }

    /// Tells whether browsers come with TLS: to this process, or to a proxy before it.
    pub fn is_behind_tls(&self) -> bool {
        self.public_url.starts_with("https://")
    }

    /// The address at which the people of this commune train.
    pub fn training_url(&self) -> Option<String> {
        let Training::At(door) = &self.settings.training else { return None };
        door.public_url.clone().or_else(|| {
            let mut url = url::Url::parse(&self.public_url).ok()?;
            url.set_port(Some(door.listen.port())).ok()?;
            Some(url.to_string())
        })
    }

    /// Tells whether this is a commune for training.
    pub fn is_for_training(&self) -> bool {
        matches!(self.settings.training, Training::Here(_))
    }

    /// Tells whether this central has a duty now.
    pub fn has_duty(&self, duty: Duty) -> bool {
        self.duties.has(duty, loaxa_adapters::clock::monotonic())
    }

    /// Tells the other centrals that a live voice is taken here.
    pub async fn note_voice(&self, name: &str) {
        let Some(url) = self.settings.peer_url.clone().filter(|_| self.store.has_peers()) else { return };
        if let Err(error) = urgently(self.store.note_voice(name.to_owned(), url, self.now())).await {
            tracing::warn!(%error, "a live voice is heard at this central alone");
        }
    }

    /// Tells them that it is over.
    pub async fn forget_voice(&self, name: &str) {
        if self.settings.peer_url.is_none() || !self.store.has_peers() {
            return;
        }
        if let Err(error) = self.store.forget_voice(name.to_owned()).await {
            tracing::debug!(%error, "a live voice that is over stays in the list for a day");
        }
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
            signs_dropped: read(&self.counters.signs_dropped) + self.outbound.incoming_dropped(),
            messages_unsent: self.outbound.unsent(),
            voice_pieces_dropped: self.voices.pieces_dropped(),
            listeners_refused: self.voices.listeners_refused(),
            methods_refused: read(&self.counters.methods_refused),
        }
    }

    /// The groups of a box with all above them.
    pub fn groups_of(&self, own: &[GroupId]) -> Vec<GroupId> {
        delivery::with_ancestors(own, &self.parents)
    }

    /// The groups of the configuration, under the names that staff gave them.
    pub fn groups(&self) -> Vec<Group> {
        let named = |group: &Group| Group { title: self.title_of(&group.id), ..group.clone() };
        self.settings.groups.iter().map(named).collect()
    }

    /// The name of a group: staff's, or the configuration's, or its id where that does not name it any more.
    pub fn title_of(&self, group: &GroupId) -> String {
        let configured = || {
            let known = self.settings.groups.iter().find(|known| known.id == *group);
            known.map_or_else(|| group.to_string(), |known| known.title.clone())
        };
        self.places.title(group).unwrap_or_else(configured)
    }

    /// Tells whether a group stands for itself: it did not become part of another, or boxes are in it again.
    pub fn stands(&self, group: &GroupId, boxes: &[BoxRow]) -> bool {
        !self.merged().contains_key(group) || boxes.iter().any(|row| row.groups.contains(group))
    }

    /// Groups that became part of others, each with the one that it is now.
    pub fn merged(&self) -> BTreeMap<GroupId, GroupId> {
        self.places.merged()
    }

    /// Reads anew what staff say of groups: another process, or this one, may have changed it.
    ///
    /// # Errors
    /// Fails when the store does not answer.
    pub async fn read_places(&self) -> Result<(), StoreError> {
        self.places.keep(self.store.places().await?, self.store.merged().await?);
        Ok(())
    }

    /// Counts a message that was refused, tells the log, and raises an alarm, both at a bounded rate.
    pub async fn refuse(&self, kind: AlarmKind, id: &BoxId, detail: String) {
        Counters::more(&self.counters.messages_refused, 1);
        self.suspect(kind, id.as_str(), &detail).await;
    }

    /// Counts a message that was refused as [`Self::refuse`], for who may not wait for the database.
    pub fn refuse_later(&self, kind: AlarmKind, id: &BoxId, detail: &str) {
        Counters::more(&self.counters.messages_refused, 1);
        self.suspect_later(kind, id.as_str(), detail);
    }

    /// Raises an alarm as [`Self::suspect`], which is written with the next that have waited.
    pub fn suspect_later(&self, kind: AlarmKind, subject: &str, detail: &str) {
        if let Some(times) = self.alarm_rate.note_to_wait(kind, subject, detail, self.now()) {
            tracing::warn!(kind = kind.code(), times, subject, detail, "refused");
        }
    }

    /// Raises an alarm about somebody, and tells the log, both at a bounded rate with counts.
    pub async fn suspect(&self, kind: AlarmKind, subject: &str, detail: &str) {
        let due = self.alarm_rate.note(kind, subject, detail, self.now());
        if let Some(times) = due.line {
            tracing::warn!(kind = kind.code(), times, subject, detail, "refused");
        }
        self.keep_alarms(due.alarm).await;
    }

    /// Writes the counts of alarms that have waited, for as long as central runs.
    pub async fn write_waiting_alarms(self: Arc<Self>) {
        loop {
            tokio::time::sleep(WAITING_ALARMS_EVERY).await;
            self.keep_alarms(self.alarm_rate.take_waiting(self.now())).await;
        }
    }

    /// Writes what the disk refused while it was full, for as long as central runs.
    pub async fn write_owed(self: Arc<Self>) {
        let mut refused = BTreeSet::new();
        loop {
            tokio::time::sleep(OWED_EVERY).await;
            let tell = |id: &CommandId, written: Result<Kept, StoreError>| match written {
                Ok(kept) => {
                    tracing::warn!(%id, ?kept, "a command is kept that was sent while the disk refused");
                    refused.remove(id);
                    self.changes.tell(Changed::Announcements);
                }
                Err(error) if refused.insert(id.clone()) => {
                    tracing::error!(%id, %error, "a command that was sent is not kept: the database refuses it");
                }
                Err(_) => {}
            };
            self.owed.write(&*self.store, tell).await;
        }
    }

    async fn keep_alarms(&self, alarms: impl IntoIterator<Item = Alarm>) {
        for alarm in alarms {
            if let Err(error) = self.store.raise_alarm(alarm).await {
                tracing::error!(%error, "an alarm could not be kept");
            }
        }
    }
}
