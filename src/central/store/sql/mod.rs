//! The store: one writing thread that groups what waits into one commit, and reading threads by purpose, over SQLite in a
//! file or over a PostgreSQL server.

mod airings;
mod alarms;
mod alerts;
mod among;
mod anchors;
mod asked;
mod audit;
pub mod backup;
mod boxes;
mod calls;
mod columns;
mod commands;
mod connect;
mod database;
mod day_facts;
mod day_sums;
mod deliveries;
mod documents;
mod drafts;
mod engine;
mod enrolment;
mod feedback;
mod health;
mod hours;
mod intake;
mod keeping;
mod kinds;
mod listening;
mod live;
mod log;
mod log_parts;
mod media;
mod memory;
mod messages;
pub mod moving;
mod notices;
mod passkeys;
mod peers;
mod people;
mod places;
mod plays;
mod prepare;
mod pronunciations;
mod proposals;
mod reach;
mod readers;
mod rollouts;
mod roster;
mod running;
mod serials;
mod sessions;
mod signs;
mod stand_in;
mod standing_in;
mod steps;
mod together;
mod tokens;
mod touched;
mod troubles;
mod webhooks;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::answer::{Answer, StoreError};
use super::errand::{Errand, Reader};
use super::peers::News;
use crate::disk::Disk;
use crate::settings::BoxDeclared;
use among::Among;
use connect::{QUEUE_MAX, spawn};
use database::Way;
pub use engine::for_postgres;
use engine::{Connection, Target};
pub use listening::Beside;
use listening::{HEARD_MAX, Listening};
use live::{ForBox, Live};
use loaxa_heart::config::store_file::Database;
use loaxa_heart::decide::delivery::Standing;
use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::wire::messages::Holds;
use memory::Memory;
use prepare::prepare;
use readers::Readers;
pub use running::work_alone_on;
use serials::Aside;
use signs::{Flush, Part, Shown, Signs};
use stand_in::StandIn;
use together::Together;
use writer::{Operation, Under, Write, write_until_closed};

/// Questions about single boxes, which any number of boxes give cause for at once.
#[derive(Default)]
struct OfBoxes {
    enrolled: Together<BoxId, BoxDeclared>,
    shown: Together<BoxId, Shown>,
    holds: Together<BoxId, (Holds, Option<Wall>)>,
    standing: Together<ForBox, Vec<Standing>>,
}

/// The store of one commune.
pub struct SqlStore {
    writer: Option<mpsc::Sender<Box<dyn Operation>>>,
    readers: Option<Readers>,
    threads: Vec<JoinHandle<()>>,
    /// The last number given for each issuer, which stays given where the database would not keep it.
    serials: Mutex<BTreeMap<String, u64>>,
    /// Numbers that this process alone gives, while a server is away.
    aside: Mutex<BTreeMap<String, Aside>>,
    signs: Arc<Signs>,
    live: Arc<Live>,
    of_boxes: OfBoxes,
    memory: Memory,
    /// `None` where the database is in a file.
    stand_in: Option<Arc<StandIn>>,
    among: Arc<Among>,
    /// The way to a server, by which this process listens to other centrals there.
    target: Option<Box<Target>>,
    /// Tells the listening thread to end.
    ended: Arc<AtomicBool>,
    /// Held while this process works on a file, so that no other does.
    running: Option<File>,
}

impl SqlStore {
    /// Opens or creates the database in a file.
    ///
    /// # Errors
    /// Fails when the file can't be opened, or is no database of this program.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_at(&Database::Sqlite(path.to_owned()), None)
    }

    /// Opens or creates a database. A disk that is watched has room of its own for what is urgent.
    ///
    /// # Errors
    /// Fails when the database can't be reached, or is none of this program.
    pub fn open_at(database: &Database, disk: Option<Arc<Disk>>) -> Result<Self, StoreError> {
        let way = Way::to(database)?;
        let under = |disk| if matches!(way, Way::File(_)) { Under::Here(disk) } else { Under::There(disk) };
        let under = disk.map(under);
        let cant_open = |detail: String| StoreError::CantOpen { path: way.name(), detail };
        let writing = way.connect().map_err(|error| cant_open(error.to_string()))?;
        let is_server = matches!(way, Way::Server { .. });
        let stand_in =
            is_server.then(StandIn::new).transpose().map_err(|error| cant_open(error.to_string()))?;
        let stand_in = stand_in.map(Arc::new);
        let writing = on_own_thread(|| {
            let prepared = prepare(&writing).or_else(|error| match &under {
                // A new version may need room before anything else.
                Some(Under::Here(disk)) if (error.is_full() || error.is_of_io()) && disk.spend() => {
                    prepare(&writing)
                }
                _ => Err(error),
            });
            prepared?;
            let serials = serials::given(&writing)?;
            if let Some(stand_in) = &stand_in {
                stand_in.fill(&writing, loaxa_adapters::clock::wall())?;
            }
            engine::Result::Ok((writing, under, serials))
        });
        let (writing, under, serials) =
            writing.map_err(|error: engine::Error| cant_open(error.to_string()))?;
        let (writer, jobs) = mpsc::channel(QUEUE_MAX);
        let mut threads = Vec::new();
        let readers = Readers::open(&way, &mut threads).map_err(cant_open)?;
        let live = Arc::<Live>::default();
        let among = Arc::<Among>::default();
        let remembers = (under, Arc::clone(&live), Arc::clone(&among));
        let write = spawn("loaxa-store-write", move || write_until_closed(writing, jobs, remembers));
        threads.push(write.map_err(|error| cant_open(error.to_string()))?);
        Ok(Self {
            writer: Some(writer),
            readers: Some(readers),
            threads,
            serials: Mutex::new(serials),
            aside: Mutex::default(),
            signs: Arc::default(),
            live,
            of_boxes: OfBoxes::default(),
            memory: Memory::of(is_server),
            stand_in,
            among,
            target: match way {
                Way::Server { target, .. } => Some(target),
                Way::File(_) => None,
            },
            ended: Arc::default(),
            running: None,
        })
    }

    /// Begins the work of a central on this database, beside nobody or beside others; gives what others change from then on.
    ///
    /// # Errors
    /// [`StoreError::Taken`] where another central works on it that allows no other, or this one would not.
    pub fn begin_to_work(
        &mut self,
        database: &Database,
        beside: Beside,
    ) -> Result<mpsc::Receiver<News>, StoreError> {
        let (told, news) = mpsc::channel(HEARD_MAX);
        let taken = || StoreError::Taken { place: name_of(database) };
        let cant_open = |detail: String| StoreError::CantOpen { path: name_of(database), detail };
        let Some(target) = self.target.clone() else {
            let Some(path) = database.file() else { return Ok(news) };
            self.running = Some(work_alone_on(path)?);
            return Ok(news);
        };
        if beside == Beside::Others {
            self.among.expect_peers();
            self.signs.write_often();
        }
        let listening = Listening {
            target: *target,
            beside,
            among: Arc::clone(&self.among),
            live: Arc::clone(&self.live),
            signs: Arc::clone(&self.signs),
            writer: self.writer.as_ref().ok_or(StoreError::Closed)?.downgrade(),
            told,
            ended: Arc::clone(&self.ended),
        };
        let came = on_own_thread(|| listening.come_in()).map_err(|error| cant_open(error.to_string()))?;
        let ear = came.ok_or_else(taken)?;
        let thread = spawn("loaxa-store-listen", move || listening.run(ear));
        self.threads.push(thread.map_err(|error| cant_open(error.to_string()))?);
        Ok(news)
    }

    /// Hands an operation to the writing thread; the inner answer resolves when it is committed.
    async fn enqueue<T: Send + 'static>(
        &self,
        operation: impl Fn(&Connection) -> engine::Result<T> + Send + 'static,
    ) -> Result<Answer<'static, T>, StoreError> {
        let (tell, told) = oneshot::channel();
        let is_urgent = Errand::of_now().is_urgent;
        self.hand_over(Box::new(Write { operation, result: None, tell, is_urgent }), told).await
    }

    async fn hand_over<T: Send + 'static>(
        &self,
        job: Box<dyn Operation>,
        told: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<Answer<'static, T>, StoreError> {
        self.writer.as_ref().ok_or(StoreError::Closed)?.send(job).await.map_err(|_| StoreError::Closed)?;
        Ok(Box::pin(async move { told.await.unwrap_or(Err(StoreError::Closed)) }))
    }

    fn write<'a, T: Send + 'static>(
        &'a self,
        operation: impl Fn(&Connection) -> engine::Result<T> + Send + 'static,
    ) -> Answer<'a, T> {
        Box::pin(self.memory.bounded(async move { self.enqueue(operation).await?.await }))
    }

    fn read<'a, T: Send + 'static>(
        &'a self,
        question: impl FnOnce(&Connection) -> engine::Result<T> + Send + 'static,
    ) -> Answer<'a, T> {
        Box::pin(self.memory.bounded(async move {
            let readers = self.readers.as_ref().ok_or(StoreError::Closed)?;
            readers.ask(Errand::of_now().reader, question).await
        }))
    }

    /// Asks about one thing; what boxes give cause for is asked together.
    fn read_about<'a, K: Ord + Clone + Send + 'static, V: Clone + Send + 'static>(
        &'a self,
        together: &'a Together<K, V>,
        about: K,
        question: impl FnOnce(&Connection, &BTreeSet<K>) -> engine::Result<BTreeMap<K, V>> + Send + 'static,
    ) -> Answer<'a, Option<V>> {
        if Errand::of_now().reader != Reader::Wire {
            return self.read(move |db| Ok(question(db, &BTreeSet::from([about.clone()]))?.remove(&about)));
        }
        Box::pin(self.memory.bounded(async move {
            let readers = self.readers.as_ref().ok_or(StoreError::Closed)?;
            readers.ask_together(together, about, question).await
        }))
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
        self.ended.store(true, Ordering::Relaxed);
        self.writer = None;
        self.readers = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store ended in a panic");
            }
        }
    }
}

/// Says to people where a database is.
fn name_of(database: &Database) -> String {
    match database {
        Database::Sqlite(path) => path.display().to_string(),
        Database::Postgres(server) => server.url.clone(),
    }
}

/// Runs something on a thread that runs no asynchronous work: a connection to a server has its own.
fn on_own_thread<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(run);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
