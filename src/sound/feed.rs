//! One thread per play opens the parts of its score, decodes ahead and fills the ring of its voice.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use chrono::Timelike;
use rtrb::Producer;

use super::decode;
use super::live::Live;
use super::loudness::{LoudnessBook, Meter, TARGET_LUFS, Way, gain_db, measure};
use super::mix::{Ledger, MEAN_FRAMES, Voice};
use super::relay::Relay;
use super::resampled::Resampled;
use super::shape::Shaper;
use super::synth::Synth;
use super::together::{Place, SharedClock, Steering};
use super::{Frame, RATE, amplitude, frames_in, span_of};
use crate::tts::Speech;
use loaxa_adapters::clock::wall;
use loaxa_heart::config::shaping::{Shape, Shaping};
use loaxa_heart::domain::ids::PlayId;
use loaxa_heart::domain::sound::{Fault, FileRef, Score, Sound};
use loaxa_heart::domain::time::{Moment, Span, Wall};

/// What a ring holds: a second.
const RING_FRAMES: usize = RATE as usize;
/// What is decoded before a play is called ready.
const PRE_ROLL_FRAMES: usize = RATE as usize / 5;
/// The rise where a play is entered in its middle.
const ENTRY_FADE_FRAMES: u64 = RATE as u64 / 100;
/// How much of a file that was never measured is measured before it sounds.
const FIRST_LISTEN: Span = Span::millis(10);
/// A file that ends this much before its announced end broke off.
const BROKE_OFF_FRAMES: u64 = RATE as u64 / 2;
/// Frames made at a time.
const CHUNK_FRAMES: usize = 4_096;
/// How long a feeder waits for a play to begin before it looks around again.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a score's parts come from.
pub struct Sources {
    /// Files named by path are found here, unless the path is absolute.
    pub programme_dir: PathBuf,
    /// Files named by hash are found here, in folders of the first two digits.
    pub media_dir: PathBuf,
    pub speech: Speech,
    pub book: LoudnessBook,
    /// Level that files are brought to; `None` leaves them as they are.
    pub target_lufs: Option<f32>,
    /// Certificates that central's server is checked against, beside those of the machine.
    pub ca: Option<PathBuf>,
    /// What plays that sound together keep to.
    pub clock: SharedClock,
    pub shaping: Shaping,
}

/// What is done to a file on its way to the ring.
struct Treatment {
    before: f32,
    shaper: Shaper,
    shape: Shape,
    after: f32,
}

impl Treatment {
    fn new(shape: Shape, before_db: f32, after_db: f32) -> Self {
        Self { before: amplitude(before_db), shaper: Shaper::new(shape), shape, after: amplitude(after_db) }
    }

    fn process(&mut self, frames: &mut [Frame]) {
        if self.shape.is_flat() {
            return scale(frames, self.before * self.after);
        }
        scale(frames, self.before);
        self.shaper.process(frames);
        scale(frames, self.after);
    }

    /// Forgets what was heard: the sound goes on elsewhere.
    fn restart(&mut self) {
        self.shaper = Shaper::new(self.shape);
    }
}

fn scale(frames: &mut [Frame], gain: f32) {
    for frame in frames {
        *frame = frame.map(|sample| sample * gain);
    }
}

/// Whether it is 21:00 to 06:00 (QCVN 26:2010/BTNMT) by the system's clock, believed or not: only a level hangs on it.
fn is_night() -> bool {
    !(6..21).contains(&wall().local().hour())
}

impl Sources {
    /// The path of a file.
    pub fn path(&self, file: &FileRef) -> PathBuf {
        match file {
            FileRef::Path(path) => self.programme_dir.join(path),
            FileRef::Stored(hash) => hash.path_under(&self.media_dir),
        }
    }

    /// The shape and the level in force now.
    fn profile(&self) -> (Shape, Option<f32>) {
        self.shaping.at(is_night(), self.target_lufs)
    }

    /// Asks for a file to be measured when there is time, as it would sound now.
    pub fn ask(&self, file: &FileRef) {
        self.book.ask(&self.path(file), self.profile().0);
    }

    /// What brings a file to its level and into shape.
    fn treatment(&self, path: &Path) -> Result<Treatment, Fault> {
        let (shape, target) = self.profile();
        let Some(target) = target else { return Ok(Treatment::new(shape, 0.0, 0.0)) };
        let (flat, known) = self.loudness(path, Way::default(), true)?;
        if shape.is_flat() {
            return Ok(Treatment::new(shape, 0.0, gain_db(flat, target)));
        }
        let before_db = gain_db(flat, TARGET_LUFS);
        let (shaped, _) = self.loudness(path, Way { before_db, shape }, known)?;
        Ok(Treatment::new(shape, before_db, gain_db(shaped, target)))
    }

    /// A file's loudness, and whether that is of the whole file: by its first moments where it was never measured.
    fn loudness(&self, path: &Path, way: Way, keep: bool) -> Result<(Option<f32>, bool), Fault> {
        if let Some(known) = self.book.known(path, way.shape) {
            return Ok((known, true));
        }
        let first = measure(path, way, Some(FIRST_LISTEN))?;
        if first.whole && keep {
            self.book.keep(path, way.shape, first.lufs);
        } else {
            self.book.ask(path, way.shape);
        }
        Ok((first.lufs, first.whole))
    }

    fn open(&self, sound: &Sound) -> Result<Box<dyn Part>, Fault> {
        match sound {
            Sound::File(file) => self.open_file(&self.path(file)),
            Sound::Text { text, language } => self.open_file(&self.speech.speak(text, language)?),
            Sound::Pattern(pattern) => Ok(Box::new(Synth::new(pattern.clone()))),
            Sound::Silence(span) => Ok(Box::new(Silence { frames: frames_in(*span), at: 0 })),
            Sound::Relay { url } => Ok(Box::new(Relay::open(url, self.target_lufs)?)),
            Sound::Live { url, .. } => Ok(Box::new(Live::open(url, self.ca.as_deref())?)),
        }
    }

    fn open_file(&self, path: &Path) -> Result<Box<dyn Part>, Fault> {
        let sound = Resampled::new(decode::open(path)?)?;
        let treatment = self.treatment(path)?;
        Ok(Box::new(FilePart { sound, treatment, given: 0, ended: false }))
    }
}

/// A part of a score as a stream of frames at [`RATE`].
pub(super) trait Part: Send {
    /// Frames of the whole part, where that is known.
    fn frames(&self) -> Option<u64>;
    /// Goes on from a frame.
    fn enter(&mut self, frame: u64) -> Result<(), Fault>;
    /// Frames that may wait in the ring.
    fn ahead(&self) -> usize {
        RING_FRAMES
    }
    /// Appends frames to `out`; none at the end.
    fn more(&mut self, out: &mut Vec<Frame>) -> Result<(), Fault>;
}

struct FilePart {
    sound: Resampled,
    treatment: Treatment,
    /// Frames given so far, counted from the part's start.
    given: u64,
    ended: bool,
}

impl Part for FilePart {
    fn frames(&self) -> Option<u64> {
        self.sound.decoder().length().map(frames_in)
    }

    fn enter(&mut self, frame: u64) -> Result<(), Fault> {
        self.given = frame;
        self.treatment.restart();
        self.sound.seek(span_of(frame))
    }

    fn more(&mut self, out: &mut Vec<Frame>) -> Result<(), Fault> {
        let from = out.len();
        while out.len() - from < CHUNK_FRAMES && !self.ended {
            self.ended = !self.sound.more(out)?;
        }
        self.treatment.process(&mut out[from..]);
        self.given += (out.len() - from) as u64;
        let missing = self.frames().unwrap_or(0).saturating_sub(self.given);
        if self.ended && missing > BROKE_OFF_FRAMES {
            let what = self.sound.decoder().what().to_owned();
            let detail = format!("it broke off {:.1} s before its end", span_of(missing).as_secs_f64());
            return Err(Fault::Damaged { what, detail });
        }
        Ok(())
    }
}

impl Part for Synth {
    fn frames(&self) -> Option<u64> {
        Some(Synth::frames(self))
    }

    fn enter(&mut self, frame: u64) -> Result<(), Fault> {
        self.seek(frame);
        Ok(())
    }

    fn more(&mut self, out: &mut Vec<Frame>) -> Result<(), Fault> {
        self.next(CHUNK_FRAMES, out);
        Ok(())
    }
}

struct Silence {
    frames: u64,
    at: u64,
}

impl Part for Silence {
    fn frames(&self) -> Option<u64> {
        Some(self.frames)
    }

    fn enter(&mut self, frame: u64) -> Result<(), Fault> {
        self.at = frame;
        Ok(())
    }

    fn more(&mut self, out: &mut Vec<Frame>) -> Result<(), Fault> {
        let frames = self.frames.saturating_sub(self.at).min(CHUNK_FRAMES as u64);
        out.resize(out.len() + frames as usize, [0.0; 2]);
        self.at += frames;
        Ok(())
    }
}

/// What a feeder found out while it fed.
#[derive(Default)]
pub struct Findings {
    /// The first thing that went wrong.
    pub fault: Option<Fault>,
    meter: Meter,
}

/// The thread that feeds one play.
pub struct Feeder {
    shared: Arc<FeederShared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct FeederShared {
    stop: AtomicBool,
    go: AtomicBool,
    /// When the first frame is due by the shared clock, in microseconds; 0 for a play that keeps to none.
    due_us: AtomicI64,
    /// Frames consumed beyond those given.
    slipped: AtomicI64,
    findings: Mutex<Findings>,
}

impl FeederShared {
    fn findings(&self) -> MutexGuard<'_, Findings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feeder {
    /// Starts to open `score`; `opened` gets the whole score's length, or why it can't sound.
    pub fn start(
        play: PlayId,
        score: Score,
        sources: Arc<Sources>,
        opened: impl FnOnce(Result<Option<Span>, Fault>) + Send + 'static,
    ) -> (Self, Voice, Arc<Ledger>) {
        let (voice, ring, ledger) = Voice::new(play, RING_FRAMES);
        let shared = Arc::new(FeederShared::default());
        let (fed, theirs) = (ledger.clone(), shared.clone());
        let run = move || {
            let mut feeding = Feeding {
                ring,
                ledger: fed,
                shared: theirs,
                ready: Vec::new(),
                at: 0,
                ahead: RING_FRAMES,
                steering: None,
            };
            feeding.run(&score, &sources, opened);
        };
        let thread = std::thread::Builder::new().name("feed".into()).spawn(run);
        if let Err(error) = &thread {
            tracing::error!(%error, "no thread could be started to feed a play");
        }
        (Self { shared, thread: thread.ok() }, voice, ledger)
    }

    /// Lets it fill the whole ring: the play begins.
    pub fn go(&self) {
        self.shared.go.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Keeps the play to the shared clock, by which its first frame is due then.
    pub fn keep_time(&self, due: Wall) {
        self.shared.due_us.store(due.0, Ordering::Relaxed);
    }

    /// When what follows without a gap is due by the shared clock, for a play that kept to it and gave `frames`.
    pub fn due_after(&self, frames: u64) -> Option<Wall> {
        let due = Some(self.shared.due_us.load(Ordering::Relaxed)).filter(|due| *due != 0)?;
        let consumed = frames.saturating_add_signed(self.shared.slipped.load(Ordering::Relaxed));
        Some(Wall(due).plus(span_of(consumed)))
    }

    /// What went wrong so far.
    pub fn fault(&self) -> Option<Fault> {
        self.shared.findings().fault.clone()
    }

    /// Integrated loudness of the first `frames` frames.
    pub fn loudness(&self, frames: u64) -> Option<f32> {
        self.shared.findings().meter.loudness(frames)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Feeder {
    /// Tells the thread to end, without waiting: it may hang in a slow read.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.wake();
    }
}

struct Feeding {
    ring: Producer<Frame>,
    ledger: Arc<Ledger>,
    shared: Arc<FeederShared>,
    /// Frames made and not yet in the ring, from `at` on.
    ready: Vec<Frame>,
    at: usize,
    /// Frames of this part that may wait in the ring.
    ahead: usize,
    steering: Option<Box<Steering>>,
}

impl Feeding {
    fn run(
        &mut self,
        score: &Score,
        sources: &Sources,
        opened: impl FnOnce(Result<Option<Span>, Fault>) + Send + 'static,
    ) {
        let prepared = contained(|| open_all(score, sources));
        match prepared {
            Err(fault) => opened(Err(fault)),
            Ok((mut parts, length)) => {
                let mut opened = Some(opened);
                let fed = contained(|| {
                    self.feed(score, sources, &mut parts, || {
                        if let Some(opened) = opened.take() {
                            opened(Ok(length));
                        }
                    })
                });
                if let Err(fault) = fed {
                    self.shared.findings().fault.get_or_insert(fault.clone());
                    if let Some(opened) = opened.take() {
                        opened(Err(fault));
                    }
                }
            }
        }
        self.ledger.close();
    }

    /// Feeds all parts in turn; a part that breaks off is noted and the next one follows.
    fn feed(
        &mut self,
        score: &Score,
        sources: &Sources,
        parts: &mut [Box<dyn Part>],
        mut on_ready: impl FnMut(),
    ) -> Result<(), Fault> {
        let gain = amplitude(score.gain_db) * f32::from(score.volume_percent.min(100)) / 100.0;
        let fades_in = score.skip > Span::default();
        let mut made = 0u64;
        for part in parts {
            self.ahead = part.ahead();
            loop {
                self.ready.clear();
                self.at = 0;
                let result = part.more(&mut self.ready);
                for frame in &mut self.ready {
                    let entry = if fades_in && made < ENTRY_FADE_FRAMES {
                        made as f32 / ENTRY_FADE_FRAMES as f32
                    } else {
                        1.0
                    };
                    *frame = frame.map(|sample| sample * gain * entry);
                    made += 1;
                }
                let more = !self.ready.is_empty();
                self.keep_time(sources);
                if !self.hand_on(&mut on_ready) {
                    return Ok(());
                }
                if let Err(fault) = result {
                    self.shared.findings().fault.get_or_insert(fault);
                    break;
                }
                if !more {
                    break;
                }
            }
        }
        if let Some(steering) = &mut self.steering {
            self.ready.clear();
            self.at = 0;
            steering.finish(&mut self.ready);
            self.hand_on(&mut on_ready);
        }
        on_ready();
        Ok(())
    }

    /// Draws what is ready to where the shared clock wants it.
    fn keep_time(&mut self, sources: &Sources) {
        let due = Wall(self.shared.due_us.load(Ordering::Relaxed));
        if due == Wall(0) {
            return;
        }
        let steering = self.steering.get_or_insert_with(|| Box::new(Steering::new(&sources.clock)));
        if let Some(origin_ns) = self.ledger.origin_ns() {
            let waiting = self.ledger.fed().saturating_sub(self.ledger.handed());
            let late_frames = waiting + MEAN_FRAMES;
            let now = Moment((origin_ns / 1_000).max(0) as u64) + span_of(self.ledger.handed());
            steering.measure(&Place { due, origin_ns, late_frames }, &sources.clock, now);
        }
        let frames = std::mem::take(&mut self.ready);
        steering.process(&frames, &mut self.ready);
        self.shared.slipped.store(steering.slipped(), Ordering::Relaxed);
    }

    /// Puts what is ready into the ring, waiting for room; `false` where the play was given up.
    fn hand_on(&mut self, on_ready: &mut impl FnMut()) -> bool {
        self.shared.findings().meter.add(&self.ready);
        while self.at < self.ready.len() {
            if self.shared.stop.load(Ordering::Relaxed) || self.ring.is_abandoned() {
                return false;
            }
            let going = self.shared.go.load(Ordering::Relaxed);
            let held = RING_FRAMES - self.ring.slots();
            let limit = if going { self.ahead } else { PRE_ROLL_FRAMES.min(self.ahead) };
            if held >= PRE_ROLL_FRAMES.min(self.ahead) {
                on_ready();
            }
            if held >= limit {
                let wait = if going { Duration::from(span_of(held as u64 / 2)) } else { PATIENCE };
                std::thread::park_timeout(wait);
                continue;
            }
            let room = (limit - held).min(self.ready.len() - self.at);
            let part = &self.ready[self.at..self.at + room];
            let (pushed, _) = self.ring.push_partial_slice(part);
            self.at += pushed.len();
            self.ledger.add_fed(pushed.len() as u64);
        }
        true
    }
}

/// The parts still to sound, and the length of the whole score.
type Opened = (Vec<Box<dyn Part>>, Option<Span>);

/// Opens all parts, positions them and adds up their lengths.
fn open_all(score: &Score, sources: &Sources) -> Result<Opened, Fault> {
    let mut parts = Vec::new();
    let mut total = Some(0u64);
    let mut skip = frames_in(score.skip);
    for sound in &score.parts {
        let mut part = sources.open(sound)?;
        let frames = part.frames();
        total = total.zip(frames).map(|(total, frames)| total + frames);
        if frames.is_some_and(|frames| skip >= frames) {
            skip -= frames.unwrap_or(0);
            continue;
        }
        if skip > 0 {
            part.enter(std::mem::take(&mut skip))?;
        }
        parts.push(part);
    }
    Ok((parts, total.map(span_of)))
}

/// Runs something that may panic on damaged input, and makes a fault of it.
pub(super) fn contained<T>(run: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Fault::Player { detail: text.unwrap_or_else(|| "decoding failed".to_owned()) })
    })
}
