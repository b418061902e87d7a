//! Recordings as staff bring them: central takes what the box plays, with the length that sounds.

use std::path::{Path, PathBuf};

use crate::support::commune::*;
use crate::support::recordings;

/// Half a millisecond, as lengths are told in milliseconds; where the rate changes, ffmpeg loses half a frame.
const TOLERANCE_US: u64 = 1_000;
const CHANGE_US: u64 = 14_000;
/// A packet of AAC, as what is converted ends with one.
const CONVERTED_US: u64 = 22_000;
/// A block of WMA, of which the referee leaves out the first, and a packet of AAC.
const FOREIGN_US: u64 = 47_000;

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cases/audio").join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recording_that_the_box_plays_is_taken_with_its_length() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let mut files: Vec<_> = std::fs::read_dir(case("")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.extend(recordings::make(dir.path()));
    let mut wrong = Vec::new();
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let address = format!("/api/v1/media?name={name}");
        let answer = post(&central, &address, "application/octet-stream", bytes).await;
        if answer.status != 201 {
            wrong.push(format!("{name}: {}", answer.text()));
            continue;
        }
        let told = answer.json();
        let most = match name {
            "amr-nb-voice-note.amr" => CONVERTED_US,
            "mp3-joined-44k-then-22k.mp3" | "joined-with-tags.mp3" | "joined.aac" => CHANGE_US,
            _ => TOLERANCE_US,
        };
        let (ms, expected) = (told["ms"].as_u64().unwrap(), recordings::referee(&path));
        if (ms * 1_000).abs_diff(expected) > most {
            wrong.push(format!("{name}: {ms} ms for {expected} us"));
        }
        let converted = (name == "amr-nb-voice-note.amr").then_some("AMR");
        assert_eq!(told["converted_from"].as_str(), converted, "{told}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_ffmpeg_reads_is_converted_and_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let mut wrong = Vec::new();
    for (path, form) in recordings::make_foreign(dir.path()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let address = format!("/api/v1/media?name={name}");
        let bytes = std::fs::read(&path).unwrap();
        let answer = post(&central, &address, "application/octet-stream", bytes).await;
        if answer.status != 201 {
            wrong.push(format!("{name}: {}", answer.text()));
            continue;
        }
        let (told, expected) = (answer.json(), recordings::referee(&path));
        let ms = told["ms"].as_u64().unwrap();
        if told["converted_from"].as_str().unwrap_or_default() != form
            || (ms * 1_000).abs_diff(expected) > FOREIGN_US
        {
            wrong.push(format!("{name}: {told}, {expected} us"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_played_is_refused_in_the_language_of_people() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let original = std::fs::read(case("amr-nb-voice-note.amr")).unwrap();
    for (bytes, reason) in [
        (b"%PDF-1.7\n".to_vec(), "MP3"),
        (b"#!AMR\nbroken".to_vec(), "AMR"),
        (vec![0; 5_000], "MP3"),
        (original[..7].to_vec(), "AMR"),
    ] {
        let answer = post(&central, "/api/v1/media?name=x.amr", "application/octet-stream", bytes).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains(reason), "{}", answer.text());
    }
    let answer =
        post(&central, "/api/v1/media?name=x.amr", "application/octet-stream", original.clone()).await;
    let kept = std::fs::read_dir(dir.path().join("media/originals"));
    assert_eq!(answer.status, 201, "{}", answer.text());
    let kept: Vec<_> = kept.unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect();
    assert_eq!(kept, [original]);
    assert_eq!(std::fs::read_dir(dir.path().join("media/incoming")).unwrap().count(), 0);
    central.stop().await;
}
