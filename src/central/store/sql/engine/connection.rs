//! A connection to either engine, and its statements.

use rusqlite::CachedStatement;
use rusqlite::types::Value;

use super::error::{Error, Result};
use super::params::{Params, params_from_iter};
use super::postgres_server::Server;
use super::row::{Mapped, Row, Rows};

/// Rows that a server is sent in one statement: each count of them is a statement of its own there.
const ROWS_AT_ONCE: usize = 8;

/// A connection to a database. It belongs to one thread.
pub enum Connection {
    Sqlite(rusqlite::Connection),
    Postgres(Box<Server>),
}

/// A statement that is kept for the next time.
pub enum Statement<'c> {
    Sqlite(CachedStatement<'c>),
    Postgres(&'c Server, String),
}

impl Connection {
    /// Prepares a statement, or finds it among those that were prepared before.
    ///
    /// # Errors
    /// Fails where the database does not understand the statement.
    pub fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>> {
        match self {
            Connection::Sqlite(db) => Ok(Statement::Sqlite(db.prepare_cached(sql)?)),
            Connection::Postgres(server) => Ok(Statement::Postgres(server, sql.to_owned())),
        }
    }

    /// Executes a statement; returns the number of rows that it changed.
    ///
    /// # Errors
    /// Fails where the database refuses it.
    pub fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        self.prepare_cached(sql)?.execute(params)
    }

    /// Executes statements that have no values and answer nothing.
    ///
    /// # Errors
    /// Fails at the first that the database refuses.
    pub fn execute_batch(&self, sql: &str) -> Result<()> {
        match self {
            Connection::Sqlite(db) => Ok(db.execute_batch(sql)?),
            Connection::Postgres(server) => server.execute_batch(sql),
        }
    }

    /// Adds rows to a table, named with its columns. A server gets many at once: each question costs a way there and back.
    ///
    /// # Errors
    /// Fails where the database refuses one of them.
    pub fn insert_rows(&self, into: &str, rows: &[impl AsRef<[Value]>]) -> Result<()> {
        match self {
            Connection::Postgres(server) if rows.len() > ROWS_AT_ONCE => server.copy(into, rows),
            _ => self.insert_rows_or(into, rows, ""),
        }
    }

    /// Adds rows, and does for each that is there already what `on_conflict` says.
    ///
    /// # Errors
    /// Fails where the database refuses one of them.
    pub fn insert_rows_or(&self, into: &str, rows: &[impl AsRef<[Value]>], on_conflict: &str) -> Result<()> {
        let Some(width) = rows.first().map(|row| row.as_ref().len()) else { return Ok(()) };
        let at_once = match self {
            Connection::Sqlite(_) => 1,
            Connection::Postgres(server) if rows.len() > ROWS_AT_ONCE => {
                let (told, columns) = server.tell(into, rows)?;
                // Planned each time: how many rows a plan is good for changes with the years.
                self.execute_batch(&format!(
                    "INSERT INTO {into} SELECT {columns} FROM {told} {on_conflict}; DELETE FROM {told}"
                ))?;
                return Ok(());
            }
            Connection::Postgres(_) => ROWS_AT_ONCE,
        };
        let row = format!("({})", vec!["?"; width].join(", "));
        for some in rows.chunks(at_once) {
            let values = vec![row.as_str(); some.len()].join(", ");
            let mut insert =
                self.prepare_cached(&format!("INSERT INTO {into} VALUES {values} {on_conflict}"))?;
            insert.execute(params_from_iter(some.iter().flat_map(|row| row.as_ref())))?;
        }
        Ok(())
    }

    /// Changes rows of a table, named with the columns that are told of each, by a statement for one row: `?1` and so on in it
    /// are the columns. A server gets many at once, and changes them by a statement that finds them in `{told}`.
    ///
    /// # Errors
    /// Fails where the database refuses one of them.
    pub fn change_rows(
        &self,
        of: &str,
        rows: &[impl AsRef<[Value]>],
        (one, all): (&str, &str),
    ) -> Result<()> {
        if let Connection::Postgres(server) = self
            && rows.len() > ROWS_AT_ONCE
        {
            let (told, _) = server.tell(of, rows)?;
            self.execute_batch(&format!("{}; DELETE FROM {told}", all.replace("{told}", &told)))?;
            return Ok(());
        }
        let mut change = self.prepare_cached(one)?;
        rows.iter().try_for_each(|row| change.execute(params_from_iter(row.as_ref())).map(drop))
    }

    /// The end of a query that keeps others from changing its rows until the transaction ends. In a file nobody else writes.
    pub fn row_lock(&self) -> &'static str {
        match self {
            Connection::Sqlite(_) => "",
            Connection::Postgres(_) => "FOR UPDATE",
        }
    }

    /// Runs something in one transaction that no other writer is beside.
    ///
    /// # Errors
    /// Fails where the work or the commit did; nothing is changed then.
    pub fn in_transaction<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        match self {
            Connection::Sqlite(db) => db.execute_batch("BEGIN IMMEDIATE")?,
            Connection::Postgres(server) => server.begin()?,
        }
        let done = work(self).and_then(|done| self.execute_batch("COMMIT").map(|()| done));
        if let Err(error) = &done {
            self.roll_back(error);
        }
        done
    }

    /// The handle by which another thread ends what this connection is at; `None` with a server.
    pub fn interrupt_handle(&self) -> Option<rusqlite::InterruptHandle> {
        match self {
            Connection::Sqlite(db) => Some(db.get_interrupt_handle()),
            Connection::Postgres(_) => None,
        }
    }

    fn roll_back(&self, because: &Error) {
        match self {
            Connection::Postgres(server) => server.roll_back(),
            // A disk that is full may have ended the transaction.
            Connection::Sqlite(db) if db.is_autocommit() => {}
            Connection::Sqlite(db) => {
                if let Err(error) = db.execute_batch("ROLLBACK") {
                    tracing::error!(%error, %because, "a transaction was not rolled back");
                }
            }
        }
    }

    /// The expression for a column's value on the latest `day` (as 2026-11-28) of a group in which `max(day)` is asked for, too:
    /// SQLite takes it from that row.
    pub fn on_last_day(&self, column: &str) -> String {
        match self {
            Connection::Sqlite(_) => column.to_owned(),
            // Sorting each group for it takes twice as long.
            Connection::Postgres(_) => format!("substr(max(day || {column}), 11)"),
        }
    }
}

impl Statement<'_> {
    /// Executes; returns the number of rows that were changed.
    ///
    /// # Errors
    /// Fails where the database refuses it.
    pub fn execute(&mut self, params: impl Params) -> Result<usize> {
        match self {
            Statement::Sqlite(statement) => Ok(params.lend(|values| statement.execute(values))?),
            Statement::Postgres(server, sql) => params.lend(|values| server.execute(sql, values)),
        }
    }

    /// Asks for rows.
    ///
    /// # Errors
    /// Fails where the database refuses it.
    pub fn query(&mut self, params: impl Params) -> Result<Rows<'_>> {
        match self {
            Statement::Sqlite(statement) => Rows::of_sqlite(statement, params),
            Statement::Postgres(server, sql) => Rows::of_server(server, sql, params),
        }
    }

    /// Asks for rows, and reads each by a function.
    ///
    /// # Errors
    /// Fails where the database refuses it.
    pub fn query_map<T, F>(&mut self, params: impl Params, read: F) -> Result<Mapped<'_, F>>
    where
        F: FnMut(&Row) -> Result<T>,
    {
        Ok(Mapped { rows: self.query(params)?, read })
    }

    /// Asks for one row.
    ///
    /// # Errors
    /// [`Error::NoRow`] where there is none.
    pub fn query_row<T>(&mut self, params: impl Params, read: impl FnOnce(&Row) -> Result<T>) -> Result<T> {
        let mut rows = self.query(params)?;
        read(&rows.next()?.ok_or(Error::NoRow)?)
    }
}
