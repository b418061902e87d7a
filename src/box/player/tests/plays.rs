//! Plays: their sound to the frame, cuts and fades, levels, and files that are missing or broken.

use std::f32::consts::TAU;

use super::super::*;
use super::rig::*;
use loaxa_heart::domain::sound::{Pattern, Sound, Tone};
use loaxa_sound::{Frame, RATE};

#[test]
fn a_file_sounds_to_the_last_frame() {
    let mut rig = Rig::new();
    let cosine = |n: usize| (TAU * 440.0 * n as f32 / RATE as f32).cos() * 0.3;
    let file = rig.wav("a.wav", RATE, 100_001, cosine);
    assert_eq!(rig.preflight(1, vec![file], Span::default()), Ok(Some(Span(2_083_354))));
    rig.send_play(1, Cut::Now);
    let (sounded, end) = rig.wait_ended(1);
    assert_eq!(end, End::Whole);
    assert_eq!((sounded.played, sounded.due), (span_of(100_001), Some(span_of(100_001))));
    // A 440 Hz tone on both sides at peak 0.3 is near -10.5 LUFS.
    assert!((sounded.loudness_lufs.unwrap() + 11.2).abs() < 1.0, "{sounded:?}");
    rig.crank_frames(RATE as usize / 10);
    let heard = rig.left_side();
    let start = first_sound(&heard);
    assert_near(&heard[start..start + 100_001], cosine);
    assert!(heard[start + 100_001..].iter().all(|sample| *sample == 0.0));
    let kinds: Vec<_> = rig.told.iter().map(std::mem::discriminant).collect();
    let id = PlayId::new(1, 1);
    let expected = [
        PlayerEvent::Preflighted { play: id, result: Ok(None) },
        PlayerEvent::Started { play: id, at: Moment(0) },
        PlayerEvent::Ending { play: id },
        PlayerEvent::Ended { play: id, sounded, end },
    ];
    assert_eq!(kinds, expected.iter().map(std::mem::discriminant).collect::<Vec<_>>());
    assert_eq!(rig.player().position(id), None);
}

#[test]
fn started_names_the_moment_of_the_first_frame() {
    let mut rig = Rig::new();
    let file = rig.wav("a.wav", RATE, 9_600, |_| 0.25);
    rig.preflight(1, vec![file], Span::default()).unwrap();
    rig.crank_frames(4_800);
    let begin = rig.at.0 - span_of(rig.heard.len() as u64).0;
    rig.send_play(1, Cut::Now);
    let PlayerEvent::Started { at, .. } = rig.wait(|e| matches!(e, PlayerEvent::Started { .. })) else {
        unreachable!()
    };
    rig.wait_ended(1);
    rig.crank_frames(BUFFER);
    let first = first_sound(&rig.left_side()) as u64;
    assert!(at.0.abs_diff(begin + span_of(first).0) <= 25, "{at:?}");
}

#[test]
fn what_follows_at_the_end_leaves_no_gap() {
    let mut rig = Rig::new();
    rig.must_hear_ending = true;
    let whole = tone(441.0, 0.3);
    let first = rig.wav("a.wav", RATE, 30_011, tone(441.0, 0.3));
    let second = rig.wav("b.wav", RATE, 20_000, |n| whole(30_011 + n));
    rig.preflight(1, vec![first], Span::default()).unwrap();
    rig.preflight(2, vec![second], Span::default()).unwrap();
    rig.send_play(1, Cut::Now);
    rig.wait(|event| matches!(event, PlayerEvent::Ending { .. }));
    rig.order_play(2, Cut::AtEnd);
    assert_eq!(rig.wait_ended(2).1, End::Whole);
    assert_eq!(rig.wait_ended(1).1, End::Whole);
    rig.crank_frames(BUFFER);
    let heard = rig.left_side();
    let start = heard.iter().position(|sample| sample.abs() > 0.0).unwrap() - 1;
    assert_near(&heard[start..start + 50_011], whole);
}

/// One play takes the air from another, by a cut that is told when the first one sounds.
fn check_cut(cut: impl Fn(&Rig) -> Cut) {
    let mut rig = Rig::new();
    let long = rig.wav("a.wav", RATE, 480_000, tone(440.0, 0.9));
    let silence = Sound::Silence(Span::millis(300));
    rig.preflight(1, vec![long], Span::default()).unwrap();
    rig.preflight(2, vec![silence], Span::default()).unwrap();
    rig.send_play(1, Cut::Now);
    rig.wait(|event| matches!(event, PlayerEvent::Started { .. }));
    rig.crank_frames(48_000);
    let cut = cut(&rig);
    rig.order_play(2, cut);
    let (sounded, end) = rig.wait_ended(1);
    assert_eq!(end, End::Stopped);
    assert_eq!(sounded.due, Some(Span::secs(10)));
    rig.wait_ended(2);
    let heard = rig.left_side();
    let start = first_sound(&heard);
    let sound = heard.iter().rposition(|sample| *sample != 0.0).unwrap() + 1 - (start - 1);
    let played = frames_in(sounded.played);
    assert!((sound as u64).abs_diff(played) <= 3, "{sound} heard, {played} counted");
    let own = 0.9 * TAU * 440.0 / RATE as f32;
    for pair in heard.windows(2) {
        assert!(
            (pair[1] - pair[0]).abs() < (own + 0.01).min(0.0625),
            "a step from {} to {}",
            pair[0],
            pair[1]
        );
    }
}

#[test]
fn a_cut_fades_without_a_click() {
    check_cut(|_| Cut::Now);
    // By the clock: anywhere within a block.
    for micros in [300_000, 300_271, 300_617, 300_999] {
        check_cut(|rig| Cut::At { moment: rig.ahead(Span(micros)), shared: None });
    }
}

#[test]
fn a_stop_fades_as_long_as_it_is_told() {
    let mut rig = Rig::new();
    let long = rig.wav("a.wav", RATE, 480_000, |_| 0.5 * 0.8);
    rig.preflight(1, vec![long], Span::default()).unwrap();
    rig.send_play(1, Cut::Now);
    rig.wait(|event| matches!(event, PlayerEvent::Started { .. }));
    rig.crank_frames(24_000);
    rig.player().send(PlayerCommand::Stop { play: PlayId::new(1, 1), fade_ms: 100 });
    assert_eq!(rig.wait_ended(1).1, End::Stopped);
    rig.crank_frames(BUFFER);
    let fading = rig.left_side().iter().filter(|sample| **sample > 0.0 && **sample < 0.3999).count();
    assert!(fading.abs_diff(4_800) <= 2, "{fading} frames of fade");
}

#[test]
fn a_play_goes_on_where_it_was_left() {
    let mut rig = Rig::new();
    let ramp = |n: usize| 0.1 + n as f32 / 240_000.0;
    let file = rig.wav("a.wav", RATE, 48_000, ramp);
    let parts = vec![Sound::Silence(Span::millis(250)), file];
    let length = rig.preflight(1, parts, Span::millis(750)).unwrap();
    assert_eq!(length, Some(Span::millis(1_250)));
    rig.send_play(1, Cut::Now);
    let (sounded, _) = rig.wait_ended(1);
    assert_eq!((sounded.played, sounded.due), (Span::millis(500), Some(Span::millis(500))));
    rig.crank_frames(BUFFER);
    let heard = rig.left_side();
    let last = heard.iter().rposition(|sample| *sample > 0.01).unwrap();
    let first = last + 1 - 24_000;
    // The first 10 ms rise, then the file goes on at 500 ms exactly.
    assert_near(&heard[first..first + 480], |n| ramp(24_000 + n) * n as f32 / 480.0);
    assert_near(&heard[first + 480..last], |n| ramp(24_000 + 480 + n));
}

/// Plays a file with 0.4 on the left and -0.2 on the right, and returns what is heard in its middle, with the loudness
/// that was measured.
fn heard_at(volume_percent: u8, gain_db: f32) -> (Frame, Option<f32>) {
    let mut rig = Rig::new();
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(rig.folder.path().join("a.wav"), spec).unwrap();
    for n in 0..RATE {
        // A tone beside the constant level, for the meter.
        let tone = if n < RATE / 2 { 0.0 } else { tone(1_000.0, 0.1)(n as usize) };
        for side in [0.4, -0.2] {
            writer.write_sample(((side + tone) * 32_767.0).round() as i16).unwrap();
        }
    }
    writer.finalize().unwrap();
    let parts = vec![Sound::File(FileRef::Path("a.wav".into()))];
    rig.preflight_score(1, Score { parts, skip: Span::default(), volume_percent, gain_db }).unwrap();
    rig.send_play(1, Cut::Now);
    let (sounded, end) = rig.wait_ended(1);
    assert_eq!(end, End::Whole);
    rig.crank_frames(BUFFER);
    let last = rig.heard.iter().rposition(|frame| frame[0] != 0.0).unwrap();
    (rig.heard[last - RATE as usize * 3 / 4], sounded.loudness_lufs)
}

#[test]
fn each_side_is_as_loud_as_the_volume_and_the_gain_say() {
    let near = |found: f32, expected: f32| (found - expected).abs() < 0.002;
    let (whole, whole_lufs) = heard_at(100, 0.0);
    assert!(near(whole[0], 0.4) && near(whole[1], -0.2), "{whole:?}");
    let (half, half_lufs) = heard_at(50, 0.0);
    assert!(near(half[0], 0.2) && near(half[1], -0.1), "{half:?}");
    let (lowered, lowered_lufs) = heard_at(100, -6.0206);
    assert!(near(lowered[0], 0.2) && near(lowered[1], -0.1), "{lowered:?}");
    for quieter in [half_lufs, lowered_lufs] {
        let by = whole_lufs.unwrap() - quieter.unwrap();
        assert!((by - 6.02).abs() < 0.2, "quieter by {by} LU");
    }
}

#[test]
fn other_rates_keep_their_length() {
    for (n, rate) in [8_000, 22_050, 44_100, 96_000].into_iter().enumerate() {
        let mut rig = Rig::new();
        let file = rig.wav("a.wav", rate, rate as usize, |_| 0.2);
        assert_eq!(rig.preflight(n as u32, vec![file], Span::default()), Ok(Some(Span::secs(1))));
        rig.send_play(n as u32, Cut::Now);
        let (sounded, end) = rig.wait_ended(n as u32);
        assert_eq!((sounded.played, end), (Span::secs(1), End::Whole), "{rate} Hz");
    }
}

#[test]
fn what_is_missing_or_broken_is_said() {
    let mut rig = Rig::new();
    let missing = rig.preflight(1, vec![Sound::File(FileRef::Path("no.wav".into()))], Span::default());
    assert!(matches!(missing, Err(Fault::Missing { .. })), "{missing:?}");
    std::fs::write(rig.folder.path().join("junk.mp3"), [0x55u8; 5_000]).unwrap();
    let junk = rig.preflight(2, vec![Sound::File(FileRef::Path("junk.mp3".into()))], Span::default());
    assert!(matches!(junk, Err(Fault::Damaged { .. })), "{junk:?}");
    rig.send_play(9, Cut::Now);
    assert!(matches!(rig.wait_ended(9).1, End::Failed(Fault::Player { .. })));
}

#[test]
fn a_file_that_breaks_off_ends_as_damaged_after_what_follows_it() {
    let mut rig = Rig::new();
    let file = rig.wav("a.wav", RATE, 480_000, |_| 0.2);
    let path = rig.folder.path().join("a.wav");
    let chime = Sound::Pattern(Pattern::chime());
    rig.preflight(1, vec![file, chime], Span::default()).unwrap();
    // Its length is known: the disk loses half of it.
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(44 + 2 * 240_000).unwrap();
    rig.send_play(1, Cut::Now);
    let (sounded, end) = rig.wait_ended(1);
    assert!(matches!(end, End::Failed(Fault::Damaged { .. })), "{end:?}");
    assert_eq!(sounded.due, Some(Span::millis(11_200)));
    assert_eq!(sounded.played, Span::millis(6_200));
}

#[test]
fn a_short_play_is_ending_as_soon_as_it_starts() {
    let mut rig = Rig::new();
    let beep = Tone { from_hz: 800.0, to_hz: 800.0, ms: 40, gap_ms: 0 };
    let pattern = Sound::Pattern(Pattern { tones: vec![beep], repeats: 1 });
    rig.preflight(1, vec![pattern], Span::default()).unwrap();
    rig.send_play(1, Cut::AtEnd);
    let (sounded, end) = rig.wait_ended(1);
    assert_eq!((sounded.played, end, sounded.loudness_lufs), (Span::millis(40), End::Whole, None));
}
