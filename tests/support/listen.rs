//! Ears: what a recording really holds, measured sample by sample.

use std::ops::Range;
use std::path::Path;

/// Frames a second of everything that the box plays.
pub const RATE: usize = 48_000;
/// A tone is looked for in windows of 20 ms, every 5 ms.
const WINDOW: usize = RATE / 50;
const HOP: usize = RATE / 200;
/// Below this nothing sounds.
const SILENT: f64 = 0.003;
/// Part of a window's energy that makes a tone the only one in it.
const PURE: f64 = 0.8;

/// The left channel of what was played.
pub struct Recording(pub Vec<f64>);

/// A stretch in which one tone sounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    pub hz: f64,
    /// In seconds from the start of the recording.
    pub from: f64,
    pub to: f64,
}

impl Stretch {
    pub fn seconds(&self) -> f64 {
        self.to - self.from
    }
}

impl Recording {
    /// Reads 16-bit stereo, also of a file that is still being written.
    pub fn read(wav: &Path) -> Self {
        let bytes = std::fs::read(wav).unwrap_or_default();
        let frames = bytes.get(44..).unwrap_or_default().chunks_exact(4);
        Self(frames.map(|frame| f64::from(i16::from_le_bytes([frame[0], frame[1]])) / 32_768.0).collect())
    }

    /// Seconds that a recording of the box has by now.
    pub fn seconds_so_far(wav: &Path) -> f64 {
        let bytes = std::fs::metadata(wav).map_or(0, |metadata| metadata.len());
        bytes.saturating_sub(44) as f64 / 4.0 / RATE as f64
    }

    pub fn seconds(&self) -> f64 {
        self.0.len() as f64 / RATE as f64
    }

    /// Samples of a stretch of time in seconds.
    pub fn samples(&self, time: Range<f64>) -> &[f64] {
        let at = |seconds: f64| ((seconds * RATE as f64).max(0.0) as usize).min(self.0.len());
        &self.0[at(time.start)..at(time.end)]
    }

    /// Finds the stretches in which one of these tones sounds alone, in the order of time; edges are right to 5 ms.
    pub fn stretches(&self, tones: &[f64]) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut holds = None;
        for start in (0..self.0.len().saturating_sub(WINDOW)).step_by(HOP) {
            let found = tone_of(&self.0[start..start + WINDOW], tones);
            let (from, to) = (start as f64 / RATE as f64, (start + WINDOW) as f64 / RATE as f64);
            match (found, stretches.last_mut()) {
                (Some(hz), Some(last)) if holds == Some(hz) => last.to = to,
                (Some(hz), _) => stretches.push(Stretch { hz, from, to }),
                (None, _) => {}
            }
            holds = found;
        }
        stretches
    }

    /// Silences longer than `longer_than` seconds within a stretch of time.
    pub fn silences(&self, time: Range<f64>, longer_than: f64) -> Vec<Range<f64>> {
        let begin = time.start;
        let mut silences = Vec::new();
        let mut since = None;
        let samples = self.samples(time);
        for (n, sample) in samples.iter().chain([&1.0]).enumerate() {
            if sample.abs() < SILENT {
                since.get_or_insert(n);
            } else if let Some(from) = since.take() {
                let seconds = |n: usize| begin + n as f64 / RATE as f64;
                if seconds(n) - seconds(from) > longer_than {
                    silences.push(seconds(from)..seconds(n));
                }
            }
        }
        silences
    }

    /// The frequency of the one tone in a stretch of time, by the upward crossings of zero.
    pub fn frequency(&self, time: Range<f64>) -> f64 {
        let samples = self.samples(time);
        let crossings: Vec<f64> = samples
            .windows(2)
            .enumerate()
            .filter(|(_, pair)| pair[0] < 0.0 && pair[1] >= 0.0)
            .map(|(n, pair)| n as f64 + pair[0] / (pair[0] - pair[1]))
            .collect();
        let (Some(first), Some(last)) = (crossings.first(), crossings.last()) else { return 0.0 };
        (crossings.len() - 1) as f64 * RATE as f64 / (last - first)
    }

    /// Returns when something first sounds after a time, and when something last sounds.
    pub fn sounding(&self, after: f64) -> Option<Range<f64>> {
        let begin = (after * RATE as f64) as usize;
        let loud = |sample: &f64| sample.abs() >= SILENT;
        let first = begin + self.0.get(begin..)?.iter().position(loud)?;
        let last = self.0.iter().rposition(loud)?;
        Some(first as f64 / RATE as f64..last as f64 / RATE as f64)
    }
}

/// The tone that alone sounds in a window.
fn tone_of(window: &[f64], tones: &[f64]) -> Option<f64> {
    let energy: f64 = window.iter().map(|sample| sample * sample).sum();
    if energy < SILENT * SILENT * window.len() as f64 {
        return None;
    }
    let share = |hz: f64| goertzel(window, hz) * 2.0 / window.len() as f64 / energy;
    tones.iter().copied().find(|hz| share(*hz) > PURE)
}

/// Squared magnitude of one frequency in a window.
fn goertzel(window: &[f64], hz: f64) -> f64 {
    let turn = std::f64::consts::TAU * hz / RATE as f64;
    let factor = 2.0 * turn.cos();
    let (mut before, mut last) = (0.0, 0.0);
    for sample in window {
        (before, last) = (last, sample + factor * last - before);
    }
    last * last + before * before - factor * last * before
}

/// Writes a mono WAV whose sample at each time is given.
pub fn write_wav(path: &Path, seconds: f64, sample: impl Fn(f64) -> f64) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE as u32,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for n in 0..(seconds * RATE as f64) as usize {
        let value = sample(n as f64 / RATE as f64) * 32_767.0;
        writer.write_sample(value as i16).unwrap();
    }
    writer.finalize().unwrap();
}

/// Writes a steady tone.
pub fn write_tone(path: &Path, hz: f64, seconds: f64) {
    write_wav(path, seconds, |t| 0.25 * (std::f64::consts::TAU * hz * t).sin());
}

/// A tone whose frequency tells where in it one is.
pub struct Sweep {
    pub from_hz: f64,
    pub hz_per_second: f64,
    pub seconds: f64,
}

impl Sweep {
    pub fn write(&self, path: &Path) {
        let phase = |t: f64| std::f64::consts::TAU * (self.from_hz * t + self.hz_per_second * t * t / 2.0);
        write_wav(path, self.seconds, |t| 0.25 * phase(t).sin());
    }

    /// The place in it where this frequency sounds.
    pub fn place_of(&self, hz: f64) -> f64 {
        (hz - self.from_hz) / self.hz_per_second
    }
}
