//! The way to the database, which may be a server that is away.

use super::answer::Answer;

/// The way to the database.
pub trait Reach: Send + Sync {
    /// Asks whether the database takes changes; nothing is changed.
    fn reach(&self) -> Answer<'_, ()>;

    /// Brings what urgent orders changed while the server was away, and, where it is there, copies anew what they need when
    /// it goes. True where it brought some.
    ///
    /// # Errors
    /// Fails while the server is away.
    fn keep_ready(&self) -> Answer<'_, bool>;

    /// Tells whether the server was away when it was asked last.
    fn is_away(&self) -> bool;

    /// Measures the database on its server; `None` where it is in a file.
    fn bytes_on_server(&self) -> Answer<'_, Option<u64>>;
}
