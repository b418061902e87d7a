//! Sound devices of the machine, by their ALSA names: for the sink, and for the microphone.

use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};

use cpal::traits::{DeviceTrait, HostTrait};

use crate::RATE;

/// Frames asked for at a time, 10 ms; a device holds two of these.
pub const PERIOD: usize = 480;

/// Reasons for which an output or a microphone can't be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum DeviceError {
    NoDevice(String),
    Device(String),
    File { path: PathBuf, detail: String },
}

impl Say for DeviceError {
    fn say(&self) -> Sentence {
        match self {
            DeviceError::NoDevice(name) => said!("sink.no_device", name = name.escape_debug()),
            DeviceError::Device(detail) => said!("sink.device", detail),
            DeviceError::File { path, detail } => said!("sink.file", path = path.display(), detail),
        }
    }
}

/// Makes an error of what the sound system reports.
pub fn device_error(error: cpal::Error) -> DeviceError {
    DeviceError::Device(error.to_string())
}

/// Lists the ALSA outputs of this machine, each with its description.
///
/// # Errors
/// Fails when the sound system does not answer.
pub fn alsa_outputs() -> Result<Vec<(String, String)>, DeviceError> {
    let devices = cpal::default_host().devices().map_err(device_error)?;
    let named = devices.filter(|device| device.supports_output()).filter_map(|device| {
        let id = device.id().ok()?;
        Some((id.id().to_owned(), device.to_string()))
    });
    Ok(named.collect())
}

/// A device with the sample format and the stream settings that suit it best.
pub type Chosen = (cpal::Device, cpal::SampleFormat, cpal::StreamConfig);

/// Finds an output that plays [`RATE`] in stereo, in the sample format that needs the least conversion.
///
/// # Errors
/// Fails when there is no such device, or the device can't do it.
pub fn output(name: &str) -> Result<Chosen, DeviceError> {
    let host = cpal::default_host();
    let device = if name == "default" { host.default_output_device() } else { by_name(&host, name)? };
    let device = device.ok_or_else(|| DeviceError::NoDevice(name.to_owned()))?;
    let configs: Vec<_> = device.supported_output_configs().map_err(device_error)?.collect();
    let fits = |config: &&cpal::SupportedStreamConfigRange| config.channels() == 2 && has_rate(config);
    let wanted = [cpal::SampleFormat::F32, cpal::SampleFormat::I32, cpal::SampleFormat::I16];
    let found = wanted
        .iter()
        .find_map(|format| configs.iter().filter(fits).find(|config| config.sample_format() == *format));
    let Some(best) = found else {
        return Err(DeviceError::Device(format!("it can't play {RATE} Hz stereo; name it as plughw:...")));
    };
    let (format, config) = (best.sample_format(), stream_config(best, PERIOD as u32));
    Ok((device, format, config))
}

/// Finds an input that records at [`RATE`], with as few channels as it has.
///
/// # Errors
/// Fails when there is no such device, or the device can't do it.
pub fn input(name: &str) -> Result<Chosen, DeviceError> {
    let host = cpal::default_host();
    let device = if name == "default" { host.default_input_device() } else { by_name(&host, name)? };
    let device = device.ok_or_else(|| DeviceError::NoDevice(name.to_owned()))?;
    let wanted = [cpal::SampleFormat::F32, cpal::SampleFormat::I16, cpal::SampleFormat::I32];
    let configs = device.supported_input_configs().map_err(device_error)?;
    let fits = |config: &cpal::SupportedStreamConfigRange| {
        has_rate(config) && config.channels() <= 2 && wanted.contains(&config.sample_format())
    };
    let rank = |config: &cpal::SupportedStreamConfigRange| {
        (config.channels(), wanted.iter().position(|format| *format == config.sample_format()))
    };
    let Some(best) = configs.filter(fits).min_by_key(rank) else {
        return Err(DeviceError::Device(format!("it can't record at {RATE} Hz; name it as plughw:...")));
    };
    Ok((device, best.sample_format(), stream_config(&best, 2 * PERIOD as u32)))
}

fn by_name(host: &cpal::Host, name: &str) -> Result<Option<cpal::Device>, DeviceError> {
    let id = format!("alsa:{name}").parse().map_err(device_error)?;
    Ok(host.device_by_id(&id))
}

fn has_rate(config: &cpal::SupportedStreamConfigRange) -> bool {
    (config.min_sample_rate()..=config.max_sample_rate()).contains(&RATE)
}

/// A thing that a stream's callback owns, and that comes back where no stream could be built.
pub struct Lent<T> {
    thing: Option<T>,
    back: Sender<T>,
}

impl<T> Lent<T> {
    /// Gives the thing to the callback.
    pub fn get(&mut self) -> &mut T {
        self.thing.as_mut().expect("only its end takes it away")
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        if let Some(thing) = self.thing.take() {
            // Once the stream runs nobody takes it back.
            let _ = self.back.send(thing);
        }
    }
}

/// Builds a stream around `thing` with the period of `config`, or with the device's own where it takes no other: what mixes
/// the programs of a machine, ALSA's default, has a fixed one, and does not tell it before the rate is set.
///
/// # Errors
/// Fails when the device refuses both.
pub fn build_around<T, S>(
    config: cpal::StreamConfig,
    thing: T,
    build: impl Fn(cpal::StreamConfig, Lent<T>) -> Result<S, cpal::Error>,
) -> Result<S, DeviceError> {
    let (back, returned) = mpsc::channel();
    let lend = |thing| Lent { thing: Some(thing), back: back.clone() };
    let built = build(config, lend(thing)).or_else(|error| match returned.try_recv() {
        Ok(thing) if error.kind() == cpal::ErrorKind::UnsupportedConfig => {
            build(cpal::StreamConfig { buffer_size: cpal::BufferSize::Default, ..config }, lend(thing))
        }
        _ => Err(error),
    });
    built.map_err(device_error)
}

/// Settings with a period as near to `period` as the device can do.
fn stream_config(best: &cpal::SupportedStreamConfigRange, period: u32) -> cpal::StreamConfig {
    let period = match best.buffer_size() {
        cpal::SupportedBufferSize::Range { min, max } => period.clamp(*min, *max),
        cpal::SupportedBufferSize::Unknown => period,
    };
    cpal::StreamConfig {
        channels: best.channels(),
        sample_rate: RATE,
        buffer_size: cpal::BufferSize::Fixed(period),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds on a device that answers each try as told; gives the tries and what became of it.
    fn check(answers: &[Option<cpal::ErrorKind>], tries: &[cpal::BufferSize], is_built: bool) {
        let config =
            cpal::StreamConfig { channels: 2, sample_rate: RATE, buffer_size: cpal::BufferSize::Fixed(480) };
        let asked = std::cell::RefCell::new(Vec::new());
        let built = build_around(config, "renderer", |config, mut lent| {
            assert_eq!(*lent.get(), "renderer");
            let answer = answers[asked.borrow().len()];
            asked.borrow_mut().push(config.buffer_size);
            answer.map_or(Ok(()), |kind| Err(cpal::Error::new(kind)))
        });
        assert_eq!((asked.into_inner(), built.is_ok()), (tries.to_vec(), is_built));
    }

    #[test]
    fn a_device_that_takes_no_period_but_its_own_gets_that() {
        use cpal::BufferSize::{Default, Fixed};
        use cpal::ErrorKind::{DeviceBusy, UnsupportedConfig};
        check(&[None], &[Fixed(480)], true);
        check(&[Some(UnsupportedConfig), None], &[Fixed(480), Default], true);
        check(&[Some(UnsupportedConfig), Some(UnsupportedConfig)], &[Fixed(480), Default], false);
        check(&[Some(DeviceBusy)], &[Fixed(480)], false);
    }
}
