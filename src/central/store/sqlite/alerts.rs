//! CAP alerts that were taken.

use rusqlite::{Connection, Result, params};

use super::SqliteStore;
use crate::store::{Alerts, Answer, CapRow, ROWS_MAX};
use loaxa_heart::domain::time::Wall;

impl Alerts for SqliteStore {
    fn add_cap(&self, alert: CapRow) -> Answer<'_, bool> {
        self.write(move |db| add(db, &alert))
    }

    fn set_cap(&self, id: String, state: String) -> Answer<'_, ()> {
        self.write(move |db| set(db, &id, &state))
    }

    fn caps(&self) -> Answer<'_, Vec<CapRow>> {
        self.read(all)
    }

    fn cap(&self, id: String) -> Answer<'_, Option<CapRow>> {
        self.read(move |db| by_id(db, &id))
    }

    fn cap_referred(&self, reference: String) -> Answer<'_, Option<CapRow>> {
        self.read(move |db| by_reference(db, &reference))
    }
}

fn add(db: &Connection, alert: &CapRow) -> Result<bool> {
    let added = db
        .prepare_cached(
            "INSERT INTO cap_alerts (reference, id, received, state) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![alert.reference, alert.id, alert.received.0, alert.state])?;
    Ok(added == 1)
}

fn set(db: &Connection, id: &str, state: &str) -> Result<()> {
    db.prepare_cached("UPDATE cap_alerts SET state = ?2 WHERE id = ?1")?.execute(params![id, state])?;
    Ok(())
}

fn all(db: &Connection) -> Result<Vec<CapRow>> {
    let mut query = db.prepare_cached("SELECT * FROM cap_alerts ORDER BY received DESC, id LIMIT ?1")?;
    let rows = query.query_map([ROWS_MAX], row)?;
    rows.collect()
}

fn by_reference(db: &Connection, reference: &str) -> Result<Option<CapRow>> {
    let mut query = db.prepare_cached("SELECT * FROM cap_alerts WHERE reference = ?1")?;
    query.query_map([reference], row)?.next().transpose()
}

fn by_id(db: &Connection, id: &str) -> Result<Option<CapRow>> {
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
