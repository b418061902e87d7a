//! The player: obeys the heart's commands, and tells what really sounded.
//!
//! One thread owns the plays, the mixer and the device. Each play has a feeder thread; opening and closing a
//! device happen apart, as both may hang.

mod config;
mod device;
mod hearing;
mod play;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use self::config::PlayerConfig;
use self::device::{Device, Loss, Opener, Rest};
use self::play::{Play, Stage};
use crate::amplifier::{Amplifier, Switch, Switcher};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::config::box_file::AmplifierConfig;
use loaxa_heart::domain::ids::PlayId;
use loaxa_heart::domain::sound::{Cut, End, Fault, FileRef, PlayerCommand, PlayerEvent, Score, Sounded};
use loaxa_heart::domain::time::{Moment, Span, Wall};
use loaxa_sound::hearing::ears::{Ears, Microphone};
use loaxa_sound::level::loudness::LoudnessBook;
use loaxa_sound::losses::Losses;
use loaxa_sound::output::feed::Feeder;
use loaxa_sound::output::ledger::Ledger;
use loaxa_sound::output::mixer::{CUT_FADE, Entry, Note, Order};
use loaxa_sound::output::sink::device::DeviceError;
use loaxa_sound::output::sink::{self, Sink};
use loaxa_sound::output::together::{Course, SharedClock};
use loaxa_sound::output::voice::{Leave, Voice};
use loaxa_sound::source::sources::Sources;
use loaxa_sound::{frames_in, span_of};

/// Plays that may be ready and waiting; the oldest is forgotten for a newer one.
pub const READY_MAX: usize = 4;
/// Audio left when [`PlayerEvent::Ending`] is told.
const ENDING: Span = Span::millis(500);
/// A play that enters by the clock is given to the mixer this long before.
const AHEAD: Span = Span::secs(2);
/// Time until a full mixer is asked again.
const RETRY: Span = Span::millis(5);
/// Longest wait for the last fade at a shutdown.
const FAREWELL: Span = Span::millis(200);
/// Time that the last sound needs through the limiter and two periods of the device.
const DRAIN: Duration = Duration::from_millis(50);

/// Messages that may wait for the player's thread: it takes them within milliseconds, and needs few.
const INBOX_MAX: usize = 256;

type Ledgers = Arc<Mutex<BTreeMap<PlayId, Arc<Ledger>>>>;

/// A handle on the player's thread.
pub struct Player {
    inbox: SyncSender<Inbox>,
    thread: JoinHandle<()>,
    ledgers: Ledgers,
    sources: Arc<Sources>,
    ears: Option<Arc<Ears>>,
    stuck: AtomicBool,
    has_device: Arc<AtomicBool>,
    hurries: AtomicBool,
}

enum Inbox {
    Command(PlayerCommand),
    Opened { play: PlayId, result: Result<Option<Span>, Fault> },
    Device(Result<Box<dyn Sink>, DeviceError>),
    Hurry(bool),
    AmplifierFault(String),
    Quit,
}

/// Starts the player; `events` runs on its thread, which looks after nothing else meanwhile.
///
/// # Errors
/// Fails when no thread can be started.
pub fn start(config: PlayerConfig, events: impl Fn(PlayerEvent) + Send + 'static) -> std::io::Result<Player> {
    let spec = config.sink.clone();
    let opener = Arc::new(move |renderer, trouble| sink::open(&spec, renderer, trouble));
    start_with(config, opener, Rest::default(), events)
}

fn start_with(
    config: PlayerConfig,
    opener: Opener,
    rest: Rest,
    events: impl Fn(PlayerEvent) + Send + 'static,
) -> std::io::Result<Player> {
    let (inbox, received) = sync_channel(INBOX_MAX);
    let losses = Arc::<Losses>::default();
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
        losses: losses.clone(),
    });
    let (sender, shared_ledgers, shared_sources) = (inbox.clone(), ledgers.clone(), sources.clone());
    let faults = inbox.clone();
    let told = move |detail| {
        // The player waits for this thread at a shutdown, so this thread never waits for the player.
        let _ = faults.try_send(Inbox::AmplifierFault(detail));
    };
    let switcher = Switcher::start(config.amplifier.clone(), losses.clone(), told)?;
    let ears = config.microphone.map(|name| hearing::hear(name, losses.clone())).transpose()?.map(Arc::new);
    let heard_by = ears.clone();
    let has_device = Arc::<AtomicBool>::default();
    let device_runs = has_device.clone();
    let run = move || {
        let (devices, thread) = (sender.clone(), std::thread::current());
        let opened = move |result| {
            // A device that opens after the player is gone is closed right here.
            let _ = devices.send(Inbox::Device(result));
            thread.unpark();
        };
        let mut core = Core {
            events: Box::new(events),
            inbox: sender,
            device: Device::new(opener, Arc::new(opened), ears.clone(), losses, rest),
            sources: shared_sources,
            ledgers: shared_ledgers,
            amplifier: Amplifier::Off,
            switcher,
            ears,
            delay_us: i64::from(config.delay_ms) * 1_000,
            course_next: None,
            amplifier_config: config.amplifier,
            plays: Vec::new(),
            has_device: device_runs,
        };
        core.run(&received);
    };
    let thread = std::thread::Builder::new().name("player".into()).spawn(run)?;
    let (stuck, hurries) = Default::default();
    Ok(Player { inbox, thread, ledgers, sources, ears: heard_by, stuck, has_device, hurries })
}

impl Player {
    /// Passes a command on.
    pub fn send(&self, command: PlayerCommand) {
        self.tell(Inbox::Command(command));
    }

    /// Returns how much of a play was handed to the device so far; `None` where it is not preflighted or has ended.
    pub fn position(&self, play: PlayId) -> Option<Span> {
        lock(&self.ledgers).get(&play).map(|ledger| span_of(ledger.handed()))
    }

    /// Sets how far the wall clock is from the monotonic one, in microseconds; `None` while it is not known.
    pub fn set_clock(&self, offset_us: Option<i64>) {
        self.sources.clock.set(offset_us);
    }

    /// Returns the state of the microphone; `None` where none is set.
    pub fn microphone(&self) -> Option<Microphone> {
        self.ears.as_ref().map(|ears| ears.microphone())
    }

    /// Returns the counts of what was lost since the start.
    pub fn losses(&self) -> &Losses {
        &self.sources.losses
    }

    /// Tells whether the sound device is open, or was and rests.
    pub fn has_device(&self) -> bool {
        self.has_device.load(Ordering::Relaxed)
    }

    /// Tells whether the player was too busy to take a command: its thread hangs, and only a new start helps.
    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Measures the loudness of a file when there is time, so that its first play has the right level.
    pub fn measure(&self, file: &FileRef) {
        self.sources.ask(file);
    }

    /// Opens a lost device at once and then every second, as long as an emergency waits for it.
    pub fn hurry(&self, hurries: bool) {
        if self.hurries.swap(hurries, Ordering::Relaxed) != hurries {
            self.tell(Inbox::Hurry(hurries));
        }
    }

    /// Fades everything out, closes the device and waits for it.
    pub fn shutdown(self) {
        // Waits for room: a full inbox is emptied by a player that lives.
        let _ = self.inbox.send(Inbox::Quit);
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            tracing::error!("the player's thread had panicked");
        }
    }

    fn tell(&self, what: Inbox) {
        // A player that is gone has panicked; whoever waits for its events sees their channel close.
        if let Err(TrySendError::Full(_)) = self.inbox.try_send(what) {
            self.losses().player_commands.add(1);
            self.stuck.store(true, Ordering::Relaxed);
        }
        self.thread.thread().unpark();
    }
}

fn lock(ledgers: &Ledgers) -> MutexGuard<'_, BTreeMap<PlayId, Arc<Ledger>>> {
    ledgers.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Core {
    events: Box<dyn Fn(PlayerEvent)>,
    inbox: SyncSender<Inbox>,
    device: Device,
    sources: Arc<Sources>,
    ledgers: Ledgers,
    amplifier: Amplifier,
    switcher: Switcher,
    ears: Option<Arc<Ears>>,
    delay_us: i64,
    /// The course of a play that follows without a gap on the one that ended last.
    course_next: Option<Course>,
    amplifier_config: AmplifierConfig,
    plays: Vec<Play>,
    /// Told to whoever asks from outside.
    has_device: Arc<AtomicBool>,
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
                    Inbox::Device(result) => {
                        if let Some(event) = self.device.opened(result, monotonic()) {
                            self.tell(event);
                        }
                    }
                    Inbox::Hurry(hurries) => self.device.hurry(hurries, monotonic()),
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
            if let Some(loss) = self.device.watch(now) {
                self.lose_device(loss);
            }
            if let Some(event) = self.device.back(now) {
                self.tell(event);
            }
            self.has_device.store(self.device.is_well(), Ordering::Relaxed);
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
        self.device.wake(monotonic());
        if let Some(same) = self.index(id) {
            self.forget(same);
        }
        let idle =
            |play: &Play| matches!(play.stage, Stage::Opening { then: None, .. } | Stage::Ready { .. });
        if self.plays.iter().filter(|play| idle(play)).count() >= READY_MAX
            && let Some(oldest) = self.plays.iter().position(idle)
        {
            self.forget(oldest);
            self.sources.losses.forgotten_plays.add(1);
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
        self.plays.push(Play { id, feeder, ledger, stage, due: None, skip });
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
        play.stage = match play.stage {
            Stage::Opening { voice, .. } => Stage::Opening { voice, then: Some(undelayed) },
            Stage::Ready { voice } => {
                self.device.wake(monotonic());
                self.keep_time(&play.feeder, cut);
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

    /// Keeps a play to the shared clock: by its own due moment, or where it follows one that keeps to the clock. A play
    /// that follows too late keeps its distance from there on.
    fn keep_time(&mut self, feeder: &Feeder, cut: Cut) {
        let course = self.course_next.take();
        match (cut, self.plays.iter().find(|other| other.is_on_air()), course) {
            (Cut::At { shared: Some(due), .. }, ..) => feeder.keep_time(due),
            (Cut::AtEnd, Some(before), _) => feeder.follow(&before.feeder),
            (Cut::AtEnd, None, Some(course)) => feeder.keep_course(course),
            _ => {}
        }
    }

    /// Returns an entry by the shared clock as this box is to make it, whose listeners hear it later or sooner than those
    /// of its neighbours; any other entry is unchanged.
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
                if let Some(mixer) = self.device.mixer()
                    && mixer.order(Order::Leave { play: id, fade }).is_err()
                {
                    // The mixer takes nothing any more: its device hangs, and the watchdog ends the play.
                    tracing::warn!("a stop could not be passed to the sound device");
                }
            }
        }
    }

    /// Gives plays to the mixer whose time has come.
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
            if self.device.runs() && !early {
                self.order(index);
            } else if self.device.is_lost() {
                self.end(index, End::Failed(device_lost("it is being opened again")));
                continue;
            }
            index += 1;
        }
    }

    /// Passes a play to the mixer; the play stays where it is if the mixer has no room.
    fn order(&mut self, index: usize) {
        let Some(mixer) = self.device.mixer() else { return };
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
        if let Err(Order::Enter { voice, .. }) = mixer.order(Order::Enter { voice, entry }) {
            play.stage = Stage::Starting { voice, cut, warm_at };
        }
    }

    fn take_notes(&mut self) {
        loop {
            let Some(note) = self.device.mixer().and_then(|mixer| mixer.note()) else { return };
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
                self.course_next = play.feeder.course_after();
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
        // The announced length and the real one may differ by a rounding, or by an encoder's delay.
        let due = if end == End::Whole { Some(played) } else { play.due.map(|due| due.max(played)) };
        if play.ledger.starved() > 0 {
            self.sources.losses.late_frames.add(play.ledger.starved());
            let ms = span_of(play.ledger.starved()).as_millis();
            tracing::warn!(play = %play.id, ms, "sound came too late from the disk or the network: silence stood in");
        }
        let heard = self.ears.as_ref().and_then(|ears| ears.end(play.id));
        if let (Some(ears), None) = (&self.ears, &heard) {
            tracing::info!(play = %play.id, microphone = ?ears.microphone(), "the microphone proves nothing of this play");
        }
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

    fn lose_device(&mut self, Loss { detail, fault, is_news }: Loss) {
        if is_news {
            self.tell(PlayerEvent::DeviceLost { detail });
        }
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
        let sounds = self.plays.iter().any(sounding);
        self.device.rest_unless(sounds || self.amplifier != Amplifier::Off, now);
        if !sounds {
            self.amplifier.rest(now, Span::millis(u64::from(self.amplifier_config.off_delay_ms)));
        }
        let switch = self.amplifier.expire(now);
        self.switch(switch);
    }

    fn switch(&mut self, switch: Option<Switch>) {
        self.switcher.switch(switch);
    }

    /// Returns how long the thread may sleep, if nothing wakes it.
    fn patience(&self, now: Moment) -> Span {
        let mut patience = self.device.patience(now);
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
        if self.device.runs() {
            std::thread::sleep(DRAIN);
        }
        self.device.close();
        let off = Some(Switch::Off).filter(|_| self.amplifier != Amplifier::Off);
        self.switch(off);
    }
}

fn device_lost(detail: &str) -> Fault {
    Fault::DeviceLost { detail: detail.to_owned() }
}

#[cfg(test)]
mod tests;
