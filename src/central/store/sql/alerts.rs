//! CAP alerts that were taken, and what was passed over.

use serde_json::Value;

use super::SqlStore;
use super::columns::unreadable;
use super::engine::{Connection, OptionalExtension, Result, Row, params};
use crate::store::{AlertPart, Alerts, Answer, CapRow, PassedOver, ROWS_MAX};
use loaxa_heart::domain::ids::CommandId;
use loaxa_heart::domain::time::Wall;

/// Most things that were passed over and are shown; the oldest are forgotten.
const PASSED_OVER_MAX: u32 = 500;

impl Alerts for SqlStore {
    fn add_cap(&self, alert: CapRow, names: Vec<String>) -> Answer<'_, bool> {
        self.write(move |db| add(db, &alert, &names))
    }

    fn change_cap(&self, id: String, from: String, to: String) -> Answer<'_, bool> {
        self.write(move |db| change(db, &id, &from, &to))
    }

    fn caps(&self, before: Option<String>, limit: u32) -> Answer<'_, Vec<CapRow>> {
        self.read(move |db| page(db, before.as_deref(), limit.min(ROWS_MAX)))
    }

    fn caps_in_state(&self, word: &'static str) -> Answer<'_, Vec<CapRow>> {
        self.read(move |db| in_state(db, word))
    }

    fn cap(&self, id: String) -> Answer<'_, Option<CapRow>> {
        self.read(move |db| by_id(db, &id))
    }

    fn caps_referred(&self, reference: String) -> Answer<'_, Vec<CapRow>> {
        self.read(move |db| by_reference(db, &reference))
    }

    fn caps_naming(&self, reference: String) -> Answer<'_, Vec<CapRow>> {
        self.read(move |db| naming(db, &reference))
    }

    fn pass_over_cap(&self, passed: PassedOver) -> Answer<'_, u32> {
        self.write(move |db| pass_over(db, &passed))
    }

    fn cap_passed_over_no_more(&self, what: String) -> Answer<'_, ()> {
        self.write(move |db| no_more_passed_over(db, &what))
    }

    fn caps_passed_over(&self) -> Answer<'_, Vec<PassedOver>> {
        self.read(passed_over)
    }
}

/// Keeps an alert and which others it names; `false` where one of its reference is there.
fn add(db: &Connection, alert: &CapRow, names: &[String]) -> Result<bool> {
    let added = db
        .prepare_cached(
            "INSERT INTO cap_alerts (reference, id, received, state) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![alert.reference, alert.id, alert.received.0, alert.state])?;
    if added == 0 {
        return Ok(false);
    }
    let mut name = db.prepare_cached(
        "INSERT INTO cap_references (target, named_by) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    )?;
    for target in names {
        name.execute(params![target, alert.id])?;
    }
    Ok(true)
}

/// Changes what became of an alert, unless somebody else changed it since it was read.
fn change(db: &Connection, id: &str, from: &str, to: &str) -> Result<bool> {
    let changed = db
        .prepare_cached("UPDATE cap_alerts SET state = ?3 WHERE id = ?1 AND state = ?2")?
        .execute(params![id, from, to])?;
    Ok(changed == 1)
}

/// Takes note of the command that says a part of an alert, in the transaction that keeps the command; false where the alert
/// is not being sent by this central any more, another alert ended it, or this part was said.
pub fn say(db: &Connection, part: &AlertPart, command: &CommandId) -> Result<bool> {
    let query = format!("SELECT state FROM cap_alerts WHERE id = ?1 {}", db.row_lock());
    let state: Option<String> =
        db.prepare_cached(&query)?.query_row([&part.alert], |row| row.get(0)).optional()?;
    let Some(state) = state else { return Ok(false) };
    // As it stands there: what a later version keeps beside these fields stays.
    let mut kept: Value = serde_json::from_str(&state).map_err(|error| unreadable("state", error.into()))?;
    let is_doomed = kept["doomed"].as_bool().unwrap_or_default();
    let is_sent_here = kept["state"] == "sending" && kept["by_central"] == part.by_central.as_str();
    match kept["commands"].as_array_mut() {
        Some(said) if is_sent_here && !is_doomed && said.len() == part.said => {
            said.push(command.as_str().into());
        }
        _ => return Ok(false),
    }
    change(db, &part.alert, &state, &kept.to_string())
}

fn page(db: &Connection, before: Option<&str>, limit: u32) -> Result<Vec<CapRow>> {
    let Some(before) = before else {
        let mut query =
            db.prepare_cached("SELECT * FROM cap_alerts ORDER BY received DESC, id DESC LIMIT ?1")?;
        return query.query_map([limit], row)?.collect();
    };
    let mut query = db.prepare_cached(
        "SELECT * FROM cap_alerts WHERE (received, id) < (SELECT received, id FROM cap_alerts WHERE id = ?1)
         ORDER BY received DESC, id DESC LIMIT ?2",
    )?;
    query.query_map(params![before, limit], row)?.collect()
}

fn in_state(db: &Connection, word: &str) -> Result<Vec<CapRow>> {
    let mut query = db.prepare_cached(
        "SELECT * FROM cap_alerts WHERE state ->> '$.state' = ?1 ORDER BY received, id LIMIT ?2",
    )?;
    let rows = query.query_map(params![word, ROWS_MAX], row)?;
    rows.collect()
}

/// Alerts under a reference: the first that came, and those of other vouchers behind it. A reference holds no blank.
fn by_reference(db: &Connection, reference: &str) -> Result<Vec<CapRow>> {
    let mut query = db.prepare_cached(
        "SELECT * FROM cap_alerts WHERE reference = ?1 OR (reference > ?1 || ' ' AND reference < ?1 || '!')",
    )?;
    let rows = query.query_map([reference], row)?;
    rows.collect()
}

fn naming(db: &Connection, reference: &str) -> Result<Vec<CapRow>> {
    let mut query = db.prepare_cached(
        "SELECT cap_alerts.* FROM cap_references JOIN cap_alerts ON cap_alerts.id = named_by WHERE target = ?1",
    )?;
    let rows = query.query_map([reference], row)?;
    rows.collect()
}

fn by_id(db: &Connection, id: &str) -> Result<Option<CapRow>> {
    let mut query = db.prepare_cached("SELECT * FROM cap_alerts WHERE id = ?1")?;
    query.query_map([id], row)?.next().transpose()
}

fn row(row: &Row) -> Result<CapRow> {
    Ok(CapRow {
        reference: row.get("reference")?,
        id: row.get("id")?,
        received: Wall(row.get("received")?),
        state: row.get("state")?,
    })
}

/// Keeps what was passed over; says how often it was, for the same reason.
fn pass_over(db: &Connection, passed: &PassedOver) -> Result<u32> {
    let times = db
        .prepare_cached(
            "INSERT INTO cap_passed_over (what, why, why_vi, last, times) VALUES (?1, ?2, ?3, ?4, 1)
             ON CONFLICT (what) DO UPDATE
             SET times = CASE WHEN cap_passed_over.why = ?2 THEN cap_passed_over.times + 1 ELSE 1 END, why = ?2, why_vi = ?3, last = ?4
             RETURNING times",
        )?
        .query_row(params![passed.what, passed.why, passed.why_vi, passed.last.0], |row| row.get(0))?;
    db.prepare_cached(
        "DELETE FROM cap_passed_over WHERE what NOT IN
         (SELECT what FROM cap_passed_over ORDER BY last DESC, what LIMIT ?1)",
    )?
    .execute([PASSED_OVER_MAX])?;
    Ok(times)
}

/// Forgets what was passed over and was taken since.
fn no_more_passed_over(db: &Connection, what: &str) -> Result<()> {
    db.prepare_cached("DELETE FROM cap_passed_over WHERE what = ?1")?.execute([what])?;
    Ok(())
}

fn passed_over(db: &Connection) -> Result<Vec<PassedOver>> {
    let mut query = db.prepare_cached("SELECT * FROM cap_passed_over ORDER BY last DESC, what")?;
    let rows = query.query_map([], |row| {
        Ok(PassedOver {
            what: row.get("what")?,
            why: row.get("why")?,
            why_vi: row.get("why_vi")?,
            last: Wall(row.get("last")?),
        })
    })?;
    rows.collect()
}
