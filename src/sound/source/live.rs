//! A live voice: a WAV without an end from central, heard as soon as it can be.
//!
//! Delay is what counts here. Little is held, and what has become late is dropped, not played later.

use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::part::Part;
use super::web::{Answer, Bytes, Web};
use crate::decode::resample::Resampler;
use crate::losses::Losses;
use crate::{Frame, RATE, frames_in, span_of};
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;

/// Gathered before the voice begins, and again where it had run dry.
const GATHERED: Span = Span::millis(100);
/// Held at most; of more, the oldest is dropped.
const HELD_MAX: Span = Span::millis(400);
/// Sound that may wait in the ring of a voice.
const AHEAD: Span = Span::millis(100);
/// Waited for further sound before silence stands in.
const PATIENCE: Duration = Duration::from_millis(60);
/// The silence that stands in at a time.
const SILENCE: Span = Span::millis(20);
/// Longest wait for the first sound; the heart waits two seconds.
const FIRST_SOUND_MAX: Duration = Duration::from_millis(1_800);
/// A stream that gives nothing this long has broken.
const READ_TIMEOUT: Duration = Duration::from_secs(3);
/// Rise and fall around gaps.
const FADE_FRAMES: usize = RATE as usize / 200;
/// Bytes read at a time: 32 ms at 16 kHz.
const READ_BYTES: usize = 1_024;

const WAV_HEADER_BYTES: usize = 44;

/// The stream of a session.
pub struct Live {
    url: String,
    buffer: Arc<Buffer>,
    dry: bool,
}

#[derive(Default)]
struct Buffer {
    inside: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Default)]
struct Inside {
    frames: VecDeque<Frame>,
    over: bool,
    trouble: Option<String>,
    /// The listener is gone.
    left: bool,
}

impl Buffer {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Inside)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until `count` frames are there or the stream is over.
    fn wait(&self, count: usize, patience: Duration) -> MutexGuard<'_, Inside> {
        let lacks = |inside: &mut Inside| inside.frames.len() < count && !inside.over;
        let waited = self.changed.wait_timeout_while(self.lock(), patience, lacks);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Live {
    /// Opens the stream and waits for its first sound. `ca`: certificates that the server may have, as PEM.
    ///
    /// # Errors
    /// `NoStream` where nothing is heard.
    pub fn open(url: &str, ca: Option<&Path>, losses: Arc<Losses>) -> Result<Self, Fault> {
        let buffer = Arc::new(Buffer::default());
        let (theirs, address) = (buffer.clone(), url.to_owned());
        let ca = ca.and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        let receive = move || {
            let received = receive(&theirs, &address, &ca, &losses);
            theirs.change(|inside| {
                inside.over = true;
                inside.trouble = received.err();
            });
        };
        let live = Self { url: url.to_owned(), buffer, dry: true };
        if let Err(error) = std::thread::Builder::new().name("live".into()).spawn(receive) {
            return Err(live.no_stream(error.to_string()));
        }
        let inside = live.buffer.wait(frames_in(GATHERED) as usize, FIRST_SOUND_MAX);
        let trouble = match (inside.frames.is_empty(), &inside.trouble) {
            (false, _) => None,
            (true, Some(trouble)) => Some(trouble.clone()),
            (true, None) => Some(said!("stream.no_voice").to_string()),
        };
        drop(inside);
        trouble.map_or(Ok(()), |trouble| Err(live.no_stream(trouble)))?;
        Ok(live)
    }

    fn no_stream(&self, detail: String) -> Fault {
        Fault::NoStream { url: self.url.clone(), detail }
    }
}

impl Part for Live {
    fn frames(&self) -> Option<u64> {
        None
    }

    fn enter(&mut self, _: u64) -> Result<(), Fault> {
        // What staff say now is what they say now.
        Ok(())
    }

    fn ahead(&self) -> usize {
        frames_in(AHEAD) as usize
    }

    fn more(&mut self, out: &mut Vec<Frame>) -> Result<(), Fault> {
        let wanted = if self.dry { frames_in(GATHERED) as usize } else { 1 };
        let mut inside = self.buffer.wait(wanted, PATIENCE);
        if inside.frames.len() < wanted && !inside.over {
            drop(inside);
            out.resize(frames_in(SILENCE) as usize, [0.0; 2]);
            self.dry = true;
            return Ok(());
        }
        // No more than the ring takes: what waits here can still be dropped.
        let most = inside.frames.len().min(frames_in(SILENCE) as usize);
        out.extend(inside.frames.drain(..most));
        if out.is_empty()
            && let Some(trouble) = inside.trouble.clone()
        {
            drop(inside);
            return Err(self.no_stream(trouble));
        }
        if std::mem::take(&mut self.dry) {
            for (n, frame) in out.iter_mut().take(FADE_FRAMES).enumerate() {
                *frame = frame.map(|sample| sample * n as f32 / FADE_FRAMES as f32);
            }
        }
        Ok(())
    }
}

impl Drop for Live {
    /// Tells the thread to end, without waiting: it may hang in a read.
    fn drop(&mut self) {
        self.buffer.change(|inside| inside.left = true);
    }
}

/// Receives until the voice is over or nobody listens any more.
fn receive(buffer: &Buffer, url: &str, ca: &[u8], losses: &Losses) -> Result<(), String> {
    let Answer::Stream(mut bytes) = Web::with(ca, READ_TIMEOUT).open(url)? else {
        return Err(said!("stream.not_voice").to_string());
    };
    let mut resampler = Resampler::new(read_header(&mut bytes)?).map_err(|error| error.to_string())?;
    let (mut raw, mut odd) = ([0; READ_BYTES], 0);
    loop {
        let read = bytes.read(&mut raw[odd..]).map_err(|error| error.to_string())?;
        if read == 0 {
            return Ok(());
        }
        let there = odd + read;
        let sample = |pair: &[u8]| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0;
        let frames: Vec<Frame> = raw[..there].chunks_exact(2).map(|pair| [sample(pair); 2]).collect();
        odd = there % 2;
        raw[0] = raw[there - 1];
        let mut out = Vec::new();
        resampler.push(&frames, &mut out);
        let mut left = false;
        buffer.change(|inside| {
            inside.frames.extend(out);
            let late = inside.frames.len().saturating_sub(frames_in(HELD_MAX) as usize);
            if late > 0 {
                let dropped = inside.frames.len() - frames_in(GATHERED) as usize;
                tracing::debug!(
                    ms = span_of(dropped as u64).as_millis(),
                    "a part of the voice came too late"
                );
                losses.voice_frames.add(dropped as u64);
                inside.frames.drain(..dropped);
            }
            left = inside.left;
        });
        if left {
            return Ok(());
        }
    }
}

/// Reads a plain WAV header: PCM, 16 bits, one channel; gives the rate.
fn read_header(bytes: &mut Bytes) -> Result<u32, String> {
    let mut header = [0; WAV_HEADER_BYTES];
    bytes.read_exact(&mut header).map_err(|error| said!("stream.no_beginning", error).to_string())?;
    let is_voice = header.starts_with(b"RIFF")
        && &header[8..16] == b"WAVEfmt "
        && header[20..24] == [1, 0, 1, 0]
        && header[34..40] == *b"\x10\0data";
    if !is_voice {
        return Err(said!("stream.not_wav").to_string());
    }
    Ok(u32::from_le_bytes([header[24], header[25], header[26], header[27]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &[u8], expected: Option<u32>) {
        let mut bytes: Bytes = Box::new(std::io::Cursor::new(header.to_vec()));
        assert_eq!(read_header(&mut bytes).ok(), expected);
    }

    #[test]
    fn only_the_voice_format_is_taken() {
        let header = loaxa_heart::wire::voice::wav_header(16_000, None);
        check(&header, Some(16_000));
        check(&header[..40], None);
        let mut stereo = header;
        stereo[22] = 2;
        check(&stereo, None);
        check(&[0; 44], None);
    }

    #[test]
    fn a_stream_that_does_not_answer_is_said() {
        let fault = Live::open("http://127.0.0.1:9/live/x", None, Arc::default()).err().unwrap();
        assert!(matches!(fault, Fault::NoStream { .. }), "{fault}");
    }
}
