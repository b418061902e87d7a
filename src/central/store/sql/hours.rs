//! Signs of life, counted by the hour.

use super::columns::bounded;
use super::engine::{Connection, OptionalExtension, Result, params};
use crate::store::{SAMPLE, SAMPLES_KEPT, SignKind, SignOfLife};
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

/// Adds signs of life to their hour; with the first of an hour, what is too old goes.
pub fn count_signs(db: &Connection, id: &BoxId, hour: Wall, counted: &Counted) -> Result<()> {
    let signs: Option<u32> = db
        .prepare_cached(
            "INSERT INTO health (box, hour, signs, without_clock, faulty, backlog_max, software,
                                 disk_free_mib, month_mib)
             SELECT id, ?2, ?8, ?3, ?4, ?5, software, ?6, ?7 FROM boxes WHERE id = ?1
             ON CONFLICT (box, hour) DO UPDATE SET signs = health.signs + ?8,
                 without_clock = health.without_clock + ?3, faulty = health.faulty + ?4,
                 backlog_max = max(health.backlog_max, ?5), software = excluded.software,
                 disk_free_mib = coalesce(?6, health.disk_free_mib), month_mib = coalesce(?7, health.month_mib)
             RETURNING signs",
        )?
        .query_row(
            params![
                id.as_str(),
                hour.0,
                counted.without_clock,
                counted.faulty,
                bounded(counted.backlog_max),
                counted.usage.map(|usage| bounded(usage.disk_free_mib)),
                counted.usage.map(|usage| bounded(usage.month_mib)),
                counted.signs,
            ],
            |row| row.get(0),
        )
        .optional()?;
    if signs == Some(counted.signs) {
        db.prepare_cached("DELETE FROM health WHERE box = ?1 AND hour < ?2")?
            .execute(params![id.as_str(), hour.minus(SAMPLES_KEPT).0])?;
    }
    Ok(())
}
