//! Something that was read once for all who ask in the same moment.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::changes::Changes;
use crate::store::StoreError;
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::{Moment, Span};

/// Time for which all who ask share what was read, as long as no change was told, where nothing else is said.
const GOOD_FOR: Span = Span::secs(1);
/// Time for which a failure is shared, whatever is told: where the database hangs, nobody waits for one patience after the
/// other.
const FAILED_FOR: Span = Span::secs(1);

/// The content of pages of which many ask in the moment in which something changes.
pub struct Shared<T> {
    kept: Mutex<Option<Kept<T>>>,
    good_for: Span,
    /// Shortest time between two readings.
    every: Span,
}

/// The outcome of a read.
struct Kept<T> {
    /// The number of changes that were told before.
    told: u64,
    ended: Moment,
    read: Result<Arc<T>, StoreError>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self::of(GOOD_FOR, Span(0))
    }
}

impl<T> Shared<T> {
    /// Shares nothing yet; what is read is good for so long, and read anew no oftener than that.
    pub fn of(good_for: Span, every: Span) -> Self {
        Self { kept: Mutex::default(), good_for, every }
    }

    /// Gives what was read after all changes of which was told by now, or reads it.
    ///
    /// # Errors
    /// Passes on the failure of a read that may be another's.
    pub async fn get(
        &self,
        changes: &Changes,
        read: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<Arc<T>, StoreError> {
        // Before the lock: whoever waits for it gets what was begun meanwhile.
        let asked = changes.told();
        let mut kept = self.kept.lock().await;
        if let Some(Kept { told, ended, read }) = &*kept {
            let age = monotonic().since(*ended);
            let is_good = match read {
                Ok(_) => *told >= asked && age < self.good_for,
                Err(_) => age < FAILED_FOR,
            };
            if is_good {
                return read.clone();
            }
            // Whoever else asks meanwhile waits for the same reading.
            tokio::time::sleep(self.every.saturating_sub(age).into()).await;
        }
        let told = changes.told();
        let read = read.await.map(Arc::new);
        *kept = Some(Kept { told, ended: monotonic(), read: read.clone() });
        read
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Barrier;

    use super::*;
    use crate::changes::Changed;

    /// Has many ask while another's read is under way, and changes are told during every read; counts the reads.
    async fn reads(outcome: Result<(), StoreError>) -> usize {
        const MANY: usize = 50;
        let (shared, changes, reads) = (Shared::default(), Changes::default(), AtomicUsize::new(0));
        let (all_wait, outcome) = (Barrier::new(2), &outcome);
        let read = async || {
            reads.fetch_add(1, Ordering::Relaxed);
            changes.tell(Changed::Boxes);
            outcome.clone()
        };
        let first = shared.get(&changes, async {
            let read = read().await;
            all_wait.wait().await;
            read
        });
        let others = async {
            let asking = (0..MANY).map(|_| Box::pin(shared.get(&changes, read())));
            let mut asking: Vec<_> = asking.collect();
            std::future::poll_fn(|context| {
                asking.iter_mut().for_each(|asks| assert!(asks.as_mut().poll(context).is_pending()));
                std::task::Poll::Ready(())
            })
            .await;
            all_wait.wait().await;
            for asks in asking {
                assert_eq!(asks.await.is_ok(), outcome.is_ok());
            }
        };
        let (of_first, ()) = tokio::join!(first, others);
        assert_eq!(of_first.is_ok(), outcome.is_ok());
        reads.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn those_who_wait_share_one_read() {
        assert_eq!(reads(Ok(())).await, 2, "the one that was under way may be older than the change");
    }

    #[tokio::test]
    async fn those_who_wait_share_a_failure() {
        assert_eq!(reads(Err(StoreError::Slow)).await, 1);
    }

    #[tokio::test]
    async fn nobody_gets_what_is_older_than_a_change() {
        let (shared, changes) = (Shared::default(), Changes::default());
        let get = async |value: u8| *shared.get(&changes, async { Ok(value) }).await.unwrap();
        assert_eq!(get(1).await, 1);
        assert_eq!(get(2).await, 1);
        changes.tell(Changed::Boxes);
        assert_eq!(get(3).await, 3);
    }
}
