//! `loaxa live`: a voice to the loudspeakers, as it is spoken.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::check::Worst;
use super::client::{CentralArgs, tell_refusals};
use super::language::{Failure, Outcome, complain, tell};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::{Moment, Span};
use loaxa_heart::texts::Sentence;
use loaxa_heart::wire::voice::VOICE_HZ;
use loaxa_sound::decode::decimate::Decimator;
use loaxa_sound::decode::resampled::Resampled;
use loaxa_sound::{Frame, RATE, decode};

/// A file is sent no more than this ahead of its own time.
const AHEAD: Span = Span::millis(40);
/// Bytes sent at a time: 20 ms.
const PIECE_BYTES: usize = VOICE_HZ as usize / 50 * 2;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long = "group", required = true, value_name = "GROUP", value_delimiter = ',')]
    groups: Vec<String>,
    #[arg(value_name = "FILE", required_unless_present = "mic")]
    file: Option<PathBuf>,
    #[cfg(feature = "box")]
    #[arg(long, value_name = "DEVICE", num_args = 0..=1, default_missing_value = "default", conflicts_with = "file")]
    mic: Option<String>,
    #[arg(long)]
    author: Option<String>,
    #[arg(long)]
    anyway: bool,
    #[command(flatten)]
    central: CentralArgs,
}

pub fn run(args: Args) -> Outcome {
    let mut query = vec![("to", args.groups.join(","))];
    query.extend(args.author.clone().map(|author| ("author", author)));
    let voice = voice(&args)?;
    let client = args.central.client()?;
    if !args.anyway {
        let asks = [&query[..], &[("foresee", "true".to_owned())]].concat();
        let foreseen = client.post_with("live", &asks, "application/octet-stream", b"")?;
        if tell_refusals(&foreseen["expected"]) {
            complain!("live.stopped");
            return Ok(Worst::Warned.exit_code());
        }
    }
    complain!("live.begun");
    let answer = client.stream("live", &query, "application/octet-stream", voice)?;
    let seconds = answer["seconds"].as_f64().unwrap_or_default();
    let session = answer["session"].as_str().unwrap_or_default();
    tell!("live.over", seconds = Sentence::decimal(seconds, 1), session);
    Ok(ExitCode::SUCCESS)
}

fn voice(args: &Args) -> Result<Box<dyn Read + Send>, Failure> {
    #[cfg(feature = "box")]
    if let Some(device) = &args.mic {
        let name = device.strip_prefix("alsa:").unwrap_or(device);
        return Ok(Box::new(microphone::Spoken::open(name)?));
    }
    let path = args.file.as_deref().unwrap_or(Path::new("-"));
    let (decoder, paced) = if path == Path::new("-") {
        (decode::open_stream(io::stdin(), "-".to_owned())?, false)
    } else {
        (decode::open(path)?, true)
    };
    Ok(Box::new(Voice {
        sound: Resampled::new(decoder)?,
        converter: Converter::default(),
        frames: Vec::new(),
        over: false,
        begun: paced.then(monotonic),
        sent: 0,
    }))
}

/// Brings frames at [`RATE`] to the bytes of a voice.
struct Converter {
    decimator: Decimator,
    bytes: Vec<u8>,
}

impl Default for Converter {
    fn default() -> Self {
        Self { decimator: Decimator::new((RATE / VOICE_HZ) as usize), bytes: Vec::new() }
    }
}

impl Converter {
    fn push(&mut self, sample: f32) {
        if let Some(sample) = self.decimator.push(sample) {
            let sample = (sample * 32_767.0).round().clamp(-32_768.0, 32_767.0) as i16;
            self.bytes.extend_from_slice(&sample.to_le_bytes());
        }
    }

    /// Gives some of what is ready.
    fn give(&mut self, out: &mut [u8]) -> usize {
        let count = out.len().min(self.bytes.len()).min(PIECE_BYTES);
        out[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes.drain(..count);
        count
    }
}

/// A file or the standard input as a voice; a file at the pace of speech.
struct Voice {
    sound: Resampled,
    converter: Converter,
    frames: Vec<Frame>,
    over: bool,
    /// `None` where the source has a pace of its own.
    begun: Option<Moment>,
    sent: u64,
}

impl Read for Voice {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.converter.bytes.is_empty() && !self.over {
            self.frames.clear();
            self.over = !self.sound.more(&mut self.frames).map_err(io::Error::other)?;
            for frame in &self.frames {
                self.converter.push((frame[0] + frame[1]) / 2.0);
            }
        }
        if let Some(begun) = self.begun {
            let due = begun + Span(self.sent * 1_000_000 / u64::from(2 * VOICE_HZ));
            std::thread::sleep(Duration::from(due.since(monotonic() + AHEAD)));
        }
        let count = self.converter.give(out);
        self.sent += count as u64;
        Ok(count)
    }
}

#[cfg(feature = "box")]
mod microphone {
    use std::io::{self, Read};
    use std::time::Duration;

    use crate::commands::language::Failure;
    use crate::commands::live::Converter;
    use loaxa_heart::said;
    use loaxa_sound::hearing::microphone::{self, Open, Samples};

    /// Pause before a microphone is asked for more.
    const LOOK_EVERY: Duration = Duration::from_millis(10);

    /// A voice that is spoken into a microphone.
    pub struct Spoken {
        open: Open,
        samples: Samples,
        converter: Converter,
    }

    impl Spoken {
        pub fn open(name: &str) -> Result<Self, Failure> {
            let (open, samples) =
                microphone::record(name).map_err(|error| said!("live.no_microphone", error))?;
            Ok(Self { open, samples, converter: Converter::default() })
        }
    }

    impl Read for Spoken {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            while self.converter.bytes.is_empty() {
                for sample in self.samples.by_ref() {
                    self.converter.push(sample);
                }
                if self.open.is_broken() {
                    return Err(io::Error::other(said!("live.microphone_fault")));
                }
                std::thread::sleep(LOOK_EVERY);
            }
            Ok(self.converter.give(out))
        }
    }
}
