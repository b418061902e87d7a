//! Failures of a database.

use rusqlite::ErrorCode;
use rusqlite::types::FromSqlError;

use crate::store::StoreError;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// A result of the database.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A question or a change that failed.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum Error {
    NoRow,
    Unreadable {
        column: String,
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A value that this program does not know; a later version may have written it.
    Unknown {
        column: String,
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    Sqlite(rusqlite::Error),
    Postgres(postgres::Error),
    /// The server can't be reached, or the connection to it broke off.
    Away(String),
    /// The database is none that this program can use.
    Unfit(Sentence),
}

impl Say for Error {
    fn say(&self) -> Sentence {
        match self {
            Error::NoRow => said!("database.no_row"),
            Error::Unreadable { column, error } | Error::Unknown { column, error } => {
                said!("database.unreadable", column, error)
            }
            Error::Sqlite(error) => Sentence::from_outside(error.to_string()),
            Error::Postgres(error) => Sentence::from_outside(told(error)),
            Error::Away(detail) => said!("database.away", detail),
            Error::Unfit(said) => said.clone(),
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::QueryReturnedNoRows => Error::NoRow,
            error => Error::Sqlite(error),
        }
    }
}

impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Self {
        let is_refused = error.code().is_none() && std::error::Error::source(&error).is_some();
        if error.is_closed() || is_refused && is_of_io(&error) {
            Error::Away(told(&error))
        } else {
            Error::Postgres(error)
        }
    }
}

fn is_of_io(error: &postgres::Error) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        if error.is::<std::io::Error>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// Tells of a server's error with all that it said.
fn told(error: &postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(said), _) => format!("{} ({})", said.message(), said.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

impl Error {
    /// An error of a column whose value is of no use.
    pub fn of_value(column: impl std::fmt::Display, error: FromSqlError) -> Self {
        Error::Unreadable { column: column.to_string(), error: error.into() }
    }

    /// Tells whether the disk has no room.
    pub fn is_full(&self) -> bool {
        match self {
            Error::Sqlite(error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            Error::Postgres(error) => Self::is_full_there(error),
            _ => false,
        }
    }

    fn is_full_there(error: &postgres::Error) -> bool {
        error.code() == Some(&postgres::error::SqlState::DISK_FULL)
    }

    /// Tells whether a disk failed to read or write.
    pub fn is_of_io(&self) -> bool {
        match self {
            Error::Sqlite(error) => error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure),
            Error::Postgres(error) => error.code() == Some(&postgres::error::SqlState::IO_ERROR),
            _ => false,
        }
    }

    /// Tells whether the database could not do it at all, whatever the operation was.
    pub fn is_away(&self) -> bool {
        match self {
            Error::Away(_) => true,
            Error::Postgres(error) => error.code().is_some_and(|state| AWAY.contains(&state.code())),
            _ => false,
        }
    }

    /// Tells whether a server refuses a prepared statement because another central has changed its table since.
    pub fn is_of_old_statement(&self) -> bool {
        let Error::Postgres(error) = self else { return false };
        // The server has no code of its own for it, and says it in its keeper's language.
        error.as_db_error().is_some_and(|said| said.routine() == Some("RevalidateCachedQuery"))
    }

    /// Tells whether all of a transaction is lost, and not one operation in it.
    pub fn is_of_all(&self) -> bool {
        self.is_full() || self.is_of_io() || self.is_away() || self.is_of_old_statement()
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::Postgres(error) if Error::is_full_there(&error) => StoreError::ServerFull,
            error if error.is_full() => StoreError::Full,
            error if error.is_away() => {
                tracing::warn!(%error, "the database server does not do what it is asked");
                StoreError::Away
            }
            error => StoreError::Sql(error.to_string()),
        }
    }
}

/// States of a server that is starting, stopping or crowded, that only lets read, or that gave up on a statement or on a
/// transaction.
const AWAY: [&str; 9] = ["57P01", "57P02", "57P03", "53300", "25006", "57014", "55P03", "25P02", "25P03"];

/// Turns the failure to find a row into `None`.
pub trait OptionalExtension<T> {
    /// `None` where there is no row.
    fn optional(self) -> Result<Option<T>>;
}

impl<T> OptionalExtension<T> for Result<T> {
    fn optional(self) -> Result<Option<T>> {
        match self {
            Ok(found) => Ok(Some(found)),
            Err(Error::NoRow) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
