//! Deletion in small steps of what nobody has to keep any longer.

use super::SqlStore;
use super::audit::note;
use super::columns::{bounded, count, from_json, from_word, json, known, name, wall};
use super::engine::{Connection, OptionalExtension, Result, Row, Value, params};
use super::log_parts::{self, EARLIEST};
use crate::store::{
    Answer, Keeping, KeepingRule, NewAct, PRUNED_AT_ONCE, Perishable, PrunedLog, PrunedRow, RoomRow,
    StoreError,
};
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::time::Wall;

/// Tables by what people know them for; what is in none of the lists is `other`.
const ROOMS: [(&str, &[&str]); 4] = [
    ("log", &["log", "log_holes", "plays", "airings", "airing_tags", "signed_heads", "heads", "deliveries"]),
    ("sums", &["days", "day_boxes", "day_plans", "day_sums", "feedback_days", "anchors", "made_reports"]),
    ("acts", &["acts"]),
    ("feedback", &["feedback"]),
];
/// Everything else in the database.
const OTHER: &str = "other";

impl Keeping for SqlStore {
    fn keeping_rule(&self) -> Answer<'_, KeepingRule> {
        self.read(|db| {
            let kept = db
                .prepare_cached("SELECT rule FROM keeping")?
                .query_row([], |row| from_json(row, "rule"))
                .optional()?;
            Ok(kept.unwrap_or_default())
        })
    }

    fn set_keeping_rule(&self, rule: KeepingRule, act: NewAct) -> Answer<'_, ()> {
        self.write(move |db| {
            db.prepare_cached(
                "INSERT INTO keeping (one, rule) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET rule = ?1",
            )?
            .execute([json(&rule)])?;
            note(db, &act)
        })
    }

    fn complained_since(&self) -> Answer<'_, Option<Wall>> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT about, made FROM feedback WHERE due IS NOT NULL AND answered IS NULL",
            )?;
            let rows = query.query_map([], |row| {
                let about = match row.get::<_, Option<String>>("about")? {
                    None => None,
                    Some(_) => Some(from_json::<crate::store::Broadcast>(row, "about")?.at),
                };
                Ok(about.unwrap_or(wall(row, "made")?))
            })?;
            rows.collect::<Result<Vec<_>>>().map(|times| times.into_iter().min())
        })
    }

    fn prune(&self, kept: Perishable, before: Wall, now: Wall) -> Answer<'_, u64> {
        if kept == Perishable::Log {
            return Box::pin(self.prune_logs(before, now));
        }
        self.write(move |db| {
            if kept == Perishable::Orders && waits_to_be_reckoned(db, before)? {
                return Ok(0);
            }
            note_pruned(db, kept, before, now, 0)?;
            let gone = match kept {
                // It went above.
                Perishable::Log => 0,
                Perishable::Drafts => drafts(db, before)?,
                Perishable::Feedback => feedback(db, before)?,
                Perishable::Acts => acts(db, before)?,
                Perishable::Orders => orders(db, before)?,
                Perishable::Outgoing => outgoing(db, before)?,
                Perishable::Audio => 0,
            };
            note_pruned(db, kept, before, now, gone)?;
            Ok(gone)
        })
    }

    fn unused_media(&self, before: Wall, now: Wall, limit: u32) -> Answer<'_, Vec<ContentHash>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(&format!(
                "SELECT sha256 FROM media WHERE {UNUSED} ORDER BY added, sha256 LIMIT ?3"
            ))?;
            query.query_map(params![before.0, now.0, limit], |row| name(row, "sha256"))?.collect()
        })
    }

    fn forget_media(&self, hash: ContentHash, before: Wall, now: Wall) -> Answer<'_, bool> {
        self.write(move |db| {
            let gone = db
                .prepare_cached(&format!("DELETE FROM media WHERE sha256 = ?3 AND {UNUSED}"))?
                .execute(params![before.0, now.0, hash.to_string()])?;
            note_pruned(db, Perishable::Audio, before, now, gone as u64)?;
            Ok(gone == 1)
        })
    }

    fn pruned_logs(&self) -> Answer<'_, Vec<PrunedLog>> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT *, (SELECT envelope FROM signed_heads
                            WHERE signed_heads.box = pruned_logs.box AND signed_heads.epoch = pruned_logs.epoch
                              AND signed_heads.seq = pruned_logs.upto) AS head
                 FROM pruned_logs ORDER BY box, epoch",
            )?;
            query.query_map([], pruned_log)?.collect()
        })
    }

    fn pruned(&self) -> Answer<'_, Vec<PrunedRow>> {
        self.read(|db| {
            let mut query = db.prepare_cached("SELECT * FROM pruned WHERE gone > 0 ORDER BY kept")?;
            let rows = query.query_map([], |row| {
                Ok(PrunedRow {
                    kept: from_word(row, "kept")?,
                    before: wall(row, "before")?,
                    at: wall(row, "at")?,
                    rows: count(row, "gone")?,
                })
            })?;
            known(rows)
        })
    }

    fn measure_room(&self, beside: Vec<(String, u64)>, now: Wall) -> Answer<'_, ()> {
        Box::pin(async move {
            let mut rooms = self.read(measured).await?;
            rooms.extend(beside);
            self.write(move |db| {
                db.execute("DELETE FROM rooms", [])?;
                let mut insert =
                    db.prepare_cached("INSERT INTO rooms (what, bytes, measured) VALUES (?1, ?2, ?3)")?;
                for (what, bytes) in &rooms {
                    insert.execute(params![what, bounded(*bytes), now.0])?;
                }
                Ok(())
            })
            .await
        })
    }

    fn room(&self) -> Answer<'_, Vec<RoomRow>> {
        self.read(|db| {
            let mut query = db.prepare_cached("SELECT * FROM rooms ORDER BY bytes DESC, what")?;
            let rows = query.query_map([], |row| {
                Ok(RoomRow {
                    what: row.get("what")?,
                    bytes: count(row, "bytes")?,
                    measured: wall(row, "measured")?,
                })
            })?;
            rows.collect()
        })
    }
}

impl SqlStore {
    /// Deletes some lines of the log's page, a whole month of all logs, or the beginnings of some. A month is read while others
    /// write.
    async fn prune_logs(&self, before: Wall, now: Wall) -> Result<u64, StoreError> {
        loop {
            let past = self.read(move |db| log_parts::past(db, before)).await?;
            let of = past.clone();
            let gone = self.write(move |db| log(db, of.as_ref(), before, now)).await?;
            let (Some(0), Some(past)) = (gone, past) else { return Ok(gone.unwrap_or(0)) };
            let held = self.read(move |db| log_parts::held(db, &past)).await?;
            let dropped = self.write(move |db| drop_or_cut(db, &held, before, now)).await?;
            // A month may be empty.
            if dropped != Some(0) {
                return Ok(dropped.unwrap_or(0));
            }
        }
    }
}

/// The condition on audio that nothing names since `?1`; now is `?2`.
const UNUSED: &str = "added < ?1
    AND NOT EXISTS (SELECT 1 FROM notices WHERE instr(content, media.sha256) > 0
                    AND (changed >= ?1 OR state IN ('draft', 'submitted', 'returned')))
    AND NOT EXISTS (SELECT 1 FROM notice_versions JOIN notices ON notices.id = notice_versions.notice
                    WHERE instr(notice_versions.content, media.sha256) > 0
                    AND notices.state IN ('draft', 'submitted', 'returned'))
    AND NOT EXISTS (SELECT 1 FROM commands WHERE (expires >= ?2 OR issued_at >= ?1) AND instr(payload, media.sha256) > 0)
    AND NOT EXISTS (SELECT 1 FROM documents JOIN commands ON commands.id = documents.command
                    WHERE documents.version = (SELECT max(version) FROM documents AS newer WHERE newer.name = documents.name)
                    AND instr(commands.payload, media.sha256) > 0)
    AND NOT EXISTS (SELECT 1 FROM drafts WHERE instr(payload, media.sha256) > 0)
    AND NOT EXISTS (SELECT 1 FROM messages WHERE lower(hex(messages.media)) = media.sha256
                    AND (ended IS NULL OR ended >= ?1))
    AND NOT EXISTS (SELECT 1 FROM proposals WHERE state IN ('draft', 'submitted', 'returned')
                    AND instr(content, media.sha256) > 0)";

/// Keeps how far things of a kind are deleted; the time never goes back.
fn note_pruned(db: &Connection, kept: Perishable, before: Wall, now: Wall, gone: u64) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO pruned (kept, before, at, gone) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (kept) DO UPDATE SET before = max(pruned.before, ?2), at = ?3, gone = pruned.gone + ?4",
    )?
    .execute(params![kept.code(), before.0, now.0, bounded(gone)])?;
    Ok(())
}

fn waits_to_be_reckoned(db: &Connection, before: Wall) -> Result<bool> {
    db.prepare_cached("SELECT EXISTS (SELECT 1 FROM days_to_settle WHERE day < ?1)")?
        .query_row([before.date().to_string()], |row| row.get(0))
}

/// Deletes lines of the log's page first, then the plays of a month that can go, or of some logs what it can; `None` while days
/// wait to be reckoned.
fn log(db: &Connection, past: Option<&log_parts::Past>, before: Wall, now: Wall) -> Result<Option<u64>> {
    if waits_to_be_reckoned(db, before)? {
        return Ok(None);
    }
    // First of all: a day that is gone in part is never reckoned anew.
    note_pruned(db, Perishable::Log, before, now, 0)?;
    log_parts::make_ahead(db, now)?;
    db.prepare_cached("DELETE FROM log_holes WHERE told < ?1")?.execute([before.0])?;
    let gone = match (airings(db, before)?, past) {
        (0, Some(past)) => log_parts::plays(db, past)?,
        (0, None) => cut_logs(db, before, now)?,
        (lines, _) => lines,
    };
    note_pruned(db, Perishable::Log, before, now, gone)?;
    Ok(Some(gone))
}

/// Drops a month, or cuts some logs where it can't go now; `None` where nothing of them can go either.
fn drop_or_cut(db: &Connection, held: &log_parts::Held, before: Wall, now: Wall) -> Result<Option<u64>> {
    let gone = match log_parts::drop_part(db, held, now)? {
        Some(gone) => Some(gone),
        None => Some(cut_logs(db, before, now)?).filter(|gone| *gone > 0),
    };
    note_pruned(db, Perishable::Log, before, now, gone.unwrap_or(0))?;
    Ok(gone)
}

fn airings(db: &Connection, before: Wall) -> Result<u64> {
    let mut query = db.prepare_cached("SELECT id FROM airings WHERE day < ?1 LIMIT ?2")?;
    let old = query.query_map(params![before.date().to_string(), PRUNED_AT_ONCE], |row| row.get(0))?;
    let old = old.collect::<Result<Vec<i64>>>()?;
    let all = json(&old);
    for delete in [
        "DELETE FROM airing_tags WHERE airing IN (SELECT CAST(value AS BIGINT) FROM json_each(?1))",
        "DELETE FROM airings WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each(?1))",
    ] {
        db.prepare_cached(delete)?.execute([&all])?;
    }
    Ok(old.len() as u64)
}

/// Logs that are cut in one step.
const CUT_AT_ONCE: u32 = 100;

/// A log whose beginning goes, and its last entry that does.
struct Cut {
    id: String,
    epoch: String,
    first: i64,
    upto: i64,
    hash: Vec<u8>,
    arrived: i64,
    since: i64,
    entries: u64,
}

/// The place behind the entries from `first` on that are old, among `?2` of them.
const STOP: &str = "coalesce((SELECT min(later.seq) FROM log AS later
    WHERE later.box = heads.box AND later.epoch = heads.epoch
    AND later.seq >= first.seq AND later.seq < first.seq + ?2 AND later.arrived >= ?1), first.seq + ?2)";

/// The same place, but no further than the last entry there whose date is right; where none is, and the next that is right is
/// old, all of them are.
const DATED_STOP: &str = "coalesce(
    (SELECT dated.seq + 1 FROM log AS dated WHERE dated.box = heads.box AND dated.epoch = heads.epoch
     AND dated.seq >= first.seq AND dated.seq < {STOP} AND dated.arrived >= {EARLIEST} ORDER BY dated.seq DESC LIMIT 1),
    CASE WHEN (SELECT next.arrived FROM log AS next WHERE next.box = heads.box AND next.epoch = heads.epoch
               AND next.seq >= {STOP} AND next.arrived >= {EARLIEST} ORDER BY next.seq LIMIT 1) < ?1 THEN {STOP} END)";

/// Finds logs of which something can go: up to the last entry that the box signed among those that are old; of a box that
/// never signs, all of these, and of one that has signed none of very many. What stands behind the last signature goes with
/// the next.
const CUTS: &str = "SELECT cuts.box, cuts.epoch, cuts.first, cuts.since, log.seq, log.hash, log.arrived,
            (SELECT count(*) FROM log AS gone WHERE gone.box = cuts.box AND gone.epoch = cuts.epoch
             AND gone.seq >= cuts.first AND gone.seq <= cuts.upto) AS entries
     FROM (SELECT heads.box, heads.epoch, first.seq AS first, min(first.wall, first.arrived) AS since, coalesce(
               (SELECT max(signed.seq) FROM signed_heads AS signed WHERE signed.box = heads.box
                AND signed.epoch = heads.epoch AND signed.seq >= first.seq AND signed.seq < {DATED_STOP}),
               (SELECT max(own.seq) FROM log AS own WHERE own.box = heads.box
                AND own.epoch = heads.epoch AND own.seq >= first.seq AND own.seq < {DATED_STOP})) AS upto
           FROM heads CROSS JOIN log AS first ON first.box = heads.box AND first.epoch = heads.epoch AND first.seq = (
               SELECT min(own.seq) FROM log AS own WHERE own.box = heads.box AND own.epoch = heads.epoch)
           WHERE first.arrived < ?1 AND {DATED_STOP} > first.seq AND (
               EXISTS (SELECT 1 FROM signed_heads AS signed
                   CROSS JOIN log AS own ON own.box = signed.box AND own.epoch = signed.epoch AND own.seq = signed.seq
                   WHERE signed.box = heads.box AND signed.epoch = heads.epoch AND signed.seq = (
                       SELECT min(next.seq) FROM signed_heads AS next WHERE next.box = heads.box
                       AND next.epoch = heads.epoch AND next.seq >= first.seq)
                   AND own.arrived < ?1 AND signed.seq < {DATED_STOP})
               OR NOT EXISTS (SELECT 1 FROM signed_heads AS signed
                   WHERE signed.box = heads.box AND signed.epoch = heads.epoch)
               OR heads.upto >= first.seq + ?2 - 1 AND (SELECT own.arrived FROM log AS own
                   WHERE own.box = heads.box AND own.epoch = heads.epoch AND own.seq < first.seq + ?2
                   ORDER BY own.seq DESC LIMIT 1) < ?1 AND {STOP} = first.seq + ?2)
           ORDER BY heads.box, heads.epoch LIMIT ?3) AS cuts
     JOIN log ON log.box = cuts.box AND log.epoch = cuts.epoch AND log.seq = cuts.upto
     ORDER BY cuts.box, cuts.epoch";

fn cuts(db: &Connection, before: Wall) -> Result<Vec<Cut>> {
    let sql = [("{DATED_STOP}", DATED_STOP), ("{STOP}", STOP), ("{EARLIEST}", EARLIEST)];
    let sql = sql.into_iter().fold(CUTS.to_owned(), |sql, (hole, words)| sql.replace(hole, words));
    let mut query = db.prepare_cached(&sql)?;
    let rows = query.query_map(params![before.0, PRUNED_AT_ONCE, CUT_AT_ONCE], |row| {
        Ok(Cut {
            id: row.get("box")?,
            epoch: row.get("epoch")?,
            first: row.get("first")?,
            upto: row.get("seq")?,
            hash: row.get("hash")?,
            arrived: row.get("arrived")?,
            since: row.get("since")?,
            entries: count(row, "entries")?,
        })
    })?;
    rows.collect()
}

/// The columns that are told of each cut, for plays and for entries, and the statements that delete them. A server that is not
/// told how few they are would read all that there is. A play whose date can't be right goes when a later one is old.
const OF_PLAYS: &str = "heads (box, epoch, upto)";
const PLAYS_OF_ONE: &str =
    "DELETE FROM plays WHERE box = ?1 AND epoch = ?2 AND coalesce(arrived, opened) <= ?3
     AND (coalesce(arrived, opened) >= {EARLIEST} OR cursor < (SELECT max(later.cursor) FROM plays AS later
         WHERE later.box = ?1 AND later.epoch = ?2
         AND coalesce(later.arrived, later.opened) >= {EARLIEST} AND coalesce(later.arrived, later.opened) <= ?3))";
const PLAYS_OF_ALL: &str = "ANALYZE {told}; DELETE FROM plays USING {told} AS told
    WHERE plays.box = told.box AND plays.epoch = told.epoch AND coalesce(plays.arrived, plays.opened) <= told.upto
    AND (coalesce(plays.arrived, plays.opened) >= {EARLIEST} OR plays.cursor < (SELECT max(later.cursor) FROM plays AS later
        WHERE later.box = told.box AND later.epoch = told.epoch
        AND coalesce(later.arrived, later.opened) >= {EARLIEST} AND coalesce(later.arrived, later.opened) <= told.upto))";
const OF_ENTRIES: &str = "signed_heads (box, epoch, day, seq)";
const ENTRIES_OF_ONE: &str = "DELETE FROM log WHERE box = ?1 AND epoch = ?2 AND seq >= ?3 AND seq <= ?4";
const ENTRIES_OF_ALL: &str = "ANALYZE {told}; DELETE FROM log USING {told} AS told
    WHERE log.box = told.box AND log.epoch = told.epoch AND log.seq >= told.day AND log.seq <= told.seq";

/// Deletes the beginnings of some logs.
fn cut_logs(db: &Connection, before: Wall, now: Wall) -> Result<u64> {
    let mut gone = 0;
    let mut cuts = cuts(db, before)?;
    let fit = cuts.iter().take_while(|cut| {
        let has_room = gone == 0 || gone + cut.entries <= u64::from(PRUNED_AT_ONCE);
        gone += if has_room { cut.entries } else { 0 };
        has_room
    });
    let fit = fit.count();
    cuts.truncate(fit);
    let key = |cut: &Cut| -> [Value; 2] { [cut.id.clone().into(), cut.epoch.clone().into()] };
    let pruned = cuts.iter().map(|cut| -> [Value; 6] {
        let [id, epoch] = key(cut);
        [id, epoch, cut.upto.into(), cut.hash.clone().into(), cut.since.into(), now.0.into()]
    });
    db.insert_rows_or(
        "pruned_logs (box, epoch, upto, hash, since, at)",
        &pruned.collect::<Vec<_>>(),
        "ON CONFLICT (box, epoch) DO UPDATE SET upto = excluded.upto, hash = excluded.hash, at = excluded.at",
    )?;
    let plays = cuts.iter().map(|cut| -> [Value; 3] {
        let [id, epoch] = key(cut);
        [id, epoch, cut.arrived.into()]
    });
    let [of_one, of_all] = [PLAYS_OF_ONE, PLAYS_OF_ALL].map(|sql| sql.replace("{EARLIEST}", EARLIEST));
    db.change_rows(OF_PLAYS, &plays.collect::<Vec<_>>(), (&of_one, &of_all))?;
    let entries = cuts.iter().map(|cut| -> [Value; 4] {
        let [id, epoch] = key(cut);
        [id, epoch, cut.first.into(), cut.upto.into()]
    });
    db.change_rows(OF_ENTRIES, &entries.collect::<Vec<_>>(), (ENTRIES_OF_ONE, ENTRIES_OF_ALL))?;
    Ok(gone)
}

/// Deletes notices that were given up: drafts that nobody has touched since, and what was returned, withdrawn or never
/// approved.
fn drafts(db: &Connection, before: Wall) -> Result<u64> {
    let mut query = db.prepare_cached(
        "SELECT id FROM notices WHERE state IN ('draft', 'returned', 'withdrawn', 'expired') AND changed < ?1
         ORDER BY changed LIMIT ?2",
    )?;
    let old = query.query_map(params![before.0, PRUNED_AT_ONCE], |row| row.get(0))?;
    let old = old.collect::<Result<Vec<String>>>()?;
    let all = json(&old);
    for delete in [
        "DELETE FROM notice_versions WHERE notice IN (SELECT value FROM json_each(?1))",
        "DELETE FROM notices WHERE id IN (SELECT value FROM json_each(?1))",
    ] {
        db.prepare_cached(delete)?.execute([&all])?;
    }
    Ok(old.len() as u64)
}

/// Deletes words of villagers that were answered, or need no answer, before then; their numbers stay.
fn feedback(db: &Connection, before: Wall) -> Result<u64> {
    let gone = db
        .prepare_cached(
            "DELETE FROM feedback WHERE id IN (SELECT id FROM feedback
             WHERE answered < ?1 OR (due IS NULL AND made < ?1) LIMIT ?2)",
        )?
        .execute(params![before.0, PRUNED_AT_ONCE])?;
    Ok(gone as u64)
}

fn acts(db: &Connection, before: Wall) -> Result<u64> {
    let gone = db
        .prepare_cached(&format!(
            "DELETE FROM acts WHERE id IN (SELECT id FROM acts WHERE at < ?1
             AND (at >= {EARLIEST} OR id < (SELECT max(id) FROM acts WHERE at >= {EARLIEST} AND at < ?1)) ORDER BY at LIMIT ?2)",
        ))?
        .execute(params![before.0, PRUNED_AT_ONCE])?;
    Ok(gone as u64)
}

/// Deletes drafts that nobody can sign any more; where there are none left, orders that have expired, with their notices and
/// deliveries, then deliveries of no order. Documents in force stay, and so does what the log or a play names. The serial numbers of issuers are a table of
/// their own, so that none is given twice.
fn orders(db: &Connection, before: Wall) -> Result<u64> {
    let of = params![before.0, PRUNED_AT_ONCE];
    db.prepare_cached(
        "DELETE FROM draft_signatures WHERE draft IN (SELECT id FROM drafts WHERE expires < ?1 ORDER BY id LIMIT ?2)",
    )?
    .execute(of)?;
    let drafts = db
        .prepare_cached(
            "DELETE FROM drafts WHERE id IN (SELECT id FROM drafts WHERE expires < ?1 ORDER BY id LIMIT ?2)",
        )?
        .execute(of)?;
    if drafts > 0 {
        return Ok(drafts as u64);
    }
    let mut query = db.prepare_cached(
        "SELECT id FROM commands WHERE expires < ?1 AND issued_at < ?1
         AND NOT EXISTS (SELECT 1 FROM documents WHERE documents.command = commands.id)
         AND NOT EXISTS (SELECT 1 FROM log WHERE log.command = commands.id)
         AND NOT EXISTS (SELECT 1 FROM plays WHERE plays.subject_id = commands.id)
         ORDER BY expires LIMIT ?2",
    )?;
    let old = query.query_map(of, |row| row.get(0))?.collect::<Result<Vec<String>>>()?;
    if old.is_empty() {
        return deliveries_of_nothing(db, before);
    }
    let all = json(&old);
    for delete in [
        "DELETE FROM notice_versions WHERE notice IN (
             SELECT id FROM notices WHERE command IN (SELECT value FROM json_each(?1)))",
        "DELETE FROM notices WHERE command IN (SELECT value FROM json_each(?1))",
        "DELETE FROM commands WHERE id IN (SELECT value FROM json_each(?1))",
    ] {
        db.prepare_cached(delete)?.execute([&all])?;
    }
    // A server that is told of many at once would read the deliveries of all.
    let mut delete = db.prepare_cached("DELETE FROM deliveries WHERE command = ?1")?;
    for id in &old {
        delete.execute([id])?;
    }
    Ok(old.len() as u64)
}

/// Deletes what boxes told of orders that central never kept.
fn deliveries_of_nothing(db: &Connection, before: Wall) -> Result<u64> {
    let gone = db
        .prepare_cached(
            "DELETE FROM deliveries WHERE sent IS NULL AND (command, box) IN (
                 SELECT command, box FROM deliveries
                 WHERE sent IS NULL AND coalesce(received, staged, started, over) < ?1
                 AND NOT EXISTS (SELECT 1 FROM commands WHERE commands.id = deliveries.command)
                 ORDER BY command, box LIMIT ?2)",
        )?
        .execute(params![before.0, PRUNED_AT_ONCE])?;
    Ok(gone as u64)
}

/// Deletes letters and events for which no try is to come.
fn outgoing(db: &Connection, before: Wall) -> Result<u64> {
    let of = params![before.0, PRUNED_AT_ONCE];
    let letters = db
        .prepare_cached(
            "DELETE FROM letters WHERE id IN (SELECT id FROM letters WHERE due IS NULL AND made < ?1 LIMIT ?2)",
        )?
        .execute(of)?;
    let events = db
        .prepare_cached(
            "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE due IS NULL AND made < ?1 LIMIT ?2)",
        )?
        .execute(of)?;
    Ok((letters + events) as u64)
}

fn pruned_log(row: &Row) -> Result<PrunedLog> {
    Ok(PrunedLog {
        id: name(row, "box")?,
        epoch: from_word(row, "epoch")?,
        upto: count(row, "upto")?,
        hash: ContentHash(row.get("hash")?),
        at: wall(row, "at")?,
        head: row.get("head")?,
    })
}

/// Adds up the pages of the database by what they hold.
fn measured(db: &Connection) -> Result<Vec<(String, u64)>> {
    let mut query = db.prepare_cached(match db {
        Connection::Sqlite(_) => {
            "SELECT coalesce(sqlite_schema.tbl_name, dbstat.name) AS of, sum(dbstat.pgsize) AS bytes FROM dbstat
             LEFT JOIN sqlite_schema ON sqlite_schema.name = dbstat.name WHERE aggregate = TRUE GROUP BY of"
        }
        Connection::Postgres(_) => {
            "SELECT CASE WHEN relispartition THEN 'log' ELSE CAST(relname AS TEXT) END AS of,
                    pg_total_relation_size(oid) AS bytes FROM pg_class
             WHERE relkind = 'r' AND relnamespace = CAST(current_schema() AS regnamespace)"
        }
    })?;
    let tables = query.query_map([], |row| Ok((row.get::<_, String>("of")?, count(row, "bytes")?)))?;
    let mut rooms: Vec<(String, u64)> = Vec::new();
    for table in tables {
        let (table, bytes) = table?;
        let of = ROOMS.iter().find(|(_, tables)| tables.contains(&table.as_str()));
        let what = of.map_or(OTHER, |(what, _)| what);
        match rooms.iter_mut().find(|(known, _)| known == what) {
            Some((_, sum)) => *sum += bytes,
            None => rooms.push((what.to_owned(), bytes)),
        }
    }
    Ok(rooms)
}
