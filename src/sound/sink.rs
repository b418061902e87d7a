//! Where the sound goes: a sound card, or a file, pipe or nothing at the pace of the clock.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::mix::Renderer;
use super::{Frame, RATE, span_of};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::{Moment, Span};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// Frames asked for at a time, 10 ms; a device holds two of these.
pub const PERIOD: usize = 480;
/// A device that reports errors this long, with no [`QUIET`] between them, is broken. PulseAudio's plugin reports one
/// to a few hundred in a row while it has no timing yet, up to 20 ms after a start, and then plays on.
const FAILING_MAX: Span = Span::millis(150);
/// Errors further apart than this have nothing to do with each other.
const QUIET: Span = Span::millis(100);
/// The device's thread rests this long after an error, as it would ask again at once.
const ERROR_PAUSE: Duration = Duration::from_millis(1);
/// A paced output that is further behind starts counting anew, e.g. after the machine was suspended.
const BEHIND_MAX: Span = Span::millis(500);
/// How long a pipe may refuse data before the output is taken for dead.
const PIPE_STALL_MS: u16 = 1_000;
/// Periods that a WAV file collects before it is written, with its header.
const WAV_PERIODS: usize = 5;
const WAV_HEADER_BYTES: u64 = 44;
/// Bytes of a stereo 16-bit frame.
const FRAME_BYTES: u64 = 4;

/// An output named in the configuration: `alsa:NAME`, `wav:PATH`, `fifo:PATH` or `null`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkSpec {
    /// An ALSA device by its PCM name, e.g. `default`, `plughw:0`.
    Alsa(String),
    /// Real time without hardware, captured in a WAV file that a restart goes on with.
    Wav(PathBuf),
    /// Raw 16-bit stereo into a pipe, at the pace of the clock or of a slower reader.
    Fifo(PathBuf),
    /// Real time into nothing.
    Null,
}

/// A text that names no output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub struct BadSink(String);

impl Say for BadSink {
    fn say(&self) -> Sentence {
        let BadSink(name) = self;
        said!("sink_name.bad", name = name.escape_debug())
    }
}

impl FromStr for SinkSpec {
    type Err = BadSink;

    fn from_str(text: &str) -> Result<Self, BadSink> {
        match text.split_once(':') {
            None if text == "null" => Ok(Self::Null),
            Some(("alsa", name)) if !name.is_empty() => Ok(Self::Alsa(name.to_owned())),
            Some(("wav", path)) if !path.is_empty() => Ok(Self::Wav(path.into())),
            Some(("fifo", path)) if !path.is_empty() => Ok(Self::Fifo(path.into())),
            _ => Err(BadSink(text.to_owned())),
        }
    }
}

/// Why an output can't be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum SinkError {
    NoDevice(String),
    Device(String),
    File { path: PathBuf, detail: String },
}

impl Say for SinkError {
    fn say(&self) -> Sentence {
        match self {
            SinkError::NoDevice(name) => said!("sink.no_device", name = name.escape_debug()),
            SinkError::Device(detail) => said!("sink.device", detail),
            SinkError::File { path, detail } => said!("sink.file", path = path.display(), detail),
        }
    }
}

/// An output that asks its renderer for sound until it is dropped.
pub trait Sink: Send {
    /// The longest time between two askings.
    fn period(&self) -> Span;
}

/// What a sink's error callback may touch: a flag, a count and a wake-up.
#[derive(Debug)]
pub struct Trouble {
    broken: AtomicBool,
    kind: AtomicU32,
    xruns: AtomicU32,
    player: Thread,
}

/// Reasons in [`Trouble`], by number.
const TROUBLES: [&str; 4] = [
    "the device reported an error",
    "the device is gone",
    "the device must be opened anew",
    "nobody reads the pipe, or the file can't be written",
];

impl Trouble {
    /// Makes one that wakes `player`.
    pub fn new(player: Thread) -> Arc<Self> {
        Arc::new(Self { broken: false.into(), kind: 0.into(), xruns: 0.into(), player })
    }

    /// Why the output broke, if it did.
    pub fn broken(&self) -> Option<&'static str> {
        let broken = self.broken.load(Ordering::Acquire);
        broken.then(|| TROUBLES[self.kind.load(Ordering::Relaxed) as usize % TROUBLES.len()])
    }

    /// Underruns so far.
    pub fn xruns(&self) -> u32 {
        self.xruns.load(Ordering::Relaxed)
    }

    /// Says that the output broke; only the first time counts, as a broken device may say so without end.
    fn signal(&self, kind: u32) {
        if !self.broken.load(Ordering::Relaxed) {
            self.kind.store(kind, Ordering::Relaxed);
            self.broken.store(true, Ordering::Release);
            self.player.unpark();
        }
    }
}

/// Opens an output; it starts asking `renderer` at once.
///
/// # Errors
/// [`SinkError`] where it can't be opened.
pub fn open(spec: &SinkSpec, renderer: Renderer, trouble: Arc<Trouble>) -> Result<Box<dyn Sink>, SinkError> {
    match spec {
        SinkSpec::Alsa(name) => Ok(Box::new(Alsa::open(name, renderer, trouble)?)),
        SinkSpec::Wav(path) => Ok(Box::new(Paced::start(WavFile::open(path)?, renderer, trouble))),
        SinkSpec::Fifo(path) => Ok(Box::new(Paced::start(Fifo::open(path)?, renderer, trouble))),
        SinkSpec::Null => Ok(Box::new(Paced::start(Nothing, renderer, trouble))),
    }
}

/// Names of the ALSA outputs on this machine, each with its description.
pub fn alsa_outputs() -> Result<Vec<(String, String)>, SinkError> {
    let devices = cpal::default_host().devices().map_err(device_error)?;
    let named = devices.filter(|device| device.supports_output()).filter_map(|device| {
        let id = device.id().ok()?;
        Some((id.id().to_owned(), device.to_string()))
    });
    Ok(named.collect())
}

fn device_error(error: cpal::Error) -> SinkError {
    SinkError::Device(error.to_string())
}

struct Alsa {
    _stream: cpal::Stream,
    period: Span,
}

impl Alsa {
    fn open(name: &str, renderer: Renderer, trouble: Arc<Trouble>) -> Result<Self, SinkError> {
        let device = find_device(name)?;
        let (format, period) = best_format(&device)?;
        let config = cpal::StreamConfig {
            channels: 2,
            sample_rate: RATE,
            buffer_size: cpal::BufferSize::Fixed(period),
        };
        let stream = match format {
            cpal::SampleFormat::I16 => build::<i16>(&device, config, renderer, trouble),
            cpal::SampleFormat::I32 => build::<i32>(&device, config, renderer, trouble),
            _ => build::<f32>(&device, config, renderer, trouble),
        }?;
        stream.play().map_err(device_error)?;
        Ok(Self { _stream: stream, period: span_of(u64::from(period)) })
    }
}

impl Sink for Alsa {
    fn period(&self) -> Span {
        self.period
    }
}

fn find_device(name: &str) -> Result<cpal::Device, SinkError> {
    let host = cpal::default_host();
    let missing = || SinkError::NoDevice(name.to_owned());
    if name == "default" {
        return host.default_output_device().ok_or_else(missing);
    }
    let id = format!("alsa:{name}").parse().map_err(device_error)?;
    host.device_by_id(&id).ok_or_else(missing)
}

/// The sample format that needs the least conversion, and a period near 10 ms that the device can do.
fn best_format(device: &cpal::Device) -> Result<(cpal::SampleFormat, u32), SinkError> {
    let configs: Vec<_> = device.supported_output_configs().map_err(device_error)?.collect();
    let fits = |config: &&cpal::SupportedStreamConfigRange| {
        config.channels() == 2 && (config.min_sample_rate()..=config.max_sample_rate()).contains(&RATE)
    };
    let wanted = [cpal::SampleFormat::F32, cpal::SampleFormat::I32, cpal::SampleFormat::I16];
    let found = wanted
        .iter()
        .find_map(|format| configs.iter().filter(fits).find(|config| config.sample_format() == *format));
    let Some(config) = found else {
        return Err(SinkError::Device(format!("it can't play {RATE} Hz stereo; name it as plughw:...")));
    };
    let period = match config.buffer_size() {
        cpal::SupportedBufferSize::Range { min, max } => (PERIOD as u32).clamp(*min, *max),
        cpal::SupportedBufferSize::Unknown => PERIOD as u32,
    };
    Ok((config.sample_format(), period))
}

fn build<T>(
    device: &cpal::Device,
    config: cpal::StreamConfig,
    mut renderer: Renderer,
    trouble: Arc<Trouble>,
) -> Result<cpal::Stream, SinkError>
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
            renderer.render(frames, at);
            for (out, sample) in part.iter_mut().zip(frames.as_flattened()) {
                *out = T::from_sample(*sample);
            }
            at = at + span_of(frames.len() as u64);
        }
    };
    let mut failing = Failing::default();
    let failed = move |error: cpal::Error| match error.kind() {
        cpal::ErrorKind::Xrun => {
            trouble.xruns.fetch_add(1, Ordering::Relaxed);
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
            // Only the first: a broken device may say so half a million times a second.
            if trouble.broken().is_none() {
                tracing::warn!(%error, "the sound device reports an error");
            }
            trouble.signal(number);
        }
    };
    device.build_output_stream(config, callback, failed, None).map_err(device_error)
}

/// Errors of a device that follow each other.
#[derive(Default)]
struct Failing {
    /// The first and the last of them.
    spell: Option<(Moment, Moment)>,
}

impl Failing {
    /// Takes one more error; whether they have gone on for too long.
    fn too_long(&mut self, now: Moment) -> bool {
        let same = self.spell.filter(|(_, last)| now.since(*last) < QUIET);
        let first = same.map_or(now, |(first, _)| first);
        self.spell = Some((first, now));
        now.since(first) >= FAILING_MAX
    }
}

/// Something that takes frames without a clock of its own.
trait Outlet: Send + 'static {
    /// Takes one period; `false` where it is broken.
    fn take(&mut self, frames: &[Frame]) -> bool;
}

/// A thread that asks for a period at every tick of the clock.
struct Paced {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Paced {
    fn start(mut outlet: impl Outlet, mut renderer: Renderer, trouble: Arc<Trouble>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let run = move || {
            let mut frames = [[0.0; 2]; PERIOD];
            let mut start = monotonic();
            let mut given = 0;
            while !stopped.load(Ordering::Relaxed) {
                let due = start + span_of(given);
                let now = monotonic();
                if now.since(due) > BEHIND_MAX {
                    (start, given) = (now, 0);
                    continue;
                }
                std::thread::sleep(Duration::from(due.since(now)));
                renderer.render(&mut frames, due);
                if !outlet.take(&frames) {
                    return trouble.signal(3);
                }
                given += PERIOD as u64;
            }
        };
        let thread = std::thread::Builder::new().name("paced".into()).spawn(run);
        Self { stop, thread: thread.ok() }
    }
}

impl Sink for Paced {
    fn period(&self) -> Span {
        span_of(PERIOD as u64)
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of that thread was already seen as callbacks that stopped.
            let _ = thread.join();
        }
    }
}

struct Nothing;

impl Outlet for Nothing {
    fn take(&mut self, _: &[Frame]) -> bool {
        true
    }
}

fn sample_bytes(frames: &[Frame], out: &mut Vec<u8>) {
    for sample in frames.as_flattened() {
        let value = (sample * 32_767.0).round().clamp(-32_768.0, 32_767.0) as i16;
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// A 16-bit stereo WAV whose header is right after every write, so that it can be read after a kill.
struct WavFile {
    file: File,
    waiting: Vec<u8>,
    data_bytes: u64,
}

impl WavFile {
    fn open(path: &Path) -> Result<Self, SinkError> {
        let failed =
            |error: std::io::Error| SinkError::File { path: path.to_owned(), detail: error.to_string() };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        let old = file.metadata().map_err(failed)?.len().saturating_sub(WAV_HEADER_BYTES);
        let data_bytes = old - old % FRAME_BYTES;
        file.set_len(WAV_HEADER_BYTES + data_bytes).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let wav = Self { file, waiting: Vec::new(), data_bytes };
        wav.write_header().map_err(failed)?;
        Ok(wav)
    }

    fn write_header(&self) -> std::io::Result<()> {
        let data = u32::try_from(self.data_bytes).unwrap_or(u32::MAX);
        let mut header = [0u8; WAV_HEADER_BYTES as usize];
        header[..4].copy_from_slice(b"RIFF");
        header[4..8].copy_from_slice(&data.saturating_add(WAV_HEADER_BYTES as u32 - 8).to_le_bytes());
        header[8..16].copy_from_slice(b"WAVEfmt ");
        header[16..20].copy_from_slice(&16u32.to_le_bytes());
        header[20..22].copy_from_slice(&1u16.to_le_bytes());
        header[22..24].copy_from_slice(&2u16.to_le_bytes());
        header[24..28].copy_from_slice(&RATE.to_le_bytes());
        header[28..32].copy_from_slice(&(RATE * FRAME_BYTES as u32).to_le_bytes());
        header[32..34].copy_from_slice(&(FRAME_BYTES as u16).to_le_bytes());
        header[34..36].copy_from_slice(&16u16.to_le_bytes());
        header[36..40].copy_from_slice(b"data");
        header[40..44].copy_from_slice(&data.to_le_bytes());
        self.file.write_all_at(&header, 0)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.write_all(&self.waiting)?;
        self.data_bytes += self.waiting.len() as u64;
        self.waiting.clear();
        self.write_header()
    }
}

impl Outlet for WavFile {
    fn take(&mut self, frames: &[Frame]) -> bool {
        sample_bytes(frames, &mut self.waiting);
        let full = self.waiting.len() >= WAV_PERIODS * PERIOD * FRAME_BYTES as usize;
        !full || self.flush().is_ok()
    }
}

impl Drop for WavFile {
    fn drop(&mut self) {
        // The file is complete but for the last 50 ms if this fails.
        let _ = self.flush();
    }
}

/// A named pipe, made where there is none.
struct Fifo {
    file: File,
    bytes: Vec<u8>,
}

impl Fifo {
    fn open(path: &Path) -> Result<Self, SinkError> {
        let failed = |detail: String| SinkError::File { path: path.to_owned(), detail };
        if !path.exists() {
            let mode = nix::sys::stat::Mode::from_bits_truncate(0o640);
            nix::unistd::mkfifo(path, mode).map_err(|error| failed(error.to_string()))?;
        }
        // Read and write: opening waits for no reader, and a reader that leaves is no error.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path)
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { file, bytes: Vec::new() })
    }
}

impl Outlet for Fifo {
    fn take(&mut self, frames: &[Frame]) -> bool {
        use std::os::fd::AsFd;
        self.bytes.clear();
        sample_bytes(frames, &mut self.bytes);
        let mut rest = &self.bytes[..];
        while !rest.is_empty() {
            match (&self.file).write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let mut polled = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
                    match nix::poll::poll(&mut polled, PollTimeout::from(PIPE_STALL_MS)) {
                        Ok(ready) if ready > 0 => {}
                        Err(nix::errno::Errno::EINTR) => {}
                        _ => return false,
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
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
