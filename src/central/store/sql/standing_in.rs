//! Questions and changes that the stand-in of a server that is away does in its place, and their way home.

use std::sync::Arc;

use super::engine::Connection;
use super::stand_in::{Change, Need};
use super::{SqlStore, engine};
use crate::store::{Answer, Errand, StoreError};

impl SqlStore {
    /// Asks for what an urgent order can't do without: where the server does not answer it in time, its stand-in does.
    pub(super) fn read_anyhow<'a, T: Send + 'static>(
        &'a self,
        question: impl Fn(&Connection) -> engine::Result<T> + Send + Sync + 'static,
    ) -> Answer<'a, T> {
        let Some(stand_in) = &self.stand_in else { return self.read(question) };
        let question = Arc::new(question);
        Box::pin(async move {
            let is_urgent = Errand::of_now().is_urgent;
            if !is_urgent || !stand_in.owes() {
                let asked = Arc::clone(&question);
                match self.read(move |db| asked(db)).await {
                    Err(StoreError::Away | StoreError::Slow) if is_urgent => {}
                    answer => return answer,
                }
            }
            stand_in.ask(|db| question(db))
        })
    }

    /// Changes what an urgent order can't do without: where the server does not do it in time, its stand-in does, and the
    /// server later.
    pub(super) fn write_anyhow<'a, T: Send + 'static>(
        &'a self,
        operation: impl Fn(&Connection) -> engine::Result<T> + Send + Sync + 'static,
    ) -> Answer<'a, T> {
        self.write_or_stand_in(operation, Need::Order)
    }

    /// Changes something as [`Self::write_anyhow`], of which strangers may cause any number: what is owed to the server leaves
    /// room for orders.
    pub(super) fn write_if_room<'a, T: Send + 'static>(
        &'a self,
        operation: impl Fn(&Connection) -> engine::Result<T> + Send + Sync + 'static,
    ) -> Answer<'a, T> {
        self.write_or_stand_in(operation, Need::IfRoom)
    }

    /// Changes something as [`Self::write_anyhow`], which the server needs no more when it is back.
    pub(super) fn write_in_passing<'a, T: Send + 'static>(
        &'a self,
        operation: impl Fn(&Connection) -> engine::Result<T> + Send + Sync + 'static,
    ) -> Answer<'a, T> {
        self.write_or_stand_in(operation, Need::Passing)
    }

    fn write_or_stand_in<'a, T: Send + 'static>(
        &'a self,
        operation: impl Fn(&Connection) -> engine::Result<T> + Send + Sync + 'static,
        need: Need,
    ) -> Answer<'a, T> {
        let Some(stand_in) = &self.stand_in else { return self.write(operation) };
        // Not behind a lock: the thread of a server that hangs would keep it.
        let operation = Arc::new(operation);
        let run = move |db: &Connection| operation(db);
        Box::pin(async move {
            let is_urgent = Errand::of_now().is_urgent;
            let mut unanswered = None;
            if !is_urgent || !stand_in.owes() {
                let (asked, waits) = (run.clone(), &mut unanswered);
                let answer = self.memory.bounded(async move {
                    let answer = waits.insert(self.enqueue(asked).await?).await;
                    *waits = None;
                    answer
                });
                match answer.await {
                    Err(error) if is_urgent && error.is_of_server() => {}
                    Ok(done) => {
                        let copy = Arc::clone(stand_in);
                        // No order waits for it, and the next copy mends what fails.
                        tokio::task::spawn_blocking(move || {
                            if let Err(error) = copy.change(&run) {
                                tracing::debug!(%error, "the stand-in of the database lacks a change");
                            }
                        });
                        return Ok(done);
                    }
                    Err(error) => return Err(error),
                }
            }
            let done = stand_in.change(&run)?;
            let answer = unanswered
                .map(|answer| -> Answer<'static, ()> { Box::pin(async { answer.await.map(drop) }) });
            stand_in.owe(Change { run: Arc::new(move |db| run(db).map(drop)), answer }, need);
            Ok(done)
        })
    }

    /// Changes what the stand-in has a copy of, and only the server can; the copy follows at once.
    pub(super) fn write_and_copy<'a, T: Send + 'static>(
        &'a self,
        operation: impl Fn(&Connection) -> engine::Result<T> + Send + 'static,
    ) -> Answer<'a, T> {
        let done = self.write(operation);
        Box::pin(async move {
            let done = done.await?;
            if let Err(error) = self.copy_for_stand_in().await {
                tracing::debug!(%error, "the stand-in of the database lacks a change");
            }
            Ok(done)
        })
    }

    /// Brings to the server what was changed while it was away, in that order; true where it has some of it now.
    pub(super) async fn bring_changes(&self) -> Result<bool, StoreError> {
        let Some(stand_in) = &self.stand_in else { return Ok(false) };
        let mut brought = 0_u32;
        while let Some(Change { run, answer }) = stand_in.first() {
            let asked_before = match answer {
                Some(answer) => answer.await,
                None => Err(StoreError::Away),
            };
            let kept = match asked_before {
                Err(error) if error.is_of_server() => self.enqueue(move |db| run(db)).await?.await,
                answered => answered,
            };
            match kept {
                Err(error) if error.is_of_server() || error == StoreError::Closed => return Err(error),
                Err(error) => {
                    tracing::error!(%error, "a change of an urgent order is not kept: the server refuses it")
                }
                Ok(()) => brought += 1,
            }
            stand_in.forget_first();
        }
        if brought > 0 {
            tracing::warn!(brought, "the database server has what urgent orders changed while it was away");
        }
        Ok(brought > 0)
    }

    /// Copies anew what the stand-in needs.
    pub(super) async fn copy_for_stand_in(&self) -> Result<(), StoreError> {
        let Some(stand_in) = &self.stand_in else { return Ok(()) };
        let copy = Arc::clone(stand_in);
        if !self.read(move |db| copy.fill(db, loaxa_adapters::clock::wall())).await? {
            tracing::debug!(
                "the stand-in of the database was changed while it was copied, and keeps what it has"
            );
        }
        Ok(())
    }
}
