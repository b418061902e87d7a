//! The ear: a thread that keeps the microphone open, and compares its sound with what was handed to the device.
//!
//! The callbacks of both devices only fill lock-free rings. The thread brings them down to 8 kHz, keeps the last seconds
//! of each and compares them window by window. Without a microphone in the settings there is no such thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::heard::{BEFORE, Comparer, HEARD_HZ, LAGS, Tally, WINDOW, WINDOW_MIN};
use super::tap::{Tap, Track};
use crate::losses::Losses;
use crate::output::sink::device::DeviceError;
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::ids::PlayId;
use loaxa_heart::domain::sound::Heard;
use loaxa_heart::domain::time::{Moment, Span};

/// Time between two looks of the thread.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A microphone that gives nothing this long is opened anew.
const MUTE_MAX: Span = Span::secs(3);
/// Time before a microphone is tried again; doubles up to the second.
const REOPEN: (Span, Span) = (Span::millis(500), Span::secs(30));

/// A device that records into its [`Tap`] until this is dropped.
pub trait Recording: Send {
    /// Tells whether the device reported an error.
    fn is_broken(&self) -> bool;
}

/// A way to open the microphone; a test puts its own in the place of the sound system's.
pub type Opener = Box<dyn FnMut(Tap) -> Result<Box<dyn Recording>, DeviceError> + Send>;

/// States of a microphone that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Microphone {
    /// Not opened yet: one device after the other, as sound servers dislike both at once.
    Waiting,
    /// Opened, and no sound has come from it yet.
    Opened,
    /// Gives sound.
    Hears,
    /// Not opened, or mute after it was; it is tried again and again.
    Failed { why: String },
}

/// The play that is listened for.
struct Hearing {
    play: PlayId,
    /// The moment at which the next window begins.
    next: Moment,
    tally: Tally,
}

struct State {
    comparer: Comparer,
    microphone: Microphone,
    played: Track,
    recorded: Track,
    hearing: Option<Hearing>,
}

impl State {
    /// Compares all windows of the play that are complete.
    fn compare(&mut self) {
        self.played.listen();
        self.recorded.listen();
        if self.microphone == Microphone::Opened && self.recorded.end_at() > Moment::default() {
            self.microphone = Microphone::Hears;
        }
        let whole = span(WINDOW + LAGS);
        while let Some(Hearing { next, .. }) = self.hearing
            && self.recorded.end_at() >= next + whole
        {
            self.compare_window();
        }
    }

    fn compare_window(&mut self) {
        let Some(hearing) = &mut self.hearing else { return };
        let before = Moment(hearing.next.0.saturating_sub(span(BEFORE).0));
        let played = self.played.from(hearing.next, WINDOW);
        let recorded = self.recorded.from(before, WINDOW + LAGS);
        if recorded.len() >= WINDOW_MIN
            && let Some(score) = self.comparer.score(&played, &recorded)
        {
            hearing.tally.add(score);
        }
        hearing.next = hearing.next + span(WINDOW);
    }
}

/// Returns the time that so many samples at [`HEARD_HZ`] take.
const fn span(samples: usize) -> Span {
    Span(samples as u64 * 1_000_000 / HEARD_HZ as u64)
}

struct Shared {
    stop: AtomicBool,
    losses: Arc<Losses>,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A microphone and the thread that listens to it.
pub struct Ears {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

impl Ears {
    /// Listens to the microphone `name`, opened by `opener` as often as it takes.
    ///
    /// # Errors
    /// Fails when no thread can be started.
    pub fn start(name: String, opener: Opener, losses: Arc<Losses>) -> std::io::Result<Self> {
        let state = State {
            comparer: Comparer::default(),
            microphone: Microphone::Waiting,
            played: Track::default(),
            recorded: Track::default(),
            hearing: None,
        };
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), losses, state: Mutex::new(state) });
        let mut listener =
            Listener { name, opener, shared: shared.clone(), open: None, retry: Retry::default() };
        let thread = std::thread::Builder::new().name("ears".into()).spawn(move || listener.run())?;
        Ok(Self { shared, thread })
    }

    /// Returns the tap for an output that was just opened.
    pub fn tap(&self) -> Tap {
        let (tap, line) = Tap::new(self.shared.losses.clone());
        self.shared.state().played.follow(Some(line));
        tap
    }

    /// Listens for a play, whose first frame sounds `at`.
    pub fn begin(&self, play: PlayId, at: Moment) {
        self.shared.state().hearing = Some(Hearing { play, next: at, tally: Tally::default() });
    }

    /// Ends listening for a play. `None` where no microphone was open, or nothing was to be heard.
    pub fn end(&self, play: PlayId) -> Option<Heard> {
        let mut state = self.shared.state();
        state.hearing.as_ref().filter(|hearing| hearing.play == play)?;
        state.compare();
        if !state.recorded.is_connected() {
            state.hearing = None;
            return None;
        }
        let verdict = |state: &State| state.hearing.as_ref().and_then(|hearing| hearing.tally.verdict());
        if verdict(&state).is_none() {
            // Too short for a whole window with all its lags.
            state.compare_window();
        }
        let verdict = verdict(&state);
        state.hearing = None;
        verdict
    }

    /// Returns the state of the microphone.
    pub fn microphone(&self) -> Microphone {
        self.shared.state().microphone.clone()
    }
}

impl Drop for Ears {
    /// Tells the thread to end, without waiting: closing a device may hang.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
    }
}

/// The next try to open the microphone.
struct Retry {
    at: Moment,
    pause: Span,
}

impl Default for Retry {
    fn default() -> Self {
        Self { at: Moment::default(), pause: REOPEN.0 }
    }
}

impl Retry {
    /// Plans the next try, later each time.
    fn later(&mut self, now: Moment) {
        self.at = now + self.pause;
        self.pause = Span(self.pause.0 * 2).min(REOPEN.1);
    }
}

/// The thread's own: the open microphone, or the plan to open it.
struct Listener {
    name: String,
    opener: Opener,
    shared: Arc<Shared>,
    /// The device, and since when it is open.
    open: Option<(Box<dyn Recording>, Moment)>,
    retry: Retry,
}

impl Listener {
    fn run(&mut self) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            let now = monotonic();
            let sounds = self.shared.state().played.end_at() > Moment::default();
            if self.open.is_none() && sounds && self.retry.at <= now {
                self.try_to_open();
            }
            self.listen(monotonic());
            std::thread::park_timeout(LOOK_EVERY);
        }
    }

    fn try_to_open(&mut self) {
        let (tap, line) = Tap::new(self.shared.losses.clone());
        // Opening may take long: nothing is locked meanwhile.
        let opened = (self.opener)(tap);
        let now = monotonic();
        match opened {
            Ok(device) => {
                tracing::info!(name = self.name, "the microphone is open");
                self.open = Some((device, now));
                let mut state = self.shared.state();
                state.recorded.follow(Some(line));
                state.microphone = Microphone::Opened;
            }
            Err(error) => self.failed(error.to_string(), now),
        }
    }

    /// Compares what came, and closes a microphone that is broken or mute.
    fn listen(&mut self, now: Moment) {
        let mut state = self.shared.state();
        state.compare();
        let Some((device, since)) = &self.open else { return };
        if state.microphone == Microphone::Hears {
            self.retry.pause = REOPEN.0;
        }
        let mute = now.since(state.recorded.end_at().max(*since)) > MUTE_MAX;
        let why = match (device.is_broken(), mute) {
            (true, _) => "the device reported an error",
            (false, true) => "it gives no sound",
            (false, false) => return,
        };
        state.recorded.follow(None);
        drop(state);
        self.open = None;
        self.failed(why.to_owned(), now);
    }

    /// Notes a failure, logs it unless the one before was the same, and plans the next try.
    fn failed(&mut self, why: String, now: Moment) {
        let failed = Microphone::Failed { why };
        let before = std::mem::replace(&mut self.shared.state().microphone, failed.clone());
        self.retry.later(now);
        if let Microphone::Failed { why } = &failed
            && before != failed
        {
            tracing::warn!(
                name = self.name,
                why,
                "the microphone is set, but can't be used; it is tried again"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Instant;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(60);

    struct Fake;

    impl Recording for Fake {
        fn is_broken(&self) -> bool {
            false
        }
    }

    /// A microphone that opens, or not, as the test says at each try.
    fn fake(says: Receiver<bool>, opened: Sender<Tap>) -> Opener {
        Box::new(move |tap| match says.recv() {
            Ok(true) => {
                opened.send(tap).unwrap();
                Ok(Box::new(Fake) as Box<dyn Recording>)
            }
            _ => Err(DeviceError::Device("it is busy".to_owned())),
        })
    }

    fn until(ears: &Ears, is: impl Fn(&Microphone) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !is(&ears.microphone()) {
            assert!(Instant::now() < deadline, "{:?}", ears.microphone());
            ears.thread.thread().unpark();
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_microphone_that_does_not_open_at_once_is_tried_again() {
        let (say, says) = channel();
        let (opened, taps) = channel();
        let ears = Ears::start("fake".to_owned(), fake(says, opened), Arc::default()).unwrap();
        assert_eq!(ears.microphone(), Microphone::Waiting);
        let mut output = ears.tap();
        output.take_frames(&[[0.1; 2]; 480], monotonic());
        for _ in 0..2 {
            say.send(false).unwrap();
            until(&ears, |is| matches!(is, Microphone::Failed { why } if why.contains("it is busy")));
        }
        say.send(true).unwrap();
        let mut microphone = taps.recv_timeout(DEADLINE).unwrap();
        until(&ears, |is| *is == Microphone::Opened);
        microphone.take([0.1f32; 480].into_iter(), monotonic());
        until(&ears, |is| *is == Microphone::Hears);
    }

    #[test]
    fn tries_grow_rarer() {
        let mut retry = Retry::default();
        let mut pauses = Vec::new();
        for _ in 0..9 {
            retry.later(Moment::default());
            pauses.push(retry.at.since(Moment::default()).as_millis());
        }
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    }
}
