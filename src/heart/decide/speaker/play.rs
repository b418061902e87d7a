//! Plays: prepared, sounding, ended.

use super::interface::Why;
use super::job::Job;
use crate::domain::announcement::Interruption;
use crate::domain::playback::{PlayOutcome, PlayStart, Stamp};
use crate::domain::sound::{Fault, Score};
use crate::domain::time::{Moment, Span};

/// How often the position of a play is put on disk.
pub const CHECKPOINT_EVERY: Span = Span::secs(10);

/// How long the player may take to open what a play needs, before the next version of it is tried.
pub const PREFLIGHT_MAX: Span = Span::secs(20);

/// The same for what must not wait.
pub const PREFLIGHT_URGENT_MAX: Span = Span::secs(2);

/// A piece is not started for less than this before the hard end.
pub(super) const WORTH_STARTING: Span = Span::secs(1);

/// A play that the player has been asked to open.
#[derive(Debug)]
pub(super) struct Ready {
    pub job: Job,
    pub start: PlayStart,
    pub interruption: Interruption,
    /// Nothing of it may sound after, and what that would be called.
    pub until: Option<(Moment, PlayOutcome)>,
    pub lasts: Option<Span>,
    pub state: Opening,
}

#[derive(Debug)]
pub(super) enum Opening {
    /// The player was asked, and must answer by then.
    Asked { by: Moment },
    /// Opened; the whole length from the start of the score.
    Opened { length: Option<Span> },
}

impl Ready {
    pub fn is_ready(&self) -> bool {
        matches!(self.state, Opening::Opened { .. })
    }

    pub fn wakes(&self) -> Option<(Moment, Why)> {
        match self.state {
            Opening::Asked { by } => Some((by, Why::PreflightSlow)),
            Opening::Opened { .. } => None,
        }
    }
}

/// A play that the player has been told to sound.
#[derive(Debug)]
pub(super) struct Sounding {
    pub job: Job,
    pub start: PlayStart,
    pub interruption: Interruption,
    /// What is to sound from where it is entered; `None` for what has no end.
    pub due: Option<Span>,
    pub started: Option<Stamp>,
    /// The player has said that little is left.
    pub ending: bool,
    /// It was told to stop, and this is why.
    pub stopping: Option<PlayOutcome>,
    pub checkpoint_at: Option<Moment>,
    pub until: Option<(Moment, PlayOutcome)>,
    pub lasts: Option<Span>,
}

impl Sounding {
    /// The number of the piece that it plays.
    pub fn piece(&self) -> Option<u32> {
        match self.job {
            Job::Piece { number, .. } => Some(number),
            Job::Announcement(_) | Job::Voice => None,
        }
    }

    /// The number of the relay in whose place it sounds.
    pub fn stands_in_for(&self) -> Option<u32> {
        match self.job {
            Job::Piece { number, instead: Some(_), .. } => Some(number),
            _ => None,
        }
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    pub fn wakes(&self) -> Option<(Moment, Why)> {
        if self.stopping.is_some() {
            return None;
        }
        let limit = self.until.as_ref().map(|(moment, _)| (*moment, Why::LimitReached));
        let checkpoint = self.checkpoint_at.map(|moment| (moment, Why::Checkpoint));
        [limit, checkpoint].into_iter().flatten().min()
    }
}

/// What a job needs to sound.
pub(super) struct Wish {
    pub start: PlayStart,
    pub score: Score,
    pub interruption: Interruption,
    pub until: Option<(Moment, PlayOutcome)>,
    /// How long it is to sound at most, counted from its first sample; then it has finished.
    pub lasts: Option<Span>,
}

/// What is left of a job when a play of it has ended.
pub(super) struct Ended {
    pub outcome: PlayOutcome,
    pub interruption: Interruption,
    /// Where the audio stopped, counted from its start.
    pub position: Span,
    /// Nothing of it sounded: it was cut before its first sample.
    pub unheard: bool,
}

impl Ended {
    /// Whether the job goes on, and from where.
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
