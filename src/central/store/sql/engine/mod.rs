//! Two engines under one set of names: SQLite in a file, or a PostgreSQL server. What the store asks is written once.

mod connection;
mod dialect;
mod error;
mod params;
mod postgres_ear;
mod postgres_server;
mod postgres_tls;
mod postgres_values;
mod row;

pub use connection::Connection;
pub use dialect::{for_postgres, schema_for_postgres};
pub use error::{Error, OptionalExtension, Result};
pub(crate) use params::params;
pub use params::{ToSql, params_from_iter};
pub use postgres_ear::Ear;
pub use postgres_server::{Purpose, Server, Target};
pub use postgres_tls::Rustls;
pub use row::Row;
pub use rusqlite::types::Value;
