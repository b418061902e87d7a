//! The daemon: one loop that tells the heart what happened and carries out what it asks for.

mod documents;
mod visit;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::adopt::Programmes;
use super::data_usage::UsageFile;
use super::downloads::{self, Downloads, News};
use super::player::Player;
use super::settings::Settings;
use super::start::{
    InForce, Needed, connect, media_of, newest_trust, open_store, random, restore_commands,
    restore_documents, start_player,
};
use super::status::{self, Visit};
use super::uplink::{Arrived, Uplink};
use loaxa_adapters::box_store::{BoxStore, Change, StoreError};
use loaxa_adapters::clock::{Clock, monotonic};
use loaxa_adapters::fetch::{FetchError, Fetcher, MediaDir};
use loaxa_adapters::mqtt::{LinkError, LinkEvent};
use loaxa_heart::decide::memory::{Memo, Memory};
use loaxa_heart::decide::outbox::{self, Outbox};
use loaxa_heart::decide::refusals::Refusals;
use loaxa_heart::decide::schedule::Place;
use loaxa_heart::decide::speaker::{Action, Input, Restored, Speaker};
use loaxa_heart::domain::ids::{BoxId, CommandId, GroupId};
use loaxa_heart::domain::playback::{CommandRefusal, Event};
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::sound::{PlayerCommand, PlayerEvent};
use loaxa_heart::domain::time::{ClockTrust, Moment, Reading, Span};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::messages::{
    BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Command, Heartbeat, Hello, Holds, LogAck, LogBatch, OnAir, Signed,
    VERSION, Welcome, commands_digest,
};
use loaxa_heart::wire::topics::Topic;

/// How often the clock, the store and the watchdog are looked after.
const TICK: Span = Span::secs(1);

/// How often old log entries are deleted.
const TRIM_EVERY: Span = Span::secs(3_600);

/// How often audio that is over is given up to whatever needs its room.
const PROTECT_EVERY: Span = Span::secs(60);

/// How long the last play may take to fade out at the end.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the installer wrote, in force where nothing signed takes its place.
struct Installed {
    policy: Policy,
    groups: Vec<GroupId>,
}

/// Why the daemon can't run.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum DaemonError {
    State { path: String, error: std::io::Error },
    Store(#[from] StoreError),
    Link(#[from] LinkError),
    Fetch(#[from] FetchError),
    System(#[from] std::io::Error),
    PlayerDied,
}

impl Say for DaemonError {
    fn say(&self) -> Sentence {
        match self {
            DaemonError::State { path, error } => said!("daemon.state", path, error),
            DaemonError::Store(error) => error.say(),
            DaemonError::Link(error) => error.say(),
            DaemonError::Fetch(error) => error.say(),
            DaemonError::System(error) => said!("daemon.system", error),
            DaemonError::PlayerDied => said!("daemon.player_died"),
        }
    }
}

/// Runs the daemon until it is asked to end.
///
/// # Errors
/// What keeps it from running. Everything that can be lived without is lived without.
pub fn run(settings: Settings) -> Result<(), DaemonError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (daemon, channels) = Daemon::start(settings)?;
        daemon.run(channels).await
    })
}

/// What the loop listens to.
struct Channels {
    player: mpsc::UnboundedReceiver<PlayerEvent>,
    link: Option<mpsc::Receiver<LinkEvent>>,
    downloads: mpsc::UnboundedReceiver<News>,
    visits: Option<mpsc::Receiver<Visit>>,
}

struct Daemon {
    box_id: BoxId,
    volume_percent: u8,
    clock: Clock,
    last_trust: ClockTrust,
    last_offset: i64,
    speaker: Speaker,
    store: BoxStore,
    player: Player,
    downloads: Downloads,
    month_bytes_max: Option<u64>,
    protect_at: Moment,
    uplink: Uplink,
    programmes: Programmes,
    refusals: Refusals,
    groups_version: u32,
    installed: Installed,
    /// Envelopes of the commands that the heart is looking at.
    arriving: BTreeMap<CommandId, Vec<u8>>,
    faults: BTreeSet<&'static str>,
    trim_at: Moment,
}

impl Daemon {
    fn start(settings: Settings) -> Result<(Self, Channels), DaemonError> {
        let state_dir = settings.state_dir.clone();
        let media = state_dir.join("media");
        let unusable = |error| DaemonError::State { path: state_dir.display().to_string(), error };
        std::fs::create_dir_all(&state_dir).map_err(unusable)?;
        let media_dir = MediaDir::open(&media).map_err(unusable)?;
        let (store, mut notes) = open_store(&settings)?;
        let clock = Clock::new(store.wall_floor(), settings.has_battery_clock);
        let (mut programmes, wrong) =
            Programmes::read(&settings.programmes, state_dir.join("programmes"), media);
        wrong.iter().for_each(|problem| tracing::error!("a programme is left out: {problem}"));

        let (player_events, player_receiver) = mpsc::unbounded_channel();
        let player = start_player(&settings, move |event| {
            // The loop is ending when nobody listens.
            let _ = player_events.send(event);
        })?;
        let ca = settings.central.as_ref().and_then(|central| central.ca.clone());
        let fetcher = Fetcher::new(media_dir.clone(), ca.as_deref())?;
        let (news, downloads_receiver) = mpsc::unbounded_channel();
        let fetching = downloads::Start {
            fetcher,
            rules: settings.media.clone(),
            usage: UsageFile::open(state_dir.join("media-usage")),
            now: clock.read(),
            seed: random()?,
        };
        let downloads = Downloads::start(fetching, news)?;

        let documents = store.documents()?;
        let trust = newest_trust(&settings, documents.get("trust"));
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
        let place = Place { groups: groups.iter().cloned().collect(), languages: settings.languages.clone() };
        let timetable = programmes.timetable(&place.groups).unwrap_or_else(|clash| {
            tracing::error!("no programme is in force: {clash}");
            Default::default()
        });
        let now = clock.read();
        let speaker = Speaker::new(restored, place, timetable, trust, policy, &now);

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
        let visits = status::listen(&state_dir);
        if let Err(error) = &visits {
            tracing::warn!(%error, "no status socket");
        }
        let mut daemon = Self {
            box_id,
            volume_percent: settings.volume_percent,
            last_trust: now.trust,
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

    async fn run(mut self, mut channels: Channels) -> Result<(), DaemonError> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut tick = tokio::time::interval(Duration::from(TICK));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // Without a supervisor there is nobody to notify.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        tracing::info!(box_id = %self.box_id, "the box is running");
        self.carry_out();
        loop {
            let wake = self.wake().map(|moment| Duration::from(moment.since(monotonic())));
            tokio::select! {
                biased;
                event = channels.player.recv() => match event {
                    Some(event) => self.on_player(event),
                    None => return Err(DaemonError::PlayerDied),
                },
                Some(event) = next(&mut channels.link) => self.on_link(event),
                Some(news) = channels.downloads.recv() => self.on_download(news),
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                () = sleep(wake) => self.on_time(),
                _ = tick.tick() => self.on_tick(),
                Some(visit) = next(&mut channels.visits) => self.on_visit(visit),
            }
        }
        self.end(channels.player).await
    }

    /// Fades out, closes the log and ends.
    async fn end(mut self, mut events: mpsc::UnboundedReceiver<PlayerEvent>) -> Result<(), DaemonError> {
        self.tell(Input::Shutdown);
        let farewell = async {
            while !self.speaker.is_stopped() {
                match events.recv().await {
                    Some(event) => self.on_player(event),
                    None => break,
                }
            }
        };
        // A device that hangs does not keep the daemon from ending; the log says the rest at the next start.
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
        self.send_log();
        self.player.shutdown();
        tracing::info!("the box has stopped");
        Ok(())
    }

    fn wake(&self) -> Option<Moment> {
        let speaker = self.speaker.poll_timeout().map(|(moment, _)| moment);
        [speaker, self.uplink.poll_timeout(), self.refusals.poll_timeout()].into_iter().flatten().min()
    }

    fn tell(&mut self, input: Input) {
        self.speaker.handle(&self.clock.read(), input);
        self.carry_out();
    }

    fn on_time(&mut self) {
        self.speaker.handle_timeout(&self.clock.read());
        for counted in self.refusals.report(monotonic()) {
            let (reason, count) = (counted.reason, counted.count);
            self.tell(Input::RefusalsCounted { reason, count });
        }
        self.carry_out();
    }

    fn on_tick(&mut self) {
        // Without a supervisor there is nobody to notify.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        let now = self.clock.read();
        self.player.set_clock((now.trust > ClockTrust::None).then(|| offset(&now)));
        if now.trust != self.last_trust || (offset(&now) - self.last_offset).unsigned_abs() > CLOCK_NEWS.0 {
            (self.last_trust, self.last_offset) = (now.trust, offset(&now));
            self.downloads.set_clock(now);
            self.tell(Input::ClockChanged);
        }
        if self.protect_at <= now.mono {
            self.protect_at = now.mono + PROTECT_EVERY;
            self.protect();
        }
        if self.store.has_unwritten() {
            self.commit(&mut Vec::new());
        }
        if self.trim_at <= now.mono && now.trust > ClockTrust::None {
            self.trim_at = now.mono + TRIM_EVERY;
            match self.store.trim(now.wall) {
                Ok(0) => {}
                Ok(count) => self.tell(Input::Noted(Box::new(Event::EntriesLost { count }))),
                Err(error) => tracing::error!(%error, "old log entries can't be deleted"),
            }
        }
    }

    /// Says what audio is not to be evicted.
    fn protect(&self) {
        let in_use = self.speaker.media_in_use().chain(self.programmes.media_in_use());
        self.downloads.protect(in_use.collect());
    }

    fn on_download(&mut self, news: News) {
        match news {
            News::Done(sha256, result) => self.tell(Input::Fetched { sha256, result }),
            News::Fault(fault, there) => self.set_fault(fault, there),
            News::OverBudget { month } => {
                let month = format!("{}-{:02}", month.year, month.month);
                self.tell(Input::Noted(Box::new(Event::DataBudgetExceeded { month })));
            }
        }
    }

    fn on_player(&mut self, event: PlayerEvent) {
        match &event {
            PlayerEvent::DeviceLost { .. } => self.set_fault("device_lost", true),
            PlayerEvent::DeviceBack => self.set_fault("device_lost", false),
            _ => {}
        }
        let changes_air = matches!(event, PlayerEvent::Started { .. } | PlayerEvent::Ended { .. });
        self.tell(Input::Player(event));
        if changes_air {
            self.send_log();
        }
    }

    fn set_fault(&mut self, fault: &'static str, there: bool) {
        let changed = if there { self.faults.insert(fault) } else { self.faults.remove(fault) };
        if changed {
            self.uplink.hurry_heartbeat(monotonic());
        }
    }

    /// Does everything that the heart asks for. A play starts only when what it wrote before is on the disk.
    fn carry_out(&mut self) {
        let mut batch = Vec::new();
        while let Some(action) = self.speaker.poll_action() {
            match action {
                Action::Log(entry) if !self.is_worth_logging(&entry.event) => {}
                Action::Log(entry) => {
                    tracing::debug!(event = ?entry.event, "log");
                    batch.push(Change::Log(Box::new(entry)));
                }
                Action::Remember(memo) => {
                    if let Memo::OpenPlay(play, None) = &memo {
                        batch.push(Change::Checkpoint { play: *play, played: None });
                    }
                    let (key, value) = memo.row();
                    batch.push(Change::Remember { key, value });
                }
                Action::Keep(id) => {
                    if let Some(envelope) = self.arriving.get(&id).cloned() {
                        batch.push(Change::KeepCommand { id, envelope });
                    }
                }
                Action::Forget(id) => batch.push(Change::ForgetCommand { id }),
                Action::Checkpoint(play) => {
                    let played = self.player.position(play);
                    batch.extend(played.map(|played| Change::Checkpoint { play, played: Some(played) }));
                }
                Action::Player(command) => {
                    if matches!(command, PlayerCommand::Play { .. }) {
                        self.commit(&mut batch);
                    }
                    self.player.send(self.as_loud_as_installed(command));
                }
                Action::Fetch { media, by, urgent } => self.downloads.fetch(media, by, urgent),
                Action::Adopt(command) => batch.extend(self.adopt(&command)),
            }
        }
        self.commit(&mut batch);
        self.send_log();
    }

    fn as_loud_as_installed(&self, command: PlayerCommand) -> PlayerCommand {
        match command {
            PlayerCommand::Preflight { play, mut score } => {
                let percent = u32::from(score.volume_percent) * u32::from(self.volume_percent) / 100;
                score.volume_percent = percent as u8;
                PlayerCommand::Preflight { play, score }
            }
            other => other,
        }
    }

    /// Puts changes on the disk. Where the disk refuses, they wait in memory and the sound goes on.
    fn commit(&mut self, batch: &mut Vec<Change>) {
        if batch.is_empty() && !self.store.has_unwritten() {
            return;
        }
        match self.store.commit(batch.drain(..)) {
            Ok(last) => {
                self.set_fault("disk", false);
                self.uplink.outbox.handle(monotonic(), outbox::Input::Appended { last });
            }
            Err(error) => {
                if !self.faults.contains("disk") {
                    tracing::error!(%error, "the log can't be written; it waits in memory");
                }
                self.set_fault("disk", true);
            }
        }
    }

    /// Sends what the outbox wants sent, and the heartbeat where it is due.
    fn send_log(&mut self) {
        let now = monotonic();
        while let Some(send) = self.uplink.outbox.poll_send(now) {
            let records = self.store.pending(send.from, BATCH_RECORDS_MAX, BATCH_BYTES_MAX);
            let oldest = self.store.oldest();
            let (Ok(records), Ok(oldest)) = (records, oldest) else {
                self.uplink.outbox.handle(now, outbox::Input::Published { upto: None });
                break;
            };
            let (box_id, epoch) = (self.box_id.clone(), self.store.epoch());
            let batch = LogBatch { v: VERSION, box_id, epoch, oldest, records, head: None };
            self.uplink.send_batch(now, batch);
        }
        if self.uplink.heartbeat_is_due(now) && self.uplink.welcome_is_missing(now) {
            self.introduce();
        } else if self.uplink.heartbeat_is_due(now) {
            let (heartbeat, holds) = (self.heartbeat(), self.holds());
            self.uplink.heartbeat(now, heartbeat, holds);
        }
    }

    fn holds(&self) -> Holds {
        Holds {
            commands: commands_digest(self.speaker.in_force(&self.clock.read())),
            programmes: self.programmes.versions(),
            trust: self.speaker.trust().map_or(0, |trust| trust.version),
            policy: self.speaker.policy().version,
            groups: self.groups_version,
        }
    }

    fn heartbeat(&self) -> Heartbeat {
        let now = self.clock.read();
        let on_air = self.speaker.on_air();
        Heartbeat {
            v: VERSION,
            wall: now.wall,
            clock: now.trust,
            on_air: on_air.map(|(play, title, _)| OnAir { play, title: title.to_owned() }),
            holds: None,
            held: None,
            backlog: self.store.backlog(),
            faults: self.faults.iter().map(|fault| (*fault).to_owned()).collect(),
        }
    }

    fn on_link(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Connected => self.introduce(),
            LinkEvent::Disconnected { reason } => {
                if self.uplink.is_connected() {
                    tracing::warn!(reason, "central is out of reach; the programme goes on");
                }
                self.uplink.disconnected(monotonic());
            }
            LinkEvent::Refused { reason } => tracing::warn!(reason, "the broker refused something"),
            LinkEvent::Message { topic, bytes } => self.on_message(&topic, bytes),
        }
    }

    fn introduce(&mut self) {
        let Ok(random) = random() else { return };
        let now = self.clock.read();
        self.uplink.connected(Hello {
            v: VERSION,
            box_id: self.box_id.clone(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            key: Some(self.uplink.public_key()),
            epoch: self.store.epoch(),
            nonce: format!("{random:016x}"),
            clock: now.trust,
            wall: now.wall,
            holds: self.holds(),
        });
    }

    fn on_message(&mut self, topic: &Topic, bytes: Vec<u8>) {
        match self.uplink.read(topic, bytes, self.speaker.trust()) {
            Ok(None) => {}
            Ok(Some(Arrived::Welcome { welcome, asked })) => self.on_welcome(welcome, asked),
            Ok(Some(Arrived::Acknowledged(ack))) => self.on_ack(&ack),
            Ok(Some(Arrived::Trust { message, envelope })) => {
                let before = self.speaker.trust().map(|trust| trust.version);
                self.tell(Input::Trust(message.trust));
                if self.speaker.trust().map(|trust| trust.version) != before {
                    let name = "trust".to_owned();
                    self.commit(&mut vec![Change::KeepDocument { name, envelope: Some(envelope) }]);
                    self.drop_what_lost_authority();
                }
            }
            Ok(Some(Arrived::Command { signed, envelope })) => self.on_command(*signed, envelope),
            Err(reason) => self.refuse(None, reason),
        }
    }

    fn refuse(&mut self, command: Option<CommandId>, reason: CommandRefusal) {
        tracing::warn!(%reason, "a message is refused");
        self.tell(Input::Refused { command, reason });
    }

    /// Counts refusals, the shell's and the heart's, so that a flood of them fills no log.
    fn is_worth_logging(&mut self, event: &Event) -> bool {
        match event {
            Event::CommandRefused { command, reason } => {
                self.refusals.note(monotonic(), command.as_ref(), reason)
            }
            _ => true,
        }
    }

    fn on_command(&mut self, signed: Signed<Command>, envelope: Vec<u8>) {
        // Audio that came with something else is no reason to wait, or to sound a siren in its place.
        if let Some(sha256) = media_of(&signed).filter(|sha256| self.downloads.claim(sha256)) {
            self.tell(Input::Fetched { sha256, result: Ok(()) });
        }
        self.arriving.insert(signed.payload.id.clone(), envelope);
        self.tell(Input::Command(Box::new(signed)));
        self.arriving.clear();
        self.uplink.hurry_heartbeat(monotonic() + HURRY);
    }

    fn on_welcome(&mut self, welcome: Welcome, asked: Moment) {
        self.clock.learn(welcome.time, asked);
        self.downloads.set_clock(self.clock.read());
        self.downloads.set_base(welcome.media_base);
        let upload_after = Span::secs(u64::from(welcome.upload_after_s));
        self.uplink.outbox.handle(monotonic(), outbox::Input::Welcomed { upload_after });
        let now = self.clock.read();
        (self.last_trust, self.last_offset) = (now.trust, offset(&now));
        self.tell(Input::ClockChanged);
    }

    fn on_ack(&mut self, ack: &LogAck) {
        if ack.epoch != self.store.epoch() {
            return;
        }
        if ack.forked {
            match self.store.begin_epoch() {
                Ok(kept_as) => {
                    self.uplink.outbox.handle(monotonic(), outbox::Input::NewEpoch);
                    return self.tell(Input::Noted(Box::new(Event::StoreReplaced { kept_as })));
                }
                Err(error) => tracing::error!(%error, "no new epoch can be begun"),
            }
        }
        match self.store.acknowledge(ack.epoch, ack.contiguous_upto) {
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "an acknowledgement can't be written"),
        }
        let upto = ack.contiguous_upto;
        self.uplink.outbox.handle(monotonic(), outbox::Input::Acknowledged { upto });
        self.send_log();
    }
}

/// A change of the wall clock against the monotonic one that the heart is told of.
const CLOCK_NEWS: Span = Span::millis(100);

/// How soon after a command central hears what the box now holds.
const HURRY: Span = Span::secs(2);

/// The wall clock minus the monotonic clock.
fn offset(now: &Reading) -> i64 {
    now.wall.0 - now.mono.0 as i64
}

async fn next<T>(from: &mut Option<mpsc::Receiver<T>>) -> Option<T> {
    match from {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}

async fn sleep(wake: Option<Duration>) {
    match wake {
        Some(wake) => tokio::time::sleep(wake).await,
        None => std::future::pending().await,
    }
}
