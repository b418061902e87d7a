//! Words to sound by a configured engine, kept by what was said and how.

mod vietnamese;

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

pub use vietnamese::{AS_IT_STANDS, AS_IT_STOOD, readable};

use crate::RATE;
use loaxa_adapters::fetch::touch;
use loaxa_adapters::program;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::domain::text::clean;
use loaxa_heart::domain::time::Span;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Longest text that is spoken, in characters: some 25 minutes.
const TEXT_CHARS_MAX: usize = 20_000;
/// Largest WAV taken from an engine: 30 minutes at 48 kHz stereo.
const WAV_BYTES_MAX: u64 = 30 * 60 * RATE as u64 * 4;
/// Most bytes of spoken texts that are kept: some hours. The longest unused go first.
const KEPT_BYTES_MAX: u64 = 256 << 20;
/// Longest part of an engine's complaint that is kept, in bytes: its end, where the reason stands.
const COMPLAINT_BYTES_MAX: usize = 600;
/// Time for the end of a complaint to arrive after the engine ended.
const COMPLAINT_LATE: Duration = Duration::from_millis(500);

/// A speech engine: a program that reads text from its standard input and writes a WAV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speech {
    /// Program and arguments; `{language}` is the primary language subtag, `{out}` the WAV to write, also inside an argument,
    /// as in the line of a shell. Its name ends in `.wav`.
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
        let words = if primary == "vi" {
            readable(text)
        } else {
            clean(text).replace([AS_IT_STANDS, AS_IT_STOOD], "")
        };
        let key = ContentHash::of(format!("{}\0{primary}\0{words}", self.command.join("\0")).as_bytes());
        let kept = self.cache_dir.join(format!("{key}.wav"));
        if crate::decode::open(&kept).is_ok() {
            touch(&kept);
            return Ok(kept);
        }
        std::fs::create_dir_all(&self.cache_dir).map_err(failed)?;
        // Letters, digits and signs that no shell takes for its own.
        static SPOKEN: AtomicU64 = AtomicU64::new(0);
        let number = SPOKEN.fetch_add(1, Ordering::Relaxed);
        let fresh = self.cache_dir.join(format!("{key}{UNFINISHED}{}-{number}.wav", std::process::id()));
        let made = self
            .run(&words, &primary, &fresh)
            .and_then(|said| keep(&fresh, &kept).map_err(|fault| with_complaint(fault, &said)));
        if made.is_err() {
            // Nothing is lost if it stays: the next run writes another.
            let _ = std::fs::remove_file(&fresh);
        }
        made.map(|()| {
            forget_oldest(&self.cache_dir, &kept, KEPT_BYTES_MAX);
            kept
        })
    }

    /// Runs the engine and gives what it complained of.
    fn run(&self, words: &str, language: &str, out: &Path) -> Result<String, Fault> {
        let out = out.to_str().ok_or_else(|| failed("the cache folder's name is not UTF-8"))?;
        let filled = |part: &String| part.replace("{language}", language).replace("{out}", out);
        let mut parts = self.command.iter().map(filled);
        let program = parts.next().ok_or_else(|| failed("no engine is configured"))?;
        let mut child = Command::new(&program)
            .args(parts)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A group of its own, so that what a shell started ends with the shell.
            .process_group(0)
            .spawn()
            .map_err(|error| failed(format_args!("{program}: {error}")))?;
        let mut input = child.stdin.take().expect("standard input was asked for");
        let text = words.to_owned();
        // Apart, as an engine that does not read would block us past its time. One that closed its input early is judged by its
        // exit status and its WAV.
        std::thread::spawn(move || input.write_all(text.as_bytes()));
        let complaint = complaint(&mut child);
        let done = program::wait(&mut child, Span::millis(self.timeout_ms));
        if done.is_err() {
            // Nobody is left in the group where the shell was alone.
            let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
        }
        let said = complaint.recv_timeout(COMPLAINT_LATE).unwrap_or_default();
        done.map_err(|error| with_complaint(failed(format_args!("{program}: {error}")), &said))?;
        if !said.is_empty() {
            tracing::debug!(%program, said, "the speech engine wrote to its standard error");
        }
        Ok(said)
    }
}

/// Reads an engine's standard error to its end, on a thread of its own, and sends the last of it.
fn complaint(child: &mut Child) -> mpsc::Receiver<String> {
    let mut errors = child.stderr.take().expect("standard error was asked for");
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut last, mut piece) = (Vec::new(), [0; 4096]);
        while let Ok(length @ 1..) = errors.read(&mut piece) {
            last.extend_from_slice(&piece[..length]);
            let spare = last.len().saturating_sub(COMPLAINT_BYTES_MAX);
            last.drain(..spare);
        }
        let text = String::from_utf8_lossy(&last);
        // Nobody waits for it where the engine did well long ago.
        let _ =
            sender.send(text.split_whitespace().collect::<Vec<_>>().join(" ").replace(char::is_control, ""));
    });
    receiver
}

fn with_complaint(fault: Fault, said: &str) -> Fault {
    match fault {
        Fault::NoSpeech { detail } if !said.is_empty() => failed(format_args!("{detail}: {said}")),
        other => other,
    }
}

fn failed(detail: impl std::fmt::Display) -> Fault {
    Fault::NoSpeech { detail: detail.to_string() }
}

/// Takes a finished WAV into the cache at once and for good, so that no half-written one is found there, not even after a
/// power cut.
fn keep(fresh: &Path, kept: &Path) -> Result<(), Fault> {
    let bytes = std::fs::metadata(fresh).map_err(|_| failed("the engine wrote no sound"))?.len();
    if bytes > WAV_BYTES_MAX {
        return Err(failed(format_args!("the engine wrote {bytes} bytes")));
    }
    crate::decode::open(fresh).map_err(failed)?;
    let for_good = File::open(fresh)
        .and_then(|file| file.sync_all())
        .and_then(|()| std::fs::rename(fresh, kept))
        .and_then(|()| File::open(kept.parent().unwrap_or(Path::new(".")))?.sync_all());
    for_good.map_err(failed)
}

/// Deletes spoken texts, the longest unused first, until they take at most so many bytes, and what an engine began long ago.
/// The one just made stays, and what can't be deleted is tried again with the next text.
fn forget_oldest(folder: &Path, made: &Path, bytes_max: u64) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut kept: Vec<_> = entries
        .filter_map(|entry| {
            let found = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some((found.modified().ok()?, entry.path(), found.len()))
        })
        .filter(|(_, path, _)| path != made)
        .collect();
    let unfinished = kept.extract_if(.., |(_, path, _)| path.to_string_lossy().contains(UNFINISHED));
    for (changed, path, _) in unfinished {
        if changed.elapsed().is_ok_and(|age| age > UNFINISHED_MAX) {
            let _ = std::fs::remove_file(path);
        }
    }
    kept.sort();
    let just_made = std::fs::metadata(made).map_or(0, |found| found.len());
    let mut excess =
        (kept.iter().map(|(_, _, bytes)| bytes).sum::<u64>() + just_made).saturating_sub(bytes_max);
    for (_, path, bytes) in kept {
        if excess == 0 {
            break;
        }
        let _ = std::fs::remove_file(path);
        excess = excess.saturating_sub(bytes);
    }
}

/// Mark in the name of a WAV that an engine still writes.
const UNFINISHED: &str = ".new-";
/// Age from which on such a WAV was left behind by a power cut: no engine may take so long.
const UNFINISHED_MAX: Duration = Duration::from_secs(3_600);

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
        assert!(fault.len() < COMPLAINT_BYTES_MAX + 200, "{} bytes", fault.len());
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 0, "nothing half-made stays");
    }

    #[test]
    fn spoken_texts_are_forgotten_from_the_longest_unused_on() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let names = ["a.wav", "b.wav", "c.wav", "d.new-1-1.wav", "e.wav"];
        for (name, age) in names.into_iter().zip([30, 20, 10, 40, 50]) {
            std::fs::write(at(name), [0; 100]).unwrap();
            let file = std::fs::File::options().write(true).open(at(name)).unwrap();
            file.set_modified(std::time::SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        let left = |bytes_max| {
            forget_oldest(folder.path(), &at("e.wav"), bytes_max);
            names.into_iter().filter(|name| at(name).exists()).collect::<Vec<_>>()
        };
        assert_eq!(left(400), names);
        assert_eq!(left(399), ["b.wav", "c.wav", "d.new-1-1.wav", "e.wav"]);
        assert_eq!(
            left(0),
            ["d.new-1-1.wav", "e.wav"],
            "what is being written, and what was just made, stay"
        );
    }

    #[test]
    fn a_bad_engine_is_named() {
        check("exit 3", "xin chào", "exit status: 3");
        check("sleep 60", "xin chào", "took longer than 300 ms");
        check("sleep 60 & sleep 60; true", "xin chào", "took longer than 300 ms");
        check("cat > {out}", "xin chào", "can't be played");
        check("true", "xin chào", "wrote no sound");
        check("true", "  ", "the text is empty");
    }

    #[test]
    fn an_engine_is_heard_when_it_complains() {
        check(
            "echo 'model not found: vi.onnx' >&2; exit 1",
            "xin chào",
            "exit status: 1: model not found: vi.onnx",
        );
        check("echo 'no voice' >&2", "xin chào", "wrote no sound: no voice");
        check("yes 'much ado' | head -c 900000 >&2; echo 'the reason' >&2; exit 1", "xin chào", "the reason");
        check("echo 'waiting for the network' >&2; sleep 60", "xin chào", "waiting for the network");
    }

    /// Writes a tone, and gives its path.
    fn tone(folder: &Path) -> PathBuf {
        let wav = folder.join("tone.wav");
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 22_050,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&wav, spec).unwrap();
        (0..2_205).for_each(|n| writer.write_sample((n % 50) as i16 * 100).unwrap());
        writer.finalize().unwrap();
        wav
    }

    /// Stands in for piper: speaks each line of its input into the file that it was given, the last one over the others, and
    /// tells its progress on its standard error.
    const PIPER: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do
  case "$1" in
    --model) model="$2"; shift 2 ;;
    --output_file) out="$2"; shift 2 ;;
    *) echo "piper: unknown option $1" >&2; exit 2 ;;
  esac
done
[ -f "$model" ] || { echo "piper: Model file doesn't exist: $model" >&2; exit 1; }
case "$out" in *.wav) ;; *) echo "piper: $out is no .wav" >&2; exit 1 ;; esac
echo "[info] Loaded voice in 0.3 second(s)" >&2
while IFS= read -r line || [ -n "$line" ]; do
  printf '%s\n' "$line" > "$(dirname "$0")/said"
  cp "$(dirname "$0")/tone.wav" "$out"
done
"#;

    #[test]
    fn another_engine_speaks_through_the_line_of_a_shell() {
        let folder = tempfile::tempdir().unwrap();
        tone(folder.path());
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(at("piper"), PIPER).unwrap();
        let line = |model: &str| {
            let piper = at("piper");
            format!("tr '\\n' ' ' | sh {piper} --model {model} --output_file {{out}}")
        };
        let mut speech = engine(&folder.path().join("cache"), &line(&at("tone.wav")));
        speech.timeout_ms = 60_000;
        let wav = speech.speak("Kính mời bà con.\nHọp lúc 19h30.", "vi").unwrap();
        assert!(crate::decode::open(&wav).is_ok());
        let said = std::fs::read_to_string(at("said")).unwrap();
        assert_eq!(said.trim_end(), "Kính mời bà con. Họp lúc mười chín giờ ba mươi phút.");

        speech.command[2] = line("/none/vi.onnx");
        let fault = speech.speak("Xin chào", "vi").unwrap_err().to_string();
        assert!(fault.contains("Model file doesn't exist: /none/vi.onnx"), "{fault}");
    }

    #[test]
    fn what_was_said_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let wav = tone(folder.path());
        let said = folder.path().join("said");
        let script = format!("cat >> '{}'; cp '{}' '{{out}}'", said.display(), wav.display());
        let speech = engine(&folder.path().join("cache"), &script);
        let first = speech.speak("Chào UBND xã", "vi-VN").unwrap();
        assert_eq!(speech.speak("Chào UBND xã", "vi").unwrap(), first);
        assert_eq!(std::fs::read_to_string(&said).unwrap(), "Chào Uỷ ban nhân dân xã");
        assert_ne!(speech.speak("Chào", "vi").unwrap(), first);
    }

    #[test]
    fn what_a_power_cut_left_is_said_anew() {
        let folder = tempfile::tempdir().unwrap();
        let wav = tone(folder.path());
        let cache = folder.path().join("cache");
        let speech = engine(&cache, &format!("cp '{}' '{{out}}'", wav.display()));
        let words = speech.speak("Nước lên", "vi").unwrap();
        std::fs::write(&words, "").unwrap();
        let begun = |name: &str, age: Duration| {
            let path = cache.join(format!("x{UNFINISHED}{name}.wav"));
            let file = File::create(&path).unwrap();
            file.set_modified(std::time::SystemTime::now() - age).unwrap();
            path
        };
        let (old, now) = (begun("1-0", 2 * UNFINISHED_MAX), begun("2-0", Duration::ZERO));
        assert_eq!(speech.speak("Nước lên", "vi").unwrap(), words);
        assert!(crate::decode::open(&words).is_ok());
        assert!(!old.exists() && now.exists());
    }
}
