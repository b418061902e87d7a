//! A look-ahead limiter that is always on: nothing leaves the box above -1 dBTP as a meter by BS.1770-4 sees it. That looks at
//! three points between two samples; between those, sound near half the rate may stand up to 2.6 dB higher.

use crate::Frame;

/// The ceiling that no sample and none of the points between exceeds: -1 dBTP, with 0.15 dB kept for other interpolators.
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
/// Frames that are limited at a time.
const PART: usize = 64;

/// Holds peaks at [`CEILING`]; costs next to nothing while the sound is quiet.
pub struct Limiter {
    /// The [`DELAY`] frames that came last, and behind them the part that is being limited.
    window: [Frame; DELAY + PART],
    taps: Interpolator,
    /// Frames since a part that was not quiet, up to [`TAPS`].
    calm: usize,
    /// Frames since the gain was last held below one, up to [`AHEAD`]: from then on it is one.
    settled: usize,
    /// Needed gains of the last [`AHEAD`] frames and of the part, the least of those over as many frames, and the last of
    /// these as it comes back slowly.
    needs: [f32; AHEAD + PART],
    envelopes: [f32; AHEAD + PART],
    envelope: f32,
    /// The sum of the last [`AHEAD`] envelopes: their mean is the gain.
    sum: f64,
}

impl Default for Limiter {
    fn default() -> Self {
        Self {
            window: [[0.0; 2]; DELAY + PART],
            taps: Interpolator::default(),
            calm: TAPS,
            settled: AHEAD,
            needs: [1.0; AHEAD + PART],
            envelopes: [1.0; AHEAD + PART],
            envelope: 1.0,
            sum: AHEAD as f64,
        }
    }
}

impl Limiter {
    /// Forgets the sound so far, all of which has come out: the next begins at its full gain.
    pub fn forget(&mut self) {
        (self.needs, self.envelopes) = ([1.0; AHEAD + PART], [1.0; AHEAD + PART]);
        (self.envelope, self.sum, self.settled) = (1.0, AHEAD as f64, AHEAD);
    }

    /// Limits `frames` in place; what comes out is what went in [`DELAY`] frames ago.
    pub fn process(&mut self, frames: &mut [Frame]) {
        for part in frames.chunks_mut(PART) {
            self.window[DELAY..DELAY + part.len()].copy_from_slice(part);
            let is_quiet = lies_within(part, QUIET);
            let is_calm = is_quiet && self.calm == TAPS;
            let mut peaks = [[0.0; 2]; PART];
            if !is_calm {
                self.taps.true_peaks(&self.window[DELAY + 1 - TAPS..], &mut peaks[..part.len()]);
            }
            self.calm = if is_quiet { (self.calm + part.len()).min(TAPS) } else { 0 };
            if self.settled == AHEAD && (is_calm || lies_within(&peaks, CEILING)) {
                part.copy_from_slice(&self.window[..part.len()]);
            } else {
                self.limit(part, &peaks);
            }
            self.window.copy_within(part.len()..part.len() + DELAY, 0);
        }
    }

    /// Gives the frames that have waited long enough when frames with these peaks come.
    fn limit(&mut self, part: &mut [Frame], peaks: &[Frame; PART]) {
        let count = part.len();
        for (need, [left, right]) in self.needs[AHEAD..].iter_mut().zip(peaks) {
            *need = (CEILING / left.max(*right).max(f32::MIN_POSITIVE)).min(1.0);
        }
        self.follow(count);
        let mut gains = [1.0; PART];
        for (nth, gain) in gains[..count].iter_mut().enumerate() {
            self.sum += f64::from(self.envelopes[AHEAD + nth]) - f64::from(self.envelopes[nth]);
            *gain = (self.sum / AHEAD as f64) as f32;
        }
        for ((out, frame), gain) in part.iter_mut().zip(&self.window).zip(gains) {
            *out = frame.map(|sample| (sample * gain).clamp(-CEILING, CEILING));
        }
        self.needs.copy_within(count..count + AHEAD, 0);
        self.envelopes.copy_within(count..count + AHEAD, 0);
        if self.settled == AHEAD {
            self.sum = AHEAD as f64;
        }
    }

    /// Reckons the envelopes of a part whose needs are there.
    fn follow(&mut self, count: usize) {
        // The least of the frames before the part, from each of them on.
        let mut before = [1.0f32; AHEAD + 1];
        for nth in (0..AHEAD).rev() {
            before[nth] = before[nth + 1].min(self.needs[nth]);
        }
        let mut least = 1.0f32;
        for nth in 0..count {
            least = least.min(self.needs[AHEAD + nth]);
            let recovered = self.envelope + (1.0 - self.envelope) * RELEASE;
            let recovered = if recovered > RECOVERED { 1.0 } else { recovered };
            self.envelope = least.min(before[nth + 1]).min(recovered);
            self.envelopes[AHEAD + nth] = self.envelope;
            self.settled = if self.envelope < 1.0 { 0 } else { (self.settled + 1).min(AHEAD) };
        }
    }
}

fn lies_within(frames: &[Frame], bound: f32) -> bool {
    frames.as_flattened().iter().fold(true, |within, sample| within & (sample.abs() <= bound))
}

/// The weights of samples at the points a quarter, a half and three quarters between the two middle ones of [`TAPS`], at
/// which BS.1770-4 (Annex 2) looks for the true peak. As those of the first and the last point mirror each other, weights
/// are kept for the sum and the difference of the samples at both ends, and so on inwards.
struct Interpolator {
    half: [f32; TAPS / 2],
    /// For the sum and the difference: their sum is the first point, their difference the last.
    quarters: [[f32; TAPS / 2]; 2],
}

impl Default for Interpolator {
    fn default() -> Self {
        let (half, quarter) = (weights(0.5), weights(0.25));
        let with_mirror = |n: usize, sign: f64| ((quarter[n] + sign * quarter[TAPS - 1 - n]) / 2.0) as f32;
        Self {
            half: std::array::from_fn(|n| half[n] as f32),
            quarters: [1.0, -1.0].map(|sign| std::array::from_fn(|n| with_mirror(n, sign))),
        }
    }
}

impl Interpolator {
    /// Finds the largest of each sample and the points behind it. The samples of the first frame are half a filter in.
    fn true_peaks(&self, frames: &[Frame], peaks: &mut [Frame]) {
        let samples = frames[..peaks.len() + TAPS - 1].as_flattened();
        let [sums, differences] = self.quarters;
        for (n, peak) in peaks.as_flattened_mut().iter_mut().enumerate() {
            let [mut middle, mut even, mut odd] = [0.0; 3];
            for tap in 0..TAPS / 2 {
                let (near, far) = (samples[n + 2 * tap], samples[n + 2 * (TAPS - 1 - tap)]);
                middle += self.half[tap] * (near + far);
                even += sums[tap] * (near + far);
                odd += differences[tap] * (near - far);
            }
            let points = (even + odd).abs().max((even - odd).abs());
            *peak = samples[n + TAPS - 2].abs().max(middle.abs()).max(points);
        }
    }
}

/// A windowed sinc filter for the point this far from the former to the latter of the two middle samples.
fn weights(fraction: f64) -> [f64; TAPS] {
    let taps = std::array::from_fn::<f64, TAPS, _>(|tap| {
        let x = tap as f64 - (TAPS / 2 - 1) as f64 - fraction;
        let sinc = if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
        let window = (std::f64::consts::PI * x / TAPS as f64).cos();
        sinc * window * window
    });
    let sum: f64 = taps.iter().sum();
    taps.map(|tap| tap / sum)
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use ebur128::{EbuR128, Mode};

    use super::*;
    use crate::RATE;

    fn limited(input: impl Fn(usize) -> f32, frames: usize) -> Vec<Frame> {
        limited_by(480, input, frames)
    }

    fn limited_by(period: usize, input: impl Fn(usize) -> f32, frames: usize) -> Vec<Frame> {
        let mut out: Vec<Frame> = (0..frames).map(|n| [input(n), -input(n)]).collect();
        let mut limiter = Limiter::default();
        out.chunks_mut(period).for_each(|part| limiter.process(part));
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
    fn it_is_the_same_whatever_a_device_asks_for() {
        let input = |n: usize| (TAU * 200.0 * n as f32 / RATE as f32).sin() * (n / 3_000 % 3) as f32;
        let whole = limited(input, 30_000);
        for period in [1, 37, 64, 441] {
            let differs = limited_by(period, input, 30_000)
                .iter()
                .zip(&whole)
                .position(|(a, b)| (a[0] - b[0]).abs().max((a[1] - b[1]).abs()) > 1e-6);
            assert_eq!(differs, None, "{period} frames at a time");
        }
    }

    #[test]
    fn quiet_is_what_can_reach_no_ceiling() {
        let sums =
            [0.25, 0.5, 0.75].map(|part| weights(part).iter().map(|tap| tap.abs() as f32).sum::<f32>());
        assert!(sums.iter().all(|sum| sum * QUIET <= CEILING), "{sums:?}");
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

    #[test]
    fn what_begins_after_a_rest_has_its_full_gain() {
        let sine = |n: usize, peak: f32| (TAU * 440.0 * n as f32 / RATE as f32).sin() * peak;
        let mut limiter = Limiter::default();
        let mut loud: Vec<Frame> = (0..4_800).map(|n| [sine(n, 3.0); 2]).collect();
        limiter.process(&mut loud);
        limiter.process(&mut [[0.0; 2]; DELAY]);
        limiter.forget();
        let mut next: Vec<Frame> = (0..480).map(|n| [sine(n, 0.4); 2]).collect();
        limiter.process(&mut next);
        for (n, frame) in next.iter().skip(DELAY).enumerate() {
            assert_eq!(frame[0], sine(n, 0.4));
        }
    }
}
