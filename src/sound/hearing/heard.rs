//! The proof that a loudspeaker really spoke: a comparison of what a microphone recorded with what was played.
//!
//! Both are brought to 8 kHz and to the band of a horn, and compared in windows, at every lag up to a second. The
//! score is the greatest normalised correlation: gain and delay do not move it, noise as strong as the sound takes it to
//! 0.7, three strong echoes on top to 0.46 (measured); other speech, music and tones stay below 0.18.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use loaxa_heart::domain::sound::Heard;

/// Samples a second of what is compared; a horn gives little above 4 kHz.
pub const HEARD_HZ: usize = 8_000;
/// Samples compared at a time: two seconds.
pub const WINDOW: usize = 2 * HEARD_HZ;
/// The recording begins this long before the sound, as two devices may disagree on the time: 0.1 s.
pub const BEFORE: usize = HEARD_HZ / 10;
/// Lags that are tried: a second of way and buffers, and the margin on both sides.
pub const LAGS: usize = HEARD_HZ + 2 * BEFORE;
/// The least that is compared, half a second.
pub const WINDOW_MIN: usize = HEARD_HZ / 2;
/// A mean score from here on is called heard; in the middle between strangers and copies, see above.
pub const HEARD_FROM: f32 = 0.3;

/// Room for a window at the last lag without wrapping around.
const FFT: usize = 32_768;
/// The band that a loudspeaker and a microphone share, in Hz.
const BAND: (usize, usize) = (150, 3_500);
/// Played sound below this (-55 dBFS) is a pause, and is not to be heard.
const PAUSE_RMS: f32 = 0.0018;
/// A recording below this (-90 dBFS) is silence.
const SILENT_RMS: f32 = 3e-5;

/// Compares windows; holds its tables and nothing of the sound.
pub struct Comparer {
    forward: Arc<dyn RealToComplex<f32>>,
    back: Arc<dyn ComplexToReal<f32>>,
}

impl Default for Comparer {
    fn default() -> Self {
        let mut planner = RealFftPlanner::new();
        Self { forward: planner.plan_fft_forward(FFT), back: planner.plan_fft_inverse(FFT) }
    }
}

impl Comparer {
    /// Scores how surely `recorded` holds `played`, 0 to 1; `None` where there was nothing to hear. Both at [`HEARD_HZ`]; of
    /// `played` the first [`WINDOW`] samples count, of `recorded`, which begins with the first lag, [`LAGS`] more.
    pub fn score(&self, played: &[f32], recorded: &[f32]) -> Option<f32> {
        let played = &played[..played.len().min(WINDOW)];
        let recorded = &recorded[..recorded.len().min(played.len() + LAGS)];
        if played.len() < WINDOW_MIN {
            return None;
        }
        let (x, y) = (self.spectrum(played), self.spectrum(recorded));
        let (source, heard) = (self.signal(x.clone()), self.signal(y.clone()));
        let energy: f32 = source.iter().map(|sample| sample * sample).sum();
        if (energy / played.len() as f32).sqrt() < PAUSE_RMS {
            return None;
        }
        let plain = self.signal(x.iter().zip(&y).map(|(x, y)| x.conj() * y).collect());
        Some(likeness(&plain, &heard, energy, played.len(), recorded.len()))
    }

    /// The spectrum within the band.
    fn spectrum(&self, samples: &[f32]) -> Vec<Complex<f32>> {
        let mut padded = self.forward.make_input_vec();
        padded[..samples.len()].copy_from_slice(samples);
        let mut spectrum = self.forward.make_output_vec();
        self.forward.process(&mut padded, &mut spectrum).expect("lengths are the plan's own");
        let within = BAND.0 * FFT / HEARD_HZ..BAND.1 * FFT / HEARD_HZ;
        for (bin, value) in spectrum.iter_mut().enumerate() {
            if !within.contains(&bin) {
                *value = Complex::default();
            }
        }
        spectrum
    }

    fn signal(&self, mut spectrum: Vec<Complex<f32>>) -> Vec<f32> {
        let mut signal = self.back.make_output_vec();
        self.back.process(&mut spectrum, &mut signal).expect("the band leaves out both real bins");
        signal.iter_mut().for_each(|sample| *sample /= FFT as f32);
        signal
    }
}

/// The greatest normalised correlation over all lags, either way round: a loudspeaker may be wired in reverse.
fn likeness(plain: &[f32], heard: &[f32], energy: f32, length: usize, recorded: usize) -> f32 {
    let mut below = Vec::with_capacity(heard.len() + 1);
    below.push(0.0f64);
    for sample in heard {
        below.push(below[below.len() - 1] + f64::from(sample * sample));
    }
    let lags = (recorded + 1).saturating_sub(WINDOW_MIN).min(LAGS);
    let silent = f64::from(SILENT_RMS * SILENT_RMS) * length as f64;
    let at = |lag: usize| {
        let there = below[(lag + length).min(heard.len())] - below[lag];
        if there < silent { 0.0 } else { plain[lag].abs() / (f64::from(energy) * there).sqrt() as f32 }
    };
    (0..lags).map(at).fold(0.0, f32::max).min(1.0)
}

/// The scores of one play's windows, added up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    sum: f32,
    windows: u32,
}

impl Tally {
    /// Counts a window in.
    pub fn add(&mut self, score: f32) {
        self.sum += score;
        self.windows += 1;
    }

    /// The verdict; `None` where there was nothing to be heard.
    pub fn verdict(&self) -> Option<Heard> {
        let score = self.sum / self.windows as f32;
        (self.windows > 0).then_some(Heard { heard: score >= HEARD_FROM, score })
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;
    use std::path::Path;

    use super::*;
    use crate::decode::{self, decimate::Decimator, resampled::Resampled};
    use crate::source::synth::Synth;
    use crate::{Frame, RATE};
    use loaxa_heart::domain::sound::Pattern;

    /// Seconds of each sound that are compared.
    const SECONDS: usize = 6;

    fn brought_down(frames: &[Frame]) -> Vec<f32> {
        let mut decimator = Decimator::new(RATE as usize / HEARD_HZ);
        frames.iter().filter_map(|frame| decimator.push(frame[0])).collect()
    }

    fn of_the_example(name: &str) -> Vec<f32> {
        let path = Path::new("../../playlists/binh-minh/audio").join(name);
        let mut sound = Resampled::new(decode::open(&path).unwrap()).unwrap();
        let mut frames = Vec::new();
        while frames.len() < SECONDS * RATE as usize && sound.more(&mut frames).unwrap() {}
        frames.truncate(SECONDS * RATE as usize);
        brought_down(&frames)
    }

    fn pattern(pattern: Pattern) -> Vec<f32> {
        let mut frames = Vec::new();
        Synth::new(pattern).next(SECONDS * RATE as usize, &mut frames);
        brought_down(&frames)
    }

    fn noise(count: usize, mut state: u32) -> Vec<f32> {
        let step = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as f32 / u32::MAX as f32 - 0.5
        };
        std::iter::repeat_with(step).take(count).collect()
    }

    fn rms(samples: &[f32]) -> f32 {
        (samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32).sqrt()
    }

    fn sounds() -> Vec<(&'static str, Vec<f32>)> {
        let tone = |hz: f32| move |n: usize| (TAU * hz * n as f32 / HEARD_HZ as f32).sin() * 0.3;
        vec![
            ("words", of_the_example("loi-chao-sang.mp3")),
            ("other words", of_the_example("khan-cap-bao.mp3")),
            ("music", of_the_example("dong-lua.flac")),
            ("other music", of_the_example("chieu-lang.ogg")),
            ("siren", pattern(Pattern::siren(1))),
            ("chime", pattern(Pattern::chime())),
            ("exercise", pattern(Pattern::exercise())),
            ("1 kHz", (0..SECONDS * HEARD_HZ).map(tone(1_000.0)).collect()),
            ("noise", noise(SECONDS * HEARD_HZ, 7)),
        ]
    }

    /// The sound after its way through the air: late, quiet, reversed, with echoes and noise.
    fn recorded(sound: &[f32], lag_ms: usize, gain: f32, echoes: bool, noise_db: Option<f32>) -> Vec<f32> {
        let mut out = vec![0.0; BEFORE + lag_ms * HEARD_HZ / 1_000];
        let silent = out.len();
        out.extend(sound.iter().map(|sample| sample * gain));
        let strengths = if echoes { [(700, 0.7), (1_900, 0.5), (3_100, 0.35)] } else { [(1, 0.0); 3] };
        for (late, strength) in strengths {
            for n in (late..out.len()).rev() {
                out[n] += strength * out[n - late];
            }
        }
        if let Some(db) = noise_db {
            let hiss = noise(out.len(), 99);
            let level = rms(&out[silent..]) / rms(&hiss) * 10f32.powf(db / 20.0);
            out.iter_mut().zip(hiss).for_each(|(sample, hiss)| *sample += hiss * level);
        }
        out
    }

    fn verdict(played: &[f32], recorded: &[f32]) -> Heard {
        let (comparer, mut tally) = (Comparer::default(), Tally::default());
        for start in (0..played.len()).step_by(WINDOW) {
            let there = &recorded[start.min(recorded.len())..];
            comparer.score(&played[start..], there).into_iter().for_each(|score| tally.add(score));
        }
        tally.verdict().expect("there was something to hear")
    }

    #[test]
    fn a_copy_is_heard_through_gain_delay_noise_and_echo() {
        let noise_db = Some(0.0);
        for (name, sound) in sounds() {
            let ways = [
                (0, 1.0, false, None),
                (1_000, 0.003, false, None),
                (400, -0.1, true, None),
                (990, 0.1, false, noise_db),
                (150, 0.01, true, noise_db),
            ];
            for (lag_ms, gain, echoes, noise_db) in ways {
                let verdict = verdict(&sound, &recorded(&sound, lag_ms, gain, echoes, noise_db));
                assert!(verdict.heard, "{name}, {lag_ms} ms, {gain}, {echoes}, {noise_db:?}: {verdict:?}");
            }
        }
    }

    #[test]
    fn nothing_else_is_taken_for_it() {
        let sounds = sounds();
        for (name, sound) in &sounds {
            for (other_name, other) in sounds.iter().filter(|(other, _)| other != name) {
                let verdict = verdict(sound, &recorded(other, 300, 0.5, false, None));
                assert!(!verdict.heard, "{other_name} is no {name}: {verdict:?}");
            }
            let silence = verdict(sound, &vec![0.0; sound.len() + LAGS]);
            assert_eq!(silence, Heard { heard: false, score: 0.0 }, "{name}");
            assert!(!verdict(sound, &noise(sound.len() + LAGS, 5)).heard, "{name}");
        }
    }

    #[test]
    fn a_pause_is_not_to_be_heard() {
        assert_eq!(Comparer::default().score(&[0.0; WINDOW], &[0.1; WINDOW]), None);
        assert_eq!(Tally::default().verdict(), None);
    }
}
