//! The start of the daemon: store, player, link, and what was in force before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::error::DaemonError;
use super::restore::{InForce, Needed, TRUST, media_of, newest_trust, restore_commands, restore_documents};
use super::{Channels, Daemon, Installed, offset};
use crate::adopt::Programmes;
use crate::data_usage::UsageFile;
use crate::downloads::{self, Downloads};
use crate::local_socket;
use crate::player::{self, Player, PlayerConfig};
use crate::settings::{CentralSettings, Settings};
use crate::uplink::Uplink;
use loaxa_adapters::box_store::BoxStore;
use loaxa_adapters::clock::{Clock, monotonic};
use loaxa_adapters::fetch::{Fetcher, MediaDir};
use loaxa_adapters::mqtt::{Link, LinkConfig, LinkEvent};
use loaxa_heart::decide::memory::Memory;
use loaxa_heart::decide::outbox::Outbox;
use loaxa_heart::decide::refusals::Refusals;
use loaxa_heart::decide::schedule::Listeners;
use loaxa_heart::decide::speaker::{Input, Restored, Speaker};
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::playback::Event;
use loaxa_heart::domain::sound::PlayerEvent;
use loaxa_sound::losses::Count;
use loaxa_sound::tts::Speech;

/// Events of the player that may wait for the loop; the player waits beyond that.
const PLAYER_EVENTS_MAX: usize = 256;

/// News of downloads that may wait for the loop; the downloading thread waits beyond that.
const NEWS_MAX: usize = 64;

/// Time that a speech engine may take.
const SPEECH_TIMEOUT_MS: u64 = 20_000;

/// After a regional power cut boxes come back spread over this time.
const FIRST_CONNECT_S_MAX: f64 = 120.0;

impl Daemon {
    /// Opens everything that the daemon works with, and takes up what was in force.
    ///
    /// # Errors
    /// Tells what the daemon can't do without.
    pub(super) fn start(settings: Settings) -> Result<(Self, Channels), DaemonError> {
        let state_dir = settings.state_dir.clone();
        let media = state_dir.join("media");
        let unusable = |error| DaemonError::State { path: state_dir.display().to_string(), error };
        std::fs::create_dir_all(&state_dir).map_err(unusable)?;
        let media_dir = MediaDir::open(&media).map_err(unusable)?;
        let (store, mut notes) = open_store(&settings)?;
        let clock = Clock::new(store.last_known(), settings.has_battery_clock);
        let (mut programmes, wrong) =
            Programmes::read(&settings.programmes, state_dir.join("programmes"), media);
        wrong.iter().for_each(|problem| tracing::error!("a programme is left out: {problem}"));

        let (player_events, player_receiver) = mpsc::channel(PLAYER_EVENTS_MAX);
        let player = start_player(&settings, move |event| {
            // Waits for room, as no event may be lost; the loop is ending when nobody listens.
            let _ = player_events.blocking_send(event);
        })?;
        let ca = settings.central.as_ref().and_then(|central| central.ca.clone());
        let fetcher = Fetcher::new(media_dir.clone(), ca.as_deref())?;
        let (news, downloads_receiver) = mpsc::channel(NEWS_MAX);
        let fetching = downloads::Start {
            fetcher,
            rules: settings.media.clone(),
            usage: UsageFile::open(state_dir.join("media-usage")),
            now: clock.read(),
            seed: random()?,
        };
        let downloads = Downloads::start(fetching, news)?;

        let documents = store.documents()?;
        let trust = newest_trust(&settings, documents.get(TRUST));
        let (memory, unread) = Memory::restore(store.memory()?);
        unread
            .iter()
            .for_each(|key| tracing::warn!(key, "a remembered row can't be read and is passed over"));
        let commands = restore_commands(&store, trust.as_ref())?;
        let staged = commands.iter().filter_map(media_of).filter(|hash| media_dir.has(hash)).collect();
        let restored = Restored {
            start: store.start_number(),
            memory,
            commands,
            checkpoints: store.checkpoints()?,
            staged,
        };
        let InForce { groups, groups_version, policy, needed } =
            restore_documents(&settings, &documents, trust.as_ref(), &mut programmes);
        let listeners =
            Listeners { groups: groups.iter().cloned().collect(), languages: settings.languages.clone() };
        let timetable = programmes.timetable(&listeners.groups).unwrap_or_else(|clash| {
            tracing::error!("no programme is in force: {clash}");
            Default::default()
        });
        let now = clock.read();
        let speaker = Speaker::new(restored, listeners, timetable, trust, policy, &now);

        let (link, link_receiver) = match &settings.central {
            Some(central) => {
                let (link, receiver) = connect(&settings, central, &groups, &store)?;
                (Some(link), Some(receiver))
            }
            None => (None, None),
        };
        let acknowledged = store.last_seq() - store.backlog();
        let outbox = Outbox::new(store.last_seq(), acknowledged);
        let box_id = settings.box_id.clone();
        let uplink = Uplink::new(box_id.clone(), settings.key, settings.root, link, outbox);
        let turned_away = Arc::<Count>::default();
        let visits = local_socket::listen(&state_dir, turned_away.clone());
        if let Err(error) = &visits {
            tracing::warn!(%error, "no status socket");
        }
        let mut daemon = Self {
            box_id,
            volume_percent: settings.volume_percent,
            last_quality: now.quality,
            last_offset: offset(&now),
            clock,
            speaker,
            store,
            player,
            downloads,
            month_bytes_max: settings.media.budget_bytes,
            protect_at: monotonic(),
            uplink,
            programmes,
            refusals: Refusals::default(),
            groups_version,
            installed: Installed { policy: settings.policy.clone(), groups: settings.groups.clone() },
            arriving: BTreeMap::new(),
            faults: BTreeSet::new(),
            trim_at: monotonic(),
            turned_away,
        };
        for Needed { programme, media, not_before } in needed {
            daemon.fetch_programme(&programme, media, not_before);
        }
        daemon.protect();
        // Nothing is fetched, and nothing makes room for it, before it is known what stays.
        if let Some(base) = settings.central.and_then(|central| central.media) {
            daemon.downloads.set_base(base);
        }
        for event in notes.drain(..) {
            daemon.tell(Input::Noted(Box::new(event)));
        }
        let channels = Channels {
            player: player_receiver,
            link: link_receiver,
            downloads: downloads_receiver,
            visits: visits.ok(),
        };
        Ok((daemon, channels))
    }
}

/// Draws a random number from the system.
pub(super) fn random() -> std::io::Result<u64> {
    getrandom::u64().map_err(|error| std::io::Error::other(error.to_string()))
}

/// Opens the store; where the disk can't be used at all, one in memory, for sound matters more than its record.
fn open_store(settings: &Settings) -> Result<(BoxStore, Vec<Event>), DaemonError> {
    let path = settings.state_dir.join("box.sqlite");
    match BoxStore::open(&path, &settings.box_id) {
        Ok(opened) => {
            let replaced = opened.replaced.map(|kept_as| Event::StoreReplaced { kept_as });
            Ok((opened.store, replaced.into_iter().collect()))
        }
        Err(error) => {
            tracing::error!(%error, "the store can't be used: the log is only in memory");
            Ok((BoxStore::volatile(&settings.box_id)?, Vec::new()))
        }
    }
}

fn start_player(
    settings: &Settings,
    events: impl Fn(PlayerEvent) + Send + 'static,
) -> Result<Player, DaemonError> {
    let cache_dir = settings.state_dir.join("speech");
    let speech = Speech { command: settings.speech.clone(), timeout_ms: SPEECH_TIMEOUT_MS, cache_dir };
    let config = PlayerConfig {
        sink: settings.sink.clone(),
        // Programmes name their files by absolute paths once they are read.
        programme_dir: settings.state_dir.clone(),
        media_dir: settings.state_dir.join("media"),
        state_dir: settings.state_dir.clone(),
        speech,
        target_lufs: settings.target_lufs,
        shaping: settings.shaping,
        amplifier: settings.amplifier.clone(),
        microphone: settings.microphone.clone(),
        delay_ms: settings.delay_ms,
        ca: settings.central.as_ref().and_then(|central| central.ca.clone()),
    };
    Ok(player::start(config, events)?)
}

fn connect(
    settings: &Settings,
    central: &CentralSettings,
    groups: &[GroupId],
    store: &BoxStore,
) -> Result<(Link, mpsc::Receiver<LinkEvent>), DaemonError> {
    let mut config = LinkConfig::new(central.broker.clone(), settings.box_id.as_str());
    config.ca = central.ca.clone();
    config.identity = central.identity.clone();
    config.last_will = Some(Uplink::last_will(&settings.box_id, store.epoch()));
    config.subscriptions = loaxa_heart::wire::topics::box_filters(&settings.box_id, groups);
    config.seed = random()?;
    if central.broker.host == "127.0.0.1" || central.broker.host == "localhost" {
        // A broker on this machine is not stormed by a region's boxes.
        config.reconnect_s_min = 0.5;
        config.reconnect_s_max = 5.0;
    } else {
        config.first_delay_s_max = FIRST_CONNECT_S_MAX;
    }
    Ok(Link::connect(config)?)
}
