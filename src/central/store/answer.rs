//! Answers of a store.

use super::errand::Errand;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use std::future::Future;
use std::pin::Pin;

/// Most rows that one question returns.
pub const ROWS_MAX: u32 = 1_000;

/// A store operation under way; boxed, so that the store is chosen when the program starts.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// An operation that the store did not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum StoreError {
    Sql(String),
    /// The disk is full; nothing was kept.
    Full,
    /// The disk of the database server is full; nothing was kept.
    ServerFull,
    /// The answer took longer than such a question may.
    Slow,
    /// The database server can't be reached, or lets nothing be changed.
    Away,
    Closed,
    CantOpen {
        path: String,
        detail: String,
    },
    /// Another central works on the database.
    Taken {
        place: String,
    },
}

impl StoreError {
    /// Tells whether the disk is full or the server away, of which people are told once for all that fails by it; the same
    /// may be asked again when that is over.
    pub const fn may_pass(&self) -> bool {
        matches!(self, StoreError::Full | StoreError::ServerFull | StoreError::Slow | StoreError::Away)
    }

    /// Tells whether a database on a server can't be asked now, or takes nothing.
    pub const fn is_of_server(&self) -> bool {
        matches!(self, StoreError::ServerFull | StoreError::Slow | StoreError::Away)
    }
}

/// Gives nothing where a server is away and the order is urgent: it goes out with less.
///
/// # Errors
/// Passes on every other failure.
pub fn or_nothing<T: Default>(answer: Result<T, StoreError>) -> Result<T, StoreError> {
    match answer {
        Err(StoreError::Away | StoreError::Slow) if Errand::of_now().is_urgent => Ok(T::default()),
        answer => answer,
    }
}

impl Say for StoreError {
    fn say(&self) -> Sentence {
        match self {
            StoreError::Sql(detail) => said!("store.sql", detail),
            StoreError::Full => said!("disk.full"),
            StoreError::ServerFull => said!("disk.full_on_server"),
            StoreError::Slow => said!("store.slow"),
            StoreError::Away => said!("store.away"),
            StoreError::Closed => said!("store.closed"),
            StoreError::CantOpen { path, detail } => said!("store.cant_open", path, detail),
            StoreError::Taken { place } => said!("store.taken", place),
        }
    }
}
