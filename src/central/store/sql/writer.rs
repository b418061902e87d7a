//! The writing thread: what waits goes into one commit, and where the disk is full, what is urgent goes alone.

use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::live::Live;
use super::touched;
use crate::disk::Disk;
use crate::store::StoreError;

/// Most operations in one commit: 256 full batches are 51,200 entries.
const GROUP_MAX: usize = 256;

/// An operation that waits for its commit. A commit may fail after the operation ran, so it can run again.
pub struct Write<T, F> {
    pub operation: F,
    pub result: Option<Result<T, StoreError>>,
    pub tell: oneshot::Sender<Result<T, StoreError>>,
    pub is_urgent: bool,
}

/// An operation of any answer.
pub trait Operation: Send {
    /// Runs within the transaction; fails only with what no other operation of the group can do either.
    fn run(&mut self, db: &Connection) -> Result<(), rusqlite::Error>;

    /// Tells the caller, once it is known whether the answer is on disk.
    fn tell(self: Box<Self>, committed: Result<(), StoreError>);

    fn is_urgent(&self) -> bool;
}

impl<T: Send, F: Fn(&Connection) -> rusqlite::Result<T> + Send> Operation for Write<T, F> {
    fn run(&mut self, db: &Connection) -> Result<(), rusqlite::Error> {
        match in_savepoint(db, &self.operation) {
            Err(error) if is_of_disk(&error) => Err(error),
            result => {
                self.result = Some(result.map_err(|error| StoreError::Sql(error.to_string())));
                Ok(())
            }
        }
    }

    fn tell(self: Box<Self>, committed: Result<(), StoreError>) {
        let result = self.result.unwrap_or(Err(StoreError::Closed));
        // The caller may have gone away; what it asked is done nevertheless.
        let _ = self.tell.send(committed.and(result));
    }

    fn is_urgent(&self) -> bool {
        self.is_urgent
    }
}

/// Operations in the order in which they came.
type Group = Vec<Box<dyn Operation>>;

/// Runs operations in groups of what is waiting, one commit a group: the disk is asked once for many batches.
pub fn write_until_closed(
    mut db: Connection,
    mut jobs: mpsc::Receiver<Box<dyn Operation>>,
    (disk, live): (Option<Arc<Disk>>, Arc<Live>),
) {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX {
            let Ok(job) = jobs.try_recv() else { break };
            group.push(job);
        }
        if disk.as_ref().is_some_and(|disk| disk.is_kept_for_urgent()) {
            group = put_off(group);
        }
        if group.is_empty() {
            continue;
        }
        let mut committed = commit(&mut db, &mut group, disk.as_deref());
        if committed == Err(StoreError::Full)
            && let Some(disk) = &disk
        {
            disk.note_refusal();
            group = put_off(group);
            // Without the others there may be room at once.
            if !group.is_empty() {
                committed = commit(&mut db, &mut group, Some(disk));
            }
            if committed == Err(StoreError::Full) && !group.is_empty() && disk.spend() {
                committed = commit(&mut db, &mut group, Some(disk));
            }
        }
        if let Err(error) = &committed
            && !group.is_empty()
        {
            tracing::error!(%error, operations = group.len(), "central's database did not commit");
        }
        let touched = touched::take();
        if committed.is_ok() {
            live.committed(&touched);
        }
        for job in group {
            job.tell(committed.clone());
        }
    }
}

/// Refuses what is not urgent, and gives the rest.
fn put_off(group: Group) -> Group {
    let (urgent, lesser): (Group, Group) = group.into_iter().partition(|job| job.is_urgent());
    for job in lesser {
        job.tell(Err(StoreError::Full));
    }
    urgent
}

fn commit(db: &mut Connection, group: &mut Group, disk: Option<&Disk>) -> Result<(), StoreError> {
    // What a failed attempt noted is not true.
    touched::take();
    let attempt = || {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for job in group {
            job.run(&transaction)?;
        }
        transaction.commit()
    };
    attempt().map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::SystemIoFailure) if disk.is_some_and(Disk::has_no_room) => StoreError::Full,
        _ => StoreError::Sql(error.to_string()),
    })
}

/// Tells whether the disk failed, and not the operation: the whole transaction is lost then.
pub fn is_of_disk(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure))
}

/// Runs an operation so that its failure takes nothing else of the group with it.
pub fn in_savepoint<T>(
    db: &Connection,
    operation: impl Fn(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    db.prepare_cached("SAVEPOINT operation")?.execute([])?;
    let result = operation(db);
    if let Err(error) = &result {
        if is_of_disk(error) {
            return result;
        }
        db.prepare_cached("ROLLBACK TO operation")?.execute([])?;
    }
    db.prepare_cached("RELEASE operation")?.execute([])?;
    result
}
