//! A station's stream as a part of a score: received, decoded and buffered ahead by a thread of its own.

mod buffer;
mod hls;
mod mpeg_ts;

use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::buffer::{Buffer, Inside, STEP};
use self::hls::Hls;
use crate::decode::{self, resampled::Resampled};
use crate::level::loudness::gain_db;
use crate::level::r128::R128;
use crate::level::shape::Shaper;
use crate::source::part::{Part, contained, fade};
use crate::source::web::{Answer, Web};
use crate::{Frame, RATE, amplitude, frames_in, span_of};
use loaxa_heart::config::shaping::Shape;
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;

/// Frames gathered before a stream sounds, at first and again after the stream had run dry.
const GATHERED_FRAMES: usize = 2 * RATE as usize;
/// Longest wait for a station's first sound.
const FIRST_SOUND_MAX: Span = Span::secs(8);
/// A stream that has failed or been silent for this long is given up.
const SILENT_MAX: Span = Span::secs(20);
/// Below this (-60 dBFS) nothing is heard.
const SILENT_PEAK: f32 = 0.001;
/// Longest wait for further frames before silence stands in; shorter than the silence itself.
const PATIENCE: Span = Span::millis(80);
/// Fade where a stream runs dry and where it comes back: 20 ms.
const FADE: usize = RATE as usize / 50;
/// Pause before a station is called again; doubles up to the second.
const PAUSE: (Span, Span) = (Span::millis(500), Span::secs(5));
/// Most that the gain of a stream moves in a step of 100 ms, and from the station's own level.
const GAIN_STEP_DB: f32 = 0.05;
const GAIN_DB_MAX: f32 = 12.0;

/// A stream that sounds.
pub struct Relay {
    url: String,
    buffer: Arc<Buffer>,
    /// The last step, given only when it is known whether it must fade out.
    held: Vec<Frame>,
    dry: bool,
    silent_frames: u64,
    shaper: Shaper,
    level: Option<Level>,
}

impl Relay {
    /// Calls a station and waits for its first sound. `target_lufs`: the level that it is brought to once it is in shape.
    ///
    /// # Errors
    /// `NoStream` where it can't be heard.
    pub fn open(url: &str, shape: Shape, target_lufs: Option<f32>) -> Result<Self, Fault> {
        let buffer = Arc::new(Buffer::default());
        let (theirs, address) = (buffer.clone(), url.to_owned());
        let receive = move || receive(&theirs, &address);
        let thread = std::thread::Builder::new().name("relay".into()).spawn(receive);
        let relay = Self {
            url: url.to_owned(),
            buffer,
            held: Vec::new(),
            dry: true,
            silent_frames: 0,
            shaper: Shaper::new(shape),
            level: target_lufs.map(Level::new),
        };
        if let Err(error) = thread {
            return Err(relay.no_stream(Some(error.to_string())));
        }
        let gathering = |inside: &mut Inside| inside.frames.len() < GATHERED_FRAMES && !inside.over;
        let inside = relay.buffer.wait_while(FIRST_SOUND_MAX, gathering);
        let heard = inside.frames.len() >= GATHERED_FRAMES || inside.over && !inside.frames.is_empty();
        let trouble = inside.trouble.clone();
        drop(inside);
        if heard { Ok(relay) } else { Err(relay.no_stream(trouble)) }
    }

    fn no_stream(&self, detail: Option<String>) -> Fault {
        let detail = detail.unwrap_or_else(|| said!("stream.no_sound").to_string());
        Fault::NoStream { url: self.url.clone(), detail }
    }

    /// Appends what comes next: sound, or silence where the stream has run dry.
    fn step(&mut self, out: &mut Vec<Frame>) {
        let mut fresh = self.buffer.take(if self.dry { GATHERED_FRAMES } else { 1 }, PATIENCE);
        if fresh.is_empty() {
            let over = self.buffer.lock().over;
            if !self.dry && !over {
                fade(self.held.iter_mut().rev().take(FADE).rev(), |share| 1.0 - share);
            }
            out.append(&mut self.held);
            if !over && out.is_empty() {
                out.resize(STEP, [0.0; 2]);
            }
            self.dry = true;
            return;
        }
        self.shaper.process(&mut fresh);
        if let Some(level) = &mut self.level {
            level.adjust(&mut fresh);
        }
        if std::mem::take(&mut self.dry) {
            fade(fresh.iter_mut().take(FADE), |share| share);
        }
        out.append(&mut self.held);
        self.held = fresh;
    }
}

impl Part for Relay {
    fn frames(&self) -> Option<u64> {
        None
    }

    fn enter(&mut self, _: u64) -> Result<(), Fault> {
        // What a station sends now is what it sends now.
        Ok(())
    }

    fn more(&mut self, out: &mut Vec<Frame>) -> Result<(), Fault> {
        let from = out.len();
        while out.len() == from && !self.is_over() {
            self.step(out);
        }
        let silent = out[from..].iter().flatten().all(|sample| sample.abs() < SILENT_PEAK);
        self.silent_frames = if silent { self.silent_frames + (out.len() - from) as u64 } else { 0 };
        if self.silent_frames < frames_in(SILENT_MAX) {
            return Ok(());
        }
        if self.dry {
            let trouble = self.buffer.lock().trouble.clone();
            return Err(self.no_stream(trouble));
        }
        Err(Fault::SilentStream { seconds: (span_of(self.silent_frames).as_millis() / 1_000) as u32 })
    }
}

impl Relay {
    fn is_over(&self) -> bool {
        let inside = self.buffer.lock();
        inside.over && inside.frames.is_empty() && self.held.is_empty()
    }
}

impl Drop for Relay {
    /// Tells the thread to end, without waiting: it may hang in a slow read.
    fn drop(&mut self) {
        self.buffer.change(|inside| inside.left = true);
    }
}

/// Brings a stream slowly to a level.
struct Level {
    target_lufs: f32,
    meter: R128,
    gain_db: f32,
}

impl Level {
    fn new(target_lufs: f32) -> Self {
        Self { target_lufs, meter: R128::new(RATE), gain_db: 0.0 }
    }

    fn adjust(&mut self, frames: &mut [Frame]) {
        self.meter.add(frames);
        let wanted = gain_db(self.meter.lufs(), self.target_lufs).clamp(-GAIN_DB_MAX, GAIN_DB_MAX);
        let before = amplitude(self.gain_db);
        self.gain_db += (wanted - self.gain_db).clamp(-GAIN_STEP_DB, GAIN_STEP_DB);
        let (after, count) = (amplitude(self.gain_db), frames.len() as f32);
        for (n, frame) in frames.iter_mut().enumerate() {
            let gain = before + (after - before) * n as f32 / count;
            *frame = frame.map(|sample| sample * gain);
        }
    }
}

/// Calls the station again and again, until the stream is over or nobody listens any more.
fn receive(buffer: &Arc<Buffer>, url: &str) {
    let mut pause = PAUSE.0;
    loop {
        let received = contained(|| {
            receive_once(buffer, url).map_err(|detail| Fault::NoStream { url: url.to_owned(), detail })
        });
        let detail = match received {
            Ok(()) => return buffer.change(|inside| inside.over = true),
            Err(Fault::NoStream { detail, .. } | Fault::Player { detail }) => detail,
            Err(Fault::Damaged { detail, .. }) => detail.to_string(),
            Err(fault) => fault.to_string(),
        };
        tracing::warn!(url, detail, "the stream broke");
        let mut had_sound = false;
        buffer.change(|inside| {
            had_sound = inside.trouble.is_none();
            inside.trouble = Some(detail);
        });
        pause = if had_sound { PAUSE.0 } else { Span(pause.0 * 2).min(PAUSE.1) };
        if buffer.wait(pause) {
            return;
        }
    }
}

/// Receives until the stream is over or nobody listens any more.
fn receive_once(buffer: &Arc<Buffer>, url: &str) -> Result<(), String> {
    let web = Web::new();
    match web.open(url)? {
        Answer::Stream(bytes) => {
            if decode_run(buffer, Tap::new(bytes), url)? {
                return Err(said!("stream.ended").to_string());
            }
            Ok(())
        }
        Answer::Playlist { text, url: address } => {
            let hls = Tap::new(Hls::open(web, buffer.clone(), &text, address)?);
            receive_hls(buffer, &hls, url)
        }
    }
}

/// Follows a presentation, with a new decoder for each run of it; what was heard of it is not asked for again.
fn receive_hls(buffer: &Buffer, hls: &Tap<Hls>, url: &str) -> Result<(), String> {
    loop {
        hls.lock().begin_run();
        match decode_run(buffer, hls.clone(), url) {
            Ok(false) => return Ok(()),
            Ok(true) if hls.lock().is_over() => return Ok(()),
            Ok(true) => {}
            Err(detail) => {
                tracing::warn!(url, detail, "the stream broke");
                buffer.change(|inside| inside.trouble = Some(detail));
                if buffer.wait(PAUSE.0) {
                    return Ok(());
                }
            }
        }
    }
}

/// Decodes bytes until they end; `false` where nobody listens any more.
fn decode_run(buffer: &Buffer, bytes: impl Read + Send + Sync + 'static, url: &str) -> Result<bool, String> {
    let words = |fault: Fault| match fault {
        Fault::Damaged { detail, .. } => detail.to_string(),
        other => other.to_string(),
    };
    let mut decoder = decode::open_stream(bytes, url.to_owned()).map_err(words)?;
    let mut frames = Vec::new();
    loop {
        let mut sound = Resampled::new(decoder).map_err(words)?;
        let mut more = true;
        while more {
            frames.clear();
            more = sound.more(&mut frames).map_err(words)?;
            if !frames.is_empty() {
                buffer.change(|inside| inside.trouble = None);
            }
            if !buffer.push(&frames) {
                return Ok(false);
            }
        }
        decoder = sound.into_decoder();
        if !decoder.is_stuck() {
            return Ok(true);
        }
        decoder = decoder.begin_anew().map_err(words)?;
    }
}

/// A reader that several threads may hold, as a decoder asks for.
struct Tap<R>(Arc<Mutex<R>>);

impl<R> Tap<R> {
    fn new(reader: R) -> Self {
        Self(Arc::new(Mutex::new(reader)))
    }

    fn lock(&self) -> MutexGuard<'_, R> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> Clone for Tap<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R: Read> Read for Tap<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.lock().read(out)
    }
}
