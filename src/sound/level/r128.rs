//! Integrated loudness of two channels by EBU R128, which is ITU-R BS.1770-4.

use std::f64::consts::PI;

use crate::Frame;

/// Loudness below which a block never counts, in LUFS.
const SILENCE: f64 = -70.0;
/// Share of the mean energy below which a block does not count: 10 LU.
const GATE: f64 = 0.1;
/// Blocks are kept by their loudness, to a tenth of a LU.
const BINS_A_LU: f64 = 10.0;
const BINS: usize = 1_000;
/// Hops of a block: 400 ms in steps of 100 ms.
const HOPS: usize = 4;
/// A memory below this has died away; its processor would slow down over numbers that are smaller still.
const FORGOTTEN: f64 = 1e-100;

/// The loudness of an energy, in LUFS.
fn loudness(energy: f64) -> f64 {
    10.0 * energy.log10() - 0.691
}

/// A meter of the loudness of all that it was given.
pub struct R128 {
    filter: Weighting,
    /// Frames of a hop, and those still to come of this one.
    hop: usize,
    left: usize,
    /// Energy of this hop so far, and of those before it.
    sum: f64,
    hops: [f64; HOPS],
    count: u64,
    bins: Box<[Bin; BINS]>,
    all: Bin,
}

/// Blocks of about the same loudness.
#[derive(Clone, Copy, Default)]
struct Bin {
    blocks: u32,
    energy: f64,
}

impl Bin {
    fn add(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.energy += other.energy;
    }

    fn mean(self) -> f64 {
        self.energy / f64::from(self.blocks)
    }
}

impl R128 {
    /// Goes on with sound at another rate: what was measured counts on.
    pub fn go_on_at(&mut self, rate: u32) {
        let Self { bins, all, .. } = std::mem::replace(self, Self::new(rate));
        (self.bins, self.all) = (bins, all);
    }

    /// Makes a meter of frames at `rate` Hz.
    pub fn new(rate: u32) -> Self {
        let hop = (rate as usize).div_ceil(10).max(1);
        Self {
            filter: Weighting::new(rate),
            hop,
            left: hop,
            sum: 0.0,
            hops: [0.0; HOPS],
            count: 0,
            bins: Box::new([Bin::default(); BINS]),
            all: Bin::default(),
        }
    }

    /// Takes what comes next.
    pub fn add(&mut self, mut frames: &[Frame]) {
        while !frames.is_empty() {
            let (now, later) = frames.split_at(frames.len().min(self.left));
            self.sum += self.filter.energy(now);
            self.left -= now.len();
            frames = later;
            if self.left == 0 {
                self.end_hop();
            }
        }
    }

    fn end_hop(&mut self) {
        self.left = self.hop;
        self.hops[self.count as usize % HOPS] = std::mem::take(&mut self.sum);
        self.count += 1;
        let energy = self.hops.iter().sum::<f64>() / (HOPS * self.hop) as f64;
        let above = (loudness(energy) - SILENCE) * BINS_A_LU;
        if self.count >= HOPS as u64 && above >= 0.0 {
            let block = Bin { blocks: 1, energy };
            self.bins[(above as usize).min(BINS - 1)].add(block);
            self.all.add(block);
        }
    }

    /// Returns the integrated loudness in LUFS; `None` for silence and below 400 ms.
    pub fn lufs(&self) -> Option<f32> {
        if self.all.blocks == 0 {
            return None;
        }
        let gate = self.all.mean() * GATE;
        let first = ((loudness(gate) - SILENCE) * BINS_A_LU).clamp(0.0, (BINS - 1) as f64) as usize;
        let mut heard = Bin::default();
        let at_gate = self.bins[first];
        if at_gate.blocks > 0 && at_gate.mean() >= gate {
            heard.add(at_gate);
        }
        self.bins[first + 1..].iter().for_each(|bin| heard.add(*bin));
        Some(loudness(heard.mean()) as f32).filter(|lufs| lufs.is_finite())
    }
}

/// The weighting by frequency: a shelf, for the head, and a high-pass filter, each of second order. The shelf's gain is
/// taken out of its input and put on the energy.
struct Weighting {
    gain: f64,
    /// The shelf over its input and its output, one and two frames before.
    shelf: [[f64; 2]; 2],
    /// The high-pass filter over its output; over its input it is 1, -2, 1.
    high: [f64; 2],
    /// Two memories of each filter, for both sides.
    memory: [[f64; 2]; 4],
}

impl Weighting {
    /// Makes the filters for `rate` Hz: those of the recommendation, which it gives for 48 kHz, from the analogue ones.
    fn new(rate: u32) -> Self {
        let turn = |hz: f64| (PI * hz / f64::from(rate)).tan();
        let (k, q, top) = (turn(1_681.974_450_955_533), 0.707_175_236_955_419_6, 1.584_864_701_130_855_4_f64);
        let middle = top.powf(0.499_666_774_154_541_6);
        let whole = 1.0 + k / q + k * k;
        let gain = (top + middle * k / q + k * k) / whole;
        let over_input = [2.0 * (k * k - top), top - middle * k / q + k * k].map(|b| b / whole / gain);
        let over_output = |k: f64, q: f64| {
            let whole = 1.0 + k / q + k * k;
            [2.0 * (k * k - 1.0) / whole, (1.0 - k / q + k * k) / whole]
        };
        let high = over_output(turn(38.135_470_876_024_44), 0.500_327_037_323_877_3);
        Self { gain: gain * gain, shelf: [over_input, over_output(k, q)], high, memory: [[0.0; 2]; 4] }
    }

    /// Returns the sum of the squares of what comes out for these frames.
    fn energy(&mut self, frames: &[Frame]) -> f64 {
        let ([[b1, b2], [a1, a2]], [c1, c2]) = (self.shelf, self.high);
        let [mut first, mut second, mut third, mut fourth] = self.memory;
        let mut sum = [0.0; 2];
        for frame in frames {
            for side in 0..2 {
                let input = f64::from(frame[side]);
                let shelved = input + first[side];
                first[side] = b1 * input - a1 * shelved + second[side];
                second[side] = b2 * input - a2 * shelved;
                let out = shelved + third[side];
                third[side] = fourth[side] - (shelved + shelved) - c1 * out;
                fourth[side] = shelved - c2 * out;
                sum[side] += out * out;
            }
        }
        self.memory = [first, second, third, fourth];
        for value in self.memory.as_flattened_mut() {
            if value.abs() < FORGOTTEN {
                *value = 0.0;
            }
        }
        (sum[0] + sum[1]) * self.gain
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;
    use std::path::Path;

    use ebur128::{EbuR128, Mode};

    use super::*;
    use crate::decode;

    /// Within 0.02 LU of the reference implementation, in pieces of any length.
    #[track_caller]
    fn check(rate: u32, frames: &[Frame]) {
        let (mut meter, mut other) = (R128::new(rate), EbuR128::new(2, rate, Mode::I).unwrap());
        for part in frames.chunks(1_777) {
            meter.add(part);
        }
        other.add_frames_f32(frames.as_flattened()).unwrap();
        let (ours, theirs) = (meter.lufs(), other.loudness_global().unwrap());
        match ours {
            Some(lufs) => assert!((f64::from(lufs) - theirs).abs() < 0.02, "{rate} Hz: {lufs}, {theirs}"),
            None => assert!(theirs < SILENCE, "{rate} Hz: none, {theirs}"),
        }
    }

    fn tone(rate: u32, hz: f32, peaks: [f32; 2]) -> impl Iterator<Item = Frame> {
        let step = TAU * hz / rate as f32;
        (0..).map(move |n| peaks.map(|peak| (n as f32 * step).sin() * peak))
    }

    #[test]
    fn each_rate_and_frequency_is_weighed() {
        for rate in [8_000, 11_025, 44_100, 48_000, 96_000] {
            for hz in [25.0, 100.0, 1_000.0, 3_500.0] {
                check(rate, &tone(rate, hz, [0.3, 0.05]).take(rate as usize).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn pauses_and_what_is_soft_do_not_count() {
        let rate = 48_000;
        let mut frames = Vec::new();
        for (n, peak) in [0.5, 0.0, 0.1, 0.001, 0.2, 0.000_1, 0.0, 0.0, 0.17, 0.15, 0.16].iter().enumerate() {
            frames.extend(tone(rate, 300.0, [*peak, peak * 0.7]).take(40_000 + 3_000 * n));
        }
        check(rate, &frames);
        check(rate, &frames[frames.len() / 2..]);
        check(rate, &frames[..19_199]);
        check(rate, &frames[..19_200]);
        check(rate, &vec![[0.0; 2]; 48_000]);
    }

    #[test]
    fn recordings_are_as_loud_as_elsewhere() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../playlists/binh-minh/audio");
        for name in ["loi-chao-sang.mp3", "mua-bao-chuan-bi.m4a", "nhac-hieu.wav", "phong-chay.ogg"] {
            let mut decoder = decode::open(&folder.join(name)).unwrap();
            let mut frames = Vec::new();
            while let Some(block) = decoder.next_block().unwrap() {
                frames.extend_from_slice(block);
            }
            check(decoder.rate(), &frames);
        }
    }

    #[test]
    fn what_came_at_another_rate_counts_on() {
        let mut meter = R128::new(44_100);
        meter.add(&tone(44_100, 1_000.0, [0.3, 0.3]).take(10 * 44_100).collect::<Vec<_>>());
        let before = meter.lufs().unwrap();
        meter.go_on_at(22_050);
        meter.add(&tone(22_050, 1_000.0, [0.01, 0.01]).take(22_050).collect::<Vec<_>>());
        assert!((meter.lufs().unwrap() - before).abs() < 0.2, "{:?} after {before}", meter.lufs());
        meter.add(&tone(22_050, 1_000.0, [0.3, 0.3]).take(22_050).collect::<Vec<_>>());
        assert!((meter.lufs().unwrap() - before).abs() < 0.2, "{:?} after {before}", meter.lufs());
    }
}
