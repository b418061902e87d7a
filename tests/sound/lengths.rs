//! Lengths of recordings as people bring them: what is announced is what sounds, and what ffmpeg decodes.

use std::path::{Path, PathBuf};

use crate::support::recordings;
use loaxa_heart::domain::time::Span;
use loaxa_sound::decode;
use loaxa_sound::decode::resampled::Resampled;
use loaxa_sound::span_of;

/// A frame at 48 kHz, and what is lost in counting microseconds.
const FRAME_US: u64 = 24;
/// Half a frame of layer III: ffmpeg loses it where the rate changes.
const CHANGE_US: u64 = 14_000;
/// Half a frame at 8 kHz; Matroska tells times in milliseconds.
const SEEK_US: u64 = 70;
const MATROSKA_SEEK_US: u64 = 5_000;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cases/audio");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_none_or(|it| it != "amr")).collect();
    files.sort();
    files
}

/// The length that is announced, and that of what sounds.
fn lengths(path: &Path, from: Span) -> Result<(Span, Span), String> {
    let decoder = decode::open(path).map_err(|fault| fault.to_string())?;
    let announced = decoder.length().ok_or("no length")?;
    let mut sound = Resampled::new(decoder).map_err(|fault| fault.to_string())?;
    if from > Span(0) {
        sound.seek(from).map_err(|fault| fault.to_string())?;
    }
    let (mut frames, mut block) = (0, Vec::new());
    while sound.more(&mut block).map_err(|fault| fault.to_string())? {
        frames += block.len() as u64;
        block.clear();
    }
    Ok((announced, span_of(frames + block.len() as u64)))
}

fn check(path: &Path, expected: u64, wrong: &mut Vec<String>) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    match lengths(path, Span(0)) {
        Err(fault) => wrong.push(format!("{name}: {fault}")),
        Ok((announced, sounded)) => {
            let changes =
                ["mp3-joined-44k-then-22k.mp3", "joined-with-tags.mp3", "joined.aac"].contains(&&*name);
            let most = if changes { CHANGE_US } else { FRAME_US };
            if announced.0.abs_diff(expected) > most || sounded.0.abs_diff(expected) > most {
                let (a, b) = (announced.0 as i64 - expected as i64, sounded.0 as i64 - expected as i64);
                wrong.push(format!("{name}: {expected} us expected, announced {a:+}, sounded {b:+}"));
            }
            let half = Span(announced.0 / 2);
            let in_ms = name.ends_with("webm") || name.ends_with("mkv");
            let most = if in_ms { MATROSKA_SEEK_US } else { SEEK_US };
            match lengths(path, half) {
                Ok((_, rest)) if (half + rest).0.abs_diff(announced.0) <= most => {}
                other => wrong.push(format!("{name}: from {half:?} on {other:?} of {announced:?}")),
            }
        }
    }
}

#[test]
fn every_recording_is_as_long_as_ffmpeg_decodes_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for path in cases().into_iter().chain(recordings::make(folder.path())) {
        check(&path, recordings::referee(&path), &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_joined_sounds_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (path, seconds) in recordings::make_joined(folder.path()) {
        check(&path, (seconds * 1e6) as u64, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
