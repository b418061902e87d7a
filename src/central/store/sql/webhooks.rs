//! Receivers of events, and the outbox. What tells of an event calls [`put`] in its own transaction.

use serde_json::{Value, json as value};

use super::SqlStore;
use super::audit::note;
use super::columns::{from_json, from_word, json, known, known_up_to, optional_wall, wall, word};
use super::engine::{Connection, OptionalExtension, Result, Row, params};
use crate::store::{
    Answer, EVENTS_OF_RECEIVER_MAX, EventKind, EventRow, FeedbackRow, NewAct, RECEIVERS_MAX, ROWS_MAX,
    ReceiverRow, Tried, Webhooks,
};
use loaxa_heart::domain::ids::{CommandId, NoticeId};
use loaxa_heart::domain::time::Wall;

impl Webhooks for SqlStore {
    fn add_receiver(&self, it: ReceiverRow, act: NewAct) -> Answer<'_, bool> {
        self.write(move |db| {
            let added = db
                .prepare_cached(
                    "INSERT INTO receivers (title, url, secret, kinds) SELECT ?1, ?2, ?3, ?4
                     WHERE (SELECT count(*) FROM receivers) < ?5",
                )?
                .execute(params![it.title, it.url, it.secret, json(&it.kinds), RECEIVERS_MAX])?;
            if added == 1 {
                note(db, &act)?;
            }
            Ok(added == 1)
        })
    }

    fn end_receiver(&self, id: i64, act: NewAct) -> Answer<'_, bool> {
        self.write(move |db| {
            let ended = db.prepare_cached("DELETE FROM receivers WHERE id = ?1")?.execute([id])?;
            db.prepare_cached("DELETE FROM events WHERE receiver = ?1")?.execute([id])?;
            if ended == 1 {
                note(db, &act)?;
            }
            Ok(ended == 1)
        })
    }

    fn receivers(&self) -> Answer<'_, Vec<ReceiverRow>> {
        self.read(move |db| {
            let mut query = db.prepare_cached("SELECT * FROM receivers ORDER BY id")?;
            let rows = query.query_map([], |row| {
                Ok(ReceiverRow {
                    id: row.get("id")?,
                    title: row.get("title")?,
                    url: row.get("url")?,
                    secret: row.get("secret")?,
                    kinds: from_json(row, "kinds")?,
                })
            })?;
            known(rows)
        })
    }

    fn try_receiver(&self, id: i64, at: Wall) -> Answer<'_, bool> {
        self.write(move |db| {
            let is_there = db
                .prepare_cached("SELECT 1 FROM receivers WHERE id = ?1")?
                .query_row([id], |_| Ok(()))
                .optional()?
                .is_some();
            if is_there {
                add(db, id, EventKind::Test, &format!("test/{}", at.0), at, value!({}))?;
            }
            Ok(is_there)
        })
    }

    fn events_due(&self, now: Wall) -> Answer<'_, Vec<EventRow>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT * FROM events WHERE id IN (SELECT min(id) FROM events WHERE due <= ?1 GROUP BY receiver)
                 ORDER BY id",
            )?;
            known(query.query_map([now.0], row)?)
        })
    }

    fn event_tried(&self, id: i64, tried: Tried) -> Answer<'_, ()> {
        self.write(move |db| {
            let (sent, due, fault) = match tried.clone() {
                Tried::Sent(at) => (Some(at.0), None, None),
                Tried::Again(at, fault) => (None, Some(at.0), Some(fault)),
                Tried::GivenUp(fault) => (None, None, Some(fault)),
            };
            db.prepare_cached(
                "UPDATE events SET tries = tries + 1, sent = ?2, due = ?3, fault = ?4 WHERE id = ?1",
            )?
            .execute(params![id, sent, due, fault])?;
            Ok(())
        })
    }

    fn events(&self, limit: u32) -> Answer<'_, Vec<EventRow>> {
        self.read(move |db| {
            let mut query = db.prepare_cached("SELECT * FROM events ORDER BY id DESC LIMIT ?1 OFFSET ?2")?;
            known_up_to(limit.min(ROWS_MAX), |wanted, behind| {
                Ok(query.query_map([wanted, behind], row)?.collect())
            })
        })
    }
}

fn row(row: &Row) -> Result<EventRow> {
    Ok(EventRow {
        id: row.get("id")?,
        receiver: row.get("receiver")?,
        kind: from_word(row, "kind")?,
        body: row.get("body")?,
        made: wall(row, "made")?,
        tries: row.get("tries")?,
        due: optional_wall(row, "due")?,
        sent: optional_wall(row, "sent")?,
        fault: row.get("fault")?,
    })
}

/// Puts an event into the outbox of everybody who gets its kind, once for what it is `about`.
fn put(db: &Connection, kind: EventKind, about: &str, at: Wall, data: &Value) -> Result<()> {
    let mut query = db.prepare_cached(
        "SELECT id FROM receivers WHERE EXISTS (SELECT 1 FROM json_each(kinds) WHERE value = ?1)",
    )?;
    let receivers = query.query_map([kind.code()], |row| row.get(0))?.collect::<Result<Vec<i64>>>()?;
    for receiver in receivers {
        add(db, receiver, kind, about, at, data.clone())?;
    }
    Ok(())
}

fn add(db: &Connection, receiver: i64, kind: EventKind, about: &str, at: Wall, data: Value) -> Result<()> {
    let body = value!({ "type": kind.code(), "timestamp": at, "data": data }).to_string();
    let added = db
        .prepare_cached(
            "INSERT INTO events (receiver, kind, about, body, made, due, tries)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, 0) ON CONFLICT DO NOTHING",
        )?
        .execute(params![receiver, word(&kind), about, body, at.0])?;
    if added == 1 {
        db.prepare_cached(
            "DELETE FROM events WHERE receiver = ?1 AND id <= (SELECT id FROM events WHERE receiver = ?1
             ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![receiver, EVENTS_OF_RECEIVER_MAX])?;
    }
    Ok(())
}

/// Tells of a notice that was approved or cancelled.
pub fn of_notice(db: &Connection, kind: EventKind, id: &NoticeId, at: Wall) -> Result<()> {
    let data = db
        .prepare_cached("SELECT content, command FROM notices WHERE id = ?1")?
        .query_row([id.as_str()], |row| said(id.as_str(), row.get("content")?, row.get("command")?))
        .optional()?;
    data.map_or(Ok(()), |data| put(db, kind, id.as_str(), at, &data))
}

/// The parts of a notice that others may publish.
fn said(id: &str, content: String, command: Option<String>) -> Result<Value> {
    let content: Value = serde_json::from_str(&content).unwrap_or_default();
    Ok(value!({
        "notice": id, "announcement": command, "title": content["title"], "text": content["text"],
        "language": content["language"], "class": content["class"], "groups": content["groups"],
        "at": content["at"],
    }))
}

/// Tells of an announcement that has begun on a box: the first one counts.
pub fn of_start(db: &Connection, command: &CommandId, at: Wall) -> Result<()> {
    let notice = db
        .prepare_cached("SELECT id, content FROM notices WHERE command = ?1")?
        .query_row([command.as_str()], |row| {
            let id: String = row.get("id")?;
            said(&id, row.get("content")?, Some(command.to_string()))
        })
        .optional()?;
    if let Some(data) = notice {
        return put(db, EventKind::NoticeAired, command.as_str(), at, &data);
    }
    of_emergency(db, EventKind::EmergencyOnAir, command, at)
}

/// Tells of an actual emergency that is on the air, or over; nothing of any other command.
pub fn of_emergency(db: &Connection, kind: EventKind, command: &CommandId, at: Wall) -> Result<()> {
    let data = db
        .prepare_cached(
            "SELECT title, groups, payload -> '$.body.words' AS words FROM commands
             WHERE id = ?1 AND class = 'emergency' AND mode = 'actual'",
        )?
        .query_row([command.as_str()], |row| {
            let words: Option<String> = row.get("words")?;
            let words: Value = words.and_then(|words| serde_json::from_str(&words).ok()).unwrap_or_default();
            let groups: Value = from_json(row, "groups")?;
            let title: String = row.get("title")?;
            Ok(value!({ "announcement": command, "title": title, "text": words["text"],
                        "language": words["language"], "groups": groups }))
        })
        .optional()?;
    data.map_or(Ok(()), |data| put(db, kind, command.as_str(), at, &data))
}

/// Tells of an emergency's end when it has sounded and is over wherever it began or was to begin.
pub fn of_end(db: &Connection, command: &CommandId, at: Wall) -> Result<()> {
    // It stops at the first box where the command goes on: each of thousands that ends asks this.
    let is_over: bool = db
        .prepare_cached(
            "SELECT NOT EXISTS (SELECT 1 FROM deliveries WHERE command = ?1 AND over IS NULL AND step <> 'sent')
                AND EXISTS (SELECT 1 FROM deliveries
                            WHERE command = ?1 AND (started IS NOT NULL OR step IN ('finished', 'interrupted')))",
        )?
        .query_row([command.as_str()], |row| row.get(0))?;
    if !is_over {
        return Ok(());
    }
    of_emergency(db, EventKind::EmergencyEnded, command, at)
}

/// Tells of what a villager said; the words themselves stay with the commune.
pub fn of_feedback(db: &Connection, it: &FeedbackRow) -> Result<()> {
    let about = it.about.as_ref().map(|about| value!({ "title": about.title, "at": about.at }));
    let data = value!({ "kind": it.kind, "village": it.village, "about": about });
    // The code is the one thing that tells two apart here; it is not sent.
    put(db, EventKind::FeedbackReceived, &it.code, it.made, &data)
}
