//! The channels that are added up where voices overlap.
//!
//! rodio's mixer adds them. Its sources stay for good, as a source that ends would be freed in the callback. The mixer
//! takes sample after sample through two dynamic calls, so a voice that sounds alone does not go through it.

use std::num::NonZero;
use std::time::Duration;

use rodio::Source;
use rodio::mixer::MixerSource;
use rtrb::{Consumer, Producer, RingBuffer};

use super::ledger::BLOCK;
use crate::{Frame, RATE};

/// Voices that may fade out at the same time.
pub(super) const LEAVING_MAX: usize = 4;
/// One channel for the voice on the air, and one for each that leaves.
const CHANNELS: usize = 1 + LEAVING_MAX;

/// The channels of rodio's mixer, each fed through a ring, and their sum.
pub(super) struct Channels {
    rings: [Producer<f32>; CHANNELS],
    sum: MixerSource,
}

impl Channels {
    /// Makes the channels, all silent.
    pub(super) fn new() -> Self {
        let (mixer, mut sum) = rodio::mixer::mixer(STEREO, SAMPLE_RATE);
        let rings = std::array::from_fn(|_| {
            let (ring, samples) = RingBuffer::new(2 * BLOCK);
            mixer.add(Channel { samples });
            ring
        });
        // Giving the first frame, the mixer takes in its sources and frees what carried them: here, not in the callback.
        sum.by_ref().take(2).for_each(drop);
        Self { rings, sum }
    }

    /// Puts frames on a channel; in this block the channels without frames are silent.
    pub(super) fn put(&mut self, channel: usize, frames: &[Frame]) {
        let (_, left_over) = self.rings[channel].push_partial_slice(frames.as_flattened());
        debug_assert!(left_over.is_empty(), "the block before emptied the channel");
    }

    /// Fills `out` with the sum of all channels.
    pub(super) fn add_up(&mut self, out: &mut [Frame]) {
        for sample in out.as_flattened_mut() {
            *sample = self.sum.next().unwrap_or(0.0);
        }
    }
}

const STEREO: NonZero<u16> = NonZero::new(2).expect("two is not zero");
const SAMPLE_RATE: NonZero<u32> = NonZero::new(RATE).expect("the rate is not zero");

/// A source of rodio's mixer that never ends: silent while its ring is empty.
struct Channel {
    samples: Consumer<f32>,
}

impl Iterator for Channel {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        Some(self.samples.pop().unwrap_or(0.0))
    }
}

impl Source for Channel {
    fn current_span_len(&self) -> Option<usize> {
        None
    }

    fn channels(&self) -> NonZero<u16> {
        STEREO
    }

    fn sample_rate(&self) -> NonZero<u32> {
        SAMPLE_RATE
    }

    fn total_duration(&self) -> Option<Duration> {
        None
    }
}
