//! A part of a score, whatever makes its sound.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::synth::Synth;
use crate::{Frame, RATE};
use loaxa_heart::domain::sound::Fault;

/// Room of a voice's ring: a second.
pub const RING_FRAMES: usize = RATE as usize;
/// Frames made at a time.
pub const CHUNK_FRAMES: usize = 4_096;

/// A part of a score as a stream of frames at [`RATE`].
pub trait Part: Send {
    /// Returns the frames of the whole part, where that is known.
    fn frames(&self) -> Option<u64>;
    /// Goes on from a frame.
    ///
    /// # Errors
    /// Tells why the part can't be entered there.
    fn enter(&mut self, frame: u64) -> Result<(), Fault>;
    /// Returns how many frames may wait in the ring.
    fn ahead(&self) -> usize {
        RING_FRAMES
    }
    /// Appends frames to `out`, none at the end.
    ///
    /// # Errors
    /// Tells why the part breaks off; what was appended still sounds.
    fn more(&mut self, out: &mut Vec<Frame>) -> Result<(), Fault>;
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

/// Silence of a given length.
pub struct Silence {
    frames: u64,
    at: u64,
}

impl Silence {
    /// Makes a silence.
    pub fn new(frames: u64) -> Self {
        Self { frames, at: 0 }
    }
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

/// Moves the level over some frames; `level` is that at a share of their way.
pub fn fade<'f>(frames: impl ExactSizeIterator<Item = &'f mut Frame>, level: impl Fn(f32) -> f32) {
    let count = frames.len() as f32;
    for (n, frame) in frames.enumerate() {
        *frame = frame.map(|sample| sample * level(n as f32 / count));
    }
}

/// Runs something that may panic on damaged input, and makes a fault of a panic.
pub fn contained<T>(run: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Fault::Player { detail: text.unwrap_or_else(|| "decoding failed".to_owned()) })
    })
}
