//! Questions about single things that are put to the database together: while a thread is busy, those that come wait, and one
//! statement answers them all. Each is asked anew, so that none is answered by what was true before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::engine::{Connection, Result};
use crate::store::StoreError;

/// An answer about one thing; `None` where the database knows nothing of it.
type Told<V> = std::result::Result<Option<V>, StoreError>;

/// Whoever waits for an answer, and about what.
type Asking<K, V> = (K, oneshot::Sender<Told<V>>);

/// Most questions that wait; further ones are refused, as those are whose time is over.
const WAITING_MAX: usize = 4_096;

/// Questions of one kind that wait.
pub struct Together<K, V>(Arc<Mutex<Vec<Asking<K, V>>>>);

impl<K, V> Clone for Together<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Default for Together<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Ord + Clone, V: Clone> Together<K, V> {
    /// Has a question wait; true for the first, whose asker has all of them answered.
    pub fn wait(&self, about: K) -> (bool, oneshot::Receiver<Told<V>>) {
        let (tell, told) = oneshot::channel();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= WAITING_MAX {
            // Where a database hangs, most of those who asked have gone. The first stays: by its place others know that a thread was
            // asked.
            let mut is_first = true;
            waiting.retain(|(_, tell)| std::mem::take(&mut is_first) || !tell.is_closed());
        }
        if waiting.len() >= WAITING_MAX {
            // The other end is still in this function.
            let _ = tell.send(Err(StoreError::Slow));
        } else {
            waiting.push((about, tell));
        }
        (waiting.len() == 1, told)
    }

    /// Answers all that wait by one look into the database.
    pub fn answer(
        &self,
        db: &Connection,
        question: impl FnOnce(&Connection, &BTreeSet<K>) -> Result<BTreeMap<K, V>>,
    ) {
        let waiting = self.take();
        let about: BTreeSet<K> = waiting.iter().map(|(about, _)| about.clone()).collect();
        let found = question(db, &about).map_err(StoreError::from);
        for (about, tell) in waiting {
            // Whoever asked may have gone.
            let _ = tell.send(found.as_ref().map(|found| found.get(&about).cloned()).map_err(Clone::clone));
        }
    }

    /// Tells all that wait that they have no answer.
    pub fn refuse(&self, error: &StoreError) {
        for (_, tell) in self.take() {
            let _ = tell.send(Err(error.clone()));
        }
    }

    fn take(&self) -> Vec<Asking<K, V>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sql::engine::Error;

    fn database() -> Connection {
        Connection::Sqlite(rusqlite::Connection::open_in_memory().unwrap())
    }

    fn doubled(_: &Connection, about: &BTreeSet<u32>) -> Result<BTreeMap<u32, u32>> {
        Ok(about.iter().filter(|number| **number < 10).map(|number| (*number, number * 2)).collect())
    }

    #[test]
    fn all_that_wait_are_answered_by_one_look() {
        let together = Together::default();
        let (first, mut told) = together.wait(1);
        let others: Vec<_> = [2, 1, 20].into_iter().map(|about| together.wait(about)).collect();
        assert!(first && others.iter().all(|(is_first, _)| !is_first));
        let mut looks = Vec::new();
        together.answer(&database(), |db, about| {
            looks.push(about.clone());
            doubled(db, about)
        });
        assert_eq!(looks, [BTreeSet::from([1, 2, 20])]);
        assert_eq!(told.try_recv().unwrap(), Ok(Some(2)));
        let told: Vec<_> = others.into_iter().map(|(_, mut told)| told.try_recv().unwrap()).collect();
        assert_eq!(
            told,
            [Ok(Some(4)), Ok(Some(2)), Ok(None)],
            "each has its own, and nothing where nothing is"
        );
        let (first, _) = together.wait(3);
        assert!(first, "whoever comes after the look has another made");
    }

    #[test]
    fn others_are_answered_though_the_first_has_gone() {
        let together = Together::default();
        drop(together.wait(1));
        let (_, mut told) = together.wait(2);
        together.answer(&database(), doubled);
        assert_eq!(told.try_recv().unwrap(), Ok(Some(4)));
    }

    #[test]
    fn a_database_that_hangs_has_a_bounded_number_wait() {
        let together = Together::<u32, u32>::default();
        let mut told: Vec<_> = (0..WAITING_MAX as u32).map(|about| together.wait(about).1).collect();
        let (is_first, mut refused) = together.wait(1);
        assert!(!is_first);
        assert_eq!(refused.try_recv().unwrap(), Err(StoreError::Slow));
        told.truncate(1);
        drop(told.pop());
        let (is_first, mut waits) = together.wait(2);
        assert!(!is_first, "a thread was asked already, by one who has gone");
        together.answer(&database(), doubled);
        assert_eq!(waits.try_recv().unwrap(), Ok(Some(4)));
    }

    #[test]
    fn a_failed_look_is_told_to_each() {
        let together = Together::<u32, u32>::default();
        let mut told: Vec<_> = [1, 2].into_iter().map(|about| together.wait(about).1).collect();
        together.answer(&database(), |_, _| Err(Error::Away("a test".to_owned())));
        for told in &mut told {
            assert_eq!(told.try_recv().unwrap(), Err(StoreError::Away));
        }
        let (_, mut told) = together.wait(1);
        together.refuse(&StoreError::Slow);
        assert_eq!(told.try_recv().unwrap(), Err(StoreError::Slow));
    }
}
