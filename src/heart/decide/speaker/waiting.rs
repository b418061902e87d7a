//! Sessions that wait for their turn.

use std::collections::VecDeque;

use crate::decide::schedule::Session;
use crate::domain::time::{Moment, Span, Wall};

/// A session is taken up this long before its start, so that its first sample sounds at the very instant.
pub const LEAD: Span = Span::secs(2);

/// Sessions whose time has come, and when to look for more.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub due: VecDeque<Session>,
    /// Start of the next session that is not yet due.
    pub next_start: Option<Wall>,
    /// The timetable was searched since it last changed; `false` asks for another search.
    pub looked: bool,
    /// Moment at which a lapse that was left open under a doubtful clock is accounted for.
    pub account_at: Option<Moment>,
}
