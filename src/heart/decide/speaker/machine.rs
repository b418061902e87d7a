//! The transitions of the speaker: what happened comes in, what is to be done goes out.

use std::collections::{BTreeMap, VecDeque};

use super::due::LONG_LAPSE;
use super::held::Held;
use super::interface::{Action, Input, Restored, Why};
use super::play::{Play, Ready};
use super::standing::Local;
use super::state::Speaker;
use super::voice::Voice;
use super::waiting::Waiting;
use crate::decide::guard::Guard;
use crate::decide::memory::{Memo, Memory};
use crate::decide::quotas::{self, Limits, Standing};
use crate::decide::schedule::{Listeners, Timetable};
use crate::decide::versions::{self, Edition};
use crate::decide::{endings, inbox};
use crate::domain::announcement::Rung;
use crate::domain::authority::{Power, Trust};
use crate::domain::ids::{CommandId, ContentHash, KeyId, PlayId};
use crate::domain::playback::{CommandRefusal, DeliveryStep, Entry, Event, PlayOutcome, PlayStart, Stamp};
use crate::domain::policy::Policy;
use crate::domain::sound::PlayerCommand;
use crate::domain::time::{ClockQuality, Moment, Reading, Span};
use crate::wire::messages::{Body, Command, Signed};

/// A difference between the clocks' progress beyond this is a step of the wall clock, not a slewing.
pub const STEP_MIN: Span = Span::secs(2);

impl Speaker {
    /// Makes a speaker that goes on from what was restored. Its first actions close what a power cut left open.
    pub fn new(
        restored: Restored,
        listeners: Listeners,
        timetable: Timetable,
        trust: Option<Trust>,
        policy: Policy,
        now: &Reading,
    ) -> Self {
        let Restored { start, memory, commands, checkpoints, staged, policy_signers, local_order } = restored;
        let (day, used) = memory.sounded.unwrap_or((now.wall.date(), Span(0)));
        let mut speaker = Self {
            start,
            plays_made: 0,
            listeners,
            timetable,
            trust,
            guard: Guard::new(policy, day, used),
            policy_signers,
            memory,
            limits: Limits::default(),
            staged,
            held: BTreeMap::new(),
            voice: None,
            local: Local::default(),
            waiting: Waiting::default(),
            running: None,
            turns: 0,
            plays: BTreeMap::new(),
            current: None,
            follow: None,
            next: None,
            longer: None,
            device_lost: false,
            stopping: false,
            forget_at: Moment(0),
            clock: Some(*now),
            steady_since: now.mono,
            actions: VecDeque::new(),
        };
        speaker.log(now, Event::BoxStarted { version: env!("CARGO_PKG_VERSION").to_owned() });
        speaker.close_what_was_open(now, &checkpoints);
        speaker.forget_strangers();
        for command in commands {
            speaker.obey_again(now, command);
        }
        speaker.restore_local(now, local_order);
        speaker.drop_what_is_for_others(now);
        speaker.decide(now);
        speaker.invariants();
        speaker
    }

    /// Gives the same speaker other bounds of what it keeps of commands.
    pub fn bounded(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: &Reading, input: Input) {
        self.invariants();
        self.notice_clock(now);
        match input {
            Input::Command(signed) => self.on_command(now, *signed),
            Input::Trust(trust) => self.on_trust(now, trust),
            Input::Timetable(timetable) => self.on_timetable(now, timetable),
            Input::Limits(policy) => {
                self.guard.adopt(policy);
                self.policy_signers.clear();
                self.apply_limits_to_the_air(now);
            }
            Input::Listeners(listeners) => self.on_listeners(now, listeners),
            Input::Fetched { sha256, result } => self.on_fetched(now, sha256, result),
            Input::Player(event) => self.on_player(now, event),
            Input::Refused { command, reason } => self.refuse(now, command, reason),
            Input::RefusalsCounted { reason, count } => {
                self.log(now, Event::RefusalsCounted { reason: reason.to_owned(), count });
            }
            Input::Noted(event) => self.log(now, *event),
            Input::ClockChanged => {}
            Input::Shutdown => self.on_shutdown(now),
        }
        self.decide(now);
        self.invariants();
    }

    /// Takes in that time has passed.
    pub fn handle_timeout(&mut self, now: &Reading) {
        self.invariants();
        self.notice_clock(now);
        self.decide(now);
        self.invariants();
    }

    /// Returns the next action.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.invariants();
        let action = self.actions.pop_front();
        if let Some(Action::Player(PlayerCommand::Play { play, .. })) = &action {
            debug_assert!(self.plays.contains_key(play), "{play} is to sound and was not opened");
        }
        self.invariants();
        action
    }

    /// Returns when to call [`Speaker::handle_timeout`] at the latest, if the wall clock is not stepped before.
    pub fn poll_timeout(&self) -> Option<(Moment, Why)> {
        let now = self.clock.as_ref()?;
        let current = self.current.and_then(|play| self.plays.get(&play));
        [
            self.session_wakes(now),
            self.announcement_wakes(now),
            self.next.as_ref().and_then(Ready::wakes),
            current.and_then(Play::wakes),
            self.local_wakes().map(|moment| (moment, Why::AnnouncementExpires)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Lists the ids of the announcements in force, in order: accepted, and neither over nor expired.
    /// [`crate::wire::messages::Holds`] digests them.
    pub fn in_force(&self, now: &Reading) -> impl Iterator<Item = &CommandId> {
        let sent = self.held_until().filter(|(id, _)| !self.is_local(id));
        sent.filter(move |(_, expires)| now.quality == ClockQuality::None || now.wall < *expires)
            .map(|(id, _)| id)
    }

    /// Lists the audio of the announcements that are held, which must not be deleted.
    pub fn media_in_use(&self) -> impl Iterator<Item = ContentHash> {
        let held = self.held.values().filter_map(|held| held.announcement.media.as_ref());
        let standing = self.local_order().and_then(|order| order.media.as_ref());
        held.chain(standing).map(|media| media.sha256)
    }

    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Returns the trust document in force.
    pub fn trust(&self) -> Option<&Trust> {
        self.trust.as_ref()
    }

    /// Returns the policy in force.
    pub fn policy(&self) -> &Policy {
        self.guard.policy()
    }

    /// Returns the people who hear this box.
    pub fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// Returns the play that sounds now, with its title and rung.
    pub fn on_air(&self) -> Option<(PlayId, &str, Rung)> {
        let PlayStart { play, title, rung, .. } = &self.plays.get(&self.current?)?.start;
        Some((*play, title, *rung))
    }

    /// Tells whether an actual emergency waits for the sound device to come back.
    pub fn emergency_waits_for_device(&self, now: &Reading) -> bool {
        let waits = |held: &Held| held.power() == Power::Emergency && held.is_due(now);
        self.device_lost && self.held.values().any(waits)
    }

    /// Tells whether everything has ended after [`Input::Shutdown`].
    pub fn is_stopped(&self) -> bool {
        self.stopping && self.plays.is_empty()
    }

    pub(super) fn log(&mut self, now: &Reading, event: Event) {
        let at = Stamp::of(self.start, now);
        self.actions.push_back(Action::Log(Entry { at, event }));
    }

    pub(super) fn remember(&mut self, memo: Memo) {
        self.memory.apply(&memo);
        self.actions.push_back(Action::Remember(memo));
    }

    pub(super) fn refuse(&mut self, now: &Reading, command: Option<CommandId>, reason: CommandRefusal) {
        self.log(now, Event::CommandRefused { command, reason });
    }

    /// Compares the clocks' progress since the last reading, and takes back what a wrong clock has decided.
    pub(super) fn notice_clock(&mut self, now: &Reading) {
        let Some(before) = self.clock.replace(*now) else { return };
        let expected = before.wall.plus(now.mono.since(before.mono));
        let step_us = now.wall - expected;
        let stepped = step_us.unsigned_abs() > STEP_MIN.0;
        if !stepped && before.quality == now.quality {
            if self.steady_at(now).is_none() {
                self.hold_hard_end(now);
            }
            return;
        }
        if stepped || before.quality == ClockQuality::None {
            self.log(now, Event::ClockSet { step_us, before: before.quality });
            // Its volume and its limit were allowed for another time.
            if self.next.as_ref().is_some_and(|next| next.start.rung != Rung::Emergency) {
                self.discard_next();
            }
        }
        if step_us.unsigned_abs() > LONG_LAPSE.0 || before.quality == ClockQuality::None {
            self.steady_since = now.mono;
        }
        self.sessions_after_step(now, expected);
    }

    fn on_trust(&mut self, now: &Reading, trust: Trust) {
        if let Some(held) = self.trust.as_ref().filter(|held| held.version >= trust.version) {
            if *held != trust {
                let reason = CommandRefusal::Rollback { offered: trust.version, held: held.version };
                self.refuse(now, None, reason);
            }
            return;
        }
        self.log(now, Event::Adopted { what: "trust".to_owned(), version: trust.version });
        self.trust = Some(trust);
        self.drop_what_lost_authority(now);
        self.drop_local_without_authority();
        self.forget_strangers();
    }

    /// Frees the room of keys that the trust document does not name.
    fn forget_strangers(&mut self) {
        let Some(trust) = &self.trust else { return };
        let memos = quotas::forget_strangers(&self.memory, &self.limits, trust);
        self.remember_all(memos);
    }

    /// Remembers all of these. With a forgotten id, its envelope goes.
    pub(super) fn remember_all(&mut self, memos: Vec<Memo>) {
        for memo in memos {
            if let Memo::Known(id, None) = &memo {
                self.actions.push_back(Action::Forget(id.clone()));
            }
            self.remember(memo);
        }
    }

    /// Adopts a newer policy, and tells whether that is in force now.
    fn on_policy(&mut self, now: &Reading, id: &CommandId, policy: Policy, signers: &[KeyId]) -> bool {
        let held = Edition { version: self.guard.policy().version, signers: &self.policy_signers };
        let offered = Edition { version: policy.version, signers };
        if let Err(reason) = versions::check_newer(self.trust.as_ref(), Power::Policy, held, offered) {
            self.refuse(now, Some(id.clone()), reason);
            return false;
        }
        self.log(now, Event::Adopted { what: "policy".to_owned(), version: policy.version });
        self.guard.adopt(policy);
        self.policy_signers = signers.to_vec();
        self.apply_limits_to_the_air(now);
        true
    }

    fn on_shutdown(&mut self, now: &Reading) {
        self.stopping = true;
        self.discard_next();
        self.stop_everything();
        self.log_if_stopped(now);
    }

    /// Logs the last entry of an orderly end, after the closing entries of all plays.
    pub(super) fn log_if_stopped(&mut self, now: &Reading) {
        if self.is_stopped() {
            self.log(now, Event::BoxStopped);
        }
    }

    /// Brings everything up to `now`: what has expired, begun, ended, and who has the air.
    pub(super) fn decide(&mut self, now: &Reading) {
        if self.stopping {
            return;
        }
        self.expire(now);
        self.mind_local(now);
        self.open_sessions(now);
        self.enforce_limits(now);
        self.checkpoint(now);
        self.arrange(now);
    }

    fn on_command(&mut self, now: &Reading, signed: Signed<Command>) {
        let id = signed.payload.id.clone();
        let standing = self.standing();
        let bench = inbox::Bench {
            memory: &self.memory,
            limits: &self.limits,
            trust: self.trust.as_ref(),
            groups: &self.listeners.groups,
            standing: &standing,
        };
        match inbox::judge(&bench, now, &signed) {
            Ok(inbox::Admission::Again) => {}
            Ok(inbox::Admission::New { level, memos }) => {
                // Only something lesser can have had this id.
                self.finish(now, &id, DeliveryStep::Superseded, PlayOutcome::Superseded);
                self.remember_all(memos);
                self.obey(now, signed, level);
                // Nothing else is taken up again after a restart: documents are kept by the shell.
                if self.held.contains_key(&id) {
                    self.actions.push_back(Action::Keep(id));
                }
            }
            Err(reason) => self.refuse(now, Some(id), reason),
        }
    }

    /// Lists what others may ask to end, and what takes up room: the announcements that are not over, and the live voice.
    pub(super) fn standing(&self) -> Vec<Standing<'_>> {
        let held = self.held.iter().map(|(id, held)| Standing {
            id,
            issuer: &held.announcement.issued.issuer,
            power: held.power(),
            groups: &held.announcement.groups,
            lapsed: held.progress.lapsed,
        });
        held.chain(self.voice.as_ref().map(Voice::standing)).collect()
    }

    fn obey(&mut self, now: &Reading, signed: Signed<Command>, level: u8) {
        let by = inbox::ender(&signed);
        let Signed { signers, digest, payload: command } = signed;
        let announcement = command.announcement(level);
        let has_ended =
            self.trust.as_ref().is_some_and(|trust| endings::has_ended(&self.memory, trust, &command));
        match command.body.clone() {
            Body::Announce { .. } => {
                if let Some(announcement) = announcement {
                    self.hold(now, announcement, by, has_ended);
                }
            }
            Body::Live { open: true, .. } if has_ended => {}
            Body::Cancel { of: Some(of) } => self.cancel(now, &of, &command, by),
            Body::Cancel { of: None } => self.stop_all(now, &command, by),
            Body::Policy(policy) => {
                if self.on_policy(now, &command.id, policy, &signers) {
                    self.actions.push_back(Action::Adopt(Box::new(Signed {
                        signers,
                        digest,
                        payload: command,
                    })));
                }
            }
            Body::LocalEmergency { version, .. } => {
                self.obey_local_order(now, Signed { signers, digest, payload: command }, version);
            }
            Body::Live { voice, open: true, url } => {
                self.open_voice(Voice::new(&command, signers, voice, url));
            }
            Body::Live { voice, open: false, .. } => self.close_voice(now, &voice, &by),
            Body::Programme { .. } | Body::Groups { .. } | Body::Prepared { .. } | Body::Software(_) => {
                self.actions.push_back(Action::Adopt(Box::new(Signed { signers, digest, payload: command })));
            }
            Body::Test => self.log_step(now, &command.id, DeliveryStep::Received),
        }
    }
}
