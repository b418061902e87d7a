//! The memory for times in which a database server is away: an urgent order waits no longer than people can, and goes on
//! with what this process remembers.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use crate::store::{BoxRow, Errand, PATIENCE, StoreError, patience_left, waited};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::{Moment, Span};

/// Time in which urgent orders do not try again after one waited in vain.
const GIVEN_UP: Span = Span::secs(5);

/// Age from which on the boxes are read for this memory alone: an order that goes out without a server is for these.
const BOXES_KEPT: Span = Span::secs(60);

/// The memory for times without a server.
pub struct Memory {
    /// A file on this machine is never away.
    pub is_server: bool,
    gave_up: Mutex<Option<Moment>>,
    boxes: Mutex<Known>,
}

/// The boxes as they were read last, and the time of it.
#[derive(Default)]
struct Known {
    rows: Vec<BoxRow>,
    read: Option<Moment>,
}

impl Memory {
    /// Remembers nothing yet.
    pub fn of(is_server: bool) -> Self {
        Self { is_server, gave_up: Mutex::default(), boxes: Mutex::default() }
    }

    /// Waits for an answer, and where it is for an urgent order, no longer than that may wait.
    ///
    /// # Errors
    /// [`StoreError::Away`] where an urgent order goes on without the answer.
    pub async fn bounded<T>(
        &self,
        asked: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if !self.is_server || !Errand::of_now().is_urgent {
            return asked.await;
        }
        let (now, patience) = (monotonic(), patience_left().unwrap_or(PATIENCE));
        let gave_up = *self.gave_up.lock().unwrap_or_else(PoisonError::into_inner);
        let is_given_up = gave_up.is_some_and(|gave_up| now.since(gave_up) < GIVEN_UP);
        // Whoever has more patience finds out by waiting.
        if patience == Span(0) || is_given_up && patience <= PATIENCE {
            return Err(StoreError::Away);
        }
        let answer = tokio::time::timeout(patience.into(), asked).await;
        waited(monotonic().since(now));
        if answer.is_ok() || patience >= PATIENCE {
            let waited_in_vain = answer.is_err().then_some(now);
            *self.gave_up.lock().unwrap_or_else(PoisonError::into_inner) = waited_in_vain;
        }
        answer.unwrap_or(Err(StoreError::Away))
    }

    /// Remembers the boxes as they were read; where an urgent order can't read them, gives those of the last time.
    pub fn boxes(&self, read: Result<Vec<BoxRow>, StoreError>) -> Result<Vec<BoxRow>, StoreError> {
        if !self.is_server {
            return read;
        }
        let mut known = self.boxes.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(rows) => {
                *known = Known { rows: rows.clone(), read: Some(monotonic()) };
                Ok(rows)
            }
            Err(StoreError::Away | StoreError::Slow) if Errand::of_now().is_urgent => Ok(known.rows.clone()),
            Err(error) => Err(error),
        }
    }

    /// Tells whether nobody has read the boxes for a while.
    pub fn boxes_are_old(&self) -> bool {
        let known = self.boxes.lock().unwrap_or_else(PoisonError::into_inner);
        known.read.is_none_or(|read| monotonic().since(read) >= BOXES_KEPT)
    }
}
