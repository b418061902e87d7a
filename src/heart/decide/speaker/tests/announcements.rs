//! Scenes of announcements: classes, repetitions, updates, cancels, audio on its way, the live voice.

use super::scene::{Scene, live, local, planned, replacing, sources, until_cancelled, with_audio};
use crate::decide::speaker::interface::Input;
use crate::domain::announcement::{BulletinClass, Interruption, Repeats, Words};
use crate::domain::ids::ContentHash;
use crate::domain::playback::DeliveryStep;
use crate::domain::sound::{Fault, Pattern, Sound};
use crate::domain::time::{ClockQuality, Span};
use crate::wire::messages::{Body, Command};

#[test]
fn an_emergency_interrupts_and_the_item_goes_on() {
    let mut scene = Scene::at("2026-11-21 04:59:59", "");
    scene.run(31);
    let storm = scene.push(BulletinClass::Emergency, |_| {});
    scene.run(600);
    scene.check(&[
        "talk starts",
        "Emergency starts",
        "interrupted by Emergency after 30 s",
        "talk starts at 30 s",
        "finished after 10 s",
        "music starts",
        "finished after 30 s",
        "farm starts",
        "finished after 60 s",
        "finished after 60 s",
        "slot aired 3, not 0",
    ]);
    use DeliveryStep::*;
    assert_eq!(scene.steps(&storm), [Received, Started, Finished]);
}

#[test]
fn repetitions_keep_the_air_through_their_gaps() {
    let mut scene = Scene::at("2026-11-21 05:00:00", "");
    scene.run(10);
    scene.push(BulletinClass::Emergency, planned(|plan| plan.repeats = Repeats::Times(2)));
    scene.run(40);
    scene.check(&[
        "talk starts",
        "Emergency starts",
        "interrupted by Emergency after 10 s",
        "finished after 10 s",
        "Emergency starts",
        "talk starts at 10 s",
        "finished after 10 s",
    ]);
}

#[test]
fn priority_waits_for_the_boundary_and_normal_for_room() {
    let mut scene = Scene::at("2026-11-21 05:00:00", "");
    scene.run(30);
    scene.push(BulletinClass::Normal, |_| {});
    scene.push(BulletinClass::Priority, |_| {});
    scene.run(90);
    scene.check(&[
        "talk starts",
        "Priority starts",
        "finished after 60 s",
        "Normal starts",
        "finished after 10 s",
        "music starts",
        "finished after 10 s",
    ]);
}

#[test]
fn a_normal_announcement_outside_a_slot_waits() {
    let mut scene = Scene::at("2026-11-21 04:50:00", "");
    scene.push(BulletinClass::Normal, |_| {});
    scene.run(9 * 60);
    scene.check(&[]);
    scene.run(130);
    assert_eq!(scene.story()[1], "Normal starts");
}

#[test]
fn cancelled_stays_cancelled() {
    let mut scene = Scene::at("2026-11-21 06:00:00", "");
    let siren = scene.push(BulletinClass::Emergency, until_cancelled);
    scene.run(18);
    let of = Some(siren.clone());
    scene.send(Body::Cancel { of }, |_| {});
    scene.run(60);
    scene.world.power_off();
    scene.world.power_on();
    scene.run(3_600);
    scene.check(&["Emergency starts", "finished after 10 s", "Emergency starts", "Cancelled after 3 s"]);
    use DeliveryStep::*;
    assert_eq!(scene.steps(&siren), [Received, Started, Cancelled]);
}

#[test]
fn a_cancel_that_overtakes_its_announcement_still_counts() {
    let mut scene = Scene::at("2026-11-21 06:00:00", "");
    scene.send(Body::Cancel { of: Some("c2".parse().unwrap()) }, |_| {});
    let siren = scene.push(BulletinClass::Emergency, |_| {});
    scene.run(60);
    scene.check(&[]);
    assert_eq!(scene.steps(&siren), [DeliveryStep::Cancelled]);
}

#[test]
fn an_update_does_not_shorten_the_memory_of_a_cancel() {
    // Found by the simulation's seed 392.
    let mut scene = Scene::at("2026-11-21 06:00:00", "");
    let late = |command: &mut Command| command.expires = command.not_before.plus(Span::secs(20 * 3_600));
    scene.send(Body::Cancel { of: Some("c3".parse().unwrap()) }, late);
    scene.push(BulletinClass::Priority, replacing(&"c3".parse().unwrap()));
    scene.run(5 * 3_600);
    scene.push(BulletinClass::Priority, late);
    scene.run(60);
    let sounded = scene.story().iter().filter(|line| line.starts_with("Priority starts")).count();
    assert_eq!(sounded, 1, "{:?}", scene.story());
}

#[test]
fn an_update_replaces_what_sounds() {
    let mut scene = Scene::at("2026-11-21 06:00:00", "");
    let old = scene.push(BulletinClass::Emergency, |_| {});
    scene.run(4);
    let new = scene.push(BulletinClass::Emergency, replacing(&"c1".parse().unwrap()));
    scene.run(60);
    assert_eq!(scene.steps(&old).last(), Some(&DeliveryStep::Superseded));
    assert_eq!(scene.steps(&new).last(), Some(&DeliveryStep::Finished));
    scene.check(&["Emergency starts", "Superseded after 4 s", "Emergency starts", "finished after 10 s"]);
}

#[test]
fn missing_audio_falls_back_to_words_then_to_the_siren() {
    let mut scene = Scene::at("2026-11-21 06:00:00", "");
    let saying = |text: &'static str| {
        move |command: &mut Command| {
            with_audio("storm")(command);
            if let Body::Announce { words, .. } = &mut command.body {
                *words = Some(Words { text: text.to_owned(), language: "vi".to_owned() });
            }
        }
    };
    scene.push(BulletinClass::Emergency, saying("nước lên"));
    scene.run(60);
    scene.push(BulletinClass::Emergency, saying("unspeakable"));
    scene.run(120);
    assert_eq!(sources(&mut scene), ["speech", "siren"]);
    // A priority announcement has time to wait for its audio.
    let sha256 = ContentHash::of(b"storm");
    scene.push(BulletinClass::Priority, saying("tin"));
    scene.run(60);
    assert_eq!(sources(&mut scene).len(), 2);
    scene.world.input(Input::Fetched { sha256, result: Ok(()) });
    scene.run(1);
    assert_eq!(sources(&mut scene)[2], "storm");
}

#[test]
fn an_emergency_waits_a_moment_for_audio_that_is_on_its_way() {
    let mut scene = Scene::at("2026-11-21 06:00:00", "");
    let sha256 = ContentHash::of(b"storm");
    scene.push(BulletinClass::Emergency, with_audio("storm"));
    scene.run(3);
    assert!(sources(&mut scene).is_empty());
    scene.world.input(Input::Fetched { sha256, result: Ok(()) });
    scene.run(2);
    assert_eq!(sources(&mut scene), ["storm"]);
}

#[test]
fn nested_interruptions_unwind() {
    let mut scene = Scene::at("2026-11-21 05:00:00", "");
    scene.run(55);
    scene.push(BulletinClass::Priority, planned(|plan| plan.interruption = Interruption::Resume));
    scene.run(10);
    scene.push(BulletinClass::Emergency, |_| {});
    scene.run(60);
    scene.check(&[
        "talk starts",
        "Priority starts",
        "finished after 60 s",
        "Emergency starts",
        "interrupted by Emergency after 5 s",
        "Priority starts at 5 s",
        "finished after 10 s",
        "music starts",
        "finished after 5 s",
    ]);
}

#[test]
fn a_live_voice_takes_the_air_and_gives_it_back() {
    let mut scene = Scene::at("2026-11-21 05:00:00", "");
    scene.run(20);
    scene.send(live(true), |_| {});
    scene.run(30);
    scene.send(live(false), |_| {});
    scene.run(10);
    scene.check(
        &[
            "talk starts",
            "Phát trực tiếp starts",
            "interrupted by Live after 20 s",
            "Finished after 30 s",
            "talk starts at 20 s",
        ]
        .map(|line| if line == "Finished after 30 s" { "finished after 30 s" } else { line }),
    );
}

#[test]
fn an_announcement_goes_on_after_a_power_cut_and_begins_once() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    let id = scene.push(BulletinClass::Priority, |command| {
        with_audio("notice")(command);
        planned(|plan| plan.interruption = Interruption::Resume)(command);
    });
    scene.world.input(Input::Fetched { sha256: ContentHash::of(b"notice"), result: Ok(()) });
    scene.run(35);
    scene.restart();
    scene.run(120);
    let sounded: Span =
        scene.world.take_heard().iter().fold(Span(0), |all, one| all + one.to.since(one.from));
    assert!((60_000..71_000).contains(&sounded.as_millis()), "{sounded:?}: {:?}", scene.story());
    let begun = scene.steps(&id).iter().filter(|step| **step == DeliveryStep::Started).count();
    assert_eq!(begun, 1, "{:?}", scene.steps(&id));
}

#[test]
fn of_two_at_a_chosen_time_only_the_urgent_one_breaks_into_an_item() {
    let at = |class| {
        let mut scene = Scene::at("2026-11-21 04:59:50", "");
        scene.push(class, planned(|plan| plan.at = Some(local("2026-11-21 05:00:30"))));
        scene.run(600);
        scene.story()
    };
    assert_eq!(at(BulletinClass::Priority)[1..3], ["Priority starts", "interrupted by Priority after 30 s"]);
    let normal = at(BulletinClass::Normal);
    assert!(normal.iter().any(|line| line == "Normal starts"), "{normal:?}");
    assert!(!normal.iter().any(|line| line.starts_with("interrupted")), "{normal:?}");
}

#[test]
fn a_short_gap_keeps_the_air_and_a_long_one_gives_it_to_the_programme() {
    for (gap_s, between) in [(60, false), (61, true)] {
        let mut scene = Scene::at("2026-11-21 04:59:40", "lateness = \"shift\"\n");
        scene.push(BulletinClass::Priority, |command| {
            planned(|plan| (plan.repeats, plan.gap_s) = (Repeats::Times(2), gap_s))(command);
        });
        scene.run(300);
        let story = scene.story();
        let second = story.iter().rposition(|line| line == "Priority starts").unwrap();
        let programme = story[..second].iter().any(|line| line == "talk starts");
        assert_eq!(programme, between, "{gap_s} s: {story:?}");
    }
}

#[test]
fn what_is_over_does_not_come_back_with_the_next_start_and_missing_audio_is_fetched_again() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    scene.push(BulletinClass::Priority, |_| {});
    scene.run(60);
    scene.push(BulletinClass::Priority, with_audio("notice"));
    assert_eq!(scene.world.take_heard().len(), 1);
    let fetched =
        |scene: &mut Scene| scene.world.take_fetches().into_iter().map(|(hash, _)| hash).collect::<Vec<_>>();
    assert_eq!(fetched(&mut scene), [ContentHash::of(b"notice")]);
    scene.restart();
    assert_eq!(fetched(&mut scene), [ContentHash::of(b"notice")]);
    scene.world.input(Input::Fetched { sha256: ContentHash::of(b"notice"), result: Ok(()) });
    scene.restart();
    scene.run(120);
    assert_eq!(fetched(&mut scene), []);
    assert_eq!(scene.world.take_heard().len(), 1, "{:?}", scene.story());
}

#[test]
fn what_was_to_follow_and_is_cancelled_leaves_the_air_to_what_sounds() {
    let mut scene = Scene::at("2026-11-21 05:00:00", "");
    scene.run(30);
    let id = scene.push(BulletinClass::Priority, |_| {});
    while !scene.story().contains(&"Priority starts".to_owned()) {
        scene.world.run_for(Span::millis(100));
    }
    scene.send(Body::Cancel { of: Some(id) }, |_| {});
    scene.world.run_for(Span::millis(50));
    scene.push(BulletinClass::Emergency, |_| {});
    scene.run(30);
    let story = scene.story();
    let sounded = story.iter().filter(|line| line.starts_with("Priority starts")).count();
    assert_eq!(sounded, 1, "{story:?}");
    for line in ["Cancelled after 0 s", "interrupted by Emergency after 60 s", "Emergency starts"] {
        assert!(story.iter().any(|told| told == line), "{line}: {story:?}");
    }
}

#[test]
fn a_gap_keeps_the_air_from_what_is_lesser_and_not_from_its_equals() {
    for (class, expected) in [(BulletinClass::Priority, 1), (BulletinClass::Normal, 0)] {
        let mut scene = Scene::at("2026-11-21 08:00:00", "");
        scene.push(
            BulletinClass::Priority,
            planned(|plan| (plan.repeats, plan.gap_s) = (Repeats::Times(2), 60)),
        );
        scene.run(15);
        assert_eq!(scene.world.take_heard().len(), 1);
        scene.push(class, planned(|plan| plan.at = Some(local("2026-11-21 08:00:20"))));
        scene.run(45);
        assert_eq!(scene.world.take_heard().len(), expected, "{class:?}: {:?}", scene.story());
    }
}

#[test]
fn a_repetition_begins_at_the_beginning_where_the_one_before_was_gone_on_with() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    scene.push(
        BulletinClass::Priority,
        planned(|plan| {
            (plan.repeats, plan.gap_s, plan.interruption) = (Repeats::Times(2), 5, Interruption::Resume);
        }),
    );
    scene.run(6);
    scene.push(BulletinClass::Emergency, |_| {});
    scene.run(90);
    scene.check(&[
        "Priority starts",
        "Emergency starts",
        "interrupted by Emergency after 6 s",
        "Priority starts at 6 s",
        "finished after 10 s",
        "finished after 4 s",
        "Priority starts",
        "finished after 10 s",
    ]);
}

#[test]
fn audio_that_came_after_all_is_used_for_the_repetitions_to_come() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    scene.push(BulletinClass::Priority, |command| {
        with_audio("notice")(command);
        planned(|plan| plan.repeats = Repeats::Times(2))(command);
    });
    let sha256 = ContentHash::of(b"notice");
    let fault = Fault::Missing { what: "notice".to_owned() };
    scene.world.input(Input::Fetched { sha256, result: Err(fault) });
    scene.run(5);
    scene.world.input(Input::Fetched { sha256, result: Ok(()) });
    scene.run(60);
    assert_eq!(sources(&mut scene), ["speech", "notice"]);
}

#[test]
fn audio_that_is_there_is_said_to_be_once() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    let id = scene.push(BulletinClass::Priority, |command| {
        with_audio("notice")(command);
        planned(|plan| plan.at = Some(local("2026-11-21 09:00:00")))(command);
    });
    scene.world.input(Input::Fetched { sha256: ContentHash::of(b"notice"), result: Ok(()) });
    scene.restart();
    scene.run(10);
    assert_eq!(scene.steps(&id), [DeliveryStep::Received, DeliveryStep::Staged]);
}

#[test]
fn without_a_known_time_nothing_announced_sounds() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    scene.push(BulletinClass::Emergency, |command| {
        until_cancelled(command);
        planned(|plan| plan.at = Some(local("2026-11-21 08:10:00")))(command);
    });
    scene.run(60);
    scene.world.set_clock(local("2026-11-21 08:15:00"), ClockQuality::None);
    scene.run(120);
    scene.check(&[]);
    scene.world.set_clock(local("2026-11-21 08:15:00"), ClockQuality::Synced);
    scene.run(5);
    scene.check(&["Emergency starts"]);
}

#[test]
fn an_emergency_without_sound_of_its_own_is_three_rounds_of_the_siren() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    scene.push(BulletinClass::Emergency, with_audio("storm"));
    let words = |command: &mut Command| {
        if let Body::Announce { words, .. } = &mut command.body {
            *words = None;
        }
    };
    scene.push(BulletinClass::Emergency, words);
    scene.run(60);
    assert!(
        scene.opened.borrow().contains(&Sound::Pattern(Pattern::siren(3))),
        "{:?}",
        scene.opened.borrow()
    );
}

#[test]
fn what_never_sounded_until_it_expired_has_not_finished() {
    let mut scene = Scene::at("2026-11-21 22:30:00", "");
    let id = scene.push(BulletinClass::Normal, until_cancelled);
    scene.run(7_300);
    let steps = scene.steps(&id);
    assert!(!steps.contains(&DeliveryStep::Finished), "{steps:?}");
    assert!(scene.story().iter().any(|line| line.contains("not played")), "{:?} {steps:?}", scene.story());
}

#[test]
fn audio_that_came_while_its_words_were_interrupted_begins_at_its_beginning() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    scene.push(BulletinClass::Priority, with_audio("notice"));
    let sha256 = ContentHash::of(b"notice");
    let fault = Fault::Missing { what: "notice".to_owned() };
    scene.world.input(Input::Fetched { sha256, result: Err(fault) });
    scene.run(6);
    scene.push(BulletinClass::Emergency, |_| {});
    scene.world.input(Input::Fetched { sha256, result: Ok(()) });
    scene.run(120);
    assert_eq!(sources(&mut scene), ["speech", "speech", "notice"]);
    let starts: Vec<_> = scene.story().into_iter().filter(|line| line.starts_with("Priority")).collect();
    assert_eq!(starts, ["Priority starts", "Priority starts"]);
}

#[test]
fn only_an_emergency_that_is_due_waits_for_the_device() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    let waits = |scene: &Scene| {
        let now = scene.world.now();
        scene.world.speaker().is_some_and(|speaker| speaker.emergency_waits_for_device(&now))
    };
    scene.world.player(|player, now| player.lose_device(now));
    scene.push(BulletinClass::Priority, |_| {});
    scene.run(1);
    assert!(!waits(&scene), "a notice is no emergency");
    scene.push(BulletinClass::Emergency, |_| {});
    scene.run(1);
    assert!(waits(&scene));
    scene.world.player(|player, now| player.find_device(now));
    scene.run(1);
    assert!(!waits(&scene), "the device is back");
}
