//! The way to the database, which may be a server that is away.

use super::answer::Answer;

/// The way to the database.
pub trait Reach: Send + Sync {
    /// Asks whether the database takes changes; nothing is changed.
    fn reach(&self) -> Answer<'_, ()>;
}
