//! Sessions of slots: when they open, where they are entered, and what is said at their end.

use std::collections::BTreeSet;

use super::due::LONG_LAPSE;
use super::interface::Why;
use super::job::Job;
use super::running::{Running, Stage};
use super::state::Speaker;
use super::waiting::LEAD;
use crate::decide::memory::{Memo, SessionMemo, SessionState};
use crate::decide::schedule::{Role, Session, cue_at};
use crate::domain::announcement::Rung;
use crate::domain::playback::{Event, NotPlayed, PlayOutcome, SlotOutcome, Subject};
use crate::domain::policy::GuardRefusal;
use crate::domain::programme::{Lateness, Order};
use crate::domain::time::{ClockQuality, Moment, Reading, Span, Wall};

/// A session that starts within this time after its instant is on time.
pub const ON_TIME: Span = Span::secs(5);

/// Least gain of the wall clock on the monotonic one that brings the end of a session forward; below it lies what two
/// readings differ by.
const GAIN_MIN: Span = Span::millis(100);

/// Longest delay of a slot whose lateness is `skip` and that names no `start_within_s`.
pub const SKIP_GRACE: Span = Span::secs(60);

impl Speaker {
    /// Looks for sessions that have become due, and gives the first its turn.
    pub(super) fn open_sessions(&mut self, now: &Reading) {
        if now.quality == ClockQuality::None {
            // A session that has begun ends by the monotonic clock.
            return self.close_running(now);
        }
        let waited = self.waiting.account_at.is_some_and(|at| at <= now.mono);
        let begins = self.waiting.next_start.is_some_and(|start| start <= now.wall.plus(LEAD));
        if !self.waiting.looked || waited || begins {
            self.look_for_sessions(now);
        }
        self.close_running(now);
        while self.running.is_none() {
            let Some(session) = self.waiting.due.pop_front() else { break };
            self.open(now, session);
        }
    }

    pub(super) fn remember_session(&mut self, session: &Session, state: SessionState) {
        let memo = SessionMemo { start: session.start, state };
        self.remember(Memo::Session(session.key.clone(), Some(memo)));
    }

    /// Logs what became of a session, and remembers that it is over.
    pub(super) fn settle(&mut self, now: &Reading, session: &Session, outcome: SlotOutcome) {
        let (key, title) =
            (session.key.clone(), self.timetable.calendar(session).slot(session).title.clone());
        let state = SessionState::after(&outcome);
        self.log(now, Event::SlotEnded { key, title, scheduled: session.start, outcome });
        self.remember_session(session, state);
    }

    pub(super) fn log_not_played(
        &mut self,
        now: &Reading,
        subject: Subject,
        title: String,
        reason: NotPlayed,
    ) {
        self.log(now, Event::NotPlayed { subject, title, reason });
    }

    /// Gives a session its turn, where the guard lets it.
    fn open(&mut self, now: &Reading, session: Session) {
        if session.end <= now.wall {
            // Another session had the turn until this one was over.
            let outcome = SlotOutcome::NotAired(NotPlayed::PreEmpted { by: Rung::Programme });
            return self.settle(now, &session, outcome);
        }
        let slot = self.timetable.calendar(&session).slot(&session).clone();
        let begin_at = now.moment_of(session.start);
        let then = now.at(begin_at);
        if let Err(reason) = self.guard.permit(&then, Rung::Programme, slot.volume_percent, None) {
            return self.settle(now, &session, SlotOutcome::NotAired(NotPlayed::Guarded { reason }));
        }
        let rotation = self.memory.rotations.get(&session.key.slot).copied().unwrap_or(0);
        let filled = self.timetable.calendar(&session).fill(&session, &self.listeners, rotation);
        let state = self.memory.sessions.get(&session.key).map(|memo| memo.state.clone());
        let SessionState::Open { next, position_us, finished, not_finished, heard, why } =
            state.filter(|state| matches!(state, SessionState::Open { .. })).unwrap_or(SessionState::FRESH)
        else {
            return;
        };
        let position = Span(position_us);
        let why = why.or_else(|| filled.left_out.last().map(|left| left.reason.clone()));
        self.turns += 1;
        let running = Running {
            turn: self.turns,
            broken: BTreeSet::new(),
            stand_in: None,
            begin_at,
            end_at: now.moment_of(session.end),
            pieces: filled.pieces,
            next,
            position,
            gap_until: None,
            finished,
            not_finished,
            heard,
            why,
            stage: Stage::Due,
            blocked_by: None,
            session,
            slot,
        };
        let subject = running.subject();
        let fresh = next == 0 && position == Span(0);
        self.running = Some(running);
        for left in filled.left_out.into_iter().filter(|_| fresh) {
            self.log_not_played(now, subject.clone(), left.title, left.reason);
        }
    }

    /// Settles where a session is entered, by its lateness policy. `false` where it is over.
    pub(super) fn enter(&mut self, now: &Reading) -> bool {
        let Some(running) = &mut self.running else { return false };
        if running.stage != Stage::Due {
            return true;
        }
        let late = now.wall.since(running.session.start);
        let begun = running.next > 0 || running.position > Span(0) || running.finished > 0;
        let lateness = running.slot.lateness;
        let within = running.slot.start_within_s.map(|s| Span::secs(u64::from(s)));
        let bound = match lateness {
            Lateness::Skip => Some(within.unwrap_or(SKIP_GRACE)),
            Lateness::Join | Lateness::Shift => within,
        };
        if bound.is_some_and(|bound| late > bound.max(ON_TIME)) && !begun
            || begun && lateness == Lateness::Skip
        {
            self.close_late(now);
            return false;
        }
        if lateness == Lateness::Join && late > ON_TIME {
            let cue = cue_at(&running.pieces, running.slot.fill, late);
            let (next, skip) = cue.map_or((u32::MAX, Span(0)), |cue| (cue.index as u32, cue.skip));
            if next > running.next || next == running.next && skip > running.position {
                (running.next, running.position) = (next, skip);
            }
        }
        running.stage = Stage::Entered;
        true
    }

    fn close_late(&mut self, now: &Reading) {
        let Some(running) = self.running.take() else { return };
        let outcome = running.state().outcome().unwrap_or(SlotOutcome::NotAired(match running.blocked_by {
            Some(by) => NotPlayed::PreEmpted { by },
            None => NotPlayed::Late,
        }));
        self.settle(now, &running.session, outcome);
    }

    /// Ends the running session when its pieces are done or its hard end has come.
    fn close_running(&mut self, now: &Reading) {
        let Some(running) = &self.running else { return };
        let over = running.end_at <= now.mono;
        let sounding = self.piece_on_air().is_some();
        if over && sounding {
            // The closing entry of the piece comes first.
            return self.end_where(|job| matches!(job, Job::Piece(_)), &PlayOutcome::HardEnd);
        }
        let done = running.playable_from(running.next).is_none() && !sounding;
        if done && running.stage != Stage::Done {
            self.log_session_end(now, None);
        }
        if over {
            if self.running.as_ref().is_some_and(|running| running.stage != Stage::Done) {
                self.log_session_end(now, Some(NotPlayed::NoRoom));
            }
            self.running = None;
        }
    }

    /// Logs what became of the session, and of each piece that did not sound.
    pub(super) fn log_session_end(&mut self, now: &Reading, left: Option<NotPlayed>) {
        let Some(mut running) = self.running.take() else { return };
        running.stage = Stage::Done;
        let reason = match (left, running.blocked_by) {
            (Some(NotPlayed::NoRoom), Some(by)) => Some(NotPlayed::PreEmpted { by }),
            (left, _) => left,
        };
        if let Some(reason) = reason.clone() {
            let rest: Vec<_> = running.pieces.iter().skip(running.next as usize).collect();
            for piece in rest.into_iter().filter(|piece| matches!(piece.role, Role::Item { .. })) {
                self.log_not_played(now, running.subject(), piece.title.clone(), reason.clone());
            }
        }
        let (finished, not_finished) = (running.finished, running.not_finished);
        let outcome = running.state().outcome().or(reason.map(SlotOutcome::NotAired));
        let outcome = outcome.unwrap_or(SlotOutcome::Aired { finished, not_finished });
        self.settle(now, &running.session, outcome);
        if running.slot.order == Order::Rotating
            && let Some(item) = running.rotation_after()
        {
            self.remember(Memo::Rotation(running.session.key.slot.clone(), item));
        }
        running.next = running.pieces.len() as u32;
        self.running = Some(running);
    }

    /// Returns the instant at which the running session starts, while that is still to come.
    pub(super) fn session_begins(&self, now: &Reading) -> Option<(Moment, Wall)> {
        let running = self.running.as_ref().filter(|running| running.begin_at > now.mono)?;
        Some((running.begin_at, running.session.start))
    }

    pub(super) fn close_guarded(&mut self, now: &Reading, reason: GuardRefusal) {
        self.log_session_end(now, Some(NotPlayed::Guarded { reason }));
    }

    /// Looks again at what was decided under a wrong time: the wall clock was stepped from `expected`.
    pub(super) fn sessions_after_step(&mut self, now: &Reading, expected: Wall) {
        self.waiting.looked = false;
        if now.quality == ClockQuality::None {
            return;
        }
        self.release_too_early(now);
        // Far ahead, what sounds goes on by the monotonic clock until the wall clock has proved steady; what does not
        // sound waits for that.
        let far_ahead = now.wall.since(expected) > LONG_LAPSE;
        if far_ahead {
            let is_silent = self.piece_on_air().is_none();
            self.running.take_if(|running| {
                is_silent && running.stage != Stage::Done && running.session.end <= now.wall
            });
            self.waiting.due.retain(|session| session.end > now.wall);
        }
        if !far_ahead {
            self.hold_hard_end(now);
        }
    }

    /// Brings the end of the running session forward where the wall clock has gained on the monotonic one: by a step, or
    /// little by little.
    pub(super) fn hold_hard_end(&mut self, now: &Reading) {
        let Some(running) = self.running.as_mut().filter(|_| now.quality > ClockQuality::None) else {
            return;
        };
        let end_at = now.moment_of(running.session.end);
        if end_at + GAIN_MIN < running.end_at {
            running.end_at = end_at;
        }
    }

    pub(super) fn session_wakes(&self, now: &Reading) -> Option<(Moment, Why)> {
        let start = match now.quality {
            ClockQuality::None => None,
            _ => {
                let start = self.waiting.next_start.map(|start| now.moment_of(start.minus(LEAD)));
                start.map(|start| (start, Why::SessionStarts))
            }
        };
        let running = self.running.as_ref();
        let fading = self.piece_is_stopping();
        let end = running.filter(|_| !fading).map(|running| (running.end_at, Why::SessionEnds));
        let begin = running.map(|running| (running.begin_at, Why::SessionStarts));
        let begin = begin.filter(|(begin, _)| *begin > now.mono);
        let gap = running.and_then(|running| running.gap_until).filter(|gap| *gap > now.mono);
        // Without a clock nothing is accounted for, and the heart looks again when there is one.
        let account = self.waiting.account_at.filter(|_| now.quality > ClockQuality::None);
        let account = account.map(|at| (at, Why::SessionStarts));
        [start, account, begin, end, gap.map(|gap| (gap, Why::SessionStarts))].into_iter().flatten().min()
    }
}
