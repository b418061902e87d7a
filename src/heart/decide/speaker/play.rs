//! Plays: prepared, sounding, ended.

use super::interface::Why;
use super::job::{Job, PieceJob, PieceSource};
use crate::domain::announcement::Interruption;
use crate::domain::playback::{CHECKPOINT_EVERY, PlayOutcome, PlayStart, Stamp};
use crate::domain::sound::{Fault, Score};
use crate::domain::time::{Moment, Span};

/// Longest time that the player may take to open a play, before the next version of what it plays is tried.
pub(super) const PREFLIGHT_MAX: Span = Span::secs(20);

/// Longest time that the player may take to open a play that takes the air at once, such as an emergency.
pub(super) const PREFLIGHT_URGENT_MAX: Span = Span::secs(2);

/// Shortest time before a hard end for which a play is still started.
pub(super) const WORTH_STARTING: Span = Span::secs(1);

/// A play that the player has been asked to open.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) struct Ready {
    pub job: Job,
    pub start: PlayStart,
    pub interruption: Interruption,
    pub limit: Option<TimeLimit>,
    pub lasts: Option<Span>,
    pub opening: Opening,
}

/// The player's answer to a preflight.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) enum Opening {
    /// Not there yet; the player must answer by then.
    Asked { by: Moment },
    /// The play is open. `length` is that of the whole score, `None` for a stream without an end.
    Opened { length: Option<Span> },
}

impl Ready {
    /// Tells whether the play can be started.
    pub fn is_open(&self) -> bool {
        matches!(self.opening, Opening::Opened { .. })
    }

    /// Returns the moment at which the player's answer is overdue.
    pub fn wakes(&self) -> Option<(Moment, Why)> {
        match self.opening {
            Opening::Asked { by } => Some((by, Why::PreflightSlow)),
            Opening::Opened { .. } => None,
        }
    }
}

/// The end of the time that a play may take.
#[derive(Debug, Clone)]
pub(super) struct TimeLimit {
    pub at: Moment,
    /// The outcome of a play that is stopped here.
    pub outcome: PlayOutcome,
}

/// A play that the player has been told to sound, and that has not ended.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) struct Play {
    pub job: Job,
    pub start: PlayStart,
    pub interruption: Interruption,
    /// Length of what is to sound from where the play is entered; `None` for what has no end.
    pub due: Option<Span>,
    pub limit: Option<TimeLimit>,
    /// Longest time from the first sample on; then the play has finished.
    pub lasts: Option<Span>,
    pub sounding: Sounding,
}

/// The state of a play at the player.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) enum Sounding {
    /// No sample has sounded.
    Ordered,
    Underway {
        /// The first sample.
        since: Stamp,
        checkpoint_at: Moment,
    },
    /// The player has said that little is left.
    Ending { since: Stamp, checkpoint_at: Moment },
    /// Stopped, or about to be cut; the player has not yet told its end.
    Stopping {
        /// The first sample, `None` where none has sounded.
        since: Option<Stamp>,
        was_ending: bool,
        /// The outcome in the log, unless the whole of it has sounded.
        outcome: PlayOutcome,
    },
}

impl Sounding {
    /// Takes in that the first sample sounded at `since`.
    pub fn begin(&mut self, first: Stamp) {
        match self {
            Self::Ordered => {
                let checkpoint_at = first.moment() + CHECKPOINT_EVERY;
                *self = Self::Underway { since: first, checkpoint_at };
            }
            Self::Stopping { since, .. } => *since = Some(first),
            Self::Underway { .. } | Self::Ending { .. } => {}
        }
    }

    /// Takes in that little is left.
    pub fn near_end(&mut self) {
        match self {
            Self::Underway { since, checkpoint_at } => {
                *self = Self::Ending { since: *since, checkpoint_at: *checkpoint_at };
            }
            Self::Stopping { was_ending, .. } => *was_ending = true,
            Self::Ordered | Self::Ending { .. } => {}
        }
    }

    /// Stops the play with `outcome`; an earlier outcome stays. Tells whether it was not stopping before.
    pub fn stop(&mut self, outcome: PlayOutcome) -> bool {
        let was_ending = self.is_ending();
        match self {
            Self::Stopping { .. } => return false,
            Self::Ordered => *self = Self::Stopping { since: None, was_ending, outcome },
            Self::Underway { since, .. } | Self::Ending { since, .. } => {
                *self = Self::Stopping { since: Some(*since), was_ending, outcome };
            }
        }
        true
    }

    /// Returns the stamp of the first sample.
    pub fn since(&self) -> Option<Stamp> {
        match self {
            Self::Ordered => None,
            Self::Underway { since, .. } | Self::Ending { since, .. } => Some(*since),
            Self::Stopping { since, .. } => *since,
        }
    }

    /// Tells whether the player has said that little is left.
    pub fn is_ending(&self) -> bool {
        matches!(self, Self::Ending { .. } | Self::Stopping { was_ending: true, .. })
    }

    /// Tells whether the play was stopped.
    pub fn is_stopping(&self) -> bool {
        matches!(self, Self::Stopping { .. })
    }

    /// Returns the moment of the next checkpoint, for the caller to move on.
    pub fn checkpoint_at(&mut self) -> Option<&mut Moment> {
        match self {
            Self::Underway { checkpoint_at, .. } | Self::Ending { checkpoint_at, .. } => Some(checkpoint_at),
            Self::Ordered | Self::Stopping { .. } => None,
        }
    }
}

impl Play {
    /// Returns the piece that this plays.
    pub fn piece(&self) -> Option<PieceJob> {
        match self.job {
            Job::Piece(piece) => Some(piece),
            Job::Announcement(_) | Job::Voice => None,
        }
    }

    /// Returns the number of the relay in whose place this sounds.
    pub fn stands_in_for(&self) -> Option<u32> {
        let fallback = |piece: &PieceJob| matches!(piece.source, PieceSource::Fallback { .. });
        self.piece().filter(fallback).map(|piece| piece.number)
    }

    /// Returns when the play must be looked at next.
    pub fn wakes(&self) -> Option<(Moment, Why)> {
        let checkpoint = match self.sounding {
            Sounding::Stopping { .. } => return None,
            Sounding::Ordered => None,
            Sounding::Underway { checkpoint_at, .. } | Sounding::Ending { checkpoint_at, .. } => {
                Some((checkpoint_at, Why::Checkpoint))
            }
        };
        let limit = self.limit.as_ref().map(|limit| (limit.at, Why::LimitReached));
        [limit, checkpoint].into_iter().flatten().min()
    }
}

/// The needs of a job that is to sound.
pub(super) struct Wish {
    pub start: PlayStart,
    pub score: Score,
    pub interruption: Interruption,
    pub limit: Option<TimeLimit>,
    /// Longest time from the first sample on; then the play has finished.
    pub lasts: Option<Span>,
}

/// A play's end, for the job behind it.
pub(super) struct Ended {
    pub outcome: PlayOutcome,
    pub interruption: Interruption,
    /// Point at which the audio stopped, counted from its start.
    pub position: Span,
    /// The play was cut before its first sample.
    pub unheard: bool,
}

impl Ended {
    /// Returns the position at which the job goes on, or `None` for a job that does not.
    pub fn goes_on_from(&self) -> Option<Span> {
        let again = match &self.outcome {
            PlayOutcome::Interrupted { .. } | PlayOutcome::PowerLost | PlayOutcome::Stopped => true,
            PlayOutcome::Failed { reason } => matches!(reason, Fault::DeviceLost { .. }),
            _ => false,
        };
        match self.interruption {
            _ if !again => None,
            Interruption::Restart => Some(Span(0)),
            Interruption::Resume => Some(self.position),
            Interruption::Drop => self.unheard.then_some(self.position),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_play_is_stopped_once() {
        let mut sounding = Sounding::Ordered;
        assert!(sounding.stop(PlayOutcome::Cancelled));
        assert!(!sounding.stop(PlayOutcome::HardEnd));
        assert!(matches!(sounding, Sounding::Stopping { outcome: PlayOutcome::Cancelled, since: None, .. }));
    }
}
