//! One play in the mixer, with the fade by which it leaves.

use std::sync::Arc;

use rtrb::{Consumer, Producer, RingBuffer};

use super::ledger::Ledger;
use crate::Frame;
use loaxa_heart::domain::ids::PlayId;
use loaxa_heart::domain::time::Moment;

/// Ways in which a voice leaves the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// The last frame was handed over.
    Drained,
    /// The voice was faded out, or left before it began.
    Faded,
}

/// One play in the mixer: a ring that a feeder fills, and the fade by which it leaves.
pub struct Voice {
    play: PlayId,
    ring: Consumer<Frame>,
    ledger: Arc<Ledger>,
    fade: Option<Fade>,
}

#[derive(Clone, Copy)]
struct Fade {
    left: u32,
    whole: u32,
}

impl Voice {
    /// Makes a voice and the feeder's end of its ring.
    pub fn new(play: PlayId, ring_frames: usize) -> (Self, Producer<Frame>, Arc<Ledger>) {
        let (producer, ring) = RingBuffer::new(ring_frames);
        let ledger = Arc::new(Ledger::default());
        (Self { play, ring, ledger: ledger.clone(), fade: None }, producer, ledger)
    }

    /// Returns the play that the voice carries.
    pub fn play(&self) -> PlayId {
        self.play
    }

    /// Begins a fade-out over so many frames; one that would end sooner goes on.
    pub(super) fn leave(&mut self, frames: u32) {
        let whole = frames.max(1);
        let sooner = self.fade.is_none_or(|fade| fade.left > whole);
        if sooner {
            // A fade that is cut short goes on from the level it has reached.
            let left = self.fade.map_or(whole, |fade| (fade.level() * whole as f32) as u32);
            self.fade = Some(Fade { left: left.max(1), whole });
        }
    }

    /// Adds to `out` what the ring has and returns how many frames that was. `first_at` gives the moment at which the
    /// first of them sounds.
    pub(super) fn add_to(&mut self, out: &mut [Frame], first_at: impl FnOnce() -> Moment) -> usize {
        let wanted = match self.fade {
            Some(fade) => out.len().min(fade.left as usize),
            None => out.len(),
        };
        let frames = wanted.min(self.ring.slots());
        if let Some(fade) = &mut self.fade {
            // A fade goes on while its feeder is late, or it would never end.
            fade.left -= (wanted - frames) as u32;
        }
        if frames == 0 {
            return 0;
        }
        let at = first_at();
        self.ledger.begin(at);
        if self.fade.is_none() {
            self.ledger.mark(at);
        }
        let chunk = self.ring.read_chunk(frames).expect("the ring holds as many as it said");
        let (older, newer) = chunk.as_slices();
        let (first, then) = out.split_at_mut(older.len());
        for (out, frames) in [(first, older), (then, newer)] {
            match &mut self.fade {
                Some(fade) => add(out, frames, || fade.step()),
                None => add(out, frames, || 1.0),
            }
        }
        chunk.commit_all();
        self.ledger.add_handed(frames);
        frames
    }

    /// Returns the account that feeder, mixer and player share.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Tells how the voice left the air, once it has.
    pub(super) fn left_by(&self) -> Option<Leave> {
        if self.fade.is_some_and(|fade| fade.left == 0) {
            return Some(Leave::Faded);
        }
        let drained = self.ledger.is_closed() && self.ring.is_empty();
        drained.then_some(Leave::Drained)
    }
}

fn add(out: &mut [Frame], frames: &[Frame], mut level: impl FnMut() -> f32) {
    for (mixed, frame) in out.iter_mut().zip(frames) {
        let level = level();
        mixed[0] += frame[0] * level;
        mixed[1] += frame[1] * level;
    }
}

impl Fade {
    fn level(self) -> f32 {
        self.left as f32 / self.whole as f32
    }

    fn step(&mut self) -> f32 {
        let level = self.level();
        self.left = self.left.saturating_sub(1);
        level
    }
}
