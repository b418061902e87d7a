//! Answers of a store.

use std::future::Future;
use std::pin::Pin;

/// Most rows that one question returns.
pub const ROWS_MAX: u32 = 1_000;

/// A store operation under way; boxed, so that the store is chosen when the program starts.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// An operation that the store did not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the database refused: {0}")]
    Sql(String),
    #[error("the database is closed")]
    Closed,
    #[error("the database {path} can't be opened: {detail}")]
    CantOpen { path: String, detail: String },
}
