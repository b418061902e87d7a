//! A connection to a PostgreSQL server. It is made when it is needed, and made again when it broke off.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::{Moment, Span};
use postgres::binary_copy::BinaryCopyInWriter;
use postgres::{Client, NoTls, Row};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

use super::dialect::for_postgres;
use super::error::{Error, Result};
use super::params::ToSql;
use super::postgres_tls::Rustls;
use super::postgres_values::{Bound, Raw};

/// Statements that a connection keeps prepared; where there would be more, it begins anew.
const STATEMENTS_MAX: usize = 256;
/// Time in which nobody tries to connect again after it failed.
const PAUSE: Span = Span::millis(500);
/// The longest time in which a writer may say nothing in the middle of a change, while the writers of the other centrals wait for it.
/// It is shorter than the term of a duty: where one hangs, the others do not lose theirs.
const IDLE_MAX: Duration = Duration::from_secs(3);
/// The number under which programs of this kind ask the server to let one write at a time.
const WRITERS: i64 = 0x006c_6f61_7861;

/// A server and the way to it.
#[derive(Clone)]
pub struct Target {
    pub config: postgres::Config,
    /// `None` where the connection needs no secrecy: the server is on this machine.
    pub tls: Option<Rustls>,
}

/// The use that a connection is for.
#[derive(Debug, Clone, Copy)]
pub struct Purpose {
    /// The longest time of one statement.
    pub time_max: Duration,
    pub writes: bool,
}

/// A connection to a server, belonging to one thread that runs no asynchronous work.
pub struct Server {
    target: Target,
    purpose: Purpose,
    client: RefCell<Option<Client>>,
    statements: RefCell<HashMap<String, postgres::Statement>>,
    in_transaction: Cell<bool>,
    failed: Cell<Option<Moment>>,
}

impl Server {
    /// Makes a connection that opens with the first statement.
    pub fn new(target: Target, purpose: Purpose) -> Self {
        let (client, statements) = Default::default();
        Self {
            target,
            purpose,
            client,
            statements,
            in_transaction: Cell::new(false),
            failed: Cell::new(None),
        }
    }

    /// Tells whether the connection broke off, or was never there.
    pub fn is_closed(&self) -> bool {
        self.client.borrow().as_ref().is_none_or(Client::is_closed)
    }

    /// Executes a statement; returns the number of rows that it changed.
    ///
    /// # Errors
    /// Fails where the server refuses it or is away.
    pub fn execute(&self, sql: &str, values: &[&dyn ToSql]) -> Result<usize> {
        let changed = self.with_client(|client| {
            let statement = self.prepared(client, sql)?;
            let bound = bound(values)?;
            Ok(client.execute(&statement, &lent(&bound))?)
        })?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    /// Asks for rows.
    ///
    /// # Errors
    /// Fails where the server refuses it or is away.
    pub fn query(&self, sql: &str, values: &[&dyn ToSql]) -> Result<Vec<Row>> {
        self.with_client(|client| {
            let statement = self.prepared(client, sql)?;
            let bound = bound(values)?;
            Ok(client.query(&statement, &lent(&bound))?)
        })
    }

    /// Sends rows as one stream, for which the server plans and parses nothing.
    ///
    /// # Errors
    /// Fails where the server refuses one of them.
    pub fn copy(&self, into: &str, rows: &[impl AsRef<[Value]>]) -> Result<()> {
        self.with_client(|client| {
            let statement = self.prepared(client, &format!("COPY {into} FROM STDIN (FORMAT binary)"))?;
            let (table, columns) = into.split_once(" (").unwrap_or((into, "*"));
            let columns = columns.trim_end_matches(')');
            let model = self.prepared(client, &format!("SELECT {columns} FROM {table}"))?;
            let types: Vec<_> = model.columns().iter().map(|column| column.type_().clone()).collect();
            let mut writer = BinaryCopyInWriter::new(client.copy_in(&statement)?, &types);
            for row in rows {
                let bound: Vec<_> =
                    row.as_ref().iter().map(|value| Bound(ToSqlOutput::Borrowed(value.into()))).collect();
                writer.write(&lent(&bound))?;
            }
            writer.finish()?;
            Ok(())
        })
    }

    /// Sends rows into a table of this connection alone, for a statement of the same transaction, which empties it; returns the
    /// table's name and its columns.
    ///
    /// # Errors
    /// Fails where the server refuses one of them.
    pub fn tell(&self, of: &str, rows: &[impl AsRef<[Value]>]) -> Result<(String, String)> {
        let width = rows.first().map_or(0, |row| row.as_ref().len());
        let (table, columns) = of.split_once(" (").unwrap_or((of, "*"));
        let columns = columns.trim_end_matches(')');
        let told = format!("told_{table}_{width}");
        self.execute_batch(&format!(
            "CREATE TEMP TABLE IF NOT EXISTS {told} ON COMMIT DELETE ROWS AS SELECT {columns} FROM {table} WITH NO DATA"
        ))?;
        self.copy(&format!("{told} ({columns})"), rows)?;
        Ok((told, columns.to_owned()))
    }

    /// Executes statements that have no values.
    ///
    /// # Errors
    /// Fails at the first that the server refuses.
    pub fn execute_batch(&self, sql: &str) -> Result<()> {
        self.with_client(|client| Ok(client.batch_execute(sql)?))?;
        if sql == "COMMIT" {
            self.in_transaction.set(false);
        }
        Ok(())
    }

    /// Begins a transaction, and waits until no other of this kind writes.
    ///
    /// # Errors
    /// Fails where the server is away.
    pub fn begin(&self) -> Result<()> {
        self.in_transaction.set(false);
        let begun = self.execute_batch(&format!("BEGIN; SELECT pg_advisory_xact_lock({WRITERS})"));
        self.in_transaction.set(begun.is_ok());
        if begun.is_err() {
            self.roll_back();
        }
        begun
    }

    /// Ends a transaction that failed, or did not quite begin; a connection that can't be brought out of it is made again.
    pub fn roll_back(&self) {
        self.in_transaction.set(false);
        let mut client = self.client.borrow_mut();
        let Some(open) = client.as_mut().filter(|client| !client.is_closed()) else { return };
        if let Err(error) = open.batch_execute("ROLLBACK") {
            tracing::warn!(error = %Error::from(error), "a transaction was not rolled back; its connection ends");
            *client = None;
        }
    }

    /// Runs something with the connection. Outside a transaction, one that broke off meanwhile is made again, once, and so are
    /// statements whose table was changed.
    fn with_client<T>(&self, ask: impl Fn(&mut Client) -> Result<T>) -> Result<T> {
        let was_open = !self.is_closed();
        if !was_open {
            if self.in_transaction.replace(false) {
                return Err(Error::Away("the connection broke off".to_owned()));
            }
            self.connect()?;
        }
        let asked = self.ask(&ask);
        match &asked {
            Err(error) if self.is_closed() && was_open && error.is_away() && !self.in_transaction.get() => {
                self.connect()?;
                self.ask(&ask)
            }
            Err(error) if error.is_of_old_statement() => {
                self.statements.borrow_mut().clear();
                if self.in_transaction.get() { asked } else { self.ask(&ask) }
            }
            _ => asked,
        }
    }

    fn ask<T>(&self, ask: &impl Fn(&mut Client) -> Result<T>) -> Result<T> {
        let mut client = self.client.borrow_mut();
        ask(client.as_mut().ok_or_else(|| Error::Away("there is no connection".to_owned()))?)
    }

    fn connect(&self) -> Result<()> {
        if self.failed.get().is_some_and(|failed| monotonic().since(failed) < PAUSE) {
            return Err(Error::Away("it could not be reached a moment ago".to_owned()));
        }
        self.statements.borrow_mut().clear();
        let connected = self.target.connect().and_then(|mut client| {
            client.batch_execute(&self.purpose.settings())?;
            Ok(client)
        });
        self.failed.set(connected.is_err().then(monotonic));
        *self.client.borrow_mut() = Some(connected?);
        Ok(())
    }

    fn prepared(&self, client: &mut Client, sql: &str) -> Result<postgres::Statement> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        let statement = client.prepare(&for_postgres(sql))?;
        let mut statements = self.statements.borrow_mut();
        if statements.len() >= STATEMENTS_MAX {
            statements.clear();
        }
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Target {
    pub(super) fn connect(&self) -> Result<Client> {
        let connected = match &self.tls {
            Some(tls) => self.config.connect(tls.clone()),
            None => self.config.connect(NoTls),
        };
        connected.map_err(|error| match Error::from(error) {
            // A server that starts or stops refuses as one that is not there.
            Error::Postgres(error) if error.code().is_some_and(|state| state.code().starts_with("57P")) => {
                Error::Away(error.to_string())
            }
            error => error,
        })
    }
}

impl Purpose {
    fn settings(self) -> String {
        let time_max = self.time_max.as_millis();
        let idle_max = self.time_max.min(IDLE_MAX).as_millis();
        // A server that its keeper lets only read stays so.
        let only_reads = if self.writes { "" } else { "SET default_transaction_read_only = on;" };
        // A server that is set to answer before it has written would lose, in a crash, what boxes were told is kept.
        let keeps = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";
        format!(
            "SET statement_timeout = {time_max}; SET idle_in_transaction_session_timeout = {idle_max}; {only_reads} \
             SET client_min_messages = warning; SET standard_conforming_strings = on; {keeps}"
        )
    }
}

fn bound<'a>(values: &'a [&'a dyn ToSql]) -> Result<Vec<Bound<'a>>> {
    values.iter().map(|value| Ok(Bound(value.to_sql()?))).collect()
}

fn lent<'a>(bound: &'a [Bound]) -> Vec<&'a (dyn postgres::types::ToSql + Sync)> {
    bound.iter().map(|value| value as &(dyn postgres::types::ToSql + Sync)).collect()
}

/// Reads a value of a row as SQLite would have it.
pub fn value(row: &Row, place: usize) -> Result<ValueRef<'_>> {
    let of_column = |error: Box<dyn std::error::Error + Send + Sync>| Error::Unreadable {
        column: row.columns()[place].name().to_owned(),
        error,
    };
    let raw: Option<Raw> = row.try_get(place).map_err(|error| of_column(error.into()))?;
    raw.map_or(Ok(ValueRef::Null), |raw| raw.value()).map_err(of_column)
}
