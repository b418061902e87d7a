//! The box's ear: records while something sounds, and compares it with what was handed to the device.
//!
//! The callbacks of both devices only fill lock-free rings; a thread of its own brings them down to 8 kHz, keeps the last
//! seconds of each and compares them window by window. Without a microphone in the settings none of it exists.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use rtrb::{Consumer, Producer, RingBuffer};

use super::heard::{BEFORE, Comparer, HEARD_HZ, LAGS, Tally, WINDOW, WINDOW_MIN};
use crate::decode::decimate::Decimator;
use crate::output::sink::{PERIOD, SinkError};
use crate::{Frame, RATE, span_of};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::ids::PlayId;
use loaxa_heart::domain::sound::Heard;
use loaxa_heart::domain::time::{Moment, Span};

/// What a ring between a callback and the thread holds: two seconds.
const RING_SAMPLES: usize = 2 * RATE as usize;
/// How often the thread looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What is kept of both sides: a window, all lags, and what a busy machine is late.
const KEPT: usize = WINDOW + LAGS + 3 * HEARD_HZ;
/// A microphone that gives nothing this long is opened anew.
const MUTE_MAX: Span = Span::secs(3);
/// Time between two tries to open it.
const REOPEN: Span = Span::secs(1);

/// Where a callback leaves its samples.
pub struct Tap {
    ring: Producer<f32>,
    end_at: Arc<AtomicU64>,
}

impl Tap {
    fn new() -> (Self, Line) {
        let (ring, samples) = RingBuffer::new(RING_SAMPLES);
        let end_at = Arc::new(AtomicU64::new(0));
        let decimator = Decimator::new(RATE as usize / HEARD_HZ);
        (Self { ring, end_at: end_at.clone() }, Line { samples, end_at, decimator })
    }

    /// Takes what is heard or sounds from `at` on, as one channel; never waits or allocates.
    pub fn take(&mut self, samples: impl ExactSizeIterator<Item = f32>, at: Moment) {
        let end = at + span_of(samples.len() as u64);
        for sample in samples {
            // Full only where the thread has no time: then a window is missed.
            let _ = self.ring.push(sample);
        }
        self.end_at.store(end.0, Ordering::Release);
    }

    /// The same for both sides of what sounds.
    pub fn take_frames(&mut self, frames: &[Frame], at: Moment) {
        self.take(frames.iter().map(|frame| (frame[0] + frame[1]) / 2.0), at);
    }
}

/// The thread's end of a [`Tap`].
struct Line {
    samples: Consumer<f32>,
    end_at: Arc<AtomicU64>,
    decimator: Decimator,
}

/// The last seconds of one side, at [`HEARD_HZ`].
#[derive(Default)]
struct Track {
    line: Option<Line>,
    samples: VecDeque<f32>,
    end_at: Moment,
}

impl Track {
    fn follow(&mut self, line: Option<Line>) {
        *self = Self { line, ..Self::default() };
    }

    fn listen(&mut self) {
        let Some(line) = &mut self.line else { return };
        let end_at = line.end_at.load(Ordering::Acquire);
        while let Ok(sample) = line.samples.pop() {
            self.samples.extend(line.decimator.push(sample));
        }
        self.end_at = Moment(end_at);
        self.samples.drain(..self.samples.len().saturating_sub(KEPT));
    }

    /// Up to `count` samples from a moment on; none where they are no longer kept.
    fn from(&self, at: Moment, count: usize) -> Vec<f32> {
        let back = (self.end_at.since(at).0 * HEARD_HZ as u64 / 1_000_000) as usize;
        let Some(start) = self.samples.len().checked_sub(back) else { return Vec::new() };
        self.samples.iter().skip(start).take(count).copied().collect()
    }
}

/// The play that is listened for.
struct Hearing {
    play: PlayId,
    /// Where the next window begins.
    next: Moment,
    tally: Tally,
}

struct State {
    comparer: Comparer,
    played: Track,
    recorded: Track,
    hearing: Option<Hearing>,
}

impl State {
    /// Compares all windows of the play that are complete.
    fn compare(&mut self) {
        self.played.listen();
        self.recorded.listen();
        let whole = span(WINDOW + LAGS);
        while let Some(Hearing { next, .. }) = self.hearing
            && self.recorded.end_at >= next + whole
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

/// The time that so many samples at [`HEARD_HZ`] take.
const fn span(samples: usize) -> Span {
    Span(samples as u64 * 1_000_000 / HEARD_HZ as u64)
}

struct Shared {
    stop: AtomicBool,
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
    /// Listens to the ALSA input `name`, again and again where it can't be opened.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(name: String) -> std::io::Result<Self> {
        let state = State {
            comparer: Comparer::default(),
            played: Track::default(),
            recorded: Track::default(),
            hearing: None,
        };
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), state: Mutex::new(state) });
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().name("ears".into()).spawn(move || listen(&theirs, &name))?;
        Ok(Self { shared, thread })
    }

    /// Where an output that was just opened leaves what it sounds.
    pub fn tap(&self) -> Tap {
        let (tap, line) = Tap::new();
        self.shared.state().played.follow(Some(line));
        tap
    }

    /// Listens for a play, whose first frame sounds `at`.
    pub fn begin(&self, play: PlayId, at: Moment) {
        self.shared.state().hearing = Some(Hearing { play, next: at, tally: Tally::default() });
    }

    /// What was heard of a play; `None` without a microphone, or where nothing was to be heard.
    pub fn end(&self, play: PlayId) -> Option<Heard> {
        let mut state = self.shared.state();
        state.hearing.as_ref().filter(|hearing| hearing.play == play)?;
        state.compare();
        state.recorded.line.as_ref()?;
        let verdict = |state: &State| state.hearing.as_ref().and_then(|hearing| hearing.tally.verdict());
        if verdict(&state).is_none() {
            // Too short for a whole window with all its lags.
            state.compare_window();
        }
        let verdict = verdict(&state);
        state.hearing = None;
        verdict
    }

    /// Whether the microphone gives sound.
    pub fn hears(&self) -> bool {
        self.shared.state().recorded.end_at > Moment::default()
    }
}

impl Drop for Ears {
    /// Tells the thread to end, without waiting: closing a device may hang.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
    }
}

fn listen(shared: &Shared, name: &str) {
    let mut stream = None;
    let (mut try_at, mut told) = (monotonic(), false);
    while !shared.stop.load(Ordering::Relaxed) {
        let now = monotonic();
        // One device after the other: sound servers dislike both at once.
        let sounds = shared.state().played.end_at > Moment::default();
        if stream.is_none() && sounds && try_at <= now {
            try_at = now + REOPEN;
            let (tap, line) = Tap::new();
            match open(name, tap) {
                Ok(opened) => {
                    stream = Some((opened, now));
                    told = false;
                    shared.state().recorded.follow(Some(line));
                }
                Err(error) if !told => {
                    told = true;
                    tracing::warn!(%error, name, "the microphone can't be opened; it is tried again");
                }
                Err(_) => {}
            }
        }
        let mut state = shared.state();
        state.compare();
        let mute = |opened: Moment| now.since(state.recorded.end_at.max(opened)) > MUTE_MAX;
        let is_mute =
            stream.as_ref().is_some_and(|(opened, since): &(Open, _)| opened.is_broken() || mute(*since));
        if is_mute {
            state.recorded.follow(None);
        }
        drop(state);
        if is_mute {
            tracing::warn!(name, "the microphone gives nothing more");
            stream = None;
            try_at = now + REOPEN;
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

fn device_error(error: cpal::Error) -> SinkError {
    SinkError::Device(error.to_string())
}

/// An input that is recorded until it is dropped.
pub struct Open {
    _stream: cpal::Stream,
    broken: Arc<AtomicBool>,
}

impl Open {
    /// Whether the device reported an error.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }
}

/// What was recorded, sample by sample at [`RATE`].
pub struct Samples(Consumer<f32>);

impl Iterator for Samples {
    type Item = f32;

    /// The next sample; `None` where there is none yet.
    fn next(&mut self) -> Option<f32> {
        self.0.pop().ok()
    }
}

/// Records from an ALSA input.
///
/// # Errors
/// As [`open`].
pub fn record(name: &str) -> Result<(Open, Samples), SinkError> {
    let (tap, line) = Tap::new();
    Ok((open(name, tap)?, Samples(line.samples)))
}

/// Opens an ALSA input at [`RATE`], with as few channels as it has.
///
/// # Errors
/// [`SinkError`] where it can't be opened.
pub fn open(name: &str, tap: Tap) -> Result<Open, SinkError> {
    let host = cpal::default_host();
    let missing = || SinkError::NoDevice(name.to_owned());
    let device = if name == "default" {
        host.default_input_device().ok_or_else(missing)?
    } else {
        let id = format!("alsa:{name}").parse().map_err(device_error)?;
        host.device_by_id(&id).ok_or_else(missing)?
    };
    let wanted = [cpal::SampleFormat::F32, cpal::SampleFormat::I16, cpal::SampleFormat::I32];
    let configs = device.supported_input_configs().map_err(device_error)?;
    let fits = |config: &cpal::SupportedStreamConfigRange| {
        (config.min_sample_rate()..=config.max_sample_rate()).contains(&RATE)
            && config.channels() <= 2
            && wanted.contains(&config.sample_format())
    };
    let rank = |config: &cpal::SupportedStreamConfigRange| {
        (config.channels(), wanted.iter().position(|format| *format == config.sample_format()))
    };
    let Some(best) = configs.filter(fits).min_by_key(rank) else {
        return Err(SinkError::Device(format!("it can't record at {RATE} Hz; name it as plughw:...")));
    };
    let period = match best.buffer_size() {
        cpal::SupportedBufferSize::Range { min, max } => (2 * PERIOD as u32).clamp(*min, *max),
        cpal::SupportedBufferSize::Unknown => 2 * PERIOD as u32,
    };
    let config = cpal::StreamConfig {
        channels: best.channels(),
        sample_rate: RATE,
        buffer_size: cpal::BufferSize::Fixed(period),
    };
    let broken = Arc::new(AtomicBool::new(false));
    let stream = match best.sample_format() {
        cpal::SampleFormat::I16 => build::<i16>(&device, config, tap, broken.clone()),
        cpal::SampleFormat::I32 => build::<i32>(&device, config, tap, broken.clone()),
        _ => build::<f32>(&device, config, tap, broken.clone()),
    }?;
    stream.play().map_err(device_error)?;
    Ok(Open { _stream: stream, broken })
}

fn build<T>(
    device: &cpal::Device,
    config: cpal::StreamConfig,
    mut tap: Tap,
    broken: Arc<AtomicBool>,
) -> Result<cpal::Stream, SinkError>
where
    T: cpal::SizedSample,
    f32: cpal::FromSample<T>,
{
    let channels = usize::from(config.channels);
    let callback = move |data: &[T], info: &cpal::InputCallbackInfo| {
        let stamp = info.timestamp();
        let age = stamp.callback.duration_since(stamp.capture);
        let at = Moment(monotonic().0.saturating_sub(age.as_micros() as u64));
        tap.take(data.chunks_exact(channels).map(|frame| frame[0].to_sample::<f32>()), at);
    };
    let failed = move |error: cpal::Error| {
        let harmless = matches!(
            error.kind(),
            cpal::ErrorKind::Xrun | cpal::ErrorKind::RealtimeDenied | cpal::ErrorKind::DeviceChanged
        );
        broken.fetch_or(!harmless, Ordering::Relaxed);
    };
    device.build_input_stream(config, callback, failed, None).map_err(device_error)
}
