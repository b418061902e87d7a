//! The way to the database, which may be a server that is away.

use super::answer::Answer;

/// The way to the database.
pub trait Reach: Send + Sync {
    /// Asks whether the database takes changes; nothing is changed.
    fn reach(&self) -> Answer<'_, ()>;

    /// Measures the database on its server; `None` where it is in a file.
    fn bytes_on_server(&self) -> Answer<'_, Option<u64>>;
}
