//! A database in a file is carried over to a server, whole and in one transaction: a break leaves the server as it was, and the
//! move begins anew.

use std::path::Path;

use super::SqlStore;
use super::columns::count;
use super::connect::{connect, connect_to_read};
use super::database::Way;
use super::engine::{Connection, Error, Result, Value, params};
use super::{log_parts, on_own_thread, prepare, running};
use crate::store::StoreError;
use loaxa_adapters::clock::wall;
use loaxa_heart::config::store_file::Database;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;

/// Memory for reading the file, in KiB.
const CACHE_KIB: u32 = 65_536;
/// Rows that are read, sent and compared at once.
const ROWS_AT_ONCE: usize = 2_000;

/// A step of a move, for people who wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// So many rows of a table are on their way.
    Sent { table: String, rows: u64, of: u64 },
    /// So many logs of boxes were read back, and are the same entry for entry.
    Compared { logs: u64, of: u64 },
}

/// Counts of everything that was carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    pub rows: u64,
    pub logs: u64,
    pub entries: u64,
    /// Tells that all lay on the server already, from a move whose end was not told.
    pub was_there: bool,
}

/// Carries a database over, checks it there, and marks the file, so that no central begins on it any more.
///
/// # Errors
/// Fails where a central works on the file, the server has other rows, or something is not the same there. The server is then as
/// it was before.
pub fn move_to(file: &Path, server: &Database, tell: &(dyn Fn(Step) + Sync)) -> Result<Moved, StoreError> {
    let _alone = running::work_alone_on(file)?;
    // Brings the tables to this version, and refuses a file that was carried over.
    drop(SqlStore::open(file)?);
    let way = Way::to(server)?;
    let moved = on_own_thread(|| {
        let from = connect_to_read(file, CACHE_KIB)?;
        let moved = way.connect_to_fill()?.in_transaction(|to| fill(&from, to, tell))?;
        connect(file)?.execute(
            "INSERT INTO carried_over (one, server, at) VALUES (1, ?1, ?2) ON CONFLICT DO NOTHING",
            params![way.name(), wall().0],
        )?;
        Ok(moved)
    });
    moved.map_err(|error: Error| StoreError::CantOpen { path: way.name(), detail: error.to_string() })
}

/// A table with its columns, in the order in which rows may refer to others.
struct Table {
    name: String,
    columns: Vec<String>,
}

impl Table {
    /// The columns as SQL; some are words of its own.
    fn columns(&self) -> String {
        self.columns.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ")
    }

    fn count(&self, db: &Connection) -> Result<u64> {
        let table = &self.name;
        db.prepare_cached(&format!("SELECT count(*) AS held FROM {table}"))?
            .query_row([], |row| count(row, "held"))
    }
}

fn fill(from: &Connection, to: &Connection, tell: &(dyn Fn(Step) + Sync)) -> Result<Moved> {
    prepare::prepare_server(to)?;
    let tables = tables()?;
    let mut moved = Moved::default();
    let mut held = 0;
    for table in &tables {
        held += table.count(to)?;
    }
    if held == 0 {
        for table in &tables {
            send(from, to, table, tell)?;
        }
        go_on_with_numbers(from, to)?;
    }
    for table in &tables {
        let (here, there) = (table.count(from)?, table.count(to)?);
        if here != there {
            let said = if held == 0 {
                said!("moving.other_count", table = table.name, here, there)
            } else {
                said!("moving.not_empty")
            };
            return Err(Error::Unfit(said));
        }
        moved.rows += here;
    }
    (moved.logs, moved.entries) = compare(from, to, tell)?;
    moved.was_there = held > 0;
    Ok(moved)
}

/// The tables that are carried over: all but the mark that they were.
fn tables() -> Result<Vec<Table>> {
    let model = Connection::Sqlite(rusqlite::Connection::open_in_memory()?);
    model.execute_batch(prepare::SCHEMA)?;
    let mut query = model.prepare_cached(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'carried_over'
         ORDER BY rowid",
    )?;
    let names = query.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>>>()?;
    let table = |name: String| {
        let mut query = model.prepare_cached("SELECT name FROM pragma_table_info(?1)")?;
        let columns = query.query_map([&name], |row| row.get(0))?.collect::<Result<_>>()?;
        Ok(Table { name, columns })
    };
    names.into_iter().map(table).collect()
}

fn send(from: &Connection, to: &Connection, table: &Table, tell: &(dyn Fn(Step) + Sync)) -> Result<()> {
    let (of, width) = (table.count(from)?, table.columns.len());
    let arrived = table.columns.iter().position(|column| table.name == "log" && column == "arrived");
    let (table, fields) = (&table.name, table.columns());
    let mut query = from.prepare_cached(&format!("SELECT {fields} FROM {table} ORDER BY 1"))?;
    let mut rows = query.query([])?;
    let (mut sent, mut waiting) = (0, Vec::new());
    loop {
        let row = rows.next()?;
        let is_last = row.is_none();
        if let Some(row) = row {
            let values = (0..width).map(|place| row.get(place));
            waiting.push(values.collect::<Result<Vec<Value>>>()?);
        }
        if waiting.len() == ROWS_AT_ONCE || is_last && !waiting.is_empty() {
            if let Some(place) = arrived {
                let at = |row: &Vec<Value>| match row[place] {
                    Value::Integer(at) => Wall(at),
                    _ => Wall(0),
                };
                log_parts::make_rooms(to, waiting.iter().map(at))?;
            }
            to.insert_rows(&format!("{table} ({fields})"), &waiting)?;
            sent += waiting.len() as u64;
            waiting.clear();
            tell(Step::Sent { table: table.clone(), rows: sent, of });
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Has the server's numbers of rows go on behind those of the file, also behind those that were deleted since.
fn go_on_with_numbers(from: &Connection, to: &Connection) -> Result<()> {
    let mut query = from.prepare_cached(
        "SELECT tables.name AS name, columns.name AS number FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
         WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%' AND tables.sql LIKE '%INTEGER PRIMARY KEY%'
           AND tables.sql NOT LIKE '%CHECK (one = 1)%' AND columns.pk = 1 AND columns.type = 'INTEGER'",
    )?;
    let numbered = query.query_map([], |row| Ok((row.get("name")?, row.get("number")?)))?;
    for (table, number) in numbered.collect::<Result<Vec<(String, String)>>>()? {
        let given: Option<i64> = from
            .prepare_cached("SELECT max(seq) FROM sqlite_sequence WHERE name = ?1")?
            .query_row([&table], |row| row.get(0))?;
        let last: Option<i64> = from
            .prepare_cached(&format!("SELECT max({number}) FROM {table}"))?
            .query_row([], |row| row.get(0))?;
        if let Some(last) = given.max(last) {
            to.prepare_cached(
                "SELECT setval(CAST(coalesce(pg_get_serial_sequence(?1, ?2), ?1 || '_cursors') AS regclass), ?3)",
            )?
            .query_row(params![table, number, last], |_| Ok(()))?;
        }
    }
    Ok(())
}

/// An entry as it is compared.
type Entry = (u64, ContentHash, String);

/// Reads every log back, entry by entry, and checks that each has the hash of what stands in it and the last one that of its
/// head; returns the number of logs and of entries.
fn compare(from: &Connection, to: &Connection, tell: &(dyn Fn(Step) + Sync)) -> Result<(u64, u64)> {
    let heads = |db: &Connection| {
        let mut query = db.prepare_cached("SELECT box, epoch, upto, hash FROM heads ORDER BY box, epoch")?;
        let heads = query.query_map([], |row| {
            Ok((row.get("box")?, row.get("epoch")?, count(row, "upto")?, ContentHash(row.get("hash")?)))
        })?;
        heads.collect::<Result<Vec<(String, String, u64, ContentHash)>>>()
    };
    let known = heads(from)?;
    let other = |id: &str| Error::Unfit(said!("moving.other_log", box = id));
    if known != heads(to)? {
        return Err(other("heads"));
    }
    let (of, mut entries) = (known.len() as u64, 0);
    for ((id, epoch, upto, hash), logs) in known.into_iter().zip(1..) {
        let mut after = 0;
        loop {
            let here = page(from, (&id, &epoch), after)?;
            if here != page(to, (&id, &epoch), after)? {
                return Err(other(&id));
            }
            let Some((last, last_hash, _)) = here.last() else { break };
            let is_whole = here.iter().all(|(_, hash, body)| *hash == ContentHash::of(body.as_bytes()));
            if !is_whole || *last == upto && *last_hash != hash {
                return Err(other(&id));
            }
            after = *last;
            entries += here.len() as u64;
        }
        tell(Step::Compared { logs, of });
    }
    Ok((of, entries))
}

fn page(db: &Connection, (id, epoch): (&str, &str), after: u64) -> Result<Vec<Entry>> {
    let mut query = db.prepare_cached(
        "SELECT seq, hash, body FROM log WHERE box = ?1 AND epoch = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4",
    )?;
    let rows = query.query_map(params![id, epoch, after as i64, ROWS_AT_ONCE as i64], |row| {
        Ok((count(row, "seq")?, ContentHash(row.get("hash")?), row.get("body")?))
    })?;
    rows.collect()
}
