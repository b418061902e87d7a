//! The local emergency: a standing order that people signed beforehand, which two presses on the box release.
//!
//! The box orders nothing of itself: message, groups, bounds and authority are those of the order, which is judged again
//! at each press. What is released is held as an announcement like any other, but for its end: durations count by the
//! monotonic clock, since after a power cut without links nobody may know the time.

use super::held::Held;
use super::interface::Action;
use super::standing::{Run, Stage};
use super::state::Speaker;
use crate::decide::memory::{Known, LocalRun, Memo, Origin, Progress};
use crate::decide::quotas;
use crate::decide::versions::{self, Edition};
use crate::domain::announcement::{Announcement, BulletinClass, Issued, Mode};
use crate::domain::authority::Power;
use crate::domain::ids::{CommandId, ContentHash, KeyId};
use crate::domain::local_emergency::{Contact, LocalEmergency};
use crate::domain::playback::{
    CommandRefusal, DeliveryStep, Event, LocalRefusal, LocalStep, PlayOutcome, Presser,
};
use crate::domain::time::{ClockQuality, Moment, Reading, Span, Wall};
use crate::said;
use crate::wire::messages::{Command, Signed};

/// Shortest time between two presses that are two: contacts of a button bounce.
pub const PRESSES_APART: Span = Span::millis(700);

/// Shortest time between two entries of presses that release nothing: children press buttons.
const TOLD_EVERY: Span = Span::secs(60);

/// Seconds between two notes of how much a release has left.
const NOTED_EVERY_S: u32 = 60;

/// Time that a restart takes from what a release has left, so that no sequence of restarts makes it endless: more than
/// [`NOTED_EVERY_S`].
const RESTART_COSTS: Span = Span::secs(90);

/// Most characters of the order's id in the id of what it releases.
const ID_CHARS_MAX: usize = 40;

impl Speaker {
    /// Returns the version of the standing order, 0 for none.
    pub fn local_version(&self) -> u32 {
        self.local.version()
    }

    /// Returns the standing order for a local emergency, where there is one.
    pub fn local_order(&self) -> Option<&LocalEmergency> {
        self.local.order()
    }

    /// Tells whether a message that was released on the box sounds, or waits for its turn.
    pub fn local_sounds(&self) -> bool {
        self.local.run().is_some()
    }

    /// Tells whether a first press was taken, and a second one would count.
    pub fn local_is_armed(&self) -> bool {
        matches!(self.local.stage, Stage::Armed { .. } | Stage::AboutToStop { .. })
    }

    /// Tells whether an announcement is one that was released on the box.
    pub(super) fn is_local(&self, id: &CommandId) -> bool {
        self.local.run().is_some_and(|run| run.id == *id)
    }

    /// Takes in a press, and returns its consequence.
    pub fn press(&mut self, now: &Reading, by: Presser, contact: Contact) -> LocalStep {
        self.invariants();
        self.notice_clock(now);
        self.mind_local(now);
        let bounces = self.local.pressed_at.is_some_and(|at| now.mono < at + PRESSES_APART);
        let step = if bounces { self.stand() } else { self.pressed(now, by, contact) };
        self.decide(now);
        self.invariants();
        step
    }

    /// Says again what the last press led to.
    fn stand(&self) -> LocalStep {
        let confirm_s = self.local.order().map_or(0, |order| order.confirm_s);
        match &self.local.stage {
            Stage::Resting => LocalStep::Over,
            Stage::Armed { .. } => LocalStep::Armed { confirm_s },
            Stage::Sounding(run) => LocalStep::Released { command: run.id.clone() },
            Stage::AboutToStop { .. } => LocalStep::AboutToStop { confirm_s },
        }
    }

    fn pressed(&mut self, now: &Reading, by: Presser, contact: Contact) -> LocalStep {
        self.local.pressed_at = Some(now.mono);
        let confirm_s = self.local.order().map_or(0, |order| order.confirm_s);
        let until = now.mono + Span::secs(confirm_s.into());
        let (stage, step) = match std::mem::take(&mut self.local.stage) {
            Stage::Sounding(run) => (Stage::AboutToStop { run, until }, LocalStep::AboutToStop { confirm_s }),
            Stage::AboutToStop { run, .. } => {
                self.finish(now, &run.id, DeliveryStep::Cancelled, PlayOutcome::Cancelled);
                self.remember(Memo::Local(None));
                (Stage::Resting, LocalStep::Stopped)
            }
            stage => match (self.may_release(now, contact), stage) {
                (Err(why), _) => (Stage::Resting, LocalStep::Refused { why }),
                (Ok(level), Stage::Armed { .. }) => self.release(now, level),
                (Ok(_), _) => (Stage::Armed { until }, LocalStep::Armed { confirm_s }),
            },
        };
        self.local.stage = stage;
        self.tell_press(now, by, &step);
        step
    }

    /// Logs a press: each one that changed what sounds, and of the others one a minute.
    fn tell_press(&mut self, now: &Reading, by: Presser, step: &LocalStep) {
        if !matches!(step, LocalStep::Released { .. } | LocalStep::Stopped) {
            if self.local.told_at.is_some_and(|at| now.mono < at + TOLD_EVERY) {
                return;
            }
            self.local.told_at = Some(now.mono);
        }
        self.log_local(now, Some(by), step.clone());
    }

    fn log_local(&mut self, now: &Reading, by: Option<Presser>, step: LocalStep) {
        let order = self.local.order.as_ref().map(|signed| signed.payload.id.clone());
        self.log(now, Event::LocalEmergency { order, by, step });
    }

    /// Judges the order as it stands now, and returns the level of its signers.
    fn may_release(&self, now: &Reading, contact: Contact) -> Result<u8, LocalRefusal> {
        if self.stopping {
            return Err(LocalRefusal::Stopping);
        }
        let (Some(signed), Some(order)) = (&self.local.order, self.local.order()) else {
            return Err(LocalRefusal::NoOrder);
        };
        let level = self.holds(now, signed).map_err(|reason| LocalRefusal::Invalid { reason })?;
        match contact {
            _ if order.with_contact => Ok(level),
            Contact::Stands => Err(LocalRefusal::InContact),
            Contact::LostSince(since) => {
                let silent = now.mono.since(since);
                let left = Span::secs(order.silent_s.into()).saturating_sub(silent);
                let wait_s = u32::try_from(left.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX);
                if wait_s == 0 { Ok(level) } else { Err(LocalRefusal::TooSoon { wait_s }) }
            }
        }
    }

    /// Checks authority, groups and dates of an order. Without a known time it has expired only where it had before the
    /// last time known.
    fn holds(&self, now: &Reading, signed: &Signed<Command>) -> Result<u8, CommandRefusal> {
        let command = &signed.payload;
        let known = (now.quality > ClockQuality::None).then_some(now.wall);
        let trust = self.trust.as_ref().ok_or(CommandRefusal::BadSignature)?;
        let level = trust.permits(&signed.signers, Power::Emergency, &command.groups, known)?;
        if !command.groups.iter().any(|group| self.listeners.groups.contains(group)) {
            return Err(CommandRefusal::NotForThisBox);
        }
        let wall = known.or(self.memory.accounted_upto).unwrap_or_default();
        if wall >= command.expires {
            return Err(CommandRefusal::Expired { at: command.expires });
        }
        if known.is_some_and(|wall| wall < command.not_before) {
            return Err(CommandRefusal::Impossible { detail: said!("detail.not_yet") });
        }
        Ok(level)
    }

    /// Has the message sound.
    fn release(&mut self, now: &Reading, level: u8) -> (Stage, LocalStep) {
        let refused = || (Stage::Resting, LocalStep::Refused { why: LocalRefusal::NoOrder });
        let (Some(signed), Some(order)) = (self.local.order.clone(), self.local.order().cloned()) else {
            return refused();
        };
        let Some(id) = self.new_local_id(&signed.payload.id) else { return refused() };
        self.remember_id(&id, &signed);
        let lasts = Span::secs(u64::from(order.minutes_max) * 60);
        let until = (now.quality > ClockQuality::None).then(|| now.wall.plus(lasts));
        let left_s = order.minutes_max * 60;
        let run = LocalRun { id, order: signed.payload.id.clone(), at: now.wall, until, left_s };
        self.remember(Memo::Local(Some(run.clone())));
        let step = LocalStep::Released { command: run.id.clone() };
        self.log_step(now, &run.id, DeliveryStep::Received);
        (self.hold_local(now, &run, &order, signed, level), step)
    }

    /// Finds an id that nothing on this box has had.
    fn new_local_id(&mut self, order: &CommandId) -> Option<CommandId> {
        let stem: String = order.as_str().chars().take(ID_CHARS_MAX).collect();
        loop {
            self.local.released = self.local.released.checked_add(1)?;
            let id = CommandId::new(format!("{stem}-{}-{}", self.start, self.local.released)).ok()?;
            let Speaker { held, memory, .. } = self;
            let had = memory.known.contains_key(&id) || memory.progress.contains_key(&id);
            if !had && !held.contains_key(&id) {
                return Some(id);
            }
        }
    }

    /// Remembers the id as that of an emergency, so that no command takes the message's place by bearing it.
    fn remember_id(&mut self, id: &CommandId, signed: &Signed<Command>) {
        let Command { issuer, serial, expires, .. } = &signed.payload;
        let room = quotas::make_room(&self.memory, &self.limits, &self.standing(), issuer, Power::Emergency);
        if let Ok(Some(old)) = room {
            self.remember_all(vec![Memo::Known(old.clone(), None), Memo::Progress(old, None)]);
        }
        let origin = Origin { issuer: issuer.clone(), serial: *serial, power: Power::Emergency };
        let digest = ContentHash::of(id.as_str().as_bytes());
        let known = Known { digest, expires: *expires, origin: Some(origin) };
        self.remember(Memo::Known(id.clone(), Some(known)));
    }

    fn hold_local(
        &mut self,
        now: &Reading,
        run: &LocalRun,
        order: &LocalEmergency,
        signed: Signed<Command>,
        level: u8,
    ) -> Stage {
        let Signed { signers, payload: command, .. } = signed;
        let announcement = Announcement {
            id: run.id.clone(),
            title: order.title.clone(),
            class: BulletinClass::Emergency,
            mode: Mode::Actual,
            groups: command.groups,
            // The run has bounds of its own, which need no wall clock.
            not_before: Wall(0),
            expires: Wall::MAX,
            plan: order.plan.clone(),
            media: order.media.clone(),
            words: order.words.clone(),
            supersedes: None,
            issued: Issued {
                issuer: command.issuer,
                serial: command.serial,
                at: run.at,
                level,
                author: command.author,
                approver: command.approver,
            },
        };
        let progress = self.memory.progress.get(&run.id).cloned().unwrap_or_default();
        self.held.insert(run.id.clone(), Held::new(announcement, signers, progress));
        Stage::Sounding(Run { id: run.id.clone(), until: now.mono + Span::secs(run.left_s.into()) })
    }

    /// Takes the order and what it had released in again after a restart.
    pub(super) fn restore_local(&mut self, now: &Reading, order: Option<Signed<Command>>) {
        self.local.order = order;
        let Some(mut run) = self.memory.local.clone() else { return };
        let over = self.memory.progress.get(&run.id).is_some_and(|progress: &Progress| progress.over);
        let expired = now.quality > ClockQuality::None && run.until.is_some_and(|until| until <= now.wall);
        let left = Span::secs(run.left_s.into()).saturating_sub(RESTART_COSTS);
        run.left_s = u32::try_from(left.as_millis() / 1_000).unwrap_or(u32::MAX);
        let signed = self.local.order.clone().filter(|signed| signed.payload.id == run.order);
        let order = self.local.order().cloned();
        // Its beginning was judged; what may have changed since is who may order it, and where the box is.
        let level = signed.as_ref().and_then(|signed| {
            let trust = self.trust.as_ref()?;
            trust.permits(&signed.signers, Power::Emergency, &signed.payload.groups, None).ok()
        });
        match (signed, order, level) {
            (Some(signed), Some(order), Some(level)) if !over && !expired && run.left_s > 0 => {
                self.remember(Memo::Local(Some(run.clone())));
                self.local.stage = self.hold_local(now, &run, &order, signed, level);
            }
            _ => self.end_local(now, &run.id, DeliveryStep::Expired),
        }
    }

    /// Ends a run, of which nothing may be held any more.
    fn end_local(&mut self, now: &Reading, id: &CommandId, step: DeliveryStep) {
        if self.held.contains_key(id) {
            self.finish(now, id, step, PlayOutcome::HardEnd);
        } else if !self.memory.progress.get(id).is_some_and(|progress| progress.over) {
            let progress = self.memory.progress.get(id).cloned().unwrap_or_default();
            self.remember(Memo::Progress(id.clone(), Some(Progress { over: true, ..progress })));
            self.log_step(now, id, step);
        }
        self.local.stage = Stage::Resting;
        self.remember(Memo::Local(None));
        self.log_local(now, None, LocalStep::Over);
    }

    /// Lets presses lapse, and ends what was released when its time or its repetitions are over.
    pub(super) fn mind_local(&mut self, now: &Reading) {
        self.local.stage = match std::mem::take(&mut self.local.stage) {
            Stage::Armed { until } if until <= now.mono => Stage::Resting,
            Stage::AboutToStop { run, until } if until <= now.mono => Stage::Sounding(run),
            stage => stage,
        };
        let Some((id, until)) = self.local.run().map(|run| (run.id.clone(), run.until)) else { return };
        if until <= now.mono || !self.held.contains_key(&id) {
            return self.end_local(now, &id, DeliveryStep::Expired);
        }
        let left_s = u32::try_from(until.since(now.mono).as_millis() / 1_000).unwrap_or(u32::MAX);
        if let Some(run) = &self.memory.local
            && run.left_s >= left_s.saturating_add(NOTED_EVERY_S)
        {
            let run = LocalRun { left_s, ..run.clone() };
            self.remember(Memo::Local(Some(run)));
        }
    }

    /// Returns when presses lapse and the run ends.
    pub(super) fn local_wakes(&self) -> Option<Moment> {
        match &self.local.stage {
            Stage::Resting => None,
            Stage::Armed { until } => Some(*until),
            Stage::Sounding(run) => Some(run.until),
            Stage::AboutToStop { run, until } => Some(run.until.min(*until)),
        }
    }

    /// Adopts a newer standing order, and tells whether that is in force now. What an older one released ends: people
    /// of the same power say something else now.
    fn on_local_order(&mut self, now: &Reading, signed: &Signed<Command>, version: u32) -> bool {
        let offered = Edition { version, signers: &signed.signers };
        let newer =
            versions::check_newer(self.trust.as_ref(), Power::Emergency, self.local.edition(), offered);
        if let Err(reason) = newer.and_then(|()| self.not_from_below(&signed.signers)) {
            self.refuse(now, Some(signed.payload.id.clone()), reason);
            return false;
        }
        self.log(now, Event::Adopted { what: "local_emergency".to_owned(), version });
        if let Some(id) = self.local.run().map(|run| run.id.clone()) {
            self.finish(now, &id, DeliveryStep::Superseded, PlayOutcome::Superseded);
            self.end_local(now, &id, DeliveryStep::Superseded);
        }
        self.local.stage = Stage::Resting;
        self.local.order = Some(signed.clone());
        true
    }

    /// Checks that an order does not take the place of one from above its signers.
    fn not_from_below(&self, signers: &[KeyId]) -> Result<(), CommandRefusal> {
        let held = self.local.edition().signers;
        match (&self.trust, signers.first()) {
            (Some(trust), Some(key))
                if !held.is_empty() && trust.outranks(held, signers, Power::Emergency) =>
            {
                let detail = said!("detail.local_from_above");
                Err(CommandRefusal::NotAllowed { key: key.clone(), detail })
            }
            _ => Ok(()),
        }
    }

    /// Takes an order out of force whose signers may not sign one any more. What it released has ended by then.
    pub(super) fn drop_local_without_authority(&mut self) {
        let (Some(trust), Some(signed)) = (&self.trust, &self.local.order) else { return };
        if trust.permits(&signed.signers, Power::Emergency, &signed.payload.groups, None).is_err() {
            self.local.order = None;
            if matches!(self.local.stage, Stage::Armed { .. }) {
                self.local.stage = Stage::Resting;
            }
        }
    }

    /// Adopts the order that a command carries, and has the shell keep it.
    pub(super) fn obey_local_order(&mut self, now: &Reading, signed: Signed<Command>, version: u32) {
        if self.on_local_order(now, &signed, version) {
            self.actions.push_back(Action::Adopt(Box::new(signed)));
        }
    }
}
