//! The embedded store: SQLite with one writing thread that groups what waits into one commit, and one reading thread.

mod airings;
mod alarms;
mod alerts;
mod asked;
mod audit;
mod boxes;
mod calls;
mod columns;
mod commands;
mod day_sums;
mod deliveries;
mod documents;
mod drafts;
mod enrolment;
mod feedback;
mod health;
mod log;
mod media;
mod messages;
mod notices;
mod passkeys;
mod people;
mod places;
mod plays;
mod pronunciations;
mod proposals;
mod roster;
mod sessions;
mod tokens;
mod troubles;
mod webhooks;

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::answer::{Answer, StoreError};
use loaxa_adapters::private_files;

/// Most operations that wait for a thread; then callers wait.
const QUEUE_MAX: usize = 1_024;

/// Most operations in one commit: 256 full batches are 51,200 entries.
const GROUP_MAX: usize = 256;

/// SQLite's own waiting for a lock that another process holds.
const BUSY_WAIT_MS: u64 = 5_000;

/// Prepared statements kept by each thread.
const STATEMENTS_MAX: usize = 64;

/// An operation on the thread's connection; returns what tells the caller, once it is known whether it is on disk.
type Job = Box<dyn FnOnce(&Connection) -> Tell + Send>;
type Tell = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// The store of one commune in one file.
pub struct SqliteStore {
    writer: Option<mpsc::Sender<Job>>,
    reader: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl SqliteStore {
    /// Opens or creates the database.
    ///
    /// # Errors
    /// Fails when the file can't be opened, or is no database of this program.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let cant_open = |detail: String| StoreError::CantOpen { path: path.display().to_string(), detail };
        private_files::keep(path).map_err(|error| cant_open(error.to_string()))?;
        let connect = || connect(path).map_err(|error| cant_open(error.to_string()));
        let writing = connect()?;
        prepare(&writing).map_err(|error| cant_open(error.to_string()))?;
        let reading = connect()?;
        let (writer, jobs) = mpsc::channel(QUEUE_MAX);
        let write = spawn("loaxa-store-write", move || write_until_closed(writing, jobs));
        let (reader, jobs) = mpsc::channel(QUEUE_MAX);
        let read = spawn("loaxa-store-read", move || read_until_closed(&reading, jobs));
        let threads = [write, read]
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|error| cant_open(error.to_string()))?;
        Ok(Self { writer: Some(writer), reader: Some(reader), threads })
    }

    /// Hands an operation to the writing thread; the inner answer resolves when it is committed.
    async fn enqueue<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<Answer<'static, T>, StoreError> {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = in_savepoint(connection, operation);
            Box::new(move |committed| {
                // The caller may have gone away; what it asked is done nevertheless.
                let _ = tell.send(committed.and(result));
            })
        });
        self.writer.as_ref().ok_or(StoreError::Closed)?.send(job).await.map_err(|_| StoreError::Closed)?;
        Ok(Box::pin(async move { told.await.unwrap_or(Err(StoreError::Closed)) }))
    }

    fn write<'a, T: Send + 'static>(
        &'a self,
        operation: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<'a, T> {
        Box::pin(async move { self.enqueue(operation).await?.await })
    }

    fn read<'a, T: Send + 'static>(
        &'a self,
        operation: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<'a, T> {
        Box::pin(async move {
            let (tell, told) = oneshot::channel();
            let job: Job = Box::new(move |connection| {
                let _ = tell.send(operation(connection).map_err(sql_error));
                Box::new(|_| ())
            });
            self.reader
                .as_ref()
                .ok_or(StoreError::Closed)?
                .send(job)
                .await
                .map_err(|_| StoreError::Closed)?;
            told.await.unwrap_or(Err(StoreError::Closed))
        })
    }
}

impl Drop for SqliteStore {
    /// Finishes what is queued.
    fn drop(&mut self) {
        self.writer = None;
        self.reader = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store ended in a panic");
            }
        }
    }
}

/// Columns that came later than their tables.
const LATER_COLUMNS: [(&str, &str, &str); 6] = [
    ("log", "implausible", "TEXT"),
    ("plays", "arrived", "INTEGER"),
    ("plays", "listed", "INTEGER"),
    ("plays", "implausible", "TEXT"),
    ("drafts", "drafter", "TEXT NOT NULL DEFAULT ''"),
    ("drafts", "emergency", "INTEGER NOT NULL DEFAULT 0"),
];

/// Makes the tables, and gives those of an earlier version what came later.
fn prepare(db: &Connection) -> rusqlite::Result<()> {
    for (table, column, of_type) in LATER_COLUMNS {
        let mut columns = db.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let names =
            columns.query_map([table], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
        if !names.is_empty() && !names.iter().any(|name| name == column) {
            db.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {of_type}"))?;
        }
    }
    db.execute_batch(include_str!("schema.sql"))?;
    db.execute_batch("UPDATE plays SET listed = opened WHERE listed IS NULL")
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(PathBuf::from(path))?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_WAIT_MS))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -32_000)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

/// Runs jobs in groups of what is waiting, one commit a group: the disk is asked once for many batches.
fn write_until_closed(mut connection: Connection, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.blocking_recv() {
        let mut tells = Vec::new();
        let committed = (|| {
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            tells.push(first(&transaction));
            while tells.len() < GROUP_MAX {
                let Ok(job) = jobs.try_recv() else { break };
                tells.push(job(&transaction));
            }
            transaction.commit()
        })()
        .map_err(sql_error);
        if let Err(error) = &committed {
            tracing::error!(%error, operations = tells.len(), "central's database did not commit");
        }
        for tell in tells {
            tell(committed.clone());
        }
    }
}

fn read_until_closed(connection: &Connection, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.blocking_recv() {
        job(connection)(Ok(()));
    }
}

/// Runs an operation so that its failure takes nothing else of the group with it.
fn in_savepoint<T>(
    connection: &Connection,
    operation: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    let attempt = || {
        connection.prepare_cached("SAVEPOINT operation")?.execute([])?;
        let result = operation(connection);
        if result.is_err() {
            connection.prepare_cached("ROLLBACK TO operation")?.execute([])?;
        }
        connection.prepare_cached("RELEASE operation")?.execute([])?;
        result
    };
    attempt().map_err(sql_error)
}

fn sql_error(error: rusqlite::Error) -> StoreError {
    StoreError::Sql(error.to_string())
}
