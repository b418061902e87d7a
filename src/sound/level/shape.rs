//! Sound made fit for a loudspeaker: a band limit and a moderate compressor, off the device's callback.

use crate::{Frame, RATE, amplitude};
use loaxa_heart::config::shaping::{Loudspeaker, Shape};

/// The band that a horn radiates, in hertz.
const HORN: (f32, f32) = (300.0, 7_000.0);
/// Of the two halves of a Butterworth filter of fourth order.
const BUTTERWORTH: [f32; 2] = [0.541_196_1, 1.306_563];
/// The level from which on sound is compressed, in decibels of full scale; sound comes in at -18 LUFS.
const THRESHOLD_DB: f32 = -20.0;
/// Decibels above the threshold that become one: moderate.
const RATIO: f32 = 3.0;
/// The time in which the compressor follows rising and falling sound, in seconds.
const ATTACK: f32 = 0.005;
const RELEASE: f32 = 0.150;
/// The gain is reckoned once in so many frames, and moves in a straight line between.
const STEP: usize = 16;

/// Shapes a stream of frames, in place.
pub struct Shaper {
    filters: Vec<Biquad>,
    compressor: Option<Compressor>,
}

impl Shaper {
    /// One that has heard nothing yet.
    pub fn new(shape: Shape) -> Self {
        let filters = match shape.loudspeaker {
            Loudspeaker::Full => Vec::new(),
            Loudspeaker::Horn => {
                let pairs = BUTTERWORTH.map(|q| [Biquad::high_pass(HORN.0, q), Biquad::low_pass(HORN.1, q)]);
                pairs.into_iter().flatten().collect()
            }
        };
        Self { filters, compressor: shape.compress.then(Compressor::default) }
    }

    /// Shapes what comes next.
    pub fn process(&mut self, frames: &mut [Frame]) {
        for filter in &mut self.filters {
            filter.process(frames);
        }
        if let Some(compressor) = &mut self.compressor {
            compressor.process(frames);
        }
    }
}

/// A filter of second order as in the Audio EQ Cookbook, transposed direct form II.
struct Biquad {
    /// Over the input.
    b: [f32; 3],
    /// Over the output before.
    a: [f32; 2],
    memory: [Frame; 2],
}

impl Biquad {
    fn high_pass(hz: f32, q: f32) -> Self {
        Self::new(hz, q, |cos| [(1.0 + cos) / 2.0, -(1.0 + cos), (1.0 + cos) / 2.0])
    }

    fn low_pass(hz: f32, q: f32) -> Self {
        Self::new(hz, q, |cos| [(1.0 - cos) / 2.0, 1.0 - cos, (1.0 - cos) / 2.0])
    }

    fn new(hz: f32, q: f32, numerator: impl Fn(f32) -> [f32; 3]) -> Self {
        let (sin, cos) = (std::f32::consts::TAU * hz / RATE as f32).sin_cos();
        let alpha = sin / (2.0 * q);
        let whole = 1.0 + alpha;
        let a = [-2.0 * cos / whole, (1.0 - alpha) / whole];
        Self { b: numerator(cos).map(|b| b / whole), a, memory: [[0.0; 2]; 2] }
    }

    fn process(&mut self, frames: &mut [Frame]) {
        let ([b0, b1, b2], [a1, a2]) = (self.b, self.a);
        let [mut first, mut second] = self.memory;
        for frame in frames {
            for side in 0..2 {
                let input = frame[side];
                let out = b0 * input + first[side];
                first[side] = b1 * input - a1 * out + second[side];
                second[side] = b2 * input - a2 * out;
                frame[side] = out;
            }
        }
        self.memory = [first, second];
    }
}

/// Both sides get the gain of the louder one.
struct Compressor {
    attack: f32,
    release: f32,
    threshold: f32,
    /// The level now.
    envelope: f32,
    gain: f32,
    /// The change of the gain from frame to frame until the next reckoning.
    slope: f32,
    until_step: usize,
}

impl Default for Compressor {
    fn default() -> Self {
        let share = |seconds: f32| 1.0 - (-1.0 / (seconds * RATE as f32)).exp();
        Self {
            attack: share(ATTACK),
            release: share(RELEASE),
            threshold: amplitude(THRESHOLD_DB),
            envelope: 0.0,
            gain: 1.0,
            slope: 0.0,
            until_step: 0,
        }
    }
}

impl Compressor {
    fn process(&mut self, frames: &mut [Frame]) {
        for frame in frames {
            let level = frame[0].abs().max(frame[1].abs());
            let share = if level > self.envelope { self.attack } else { self.release };
            self.envelope += (level - self.envelope) * share;
            if self.until_step == 0 {
                let over = (self.envelope / self.threshold).max(1.0);
                let wanted = over.powf(1.0 / RATIO - 1.0);
                self.slope = (wanted - self.gain) / STEP as f32;
                self.until_step = STEP;
            }
            self.until_step -= 1;
            self.gain += self.slope;
            *frame = frame.map(|sample| sample * self.gain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By how many decibels a tone of this peak comes out louder, once all has settled.
    fn change_db(shape: Shape, hz: f32, peak: f32) -> f32 {
        let step = std::f32::consts::TAU * hz / RATE as f32;
        let mut frames: Vec<Frame> = (0..RATE).map(|n| [(n as f32 * step).sin() * peak; 2]).collect();
        let mut shaper = Shaper::new(shape);
        frames.chunks_mut(777).for_each(|part| shaper.process(part));
        let loudest = frames[RATE as usize / 2..].iter().fold(0.0f32, |most, frame| most.max(frame[0].abs()));
        20.0 * (loudest / peak).log10()
    }

    fn check(shape: Shape, hz: f32, peak: f32, expected: std::ops::Range<f32>) {
        let change = change_db(shape, hz, peak);
        assert!(expected.contains(&change), "{hz} Hz at {peak}: {change} dB");
    }

    #[test]
    fn a_horn_gets_its_band() {
        let horn = Shape { loudspeaker: Loudspeaker::Horn, compress: false };
        check(horn, 50.0, 0.5, -80.0..-55.0);
        check(horn, 150.0, 0.5, -26.0..-22.0);
        check(horn, 300.0, 0.5, -3.2..-2.8);
        check(horn, 1_000.0, 0.5, -0.1..0.1);
        check(horn, 3_000.0, 0.5, -0.2..0.1);
        check(horn, 7_000.0, 0.5, -3.2..-2.8);
        check(horn, 14_000.0, 0.5, -40.0..-25.0);
    }

    #[test]
    fn the_loud_is_brought_nearer_to_the_soft() {
        let compress = Shape { loudspeaker: Loudspeaker::Full, compress: true };
        check(compress, 1_000.0, 0.05, -0.1..0.1);
        // 20 dB more go in, 8 to 13 dB more come out.
        check(compress, 1_000.0, 0.5, -12.0..-7.0);
        check(Shape::default(), 50.0, 0.9, -0.001..0.001);
    }
}
