//! The session that has its turn, and its way through its pieces.

use super::stand_in::StandIn;
use super::*;
use crate::decide::schedule::{Piece, Role, Session};
use crate::domain::playback::Subject;
use crate::domain::programme::{Fill, Slot};

/// The session that has its turn.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) struct Running {
    /// Tells the sessions since the start apart: a piece of one is no piece of the next.
    pub turn: u32,
    pub session: Session,
    pub slot: Slot,
    pub pieces: Vec<Piece>,
    /// Nothing of it sounds before.
    pub begin_at: Moment,
    /// The hard end.
    pub end_at: Moment,
    /// The piece to go on with.
    pub next: u32,
    pub position: Span,
    pub gap_until: Option<Moment>,
    /// Numbers of pieces that can't be played.
    pub broken: BTreeSet<u32>,
    pub finished: u32,
    pub not_finished: u32,
    /// Sounds where a relay of this session does not.
    pub stand_in: Option<StandIn>,
    pub stage: Stage,
    /// What kept it from the air.
    pub blocked_by: Option<Rung>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its time has come, nothing has sounded.
    Due,
    /// The place to enter is settled.
    Entered,
    /// Its pieces are done and its outcome is logged; until the hard end it has room for announcements.
    Done,
}

impl Running {
    pub fn subject(&self) -> Subject {
        Subject::Slot(self.session.key.clone())
    }

    /// The piece behind a number: with an endless fill the items go round and the closing is never reached.
    pub fn piece(&self, number: u32) -> Option<&Piece> {
        let number = number as usize;
        let items = self.items();
        if self.slot.fill != Fill::Loop || number < items.end || items.is_empty() {
            return self.pieces.get(number);
        }
        self.pieces.get(items.start + (number - items.start) % items.len())
    }

    pub fn items(&self) -> std::ops::Range<usize> {
        let is_item = |piece: &Piece| matches!(piece.role, Role::Item { .. });
        let start = self.pieces.iter().take_while(|piece| !is_item(piece)).count();
        start..start + self.pieces[start..].iter().take_while(|piece| is_item(piece)).count()
    }

    /// The first playable piece from this number on.
    pub fn playable_from(&self, number: u32) -> Option<u32> {
        let rounds = if self.slot.fill == Fill::Loop { 2 } else { 1 };
        let end = number.max(self.pieces.len() as u32).saturating_add(rounds * self.pieces.len() as u32);
        (number..end).find(|number| self.piece(*number).is_some() && !self.is_broken(*number))
    }

    pub fn is_broken(&self, number: u32) -> bool {
        let items = self.items();
        let first = match self.slot.fill {
            Fill::Loop if number as usize >= items.end && !items.is_empty() => {
                items.start + (number as usize - items.start) % items.len()
            }
            _ => number as usize,
        };
        self.broken.contains(&(first as u32))
    }

    /// Known length of what is still to come after the piece that sounds.
    pub fn left(&self, sounding: bool) -> Span {
        let from = self.next as usize + usize::from(sounding);
        let lengths = self.pieces.iter().skip(from).filter_map(|piece| piece.length.span());
        lengths.fold(Span(0), |sum, span| sum + span)
    }

    /// Where a rotating slot begins the next day: after the last item that was passed.
    pub fn rotation_after(&self) -> Option<u32> {
        let passed = self.pieces.iter().take(self.next as usize);
        passed.rev().find_map(|piece| match piece.role {
            Role::Item { index } => Some(index + 1),
            Role::Opening | Role::Closing => None,
        })
    }

    /// Whether a piece would run past the hard end, where the slot asks not to start such.
    pub fn would_not_fit(&self, begins: Moment, number: u32) -> bool {
        let length = self.piece(number).and_then(|piece| piece.length.span());
        let skip = if number == self.next { self.position } else { Span(0) };
        let left = self.end_at.since(begins);
        self.slot.fill == Fill::Fitting && length.is_some_and(|length| length.saturating_sub(skip) > left)
    }
}
