//! Opening the file, seeing whether it is whole, and putting it aside where it is not.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::error::StoreError;
use super::rows::{last_known, meta, read_map, to_sql};
use crate::clock::LastKnown;
use loaxa_heart::domain::ids::{BoxId, Epoch};
use loaxa_heart::wire::chain::{self, Link};
use loaxa_heart::wire::messages::LogRecord;

/// Number of the last records that are checked against the chain at start.
const CHAIN_CHECK_RECORDS: u64 = 200;

/// Contents that a new store takes over from the one that it replaces.
#[derive(Default)]
pub struct Carried {
    pub start: u32,
    pub last_known: LastKnown,
    pub memory: BTreeMap<String, String>,
    pub commands: BTreeMap<String, Vec<u8>>,
    pub documents: BTreeMap<String, Vec<u8>>,
}

pub fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304; \
         PRAGMA cache_size = -1024; PRAGMA temp_store = MEMORY;",
    )?;
    Ok(connection)
}

pub fn quick_check(connection: &Connection, table: Option<&str>) -> Result<(), StoreError> {
    let pragma =
        table.map_or("PRAGMA quick_check(1)".to_owned(), |table| format!("PRAGMA quick_check({table})"));
    match connection.query_row(&pragma, [], |row| row.get::<_, String>(0))? {
        found if found == "ok" => Ok(()),
        detail => Err(StoreError::Damaged { detail }),
    }
}

/// Checks the last records against the chain and says where it stands.
pub fn check_tail(connection: &Connection, box_id: &BoxId, epoch: Epoch) -> Result<Link, StoreError> {
    let mut select = connection
        .prepare("SELECT seq, body FROM log ORDER BY seq DESC LIMIT ?1")
        .map_err(StoreError::from)?;
    let rows = select.query_map([to_sql(CHAIN_CHECK_RECORDS)], |row| {
        Ok(LogRecord { seq: row.get::<_, i64>(0)? as u64, body: row.get(1)? })
    })?;
    let mut records = rows.collect::<Result<Vec<_>, _>>()?;
    records.reverse();
    let Some((first, rest)) = records.split_first() else { return Ok(Link::FIRST) };
    let from = Link::after(first.seq, &first.body);
    let damaged = |broken: chain::Break| StoreError::Damaged { detail: broken.to_string() };
    chain::verify_chain(box_id, epoch, from, rest).map_err(damaged)
}

/// Reads what can be taken over from a damaged store of the same box: tables that are whole, each for itself.
pub fn salvage(path: &Path, box_id: &BoxId) -> Carried {
    let Ok(connection) = connect(path) else { return Carried::default() };
    if meta::<String>(&connection, "box").is_ok_and(|found| found != box_id.as_str()) {
        return Carried::default();
    }
    fn whole<V: rusqlite::types::FromSql>(
        connection: &Connection,
        table: &str,
        select: &str,
    ) -> BTreeMap<String, V> {
        let checked = quick_check(connection, Some(table)).ok();
        checked.and_then(|()| read_map(connection, select).ok()).unwrap_or_default()
    }
    Carried {
        start: meta(&connection, "start").unwrap_or(0),
        last_known: last_known(&connection).unwrap_or_default(),
        memory: whole(&connection, "memory", "SELECT key, value FROM memory"),
        commands: whole(&connection, "command", "SELECT id, envelope FROM command"),
        documents: whole(&connection, "document", "SELECT name, envelope FROM document"),
    }
}

/// Most stores that were put aside; the next ones replace the last.
const PUT_ASIDE_MAX: u32 = 8;

/// Renames the store and its side files. Gives the new name.
pub fn put_aside(path: &Path) -> Result<String, StoreError> {
    let beside = |suffix: &str| {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(suffix);
        path.with_file_name(name)
    };
    let free = |n: &u32| !beside(&format!(".damaged-{n}")).exists();
    let n = (1..PUT_ASIDE_MAX).find(free).unwrap_or(PUT_ASIDE_MAX);
    let aside = beside(&format!(".damaged-{n}"));
    std::fs::rename(path, &aside)?;
    for side in ["-wal", "-shm"] {
        match std::fs::rename(beside(side), beside(&format!(".damaged-{n}{side}"))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(aside.file_name().unwrap_or_default().to_string_lossy().into_owned())
}
