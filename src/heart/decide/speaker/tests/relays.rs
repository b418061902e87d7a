//! Scenes of relays, and of what stands in for them.

use super::scene::Scene;
use crate::domain::announcement::BulletinClass;
use crate::domain::playback::DeliveryStep;
use crate::domain::sound::Fault;
use crate::domain::time::Span;

/// At noon five minutes of a station, and an item behind it.
const NOON: &str = r#"
[[playlist]]
id = "trua"
title = "Trưa"
[[playlist.item]]
title = "radio"
relay = "http://radio"
minutes = 5
fallback = "thay"
[[playlist.item]]
title = "after"
file = "after.mp3"
[[playlist]]
id = "thay"
title = "Thay"
[[playlist.item]]
title = "one"
file = "one.mp3"
[[playlist.item]]
title = "two"
file = "missing.mp3"
[[playlist.item]]
title = "three"
file = "three.mp3"
[[slot]]
id = "trua"
title = "Trưa"
start = "11:00"
end = "11:30"
playlist = "trua"
"#;

#[test]
fn a_relay_without_sound_is_stood_in_for_until_its_time_is_over() {
    let mut scene = Scene::at("2026-11-21 10:59:00", NOON);
    scene.station_is_off.set(true);
    scene.run(900);
    scene.check(&[
        r#"radio not played: Unplayable { reason: NoStream { url: "http://radio", detail: "off" } }"#,
        "one starts",
        r#"two not played: Unplayable { reason: Missing { what: "missing.mp3" } }"#,
        "three starts",
        "finished after 60 s",
        "one starts",
        "finished after 60 s",
        "three starts",
        "finished after 60 s",
        "one starts",
        "finished after 60 s",
        "after starts",
        "finished after 60 s",
        "finished after 60 s",
        "slot aired 1, not 1",
    ]);
}

#[test]
fn a_relay_that_comes_back_takes_its_place_again() {
    let mut scene = Scene::at("2026-11-21 10:59:00", NOON);
    let silent = Fault::SilentStream { seconds: 20 };
    scene.world.player(|player, _| player.break_next = Some((Span::secs(100), silent)));
    scene.run(90);
    scene.station_is_off.set(true);
    scene.run(100);
    scene.station_is_off.set(false);
    scene.run(600);
    scene.check(&[
        "radio starts",
        "Failed { reason: SilentStream { seconds: 20 } } after 100 s",
        "one starts",
        r#"two not played: Unplayable { reason: Missing { what: "missing.mp3" } }"#,
        "three starts",
        "finished after 60 s",
        "radio starts at 100 s",
        "finished after 60 s",
        "finished after 80 s",
        "after starts",
        "finished after 60 s",
        "slot aired 2, not 1",
    ]);
}

#[test]
fn an_emergency_cuts_what_stands_in_and_the_relay_is_tried_after_it() {
    let mut scene = Scene::at("2026-11-21 10:59:00", NOON);
    scene.station_is_off.set(true);
    scene.run(90);
    scene.station_is_off.set(false);
    let id = scene.push(BulletinClass::Emergency, |_| {});
    scene.run(600);
    let story = scene.story();
    let radio = story.iter().position(|line| line == "radio starts").expect("the radio came back");
    assert!(
        story[..radio].iter().any(|line| line.starts_with("interrupted by Emergency after")),
        "{story:?}"
    );
    assert!(scene.steps(&id).iter().any(|step| matches!(step, DeliveryStep::Finished)), "{story:?}");
    assert!(story.iter().filter(|line| *line == "one starts").count() == 1, "{story:?}");
}

/// A relay of one minute, again and again.
const ROUNDS: &str = r#"
[[playlist]]
id = "vong"
title = "Vòng"
[[playlist.item]]
title = "radio"
relay = "http://radio"
minutes = 1
[[slot]]
id = "vong"
title = "Vòng"
start = "11:00"
end = "11:10"
playlist = "vong"
fill = "loop"
"#;

#[test]
fn a_piece_that_breaks_in_a_later_round_is_passed_over_in_the_next() {
    let mut scene = Scene::at("2026-11-21 10:59:00", ROUNDS);
    scene.run(90);
    scene.station_is_off.set(true);
    scene.run(900);
    scene.check(&[
        "radio starts",
        "finished after 60 s",
        r#"radio not played: Unplayable { reason: NoStream { url: "http://radio", detail: "off" } }"#,
        "slot aired 1, not 1",
    ]);
}

#[test]
fn a_fallback_of_which_nothing_is_for_this_day_stands_in_for_nothing() {
    let none_today = NOON
        .replace("title = \"one\"\n", "title = \"one\"\nvalid_until = \"2026-11-20\"\n")
        .replace("title = \"two\"\n", "title = \"two\"\nvalid_until = \"2026-11-20\"\n")
        .replace("title = \"three\"\n", "title = \"three\"\nvalid_from = \"2026-11-22\"\n");
    let mut scene = Scene::at("2026-11-21 10:59:00", &none_today);
    scene.station_is_off.set(true);
    scene.run(300);
    scene.check(&[
        r#"radio not played: Unplayable { reason: NoStream { url: "http://radio", detail: "off" } }"#,
        "after starts",
        "finished after 60 s",
        "slot aired 1, not 1",
    ]);
}
