//! The stand-in for a relay that does not sound.

use std::collections::BTreeSet;

use super::job::PieceSource;
use super::play::{TimeLimit, WORTH_STARTING};
use crate::decide::schedule::Piece;
use crate::domain::playback::PlayOutcome;
use crate::domain::sound::Fault;
use crate::domain::time::{Moment, Span};

/// The items that sound in the place of one relay.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) struct StandIn {
    /// The number of the relay's piece.
    pub relay: u32,
    /// The last fault of the relay.
    pub reason: Fault,
    /// Never empty.
    pub items: Vec<Piece>,
    /// The item to go on with. The items go round, and this counts on.
    pub next: u32,
    /// Indices of items that can't be played.
    pub broken: BTreeSet<u32>,
    /// The relay was tried since the last item began.
    pub is_tried: bool,
    pub time: RelayTime,
}

/// The part of a relay's time that its stand-in fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RelayTime {
    /// The time that the relay had left when it failed; nothing has sounded in its place.
    Left(Span),
    /// The relay would have lasted until the hard end; nothing has sounded in its place.
    UntilHardEnd,
    /// Something has sounded in the relay's place, whose time is over then.
    Until(Moment),
}

impl RelayTime {
    /// Returns when the time is over that begins, or has begun, to be filled at `begins`. `None` is the hard end.
    pub fn over_at(self, begins: Moment) -> Option<Moment> {
        match self {
            Self::Left(left) => Some(begins + left),
            Self::UntilHardEnd => None,
            Self::Until(moment) => Some(moment),
        }
    }
}

/// The effect of a relay's fault on what sounds in the relay's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StandsIn {
    /// The relay has no fallback that helps.
    Nothing,
    /// The fallback, from now on.
    FromNow,
    /// The fallback, which stood in before: the relay was tried again in vain.
    Still,
}

impl StandIn {
    /// Returns the index of the item with the count `nth`.
    pub fn index(&self, nth: u32) -> u32 {
        nth % self.items.len().max(1) as u32
    }

    /// Returns the item with the count `nth`.
    pub fn item(&self, nth: u32) -> Option<&Piece> {
        self.items.get(self.index(nth) as usize)
    }

    /// Returns the count of the next item that can be played.
    pub fn playable(&self) -> Option<u32> {
        let round = self.next..self.next.saturating_add(self.items.len() as u32);
        round.into_iter().find(|nth| !self.broken.contains(&self.index(*nth)))
    }

    /// Returns what is to sound next: an item, or the relay where its turn to be tried has come.
    pub fn wants(&self) -> PieceSource {
        match self.playable() {
            Some(nth) if self.is_tried => PieceSource::Fallback { nth },
            _ => PieceSource::Itself,
        }
    }

    /// Returns the end of the relay's time as a limit of what begins at `begins`.
    pub fn limit(&self, begins: Moment) -> Option<TimeLimit> {
        let at = self.time.over_at(begins)?;
        Some(TimeLimit { at, outcome: PlayOutcome::Finished })
    }

    /// Tells whether too little of the relay's time is left for anything to begin at `moment`.
    pub fn is_over(&self, moment: Moment) -> bool {
        matches!(self.time, RelayTime::Until(until) if until <= moment + WORTH_STARTING)
    }
}
