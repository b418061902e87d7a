//! Health of boxes, hour by hour.

use rusqlite::{Connection, Result, params};

use super::SqliteStore;
use super::columns::{bounded, count, wall};
use crate::store::{Answer, Health, HealthRow, SAMPLE, SAMPLES_KEPT, SignKind, SignOfLife};
use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::domain::time::{ClockQuality, Wall};

impl Health for SqliteStore {
    fn health(&self, id: BoxId, from: Wall) -> Answer<'_, Vec<HealthRow>> {
        self.read(move |db| {
            let mut query =
                db.prepare_cached("SELECT * FROM health WHERE box = ?1 AND hour >= ?2 ORDER BY hour")?;
            let rows = query.query_map(params![id.as_str(), from.0], |row| {
                Ok(HealthRow {
                    hour: wall(row, "hour")?,
                    signs: row.get("signs")?,
                    without_clock: row.get("without_clock")?,
                    faulty: row.get("faulty")?,
                    backlog_max: count(row, "backlog_max")?,
                    software: row.get("software")?,
                })
            })?;
            rows.collect()
        })
    }
}

/// Counts a sign of life in its hour; with the first of an hour, what is too old goes.
pub fn count_sign(db: &Connection, sign: &SignOfLife) -> Result<()> {
    let hour = sign.at.0 - sign.at.0.rem_euclid(SAMPLE.0 as i64);
    let (backlog, faulty) = match &sign.kind {
        SignKind::Hello { .. } => (0, false),
        SignKind::Heartbeat { backlog, faults } => (*backlog, !faults.is_empty()),
    };
    let without_clock = sign.clock == ClockQuality::None;
    let signs: u32 = db
        .prepare_cached(
            "INSERT INTO health (box, hour, signs, without_clock, faulty, backlog_max, software)
             SELECT id, ?2, 1, ?3, ?4, ?5, software FROM boxes WHERE id = ?1
             ON CONFLICT (box, hour) DO UPDATE SET signs = signs + 1, without_clock = without_clock + ?3,
                 faulty = faulty + ?4, backlog_max = max(backlog_max, ?5), software = excluded.software
             RETURNING signs",
        )?
        .query_row(params![sign.id.as_str(), hour, without_clock, faulty, bounded(backlog)], |row| {
            row.get(0)
        })?;
    if signs == 1 {
        db.prepare_cached("DELETE FROM health WHERE box = ?1 AND hour < ?2")?
            .execute(params![sign.id.as_str(), sign.at.minus(SAMPLES_KEPT).0])?;
    }
    Ok(())
}
