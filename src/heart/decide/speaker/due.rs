//! Sessions that have become due, and entries for those that passed unheard.

use chrono::{Days, NaiveDate};

use super::job::Job;
use super::running::{Running, Stage};
use super::state::Speaker;
use super::waiting::LEAD;
use crate::decide::memory::{Memo, SessionMemo, SessionState};
use crate::decide::schedule::Session;
use crate::domain::playback::{Event, NotPlayed, PlayOutcome, SlotKey, SlotOutcome};
use crate::domain::time::{ClockQuality, Moment, Reading, Span, Wall};

/// Days back for which missed sessions are listed one by one.
pub const LOOK_BACK_DAYS: u64 = 366;

/// Days ahead in which the next session is sought at once.
const LOOK_AHEAD_DAYS: usize = 10;

/// Days for which closed sessions are remembered, so that a clock that is set back does not replay them.
const REMEMBERED_DAYS: u64 = 62;

/// Days for which closed sessions are remembered while only a battery clock says how old they are: it may be weeks
/// ahead (simulated seed 42).
const REMEMBERED_DAYS_UNSURE: u64 = 400;

/// A lapse of the calendar longer than this is accounted for only under a clock that has proved steady: a clock that
/// shows 2099 for half a minute must not write off a year of slots.
pub(super) const LONG_LAPSE: Span = Span::secs(48 * 3600);

/// Time after which a clock has proved steady: so long without a step of more than [`LONG_LAPSE`].
const STEADY_AFTER: Span = Span::secs(120);

fn day_before(date: NaiveDate) -> NaiveDate {
    date.pred_opt().unwrap_or(date)
}

impl Speaker {
    /// Returns when the wall clock will have proved steady; `None` where it has.
    pub(super) fn steady_at(&self, now: &Reading) -> Option<Moment> {
        Some(self.steady_since + STEADY_AFTER).filter(|steady_at| *steady_at > now.mono)
    }

    /// Returns when to account for what lies between the last account and `now`, where that has to wait.
    fn account_later(&self, now: &Reading) -> Option<Moment> {
        let upto = self.memory.accounted_upto?;
        let far_apart = (now.wall - upto).unsigned_abs() > LONG_LAPSE.0;
        self.steady_at(now).filter(|_| far_apart)
    }

    pub(super) fn look_for_sessions(&mut self, now: &Reading) {
        self.waiting.looked = true;
        self.waiting.account_at = self.account_later(now);
        if self.waiting.account_at.is_none() {
            self.take_back_missed(now);
            self.release_put_off(now);
        }
        let upto = self.memory.accounted_upto.map_or(now.wall, |upto| upto.min(now.wall));
        let upto = upto.max(now.wall.minus(Span::secs(LOOK_BACK_DAYS * 86_400)));
        let taken_up = now.wall.plus(LEAD);
        // A session of the day before may reach beyond midnight.
        let (mut date, today) = (day_before(upto.date()), taken_up.date());
        let mut found = false;
        while date <= today {
            for session in self.timetable.sessions_on(date, &self.listeners) {
                let open = match self.memory.sessions.get(&session.key).map(|memo| &memo.state) {
                    None => session.start > upto || session.end > now.wall,
                    Some(SessionState::Open { .. }) => !self.is_taken_up(&session.key),
                    Some(SessionState::Closed | SessionState::Missed) => false,
                };
                if open && session.start <= taken_up {
                    found = true;
                    self.take_up(now, session);
                }
            }
            let Some(next) = date.checked_add_days(Days::new(1)) else { break };
            date = next;
        }
        if self.waiting.account_at.is_none() {
            self.drop_orphans(now);
            if found || self.memory.accounted_upto.is_none() {
                self.remember(Memo::AccountedUpto(now.wall));
                self.forget_old_sessions(now);
            }
        }
        self.waiting.next_start = Some(self.find_next_start(now));
    }

    fn is_taken_up(&self, key: &SlotKey) -> bool {
        let running = self.running.as_ref().is_some_and(|running| running.session.key == *key);
        running || self.waiting.due.iter().any(|session| session.key == *key)
    }

    fn take_up(&mut self, now: &Reading, session: Session) {
        if session.end <= now.wall {
            if self.waiting.account_at.is_none() {
                self.close_unheard(now, &session, NotPlayed::Missed);
            }
            return;
        }
        if !self.memory.sessions.contains_key(&session.key) {
            self.remember_session(&session, SessionState::FRESH);
        }
        self.waiting.due.push_back(session);
    }

    /// Ends a session that will not have its turn again: as what it was so far, else as not aired for `reason`.
    pub(super) fn close_unheard(&mut self, now: &Reading, session: &Session, reason: NotPlayed) {
        let memo = self.memory.sessions.get(&session.key);
        let outcome = memo.and_then(|memo| memo.state.outcome());
        self.settle(now, session, outcome.unwrap_or(SlotOutcome::NotAired(reason)));
    }

    /// Ends as replaced the sessions that are open in the memory and no longer in the timetable.
    fn drop_orphans(&mut self, now: &Reading) {
        let open =
            self.memory.sessions.iter().filter(|(key, memo)| {
                matches!(memo.state, SessionState::Open { .. }) && !self.is_taken_up(key)
            });
        let orphans: Vec<_> = open.map(|(key, memo)| (key.clone(), memo.clone())).collect();
        for (key, memo) in orphans {
            let outcome = memo.state.outcome().unwrap_or(SlotOutcome::NotAired(NotPlayed::Replaced));
            let title = key.slot.to_string();
            self.log(now, Event::SlotEnded { key: key.clone(), title, scheduled: memo.start, outcome });
            self.remember(Memo::Session(key, Some(SessionMemo { state: SessionState::Closed, ..memo })));
        }
    }

    /// Lets go of sessions that were taken up under a clock that was ahead and have not sounded: their time is to come.
    pub(super) fn release_too_early(&mut self, now: &Reading) {
        let taken_up = now.wall.plus(LEAD);
        self.release_silent(taken_up);
        let mut released = Vec::new();
        self.waiting.due.retain(|session| {
            let keep = session.start <= taken_up;
            if !keep {
                released.push(session.key.clone());
            }
            keep
        });
        for key in released {
            let state = self.memory.sessions.get(&key).map(|memo| &memo.state);
            if state == Some(&SessionState::FRESH) {
                self.remember(Memo::Session(key, None));
            }
        }
    }

    /// Lets go of the running session where it starts after `taken_up` and nothing of it has sounded. What was ordered of
    /// it does not begin.
    fn release_silent(&mut self, taken_up: Wall) {
        if self.sounding_piece().is_some() {
            return;
        }
        let is_silent = |running: &mut Running| {
            running.stage != Stage::Done
                && running.session.start > taken_up
                && !running.heard
                && running.finished == 0
        };
        if let Some(running) = self.running.take_if(is_silent) {
            self.end_where(|job| matches!(job, Job::Piece(_)), &PlayOutcome::Stopped);
            self.remember(Memo::Session(running.session.key, None));
        }
    }

    /// Takes back what was written off in silence under a clock that was ahead.
    fn take_back_missed(&mut self, now: &Reading) {
        if self.memory.accounted_upto.is_none_or(|upto| upto <= now.wall) {
            return;
        }
        let missed = self.memory.sessions.iter().filter(|(_, memo)| memo.state == SessionState::Missed);
        let too_early: Vec<_> =
            missed.filter(|(_, memo)| memo.start > now.wall).map(|(key, _)| key.clone()).collect();
        for key in too_early {
            self.remember(Memo::Session(key, None));
        }
        self.remember(Memo::AccountedUpto(now.wall));
    }

    /// Lets go of sessions that have not sounded and that a newer programme puts off to a time to come.
    fn release_put_off(&mut self, now: &Reading) {
        let (today, taken_up) = (now.wall.date(), now.wall.plus(LEAD));
        let silent = self.memory.sessions.iter().filter(|(key, memo)| {
            key.date >= today && (memo.state == SessionState::FRESH || memo.state == SessionState::Missed)
        });
        let put_off = silent.filter(|(key, memo)| {
            let session = self.timetable.session(key, &self.listeners);
            session.is_some_and(|session| session.start > taken_up && session.start != memo.start)
        });
        let put_off: Vec<_> =
            put_off.map(|(key, _)| key.clone()).filter(|key| !self.is_taken_up(key)).collect();
        for key in put_off {
            self.remember(Memo::Session(key, None));
        }
    }

    fn forget_old_sessions(&mut self, now: &Reading) {
        let days = if now.quality == ClockQuality::Synced { REMEMBERED_DAYS } else { REMEMBERED_DAYS_UNSURE };
        let before = now.wall.minus(Span::secs(days * 86_400));
        let old = self.memory.sessions.iter().filter(|(_, memo)| memo.start < before);
        let old: Vec<_> = old.map(|(key, _)| key.clone()).collect();
        for key in old {
            self.remember(Memo::Session(key, None));
        }
    }

    fn find_next_start(&self, now: &Reading) -> Wall {
        let days = now.wall.date().iter_days().take(LOOK_AHEAD_DAYS);
        let sessions = days.flat_map(|date| self.timetable.sessions_on(date, &self.listeners));
        let next = sessions.map(|session| session.start).find(|start| *start > now.wall.plus(LEAD));
        next.unwrap_or(now.wall.plus(Span::secs(LOOK_AHEAD_DAYS as u64 * 43_200)))
    }
}
