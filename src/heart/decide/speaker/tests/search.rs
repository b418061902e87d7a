//! Every sequence of a few commands, with restarts, clock states and trust documents between them, breadth first.
//!
//! Bounds are small, so that a handful of commands fills them. States that remember the same and sound the same are one.
//! In each of them an emergency that two people signed must get the air, whatever came before.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::authority::people;
use super::scene;
use crate::decide::inbox;
use crate::decide::memory::Memory;
use crate::decide::quotas::Limits;
use crate::decide::schedule::{Listeners, Timetable};
use crate::decide::speaker::interface::{Action, Input, Restored};
use crate::decide::speaker::state::Speaker;
use crate::domain::announcement::{BulletinClass, Mode, PlayPlan, Repeats, Rung};
use crate::domain::authority::Trust;
use crate::domain::ids::{CommandId, ContentHash, KeyId, PlayId};
use crate::domain::playback::{DeliveryStep, Entry, Event};
use crate::domain::policy::Policy;
use crate::domain::sound::{End, PlayerCommand, PlayerEvent, Sounded};
use crate::domain::time::{ClockQuality, Moment, Reading, Span, Wall};
use crate::wire::messages::{Body, Command, Signed};

const LIMITS: Limits = Limits {
    held_of_issuer: 2,
    held: 3,
    emergencies_of_issuer: 2,
    emergencies: 4,
    known_of_issuer: 3,
    known_emergencies_of_issuer: 3,
    endings_of_issuer: 2,
    stops_of_issuer: 1,
    serials_of_strangers: 1,
};

/// 2026-11-21T08:00 in Vietnam.
const BEGIN: Wall = Wall(1_795_222_800_000_000);

/// One step of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// The emergency of the commune, by two people.
    Storm,
    /// A `test` under the id of the storm.
    SquatStorm,
    /// An announcement under the id of the emergency that will be tried.
    SquatTrial,
    TestInstead,
    NormalInstead,
    ExerciseInstead,
    Voice,
    SilentPolicy,
    /// With the serial of the storm, by one of those who sign it.
    SameSerial,
    FarSerial,
    Filler(u8),
    /// The storm's id and place, signed by one person.
    StormOfOne,
    /// Signed by two, one of whom may not.
    StormOfOneAndAClerk,
    VillageCancel,
    VillageStop,
    /// An emergency of one village in place of the storm.
    VillageStorm,
    /// By somebody who may.
    Cancel,
    Restart,
    ClockAhead,
    ClockLost,
    ClockRight,
    Revoke,
    OldTrust,
}

impl Step {
    fn command(self) -> Option<Signed<Command>> {
        use BulletinClass::*;
        let storm = || Some("storm".parse().unwrap());
        let test_instead = || announce(Normal, Mode::Test, storm());
        Some(match self {
            Step::Storm => sign(&["an", "binh"], "storm", 2, announce(Emergency, Mode::Actual, None)),
            Step::SquatStorm => sign(&["dung"], "storm", 1, Body::Test),
            Step::SquatTrial => sign(&["dung"], "trial", 2, announce(Priority, Mode::Actual, None)),
            Step::TestInstead => sign(&["dung"], "t", 3, test_instead()),
            Step::NormalInstead => sign(&["dung"], "n", 4, announce(Normal, Mode::Actual, storm())),
            Step::ExerciseInstead => sign(&["dung"], "x", 5, announce(Emergency, Mode::Exercise, storm())),
            Step::Voice => {
                let (voice, url) = ("s".to_owned(), String::new());
                sign(&["dung"], "v", 6, Body::Live { voice, open: true, url })
            }
            Step::SilentPolicy => {
                let policy = Policy {
                    version: 2,
                    allowed: Vec::new(),
                    volume_day_percent_max: 0,
                    volume_night_percent_max: 0,
                    volume_zone_percent_max: 0,
                    ..Policy::default()
                };
                sign(&["dung"], "p", 7, Body::Policy(policy))
            }
            Step::SameSerial => sign(&["an"], "same", 2, announce(Normal, Mode::Actual, None)),
            Step::FarSerial => sign(&["an"], "far", inbox::SERIAL_STEP_MAX, Body::Test),
            Step::Filler(n) => {
                let body = announce(Normal, Mode::Actual, None);
                sign(&["dung"], &format!("f{n}"), 10 + u64::from(n), body)
            }
            Step::StormOfOne => sign(&["an"], "storm", 2, announce(Emergency, Mode::Actual, None)),
            Step::StormOfOneAndAClerk => {
                sign(&["an", "dung"], "trial", 1, announce(Emergency, Mode::Actual, None))
            }
            Step::VillageCancel => in_village(sign(&["giang"], "c", 1, Body::Cancel { of: storm() })),
            Step::VillageStop => {
                let mut signed = in_village(sign(&["giang"], "a", 2, Body::Cancel { of: None }));
                signed.payload.issued_at = BEGIN.plus(Span::secs(500));
                signed
            }
            Step::VillageStorm => {
                let body = announce(Emergency, Mode::Actual, storm());
                in_village(sign(&["giang", "hoa"], "e", 3, body))
            }
            Step::Cancel => sign(&["chi"], "z", 1, Body::Cancel { of: storm() }),
            _ => return None,
        })
    }
}

fn announce(class: BulletinClass, mode: Mode, instead_of: Option<CommandId>) -> Body {
    let plan = PlayPlan { repeats: Repeats::UntilCancelled, ..PlayPlan::default() };
    let mut body = scene::announce(class, mode, plan);
    if let Body::Announce { supersedes, .. } = &mut body {
        *supersedes = instead_of;
    }
    body
}

fn sign(keys: &[&str], id: &str, serial: u64, body: Body) -> Signed<Command> {
    let signers: Vec<_> = keys.iter().map(|key| KeyId::new(*key).unwrap()).collect();
    let mut payload = scene::command(id, &signers[0], serial, BEGIN, body);
    payload.not_before = BEGIN.minus(Span::secs(60));
    scene::sign(signers, payload)
}

fn in_village(mut signed: Signed<Command>) -> Signed<Command> {
    signed.payload.groups = vec!["thon-1".parse().unwrap()];
    signed
}

/// The emergency that must get the air in every state.
fn trial() -> Signed<Command> {
    sign(&["an", "binh"], "trial", 1, announce(BulletinClass::Emergency, Mode::Actual, None))
}

/// A box with its disk, and a player that opens everything and ends nothing.
#[derive(Clone)]
struct State {
    speaker: Speaker,
    rows: BTreeMap<String, String>,
    kept: BTreeMap<CommandId, Signed<Command>>,
    policy: Policy,
    now: Reading,
    start: u32,
    open: BTreeSet<PlayId>,
    playing: Option<PlayId>,
    /// Steps whose command was received.
    received: BTreeSet<Step>,
    /// The storm is on the box, and nobody who may has ended it.
    storm_stands: bool,
    /// The storm was cancelled, or its time was over by the clock that was.
    storm_is_excused: bool,
}

fn place() -> Listeners {
    let groups = ["xa", "thon-1"].map(|group| group.parse().unwrap()).into();
    Listeners { groups, languages: vec!["vi".to_owned()] }
}

impl State {
    fn begin() -> Self {
        let now = Reading { mono: Moment(0), wall: BEGIN, quality: ClockQuality::Synced, uncertainty_ms: 10 };
        let speaker = Speaker::new(
            Restored { start: 1, ..Restored::default() },
            place(),
            Timetable::default(),
            Some(people()),
            Policy::default(),
            &now,
        );
        let mut state = Self {
            speaker: speaker.bounded(LIMITS),
            rows: BTreeMap::new(),
            kept: BTreeMap::new(),
            policy: Policy::default(),
            now,
            start: 1,
            open: BTreeSet::new(),
            playing: None,
            received: BTreeSet::new(),
            storm_stands: false,
            storm_is_excused: false,
        };
        state.drain(None);
        state
    }

    fn restart(&mut self) {
        self.start += 1;
        let (memory, unread) = Memory::restore(self.rows.clone());
        assert_eq!(unread, [""; 0]);
        let commands = self.kept.values().cloned().collect();
        let restored = Restored { start: self.start, memory, commands, ..Restored::default() };
        let trust = self.speaker.trust().cloned();
        self.speaker =
            Speaker::new(restored, place(), Timetable::default(), trust, self.policy.clone(), &self.now)
                .bounded(LIMITS);
        self.playing = None;
        self.drain(None);
    }

    fn set_clock(&mut self, ahead: Span, quality: ClockQuality) {
        self.now.wall = BEGIN.plus(self.now.mono.since(Moment(0))).plus(ahead);
        self.now.quality = quality;
        self.tell(Input::ClockChanged, None);
    }

    fn tell(&mut self, input: Input, step: Option<Step>) {
        self.speaker.handle(&self.now, input);
        self.drain(step);
    }

    fn take(&mut self, step: Step) {
        self.now.mono = self.now.mono + Span::millis(1);
        self.now.wall = self.now.wall.plus(Span::millis(1));
        if let Some(signed) = step.command() {
            self.tell(Input::Command(Box::new(signed)), Some(step));
        }
        match step {
            Step::Storm if self.now.quality == ClockQuality::Synced && !self.storm_is_excused => {
                self.storm_stands = true;
            }
            Step::Cancel => (self.storm_stands, self.storm_is_excused) = (false, true),
            Step::Restart => self.restart(),
            Step::ClockAhead => {
                (self.storm_stands, self.storm_is_excused) = (false, true);
                self.set_clock(Span::secs(30 * 86_400), ClockQuality::Floor);
            }
            Step::ClockLost => self.set_clock(Span(0), ClockQuality::None),
            Step::ClockRight => self.set_clock(Span(0), ClockQuality::Synced),
            Step::Revoke => {
                let mut trust = Trust { version: 2, ..people() };
                trust.grants.retain(|grant| grant.holder != "dung");
                self.tell(Input::Trust(trust), None);
            }
            Step::OldTrust => self.tell(Input::Trust(people()), None),
            _ => {}
        }
        self.check();
    }

    /// Carries out what the speaker asks for, and looks at what it says.
    fn drain(&mut self, step: Option<Step>) {
        loop {
            let mut events = VecDeque::new();
            while let Some(action) = self.speaker.poll_action() {
                match action {
                    Action::Log(entry) => self.look(&entry, step),
                    Action::Remember(memo) => match memo.row() {
                        (key, Some(value)) => drop(self.rows.insert(key, value)),
                        (key, None) => drop(self.rows.remove(&key)),
                    },
                    Action::Keep(id) => {
                        let signed = step.and_then(Step::command).unwrap_or_else(trial);
                        self.kept.insert(id, signed);
                    }
                    Action::Forget(id) => drop(self.kept.remove(&id)),
                    Action::Adopt(signed) => {
                        if let Body::Policy(policy) = signed.payload.body {
                            self.policy = policy;
                        }
                    }
                    Action::Player(PlayerCommand::Preflight { play, .. }) => {
                        let result = Ok(Some(Span::secs(10)));
                        events.push_back(PlayerEvent::Preflighted { play, result });
                    }
                    Action::Player(PlayerCommand::Play { play, .. }) => {
                        events.extend(self.playing.replace(play).map(stopped));
                        events.push_back(PlayerEvent::Started { play, at: self.now.mono });
                    }
                    Action::Player(PlayerCommand::Stop { play, .. }) => {
                        events.extend(self.playing.take_if(|playing| *playing == play).map(stopped));
                    }
                    Action::Checkpoint(_) | Action::Fetch { .. } => {}
                }
            }
            if events.is_empty() {
                return;
            }
            for event in events {
                self.speaker.handle(&self.now, Input::Player(event));
            }
        }
    }

    fn look(&mut self, entry: &Entry, step: Option<Step>) {
        match &entry.event {
            Event::PlayStarted(start) => {
                assert!(self.open.insert(start.play), "it starts twice: {start:?}");
                let timed = self.now.quality > ClockQuality::None || start.rung == Rung::Emergency;
                assert!(timed, "without a clock only emergencies sound: {start:?}");
                let allowed = self.policy.version == 0 || start.rung == Rung::Emergency;
                assert!(allowed, "the guard is passed: {start:?}");
            }
            Event::PlayEnded(end) => assert!(self.open.remove(&end.play), "it ends twice: {end:?}"),
            Event::Delivery { command, step: DeliveryStep::Received } => {
                let own = step.filter(|step| step.command().is_some_and(|own| own.payload.id == *command));
                if let Some(step) = own {
                    assert!(self.received.insert(step), "{step:?} is obeyed twice");
                }
            }
            _ => {}
        }
    }

    fn holds(&self, id: &str) -> bool {
        self.speaker.in_force(&self.now).any(|held| held.as_str() == id)
    }

    fn check(&self) {
        if self.storm_stands {
            assert!(self.holds("storm"), "the storm was ended");
        }
        let memory = self.speaker.memory();
        let count = |max: usize, keys: Vec<&KeyId>| {
            let most = keys.iter().map(|key| keys.iter().filter(|other| *other == key).count()).max();
            assert!(most.unwrap_or(0) <= max, "{max} of one key: {keys:?}");
        };
        let known = memory.known.values().filter_map(|known| known.origin.as_ref());
        count(
            LIMITS.known_of_issuer + LIMITS.known_emergencies_of_issuer,
            known.map(|from| &from.issuer).collect(),
        );
        count(LIMITS.endings_of_issuer, memory.endings.values().map(|ending| &ending.by.issuer).collect());
        count(LIMITS.stops_of_issuer, memory.stops.values().map(|stop| &stop.by.issuer).collect());
        assert!(self.speaker.held.len() <= LIMITS.held + LIMITS.emergencies);
        assert!(self.kept.len() <= self.speaker.held.len());
        assert!(self.speaker.trust().is_some_and(|trust| trust.version >= self.version()));
    }

    fn version(&self) -> u32 {
        let revoked = self.speaker.trust().is_some_and(|trust| trust.grants.len() < people().grants.len());
        if revoked { 2 } else { 1 }
    }

    /// An emergency comes now, with the clock set right.
    fn try_emergency(&self) {
        let mut state = self.clone();
        state.set_clock(Span(0), ClockQuality::Synced);
        state.tell(Input::Command(Box::new(trial())), None);
        assert!(state.holds("trial"), "it was refused");
        let sounds = |state: &State| state.speaker.on_air().map(|(_, _, rung)| rung);
        assert_eq!(sounds(&state), Some(Rung::Emergency));
        state.restart();
        assert!(state.holds("trial"), "a restart loses it");
        assert_eq!(sounds(&state), Some(Rung::Emergency));
    }

    /// Hashes what tells states apart: all that is remembered and in force, but for numbers that only count.
    fn key(&self) -> ContentHash {
        let counts = |key: &str| {
            ["open-play/", "sounded/", "accounted-upto/"].iter().any(|kind| key.starts_with(kind))
        };
        let mut text = String::new();
        for (key, value) in self.rows.iter().filter(|(key, _)| !counts(key)) {
            text += &format!("{key}={value};");
        }
        let held: Vec<_> = self.speaker.held.keys().collect();
        let on_air = self.speaker.on_air().map(|(_, title, rung)| (title, rung));
        let voice = self.speaker.voice.is_some();
        let clock = (self.now.quality, self.now.wall >= BEGIN.plus(Span::secs(86_400)));
        let more =
            (self.storm_stands, self.storm_is_excused, &self.received, self.policy.version, self.version());
        ContentHash::of(format!("{text}{held:?}{on_air:?}{voice}{clock:?}{more:?}").as_bytes())
    }
}

fn stopped(play: PlayId) -> PlayerEvent {
    let sounded = Sounded { played: Span::millis(1), due: Some(Span::secs(10)), ..Sounded::default() };
    PlayerEvent::Ended { play, sounded, end: End::Stopped }
}

/// Goes through all sequences of up to `depth` of these steps. Gives the number of states that were seen.
fn search(steps: &[Step], depth: usize) -> usize {
    let mut seen = BTreeSet::new();
    let mut level = vec![(State::begin(), Vec::new())];
    for _ in 0..depth {
        let mut next = Vec::new();
        for (state, path) in &level {
            for step in steps {
                let path: Vec<Step> = path.iter().copied().chain([*step]).collect();
                let found = std::panic::catch_unwind(|| {
                    let mut state = state.clone();
                    state.take(*step);
                    let key = state.key();
                    if !seen.contains(&key) {
                        state.try_emergency();
                    }
                    (key, state)
                });
                let Ok((key, state)) = found else { panic!("after {path:?}") };
                if seen.insert(key) {
                    next.push((state, path));
                }
            }
        }
        level = next;
    }
    seen.len()
}

use Step::*;

#[test]
fn four_steps_of_any_kind() {
    let all = [
        Storm,
        SquatStorm,
        SquatTrial,
        TestInstead,
        NormalInstead,
        ExerciseInstead,
        Voice,
        SilentPolicy,
        SameSerial,
        FarSerial,
        Filler(1),
        StormOfOne,
        StormOfOneAndAClerk,
        VillageCancel,
        VillageStop,
        VillageStorm,
        Cancel,
        Restart,
        ClockAhead,
        ClockLost,
        ClockRight,
        Revoke,
        OldTrust,
    ];
    let seen = search(&all, 4);
    assert!(seen > 300, "{seen}");
}

#[test]
fn six_steps_of_floods() {
    let steps = [
        Storm,
        SquatTrial,
        Filler(1),
        Filler(2),
        Filler(3),
        FarSerial,
        SameSerial,
        VillageStorm,
        Voice,
        Restart,
        ClockAhead,
        ClockRight,
        Revoke,
    ];
    let seen = search(&steps, 6);
    assert!(seen > 300, "{seen}");
}

#[test]
fn six_steps_of_endings() {
    let steps = [
        Storm,
        TestInstead,
        NormalInstead,
        ExerciseInstead,
        StormOfOne,
        VillageCancel,
        VillageStop,
        VillageStorm,
        Cancel,
        Restart,
        Revoke,
        OldTrust,
    ];
    let seen = search(&steps, 6);
    assert!(seen > 300, "{seen}");
}

#[test]
fn six_steps_of_ids_serials_and_clocks() {
    let steps = [
        Storm,
        SquatStorm,
        SquatTrial,
        SameSerial,
        FarSerial,
        StormOfOne,
        StormOfOneAndAClerk,
        SilentPolicy,
        Voice,
        Restart,
        ClockLost,
        ClockRight,
    ];
    let seen = search(&steps, 6);
    assert!(seen > 300, "{seen}");
}
