//! Deliveries: how far each announcement has come with each box.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::columns::{from_json, json, name, optional_wall, parsed};
use super::engine::{Connection, Result, Row, Value, params};
use super::live::ForBox;
use super::steps::steps;
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
        let standing =
            self.read_about(&self.of_boxes.standing, ForBox { id, groups, now }, move |db, boxes| {
                live.standing(db, boxes)
            });
        Box::pin(async move { Ok(standing.await?.unwrap_or_default()) })
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

/// A step that a box told of.
struct Taken {
    next: Step,
    reason: Option<NotHeard>,
    at: Wall,
}

/// The steps that boxes told of, by command and box, in their order. They are written together.
#[derive(Default)]
pub struct Told(Taking);

impl Told {
    /// Moves a delivery on by what a box told of it; the first time of each step is kept.
    pub fn advance(
        &mut self,
        command: &CommandId,
        id: &BoxId,
        next: Step,
        reason: Option<NotHeard>,
        at: Wall,
    ) {
        let of_command = self.0.entry(command.clone()).or_default();
        of_command.entry(id.clone()).or_default().push(Taken { next, reason, at });
    }

    /// Writes how far each came, and tells others of what began and ended by it, of commands that are `known`: one that is not may
    /// be kept later, or is nobody's.
    ///
    /// # Errors
    /// Fails where the database refuses it.
    pub fn write(self, db: &Connection, known: impl Fn(&CommandId) -> bool) -> Result<()> {
        let (mut rows, mut begun, mut over) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let of = self.0.iter().map(|(command, boxes)| (command, boxes.keys().collect()));
        let before = steps(db, &of.collect())?;
        for (command, boxes) in self.0 {
            let is_known = known(&command);
            for (id, told) in boxes {
                let Some(row) = moved(before.get(&(command.clone(), id.clone())).copied(), &told) else {
                    continue;
                };
                touched::delivery(&id);
                if !is_known {
                    rows.push(row.values(&command, &id));
                    continue;
                }
                // It begins with the first box, and ends with the last.
                if let Some(at) = row.begun {
                    let first = begun.entry(command.clone()).or_insert(at);
                    *first = at.min(*first);
                }
                if let Some(at) = row.over {
                    let last = over.entry(command.clone()).or_insert(at);
                    *last = at.max(*last);
                }
                rows.push(row.values(&command, &id));
            }
        }
        db.insert_rows_or(
            "deliveries (command, box, step, reason, received, staged, started, over)",
            &rows,
            "ON CONFLICT (command, box) DO UPDATE SET step = excluded.step, reason = excluded.reason,
                 received = coalesce(deliveries.received, excluded.received),
                 staged = coalesce(deliveries.staged, excluded.staged),
                 started = coalesce(deliveries.started, excluded.started), over = excluded.over",
        )?;
        begun.iter().try_for_each(|(command, at)| webhooks::of_start(db, command, *at))?;
        over.iter().try_for_each(|(command, at)| webhooks::of_end(db, command, *at))
    }
}

/// The steps of boxes, by command.
type Taking = BTreeMap<CommandId, BTreeMap<BoxId, Vec<Taken>>>;

/// A delivery as several steps leave it.
struct Moved<'t> {
    step: Step,
    reason: Option<&'t NotHeard>,
    received: Option<Wall>,
    staged: Option<Wall>,
    started: Option<Wall>,
    over: Option<Wall>,
    /// The first time at which something sounded.
    begun: Option<Wall>,
}

/// Takes one step after the other; `None` where they lead nowhere else.
fn moved(mut before: Option<Step>, told: &[Taken]) -> Option<Moved<'_>> {
    let mut row: Option<Moved> = None;
    for Taken { next, reason, at } in told {
        let step = before.map_or(*next, |before| before.then(*next));
        if before == Some(step) {
            continue;
        }
        before = Some(step);
        let first = |known: Option<Wall>, of: Step| known.or((*next == of).then_some(*at));
        let last = row.as_ref();
        let sounds = matches!(next, Step::Started | Step::Finished | Step::Interrupted);
        row = Some(Moved {
            step,
            reason: reason.as_ref(),
            received: first(last.and_then(|row| row.received), Step::Received),
            staged: first(last.and_then(|row| row.staged), Step::Staged),
            started: first(last.and_then(|row| row.started), Step::Started),
            over: step.is_over().then_some(*at),
            begun: last.and_then(|row| row.begun).or(sounds.then_some(*at)),
        });
    }
    row
}

impl Moved<'_> {
    fn values(&self, command: &CommandId, id: &BoxId) -> [Value; 8] {
        let time = |at: Option<Wall>| at.map(|at| at.0).into();
        [
            command.to_string().into(),
            id.to_string().into(),
            self.step.code().to_owned().into(),
            self.reason.map(json).into(),
            time(self.received),
            time(self.staged),
            time(self.started),
            time(self.over),
        ]
    }
}

fn chain(db: &Connection, command: &CommandId) -> Result<Vec<DeliveryRow>> {
    let mut query = db.prepare_cached(
        "SELECT deliveries.*, coalesce(boxes.title, box) AS box_title FROM deliveries
         LEFT JOIN boxes ON boxes.id = box WHERE command = ?1 ORDER BY box",
    )?;
    query.query_map([command.as_str()], delivery_row)?.collect()
}

pub fn delivery_row(row: &Row) -> Result<DeliveryRow> {
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
}

fn reason(row: &Row) -> Result<Option<NotHeard>> {
    match row.get::<_, String>("step")?.as_str() {
        _ if row.get::<_, Option<String>>("reason")?.is_none() => Ok(None),
        code if code == Step::Refused.code() => from_json(row, "reason").map(NotHeard::Refused).map(Some),
        _ => from_json(row, "reason").map(NotHeard::NotPlayed).map(Some),
    }
}
