//! The session that has its turn, and its way through its pieces.

use std::collections::BTreeSet;

use super::stand_in::StandIn;
use crate::decide::memory::SessionState;
use crate::decide::schedule::{Piece, Role, Session};
use crate::domain::announcement::Rung;
use crate::domain::playback::{NotPlayed, Subject};
use crate::domain::programme::{Fill, Slot};
use crate::domain::time::{Moment, Span};

/// The session that has its turn.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) struct Running {
    /// Number of the turn since the start, which tells the pieces of this session from those of the next.
    pub turn: u32,
    pub session: Session,
    pub slot: Slot,
    pub pieces: Vec<Piece>,
    /// Start of the session; no piece sounds earlier.
    pub begin_at: Moment,
    /// The hard end.
    pub end_at: Moment,
    /// The piece to go on with.
    pub next: u32,
    pub position: Span,
    pub gap_until: Option<Moment>,
    /// Indices of pieces that can't be played.
    pub broken: BTreeSet<u32>,
    pub finished: u32,
    pub not_finished: u32,
    /// Something of it was heard.
    pub heard: bool,
    /// The last reason for which something of it did not sound.
    pub why: Option<NotPlayed>,
    /// Sounds where a relay of this session does not.
    pub stand_in: Option<StandIn>,
    pub stage: Stage,
    /// Highest rung that kept the session from the air.
    pub blocked_by: Option<Rung>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The session's time has come, and nothing has sounded.
    Due,
    /// The place to enter is settled.
    Entered,
    /// The pieces are done and the outcome is logged; until the hard end there is room for announcements.
    Done,
}

impl Running {
    /// Returns the state as it is kept over restarts.
    pub fn state(&self) -> SessionState {
        SessionState::Open {
            next: self.next,
            position_us: self.position.0,
            finished: self.finished,
            not_finished: self.not_finished,
            heard: self.heard,
            why: self.why.clone(),
        }
    }

    pub fn subject(&self) -> Subject {
        Subject::Slot(self.session.key.clone())
    }

    /// Returns the piece behind a number.
    pub fn piece(&self, number: u32) -> Option<&Piece> {
        self.pieces.get(self.index(number) as usize)
    }

    /// Returns the index of the piece behind a number. With an endless fill the items go round, and the closing is
    /// never reached.
    pub fn index(&self, number: u32) -> u32 {
        let items = self.items();
        let (start, end, count) = (items.start as u32, items.end as u32, items.len() as u32);
        if self.slot.fill == Fill::Loop && number >= end && count > 0 {
            start + (number - start) % count
        } else {
            number
        }
    }

    pub fn items(&self) -> std::ops::Range<usize> {
        let is_item = |piece: &Piece| matches!(piece.role, Role::Item { .. });
        let start = self.pieces.iter().take_while(|piece| !is_item(piece)).count();
        start..start + self.pieces[start..].iter().take_while(|piece| is_item(piece)).count()
    }

    /// Finds the first playable piece from this number on.
    pub fn playable_from(&self, number: u32) -> Option<u32> {
        let rounds = if self.slot.fill == Fill::Loop { 2 } else { 1 };
        let end = number.max(self.pieces.len() as u32).saturating_add(rounds * self.pieces.len() as u32);
        (number..end).find(|number| self.piece(*number).is_some() && !self.is_broken(*number))
    }

    fn is_broken(&self, number: u32) -> bool {
        self.broken.contains(&self.index(number))
    }

    /// Adds up the known lengths of what is still to come after the piece that sounds.
    pub fn left(&self, sounding: bool) -> Span {
        let from = self.next as usize + usize::from(sounding);
        let lengths = self.pieces.iter().skip(from).filter_map(|piece| piece.length.span());
        lengths.fold(Span(0), |sum, span| sum + span)
    }

    /// Returns the item at which a rotating slot begins the next day: after the last one that was passed.
    pub fn rotation_after(&self) -> Option<u32> {
        if self.items().is_empty() {
            return None;
        }
        let endless = self.slot.fill == Fill::Loop;
        let passed = if endless { self.next } else { self.next.min(self.pieces.len() as u32) };
        (0..passed).rev().find_map(|number| match self.piece(number)?.role {
            Role::Item { index } => Some(index + 1),
            Role::Opening | Role::Closing => None,
        })
    }

    /// Tells whether a piece would run past the hard end, where the slot asks not to start such.
    pub fn would_not_fit(&self, begins: Moment, number: u32) -> bool {
        let length = self.piece(number).and_then(|piece| piece.length.span());
        let skip = if number == self.next { self.position } else { Span(0) };
        let left = self.end_at.since(begins);
        self.slot.fill == Fill::Fitting && length.is_some_and(|length| length.saturating_sub(skip) > left)
    }

    /// Returns the stand-in for the piece with this number.
    pub fn stand_in_at(&self, number: u32) -> Option<&StandIn> {
        self.stand_in.as_ref().filter(|stand_in| stand_in.relay == number)
    }

    /// Passes over the piece with this number, which sounds and will not be finished.
    pub fn leave_unfinished(&mut self, number: u32) {
        let counts = self.piece(number).is_some_and(|piece| matches!(piece.role, Role::Item { .. }));
        self.heard |= counts;
        self.not_finished += u32::from(counts);
        (self.next, self.position) = (number + 1, Span(0));
    }

    /// Gives the relay up, and goes on behind it.
    pub fn pass_relay(&mut self) {
        let Some(stand_in) = self.stand_in.take() else { return };
        (self.next, self.position) = (stand_in.relay + 1, Span(0));
    }
}
