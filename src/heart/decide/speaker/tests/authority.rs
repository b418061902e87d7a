//! Scenes of who may end what, and of floods.

use super::scene::{Scene, live, planned, replacing, until_cancelled};
use crate::decide::inbox::tests::everything;
use crate::decide::quotas::Limits;
use crate::decide::schedule::Listeners;
use crate::decide::speaker::interface::Input;
use crate::domain::announcement::{BulletinClass, Mode, Repeats};
use crate::domain::authority::Trust;
use crate::domain::authority::{Grant, Power, Threshold};
use crate::domain::ids::CommandId;
use crate::domain::ids::{GroupId, KeyId};
use crate::domain::playback::DeliveryStep;
use crate::domain::time::Span;
use crate::wire::messages::{Body, Command};

/// Officers who may do all but cancel, somebody who may cancel, somebody with every everyday power, and the same for one
/// village alone.
pub(super) fn people() -> Trust {
    use Power::*;
    let everyday = [Normal, Priority, Exercise, Live, Programme, Policy, Test];
    let like = everything(&["an"]).grants.remove(0);
    let grant = |key: &str, powers: &[Power], group: &str| Grant {
        key: KeyId::new(key).unwrap(),
        holder: key.to_owned(),
        powers: powers.iter().copied().collect(),
        groups: [GroupId::new(group).unwrap()].into(),
        ..like.clone()
    };
    let officer: Vec<_> = everyday.into_iter().chain([Emergency]).collect();
    let village: Vec<_> = officer.iter().copied().chain([Cancel]).collect();
    Trust {
        version: 1,
        grants: vec![
            grant("an", &officer, "xa"),
            grant("binh", &officer, "xa"),
            grant("chi", &[Cancel], "xa"),
            grant("dung", &everyday, "xa"),
            grant("giang", &village, "thon-1"),
            grant("hoa", &village, "thon-1"),
        ],
        thresholds: vec![Threshold { power: Emergency, signatures: 2 }],
        nesting: [(GroupId::new("thon-1").unwrap(), GroupId::new("xa").unwrap())].into(),
    }
}

/// A box of the village, under these people.
fn village() -> Scene {
    Scene::under("2026-11-21 08:00:00", people(), &["xa", "thon-1"])
}

fn storm(scene: &mut Scene) -> CommandId {
    scene.signed_by(&["an", "binh"]).push(BulletinClass::Emergency, until_cancelled)
}

fn is_in_force(scene: &Scene, id: &CommandId) -> bool {
    let now = scene.world.now();
    scene.world.speaker().is_some_and(|speaker| speaker.in_force(&now).any(|held| held == id))
}

/// Lets `signers` give an order against an emergency that is on the air, then one against an emergency that comes later,
/// and checks both times whether the emergency goes on, also after a restart.
fn check(signers: &[&str], order: impl Fn(&mut Scene, &CommandId), goes_on: bool) {
    let mut scene = village();
    let id = storm(&mut scene);
    scene.run(3);
    scene.signed_by(signers);
    order(&mut scene, &id);
    scene.run(3);
    assert_eq!(is_in_force(&scene, &id), goes_on, "{signers:?}: {:?}", scene.story());
    let mut scene = village();
    scene.signed_by(signers);
    order(&mut scene, &"c2".parse().unwrap());
    let id = storm(&mut scene);
    assert_eq!(id.as_str(), "c2");
    scene.run(3);
    assert_eq!(is_in_force(&scene, &id), goes_on, "before it, {signers:?}: {:?}", scene.story());
    scene.restart();
    assert_eq!(is_in_force(&scene, &id), goes_on, "after a restart, {signers:?}: {:?}", scene.story());
}

#[test]
fn an_emergency_ends_only_by_those_who_may_begin_or_cancel_it() {
    let replaces = |class, mode| {
        move |scene: &mut Scene, id: &CommandId| {
            scene.push_as(class, mode, replacing(id));
        }
    };
    let cancels = |scene: &mut Scene, id: &CommandId| {
        scene.send(Body::Cancel { of: Some(id.clone()) }, |_| {});
    };
    use {BulletinClass::*, Mode::*};
    check(&["dung"], replaces(Normal, Test), true);
    check(&["dung"], replaces(Normal, Actual), true);
    check(&["dung"], replaces(Emergency, Exercise), true);
    check(&["an", "binh"], replaces(Emergency, Test), true);
    check(&["an", "binh"], replaces(Emergency, Exercise), true);
    check(&["an", "binh"], replaces(Emergency, Actual), false);
    check(&["dung"], cancels, true);
    check(&["an"], cancels, true);
    check(&["chi"], cancels, false);
    // Those of one village, in that village: the emergency is the commune's.
    let here = |change: fn(&mut Scene, &CommandId)| change;
    check(
        &["giang", "hoa"],
        here(|scene, id| {
            scene.send(Body::Cancel { of: Some(id.clone()) }, in_the_village);
        }),
        true,
    );
    check(
        &["giang", "hoa"],
        here(|scene, _| {
            scene.send(Body::Cancel { of: None }, |command| {
                in_the_village(command);
                command.issued_at = command.issued_at.plus(Span::secs(300));
            });
        }),
        true,
    );
    check(
        &["giang", "hoa"],
        here(|scene, id| {
            let id = id.clone();
            scene.push(BulletinClass::Emergency, move |command| {
                in_the_village(command);
                replacing(&id)(command);
            });
        }),
        true,
    );
    check(
        &["chi"],
        here(|scene, _| {
            scene.send(Body::Cancel { of: None }, |command| {
                command.issued_at = command.issued_at.plus(Span::secs(300));
            });
        }),
        false,
    );
}

fn in_the_village(command: &mut Command) {
    command.groups = vec!["thon-1".parse().unwrap()];
}

#[test]
fn a_lesser_command_under_its_id_keeps_no_emergency_away() {
    for sounds_first in [true, false] {
        let mut scene = village();
        scene.signed_by(&["dung"]).push(BulletinClass::Priority, |command| {
            command.id = "c2".parse().unwrap();
        });
        if sounds_first {
            scene.run(3);
        }
        let id = storm(&mut scene);
        scene.run(8);
        assert_eq!(id.as_str(), "c2");
        assert!(is_in_force(&scene, &id), "{:?}", scene.story());
        assert!(scene.story().contains(&"Emergency starts".to_owned()), "{:?}", scene.story());
        scene.restart();
        assert!(is_in_force(&scene, &id), "{:?}", scene.story());
    }
}

#[test]
fn a_lesser_command_under_its_id_keeps_no_cancel_away() {
    let mut scene = village();
    scene.signed_by(&["dung"]).send(Body::Test, |command| command.id = "c3".parse().unwrap());
    let of = Some("c3".parse().unwrap());
    scene.signed_by(&["chi"]).send(Body::Cancel { of }, |_| {});
    let id = storm(&mut scene);
    scene.run(3);
    assert_eq!(id.as_str(), "c3");
    assert!(!is_in_force(&scene, &id), "{:?}", scene.story());
}

#[test]
fn a_lesser_voice_takes_no_ones_place() {
    let live = |session: &str, open| Body::Live { voice: session.to_owned(), open, url: String::new() };
    let mut scene = village();
    scene.signed_by(&["an"]).send(live("commune", true), |_| {});
    scene.run(2);
    scene.signed_by(&["giang"]).send(live("village", true), in_the_village);
    scene.signed_by(&["giang"]).send(live("commune", false), in_the_village);
    scene.run(2);
    scene.check(&[
        "Phát trực tiếp starts",
        "refused: key giang may not do this: it has no say over group xa",
        "refused: key giang may not do this: it has no say over group xa",
    ]);
    scene.signed_by(&["dung"]).send(live("other", true), |_| {});
    scene.run(2);
    let story = scene.story();
    assert_eq!(story[3..], ["Superseded after 4 s", "Phát trực tiếp starts"], "{story:?}");
}

#[test]
fn a_voice_of_revoked_keys_ends_at_once() {
    let mut scene = village();
    let live = Body::Live { voice: "s".to_owned(), open: true, url: String::new() };
    scene.signed_by(&["dung"]).send(live, |_| {});
    scene.run(2);
    let mut trust = Trust { version: 2, ..people() };
    trust.grants.retain(|grant| grant.holder != "dung");
    scene.world.input(Input::Trust(trust));
    scene.run(1);
    scene.check(&["Phát trực tiếp starts", "Cancelled after 2 s"]);
}

/// One order of a flood, by its number.
type Flood = fn(&mut Scene, usize);

/// Sends `times` orders of a flood. In its beginning, its midst and at its end an emergency is signed: the flood goes on
/// around it, and it sounds all the same.
fn under_flood(scene: &mut Scene, times: usize, flood: Flood) {
    const AROUND: usize = 40;
    let mut sent = 0;
    let mut go_on = |scene: &mut Scene, upto: usize| {
        (sent..upto.min(times)).for_each(|number| flood(scene, number));
        sent = sent.max(upto.min(times));
    };
    for before in [AROUND / 2, times / 2, times - AROUND] {
        go_on(scene, before);
        let heard =
            |scene: &mut Scene| scene.story().iter().filter(|line| *line == "Emergency starts").count();
        let already = heard(scene);
        let id = scene.signed_by(&["an", "binh"]).push(BulletinClass::Emergency, |_| {});
        for step in 1..=AROUND / 4 {
            go_on(scene, before + step * 4);
            scene.world.run_for(Span::millis(200));
        }
        assert_eq!(heard(scene), already + 1, "{id} amid {before} of {times}: {:?}", scene.story());
        scene.run(20);
        assert!(scene.steps(&id).contains(&DeliveryStep::Finished), "{:?}", scene.steps(&id));
    }
    go_on(scene, times);
}

/// Floods by every key that has not the people for an emergency, each bound reached with what is shipped; emergencies are
/// signed while they go on, and sound.
#[test]
fn no_flood_keeps_an_emergency_from_sounding() {
    let mut scene = village();
    let limits = Limits::default();
    under_flood(&mut scene, limits.known_of_issuer + 10, |scene, _| {
        scene.signed_by(&["dung"]).send(Body::Test, |_| {});
    });
    under_flood(&mut scene, limits.known_of_issuer + 10, |scene, number| {
        let of = Some(format!("unheard-of-{number}").parse().unwrap());
        scene.signed_by(&["chi"]).send(Body::Cancel { of }, |_| {});
    });
    under_flood(&mut scene, 5 * (limits.held_of_issuer + 1), |scene, number| {
        let key = ["dung", "an", "binh", "giang", "hoa"][number % 5];
        scene.signed_by(&[key]).push(BulletinClass::Normal, |command| {
            command.expires = command.issued_at.plus(Span::secs(300 * 86_400));
            command.groups = vec!["thon-1".parse().unwrap()];
        });
    });
    under_flood(&mut scene, 80, |scene, _| {
        scene.signed_by(&["giang"]).send(Body::Cancel { of: None }, in_the_village);
    });
    let memory = scene.world.memory();
    assert!(memory.known.len() <= 6 * limits.known_of_issuer + 20, "{}", memory.known.len());
    assert_eq!(memory.endings.len(), limits.endings_of_issuer);
    assert_eq!(memory.stops.len(), 1);
    for _ in 0..2 {
        let id = storm(&mut scene);
        scene.run(3);
        assert!(is_in_force(&scene, &id));
        assert!(scene.story().contains(&"Emergency starts".to_owned()));
        scene.restart();
    }
    let mut trust = Trust { version: 2, ..people() };
    trust.grants.retain(|grant| ["an", "binh"].contains(&grant.holder.as_str()));
    scene.world.input(Input::Trust(trust));
    let memory = scene.world.memory();
    let officers = ["an", "binh"].map(|key| KeyId::new(key).unwrap());
    let origin = |known: &crate::decide::memory::Known| known.origin.as_ref().map(|from| from.issuer.clone());
    assert!(memory.known.values().all(|known| origin(known).is_some_and(|key| officers.contains(&key))));
    assert_eq!((memory.endings.len(), memory.stops.len()), (0, 0));
}

#[test]
fn a_box_that_is_moved_away_plays_nothing_of_its_former_group_but_an_emergency() {
    let moved = |scene: &mut Scene| {
        let groups = ["xa", "thon-2"].map(|group| GroupId::new(group).unwrap()).into();
        scene.world.input(Input::Listeners(Listeners { groups, languages: Vec::new() }));
        scene.run(600);
    };
    let to_the_village = |command: &mut Command| command.groups = vec!["thon-1".parse().unwrap()];
    let mut scene = village();
    scene.signed_by(&["giang"]).push(BulletinClass::Priority, |command| {
        to_the_village(command);
        until_cancelled(command);
    });
    scene.run(20);
    moved(&mut scene);
    scene.check(&["Priority starts", "finished after 10 s", "Priority starts", "Cancelled after 5 s"]);

    let mut scene = village();
    scene.signed_by(&["giang", "hoa"]).push(BulletinClass::Emergency, |command| {
        to_the_village(command);
        planned(|plan| plan.repeats = Repeats::Times(2))(command);
    });
    scene.run(3);
    moved(&mut scene);
    let story = scene.story();
    assert_eq!(story.iter().filter(|line| line.starts_with("finished")).count(), 2, "{story:?}");
}

#[test]
fn a_box_that_was_moved_before_a_power_cut_holds_nothing_of_its_former_group() {
    let mut scene = village();
    let later = scene.signed_by(&["giang"]).push(BulletinClass::Priority, |command| {
        command.groups = vec!["thon-1".parse().unwrap()];
        command.not_before = command.issued_at.plus(Span::secs(600));
    });
    scene.world.power_off();
    scene.world.hear_as(Listeners { groups: ["xa".parse().unwrap()].into(), languages: Vec::new() });
    scene.world.power_on();
    let now = scene.world.now();
    assert!(scene.world.speaker().unwrap().in_force(&now).all(|id| *id != later));
    scene.run(1_200);
    scene.check(&[]);
}

#[test]
fn a_voice_for_others_ends_when_the_box_is_moved() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    scene.send(live(true), |_| {});
    scene.run(20);
    let groups = [GroupId::new("xa-khac").unwrap()].into();
    scene.world.input(Input::Listeners(Listeners { groups, languages: Vec::new() }));
    scene.run(5);
    let story = scene.story();
    assert!(story.last().unwrap().starts_with("Cancelled after"), "{story:?}");
}

#[test]
fn a_stop_of_everything_says_what_it_may_not_end() {
    let mut scene = village();
    let id = storm(&mut scene);
    scene.signed_by(&["giang"]).push(BulletinClass::Priority, |command| {
        command.groups = vec!["thon-1".parse().unwrap()];
    });
    scene.run(3);
    scene.send(Body::Cancel { of: None }, |command| command.groups = vec!["thon-1".parse().unwrap()]);
    scene.run(1);
    assert!(is_in_force(&scene, &id));
    let story = scene.story();
    assert!(story.iter().any(|line| line.starts_with("refused")), "{story:?}");
}
