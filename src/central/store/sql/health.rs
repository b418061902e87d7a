//! Health of boxes, hour by hour.

use super::SqlStore;
use super::columns::{count, json, optional_count, wall};
use super::engine::{Result, Row, params};
use super::signs::Part;
use crate::store::{Answer, Health, HealthRow};
use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::wire::messages::Usage;

impl Health for SqlStore {
    fn health(&self, id: BoxId, from: Wall) -> Answer<'_, Vec<HealthRow>> {
        let rows = self.read(move |db| {
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
        });
        Box::pin(async move {
            self.write_signs(Part::All).await;
            rows.await
        })
    }

    fn forget_health(&self, boxes: Vec<BoxId>, before: Wall, after: Wall) -> Answer<'_, ()> {
        self.write(move |db| {
            db.prepare_cached(
                "DELETE FROM health WHERE box IN (SELECT value FROM json_each(?1)) AND (hour < ?2 OR hour > ?3)",
            )?
            .execute(params![json(&boxes), before.0, after.0])?;
            Ok(())
        })
    }
}

fn usage(row: &Row) -> Result<Option<Usage>> {
    let (disk, month) = (optional_count(row, "disk_free_mib")?, optional_count(row, "month_mib")?);
    Ok(disk.zip(month).map(|(disk_free_mib, month_mib)| Usage { disk_free_mib, month_mib }))
}
