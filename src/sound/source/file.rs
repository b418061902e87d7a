//! A file as a part of a score.

use super::part::{CHUNK_FRAMES, Part};
use crate::decode::resampled::Resampled;
use crate::level::shape::Shaper;
use crate::{Frame, RATE, amplitude, frames_in, span_of};
use loaxa_heart::config::shaping::Shape;
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;

/// A file that ends this much before its announced end broke off.
const BROKE_OFF_FRAMES: u64 = RATE as u64 / 2;

/// The gain before the shaping, the shaping, and the gain after it.
pub struct Treatment {
    before: f32,
    shaper: Shaper,
    shape: Shape,
    after: f32,
    /// Taken off each sample first.
    offset: Frame,
}

impl Treatment {
    /// Makes a treatment.
    pub fn new(shape: Shape, before_db: f32, after_db: f32) -> Self {
        let (before, after) = (amplitude(before_db), amplitude(after_db));
        Self { before, shaper: Shaper::new(shape), shape, after, offset: [0.0; 2] }
    }

    /// Takes an offset off, too.
    pub fn without(self, offset: Frame) -> Self {
        Self { offset, ..self }
    }

    fn process(&mut self, frames: &mut [Frame]) {
        if self.offset != [0.0; 2] {
            let [left, right] = self.offset;
            frames.iter_mut().for_each(|frame| *frame = [frame[0] - left, frame[1] - right]);
        }
        if self.shape.is_flat() {
            return scale(frames, self.before * self.after);
        }
        scale(frames, self.before);
        self.shaper.process(frames);
        scale(frames, self.after);
    }

    /// Forgets the sound so far, as the file goes on elsewhere.
    fn restart(&mut self) {
        self.shaper = Shaper::new(self.shape);
    }
}

fn scale(frames: &mut [Frame], gain: f32) {
    if gain == 1.0 {
        return;
    }
    for frame in frames {
        *frame = frame.map(|sample| sample * gain);
    }
}

/// A file, brought to its level and into shape.
pub struct FilePart {
    sound: Resampled,
    treatment: Treatment,
    /// Frames given so far, counted from the part's start.
    given: u64,
    ended: bool,
}

impl FilePart {
    /// Makes a part of an opened file.
    pub fn new(sound: Resampled, treatment: Treatment) -> Self {
        Self { sound, treatment, given: 0, ended: false }
    }
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
        let mut fault = None;
        while out.len() - from < CHUNK_FRAMES && !self.ended {
            match self.sound.more(out) {
                Ok(more) => self.ended = !more,
                Err(found) => (self.ended, fault) = (true, Some(found)),
            }
        }
        self.treatment.process(&mut out[from..]);
        self.given += (out.len() - from) as u64;
        fault.map_or(Ok(()), Err)?;
        let missing = self.frames().unwrap_or(0).saturating_sub(self.given);
        if self.ended && missing > BROKE_OFF_FRAMES {
            let what = self.sound.decoder().what().to_owned();
            let seconds = Sentence::decimal(span_of(missing).as_secs_f64(), 1);
            let detail = said!("decode.broke_off", seconds);
            return Err(Fault::Damaged { what, detail });
        }
        Ok(())
    }
}
