//! What wants the air.

use crate::domain::ids::CommandId;

/// What wants the air.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Job {
    Announcement(CommandId),
    /// A piece of a session: which session since the start, and its number in it.
    Piece {
        turn: u32,
        number: u32,
        /// Where it is a relay that does not sound: which item of its fallback does, counted on and on.
        instead: Option<u32>,
    },
    Voice,
}
