//! The parts of the log on a server: a table for each month (UTC) in which entries arrived. In a file there are none.
//!
//! Who takes entries in makes the part that they need, in the same transaction, so no clock of a central keeps an entry out.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime};

use super::engine::{Connection, Result, Value, params};
use crate::store::PRUNED_AT_ONCE;
use loaxa_heart::domain::time::{Span, Wall};

/// Time before a month's beginning in which its part is made.
const AHEAD: Span = Span::secs(7 * 86_400);
/// Years whose months have parts of their own; no clock shows others.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=9998;

/// The time before which no clock of a central is right, as SQL. What such a clock dated is as old as what came next under a right
/// one.
pub const EARLIEST: &str = "1767225600000000";

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

/// A part that is over, by its name and its bounds.
#[derive(Clone)]
pub struct Past {
    part: String,
    begins: i64,
    ends: i64,
}

/// Makes the parts of this month and of the one that comes.
pub fn make_ahead(db: &Connection, now: Wall) -> Result<()> {
    make_rooms(db, [now, now.plus(AHEAD)].into_iter())
}

/// Finds the first part that is wholly older than `before`, where each log in it can be cut behind it.
pub fn past(db: &Connection, before: Wall) -> Result<Option<Past>> {
    if matches!(db, Connection::Sqlite(_)) {
        return Ok(None);
    }
    let mut query =
        db.prepare_cached("SELECT part, begins, ends FROM log_parts WHERE ends <= ?1 ORDER BY ends")?;
    let all = query.query_map([before.0], |row| {
        let begins = row.get::<_, Option<i64>>(1)?.unwrap_or(i64::MIN);
        Ok(Past { part: row.get(0)?, begins, ends: row.get(2)? })
    })?;
    for past in all.collect::<Result<Vec<_>>>()? {
        if may_go(db, &past, before)? {
            return Ok(Some(past));
        }
    }
    Ok(None)
}

/// Tells whether nothing in a part has to stay: the last entry of each log was signed by its box, or the log never was, and
/// nothing before it arrived later, under a clock that was ahead. What arrived under a clock that began anew is as old as what
/// came next.
fn may_go(db: &Connection, past: &Past, before: Wall) -> Result<bool> {
    db.prepare_cached(&format!(
        "SELECT NOT EXISTS (SELECT 1 FROM ({LASTS}) AS lasts WHERE EXISTS (
             SELECT 1 FROM signed_heads WHERE signed_heads.box = lasts.box AND signed_heads.epoch = lasts.epoch)
             AND NOT EXISTS (SELECT 1 FROM signed_heads WHERE signed_heads.box = lasts.box
                             AND signed_heads.epoch = lasts.epoch AND signed_heads.seq = lasts.seq)
             OR EXISTS (SELECT 1 FROM log AS later WHERE later.box = lasts.box AND later.epoch = lasts.epoch
                        AND later.seq < lasts.seq AND later.arrived >= ?2)
             OR ?2 <= {EARLIEST} AND coalesce((SELECT next.arrived FROM log AS next WHERE next.box = lasts.box
                        AND next.epoch = lasts.epoch AND next.seq > lasts.seq AND next.arrived >= {EARLIEST}
                        ORDER BY next.seq LIMIT 1), ?3) >= ?3)"
    ))?
    .query_row([past.begins, past.ends, before.0], |row| row.get(0))
}

/// Deletes some of the plays that go with a part; one whose date can't be right goes when a later one is as old as the part.
pub fn plays(db: &Connection, past: &Past) -> Result<u64> {
    let mut gone = 0;
    // Each has an index of its own.
    for which in ["NULL", "NOT NULL"] {
        gone += db
            .prepare_cached(&format!(
                "DELETE FROM plays WHERE cursor = ANY (ARRAY(
                     SELECT plays.cursor FROM plays JOIN ({LASTS}) AS lasts
                     ON lasts.box = plays.box AND lasts.epoch = plays.epoch
                     WHERE implausible IS {which} AND listed < ?2 AND coalesce(plays.arrived, opened) <= lasts.arrived
                     AND (coalesce(plays.arrived, opened) >= {EARLIEST} OR plays.cursor < (
                         SELECT max(later.cursor) FROM plays AS later
                         WHERE later.box = lasts.box AND later.epoch = lasts.epoch
                         AND coalesce(later.arrived, later.opened) >= {EARLIEST}
                         AND coalesce(later.arrived, later.opened) <= lasts.arrived))
                     ORDER BY listed LIMIT ?3))"
            ))?
            .execute([past.begins, past.ends, PRUNED_AT_ONCE.into()])?;
    }
    Ok(gone as u64)
}

/// Everything of a part that is read before anybody has to wait for its end.
pub struct Held {
    past: Past,
    /// Cuts of the logs, as columns of `pruned_logs` without the time.
    cuts: Vec<[Value; 5]>,
    entries: u64,
    newest: Option<i64>,
}

/// Reads what a part holds.
pub fn held(db: &Connection, past: &Past) -> Result<Held> {
    // First of all: what arrives from now on is seen by its number.
    let newest = newest(db, past)?;
    let mut query = db.prepare_cached(&format!(
        "SELECT lasts.box, lasts.epoch, lasts.seq, lasts.hash, (
             SELECT min(first.wall, first.arrived) FROM log AS first
             WHERE first.box = lasts.box AND first.epoch = lasts.epoch ORDER BY first.seq LIMIT 1) AS since, (
             SELECT first.seq FROM log AS first WHERE first.box = lasts.box AND first.epoch = lasts.epoch
             AND first.arrived < ?2 ORDER BY first.seq LIMIT 1) AS begun FROM ({LASTS}) AS lasts"
    ))?;
    let mut entries = 0;
    let rows = query.query_map([past.begins, past.ends], |row| {
        let (id, epoch): (String, String) = (row.get("box")?, row.get("epoch")?);
        let (upto, hash): (i64, Vec<u8>) = (row.get("seq")?, row.get("hash")?);
        let since: i64 = row.get("since")?;
        entries += (upto - row.get::<_, i64>("begun")? + 1).unsigned_abs();
        Ok([id.into(), epoch.into(), upto.into(), hash.into(), since.into()])
    })?;
    let cuts = rows.collect::<Result<Vec<_>>>()?;
    Ok(Held { past: past.clone(), cuts, entries, newest })
}

fn newest(db: &Connection, past: &Past) -> Result<Option<i64>> {
    let part = &past.part;
    db.prepare_cached(&format!("SELECT max(cursor) FROM {part}"))?.query_row([], |row| row.get(0))
}

const OF_STAYED: &str = "pruned_logs (box, epoch, upto)";

/// Drops a part, with what stayed of earlier ones because nothing behind it was signed, and says how many entries went, by
/// their numbers. `None` where nothing goes: somebody uses the log, or an entry has arrived in that month since it was read,
/// under a clock that was wrong.
pub fn drop_part(db: &Connection, held: &Held, now: Wall) -> Result<Option<u64>> {
    let Past { part, begins, ends } = &held.past;
    let is_there: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM log_parts WHERE part = ?1 AND ends = ?2)")?
        .query_row(params![part, ends], |row| row.get(0))?;
    let is_free = || db.prepare_cached("SELECT log_is_free()")?.query_row([], |row| row.get::<_, bool>(0));
    if !is_there || !is_free()? || newest(db, &held.past)? != held.newest {
        return Ok(None);
    }
    let rows: Vec<_> = held.cuts.iter().map(|cut| [&cut[..], &[now.0.into()]].concat()).collect();
    db.insert_rows_or(
        "pruned_logs (box, epoch, upto, hash, since, at)",
        &rows,
        "ON CONFLICT (box, epoch) DO UPDATE SET upto = excluded.upto, hash = excluded.hash, at = excluded.at
         WHERE pruned_logs.upto < excluded.upto",
    )?;
    // By its bound no later part is looked into.
    let of_one =
        format!("DELETE FROM log WHERE box = ?1 AND epoch = ?2 AND seq <= ?3 AND arrived < {begins}");
    let of_all = format!(
        "ANALYZE {{told}}; DELETE FROM log USING {{told}} AS told
         WHERE log.box = told.box AND log.epoch = told.epoch AND log.seq <= told.upto AND log.arrived < {begins}"
    );
    if *begins > i64::MIN {
        let stayed: Vec<_> = held.cuts.iter().map(|cut| &cut[..3]).collect();
        db.change_rows(OF_STAYED, &stayed, (&of_one, &of_all))?;
    }
    db.execute_batch(&format!("DROP TABLE {part}"))?;
    Ok(Some(held.entries))
}

#[cfg(test)]
mod tests {
    use super::super::database::Way;
    use super::super::prepare::prepare;
    use super::*;
    use crate::store::contract::cluster::Cluster;

    #[test]
    fn a_date_is_right_from_the_time_on_that_clocks_are() {
        assert_eq!(EARLIEST, loaxa_adapters::clock::EARLIEST.0.to_string());
    }

    #[test]
    fn what_arrives_in_a_month_while_it_is_read_stays() {
        let cluster = Cluster::start();
        cluster.create("xa");
        let db = Way::to(&cluster.database("xa")).unwrap().connect().unwrap();
        prepare(&db).unwrap();
        // October 2026.
        let (begins, ends) = (Wall(1_790_812_800_000_000), Wall(1_793_491_200_000_000));
        make_room(&db, begins).unwrap();
        let arrives = |seq: i64| {
            db.execute_batch(&format!(
                "INSERT INTO heads VALUES ('loa-1', '7', {seq}, '', 0) ON CONFLICT (box, epoch) DO UPDATE SET upto = {seq};
                 INSERT INTO log (box, epoch, seq, hash, arrived, wall, event, body)
                     VALUES ('loa-1', '7', {seq}, '', {at}, 7, 'device_back', '{{}}')",
                at = begins.0 + seq
            ))
            .unwrap();
        };
        let left = || cluster.sql("xa", "SELECT count(*), (SELECT max(upto) FROM pruned_logs) FROM log");
        let dropped = |held: &Held| db.in_transaction(|db| drop_part(db, held, ends)).unwrap();
        arrives(1);
        let over = past(&db, ends).unwrap().unwrap();
        let read = held(&db, &over).unwrap();
        arrives(2);
        assert_eq!((dropped(&read), left().as_str()), (None, "2|"));
        let read = held(&db, &over).unwrap();
        assert_eq!((dropped(&read), left().as_str()), (Some(2), "0|2"));
        assert_eq!(dropped(&read), None, "it is gone");
    }

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
