//! Rest: moments at which nobody misses the box.

use super::state::Speaker;
use crate::domain::authority::Power;
use crate::domain::time::{Reading, Span, Wall};

/// The need for the box at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    Quiet,
    /// An actual emergency is in force.
    Emergency,
    /// A slot, an announcement or a voice is on the air, or its turn has come.
    Sounds,
    /// The next thing to sound begins at this instant.
    Soon(Wall),
}

impl Speaker {
    /// Tells whether somebody would miss the box now or within `margin`.
    pub fn rest(&self, now: &Reading, margin: Span) -> Rest {
        let held = || self.held.values().filter(|held| !held.progress.lapsed && !held.has_expired(now));
        if held().any(|held| held.power() == Power::Emergency) {
            return Rest::Emergency;
        }
        let on_air = !self.plays.is_empty() || self.next.is_some() || self.voice.is_some();
        if on_air || self.running.is_some() || !self.waiting.due.is_empty() {
            return Rest::Sounds;
        }
        // What waits for a slot sounds in one, and what the guard refuses waits for other hours.
        let due = held().filter(|held| !held.needs_slot() && held.guarded.is_none()).map(|held| held.due());
        let soon = due.chain(self.waiting.next_start).filter(|at| *at <= now.wall.plus(margin)).min();
        match soon {
            Some(at) if at <= now.wall => Rest::Sounds,
            Some(at) => Rest::Soon(at),
            None => Rest::Quiet,
        }
    }
}
