//! Health of boxes, hour by hour.

use rusqlite::{Connection, Result, Row, params};

use super::SqliteStore;
use super::columns::{bounded, count, optional_count, wall};
use crate::store::{Answer, Health, HealthRow, SAMPLE, SAMPLES_KEPT, SignKind, SignOfLife};
use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::domain::time::{ClockQuality, Wall};
use loaxa_heart::wire::messages::Usage;

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
                    usage: usage(row)?,
                })
            })?;
            rows.collect()
        })
    }
}

fn usage(row: &Row) -> Result<Option<Usage>> {
    let (disk, month) = (optional_count(row, "disk_free_mib")?, optional_count(row, "month_mib")?);
    Ok(disk.zip(month).map(|(disk_free_mib, month_mib)| Usage { disk_free_mib, month_mib }))
}

/// Counts a sign of life in its hour; with the first of an hour, what is too old goes.
pub fn count_sign(db: &Connection, sign: &SignOfLife) -> Result<()> {
    let hour = sign.at.0 - sign.at.0.rem_euclid(SAMPLE.0 as i64);
    let (backlog, faulty, usage) = match &sign.kind {
        SignKind::Hello { .. } => (0, false, None),
        SignKind::Heartbeat { backlog, faults, usage } => (*backlog, !faults.is_empty(), *usage),
    };
    let without_clock = sign.clock == ClockQuality::None;
    let signs: u32 = db
        .prepare_cached(
            "INSERT INTO health (box, hour, signs, without_clock, faulty, backlog_max, software,
                                 disk_free_mib, month_mib)
             SELECT id, ?2, 1, ?3, ?4, ?5, software, ?6, ?7 FROM boxes WHERE id = ?1
             ON CONFLICT (box, hour) DO UPDATE SET signs = signs + 1, without_clock = without_clock + ?3,
                 faulty = faulty + ?4, backlog_max = max(backlog_max, ?5), software = excluded.software,
                 disk_free_mib = coalesce(?6, disk_free_mib), month_mib = coalesce(?7, month_mib)
             RETURNING signs",
        )?
        .query_row(
            params![
                sign.id.as_str(),
                hour,
                without_clock,
                faulty,
                bounded(backlog),
                usage.map(|usage| bounded(usage.disk_free_mib)),
                usage.map(|usage| bounded(usage.month_mib)),
            ],
            |row| row.get(0),
        )?;
    if signs == 1 {
        db.prepare_cached("DELETE FROM health WHERE box = ?1 AND hour < ?2")?
            .execute(params![sign.id.as_str(), sign.at.minus(SAMPLES_KEPT).0])?;
    }
    Ok(())
}
