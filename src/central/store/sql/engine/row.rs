//! Rows of an answer.

use rusqlite::types::FromSql;

use super::error::{Error, Result};
use super::params::{Params, ToSql};
use super::postgres_server::{self, Server};

/// A row. Columns are asked for by name or by place.
pub enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(postgres::Row),
}

/// The name or the place of a column.
pub trait Column: Copy + std::fmt::Display {
    /// Finds the place among these names.
    fn among(self, names: &[postgres::Column]) -> Option<usize>;

    /// Reads from a row of SQLite.
    fn read<T: FromSql>(self, row: &rusqlite::Row) -> rusqlite::Result<T>;
}

impl Column for usize {
    fn among(self, names: &[postgres::Column]) -> Option<usize> {
        Some(self).filter(|place| *place < names.len())
    }

    fn read<T: FromSql>(self, row: &rusqlite::Row) -> rusqlite::Result<T> {
        row.get(self)
    }
}

impl Column for &str {
    fn among(self, names: &[postgres::Column]) -> Option<usize> {
        names.iter().position(|column| column.name() == self)
    }

    fn read<T: FromSql>(self, row: &rusqlite::Row) -> rusqlite::Result<T> {
        row.get(self)
    }
}

impl Row<'_> {
    /// Reads a column.
    ///
    /// # Errors
    /// Fails where there is no such column, or its value is none of this type.
    pub fn get<C: Column, T: FromSql>(&self, column: C) -> Result<T> {
        match self {
            Row::Sqlite(row) => Ok(column.read(row)?),
            Row::Postgres(row) => {
                let absent =
                    || Error::Unreadable { column: column.to_string(), error: "no such column".into() };
                let place = column.among(row.columns()).ok_or_else(absent)?;
                let value = postgres_server::value(row, place)?;
                T::column_result(value).map_err(|error| Error::of_value(column, error))
            }
        }
    }
}

/// The rows of an answer, one after the other.
pub enum Rows<'s> {
    Sqlite(rusqlite::Rows<'s>),
    Postgres(std::vec::IntoIter<postgres::Row>),
}

impl Rows<'_> {
    /// Asks a statement of SQLite.
    pub fn of_sqlite<'s>(
        statement: &'s mut rusqlite::Statement<'_>,
        params: impl Params,
    ) -> Result<Rows<'s>> {
        Ok(Rows::Sqlite(params.lend(|values| statement.query(values))?))
    }

    /// Asks a server.
    pub fn of_server<'s>(server: &Server, sql: &str, params: impl Params) -> Result<Rows<'s>> {
        let rows = params.lend(|values: &[&dyn ToSql]| server.query(sql, values))?;
        Ok(Rows::Postgres(rows.into_iter()))
    }

    /// Steps to the next row; `None` after the last.
    ///
    /// # Errors
    /// Fails where the database can't read on.
    pub fn next(&mut self) -> Result<Option<Row<'_>>> {
        match self {
            Rows::Sqlite(rows) => Ok(rows.next()?.map(Row::Sqlite)),
            Rows::Postgres(rows) => Ok(rows.next().map(Row::Postgres)),
        }
    }
}

/// Rows, each read by a function.
pub struct Mapped<'s, F> {
    pub rows: Rows<'s>,
    pub read: F,
}

impl<T, F: FnMut(&Row) -> Result<T>> Iterator for Mapped<'_, F> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.rows.next() {
            Ok(row) => row.map(|row| (self.read)(&row)),
            Err(error) => Some(Err(error)),
        }
    }
}
