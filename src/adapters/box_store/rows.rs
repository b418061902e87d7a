//! Single values and small tables of the file.

use std::collections::BTreeMap;

use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use crate::clock::LastKnown;
use loaxa_heart::domain::time::Wall;

pub(super) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn meta<T: rusqlite::types::FromSql>(connection: &Connection, key: &str) -> Result<T, StoreError> {
    let value = connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    value.ok_or_else(|| StoreError::Damaged { detail: format!("it has no {key}") })
}

/// Reads the latest times known. A store of an earlier version kept one time and took it for confirmed.
pub(super) fn last_known(connection: &Connection) -> Result<LastKnown, StoreError> {
    let believed = Wall(meta(connection, "wall_floor")?);
    Ok(LastKnown { believed, synced: meta(connection, "wall_synced").map_or(believed, Wall) })
}

pub(super) fn keep_last_known(connection: &Connection, known: LastKnown) -> rusqlite::Result<()> {
    set_meta(connection, "wall_floor", &known.believed.0)?;
    set_meta(connection, "wall_synced", &known.synced.0)
}

pub(super) fn set_meta(connection: &Connection, key: &str, value: &dyn ToSql) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?.execute(params![key, value])?;
    Ok(())
}

pub(super) fn insert_all<K: ToSql, V: ToSql>(
    connection: &Connection,
    insert: &str,
    rows: &BTreeMap<K, V>,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare(insert)?;
    rows.iter().try_for_each(|(key, value)| insert.execute(params![key, value]).map(drop))
}

pub(super) fn read_map<K, V>(connection: &Connection, select: &str) -> rusqlite::Result<BTreeMap<K, V>>
where
    K: rusqlite::types::FromSql + Ord,
    V: rusqlite::types::FromSql,
{
    let mut select = connection.prepare_cached(select)?;
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
