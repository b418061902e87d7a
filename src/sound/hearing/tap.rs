//! Lines from the callbacks of both devices to the thread that compares what sounded with what was recorded.

use std::collections::VecDeque;
use std::sync::Arc;

use rtrb::{Consumer, Producer, RingBuffer};

use super::heard::{HEARD_HZ, LAGS, WINDOW};
use crate::decode::decimate::Decimator;
use crate::losses::Losses;
use crate::{Frame, RATE, span_of};
use loaxa_heart::domain::time::{Moment, Span};

/// Room of a ring between a callback and the thread: two seconds.
const RING_SAMPLES: usize = 2 * RATE as usize;
/// Room for the stamps of as much sound, in pieces of 2 ms and longer.
const RING_STAMPS: usize = 1_024;
/// Samples kept of each side: a window, all lags, and three seconds for a thread that is late.
const KEPT: usize = WINDOW + LAGS + 3 * HEARD_HZ;
/// Samples of a device for one that is kept.
const FACTOR: u64 = RATE as u64 / HEARD_HZ as u64;
/// Stamps of devices tremble by some milliseconds. One that is off by more tells of a device that has lost sound, or stood
/// still.
const TREMBLE_MAX: Span = Span::millis(20);

/// The moment of one sample, which is counted from the first that a line has carried.
#[derive(Clone, Copy)]
struct Stamp {
    sample: u64,
    at: Moment,
}

/// A callback's end of a line to the thread that compares.
pub struct Tap {
    ring: Producer<f32>,
    stamps: Producer<Stamp>,
    taken: u64,
    losses: Arc<Losses>,
}

impl Tap {
    /// Makes both ends of a line.
    pub(crate) fn new(losses: Arc<Losses>) -> (Self, Line) {
        let (ring, samples) = RingBuffer::new(RING_SAMPLES);
        let (into_stamps, stamps) = RingBuffer::new(RING_STAMPS);
        let decimator = Decimator::new(FACTOR as usize);
        (Self { ring, stamps: into_stamps, taken: 0, losses }, Line { samples, stamps, decimator })
    }

    /// Takes the samples of one channel that sound, or were recorded, from `at` on. Never waits or allocates; samples
    /// without room are counted and dropped, and silence stands in their place.
    pub fn take(&mut self, samples: impl ExactSizeIterator<Item = f32>, at: Moment) {
        // Without room nothing is lost: the next stamp says as much.
        let _ = self.stamps.push(Stamp { sample: self.taken, at });
        let count = samples.len() as u64;
        let lost = samples.filter(|sample| self.ring.push(*sample).is_err()).count() as u64;
        self.taken += count - lost;
        if lost > 0 {
            self.losses.unheard_samples.add(lost);
        }
    }

    /// Takes stereo frames, as the mean of both sides.
    pub fn take_frames(&mut self, frames: &[Frame], at: Moment) {
        self.take(frames.iter().map(|frame| (frame[0] + frame[1]) / 2.0), at);
    }
}

/// The thread's end of a [`Tap`].
pub(crate) struct Line {
    pub(super) samples: Consumer<f32>,
    stamps: Consumer<Stamp>,
    decimator: Decimator,
}

/// The last seconds of one side, at [`HEARD_HZ`].
#[derive(Default)]
pub(super) struct Track {
    line: Option<Line>,
    samples: VecDeque<f32>,
    /// Samples that the line has carried, at the device's rate.
    carried: u64,
    /// The first sample, and each that does not follow on the one before it without a gap.
    stretches: VecDeque<Stamp>,
}

impl Track {
    /// Begins anew with another line, or without one.
    pub(super) fn follow(&mut self, line: Option<Line>) {
        *self = Self { line, ..Self::default() };
    }

    /// Takes what the line brought meanwhile.
    pub(super) fn listen(&mut self) {
        let Some(line) = &mut self.line else { return };
        while let Ok(sample) = line.samples.pop() {
            self.carried += 1;
            self.samples.extend(line.decimator.push(sample));
        }
        while let Ok(stamp) = line.stamps.pop() {
            let foretold = self.stretches.back().map(|last| last.at + span_of(stamp.sample - last.sample));
            if foretold.is_none_or(|at| at.0.abs_diff(stamp.at.0) > TREMBLE_MAX.0) {
                self.stretches.push_back(stamp);
            }
        }
        self.samples.drain(..self.samples.len().saturating_sub(KEPT));
        let first = (self.carried / FACTOR - self.samples.len() as u64) * FACTOR;
        while self.stretches.get(1).is_some_and(|next| next.sample <= first) {
            self.stretches.pop_front();
        }
    }

    /// Tells whether a line is followed.
    pub(super) fn is_connected(&self) -> bool {
        self.line.is_some()
    }

    /// Returns the moment up to which samples are there; the default where none came yet.
    pub(super) fn end_at(&self) -> Moment {
        let last = self.stretches.iter().rev().find(|stretch| stretch.sample < self.carried);
        last.map_or(Moment::default(), |last| last.at + span_of(self.carried - last.sample))
    }

    /// Returns up to `count` samples from a moment on; none where they are no longer kept. A gap is filled with silence, so
    /// that each sample stands at its own moment.
    pub(super) fn from(&self, at: Moment, count: usize) -> Vec<f32> {
        let mut found = Vec::with_capacity(count);
        let end = self.carried / FACTOR;
        let kept_from = end - self.samples.len() as u64;
        for (n, stretch) in self.stretches.iter().enumerate() {
            let from = stretch.sample.div_ceil(FACTOR).max(kept_from).min(end);
            let to = self.stretches.get(n + 1).map_or(end, |next| next.sample.div_ceil(FACTOR)).min(end);
            let begins = stretch.at + span_of((from * FACTOR).saturating_sub(stretch.sample));
            let place = (begins.0 as i64 - at.0 as i64) * HEARD_HZ as i64 / 1_000_000;
            if n == 0 && place > 0 {
                return found;
            }
            let gap = usize::try_from(place).unwrap_or_default().min(count);
            found.resize(found.len().max(gap), 0.0);
            let there = (found.len() as i64 - place) as usize;
            let stretch =
                self.samples.range((from - kept_from) as usize..(to.max(from) - kept_from) as usize);
            found.extend(stretch.skip(there).take(count - found.len()));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    /// Half a second of silence, sound up to 990 ms, and 10 ms in which the decimator forgets it; in pieces of 10 ms whose
    /// stamps tremble.
    fn take_second(tap: &mut Tap, at: Moment) {
        for n in 0..100 {
            let tremble = [0, 4_000, 7_000][n as usize % 3];
            let level = if (50..99).contains(&n) { 0.5 } else { 0.0 };
            tap.take([level; 480].into_iter(), at + Span(n * 10_000 + tremble));
        }
    }

    /// The edges in what was found, in milliseconds: where sound begins or ends.
    fn edges(samples: &[f32]) -> Vec<usize> {
        let is_loud = |n: &usize| samples[*n] > 0.25;
        (1..samples.len()).filter(|n| is_loud(n) != is_loud(&(n - 1))).map(|n| n * 1_000 / HEARD_HZ).collect()
    }

    #[track_caller]
    fn check(track: &Track, at: Moment, expected: &[usize]) {
        let found = edges(&track.from(at, 4 * HEARD_HZ));
        let near =
            found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| a.abs_diff(*b) < 10);
        assert!(near, "{found:?}, expected {expected:?}");
    }

    #[test]
    fn each_sample_stands_at_its_own_moment_when_a_device_loses_sound() {
        let (mut tap, line) = Tap::new(Arc::default());
        let mut track = Track::default();
        track.follow(Some(line));
        assert_eq!(track.end_at(), Moment::default());
        take_second(&mut tap, Moment(SECOND));
        track.listen();
        check(&track, Moment(SECOND), &[500, 990]);
        // An underrun: nothing comes for 300 ms.
        take_second(&mut tap, Moment(2 * SECOND + 300_000));
        track.listen();
        assert!(track.end_at().0.abs_diff(3 * SECOND + 300_000) < 10_000, "{:?}", track.end_at());
        check(&track, Moment(SECOND), &[500, 990, 1_800, 2_290]);
        check(&track, Moment(2 * SECOND), &[800, 1_290]);
        assert_eq!(track.from(Moment(SECOND / 2), HEARD_HZ), [0.0; 0], "it was not recorded");
        assert_eq!(track.from(Moment(4 * SECOND), HEARD_HZ), [0.0; 0], "it is still to come");
    }

    #[test]
    fn the_last_seconds_are_kept() {
        let (mut tap, line) = Tap::new(Arc::default());
        let mut track = Track::default();
        track.follow(Some(line));
        for second in 0..20 {
            // Every other second the device stands still for 100 ms.
            take_second(&mut tap, Moment(second * SECOND + (second / 2) * 100_000));
            track.listen();
        }
        assert_eq!(track.samples.len(), KEPT);
        assert!(track.stretches.len() < 6, "{}", track.stretches.len());
        assert_eq!(track.from(Moment(5 * SECOND), HEARD_HZ), [0.0; 0]);
        check(&track, Moment(17 * SECOND + 800_000), &[500, 990, 1_600, 2_090, 2_600, 3_090]);
    }

    #[test]
    fn a_stretch_of_which_nothing_came_is_none() {
        let (mut tap, line) = Tap::new(Arc::default());
        let mut track = Track::default();
        track.follow(Some(line));
        let first = Moment(SECOND);
        tap.take([0.5; 100].into_iter(), first);
        track.listen();
        // The ears were late: the line is full, and only the stamp of what comes after a gap finds room.
        tap.take([0.5; 96_000].into_iter(), first + span_of(100));
        tap.take([0.5; 480].into_iter(), first + Span::secs(5));
        track.listen();
        assert!(!track.from(first, 4 * HEARD_HZ).is_empty());
    }
}
