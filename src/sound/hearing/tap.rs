//! Lines from the callbacks of both devices to the thread that compares what sounded with what was recorded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rtrb::{Consumer, Producer, RingBuffer};

use super::heard::{HEARD_HZ, LAGS, WINDOW};
use crate::decode::decimate::Decimator;
use crate::losses::Losses;
use crate::{Frame, RATE, span_of};
use loaxa_heart::domain::time::Moment;

/// Room of a ring between a callback and the thread: two seconds.
const RING_SAMPLES: usize = 2 * RATE as usize;
/// Samples kept of each side: a window, all lags, and three seconds for a thread that is late.
const KEPT: usize = WINDOW + LAGS + 3 * HEARD_HZ;

/// A callback's end of a line to the thread that compares.
pub struct Tap {
    ring: Producer<f32>,
    end_at: Arc<AtomicU64>,
    losses: Arc<Losses>,
}

impl Tap {
    /// Makes both ends of a line.
    pub(crate) fn new(losses: Arc<Losses>) -> (Self, Line) {
        let (ring, samples) = RingBuffer::new(RING_SAMPLES);
        let end_at = Arc::new(AtomicU64::new(0));
        let decimator = Decimator::new(RATE as usize / HEARD_HZ);
        (Self { ring, end_at: end_at.clone(), losses }, Line { samples, end_at, decimator })
    }

    /// Takes the samples of one channel that sound, or were recorded, from `at` on. Never waits or allocates; samples
    /// without room are counted and dropped, and the window that they belong to is missed.
    pub fn take(&mut self, samples: impl ExactSizeIterator<Item = f32>, at: Moment) {
        let end = at + span_of(samples.len() as u64);
        let lost = samples.filter(|sample| self.ring.push(*sample).is_err()).count();
        if lost > 0 {
            self.losses.unheard_samples.add(lost as u64);
        }
        self.end_at.store(end.0, Ordering::Release);
    }

    /// Takes stereo frames, as the mean of both sides.
    pub fn take_frames(&mut self, frames: &[Frame], at: Moment) {
        self.take(frames.iter().map(|frame| (frame[0] + frame[1]) / 2.0), at);
    }
}

/// The thread's end of a [`Tap`].
pub(crate) struct Line {
    pub(super) samples: Consumer<f32>,
    end_at: Arc<AtomicU64>,
    decimator: Decimator,
}

/// The last seconds of one side, at [`HEARD_HZ`].
#[derive(Default)]
pub(super) struct Track {
    line: Option<Line>,
    samples: VecDeque<f32>,
    end_at: Moment,
}

impl Track {
    /// Begins anew with another line, or without one.
    pub(super) fn follow(&mut self, line: Option<Line>) {
        *self = Self { line, ..Self::default() };
    }

    /// Takes what the line brought meanwhile.
    pub(super) fn listen(&mut self) {
        let Some(line) = &mut self.line else { return };
        let end_at = line.end_at.load(Ordering::Acquire);
        while let Ok(sample) = line.samples.pop() {
            self.samples.extend(line.decimator.push(sample));
        }
        self.end_at = Moment(end_at);
        self.samples.drain(..self.samples.len().saturating_sub(KEPT));
    }

    /// Tells whether a line is followed.
    pub(super) fn is_connected(&self) -> bool {
        self.line.is_some()
    }

    /// Returns the moment up to which samples are there; the default where none came yet.
    pub(super) fn end_at(&self) -> Moment {
        self.end_at
    }

    /// Returns up to `count` samples from a moment on; none where they are no longer kept.
    pub(super) fn from(&self, at: Moment, count: usize) -> Vec<f32> {
        let back = (self.end_at.since(at).0 * HEARD_HZ as u64 / 1_000_000) as usize;
        let Some(start) = self.samples.len().checked_sub(back) else { return Vec::new() };
        self.samples.iter().skip(start).take(count).copied().collect()
    }
}
