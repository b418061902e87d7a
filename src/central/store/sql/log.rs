//! The log of the boxes, as it is read.

use tokio::sync::oneshot;

use super::SqlStore;
use super::asked::Asked;
use super::columns::{count, from_json, from_word, name, optional_word, unreadable, wall};
use super::engine::{Connection, OptionalExtension, Result, params_from_iter};
use super::intake::Arrival;
use super::plays;
use crate::store::{Answer, Batch, Errand, Ingested, Log, LogFilter, LogRow, NotPlayedRow, ROWS_MAX};
use loaxa_heart::domain::ids::{BoxId, ContentHash, Epoch};
use loaxa_heart::domain::playback::{Entry, Event, SlotOutcome};
use loaxa_heart::texts::visible;

impl Log for SqlStore {
    fn ingest(&self, batch: Batch) -> Answer<'_, Answer<'static, Ingested>> {
        Box::pin(async move {
            let (tell, told) = oneshot::channel();
            let is_urgent = Errand::of_now().is_urgent;
            self.hand_over(Box::new(Arrival { batch, result: None, tell, is_urgent }), told).await
        })
    }

    fn log(&self, filter: LogFilter) -> Answer<'_, Vec<LogRow>> {
        self.read(move |db| entries(db, &filter))
    }

    fn not_played(&self, limit: u32) -> Answer<'_, Vec<NotPlayedRow>> {
        self.read(move |db| not_played(db, limit))
    }

    fn contiguous_upto(&self, id: BoxId, epoch: Epoch) -> Answer<'_, u64> {
        self.read(move |db| contiguous_upto(db, &id, epoch))
    }
}

fn entries(db: &Connection, filter: &LogFilter) -> Result<Vec<LogRow>> {
    let order = if filter.newest_first { "DESC" } else { "ASC" };
    let mut asked = Asked::default();
    asked.and("box =", filter.id.as_ref().map(|id| id.to_string()));
    asked.and("wall >=", filter.from.map(|at| at.0));
    asked.and("wall <", filter.to.map(|at| at.0));
    asked.and("event =", filter.event.clone());
    asked.and("command =", filter.command.as_ref().map(|id| id.to_string()));
    asked.and("cursor >", Some(filter.after.unwrap_or(0)));
    asked.and("cursor <", filter.before);
    let mut query = db.prepare_cached(&format!(
        "SELECT cursor, box, epoch, seq, hash, event, arrived, body, implausible,
                (SELECT envelope FROM signed_heads INDEXED BY signed_heads_seq
                 WHERE signed_heads.box = log.box AND signed_heads.epoch = log.epoch AND signed_heads.seq = log.seq
                ) AS head FROM log {} ORDER BY cursor {order} LIMIT {}",
        asked.sql(),
        filter.limit.min(ROWS_MAX)
    ))?;
    let parameters = params_from_iter(asked.values);
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
            implausible: optional_word(row, "implausible")?,
            head: row.get("head")?,
        })
    })?;
    rows.collect()
}

fn not_played(db: &Connection, limit: u32) -> Result<Vec<NotPlayedRow>> {
    // Indexes of their own answer both halves.
    let not_aired = plays::SLOTS_NOT_AIRED;
    let mut query = db.prepare_cached(&format!(
        "SELECT box, coalesce(boxes.title, box) AS box_title, wall, body FROM (
             SELECT * FROM (SELECT cursor, box, wall, body FROM log
                            WHERE event = 'not_played' AND implausible IS NULL ORDER BY cursor DESC LIMIT ?1) AS items
             UNION ALL
             SELECT * FROM (SELECT cursor, box, wall, body FROM log
                            WHERE {not_aired} AND implausible IS NULL ORDER BY cursor DESC LIMIT ?1) AS slots
         ) AS entries LEFT JOIN boxes ON boxes.id = box ORDER BY cursor DESC LIMIT ?1"
    ))?;
    let rows = query.query_map([limit.min(ROWS_MAX)], |row| {
        let entry: Entry = from_json(row, "body")?;
        let (at, title, reason) = match entry.event {
            Event::NotPlayed { title, reason, .. } => (wall(row, "wall")?, title, reason),
            Event::SlotEnded { title, scheduled, outcome: SlotOutcome::NotAired(reason), .. } => {
                (scheduled, title, reason)
            }
            _ => return Err(unreadable("body", "not the entry that its column says".into())),
        };
        let title = visible(&title).into_owned();
        Ok(NotPlayedRow { id: name(row, "box")?, box_title: row.get("box_title")?, at, title, reason })
    })?;
    rows.collect()
}

fn contiguous_upto(db: &Connection, id: &BoxId, epoch: Epoch) -> Result<u64> {
    let upto = db
        .prepare_cached("SELECT upto FROM heads WHERE box = ?1 AND epoch = ?2")?
        .query_row([id.as_str(), &epoch.to_string()], |row| row.get::<_, i64>(0))
        .optional()?;
    Ok(upto.unwrap_or(0) as u64)
}
