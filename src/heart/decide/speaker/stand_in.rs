//! What sounds in the place of a relay that does not.

use std::collections::BTreeSet;

use super::play::WORTH_STARTING;
use crate::decide::schedule::Piece;
use crate::domain::playback::PlayOutcome;
use crate::domain::sound::Fault;
use crate::domain::time::{Moment, Span};

/// The stand-in for one relay.
#[derive(Debug)]
pub(super) struct StandIn {
    /// The number of the relay's piece.
    pub relay: u32,
    /// Why the relay did not sound last.
    pub reason: Fault,
    pub items: Vec<Piece>,
    /// The item to go on with; they go round.
    pub next: u32,
    pub broken: BTreeSet<u32>,
    /// The relay was tried since the last item began.
    pub is_tried: bool,
    /// What was left of the relay's time when it failed; `None` until the hard end.
    pub left: Option<Span>,
    /// When the relay's time is over, once something sounds in its place.
    pub until: Option<Moment>,
}

impl StandIn {
    pub fn index(&self, nth: u32) -> u32 {
        nth % self.items.len().max(1) as u32
    }

    /// An item by its count.
    pub fn item(&self, nth: u32) -> Option<&Piece> {
        self.items.get(self.index(nth) as usize)
    }

    pub fn playable(&self) -> Option<u32> {
        let round = self.next..self.next.saturating_add(self.items.len() as u32);
        round.into_iter().find(|nth| !self.broken.contains(&self.index(*nth)))
    }

    /// The item that is to sound next; `None` where it is the relay's turn to be tried.
    pub fn wants(&self) -> Option<u32> {
        if self.is_tried { self.playable() } else { None }
    }

    /// The end of the relay's time as a limit of what begins at `begins`.
    pub fn limit(&self, begins: Moment) -> Option<(Moment, PlayOutcome)> {
        let until = self.until.or_else(|| self.left.map(|left| begins + left));
        until.map(|until| (until, PlayOutcome::Finished))
    }

    /// Whether too little of the relay's time is left for anything to begin at `moment`.
    pub fn is_over(&self, moment: Moment) -> bool {
        self.until.is_some_and(|until| until <= moment + WORTH_STARTING)
    }
}
