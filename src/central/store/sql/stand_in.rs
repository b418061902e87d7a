//! The stand-in of a server that is away: a copy, in this process's memory, of what people need to sign in and to send or stop an
//! emergency. What urgent orders change meanwhile is changed there, and brought to the server when it is back.
//!
//! Nothing else stands in: whoever asks for anything but an urgent order hears that the server is away.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::types::Value;

use super::engine::{Connection, Result, Row, params_from_iter};
use super::prepare::prepare;
use super::touched;
use super::writer::in_savepoint;
use crate::store::{Answer, StoreError};
use loaxa_heart::domain::time::{Span, Wall};

/// The tables that are copied, each with the rows of it that are; `?1` is the begin of [`COPIED_FOR`].
const COPIED: [(&str, &str); 14] = [
    ("people", "TRUE"),
    ("roles", "TRUE"),
    ("recovery_codes", "TRUE"),
    ("passkeys", "TRUE"),
    ("sessions", "TRUE"),
    ("tokens", "TRUE"),
    ("messages", "TRUE"),
    ("pronunciations", "TRUE"),
    ("media", "sha256 IN (SELECT lower(hex(media)) FROM messages)"),
    ("calls", "began > ?1"),
    ("call_replies", "call IN (SELECT id FROM calls WHERE began > ?1)"),
    ("drafts", "made > ?1"),
    ("draft_signatures", "draft IN (SELECT id FROM drafts WHERE made > ?1)"),
    ("commands", "class IS NOT NULL AND issued_at > ?1 ORDER BY issued_at DESC"),
];
/// Age up to which orders and calls are copied: an emergency that waits or sounds is younger.
const COPIED_FOR: Span = Span::secs(86_400);
/// Tables that grow here and are of no use after the change's way to the server.
const PASSING: &str =
    "DELETE FROM deliveries; DELETE FROM challenges; DELETE FROM acts; DELETE FROM documents";
/// Most rows that are copied of one table, so that the copy stays small whatever the database holds.
const ROWS_MAX: usize = 5_000;
/// Most changes that wait for the server. Further ones hold here, and are lost to the server: of an emergency that goes out then,
/// who signed it and how it went on.
const OWED_MAX: usize = 4_096;
/// The last of these places, which are for drafts, signatures, commands, calls and stops, and for what may be used once: any
/// number of people signing in leaves them free.
const KEPT_FOR_ORDERS: usize = 1_024;

/// A change as often as it is needed: here, and on the server.
pub type Run = Arc<dyn Fn(&Connection) -> Result<()> + Send + Sync>;

/// A change that the server lacks.
pub struct Change {
    pub run: Run,
    /// The answer of a server that was asked and had not answered yet.
    pub answer: Option<Answer<'static, ()>>,
}

/// The need of the server for a change that was made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// None once the server is back.
    Passing,
    /// The server gets it unless there are very many.
    IfRoom,
    Order,
}

/// The changes that the server lacks.
#[derive(Default)]
struct Owed {
    changes: VecDeque<Change>,
    /// Those for which there was no place.
    dropped: u64,
}

/// The copy, and what was changed in it.
pub struct StandIn {
    copy: Mutex<Copied>,
    owed: Mutex<Owed>,
    is_away: AtomicBool,
}

struct Copied {
    db: Connection,
    /// Changes since the start, by which a copy that was read before one of them is known to be old.
    changes: u64,
    is_filled: bool,
}

/// Rows of each copied table.
type Rows = Vec<Vec<Vec<Value>>>;

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StandIn {
    /// Makes an empty copy.
    pub fn new() -> Result<Self> {
        let db = rusqlite::Connection::open_in_memory()?;
        // A part of the tables is copied.
        db.pragma_update(None, "foreign_keys", false)?;
        let db = Connection::Sqlite(db);
        prepare(&db)?;
        // The audit trail that is to stay is the server's.
        db.execute_batch("DROP TRIGGER acts_are_kept")?;
        let copy = Copied { db, changes: 0, is_filled: false };
        Ok(Self { copy: Mutex::new(copy), owed: Mutex::default(), is_away: AtomicBool::new(false) })
    }

    /// Copies from the server, on a thread of its own.
    pub fn fill(&self, server: &Connection, now: Wall) -> Result<()> {
        let read = self.read(server, now)?;
        self.put(read)
    }

    fn read(&self, server: &Connection, now: Wall) -> Result<(u64, Rows)> {
        let (changes, columns) = {
            let copy = lock(&self.copy);
            let columns = COPIED.iter().map(|(table, _)| columns(&copy.db, table));
            (copy.changes, columns.collect::<Result<Vec<_>>>()?)
        };
        let since = now.minus(COPIED_FOR).0;
        let rows = COPIED.iter().zip(columns).map(|((table, of_them), columns)| {
            let sql = format!("SELECT {} FROM {table} WHERE {of_them} LIMIT {ROWS_MAX}", columns.join(", "));
            let values: Vec<Value> = if of_them.contains("?1") { vec![since.into()] } else { Vec::new() };
            let mut query = server.prepare_cached(&sql)?;
            let row =
                |row: &Row| (0..columns.len()).map(|place| row.get(place)).collect::<Result<Vec<Value>>>();
            query.query_map(params_from_iter(values.iter()), row)?.collect::<Result<Vec<_>>>()
        });
        Ok((changes, rows.collect::<Result<_>>()?))
    }

    /// Takes what was read in place of what is here, unless something was changed here since.
    fn put(&self, (changes, rows): (u64, Rows)) -> Result<()> {
        let mut copy = lock(&self.copy);
        if copy.changes != changes || self.owes() {
            return Ok(());
        }
        copy.db.in_transaction(|db| {
            for ((table, _), rows) in COPIED.iter().zip(&rows) {
                db.execute_batch(&format!("DELETE FROM {table}"))?;
                let columns = columns(db, table)?;
                let places = vec!["?"; columns.len()].join(", ");
                let insert = format!("INSERT INTO {table} ({}) VALUES ({places})", columns.join(", "));
                let mut insert = db.prepare_cached(&insert)?;
                rows.iter().try_for_each(|row| insert.execute(params_from_iter(row.iter())).map(drop))?;
            }
            db.execute_batch(PASSING)
        })?;
        copy.is_filled = true;
        Ok(())
    }

    /// Tells whether the server lacks a change of which this copy knows: until it has all, the copy is what is asked.
    pub fn owes(&self) -> bool {
        !lock(&self.owed).changes.is_empty()
    }

    /// Notes whether the server was there.
    pub fn note_reach(&self, is_there: bool) {
        if self.is_away.swap(!is_there, Ordering::Relaxed) == is_there {
            tracing::warn!(is_there, "the database server");
        }
    }

    /// Tells whether urgent orders go without the server now.
    pub fn is_needed(&self) -> bool {
        self.is_away.load(Ordering::Relaxed) || self.owes()
    }

    /// Asks the copy.
    pub fn ask<T>(&self, question: impl FnOnce(&Connection) -> Result<T>) -> Result<T, StoreError> {
        let copy = lock(&self.copy);
        if copy.is_filled { question(&copy.db).map_err(StoreError::from) } else { Err(StoreError::Away) }
    }

    /// Changes the copy.
    pub fn change<T>(&self, operation: impl Fn(&Connection) -> Result<T>) -> Result<T, StoreError> {
        let mut copy = lock(&self.copy);
        if !copy.is_filled {
            return Err(StoreError::Away);
        }
        copy.changes += 1;
        let done = copy.db.in_transaction(|db| in_savepoint(db, &operation));
        // Nobody remembers anything of what is read here.
        touched::take();
        done.map_err(StoreError::from)
    }

    /// Keeps a change, which is made here already, until the server has it.
    pub fn owe(&self, change: Change, need: Need) {
        let room = match need {
            Need::Passing => return,
            Need::IfRoom => OWED_MAX - KEPT_FOR_ORDERS,
            Need::Order => OWED_MAX,
        };
        let mut owed = lock(&self.owed);
        if owed.changes.len() < room {
            owed.changes.push_back(change);
            return;
        }
        if owed.dropped == 0 {
            tracing::error!(
                "there are more changes than can wait for the database server: further ones are lost to it"
            );
        }
        owed.dropped += 1;
    }

    /// The oldest change that the server lacks.
    pub fn first(&self) -> Option<Change> {
        let mut owed = lock(&self.owed);
        let first = owed.changes.front_mut()?;
        Some(Change { run: Arc::clone(&first.run), answer: first.answer.take() })
    }

    /// Forgets the oldest, which the server has now, or never takes.
    pub fn forget_first(&self) {
        let mut owed = lock(&self.owed);
        owed.changes.pop_front();
        if owed.changes.is_empty() && owed.dropped > 0 {
            let dropped = std::mem::take(&mut owed.dropped);
            tracing::error!(
                dropped,
                "changes that were made while the database server was away are not kept"
            );
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let owed = lock(&self.owed).changes.len();
        if owed > 0 {
            tracing::error!(
                owed,
                "the database server was away to the end: what urgent orders changed is not kept"
            );
        }
    }
}

/// The columns of a table here, as both engines read them. A server may have more.
fn columns(db: &Connection, table: &str) -> Result<Vec<String>> {
    let mut query = db.prepare_cached("SELECT '\"' || name || '\"' FROM pragma_table_info(?1)")?;
    query.query_map([table], |row| row.get(0))?.collect()
}
