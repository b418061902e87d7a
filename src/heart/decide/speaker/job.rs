//! Jobs, of which the arbiter gives the air to one at a time.

use crate::domain::ids::CommandId;

/// A thing that wants the air.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Job {
    Announcement(CommandId),
    Piece(PieceJob),
    Voice,
}

/// A piece of a session, or what stands in for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PieceJob {
    /// The session, by the number of its turn since the start.
    pub turn: u32,
    /// The piece, by its number in the session.
    pub number: u32,
    pub source: PieceSource,
}

/// The origin of what sounds for a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PieceSource {
    /// The piece itself.
    Itself,
    /// An item of the fallback: the piece is a relay that does not sound. The items go round, and `nth` counts on.
    Fallback { nth: u32 },
}
