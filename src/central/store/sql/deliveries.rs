//! Deliveries: how far each announcement has come with each box.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::columns::{from_json, json, name, optional_wall, parsed};
use super::engine::{Connection, OptionalExtension, Result, Row, params};
use super::{SqlStore, touched, webhooks};
use crate::store::{Answer, Deliveries, DeliveryRow, NotHeard, Version};
use loaxa_heart::decide::delivery::{Standing, Step};
use loaxa_heart::domain::ids::{BoxId, CommandId, GroupId};
use loaxa_heart::domain::time::Wall;

impl Deliveries for SqlStore {
    fn deliveries(&self, command: CommandId) -> Answer<'_, Vec<DeliveryRow>> {
        self.read_anyhow(move |db| chain(db, &command))
    }

    fn standing(&self, id: BoxId, groups: Vec<GroupId>, now: Wall) -> Answer<'_, Vec<Standing>> {
        let live = Arc::clone(&self.live);
        self.read(move |db| live.standing(db, &id, &groups, now))
    }

    fn version(&self, id: &BoxId) -> Version {
        self.live.version(id)
    }
}

/// Begins the deliveries of a command. Boxes may have told of one that went out while it could not be kept: theirs stand.
pub fn begin(db: &Connection, command: &CommandId, boxes: &[BoxId], at: Wall) -> Result<()> {
    let boxes: BTreeSet<&BoxId> = boxes.iter().collect();
    // One statement, however many boxes: a server is asked once.
    db.prepare_cached(
        "INSERT INTO deliveries (command, box, step, sent)
         SELECT ?1, value, ?2, CAST(?3 AS BIGINT) FROM json_each(?4) WHERE TRUE
         ON CONFLICT (command, box) DO UPDATE SET sent = coalesce(deliveries.sent, excluded.sent)",
    )?
    .execute(params![command.as_str(), Step::Sent.code(), at.0, json(&boxes)])?;
    boxes.into_iter().for_each(touched::delivery);
    Ok(())
}

/// Moves a delivery on by what a box told of it; the first time of each step is kept.
pub fn advance(
    db: &Connection,
    command: &CommandId,
    id: &BoxId,
    next: Step,
    reason: Option<&NotHeard>,
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
    touched::delivery(id);
    let time = |of: Step| (next == of).then_some(at.0);
    db.prepare_cached(
        "INSERT INTO deliveries (command, box, step, reason, received, staged, started, over)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (command, box) DO UPDATE SET step = ?3, reason = ?4, received = coalesce(deliveries.received, ?5),
             staged = coalesce(deliveries.staged, ?6), started = coalesce(deliveries.started, ?7), over = ?8",
    )?
    .execute(params![
        command.as_str(),
        id.as_str(),
        step.code(),
        reason.map(json),
        time(Step::Received),
        time(Step::Staged),
        time(Step::Started),
        step.is_over().then_some(at.0),
    ])?;
    if matches!(next, Step::Started | Step::Finished | Step::Interrupted) {
        webhooks::of_start(db, command, at)?;
    }
    if step.is_over() { webhooks::of_end(db, command, at) } else { Ok(()) }
}

fn chain(db: &Connection, command: &CommandId) -> Result<Vec<DeliveryRow>> {
    let mut query = db.prepare_cached(
        "SELECT deliveries.*, coalesce(boxes.title, box) AS box_title FROM deliveries
         LEFT JOIN boxes ON boxes.id = box WHERE command = ?1 ORDER BY box",
    )?;
    let rows = query.query_map([command.as_str()], |row| {
        Ok(DeliveryRow {
            id: name(row, "box")?,
            title: row.get("box_title")?,
            step: parsed(row, "step", |code| Step::from_code(code).ok_or("no step of a delivery"))?,
            reason: reason(row)?,
            sent: optional_wall(row, "sent")?,
            received: optional_wall(row, "received")?,
            staged: optional_wall(row, "staged")?,
            started: optional_wall(row, "started")?,
            over: optional_wall(row, "over")?,
        })
    })?;
    rows.collect()
}

fn reason(row: &Row) -> Result<Option<NotHeard>> {
    match row.get::<_, String>("step")?.as_str() {
        _ if row.get::<_, Option<String>>("reason")?.is_none() => Ok(None),
        code if code == Step::Refused.code() => from_json(row, "reason").map(NotHeard::Refused).map(Some),
        _ => from_json(row, "reason").map(NotHeard::NotPlayed).map(Some),
    }
}
