//! The embedded store: SQLite with one writing thread that groups what waits into one commit, and reading threads by purpose.

mod airings;
mod alarms;
mod alerts;
mod asked;
mod audit;
pub mod backup;
mod boxes;
mod calls;
mod columns;
mod commands;
mod connect;
mod day_sums;
mod deliveries;
mod documents;
mod drafts;
mod enrolment;
mod feedback;
mod health;
mod hours;
mod keeping;
mod kinds;
mod live;
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
mod readers;
mod rollouts;
mod roster;
mod sessions;
mod signs;
mod tokens;
mod touched;
mod troubles;
mod webhooks;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::answer::{Answer, StoreError};
use super::errand::Errand;
use crate::disk::Disk;
use connect::{QUEUE_MAX, connect, spawn};
use live::Live;
use loaxa_adapters::private_files;
use loaxa_heart::domain::ids::KeyId;
use readers::Readers;
use signs::{Flush, Part, Signs};
use writer::{Operation, Write, is_of_disk, write_until_closed};

/// The store of one commune in one file.
pub struct SqlStore {
    writer: Option<mpsc::Sender<Box<dyn Operation>>>,
    readers: Option<Readers>,
    threads: Vec<JoinHandle<()>>,
    /// The last number given for each issuer, which stays given where the disk would not keep it.
    serials: Mutex<BTreeMap<KeyId, u64>>,
    signs: Arc<Signs>,
    live: Arc<Live>,
}

impl SqlStore {
    /// Opens or creates the database.
    ///
    /// # Errors
    /// Fails when the file can't be opened, or is no database of this program.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_on(path, None)
    }

    /// Opens or creates the database on a disk that is watched, and has room of its own for what is urgent.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(path: &Path, disk: Option<Arc<Disk>>) -> Result<Self, StoreError> {
        let cant_open = |detail: String| StoreError::CantOpen { path: path.display().to_string(), detail };
        private_files::keep(path).map_err(|error| cant_open(error.to_string()))?;
        let writing = connect(path).map_err(|error| cant_open(error.to_string()))?;
        let prepared = prepare(&writing).or_else(|error| match &disk {
            // A new version may need room before anything else.
            Some(disk) if is_of_disk(&error) && disk.spend() => prepare(&writing),
            _ => Err(error),
        });
        prepared.map_err(|error| cant_open(error.to_string()))?;
        let (writer, jobs) = mpsc::channel(QUEUE_MAX);
        let mut threads = Vec::new();
        let readers = Readers::open(path, &mut threads).map_err(cant_open)?;
        let live = Arc::<Live>::default();
        let remembers = (disk, Arc::clone(&live));
        let write = spawn("loaxa-store-write", move || write_until_closed(writing, jobs, remembers));
        threads.push(write.map_err(|error| cant_open(error.to_string()))?);
        Ok(Self {
            writer: Some(writer),
            readers: Some(readers),
            threads,
            serials: Mutex::default(),
            signs: Arc::default(),
            live,
        })
    }

    /// Hands an operation to the writing thread; the inner answer resolves when it is committed.
    async fn enqueue<T: Send + 'static>(
        &self,
        operation: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<Answer<'static, T>, StoreError> {
        let (tell, told) = oneshot::channel();
        let is_urgent = Errand::of_now().is_urgent;
        let job = Box::new(Write { operation, result: None, tell, is_urgent });
        self.writer.as_ref().ok_or(StoreError::Closed)?.send(job).await.map_err(|_| StoreError::Closed)?;
        Ok(Box::pin(async move { told.await.unwrap_or(Err(StoreError::Closed)) }))
    }

    fn write<'a, T: Send + 'static>(
        &'a self,
        operation: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<'a, T> {
        Box::pin(async move { self.enqueue(operation).await?.await })
    }

    fn read<'a, T: Send + 'static>(
        &'a self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<'a, T> {
        Box::pin(async move {
            let readers = self.readers.as_ref().ok_or(StoreError::Closed)?;
            readers.ask(Errand::of_now().reader, question).await
        })
    }
}

impl SqlStore {
    /// Has signs of life written, and does not wait for it; where there is no room in the queue, a later one does.
    fn begin_to_write_signs(&self, part: Part) {
        let Some(Ok(room)) = self.writer.as_ref().map(|writer| writer.try_reserve()) else { return };
        if let Some(flush) = Flush::take(&self.signs, &part, None) {
            room.send(Box::new(flush));
        }
    }

    /// Writes signs of life; those that the disk refuses stay in memory.
    async fn write_signs(&self, part: Part) {
        let (tell, told) = oneshot::channel();
        let Some(writer) = &self.writer else { return };
        let Ok(room) = writer.reserve().await else { return };
        if let Some(flush) = Flush::take(&self.signs, &part, Some(tell)) {
            room.send(Box::new(flush));
            // It is told in any case.
            let _ = told.await;
        }
    }
}

impl Drop for SqlStore {
    /// Finishes what is queued.
    fn drop(&mut self) {
        self.begin_to_write_signs(Part::All);
        self.writer = None;
        self.readers = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store ended in a panic");
            }
        }
    }
}

/// Columns that came later than their tables.
const LATER_COLUMNS: [(&str, &str, &str); 7] = [
    ("tokens", "owner", "TEXT"),
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
    db.execute_batch("UPDATE plays SET listed = opened WHERE listed IS NULL")?;
    db.execute_batch(
        "INSERT INTO feedback_days (day, village, village_title, kind, said, asked, in_time, late)
         SELECT date(made / 1000000 + 25200, 'unixepoch') AS day, village,
                coalesce((SELECT title FROM places WHERE in_group = village), village), kind, count(*), count(due),
                coalesce(sum(answered <= due), 0), coalesce(sum(answered > due), 0)
         FROM feedback WHERE NOT EXISTS (SELECT 1 FROM feedback_days) GROUP BY day, village, kind",
    )
}
