//! The recording device.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cpal::traits::{DeviceTrait, StreamTrait};
use rtrb::Consumer;

use super::ears::Recording;
use super::tap::Tap;
use crate::output::sink::device::{self, DeviceError, Lent, device_error};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::Moment;

/// An input that is recorded until this is dropped.
pub struct Open {
    _stream: cpal::Stream,
    broken: Arc<AtomicBool>,
}

impl Open {
    /// Tells whether the device reported an error.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }
}

impl Recording for Open {
    fn is_broken(&self) -> bool {
        Self::is_broken(self)
    }
}

/// Recorded samples, one by one at [`RATE`].
pub struct Samples(Consumer<f32>);

impl Iterator for Samples {
    type Item = f32;

    /// Takes the next sample; `None` where there is none yet.
    fn next(&mut self) -> Option<f32> {
        self.0.pop().ok()
    }
}

/// Records from an ALSA input.
///
/// # Errors
/// Fails as [`open`] does.
pub fn record(name: &str) -> Result<(Open, Samples), DeviceError> {
    let (tap, line) = Tap::new(Arc::default());
    Ok((open(name, tap)?, Samples(line.samples)))
}

/// Opens an ALSA input at [`RATE`], with as few channels as it has.
///
/// # Errors
/// [`DeviceError`] where it can't be opened.
pub fn open(name: &str, tap: Tap) -> Result<Open, DeviceError> {
    let (device, format, config) = device::input(name)?;
    let broken = Arc::new(AtomicBool::new(false));
    let stream = device::build_around(config, tap, |config, tap| match format {
        cpal::SampleFormat::I16 => build::<i16>(&device, config, tap, broken.clone()),
        cpal::SampleFormat::I32 => build::<i32>(&device, config, tap, broken.clone()),
        _ => build::<f32>(&device, config, tap, broken.clone()),
    })?;
    stream.play().map_err(device_error)?;
    Ok(Open { _stream: stream, broken })
}

fn build<T>(
    device: &cpal::Device,
    config: cpal::StreamConfig,
    mut tap: Lent<Tap>,
    broken: Arc<AtomicBool>,
) -> Result<cpal::Stream, cpal::Error>
where
    T: cpal::SizedSample,
    f32: cpal::FromSample<T>,
{
    let channels = usize::from(config.channels);
    let callback = move |data: &[T], info: &cpal::InputCallbackInfo| {
        let stamp = info.timestamp();
        let age = stamp.callback.duration_since(stamp.capture);
        let at = Moment(monotonic().0.saturating_sub(age.as_micros() as u64));
        tap.get().take(data.chunks_exact(channels).map(|frame| frame[0].to_sample::<f32>()), at);
    };
    let failed = move |error: cpal::Error| {
        let harmless = matches!(
            error.kind(),
            cpal::ErrorKind::Xrun | cpal::ErrorKind::RealtimeDenied | cpal::ErrorKind::DeviceChanged
        );
        broken.fetch_or(!harmless, Ordering::Relaxed);
    };
    device.build_input_stream(config, callback, failed, None)
}
