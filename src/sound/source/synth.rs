//! Sirens and chimes from patterns, and silence: sound that can never be missing.

use std::f64::consts::TAU;

use crate::{Frame, RATE};
use loaxa_heart::domain::sound::{Pattern, Tone};

/// Peak of a synthesised tone, -6 dBFS: louder than speech at -18 LUFS, below the limiter.
pub const TONE_PEAK: f64 = 0.5;
/// Length of the rise and the fall of a tone, so that it does not click.
const EDGE_FRAMES: u64 = RATE as u64 / 100;

const FRAMES_PER_MS: u64 = RATE as u64 / 1_000;

/// Computes a pattern's samples, from any frame on.
pub struct Synth {
    pattern: Pattern,
    at: u64,
}

impl Synth {
    /// Starts at the pattern's first frame.
    pub fn new(pattern: Pattern) -> Self {
        Self { pattern, at: 0 }
    }

    /// Frames of the whole pattern.
    pub fn frames(&self) -> u64 {
        self.once() * u64::from(self.pattern.repeats)
    }

    /// Goes on from frame `at`.
    pub fn seek(&mut self, at: u64) {
        self.at = at;
    }

    /// Appends up to `frames` frames to `out`; none at the end.
    pub fn next(&mut self, frames: usize, out: &mut Vec<Frame>) {
        let end = (self.at + frames as u64).min(self.frames());
        let once = self.once();
        while self.at < end {
            let within = self.at % once;
            let (tone, start) = self.tone_at(within);
            let until = (self.at - within + start + tone_frames(&tone)).min(end);
            for n in within - start..until - (self.at - within) - start {
                out.push([sample(&tone, n); 2]);
            }
            self.at = until;
        }
    }

    fn once(&self) -> u64 {
        self.pattern.tones.iter().map(tone_frames).sum()
    }

    /// The tone that holds frame `within` of one repeat, and the frame at which it starts.
    fn tone_at(&self, within: u64) -> (Tone, u64) {
        let mut start = 0;
        for tone in &self.pattern.tones {
            if within < start + tone_frames(tone) {
                return (*tone, start);
            }
            start += tone_frames(tone);
        }
        unreachable!("the frame lies within one repeat")
    }
}

fn tone_frames(tone: &Tone) -> u64 {
    (u64::from(tone.ms) + u64::from(tone.gap_ms)) * FRAMES_PER_MS
}

/// Sample `n` of a tone: a linear sweep in closed form, with raised-cosine edges.
fn sample(tone: &Tone, n: u64) -> f32 {
    let frames = u64::from(tone.ms) * FRAMES_PER_MS;
    if n >= frames {
        return 0.0;
    }
    let (seconds, whole) = (n as f64 / f64::from(RATE), frames as f64 / f64::from(RATE));
    let (from, to) = (f64::from(tone.from_hz), f64::from(tone.to_hz));
    let cycles = from * seconds + (to - from) * seconds * seconds / (2.0 * whole);
    let edge = EDGE_FRAMES.min(frames / 2).max(1);
    let inside = n.min(frames - 1 - n).min(edge) as f64 / edge as f64;
    let envelope = 0.5 - 0.5 * (inside * TAU / 2.0).cos();
    ((cycles.fract() * TAU).sin() * TONE_PEAK * envelope) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames_in;

    fn whole(pattern: Pattern, step: usize) -> Vec<Frame> {
        let mut synth = Synth::new(pattern);
        let mut out = Vec::new();
        loop {
            let before = out.len();
            synth.next(step, &mut out);
            if out.len() == before {
                return out;
            }
        }
    }

    fn check(pattern: Pattern) {
        let expected = frames_in(pattern.length()) as usize;
        let out = whole(pattern.clone(), 480);
        assert_eq!(out.len(), expected);
        assert_eq!(out, whole(pattern.clone(), 7_001), "chunks make no difference");
        let step = out.windows(2).map(|w| (w[1][0] - w[0][0]).abs()).fold(0.0, f32::max);
        assert!(step < 0.1, "a tone of 1,200 Hz moves by at most 0.08 a frame: {step}");
        let mut later = Synth::new(pattern);
        later.seek(expected as u64 / 3);
        let mut rest = Vec::new();
        later.next(expected, &mut rest);
        assert_eq!(rest, out[expected / 3..]);
    }

    #[test]
    fn patterns_are_exact_and_seekable() {
        check(Pattern::chime());
        check(Pattern::exercise());
        check(Pattern { tones: Pattern::siren(1).tones, repeats: 2 });
    }

    #[test]
    fn an_empty_pattern_is_silent() {
        assert!(whole(Pattern { tones: vec![], repeats: 3 }, 10).is_empty());
        let nothing = Tone { from_hz: 1.0, to_hz: 1.0, ms: 0, gap_ms: 0 };
        assert!(whole(Pattern { tones: vec![nothing], repeats: 3 }, 10).is_empty());
    }
}
