//! The judge: a simple model of what a box may and must do, that shares no code with the heart.
//!
//! The judge sees what was delivered, what is in the log and what came out of the loudspeaker, never the heart's state.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Timelike;

use super::law::Law;
use super::player::Heard;
use crate::domain::announcement::{BulletinClass, Mode, PlayPlan, Rung};
use crate::domain::ids::{CommandId, PlayId};
use crate::domain::playback::{
    DeliveryStep, Entry, Event, PlayOutcome, PlayStart, SlotKey, SlotOutcome, Subject,
};
use crate::domain::time::{ClockQuality, Moment, Span, Wall};
use crate::wire::messages::{Body, Command};

/// An emergency that was received sounds within this time: the longest time that opening its audio, then its words,
/// then its siren may take.
const EMERGENCY_WITHIN: Span = Span::secs(7);

/// A broken rule, and the facts that broke it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub rule: &'static str,
    pub detail: String,
}

/// The judge of one run.
#[derive(Default)]
pub struct Judge {
    sent: BTreeMap<CommandId, Command>,
    cancelled: BTreeSet<CommandId>,
    open: BTreeMap<PlayId, PlayStart>,
    /// Volume of each play by the log.
    volumes: BTreeMap<PlayId, u8>,
    closed: BTreeMap<PlayId, PlayOutcome>,
    finished: BTreeSet<(CommandId, u32)>,
    slots: BTreeMap<SlotKey, Vec<SlotOutcome>>,
    /// Emergencies that were received and have to sound by then.
    awaited: BTreeMap<CommandId, Moment>,
    /// Emergencies that were received, can sound at once and have not begun, with the time since when.
    queue: BTreeMap<CommandId, Moment>,
    device_is_lost: bool,
    /// The wall clock was set back: a slot that was missed under the wrong time may come again.
    pub was_set_back: bool,
    /// The rules of who may order what, when and how loud.
    pub(super) law: Law,
    broken: Vec<Broken>,
    /// Plays and entries that were judged.
    pub judged: u64,
}

impl Judge {
    /// Takes in that a command is on its way to the box.
    pub fn sent(&mut self, command: &Command) {
        self.sent.insert(command.id.clone(), command.clone());
    }

    /// Takes in that the box has accepted a cancel: none of these may sound any more, come they late or again.
    pub fn cancelled(&mut self, meant: Vec<CommandId>) {
        self.cancelled.extend(meant);
    }

    /// Returns all broken rules.
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// Notes a broken rule.
    pub fn accuse(&mut self, rule: &'static str, detail: String) {
        self.broken.push(Broken { rule, detail });
    }

    /// Takes in that something keeps the box from sounding: no emergency is awaited.
    pub fn excuse(&mut self) {
        self.awaited.clear();
        self.queue.clear();
    }

    /// Takes over what the law has found.
    fn hear_the_law(&mut self) {
        for (rule, detail) in self.law.take_found() {
            self.accuse(rule, detail);
        }
    }

    /// Takes in that time has come to `now`.
    pub fn time(&mut self, now: Moment) {
        self.law.time(now);
        self.hear_the_law();
        let late: Vec<_> =
            self.awaited.iter().filter(|(_, by)| **by < now).map(|(id, _)| id.clone()).collect();
        for id in late {
            self.awaited.remove(&id);
            self.accuse("an emergency sounds within its bound", format!("{id} by {now:?}"));
        }
    }

    /// Takes in an entry that is on the disk.
    pub fn entry(&mut self, entry: &Entry) {
        self.judged += 1;
        self.law.entry(entry);
        self.hear_the_law();
        match &entry.event {
            Event::PlayStarted(start) => self.started(entry, start),
            Event::PlayEnded(end) => {
                if self.open.remove(&end.play).is_none() {
                    let twice = self.closed.contains_key(&end.play);
                    let detail = format!("{} {:?} (closed before: {twice})", end.play, end.outcome);
                    self.accuse("every started play has exactly one closing entry", detail);
                }
                self.closed.insert(end.play, end.outcome.clone());
            }
            Event::SlotEnded { key, outcome, .. } => {
                self.slots.entry(key.clone()).or_default().push(outcome.clone())
            }
            Event::Delivery { command, step } => self.step(entry, command, step),
            Event::NotPlayed { subject: Subject::Announcement { command }, .. } => {
                self.awaited.remove(command);
                self.queue.remove(command);
            }
            Event::ClockSet { step_us, .. } => self.was_set_back |= *step_us < 0,
            Event::DeviceLost { .. } => {
                self.device_is_lost = true;
                self.excuse();
            }
            Event::DeviceBack | Event::BoxStarted { .. } => self.device_is_lost = false,
            _ => {}
        }
    }

    fn started(&mut self, entry: &Entry, start: &PlayStart) {
        let at = entry.at.wall;
        self.volumes.insert(start.play, start.volume_percent);
        if self.closed.contains_key(&start.play) || self.open.insert(start.play, start.clone()).is_some() {
            self.accuse("a play starts once", start.play.to_string());
        }
        if start.rung != Rung::Emergency {
            if entry.at.quality == ClockQuality::None {
                self.accuse(
                    "without a clock only emergencies sound",
                    format!("{} {}", start.play, start.title),
                );
            }
            let local = at.local();
            if start.rung == Rung::Exercise && !(6..21).contains(&local.hour()) {
                self.accuse("no exercise at night", format!("{} at {local}", start.title));
            }
        }
        if let Subject::Announcement { command } = &start.subject {
            self.awaited.remove(command);
            if start.rung == Rung::Emergency {
                // One emergency is on the air: others of their kind wait for it by the rules.
                self.awaited.clear();
                self.judge_order(entry.at.moment(), command);
            }
            self.announcement_started(at, command, start);
        }
    }

    /// Takes in that an emergency that can sound at once was received.
    pub(super) fn wait_for(&mut self, id: &CommandId, since: Moment) {
        self.queue.insert(id.clone(), since);
    }

    /// Of emergencies that wait, one of the higher level sounds first.
    pub(super) fn judge_order(&mut self, now: Moment, begun: &CommandId) {
        if self.queue.remove(begun).is_none() {
            return;
        }
        let level = self.law.level(begun);
        let higher = |(id, since): &(&CommandId, &Moment)| {
            self.law.level(id) < level && **since + EMERGENCY_WITHIN < now
        };
        if let Some((id, since)) = self.queue.iter().find(higher) {
            let detail = format!("{begun} of level {level} before {id}, which waits since {since:?}");
            self.accuse("of emergencies the higher level sounds first", detail);
        }
    }

    fn announcement_started(&mut self, at: Wall, id: &CommandId, start: &PlayStart) {
        let Some(command) = self.sent.get(id) else {
            return self.accuse("only what was sent sounds", id.to_string());
        };
        if at >= command.expires {
            let detail = format!("{id} at {at}, expired {}", command.expires);
            return self.accuse("nothing expired starts", detail);
        }
        // An emergency for now that has been due is put off by no clock.
        let at_once = start.rung == Rung::Emergency && command.not_before <= command.issued_at;
        let for_now = |plan: &PlayPlan| at_once && plan.at.is_none();
        let waits = !matches!(&command.body, Body::Announce { plan, .. } if for_now(plan));
        if waits && at < command.not_before {
            return self.accuse("nothing starts before its time", format!("{id} at {at}"));
        }
        if matches!(&command.body, Body::Announce { mode: Mode::Test, .. }) {
            return self.accuse("a test makes no sound", id.to_string());
        }
        if self.cancelled.contains(id) {
            return self.accuse("what is cancelled stays cancelled", id.to_string());
        }
        if self.finished.contains(&(id.clone(), start.repetition)) {
            self.accuse("nothing is played twice", format!("{id} repetition {}", start.repetition));
        }
    }

    fn step(&mut self, entry: &Entry, id: &CommandId, step: &DeliveryStep) {
        match step {
            DeliveryStep::Received => {
                let emergency = self.sent.get(id).is_some_and(|command| {
                    let Body::Announce { class, mode, plan, .. } = &command.body else { return false };
                    let now =
                        plan.at.is_none_or(|at| at <= entry.at.wall) && command.not_before <= entry.at.wall;
                    *class == BulletinClass::Emergency && *mode == Mode::Actual && now
                });
                let is_ready = self
                    .sent
                    .get(id)
                    .is_some_and(|command| matches!(&command.body, Body::Announce { media: None, .. }));
                if emergency && is_ready && !self.device_is_lost {
                    self.wait_for(id, entry.at.moment());
                }
                let taken = self.open.values().any(|start| start.rung == Rung::Emergency);
                if emergency && !taken && !self.device_is_lost {
                    self.awaited.insert(id.clone(), entry.at.moment() + EMERGENCY_WITHIN);
                }
            }
            DeliveryStep::Cancelled | DeliveryStep::Superseded => {
                self.cancelled.insert(id.clone());
                self.awaited.remove(id);
                self.queue.remove(id);
            }
            DeliveryStep::Finished
            | DeliveryStep::Expired
            | DeliveryStep::Interrupted
            | DeliveryStep::NotPlayed { .. } => {
                self.awaited.remove(id);
                self.queue.remove(id);
            }
            DeliveryStep::Staged | DeliveryStep::Started => {}
        }
    }

    /// Takes in what came out of the loudspeaker, in turn.
    pub fn heard(&mut self, heard: &[Heard]) {
        for pair in heard.windows(2) {
            if pair[1].from < pair[0].to {
                self.accuse("one play at a time", format!("{pair:?}"));
            }
        }
        for one in heard {
            self.judged += 1;
            if !self.open.contains_key(&one.play) && !self.closed.contains_key(&one.play) {
                self.accuse("what sounds is in the log", one.play.to_string());
            }
            if let Some(logged) =
                self.volumes.get(&one.play).filter(|logged| **logged != one.level.volume_percent)
            {
                self.accuse("it is as loud as the log says", format!("{one:?}, logged {logged}"));
            }
        }
    }

    /// Notes a play that was heard to its end.
    pub fn note_finished(&mut self, entry: &Entry) {
        let Event::PlayEnded(end) = &entry.event else { return };
        if let (Subject::Announcement { command }, PlayOutcome::Finished) = (&end.subject, &end.outcome)
            && let Some(start) = self.open.get(&end.play)
        {
            self.finished.insert((command.clone(), start.repetition));
        }
    }

    /// Closes the run. `due` are the slots whose hard end has passed while the box had time to tell of them.
    pub fn end(&mut self, due: &[SlotKey]) {
        let open: Vec<_> = self.open.keys().map(PlayId::to_string).collect();
        if !open.is_empty() {
            self.accuse("every started play has exactly one closing entry", format!("still open: {open:?}"));
        }
        for key in due {
            let outcomes = self.slots.get(key).cloned().unwrap_or_default();
            let aired =
                outcomes.iter().filter(|outcome| matches!(outcome, SlotOutcome::Aired { .. })).count();
            let fine =
                if self.was_set_back { aired <= 1 && !outcomes.is_empty() } else { outcomes.len() == 1 };
            if !fine {
                self.accuse(
                    "every slot that was due has exactly one outcome",
                    format!("{key:?}: {outcomes:?}"),
                );
            }
        }
    }
}
