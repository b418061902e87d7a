//! Troubles: what is wrong now and was wrong before.

use super::SqlStore;
use super::audit::note;
use super::columns::{from_word, json, known, optional_name, optional_wall, wall, word};
use super::engine::{Connection, Result, Row, params, params_from_iter};
use crate::store::{
    Answer, Found, NewAct, PAST_TROUBLES_MAX, ROWS_MAX, SAME_TROUBLE_WITHIN, TroubleKind, TroubleRow,
    Troubles,
};
use loaxa_heart::domain::ids::AccountId;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::texts::visible;

impl Troubles for SqlStore {
    fn note_troubles(&self, found: Vec<Found>, now: Wall) -> Answer<'_, bool> {
        self.write(move |db| {
            let mut changed = false;
            for it in &found {
                changed |= open(db, it, now)?;
            }
            changed |= end_absent(db, &found, now)?;
            Ok(changed)
        })
    }

    fn open_troubles(&self) -> Answer<'_, Vec<TroubleRow>> {
        self.read(|db| {
            let mut query =
                db.prepare_cached("SELECT * FROM troubles WHERE ended IS NULL ORDER BY since, id")?;
            known(query.query_map([], row)?)
        })
    }

    fn past_troubles(&self, subject: Option<String>, limit: u32) -> Answer<'_, Vec<TroubleRow>> {
        self.read(move |db| {
            let which = if subject.is_some() { "subject = ?1 AND" } else { "" };
            let limit = limit.min(ROWS_MAX);
            let mut query = db.prepare_cached(&format!(
                "SELECT * FROM troubles WHERE {which} ended IS NOT NULL ORDER BY ended DESC, id DESC LIMIT {limit}"
            ))?;
            known(query.query_map(params_from_iter(subject), row)?)
        })
    }

    fn take_troubles(&self, ids: Vec<i64>, by: AccountId, at: Wall, act: NewAct) -> Answer<'_, bool> {
        self.write(move |db| {
            let taken = db
                .prepare_cached(
                    "UPDATE troubles SET taken_by = ?2, taken = ?3
                     WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each(?1)) AND ended IS NULL AND taken_by IS NULL",
                )?
                .execute(params![json(&ids), by.as_str(), at.0])?;
            noted(db, taken, &act)
        })
    }

    fn silence_troubles(&self, ids: Vec<i64>, until: Wall, act: NewAct) -> Answer<'_, bool> {
        self.write(move |db| {
            let silenced = db
                .prepare_cached(
                    "UPDATE troubles SET silent_until = ?2
                     WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each(?1)) AND ended IS NULL",
                )?
                .execute(params![json(&ids), until.0])?;
            noted(db, silenced, &act)
        })
    }

    fn end_troubles(&self, ids: Vec<i64>, at: Wall, act: NewAct) -> Answer<'_, bool> {
        self.write(move |db| {
            let ended = db
                .prepare_cached(
                    "UPDATE troubles SET ended = ?2
                     WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each(?1)) AND ended IS NULL AND kind = ?3",
                )?
                .execute(params![json(&ids), at.0, word(&TroubleKind::Security)])?;
            noted(db, ended, &act)
        })
    }
}

/// Keeps an act where it changed something.
fn noted(db: &Connection, changed: usize, act: &NewAct) -> Result<bool> {
    if changed > 0 {
        note(db, act)?;
    }
    Ok(changed > 0)
}

/// Opens a trouble, unless it is open, or people ended it after it was last seen.
fn open(db: &Connection, it: &Found, now: Wall) -> Result<bool> {
    let (kind, what, subject) = (word(&it.kind), visible(&it.what), visible(&it.subject));
    let known = db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM troubles WHERE kind = ?1 AND what = ?2 AND subject = ?3
             AND (ended IS NULL OR (kind = ?4 AND ended >= ?5)))",
        )?
        .query_row(params![kind, what, subject, word(&TroubleKind::Security), it.last.0], |row| row.get(0))?;
    if known {
        return Ok(false);
    }
    let again = db
        .prepare_cached(
            "UPDATE troubles SET ended = NULL WHERE id = (
                 SELECT max(id) FROM troubles WHERE kind = ?1 AND what = ?2 AND subject = ?3 AND ended > ?4)
             AND kind <> ?5",
        )?
        .execute(params![
            kind,
            what,
            subject,
            now.minus(SAME_TROUBLE_WITHIN).0,
            word(&TroubleKind::Security)
        ])?;
    if again == 0 {
        db.prepare_cached(
            "INSERT INTO troubles (kind, what, subject, detail, since) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![kind, what, subject, visible(&it.detail), it.since.0])?;
    }
    Ok(true)
}

/// Ends what is open and was not found, but for kinds that only a later version looks for; forgets the oldest of what has ended.
fn end_absent(db: &Connection, found: &[Found], now: Wall) -> Result<bool> {
    let keys: Vec<_> = found
        .iter()
        .map(|it| format!("{} {} {}", word(&it.kind), visible(&it.what), visible(&it.subject)))
        .collect();
    let ended = db
        .prepare_cached(
            "UPDATE troubles SET ended = ?2 WHERE ended IS NULL AND kind IN (SELECT value FROM json_each(?3))
             AND kind || ' ' || what || ' ' || subject NOT IN (SELECT value FROM json_each(?1))",
        )?
        .execute(params![json(&keys), now.0, json(&TroubleKind::LOOKED_FOR)])?;
    if ended > 0 {
        db.prepare_cached(
            "DELETE FROM troubles WHERE ended IS NOT NULL AND id NOT IN (
                 SELECT id FROM troubles WHERE ended IS NOT NULL ORDER BY ended DESC LIMIT ?1)",
        )?
        .execute([PAST_TROUBLES_MAX])?;
    }
    Ok(ended > 0)
}

fn row(row: &Row) -> Result<TroubleRow> {
    let (by, at): (Option<AccountId>, _) = (optional_name(row, "taken_by")?, optional_wall(row, "taken")?);
    Ok(TroubleRow {
        id: row.get("id")?,
        kind: from_word(row, "kind")?,
        what: row.get("what")?,
        subject: row.get("subject")?,
        detail: row.get("detail")?,
        since: wall(row, "since")?,
        ended: optional_wall(row, "ended")?,
        taken: by.zip(at),
        silent_until: optional_wall(row, "silent_until")?,
    })
}
