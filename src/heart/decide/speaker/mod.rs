//! The speaker: the heart of the box as one state machine without I/O.
//!
//! The shell tells it what happened ([`Speaker::handle`]) or that time has passed ([`Speaker::handle_timeout`]),
//! carries out what it asks for ([`Speaker::poll_action`], in order) and wakes it again
//! ([`Speaker::poll_timeout`]). Preview and simulation are two other shells around the same code.
//!
//! Deliberately absent: clocks, files, network, sound, cryptography.

mod air;
mod announcements;
#[cfg(test)]
mod authority_tests;
mod held;
mod running;
#[cfg(test)]
mod search;
mod sessions;
mod stand_in;
#[cfg(test)]
mod tests;
mod voice;
mod waiting;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::decide::arbiter::{self, Claim, Verdict};
use crate::decide::guard::Guard;
use crate::decide::memory::{Memo, Memory};
use crate::decide::quotas::{self, Limits, Standing};
use crate::decide::schedule::{Place, Timetable};
use crate::decide::{endings, inbox};
use crate::domain::announcement::{Media, Rung};
use crate::domain::authority::Trust;
use crate::domain::ids::{CommandId, ContentHash, PlayId};
use crate::domain::playback::{CommandRefusal, DeliveryStep, Entry, Event, PlayOutcome, Stamp};
use crate::domain::policy::Policy;
use crate::domain::sound::{Cut, Fault, PlayerCommand, PlayerEvent};
use crate::domain::time::{ClockTrust, Moment, Reading, Span, Wall};
use crate::wire::messages::{Body, Command, Signed};

use air::{Ready, Sounding};
use held::Held;
use running::Running;
use voice::Voice;
use waiting::Waiting;

/// How often the position of a play is put on disk.
pub const CHECKPOINT_EVERY: Span = Span::secs(10);

/// How long the player may take to open what a play needs, before the next version of it is tried.
pub const PREFLIGHT_MAX: Span = Span::secs(20);

/// The same for what must not wait.
pub const PREFLIGHT_URGENT_MAX: Span = Span::secs(2);

/// A difference between the clocks' progress beyond this is a step of the wall clock, not a slewing.
pub const STEP_MIN: Span = Span::secs(2);

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// A command whose signatures were checked.
    Command(Box<Signed<Command>>),
    /// A trust document whose root signature was checked.
    Trust(Trust),
    /// A programme was read and checked; it replaces those in force.
    Timetable(Timetable),
    /// The limits that were in force are not believed any more; these take their place, whatever their version.
    Limits(Policy),
    /// Groups of this box, with all groups above them, and its languages.
    Place(Place),
    /// Audio is on disk with the right hash, or can't be had.
    Fetched {
        sha256: ContentHash,
        result: Result<(), Fault>,
    },
    Player(PlayerEvent),
    /// A message that never became a command, or a document that the shell could not adopt.
    Refused {
        command: Option<CommandId>,
        reason: CommandRefusal,
    },
    /// Further refusals of a kind, counted instead of logged one by one.
    RefusalsCounted {
        reason: &'static str,
        count: u64,
    },
    /// Something about the box that a reviewer should know: it is logged as it is.
    Noted(Box<Event>),
    /// The wall clock was stepped, or its trust changed.
    ClockChanged,
    /// The daemon is asked to end.
    Shutdown,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Writes to the log. What follows in the queue is done only when it is on disk.
    Log(Entry),
    /// Remembers, together with the log entries beside it.
    Remember(Memo),
    /// Keeps a command's envelope until it has expired.
    Keep(CommandId),
    /// The envelope is needed no more.
    Forget(CommandId),
    Player(PlayerCommand),
    /// Puts the position of a play on disk.
    Checkpoint(PlayId),
    /// Keeps the document that an accepted command carries until a newer one takes its place. A programme and groups are
    /// put in force by the shell, which answers with [`Input::Timetable`], [`Input::Place`] or [`Input::Refused`]; a
    /// policy is in force already.
    Adopt(Box<Command>),
    /// Fetches audio; `by` is when it is needed.
    Fetch {
        media: Media,
        by: Wall,
        urgent: bool,
    },
}

/// Why the speaker wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    SessionStarts,
    SessionEnds,
    LimitReached,
    AnnouncementDue,
    AnnouncementExpires,
    PreflightSlow,
    Checkpoint,
}

/// What the shell restores after a start.
#[derive(Debug, Clone, Default)]
pub struct Restored {
    /// Number of this start, from 1.
    pub start: u32,
    pub memory: Memory,
    /// Commands in force, opened anew under the trust in force.
    pub commands: Vec<Signed<Command>>,
    /// What the last checkpoints prove of the plays that were open.
    pub checkpoints: BTreeMap<PlayId, Span>,
    /// Media on disk.
    pub staged: BTreeSet<ContentHash>,
}

/// What wants the air.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Job {
    Announcement(CommandId),
    /// A piece of a session: which session since the start, and its number in it.
    Piece {
        turn: u32,
        number: u32,
        /// Where it is a relay that does not sound: which item of its fallback does, counted on and on.
        instead: Option<u32>,
    },
    Voice,
}

/// The heart of a box.
#[cfg_attr(test, derive(Clone))]
pub struct Speaker {
    start: u32,
    plays_made: u32,
    place: Place,
    timetable: Timetable,
    trust: Option<Trust>,
    guard: Guard,
    memory: Memory,
    limits: Limits,
    staged: BTreeSet<ContentHash>,
    held: BTreeMap<CommandId, Held>,
    voice: Option<Voice>,
    waiting: Waiting,
    running: Option<Running>,
    /// Sessions that have had their turn since the start.
    turns: u32,
    /// Plays that the player has been told to sound and that have not ended.
    plays: BTreeMap<PlayId, Sounding>,
    current: Option<PlayId>,
    /// Starts when `current` ends by itself.
    follow: Option<PlayId>,
    next: Option<Ready>,
    device_lost: bool,
    stopping: bool,
    /// When to look next for what can be forgotten.
    forget_at: Moment,
    clock: Option<Reading>,
    actions: VecDeque<Action>,
}

impl Speaker {
    /// A speaker that goes on from what was restored. Its first actions close what a power cut left open.
    pub fn new(
        restored: Restored,
        place: Place,
        timetable: Timetable,
        trust: Option<Trust>,
        policy: Policy,
        now: &Reading,
    ) -> Self {
        let Restored { start, memory, commands, checkpoints, staged } = restored;
        let (day, used) = memory.sounded.unwrap_or((now.wall.date(), Span(0)));
        let mut speaker = Self {
            start,
            plays_made: 0,
            place,
            timetable,
            trust,
            guard: Guard::new(policy, day, used),
            memory,
            limits: Limits::default(),
            staged,
            held: BTreeMap::new(),
            voice: None,
            waiting: Waiting::default(),
            running: None,
            turns: 0,
            plays: BTreeMap::new(),
            current: None,
            follow: None,
            next: None,
            device_lost: false,
            stopping: false,
            forget_at: Moment(0),
            clock: Some(*now),
            actions: VecDeque::new(),
        };
        speaker.log(now, Event::BoxStarted { version: env!("CARGO_PKG_VERSION").to_owned() });
        speaker.close_what_was_open(now, &checkpoints);
        speaker.forget_strangers();
        for command in commands {
            speaker.obey_again(now, command);
        }
        speaker.decide(now);
        speaker
    }

    /// The same speaker with other bounds of what it keeps of commands.
    pub fn bounded(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: &Reading, input: Input) {
        self.notice_clock(now);
        match input {
            Input::Command(signed) => self.on_command(now, *signed),
            Input::Trust(trust) => self.on_trust(now, trust),
            Input::Timetable(timetable) => self.on_timetable(now, timetable),
            Input::Limits(policy) => {
                self.guard.adopt(policy);
                self.apply_limits_to_the_air(now);
            }
            Input::Place(place) => self.place = place,
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
    }

    /// Takes in that time has passed.
    pub fn handle_timeout(&mut self, now: &Reading) {
        self.notice_clock(now);
        self.decide(now);
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`Speaker::handle_timeout`] at the latest, if the wall clock is not stepped before.
    pub fn poll_timeout(&self) -> Option<(Moment, Why)> {
        let now = self.clock.as_ref()?;
        let sounding = self.current.and_then(|play| self.plays.get(&play));
        [
            self.session_wakes(now),
            self.announcement_wakes(now),
            self.next.as_ref().and_then(Ready::wakes),
            sounding.and_then(Sounding::wakes),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Ids of the announcements in force, in order: accepted, and neither over nor expired. It is what
    /// [`crate::wire::messages::Holds`] digests.
    pub fn in_force(&self, now: &Reading) -> impl Iterator<Item = &CommandId> {
        self.held_until()
            .filter(move |(_, expires)| now.trust == ClockTrust::None || now.wall < *expires)
            .map(|(id, _)| id)
    }

    /// What is remembered, for the simulation's checks.
    pub fn media_in_use(&self) -> impl Iterator<Item = ContentHash> {
        self.held.values().filter_map(|held| held.announcement.media.as_ref().map(|media| media.sha256))
    }

    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The trust document in force.
    pub fn trust(&self) -> Option<&Trust> {
        self.trust.as_ref()
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        self.guard.policy()
    }

    /// What the box is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What sounds now, with its title and rung.
    pub fn on_air(&self) -> Option<(PlayId, &str, Rung)> {
        let sounding = self.plays.get(&self.current?)?;
        Some((sounding.start.play, &sounding.start.title, sounding.start.rung))
    }

    /// Whether everything has ended after [`Input::Shutdown`].
    pub fn is_stopped(&self) -> bool {
        self.stopping && self.plays.is_empty()
    }

    fn log(&mut self, now: &Reading, event: Event) {
        let at = Stamp::of(self.start, now);
        self.actions.push_back(Action::Log(Entry { at, event }));
    }

    fn remember(&mut self, memo: Memo) {
        self.memory.apply(&memo);
        self.actions.push_back(Action::Remember(memo));
    }

    fn refuse(&mut self, now: &Reading, command: Option<CommandId>, reason: CommandRefusal) {
        self.log(now, Event::CommandRefused { command, reason });
    }

    /// Compares the clocks' progress since the last reading, and takes back what a wrong clock has decided.
    fn notice_clock(&mut self, now: &Reading) {
        let Some(before) = self.clock.replace(*now) else { return };
        let expected = before.wall.plus(now.mono.since(before.mono));
        let step_us = now.wall - expected;
        let stepped = step_us.unsigned_abs() > STEP_MIN.0;
        if !stepped && before.trust == now.trust {
            return;
        }
        if stepped || before.trust == ClockTrust::None {
            self.log(now, Event::ClockSet { step_us, before: before.trust });
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
        self.forget_strangers();
    }

    /// Frees the room of keys that the trust document does not name.
    fn forget_strangers(&mut self) {
        let Some(trust) = &self.trust else { return };
        let memos = quotas::forget_strangers(&self.memory, &self.limits, trust);
        self.remember_all(memos);
    }

    /// Remembers what an id takes with it: with the id, its envelope goes.
    fn remember_all(&mut self, memos: Vec<Memo>) {
        for memo in memos {
            if let Memo::Known(id, None) = &memo {
                self.actions.push_back(Action::Forget(id.clone()));
            }
            self.remember(memo);
        }
    }

    /// Says whether it is in force now.
    fn on_policy(&mut self, now: &Reading, id: &CommandId, policy: Policy) -> bool {
        let held = self.guard.policy().version;
        if policy.version <= held {
            let reason = CommandRefusal::Rollback { offered: policy.version, held };
            self.refuse(now, Some(id.clone()), reason);
            return false;
        }
        self.log(now, Event::Adopted { what: "policy".to_owned(), version: policy.version });
        self.guard.adopt(policy);
        self.apply_limits_to_the_air(now);
        true
    }

    fn on_shutdown(&mut self, now: &Reading) {
        self.stopping = true;
        self.discard_next();
        self.stop_everything();
        self.log_if_stopped(now);
    }

    /// The last entry of an orderly end, after the closing entries of all plays.
    fn log_if_stopped(&mut self, now: &Reading) {
        if self.is_stopped() {
            self.log(now, Event::BoxStopped);
        }
    }

    /// Brings everything up to `now`: what has expired, begun, ended, and who has the air.
    fn decide(&mut self, now: &Reading) {
        if self.stopping {
            return;
        }
        self.expire(now);
        self.open_sessions(now);
        self.enforce_limits(now);
        self.checkpoint(now);
        self.arrange(now);
    }

    /// Prepares the best claim and gives it the air when it is ready and may have it.
    fn arrange(&mut self, now: &Reading) {
        if self.device_lost {
            return;
        }
        let claims = self.claims(now);
        let Some(best) = arbiter::best(&claims) else {
            self.discard_next();
            return;
        };
        if self.next.as_ref().is_none_or(|next| next.job != best.job) {
            self.discard_next();
            self.prepare(now, best);
        }
        if self.next.as_ref().is_none_or(|next| !next.is_ready()) {
            return;
        }
        let ahead = match &best.job {
            Job::Piece { .. } => self.session_begins(now),
            Job::Announcement(_) | Job::Voice => None,
        };
        match (arbiter::verdict(self.air_view(), best), ahead) {
            (Verdict::Start, Some((moment, shared))) => {
                self.launch(now, Cut::At { moment, shared: Some(shared) });
            }
            (_, Some(_)) => {}
            (verdict, None) => self.give_air(now, verdict, best.rung),
        }
    }

    fn give_air(&mut self, now: &Reading, verdict: Verdict, rung: Rung) {
        match verdict {
            Verdict::Start => self.launch(now, Cut::Now),
            Verdict::Cut => {
                self.interrupt(rung);
                self.launch(now, Cut::Now);
            }
            Verdict::Follow if self.may_follow() => self.launch(now, Cut::AtEnd),
            Verdict::Follow => {}
        }
    }

    /// Everything that wants to sound now and is allowed to.
    fn claims(&mut self, now: &Reading) -> Vec<Claim<Job>> {
        let mut claims = self.announcement_claims(now);
        claims.extend(self.voice_claim(now));
        claims.extend(self.piece_claim(now));
        let reserved = self.reserved(now);
        claims.retain(|claim| reserved.is_none_or(|rung| claim.rung >= rung));
        claims
    }

    fn on_command(&mut self, now: &Reading, signed: Signed<Command>) {
        let id = signed.payload.id.clone();
        let standing = self.standing();
        let bench = inbox::Bench {
            memory: &self.memory,
            limits: &self.limits,
            trust: self.trust.as_ref(),
            groups: &self.place.groups,
            standing: &standing,
        };
        match inbox::judge(&bench, now, &signed) {
            Ok(inbox::Verdict::Again) => {}
            Ok(inbox::Verdict::Accepted { level, memos }) => {
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

    /// What others may ask to end, and what takes up room: the announcements that are not over, and the live voice.
    fn standing(&self) -> Vec<Standing<'_>> {
        let held = self.held.iter().map(|(id, held)| Standing {
            id,
            issuer: &held.announcement.issued.issuer,
            power: held.power(),
            groups: &held.announcement.groups,
        });
        held.chain(self.voice.as_ref().map(Voice::standing)).collect()
    }

    fn obey(&mut self, now: &Reading, signed: Signed<Command>, level: u8) {
        let by = inbox::ender(&signed);
        let Signed { signers, payload: command, .. } = signed;
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
                if self.on_policy(now, &command.id, policy) {
                    self.actions.push_back(Action::Adopt(Box::new(command)));
                }
            }
            Body::Live { session, open: true, url } => {
                self.open_voice(Voice::new(&command, signers, session, url));
            }
            Body::Live { session, open: false, .. } => self.close_voice(now, &session, &by),
            Body::Programme { .. } | Body::Groups { .. } => {
                self.actions.push_back(Action::Adopt(Box::new(command)));
            }
            Body::Test => self.log_step(now, &command.id, DeliveryStep::Received),
        }
    }
}
