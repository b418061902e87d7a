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
/// Time until a lost device is opened again; doubles with each loss in a row, up to the second.
const REOPEN: (Span, Span) = (Span::millis(500), Span::secs(30));
/// The same while an emergency waits.
const REOPEN_IN_HURRY: Span = Span::secs(1);
/// A device that ran this long is lost for the first time in a row again.
const WELL: Span = Span::secs(60);
/// Losses in a row after which a device must run for some time before it counts as back.
const DOUBTED_AFTER: u32 = 3;
const PROVEN: Span = Span::secs(2);
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
    /// Losses, and failures to open it, since it last ran well.
    losses_in_row: u32,
    /// An emergency waits for it.
    hurries: bool,
}

enum State {
    /// A thread opens it.
    Opening {
        mixer: Mixer,
        trouble: Arc<Trouble>,
    },
    Running {
        sink: Box<dyn Sink>,
        mixer: Mixer,
        trouble: Arc<Trouble>,
        since: Moment,
    },
    /// To be opened at a moment.
    Waiting {
        until: Moment,
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
    /// The heart does not know yet that the device is lost.
    pub is_news: bool,
}

impl Loss {
    fn of(detail: &str) -> Self {
        let detail = detail.to_owned();
        Self { fault: Fault::DeviceLost { detail: detail.clone() }, detail, is_news: true }
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
        Self {
            opener,
            opened,
            ears,
            losses,
            rest,
            state: State::Waiting { until: now },
            closing: None,
            needed: now,
            lost: false,
            losses_in_row: 0,
            hurries: false,
        }
    }

    /// Opens a lost device at once and then every second while an emergency waits for it.
    pub(super) fn hurry(&mut self, hurries: bool, now: Moment) {
        if let State::Waiting { until } = &mut self.state
            && hurries
            && !self.hurries
        {
            *until = (*until).min(now);
        }
        self.hurries = hurries;
    }

    /// Returns how long a device that failed is left alone.
    fn pause(&self) -> Span {
        let doubled = REOPEN.0.0 << self.losses_in_row.saturating_sub(1).min(16);
        if self.hurries { REOPEN_IN_HURRY } else { Span(doubled).min(REOPEN.1) }
    }

    /// Returns the news that a lost device is back, once that can be believed.
    pub(super) fn back(&mut self, now: Moment) -> Option<PlayerEvent> {
        let State::Running { since, .. } = &self.state else { return None };
        let ran = now.since(*since);
        if ran >= WELL {
            self.losses_in_row = 0;
        }
        let is_believed = self.hurries || self.losses_in_row < DOUBTED_AFTER || ran >= PROVEN;
        (is_believed && std::mem::take(&mut self.lost)).then_some(PlayerEvent::DeviceBack)
    }

    /// Opens a device that rests.
    pub(super) fn wake(&mut self, now: Moment) {
        self.needed = now;
        if matches!(self.state, State::Resting { .. }) {
            self.open(now);
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
            self.losses_in_row = 0;
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
            State::Waiting { until } => {
                if *until <= now {
                    self.open(now);
                }
                return None;
            }
            State::Resting { until } => {
                if *until <= now {
                    self.wake(now);
                }
                return None;
            }
            State::Running { sink, mixer, trouble, .. } => {
                let allowed = SILENT_DEVICE.max(Span(sink.period().0 * SILENT_PERIODS));
                if mixer.panicked() {
                    let detail = "mixing failed".to_owned();
                    Loss { detail: detail.clone(), fault: Fault::Player { detail }, is_news: true }
                } else if let Some(detail) = trouble.broken() {
                    Loss::of(detail)
                } else if now.since(mixer.last_render()) > allowed {
                    Loss::of("it asks for no more sound")
                } else {
                    return None;
                }
            }
        };
        self.losses_in_row += 1;
        let waiting = State::Waiting { until: now + self.pause() };
        close_apart(std::mem::replace(&mut self.state, waiting));
        let is_news = !std::mem::replace(&mut self.lost, true);
        Some(Loss { is_news, ..loss })
    }

    fn open(&mut self, now: Moment) {
        let player = std::thread::current();
        let (mixer, mut renderer) = Mixer::new(player.clone());
        if let Some(ears) = &self.ears {
            renderer.tap_into(ears.tap());
        }
        let trouble = Trouble::new(player, self.losses.clone());
        self.state = State::Opening { mixer, trouble: trouble.clone() };
        let (opener, opened) = (self.opener.clone(), self.opened.clone());
        let closing = self.closing.take();
        let run = move || {
            closing.inspect(await_closed);
            opened(opener(renderer, trouble));
        };
        if let Err(error) = std::thread::Builder::new().name("open-sound".into()).spawn(run) {
            tracing::error!(%error, "no thread could be started to open the sound device");
            self.losses_in_row += 1;
            self.state = State::Waiting { until: now + self.pause() };
        }
    }

    /// Takes what came of opening the device, and returns what the heart is to be told of it.
    pub(super) fn opened(
        &mut self,
        result: Result<Box<dyn Sink>, DeviceError>,
        now: Moment,
    ) -> Option<PlayerEvent> {
        let waiting = State::Waiting { until: now };
        let State::Opening { mixer, trouble } = std::mem::replace(&mut self.state, waiting) else {
            return None;
        };
        match result {
            Ok(sink) => {
                self.state = State::Running { sink, mixer, trouble, since: now };
                self.back(now)
            }
            Err(error) => {
                self.losses_in_row += 1;
                self.state = State::Waiting { until: now + self.pause() };
                let news = !std::mem::replace(&mut self.lost, true);
                news.then(|| PlayerEvent::DeviceLost { detail: error.to_string() })
            }
        }
    }

    /// Returns how long nobody needs to look after the device.
    pub(super) fn patience(&self, now: Moment) -> Span {
        match &self.state {
            State::Waiting { until } | State::Resting { until } => until.since(now),
            State::Running { .. } | State::Opening { .. } => SILENT_DEVICE,
        }
    }

    /// Closes the device, and waits for it.
    pub(super) fn close(&mut self) {
        self.state = State::Waiting { until: Moment::default() };
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// A device that opens, and from which nobody expects to be asked.
    struct Still;

    impl Sink for Still {
        fn period(&self) -> Span {
            Span::secs(24 * 3_600)
        }
    }

    /// A device on a clock that the test moves ahead.
    struct Bench {
        device: Device,
        results: Receiver<Result<Box<dyn Sink>, DeviceError>>,
        trouble: Arc<Mutex<Option<Arc<Trouble>>>>,
        now: Moment,
        opens: u32,
        told: Vec<PlayerEvent>,
    }

    impl Bench {
        fn new() -> Self {
            let (opened, results) = channel();
            let trouble = Arc::<Mutex<Option<Arc<Trouble>>>>::default();
            let kept = trouble.clone();
            let opener: Opener = Arc::new(move |_, trouble| {
                *kept.lock().unwrap() = Some(trouble);
                Ok(Box::new(Still) as Box<dyn Sink>)
            });
            let opened: Opened = Arc::new(move |result| drop(opened.send(result)));
            let device = Device::new(opener, opened, None, Arc::default(), Rest::default());
            Self { device, results, trouble, now: monotonic(), opens: 0, told: Vec::new() }
        }

        /// Looks after the device every 100 ms, as the player does; `fails`: it reports an error right after it was opened.
        fn pass(&mut self, time: Span, fails: bool) {
            let end = self.now + time;
            while self.now < end {
                self.now = self.now + Span::millis(100);
                let lost = self.device.watch(self.now).filter(|loss| loss.is_news);
                self.told.extend(lost.map(|loss| PlayerEvent::DeviceLost { detail: loss.detail }));
                if matches!(self.device.state, State::Opening { .. }) {
                    self.opens += 1;
                    let result = self.results.recv().unwrap();
                    self.told.extend(self.device.opened(result, self.now));
                }
                self.told.extend(self.device.back(self.now));
                if fails && let Some(trouble) = self.trouble.lock().unwrap().as_ref() {
                    trouble.signal(0);
                }
            }
        }

        fn check(&mut self, what: &str, opens: u32, told: &[&str]) {
            let names = |event: &PlayerEvent| if *event == PlayerEvent::DeviceBack { "back" } else { "lost" };
            let heard: Vec<_> = self.told.drain(..).map(|event| names(&event)).collect();
            assert!(std::mem::take(&mut self.opens).abs_diff(opens) <= opens / 10, "{what}");
            assert_eq!(heard, told, "{what}");
        }
    }

    #[test]
    fn a_device_that_opens_and_fails_again_and_again_is_left_alone_ever_longer() {
        let mut bench = Bench::new();
        bench.pass(Span::secs(3_600), true);
        bench.check("an hour", 124, &["lost", "back", "lost", "back", "lost"]);
        // The last try was up to half a minute ago.
        bench.device.hurry(true, bench.now);
        bench.pass(Span::millis(100), true);
        bench.check("an emergency", 1, &["back"]);
        bench.pass(Span::secs(60), true);
        assert!((50..=60).contains(&bench.opens), "every second: {}", bench.opens);
        bench.device.hurry(false, bench.now);
        // It runs well: the next loss is the first one in a row again.
        bench.pass(Span::secs(100), false);
        (bench.opens, bench.told) = (0, Vec::new());
        bench.pass(Span::millis(700), true);
        bench.check("after a good minute", 1, &["lost", "back"]);
    }

    #[test]
    fn a_device_that_failed_often_counts_as_back_once_it_ran() {
        let mut bench = Bench::new();
        bench.pass(Span::secs(600), true);
        bench.pass(Span::millis(200), false);
        while !bench.device.runs() {
            bench.pass(Span::millis(100), false);
        }
        assert!(bench.device.lost, "it does not count as back as soon as it is open");
        bench.told.clear();
        bench.pass(PROVEN, false);
        assert_eq!(bench.told, [PlayerEvent::DeviceBack]);
    }
}
