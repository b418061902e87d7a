//! The local emergency: a standing order that two presses release while the centre is out of reach.

use super::scene::*;
use crate::decide::inbox::tests::everything;
use crate::decide::simulation::random::Random;
use crate::decide::speaker::interface::Input;
use crate::domain::announcement::{BulletinClass, Media, PlayPlan, Repeats, Words};
use crate::domain::ids::{CommandId, ContentHash, PlayId};
use crate::domain::local_emergency::{Contact, LocalEmergency};
use crate::domain::playback::{DeliveryStep, Entry, Event, LocalRefusal, LocalStep, Subject};
use crate::domain::time::{ClockQuality, Moment, Span};
use crate::wire::messages::{Body, Command};

const SILENT_S: u32 = 120;
const CONFIRM_S: u32 = 10;
const MINUTES: u32 = 5;

fn order(version: u32) -> Body {
    let order = LocalEmergency {
        title: "Vỡ đập".to_owned(),
        plan: PlayPlan { repeats: Repeats::UntilCancelled, ..PlayPlan::default() },
        media: None,
        words: Some(Words { text: "chạy lên cao".to_owned(), language: "vi".to_owned() }),
        silent_s: SILENT_S,
        confirm_s: CONFIRM_S,
        minutes_max: MINUTES,
        with_contact: false,
    };
    Body::LocalEmergency { version, order: Some(order) }
}

fn for_a_year(command: &mut Command) {
    command.expires = command.issued_at.plus(Span::secs(365 * 86_400));
}

/// A box with the standing order, whose contact was lost long ago.
fn cut_off() -> (Scene, Contact) {
    let mut scene = Scene::at("2026-11-20 02:00:00", "");
    scene.send(order(1), for_a_year);
    scene.run(u64::from(SILENT_S) + 1);
    (scene, Contact::LostSince(Moment(0)))
}

fn press(scene: &mut Scene, contact: Contact) -> LocalStep {
    scene.world.press(contact).unwrap()
}

/// Presses twice, two seconds apart, and says what came of the second.
fn press_twice(scene: &mut Scene, contact: Contact) -> LocalStep {
    press(scene, contact);
    scene.run(2);
    press(scene, contact)
}

fn released(step: LocalStep) -> CommandId {
    match step {
        LocalStep::Released { command } => command,
        other => panic!("{other:?}"),
    }
}

fn refusal(step: LocalStep) -> String {
    match step {
        LocalStep::Refused { why: LocalRefusal::Invalid { reason } } => reason.to_string(),
        LocalStep::Refused { why } => format!("{why:?}"),
        other => panic!("{other:?}"),
    }
}

/// The steps of presses and of what they released, as the log tells them.
fn told(scene: &mut Scene) -> Vec<LocalStep> {
    let step = |entry: &Entry| match &entry.event {
        Event::LocalEmergency { step, .. } => Some(step.clone()),
        _ => None,
    };
    scene.log().iter().filter_map(step).collect()
}

fn sounds(scene: &mut Scene) -> bool {
    scene.world.take_heard();
    scene.run(30);
    !scene.world.take_heard().is_empty()
}

#[test]
fn two_presses_release_it_at_night_and_two_more_end_it() {
    let (mut scene, contact) = cut_off();
    assert_eq!(press(&mut scene, contact), LocalStep::Armed { confirm_s: CONFIRM_S });
    assert!(!sounds(&mut scene));
    let id = released(press_twice(&mut scene, contact));
    assert!(sounds(&mut scene));
    assert_eq!(press(&mut scene, contact), LocalStep::AboutToStop { confirm_s: CONFIRM_S });
    scene.run(u64::from(CONFIRM_S) + 1);
    assert!(sounds(&mut scene), "one press ends nothing");
    assert_eq!(press_twice(&mut scene, contact), LocalStep::Stopped);
    scene.run(2);
    assert!(!sounds(&mut scene));
    let steps = told(&mut scene);
    assert_eq!(steps.first(), Some(&LocalStep::Armed { confirm_s: CONFIRM_S }));
    assert_eq!(steps.last(), Some(&LocalStep::Stopped));
    assert!(scene.steps(&id).contains(&DeliveryStep::Cancelled));
    let authority = scene.log().iter().find_map(|entry| match &entry.event {
        Event::PlayStarted(start) => Some((start.issuer.clone(), start.subject.clone())),
        _ => None,
    });
    let subject = Subject::Announcement { command: id.clone() };
    assert_eq!(authority, Some((Some("an".parse().unwrap()), subject)));
    // It can be released again, under another id.
    assert_ne!(released(press_twice(&mut scene, contact)), id);
}

#[test]
fn a_contact_that_bounces_is_one_press() {
    let (mut scene, contact) = cut_off();
    for _ in 0..20 {
        assert_eq!(press(&mut scene, contact), LocalStep::Armed { confirm_s: CONFIRM_S });
        scene.world.run_for(Span::millis(30));
    }
    assert!(!sounds(&mut scene));
}

#[test]
fn nothing_is_released_while_the_centre_can_be_reached() {
    let (mut scene, contact) = cut_off();
    assert_eq!(refusal(press_twice(&mut scene, Contact::Stands)), "InContact");
    let lately = Contact::LostSince(scene.world.now().mono);
    assert!(refusal(press_twice(&mut scene, lately)).starts_with("TooSoon"));
    // The contact comes back between the two presses.
    press(&mut scene, contact);
    scene.run(2);
    assert_eq!(refusal(press(&mut scene, Contact::Stands)), "InContact");
    scene.run(2);
    assert_eq!(press(&mut scene, contact), LocalStep::Armed { confirm_s: CONFIRM_S });
    scene.run(u64::from(CONFIRM_S) + 1);
    // An order that says so is released all the same.
    scene.send(order(2), |command| {
        for_a_year(command);
        if let Body::LocalEmergency { order: Some(order), .. } = &mut command.body {
            order.with_contact = true;
        }
    });
    released(press_twice(&mut scene, Contact::Stands));
}

#[test]
fn its_time_is_bounded_and_the_centre_ends_it() {
    let (mut scene, contact) = cut_off();
    let id = released(press_twice(&mut scene, contact));
    scene.run(u64::from(MINUTES) * 60 - 10);
    assert!(scene.world.speaker().unwrap().local_sounds());
    scene.run(20);
    assert!(!sounds(&mut scene));
    assert_eq!(told(&mut scene).last(), Some(&LocalStep::Over));
    assert!(scene.steps(&id).contains(&DeliveryStep::Expired));
    let id = released(press_twice(&mut scene, contact));
    scene.run(20);
    scene.send(Body::Cancel { of: None }, |_| {});
    assert!(scene.steps(&id).contains(&DeliveryStep::Cancelled));
    scene.run(2);
    assert!(!sounds(&mut scene));
    // The stop ended what sounded, and took no order back.
    released(press_twice(&mut scene, contact));
}

#[test]
fn an_order_that_does_not_hold_releases_nothing() {
    let bare = |change: &dyn Fn(&mut Scene)| {
        let mut scene = Scene::at("2026-11-20 02:00:00", "");
        change(&mut scene);
        scene.run(u64::from(SILENT_S) + 1);
        refusal(press_twice(&mut scene, Contact::LostSince(Moment(0))))
    };
    assert_eq!(bare(&|_| {}), "NoOrder");
    // One person alone; one without power; taken back; expired; an older one after that.
    assert_eq!(bare(&|scene| drop(scene.signed_by(&["an"]).send(order(1), for_a_year))), "NoOrder");
    assert_eq!(bare(&|scene| drop(scene.signed_by(&["x", "y"]).send(order(1), for_a_year))), "NoOrder");
    let taken_back = |scene: &mut Scene| {
        scene.send(order(1), for_a_year);
        scene.send(Body::LocalEmergency { version: 2, order: None }, for_a_year);
        scene.send(order(1), for_a_year);
        scene.send(order(2), for_a_year);
    };
    assert_eq!(bare(&taken_back), "NoOrder");
    let expired = bare(&|scene| {
        scene.send(order(1), |command| command.expires = command.issued_at.plus(Span::secs(60)));
    });
    assert!(expired.starts_with("it expired at"), "{expired}");
    let elsewhere = bare(&|scene| {
        scene.send(order(1), for_a_year);
        let mut listeners = scene.world.speaker().unwrap().listeners().clone();
        listeners.groups = ["xa-khac".parse().unwrap()].into();
        scene.world.input(Input::Listeners(listeners));
    });
    assert_eq!(elsewhere, crate::domain::playback::CommandRefusal::NotForThisBox.to_string());
    let revoked = |scene: &mut Scene| {
        scene.send(order(1), for_a_year);
        let mut trust = everything(&["an", "chi"]);
        trust.version = 2;
        scene.world.input(Input::Trust(trust));
    };
    assert_eq!(bare(&revoked), "NoOrder");
    let not_yet = bare(&|scene| {
        scene.send(order(1), |command| {
            for_a_year(command);
            command.not_before = command.issued_at.plus(Span::secs(3_600));
        });
    });
    assert_eq!(not_yet, "its time has not come");
}

#[test]
fn who_signed_it_and_lost_the_power_ends_what_sounds() {
    let (mut scene, contact) = cut_off();
    released(press_twice(&mut scene, contact));
    assert!(sounds(&mut scene));
    let mut trust = everything(&["an", "chi"]);
    trust.version = 2;
    scene.world.input(Input::Trust(trust));
    scene.run(2);
    assert!(!sounds(&mut scene));
    assert_eq!(refusal(press_twice(&mut scene, contact)), "NoOrder");
}

#[test]
fn a_restart_goes_on_with_it_and_no_sequence_of_restarts_makes_it_endless() {
    let (mut scene, contact) = cut_off();
    released(press_twice(&mut scene, contact));
    scene.run(30);
    scene.restart();
    assert!(sounds(&mut scene));
    // Without a known time it goes on as well: the power went with the links.
    let wall = scene.world.now().wall;
    scene.world.power_off();
    scene.world.set_clock(wall, ClockQuality::None);
    scene.world.power_on();
    assert!(sounds(&mut scene));
    for _ in 0..MINUTES {
        scene.restart();
        scene.run(1);
    }
    assert!(!sounds(&mut scene));
    assert_eq!(told(&mut scene).last(), Some(&LocalStep::Over));
}

#[test]
fn a_box_that_was_off_for_long_does_not_go_on() {
    let (mut scene, contact) = cut_off();
    let id = released(press_twice(&mut scene, contact));
    scene.run(10);
    scene.world.power_off();
    scene.run(u64::from(MINUTES) * 60);
    scene.world.power_on();
    assert!(!sounds(&mut scene));
    let steps = told(&mut scene);
    let memory = scene.world.memory();
    assert!(memory.progress[&id].over, "{:?} {:?} {steps:?}", memory.progress, memory.local);
}

#[test]
fn it_is_released_without_a_known_time_unless_it_had_expired_before() {
    let (mut scene, contact) = cut_off();
    let wall = scene.world.now().wall;
    scene.world.power_off();
    scene.world.set_clock(crate::domain::time::Wall(0), ClockQuality::None);
    scene.world.power_on();
    scene.run(u64::from(SILENT_S));
    released(press_twice(&mut scene, contact));
    assert!(sounds(&mut scene));
    press_twice(&mut scene, contact);
    // The time that is known last lies beyond its end: a clock that was lost brings nothing back.
    scene.world.set_clock(wall.plus(Span::secs(366 * 86_400)), ClockQuality::Synced);
    scene.run(600);
    scene.world.set_clock(crate::domain::time::Wall(0), ClockQuality::None);
    assert!(refusal(press_twice(&mut scene, contact)).starts_with("it expired at"));
}

#[test]
fn no_command_takes_its_place_by_bearing_its_id_and_no_digest_counts_it() {
    let (mut scene, contact) = cut_off();
    let id = released(press_twice(&mut scene, contact));
    scene.run(5);
    let now = scene.world.now();
    assert_eq!(scene.world.speaker().unwrap().in_force(&now).count(), 0);
    scene.push(BulletinClass::Normal, |command| command.id = id.clone());
    scene.push(BulletinClass::Emergency, |command| command.id = id.clone());
    assert!(scene.world.speaker().unwrap().local_sounds());
    assert!(sounds(&mut scene));
    let refused = scene.story().into_iter().filter(|line| line.contains("was used for other content"));
    assert_eq!(refused.count(), 2);
}

#[test]
fn audio_of_a_standing_order_is_in_use_and_sounds_once_it_is_there() {
    let (mut scene, contact) = cut_off();
    let sha256 = ContentHash::of(b"dap");
    scene.send(order(2), |command| {
        for_a_year(command);
        if let Body::LocalEmergency { order: Some(order), .. } = &mut command.body {
            let (codec, path) = ("audio/mpeg".to_owned(), "dap.mp3".to_owned());
            order.media = Some(Media { sha256, bytes: 5, codec, ms: 60_000, path });
        }
    });
    assert!(scene.world.speaker().unwrap().media_in_use().any(|used| used == sha256));
    scene.world.input(Input::Fetched { sha256, result: Ok(()) });
    released(press_twice(&mut scene, contact));
    scene.run(5);
    assert_eq!(sources(&mut scene), ["dap.mp3"]);
}

#[test]
fn presses_of_children_fill_no_log() {
    let mut scene = Scene::at("2026-11-20 02:00:00", "");
    for _ in 0..600 {
        press(&mut scene, Contact::Stands);
        scene.run(1);
    }
    assert!(told(&mut scene).len() <= 11, "{}", told(&mut scene).len());
}

/// A person beside the box, who knows the presses, the contact, the order. It shares no code with the heart.
struct Witness {
    contact: Option<Moment>,
    version: u32,
    /// The version in force has a message.
    has_order: bool,
    clerk: bool,
    armed: Option<Moment>,
    pressed: Option<Moment>,
    /// A message sounds since, and at the latest until.
    run: Option<(Moment, Moment)>,
    stopping: Option<Moment>,
}

impl Witness {
    /// Takes in a press at a moment, and says whether a message has to sound after it.
    fn press(&mut self, now: Moment) {
        let is_bounce = self.pressed.is_some_and(|at| now.since(at) < Span::millis(700));
        if is_bounce {
            return;
        }
        self.pressed = Some(now);
        let within = |at: Option<Moment>| at.is_some_and(|at| now.since(at) < Span::secs(CONFIRM_S.into()));
        if self.run.is_some() {
            if within(self.stopping.take()) {
                self.run = None;
            } else {
                self.stopping = Some(now);
            }
            return;
        }
        let silent = self.contact.is_some_and(|lost| now.since(lost) >= Span::secs(SILENT_S.into()));
        let may = silent && self.has_order && self.clerk;
        let armed = within(self.armed.take());
        if may && armed {
            self.run = Some((now, now + Span::secs(u64::from(MINUTES) * 60)));
        } else if may {
            self.armed = Some(now);
        }
    }

    /// Takes in that what sounded was ended.
    fn ended(&mut self) {
        (self.run, self.armed, self.stopping) = (None, None, None);
    }
}

/// A life of presses, power cuts, orders and links, judged at each step by the witness.
fn live(seed: u64) -> u32 {
    let mut random = Random::new(seed);
    let mut scene = Scene::at("2026-11-20 02:00:00", "");
    let mut witness = Witness {
        contact: Some(Moment(0)),
        version: 0,
        has_order: false,
        clerk: true,
        armed: None,
        pressed: None,
        run: None,
        stopping: None,
    };
    let (mut trust_version, mut releases, mut story) = (1, 0, Vec::new());
    for _ in 0..400 {
        let now = scene.world.now().mono;
        if witness.run.is_some_and(|(_, until)| until <= now) {
            witness.ended();
        }
        let what = random.below(100);
        story.push((now, what));
        match what {
            0..=54 => {
                let contact = witness.contact.map_or(Contact::Stands, Contact::LostSince);
                let before = witness.run.is_some();
                witness.press(now);
                scene.world.press(contact);
                releases += u32::from(!before && witness.run.is_some());
            }
            55..=59 => witness.contact = if witness.contact.is_some() { None } else { Some(now) },
            60..=69 => {
                witness.version += 1;
                witness.has_order = random.percent(80);
                let body = match witness.has_order {
                    true => order(witness.version),
                    false => Body::LocalEmergency { version: witness.version, order: None },
                };
                scene.send(body, for_a_year);
                if witness.clerk {
                    witness.ended();
                } else {
                    // Nobody may sign it: nothing changed.
                    witness.version -= 1;
                    witness.has_order = false;
                }
            }
            70..=74 => {
                scene.send(Body::Cancel { of: None }, |_| {});
                if witness.clerk && witness.run.is_some() {
                    witness.ended();
                }
            }
            75..=77 => {
                trust_version += 1;
                witness.clerk = !witness.clerk;
                let mut trust = everything(if witness.clerk { &["an", "binh"] } else { &["an", "chi"] });
                trust.version = trust_version;
                scene.world.input(Input::Trust(trust));
                if !witness.clerk {
                    witness.has_order = false;
                    witness.ended();
                }
            }
            78..=82 => {
                let wall = scene.world.now().wall;
                let quality = if random.percent(50) { ClockQuality::None } else { ClockQuality::Synced };
                scene.world.power_off();
                scene.world.set_clock(wall, quality);
                scene.world.power_on();
                (witness.armed, witness.pressed, witness.stopping) = (None, None, None);
                // Each restart takes up to two and a half minutes of what is left.
                if let Some((since, until)) = witness.run
                    && until.since(now) <= Span::secs(165)
                {
                    let sounds = scene.world.speaker().unwrap().local_sounds();
                    witness.run = sounds.then_some((since, until));
                }
                scene.world.set_clock(wall, ClockQuality::Synced);
                witness.run = witness.run.filter(|_| scene.world.speaker().unwrap().local_sounds());
            }
            _ => {}
        }
        scene.world.run_for(random.span(Span::millis(100), Span::secs(9)));
        let now = scene.world.now().mono;
        let has_ended = witness.run.is_none_or(|(_, until)| until <= now);
        let sounds = scene.world.speaker().unwrap().local_sounds();
        // A restart shortens a run: what the witness still expects may be over, never the reverse.
        assert!(!(sounds && has_ended), "seed {seed}: it sounds without a release: {story:?}");
        if !sounds && witness.run.is_some_and(|(_, until)| until.since(now) > Span::secs(3_600)) {
            panic!("seed {seed}: it does not sound: {story:?}");
        }
        if let Some((since, _)) = witness.run.filter(|(since, _)| now.since(*since) < Span::secs(60))
            && !sounds
        {
            panic!("seed {seed}: released at {since:?} and silent: {story:?}");
        }
        witness.run = witness.run.filter(|_| sounds);
    }
    check_airtime(seed, &mut scene);
    releases
}

/// Checks by the log alone that every emergency that sounded lies between a release and its end, and is closed.
fn check_airtime(seed: u64, scene: &mut Scene) {
    let mut open = std::collections::BTreeMap::<PlayId, CommandId>::new();
    let mut released = std::collections::BTreeSet::new();
    for entry in scene.log() {
        match &entry.event {
            Event::LocalEmergency { step: LocalStep::Released { command }, by, order } => {
                assert!(by.is_some() && order.is_some(), "seed {seed}: nobody released {command}");
                released.insert(command.clone());
            }
            Event::PlayStarted(start) => {
                let Subject::Announcement { command } = &start.subject else { continue };
                assert!(released.contains(command), "seed {seed}: {command} sounds and was not released");
                open.insert(start.play, command.clone());
            }
            Event::PlayEnded(end) => drop(open.remove(&end.play)),
            _ => {}
        }
    }
    assert!(open.len() <= 1, "seed {seed}: {open:?} are open");
}

#[test]
fn lives_of_presses_cuts_and_orders_keep_to_what_a_witness_expects() {
    let releases: u32 = (0..150).map(live).sum();
    assert!(releases > 300, "{releases}");
}

#[test]
fn one_press_shortly_before_its_end_makes_it_no_longer() {
    let (mut scene, contact) = cut_off();
    released(press_twice(&mut scene, contact));
    scene.run(u64::from(MINUTES) * 60 - 3);
    assert_eq!(press(&mut scene, contact), LocalStep::AboutToStop { confirm_s: CONFIRM_S });
    scene.run(4);
    assert!(!scene.world.speaker().unwrap().local_sounds());
    assert_eq!(told(&mut scene).last(), Some(&LocalStep::Over));
}

#[test]
fn what_is_over_is_over_once_after_a_restart_too() {
    let (mut scene, contact) = cut_off();
    released(press_twice(&mut scene, contact));
    scene.run(u64::from(MINUTES) * 60 + 30);
    let over = |scene: &mut Scene| told(scene).iter().filter(|step| **step == LocalStep::Over).count();
    assert_eq!((over(&mut scene), sounds(&mut scene)), (1, false));
    scene.restart();
    scene.run(30);
    assert_eq!((over(&mut scene), sounds(&mut scene)), (1, false));
    assert!(scene.world.memory().local.is_none(), "nothing of it is kept");
}

#[test]
fn what_two_presses_stopped_is_kept_by_nothing() {
    let (mut scene, contact) = cut_off();
    released(press_twice(&mut scene, contact));
    scene.run(10);
    assert_eq!(press_twice(&mut scene, contact), LocalStep::Stopped);
    assert!(scene.world.memory().local.is_none());
    scene.restart();
    scene.run(30);
    assert!(!sounds(&mut scene), "{:?}", told(&mut scene));
}

#[test]
fn a_box_that_comes_back_at_the_very_end_does_not_go_on() {
    let back_at = |before: Span| {
        let (mut scene, contact) = cut_off();
        released(press_twice(&mut scene, contact));
        scene.run(10);
        let until = scene.world.memory().local.as_ref().unwrap().until.unwrap();
        scene.world.power_off();
        scene.world.set_clock(until.minus(before), ClockQuality::Synced);
        scene.world.power_on();
        sounds(&mut scene)
    };
    assert!(!back_at(Span(0)) && back_at(Span::secs(60)));
}
