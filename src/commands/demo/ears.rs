//! Ears: what a recording really holds, measured; mono at 48 kHz.

use std::f32::consts::TAU;
use std::ops::Range;
use std::path::Path;

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

use loaxa_heart::domain::sound::{Fault, Pattern};
use loaxa_heart::texts::{Say, Sentence};
use loaxa_sound::decode::resample::{ResampleError, Resampler};
use loaxa_sound::source::synth::Synth;
use loaxa_sound::{Frame, decode};

/// Samples a second.
pub const RATE: f64 = loaxa_sound::RATE as f64;
/// Samples of a spectrum, so that its lines are 0.37 Hz apart.
const SPECTRUM: usize = 1 << 17;
/// Below this nothing sounds.
pub const SILENT: f32 = 0.003;
/// Frames synthesised at a time.
const SYNTH_FRAMES: usize = 4_096;
const WAV_HEADER_BYTES: usize = 44;

/// A reason why there is no sound to compare with.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NoSound {
    Fault(#[from] Fault),
    Resample(#[from] ResampleError),
}

impl Say for NoSound {
    fn say(&self) -> Sentence {
        match self {
            NoSound::Fault(error) => error.say(),
            NoSound::Resample(error) => error.say(),
        }
    }
}

/// A piece of sound.
#[derive(Debug, Clone, Default)]
pub struct Sound(Vec<f32>);

impl Sound {
    /// A box's recording: 16-bit stereo of 48 kHz, also while it is being written.
    ///
    /// # Errors
    /// Fails when it can't be read.
    pub fn read_wav(path: &Path) -> std::io::Result<Self> {
        let bytes = std::fs::read(path)?;
        let sample = |frame: &[u8]| {
            let at = |n| f32::from(i16::from_le_bytes([frame[n], frame[n + 1]])) / 32_768.0;
            (at(0) + at(2)) / 2.0
        };
        let data = bytes.get(WAV_HEADER_BYTES..).unwrap_or_default().chunks_exact(4).map(sample);
        Ok(Self(data.collect()))
    }

    /// Makes the sound that staff or villagers should hear: a pattern, then a file.
    ///
    /// # Errors
    /// Fails when the file can't be decoded.
    pub fn expected(pattern: Option<&Pattern>, file: Option<&Path>) -> Result<Self, NoSound> {
        let mut frames = Vec::new();
        if let Some(pattern) = pattern {
            let mut synth = Synth::new(pattern.clone());
            let whole = synth.frames() as usize;
            while frames.len() < whole {
                synth.next(SYNTH_FRAMES, &mut frames);
            }
        }
        if let Some(file) = file {
            let mut decoder = decode::open(file)?;
            let mut resampler = Resampler::new(decoder.rate())?;
            while let Some(block) = decoder.next_block()? {
                resampler.push(block, &mut frames);
            }
            resampler.finish(&mut frames);
        }
        Ok(Self(frames.iter().map(|[left, right]: &Frame| (left + right) / 2.0).collect()))
    }

    /// Returns the length of the sound.
    pub fn seconds(&self) -> f64 {
        self.0.len() as f64 / RATE
    }

    /// The part of it within a stretch of seconds.
    pub fn part(&self, time: Range<f64>) -> &[f32] {
        let at = |seconds: f64| ((seconds.max(0.0) * RATE).round() as usize).min(self.0.len());
        &self.0[at(time.start)..at(time.end).max(at(time.start))]
    }

    /// Cuts off the first `seconds`.
    pub fn from(self, seconds: f64) -> Self {
        Self(self.part(seconds..f64::INFINITY).to_vec())
    }

    /// Returns the time of the first sound that is no silence.
    pub fn onset(&self) -> Option<f64> {
        let first = self.0.iter().position(|sample| sample.abs() >= SILENT)?;
        Some(first as f64 / RATE)
    }

    /// Finds where within `around` seconds of `at` this recording holds `piece` best, and returns how much later than
    /// `at` that is, and how alike the two are there, from 0 to 1.
    pub fn find(&self, piece: &[f32], at: f64, around: f64) -> (f64, f64) {
        let first = ((at - around).max(0.0) * RATE).round() as usize;
        let last = ((at + around) * RATE).round() as usize + piece.len();
        let there = &self.0[first.min(self.0.len())..last.min(self.0.len())];
        if there.len() < piece.len() {
            return (0.0, 0.0);
        }
        // The energy under the piece at each place, from the running sum.
        let mut sums = vec![0.0];
        there.iter().for_each(|sample| sums.push(sums[sums.len() - 1] + f64::from(sample * sample)));
        let wanted = piece.iter().map(|sample| f64::from(sample * sample)).sum::<f64>();
        let products = products(there, piece);
        let alike = products.iter().enumerate().map(|(n, product)| {
            let energy = sums[n + piece.len()] - sums[n];
            // Silence is like nothing.
            let quiet = energy < f64::from(SILENT * SILENT) * piece.len() as f64 / 4.0;
            (n, if quiet { 0.0 } else { f64::from(*product) / (energy * wanted).sqrt() })
        });
        let (place, alike) = alike.max_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap_or((0, 0.0));
        ((first + place) as f64 / RATE - at, alike)
    }

    /// The loudest frequency of a stretch between two others.
    pub fn loudest_hz(&self, time: Range<f64>, between: Range<f64>) -> f64 {
        let part = self.part(time);
        let turn = TAU / part.len().max(1) as f32;
        let hann = part.iter().enumerate().map(|(n, sample)| sample * (1.0 - (turn * n as f32).cos()));
        let spectrum = spectrum(hann.take(SPECTRUM), SPECTRUM);
        let line = RATE / SPECTRUM as f64;
        let lines = spectrum.iter().enumerate().map(|(n, value)| (n as f64 * line, value.norm_sqr()));
        let strongest = lines.filter(|(hz, _)| between.contains(hz)).max_by(|(_, a), (_, b)| a.total_cmp(b));
        strongest.map_or(0.0, |(hz, _)| hz)
    }
}

fn spectrum(samples: impl Iterator<Item = f32>, size: usize) -> Vec<Complex<f32>> {
    let fft = RealFftPlanner::<f32>::new().plan_fft_forward(size);
    let mut input: Vec<_> = samples.collect();
    input.resize(size, 0.0);
    let mut output = fft.make_output_vec();
    fft.process(&mut input, &mut output).expect("both were made for this size");
    output
}

/// The sum of products of `piece` with `there`, at each place where it fits.
fn products(there: &[f32], piece: &[f32]) -> Vec<f32> {
    let size = (there.len() + piece.len()).next_power_of_two();
    let mut product = spectrum(there.iter().copied(), size);
    for (value, other) in product.iter_mut().zip(spectrum(piece.iter().copied(), size)) {
        *value *= other.conj();
    }
    // Both are real by nature; rounding must not say otherwise.
    if let [first, .., last] = &mut product[..] {
        (first.im, last.im) = (0.0, 0.0);
    }
    let back = RealFftPlanner::<f32>::new().plan_fft_inverse(size);
    let mut sums = back.make_output_vec();
    back.process(&mut product, &mut sums).expect("both were made for this size");
    sums.truncate(there.len() - piece.len() + 1);
    sums.iter().map(|sum| sum / size as f32).collect()
}

/// Root mean square.
pub fn rms(samples: &[f32]) -> f32 {
    (samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len().max(1) as f32).sqrt()
}

/// The largest sample.
pub fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |most, sample| most.max(sample.abs()))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A tone of a slowly rising pitch, so that it is like itself at one place only.
    pub fn rising(hz: f64, seconds: f64) -> Sound {
        let sample = |n: usize| {
            let t = n as f64 / RATE;
            (0.3 * (std::f64::consts::TAU * (hz * t + 5.0 * t * t)).sin()) as f32
        };
        Sound((0..(seconds * RATE) as usize).map(sample).collect())
    }

    /// Pieces and silences (of hz 0) in turn.
    pub fn in_turn(pieces: &[Sound]) -> Sound {
        Sound(pieces.iter().flat_map(|piece| piece.0.iter().copied()).collect())
    }

    pub fn silence(seconds: f64) -> Sound {
        Sound(vec![0.0; (seconds * RATE) as usize])
    }

    #[test]
    fn a_piece_is_found_where_it_is() {
        let recording = in_turn(&[silence(1.03), rising(400.0, 2.0), silence(1.0)]);
        let piece = rising(400.0, 2.0);
        let (lag, likeness) = recording.find(piece.part(0.0..0.5), 1.0, 0.1);
        assert!((lag - 0.03).abs() < 0.001 && likeness > 0.99, "{lag} {likeness}");
        let (_, likeness) = recording.find(rising(600.0, 2.0).part(0.0..0.5), 1.0, 0.1);
        assert!(likeness < 0.3, "{likeness}");
        assert!((recording.onset().unwrap() - 1.03).abs() < 0.002);
    }

    #[test]
    fn a_siren_is_heard_to_rise() {
        let siren = Sound::expected(Some(&Pattern::siren(1)), None).unwrap();
        assert_eq!(siren.seconds(), 30.0);
        assert!((siren.loudest_hz(4.95..5.05, 300.0..1_000.0) - 650.0).abs() < 5.0);
        assert!(peak(siren.part(20.1..29.9)) < SILENT && rms(siren.part(1.0..2.0)) > 0.3);
    }
}
