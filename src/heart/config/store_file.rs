//! `[store]` of `central.toml`: a database in a file, or on a PostgreSQL server.

use std::path::{Path, PathBuf};

use crate::said;
use crate::texts::Sentence;

use super::box_file::{Paths, absent_or};
use super::fields::Fields;

/// The place of central's database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    Sqlite(PathBuf),
    Postgres(PostgresServer),
}

/// A database on a PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresServer {
    /// `postgres://user@host:port/database`, without a password.
    pub url: String,
    /// The authority that vouches for the server; without one, those that this machine trusts.
    pub ca: Option<PathBuf>,
    pub password_file: Option<PathBuf>,
}

/// The beginnings of an address.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

impl Database {
    /// A database on a server.
    ///
    /// # Errors
    /// Says what is wrong with the address.
    pub fn of_server(server: PostgresServer) -> Result<Self, Sentence> {
        fault(&server.url).map_or(Ok(Database::Postgres(server)), Err)
    }

    /// The file, where the database is in one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Database::Sqlite(path) => Some(path),
            Database::Postgres(_) => None,
        }
    }
}

impl PostgresServer {
    /// Tells whether the way to the server is encrypted, and the server's certificate checked: where it leaves this machine, or
    /// an authority is named.
    pub fn has_tls(&self) -> bool {
        let host = host(&self.url);
        self.ca.is_some()
            || !(host.is_empty() || host == "localhost" || host.starts_with("127.") || host == "[::1]")
    }
}

/// The host of an address; empty where the server is reached by a socket of this machine.
fn host(url: &str) -> &str {
    let authority = authority(url).unwrap_or_default();
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    match place.strip_prefix('[').and_then(|rest| rest.find(']')) {
        Some(end) => &place[..end + 2],
        None => place.split(':').next().unwrap_or_default(),
    }
}

fn authority(url: &str) -> Option<&str> {
    let rest = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme))?;
    rest.split(['/', '?']).next()
}

/// Finds what is wrong with an address.
fn fault(url: &str) -> Option<Sentence> {
    let Some(authority) = authority(url) else { return Some(said!("problem.no_database_address", url)) };
    let has_password = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    let asks = url.split_once('?').map_or("", |(_, asks)| asks);
    if has_password || asks.contains("password") {
        return Some(said!("problem.password_in_address"));
    }
    let is_socket =
        asks.strip_prefix("host=").is_some_and(|host| host.starts_with('/') && !host.contains('&'));
    let has_database = url
        .split_once("://")
        .and_then(|(_, rest)| rest.split('?').next()?.split_once('/'))
        .is_some_and(|(_, name)| !name.is_empty());
    let has_host = !host(url).is_empty();
    // A socket's folder stands behind an address without a host, and nothing else is asked for.
    let is_whole = has_database && if has_host { asks.is_empty() } else { is_socket };
    (!is_whole).then(|| said!("problem.no_database_address", url))
}

/// Reads the table; where nothing is said, the database is in the data directory.
pub(super) fn read(mut fields: Fields<'_>, paths: &Paths<'_>, data_dir: Option<&Path>) -> Option<Database> {
    let (sqlite, url) = (fields.get("sqlite"), fields.get("url"));
    let ca = fields.get("ca").map(|value| paths.existing(&value));
    let password_file = fields.get("password_file").map(|value| paths.existing(&value));
    fields.finish();
    match (sqlite, url) {
        (Some(value), Some(_)) => {
            value.problem(said!("problem.two_databases"));
            None
        }
        (Some(value), None) => paths.path(&value).map(Database::Sqlite),
        (None, Some(value)) => {
            let url = value.words()?.to_owned();
            if let Some(fault) = fault(&url) {
                value.problem(fault);
                return None;
            }
            let (ca, password_file) = (absent_or(ca)?, absent_or(password_file)?);
            Some(Database::Postgres(PostgresServer { url, ca, password_file }))
        }
        (None, None) => Some(Database::Sqlite(data_dir?.join("central.db"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Result<bool, &str>) {
        let server = PostgresServer { url: url.to_owned(), ca: None, password_file: None };
        let said = match fault(url) {
            Some(Sentence::Text { key, .. }) => Err(key),
            Some(_) => panic!("a sentence of another kind"),
            None => Ok(server.has_tls()),
        };
        assert_eq!(said, expected, "{url}");
    }

    #[test]
    fn an_address_names_a_server_and_no_secret() {
        check("postgres://loaxa@db.tinh.example:5433/loaxa", Ok(true));
        check("postgresql://loaxa@10.0.0.5/loaxa", Ok(true));
        check("postgres://loaxa@[2001:db8::5]:5432/loaxa", Ok(true));
        check("postgres://loaxa@127.0.0.1:5432/loaxa", Ok(false));
        check("postgres://loaxa@[::1]/loaxa", Ok(false));
        check("postgres://loaxa@localhost/loaxa", Ok(false));
        check("postgres://loaxa@/loaxa?host=/run/postgresql", Ok(false));
        check("postgres://loaxa:bí-mật@db/loaxa", Err("problem.password_in_address"));
        check("postgres://loaxa@/loaxa?host=/run&password=x", Err("problem.password_in_address"));
        check("postgres://loaxa@db/loaxa?sslmode=disable", Err("problem.no_database_address"));
        check("postgres://loaxa@db", Err("problem.no_database_address"));
        check("postgres://loaxa@db/", Err("problem.no_database_address"));
        check("postgres://loaxa@/loaxa", Err("problem.no_database_address"));
        check("mysql://loaxa@db/loaxa", Err("problem.no_database_address"));
    }
}
