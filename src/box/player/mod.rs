//! The player: obeys the heart's commands, and tells what really sounded.
//!
//! One thread owns the plays, the desk and the device. Each play has a feeder thread; opening and closing a
//! device happen apart, as both may hang.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::amplifier::{Amplifier, Relay, Switch};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::config::box_file::AmplifierConfig;
use loaxa_heart::config::shaping::Shaping;
use loaxa_heart::domain::ids::PlayId;
use loaxa_heart::domain::sound::{Cut, End, Fault, FileRef, PlayerCommand, PlayerEvent, Score, Sounded};
use loaxa_heart::domain::time::{Moment, Span, Wall};
use loaxa_sound::hearing::microphone::Ears;
use loaxa_sound::level::loudness::LoudnessBook;
use loaxa_sound::output::feed::{Feeder, Sources};
use loaxa_sound::output::mixer::{CUT_FADE, Desk, Entry, Leave, Ledger, Note, Order, Renderer, Voice};
use loaxa_sound::output::sink::{self, Sink, SinkError, SinkSpec, Trouble};
use loaxa_sound::output::together::SharedClock;
use loaxa_sound::tts::Speech;
use loaxa_sound::{frames_in, span_of};

/// Plays that may be ready and waiting; the oldest is forgotten for a newer one.
pub const READY_MAX: usize = 4;
/// A device that asks for nothing this long is lost.
const SILENT_DEVICE: Span = Span::secs(1);
/// Periods that a device may miss, if that is longer.
const SILENT_PERIODS: u64 = 4;
/// Time until a lost device is opened again; doubles up to the second.
const REOPEN: (Span, Span) = (Span::millis(500), Span::secs(5));
/// Audio left when [`PlayerEvent::Ending`] is told.
const ENDING: Span = Span::millis(500);
/// A play that enters by the clock is given to the desk this long before.
const AHEAD: Span = Span::secs(2);
/// How often a full desk is asked again.
const RETRY: Span = Span::millis(5);
/// How long the last fade is waited for at a shutdown.
const FAREWELL: Span = Span::millis(200);
/// What was handed over last is still on its way through the limiter and two periods of the device.
const DRAIN: Duration = Duration::from_millis(50);

/// What the player needs to know.
#[derive(Debug, Clone)]
pub struct PlayerConfig {
    pub sink: SinkSpec,
    /// Files named by path are found here, unless the path is absolute.
    pub programme_dir: PathBuf,
    /// Files named by hash are found here, as `ab/ab12...`.
    pub media_dir: PathBuf,
    /// Measured loudness is kept here.
    pub state_dir: PathBuf,
    pub speech: Speech,
    /// Level in LUFS that files are brought to; `None` leaves them as they are.
    pub target_lufs: Option<f32>,
    pub shaping: Shaping,
    pub amplifier: AmplifierConfig,
    /// ALSA name of the microphone, where there is one.
    pub microphone: Option<String>,
    /// Certificates that central's server is checked against.
    pub ca: Option<PathBuf>,
    /// What sounds by the shared clock sounds this much later, or earlier.
    pub delay_ms: i32,
}

/// Opens a device for a renderer.
type Opener = Arc<dyn Fn(Renderer, Arc<Trouble>) -> Result<Box<dyn Sink>, SinkError> + Send + Sync>;
type Ledgers = Arc<Mutex<BTreeMap<PlayId, Arc<Ledger>>>>;

/// A handle on the player's thread.
pub struct Player {
    inbox: Sender<Inbox>,
    thread: JoinHandle<()>,
    ledgers: Ledgers,
    sources: Arc<Sources>,
    ears: Option<Arc<Ears>>,
}

enum Inbox {
    Command(PlayerCommand),
    Opened { play: PlayId, result: Result<Option<Span>, Fault> },
    Device(Result<Box<dyn Sink>, SinkError>),
    AmplifierFault(String),
    Quit,
}

/// Starts the player; `events` runs on its thread and must not block.
///
/// # Errors
/// Where no thread can be started.
pub fn start(config: PlayerConfig, events: impl Fn(PlayerEvent) + Send + 'static) -> std::io::Result<Player> {
    let spec = config.sink.clone();
    start_with(config, Arc::new(move |renderer, trouble| sink::open(&spec, renderer, trouble)), events)
}

fn start_with(
    config: PlayerConfig,
    opener: Opener,
    events: impl Fn(PlayerEvent) + Send + 'static,
) -> std::io::Result<Player> {
    let (inbox, received) = channel();
    let ledgers = Ledgers::default();
    let sources = Arc::new(Sources {
        programme_dir: config.programme_dir,
        media_dir: config.media_dir,
        speech: config.speech,
        book: LoudnessBook::open(config.state_dir.join("loudness.json")),
        target_lufs: config.target_lufs,
        ca: config.ca,
        shaping: config.shaping,
        clock: SharedClock::default(),
    });
    let (sender, shared_ledgers, shared_sources) = (inbox.clone(), ledgers.clone(), sources.clone());
    let faults = inbox.clone();
    let told = move |detail| {
        // The player is gone only at a shutdown, when nobody listens any more.
        let _ = faults.send(Inbox::AmplifierFault(detail));
    };
    let relay = Relay::start(config.amplifier.clone(), told)?;
    let ears = config.microphone.map(Ears::start).transpose()?.map(Arc::new);
    let heard_by = ears.clone();
    let run = move || {
        let mut core = Core {
            events: Box::new(events),
            inbox: sender,
            opener,
            sources: shared_sources,
            ledgers: shared_ledgers,
            amplifier: Amplifier::Off,
            relay,
            ears,
            delay_us: i64::from(config.delay_ms) * 1_000,
            due_next: None,
            amplifier_config: config.amplifier,
            device: Device::Waiting { until: monotonic(), pause: REOPEN.0 },
            lost: false,
            plays: Vec::new(),
        };
        core.run(&received);
    };
    let thread = std::thread::Builder::new().name("player".into()).spawn(run)?;
    Ok(Player { inbox, thread, ledgers, sources, ears: heard_by })
}

impl Player {
    /// Passes a command on.
    pub fn send(&self, command: PlayerCommand) {
        self.tell(Inbox::Command(command));
    }

    /// Audio of a play handed to the device so far; `None` where it is not preflighted or has ended.
    pub fn position(&self, play: PlayId) -> Option<Span> {
        lock(&self.ledgers).get(&play).map(|ledger| span_of(ledger.handed()))
    }

    /// Says how far the wall clock is from the monotonic one, in microseconds; `None` while it is not known.
    pub fn set_clock(&self, offset_us: Option<i64>) {
        self.sources.clock.set(offset_us);
    }

    /// Whether the microphone gives sound.
    pub fn hears(&self) -> bool {
        self.ears.as_ref().is_some_and(|ears| ears.hears())
    }

    /// Measures the loudness of a file when there is time, so that its first play has the right level.
    pub fn measure(&self, file: &FileRef) {
        self.sources.ask(file);
    }

    /// Fades everything out, closes the device and waits for it.
    pub fn shutdown(self) {
        self.tell(Inbox::Quit);
        if self.thread.join().is_err() {
            tracing::error!("the player's thread had panicked");
        }
    }

    fn tell(&self, what: Inbox) {
        // A player that is gone has panicked; whoever waits for its events sees their channel close.
        let _ = self.inbox.send(what);
        self.thread.thread().unpark();
    }
}

fn lock(ledgers: &Ledgers) -> MutexGuard<'_, BTreeMap<PlayId, Arc<Ledger>>> {
    ledgers.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Device {
    /// A thread opens it.
    Opening {
        desk: Desk,
        trouble: Arc<Trouble>,
        pause: Span,
    },
    Running {
        sink: Box<dyn Sink>,
        desk: Desk,
        trouble: Arc<Trouble>,
    },
    /// Opened at a moment.
    Waiting {
        until: Moment,
        pause: Span,
    },
}

struct Play {
    id: PlayId,
    feeder: Feeder,
    ledger: Arc<Ledger>,
    stage: Stage,
    /// What was to sound from where it was entered.
    due: Option<Span>,
    skip: Span,
    /// It takes the air where another leaves it.
    follows: bool,
}

impl Play {
    fn is_on_air(&self) -> bool {
        matches!(self.stage, Stage::Ordered { started: true, .. })
    }
}

enum Stage {
    Opening {
        voice: Box<Voice>,
        then: Option<Cut>,
    },
    Ready {
        voice: Box<Voice>,
    },
    /// Commanded to sound; waits for the amplifier or the device.
    Starting {
        voice: Box<Voice>,
        cut: Cut,
        warm_at: Moment,
    },
    /// At the desk.
    Ordered {
        started: bool,
        ending_told: bool,
    },
}

struct Core {
    events: Box<dyn Fn(PlayerEvent)>,
    inbox: Sender<Inbox>,
    opener: Opener,
    sources: Arc<Sources>,
    ledgers: Ledgers,
    amplifier: Amplifier,
    relay: Relay,
    ears: Option<Arc<Ears>>,
    delay_us: i64,
    /// When a play that follows without a gap is due by the shared clock.
    due_next: Option<Wall>,
    amplifier_config: AmplifierConfig,
    device: Device,
    /// Whether the heart was told that the device is lost.
    lost: bool,
    plays: Vec<Play>,
}

impl Core {
    fn run(&mut self, inbox: &Receiver<Inbox>) {
        let mut quit_at = None;
        loop {
            while let Ok(message) = inbox.try_recv() {
                match message {
                    Inbox::Command(PlayerCommand::Preflight { play, score }) => self.preflight(play, score),
                    Inbox::Command(PlayerCommand::Play { play, cut }) => self.play(play, cut),
                    Inbox::Command(PlayerCommand::Stop { play, fade_ms }) => {
                        self.stop(play, Span::millis(u64::from(fade_ms)));
                    }
                    Inbox::Opened { play, result } => self.opened(play, result),
                    Inbox::Device(result) => self.device_opened(result),
                    Inbox::AmplifierFault(detail) => self.tell(PlayerEvent::AmplifierFault { detail }),
                    Inbox::Quit => {
                        quit_at = Some(monotonic() + FAREWELL);
                        let all: Vec<_> = self.plays.iter().map(|play| play.id).collect();
                        all.into_iter().for_each(|play| self.stop(play, CUT_FADE));
                    }
                }
            }
            let now = monotonic();
            self.take_notes();
            self.watch_device(now);
            self.start_plays(now);
            self.tell_endings();
            self.mind_amplifier(now);
            if quit_at.is_some_and(|quit_at| now >= quit_at || self.plays.is_empty()) {
                return self.close();
            }
            std::thread::park_timeout(Duration::from(self.patience(now)));
        }
    }

    fn tell(&self, event: PlayerEvent) {
        (self.events)(event);
    }

    fn index(&self, play: PlayId) -> Option<usize> {
        self.plays.iter().position(|known| known.id == play)
    }

    fn preflight(&mut self, id: PlayId, score: Score) {
        if let Some(same) = self.index(id) {
            self.forget(same);
        }
        let idle =
            |play: &Play| matches!(play.stage, Stage::Opening { then: None, .. } | Stage::Ready { .. });
        if self.plays.iter().filter(|play| idle(play)).count() >= READY_MAX
            && let Some(oldest) = self.plays.iter().position(idle)
        {
            self.forget(oldest);
        }
        let (inbox, thread) = (self.inbox.clone(), std::thread::current());
        let opened = move |result| {
            // The player is gone only when nobody waits for the answer.
            let _ = inbox.send(Inbox::Opened { play: id, result });
            thread.unpark();
        };
        let skip = score.skip;
        let (feeder, voice, ledger) = Feeder::start(id, score, self.sources.clone(), opened);
        lock(&self.ledgers).insert(id, ledger.clone());
        let stage = Stage::Opening { voice: Box::new(voice), then: None };
        self.plays.push(Play { id, feeder, ledger, stage, due: None, skip, follows: false });
    }

    fn forget(&mut self, index: usize) -> Play {
        let play = self.plays.remove(index);
        lock(&self.ledgers).remove(&play.id);
        play
    }

    fn opened(&mut self, id: PlayId, result: Result<Option<Span>, Fault>) {
        let Some(index) = self.index(id) else { return };
        self.tell(PlayerEvent::Preflighted { play: id, result: result.clone() });
        let mut play = self.plays.remove(index);
        let Stage::Opening { voice, then } = play.stage else {
            return self.plays.insert(index, play);
        };
        match result {
            Ok(length) => {
                play.due = length.map(|length| length.saturating_sub(play.skip));
                play.stage = Stage::Ready { voice };
                self.plays.insert(index, play);
                if let Some(cut) = then {
                    self.play(id, cut);
                }
            }
            Err(fault) => {
                lock(&self.ledgers).remove(&id);
                if then.is_some() {
                    self.tell_ended(id, Sounded::default(), End::Failed(fault));
                }
            }
        }
    }

    fn play(&mut self, id: PlayId, cut: Cut) {
        let (undelayed, cut) = (cut, self.delayed(cut));
        let Some(index) = self.index(id) else {
            let detail = "it was not preflighted, or forgotten for newer plays".to_owned();
            return self.tell_ended(id, Sounded::default(), End::Failed(Fault::Player { detail }));
        };
        let mut play = self.plays.remove(index);
        play.follows = cut == Cut::AtEnd && self.plays.iter().any(|other| other.is_on_air());
        play.stage = match play.stage {
            Stage::Opening { voice, .. } => Stage::Opening { voice, then: Some(undelayed) },
            Stage::Ready { voice } => {
                if let Cut::At { shared: Some(due), .. } = cut {
                    play.feeder.keep_time(due);
                }
                play.feeder.go();
                let warm_up = Span::millis(u64::from(self.amplifier_config.warm_up_ms));
                let (warm_at, switch) = self.amplifier.wake(monotonic(), warm_up);
                self.switch(switch);
                Stage::Starting { voice, cut, warm_at }
            }
            other => other,
        };
        self.plays.push(play);
    }

    /// The same entry for a box whose listeners hear it sooner than those of its neighbours.
    fn delayed(&self, cut: Cut) -> Cut {
        match cut {
            Cut::At { moment, shared: Some(due) } => Cut::At {
                moment: Moment(moment.0.saturating_add_signed(self.delay_us)),
                shared: Some(Wall(due.0 + self.delay_us)),
            },
            other => other,
        }
    }

    fn stop(&mut self, id: PlayId, fade: Span) {
        let Some(index) = self.index(id) else { return };
        match &self.plays[index].stage {
            Stage::Opening { then: None, .. } | Stage::Ready { .. } => {
                self.forget(index);
            }
            Stage::Opening { then: Some(_), .. } | Stage::Starting { .. } => self.end(index, End::Stopped),
            Stage::Ordered { .. } => {
                if let Device::Running { desk, .. } = &mut self.device
                    && desk.order(Order::Leave { play: id, fade }).is_err()
                {
                    // The desk takes nothing any more: its device hangs, and the watchdog ends the play.
                    tracing::warn!("a stop could not be passed to the sound device");
                }
            }
        }
    }

    /// Gives plays to the desk whose time has come.
    fn start_plays(&mut self, now: Moment) {
        let mut index = 0;
        while index < self.plays.len() {
            let Stage::Starting { cut, warm_at, .. } = &self.plays[index].stage else {
                index += 1;
                continue;
            };
            let early = match cut {
                Cut::At { moment, .. } => moment.since(now) > AHEAD,
                Cut::Now | Cut::AtEnd => *warm_at > now,
            };
            match &self.device {
                Device::Running { .. } if early => {}
                Device::Running { .. } => self.order(index),
                _ if self.lost => {
                    self.end(index, End::Failed(device_lost("it is being opened again")));
                    continue;
                }
                Device::Opening { .. } | Device::Waiting { .. } => {}
            }
            index += 1;
        }
    }

    /// Passes a play to the desk; it stays where it is if the desk has no room.
    fn order(&mut self, index: usize) {
        let Device::Running { desk, .. } = &mut self.device else { return };
        let play = &mut self.plays[index];
        let ordered = Stage::Ordered { started: false, ending_told: false };
        let Stage::Starting { voice, cut, warm_at } = std::mem::replace(&mut play.stage, ordered) else {
            return;
        };
        let entry = match cut {
            Cut::Now => Entry::Now,
            Cut::AtEnd => Entry::AtEnd,
            Cut::At { moment, .. } => Entry::At(moment.max(warm_at)),
        };
        if let Err(Order::Enter { voice, .. }) = desk.order(Order::Enter { voice, entry }) {
            play.stage = Stage::Starting { voice, cut, warm_at };
        }
    }

    fn take_notes(&mut self) {
        loop {
            let Device::Running { desk, .. } = &mut self.device else { return };
            let Some(note) = desk.note() else { return };
            match note {
                Note::Started { play } => self.started(play),
                Note::Left { voice, how } => self.left(&voice, how),
            }
        }
    }

    fn started(&mut self, id: PlayId) {
        let Some(index) = self.index(id) else { return };
        let play = &mut self.plays[index];
        if let Stage::Ordered { started, .. } = &mut play.stage {
            *started = true;
        }
        // What follows without a gap stays in time with others, too.
        if let Some(due) = self.due_next.take().filter(|_| play.follows) {
            play.feeder.keep_time(due);
        }
        let at = play.ledger.sounds_at().unwrap_or_else(monotonic);
        if let Some(ears) = &self.ears {
            ears.begin(id, at);
        }
        self.tell(PlayerEvent::Started { play: id, at });
    }

    fn left(&mut self, voice: &Voice, how: Leave) {
        if how == Leave::Drained {
            self.tell_endings();
        }
        let Some(index) = self.index(voice.play()) else { return };
        let end = match how {
            Leave::Faded => End::Stopped,
            Leave::Drained => {
                let play = &self.plays[index];
                self.due_next = play.feeder.due_after(play.ledger.handed());
                play.feeder.fault().map_or(End::Whole, End::Failed)
            }
        };
        self.end(index, end);
    }

    /// Closes a play's account.
    fn end(&mut self, index: usize, end: End) {
        let play = self.forget(index);
        let frames = play.ledger.handed();
        let played = span_of(frames);
        // What an index announced and what was there may differ by a rounding, or by an encoder's delay.
        let due = if end == End::Whole { Some(played) } else { play.due.map(|due| due.max(played)) };
        if play.ledger.starved() > 0 {
            let ms = span_of(play.ledger.starved()).as_millis();
            tracing::warn!(play = %play.id, ms, "sound came too late from the disk or the network: silence stood in");
        }
        let heard = self.ears.as_ref().and_then(|ears| ears.end(play.id));
        let sounded = Sounded { played, due, loudness_lufs: play.feeder.loudness(frames), heard };
        self.tell_ended(play.id, sounded, end);
    }

    fn tell_ended(&self, play: PlayId, sounded: Sounded, end: End) {
        self.tell(PlayerEvent::Ended { play, sounded, end });
    }

    fn tell_endings(&mut self) {
        for index in 0..self.plays.len() {
            let play = &mut self.plays[index];
            let Stage::Ordered { started: true, ending_told } = &mut play.stage else { continue };
            let near = play.ledger.left().is_some_and(|left| left <= frames_in(ENDING));
            if near && !*ending_told {
                *ending_told = true;
                let play = play.id;
                self.tell(PlayerEvent::Ending { play });
            }
        }
    }

    fn watch_device(&mut self, now: Moment) {
        match &self.device {
            Device::Opening { .. } => {}
            Device::Waiting { until, pause } if *until <= now => self.open_device(*pause),
            Device::Waiting { .. } => {}
            Device::Running { sink, desk, trouble } => {
                let allowed = SILENT_DEVICE.max(Span(sink.period().0 * SILENT_PERIODS));
                if desk.panicked() {
                    let detail = "mixing failed".to_owned();
                    self.lose_device("mixing failed", Fault::Player { detail });
                } else if let Some(detail) = trouble.broken() {
                    self.lose_device(detail, device_lost(detail));
                } else if now.since(desk.last_render()) > allowed {
                    self.lose_device("it asks for no more sound", device_lost("it asks for no more sound"));
                }
            }
        }
    }

    fn open_device(&mut self, pause: Span) {
        let player = std::thread::current();
        let (desk, mut renderer) = Desk::new(player.clone());
        if let Some(ears) = &self.ears {
            renderer.tap_into(ears.tap());
        }
        let trouble = Trouble::new(player.clone());
        self.device = Device::Opening { desk, trouble: trouble.clone(), pause };
        let (inbox, opener) = (self.inbox.clone(), self.opener.clone());
        let run = move || {
            // A device that opens after the player is gone is closed right here.
            let _ = inbox.send(Inbox::Device(opener(renderer, trouble)));
            player.unpark();
        };
        if let Err(error) = std::thread::Builder::new().name("open-sound".into()).spawn(run) {
            self.device_opened(Err(SinkError::Device(error.to_string())));
        }
    }

    fn device_opened(&mut self, result: Result<Box<dyn Sink>, SinkError>) {
        let now = monotonic();
        let waiting = Device::Waiting { until: now, pause: REOPEN.0 };
        let Device::Opening { desk, trouble, pause } = std::mem::replace(&mut self.device, waiting) else {
            return;
        };
        match result {
            Ok(sink) => {
                self.device = Device::Running { sink, desk, trouble };
                if std::mem::take(&mut self.lost) {
                    self.tell(PlayerEvent::DeviceBack);
                }
            }
            Err(error) => {
                self.device = Device::Waiting { until: now + pause, pause: Span(pause.0 * 2).min(REOPEN.1) };
                if !std::mem::replace(&mut self.lost, true) {
                    self.tell(PlayerEvent::DeviceLost { detail: error.to_string() });
                }
            }
        }
    }

    fn lose_device(&mut self, detail: &str, fault: Fault) {
        let now = monotonic();
        let waiting = Device::Waiting { until: now + REOPEN.0, pause: Span(REOPEN.0.0 * 2) };
        let lost = std::mem::replace(&mut self.device, waiting);
        close_apart(lost);
        self.lost = true;
        self.tell(PlayerEvent::DeviceLost { detail: detail.to_owned() });
        let concerned = |play: &Play| matches!(play.stage, Stage::Ordered { .. } | Stage::Starting { .. });
        while let Some(index) = self.plays.iter().position(concerned) {
            self.end(index, End::Failed(fault.clone()));
        }
    }

    fn mind_amplifier(&mut self, now: Moment) {
        let sounding = |play: &Play| {
            matches!(
                play.stage,
                Stage::Ordered { .. } | Stage::Starting { .. } | Stage::Opening { then: Some(_), .. }
            )
        };
        if !self.plays.iter().any(sounding) {
            self.amplifier.rest(now, Span::millis(u64::from(self.amplifier_config.off_delay_ms)));
        }
        let switch = self.amplifier.expire(now);
        self.switch(switch);
    }

    fn switch(&self, switch: Option<Switch>) {
        if let Some(switch) = switch {
            self.relay.switch(switch);
        }
    }

    /// How long the thread may sleep, if nothing wakes it.
    fn patience(&self, now: Moment) -> Span {
        let mut patience = match &self.device {
            Device::Waiting { until, .. } => until.since(now),
            Device::Running { .. } | Device::Opening { .. } => SILENT_DEVICE,
        };
        if let Some(off_at) = self.amplifier.deadline() {
            patience = patience.min(off_at.since(now));
        }
        for play in &self.plays {
            let wait = match &play.stage {
                Stage::Opening { .. } | Stage::Ready { .. } => continue,
                Stage::Starting { cut: Cut::At { moment, .. }, .. } if moment.since(now) > AHEAD => {
                    moment.since(now).saturating_sub(AHEAD)
                }
                Stage::Starting { warm_at, .. } => warm_at.since(now).max(RETRY),
                Stage::Ordered { ending_told: true, .. } => continue,
                Stage::Ordered { .. } => match play.ledger.left() {
                    Some(left) => span_of(left).saturating_sub(ENDING),
                    None => ENDING,
                },
            };
            patience = patience.min(wait.max(Span::millis(1)));
        }
        patience
    }

    fn close(&mut self) {
        if let Device::Running { .. } = self.device {
            std::thread::sleep(DRAIN);
        }
        let waiting = Device::Waiting { until: Moment::default(), pause: REOPEN.0 };
        drop(std::mem::replace(&mut self.device, waiting));
        let off = Some(Switch::Off).filter(|_| self.amplifier != Amplifier::Off);
        self.switch(off);
    }
}

fn device_lost(detail: &str) -> Fault {
    Fault::DeviceLost { detail: detail.to_owned() }
}

/// Closes a device on a thread of its own: a device that hangs may never come back from it.
fn close_apart(device: Device) {
    let close = std::thread::Builder::new().name("close-sound".into()).spawn(move || drop(device));
    if let Err(error) = close {
        tracing::error!(%error, "no thread could be started to close the sound device");
    }
}

#[cfg(test)]
mod tests;
