//! A part within the band that the loudspeaker radiates.

use super::part::Part;
use crate::Frame;
use crate::level::shape::Shaper;
use loaxa_heart::config::shaping::Shape;
use loaxa_heart::domain::sound::Fault;

/// A part whose level is its own: nothing is done to it but what spares the loudspeaker.
pub struct Banded<P> {
    part: P,
    shaper: Shaper,
}

impl<P: Part> Banded<P> {
    /// Keeps `part` within the band of the shape's loudspeaker.
    pub fn new(part: P, shape: Shape) -> Self {
        Self { part, shaper: Shaper::new(Shape { compress: false, ..shape }) }
    }
}

impl<P: Part> Part for Banded<P> {
    fn frames(&self) -> Option<u64> {
        self.part.frames()
    }

    fn enter(&mut self, frame: u64) -> Result<(), Fault> {
        self.part.enter(frame)
    }

    fn ahead(&self) -> usize {
        self.part.ahead()
    }

    fn more(&mut self, out: &mut Vec<Frame>) -> Result<(), Fault> {
        let from = out.len();
        let more = self.part.more(out);
        self.shaper.process(&mut out[from..]);
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RATE;
    use crate::source::synth::Synth;
    use loaxa_heart::config::shaping::Loudspeaker;
    use loaxa_heart::domain::sound::{Pattern, Tone};

    /// The loudest sample of the second half of a tone.
    fn peak(hz: f32, loudspeaker: Loudspeaker) -> f32 {
        let tone = Tone { from_hz: hz, to_hz: hz, ms: 1_000, gap_ms: 0 };
        let pattern = Synth::new(Pattern { tones: vec![tone], repeats: 1 });
        let mut part = Banded::new(pattern, Shape { loudspeaker, compress: true });
        let mut frames = Vec::new();
        while frames.len() < RATE as usize {
            part.more(&mut frames).unwrap();
        }
        frames[RATE as usize / 2..RATE as usize * 9 / 10]
            .iter()
            .fold(0.0, |peak, frame| frame[0].abs().max(peak))
    }

    #[test]
    fn a_horn_gets_its_band_and_every_loudspeaker_the_level() {
        let db = |hz| 20.0 * (peak(hz, Loudspeaker::Horn) / peak(hz, Loudspeaker::Full)).log10();
        assert!(db(50.0) < -50.0, "{} dB", db(50.0));
        assert!(db(1_000.0).abs() < 0.2, "{} dB", db(1_000.0));
    }
}
