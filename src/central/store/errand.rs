//! The errand on which the store is asked: what must be said goes before what is read, and readers do not wait for each
//! other's kind.

use std::future::Future;

/// Readers who have threads and a time of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reader {
    /// Boxes: hellos, heartbeats and logs.
    Wire,
    #[default]
    Pages,
    /// Reports and exports, which read much.
    Reports,
}

/// The reason for which somebody asks the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Errand {
    /// Goes on where the disk is full, by the room that was kept for it.
    pub is_urgent: bool,
    pub reader: Reader,
}

tokio::task_local! {
    static ERRAND: Errand;
}

impl Errand {
    /// The errand of the task that asks.
    pub fn of_now() -> Self {
        ERRAND.try_with(|errand| *errand).unwrap_or_default()
    }

    /// Runs something on this errand.
    pub async fn run<T>(self, something: impl Future<Output = T>) -> T {
        ERRAND.scope(self, something).await
    }
}

/// Runs something whose writes go on where the disk is full.
pub async fn urgently<T>(something: impl Future<Output = T>) -> T {
    Errand { is_urgent: true, ..Errand::of_now() }.run(something).await
}

/// Runs something whose questions are asked for these readers.
pub async fn reading_as<T>(reader: Reader, something: impl Future<Output = T>) -> T {
    Errand { reader, ..Errand::of_now() }.run(something).await
}
