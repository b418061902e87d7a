//! Assertions of what holds of a speaker between any two of its transitions. The simulation runs them over many lives;
//! a release carries none of them.

use super::held::Held;
use super::interface::Action;
use super::play::{Play, Sounding};
use super::running::{Running, Stage};
use super::stand_in::StandIn;
use super::state::Speaker;
use crate::decide::memory::{Memo, SessionState};
use crate::domain::ids::{CommandId, PlayId};
use crate::domain::playback::Event;
use crate::domain::sound::PlayerCommand;

impl Speaker {
    /// Asserts all invariants of the state.
    pub(super) fn invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        self.air_invariants();
        self.plays.iter().for_each(|(id, play)| self.play_invariants(*id, play));
        self.held.iter().for_each(|(id, held)| self.held_invariants(id, held));
        let room = self.limits.held + self.limits.emergencies;
        let lapsed = self.held.values().filter(|held| held.progress.lapsed).count();
        let room = room + usize::from(self.local_sounds());
        debug_assert!(lapsed <= self.limits.emergencies, "{lapsed} announcements have lapsed");
        debug_assert!(self.held.len() - lapsed <= room, "{} announcements are held", self.held.len());
        self.session_invariants();
        self.action_invariants();
    }

    /// Asserts that at most one play holds the air, and at most one follows it.
    fn air_invariants(&self) {
        let known = |id: &PlayId| self.plays.contains_key(id);
        debug_assert!(self.current.iter().all(known), "{:?} has the air and is no play", self.current);
        debug_assert!(self.follow.iter().all(known), "{:?} follows and is no play", self.follow);
        debug_assert!(self.follow.is_none() || self.current.is_some(), "a play follows nothing");
        debug_assert!(self.follow.is_none() || self.follow != self.current, "a play follows itself");
        if let Some(next) = &self.next {
            debug_assert!(!self.device_lost, "a play is prepared without a device");
            debug_assert!(!self.stopping, "a play is prepared while the box stops");
            debug_assert!(!self.plays.contains_key(&next.start.play), "a play is prepared and sounds");
            debug_assert!(!self.is_on_air(&next.job), "{:?} is prepared and on the air", next.job);
        }
        // Each play that was started is open in the memory, and nothing else is.
        debug_assert!(self.plays.len() == self.memory.open_plays.len(), "an open play has no entry, or two");
    }

    fn play_invariants(&self, id: PlayId, play: &Play) {
        debug_assert!(play.start.play == id, "{id} has the start of {}", play.start.play);
        debug_assert!(self.memory.open_plays.contains_key(&id), "{id} sounds and is not remembered");
        let has_air = self.current == Some(id) || self.follow == Some(id);
        debug_assert!(has_air || play.sounding.is_stopping(), "{id} sounds and does not have the air");
        debug_assert!(!self.stopping || play.sounding.is_stopping(), "{id} sounds on while the box stops");
        let waits = matches!(play.sounding, Sounding::Ordered | Sounding::Stopping { since: None, .. });
        debug_assert!(self.follow != Some(id) || waits, "{id} sounds before its turn");
    }

    fn held_invariants(&self, id: &CommandId, held: &Held) {
        debug_assert!(held.announcement.id == *id, "{id} holds {}", held.announcement.id);
        debug_assert!(!held.progress.over, "{id} is over and held");
        debug_assert!(!self.memory.cancelled.contains_key(id), "{id} is cancelled and held");
        let over = self.memory.progress.get(id).is_some_and(|progress| progress.over);
        debug_assert!(!over, "{id} is remembered as over and held");
    }

    /// Asserts that one session at most has its turn, and that those that wait are others, each once.
    fn session_invariants(&self) {
        if let Some(running) = &self.running {
            running.invariants();
            debug_assert!(running.turn == self.turns, "the session of turn {} runs", running.turn);
            let key = &running.session.key;
            let waits = self.waiting.due.iter().any(|session| session.key == *key);
            debug_assert!(!waits, "{key:?} runs and waits");
            // Sessions of long ago are forgotten, also while a clock that is ahead takes this one for such.
            if let Some(memo) = self.memory.sessions.get(key) {
                let is_open = matches!(memo.state, SessionState::Open { .. });
                debug_assert!(is_open != (running.stage == Stage::Done), "{key:?} is {:?}", memo.state);
            }
        }
        let mut waiting: Vec<_> = self.waiting.due.iter().map(|session| &session.key).collect();
        waiting.sort();
        debug_assert!(waiting.windows(2).all(|pair| pair[0] != pair[1]), "a session waits twice");
    }

    /// Asserts that a play is in the log and in the memory before the player is told, and closed after that.
    fn action_invariants(&self) {
        let tells_to_play = |action: &Action| match action {
            Action::Player(PlayerCommand::Play { play, .. }) => Some(*play),
            _ => None,
        };
        for (index, action) in self.actions.iter().enumerate() {
            let Some(play) = tells_to_play(action) else { continue };
            let opens = |action: &&Action| match action {
                Action::Log(entry) => matches!(&entry.event, Event::PlayStarted(start) if start.play == play),
                Action::Remember(Memo::OpenPlay(id, Some(_))) => *id == play,
                Action::Player(PlayerCommand::Preflight { play: id, .. }) => *id == play,
                _ => false,
            };
            let closes = |action: &&Action| match action {
                Action::Log(entry) => matches!(&entry.event, Event::PlayEnded(end) if end.play == play),
                Action::Remember(Memo::OpenPlay(id, None)) => *id == play,
                _ => false,
            };
            debug_assert!(self.actions.iter().skip(index).all(|later| !opens(&later)), "{play} opens late");
            debug_assert!(
                self.actions.iter().take(index).all(|early| !closes(&early)),
                "{play} closes early"
            );
        }
    }
}

impl Running {
    /// Asserts what holds of the session that has its turn.
    fn invariants(&self) {
        let count = self.pieces.len() as u32;
        debug_assert!(self.turn > 0, "turns are counted from 1");
        debug_assert!(self.broken.iter().all(|number| *number < count), "{:?} of {count}", self.broken);
        debug_assert!(self.stage != Stage::Done || self.next >= count, "done at {} of {count}", self.next);
        if let Some(stand_in) = &self.stand_in {
            stand_in.invariants();
            let fallback = self.piece(stand_in.relay).and_then(|piece| piece.fallback.as_ref());
            debug_assert!(fallback.is_some(), "piece {} has no fallback", stand_in.relay);
        }
    }
}

impl StandIn {
    /// Asserts what holds of what stands in for a relay.
    fn invariants(&self) {
        let count = self.items.len() as u32;
        debug_assert!(count > 0, "nothing stands in");
        debug_assert!(self.broken.iter().all(|index| *index < count), "{:?} of {count}", self.broken);
    }
}
