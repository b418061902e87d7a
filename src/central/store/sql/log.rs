//! The log comes in: once, in turn, with everything that follows from an entry in the same commit.

use super::SqlStore;
use super::asked::Asked;
use super::columns::{count, from_json, from_word, name, optional_word, unreadable, wall, word};
use super::engine::{Connection, OptionalExtension, Result, Value, params, params_from_iter};
use super::{alarms, day_sums, deliveries, plays};
use crate::store::{
    Alarm, AlarmKind, Answer, Batch, Ingested, Log, LogFilter, LogRow, NotHeard, NotPlayedRow, ROWS_MAX,
    Record,
};
use loaxa_heart::decide::delivery::Step;
use loaxa_heart::decide::refusals;
use loaxa_heart::domain::ids::{BoxId, CommandId, ContentHash, Epoch};
use loaxa_heart::domain::playback::{DeliveryStep, Entry, Event, PlayEnd, PlayStart, SlotOutcome, Subject};
use loaxa_heart::domain::time::ClockQuality;
use loaxa_heart::texts::visible;

const DAY_US: i64 = 86_400_000_000;

impl Log for SqlStore {
    fn ingest(&self, batch: Batch) -> Answer<'_, Answer<'static, Ingested>> {
        Box::pin(self.enqueue(move |db| ingest(db, &batch)))
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

/// Takes a batch in; what is there already is compared, what comes after a gap is left out.
fn ingest(db: &Connection, batch: &Batch) -> Result<Ingested> {
    let (box_id, epoch) = (batch.id.as_str(), batch.epoch.to_string());
    let head = db
        .prepare_cached("SELECT upto, hash, forked FROM heads WHERE box = ?1 AND epoch = ?2")?
        .query_row([box_id, &epoch], |row| {
            Ok((count(row, "upto")?, row.get::<_, [u8; 32]>(1)?, row.get::<_, bool>(2)?))
        })
        .optional()?;
    if head.is_none() {
        tell_of_new_epoch(db, batch, &epoch)?;
    }
    tell_of_implausible(db, batch, head.map_or(0, |(upto, ..)| upto))?;
    let (mut upto, mut hash, was_forked) = head.unwrap_or((0, [0; 32], false));
    let mut outcome = Ingested { forked: was_forked, ..Ingested::default() };
    if let Some(first) =
        batch.records.first().filter(|first| first.seq > upto + 1 && first.seq <= batch.oldest)
    {
        let detail = format!("epoch {epoch}, seq {} to {}", upto + 1, first.seq - 1);
        alarm(db, batch, AlarmKind::Gap, detail, 1)?;
        (upto, hash) = (first.seq - 1, first.prev.0);
    }
    let mut new = New::default();
    for record in &batch.records {
        if record.seq <= upto {
            new.write_rows(db)?;
            if is_known(db, box_id, &epoch, record)? {
                outcome.known += 1;
            } else {
                fork(db, batch, record.seq, &mut outcome)?;
            }
        } else if record.seq > upto + 1 {
            outcome.after_gap += 1;
        } else if record.prev.0 != hash {
            fork(db, batch, record.seq, &mut outcome)?;
            outcome.after_gap += 1;
        } else {
            insert(db, batch, &epoch, record, &mut new)?;
            (upto, hash) = (record.seq, record.hash.0);
            outcome.added += 1;
        }
    }
    new.write_rows(db)?;
    new.plays.write(db)?;
    new.days.mark(db, &batch.id)?;
    if let (Some(head), Some(last)) = (&batch.head, batch.records.last())
        && !outcome.forked
        && last.seq <= upto
    {
        keep_head(db, batch, &epoch, last.seq, head)?;
    }
    outcome.contiguous_upto = upto;
    db.prepare_cached(
        "INSERT INTO heads (box, epoch, upto, hash, forked) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (box, epoch) DO UPDATE SET upto = ?3, hash = ?4, forked = ?5",
    )?
    .execute(params![box_id, epoch, upto as i64, hash, outcome.forked])?;
    Ok(outcome)
}

fn keep_head(db: &Connection, batch: &Batch, epoch: &str, seq: u64, envelope: &str) -> Result<()> {
    let day = batch.arrived.0.div_euclid(DAY_US);
    db.prepare_cached(
        "INSERT INTO signed_heads (box, epoch, day, seq, envelope) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (box, epoch, day) DO UPDATE SET seq = ?4, envelope = ?5 WHERE signed_heads.seq < ?4",
    )?
    .execute(params![batch.id.as_str(), epoch, day, seq as i64, envelope])?;
    Ok(())
}

fn is_known(db: &Connection, box_id: &str, epoch: &str, record: &Record) -> Result<bool> {
    let stored: Option<[u8; 32]> = db
        .prepare_cached(
            "SELECT hash FROM log WHERE box = ?1 AND epoch = ?2 AND seq = ?3
             UNION ALL SELECT hash FROM pruned_logs WHERE box = ?1 AND epoch = ?2 AND upto = ?3",
        )?
        .query_row(params![box_id, epoch, record.seq as i64], |row| row.get(0))
        .optional()?;
    if let Some(stored) = stored {
        return Ok(stored == record.hash.0);
    }
    // Nobody can compare any more what was deleted when its time was over.
    db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM pruned_logs WHERE box = ?1 AND epoch = ?2 AND upto > ?3)",
    )?
    .query_row(params![box_id, epoch, record.seq as i64], |row| row.get(0))
}

fn fork(db: &Connection, batch: &Batch, seq: u64, outcome: &mut Ingested) -> Result<()> {
    outcome.forked = true;
    let detail = format!("epoch {}, seq {seq}", batch.epoch);
    alarm(db, batch, AlarmKind::Forked, detail, 1)
}

fn alarm(db: &Connection, batch: &Batch, kind: AlarmKind, detail: String, times: u64) -> Result<()> {
    alarms::raise(db, &Alarm { kind, subject: batch.id.to_string(), detail, at: batch.arrived, times })
}

/// Raises an alarm where a box that had a log before begins another: its store was replaced, or somebody has its key.
fn tell_of_new_epoch(db: &Connection, batch: &Batch, epoch: &str) -> Result<()> {
    let before: Option<String> = db
        .prepare_cached("SELECT max(epoch) FROM heads WHERE box = ?1 AND epoch <> ?2")?
        .query_row([batch.id.as_str(), epoch], |row| row.get(0))?;
    match before {
        Some(before) => alarm(db, batch, AlarmKind::NewEpoch, format!("epoch {epoch} beside {before}"), 1),
        None => Ok(()),
    }
}

/// Raises one alarm for all that can't be true among the entries after `upto`.
fn tell_of_implausible(db: &Connection, batch: &Batch, upto: u64) -> Result<()> {
    let new = batch.records.iter().filter(|record| record.seq > upto);
    let mut odd = new.filter_map(|record| Some((record.seq, record.implausible?)));
    let Some((seq, why)) = odd.next() else { return Ok(()) };
    let detail = format!("epoch {}, from seq {seq}: {}", batch.epoch, word(&why));
    alarm(db, batch, AlarmKind::Implausible, detail, 1 + odd.count() as u64)
}

/// The rows, the plays and the days of a batch that wait to be written together.
#[derive(Default)]
struct New {
    rows: Vec<[Value; 10]>,
    plays: plays::Begun,
    days: day_sums::Told,
}

impl New {
    fn write_rows(&mut self, db: &Connection) -> Result<()> {
        let into = "log (box, epoch, seq, hash, arrived, wall, event, command, body, implausible)";
        db.insert_rows(into, &std::mem::take(&mut self.rows))
    }
}

fn insert(db: &Connection, batch: &Batch, epoch: &str, record: &Record, new: &mut New) -> Result<()> {
    let at = &record.entry.at;
    new.rows.push([
        batch.id.to_string().into(),
        epoch.to_owned().into(),
        (record.seq as i64).into(),
        record.hash.0.to_vec().into(),
        batch.arrived.0.into(),
        at.wall.0.into(),
        event_code(&record.entry.event).to_owned().into(),
        command_of(&record.entry.event).map(CommandId::to_string).into(),
        record.body.clone().into(),
        record.implausible.as_ref().map(word).into(),
    ]);
    if record.implausible.is_none() {
        new.days.note_entry(db, &record.entry, batch.arrived)?;
    }
    let (arrived, implausible) = (batch.arrived, record.implausible);
    let of = plays::Origin { id: &batch.id, epoch, at, arrived, implausible };
    // What a box dates in the future is shown as of its arrival.
    let shown_at = at.wall.min(arrived);
    match &record.entry.event {
        Event::PlayStarted(start) => {
            new.plays.start(&of, start);
            Ok(())
        }
        Event::PlayEnded(end) => new.plays.end(db, &of, end),
        Event::Delivery { command, step } => {
            let reason = match step {
                DeliveryStep::NotPlayed { reason } => Some(NotHeard::NotPlayed(reason.clone())),
                _ => None,
            };
            deliveries::advance(db, command, &batch.id, Step::from(step), reason.as_ref(), shown_at)
        }
        // What it refuses for now is sent again, less and less often.
        Event::CommandRefused { reason, .. } if refusals::is_forgery(refusals::name(reason)) => {
            alarm(db, batch, AlarmKind::Forged, refusals::name(reason).to_owned(), 1)
        }
        Event::RefusalsCounted { reason, count } if refusals::is_forgery(reason) => {
            alarm(db, batch, AlarmKind::Forged, reason.clone(), *count)
        }
        Event::CommandRefused { command: Some(command), reason } if !reason.may_pass() => {
            let reason = NotHeard::Refused(reason.clone());
            deliveries::advance(db, command, &batch.id, Step::Refused, Some(&reason), shown_at)
        }
        Event::ClockSet { step_us, before } if *before != ClockQuality::Synced => {
            new.plays.write(db)?;
            plays::date_anew(db, &of, *step_us)
        }
        _ => Ok(()),
    }
}

/// The tag of an event in JSON.
const fn event_code(event: &Event) -> &'static str {
    match event {
        Event::BoxStarted { .. } => "box_started",
        Event::BoxStopped => "box_stopped",
        Event::PlayStarted(_) => "play_started",
        Event::PlayEnded(_) => "play_ended",
        Event::NotPlayed { .. } => "not_played",
        Event::SlotEnded { .. } => "slot_ended",
        Event::Delivery { .. } => "delivery",
        Event::CommandRefused { .. } => "command_refused",
        Event::Adopted { .. } => "adopted",
        Event::ClockSet { .. } => "clock_set",
        Event::DeviceLost { .. } => "device_lost",
        Event::DeviceBack => "device_back",
        Event::AmplifierFault { .. } => "amplifier_fault",
        Event::EntriesLost { .. } => "entries_lost",
        Event::ProgrammeRefused { .. } => "programme_refused",
        Event::ClockLost { .. } => "clock_lost",
        Event::StoreReplaced { .. } => "store_replaced",
        Event::LocalEmergency { .. } => "local_emergency",
        Event::DataBudgetExceeded { .. } => "data_budget_exceeded",
        Event::RefusalsCounted { .. } => "refusals_counted",
    }
}

fn command_of(event: &Event) -> Option<&CommandId> {
    match event {
        Event::PlayStarted(PlayStart { subject: Subject::Announcement { command }, .. })
        | Event::PlayEnded(PlayEnd { subject: Subject::Announcement { command }, .. })
        | Event::NotPlayed { subject: Subject::Announcement { command }, .. }
        | Event::Delivery { command, .. }
        | Event::CommandRefused { command: Some(command), .. } => Some(command),
        _ => None,
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
