//! A sound card through the ALSA library.

use std::sync::Arc;
use std::time::Duration;

use cpal::traits::{DeviceTrait, StreamTrait};

use super::device::{self, DeviceError, Lent, PERIOD, device_error};
use super::trouble::{Sink, Trouble};
use crate::output::mixer::Renderer;
use crate::span_of;
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::{Moment, Span};

/// A device that reports errors this long, with no [`QUIET`] between them, is broken. PulseAudio's plugin reports one
/// to a few hundred in a row while it has no timing yet, up to 20 ms after a start, and then plays on.
const FAILING_MAX: Span = Span::millis(150);
/// Errors further apart than this have nothing to do with each other.
const QUIET: Span = Span::millis(100);
/// The device's thread rests this long after an error, as it would ask again at once. There is nothing to be late for:
/// a device in error takes no sound.
const ERROR_PAUSE: Duration = Duration::from_millis(1);
/// A sound card, by its ALSA name.
pub struct Alsa {
    _stream: cpal::Stream,
    period: Span,
}

impl Alsa {
    /// Opens the output `name`.
    ///
    /// # Errors
    /// Fails when there is no such output, or it can't be opened.
    pub fn open(name: &str, renderer: Renderer, trouble: Arc<Trouble>) -> Result<Self, DeviceError> {
        let (device, format, config) = device::output(name)?;
        let stream = device::build_around(config, renderer, |config, renderer| match format {
            cpal::SampleFormat::I16 => build::<i16>(&device, config, renderer, trouble.clone()),
            cpal::SampleFormat::I32 => build::<i32>(&device, config, renderer, trouble.clone()),
            _ => build::<f32>(&device, config, renderer, trouble.clone()),
        })?;
        stream.play().map_err(device_error)?;
        let period = stream.buffer_size().map_err(device_error)?;
        Ok(Self { _stream: stream, period: span_of(period.into()) })
    }
}

impl Sink for Alsa {
    fn period(&self) -> Span {
        self.period
    }

    fn may_rest(&self) -> bool {
        true
    }
}

fn build<T>(
    device: &cpal::Device,
    config: cpal::StreamConfig,
    mut renderer: Lent<Renderer>,
    trouble: Arc<Trouble>,
) -> Result<cpal::Stream, cpal::Error>
where
    T: cpal::SizedSample + cpal::FromSample<f32>,
{
    let mut scratch = [[0.0f32; 2]; PERIOD];
    let callback = move |data: &mut [T], info: &cpal::OutputCallbackInfo| {
        let stamp = info.timestamp();
        let delay = stamp.playback.duration_since(stamp.callback);
        let mut at = monotonic() + Span(delay.as_micros() as u64);
        for part in data.chunks_mut(2 * PERIOD) {
            let frames = &mut scratch[..part.len() / 2];
            renderer.get().render(frames, at);
            for (out, sample) in part.iter_mut().zip(frames.as_flattened()) {
                *out = T::from_sample(*sample);
            }
            at = at + span_of(frames.len() as u64);
        }
    };
    let mut failing = Failing::default();
    let failed = move |error: cpal::Error| match error.kind() {
        cpal::ErrorKind::Xrun => {
            trouble.underrun();
        }
        cpal::ErrorKind::RealtimeDenied | cpal::ErrorKind::DeviceChanged => {}
        kind => {
            let number = match kind {
                cpal::ErrorKind::DeviceNotAvailable => 1,
                cpal::ErrorKind::StreamInvalidated => 2,
                _ => {
                    std::thread::sleep(ERROR_PAUSE);
                    if !failing.too_long(monotonic()) {
                        return;
                    }
                    0
                }
            };
            trouble.signal(number);
        }
    };
    device.build_output_stream(config, callback, failed, None)
}

/// A spell of errors of a device, each soon after the one before.
#[derive(Default)]
struct Failing {
    /// The first and the last of them.
    spell: Option<(Moment, Moment)>,
}

impl Failing {
    /// Takes one more error, and tells whether the spell has lasted for too long.
    fn too_long(&mut self, now: Moment) -> bool {
        let same = self.spell.filter(|(_, last)| now.since(*last) < QUIET);
        let first = same.map_or(now, |(first, _)| first);
        self.spell = Some((first, now));
        now.since(first) >= FAILING_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Errors at these milliseconds; the first one that breaks the device.
    fn check(at_ms: impl IntoIterator<Item = u64>, expected: Option<u64>) {
        let mut failing = Failing::default();
        let broken = at_ms.into_iter().find(|ms| failing.too_long(Moment(0) + Span::millis(*ms)));
        assert_eq!(broken, expected);
    }

    #[test]
    fn a_device_that_stumbles_is_not_broken() {
        check(0..20, None);
        check((0..20).chain(500..520), None);
        check((0..).step_by(100).take(50), None);
        check(0..1_000, Some(150));
        check((0..).step_by(10), Some(150));
    }
}
