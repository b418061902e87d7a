//! Sessions under programmes that change, or in a box that changes its groups.

use super::job::Job;
use super::running::{Running, Stage};
use super::state::Speaker;
use super::waiting::Waiting;
use crate::decide::memory::Memo;
use crate::decide::schedule::{Listeners, Session, Timetable};
use crate::domain::playback::{NotPlayed, PlayOutcome, SlotKey};
use crate::domain::time::{ClockQuality, Reading};

/// Programmes, and who listens to them.
struct Plan {
    timetable: Timetable,
    listeners: Listeners,
}

impl Plan {
    fn session(&self, key: &SlotKey) -> Option<Session> {
        self.timetable.session(key, &self.listeners)
    }

    /// Finds the session that runs, where nothing of it has changed.
    fn unchanged(&self, running: &Running, rotation: u32) -> Option<Session> {
        let before = &running.session;
        let session = self.session(&before.key)?;
        let calendar = self.timetable.calendar(&session);
        let is_same = (session.start, session.end, session.mourning)
            == (before.start, before.end, before.mourning)
            && *calendar.slot(&session) == running.slot;
        // The rotation of a session that is done has moved on.
        let has_same_pieces = || {
            running.stage == Stage::Done
                || calendar.fill(&session, &self.listeners, rotation).pieces == running.pieces
        };
        (is_same && has_same_pieces()).then_some(session)
    }
}

impl Speaker {
    /// Puts new programmes in force. What they leave as it was goes on; what has not sounded yet follows them.
    pub(super) fn on_timetable(&mut self, now: &Reading, timetable: Timetable) {
        self.change_plan(now, Plan { timetable, listeners: self.listeners.clone() });
    }

    /// Takes in that the box is in other groups, or that its village speaks other languages.
    pub(super) fn on_listeners(&mut self, now: &Reading, listeners: Listeners) {
        self.change_plan(now, Plan { timetable: self.timetable.clone(), listeners });
        self.drop_what_is_for_others(now);
    }

    fn change_plan(&mut self, now: &Reading, plan: Plan) {
        // Accounts for what was due before.
        self.open_sessions(now);
        self.hand_over_running(now, &plan);
        for session in std::mem::take(&mut self.waiting.due) {
            if plan.session(&session.key).is_none() {
                self.close_unheard(now, &session, NotPlayed::Replaced);
            }
        }
        if now.quality > ClockQuality::None {
            self.remember(Memo::AccountedUpto(now.wall));
        }
        self.waiting = Waiting::default();
        Plan { timetable: self.timetable, listeners: self.listeners } = plan;
    }

    fn hand_over_running(&mut self, now: &Reading, plan: &Plan) {
        let Some(mut running) = self.running.take() else { return };
        let rotation = self.memory.rotations.get(&running.session.key.slot).copied().unwrap_or(0);
        if let Some(session) = plan.unchanged(&running, rotation) {
            running.session = session;
            self.running = Some(running);
            return;
        }
        if running.stage == Stage::Done {
            return;
        }
        let comes_again = plan.session(&running.session.key).is_some_and(|session| session.end > now.wall);
        let sounding = self.sounding_piece();
        if sounding.is_some() || running.state().outcome().is_some() || !comes_again {
            if let Some(number) = sounding {
                running.leave_unfinished(number);
            }
            self.running = Some(running);
            self.log_session_end(now, Some(NotPlayed::Replaced));
            self.running = None;
        } else {
            self.remember(Memo::Session(running.session.key, None));
        }
        self.end_where(|job| matches!(job, Job::Piece(_)), &PlayOutcome::Stopped);
    }
}
