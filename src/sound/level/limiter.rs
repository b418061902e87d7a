//! A look-ahead limiter that is always on: nothing leaves the box above -1 dBTP.

use crate::Frame;

/// The ceiling that no sample and no point between samples exceeds: -1 dBTP, with 0.15 dB kept for the interpolation's error.
pub const CEILING: f32 = 0.876;
/// Frames by which the output lags the input.
pub const DELAY: usize = AHEAD - 1 + TAPS / 2;

/// The gain comes down over this many frames (1.3 ms), before the peak that needs it.
const AHEAD: usize = 64;
/// Below this, no point between samples can reach the ceiling: the weights of an interpolator add up to 1.863 at most.
const QUIET: f32 = 0.47;
/// Gain that comes back per frame, as a share of what is missing: 100 ms.
const RELEASE: f32 = 1.0 / 4_800.0;
/// A gain this near to one is one.
const RECOVERED: f32 = 0.999;
const TAPS: usize = 12;
/// Points between two samples at which the true peak is looked for, as BS.1770-4 Annex 2 does (4 x).
const PHASES: usize = 3;
/// Frames that are limited at a time.
const PART: usize = 64;

/// Holds peaks at [`CEILING`]; costs next to nothing while the sound is quiet.
pub struct Limiter {
    /// The [`DELAY`] frames that came last, and behind them the part that is being limited.
    window: [Frame; DELAY + PART],
    /// The weights of each point in the order of the frames, once for each side.
    taps: [[[f32; 2]; TAPS]; PHASES],
    /// Frames since a loud one, up to [`TAPS`].
    calm: usize,
    /// Frames since a peak needed a lower gain or the gain was below one, up to [`AHEAD`]: from then on it is one.
    settled: usize,
    /// The place of the next frame in the two rings.
    slot: usize,
    /// Needed gains of the last `AHEAD` frames, and the least of them.
    needs: [f32; AHEAD],
    least: f32,
    /// The envelope over the last `AHEAD` frames and its sum: the mean is the gain.
    envelopes: [f32; AHEAD],
    sum: f64,
    envelope: f32,
}

impl Default for Limiter {
    fn default() -> Self {
        Self {
            window: [[0.0; 2]; DELAY + PART],
            taps: interpolators(),
            calm: TAPS,
            settled: AHEAD,
            slot: 0,
            needs: [1.0; AHEAD],
            least: 1.0,
            envelopes: [1.0; AHEAD],
            sum: AHEAD as f64,
            envelope: 1.0,
        }
    }
}

impl Limiter {
    /// Limits `frames` in place; what comes out is what went in [`DELAY`] frames ago.
    pub fn process(&mut self, frames: &mut [Frame]) {
        for part in frames.chunks_mut(PART) {
            self.window[DELAY..DELAY + part.len()].copy_from_slice(part);
            let is_quiet = part.as_flattened().iter().all(|sample| sample.abs() <= QUIET);
            if is_quiet && self.calm == TAPS && self.settled == AHEAD {
                part.copy_from_slice(&self.window[..part.len()]);
            } else {
                (0..part.len()).for_each(|nth| part[nth] = self.step(nth));
            }
            self.window.copy_within(part.len()..part.len() + DELAY, 0);
        }
    }

    /// Limits the frame that has waited long enough when the `nth` of the part comes.
    fn step(&mut self, nth: usize) -> Frame {
        let [left, right] = self.window[DELAY + nth];
        self.calm = if left.abs().max(right.abs()) > QUIET { 0 } else { (self.calm + 1).min(TAPS) };
        let need = if self.calm < TAPS { (CEILING / self.true_peak(nth)).min(1.0) } else { 1.0 };
        let out = self.window[nth];
        if need == 1.0 && self.settled == AHEAD {
            return out;
        }
        let gain = self.gain(need);
        out.map(|sample| (sample * gain).clamp(-CEILING, CEILING))
    }

    fn gain(&mut self, need: f32) -> f32 {
        self.slot = (self.slot + 1) % AHEAD;
        let leaving = std::mem::replace(&mut self.needs[self.slot], need);
        if leaving > self.least || need <= self.least {
            self.least = self.least.min(need);
        } else {
            self.least = self.needs.iter().copied().fold(1.0, f32::min);
        }
        let recovered = self.envelope + (1.0 - self.envelope) * RELEASE;
        self.envelope = self.least.min(if recovered > RECOVERED { 1.0 } else { recovered });
        let left = std::mem::replace(&mut self.envelopes[self.slot], self.envelope);
        self.sum += f64::from(self.envelope) - f64::from(left);
        self.settled = if self.envelope < 1.0 { 0 } else { self.settled + 1 };
        if self.settled == AHEAD {
            self.sum = AHEAD as f64;
        }
        (self.sum / AHEAD as f64) as f32
    }

    /// The largest of the sample half a filter ago and the points around it, when the `nth` of the part has come.
    fn true_peak(&self, nth: usize) -> f32 {
        let part = &self.window[DELAY + nth + 1 - TAPS..][..TAPS];
        let middle = part[TAPS / 2 - 1];
        let mut peak = middle[0].abs().max(middle[1].abs());
        for taps in &self.taps {
            // Two sums for each side, which a processor adds to at once.
            let mut sums = [0.0f32; 4];
            for (frames, taps) in part.chunks_exact(2).zip(taps.chunks_exact(2)) {
                let (samples, taps) = (frames.as_flattened(), taps.as_flattened());
                for (sum, (sample, tap)) in sums.iter_mut().zip(samples.iter().zip(taps)) {
                    *sum += sample * tap;
                }
            }
            peak = peak.max((sums[0] + sums[2]).abs()).max((sums[1] + sums[3]).abs());
        }
        peak.max(f32::MIN_POSITIVE)
    }
}

/// Windowed sinc filters for the points a quarter, a half and three quarters between the two middle samples.
fn interpolators() -> [[[f32; 2]; TAPS]; PHASES] {
    std::array::from_fn(|phase| {
        let fraction = (phase + 1) as f64 / (PHASES + 1) as f64;
        let mut taps = std::array::from_fn::<f64, TAPS, _>(|tap| {
            let x = tap as f64 - (TAPS / 2 - 1) as f64 - fraction;
            let sinc =
                if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
            let window = (std::f64::consts::PI * x / TAPS as f64).cos();
            sinc * window * window
        });
        let sum: f64 = taps.iter().sum();
        taps.iter_mut().for_each(|tap| *tap /= sum);
        taps.reverse();
        taps.map(|tap| [tap as f32; 2])
    })
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use ebur128::{EbuR128, Mode};

    use super::*;
    use crate::RATE;

    fn limited(input: impl Fn(usize) -> f32, frames: usize) -> Vec<Frame> {
        let mut out: Vec<Frame> = (0..frames).map(|n| [input(n), -input(n)]).collect();
        let mut limiter = Limiter::default();
        out.chunks_mut(480).for_each(|part| limiter.process(part));
        out
    }

    /// The true peak by the crate that implements BS.1770 stays at or below -1 dBTP.
    fn check(input: impl Fn(usize) -> f32) {
        let out = limited(input, RATE as usize);
        let mut meter = EbuR128::new(2, RATE, Mode::I | Mode::TRUE_PEAK).unwrap();
        meter.add_frames_f32(out.as_flattened()).unwrap();
        let peak = meter.true_peak(0).unwrap().max(meter.true_peak(1).unwrap());
        assert!(20.0 * peak.log10() <= -1.0, "{} dBTP", 20.0 * peak.log10());
    }

    #[test]
    fn no_peak_passes() {
        check(|n| (TAU * 1_000.0 * n as f32 / RATE as f32).sin() * 4.0);
        check(|n| (TAU * 12_000.0 * n as f32 / RATE as f32 + TAU / 8.0).sin() * 1.4);
        check(|n| if n % 5_000 == 0 { 8.0 } else { 0.0 });
        check(|n| if (n / 100) % 2 == 0 { 1.0 } else { -1.0 });
        check(|n| ((n as u32).wrapping_mul(2_654_435_761) as i32 as f32 / i32::MAX as f32) * 3.0);
        check(|n| if n < 24_000 { 0.1 } else { (TAU * 300.0 * n as f32 / RATE as f32).sin() * 2.0 });
    }

    #[test]
    fn quiet_is_what_can_reach_no_ceiling() {
        let weights = interpolators().map(|taps| taps.iter().map(|[tap, _]| tap.abs()).sum::<f32>());
        assert!(weights.iter().all(|sum| sum * QUIET <= CEILING), "{weights:?}");
    }

    #[test]
    fn quiet_sound_passes_untouched() {
        let input = |n: usize| (TAU * 440.0 * n as f32 / RATE as f32).sin() * 0.4;
        let out = limited(input, 10_000);
        for (n, frame) in out.iter().skip(DELAY).enumerate() {
            assert_eq!(frame[0], input(n));
        }
    }

    #[test]
    fn the_gain_comes_back() {
        let input =
            |n: usize| (TAU * 440.0 * n as f32 / RATE as f32).sin() * if n < 4_800 { 3.0 } else { 0.1 };
        let out = limited(input, 3 * RATE as usize);
        let last = out.len() - 1;
        assert_eq!(out[last][0], input(last - DELAY));
    }
}
