//! The microphone's verdict, through a real sound server: a loudspeaker that it hears, and one that it does not.
use std::process::Output;

use crate::support::pulse::Pulse;
use crate::support::unit::Unit;
use loaxa_heart::domain::sound::Heard;

/// `loaxa box test-tone --verify` on an output that the microphone hears, or does not.
fn check(output: &str, microphone: &[&str], expected_code: i32, says: &str) {
    let mut unit = Unit::new();
    let pulse = Pulse::start(unit.dir.path());
    unit.env = pulse.env();
    let arguments = [&["box", "test-tone", "--seconds", "2", "--verify", "--output", output], microphone];
    let mut command = unit.command(&arguments.concat());
    command.env("LOAXA_LANG", "vi");
    let Output { status, stdout, stderr } = command.stdout(std::process::Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert_eq!(status.code(), Some(expected_code), "{said}");
    assert!(said.contains(says), "{said}");
}

#[test]
fn a_loudspeaker_that_sounds_is_proved() {
    check("alsa:near", &["--microphone", "alsa:ear"], 0, "đã nghe thấy loa");
}

#[test]
fn a_loudspeaker_that_is_dead_is_found_out() {
    check("alsa:far", &["--microphone", "alsa:ear"], 1, "KHÔNG nghe thấy loa");
}

#[test]
fn without_a_microphone_nothing_is_proved() {
    check("alsa:near", &[], 2, "Không có micro");
}

#[test]
fn a_microphone_that_is_set_and_cannot_be_opened_is_told_apart() {
    check("alsa:near", &["--microphone", "alsa:not-there"], 3, "not-there");
}

/// Words of a slot, played and logged.
fn heard_in_the_log(output: &str) -> Option<Heard> {
    let mut unit = Unit::new();
    let pulse = Pulse::start(unit.dir.path());
    unit.env = pulse.env();
    unit.output = format!("{output}\"\nmicrophone = \"alsa:ear");
    let words =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("playlists/binh-minh/audio/loi-chao-sang.mp3");
    std::fs::copy(words, unit.path("words.mp3")).unwrap();
    unit.slot(&["words.mp3"], 60, "");
    let _box = unit.start();
    unit.await_event("the end of the words", |event| match event {
        loaxa_heart::domain::playback::Event::PlayEnded(end) => Some(end.heard),
        _ => None,
    })
}

#[test]
fn the_log_says_what_was_heard() {
    let heard = heard_in_the_log("alsa:near").expect("there is a microphone");
    assert!(heard.heard && heard.score > 0.8, "{heard:?}");
}

#[test]
fn the_log_says_what_was_not_heard() {
    let heard = heard_in_the_log("alsa:far").expect("there is a microphone");
    assert!(!heard.heard, "{heard:?}");
}
