//! The account of a voice: how much was fed, handed over and late, and when the device sounds it.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use crate::RATE;
use loaxa_heart::domain::time::Moment;

/// Frames rendered at a time: orders are obeyed to the millisecond.
pub(super) const BLOCK: usize = 48;
/// Frames over which the device's time is averaged: a second.
pub const MEAN_FRAMES: u64 = RATE as u64;
/// Marks of one mean: the mixer sets one for each of its blocks.
const MARKS_A_MEAN: i64 = MEAN_FRAMES as i64 / BLOCK as i64;
/// A step of a device's time that means that the device has stood still: 20 ms.
const MARK_STEP_NS: i64 = 20_000_000;
const NS_A_SECOND: u64 = 1_000_000_000;

/// An account of one voice that feeder, mixer and player share.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Frames handed to the device.
    handed: AtomicU64,
    /// Frames of silence handed because the feeder was late.
    starved: AtomicU64,
    /// Moment at which the first frame sounds, in microseconds; 0 before.
    sounds_at: AtomicU64,
    /// Set by the feeder after its last frame.
    fed_all: AtomicBool,
    /// Frames that the feeder put into the ring.
    fed: AtomicU64,
    /// The moment at which the first frame would have sounded, had the device always run as now, in nanoseconds; 0
    /// before it sounds.
    origin_ns: AtomicI64,
}

impl Ledger {
    /// Returns the frames handed to the device so far.
    pub fn handed(&self) -> u64 {
        self.handed.load(Ordering::Relaxed)
    }

    /// Returns the frames of silence that stood in for late audio.
    pub fn starved(&self) -> u64 {
        self.starved.load(Ordering::Relaxed)
    }

    /// Returns the moment at which the first frame sounds, once it was handed over.
    pub fn sounds_at(&self) -> Option<Moment> {
        let at = self.sounds_at.load(Ordering::Acquire);
        (at != 0).then_some(Moment(at))
    }

    /// Returns the moment, in nanoseconds, at which the first frame would have sounded had the device always run as it
    /// does now.
    pub fn origin_ns(&self) -> Option<i64> {
        Some(self.origin_ns.load(Ordering::Relaxed)).filter(|origin| *origin != 0)
    }

    /// Notes that the next frame sounds `at`. One callback's stamp is rough, so the origin is a mean over a second.
    pub(super) fn mark(&self, at: Moment) {
        let seen = at.0 as i64 * 1_000 - (self.handed() * NS_A_SECOND / u64::from(RATE)) as i64;
        let before = self.origin_ns.load(Ordering::Relaxed);
        let off = seen - before;
        let origin = if off.abs() > MARK_STEP_NS { seen } else { before + off / MARKS_A_MEAN };
        self.origin_ns.store(origin, Ordering::Relaxed);
    }

    /// Returns the frames still to come, known once the feeder has given its last.
    pub fn left(&self) -> Option<u64> {
        self.is_closed().then(|| self.fed.load(Ordering::Relaxed).saturating_sub(self.handed()))
    }

    /// Notes the moment at which the first frame sounds; later calls change nothing.
    pub(super) fn begin(&self, at: Moment) {
        if self.sounds_at.load(Ordering::Relaxed) == 0 {
            self.sounds_at.store(at.0.max(1), Ordering::Release);
        }
    }

    /// Counts frames handed to the device.
    pub(super) fn add_handed(&self, frames: usize) {
        self.handed.fetch_add(frames as u64, Ordering::Relaxed);
    }

    /// Counts frames of silence that stood in for late audio.
    pub(super) fn add_starved(&self, frames: usize) {
        self.starved.fetch_add(frames as u64, Ordering::Relaxed);
    }

    /// Tells whether the feeder has given its last frame.
    pub(super) fn is_closed(&self) -> bool {
        self.fed_all.load(Ordering::Acquire)
    }

    /// Counts frames put into the ring.
    pub fn add_fed(&self, frames: u64) {
        self.fed.fetch_add(frames, Ordering::Relaxed);
    }

    /// Returns the frames put into the ring so far.
    pub fn fed(&self) -> u64 {
        self.fed.load(Ordering::Relaxed)
    }

    /// Notes that nothing more will be fed.
    pub fn close(&self) {
        self.fed_all.store(true, Ordering::Release);
    }
}
