//! Writes, except the log.

use rusqlite::{Connection, OptionalExtension, Result, params};

use super::super::*;
use loaxa_heart::decide::delivery::{CommandKind, DocumentName, Step};
use loaxa_heart::domain::playback::NotPlayed;

pub fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("rows are JSON: their map keys are texts")
}

/// The text that JSON gives to a plain enum, for instance `priority`.
pub fn word<T: serde::Serialize>(value: &T) -> String {
    json(value).trim_matches('"').to_owned()
}

pub const fn kind_code(kind: CommandKind) -> &'static str {
    match kind {
        CommandKind::Announce => "announce",
        CommandKind::Cancel => "cancel",
        CommandKind::Other => "other",
    }
}

const fn ended_code(ended: Ended) -> &'static str {
    match ended {
        Ended::Cancelled => "cancelled",
        Ended::Superseded => "superseded",
    }
}

pub fn declare_boxes(db: &Connection, boxes: &[BoxDeclared]) -> Result<()> {
    let mut upsert = db.prepare_cached(
        "INSERT INTO boxes (id, title, groups, key) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET title = ?2,
             groups = CASE WHEN EXISTS (SELECT 1 FROM documents WHERE name = 'groups') THEN groups ELSE ?3 END,
             key = CASE WHEN EXISTS (SELECT 1 FROM shut_out WHERE box = ?1) THEN NULL ELSE coalesce(?4, key) END",
    )?;
    for declared in boxes {
        upsert.execute(params![
            declared.id.as_str(),
            declared.title,
            json(&declared.groups),
            declared.key
        ])?;
    }
    Ok(())
}

pub fn move_boxes(db: &Connection, groups: &[(BoxId, Vec<GroupId>)]) -> Result<()> {
    let mut update = db.prepare_cached("UPDATE boxes SET groups = ?2 WHERE id = ?1")?;
    for (id, groups) in groups {
        update.execute(params![id.as_str(), json(groups)])?;
    }
    Ok(())
}

pub fn trust_box_key(db: &Connection, id: &BoxId, title: &str, key: &str) -> Result<bool> {
    db.prepare_cached("INSERT INTO boxes (id, title) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING")?
        .execute(params![id.as_str(), title])?;
    let taken = db
        .prepare_cached(
            "UPDATE boxes SET key = ?2
             WHERE id = ?1 AND key IS NULL AND NOT EXISTS (SELECT 1 FROM shut_out WHERE box = ?1)",
        )?
        .execute(params![id.as_str(), key])?;
    Ok(taken == 1)
}

pub fn note_sign_of_life(db: &Connection, sign: &SignOfLife) -> Result<()> {
    db.prepare_cached(
        "UPDATE boxes SET last_seen = ?2, lost = 0, clock = ?3, holds = coalesce(?4, holds) WHERE id = ?1",
    )?
    .execute(params![sign.id.as_str(), sign.at.0, word(&sign.clock), sign.holds.as_ref().map(json)])?;
    match &sign.kind {
        SignKind::Hello { software, epoch } => db
            .prepare_cached("UPDATE boxes SET software = ?2, epoch = ?3 WHERE id = ?1")?
            .execute(params![sign.id.as_str(), software, epoch.to_string()])?,
        SignKind::Heartbeat { backlog, faults } => db
            .prepare_cached("UPDATE boxes SET backlog = ?2, faults = ?3 WHERE id = ?1")?
            .execute(params![sign.id.as_str(), *backlog as i64, json(faults)])?,
    };
    Ok(())
}

pub fn note_lost(db: &Connection, id: &BoxId, at: Wall) -> Result<()> {
    db.prepare_cached("UPDATE boxes SET lost = 1 WHERE id = ?1 AND coalesce(last_seen, 0) <= ?2")?
        .execute(params![id.as_str(), at.0])?;
    Ok(())
}

pub fn next_serial(db: &Connection, issuer: &KeyId) -> Result<u64> {
    let serial: i64 = db
        .prepare_cached(
            "INSERT INTO serials (issuer, last) VALUES (?1, 1)
             ON CONFLICT (issuer) DO UPDATE SET last = last + 1 RETURNING last",
        )?
        .query_row([issuer.as_str()], |row| row.get(0))?;
    Ok(serial as u64)
}

pub fn add_command(db: &Connection, command: &NewCommand) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO commands (id, kind, issuer, serial, issued_at, expires, groups, title, class, mode, author,
                               approver, payload, envelope)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(params![
        command.id.as_str(),
        kind_code(command.kind),
        command.issuer.as_str(),
        command.serial as i64,
        command.issued_at.0,
        command.expires.0,
        json(&command.groups),
        command.title,
        command.class.as_ref().map(word),
        command.mode.as_ref().map(word),
        command.author,
        command.approver,
        command.payload,
        command.envelope,
    ])?;
    let mut end = db.prepare_cached("UPDATE commands SET ended = ?2 WHERE id = ?1 AND ended IS NULL")?;
    for (id, ended) in &command.ends {
        end.execute(params![id.as_str(), ended_code(*ended)])?;
    }
    if let Some((name, version)) = &command.document {
        add_document(db, name, *version, command)?;
    }
    if command.kind != CommandKind::Announce {
        return Ok(());
    }
    for id in &command.boxes {
        advance(db, &command.id, id, Step::Sent, None, command.issued_at)?;
    }
    Ok(())
}

fn add_document(db: &Connection, name: &DocumentName, version: u32, command: &NewCommand) -> Result<()> {
    // What was sent to no group but those of this one has no reader any more.
    db.prepare_cached(
        "DELETE FROM documents WHERE name = ?1 AND NOT EXISTS (
             SELECT 1 FROM commands, json_each(commands.groups) AS earlier
             WHERE commands.id = documents.command AND earlier.value NOT IN (SELECT value FROM json_each(?2)))",
    )?
    .execute(params![name.to_string(), json(&command.groups)])?;
    db.prepare_cached("INSERT INTO documents (name, version, command) VALUES (?1, ?2, ?3)")?
        .execute(params![name.to_string(), version, command.id.as_str()])?;
    Ok(())
}

/// Moves a delivery on; the first time of each step is kept.
pub fn advance(
    db: &Connection,
    command: &CommandId,
    id: &BoxId,
    next: Step,
    reason: Option<&str>,
    at: Wall,
) -> Result<()> {
    let before: Option<String> = db
        .prepare_cached("SELECT step FROM deliveries WHERE command = ?1 AND box = ?2")?
        .query_row([command.as_str(), id.as_str()], |row| row.get(0))
        .optional()?;
    let before = before.as_deref().and_then(Step::from_code);
    let step = before.map_or(next, |before| before.then(next));
    if before == Some(step) {
        return Ok(());
    }
    let time = |of: Step| (next == of).then_some(at.0);
    db.prepare_cached(
        "INSERT INTO deliveries (command, box, step, reason, sent, received, staged, started, over)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (command, box) DO UPDATE SET step = ?3, reason = ?4, sent = coalesce(sent, ?5),
             received = coalesce(received, ?6), staged = coalesce(staged, ?7), started = coalesce(started, ?8),
             over = ?9",
    )?
    .execute(params![
        command.as_str(),
        id.as_str(),
        step.code(),
        reason,
        time(Step::Sent),
        time(Step::Received),
        time(Step::Staged),
        time(Step::Started),
        step.is_over().then_some(at.0),
    ])?;
    Ok(())
}

/// Why something was not played, as the box said it.
pub fn not_played_reason(reason: &NotPlayed) -> String {
    json(reason)
}

pub fn add_media(db: &Connection, media: &MediaRow) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO media (sha256, bytes, codec, ms, name, added) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (sha256) DO NOTHING",
    )?
    .execute(params![
        media.sha256.to_string(),
        media.bytes as i64,
        media.codec,
        media.ms,
        media.name,
        media.added.0,
    ])?;
    Ok(())
}

pub fn raise_alarm(db: &Connection, alarm: &Alarm) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO alarms (kind, subject, detail, first, last, count) VALUES (?1, ?2, ?3, ?4, ?4, 1)
         ON CONFLICT (kind, subject) DO UPDATE SET detail = ?3, last = ?4, count = count + 1",
    )?
    .execute(params![alarm.kind.code(), alarm.subject, alarm.detail, alarm.at.0])?;
    Ok(())
}
