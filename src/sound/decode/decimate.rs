//! One of every few samples, without what would be folded back from above.

use std::f64::consts::PI;

/// Taps for each step of the decimation: 60 dB of what lies above the new band is gone.
const TAPS_A_STEP: usize = 16;

/// Keeps one sample of `factor`.
pub struct Decimator {
    factor: usize,
    taps: Vec<f32>,
    line: Vec<f32>,
    at: usize,
    due: usize,
}

impl Decimator {
    /// Makes one; the passband ends at 0.85 of the new half rate.
    pub fn new(factor: usize) -> Self {
        let count = TAPS_A_STEP * factor;
        let cutoff = 0.42 / factor as f64;
        let mut taps: Vec<f64> = (0..count)
            .map(|n| {
                let x = n as f64 - (count - 1) as f64 / 2.0;
                let phase = 2.0 * PI * (n as f64 + 0.5) / count as f64;
                let window = 0.42 - 0.5 * phase.cos() + 0.08 * (2.0 * phase).cos();
                window * (2.0 * PI * cutoff * x).sin() / (PI * x)
            })
            .collect();
        let sum: f64 = taps.iter().sum();
        taps.iter_mut().for_each(|tap| *tap /= sum);
        let taps = taps.into_iter().map(|tap| tap as f32).collect();
        Self { factor, taps, line: vec![0.0; count], at: 0, due: factor }
    }

    /// Takes a sample; gives one every `factor` samples.
    pub fn push(&mut self, sample: f32) -> Option<f32> {
        self.line[self.at] = sample;
        self.at = (self.at + 1) % self.line.len();
        self.due -= 1;
        if self.due > 0 {
            return None;
        }
        self.due = self.factor;
        let (newer, older) = self.line.split_at(self.at);
        let in_order = older.iter().chain(newer);
        Some(in_order.zip(&self.taps).map(|(sample, tap)| sample * tap).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The level that a tone of `hz` keeps from 48 kHz to 8 kHz.
    fn check(hz: f64, expected: std::ops::Range<f32>) {
        let mut decimator = Decimator::new(6);
        let tone = (0..48_000).map(|n| (2.0 * PI * hz * f64::from(n) / 48_000.0).sin() as f32);
        let out: Vec<f32> = tone.filter_map(|sample| decimator.push(sample)).collect();
        assert_eq!(out.len(), 8_000);
        let peak = out[100..].iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
        assert!(expected.contains(&peak), "{hz} Hz: {peak}");
    }

    #[test]
    fn what_is_above_is_gone_and_what_is_below_stays() {
        check(300.0, 0.99..1.01);
        check(2_500.0, 0.95..1.01);
        check(5_000.0, 0.0..0.01);
        check(9_000.0, 0.0..0.003);
        check(20_000.0, 0.0..0.003);
    }
}
