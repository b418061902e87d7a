//! The player's sound device: opened on a thread of its own, watched, and opened again when it is lost.
//!
//! A device asks for sound a hundred times a second, silence too. Where nothing is to sound it is closed, and opened by
//! the next play while the amplifier warms up; from time to time it is opened to see whether it is still there.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::sound::{Fault, PlayerEvent};
use loaxa_heart::domain::time::{Moment, Span};
use loaxa_sound::hearing::ears::Ears;
use loaxa_sound::losses::Losses;
use loaxa_sound::output::mixer::{Mixer, Renderer};
use loaxa_sound::output::sink::device::DeviceError;
use loaxa_sound::output::sink::{Sink, Trouble};

/// A device that asks for nothing this long is lost.
const SILENT_DEVICE: Span = Span::secs(1);
/// Periods that a device may miss, if that is longer.
const SILENT_PERIODS: u64 = 4;
/// Time until a lost device is opened again; doubles up to the second.
const REOPEN: (Span, Span) = (Span::millis(500), Span::secs(5));

/// Longest wait for a device that is being closed, before it is opened again all the same.
const CLOSING_MAX: Duration = Duration::from_secs(2);
/// Time between two looks whether a device is closed.
const CLOSING_POLL: Duration = Duration::from_millis(5);

/// The times of a device's rest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    /// A device that nobody needs for this long is closed.
    pub after: Span,
    /// A closed device is opened this often, to see whether it is still there.
    pub probe: Span,
}

impl Default for Rest {
    fn default() -> Self {
        Self { after: Span::secs(20), probe: Span::secs(15 * 60) }
    }
}

/// A way to open a device for a renderer; a test puts its own in the place of the sink's.
pub(super) type Opener =
    Arc<dyn Fn(Renderer, Arc<Trouble>) -> Result<Box<dyn Sink>, DeviceError> + Send + Sync>;

/// A way to tell the player's thread what came of opening a device.
pub(super) type Opened = Arc<dyn Fn(Result<Box<dyn Sink>, DeviceError>) + Send + Sync>;

/// The device, whether it is there or not.
pub(super) struct Device {
    opener: Opener,
    opened: Opened,
    ears: Option<Arc<Ears>>,
    losses: Arc<Losses>,
    rest: Rest,
    state: State,
    /// The thread that closes a device which went to rest.
    closing: Option<JoinHandle<()>>,
    /// The last moment at which something was to sound.
    needed: Moment,
    /// The heart was told that the device is lost.
    lost: bool,
}

enum State {
    /// A thread opens it.
    Opening {
        mixer: Mixer,
        trouble: Arc<Trouble>,
        pause: Span,
    },
    Running {
        sink: Box<dyn Sink>,
        mixer: Mixer,
        trouble: Arc<Trouble>,
    },
    /// To be opened at a moment.
    Waiting {
        until: Moment,
        pause: Span,
    },
    /// Closed while nothing is to sound, until a play comes or a look at it is due.
    Resting {
        until: Moment,
    },
}

/// The loss of a device, in words and as the end of what sounded on it.
pub(super) struct Loss {
    pub detail: String,
    pub fault: Fault,
}

impl Loss {
    fn of(detail: &str) -> Self {
        Self { detail: detail.to_owned(), fault: Fault::DeviceLost { detail: detail.to_owned() } }
    }
}

impl Device {
    /// Makes a device that is opened at the first look; `opened` may be called on any thread.
    pub(super) fn new(
        opener: Opener,
        opened: Opened,
        ears: Option<Arc<Ears>>,
        losses: Arc<Losses>,
        rest: Rest,
    ) -> Self {
        let now = monotonic();
        let state = State::Waiting { until: now, pause: REOPEN.0 };
        Self { opener, opened, ears, losses, rest, state, closing: None, needed: now, lost: false }
    }

    /// Opens a device that rests.
    pub(super) fn wake(&mut self, now: Moment) {
        self.needed = now;
        if matches!(self.state, State::Resting { .. }) {
            self.open(REOPEN.0);
        }
    }

    /// Closes a device that has not been needed for long enough.
    pub(super) fn rest_unless(&mut self, needed: bool, now: Moment) {
        if needed {
            self.needed = now;
        }
        let State::Running { sink, .. } = &self.state else { return };
        if sink.may_rest() && now.since(self.needed) >= self.rest.after {
            let resting = State::Resting { until: now + self.rest.probe };
            self.closing = close_apart(std::mem::replace(&mut self.state, resting));
        }
    }

    /// Returns the mixer of a device that runs.
    pub(super) fn mixer(&mut self) -> Option<&mut Mixer> {
        match &mut self.state {
            State::Running { mixer, .. } => Some(mixer),
            State::Opening { .. } | State::Waiting { .. } | State::Resting { .. } => None,
        }
    }

    /// Tells whether the device runs.
    pub(super) fn runs(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// Tells whether the device runs, or was opened and rests while nothing needs it.
    pub(super) fn is_well(&self) -> bool {
        matches!(self.state, State::Running { .. } | State::Resting { .. })
    }

    /// Tells whether the device is lost and not back yet.
    pub(super) fn is_lost(&self) -> bool {
        self.lost && !self.runs()
    }

    /// Looks after the device: opens it when it is time, and returns how it was lost where it just was.
    pub(super) fn watch(&mut self, now: Moment) -> Option<Loss> {
        let loss = match &self.state {
            State::Opening { .. } => return None,
            State::Waiting { until, pause } => {
                if *until <= now {
                    self.open(*pause);
                }
                return None;
            }
            State::Resting { until } => {
                if *until <= now {
                    self.wake(now);
                }
                return None;
            }
            State::Running { sink, mixer, trouble } => {
                let allowed = SILENT_DEVICE.max(Span(sink.period().0 * SILENT_PERIODS));
                if mixer.panicked() {
                    let detail = "mixing failed".to_owned();
                    Loss { detail: detail.clone(), fault: Fault::Player { detail } }
                } else if let Some(detail) = trouble.broken() {
                    Loss::of(detail)
                } else if now.since(mixer.last_render()) > allowed {
                    Loss::of("it asks for no more sound")
                } else {
                    return None;
                }
            }
        };
        let waiting = State::Waiting { until: monotonic() + REOPEN.0, pause: Span(REOPEN.0.0 * 2) };
        close_apart(std::mem::replace(&mut self.state, waiting));
        self.lost = true;
        Some(loss)
    }

    fn open(&mut self, pause: Span) {
        let player = std::thread::current();
        let (mixer, mut renderer) = Mixer::new(player.clone());
        if let Some(ears) = &self.ears {
            renderer.tap_into(ears.tap());
        }
        let trouble = Trouble::new(player, self.losses.clone());
        self.state = State::Opening { mixer, trouble: trouble.clone(), pause };
        let (opener, opened) = (self.opener.clone(), self.opened.clone());
        let closing = self.closing.take();
        let run = move || {
            closing.inspect(await_closed);
            opened(opener(renderer, trouble));
        };
        if let Err(error) = std::thread::Builder::new().name("open-sound".into()).spawn(run) {
            tracing::error!(%error, "no thread could be started to open the sound device");
            self.state = State::Waiting { until: monotonic() + pause, pause };
        }
    }

    /// Takes what came of opening the device, and returns what the heart is to be told of it.
    pub(super) fn opened(&mut self, result: Result<Box<dyn Sink>, DeviceError>) -> Option<PlayerEvent> {
        let now = monotonic();
        let waiting = State::Waiting { until: now, pause: REOPEN.0 };
        let State::Opening { mixer, trouble, pause } = std::mem::replace(&mut self.state, waiting) else {
            return None;
        };
        match result {
            Ok(sink) => {
                self.state = State::Running { sink, mixer, trouble };
                std::mem::take(&mut self.lost).then_some(PlayerEvent::DeviceBack)
            }
            Err(error) => {
                self.state = State::Waiting { until: now + pause, pause: Span(pause.0 * 2).min(REOPEN.1) };
                let news = !std::mem::replace(&mut self.lost, true);
                news.then(|| PlayerEvent::DeviceLost { detail: error.to_string() })
            }
        }
    }

    /// Returns how long nobody needs to look after the device.
    pub(super) fn patience(&self, now: Moment) -> Span {
        match &self.state {
            State::Waiting { until, .. } | State::Resting { until } => until.since(now),
            State::Running { .. } | State::Opening { .. } => SILENT_DEVICE,
        }
    }

    /// Closes the device, and waits for it.
    pub(super) fn close(&mut self) {
        self.state = State::Waiting { until: Moment::default(), pause: REOPEN.0 };
    }
}

/// Closes a device on a thread of its own: a device that hangs may never come back from it.
fn close_apart(device: State) -> Option<JoinHandle<()>> {
    let close = std::thread::Builder::new().name("close-sound".into()).spawn(move || drop(device));
    close
        .inspect_err(|error| tracing::error!(%error, "no thread could be started to close the sound device"))
        .ok()
}

/// Waits until a device is closed, as most can't be opened twice.
fn await_closed(closing: &JoinHandle<()>) {
    let begun = monotonic();
    while !closing.is_finished() && Duration::from(monotonic().since(begun)) < CLOSING_MAX {
        std::thread::sleep(CLOSING_POLL);
    }
}
