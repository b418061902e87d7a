//! The stand-in of a server that is away: a copy, in this process's memory, of what people need to sign in and to send or stop an
//! emergency. What urgent orders change meanwhile is changed there, and brought to the server when it is back.
//!
//! Nothing else stands in: whoever asks for anything but an urgent order hears that the server is away.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::types::Value;

use super::engine::{Connection, Result, Row, params_from_iter};
use super::prepare::prepare;
use super::touched;
use super::writer::in_savepoint;
use crate::store::{Answer, StoreError};
use loaxa_heart::domain::time::{Span, Wall};

/// The tables that are copied, each with the rows of it that are, the newest first; `?1` is the begin of [`COPIED_FOR`].
const COPIED: [(&str, &str); 15] = [
    ("people", "TRUE ORDER BY \"left\" IS NOT NULL, made DESC"),
    ("roles", "ended IS NULL ORDER BY id DESC"),
    ("shifts", "TRUE ORDER BY id DESC"),
    ("recovery_codes", "TRUE ORDER BY person, code"),
    ("passkeys", "TRUE ORDER BY made DESC"),
    ("sessions", "TRUE ORDER BY seen DESC"),
    ("tokens", "revoked IS NULL ORDER BY made DESC"),
    ("messages", "TRUE ORDER BY made DESC"),
    ("pronunciations", "TRUE ORDER BY at DESC"),
    ("media", "sha256 IN (SELECT lower(hex(media)) FROM messages) ORDER BY added DESC"),
    ("calls", "began > ?1 ORDER BY began DESC"),
    ("call_replies", "call IN (SELECT id FROM calls WHERE began > ?1) ORDER BY at DESC"),
    ("drafts", "made > ?1 ORDER BY made DESC"),
    ("draft_signatures", "draft IN (SELECT id FROM drafts WHERE made > ?1) ORDER BY at DESC"),
    ("commands", "kind = 'announce' AND issued_at > ?1 ORDER BY issued_at DESC"),
];
/// Age up to which orders and calls are copied: an emergency that waits or sounds is younger.
const COPIED_FOR: Span = Span::secs(86_400);
/// Tables that grow here and are of no use after the change's way to the server.
const PASSING: &str =
    "DELETE FROM deliveries; DELETE FROM challenges; DELETE FROM acts; DELETE FROM documents";
/// Most rows that are copied of one table, so that the copy stays small whatever the database holds.
const ROWS_MAX: usize = 5_000;
/// Most times that a copy is read because something was changed here meanwhile.
const READS_MAX: usize = 3;
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
    /// Tables of which more than [`ROWS_MAX`] rows are to be copied.
    cut: Mutex<BTreeSet<&'static str>>,
}

struct Copied {
    db: Connection,
    /// Changes since the start, by which a copy that was read before one of them is known to be old.
    changes: u64,
    /// Reads of the server that were begun since the start.
    reads: u64,
    /// The number of the read that is here; 0 before the first.
    filled: u64,
}

/// A copy on its way from the server.
struct Read {
    /// The number among all reads, in the order in which they were begun.
    number: u64,
    /// The changes of the copy that was here when it was begun.
    changes: u64,
    /// Rows of each copied table.
    rows: Vec<Vec<Vec<Value>>>,
}

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
        let copy = Copied { db, changes: 0, reads: 0, filled: 0 };
        Ok(Self {
            copy: Mutex::new(copy),
            owed: Mutex::default(),
            is_away: AtomicBool::new(false),
            cut: Mutex::default(),
        })
    }

    /// Copies from the server, on a thread of its own; false where what is here was changed again and again meanwhile.
    pub fn fill(&self, server: &Connection, now: Wall) -> Result<bool> {
        for _ in 0..READS_MAX {
            let read = self.read(server, now)?;
            if self.put(read)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn read(&self, server: &Connection, now: Wall) -> Result<Read> {
        let (number, changes, columns) = {
            let mut copy = lock(&self.copy);
            copy.reads += 1;
            let columns = COPIED.iter().map(|(table, _)| columns(&copy.db, table));
            (copy.reads, copy.changes, columns.collect::<Result<Vec<_>>>()?)
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
        let rows = rows.collect::<Result<Vec<_>>>()?;
        self.warn_of_cuts(&rows);
        Ok(Read { number, changes, rows })
    }

    /// Warns once of each table that does not fit.
    fn warn_of_cuts(&self, rows: &[Vec<Vec<Value>>]) {
        let mut cut = lock(&self.cut);
        for ((table, _), rows) in COPIED.iter().zip(rows) {
            if rows.len() < ROWS_MAX {
                cut.remove(table);
            } else if cut.insert(table) {
                tracing::warn!(
                    table,
                    rows_max = ROWS_MAX,
                    "a table is larger than its copy for times without the server"
                );
            }
        }
    }

    /// Takes what was read in place of what is here, and tells whether what is here is as new as that: nothing was changed here
    /// since, or a later read has come already.
    fn put(&self, Read { number, changes, rows }: Read) -> Result<bool> {
        let mut copy = lock(&self.copy);
        if number < copy.filled {
            return Ok(true);
        }
        if copy.changes != changes || self.owes() {
            return Ok(false);
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
        copy.filled = number;
        Ok(true)
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
        if copy.filled > 0 { question(&copy.db).map_err(StoreError::from) } else { Err(StoreError::Away) }
    }

    /// Changes the copy.
    pub fn change<T>(&self, operation: impl Fn(&Connection) -> Result<T>) -> Result<T, StoreError> {
        let mut copy = lock(&self.copy);
        if copy.filled == 0 {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A server with the session of An.
    fn server() -> Connection {
        let db = Connection::Sqlite(rusqlite::Connection::open_in_memory().unwrap());
        prepare(&db).unwrap();
        db.execute_batch("INSERT INTO people (id, name, reach, made) VALUES ('an', 'An', '', 1)").unwrap();
        db.execute_batch("INSERT INTO sessions VALUES (x'01', 'an', 'full', 1, 1, '', '')").unwrap();
        db
    }

    fn count(of: &Connection, sql: &str) -> Result<i64> {
        of.prepare_cached(sql)?.query_row([], |row| row.get(0))
    }

    const SESSIONS: &str = "SELECT count(*) FROM sessions";

    #[test]
    fn a_copy_that_was_begun_earlier_brings_no_ended_session_back() {
        let (server, stand_in) = (server(), StandIn::new().unwrap());
        assert!(stand_in.fill(&server, Wall(9)).unwrap());
        let slow = stand_in.read(&server, Wall(9)).unwrap();
        server.execute_batch("DELETE FROM sessions").unwrap();
        assert!(stand_in.fill(&server, Wall(9)).unwrap());
        assert!(stand_in.put(slow).unwrap(), "what is here is newer");
        assert_eq!(stand_in.ask(|db| count(db, SESSIONS)), Ok(0));
    }

    #[test]
    fn what_was_changed_while_a_copy_was_read_is_read_again() {
        let (server, stand_in) = (server(), StandIn::new().unwrap());
        assert!(stand_in.fill(&server, Wall(9)).unwrap());
        server.execute_batch("DELETE FROM sessions").unwrap();
        let read = stand_in.read(&server, Wall(9)).unwrap();
        stand_in.change(|db| db.execute_batch("UPDATE sessions SET seen = 2")).unwrap();
        assert!(!stand_in.put(read).unwrap(), "it lacks the change");
        assert_eq!(stand_in.ask(|db| count(db, SESSIONS)), Ok(1));
        assert!(stand_in.fill(&server, Wall(9)).unwrap());
        assert_eq!(stand_in.ask(|db| count(db, SESSIONS)), Ok(0));
    }

    #[test]
    fn a_table_that_does_not_fit_keeps_its_newest() {
        let (server, stand_in) = (server(), StandIn::new().unwrap());
        let add = format!(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n <= {ROWS_MAX})
             INSERT INTO roles (person, role, in_group, asked, ended) SELECT 'an', 'duty', 'xa', n, n % 2 FROM n;
             UPDATE roles SET ended = NULL WHERE asked % 2 = 0;
             INSERT INTO sessions SELECT CAST(asked AS BLOB), 'an', 'full', asked, asked, '', '' FROM roles;"
        );
        server.execute_batch(&add).unwrap();
        assert!(stand_in.fill(&server, Wall(9)).unwrap());
        let asked = |sql| stand_in.ask(|db| count(db, sql));
        assert_eq!(
            asked("SELECT count(*) FROM roles"),
            Ok(ROWS_MAX as i64 / 2),
            "those that have ended are not needed"
        );
        assert_eq!(asked(SESSIONS), Ok(ROWS_MAX as i64));
        assert_eq!(asked("SELECT max(seen) FROM sessions"), Ok(ROWS_MAX as i64 + 1));
        assert_eq!(lock(&stand_in.cut).iter().copied().collect::<Vec<_>>(), ["sessions"]);
    }
}
