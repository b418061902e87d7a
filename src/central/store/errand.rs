//! The errand on which the store is asked: what must be said goes before what is read, and readers do not wait for each
//! other's kind.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

use loaxa_heart::domain::time::Span;

/// The longest time that a database on a server may keep an urgent order back, whatever the order asks of it.
pub const PATIENCE: Span = Span::millis(1_200);

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
    /// Microseconds that the database may still take of an urgent order.
    static PATIENCE_LEFT: AtomicU64;
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

/// Runs an urgent order as [`urgently`], which waits for a database on a server no longer than people can.
pub async fn at_once<T>(order: impl Future<Output = T>) -> T {
    within(PATIENCE, order).await
}

/// Carries something out on this errand to its end, also where whoever waits for it goes away.
pub async fn to_the_end<T: Send + 'static>(something: impl Future<Output = T> + Send + 'static) -> T {
    let patience = patience_left();
    let something = async move {
        match patience {
            Some(left) => PATIENCE_LEFT.scope(AtomicU64::new(left.0), something).await,
            None => something.await,
        }
    };
    match tokio::spawn(Errand::of_now().run(something)).await.map_err(tokio::task::JoinError::try_into_panic)
    {
        Ok(done) => done,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The runtime ends, and this task with it.
        Err(Err(_)) => std::future::pending().await,
    }
}

/// Runs something as [`at_once`], with another patience, unless it is a part of an order that has its own.
pub async fn within<T>(patience: Span, something: impl Future<Output = T>) -> T {
    // A whole order is large, and would be moved from one wrapping to the next on the thread's stack.
    let something = urgently(Box::pin(something));
    match PATIENCE_LEFT.try_with(|_| ()) {
        Ok(()) => something.await,
        Err(_) => PATIENCE_LEFT.scope(AtomicU64::new(patience.0), something).await,
    }
}

/// Returns the time that the database may still take of the order under way; `None` outside [`at_once`].
pub fn patience_left() -> Option<Span> {
    PATIENCE_LEFT.try_with(|left| Span(left.load(Ordering::Relaxed))).ok()
}

/// Notes that the database took so much of the order under way.
pub fn waited(time: Span) {
    let less = |left: u64| Some(left.saturating_sub(time.0));
    // Outside an order nobody counts.
    let _ = PATIENCE_LEFT.try_with(|left| left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less));
}

/// Runs something whose questions are asked for these readers.
pub async fn reading_as<T>(reader: Reader, something: impl Future<Output = T>) -> T {
    Errand { reader, ..Errand::of_now() }.run(something).await
}
