//! Connections to the database, and the threads that have them.

use std::path::Path;
use std::thread::JoinHandle;

use rusqlite::OpenFlags;

use super::engine::{Connection, Result};

/// Most operations that wait for a thread; then callers wait.
pub const QUEUE_MAX: usize = 1_024;

/// SQLite's own waiting for a lock that another process holds.
const BUSY_WAIT_MS: u64 = 5_000;

/// Prepared statements kept by each thread.
const STATEMENTS_MAX: usize = 64;

/// Begins a thread.
pub fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// Connects to a database to write.
pub fn connect(path: &Path) -> Result<Connection> {
    let connection = rusqlite::Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_WAIT_MS))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -32_000)?;
    // A service has no other folder to write in: without it, a statement that can be undone alone ends its transaction.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(Connection::Sqlite(connection))
}

/// Connects to a database that is there, without leave to change it.
pub fn connect_to_read(path: &Path, cache_kib: u32) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_WAIT_MS))?;
    connection.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(Connection::Sqlite(connection))
}
