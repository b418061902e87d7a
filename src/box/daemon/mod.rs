//! The daemon: one loop that tells the heart what happened, and carries out what the heart asks for.

mod documents;
pub mod error;
mod link;
mod panel;
mod prepared;
mod restore;
mod start;
mod upgrade;
mod visit;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use self::error::DaemonError;
use crate::adopt::Programmes;
use crate::button::Press;
use crate::downloads::{Downloads, FetchAsked, News};
use crate::lights::Lights;
use crate::local_socket::Visit;
use crate::player::Player;
use crate::prepared::Prepared;
use crate::renewal::Certificate;
use crate::settings::Settings;
use crate::upgrade::Upgrade;
use loaxa_adapters::box_store::{BoxStore, Change};
use loaxa_adapters::clock::{Clock, monotonic};
use loaxa_adapters::mqtt::LinkEvent;
use loaxa_adapters::uplink::Uplink;
use loaxa_heart::decide::memory::Memo;
use loaxa_heart::decide::outbox;
use loaxa_heart::decide::refusals::Refusals;
use loaxa_heart::decide::speaker::{Action, Input, Speaker};
use loaxa_heart::domain::ids::{BoxId, CommandId, ContentHash, GroupId, KeyId};
use loaxa_heart::domain::local_emergency::Contact;
use loaxa_heart::domain::playback::{Event, Presser};
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::sound::{PlayerCommand, PlayerEvent};
use loaxa_heart::domain::time::{ClockQuality, Moment, Reading, Span};
use loaxa_sound::hearing::ears::Microphone;
use loaxa_sound::losses::Count;

/// Time between two looks at the clock, the store and the watchdog.
const TICK: Span = Span::secs(1);

/// Time between two deletions of old log entries.
const TRIM_EVERY: Span = Span::secs(3_600);

/// Time between two looks at which audio is still in use.
const PROTECT_EVERY: Span = Span::secs(60);

/// Longest wait for the last play to fade out at the end.
const FAREWELL: Duration = Duration::from_secs(2);

/// Limits and groups that the installer wrote, in force where nothing signed takes their place.
struct Installed {
    policy: Policy,
    groups: Vec<GroupId>,
}

/// Runs the daemon until it is asked to end.
///
/// # Errors
/// Tells what keeps the daemon from running; everything that it can do without is done without.
pub fn run(settings: Settings) -> Result<(), DaemonError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (daemon, channels) = Daemon::start(settings)?;
        daemon.run(channels).await
    })
}

/// The channels that the loop listens to.
struct Channels {
    player: mpsc::Receiver<PlayerEvent>,
    link: Option<mpsc::Receiver<LinkEvent>>,
    downloads: mpsc::Receiver<News>,
    visits: Option<mpsc::Receiver<Visit>>,
    presses: Option<mpsc::Receiver<Press>>,
}

struct Daemon {
    box_id: BoxId,
    volume_percent: u8,
    clock: Clock,
    last_quality: ClockQuality,
    last_offset: i64,
    speaker: Speaker,
    store: BoxStore,
    player: Player,
    downloads: Downloads,
    month_bytes_max: Option<u64>,
    /// Room for audio on the disk.
    disk_bytes_max: u64,
    protect_at: Moment,
    uplink: Uplink,
    /// The contact with the centre, which an answer of its own proves.
    contact: Contact,
    lights: Lights,
    programmes: Programmes,
    prepared: Prepared,
    upgrade: Upgrade,
    certificate: Certificate,
    refusals: Refusals,
    groups_version: u32,
    /// The keys that signed these groups; none where the installer wrote them.
    groups_signers: Vec<KeyId>,
    installed: Installed,
    /// Envelopes of the commands that the heart is looking at.
    arriving: BTreeMap<CommandId, Vec<u8>>,
    faults: BTreeSet<&'static str>,
    trim_at: Moment,
    /// Visitors of the local socket that found too many before them.
    turned_away: Arc<Count>,
}

impl Daemon {
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
                _ = tick.tick() => {
                    self.on_tick();
                    if self.player.is_stuck() {
                        return Err(DaemonError::PlayerHangs);
                    }
                    if self.mind_upgrade() {
                        break;
                    }
                }
                Some(Press) = next(&mut channels.presses) => drop(self.press(Presser::Button)),
                Some(visit) = next(&mut channels.visits) => self.on_visit(visit),
            }
        }
        self.end(channels.player).await
    }

    /// Fades out, closes the log and ends.
    async fn end(mut self, mut events: mpsc::Receiver<PlayerEvent>) -> Result<(), DaemonError> {
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
        // A player that waits for room in the channel must not wait for ever.
        drop(events);
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
            tracing::warn!(reason, count, "more messages were refused");
            self.tell(Input::RefusalsCounted { reason, count });
        }
        self.carry_out();
    }

    fn on_tick(&mut self) {
        // Without a supervisor there is nobody to notify.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        let now = self.clock.read();
        self.look_at_the_microphone();
        self.show_state();
        self.set_fault(FAULT_CLOCK, now.quality == ClockQuality::None);
        self.mind_certificate(&now);
        self.player.set_clock((now.quality > ClockQuality::None).then(|| offset(&now)));
        if now.quality != self.last_quality || (offset(&now) - self.last_offset).unsigned_abs() > CLOCK_NEWS.0
        {
            (self.last_quality, self.last_offset) = (now.quality, offset(&now));
            self.downloads.set_clock(now);
            self.tell(Input::ClockChanged);
        }
        if self.protect_at <= now.mono {
            self.protect_at = now.mono + PROTECT_EVERY;
            self.protect();
            self.fetch_prepared();
        }
        if self.store.has_unwritten() {
            self.commit(&mut Vec::new());
        }
        if self.trim_at <= now.mono && now.quality > ClockQuality::None {
            self.trim_at = now.mono + TRIM_EVERY;
            match self.store.trim(now.wall) {
                Ok(0) => {}
                Ok(count) => self.tell(Input::Noted(Box::new(Event::EntriesLost { count }))),
                Err(error) => tracing::error!(%error, "old log entries can't be deleted"),
            }
        }
    }

    /// Raises a fault while a microphone that is set can't be used.
    fn look_at_the_microphone(&mut self) {
        match self.player.microphone() {
            Some(Microphone::Failed { .. }) => self.set_fault(FAULT_MICROPHONE, true),
            Some(Microphone::Hears) => self.set_fault(FAULT_MICROPHONE, false),
            Some(Microphone::Waiting | Microphone::Opened) | None => {}
        }
    }

    /// Says what audio is not to be evicted.
    fn protect(&self) {
        self.downloads.protect(self.media_in_use().collect());
    }

    /// Lists the audio that is scheduled, prepared or live.
    fn media_in_use(&self) -> impl Iterator<Item = ContentHash> {
        let scheduled = self.speaker.media_in_use().chain(self.programmes.media_in_use());
        scheduled.chain(self.prepared.media_in_use()).chain(self.upgrade.media_in_use())
    }

    fn on_download(&mut self, news: News) {
        match news {
            News::Done(sha256, result) => {
                self.upgrade.came(&sha256);
                if self.prepared.media_in_use().any(|staged| staged == sha256) {
                    self.uplink.hurry_heartbeat(monotonic());
                }
                self.tell(Input::Fetched { sha256, result });
            }
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
            self.show_state();
            self.send_log();
        }
    }

    fn set_fault(&mut self, fault: &'static str, there: bool) {
        let changed = if there { self.faults.insert(fault) } else { self.faults.remove(fault) };
        if changed {
            self.uplink.hurry_heartbeat(monotonic());
        }
    }

    /// Does everything that the heart asks for. A play starts only when everything asked for before it is on the disk.
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
                    self.player.send(as_loud_as_installed(command, self.volume_percent));
                }
                Action::Fetch { media, by, need } => {
                    let sha256 = media.sha256;
                    if let FetchAsked::Refused(fault) = self.downloads.fetch(media, by, need) {
                        let refused = Input::Fetched { sha256, result: Err(fault) };
                        self.speaker.handle(&self.clock.read(), refused);
                    }
                }
                Action::Adopt(signed) => batch.extend(self.adopt(&signed)),
            }
        }
        self.commit(&mut batch);
        self.player.hurry(self.speaker.emergency_waits_for_device(&self.clock.read()));
        self.send_log();
    }

    /// Counts refusals, the shell's and the heart's, so that a flood of them fills no log.
    fn is_worth_logging(&mut self, event: &Event) -> bool {
        match event {
            Event::CommandRefused { command, reason } => {
                let aloud = self.refusals.note(monotonic(), command.as_ref(), reason);
                if aloud {
                    tracing::warn!(%reason, "a message is refused; more of its kind are counted");
                }
                aloud
            }
            _ => true,
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
}

/// A microphone is set, and can't be used.
const FAULT_MICROPHONE: &str = "microphone";

/// The fault of an installed programme file that was wrong when the daemon started.
const FAULT_PROGRAMME: &str = "programme_refused";

/// The fault of a certificate of the box that is out of its time.
const FAULT_CERTIFICATE: &str = "certificate_expired";

/// The fault of a clock that can't be believed: nothing scheduled sounds.
const FAULT_CLOCK: &str = "clock_untrusted";

/// A change of the wall clock against the monotonic one that the heart is told of.
const CLOCK_NEWS: Span = Span::millis(100);

/// Returns the wall clock minus the monotonic clock, in microseconds.
fn offset(now: &Reading) -> i64 {
    now.wall.0 - now.mono.0 as i64
}

async fn next<T>(from: &mut Option<mpsc::Receiver<T>>) -> Option<T> {
    match from {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}

/// Lowers the volume of a play to the installer's setting: what the heart calls full volume is that much of the amplifier.
fn as_loud_as_installed(command: PlayerCommand, installed_percent: u8) -> PlayerCommand {
    match command {
        PlayerCommand::Preflight { play, mut score } => {
            let percent = u32::from(score.volume_percent) * u32::from(installed_percent) / 100;
            score.volume_percent = percent as u8;
            PlayerCommand::Preflight { play, score }
        }
        other => other,
    }
}

async fn sleep(wake: Option<Duration>) {
    match wake {
        Some(wake) => tokio::time::sleep(wake).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loaxa_heart::domain::ids::PlayId;
    use loaxa_heart::domain::sound::Score;

    #[test]
    fn the_installed_volume_lowers_what_the_heart_orders() {
        for (ordered, installed, expected) in
            [(100, 100, 100), (60, 100, 60), (60, 50, 30), (100, 80, 80), (0, 80, 0)]
        {
            let score = Score { parts: Vec::new(), skip: Span(0), volume_percent: ordered, gain_db: 0.0 };
            let command = PlayerCommand::Preflight { play: PlayId::new(1, 1), score };
            let PlayerCommand::Preflight { score, .. } = as_loud_as_installed(command, installed) else {
                panic!("it is another command");
            };
            assert_eq!(score.volume_percent, expected, "{ordered} % at {installed} %");
        }
    }
}
