//! Scenes of a village: what is pushed, what sounds, what the log says.

mod authority;
mod rules;
mod search;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use chrono::NaiveDateTime;

use crate::config::programme_file;
use crate::decide::inbox::tests::everything;
use crate::decide::schedule::{Calendar, Listeners, Timetable};
use crate::decide::simulation::world::{Setup, World};
use crate::decide::speaker::interface::Input;
use crate::domain::announcement::{BulletinClass, Interruption, Media, Mode, PlayPlan, Repeats, Words};
use crate::domain::authority::Trust;
use crate::domain::ids::{CommandId, ContentHash, KeyId};
use crate::domain::playback::{DeliveryStep, Entry, Event, NotPlayed, PlayOutcome, SlotOutcome};
use crate::domain::policy::Policy;
use crate::domain::sound::{Fault, FileRef, Sound};
use crate::domain::time::{ClockQuality, Span, Wall};
use crate::wire::messages::{Body, Command, Signed};

/// A morning of three items of one minute each: talk, music, farm.
const PROGRAMME: &str = r#"
[programme]
id = "xa"
version = 1
title = "Xã"
group = "xa"
[[playlist]]
id = "sang"
title = "Sáng"
[[playlist.item]]
title = "talk"
file = "talk.mp3"
[[playlist.item]]
title = "music"
file = "music.mp3"
kind = "music"
[[playlist.item]]
title = "farm"
file = "farm.mp3"
[[slot]]
id = "sang"
title = "Buổi sáng"
start = "05:00"
end = "05:10"
playlist = "sang"
"#;

const MINUTE: Span = Span::secs(60);

pub(super) fn local(text: &str) -> Wall {
    Wall::from_local(NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap())
}

pub(super) struct Scene {
    pub(super) world: World,
    serial: u64,
    signers: Vec<KeyId>,
    log: Vec<Entry>,
    /// Relays are without sound.
    station_is_off: Rc<Cell<bool>>,
    /// Sounds that the player was asked to open, part by part.
    pub(super) opened: Rc<RefCell<Vec<Sound>>>,
}

impl Scene {
    /// Switches a box on at a local time, with a change to the programme's text.
    pub(super) fn at(time: &str, change: &str) -> Self {
        Self::limited(time, change, Policy::default())
    }

    /// Switches a box on as [`Scene::at`] does, under another policy.
    pub(super) fn limited(time: &str, change: &str, policy: Policy) -> Self {
        Self::with(time, change, (everything(&["an", "binh"]), policy), &["xa"])
    }

    /// A box in these groups, under a trust document.
    pub(super) fn under(time: &str, trust: Trust, groups: &[&str]) -> Self {
        Self::with(time, "", (trust, Policy::default()), groups)
    }

    fn with(time: &str, change: &str, (trust, policy): (Trust, Policy), groups: &[&str]) -> Self {
        let setup = Setup {
            listeners: Listeners {
                groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
                languages: vec!["vi".to_owned()],
            },
            timetable: timetable(change),
            trust: Some(trust),
            policy,
        };
        let opened = Rc::new(RefCell::new(Vec::new()));
        let asked = opened.clone();
        let station_is_off = Rc::new(Cell::new(false));
        let is_off = station_is_off.clone();
        let lookup = move |sound: &Sound| {
            asked.borrow_mut().push(sound.clone());
            match sound {
                Sound::File(FileRef::Path(path)) if path.ends_with("missing.mp3") => {
                    Err(Fault::Missing { what: "missing.mp3".to_owned() })
                }
                Sound::File(_) => Ok(Some(MINUTE)),
                Sound::Text { text, .. } if text == "unspeakable" => {
                    Err(Fault::NoSpeech { detail: String::new() })
                }
                Sound::Text { .. } => Ok(Some(Span::secs(10))),
                Sound::Pattern(pattern) => Ok(Some(pattern.length())),
                Sound::Relay { url } if is_off.get() => {
                    Err(Fault::NoStream { url: url.clone(), detail: "off".to_owned() })
                }
                Sound::Relay { .. } | Sound::Live { .. } => Ok(None),
                Sound::Silence(span) => Ok(Some(*span)),
            }
        };
        let mut world = World::new(setup, local(time), Box::new(lookup));
        world.power_on();
        let signers = ["an", "binh"].map(|key| KeyId::new(key).unwrap()).to_vec();
        Self { world, serial: 0, signers, log: Vec::new(), station_is_off, opened }
    }

    /// Chooses the keys that sign the commands from here on; the first is the issuer.
    pub(super) fn signed_by(&mut self, keys: &[&str]) -> &mut Self {
        self.signers = keys.iter().map(|key| KeyId::new(*key).unwrap()).collect();
        self
    }

    pub(super) fn restart(&mut self) {
        self.world.power_off();
        self.world.power_on();
    }

    pub(super) fn run(&mut self, seconds: u64) {
        self.world.run_for(Span::secs(seconds));
    }

    pub(super) fn push(&mut self, class: BulletinClass, change: impl Fn(&mut Command)) -> CommandId {
        self.push_as(class, Mode::Actual, change)
    }

    pub(super) fn push_as(
        &mut self,
        class: BulletinClass,
        mode: Mode,
        change: impl Fn(&mut Command),
    ) -> CommandId {
        let words = Words { text: "xin thông báo".to_owned(), language: "vi".to_owned() };
        let plan = PlayPlan { gap_s: 5, ..PlayPlan::default() };
        let body = Body::Announce {
            title: format!("{class:?}"),
            class,
            mode,
            plan,
            media: None,
            words: Some(words),
            supersedes: None,
            cap: None,
        };
        self.send(body, change)
    }

    pub(super) fn send(&mut self, body: Body, change: impl Fn(&mut Command)) -> CommandId {
        self.serial += 1;
        let now = self.world.now().wall;
        let mut payload = Command {
            v: 1,
            id: format!("c{}", self.serial).parse().unwrap(),
            issuer: self.signers[0].clone(),
            serial: self.serial,
            issued_at: now,
            groups: vec!["xa".parse().unwrap()],
            not_before: now,
            expires: now.plus(Span::secs(7_200)),
            author: "An".to_owned(),
            approver: None,
            critical: Vec::new(),
            body,
        };
        change(&mut payload);
        let id = payload.id.clone();
        let digest = ContentHash::of(format!("{payload:?}").as_bytes());
        let signers = self.signers.clone();
        self.world.input(Input::Command(Box::new(Signed { signers, digest, payload })));
        id
    }

    pub(super) fn log(&mut self) -> &[Entry] {
        self.log.extend(self.world.take_log());
        &self.log
    }

    /// Tells what the log says of plays and slots, a line each.
    pub(super) fn story(&mut self) -> Vec<String> {
        self.log().iter().filter_map(|entry| tell(&entry.event)).collect()
    }

    pub(super) fn check(&mut self, expected: &[&str]) {
        assert_eq!(self.story(), expected);
    }

    pub(super) fn steps(&mut self, of: &CommandId) -> Vec<DeliveryStep> {
        let step = |entry: &Entry| match &entry.event {
            Event::Delivery { command, step } if command == of => Some(step.clone()),
            _ => None,
        };
        self.log().iter().filter_map(step).collect()
    }
}

/// Reads the programme with a change to its text.
pub(super) fn timetable(change: &str) -> Timetable {
    let text = format!("{PROGRAMME}{change}");
    let audio = programme_file::Audio::Required(&|_| Ok(60_000));
    let programme = programme_file::parse(&text, "test.toml", std::path::Path::new("/"), audio).unwrap();
    Timetable::new(vec![Calendar::new(Arc::new(programme)).unwrap()]).unwrap()
}

pub(super) fn everything_of(keys: &[&str]) -> Trust {
    everything(keys)
}

fn seconds(frames: u64) -> u64 {
    (frames + 24_000) / 48_000
}

fn tell(event: &Event) -> Option<String> {
    Some(match event {
        Event::PlayStarted(start) if start.entered_at_ms == 0 => format!("{} starts", start.title),
        Event::PlayStarted(start) => {
            format!("{} starts at {} s", start.title, (start.entered_at_ms + 500) / 1000)
        }
        Event::PlayEnded(end) => match &end.outcome {
            PlayOutcome::Finished => format!("finished after {} s", seconds(end.frames_played)),
            PlayOutcome::Interrupted { by } => {
                format!("interrupted by {by:?} after {} s", seconds(end.frames_played))
            }
            other => format!("{other:?} after {} s", seconds(end.frames_played)),
        },
        Event::NotPlayed { title, reason, .. } => format!("{title} not played: {reason:?}"),
        Event::SlotEnded { outcome: SlotOutcome::Aired { finished, not_finished }, .. } => {
            format!("slot aired {finished}, not {not_finished}")
        }
        Event::SlotEnded { outcome: SlotOutcome::NotAired(reason), .. } => {
            format!("slot not aired: {reason:?}")
        }
        Event::CommandRefused { reason, .. } => format!("refused: {reason}"),
        _ => return None,
    })
}

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
    scene.push(BulletinClass::Emergency, |command| {
        if let Body::Announce { plan, .. } = &mut command.body {
            plan.repeats = Repeats::Times(2);
        }
    });
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
fn a_mistyped_hour_stays_silent() {
    let mut scene = Scene::at(
        "2026-11-21 03:00:00",
        "[[slot]]\nid = \"dem\"\ntitle = \"Đêm\"\nstart = \"03:15\"\nend = \"03:30\"\nplaylist = \"sang\"\n",
    );
    scene.push(BulletinClass::Priority, |command| {
        if let Body::Announce { plan, .. } = &mut command.body {
            plan.at = Some(local("2026-11-21 03:15:00"));
        }
    });
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
fn cancelled_stays_cancelled() {
    let mut scene = Scene::at("2026-11-21 06:00:00", "");
    let siren = scene.push(BulletinClass::Emergency, |command| {
        if let Body::Announce { plan, .. } = &mut command.body {
            plan.repeats = Repeats::UntilCancelled;
        }
    });
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
    scene.push(BulletinClass::Priority, |command| {
        if let Body::Announce { supersedes, .. } = &mut command.body {
            *supersedes = Some("c3".parse().unwrap());
        }
    });
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
    let new = scene.push(BulletinClass::Emergency, |command| {
        if let Body::Announce { supersedes, .. } = &mut command.body {
            *supersedes = Some("c1".parse().unwrap());
        }
    });
    scene.run(60);
    assert_eq!(scene.steps(&old).last(), Some(&DeliveryStep::Superseded));
    assert_eq!(scene.steps(&new).last(), Some(&DeliveryStep::Finished));
    scene.check(&["Emergency starts", "Superseded after 4 s", "Emergency starts", "finished after 10 s"]);
}

#[test]
fn missing_audio_falls_back_to_words_then_to_the_siren() {
    let mut scene = Scene::at("2026-11-21 06:00:00", "");
    let media = Media {
        sha256: ContentHash::of(b"storm"),
        bytes: 5,
        codec: "audio/mpeg".to_owned(),
        ms: 60_000,
        path: "storm".to_owned(),
    };
    let with_media = |text: &'static str| {
        let media = media.clone();
        move |command: &mut Command| {
            if let Body::Announce { media: slot, words, .. } = &mut command.body {
                *slot = Some(media.clone());
                *words = Some(Words { text: text.to_owned(), language: "vi".to_owned() });
            }
        }
    };
    let sources = |scene: &mut Scene| -> Vec<String> {
        let source = |entry: &Entry| match &entry.event {
            Event::PlayStarted(start) => Some(start.source.clone()),
            _ => None,
        };
        scene.log().iter().filter_map(source).collect()
    };
    scene.push(BulletinClass::Emergency, with_media("nước lên"));
    scene.run(60);
    scene.push(BulletinClass::Emergency, with_media("unspeakable"));
    scene.run(120);
    assert_eq!(sources(&mut scene), ["speech", "siren"]);
    // A priority announcement has time to wait for its audio.
    let sha256 = media.sha256;
    scene.push(BulletinClass::Priority, with_media("tin"));
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
    let (codec, path) = ("audio/mpeg".to_owned(), "storm".to_owned());
    let media = Media { sha256, bytes: 5, codec, ms: 60_000, path };
    scene.push(BulletinClass::Emergency, move |command: &mut Command| {
        if let Body::Announce { media: slot, .. } = &mut command.body {
            *slot = Some(media.clone());
        }
    });
    let sources = |scene: &mut Scene| -> Vec<String> {
        let source = |entry: &Entry| match &entry.event {
            Event::PlayStarted(start) => Some(start.source.clone()),
            _ => None,
        };
        scene.log().iter().filter_map(source).collect()
    };
    scene.run(3);
    assert!(sources(&mut scene).is_empty());
    scene.world.input(Input::Fetched { sha256, result: Ok(()) });
    scene.run(2);
    assert_eq!(sources(&mut scene), ["storm"]);
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
fn nested_interruptions_unwind() {
    let mut scene = Scene::at("2026-11-21 05:00:00", "");
    scene.run(55);
    scene.push(BulletinClass::Priority, |command| {
        if let Body::Announce { plan, .. } = &mut command.body {
            plan.interruption = Interruption::Resume;
        }
    });
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
    let live = |open| Body::Live { voice: "s1".to_owned(), open, url: String::new() };
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
