//! Scenes of slots: their items, lateness, hard ends, power cuts, and clocks that are wrong.

use super::scene::{PROGRAMME, Scene, local, planned, timetable, timetable_of};
use crate::decide::speaker::interface::Input;
use crate::domain::announcement::{BulletinClass, Mode};
use crate::domain::playback::{DeliveryStep, Entry, Event, NotPlayed};
use crate::domain::sound::Fault;
use crate::domain::time::{ClockQuality, Span, Wall};

#[test]
fn a_morning_sounds_without_gaps() {
    let mut scene = Scene::at("2026-11-21 04:59:00", "");
    scene.run(600);
    scene.check(&[
        "talk starts",
        "music starts",
        "finished after 60 s",
        "farm starts",
        "finished after 60 s",
        "finished after 60 s",
        "slot aired 3, not 0",
    ]);
    let heard = scene.world.take_heard();
    assert!(heard.windows(2).all(|pair| pair[0].to == pair[1].from), "{heard:?}");
}

#[test]
fn the_first_sample_sounds_at_the_instant() {
    let mut scene = Scene::at("2026-11-21 04:50:00", "");
    scene.run(720);
    let started = scene.log().iter().find_map(|entry| match &entry.event {
        Event::PlayEnded(end) => end.started_at,
        _ => None,
    });
    assert_eq!(started.unwrap().wall, local("2026-11-21 05:00:00"));
}

#[test]
fn a_mistyped_hour_stays_silent() {
    let mut scene = Scene::at(
        "2026-11-21 03:00:00",
        "[[slot]]\nid = \"dem\"\ntitle = \"Đêm\"\nstart = \"03:15\"\nend = \"03:30\"\nplaylist = \"sang\"\n",
    );
    scene.push(BulletinClass::Priority, planned(|plan| plan.at = Some(local("2026-11-21 03:15:00"))));
    scene.run(3_600);
    scene.check(&[
        "slot not aired: Guarded { reason: OutsideHours }",
        "Priority not played: Guarded { reason: OutsideHours }",
    ]);
    scene.push_as(BulletinClass::Emergency, Mode::Exercise, |_| {});
    let storm = scene.push(BulletinClass::Emergency, |_| {});
    scene.run(60);
    assert_eq!(scene.steps(&storm).last(), Some(&DeliveryStep::Finished));
    assert_eq!(scene.story()[2], "Emergency not played: Guarded { reason: ExerciseAtNight }");
}

#[test]
fn lateness_is_obeyed_after_a_power_cut() {
    let cases =
        [("join", "music starts at 15 s"), ("shift", "talk starts"), ("skip", "slot not aired: Late")];
    for (policy, expected) in cases {
        let mut scene = Scene::at("2026-11-21 05:01:15", &format!("lateness = \"{policy}\"\n"));
        scene.run(1);
        assert_eq!(scene.story(), [expected], "{policy}");
    }
}

#[test]
fn a_power_cut_in_a_play_is_closed_and_gone_on_with() {
    let mut scene = Scene::at("2026-11-21 05:00:00", "lateness = \"shift\"\n");
    scene.run(85);
    scene.world.power_off();
    scene.run(20);
    scene.world.power_on();
    scene.run(300);
    scene.check(&[
        "talk starts",
        "music starts",
        "finished after 60 s",
        "PowerLost after 20 s",
        "music starts at 20 s",
        "farm starts",
        "finished after 40 s",
        "finished after 60 s",
        "slot aired 3, not 0",
    ]);
}

#[test]
fn a_missed_slot_is_told_and_not_replayed() {
    let mut scene = Scene::at("2026-11-20 12:00:00", "");
    scene.run(60);
    scene.world.power_off();
    scene.run(86_400);
    scene.world.power_on();
    scene.run(60);
    scene.check(&["slot not aired: Missed"]);
}

#[test]
fn steps_of_the_clock_replay_nothing_and_hide_nothing() {
    let mut scene = Scene::at("2026-11-21 04:30:00", "");
    scene.run(60);
    scene.world.set_clock(local("2026-11-21 12:00:00"), ClockQuality::Synced);
    scene.run(60);
    scene.check(&["slot not aired: Missed"]);
    // The clock was wrong: the slot is still to come, and it comes.
    scene.world.set_clock(local("2026-11-21 04:32:00"), ClockQuality::Synced);
    scene.run(3_600);
    assert_eq!(scene.story().last().unwrap(), "slot aired 3, not 0");
    let told = scene.story().len();
    scene.world.set_clock(local("2026-11-21 04:59:00"), ClockQuality::Synced);
    scene.run(3_600);
    assert_eq!(scene.story().len(), told, "it has sounded and does not sound again");
}

#[test]
fn a_clock_that_is_wrong_for_seconds_writes_off_nothing() {
    let mut scene = Scene::at("2026-11-20 12:00:00", "");
    scene.run(60);
    for wrong in ["2099-06-01 12:00:00", "1970-06-01 12:00:00", "2025-11-20 12:00:00"] {
        scene.world.set_clock(local(wrong), ClockQuality::Synced);
        scene.run(25);
        scene.world.set_clock(local("2026-11-20 12:10:00"), ClockQuality::Synced);
        scene.run(300);
        scene.check(&[]);
    }
    // Nothing is hidden either: what was missed in a month without power is told once the clock has proved steady.
    scene.world.power_off();
    scene.run(30 * 86_400);
    scene.world.power_on();
    scene.run(60);
    scene.check(&[]);
    scene.run(70);
    scene.check(&["slot not aired: Missed"; 30]);
}

#[test]
fn a_slot_on_the_air_outlives_a_clock_that_is_far_ahead_for_seconds() {
    let mut scene = Scene::at("2026-11-21 04:59:00", "");
    scene.run(90);
    let before = scene.world.now().wall;
    scene.world.set_clock(local("2099-06-01 05:00:30"), ClockQuality::Synced);
    scene.run(25);
    scene.world.set_clock(before.plus(Span::secs(25)), ClockQuality::Synced);
    scene.run(3_600);
    assert_eq!(scene.story().last().unwrap(), "slot aired 3, not 0");
}

#[test]
fn without_a_clock_nothing_scheduled_sounds() {
    let mut scene = Scene::at("2026-11-21 04:00:00", "");
    scene.world.set_clock(Wall(0), ClockQuality::None);
    scene.run(7_200);
    scene.check(&[]);
    scene.world.set_clock(local("2026-11-21 06:00:00"), ClockQuality::Synced);
    scene.run(1);
    scene.check(&["slot not aired: Missed"]);
}

#[test]
fn a_missing_item_is_told_and_the_next_one_sounds() {
    let mut scene = Scene::at(
        "2026-11-21 06:59:59",
        "[[playlist]]\nid = \"hong\"\ntitle = \"Hỏng\"\n[[playlist.item]]\ntitle = \"gone\"\nfile = \"missing.mp3\"\n\
         [[playlist.item]]\ntitle = \"there\"\nfile = \"there.mp3\"\n[[slot]]\nid = \"hong\"\ntitle = \"Hỏng\"\n\
         start = \"07:00\"\nend = \"07:30\"\nplaylist = \"hong\"\n",
    );
    scene.run(120);
    let reason = NotPlayed::Unplayable { reason: Fault::Missing { what: "missing.mp3".to_owned() } };
    let gone = format!("gone not played: {reason:?}");
    scene.check(
        &["slot not aired: Missed", &gone, "there starts", "finished after 60 s", "slot aired 1, not 1"][1..],
    );
}

#[test]
fn a_lost_device_is_told_and_the_item_goes_on() {
    let mut scene = Scene::at("2026-11-21 05:00:00", "");
    scene.run(20);
    scene.world.player(|player, now| player.lose_device(now));
    scene.run(5);
    scene.world.player(|player, now| player.find_device(now));
    scene.run(10);
    let story = scene.story();
    assert_eq!(story[0], "talk starts");
    assert!(story[1].starts_with("Failed"), "{story:?}");
    assert_eq!(story[2], "talk starts at 20 s");
}

#[test]
fn a_slot_never_runs_past_its_hard_end() {
    let mut scene = Scene::at("2026-11-21 05:08:00", "lateness = \"shift\"\n");
    scene.run(3_600);
    scene.check(&[
        "talk starts",
        "music starts",
        "finished after 60 s",
        "HardEnd after 60 s",
        "farm not played: NoRoom",
        "slot aired 1, not 1",
    ]);
}

#[test]
fn a_slot_keeps_its_hard_end_by_a_clock_that_gains_little_by_little() {
    let mut scene = Scene::at("2026-11-21 05:00:00", "lateness = \"shift\"\n");
    scene.run(5 * 60);
    for _ in 0..3 {
        let now = scene.world.now();
        scene.world.set_clock(now.wall.plus(Span::millis(1_300)), now.quality);
        scene.run(20);
    }
    let end = scene.world.speaker().and_then(|speaker| speaker.running.as_ref()).map(|running| {
        let now = scene.world.now();
        now.at(running.end_at).wall.since(running.session.end)
    });
    assert_eq!(end, Some(Span(0)));
}

/// Two items in rotation, again and again for two minutes and a half.
const TURNS: &str = r#"
[[playlist]]
id = "luan-phien"
title = "Luân phiên"
[[playlist.item]]
title = "one"
file = "one.mp3"
[[playlist.item]]
title = "two"
file = "two.mp3"
[[slot]]
id = "luan-phien"
title = "Luân phiên"
start = "11:00:00"
end = "11:02:30"
playlist = "luan-phien"
order = "rotating"
fill = "loop"
"#;

#[test]
fn a_rotation_that_goes_round_begins_the_next_day_after_its_last_item() {
    let mut scene = Scene::at("2026-11-21 10:59:00", TURNS);
    scene.run(86_400 + 600);
    let is_item = |line: &String| ["one starts", "two starts"].contains(&line.as_str());
    let starts: Vec<_> = scene.story().into_iter().filter(is_item).collect();
    let expected = ["one starts", "two starts", "one starts", "two starts", "one starts", "two starts"];
    assert_eq!(starts, expected);
}

#[test]
fn a_slot_in_which_nothing_could_be_played_was_not_aired() {
    let reason = NotPlayed::Unplayable { reason: Fault::Missing { what: "missing.mp3".to_owned() } };
    let (gone, ended) = (format!("gone not played: {reason:?}"), format!("slot not aired: {reason:?}"));
    for fill in ["once", "loop"] {
        let mut scene = Scene::at(
            "2026-11-21 06:59:59",
            &format!(
                "[[playlist]]\nid = \"hong\"\ntitle = \"Hỏng\"\n[[playlist.item]]\ntitle = \"gone\"\n\
                 file = \"missing.mp3\"\n[[slot]]\nid = \"hong\"\ntitle = \"Hỏng\"\nstart = \"07:00\"\n\
                 end = \"07:30\"\nplaylist = \"hong\"\nfill = \"{fill}\"\n"
            ),
        );
        scene.run(3_600);
        scene.check(&[&gone, &ended]);
    }
}

#[test]
fn sessions_are_forgotten_after_two_months_by_a_clock_that_is_sure_and_kept_longer_by_another() {
    for (quality, at_most, at_least) in [(ClockQuality::Synced, 64, 60), (ClockQuality::Floor, 81, 79)] {
        let mut scene = Scene::at("2026-08-21 06:00:00", "");
        scene.world.set_clock(scene.world.now().wall, quality);
        scene.run(80 * 86_400);
        let sessions = scene.world.memory().sessions.len();
        assert!((at_least..=at_most).contains(&sessions), "{quality:?}: {sessions}");
    }
}

/// Half an hour at noon, opened and closed by a chime, with one item.
const FRAMED: &str = r#"
[[playlist]]
id = "trua"
title = "Trưa"
[[playlist.item]]
title = "item"
file = "FILE"
[[slot]]
id = "trua"
title = "Trưa"
start = "11:00"
end = "11:30"
playlist = "trua"
opening = "chime"
closing = "chime"
"#;

#[test]
fn chimes_frame_a_slot_and_are_no_item_of_it() {
    let mut scene = Scene::at("2026-11-21 10:59:00", &FRAMED.replace("FILE", "item.mp3"));
    scene.run(600);
    assert_eq!(scene.world.take_heard().len(), 3, "{:?}", scene.story());
    assert_eq!(scene.story().last().unwrap(), "slot aired 1, not 0");
    let mut scene = Scene::at("2026-11-21 10:59:00", &FRAMED.replace("FILE", "missing.mp3"));
    scene.run(3_600);
    assert_eq!(scene.world.take_heard().len(), 2, "{:?}", scene.story());
    let last = scene.story().pop().unwrap();
    assert!(last.starts_with("slot not aired: Unplayable"), "{last}");
}

#[test]
fn lateness_is_counted_from_its_bound_on() {
    for (change, at, expected) in [
        ("lateness = \"join\"\n", "05:00:05", "talk starts"),
        ("lateness = \"join\"\n", "05:00:06", "talk starts at 6 s"),
        ("lateness = \"shift\"\nstart_within_s = 30\n", "05:00:30", "talk starts"),
        ("lateness = \"shift\"\nstart_within_s = 30\n", "05:00:31", "slot not aired: Late"),
        ("lateness = \"shift\"\nstart_within_s = 1\n", "05:00:05", "talk starts"),
        ("lateness = \"skip\"\n", "05:01:00", "talk starts"),
        ("lateness = \"skip\"\n", "05:01:01", "slot not aired: Late"),
    ] {
        let mut scene = Scene::at(&format!("2026-11-21 {at}"), change);
        scene.run(1);
        assert_eq!(scene.story(), [expected], "{change:?} at {at}");
    }
}

/// The programme of a village, whose slot waits for the commune's.
const WAITING: &str = r#"
[programme]
id = "thon"
version = 1
title = "Thôn"
group = "xa"
[[playlist]]
id = "sau"
title = "Sau"
[[playlist.item]]
title = "later"
file = "later.mp3"
[[slot]]
id = "sau"
title = "Sau"
start = "05:05"
end = "END"
playlist = "sau"
lateness = "shift"
"#;

/// Switches a box on a minute before the morning, whose village's slot ends at this time.
fn with_a_village(end: &str) -> Scene {
    let mut scene = Scene::at("2026-11-21 04:59:00", "");
    let texts = [PROGRAMME.to_owned(), WAITING.replace("END", end)];
    scene.world.input(Input::Timetable(timetable_of(&texts)));
    scene
}

#[test]
fn a_slot_that_waited_for_another_until_its_own_end_was_kept_from_the_air_by_it() {
    let mut scene = with_a_village("05:10");
    scene.run(1_200);
    assert_eq!(scene.story().last().unwrap(), "slot not aired: PreEmpted { by: Programme }");
    let mut scene = with_a_village("05:20");
    scene.run(1_200);
    assert_eq!(scene.story().last().unwrap(), "slot aired 1, not 0");
}

#[test]
fn a_slot_that_waits_for_another_outlives_a_clock_that_is_far_ahead_for_seconds() {
    let mut scene = with_a_village("05:20");
    scene.run(7 * 60);
    let before = scene.world.now().wall;
    scene.world.set_clock(local("2099-06-01 05:00:30"), ClockQuality::Synced);
    scene.run(25);
    scene.world.set_clock(before.plus(Span::secs(25)), ClockQuality::Synced);
    scene.run(1_200);
    let slots: Vec<_> = scene.story().into_iter().filter(|line| line.starts_with("slot")).collect();
    assert_eq!(slots, ["slot aired 3, not 0", "slot aired 1, not 0"]);
}

#[test]
fn what_a_new_programme_had_planned_before_it_came_is_not_missed() {
    let mut scene = Scene::at("2026-11-21 04:59:00", "");
    scene.run(7 * 3_600);
    scene.world.input(Input::Timetable(timetable(&FRAMED.replace("FILE", "item.mp3"))));
    scene.run(3_600);
    let slots: Vec<_> = scene.story().into_iter().filter(|line| line.starts_with("slot")).collect();
    assert_eq!(slots, ["slot aired 3, not 0"]);
}

#[test]
fn an_orderly_end_is_the_last_entry() {
    let mut scene = Scene::at("2026-11-21 05:00:00", "");
    scene.run(30);
    scene.world.input(Input::Shutdown);
    scene.run(5);
    assert_eq!(scene.story().last().unwrap(), "Stopped after 30 s");
    let stops = |entry: &&Entry| entry.event == Event::BoxStopped;
    assert_eq!(scene.log().iter().filter(stops).count(), 1);
    assert_eq!(scene.log().last().map(|entry| &entry.event), Some(&Event::BoxStopped));
}
