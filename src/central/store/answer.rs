//! Answers of a store.

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
    /// The answer took longer than such a question may.
    Slow,
    /// The database server can't be reached, or lets nothing be changed.
    Away,
    Closed,
    CantOpen {
        path: String,
        detail: String,
    },
}

impl Say for StoreError {
    fn say(&self) -> Sentence {
        match self {
            StoreError::Sql(detail) => said!("store.sql", detail),
            StoreError::Full => said!("disk.full"),
            StoreError::Slow => said!("store.slow"),
            StoreError::Away => said!("store.away"),
            StoreError::Closed => said!("store.closed"),
            StoreError::CantOpen { path, detail } => said!("store.cant_open", path, detail),
        }
    }
}
