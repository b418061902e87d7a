//! A device that is lost and comes back, the room for plays that wait, and the amplifier.

use std::sync::mpsc::channel;
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

/// Waits until the player has let go of the device that the rig holds.
fn wait_for_rest(rig: &mut Rig) {
    let deadline = Instant::now() + DEADLINE;
    while rig.device.as_ref().is_none_or(|(_, trouble)| Arc::strong_count(trouble) > 1) {
        assert!(Instant::now() < deadline, "the device does not rest");
        rig.crank();
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_device_rests_while_nothing_is_to_sound_and_wakes_for_the_next_play() {
    let rest = Rest { after: Span::millis(100), probe: Span::secs(24 * 3_600) };
    let mut rig = Rig::resting(AmplifierConfig::default(), rest);
    for n in 0..3 {
        // Sounds for longer than the device would wait, also where it waits ready for longer.
        let file = rig.wav("a.wav", RATE, 48_000, |_| 0.1);
        rig.preflight(n, vec![file], Span::default()).unwrap();
        if n == 1 {
            wait_for_rest(&mut rig);
        }
        rig.send_play(n, Cut::Now);
        let (sounded, end) = rig.wait_ended(n);
        assert_eq!((sounded.played, end), (Span::secs(1), End::Whole));
        wait_for_rest(&mut rig);
        rig.device = None;
    }
    let lost = |told: &PlayerEvent| matches!(told, PlayerEvent::DeviceLost { .. } | PlayerEvent::DeviceBack);
    assert!(!rig.told.iter().any(lost), "{:?}", rig.told);
}

#[test]
fn a_device_that_is_lost_while_it_rests_is_missed_at_the_next_look() {
    let rest = Rest { after: Span::millis(20), probe: Span::millis(100) };
    let mut rig = Rig::resting(AmplifierConfig::default(), rest);
    for _ in 0..3 {
        let opened = rig.renderers.recv_timeout(DEADLINE).expect("it is looked at again");
        rig.device = Some(opened);
        wait_for_rest(&mut rig);
    }
    // From now on it can't be opened.
    rig.renderers = channel().1;
    rig.wait(|event| matches!(event, PlayerEvent::DeviceLost { .. }));
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
