//! Scenes of programmes that change while something is due, and of boxes that change their groups.

use super::scene::{PROGRAMME, Scene, local, planned, timetable, timetable_of};
use crate::decide::schedule::Listeners;
use crate::decide::speaker::interface::Input;
use crate::domain::announcement::{BulletinClass, Repeats};

/// A slot beside that of the morning.
const SLOT: &str = r#"
[[slot]]
id = "them"
title = "Thêm"
start = "START"
end = "END"
playlist = "sang"
"#;

fn slot(start: &str, end: &str, rest: &str) -> String {
    SLOT.replace("START", start).replace("END", end) + rest
}

fn change(scene: &mut Scene, text: &str) {
    scene.world.input(Input::Timetable(timetable(text)));
}

fn slots(scene: &mut Scene) -> Vec<String> {
    scene.story().into_iter().filter(|line| line.starts_with("slot")).collect()
}

#[test]
fn a_slot_that_comes_after_its_start_is_as_late_as_one_after_a_power_cut() {
    let cases =
        [("join", "music starts at 15 s"), ("shift", "talk starts"), ("skip", "slot not aired: Late")];
    for (policy, expected) in cases {
        let mut scene = Scene::at("2026-11-21 08:00:00", "");
        scene.run(3_675);
        change(&mut scene, &slot("09:00", "23:59", &format!("lateness = \"{policy}\"\n")));
        scene.run(1);
        assert_eq!(scene.story(), [expected], "{policy}");
        scene.restart();
        scene.run(1_200);
        assert_eq!(slots(&mut scene).len(), 1, "{policy}: {:?}", scene.story());
    }
}

#[test]
fn a_slot_that_is_over_when_its_programme_comes_is_nothing_to_the_box() {
    let mut scene = Scene::at("2026-11-21 08:00:00", "");
    change(&mut scene, &slot("07:30", "07:45", ""));
    scene.run(600);
    scene.check(&[]);
}

#[test]
fn what_sounds_goes_on_where_something_else_of_its_programme_changes() {
    let mut scene = Scene::at("2026-11-21 04:59:00", "");
    scene.run(90);
    change(&mut scene, &slot("17:00", "17:10", ""));
    scene.run(30);
    let other = PROGRAMME.replace("\"xa\"", "\"thon\"").replace("\"sang\"", "\"thon-sang\"");
    let other = other.replace("05:00", "06:00").replace("05:10", "06:10");
    scene.world.input(Input::Timetable(timetable_of(&[other, PROGRAMME.to_owned()])));
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
}

#[test]
fn what_sounds_ends_where_it_is_changed_itself_and_does_not_come_again() {
    let changes: [fn(&str) -> String; 3] = [
        |text| text.replace("05:10", "05:09"),
        |text| text.replace("music.mp3", "other.mp3"),
        |text| {
            text.replace("[[slot]]\nid = \"sang\"", "[[slot]]\nid = \"khac\"")
                .replace("05:00", "07:00")
                .replace("05:10", "07:10")
        },
    ];
    for changed in changes {
        let mut scene = Scene::at("2026-11-21 05:00:00", "");
        scene.run(30);
        scene.world.input(Input::Timetable(timetable_of(&[changed(PROGRAMME)])));
        scene.run(5);
        scene.restart();
        scene.run(1_200);
        let story = scene.story();
        assert_eq!(story.iter().filter(|line| line.ends_with("starts")).count(), 1, "{story:?}");
        assert_eq!(slots(&mut scene), ["slot aired 0, not 1"]);
        assert!(story.contains(&"music not played: Replaced".to_owned()), "{story:?}");
    }
}

#[test]
fn a_slot_that_waits_behind_an_announcement_follows_its_programme() {
    let cases = [
        ("05:00", "05:25", "slot aired 3, not 0"),
        ("06:00", "06:10", "slot aired 3, not 0"),
        ("04:00", "04:02", "slot not aired: Replaced"),
    ];
    let alone = |start: &str, end: &str| {
        let head = PROGRAMME.split("[[slot]]").next().unwrap();
        Input::Timetable(timetable_of(&[head.to_owned() + &slot(start, end, "")]))
    };
    for (start, end, expected) in cases {
        let mut scene = Scene::at("2026-11-21 04:59:50", "");
        scene.world.input(alone("05:00", "05:20"));
        scene.push(BulletinClass::Priority, planned(|plan| plan.repeats = Repeats::Times(60)));
        scene.run(60);
        scene.world.input(alone(start, end));
        scene.run(2 * 3_600);
        assert_eq!(slots(&mut scene), [expected], "{start}: {:?}", scene.story());
    }
}

#[test]
fn a_slot_that_was_refused_comes_at_the_hour_that_it_was_corrected_to() {
    let mut scene = Scene::at("2026-11-21 02:59:00", &slot("03:00", "03:10", ""));
    scene.run(900);
    change(&mut scene, &slot("08:00", "08:10", ""));
    scene.restart();
    scene.run(12 * 3_600);
    let refused = "slot not aired: Guarded { reason: OutsideHours }";
    assert_eq!(slots(&mut scene), [refused, "slot aired 3, not 0", "slot aired 3, not 0"]);
    change(&mut scene, &slot("20:00", "20:10", ""));
    scene.run(12 * 3_600);
    assert_eq!(slots(&mut scene).len(), 3, "what has sounded does not come again on its day");
}

#[test]
fn a_box_that_moves_hears_what_sounds_where_it_comes_and_not_where_it_was() {
    let here = slot("05:00", "05:10", "audience = [\"thon-1\"]\n");
    let there = here.replace("\"them\"", "\"kia\"").replace("thon-1", "thon-2");
    let head = PROGRAMME.split("[[slot]]").next().unwrap();
    let mut scene = Scene::at("2026-11-21 04:00:00", "");
    let groups = |name: &str| {
        Input::Listeners(Listeners {
            groups: ["xa", name].map(|group| group.parse().unwrap()).into(),
            languages: Vec::new(),
        })
    };
    scene.world.input(groups("thon-1"));
    scene.world.input(Input::Timetable(timetable_of(&[format!("{head}{here}{there}")])));
    scene.run(3_630);
    scene.check(&["talk starts"]);
    scene.world.input(groups("thon-2"));
    scene.run(1_200);
    let ended = |line: &&String| line.starts_with("slot");
    assert_eq!(scene.story().iter().filter(ended).count(), 2, "{:?}", scene.story());
    assert_eq!(slots(&mut scene), ["slot aired 0, not 1", "slot aired 3, not 0"]);
    assert!(local("2026-11-21 05:10:00") < scene.world.now().wall);
}
