//! The real heart of a box and central's side of delivery over a pipe that loses: they come to agree, and then are quiet.

use std::collections::{BTreeMap, BTreeSet};

use loaxa_heart::decide::delivery::{self, CommandKind, Standing, Step};
use loaxa_heart::decide::schedule::{Listeners, Timetable};
use loaxa_heart::decide::speaker::{Action, Input, Restored, Speaker};
use loaxa_heart::domain::announcement::{BulletinClass, Mode, PlayPlan, Words};
use loaxa_heart::domain::authority::{Grant, Power, Trust};
use loaxa_heart::domain::ids::{CommandId, ContentHash, GroupId};
use loaxa_heart::domain::playback::Event;
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::time::{ClockQuality, Moment, Reading, Span, Wall};
use loaxa_heart::wire::messages::{Body, Command, Signed, commands_digest};

const HEARTBEAT: Span = Span::secs(60);

/// A repeatable coin.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn group() -> GroupId {
    "xa".parse().unwrap()
}

fn trust() -> Trust {
    use Power::*;
    let grant = Grant {
        key: "an".parse().unwrap(),
        public: String::new(),
        holder: "An".to_owned(),
        // Not `Priority`: such an announcement is refused.
        powers: [Normal, Cancel, Test].into(),
        groups: [group()].into(),
        level: 1,
        valid_from: None,
        account: None,
        valid_until: None,
    };
    Trust { version: 1, grants: vec![grant], thresholds: Vec::new(), nesting: BTreeMap::new() }
}

/// Central as its store knows it: what was issued, and how far the box's log tells that it came.
#[derive(Default)]
struct Central {
    issued: Vec<Signed<Command>>,
    ended: BTreeSet<CommandId>,
    steps: BTreeMap<CommandId, Step>,
}

impl Central {
    fn issue(&mut self, now: Wall, lives: Span, body: Body) -> usize {
        let number = self.issued.len() as u64 + 1;
        match &body {
            Body::Announce { supersedes: Some(old), .. } => drop(self.ended.insert(old.clone())),
            Body::Cancel { of: Some(of) } => drop(self.ended.insert(of.clone())),
            Body::Cancel { of: None } => self.ended.extend(self.issued.iter().map(|c| c.payload.id.clone())),
            _ => {}
        }
        let payload = Command {
            v: 1,
            id: format!("c{number:04}").parse().unwrap(),
            issuer: "an".parse().unwrap(),
            serial: number,
            issued_at: now,
            groups: vec![group()],
            not_before: now,
            expires: now.plus(lives),
            author: String::new(),
            approver: None,
            critical: Vec::new(),
            body,
        };
        let digest = ContentHash::of(format!("{payload:?}").as_bytes());
        self.issued.push(Signed { signers: vec!["an".parse().unwrap()], digest, payload });
        self.issued.len() - 1
    }

    fn hears(&mut self, event: &Event) {
        let (id, next) = match event {
            Event::Delivery { command, step } => (command, Step::from(step)),
            Event::CommandRefused { command: Some(command), reason } if !reason.may_pass() => {
                (command, Step::Refused)
            }
            _ => return,
        };
        let before = self.steps.get(id).copied().unwrap_or(Step::Sent);
        self.steps.insert(id.clone(), before.then(next));
    }

    fn sends(&self, now: Wall, digest: &str, backlog: usize) -> Vec<Signed<Command>> {
        let standing = |command: &&Signed<Command>| command.payload.expires > now;
        let standing: Vec<Standing> = self
            .issued
            .iter()
            .filter(standing)
            .map(|Signed { payload, .. }| Standing {
                id: payload.id.clone(),
                groups: payload.groups.clone(),
                kind: match payload.body {
                    Body::Announce { .. } => CommandKind::Announce,
                    Body::Cancel { .. } => CommandKind::Cancel,
                    _ => CommandKind::Other,
                },
                ended: self.ended.contains(&payload.id),
                supersedes: matches!(payload.body, Body::Announce { supersedes: Some(_), .. }),
                step: self.steps.get(&payload.id).copied(),
            })
            .collect();
        let ids = delivery::to_send(digest, backlog as u64, &[group()], &standing);
        ids.into_iter()
            .map(|id| self.issued.iter().find(|command| command.payload.id == *id).unwrap().clone())
            .collect()
    }
}

struct Pair {
    central: Central,
    speaker: Speaker,
    now: Reading,
    /// Log entries that have not come home.
    log: Vec<Event>,
}

impl Pair {
    fn new() -> Self {
        let wall = Wall(1_795_221_000_000_000);
        let now = Reading { mono: Moment(0), wall, quality: ClockQuality::Synced, uncertainty_ms: 1 };
        Self { central: Central::default(), speaker: new_box(&now), now, log: Vec::new() }
    }

    fn pass(&mut self, span: Span) {
        self.now.mono = self.now.mono + span;
        self.now.wall = self.now.wall.plus(span);
        self.speaker.handle_timeout(&self.now);
        self.collect();
    }

    fn deliver(&mut self, signed: Signed<Command>) {
        self.speaker.handle(&self.now, Input::Command(Box::new(signed)));
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(action) = self.speaker.poll_action() {
            if let Action::Log(entry) = action {
                self.log.push(entry.event);
            }
        }
    }

    fn log_comes_home(&mut self) {
        let log = std::mem::take(&mut self.log);
        log.iter().for_each(|event| self.central.hears(event));
    }

    fn in_force(&self) -> Vec<CommandId> {
        self.speaker.in_force(&self.now).cloned().collect()
    }

    /// Lists the commands that central sends after a heartbeat.
    fn heartbeat(&self) -> Vec<Signed<Command>> {
        self.central.sends(self.now.wall, &commands_digest(&self.in_force()), self.log.len())
    }

    /// Lists the commands that staff mean to be in force on the box.
    fn meant(&self) -> Vec<CommandId> {
        let standing = |command: &&Signed<Command>| {
            let lives =
                command.payload.expires > self.now.wall && !self.central.ended.contains(&command.payload.id);
            let plays = matches!(
                &command.payload.body,
                Body::Announce { class: BulletinClass::Normal, mode: Mode::Actual, .. }
            );
            lives && plays
        };
        self.central.issued.iter().filter(standing).map(|command| command.payload.id.clone()).collect()
    }
}

fn new_box(now: &Reading) -> Speaker {
    let listeners = Listeners { groups: [group()].into(), languages: Vec::new() };
    Speaker::new(Restored::default(), listeners, Timetable::default(), Some(trust()), Policy::default(), now)
}

/// Something that staff do: announcements that wait for a slot, one that is only a test (over at once), one that the
/// key may not issue, an update, a cancel, a stop of everything.
fn some_order(dice: &mut Dice, pair: &Pair) -> (Span, Body) {
    let any = |dice: &mut Dice| {
        let count = pair.central.issued.len() as u64;
        (count > 0).then(|| pair.central.issued[dice.below(count) as usize].payload.id.clone())
    };
    let announce = |class, mode, supersedes| Body::Announce {
        title: "Thông báo".to_owned(),
        class,
        mode,
        plan: PlayPlan::default(),
        media: None,
        words: Some(Words { text: "chữ".to_owned(), language: "vi".to_owned() }),
        supersedes,
        cap: None,
    };
    let lives = Span::secs([90, 900, 86_400][dice.below(3) as usize]);
    let body = match dice.below(12) {
        0 => announce(BulletinClass::Normal, Mode::Test, None),
        1 => announce(BulletinClass::Priority, Mode::Actual, None),
        2 => announce(BulletinClass::Normal, Mode::Actual, any(dice)),
        3 | 4 => Body::Cancel { of: any(dice) },
        5 => Body::Cancel { of: None },
        _ => announce(BulletinClass::Normal, Mode::Actual, None),
    };
    let is_cancel = matches!(body, Body::Cancel { .. });
    // As central issues them: not shorter than what they end.
    let lives_on = is_cancel || matches!(body, Body::Announce { supersedes: Some(_), .. });
    (if lives_on { Span::secs(86_400) } else { lives }, body)
}

fn live(seed: u64) {
    let mut dice = Dice(seed);
    let mut pair = Pair::new();
    let mut lost_its_memory = false;
    for _ in 0..40 {
        pair.pass(Span::secs(1 + dice.below(50)));
        let (lives, body) = some_order(&mut dice, &pair);
        let number = pair.central.issue(pair.now.wall, lives, body);
        if dice.below(2) == 0 {
            let signed = pair.central.issued[number].clone();
            pair.deliver(signed);
        }
        if dice.below(3) == 0 {
            pair.log_comes_home();
        }
        if dice.below(4) == 0 {
            for signed in pair.heartbeat() {
                if dice.below(2) == 0 {
                    pair.deliver(signed);
                }
            }
        }
        if dice.below(25) == 0 {
            // Its disk is gone, and what it had not sent.
            pair.speaker = new_box(&pair.now);
            pair.log.clear();
            lost_its_memory = true;
            pair.collect();
        }
    }
    // From here on nothing is lost. Its log comes home, then one heartbeat heals.
    pair.log_comes_home();
    pair.pass(HEARTBEAT);
    pair.log_comes_home();
    // What it never named goes first; what it forgot follows.
    for _ in 0..if lost_its_memory { 2 } else { 1 } {
        for signed in pair.heartbeat() {
            pair.deliver(signed);
        }
        pair.log_comes_home();
    }
    assert_eq!(pair.in_force(), pair.meant(), "seed {seed}: after a heartbeat");
    for minute in 0..30 {
        pair.pass(HEARTBEAT);
        pair.log_comes_home();
        let again = pair.heartbeat();
        assert!(again.is_empty(), "seed {seed}, minute {minute}: {again:?}");
    }
}

#[test]
fn one_heartbeat_heals_and_then_nothing_is_sent() {
    (0..500).for_each(live);
}
