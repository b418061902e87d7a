//! A device that is lost and comes back, the room for plays that wait, and the amplifier.

use std::time::Instant;

use super::super::*;
use super::rig::*;
use loaxa_heart::domain::sound::Sound;
use loaxa_sound::RATE;

#[test]
fn a_lost_device_ends_what_sounds_and_comes_back() {
    let mut rig = Rig::new();
    let file = rig.wav("a.wav", RATE, 480_000, |_| 0.1);
    rig.preflight(1, vec![file.clone()], Span::default()).unwrap();
    rig.preflight(2, vec![file.clone()], Span::default()).unwrap();
    rig.preflight(3, vec![file], Span::default()).unwrap();
    rig.send_play(1, Cut::Now);
    rig.wait(|event| matches!(event, PlayerEvent::Started { .. }));
    rig.crank_frames(48_000);
    // The device asks for nothing any more.
    drop(rig.device.take());
    rig.wait(|event| matches!(event, PlayerEvent::DeviceLost { .. }));
    rig.send_play(2, Cut::Now);
    let (sounded, end) = rig.wait_ended(1);
    assert!(matches!(end, End::Failed(Fault::DeviceLost { .. })));
    assert!(sounded.played >= Span::millis(1_000), "{sounded:?}");
    assert!(matches!(rig.wait_ended(2).1, End::Failed(Fault::DeviceLost { .. })));
    if !rig.told.contains(&PlayerEvent::DeviceBack) {
        rig.wait(|event| *event == PlayerEvent::DeviceBack);
    }
    rig.send_play(3, Cut::Now);
    rig.wait(|event| matches!(event, PlayerEvent::Started { play, .. } if *play == PlayId::new(1, 3)));
}

#[test]
fn only_a_few_plays_wait_ready() {
    let mut rig = Rig::new();
    for n in 0..6 {
        rig.preflight(n, vec![Sound::Silence(Span::secs(1))], Span::default()).unwrap();
    }
    rig.send_play(0, Cut::Now);
    assert!(matches!(rig.wait_ended(0).1, End::Failed(Fault::Player { .. })));
    rig.send_play(5, Cut::Now);
    assert_eq!(rig.wait_ended(5).1, End::Whole);
}

#[test]
fn the_amplifier_is_on_before_the_sound_and_off_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("switched");
    let command =
        |word| ["sh", "-c", &format!("echo {word} >> '{}'", file.display())].map(str::to_owned).to_vec();
    let amplifier = AmplifierConfig {
        on: command("on"),
        off: command("off"),
        gpio: None,
        warm_up_ms: 80,
        off_delay_ms: 10,
    };
    let mut rig = Rig::with(amplifier);
    rig.preflight(1, vec![Sound::Silence(Span::millis(50))], Span::default()).unwrap();
    let asked = monotonic();
    rig.send_play(1, Cut::Now);
    rig.wait(|event| matches!(event, PlayerEvent::Started { .. }));
    assert!(monotonic().since(asked) >= Span::millis(80));
    rig.wait_ended(1);
    let deadline = Instant::now() + DEADLINE;
    while std::fs::read_to_string(&file).unwrap_or_default() != "on\noff\n" {
        assert!(Instant::now() < deadline, "{:?}", std::fs::read_to_string(&file));
        std::thread::yield_now();
    }
}

#[test]
fn a_faulty_relay_is_told_and_stops_nothing() {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect();
    let amplifier = AmplifierConfig {
        on: words("no-such-relay 17=1"),
        off: words("false"),
        ..AmplifierConfig::default()
    };
    let mut rig = Rig::with(amplifier);
    rig.preflight(1, vec![Sound::Silence(Span::millis(50))], Span::default()).unwrap();
    rig.send_play(1, Cut::Now);
    assert_eq!(rig.wait_ended(1).1, End::Whole);
    for says in ["no-such-relay 17=1: it can't be run", "false: it ended with exit status: 1"] {
        let is_meant = |event: &PlayerEvent| matches!(event, PlayerEvent::AmplifierFault { detail } if detail.starts_with(says));
        if !rig.told.iter().any(is_meant) {
            rig.wait(is_meant);
        }
    }
}
