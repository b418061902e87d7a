//! The writing thread: what waits goes into one commit, and where the disk is full, what is urgent goes alone.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::among::Among;
use super::engine::{Connection, Result};
use super::live::Live;
use super::touched;
use crate::disk::Disk;

/// The disk under the database.
pub enum Under {
    /// The one of this machine, with room of its own for what is urgent.
    Here(Arc<Disk>),
    /// The server's, of which this machine only hears that it is full.
    There(Arc<Disk>),
}
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
    fn run(&mut self, db: &Connection) -> Result<()>;

    /// Tells the caller, once it is known whether the answer is on disk.
    fn tell(self: Box<Self>, committed: Result<(), StoreError>);

    fn is_urgent(&self) -> bool;
}

impl<T: Send, F: Fn(&Connection) -> Result<T> + Send> Operation for Write<T, F> {
    fn run(&mut self, db: &Connection) -> Result<()> {
        match in_savepoint(db, &self.operation) {
            Err(error) if error.is_of_all() => Err(error),
            result => {
                self.result = Some(result.map_err(StoreError::from));
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
    db: Connection,
    mut jobs: mpsc::Receiver<Box<dyn Operation>>,
    (under, live, among): (Option<Under>, Arc<Live>, Arc<Among>),
) {
    let (disk, server) = match under {
        Some(Under::Here(disk)) => (Some(disk), None),
        Some(Under::There(disk)) => (None, Some(disk)),
        None => (None, None),
    };
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
        let mut committed = commit(&db, &mut group, (disk.as_deref(), &among));
        if committed == Err(StoreError::Full)
            && let Some(disk) = &disk
        {
            disk.note_refusal();
            group = put_off(group);
            // Without the others there may be room at once.
            if !group.is_empty() {
                committed = commit(&db, &mut group, (Some(disk), &among));
            }
            if committed == Err(StoreError::Full) && !group.is_empty() && disk.spend() {
                committed = commit(&db, &mut group, (Some(disk), &among));
            }
        }
        if let (Err(StoreError::ServerFull), Some(server)) = (&committed, &server) {
            server.note_refusal_of_server();
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

fn commit(
    db: &Connection,
    group: &mut Group,
    (disk, among): (Option<&Disk>, &Among),
) -> Result<(), StoreError> {
    // What a failed attempt noted is not true.
    touched::take();
    let committed = db.in_transaction(|db| {
        group.iter_mut().try_for_each(|job| job.run(db))?;
        touched::look(|touched| among.note(db, touched))
    });
    committed.map_err(|error| match error {
        error if error.is_of_io() && disk.is_some_and(Disk::has_no_room) => StoreError::Full,
        error => StoreError::from(error),
    })
}

/// Runs an operation so that its failure takes nothing else of the group with it.
pub fn in_savepoint<T>(db: &Connection, operation: impl Fn(&Connection) -> Result<T>) -> Result<T> {
    db.prepare_cached("SAVEPOINT operation")?.execute([])?;
    let result = operation(db);
    if let Err(error) = &result {
        if error.is_of_all() {
            return result;
        }
        db.prepare_cached("ROLLBACK TO operation")?.execute([])?;
    }
    db.prepare_cached("RELEASE operation")?.execute([])?;
    result
}
