//! Any rate to 48 kHz, streaming, with exactly the length that the input had.
//!
//! A block of input is transformed, filtered, and transformed back at the length that it has at 48 kHz. The two sides
//! are the two parts of complex samples, so that one transform serves both and frames are never taken apart.

use std::f64::consts::PI;
use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use crate::{Frame, RATE};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// Rates accepted; beyond them a header lies.
pub const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;
/// Least input frames of a block: a filter of this length is clean up to 20 kHz.
const BLOCK_MIN: usize = 1_176;
/// The Blackman-Harris window of four terms; its square lets -136 dB through.
const BLACKMAN_HARRIS: [f64; 4] = [0.358_75, 0.488_29, 0.141_28, 0.011_68];
/// Half the width of the squared window's main lobe, in steps of half a block's transform.
const LOBE: f64 = 13.7;

/// Reasons for which a resampler can't be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum ResampleError {
    Rate(u32),
}

impl Say for ResampleError {
    fn say(&self) -> Sentence {
        match self {
            ResampleError::Rate(hz) => said!("resample.rate", hz),
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
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
    /// The filter at the frequencies from zero up, and at those from below zero down to the same distance.
    filter: (Vec<f32>, Vec<f32>),
    /// A block, of which `held` frames are there, and as much silence.
    input: Vec<Complex<f32>>,
    held: usize,
    spectrum: Vec<Complex<f32>>,
    filtered: Vec<Complex<f32>>,
    output: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    /// The part of the last block's sound that reaches into the next.
    tail: Vec<Frame>,
    /// Frames of start-up delay still to be dropped, fewer than a block makes.
    delay: usize,
    taken: u64,
    given: u64,
}

impl Resampler {
    /// Makes one for input at `rate` Hz.
    ///
    /// # Errors
    /// Refuses a rate outside of [`RATES`].
    pub fn new(rate: u32) -> Result<Self, ResampleError> {
        Self::with_block(rate, BLOCK_MIN)
    }

    /// Makes one that takes at least `block` frames at a time: fewer lag less, and let less of the highest sound through.
    ///
    /// # Errors
    /// Refuses a rate outside of [`RATES`].
    pub fn with_block(rate: u32, block: usize) -> Result<Self, ResampleError> {
        if !RATES.contains(&rate) {
            return Err(ResampleError::Rate(rate));
        }
        let inner = (rate != RATE).then(|| Box::new(Inner::new(rate as usize, block)));
        Ok(Self { rate, inner })
    }

    /// The rate of the input in Hz.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Takes `input` and appends what is ready to `out`.
    pub fn push(&mut self, input: &[Frame], out: &mut Vec<Frame>) {
        match &mut self.inner {
            None => out.extend_from_slice(input),
            Some(inner) => inner.push(input, out),
        }
    }

    /// Appends what is still inside, so that the whole output is as long as the input was.
    pub fn finish(&mut self, out: &mut Vec<Frame>) {
        let Some(inner) = &mut self.inner else { return };
        let total = (inner.taken * u64::from(RATE) + u64::from(self.rate) / 2) / u64::from(self.rate);
        while inner.given < total {
            let block = inner.block();
            inner.input[inner.held..block].fill(Complex::default());
            inner.one_block(out);
        }
        out.truncate(out.len() - (inner.given - total) as usize);
        inner.given = total;
    }
}

impl Inner {
    fn new(rate: usize, least: usize) -> Self {
        let common = common_divisor(rate, RATE as usize);
        let units = least.div_ceil(rate / common);
        let (block, made) = (units * rate / common, units * RATE as usize / common);
        let mut planner = FftPlanner::new();
        let forward = planner.plan_fft_forward(2 * block);
        let inverse = planner.plan_fft_inverse(2 * made);
        let scratch = forward.get_immutable_scratch_len().max(inverse.get_immutable_scratch_len());
        let mut inner = Self {
            forward,
            inverse,
            filter: (Vec::new(), Vec::new()),
            input: filter_at_once(block, made),
            held: 0,
            spectrum: vec![Complex::default(); 2 * block],
            filtered: vec![Complex::default(); 2 * made],
            output: vec![Complex::default(); 2 * made],
            scratch: vec![Complex::default(); scratch],
            tail: vec![[0.0; 2]; made],
            delay: made / 2,
            taken: 0,
            given: 0,
        };
        inner.forward.process_immutable_with_scratch(&inner.input, &mut inner.spectrum, &mut inner.scratch);
        // A filter that is the same forwards and backwards has real factors, the same above and below zero.
        let factors = inner.spectrum[..block.min(made)].iter().map(|factor| factor.re);
        inner.input.fill(Complex::default());
        inner.filter = (factors.clone().collect(), factors.skip(1).rev().collect());
        inner
    }

    fn block(&self) -> usize {
        self.input.len() / 2
    }

    fn push(&mut self, mut input: &[Frame], out: &mut Vec<Frame>) {
        self.taken += input.len() as u64;
        while !input.is_empty() {
            let room = self.block() - self.held;
            let (now, later) = input.split_at(input.len().min(room));
            for (sample, [left, right]) in self.input[self.held..].iter_mut().zip(now) {
                *sample = Complex::new(*left, *right);
            }
            self.held += now.len();
            input = later;
            if self.held == self.block() {
                self.one_block(out);
            }
        }
    }

    /// Resamples the block that is held.
    fn one_block(&mut self, out: &mut Vec<Frame>) {
        let (block, made) = (self.block(), self.tail.len());
        self.forward.process_immutable_with_scratch(&self.input, &mut self.spectrum, &mut self.scratch);
        let (above, below) = &self.filter;
        let (first, last) = (above.len(), below.len());
        scaled(&self.spectrum[..first], above, &mut self.filtered[..first]);
        scaled(&self.spectrum[2 * block - last..], below, &mut self.filtered[2 * made - last..]);
        self.inverse.process_immutable_with_scratch(&self.filtered, &mut self.output, &mut self.scratch);
        self.held = 0;
        // The filter reaches half a block back: what it does there stands at the end, as the transform goes round.
        let (here, before) = self.output.split_at(2 * made - made / 2);
        let (ready, reaching) = here.split_at(made - before.len());
        let sum = |(sample, tail): (&Complex<f32>, &Frame)| [sample.re + tail[0], sample.im + tail[1]];
        let (from, (early, late)) = (out.len(), self.tail.split_at(before.len()));
        out.extend(before.iter().zip(early).map(sum));
        out.extend(ready.iter().zip(late).map(sum));
        for (tail, sample) in self.tail.iter_mut().zip(reaching) {
            *tail = [sample.re, sample.im];
        }
        let dropped = std::mem::take(&mut self.delay);
        out.drain(from..from + dropped);
        self.given += (made - dropped) as u64;
    }
}

fn scaled(spectrum: &[Complex<f32>], filter: &[f32], out: &mut [Complex<f32>]) {
    for (out, (value, factor)) in out.iter_mut().zip(spectrum.iter().zip(filter)) {
        *out = value * factor;
    }
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// The filter of two blocks, centred at the first sample and going round: a sinc that ends where the lower of both rates
/// can carry nothing more, in a squared Blackman-Harris window; with the factor that two transforms leave to their user.
fn filter_at_once(block: usize, made: usize) -> Vec<Complex<f32>> {
    let share = made.min(block) as f64 / block as f64;
    let cutoff = share * (1.0 - LOBE / made.min(block) as f64);
    let tap = |away: usize| {
        let x = away as f64 / block as f64;
        if x >= 0.5 {
            return 0.0;
        }
        let turns = BLACKMAN_HARRIS.iter().zip(0..);
        let window: f64 = turns.map(|(term, n)| term * (2.0 * PI * f64::from(n) * x).cos()).sum();
        let turn = PI * cutoff * away as f64;
        let sinc = if away == 0 { 1.0 } else { turn.sin() / turn };
        window * window * sinc
    };
    let taps: Vec<f64> = (0..2 * block).map(|n| tap(n.min(2 * block - n))).collect();
    let whole = taps.iter().sum::<f64>() * 2.0 * block as f64;
    taps.into_iter().map(|tap| Complex::new((tap / whole) as f32, 0.0)).collect()
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use rubato::audioadapter_buffers::direct::InterleavedSlice;
    use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

    use super::{BLOCK_MIN, Frame, RATE, ResampleError, Resampler};

    fn tone(rate: u32, hz: f32, frames: usize) -> Vec<Frame> {
        (0..frames).map(|n| [(TAU * hz * n as f32 / rate as f32).sin() * 0.5; 2]).collect()
    }

    /// The tone comes out at its own frequency, in phase, and exactly as long.
    fn check(rate: u32, frames: usize, expected: usize) {
        let mut resampler = Resampler::new(rate).unwrap();
        let mut out = Vec::new();
        for part in tone(rate, 440.0, frames).chunks(777) {
            resampler.push(part, &mut out);
        }
        resampler.finish(&mut out);
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

    /// Noise comes out as another implementation of the same filter gives it.
    fn check_noise(rate: u32) {
        let mut seed = 1u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let (mut resampler, mut ours) = (Resampler::new(rate).unwrap(), Vec::new());
        let (window, fixed) = (WindowFunction::BlackmanHarris2, FixedSync::Both);
        let other = Fft::<f32>::new_custom(rate as usize, RATE as usize, BLOCK_MIN, 1, 2, window, fixed);
        let mut other = other.unwrap();
        let (block, made) = (other.input_frames_next(), other.output_frames_next());
        let input: Vec<Frame> = (0..4 * block).map(|_| [noise(), noise()]).collect();
        resampler.push(&input, &mut ours);
        resampler.finish(&mut ours);
        let mut theirs = vec![[0.0; 2]; 4 * made];
        for (input, out) in input.chunks(block).zip(theirs.chunks_mut(made)) {
            let input = InterleavedSlice::new(input.as_flattened(), 2, block).unwrap();
            let mut out = InterleavedSlice::new_mut(out.as_flattened_mut(), 2, made).unwrap();
            other.process_into_buffer(&input, &mut out, None).unwrap();
        }
        let pairs = ours.as_flattened().iter().zip(theirs[other.output_delay()..].as_flattened());
        let worst = pairs.map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f32::max);
        assert!(worst < 2e-3, "{rate} Hz: {worst}");
    }

    #[test]
    fn noise_comes_out_as_elsewhere() {
        [44_100, 22_050, 11_025, 8_000, 16_000, 32_000, 96_000].into_iter().for_each(check_noise);
    }

    #[test]
    fn a_lying_rate_is_refused() {
        for rate in [0, 1, 3_999, 192_001, u32::MAX] {
            assert_eq!(Resampler::new(rate).err(), Some(ResampleError::Rate(rate)));
        }
    }
}
