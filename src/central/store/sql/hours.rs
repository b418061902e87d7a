//! Signs of life, counted by the hour.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::{bounded, json};
use super::engine::{Connection, Result, Value};
use crate::store::{SAMPLE, SignKind, SignOfLife};
use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::domain::time::{ClockQuality, Wall};
use loaxa_heart::wire::messages::Usage;

/// Signs of life of one box in one hour.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    signs: u32,
    without_clock: u32,
    faulty: u32,
    backlog_max: u64,
    usage: Option<Usage>,
}

impl Counted {
    /// Counts one more.
    pub fn add(&mut self, sign: &SignOfLife) {
        self.signs += 1;
        self.without_clock += u32::from(sign.clock == ClockQuality::None);
        if let SignKind::Heartbeat { backlog, faults, usage } = &sign.kind {
            self.faulty += u32::from(!faults.is_empty());
            self.backlog_max = self.backlog_max.max(*backlog);
            self.usage = usage.or(self.usage);
        }
    }

    /// Adds what was counted before.
    pub fn join(&mut self, earlier: Self) {
        self.signs += earlier.signs;
        self.without_clock += earlier.without_clock;
        self.faulty += earlier.faulty;
        self.backlog_max = self.backlog_max.max(earlier.backlog_max);
        self.usage = self.usage.or(earlier.usage);
    }
}

/// The begin of the hour of an instant.
pub fn hour_of(at: Wall) -> Wall {
    Wall(at.0 - at.0.rem_euclid(SAMPLE.0 as i64))
}

/// Adds signs of life to their hours. Boxes that are not known any more have none.
pub fn count_signs(db: &Connection, hours: &[((BoxId, Wall), Counted)]) -> Result<()> {
    let boxes: BTreeSet<&BoxId> = hours.iter().map(|((id, _), _)| id).collect();
    let mut query =
        db.prepare_cached("SELECT id, software FROM boxes WHERE id IN (SELECT value FROM json_each(?1))")?;
    let known = query.query_map([json(&boxes)], |row| Ok((row.get("id")?, row.get("software")?)))?;
    let known: BTreeMap<String, Option<String>> = known.collect::<Result<_>>()?;
    let mut rows: Vec<[Value; 9]> = Vec::new();
    for ((id, hour), counted) in hours {
        let Some(software) = known.get(id.as_str()) else { continue };
        rows.push([
            id.to_string().into(),
            hour.0.into(),
            counted.signs.into(),
            counted.without_clock.into(),
            counted.faulty.into(),
            bounded(counted.backlog_max).into(),
            software.clone().into(),
            counted.usage.map(|usage| bounded(usage.disk_free_mib)).into(),
            counted.usage.map(|usage| bounded(usage.month_mib)).into(),
        ]);
    }
    db.insert_rows_or(
        "health (box, hour, signs, without_clock, faulty, backlog_max, software, disk_free_mib, month_mib)",
        &rows,
        "ON CONFLICT (box, hour) DO UPDATE SET signs = health.signs + excluded.signs,
             without_clock = health.without_clock + excluded.without_clock, faulty = health.faulty + excluded.faulty,
             backlog_max = max(health.backlog_max, excluded.backlog_max), software = excluded.software,
             disk_free_mib = coalesce(excluded.disk_free_mib, health.disk_free_mib),
             month_mib = coalesce(excluded.month_mib, health.month_mib)",
    )
}
