//! The reading threads: boxes, pages and reports each have their own, so that none of them waits for another's kind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::InterruptHandle;
use tokio::sync::{mpsc, oneshot};

use super::connect::{QUEUE_MAX, spawn};
use super::database::Way;
use super::engine::{self, Connection};
use super::together::Together;
use crate::store::{Reader, StoreError};

/// Kinds of readers, the threads of each, the longest time of one question, and the pages that a thread keeps, in KiB.
const POOLS: [(Reader, usize, Duration, u32); 3] = [
    (Reader::Wire, 1, Duration::from_secs(5), 16_000),
    (Reader::Pages, 2, Duration::from_secs(10), 16_000),
    (Reader::Reports, 1, Duration::from_secs(120), 16_000),
];

/// A question to a thread's connection.
type Question = Box<dyn FnOnce(&Connection) + Send>;

/// The threads of one kind of readers.
struct Pool {
    questions: mpsc::Sender<(u64, Question)>,
    /// The connections, each with the number of the question that it answers now.
    busy: Vec<Arc<Mutex<Busy>>>,
    time_max: Duration,
    numbers: std::sync::atomic::AtomicU64,
}

struct Busy {
    /// `None` with a server, which ends by itself what takes too long.
    handle: Option<InterruptHandle>,
    number: Option<u64>,
}

/// All reading threads.
pub struct Readers([Pool; POOLS.len()]);

impl Readers {
    /// Connects all threads to a database that is there.
    ///
    /// # Errors
    /// Fails when it can't be read, or no thread begins.
    pub fn open(way: &Way, threads: &mut Vec<JoinHandle<()>>) -> Result<Self, String> {
        let mut pools = Vec::new();
        for (_, count, time_max, cache_kib) in POOLS {
            let (questions, waiting) = mpsc::channel(QUEUE_MAX);
            let waiting = Arc::new(Mutex::new(waiting));
            let mut busy = Vec::new();
            for _ in 0..count {
                let db = way.connect_to_read(time_max, cache_kib).map_err(|error| error.to_string())?;
                let own = Arc::new(Mutex::new(Busy { handle: db.interrupt_handle(), number: None }));
                busy.push(Arc::clone(&own));
                let waiting = Arc::clone(&waiting);
                let thread = spawn("loaxa-store-read", move || answer_until_closed(&db, &waiting, &own));
                threads.push(thread.map_err(|error| error.to_string())?);
            }
            pools.push(Pool { questions, busy, time_max, numbers: Default::default() });
        }
        let pools = pools.try_into().map_err(|_| "as many pools as there are kinds".to_owned())?;
        Ok(Self(pools))
    }

    /// Asks a thread of these readers.
    pub async fn ask<T: Send + 'static>(
        &self,
        reader: Reader,
        question: impl FnOnce(&Connection) -> engine::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let pool = self.pool(reader);
        let number = pool.number();
        let (tell, mut told) = oneshot::channel();
        let question: Question = Box::new(move |db| {
            if tell.is_closed() {
                return;
            }
            // Whoever asked may have gone.
            let _ = tell.send(question(db).map_err(StoreError::from));
        });
        let answered = async {
            pool.questions.send((number, question)).await.map_err(|_| StoreError::Closed)?;
            (&mut told).await.unwrap_or(Err(StoreError::Closed))
        };
        match tokio::time::timeout(pool.time_max, answered).await {
            Ok(answer) => answer,
            Err(_) => {
                pool.interrupt(number);
                tracing::error!(?reader, "a question to the database took too long");
                Err(StoreError::Slow)
            }
        }
    }

    /// Asks the boxes' thread about one thing, together with all that is asked in the same way until it gets to it.
    pub async fn ask_together<K: Ord + Clone + Send + 'static, V: Clone + Send + 'static>(
        &self,
        together: &Together<K, V>,
        about: K,
        question: impl FnOnce(&Connection, &BTreeSet<K>) -> engine::Result<BTreeMap<K, V>> + Send + 'static,
    ) -> Result<Option<V>, StoreError> {
        let pool = self.pool(Reader::Wire);
        let (is_first, told) = together.wait(about);
        if is_first {
            let all = together.clone();
            let question: Question = Box::new(move |db| all.answer(db, question));
            // It does not wait for room: others wait for it, and whoever asks may go.
            if pool.questions.try_send((pool.number(), question)).is_err() {
                together.refuse(&StoreError::Slow);
            }
        }
        match tokio::time::timeout(pool.time_max, told).await {
            Ok(answer) => answer.unwrap_or(Err(StoreError::Closed)),
            Err(_) => {
                tracing::error!("a question of a box to the database took too long");
                Err(StoreError::Slow)
            }
        }
    }

    fn pool(&self, reader: Reader) -> &Pool {
        let at = POOLS.iter().position(|(of, ..)| *of == reader).unwrap_or_default();
        &self.0[at]
    }
}

impl Pool {
    /// A number for the next question.
    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    /// Ends the statement of a question, where a thread is at it.
    fn interrupt(&self, number: u64) {
        for busy in &self.busy {
            let busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
            if busy.number == Some(number)
                && let Some(handle) = &busy.handle
            {
                handle.interrupt();
            }
        }
    }
}

fn answer_until_closed(
    db: &Connection,
    waiting: &Mutex<mpsc::Receiver<(u64, Question)>>,
    busy: &Mutex<Busy>,
) {
    let set = |number| busy.lock().unwrap_or_else(PoisonError::into_inner).number = number;
    loop {
        // Only one thread of the pool waits for the next question; the others wait for the lock.
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some((number, question)) = next else { return };
        set(Some(number));
        question(db);
        set(None);
    }
}
