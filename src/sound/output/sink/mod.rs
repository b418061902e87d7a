//! Places that the sound goes to: a sound card, or a file, pipe or nothing at the pace of the clock.

mod alsa;
pub mod controls;
pub mod device;
mod fifo;
mod paced;
mod trouble;
mod wav_file;

use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use self::alsa::Alsa;
use self::device::DeviceError;
pub use self::device::alsa_outputs;
use self::fifo::Fifo;
use self::paced::{Nothing, Paced};
pub use self::trouble::{Sink, Trouble};
use self::wav_file::WavFile;
use super::mixer::Renderer;

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
        said!("sink_name.bad", name = self.0.escape_debug())
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

/// Opens an output, which starts to ask `renderer` for sound at once.
///
/// # Errors
/// Fails when it can't be opened.
pub fn open(
    spec: &SinkSpec,
    renderer: Renderer,
    trouble: Arc<Trouble>,
) -> Result<Box<dyn Sink>, DeviceError> {
    match spec {
        SinkSpec::Alsa(name) => Ok(Box::new(Alsa::open(name, renderer, trouble)?)),
        SinkSpec::Wav(path) => Ok(Box::new(Paced::start(WavFile::open(path)?, renderer, trouble))),
        SinkSpec::Fifo(path) => Ok(Box::new(Paced::start(Fifo::open(path)?, renderer, trouble))),
        SinkSpec::Null => Ok(Box::new(Paced::start(Nothing, renderer, trouble))),
    }
}
