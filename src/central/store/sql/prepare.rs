//! The tables, made and brought to this version.

use std::collections::BTreeSet;

use super::engine::{Connection, Error, OptionalExtension, Result, params, schema_for_postgres};
use super::log_parts;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::said;

/// Tables and indexes of both engines.
pub const SCHEMA: &str = include_str!("schema.sql");

const FUNCTIONS: &str = include_str!("postgres_functions.sql");
const VIEWS: &str = include_str!("postgres_views.sql");
const TRIGGERS: &str = include_str!("postgres_triggers.sql");

/// The number of the schema on a server; it grows when an earlier program could not use it any more.
const VERSION: i64 = 2;

/// The number of the statements that make the tables, functions, views and triggers of a server, and their hash. Whoever changes one
/// raises the number: while centrals of two versions run side by side, the earlier one leaves alone what a later one made.
const REVISION: (i64, &str) = (4, "41f24c0b6ca1e7c0fec9c2178a1e871f0f364c1b4757dbd5010cbd8c3993f6a8");

/// Columns that came later than their tables.
const LATER_COLUMNS: [(&str, &str, &str); 10] = [
    ("boxes", "languages", "TEXT NOT NULL DEFAULT '[]'"),
    ("boxes", "introduced", "INTEGER"),
    ("tokens", "owner", "TEXT"),
    ("log", "implausible", "TEXT"),
    ("plays", "arrived", "INTEGER"),
    ("plays", "listed", "INTEGER"),
    ("plays", "implausible", "TEXT"),
    ("drafts", "drafter", "TEXT NOT NULL DEFAULT ''"),
    ("drafts", "emergency", "INTEGER NOT NULL DEFAULT 0"),
    ("people", "sessions_ended", "INTEGER NOT NULL DEFAULT 0"),
];

/// Makes the tables, and gives those of an earlier version what came later.
///
/// # Errors
/// Fails where the database does not let itself be changed, or is none that this program can use.
pub fn prepare(db: &Connection) -> Result<()> {
    match db {
        Connection::Sqlite(_) => prepare_file(db),
        Connection::Postgres(_) => db.in_transaction(prepare_server),
    }
}

fn prepare_file(db: &Connection) -> Result<()> {
    for (table, column, of_type) in LATER_COLUMNS {
        let mut columns = db.prepare_cached("SELECT name FROM pragma_table_info(?1)")?;
        let names = columns.query_map([table], |row| row.get(0))?.collect::<Result<Vec<String>>>()?;
        if !names.is_empty() && !names.iter().any(|name| name == column) {
            db.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {of_type}"))?;
        }
    }
    db.execute_batch(SCHEMA)?;
    let carried: Option<String> =
        db.prepare_cached("SELECT server FROM carried_over")?.query_row([], |row| row.get(0)).optional()?;
    if let Some(server) = carried {
        return Err(Error::Unfit(said!("moving.carried_over", server)));
    }
    db.execute_batch(include_str!("sqlite_triggers.sql"))?;
    db.execute_batch("UPDATE plays SET listed = opened WHERE listed IS NULL")?;
    db.execute_batch(
        "INSERT INTO feedback_days (day, village, village_title, kind, said, asked, in_time, late)
         SELECT date(made / 1000000 + 25200, 'unixepoch') AS day, village,
                coalesce((SELECT title FROM places WHERE in_group = village), village), kind, count(*), count(due),
                coalesce(sum(answered <= due), 0), coalesce(sum(answered > due), 0)
         FROM feedback WHERE NOT EXISTS (SELECT 1 FROM feedback_days) GROUP BY day, village, kind",
    )
}

/// Makes the tables on a server, in a transaction.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_server(db: &Connection) -> Result<()> {
    let (encoding, release): (String, i64) = db
        .prepare_cached(
            "SELECT current_setting('server_encoding'), CAST(current_setting('server_version_num') AS BIGINT)",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if encoding != "UTF8" {
        return Err(Error::Unfit(said!("database.encoding", encoding)));
    }
    if release < 140_000 {
        return Err(Error::Unfit(said!("database.release")));
    }
    db.execute_batch("CREATE TABLE IF NOT EXISTS schema_made (one BIGINT PRIMARY KEY CHECK (one = 1), version BIGINT NOT NULL, digest TEXT NOT NULL)")?;
    let made: Option<(i64, String)> = db
        .prepare_cached("SELECT version, digest FROM schema_made")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((version, _)) = made.as_ref().filter(|(version, _)| *version > VERSION) {
        return Err(Error::Unfit(said!("database.later", found = version, known = VERSION)));
    }
    let own = format!("{} {}", REVISION.0, digest());
    if made.is_none_or(|(_, known)| revision(&known) <= REVISION.0 && known != own) {
        // An index on what a province has kept takes its time; others are at work meanwhile, and no lock is waited for as long.
        db.execute_batch("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '20s'")?;
        db.execute_batch(FUNCTIONS)?;
        for (table, column, of_type) in LATER_COLUMNS {
            let of_type = of_type.replace("INTEGER", "BIGINT");
            db.execute_batch(&format!(
                "ALTER TABLE IF EXISTS {table} ADD COLUMN IF NOT EXISTS {column} {of_type}"
            ))?;
        }
        let is_in_one_table = log_parts::set_aside(db)?;
        db.execute_batch(&schema_for_postgres(SCHEMA))?;
        db.execute_batch(VIEWS)?;
        db.execute_batch(TRIGGERS)?;
        if is_in_one_table {
            log_parts::take_in(db)?;
        }
        db.execute(
            "INSERT INTO schema_made (one, version, digest) VALUES (1, ?1, ?2)
             ON CONFLICT (one) DO UPDATE SET version = ?1, digest = ?2",
            params![VERSION, own],
        )?;
    }
    check_columns(db)
}

/// The hash of all statements that make what is on a server.
fn digest() -> ContentHash {
    let columns = LATER_COLUMNS.map(|(table, column, of_type)| [table, column, of_type].concat()).concat();
    ContentHash::of([FUNCTIONS, SCHEMA, VIEWS, TRIGGERS, &columns].concat().as_bytes())
}

/// The revision that a server was brought to; before there were any it is 0.
fn revision(known: &str) -> i64 {
    known.split_once(' ').and_then(|(number, _)| number.parse().ok()).unwrap_or_default()
}

/// Checks that a server's tables have every column that the schema names.
fn check_columns(db: &Connection) -> Result<()> {
    let model = Connection::Sqlite(rusqlite::Connection::open_in_memory()?);
    model.execute_batch(SCHEMA)?;
    let pair = |row: &super::engine::Row| Ok((row.get(0)?, row.get(1)?));
    let wanted = model
        .prepare_cached(
            "SELECT tables.name, columns.name FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
             WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%'",
        )?
        .query_map([], pair)?
        .collect::<Result<BTreeSet<(String, String)>>>()?;
    let there = db
        .prepare_cached(
            "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) FROM information_schema.columns
             WHERE table_schema = current_schema()",
        )?
        .query_map([], pair)?
        .collect::<Result<BTreeSet<(String, String)>>>()?;
    match wanted.difference(&there).next() {
        Some((table, column)) => Err(Error::Unfit(said!("database.column", table, column))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_changes_a_statement_raises_the_revision() {
        assert_eq!(
            digest().to_string(),
            REVISION.1,
            "what makes a server's tables has changed: raise REVISION, and write this hash to it"
        );
    }

    #[test]
    fn a_revision_is_read_from_what_is_kept() {
        assert_eq!(revision(&format!("12 {}", digest())), 12);
        assert_eq!(revision(&digest().to_string()), 0);
    }
}
