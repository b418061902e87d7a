//! The start of the daemon: store, player, link, and what was in force before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::error::DaemonError;
use super::restore::{InForce, Needed, TRUST, media_of, newest_trust, restore_commands, restore_documents};
use super::{Channels, Daemon, FAULT_PROGRAMME, Installed, offset};
use crate::adopt::{LeftOut, Programmes};
use crate::button::{self, Press};
use crate::data_usage::UsageFile;
use crate::downloads::{self, Downloads, News};
use crate::lights::Lights;
use crate::local_socket::{self, Visit};
use crate::page;
use crate::player::{self, Player, PlayerConfig};
use crate::renewal::{self, Certificate};
use crate::settings::{CentralSettings, Settings};
use crate::upgrade::Upgrade;
use loaxa_adapters::authorities::{self, Authorities};
use loaxa_adapters::box_store::BoxStore;
use loaxa_adapters::clock::{Clock, monotonic};
use loaxa_adapters::fetch::{Fetcher, MediaDir};
use loaxa_adapters::mqtt::{Link, LinkConfig, LinkEvent};
use loaxa_adapters::uplink::Uplink;
use loaxa_heart::config::box_panel::PanelConfig;
use loaxa_heart::decide::memory::Memory;
use loaxa_heart::decide::outbox::Outbox;
use loaxa_heart::decide::refusals::Refusals;
use loaxa_heart::decide::schedule::Listeners;
use loaxa_heart::decide::speaker::{Input, Restored, Speaker};
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::local_emergency::Contact;
use loaxa_heart::domain::playback::Event;
use loaxa_heart::domain::sound::PlayerEvent;
use loaxa_heart::domain::time::{ClockQuality, Reading, Wall};
use loaxa_sound::decode::lengths;
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
        let unusable = |error| DaemonError::State { path: state_dir.display().to_string(), error };
        std::fs::create_dir_all(&state_dir).map_err(unusable)?;
        let media_dir = MediaDir::open(state_dir.join("media")).map_err(unusable)?;
        let (store, mut notes, from_disk) = open_store(&settings)?;
        let clock = Clock::new(store.last_known(), settings.has_battery_clock);
        let (player_events, player_receiver) = mpsc::channel(PLAYER_EVENTS_MAX);
        let player = start_player(&settings, move |event| {
            // Waits for room, as no event may be lost; the loop is ending when nobody listens.
            let _ = player_events.blocking_send(event);
        })?;
        let (downloads, downloads_receiver) = start_downloads(&settings, &media_dir, &clock)?;
        let Heart { speaker, programmes, in_force, left_out } =
            restore_heart(&settings, &store, &media_dir, &clock.read())?;
        notes.extend(left_out.iter().map(refused));
        notes.extend(clock_lost(&clock, &store));

        let (link, link_receiver) = match &settings.central {
            Some(central) => {
                let (link, receiver) = connect(&settings, central, &in_force.groups, &store)?;
                (Some(link), Some(receiver))
            }
            None => (None, None),
        };
        let identity = settings.central.as_ref().and_then(|central| central.identity.as_ref());
        let certificate = Certificate::new(identity, known_authorities(&settings), &settings.state_dir);
        let outbox = Outbox::new(store.last_seq(), store.last_seq() - store.backlog());
        let uplink = Uplink::new(settings.box_id.clone(), settings.key, settings.root, link, outbox);
        let turned_away = Arc::<Count>::default();
        let (visits, asked) = local_socket::visits();
        if let Err(error) = local_socket::listen(&state_dir, visits.clone(), turned_away.clone()) {
            tracing::warn!(%error, "no status socket");
        }
        let (lights, presses) = open_panel(settings.panel, visits)?;
        let now = clock.read();
        let mut daemon = Self {
            box_id: settings.box_id,
            volume_percent: settings.volume_percent,
            last_quality: now.quality,
            last_offset: offset(&now),
            clock,
            speaker,
            store,
            player,
            downloads,
            month_bytes_max: settings.media.budget_bytes,
            disk_bytes_max: settings.media.disk_bytes_max,
            protect_at: monotonic(),
            uplink,
            contact: Contact::LostSince(now.mono),
            lights,
            programmes,
            certificate,
            refusals: Refusals::default(),
            prepared: in_force.prepared,
            upgrade: Upgrade::new(settings.launched, settings.channel, in_force.software),
            groups_version: in_force.groups_version,
            groups_signers: in_force.groups_signers,
            installed: Installed { policy: settings.policy, groups: settings.groups },
            arriving: BTreeMap::new(),
            faults: BTreeSet::new(),
            trim_at: monotonic(),
            turned_away,
        };
        daemon.set_fault(FAULT_PROGRAMME, !left_out.is_empty());
        daemon.upgrade.health.heart = from_disk;
        daemon.take_up(in_force.needed, settings.central.and_then(|central| central.media), notes);
        let channels = Channels {
            player: player_receiver,
            link: link_receiver,
            downloads: downloads_receiver,
            visits: Some(asked),
            presses,
        };
        Ok((daemon, channels))
    }

    /// Has the audio of programmes fetched, and logs what the start found. Nothing is fetched, and nothing makes room
    /// for it, before it is known what stays.
    fn take_up(&mut self, needed: Vec<Needed>, media_base: Option<String>, notes: Vec<Event>) {
        for Needed { programme, media, not_before } in needed {
            self.fetch_programme(&programme, media, not_before);
        }
        self.fetch_prepared();
        self.protect();
        if let Some(base) = media_base {
            self.downloads.set_base(base);
        }
        for event in notes {
            self.tell(Input::Noted(Box::new(event)));
        }
    }
}

/// The heart as it was before the restart, and what it plays from.
struct Heart {
    speaker: Speaker,
    programmes: Programmes,
    in_force: InForce,
    /// Installed programmes that are not in force.
    left_out: Vec<LeftOut>,
}

fn restore_heart(
    settings: &Settings,
    store: &BoxStore,
    media_dir: &MediaDir,
    now: &Reading,
) -> Result<Heart, DaemonError> {
    let state_dir = &settings.state_dir;
    lengths::keep_in(state_dir.join("lengths"));
    let (mut programmes, mut left_out) =
        Programmes::read(&settings.programmes, state_dir.join("programmes"), state_dir.join("media"));
    let documents = store.documents()?;
    let trust = newest_trust(settings, documents.get(TRUST));
    let (memory, unread) = Memory::restore(store.memory()?);
    for key in &unread {
        tracing::warn!(key, "a remembered row can't be read and is passed over");
    }
    let commands = restore_commands(store, trust.as_ref())?;
    let mut in_force = restore_documents(settings, &documents, trust.as_ref(), &mut programmes);
    let local_order = in_force.local_order.take();
    let named = commands.iter().chain(&local_order).filter_map(media_of);
    let restored = Restored {
        start: store.start_number(),
        memory,
        staged: named.filter(|hash| media_dir.has(hash)).collect(),
        commands,
        checkpoints: store.checkpoints()?,
        policy_signers: in_force.policy_signers.clone(),
        local_order,
    };
    let groups = in_force.groups.iter().cloned().collect();
    let listeners = Listeners { groups, languages: settings.languages.clone() };
    left_out.extend(programmes.leave_out_clashing(&listeners.groups));
    let timetable = programmes.timetable(&listeners.groups).unwrap_or_else(|clash| {
        tracing::error!("no programme is in force: {clash}");
        Default::default()
    });
    let speaker = Speaker::new(restored, listeners, timetable, trust, in_force.policy.clone(), now);
    Ok(Heart { speaker, programmes, in_force, left_out })
}

/// Opens what people beside the box see and press. Without a page the box plays all the same.
fn open_panel(
    panel: PanelConfig,
    visits: mpsc::Sender<Visit>,
) -> std::io::Result<(Lights, Option<mpsc::Receiver<Press>>)> {
    if let Some(at) = panel.page
        && let Err(error) = page::listen(at, visits)
    {
        tracing::warn!(%at, %error, "no status page");
    }
    Ok((Lights::start(panel.lights)?, button::listen(&panel.button)?))
}

/// The entry of an installed programme that is not in force.
fn refused(left_out: &LeftOut) -> Event {
    let LeftOut { file, problem, last_good } = left_out;
    let file = file.display().to_string();
    tracing::error!(file, last_good, "a programme is left out: {problem}");
    Event::ProgrammeRefused { file, problem: problem.clone(), last_good: *last_good }
}

/// The entry of a clock that shows a time which can't be right, on a machine that should know the time.
fn clock_lost(clock: &Clock, store: &BoxStore) -> Option<Event> {
    let now = clock.read();
    let known = store.last_known().believed;
    let lost = now.quality == ClockQuality::None && clock.has_battery() && known > Wall::default();
    lost.then_some(Event::ClockLost { system: now.wall, known })
}

fn start_downloads(
    settings: &Settings,
    media_dir: &MediaDir,
    clock: &Clock,
) -> Result<(Downloads, mpsc::Receiver<News>), DaemonError> {
    let (news, receiver) = mpsc::channel(NEWS_MAX);
    let start = downloads::Start {
        fetcher: Fetcher::new(media_dir.clone(), known_authorities(settings))?,
        rules: settings.media.clone(),
        usage: UsageFile::open(settings.state_dir.join("media-usage")),
        now: clock.read(),
        seed: random()?,
    };
    Ok((Downloads::start(start, news)?, receiver))
}

/// Draws a random number from the system.
pub(super) fn random() -> std::io::Result<u64> {
    getrandom::u64().map_err(|error| std::io::Error::other(error.to_string()))
}

/// Opens the store; where the disk can't be used at all, one in memory, for sound matters more than its record. Says
/// whether the store is on the disk.
fn open_store(settings: &Settings) -> Result<(BoxStore, Vec<Event>, bool), DaemonError> {
    let path = settings.state_dir.join("box.sqlite");
    match BoxStore::open(&path, &settings.box_id) {
        Ok(opened) => {
            let replaced = opened.replaced.map(|kept_as| Event::StoreReplaced { kept_as });
            Ok((opened.store, replaced.into_iter().collect(), true))
        }
        Err(error) => {
            tracing::error!(%error, "the store can't be used: the log is only in memory");
            Ok((BoxStore::volatile(&settings.box_id)?, Vec::new(), false))
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
        ca: known_authorities(settings),
    };
    Ok(player::start(config, events)?)
}

/// The authorities that central's servers are checked against.
fn known_authorities(settings: &Settings) -> Option<Authorities> {
    let configured = settings.central.as_ref()?.ca.clone()?;
    Some(Authorities::new(configured, &settings.state_dir))
}

fn connect(
    settings: &Settings,
    central: &CentralSettings,
    groups: &[GroupId],
    store: &BoxStore,
) -> Result<(Link, mpsc::Receiver<LinkEvent>), DaemonError> {
    let mut config = LinkConfig::new(central.broker.clone(), settings.box_id.as_str());
    config.ca = central.ca.clone();
    config.renewed_ca = central.ca.is_some().then(|| authorities::renewed(&settings.state_dir));
    config.identity = central.identity.clone();
    config.renewed = central.identity.is_some().then(|| renewal::file(&settings.state_dir));
    config.last_will = Some(Uplink::last_will(&settings.box_id, store.epoch()));
    config.subscriptions = loaxa_heart::wire::topics::box_filters(&settings.box_id, groups);
    config.seed = random()?;
    if central.broker.is_loopback() {
        // A broker on this machine is not stormed by a region's boxes.
        config.reconnect_s_min = 0.5;
        config.reconnect_s_max = 5.0;
    } else {
        config.first_delay_s_max = FIRST_CONNECT_S_MAX;
    }
    Ok(Link::connect(config)?)
}
