//! The writing thread: what waits goes into one commit, what is urgent before the rest, and alone where the disk is full.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::among::Among;
use super::engine::{Connection, Error, Result};
use super::live::Live;
use super::touched;
use crate::disk::Disk;
use crate::store::{Batch, Ingested, StoreError};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::Span;

/// The disk under the database.
pub enum Under {
    /// The one of this machine, with room of its own for what is urgent.
    Here(Arc<Disk>),
    /// The server's, of which this machine only hears that it is full.
    There(Arc<Disk>),
}

/// Most operations in one commit: 256 full batches are 51,200 entries.
const GROUP_MAX: usize = 256;

/// Operations that this thread has taken from the queue at most.
const WAITING_MAX: usize = 1_024;

/// Time after which a group takes no further operation: what is urgent may have come meanwhile.
const GROUP_TIME_MAX: Span = Span::millis(50);

/// Most entries of batches that are taken in as one: as long as a group lasts.
const TOGETHER_MAX: usize = 1_000;

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

    /// The batch of a log, where this is one, and the way in which those that wait one behind the other are taken in.
    fn batch(&self) -> Option<(&Batch, Together)> {
        None
    }

    /// Notes what became of the batch.
    fn taken(&mut self, _: Ingested) {}
}

/// Takes several batches in at once.
pub type Together = fn(&Connection, &[&Batch]) -> Result<Vec<Ingested>>;

impl<T: Send, F: Fn(&Connection) -> Result<T> + Send> Operation for Write<T, F> {
    fn run(&mut self, db: &Connection) -> Result<()> {
        self.result = Some(alone(db, &self.operation)?);
        Ok(())
    }

    fn tell(self: Box<Self>, committed: Result<(), StoreError>) {
        answer(self.tell, committed, self.result);
    }

    fn is_urgent(&self) -> bool {
        self.is_urgent
    }
}

/// Runs an operation so that what it alone fails with is its answer.
///
/// # Errors
/// Fails with what no other operation of the group can do either.
pub fn alone<T>(
    db: &Connection,
    operation: impl Fn(&Connection) -> Result<T>,
) -> Result<Result<T, StoreError>> {
    match in_savepoint(db, operation) {
        Err(error) if error.is_of_all() => Err(error),
        result => Ok(result.map_err(StoreError::from)),
    }
}

/// Gives an operation's answer to the caller, or what its commit failed with.
pub fn answer<T>(
    tell: oneshot::Sender<Result<T, StoreError>>,
    committed: Result<(), StoreError>,
    result: Option<Result<T, StoreError>>,
) {
    // The caller may have gone away; what it asked is done nevertheless.
    let _ = tell.send(committed.and(result.unwrap_or(Err(StoreError::Closed))));
}

/// Operations in the order in which they came.
type Group = VecDeque<Box<dyn Operation>>;

/// Operations that were taken from the queue.
#[derive(Default)]
struct Waiting {
    urgent: Group,
    others: Group,
}

impl Waiting {
    /// Takes in what has come, or waits for it; false when nothing will come any more.
    fn take_in(&mut self, jobs: &mut mpsc::Receiver<Box<dyn Operation>>) -> bool {
        if self.urgent.is_empty() && self.others.is_empty() {
            let Some(job) = jobs.blocking_recv() else { return false };
            self.put(job);
        }
        while self.others.len() < WAITING_MAX
            && let Ok(job) = jobs.try_recv()
        {
            self.put(job);
        }
        true
    }

    fn put(&mut self, job: Box<dyn Operation>) {
        if job.is_urgent() { self.urgent.push_back(job) } else { self.others.push_back(job) }
    }

    /// Gives the operations of the next commit: all that are urgent, or some of the others.
    fn next_group(&mut self) -> Group {
        if !self.urgent.is_empty() {
            return std::mem::take(&mut self.urgent);
        }
        self.others.drain(..self.others.len().min(GROUP_MAX)).collect()
    }

    /// Takes back, to its place, what a group had no time for.
    fn take_back(&mut self, mut left: Group) {
        left.append(&mut self.others);
        self.others = left;
    }
}

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
    let mut waiting = Waiting::default();
    while waiting.take_in(&mut jobs) {
        let mut group = waiting.next_group();
        if disk.as_ref().is_some_and(|disk| disk.is_kept_for_urgent()) {
            group = put_off(group);
        }
        if group.is_empty() {
            continue;
        }
        let (mut committed, left) = commit(&db, &mut group, (disk.as_deref(), &among));
        waiting.take_back(left);
        if committed == Err(StoreError::Full)
            && let Some(disk) = &disk
        {
            disk.note_refusal();
            group = put_off(group);
            // Without the others there may be room at once; nothing urgent is ever left.
            if !group.is_empty() {
                (committed, _) = commit(&db, &mut group, (Some(disk), &among));
            }
            if committed == Err(StoreError::Full) && !group.is_empty() && disk.spend() {
                (committed, _) = commit(&db, &mut group, (Some(disk), &among));
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
        // A commit whose answer was lost may have been kept: what is remembered is read anew in any case.
        live.attempted(&touched::take());
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

/// Commits the operations of a group that it has time for; the others are given back, not run.
fn commit(
    db: &Connection,
    group: &mut Group,
    (disk, among): (Option<&Disk>, &Among),
) -> (Result<(), StoreError>, Group) {
    let mut left = Group::new();
    let mut committed = attempt(db, group, &mut left, among);
    if committed.as_ref().is_err_and(Error::is_of_old_statement) {
        committed = attempt(db, group, &mut left, among);
    }
    let committed = committed.map_err(|error| match error {
        error if error.is_of_io() && disk.is_some_and(Disk::has_no_room) => StoreError::Full,
        error => StoreError::from(error),
    });
    (committed, left)
}

fn attempt(db: &Connection, group: &mut Group, left: &mut Group, among: &Among) -> Result<()> {
    // What a failed attempt noted is not true.
    touched::take();
    let began = monotonic();
    db.in_transaction(|db| {
        let mut done = 0;
        while done < group.len() {
            if done > 0 && !group[done].is_urgent() && monotonic().since(began) > GROUP_TIME_MAX {
                let mut rest = group.split_off(done);
                rest.append(left);
                *left = rest;
                break;
            }
            done += run_next(db, &mut group.make_contiguous()[done..])?;
        }
        touched::look(|touched| among.note(db, touched))
    })
}

/// Runs the next operation, or the next batches of logs as one; returns the number of those that ran.
///
/// # Errors
/// Fails with what no other operation could do either.
pub fn run_next(db: &Connection, jobs: &mut [Box<dyn Operation>]) -> Result<usize> {
    let mut entries = 0;
    let batches = jobs.iter().map_while(|job| job.batch());
    let fit = batches.take_while(|(batch, _)| {
        entries += batch.records.len();
        entries <= TOGETHER_MAX
    });
    let count = fit.count().max(1);
    let now = &mut jobs[..count];
    match taken_together(db, now)? {
        Some(taken) => now.iter_mut().zip(taken).for_each(|(job, taken)| job.taken(taken)),
        None => now.iter_mut().try_for_each(|job| job.run(db))?,
    }
    Ok(count)
}

/// Takes batches in; `None` where each has to be taken in for itself, as one may keep the others out.
fn taken_together(db: &Connection, jobs: &[Box<dyn Operation>]) -> Result<Option<Vec<Ingested>>> {
    let batches: Vec<_> = jobs.iter().filter_map(|job| job.batch()).collect();
    let [(_, take_in), _, ..] = batches[..] else { return Ok(None) };
    let batches: Vec<_> = batches.iter().map(|(batch, _)| *batch).collect();
    let taken = alone(db, |db| take_in(db, &batches))?;
    if let Err(error) = &taken {
        tracing::warn!(%error, batches = batches.len(), "batches are taken in one by one");
    }
    Ok(taken.ok())
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    type Ran = Arc<Mutex<Vec<&'static str>>>;

    fn job(
        name: &'static str,
        ran: &Ran,
        is_urgent: bool,
        then: impl Fn() + Send + 'static,
    ) -> Box<dyn Operation> {
        let ran = Arc::clone(ran);
        let operation = move |_: &Connection| {
            ran.lock().unwrap().push(name);
            then();
            Ok(())
        };
        Box::new(Write { operation, result: None, tell: oneshot::channel().0, is_urgent })
    }

    #[test]
    fn what_is_urgent_waits_for_no_more_than_a_moment_of_the_rest() {
        let (jobs, queue) = mpsc::channel(8);
        let ran = Ran::default();
        let stop = job("stop", &ran, true, || ());
        let (late, stop) = (jobs.clone(), Mutex::new(Some(stop)));
        let comes = move || {
            late.blocking_send(stop.lock().unwrap().take().unwrap()).unwrap();
            std::thread::sleep((GROUP_TIME_MAX + Span::millis(1)).into());
        };
        for job in [
            job("log 1", &ran, false, comes),
            job("log 2", &ran, false, || ()),
            job("emergency", &ran, true, || ()),
            job("log 3", &ran, false, || ()),
        ] {
            assert!(jobs.blocking_send(job).is_ok());
        }
        drop(jobs);
        let db = Connection::Sqlite(rusqlite::Connection::open_in_memory().unwrap());
        write_until_closed(db, queue, (None, Arc::default(), Arc::default()));
        assert_eq!(*ran.lock().unwrap(), ["emergency", "log 1", "stop", "log 2", "log 3"]);
    }
}
