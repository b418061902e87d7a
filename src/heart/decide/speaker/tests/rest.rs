//! Moments at which nobody would miss the box.

use super::scene::{Scene, local, planned, until_cancelled};
use crate::decide::speaker::Rest;
use crate::domain::announcement::{BulletinClass, Mode};
use crate::domain::time::Span;

const MARGIN: Span = Span::secs(25 * 60);

fn rest(scene: &Scene) -> Rest {
    scene.world.speaker().unwrap().rest(&scene.world.now(), MARGIN)
}

#[test]
fn nobody_misses_the_box_between_slots() {
    let mut scene = Scene::at("2026-11-21 04:00:00", "");
    scene.run(60);
    assert_eq!(rest(&scene), Rest::Quiet);
    scene.run(33 * 60 + 59);
    assert_eq!(rest(&scene), Rest::Quiet);
    scene.run(1);
    assert_eq!(rest(&scene), Rest::Soon(local("2026-11-21 05:00:00")));
    scene.run(24 * 60 + 59);
    // The slot is taken up before its start, and keeps the box until its end, also where nothing of it sounds.
    assert_eq!(rest(&scene), Rest::Sounds);
    scene.run(9 * 60);
    assert_eq!(rest(&scene), Rest::Sounds);
    scene.run(3 * 60);
    assert_eq!(rest(&scene), Rest::Quiet);
}

#[test]
fn an_emergency_keeps_the_box_for_as_long_as_it_is_in_force() {
    let mut scene = Scene::at("2026-11-21 13:00:00", "");
    let id = scene.push(BulletinClass::Emergency, |command| {
        until_cancelled(command);
        planned(|plan| plan.gap_s = 3_000)(command);
    });
    scene.run(60);
    // Nothing sounds in the gap.
    assert!(scene.world.speaker().unwrap().on_air().is_none());
    assert_eq!(rest(&scene), Rest::Emergency);
    scene.send(crate::wire::messages::Body::Cancel { of: Some(id) }, |_| {});
    scene.run(10);
    assert_eq!(rest(&scene), Rest::Quiet);
}

#[test]
fn what_was_ordered_for_a_time_keeps_the_box_shortly_before_it() {
    let mut scene = Scene::at("2026-11-21 13:00:00", "");
    scene.push_as(BulletinClass::Priority, Mode::Actual, |command| {
        planned(|plan| plan.at = Some(local("2026-11-21 13:30:00")))(command);
    });
    scene.run(60);
    assert_eq!(rest(&scene), Rest::Quiet);
    scene.run(5 * 60);
    assert_eq!(rest(&scene), Rest::Soon(local("2026-11-21 13:30:00")));
    // An exercise is no emergency, and a notice that waits for the evening keeps nobody.
    let mut scene = Scene::at("2026-11-21 13:00:00", "");
    scene.push(BulletinClass::Normal, |_| {});
    scene.run(60);
    assert_eq!(rest(&scene), Rest::Quiet);
}
