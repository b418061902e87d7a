//! Work that each person has done once at a time; what they ask for meanwhile waits its turn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use loaxa_heart::domain::ids::AccountId;

/// Requests of one person that are under way or wait.
const OF_ONE_MAX: usize = 4;

/// The people for whom the work is under way.
#[derive(Default)]
pub struct OneEach(Mutex<BTreeMap<AccountId, Arc<Semaphore>>>);

/// Work under way, until it is dropped.
pub struct UnderWay(#[expect(dead_code, reason = "it is held")] OwnedSemaphorePermit);

impl OneEach {
    /// Begins the work for a person when what they asked for before is done; `None` where too much of theirs waits.
    pub async fn begin(&self, person: &AccountId) -> Option<UnderWay> {
        let turn = {
            let mut people = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // One that nobody holds but this map has nothing under way.
            people.retain(|_, turn| Arc::strong_count(turn) > 1);
            let turn = people.entry(person.clone()).or_insert_with(|| Arc::new(Semaphore::new(1)));
            if Arc::strong_count(turn) > OF_ONE_MAX {
                return None;
            }
            Arc::clone(turn)
        };
        Some(UnderWay(turn.acquire_owned().await.expect("nobody closes it")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    #[tokio::test]
    async fn each_person_has_it_done_once_at_a_time() {
        let (one, lan, mai) = (OneEach::default(), "lan".parse().unwrap(), "mai".parse().unwrap());
        let first = one.begin(&lan).await.unwrap();
        assert!(one.begin(&mai).await.is_some());
        let mut waiting: Vec<_> = (1..OF_ONE_MAX).map(|_| Box::pin(one.begin(&lan))).collect();
        for turn in &mut waiting {
            assert!(tokio::time::timeout(std::time::Duration::ZERO, turn).await.is_err(), "it waits");
        }
        assert!(one.begin(&lan).await.is_none(), "no room for more");
        drop(first);
        assert!(pin!(waiting.remove(0)).await.is_some());
    }
}
