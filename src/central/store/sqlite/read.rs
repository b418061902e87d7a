//! Questions to the store.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Result, Row, named_params};
use serde::de::DeserializeOwned;

use super::super::*;
use loaxa_heart::decide::delivery::{CommandKind, DocumentName, Step};
use loaxa_heart::domain::ids::PlayId;
use loaxa_heart::wire::messages::OnAir;

/// Frames a second in the log.
const FRAMES_A_SECOND: f64 = 48_000.0;

type Bad = Box<dyn std::error::Error + Send + Sync>;

/// A column as a checked type; what this program wrote it also reads.
fn parsed<T, E: Into<Bad>>(
    row: &Row,
    column: &str,
    parse: impl Fn(&str) -> std::result::Result<T, E>,
) -> Result<T> {
    let text: String = row.get(column)?;
    parse(&text).map_err(|error| unreadable(row, column, error.into()))
}

fn unreadable(row: &Row, column: &str, error: Bad) -> rusqlite::Error {
    let index = row.as_ref().column_index(column).unwrap_or_default();
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, error)
}

pub(super) fn name<T: std::str::FromStr<Err: Into<Bad>>>(row: &Row, column: &str) -> Result<T> {
    parsed(row, column, str::parse::<T>)
}

pub(super) fn from_json<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T> {
    parsed(row, column, |text| serde_json::from_str(text))
}

/// A plain enum or hexadecimal number, kept as the text that JSON gives it.
fn from_word<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T> {
    parsed(row, column, |text| serde_json::from_value(text.into()))
}

fn optional_word<T: DeserializeOwned>(row: &Row, column: &str) -> Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    let parse = |text: String| serde_json::from_value(text.into());
    text.map(parse).transpose().map_err(|error| unreadable(row, column, error.into()))
}

pub(super) fn wall(row: &Row, column: &str) -> Result<Wall> {
    row.get(column).map(Wall)
}

fn optional_wall(row: &Row, column: &str) -> Result<Option<Wall>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Wall))
}

fn count(row: &Row, column: &str) -> Result<u64> {
    Ok(row.get::<_, i64>(column)? as u64)
}

fn optional_count(row: &Row, column: &str) -> Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(|n| n as u64))
}

pub fn enrolled(db: &Connection, id: &BoxId) -> Result<Option<BoxDeclared>> {
    db.prepare_cached("SELECT id, title, groups, key FROM boxes WHERE id = ?1")?
        .query_row([id.as_str()], |row| {
            Ok(BoxDeclared {
                id: name(row, "id")?,
                title: row.get("title")?,
                groups: from_json(row, "groups")?,
                key: row.get("key")?,
            })
        })
        .optional()
}

pub fn boxes(db: &Connection) -> Result<Vec<BoxRow>> {
    let mut query = db.prepare_cached(
        "SELECT boxes.*,
                (SELECT json_object('play', play, 'title', title) FROM plays
                 WHERE plays.box = boxes.id AND plays.epoch = boxes.epoch AND outcome IS NULL
                 ORDER BY cursor DESC LIMIT 1) AS on_air
         FROM boxes ORDER BY id",
    )?;
    let rows = query.query_map([], |row| {
        let (on_air, holds): (Option<String>, Option<String>) = (row.get("on_air")?, row.get("holds")?);
        let on_air: Option<OnAir> = on_air.as_deref().and_then(|text| serde_json::from_str(text).ok());
        Ok(BoxRow {
            id: name(row, "id")?,
            title: row.get("title")?,
            groups: from_json(row, "groups")?,
            key: row.get("key")?,
            last_seen: optional_wall(row, "last_seen")?,
            lost: row.get("lost")?,
            software: row.get("software")?,
            clock: optional_word(row, "clock")?,
            epoch: optional_word(row, "epoch")?,
            backlog: count(row, "backlog")?,
            faults: from_json(row, "faults")?,
            holds: holds.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            on_air,
        })
    })?;
    rows.collect()
}

const COMMAND_COLUMNS: &str =
    "id, title, class, mode, groups, issued_at, expires, author, approver, ended, payload FROM commands";

fn command_row(row: &Row) -> Result<CommandRow> {
    Ok(CommandRow {
        id: name(row, "id")?,
        title: row.get("title")?,
        class: optional_word(row, "class")?,
        mode: optional_word(row, "mode")?,
        groups: from_json(row, "groups")?,
        issued_at: wall(row, "issued_at")?,
        expires: wall(row, "expires")?,
        author: row.get("author")?,
        approver: row.get("approver")?,
        ended: optional_word(row, "ended")?,
        payload: row.get("payload")?,
    })
}

pub fn command(db: &Connection, id: &CommandId) -> Result<Option<CommandRow>> {
    db.prepare_cached(&format!("SELECT {COMMAND_COLUMNS} WHERE id = ?1"))?
        .query_row([id.as_str()], command_row)
        .optional()
}

pub fn announcements(db: &Connection, limit: u32) -> Result<Vec<CommandRow>> {
    db.prepare_cached(&format!(
        "SELECT {COMMAND_COLUMNS} WHERE kind = 'announce' ORDER BY issued_at DESC, serial DESC LIMIT ?1"
    ))?
    .query_map([limit.min(ROWS_MAX)], command_row)?
    .collect()
}

/// Commands that a box may hold.
pub fn standing(db: &Connection, id: &BoxId, now: Wall) -> Result<Vec<Standing>> {
    let mut query = db.prepare_cached(
        "SELECT commands.id, commands.groups, commands.kind, commands.ended IS NOT NULL AS is_ended,
                payload -> '$.body.supersedes' IS NOT NULL AS supersedes, deliveries.step FROM commands
         LEFT JOIN deliveries ON deliveries.command = commands.id AND deliveries.box = :box
         WHERE commands.expires > :now ORDER BY issued_at, serial",
    )?;
    let rows = query.query_map(named_params! { ":box": id.as_str(), ":now": now.0 }, |row| {
        let kind: String = row.get("kind")?;
        let step: Option<String> = row.get("step")?;
        Ok(Standing {
            id: name(row, "id")?,
            groups: from_json(row, "groups")?,
            kind: match kind.as_str() {
                "announce" => CommandKind::Announce,
                "cancel" => CommandKind::Cancel,
                _ => CommandKind::Other,
            },
            ended: row.get("is_ended")?,
            supersedes: row.get("supersedes")?,
            step: step.as_deref().and_then(Step::from_code),
        })
    })?;
    rows.collect()
}

pub fn documents(db: &Connection, now: Wall) -> Result<Vec<Document>> {
    let mut query = db.prepare_cached(
        "SELECT name, version, command, groups FROM documents JOIN commands ON commands.id = command
         WHERE expires > ?1 ORDER BY name, version",
    )?;
    let rows = query.query_map([now.0], |row| {
        Ok(Document {
            name: parsed(row, "name", |text| DocumentName::from_text(text).ok_or("no name of a document"))?,
            version: row.get("version")?,
            command: name(row, "command")?,
            groups: from_json(row, "groups")?,
        })
    })?;
    rows.collect()
}

pub fn envelopes(db: &Connection, ids: &[CommandId]) -> Result<Vec<Vec<u8>>> {
    let mut query = db.prepare_cached("SELECT envelope FROM commands WHERE id = ?1")?;
    ids.iter().map(|id| query.query_row([id.as_str()], |row| row.get(0))).collect()
}

pub fn deliveries(db: &Connection, command: &CommandId) -> Result<Vec<DeliveryRow>> {
    let mut query = db.prepare_cached(
        "SELECT deliveries.*, coalesce(boxes.title, box) AS box_title FROM deliveries
         LEFT JOIN boxes ON boxes.id = box WHERE command = ?1 ORDER BY box",
    )?;
    let rows = query.query_map([command.as_str()], |row| {
        Ok(DeliveryRow {
            id: name(row, "box")?,
            title: row.get("box_title")?,
            step: parsed(row, "step", |code| Step::from_code(code).ok_or("no step of a delivery"))?,
            reason: row.get("reason")?,
            sent: optional_wall(row, "sent")?,
            received: optional_wall(row, "received")?,
            staged: optional_wall(row, "staged")?,
            started: optional_wall(row, "started")?,
            over: optional_wall(row, "over")?,
        })
    })?;
    rows.collect()
}

pub fn plays(db: &Connection, filter: &LogFilter) -> Result<Vec<PlayRow>> {
    let mut query = db.prepare_cached(
        "SELECT plays.*, coalesce(boxes.title, box) AS box_title FROM plays LEFT JOIN boxes ON boxes.id = box
         WHERE (:box IS NULL OR box = :box) AND (:from IS NULL OR opened >= :from) AND (:to IS NULL OR opened < :to)
           AND (:command IS NULL OR subject_id = :command) AND (:after IS NULL OR cursor > :after)
         ORDER BY opened DESC, cursor DESC LIMIT :limit",
    )?;
    let parameters = named_params! {
        ":box": filter.id.as_ref().map(BoxId::as_str),
        ":from": filter.from.map(|at| at.0),
        ":to": filter.to.map(|at| at.0),
        ":command": filter.command.as_ref().map(CommandId::as_str),
        ":after": filter.after,
        ":limit": filter.limit.min(ROWS_MAX),
    };
    let rows = query.query_map(parameters, play_row)?;
    rows.collect()
}

fn play_row(row: &Row) -> Result<PlayRow> {
    Ok(PlayRow {
        cursor: row.get("cursor")?,
        id: name(row, "box")?,
        box_title: row.get("box_title")?,
        epoch: from_word(row, "epoch")?,
        play: from_word::<PlayId>(row, "play")?,
        subject: row.get("subject")?,
        subject_id: row.get("subject_id")?,
        title: row.get("title")?,
        section: row.get("section")?,
        campaign: row.get("campaign")?,
        class: row.get("class")?,
        mode: row.get("mode")?,
        rung: row.get("rung")?,
        source: row.get("source")?,
        language: row.get("language")?,
        repetition: row.get("repetition")?,
        volume_percent: row.get("volume_percent")?,
        scheduled: optional_wall(row, "scheduled")?,
        opened: wall(row, "opened")?,
        started: optional_wall(row, "started")?,
        ended: optional_wall(row, "ended")?,
        frames_played: optional_count(row, "frames_played")?,
        frames_due: optional_count(row, "frames_due")?,
        outcome: row.get("outcome")?,
        reason: row.get("reason")?,
        heard: row.get("heard")?,
    })
}

pub fn log(db: &Connection, filter: &LogFilter) -> Result<Vec<LogRow>> {
    let order = if filter.newest_first { "DESC" } else { "ASC" };
    let mut query = db.prepare_cached(&format!(
        "SELECT cursor, box, epoch, seq, hash, event, arrived, body,
                (SELECT envelope FROM signed_heads
                 WHERE (signed_heads.box, signed_heads.epoch, signed_heads.seq) = (log.box, log.epoch, log.seq)
                ) AS head FROM log
         WHERE (:box IS NULL OR box = :box) AND (:from IS NULL OR wall >= :from) AND (:to IS NULL OR wall < :to)
           AND (:event IS NULL OR event = :event) AND (:command IS NULL OR command = :command)
           AND cursor > coalesce(:after, 0)
         ORDER BY cursor {order} LIMIT :limit"
    ))?;
    let parameters = named_params! {
        ":box": filter.id.as_ref().map(BoxId::as_str),
        ":from": filter.from.map(|at| at.0),
        ":to": filter.to.map(|at| at.0),
        ":event": filter.event,
        ":command": filter.command.as_ref().map(CommandId::as_str),
        ":after": filter.after,
        ":limit": filter.limit.min(ROWS_MAX),
    };
    let rows = query.query_map(parameters, |row| {
        Ok(LogRow {
            cursor: row.get("cursor")?,
            id: name(row, "box")?,
            epoch: from_word(row, "epoch")?,
            seq: count(row, "seq")?,
            hash: ContentHash(row.get("hash")?),
            event: row.get("event")?,
            arrived: wall(row, "arrived")?,
            body: row.get("body")?,
            head: row.get("head")?,
        })
    })?;
    rows.collect()
}

/// What a box said last that it holds.
pub fn holds(db: &Connection, id: &BoxId) -> Result<Option<Holds>> {
    let found = db
        .prepare_cached("SELECT holds FROM boxes WHERE id = ?1 AND holds IS NOT NULL")?
        .query_row([id.as_str()], |row| from_json(row, "holds"));
    found.optional()
}

/// What did not sound, latest first; an index of its own answers it.
pub fn not_played(db: &Connection, limit: u32) -> Result<Vec<NotPlayedRow>> {
    let mut query = db.prepare_cached(
        "SELECT box, coalesce(boxes.title, box) AS box_title, wall, body FROM log LEFT JOIN boxes ON boxes.id = box
         WHERE event = 'not_played' ORDER BY cursor DESC LIMIT ?1",
    )?;
    let rows = query.query_map([limit.min(ROWS_MAX)], |row| {
        let entry: serde_json::Value = from_json(row, "body")?;
        Ok(NotPlayedRow {
            id: name(row, "box")?,
            box_title: row.get("box_title")?,
            at: wall(row, "wall")?,
            title: entry["title"].as_str().unwrap_or_default().to_owned(),
            because: entry["because"].as_str().unwrap_or_default().to_owned(),
            reason: entry,
        })
    })?;
    rows.collect()
}

pub fn report(db: &Connection, from: Wall, to: Wall) -> Result<Vec<ReportRow>> {
    let mut query = db.prepare_cached(
        "SELECT box, coalesce(boxes.title, box) AS box_title, section, count(*) AS plays,
                count(*) FILTER (WHERE outcome = 'finished') AS finished,
                coalesce(sum(frames_played), 0) AS frames
         FROM plays LEFT JOIN boxes ON boxes.id = box
         WHERE opened >= ?1 AND opened < ?2 GROUP BY box, section ORDER BY box, section",
    )?;
    let rows = query.query_map([from.0, to.0], |row| {
        Ok(ReportRow {
            id: name(row, "box")?,
            box_title: row.get("box_title")?,
            section: row.get("section")?,
            plays: count(row, "plays")?,
            finished: count(row, "finished")?,
            seconds_played: count(row, "frames")? as f64 / FRAMES_A_SECOND,
        })
    })?;
    rows.collect()
}

pub fn media(db: &Connection, hash: ContentHash) -> Result<Option<MediaRow>> {
    db.prepare_cached("SELECT * FROM media WHERE sha256 = ?1")?
        .query_row([hash.to_string()], |row| {
            Ok(MediaRow {
                sha256: name(row, "sha256")?,
                bytes: count(row, "bytes")?,
                codec: row.get("codec")?,
                ms: row.get("ms")?,
                name: row.get("name")?,
                added: wall(row, "added")?,
            })
        })
        .optional()
}

pub fn alarms(db: &Connection, limit: u32) -> Result<Vec<AlarmRow>> {
    let mut query = db.prepare_cached("SELECT * FROM alarms ORDER BY last DESC LIMIT ?1")?;
    let rows = query.query_map([limit.min(ROWS_MAX)], |row| {
        Ok(AlarmRow {
            kind: row.get("kind")?,
            subject: row.get("subject")?,
            detail: row.get("detail")?,
            first: wall(row, "first")?,
            last: wall(row, "last")?,
            count: count(row, "count")?,
        })
    })?;
    rows.collect()
}

pub fn contiguous_upto(db: &Connection, id: &BoxId, epoch: Epoch) -> Result<u64> {
    let upto = db
        .prepare_cached("SELECT upto FROM heads WHERE box = ?1 AND epoch = ?2")?
        .query_row([id.as_str(), &epoch.to_string()], |row| row.get::<_, i64>(0))
        .optional()?;
    Ok(upto.unwrap_or(0) as u64)
}
