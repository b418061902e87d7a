//! A live voice: a WAV without an end from central, heard as soon as it can be.
//!
//! Delay is what counts here. Little is held, and what has become late is dropped, not played later.

use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::part::{Part, fade};
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
/// Frames resampled at a time: 20 ms at 16 kHz, clean up to 7.6 kHz.
const BLOCK_FRAMES: usize = 320;
/// Bytes read at a time: 32 ms at 16 kHz.
const READ_BYTES: usize = 1_024;

const WAV_HEADER_BYTES: usize = 44;

/// The stream of a session.
pub struct Live {
    url: String,
    buffer: Arc<Buffer>,
    /// The last sound, given only when it is known whether it must fade out.
    held: Vec<Frame>,
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
    /// The first of the frames does not follow on what was taken before.
    skipped: bool,
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
        let live = Self { url: url.to_owned(), buffer, held: Vec::new(), dry: true };
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

    fn give_held(&mut self, out: &mut Vec<Frame>, fades: bool) {
        if fades {
            fade(self.held.iter_mut(), |share| 1.0 - share);
        }
        out.append(&mut self.held);
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
            self.give_held(out, true);
            out.resize(out.len() + frames_in(SILENCE) as usize, [0.0; 2]);
            self.dry = true;
            return Ok(());
        }
        // No more than the ring takes: what waits here can still be dropped.
        let most = inside.frames.len().min(frames_in(SILENCE) as usize);
        let mut fresh: Vec<Frame> = inside.frames.drain(..most).collect();
        let (skipped, trouble) = (std::mem::take(&mut inside.skipped), inside.trouble.clone());
        drop(inside);
        self.give_held(out, skipped);
        if std::mem::take(&mut self.dry) || skipped {
            fade(fresh.iter_mut().take(FADE_FRAMES), |share| share);
        }
        // Something is given each time, as nothing would be the end.
        let given = if out.is_empty() && fresh.len() <= FADE_FRAMES {
            fresh.len()
        } else {
            fresh.len().saturating_sub(FADE_FRAMES)
        };
        self.held = fresh.split_off(given);
        out.append(&mut fresh);
        match trouble {
            Some(trouble) if out.is_empty() => Err(self.no_stream(trouble)),
            _ => Ok(()),
        }
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
    let rate = read_header(&mut bytes)?;
    let mut resampler = Resampler::with_block(rate, BLOCK_FRAMES).map_err(|error| error.to_string())?;
    let (mut raw, mut odd) = ([0; READ_BYTES], 0);
    loop {
        let read = bytes.read(&mut raw[odd..]).map_err(|error| error.to_string())?;
        if read == 0 {
            let mut last = Vec::new();
            resampler.finish(&mut last);
            buffer.change(|inside| inside.frames.extend(last));
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
                inside.skipped = true;
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
    use std::io::Write;

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

    /// Serves a voice of 440 Hz: so many milliseconds, a pause of so many, and as much again, as fast as it is taken.
    fn served(ms: usize, pause_ms: u64) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4_096]);
            let samples = (0..ms * 32).map(|n| (n as f32 * std::f32::consts::TAU * 440.0 / 16_000.0).sin());
            let bytes: Vec<u8> =
                samples.flat_map(|sample| ((sample * 16_000.0) as i16).to_le_bytes()).collect();
            let (first, second) = bytes.split_at(bytes.len() / 2);
            let head = b"HTTP/1.0 200 OK\r\nContent-Type: audio/wav\r\n\r\n";
            let header = loaxa_heart::wire::voice::wav_header(16_000, None);
            stream.write_all(&[&head[..], &header, first].concat()).unwrap();
            std::thread::sleep(Duration::from_millis(pause_ms));
            stream.write_all(second).unwrap();
        });
        format!("http://{address}/live/x")
    }

    /// Hears a voice to its end.
    fn heard(url: &str) -> Vec<Frame> {
        let mut live = Live::open(url, None, Arc::default()).unwrap();
        let mut all = Vec::new();
        loop {
            let mut step = Vec::new();
            live.more(&mut step).unwrap();
            if step.is_empty() {
                return all;
            }
            all.append(&mut step);
        }
    }

    #[test]
    fn a_voice_is_heard_to_its_last_sample() {
        let heard = heard(&served(100, 0));
        assert_eq!(heard.len(), 48 * 200);
        let last = heard[heard.len() - 96..].iter().fold(0.0, |peak: f32, frame| frame[0].abs().max(peak));
        assert!(last > 0.4, "{last}");
    }

    #[test]
    fn a_gap_makes_no_click() {
        let heard = heard(&served(150, 500));
        let silent = heard.iter().filter(|frame| **frame == [0.0; 2]).count();
        assert!(silent > 48 * 20, "there was a gap: {silent}");
        let step = heard.windows(2).fold(0.0, |step: f32, two| (two[1][0] - two[0][0]).abs().max(step));
        // A sine of 440 Hz at half of full scale moves by 0.028 a sample.
        assert!(step < 0.035, "{step}");
    }
}
