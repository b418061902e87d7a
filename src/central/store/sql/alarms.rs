//! Alarms: what staff must look at.

use super::SqlStore;
use super::columns::{bounded, count, from_word, known, wall};
use super::engine::{Connection, Result, params};
use crate::store::{ALARMS_MAX, Alarm, AlarmRow, Alarms, Answer, ROWS_MAX};
use loaxa_heart::texts::visible;

impl Alarms for SqlStore {
    fn raise_alarm(&self, alarm: Alarm) -> Answer<'_, ()> {
        self.write(move |db| raise(db, &alarm))
    }

    fn alarms(&self, limit: u32) -> Answer<'_, Vec<AlarmRow>> {
        self.read(move |db| newest(db, limit))
    }
}

/// Most times that are added at once, and most that are counted: a box that lies about them must not overflow the count.
const TIMES_MAX: u64 = 1 << 40;
const COUNT_MAX: i64 = 1 << 62;

/// Raises an alarm, or counts it again.
pub fn raise(db: &Connection, alarm: &Alarm) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO alarms (kind, subject, detail, first, last, count) VALUES (?1, ?2, ?3, ?4, ?4, ?5)
         ON CONFLICT (kind, subject) DO UPDATE SET detail = ?3, last = ?4, count = min(alarms.count + ?5, ?6)",
    )?
    .execute(params![
        alarm.kind.code(),
        visible(&alarm.subject),
        visible(&alarm.detail),
        alarm.at.0,
        bounded(alarm.times.min(TIMES_MAX)),
        COUNT_MAX,
    ])?;
    // The oldest of those that no longer fit.
    db.prepare_cached(
        "DELETE FROM alarms WHERE (SELECT count(*) FROM alarms) > ?1 AND (kind, subject) IN
             (SELECT kind, subject FROM alarms ORDER BY last LIMIT 1)",
    )?
    .execute([ALARMS_MAX])?;
    Ok(())
}

fn newest(db: &Connection, limit: u32) -> Result<Vec<AlarmRow>> {
    let mut query = db.prepare_cached("SELECT * FROM alarms ORDER BY last DESC LIMIT ?1")?;
    let rows = query.query_map([limit.min(ROWS_MAX)], |row| {
        Ok(AlarmRow {
            kind: from_word(row, "kind")?,
            subject: row.get("subject")?,
            detail: row.get("detail")?,
            first: wall(row, "first")?,
            last: wall(row, "last")?,
            count: count(row, "count")?,
        })
    })?;
    known(rows)
}
