//! Plays that keep to a clock which other boxes share.

use super::super::*;
use super::rig::*;
use loaxa_sound::{Frame, RATE};

#[test]
fn a_play_enters_by_the_clock() {
    let mut rig = Rig::new();
    let file = rig.wav("a.wav", RATE, 4_800, |_| 0.4);
    rig.preflight(1, vec![file], Span::default()).unwrap();
    rig.crank_frames(BUFFER);
    let begin = Moment(rig.at.0 - span_of(rig.heard.len() as u64).0);
    let moment = rig.ahead(Span(777_000));
    rig.order_play(1, Cut::At { moment, shared: None });
    rig.wait_ended(1);
    rig.crank_frames(BUFFER);
    let first = first_sound(&rig.left_side()) as u64;
    let due = frames_in(moment.since(begin));
    assert!(first.abs_diff(due) <= 2, "frame {first}, due {due}");
}

/// Seconds of each play on a device that is 300 ppm slow: uncorrected, a play is 6 ms late at its end.
const SLOW_S: usize = 20;

/// The first of two plays by the shared clock on a slow device, until the player says that it is ending.
fn first_on_a_slow_device() -> Rig {
    let mut rig = Rig::new();
    rig.must_hear_ending = true;
    rig.late = Span(3);
    rig.player().set_clock(Some(0));
    let file = rig.wav("a.wav", RATE, SLOW_S * RATE as usize, |_| 0.3);
    rig.preflight(1, vec![file.clone()], Span::default()).unwrap();
    rig.preflight(2, vec![file], Span::default()).unwrap();
    rig.crank_frames(BUFFER);
    let moment = rig.ahead(Span::millis(100));
    rig.order_play(1, Cut::At { moment, shared: Some(Wall(moment.0 as i64)) });
    rig.wait(|event| matches!(event, PlayerEvent::Ending { .. }));
    rig
}

/// By how much sound the device is still late at the end of so many plays, in microseconds.
fn late_us(heard: &[Frame], plays: usize) -> i64 {
    let frames = heard.iter().filter(|frame| frame[0] > 0.1).count() as i64;
    let due = (plays * SLOW_S) as i64 * i64::from(RATE);
    let lacking_us = (due - frames) * 1_000_000 / i64::from(RATE);
    300 * (plays * SLOW_S) as i64 - lacking_us
}

#[test]
fn plays_keep_to_the_shared_clock_on_a_slow_device() {
    let mut rig = first_on_a_slow_device();
    rig.order_play(2, Cut::AtEnd);
    assert_eq!(rig.wait_ended(2).1, End::Whole);
    let off_us = late_us(&rig.heard, 2);
    assert!(off_us.abs() < 1_500, "{off_us} us late after {} s", 2 * SLOW_S);
}

#[test]
fn a_play_that_follows_too_late_keeps_its_distance_and_what_was_learnt() {
    let mut rig = first_on_a_slow_device();
    rig.wait_ended(1);
    // Half a second of silence: more than is drawn in.
    rig.crank_frames(RATE as usize / 2);
    let before = rig.heard.len();
    rig.order_play(2, Cut::AtEnd);
    assert_eq!(rig.wait_ended(2).1, End::Whole);
    let off_us = late_us(&rig.heard[before..], 1);
    // A play that begins as if nothing was known is 1,580 to 1,830 us late, one that keeps to no clock 6,000.
    assert!(off_us.abs() < 1_450, "{off_us} us late");
}
