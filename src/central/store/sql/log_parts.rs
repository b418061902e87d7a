//! The parts of the log on a server: a table for each month (UTC) in which entries arrived. In a file there are none.
//!
//! Who takes entries in makes the part that they need, in the same transaction, so no clock of a central keeps an entry out.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime};

use super::columns::count;
use super::engine::{Connection, Result};
use crate::store::PRUNED_AT_ONCE;
use loaxa_heart::domain::time::{Span, Wall};

/// Time before a month's beginning in which its part is made.
const AHEAD: Span = Span::secs(7 * 86_400);
/// Years whose months have parts of their own; no clock shows others.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=9998;

/// A part that may be made, with its bounds as SQL.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    name: String,
    from: String,
    to: String,
}

impl Part {
    fn of(arrived: Wall) -> Self {
        let micros = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc().timestamp_micros().to_string();
        let day = DateTime::from_timestamp_micros(arrived.0).map(|at| at.date_naive());
        let month = day.and_then(|day| day.with_day(1)).filter(|day| YEARS.contains(&day.year()));
        match month.and_then(|begin| Some((begin, begin.checked_add_months(Months::new(1))?))) {
            Some((begin, end)) => {
                let name = format!("log_{:04}_{:02}", begin.year(), begin.month());
                Self { name, from: micros(begin), to: micros(end) }
            }
            None if arrived.0 < 0 => {
                Self { name: "log_before_all".to_owned(), from: "MINVALUE".to_owned(), to: "0".to_owned() }
            }
            None => {
                let from = NaiveDate::from_ymd_opt(YEARS.end() + 1, 1, 1).map(micros).unwrap_or_default();
                Self { name: "log_after_all".to_owned(), from, to: "MAXVALUE".to_owned() }
            }
        }
    }
}

/// Makes the parts for entries that arrive at these times, where there are none.
pub fn make_rooms(db: &Connection, arrivals: impl Iterator<Item = Wall>) -> Result<()> {
    if matches!(db, Connection::Sqlite(_)) {
        return Ok(());
    }
    let months: BTreeMap<String, Wall> = arrivals.map(|arrived| (Part::of(arrived).name, arrived)).collect();
    months.into_values().try_for_each(|arrived| make_room(db, arrived))
}

fn make_room(db: &Connection, arrived: Wall) -> Result<()> {
    let is_there: bool = db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM log_parts
                            WHERE coalesce(begins <= ?1, TRUE) AND coalesce(ends > ?1, TRUE))",
        )?
        .query_row([arrived.0], |row| row.get(0))?;
    if is_there {
        return Ok(());
    }
    let Part { name, from, to } = Part::of(arrived);
    // A keeper of the server may have put a part of that month aside.
    let taken: i64 = db
        .prepare_cached("SELECT count(*) FROM pg_class WHERE starts_with(CAST(relname AS TEXT), ?1)")?
        .query_row([&name], |row| row.get(0))?;
    let name = if taken == 0 { name } else { format!("{name}_and_{taken}") };
    // Whoever reads the log is not held up by a table that is attached to it.
    db.execute_batch(&format!(
        "CREATE TABLE {name} (LIKE log INCLUDING ALL);
         ALTER TABLE log ATTACH PARTITION {name} FOR VALUES FROM ({from}) TO ({to})"
    ))
}

/// Puts the table of an earlier version aside, in which the whole log was; false where there is none.
pub fn set_aside(db: &Connection) -> Result<bool> {
    let is_table: bool = db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM pg_class WHERE oid = to_regclass('log') AND relkind = 'r')",
        )?
        .query_row([], |row| row.get(0))?;
    if is_table {
        // Indexes take longer than any change that people wait for.
        db.execute_batch(
            "SET LOCAL statement_timeout = 0;
             CREATE SEQUENCE log_cursors;
             SELECT setval('log_cursors', nextval(pg_get_serial_sequence('log', 'cursor')));
             ALTER TABLE log ALTER COLUMN cursor DROP IDENTITY, DROP CONSTRAINT log_pkey,
                 DROP CONSTRAINT log_box_epoch_seq_key;
             ALTER TABLE log RENAME TO log_earlier;
             DO $$ DECLARE known regclass; BEGIN
                 FOR known IN SELECT indexrelid FROM pg_index WHERE indrelid = to_regclass('log_earlier') LOOP
                     EXECUTE format('ALTER INDEX %s RENAME TO %I', known, 'earlier_' || known);
                 END LOOP;
             END $$",
        )?;
    }
    Ok(is_table)
}

/// Makes the table that was put aside the part of everything until the end of this month. What a clock that was ahead dated
/// later goes into parts of its own.
pub fn take_in(db: &Connection) -> Result<()> {
    let now: i64 = db
        .prepare_cached("SELECT CAST(extract(epoch FROM now()) * 1000000 AS BIGINT)")?
        .query_row([], |row| row.get(0))?;
    let Part { to, .. } = Part::of(Wall(now));
    db.execute_batch(&format!(
        "CREATE TEMP TABLE log_ahead (LIKE log_earlier) ON COMMIT DROP;
         WITH ahead AS (DELETE FROM log_earlier WHERE arrived >= {to} RETURNING *) INSERT INTO log_ahead SELECT * FROM ahead;
         ALTER TABLE log_earlier ALTER COLUMN cursor SET DEFAULT nextval('log_cursors');
         ALTER TABLE log ATTACH PARTITION log_earlier FOR VALUES FROM (MINVALUE) TO ({to})"
    ))?;
    let mut after = i64::MIN;
    loop {
        let next: Option<i64> = db
            .prepare_cached(
                "SELECT min(arrived) FROM log_ahead WHERE arrived >= ?1 AND NOT EXISTS (
                     SELECT 1 FROM log_parts WHERE begins <= arrived AND coalesce(ends > arrived, TRUE))",
            )?
            .query_row([after], |row| row.get(0))?;
        let Some(next) = next else { break };
        make_room(db, Wall(next))?;
        after = next;
    }
    db.execute_batch("INSERT INTO log SELECT * FROM log_ahead")
}

/// The last entry of each log in the part from `?1` to `?2`.
const LASTS: &str = "SELECT heads.box, heads.epoch, last.seq, last.hash, last.arrived FROM heads, LATERAL (
    SELECT seq, hash, arrived FROM log WHERE log.box = heads.box AND log.epoch = heads.epoch
    AND log.arrived >= ?1 AND log.arrived < ?2 ORDER BY seq DESC LIMIT 1) AS last";

/// Drops a part that is wholly older than `before`, where each log in it can be cut behind it; before that, some of the plays
/// that go with it. Returns the number of rows that went. Makes the part of the month that comes, too.
pub fn drop_one(db: &Connection, before: Wall, now: Wall) -> Result<u64> {
    if matches!(db, Connection::Sqlite(_)) {
        return Ok(0);
    }
    make_rooms(db, [now, now.plus(AHEAD)].into_iter())?;
    let mut query =
        db.prepare_cached("SELECT part, begins, ends FROM log_parts WHERE ends <= ?1 ORDER BY ends")?;
    let past = query.query_map([before.0], |row| {
        Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.unwrap_or(i64::MIN), row.get(2)?))
    })?;
    for (part, begins, ends) in past.collect::<Result<Vec<(String, i64, i64)>>>()? {
        if !may_go(db, begins, ends)? {
            continue;
        }
        let gone = match plays(db, begins, ends)? {
            0 => drop_part(db, &part, (begins, ends), now)?,
            gone => gone,
        };
        if gone > 0 {
            return Ok(gone);
        }
    }
    Ok(0)
}

/// Tells whether nothing in a part has to stay: the last entry of each log was signed by its box, or the log never was, and
/// nothing before it arrived later, under a clock that was ahead.
fn may_go(db: &Connection, begins: i64, ends: i64) -> Result<bool> {
    db.prepare_cached(&format!(
        "SELECT NOT EXISTS (SELECT 1 FROM ({LASTS}) AS lasts WHERE EXISTS (
             SELECT 1 FROM signed_heads WHERE signed_heads.box = lasts.box AND signed_heads.epoch = lasts.epoch)
             AND NOT EXISTS (SELECT 1 FROM signed_heads WHERE signed_heads.box = lasts.box
                             AND signed_heads.epoch = lasts.epoch AND signed_heads.seq = lasts.seq)
             OR EXISTS (SELECT 1 FROM log AS later WHERE later.box = lasts.box AND later.epoch = lasts.epoch
                        AND later.seq < lasts.seq AND later.arrived >= ?2))"
    ))?
    .query_row([begins, ends], |row| row.get(0))
}

/// Deletes some of the plays that go with a part.
fn plays(db: &Connection, begins: i64, ends: i64) -> Result<u64> {
    let mut gone = 0;
    // Each has an index of its own.
    for which in ["NULL", "NOT NULL"] {
        gone += db
            .prepare_cached(&format!(
                "DELETE FROM plays WHERE cursor = ANY (ARRAY(
                     SELECT plays.cursor FROM plays JOIN ({LASTS}) AS lasts
                     ON lasts.box = plays.box AND lasts.epoch = plays.epoch
                     WHERE implausible IS {which} AND listed < ?2 AND coalesce(plays.arrived, opened) <= lasts.arrived
                     ORDER BY listed LIMIT ?3))"
            ))?
            .execute([begins, ends, PRUNED_AT_ONCE.into()])?;
    }
    Ok(gone as u64)
}

fn drop_part(db: &Connection, part: &str, (begins, ends): (i64, i64), now: Wall) -> Result<u64> {
    let is_free: bool = db.prepare_cached("SELECT log_is_free()")?.query_row([], |row| row.get(0))?;
    if !is_free {
        return Ok(0);
    }
    db.prepare_cached(&format!(
        "INSERT INTO pruned_logs (box, epoch, upto, hash, since, at)
         SELECT lasts.box, lasts.epoch, lasts.seq, lasts.hash, (
             SELECT min(first.wall, first.arrived) FROM log AS first
             WHERE first.box = lasts.box AND first.epoch = lasts.epoch ORDER BY first.seq LIMIT 1), ?3
         FROM ({LASTS}) AS lasts WHERE TRUE ON CONFLICT (box, epoch) DO UPDATE
         SET upto = excluded.upto, hash = excluded.hash, at = excluded.at WHERE pruned_logs.upto < excluded.upto"
    ))?
    .execute([begins, ends, now.0])?;
    // What stayed of earlier parts because nothing behind it was signed.
    let stayed = db
        .prepare_cached(&format!(
            "DELETE FROM log WHERE arrived < ?1 AND EXISTS (
                 SELECT 1 FROM ({LASTS}) AS lasts
                 WHERE lasts.box = log.box AND lasts.epoch = log.epoch AND log.seq <= lasts.seq)"
        ))?
        .execute([begins, ends])?;
    let held: u64 = db
        .prepare_cached(&format!("SELECT count(*) AS held FROM {part}"))?
        .query_row([], |row| count(row, "held"))?;
    db.execute_batch(&format!("DROP TABLE {part}"))?;
    Ok(stayed as u64 + held)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arrived: i64, name: &str, from: &str, to: &str) {
        let expected = Part { name: name.to_owned(), from: from.to_owned(), to: to.to_owned() };
        assert_eq!(Part::of(Wall(arrived)), expected);
    }

    #[test]
    fn every_arrival_has_a_part() {
        check(0, "log_1970_01", "0", "2678400000000");
        check(2_678_400_000_000, "log_1970_02", "2678400000000", "5097600000000");
        check(1_796_083_199_999_999, "log_2026_11", "1793491200000000", "1796083200000000");
        check(1_796_083_200_000_000, "log_2026_12", "1796083200000000", "1798761600000000");
        check(-1, "log_before_all", "MINVALUE", "0");
        check(i64::MIN, "log_before_all", "MINVALUE", "0");
        check(253_370_764_799_999_999, "log_9998_12", "253368086400000000", "253370764800000000");
        check(253_370_764_800_000_000, "log_after_all", "253370764800000000", "MAXVALUE");
        check(i64::MAX, "log_after_all", "253370764800000000", "MAXVALUE");
    }
}
