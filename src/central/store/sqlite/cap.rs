//! CAP alerts that were taken.

use rusqlite::{Connection, Result, params};

use super::super::*;

/// Keeps an alert; `false` where one of its reference is there.
pub fn add(db: &Connection, alert: &CapRow) -> Result<bool> {
    let added = db
        .prepare_cached(
            "INSERT INTO cap_alerts (reference, id, received, state) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![alert.reference, alert.id, alert.received.0, alert.state])?;
    Ok(added == 1)
}

pub fn set(db: &Connection, id: &str, state: &str) -> Result<()> {
    db.prepare_cached("UPDATE cap_alerts SET state = ?2 WHERE id = ?1")?.execute(params![id, state])?;
    Ok(())
}

pub fn all(db: &Connection) -> Result<Vec<CapRow>> {
    let mut query = db.prepare_cached("SELECT * FROM cap_alerts ORDER BY received DESC, id LIMIT ?1")?;
    let rows = query.query_map([ROWS_MAX], row)?;
    rows.collect()
}

pub fn by_reference(db: &Connection, reference: &str) -> Result<Option<CapRow>> {
    let mut query = db.prepare_cached("SELECT * FROM cap_alerts WHERE reference = ?1")?;
    query.query_map([reference], row)?.next().transpose()
}

pub fn by_id(db: &Connection, id: &str) -> Result<Option<CapRow>> {
    let mut query = db.prepare_cached("SELECT * FROM cap_alerts WHERE id = ?1")?;
    query.query_map([id], row)?.next().transpose()
}

fn row(row: &rusqlite::Row<'_>) -> Result<CapRow> {
    Ok(CapRow {
        reference: row.get("reference")?,
        id: row.get("id")?,
        received: Wall(row.get("received")?),
        state: row.get("state")?,
    })
}
