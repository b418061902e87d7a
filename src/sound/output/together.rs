//! Steering of a play by the shared clock, so that neighbouring boxes speak as one voice; nobody hears the corrections.
//!
//! Now and then one frame more or less is consumed, over [`SLIP`] frames, by a filter that reads between the samples; all
//! other frames pass untouched. A slow controller says when. It sees where the play stands on the device's clock, and
//! counts what it has already ordered as done, so the second that waits in the ring is no delay for it.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::{Frame, RATE, span_of};
use loaxa_heart::domain::time::{Moment, Span, Wall};

/// Frames over which one frame is gained or lost: 488 ppm, a fifteenth of what a trained ear notices in a steady tone.
pub const SLIP: usize = 2_048;
/// Part of a frame's error that is corrected each second.
const GAIN_A_S: f64 = 0.15;
/// Part of the error that is added each second to what is believed of the device's clock: critically damped.
const LEARN_A_S2: f64 = GAIN_A_S * GAIN_A_S / 4.0;
/// Fastest correction, in parts of the rate.
const RATE_MAX: f64 = 1.0 / SLIP as f64;
/// A play that is further away is not drawn in (that would take minutes), but keeps its distance.
const DRAWN_IN_MAX_FRAMES: f64 = RATE as f64 / 10.0;
/// Measurements this close together are one.
const MEASURED_EVERY: Span = Span::millis(20);
/// Time after which what was learnt of the device is worth keeping.
const LEARNT_AFTER: Span = Span::secs(30);

/// Taps on each side of a point between two samples.
const HALF: usize = 8;
const TAPS: usize = 2 * HALF;
/// Points between two samples with taps of their own; between them the taps are interpolated (error below -90 dB).
const PHASES: usize = 256;

/// The shared clock as the daemon knows it, and the device's clock as the plays have learnt it.
#[derive(Debug)]
pub struct SharedClock {
    /// Wall clock minus monotonic clock in microseconds; `UNKNOWN` where nobody can be in time with it.
    offset_us: AtomicI64,
    /// The device's lag behind the shared clock, in billionths.
    device_ppb: AtomicI64,
}

const UNKNOWN: i64 = i64::MIN;

impl Default for SharedClock {
    fn default() -> Self {
        Self { offset_us: UNKNOWN.into(), device_ppb: 0.into() }
    }
}

impl SharedClock {
    /// Sets the offset of the wall clock from the monotonic one; `None` while it is not known.
    pub fn set(&self, offset_us: Option<i64>) {
        self.offset_us.store(offset_us.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    fn offset_us(&self) -> Option<i64> {
        Some(self.offset_us.load(Ordering::Relaxed)).filter(|offset| *offset != UNKNOWN)
    }
}

/// The steering of one play.
pub struct Steering {
    due: Wall,
    slip: Slip,
    pilot: Pilot,
}

/// The course of a play along the shared clock, and all that the steering has learnt on it. A play that follows without
/// a gap goes on with the course as if both were one.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    /// The moment at which the first frame is due.
    due: Wall,
    /// Frames consumed beyond those given.
    slipped: i64,
    /// The state of the controller; `None` before the first play.
    pilot: Option<Pilot>,
}

impl Course {
    /// Begins a course whose first frame is due then.
    pub fn from(due: Wall) -> Self {
        Self { due, slipped: 0, pilot: None }
    }

    /// Returns the course of what follows after `frames` frames were given.
    pub fn after(self, frames: u64) -> Self {
        let consumed = frames.saturating_add_signed(self.slipped);
        Self { due: self.due.plus(span_of(consumed)), slipped: 0, pilot: self.pilot }
    }
}

/// A play's place on the device's clock.
pub struct Place {
    /// The moment, in nanoseconds of the monotonic clock, at which the first frame would have sounded as the device runs
    /// now.
    pub origin_ns: i64,
    /// Frames given that have not sounded, and the frames over which the origin is a mean: by so much the measurement is
    /// late.
    pub late_frames: u64,
}

impl Steering {
    /// Goes on where the play before left off, or else begins with the device's error as earlier plays have learnt it.
    pub fn on(course: &Course, clock: &SharedClock) -> Self {
        let learnt = clock.device_ppb.load(Ordering::Relaxed) as f64 * 1e-9;
        let pilot = course.pilot.unwrap_or_else(|| Pilot::new(learnt));
        Self { due: course.due, slip: Slip::default(), pilot }
    }

    /// Returns the course so far.
    pub fn course(&self) -> Course {
        Course { due: self.due, slipped: self.slip.slipped, pilot: Some(self.pilot) }
    }

    /// Returns the frames consumed beyond those given.
    pub fn slipped(&self) -> i64 {
        self.slip.slipped
    }

    /// Measures where the play is, and corrects the rate.
    pub fn measure(&mut self, place: &Place, clock: &SharedClock, now: Moment) {
        let Some(offset_us) = clock.offset_us() else { return };
        let late_ns = place.origin_ns + 1_000 * (offset_us - self.due.0);
        let ahead = self.slip.slipped as f64 - late_ns as f64 * f64::from(RATE) * 1e-9;
        // What waits was turned to be right when it sounds; now it would be early by what the device loses until then.
        let ahead = ahead - self.pilot.learnt * place.late_frames as f64;
        if let Some(learnt) = self.pilot.measure(ahead, now) {
            clock.device_ppb.store((learnt * 1e9) as i64, Ordering::Relaxed);
        }
    }

    /// Passes frames on, with corrections.
    pub fn process(&mut self, frames: &[Frame], out: &mut Vec<Frame>) {
        self.slip.process(frames, out, || self.pilot.next_block());
    }

    /// Gives the last frames.
    pub fn finish(&mut self, out: &mut Vec<Frame>) {
        self.slip.process(&[[0.0; 2]; HALF], out, || Turn::Straight);
    }
}

/// The treatment of the next [`SLIP`] frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Straight,
    /// One frame more is consumed than given.
    Faster,
    /// One frame less is consumed than given.
    Slower,
}

/// The controller: proportional and integral, in frames and seconds.
#[derive(Debug, Clone, Copy)]
struct Pilot {
    /// The device's own error, as far as it is known, in parts of the rate.
    learnt: f64,
    rate: f64,
    /// Part of a frame that is due and not yet turned.
    owed: f64,
    began: Option<Moment>,
    last: Moment,
    /// The distance that is kept, in frames.
    kept: f64,
}

impl Pilot {
    fn new(learnt: f64) -> Self {
        Self { learnt, rate: learnt, owed: 0.0, began: None, last: Moment::default(), kept: 0.0 }
    }

    /// Takes by how many frames the play is ahead; returns the device's error once that is worth keeping.
    fn measure(&mut self, ahead: f64, now: Moment) -> Option<f64> {
        let began = *self.began.get_or_insert(now);
        let first = began == now;
        let since = now.since(self.last);
        if !first && since < MEASURED_EVERY {
            return None;
        }
        self.last = now;
        let mut error = ahead - self.kept;
        if error.abs() > DRAWN_IN_MAX_FRAMES {
            // A late start, a step of the clock, or a gap: from here on, no further away.
            self.kept = ahead;
            error = 0.0;
        }
        let seconds = if first { 0.0 } else { since.as_secs_f64().min(1.0) };
        let relative = error / f64::from(RATE);
        self.learnt = (self.learnt - relative * LEARN_A_S2 * seconds).clamp(-RATE_MAX, RATE_MAX);
        self.rate = (self.learnt - relative * GAIN_A_S).clamp(-RATE_MAX, RATE_MAX);
        (now.since(began) > LEARNT_AFTER).then_some(self.learnt)
    }

    fn next_block(&mut self) -> Turn {
        self.owed += self.rate * SLIP as f64;
        if self.owed >= 0.5 {
            self.owed -= 1.0;
            Turn::Faster
        } else if self.owed <= -0.5 {
            self.owed += 1.0;
            Turn::Slower
        } else {
            Turn::Straight
        }
    }
}

/// A stream of frames that pass as they come, but for the blocks in which one is gained or lost.
struct Slip {
    /// Frames that are still needed around the next one, and those after it.
    held: Vec<Frame>,
    turn: Turn,
    /// Frames given of the block.
    given: usize,
    slipped: i64,
}

impl Default for Slip {
    fn default() -> Self {
        Self { held: vec![[0.0; 2]; HALF], turn: Turn::Straight, given: SLIP, slipped: 0 }
    }
}

impl Slip {
    fn process(&mut self, frames: &[Frame], out: &mut Vec<Frame>, mut next: impl FnMut() -> Turn) {
        self.held.extend_from_slice(frames);
        // The frame that is given next.
        let mut at = HALF;
        while at + HALF < self.held.len() + usize::from(self.turn == Turn::Straight) {
            if self.given == SLIP {
                self.turn = next();
                self.given = 0;
            }
            let there = self.held.len() - HALF - at;
            match self.turn {
                Turn::Straight => {
                    let count = there.min(SLIP - self.given);
                    out.extend_from_slice(&self.held[at..at + count]);
                    self.given += count;
                    at += count;
                    if count == 0 {
                        break;
                    }
                }
                Turn::Faster | Turn::Slower if there == 0 => break,
                Turn::Faster => {
                    out.push(between(&self.held, at, self.given as f32 / SLIP as f32));
                    self.given += 1;
                    at += 1;
                    if self.given == SLIP {
                        at += 1;
                        self.slipped += 1;
                    }
                }
                Turn::Slower => {
                    let back = self.given as f32 / SLIP as f32;
                    out.push(match self.given {
                        0 => self.held[at],
                        _ => between(&self.held, at - 1, 1.0 - back),
                    });
                    self.given += 1;
                    at += 1;
                    if self.given == SLIP {
                        at -= 1;
                        self.slipped -= 1;
                    }
                }
            }
        }
        self.held.drain(..at - HALF);
    }
}

/// The value `part` of the way from frame `at` to the next.
fn between(frames: &[Frame], at: usize, part: f32) -> Frame {
    let place = part * PHASES as f32;
    let (phase, rest) = (place as usize, place.fract());
    let (near, far) = (&INTERPOLATORS[phase], &INTERPOLATORS[(phase + 1).min(PHASES)]);
    let around = &frames[at + 1 - HALF..at + 1 + HALF];
    let mut sum = [0.0; 2];
    for (frame, (near, far)) in around.iter().zip(near.iter().zip(far)) {
        let tap = near + (far - near) * rest;
        sum[0] += frame[0] * tap;
        sum[1] += frame[1] * tap;
    }
    sum
}

/// Windowed sinc filters for points between two samples.
static INTERPOLATORS: LazyLock<Vec<[f32; TAPS]>> = LazyLock::new(|| {
    use std::f64::consts::PI;
    let filter = |phase: usize| {
        let part = phase as f64 / PHASES as f64;
        let mut taps = std::array::from_fn::<f64, TAPS, _>(|tap| {
            let x = tap as f64 - (HALF - 1) as f64 - part;
            let sinc = if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
            let turn = PI * x / HALF as f64;
            sinc * (0.42 + 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos())
        });
        let sum: f64 = taps.iter().sum();
        taps.iter_mut().for_each(|tap| *tap /= sum);
        taps.map(|tap| tap as f32)
    };
    (0..=PHASES).map(filter).collect()
});

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    const MS: f64 = RATE as f64 / 1_000.0;

    fn free() -> Steering {
        Steering::on(&Course::from(Wall(0)), &SharedClock::default())
    }

    fn tone(hz: f64, at: f64) -> f32 {
        ((TAU * hz * at / f64::from(RATE)).sin() * 0.5) as f32
    }

    /// A tone through one turn: each frame is the tone at its place, and as many are consumed as there should be.
    fn check_turn(turn: Turn, gained: i64) {
        for hz in [100.0, 1_000.0, 6_000.0, 12_000.0] {
            let input: Vec<Frame> = (0..4 * SLIP).map(|n| [tone(hz, n as f64); 2]).collect();
            let (mut slip, mut out, mut first) = (Slip::default(), Vec::new(), true);
            for part in input.chunks(777) {
                slip.process(
                    part,
                    &mut out,
                    || if std::mem::take(&mut first) { turn } else { Turn::Straight },
                );
            }
            slip.process(&[[0.0; 2]; HALF], &mut out, || Turn::Straight);
            assert_eq!(slip.slipped, gained);
            assert_eq!(out.len() as i64, input.len() as i64 - gained, "{hz} Hz");
            for (n, frame) in out.iter().enumerate().skip(HALF).take(3 * SLIP) {
                let turned = (n as f64 / SLIP as f64).min(1.0) * gained as f64;
                let error = frame[0] - tone(hz, n as f64 + turned);
                assert!(error.abs() < 2e-3, "{turn:?}, {hz} Hz, frame {n}: {error}");
            }
        }
    }

    #[test]
    fn a_frame_is_gained_or_lost_between_the_samples() {
        check_turn(Turn::Faster, 1);
        check_turn(Turn::Slower, -1);
        check_turn(Turn::Straight, 0);
    }

    #[test]
    fn what_needs_no_correction_passes_untouched() {
        let input: Vec<Frame> = (0..10_000).map(|n| [tone(440.0, f64::from(n)); 2]).collect();
        let mut out = Vec::new();
        let mut steering = free();
        input.chunks(1_000).for_each(|part| steering.process(part, &mut out));
        steering.finish(&mut out);
        assert_eq!(out, input);
    }

    /// A device whose clock is `ppm` fast (negative: slow) plays what the steering makes, a second after it was made, seen
    /// with a noise of `noise_ms`. Gives the error in milliseconds, second by second.
    fn simulate(ppm: f64, start_ms: f64, noise_ms: f64, seconds: usize) -> Vec<f64> {
        let (clock, mut steering) =
            (SharedClock::default(), Steering::on(&Course::from(Wall(1_000_000)), &SharedClock::default()));
        clock.set(Some(0));
        let mut dice = 1u64;
        let mut noise = || {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((dice >> 33) as f64 / f64::from(1u32 << 31) - 0.5) * 2.0 * noise_ms
        };
        let (mut handed, mut consumed, mut errors) = (0.0, std::collections::VecDeque::new(), Vec::new());
        let step = RATE as usize / 10;
        for tick in 0..seconds * 10 {
            let time_s = tick as f64 / 10.0;
            let played_s = handed / f64::from(RATE);
            let origin_s = 1.0 + start_ms / 1e3 + time_s - played_s;
            let origin_ns = ((origin_s + noise() / 1e3) * 1e9) as i64;
            let now = Moment(2_000_000 + (time_s * 1e6) as u64);
            steering.measure(&Place { origin_ns, late_frames: RATE.into() }, &clock, now);
            let mut out = Vec::new();
            steering.process(&vec![[0.0; 2]; step], &mut out);
            consumed.push_back(steering.slipped());
            // What sounds now was made a second ago.
            let slipped = if consumed.len() > 10 { consumed.pop_front() } else { None }.unwrap_or(0);
            if tick % 10 == 0 {
                errors.push((slipped as f64 / f64::from(RATE) - (origin_s - 1.0)) * 1e3);
            }
            handed += step as f64 * (1.0 + ppm * 1e-6);
        }
        errors
    }

    fn check_settles(ppm: f64, start_ms: f64, noise_ms: f64) {
        let errors = simulate(ppm, start_ms, noise_ms, 400);
        let mut settled: Vec<f64> = errors[120..].iter().map(|error| error.abs()).collect();
        settled.sort_by(f64::total_cmp);
        let (median, worst) = (settled[settled.len() / 2], settled[settled.len() - 1]);
        assert!(median < 0.1 && worst < 0.3, "{ppm} ppm: median {median} ms, worst {worst} ms");
    }

    #[test]
    fn a_device_with_a_clock_of_its_own_is_kept_in_time() {
        check_settles(100.0, 0.0, 0.0);
        check_settles(-100.0, 3.0, 0.5);
        check_settles(200.0, -3.0, 1.0);
        check_settles(0.0, 1.0, 1.0);
    }

    #[test]
    fn what_is_far_away_keeps_its_distance() {
        let errors = simulate(50.0, -2_000.0, 0.0, 300);
        let (first, last) = (errors[100], errors[299]);
        assert!((first - last).abs() < 0.1 && (last - 2_000.0).abs() < 1.0, "{first} {last}");
    }

    #[test]
    fn no_correction_is_faster_than_allowed() {
        let mut pilot = Pilot::new(0.0);
        for second in 0..100 {
            pilot.measure(90.0 * MS, Moment(1_000_000 * (second + 1)));
            assert!(pilot.rate.abs() <= 500e-6);
        }
    }

    #[test]
    fn without_a_shared_clock_nothing_is_corrected() {
        let mut steering = free();
        steering.measure(
            &Place { origin_ns: 1_000_000_000, late_frames: 0 },
            &SharedClock::default(),
            Moment(1),
        );
        let mut out = Vec::new();
        steering.process(&vec![[0.1; 2]; 10 * SLIP], &mut out);
        assert_eq!(steering.slipped(), 0);
    }
}
