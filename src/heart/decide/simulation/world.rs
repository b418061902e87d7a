//! A box in a simulated world: the real heart, a disk that survives power cuts, a clock that can be wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::player::{Heard, Lookup, SimulatedPlayer};
use crate::decide::downloads::Need;
use crate::decide::memory::{Memo, Memory};
use crate::decide::schedule::{Listeners, Timetable};
use crate::decide::speaker::{Action, Input, Restored, Speaker};
use crate::domain::authority::Trust;
use crate::domain::ids::{CommandId, ContentHash, KeyId, PlayId};
use crate::domain::local_emergency::Contact;
use crate::domain::playback::{Entry, LocalStep, Presser};
use crate::domain::policy::Policy;
use crate::domain::time::{ClockQuality, Moment, Reading, Span, Wall};
use crate::wire::messages::{Body, Command, Signed};

/// The installation of a box: its listeners, programme, trust and policy.
#[derive(Clone)]
pub struct Setup {
    pub listeners: Listeners,
    pub timetable: Timetable,
    pub trust: Option<Trust>,
    pub policy: Policy,
}

/// The state that survives a power cut.
#[derive(Default, Clone)]
struct Disk {
    memory: Memory,
    commands: BTreeMap<CommandId, Signed<Command>>,
    checkpoints: BTreeMap<PlayId, Span>,
    staged: BTreeSet<ContentHash>,
    start: u32,
    /// The policy that was adopted, and the keys that signed it.
    policy: Option<(Policy, Vec<KeyId>)>,
    trust: Option<Trust>,
    local_order: Option<Signed<Command>>,
}

/// Steps without time passing that a sound heart never needs.
const STALL_MAX: u32 = 1_000;

/// The world of one box.
pub struct World {
    setup: Setup,
    clock: Reading,
    speaker: Option<Speaker>,
    player: SimulatedPlayer,
    disk: Disk,
    /// Commands on their way through the heart, until it asks to keep them.
    arriving: BTreeMap<CommandId, Signed<Command>>,
    lookup: Box<Lookup<'static>>,
    log: Vec<Entry>,
    fetches: Vec<(ContentHash, Need)>,
    /// Report of a heart that asked to be woken again and again without time passing.
    stalled: Option<String>,
    disk_is_full: bool,
    /// Committed while the disk was full: it waits in memory.
    unwritten: Vec<Action>,
    /// Durable actions since the last commit: a power cut takes them back.
    uncommitted: Vec<Action>,
    /// The power goes before the action with this number, counted from now.
    cut_before_action: Option<u32>,
}

impl World {
    /// Makes a box that is off. The monotonic clock starts at zero.
    pub fn new(setup: Setup, wall: Wall, lookup: Box<Lookup<'static>>) -> Self {
        let clock = Reading { mono: Moment(0), wall, quality: ClockQuality::Synced, uncertainty_ms: 10 };
        Self {
            setup,
            clock,
            speaker: None,
            player: SimulatedPlayer::default(),
            disk: Disk::default(),
            arriving: BTreeMap::new(),
            lookup,
            log: Vec::new(),
            fetches: Vec::new(),
            stalled: None,
            disk_is_full: false,
            unwritten: Vec::new(),
            uncommitted: Vec::new(),
            cut_before_action: None,
        }
    }

    /// Gives the world a player that answers at once, for plans to the second.
    pub fn without_latency(mut self) -> Self {
        self.player = SimulatedPlayer::instant();
        self
    }

    /// Returns the clocks of the box.
    pub fn now(&self) -> Reading {
        self.clock
    }

    /// Returns the heart, while the power is on.
    pub fn speaker(&self) -> Option<&Speaker> {
        self.speaker.as_ref()
    }

    /// Returns the memory on the disk.
    pub fn memory(&self) -> &Memory {
        &self.disk.memory
    }

    /// Switches the power on.
    pub fn power_on(&mut self) {
        self.disk.start += 1;
        let Setup { listeners, timetable, trust, policy } = self.setup.clone();
        let trust = self.disk.trust.clone().or(trust);
        let (policy, policy_signers) = self.disk.policy.clone().unwrap_or((policy, Vec::new()));
        let restored = Restored {
            start: self.disk.start,
            memory: self.disk.memory.clone(),
            commands: self.disk.commands.values().cloned().collect(),
            checkpoints: self.disk.checkpoints.clone(),
            staged: self.disk.staged.clone(),
            policy_signers,
            local_order: self.disk.local_order.clone(),
        };
        self.speaker = Some(Speaker::new(restored, listeners, timetable, trust, policy, &self.clock));
        self.player.start(self.clock.mono);
        self.drain();
    }

    /// Gives the box other listeners from its next start on.
    #[cfg(test)]
    pub fn hear_as(&mut self, listeners: Listeners) {
        self.setup.listeners = listeners;
    }

    /// Cuts the power now.
    pub fn power_off(&mut self) {
        self.speaker = None;
        self.arriving.clear();
        self.uncommitted.clear();
        self.cut_before_action = None;
        self.player.lose_power(self.clock.mono);
    }

    /// Cuts the power when the heart has had `actions` more actions carried out.
    pub fn power_off_after(&mut self, actions: u32) {
        self.cut_before_action = Some(actions);
    }

    /// Steps the wall clock.
    pub fn set_clock(&mut self, wall: Wall, quality: ClockQuality) {
        (self.clock.wall, self.clock.quality) = (wall, quality);
        self.input(Input::ClockChanged);
    }

    /// Tells the heart something, as far as the power is on.
    pub fn input(&mut self, input: Input) {
        if let (Input::Command(signed), Some(_)) = (&input, &self.speaker) {
            self.arriving.insert(signed.payload.id.clone(), (**signed).clone());
        }
        if let (Input::Fetched { sha256, result: Ok(()) }, Some(_)) = (&input, &self.speaker) {
            self.disk.staged.insert(*sha256);
        }
        if let Some(speaker) = &mut self.speaker {
            match &input {
                Input::Timetable(timetable) => self.setup.timetable = timetable.clone(),
                Input::Listeners(listeners) => self.setup.listeners = listeners.clone(),
                _ => {}
            }
            speaker.handle(&self.clock, input);
            // The shell keeps the document that the heart has taken.
            if speaker.trust() != self.disk.trust.as_ref() {
                self.disk.trust = speaker.trust().cloned();
                // As it deletes a document whose signers may not sign it any more.
                self.disk.local_order.take_if(|_| speaker.local_version() == 0);
            }
            self.drain();
        }
        self.arriving.clear();
    }

    /// Presses the button of the box, as far as the power is on.
    pub fn press(&mut self, contact: Contact) -> Option<LocalStep> {
        let speaker = self.speaker.as_mut()?;
        let step = speaker.press(&self.clock, Presser::Button, contact);
        self.drain();
        Some(step)
    }

    /// Does something to the player, and lets its consequences happen.
    pub fn player(&mut self, act: impl FnOnce(&mut SimulatedPlayer, Moment)) {
        act(&mut self.player, self.clock.mono);
    }

    /// Takes what the heart has asked to be fetched since the last call.
    pub fn take_fetches(&mut self) -> Vec<(ContentHash, Need)> {
        std::mem::take(&mut self.fetches)
    }

    /// Takes what has been logged since the last call. The log is on disk: a power cut does not take it back.
    pub fn take_log(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.log)
    }

    /// Takes what has come out of the loudspeaker since the last call.
    pub fn take_heard(&mut self) -> Vec<Heard> {
        self.player.take_heard()
    }

    /// Lets time pass.
    pub fn run_for(&mut self, span: Span) {
        let until = self.clock.mono + span;
        let mut stalled = (self.clock.mono, 0);
        loop {
            stalled =
                if stalled.0 == self.clock.mono { (stalled.0, stalled.1 + 1) } else { (self.clock.mono, 0) };
            if stalled.1 >= STALL_MAX {
                self.stalled = Some(self.wakes());
                return self.pass_to(until);
            }
            let heart = self.speaker.as_ref().and_then(Speaker::poll_timeout).map(|(moment, _)| moment);
            let next = [heart, self.player.wakes()].into_iter().flatten().min();
            match next.filter(|next| *next <= until) {
                Some(next) => self.advance_to(next),
                None => return self.pass_to(until),
            }
        }
    }

    /// Reports, once, a heart that asked to be woken again and again without time passing.
    pub fn take_stall(&mut self) -> Option<String> {
        self.stalled.take()
    }

    /// Says what is to happen next, for messages.
    fn wakes(&self) -> String {
        let heart = self.speaker.as_ref().and_then(Speaker::poll_timeout);
        format!("now {:?}, heart {heart:?}, player {:?}", self.clock, self.player.wakes())
    }

    fn pass_to(&mut self, moment: Moment) {
        let passed = moment.since(self.clock.mono);
        self.clock.mono = self.clock.mono.max(moment);
        self.clock.wall = self.clock.wall.plus(passed);
    }

    fn advance_to(&mut self, moment: Moment) {
        self.pass_to(moment);
        while let Some(event) = self.player.poll(self.clock.mono) {
            self.input(Input::Player(event));
        }
        let due = |speaker: &Speaker| speaker.poll_timeout().is_some_and(|(at, _)| at <= self.clock.mono);
        if self.speaker.as_ref().is_some_and(due)
            && let Some(speaker) = &mut self.speaker
        {
            speaker.handle_timeout(&self.clock);
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(action) = self.speaker.as_mut().and_then(Speaker::poll_action) {
            if let Some(left) = &mut self.cut_before_action {
                if *left == 0 {
                    self.cut_before_action = None;
                    return self.power_off();
                }
                *left -= 1;
            }
            match action {
                Action::Player(command) => {
                    self.commit();
                    self.player.command(self.clock.mono, command, &*self.lookup);
                }
                Action::Fetch { media, need, .. } => self.fetches.push((media.sha256, need)),
                durable => self.uncommitted.push(durable),
            }
        }
        self.commit();
    }

    /// Writes one transaction: everything durable since the last one.
    fn commit(&mut self) {
        self.unwritten.append(&mut self.uncommitted);
        if !self.disk_is_full {
            for action in std::mem::take(&mut self.unwritten) {
                self.write(action);
            }
        }
    }

    /// Fills the disk up, or gives it room again.
    pub fn disk_takes(&mut self, takes: bool) {
        self.disk_is_full = !takes;
        self.commit();
    }

    /// Tells whether everything that was committed is on the disk.
    pub fn disk_is_whole(&self) -> bool {
        !self.disk_is_full && self.unwritten.is_empty()
    }

    fn write(&mut self, action: Action) {
        match action {
            Action::Log(entry) => self.log.push(entry),
            Action::Remember(memo) => {
                if let Memo::OpenPlay(play, None) = &memo {
                    self.disk.checkpoints.remove(play);
                }
                self.disk.memory.apply(&memo);
            }
            Action::Keep(id) => {
                if let Some(signed) = self.arriving.get(&id) {
                    self.disk.commands.insert(id, signed.clone());
                }
            }
            Action::Forget(id) => {
                self.disk.commands.remove(&id);
            }
            Action::Checkpoint(play) => {
                if let Some(position) = self.player.position(self.clock.mono, play) {
                    self.disk.checkpoints.insert(play, position);
                }
            }
            Action::Adopt(signed) => match &signed.payload.body {
                Body::Policy(policy) => self.disk.policy = Some((policy.clone(), signed.signers)),
                Body::LocalEmergency { .. } => self.disk.local_order = Some(*signed),
                _ => {}
            },
            Action::Player(_) | Action::Fetch { .. } => {}
        }
    }
}
