//! One thread for each play, which opens the parts of its score, decodes ahead and fills the ring of its voice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rtrb::Producer;

use super::ledger::{Ledger, MEAN_FRAMES};
use super::together::{Course, Place, Steering};
use super::voice::Voice;
use crate::level::loudness::Meter;
use crate::source::part::{Part, RING_FRAMES, contained};
use crate::source::sources::Sources;
use crate::{Frame, RATE, amplitude, frames_in, span_of};
use loaxa_heart::domain::ids::PlayId;
use loaxa_heart::domain::sound::{Fault, Score};
use loaxa_heart::domain::time::{Moment, Span, Wall};

/// Frames decoded before a play is called ready.
const PRE_ROLL_FRAMES: usize = RATE as usize / 2;
/// The rise where a play is entered in its middle.
const ENTRY_FADE_FRAMES: u64 = RATE as u64 / 100;
/// Longest sleep of a feeder whose play has not begun.
const PATIENCE: Duration = Duration::from_secs(5);

/// Findings of a feeder while it feeds.
#[derive(Default)]
pub struct Findings {
    /// The first thing that went wrong.
    pub fault: Option<Fault>,
    meter: Meter,
}

/// The thread that feeds one play.
pub struct Feeder {
    shared: Arc<FeederShared>,
    ledger: Arc<Ledger>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct FeederShared {
    stop: AtomicBool,
    go: AtomicBool,
    keeping: Mutex<Keeping>,
    findings: Mutex<Findings>,
}

/// The relation of a play to the shared clock.
#[derive(Default)]
enum Keeping {
    /// Not at all.
    #[default]
    Free,
    /// From the end of another play on; its course is known once the other has been fed whole.
    After { before: Arc<FeederShared>, ledger: Arc<Ledger> },
    /// On its own course.
    On(Course),
}

impl FeederShared {
    fn findings(&self) -> MutexGuard<'_, Findings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keeping(&self) -> MutexGuard<'_, Keeping> {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the course of the play, as soon as it is known.
    fn course(&self) -> Option<Course> {
        let mut keeping = self.keeping();
        match &*keeping {
            Keeping::Free => None,
            Keeping::On(course) => Some(*course),
            Keeping::After { before, ledger } => {
                let course = before.course_after(ledger);
                if ledger.is_closed() {
                    *keeping = course.map_or(Keeping::Free, Keeping::On);
                }
                course
            }
        }
    }

    /// Returns the course of what follows this play without a gap, once the play has been fed whole.
    fn course_after(&self, ledger: &Ledger) -> Option<Course> {
        ledger.is_closed().then(|| self.course().map(|course| course.after(ledger.fed())))?
    }
}

impl Feeder {
    /// Starts to open `score`; `opened` gets the length of the whole score, or the reason for which it can't sound.
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
        (Self { shared, ledger: ledger.clone(), thread: thread.ok() }, voice, ledger)
    }

    /// Lets the thread fill the whole ring, as the play begins.
    pub fn go(&self) {
        self.shared.go.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Keeps the play to the shared clock, by which its first frame is due then.
    pub fn keep_time(&self, due: Wall) {
        self.keep_course(Course::from(due));
    }

    /// Keeps the play to a course on which another one left off.
    pub fn keep_course(&self, course: Course) {
        *self.shared.keeping() = Keeping::On(course);
    }

    /// Keeps the play in time where `before` is: it follows that play without a gap.
    pub fn follow(&self, before: &Self) {
        let (before, ledger) = (before.shared.clone(), before.ledger.clone());
        *self.shared.keeping() = Keeping::After { before, ledger };
    }

    /// Returns the course of what follows this play, once the play has been fed whole; `None` where the play keeps to no
    /// clock.
    pub fn course_after(&self) -> Option<Course> {
        self.shared.course_after(&self.ledger)
    }

    /// Returns the first thing that went wrong so far.
    pub fn fault(&self) -> Option<Fault> {
        self.shared.findings().fault.clone()
    }

    /// Returns the integrated loudness of the first `frames` frames.
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

    /// Draws the frames that are ready to where the shared clock wants them.
    fn keep_time(&mut self, sources: &Sources) {
        let Some(course) = self.shared.course() else { return };
        let steering = self.steering.get_or_insert_with(|| Box::new(Steering::on(&course, &sources.clock)));
        if let Some(origin_ns) = self.ledger.origin_ns() {
            let waiting = self.ledger.fed().saturating_sub(self.ledger.handed());
            let late_frames = waiting + MEAN_FRAMES;
            let now = Moment((origin_ns / 1_000).max(0) as u64) + span_of(self.ledger.handed());
            steering.measure(&Place { origin_ns, late_frames }, &sources.clock, now);
        }
        let frames = std::mem::take(&mut self.ready);
        steering.process(&frames, &mut self.ready);
        *self.shared.keeping() = Keeping::On(steering.course());
    }

    /// Puts the frames that are ready into the ring, waiting for room; returns `false` where the play was given up.
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

/// The parts that are still to sound, and the length of the whole score.
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
