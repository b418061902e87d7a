//! Which sessions have become due, and what is said of those that passed unheard.

use chrono::Days;

use super::sessions::LEAD;
use super::*;
use crate::decide::memory::{SessionMemo, SessionState};
use crate::decide::schedule::Session;
use crate::domain::playback::{NotPlayed, SlotKey, SlotOutcome};

/// How far back missed sessions are listed one by one.
pub const LOOK_BACK_DAYS: u64 = 366;

/// How far ahead the next session is looked for at once.
const LOOK_AHEAD_DAYS: usize = 10;

/// How long closed sessions are remembered, so that a clock that is set back does not replay them.
const REMEMBERED_DAYS: u64 = 62;

/// The same while only a battery clock says how old they are: it may be weeks ahead (simulated seed 42).
const REMEMBERED_DAYS_UNSURE: u64 = 400;

/// Sessions whose time has come, and when to look for more.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub due: VecDeque<Session>,
    /// Start of the next session that is not yet due.
    pub next_start: Option<Wall>,
    /// What was known has changed: look anew.
    pub looked: bool,
}

impl Speaker {
    pub(super) fn look_for_sessions(&mut self, now: &Reading) {
        self.waiting.looked = true;
        let known = self.memory.accounted_upto.map(|upto| upto.min(now.wall));
        let upto = known.unwrap_or(now.wall).max(now.wall.minus(Span::secs(LOOK_BACK_DAYS * 86_400)));
        let taken_up = now.wall.plus(LEAD);
        let (mut date, today) = (upto.date(), taken_up.date());
        let mut found = false;
        while date <= today {
            for session in self.timetable.sessions_on(date, &self.place) {
                let open = match self.memory.sessions.get(&session.key).map(|memo| &memo.state) {
                    None => session.start > upto || known.is_none() && session.end > now.wall,
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
        self.drop_orphans(now);
        if found || self.memory.accounted_upto.is_none() {
            self.remember(Memo::AccountedUpto(now.wall));
            self.forget_old_sessions(now);
        }
        self.waiting.next_start = Some(self.find_next_start(now));
    }

    fn is_taken_up(&self, key: &SlotKey) -> bool {
        let running = self.running.as_ref().is_some_and(|running| running.session.key == *key);
        running || self.waiting.due.iter().any(|session| session.key == *key)
    }

    fn take_up(&mut self, now: &Reading, session: Session) {
        if session.end <= now.wall {
            return self.close_unheard(now, session);
        }
        if !self.memory.sessions.contains_key(&session.key) {
            let state = SessionState::Open { next: 0, position_us: 0, finished: 0, not_finished: 0 };
            self.remember_session(&session, state);
        }
        self.waiting.due.push_back(session);
    }

    /// The end of a session whose time passed while the box was off or the clock unknown.
    fn close_unheard(&mut self, now: &Reading, session: Session) {
        match self.memory.sessions.get(&session.key).map(|memo| memo.state.clone()) {
            Some(SessionState::Open { finished, not_finished, .. }) if finished + not_finished > 0 => {
                self.log_slot(now, &session, SlotOutcome::Aired { finished, not_finished });
                self.remember_session(&session, SessionState::Closed);
            }
            _ => {
                self.log_slot(now, &session, SlotOutcome::NotAired(NotPlayed::Missed));
                self.remember_session(&session, SessionState::Missed);
            }
        }
    }

    /// Sessions that were open in the memory and are no longer in the timetable end as replaced.
    fn drop_orphans(&mut self, now: &Reading) {
        let open =
            self.memory.sessions.iter().filter(|(key, memo)| {
                matches!(memo.state, SessionState::Open { .. }) && !self.is_taken_up(key)
            });
        let orphans: Vec<_> = open.map(|(key, memo)| (key.clone(), memo.clone())).collect();
        for (key, memo) in orphans {
            let outcome = match memo.state {
                SessionState::Open { finished, not_finished, .. } if finished + not_finished > 0 => {
                    SlotOutcome::Aired { finished, not_finished }
                }
                _ => SlotOutcome::NotAired(NotPlayed::Replaced),
            };
            let title = key.slot.to_string();
            self.log(now, Event::SlotEnded { key: key.clone(), title, scheduled: memo.start, outcome });
            self.remember(Memo::Session(key, Some(SessionMemo { state: SessionState::Closed, ..memo })));
        }
    }

    fn forget_old_sessions(&mut self, now: &Reading) {
        let days = if now.trust == ClockTrust::Synced { REMEMBERED_DAYS } else { REMEMBERED_DAYS_UNSURE };
        let before = now.wall.minus(Span::secs(days * 86_400));
        let old = self.memory.sessions.iter().filter(|(_, memo)| memo.start < before);
        let old: Vec<_> = old.map(|(key, _)| key.clone()).collect();
        for key in old {
            self.remember(Memo::Session(key, None));
        }
    }

    fn find_next_start(&self, now: &Reading) -> Wall {
        let days = now.wall.date().iter_days().take(LOOK_AHEAD_DAYS);
        let sessions = days.flat_map(|date| self.timetable.sessions_on(date, &self.place));
        let next = sessions.map(|session| session.start).find(|start| *start > now.wall.plus(LEAD));
        next.unwrap_or(now.wall.plus(Span::secs(LOOK_AHEAD_DAYS as u64 * 43_200)))
    }
}
