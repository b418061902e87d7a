//! The buffer between the thread that receives a stream and the one that feeds it to a voice.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{Frame, RATE};
use loaxa_heart::domain::time::Span;

/// Frames that are kept ahead at most.
const AHEAD_FRAMES_MAX: usize = 8 * RATE as usize;
/// Frames given at a time: 100 ms.
pub(super) const STEP: usize = RATE as usize / 10;

/// Frames between the receiving thread and the feeding one, and what they tell each other.
#[derive(Default)]
pub struct Buffer {
    inside: Mutex<Inside>,
    changed: Condvar,
}

/// The inside of a [`Buffer`], under its lock.
#[derive(Default)]
pub(super) struct Inside {
    pub(super) frames: VecDeque<Frame>,
    /// The last thing that went wrong.
    pub(super) trouble: Option<String>,
    /// The stream has ended.
    pub(super) over: bool,
    /// The listener is gone.
    pub(super) left: bool,
}

impl Buffer {
    /// Locks the inside.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the inside is `busy`, at most so long.
    pub(super) fn wait_while(
        &self,
        at_most: Span,
        busy: impl FnMut(&mut Inside) -> bool,
    ) -> MutexGuard<'_, Inside> {
        let waited = self.changed.wait_timeout_while(self.lock(), Duration::from(at_most), busy);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits so long; returns `true`, at once, where nobody listens any more.
    pub(super) fn wait(&self, span: Span) -> bool {
        self.wait_while(span, |inside| !inside.left).left
    }

    /// Adds frames when there is room; returns `false` where nobody listens any more.
    pub(super) fn push(&self, frames: &[Frame]) -> bool {
        let full = |inside: &mut Inside| inside.frames.len() >= AHEAD_FRAMES_MAX && !inside.left;
        let waited = self.changed.wait_while(self.lock(), full);
        let mut inside = waited.unwrap_or_else(PoisonError::into_inner);
        inside.frames.extend(frames);
        self.changed.notify_all();
        !inside.left
    }

    /// Takes a step of frames as soon as there are `least`; none where they do not come in time.
    pub(super) fn take(&self, least: usize, at_most: Span) -> Vec<Frame> {
        let mut inside = self.wait_while(at_most, |inside| inside.frames.len() < least && !inside.over);
        if inside.frames.len() < least && !inside.over {
            return Vec::new();
        }
        let frames = inside.frames.len().min(STEP);
        let taken = inside.frames.drain(..frames).collect();
        self.changed.notify_all();
        taken
    }

    /// Changes the inside, and wakes whoever waits for it.
    pub(super) fn change(&self, change: impl FnOnce(&mut Inside)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}
