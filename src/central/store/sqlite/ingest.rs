//! The log comes in: once, in turn, with everything that follows from an entry in the same commit.

use rusqlite::{Connection, OptionalExtension, Result, params};

use super::super::*;
use super::write::{advance, json, not_played_reason, raise_alarm, word};
use loaxa_heart::decide::delivery::Step;
use loaxa_heart::domain::playback::{DeliveryStep, Event, PlayEnd, PlayStart, Stamp, Subject};
use loaxa_heart::domain::time::ClockQuality;

const DAY_US: i64 = 86_400_000_000;

/// Takes a batch in; what is there already is compared, what comes after a gap is left out.
pub fn ingest(db: &Connection, batch: &Batch) -> Result<Ingested> {
    let (box_id, epoch) = (batch.id.as_str(), batch.epoch.to_string());
    let head = db
        .prepare_cached("SELECT upto, hash, forked FROM heads WHERE box = ?1 AND epoch = ?2")?
        .query_row([box_id, &epoch], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?, row.get(2)?)))
        .optional()?;
    let (mut upto, mut hash, was_forked) = head.unwrap_or((0, [0; 32], false));
    let mut outcome = Ingested { forked: was_forked, ..Ingested::default() };
    if let Some(first) =
        batch.records.first().filter(|first| first.seq > upto + 1 && first.seq <= batch.oldest)
    {
        let detail = format!("epoch {epoch}, seq {} to {}", upto + 1, first.seq - 1);
        let (subject, at) = (batch.id.to_string(), batch.arrived);
        raise_alarm(db, &Alarm { kind: AlarmKind::Gap, subject, detail, at })?;
        (upto, hash) = (first.seq - 1, first.prev.0);
    }
    for record in &batch.records {
        if record.seq <= upto {
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
            insert(db, batch, &epoch, record)?;
            (upto, hash) = (record.seq, record.hash.0);
            outcome.added += 1;
        }
    }
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
         ON CONFLICT (box, epoch, day) DO UPDATE SET seq = ?4, envelope = ?5 WHERE seq < ?4",
    )?
    .execute(params![batch.id.as_str(), epoch, day, seq as i64, envelope])?;
    Ok(())
}

fn is_known(db: &Connection, box_id: &str, epoch: &str, record: &Record) -> Result<bool> {
    let stored: Option<[u8; 32]> = db
        .prepare_cached("SELECT hash FROM log WHERE box = ?1 AND epoch = ?2 AND seq = ?3")?
        .query_row(params![box_id, epoch, record.seq as i64], |row| row.get(0))
        .optional()?;
    Ok(stored == Some(record.hash.0))
}

fn fork(db: &Connection, batch: &Batch, seq: u64, outcome: &mut Ingested) -> Result<()> {
    outcome.forked = true;
    let detail = format!("epoch {}, seq {seq}", batch.epoch);
    raise_alarm(
        db,
        &Alarm { kind: AlarmKind::Forked, subject: batch.id.to_string(), detail, at: batch.arrived },
    )
}

fn insert(db: &Connection, batch: &Batch, epoch: &str, record: &Record) -> Result<()> {
    let at = &record.entry.at;
    db.prepare_cached(
        "INSERT INTO log (box, epoch, seq, hash, arrived, wall, event, command, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        batch.id.as_str(),
        epoch,
        record.seq as i64,
        record.hash.0,
        batch.arrived.0,
        at.wall.0,
        event_code(&record.entry.event),
        command_of(&record.entry.event).map(CommandId::as_str),
        record.body,
    ])?;
    let entry = Arrived { db, id: &batch.id, epoch, at };
    match &record.entry.event {
        Event::PlayStarted(start) => entry.play_started(start),
        Event::PlayEnded(end) => entry.play_ended(end),
        Event::Delivery { command, step } => {
            let reason = match step {
                DeliveryStep::NotPlayed { reason } => Some(not_played_reason(reason)),
                _ => None,
            };
            advance(db, command, &batch.id, Step::from(step), reason.as_deref(), at.wall)
        }
        // What it refuses for now is sent again, less and less often.
        Event::CommandRefused { command: Some(command), reason } if !reason.may_pass() => {
            advance(db, command, &batch.id, Step::Refused, Some(&json(reason)), at.wall)
        }
        Event::ClockSet { step_us, before } if *before != ClockQuality::Synced => entry.date_anew(*step_us),
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
        Event::StoreReplaced { .. } => "store_replaced",
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

fn subject_columns(subject: &Subject) -> (&'static str, String) {
    match subject {
        Subject::Announcement { command } => ("announcement", command.to_string()),
        Subject::Slot(key) => ("slot", format!("{}/{}", key.slot, key.date)),
        Subject::Live { voice } => ("live", voice.clone()),
    }
}

/// Where and when an entry comes from.
struct Arrived<'a> {
    db: &'a Connection,
    id: &'a BoxId,
    epoch: &'a str,
    at: &'a Stamp,
}

impl Arrived<'_> {
    fn play_started(&self, start: &PlayStart) -> Result<()> {
        let (subject, subject_id) = subject_columns(&start.subject);
        self.db
            .prepare_cached(
                "INSERT INTO plays (box, epoch, play, start, subject, subject_id, title, section, campaign, class,
                                    mode, rung, source, language, repetition, volume_percent, scheduled, opened)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
                 ON CONFLICT (box, epoch, play) DO NOTHING",
            )?
            .execute(params![
                self.id.as_str(),
                self.epoch,
                start.play.to_string(),
                self.at.start,
                subject,
                subject_id,
                start.title,
                start.section.as_ref().map(|id| id.as_str()),
                start.campaign.as_ref().map(|id| id.as_str()),
                start.class.as_ref().map(word),
                start.mode.as_ref().map(word),
                word(&start.rung),
                start.source,
                start.language,
                start.repetition,
                start.volume_percent,
                start.scheduled.map(|at| at.0),
                self.at.wall.0,
            ])?;
        Ok(())
    }

    fn play_ended(&self, end: &PlayEnd) -> Result<()> {
        let outcome = serde_json::to_value(&end.outcome).expect("outcomes are JSON");
        let code = outcome["outcome"].as_str().map(str::to_owned);
        let mut more = outcome;
        if let Some(fields) = more.as_object_mut() {
            fields.remove("outcome");
        }
        let reason = more.as_object().is_some_and(|fields| !fields.is_empty()).then(|| more.to_string());
        self.db
            .prepare_cached(
                "UPDATE plays SET started = ?4, ended = ?5, frames_played = ?6, frames_due = ?7, outcome = ?8,
                                  reason = ?9, heard = ?10
                 WHERE box = ?1 AND epoch = ?2 AND play = ?3",
            )?
            .execute(params![
                self.id.as_str(),
                self.epoch,
                end.play.to_string(),
                end.started_at.map(|at| at.wall.0),
                self.at.wall.0,
                end.frames_played as i64,
                end.frames_due.map(|frames| frames as i64),
                code,
                reason,
                end.heard.map(|heard| heard.heard),
            ])?;
        Ok(())
    }

    /// Plays that were dated while the clock was not known are dated anew; the log keeps the original reading.
    fn date_anew(&self, step_us: i64) -> Result<()> {
        self.db
            .prepare_cached(
                "UPDATE plays SET opened = opened + ?4, started = started + ?4, ended = ended + ?4
                 WHERE box = ?1 AND epoch = ?2 AND start = ?3",
            )?
            .execute(params![self.id.as_str(), self.epoch, self.at.start, step_us])?;
        Ok(())
    }
}
