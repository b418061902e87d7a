//! Scenes of the rules that a box keeps by itself: hours, minutes, days of rest, levels, gaps, who is addressed, who may
//! still speak.

use chrono::{NaiveTime, Weekday};

use super::scene::{Scene, announce, live, local, planned, until_cancelled, with_audio};
use crate::decide::downloads::Need;
use crate::decide::inbox::tests::everything;
use crate::decide::quotas::Limits;
use crate::decide::simulation::player::{LOUDNESS_LUFS, Level};
use crate::decide::speaker::interface::Input;
use crate::domain::announcement::{BulletinClass, Mode, PlayPlan, Repeats};
use crate::domain::authority::Trust;
use crate::domain::ids::{CommandId, ContentHash, KeyId};
use crate::domain::playback::{DeliveryStep, Entry, Event};
use crate::domain::policy::{Policy, Window};
use crate::domain::sound::{Fault, Pattern, Sound};
use crate::domain::time::{Moment, Span};
use crate::wire::messages::{Body, Command};

fn trust_without(key: &str, version: u32) -> Trust {
    let mut trust = Trust { version, ..everything(&["an", "binh", "dung"]) };
    trust.grants.retain(|grant| grant.holder != key);
    trust
}

/// Returns how long something has sounded since the last look, in seconds.
fn sounded_s(scene: &mut Scene) -> u64 {
    scene.world.take_heard().iter().map(|heard| heard.to.since(heard.from).as_millis()).sum::<u64>() / 1_000
}

fn levels(scene: &mut Scene) -> Vec<Level> {
    scene.world.take_heard().into_iter().map(|heard| heard.level).collect()
}

#[test]
fn an_announcement_ends_where_the_hours_end() {
    let mut scene = Scene::at("2026-11-21 21:29:55", "");
    scene.push(BulletinClass::Priority, |_| {});
    scene.run(60);
    scene.check(&["Priority starts", "Guarded { reason: OutsideHours } after 5 s"]);
}

#[test]
fn a_voice_ends_where_the_hours_end() {
    let mut scene = Scene::at("2026-11-21 21:29:00", "");
    scene.send(live(true), |_| {});
    scene.run(300);
    scene.check(&["Phát trực tiếp starts", "Guarded { reason: OutsideHours } after 60 s"]);
}

#[test]
fn a_slot_ends_where_the_hours_end() {
    let at = |hour, minute| NaiveTime::from_hms_opt(hour, minute, 0).unwrap();
    let allowed = vec![Window { days: Vec::new(), from: at(4, 0), until: at(5, 1) }];
    let policy = Policy { allowed, ..Policy::default() };
    let mut scene = Scene::limited("2026-11-21 04:59:00", "", policy.clone());
    scene.run(600);
    assert_eq!(sounded_s(&mut scene), 60, "{:?}", scene.story());
    let mut scene = Scene::limited("2026-11-21 04:59:00", "", policy);
    scene.run(125);
    assert_eq!(scene.story().last().unwrap(), "slot aired 1, not 1", "what is left is closed at once");
}

#[test]
fn the_minutes_of_a_day_are_counted_over_a_power_cut() {
    let policy = Policy { day_minutes_max: 2, ..Policy::default() };
    for cut_after in [None, Some(30), Some(90)] {
        let mut scene = Scene::limited("2026-11-21 05:00:00", "lateness = \"shift\"\n", policy.clone());
        if let Some(seconds) = cut_after {
            scene.run(seconds);
            scene.restart();
        }
        scene.run(600);
        let sounded = sounded_s(&mut scene);
        // A power cut loses what sounded since the last checkpoint, at most 10 s.
        let most = if cut_after.is_some() { 131 } else { 121 };
        assert!((119..=most).contains(&sounded), "{sounded} s, cut after {cut_after:?}: {:?}", scene.story());
    }
}

#[test]
fn a_date_of_rest_is_one() {
    let rest = |date: &str| Policy { rest_dates: vec![date.parse().unwrap()], ..Policy::default() };
    let mut scene = Scene::limited("2026-11-21 04:59:00", "", rest("2026-11-21"));
    scene.run(600);
    scene.check(&["slot not aired: Guarded { reason: RestDay }"]);
    let mut scene = Scene::limited("2026-11-21 04:59:00", "", rest("2026-11-22"));
    scene.run(600);
    assert_eq!(scene.story().last().unwrap(), "slot aired 3, not 0");
}

#[test]
fn hours_are_those_of_the_weekday() {
    let time = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
    let on = |day| {
        let allowed = vec![Window { days: vec![day], from: time(4), until: time(20) }];
        Policy { allowed, ..Policy::default() }
    };
    // The 21st of November 2026 is a Saturday.
    let mut scene = Scene::limited("2026-11-21 04:59:00", "", on(Weekday::Mon));
    scene.run(600);
    scene.check(&["slot not aired: Guarded { reason: OutsideHours }"]);
    let mut scene = Scene::limited("2026-11-21 04:59:00", "", on(Weekday::Sat));
    scene.run(600);
    assert_eq!(scene.story().last().unwrap(), "slot aired 3, not 0");
}

#[test]
fn nothing_but_an_emergency_is_louder_than_the_zone_and_the_night_allow() {
    let of = |volume_percent| Level { volume_percent, gain_db: 0.0 };
    for (zone, expected) in [(100, 60), (40, 40)] {
        let policy = Policy { volume_zone_percent_max: zone, ..Policy::default() };
        let mut scene = Scene::limited("2026-11-21 05:00:00", "", policy);
        scene.run(30);
        scene.push(BulletinClass::Emergency, |_| {});
        scene.run(30);
        assert_eq!(levels(&mut scene), [of(expected), of(100)]);
        scene.run(600);
        scene.world.take_heard();
        scene.push(BulletinClass::Priority, |_| {});
        scene.run(30);
        scene.send(live(true), |_| {});
        scene.run(5);
        scene.send(live(false), |_| {});
        scene.run(5);
        assert_eq!(levels(&mut scene), [of(expected), of(expected)]);
    }
}

/// One slot in the evening with an item of one minute, and an item in the morning with its own level.
const EVENING: &str = r#"
[[playlist]]
id = "toi"
title = "Tối"
[[playlist.item]]
title = "evening"
file = "evening.mp3"
gain_db = -6.0
[[slot]]
id = "toi"
title = "Tối"
start = "20:59:30"
end = "21:10"
playlist = "toi"
volume_percent = 90
"#;

#[test]
fn a_piece_that_reaches_into_the_night_is_as_quiet_as_the_night_and_keeps_its_own_level() {
    let mut scene = Scene::at("2026-11-21 20:59:00", EVENING);
    scene.run(600);
    assert_eq!(levels(&mut scene), [Level { volume_percent: 60, gain_db: -6.0 }]);
    let mut scene =
        Scene::at("2026-11-21 11:59:00", &EVENING.replace("20:59:30", "12:00").replace("21:10", "12:10"));
    scene.run(600);
    assert_eq!(levels(&mut scene), [Level { volume_percent: 90, gain_db: -6.0 }]);
}

#[test]
fn words_that_take_longer_than_reckoned_are_as_quiet_as_the_night_that_they_reach() {
    let mut loud = 0;
    for second in 0..60 {
        let mut scene = Scene::at(&format!("2026-11-21 20:59:{second:02}"), "");
        scene.send(announce(BulletinClass::Emergency, Mode::Exercise, PlayPlan::default()), |_| {});
        scene.run(60);
        let heard = scene.world.take_heard();
        let ends = heard.last().unwrap().to.since(Moment(0)) + Span::secs(second);
        let level = heard.last().unwrap().level.volume_percent;
        assert!(level == 60 || ends <= Span::secs(60), "{level} % until {ends:?} after 20:59");
        loud += u32::from(level > 60);
    }
    assert!(loud > 20, "what ends before the night is not lowered: {loud}");
}

#[test]
fn the_measured_loudness_is_logged() {
    let mut scene = Scene::at("2026-11-21 04:59:00", "");
    scene.run(120);
    let measured: Vec<_> = scene
        .log()
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::PlayEnded(end) => Some(end.loudness_lufs),
            _ => None,
        })
        .collect();
    assert_eq!(measured, [Some(LOUDNESS_LUFS)]);
}

#[test]
fn an_exercise_says_so_before_and_after() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    let marked = |scene: &Scene| {
        let opened = scene.opened.borrow();
        let says = |sound: &Sound| matches!(sound, Sound::Text { text, .. } if text.contains("diễn tập"));
        let signal = |sound: &Sound| *sound == Sound::Pattern(Pattern::exercise());
        match &opened[..] {
            [first, second, .., before, last] => [signal(first), says(second), says(before), signal(last)]
                .into_iter()
                .filter(|mark| *mark)
                .count(),
            _ => 0,
        }
    };
    scene.push_as(BulletinClass::Emergency, Mode::Exercise, |_| {});
    scene.run(120);
    assert_eq!(marked(&scene), 4, "{:?}", scene.opened.borrow());
    scene.opened.borrow_mut().clear();
    scene.push(BulletinClass::Emergency, |_| {});
    scene.run(120);
    assert_eq!(marked(&scene), 0, "{:?}", scene.opened.borrow());
}

#[test]
fn a_slot_that_is_later_than_it_may_start_does_not_start() {
    for lateness in ["join", "shift", "skip"] {
        let text = format!("lateness = \"{lateness}\"\nstart_within_s = 30\n");
        let mut scene = Scene::at("2026-11-21 05:00:40", &text);
        scene.run(1);
        scene.check(&["slot not aired: Late"]);
        let mut scene = Scene::at("2026-11-21 05:00:20", &text);
        scene.run(1);
        assert!(scene.story()[0].starts_with("talk starts"), "{lateness}: {:?}", scene.story());
    }
}

/// Two items, the second twice with a pause between.
const PAUSED: &str = r#"
[[playlist]]
id = "trua"
title = "Trưa"
[[playlist.item]]
title = "one"
file = "one.mp3"
[[playlist.item]]
title = "two"
file = "two.mp3"
repeats = 2
gap_s = 10
[[slot]]
id = "trua"
title = "Trưa"
start = "11:00"
end = "11:10"
playlist = "trua"
"#;

#[test]
fn pauses_between_repetitions_are_kept() {
    let pause_ms = |scene: &mut Scene| -> Vec<u64> {
        let heard = scene.world.take_heard();
        heard.windows(2).map(|pair| pair[1].from.since(pair[0].to).as_millis()).collect()
    };
    let mut scene = Scene::at("2026-11-21 10:59:00", PAUSED);
    scene.run(600);
    let [0, pause] = pause_ms(&mut scene)[..] else { panic!("{:?}", scene.story()) };
    assert!((9_990..=10_050).contains(&pause), "{pause} ms");
    scene.push(BulletinClass::Priority, planned(|plan| (plan.repeats, plan.gap_s) = (Repeats::Times(2), 90)));
    scene.run(300);
    let [pause] = pause_ms(&mut scene)[..] else { panic!("{:?}", scene.story()) };
    assert!((89_990..=90_050).contains(&pause), "{pause} ms");
}

#[test]
fn what_is_for_others_is_not_for_this_box() {
    let mut trust = everything(&["an", "binh"]);
    trust.nesting = [
        ("thon-1".parse().unwrap(), "xa".parse().unwrap()),
        ("thon-2".parse().unwrap(), "xa".parse().unwrap()),
    ]
    .into();
    let mut scene = Scene::under("2026-11-21 08:00:00", trust, &["xa", "thon-1"]);
    scene.push(BulletinClass::Emergency, |command| command.groups = vec!["thon-2".parse().unwrap()]);
    scene.run(30);
    assert!(!scene.story().iter().any(|line| line.contains("starts")), "{:?}", scene.story());
    scene.push(BulletinClass::Emergency, |command| {
        command.groups = vec!["thon-2".parse().unwrap(), "thon-1".parse().unwrap()];
    });
    scene.run(30);
    assert!(scene.story().contains(&"Emergency starts".to_owned()), "{:?}", scene.story());
}

#[test]
fn of_two_emergencies_that_wait_the_higher_level_sounds_first() {
    let mut trust = everything(&["an", "binh", "chi", "dung"]);
    for grant in &mut trust.grants[2..] {
        grant.level = 2;
    }
    let mut scene = Scene::under("2026-11-21 08:00:00", trust, &["xa"]);
    let called = |title: &'static str| {
        move |command: &mut Command| {
            if let Body::Announce { title: named, .. } = &mut command.body {
                *named = title.to_owned();
            }
        }
    };
    scene.push(BulletinClass::Emergency, called("first"));
    scene.run(2);
    scene.signed_by(&["chi", "dung"]).push(BulletinClass::Emergency, called("village"));
    scene.run(1);
    scene.signed_by(&["an", "dung"]).push(BulletinClass::Emergency, called("commune"));
    scene.run(60);
    let starts: Vec<_> = scene.story().into_iter().filter(|line| line.ends_with("starts")).collect();
    assert_eq!(starts, ["first starts", "commune starts", "village starts"]);
}

#[test]
fn what_revoked_keys_announced_ends_and_an_older_trust_document_brings_nothing_back() {
    let mut scene = Scene::under("2026-11-21 08:00:00", trust_without("nobody", 2), &["xa"]);
    let of_dung =
        |scene: &mut Scene| scene.signed_by(&["dung"]).push(BulletinClass::Priority, until_cancelled);
    let id = of_dung(&mut scene);
    scene.run(3);
    scene.world.input(Input::Trust(trust_without("dung", 3)));
    scene.run(60);
    assert_eq!(scene.steps(&id).last(), Some(&DeliveryStep::Cancelled));
    for older in [1, 2, 3] {
        scene.world.input(Input::Trust(trust_without("nobody", older)));
        of_dung(&mut scene);
        scene.run(10);
    }
    let story = scene.story();
    assert_eq!(story[..2], ["Priority starts", "Cancelled after 3 s"], "{story:?}");
    assert!(story[2..].iter().all(|line| line.starts_with("refused")), "{story:?}");
    assert_eq!(story.iter().filter(|line| line.contains("key dung is not known")).count(), 3, "{story:?}");
    let version = scene.world.speaker().and_then(|speaker| speaker.trust()).map(|trust| trust.version);
    assert_eq!(version, Some(3));
}

#[test]
fn a_stop_of_everything_ends_a_voice() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    scene.send(live(true), |_| {});
    scene.run(5);
    scene.send(Body::Cancel { of: None }, |_| {});
    scene.run(5);
    scene.check(&["Phát trực tiếp starts", "Cancelled after 5 s"]);
}

#[test]
fn a_cancelled_voice_ends() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    let of = Some(scene.send(live(true), |_| {}));
    scene.run(5);
    scene.send(Body::Cancel { of }, |_| {});
    scene.run(5);
    scene.check(&["Phát trực tiếp starts", "Cancelled after 5 s"]);
}

#[test]
fn a_voice_that_nobody_closes_ends_with_its_time() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    scene.send(live(true), |command| command.expires = command.issued_at.plus(Span::secs(60)));
    scene.run(300);
    scene.check(&["Phát trực tiếp starts", "HardEnd after 60 s"]);
}

#[test]
fn a_voice_that_was_cancelled_before_it_came_does_not_open() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    scene.send(Body::Cancel { of: Some("c2".parse().unwrap()) }, |_| {});
    scene.send(live(true), |_| {});
    scene.run(30);
    scene.check(&[]);
    scene.send(live(true), |_| {});
    scene.run(5);
    scene.check(&["Phát trực tiếp starts"]);
}

#[test]
fn audio_of_what_is_held_is_in_use() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    let sha256 = ContentHash::of(b"tomorrow");
    scene.push(BulletinClass::Priority, |command| {
        with_audio("tomorrow")(command);
        planned(|plan| plan.at = Some(local("2026-11-21 09:00:00")))(command);
    });
    let in_use = |scene: &Scene| scene.world.speaker().unwrap().media_in_use().collect::<Vec<_>>();
    assert_eq!(in_use(&scene), [sha256]);
    scene.restart();
    assert_eq!(in_use(&scene), [sha256]);
    scene.run(7_200);
    assert_eq!(in_use(&scene), []);
}

#[test]
fn audio_that_comes_or_fails_concerns_those_who_wait_for_it() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    let one = scene.push(BulletinClass::Priority, with_audio("one"));
    let other = scene.push(BulletinClass::Priority, with_audio("other"));
    scene.world.input(Input::Fetched { sha256: ContentHash::of(b"one"), result: Ok(()) });
    let staged = |scene: &mut Scene, id: &CommandId| scene.steps(id).contains(&DeliveryStep::Staged);
    assert!(staged(&mut scene, &one) && !staged(&mut scene, &other));
    scene.run(120);
    assert_eq!(scene.story(), ["Priority starts", "finished after 60 s"]);
    let fault = Fault::Missing { what: "other".to_owned() };
    scene.world.input(Input::Fetched { sha256: ContentHash::of(b"other"), result: Err(fault) });
    scene.run(60);
    assert_eq!(scene.story()[2..], ["Priority starts", "finished after 10 s"], "its words");
}

#[test]
fn what_expires_unheard_is_told_with_its_reason_and_held_no_more() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    let id = scene.push(BulletinClass::Normal, |_| {});
    scene.run(7_300);
    scene.check(&["Normal not played: Expired"]);
    assert_eq!(scene.steps(&id).last(), Some(&DeliveryStep::Expired));
    let now = scene.world.now();
    assert_eq!(scene.world.speaker().unwrap().in_force(&now).count(), 0);
    let mut scene = Scene::at("2026-11-21 22:00:00", "");
    scene.push(BulletinClass::Priority, |_| {});
    scene.run(7_300);
    let reason = "Priority not played: Guarded { reason: OutsideHours }";
    scene.check(&[reason, reason]);
}

#[test]
fn lesser_announcements_take_no_room_of_emergencies() {
    let keys = ["an", "binh", "chi", "dung", "em"];
    let mut scene = Scene::under("2026-11-21 08:00:00", everything(&keys), &["xa"]);
    let limits = Limits::default();
    for key in keys {
        for _ in 0..limits.held_of_issuer {
            scene.signed_by(&[key]).push(BulletinClass::Normal, |_| {});
        }
    }
    let now = scene.world.now();
    assert_eq!(scene.world.speaker().unwrap().in_force(&now).count(), limits.held);
    scene.signed_by(&["an", "binh"]).push(BulletinClass::Emergency, |_| {});
    scene.run(3);
    assert_eq!(scene.story().last().unwrap(), "Emergency starts");
}

#[test]
fn nothing_lesser_is_fetched_as_urgently_as_an_emergency() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    for (class, mode, need) in [
        (BulletinClass::Emergency, Mode::Actual, Need::Emergency),
        (BulletinClass::Emergency, Mode::Exercise, Need::Urgent),
        (BulletinClass::Emergency, Mode::Test, Need::Scheduled),
        (BulletinClass::Priority, Mode::Actual, Need::Urgent),
        (BulletinClass::Priority, Mode::Test, Need::Scheduled),
        (BulletinClass::Normal, Mode::Actual, Need::Scheduled),
    ] {
        scene.push_as(class, mode, with_audio("lesser"));
        assert_eq!(scene.world.take_fetches(), [(ContentHash::of(b"lesser"), need)], "{class:?} {mode:?}");
    }
}

#[test]
fn announced_audio_is_fetched_and_what_stands_in_for_it_is_named() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    let storm = ContentHash::of(b"storm");
    let stood_in = |scene: &mut Scene| -> Vec<Option<Fault>> {
        let instead_of = |entry: &Entry| match &entry.event {
            Event::PlayStarted(start) => Some(start.instead_of.clone()),
            _ => None,
        };
        scene.log().iter().filter_map(instead_of).collect()
    };
    scene.push(BulletinClass::Emergency, with_audio("storm"));
    assert_eq!(scene.world.take_fetches(), [(storm, Need::Emergency)]);
    scene.run(60);
    assert_eq!(stood_in(&mut scene), [Some(Fault::Missing { what: storm.to_string() })]);
    scene.push(BulletinClass::Emergency, with_audio("storm"));
    scene.world.input(Input::Fetched { sha256: storm, result: Ok(()) });
    scene.run(120);
    assert_eq!(stood_in(&mut scene)[1..], [None]);
}

#[test]
fn each_start_of_the_box_is_logged() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    scene.restart();
    let starts = |entry: &&Entry| matches!(entry.event, Event::BoxStarted { .. });
    assert_eq!(scene.log().iter().filter(starts).count(), 2);
    assert!(matches!(scene.log()[0].event, Event::BoxStarted { .. }));
}

#[test]
fn a_signer_without_the_power_lends_none() {
    let mut trust = everything(&["an", "binh"]);
    trust.grants[1].powers.remove(&crate::domain::authority::Power::Emergency);
    let mut scene = Scene::under("2026-11-21 08:00:00", trust, &["xa"]);
    assert_eq!(KeyId::new("binh").unwrap(), scene.world.speaker().unwrap().trust().unwrap().grants[1].key);
    scene.push(BulletinClass::Emergency, |_| {});
    scene.run(10);
    scene.check(&["refused: 1 of 2 signatures that it needs"]);
}

#[test]
fn what_the_installer_wrote_is_under_nobody() {
    let mut trust = everything(&["xa", "thon"]);
    let village: crate::domain::ids::GroupId = "thon-1".parse().unwrap();
    trust.nesting.insert(village.clone(), "xa".parse().unwrap());
    trust.grants[1].groups = [village.clone()].into();
    let mut scene = Scene::under("2026-11-21 08:00:00", trust, &["xa", "thon-1"]);
    let of = |version| Body::Policy(Policy { version, ..Policy::default() });
    scene.signed_by(&["thon"]).send(of(5), |command| command.groups = vec![village.clone()]);
    scene.check(&[]);
    scene.world.input(Input::Limits(Policy { version: 6, ..Policy::default() }));
    scene.signed_by(&["xa"]).send(of(6), |_| {});
    assert_eq!(scene.story().len(), 1, "{:?}", scene.story());
    scene.send(of(7), |_| {});
    assert_eq!(scene.story().len(), 1, "{:?}", scene.story());
}

#[test]
fn counted_refusals_are_logged() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    scene.world.input(Input::RefusalsCounted { reason: "bad_signature", count: 35_000 });
    let counted = Event::RefusalsCounted { reason: "bad_signature".to_owned(), count: 35_000 };
    assert_eq!(scene.log().last().map(|entry| &entry.event), Some(&counted));
}
