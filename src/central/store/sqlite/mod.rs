//! The embedded store: SQLite with one writing thread that groups what waits into one commit, and one reading thread.

mod cap;
mod drafts;
mod enrol;
mod ingest;
mod read;
mod write;

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::*;

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
    /// When the file can't be opened, or is no database of this program.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let cant_open = |detail: String| StoreError::CantOpen { path: path.display().to_string(), detail };
        let connect = || connect(path).map_err(|error| cant_open(error.to_string()));
        let writing = connect()?;
        writing.execute_batch(include_str!("schema.sql")).map_err(|error| cant_open(error.to_string()))?;
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

impl Store for SqliteStore {
    fn declare_boxes(&self, boxes: Vec<BoxDeclared>) -> Answer<'_, ()> {
        self.write(move |db| write::declare_boxes(db, &boxes))
    }

    fn trust_box_key(&self, id: BoxId, title: String, key: String) -> Answer<'_, bool> {
        self.write(move |db| write::trust_box_key(db, &id, &title, &key))
    }

    fn add_enrolment(&self, code: ContentHash, declared: BoxDeclared, expires: Wall) -> Answer<'_, ()> {
        self.write(move |db| enrol::add(db, code, &declared, expires))
    }

    fn use_enrolment(&self, code: ContentHash, key: String, now: Wall) -> Answer<'_, Option<BoxDeclared>> {
        self.write(move |db| enrol::use_up(db, code, &key, now))
    }

    fn add_certificate(
        &self,
        fingerprint: ContentHash,
        serial: Serial,
        id: BoxId,
        issued: Wall,
    ) -> Answer<'_, ()> {
        self.write(move |db| enrol::add_certificate(db, fingerprint, serial, &id, issued))
    }

    fn revoked_certificates(&self) -> Answer<'_, Vec<(Serial, Wall)>> {
        self.read(enrol::revoked_certificates)
    }

    fn certified(&self, fingerprint: ContentHash) -> Answer<'_, Option<BoxId>> {
        self.read(move |db| enrol::certified(db, fingerprint))
    }

    fn revoke_box(&self, id: BoxId, now: Wall) -> Answer<'_, bool> {
        self.write(move |db| enrol::revoke(db, &id, now))
    }

    fn enrolled(&self, id: BoxId) -> Answer<'_, Option<BoxDeclared>> {
        self.read(move |db| read::enrolled(db, &id))
    }

    fn holds(&self, id: BoxId) -> Answer<'_, Option<Holds>> {
        self.read(move |db| read::holds(db, &id))
    }

    fn boxes(&self) -> Answer<'_, Vec<BoxRow>> {
        self.read(read::boxes)
    }

    fn note_sign_of_life(&self, sign: SignOfLife) -> Answer<'_, ()> {
        self.write(move |db| write::note_sign_of_life(db, &sign))
    }

    fn note_lost(&self, id: BoxId, at: Wall) -> Answer<'_, ()> {
        self.write(move |db| write::note_lost(db, &id, at))
    }

    fn ingest(&self, batch: Batch) -> Answer<'_, Answer<'static, Ingested>> {
        Box::pin(self.enqueue(move |db| ingest::ingest(db, &batch)))
    }

    fn next_serial(&self, issuer: KeyId) -> Answer<'_, u64> {
        self.write(move |db| write::next_serial(db, &issuer))
    }

    fn add_command(&self, command: NewCommand) -> Answer<'_, ()> {
        self.write(move |db| write::add_command(db, &command))
    }

    fn command(&self, id: CommandId) -> Answer<'_, Option<CommandRow>> {
        self.read(move |db| read::command(db, &id))
    }

    fn announcements(&self, limit: u32) -> Answer<'_, Vec<CommandRow>> {
        self.read(move |db| read::announcements(db, limit))
    }

    fn standing(&self, id: BoxId, now: Wall) -> Answer<'_, Vec<Standing>> {
        self.read(move |db| read::standing(db, &id, now))
    }

    fn documents(&self, now: Wall) -> Answer<'_, Vec<Document>> {
        self.read(move |db| read::documents(db, now))
    }

    fn move_boxes(&self, groups: Vec<(BoxId, Vec<GroupId>)>) -> Answer<'_, ()> {
        self.write(move |db| write::move_boxes(db, &groups))
    }

    fn add_cap(&self, alert: CapRow, names: Vec<String>) -> Answer<'_, bool> {
        self.write(move |db| cap::add(db, &alert, &names))
    }

    fn change_cap(&self, id: String, from: String, to: String) -> Answer<'_, bool> {
        self.write(move |db| cap::change(db, &id, &from, &to))
    }

    fn caps(&self) -> Answer<'_, Vec<CapRow>> {
        self.read(cap::all)
    }

    fn caps_in_state(&self, word: &'static str) -> Answer<'_, Vec<CapRow>> {
        self.read(move |db| cap::in_state(db, word))
    }

    fn cap(&self, id: String) -> Answer<'_, Option<CapRow>> {
        self.read(move |db| cap::by_id(db, &id))
    }

    fn caps_referred(&self, reference: String) -> Answer<'_, Vec<CapRow>> {
        self.read(move |db| cap::by_reference(db, &reference))
    }

    fn caps_naming(&self, reference: String) -> Answer<'_, Vec<CapRow>> {
        self.read(move |db| cap::naming(db, &reference))
    }

    fn pass_over_cap(&self, passed: PassedOver) -> Answer<'_, u32> {
        self.write(move |db| cap::pass_over(db, &passed))
    }

    fn cap_passed_over_no_more(&self, what: String) -> Answer<'_, ()> {
        self.write(move |db| cap::no_more_passed_over(db, &what))
    }

    fn caps_passed_over(&self) -> Answer<'_, Vec<PassedOver>> {
        self.read(cap::passed_over)
    }

    fn withdraw_draft(&self, id: CommandId) -> Answer<'_, ()> {
        self.write(move |db| drafts::withdraw(db, &id))
    }

    fn add_draft(&self, draft: NewDraft) -> Answer<'_, ()> {
        self.write(move |db| drafts::add(db, &draft))
    }

    fn drafts(&self, now: Wall) -> Answer<'_, Vec<DraftRow>> {
        self.read(move |db| drafts::open(db, now))
    }

    fn add_signature(&self, draft: CommandId, signature: DraftSignature) -> Answer<'_, ()> {
        self.write(move |db| drafts::add_signature(db, &draft, &signature))
    }

    fn envelopes(&self, ids: Vec<CommandId>) -> Answer<'_, Vec<Vec<u8>>> {
        self.read(move |db| read::envelopes(db, &ids))
    }

    fn deliveries(&self, command: CommandId) -> Answer<'_, Vec<DeliveryRow>> {
        self.read(move |db| read::deliveries(db, &command))
    }

    fn plays(&self, filter: LogFilter) -> Answer<'_, Vec<PlayRow>> {
        self.read(move |db| read::plays(db, &filter))
    }

    fn log(&self, filter: LogFilter) -> Answer<'_, Vec<LogRow>> {
        self.read(move |db| read::log(db, &filter))
    }

    fn not_played(&self, limit: u32) -> Answer<'_, Vec<NotPlayedRow>> {
        self.read(move |db| read::not_played(db, limit))
    }

    fn report(&self, from: Wall, to: Wall) -> Answer<'_, Vec<ReportRow>> {
        self.read(move |db| read::report(db, from, to))
    }

    fn add_media(&self, media: MediaRow) -> Answer<'_, ()> {
        self.write(move |db| write::add_media(db, &media))
    }

    fn media(&self, hash: ContentHash) -> Answer<'_, Option<MediaRow>> {
        self.read(move |db| read::media(db, hash))
    }

    fn raise_alarm(&self, alarm: Alarm) -> Answer<'_, ()> {
        self.write(move |db| write::raise_alarm(db, &alarm))
    }

    fn alarms(&self, limit: u32) -> Answer<'_, Vec<AlarmRow>> {
        self.read(move |db| read::alarms(db, limit))
    }

    fn contiguous_upto(&self, id: BoxId, epoch: Epoch) -> Answer<'_, u64> {
        self.read(move |db| read::contiguous_upto(db, &id, epoch))
    }
}
