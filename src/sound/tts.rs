//! Words to sound by a configured engine, kept by what was said and how.

mod vietnamese;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use vietnamese::{AS_IT_STANDS, AS_IT_STOOD, readable};

use crate::RATE;
use loaxa_adapters::program;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::domain::time::Span;

/// Longest text that is spoken, in characters: some 25 minutes.
const TEXT_CHARS_MAX: usize = 20_000;
/// Largest WAV taken from an engine: 30 minutes at 48 kHz stereo.
const WAV_BYTES_MAX: u64 = 30 * 60 * RATE as u64 * 4;

/// A speech engine: a program that reads text from its standard input and writes a WAV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speech {
    /// Program and arguments; `{language}` is the primary language subtag, `{out}` the WAV to write.
    pub command: Vec<String>,
    pub timeout_ms: u64,
    /// The folder in which spoken texts are kept.
    pub cache_dir: PathBuf,
}

impl Speech {
    /// espeak-ng with its own voice for the language, at an unhurried 150 words a minute.
    pub fn espeak(cache_dir: PathBuf) -> Self {
        let command = ["espeak-ng", "-v", "{language}", "-s", "150", "-w", "{out}", "--stdin"];
        Self { command: command.map(str::to_owned).to_vec(), timeout_ms: 20_000, cache_dir }
    }

    /// The WAV that says `text`; made now unless it was said before.
    ///
    /// # Errors
    /// `NoSpeech` where the text is too long or empty, or the engine fails, hangs or writes no sound.
    pub fn speak(&self, text: &str, language: &str) -> Result<PathBuf, Fault> {
        if text.trim().is_empty() {
            return Err(failed("the text is empty"));
        }
        if text.chars().count() > TEXT_CHARS_MAX {
            return Err(failed(format_args!("the text is longer than {TEXT_CHARS_MAX} characters")));
        }
        let primary = language.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        if primary.is_empty() || !primary.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(failed(format_args!("{language:?} is no language tag")));
        }
        let words = if primary == "vi" { readable(text) } else { text.to_owned() };
        let key = ContentHash::of(format!("{}\0{primary}\0{words}", self.command.join("\0")).as_bytes());
        let kept = self.cache_dir.join(format!("{key}.wav"));
        if kept.exists() {
            return Ok(kept);
        }
        std::fs::create_dir_all(&self.cache_dir).map_err(failed)?;
        let fresh = self.cache_dir.join(format!(
            "{key}.{}.{:?}.new",
            std::process::id(),
            std::thread::current().id()
        ));
        let made = self.run(&words, &primary, &fresh).and_then(|()| keep(&fresh, &kept));
        if made.is_err() {
            // Nothing is lost if it stays: the next run writes another.
            let _ = std::fs::remove_file(&fresh);
        }
        made.map(|()| kept)
    }

    fn run(&self, words: &str, language: &str, out: &Path) -> Result<(), Fault> {
        let out = out.to_str().ok_or_else(|| failed("the cache folder's name is not UTF-8"))?;
        let filled = |part: &String| part.replace("{language}", language).replace("{out}", out);
        let mut parts = self.command.iter().map(filled);
        let program = parts.next().ok_or_else(|| failed("no engine is configured"))?;
        let mut child = Command::new(&program)
            .args(parts)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(format_args!("{program}: {error}")))?;
        let mut input = child.stdin.take().expect("standard input was asked for");
        let text = words.to_owned();
        // Apart, as an engine that does not read would block us past its time.
        let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
        let done = program::wait(&mut child, Span::millis(self.timeout_ms));
        // An engine that closed its input early is judged by its exit status and its WAV.
        let _ = writer.join();
        done.map_err(|error| failed(format_args!("{program}: {error}")))
    }
}

fn failed(detail: impl std::fmt::Display) -> Fault {
    Fault::NoSpeech { detail: detail.to_string() }
}

/// Takes a finished WAV into the cache at once, so that no half-written one is ever found there.
fn keep(fresh: &Path, kept: &Path) -> Result<(), Fault> {
    let bytes = std::fs::metadata(fresh).map_err(|_| failed("the engine wrote no sound"))?.len();
    if bytes > WAV_BYTES_MAX {
        return Err(failed(format_args!("the engine wrote {bytes} bytes")));
    }
    crate::decode::open(fresh).map_err(failed)?;
    std::fs::rename(fresh, kept).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(folder: &Path, script: &str) -> Speech {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        Speech { command, timeout_ms: 300, cache_dir: folder.to_owned() }
    }

    fn check(script: &str, text: &str, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let fault = engine(folder.path(), script).speak(text, "vi").unwrap_err().to_string();
        assert!(fault.contains(expected), "{fault:?} for {expected:?}");
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 0, "nothing half-made stays");
    }

    #[test]
    fn a_bad_engine_is_named() {
        check("exit 3", "xin chào", "exit status: 3");
        check("sleep 60", "xin chào", "took longer than 300 ms");
        check("cat > '{out}'", "xin chào", "can't be played");
        check("true", "xin chào", "wrote no sound");
        check("true", "  ", "the text is empty");
    }

    #[test]
    fn what_was_said_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let wav = folder.path().join("tone.wav");
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 22_050,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&wav, spec).unwrap();
        (0..2_205).for_each(|n| writer.write_sample((n % 50) as i16 * 100).unwrap());
        writer.finalize().unwrap();
        let said = folder.path().join("said");
        let script = format!("cat >> '{}'; cp '{}' '{{out}}'", said.display(), wav.display());
        let speech = engine(&folder.path().join("cache"), &script);
        let first = speech.speak("Chào UBND xã", "vi-VN").unwrap();
        assert_eq!(speech.speak("Chào UBND xã", "vi").unwrap(), first);
        assert_eq!(std::fs::read_to_string(&said).unwrap(), "Chào Uỷ ban nhân dân xã");
        assert_ne!(speech.speak("Chào", "vi").unwrap(), first);
    }
}
