//! Any rate to 48 kHz, streaming, with exactly the length that the input had.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _};

use crate::{Frame, RATE};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// Rates accepted; beyond them a header lies.
pub const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;
/// Input frames taken at a time: a filter long enough for a clean 20 kHz. Eight times 147, as the filter of the
/// 44.1 kHz family is centred between two samples, half a sample late, where this is odd.
const CHUNK: usize = 1_176;

/// Reasons for which a resampler can't be made or can't go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum ResampleError {
    Rate(u32),
    Failed(String),
}

impl Say for ResampleError {
    fn say(&self) -> Sentence {
        match self {
            ResampleError::Rate(hz) => said!("resample.rate", hz),
            ResampleError::Failed(detail) => said!("resample.failed", detail),
        }
    }
}

/// Turns frames of one rate into frames at [`RATE`].
pub struct Resampler {
    rate: u32,
    /// `None` where the rate is already right.
    inner: Option<Box<Inner>>,
}

struct Inner {
    fft: Fft<f32>,
    waiting: Vec<Frame>,
    chunk: Vec<Frame>,
    /// Frames of start-up delay still to be dropped.
    delay: usize,
    taken: u64,
    given: u64,
}

impl Resampler {
    /// Makes one for input at `rate` Hz.
    pub fn new(rate: u32) -> Result<Self, ResampleError> {
        if !RATES.contains(&rate) {
            return Err(ResampleError::Rate(rate));
        }
        if rate == RATE {
            return Ok(Self { rate, inner: None });
        }
        let failed = |error: rubato::ResamplerConstructionError| ResampleError::Failed(error.to_string());
        let fft = Fft::new_custom(
            rate as usize,
            RATE as usize,
            CHUNK,
            1,
            2,
            rubato::WindowFunction::BlackmanHarris2,
            FixedSync::Input,
        )
        .map_err(failed)?;
        let chunk = vec![[0.0; 2]; fft.output_frames_max()];
        let delay = fft.output_delay();
        let inner = Inner { fft, waiting: Vec::with_capacity(2 * CHUNK), chunk, delay, taken: 0, given: 0 };
        Ok(Self { rate, inner: Some(Box::new(inner)) })
    }

    /// The rate of the input in Hz.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Takes `input` and appends what is ready to `out`.
    pub fn push(&mut self, input: &[Frame], out: &mut Vec<Frame>) -> Result<(), ResampleError> {
        let Some(inner) = &mut self.inner else {
            out.extend_from_slice(input);
            return Ok(());
        };
        inner.taken += input.len() as u64;
        inner.waiting.extend_from_slice(input);
        let mut start = 0;
        while inner.waiting.len() - start >= inner.fft.input_frames_next() {
            start += inner.one_chunk(start, out)?;
        }
        inner.waiting.drain(..start);
        Ok(())
    }

    /// Appends what is still inside, so that the whole output is as long as the input was.
    pub fn finish(&mut self, out: &mut Vec<Frame>) -> Result<(), ResampleError> {
        let Some(inner) = &mut self.inner else { return Ok(()) };
        let total = (inner.taken * u64::from(RATE) + u64::from(self.rate) / 2) / u64::from(self.rate);
        while inner.given < total {
            inner.waiting.resize(inner.fft.input_frames_next(), [0.0; 2]);
            inner.one_chunk(0, out)?;
            inner.waiting.clear();
        }
        out.truncate(out.len() - (inner.given - total) as usize);
        inner.given = total;
        Ok(())
    }
}

impl Inner {
    /// Resamples one chunk from `waiting[start..]`; answers how many frames it took.
    fn one_chunk(&mut self, start: usize, out: &mut Vec<Frame>) -> Result<usize, ResampleError> {
        let failed = |error: &dyn std::fmt::Display| ResampleError::Failed(error.to_string());
        let take = self.fft.input_frames_next();
        let input = self.waiting[start..start + take].as_flattened();
        let input = InterleavedSlice::new(input, 2, take).map_err(|e| failed(&e))?;
        let room = self.chunk.len();
        let mut output =
            InterleavedSlice::new_mut(self.chunk.as_flattened_mut(), 2, room).map_err(|e| failed(&e))?;
        let (_, made) = self.fft.process_into_buffer(&input, &mut output, None).map_err(|e| failed(&e))?;
        let dropped = self.delay.min(made);
        self.delay -= dropped;
        out.extend_from_slice(&self.chunk[dropped..made]);
        self.given += (made - dropped) as u64;
        Ok(take)
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;

    fn tone(rate: u32, hz: f32, frames: usize) -> Vec<Frame> {
        (0..frames).map(|n| [(TAU * hz * n as f32 / rate as f32).sin() * 0.5; 2]).collect()
    }

    /// The tone comes out at its own frequency, in phase, and exactly as long.
    fn check(rate: u32, frames: usize, expected: usize) {
        let mut resampler = Resampler::new(rate).unwrap();
        let mut out = Vec::new();
        for part in tone(rate, 440.0, frames).chunks(777) {
            resampler.push(part, &mut out).unwrap();
        }
        resampler.finish(&mut out).unwrap();
        assert_eq!(out.len(), expected, "{rate} Hz");
        let ideal = tone(RATE, 440.0, expected);
        let inner = 600..expected.saturating_sub(600);
        for n in inner {
            assert!(
                (out[n][0] - ideal[n][0]).abs() < 1e-3,
                "{rate} Hz, frame {n}: {} {}",
                out[n][0],
                ideal[n][0]
            );
        }
    }

    #[test]
    fn every_rate_keeps_length_and_phase() {
        check(48_000, 4_800, 4_800);
        check(44_100, 44_100, 48_000);
        check(22_050, 22_050, 48_000);
        check(8_000, 8_000, 48_000);
        check(96_000, 96_000, 48_000);
        check(11_025, 100, 435);
    }

    #[test]
    fn a_lying_rate_is_refused() {
        for rate in [0, 1, 3_999, 192_001, u32::MAX] {
            assert_eq!(Resampler::new(rate).err(), Some(ResampleError::Rate(rate)));
        }
    }
}
