//! The log comes in: once, in turn, with everything that follows from an entry in the same commit. Batches that wait together
//! are taken in together, so that a server is asked for all of them at once.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::oneshot;

use super::columns::{count, json, word};
use super::engine::{Connection, OptionalExtension, Result, Value, params};
use super::writer::{Operation, Together, alone, answer};
use super::{alarms, day_sums, deliveries, log_parts, plays};
use crate::store::{Alarm, AlarmKind, Batch, Ingested, NotHeard, Record, StoreError};
use loaxa_heart::decide::delivery::Step;
use loaxa_heart::decide::refusals;
use loaxa_heart::domain::ids::CommandId;
use loaxa_heart::domain::playback::{DeliveryStep, Event, PlayEnd, PlayStart, Subject};
use loaxa_heart::domain::time::ClockQuality;

const DAY_US: i64 = 86_400_000_000;

/// A batch that waits for its commit.
pub struct Arrival {
    pub batch: Batch,
    pub result: Option<Result<Ingested, StoreError>>,
    pub tell: oneshot::Sender<Result<Ingested, StoreError>>,
    pub is_urgent: bool,
}

impl Operation for Arrival {
    fn run(&mut self, db: &Connection) -> Result<()> {
        let taken = alone(db, |db| take_in(db, &[&self.batch]))?;
        self.result = taken.map(|taken| taken.first().copied()).transpose();
        Ok(())
    }

    fn tell(self: Box<Self>, committed: Result<(), StoreError>) {
        answer(self.tell, committed, self.result);
    }

    fn is_urgent(&self) -> bool {
        self.is_urgent
    }

    fn batch(&self) -> Option<(&Batch, Together)> {
        Some((&self.batch, take_in))
    }

    fn taken(&mut self, taken: Ingested) {
        self.result = Some(Ok(taken));
    }
}

/// Takes batches in, in their order; what is there already is compared, what comes after a gap is left out.
///
/// # Errors
/// Fails where the database refuses one of them.
pub fn take_in(db: &Connection, batches: &[&Batch]) -> Result<Vec<Ingested>> {
    log_parts::make_rooms(db, batches.iter().map(|batch| batch.arrived))?;
    let mut intake = Intake { heads: lock_heads(db, batches)?, ..Intake::default() };
    let named =
        batches.iter().flat_map(|batch| &batch.records).filter_map(|record| command_of(&record.entry.event));
    intake.days.look_up(db, named.collect())?;
    let taken = batches.iter().map(|batch| intake.take(db, batch)).collect::<Result<_>>()?;
    intake.write(db)?;
    Ok(taken)
}

/// The log of one store of a box: its name and its epoch.
type Of = (String, String);

/// The end of a log, as far as it has arrived.
#[derive(Clone, Copy)]
struct Head {
    upto: u64,
    hash: [u8; 32],
    forked: bool,
}

/// Reads how far the logs of these boxes have arrived. On a server nobody else takes any of them in from then on, until the
/// transaction ends: (box, epoch, seq) has no other guard there.
fn lock_heads(db: &Connection, batches: &[&Batch]) -> Result<BTreeMap<Of, Head>> {
    let boxes: BTreeSet<&str> = batches.iter().map(|batch| batch.id.as_str()).collect();
    let boxes = json(&boxes);
    let mut heads = read_heads(db, &boxes)?;
    if let Connection::Postgres(_) = db {
        let wanted: BTreeSet<Of> = batches.iter().map(|batch| of(batch)).collect();
        let absent: Vec<_> = wanted.into_iter().filter(|of| !heads.contains_key(of)).collect();
        let mut own = Vec::new();
        for (id, epoch) in &absent {
            let added = db
                .prepare_cached(
                    "INSERT INTO heads (box, epoch, upto, hash, forked) VALUES (?1, ?2, 0, ?3, 0) ON CONFLICT DO NOTHING",
                )?
                .execute(params![id, epoch, [0_u8; 32]])?;
            own.extend((added == 1).then(|| (id.clone(), epoch.clone())));
        }
        if own.len() < absent.len() {
            heads = read_heads(db, &boxes)?;
            heads.retain(|of, _| !own.contains(of));
        }
    }
    Ok(heads)
}

fn read_heads(db: &Connection, boxes: &str) -> Result<BTreeMap<Of, Head>> {
    let lock = db.row_lock();
    let mut query = db.prepare_cached(&format!(
        "SELECT box, epoch, upto, hash, forked FROM heads WHERE box IN (SELECT value FROM json_each(?1))
         ORDER BY box, epoch {lock}"
    ))?;
    let rows = query.query_map([boxes], |row| {
        let head = Head { upto: count(row, "upto")?, hash: row.get("hash")?, forked: row.get("forked")? };
        Ok(((row.get("box")?, row.get("epoch")?), head))
    })?;
    rows.collect()
}

fn of(batch: &Batch) -> Of {
    (batch.id.to_string(), batch.epoch.to_string())
}

/// Everything of several batches that waits to be written.
#[derive(Default)]
struct Intake {
    heads: BTreeMap<Of, Head>,
    touched: BTreeSet<Of>,
    rows: Vec<[Value; 10]>,
    plays: plays::Told,
    days: day_sums::Told,
    deliveries: deliveries::Told,
    /// The last signature of each log and day.
    signed: BTreeMap<(Of, i64), (u64, String)>,
}

impl Intake {
    fn take(&mut self, db: &Connection, batch: &Batch) -> Result<Ingested> {
        let of = of(batch);
        let known = self.heads.get(&of).copied();
        if known.is_none() {
            self.tell_of_new_epoch(db, batch, &of)?;
        }
        let mut head = known.unwrap_or(Head { upto: 0, hash: [0; 32], forked: false });
        tell_of_implausible(db, batch, head.upto)?;
        let mut outcome = Ingested { forked: head.forked, ..Ingested::default() };
        if let Some(first) =
            batch.records.first().filter(|first| first.seq > head.upto + 1 && first.seq <= batch.oldest)
        {
            let detail = format!("epoch {}, seq {} to {}", of.1, head.upto + 1, first.seq - 1);
            alarm(db, batch, AlarmKind::Gap, detail, 1)?;
            self.note_hole(db, batch, &of, (head.upto, first.seq))?;
            head = Head { upto: first.seq - 1, hash: first.prev.0, ..head };
        }
        let mut before = self.before(db, batch, &of, head.upto)?;
        for record in &batch.records {
            if record.seq <= head.upto {
                if before.is_lost(record.seq) {
                    outcome.after_gap += 1;
                } else if before.has(record) {
                    outcome.known += 1;
                } else {
                    fork(db, batch, record.seq, &mut outcome)?;
                }
            } else if record.seq > head.upto + 1 {
                outcome.after_gap += 1;
            } else if record.prev.0 != head.hash {
                fork(db, batch, record.seq, &mut outcome)?;
                outcome.after_gap += 1;
            } else {
                self.add(db, batch, &of.1, record)?;
                before.hashes.insert(record.seq, record.hash.0);
                (head.upto, head.hash) = (record.seq, record.hash.0);
                outcome.added += 1;
            }
        }
        if let (Some(signed), Some(last)) = (&batch.head, batch.records.last())
            && !outcome.forked
            && last.seq <= head.upto
        {
            self.note_signed(batch, &of, last.seq, signed);
        }
        outcome.contiguous_upto = head.upto;
        self.heads.insert(of.clone(), Head { forked: outcome.forked, ..head });
        self.touched.insert(of);
        Ok(outcome)
    }

    /// Keeps which entries a box lost, and the stretch of time of which its log says nothing: from its last word to the first of
    /// this batch.
    fn note_hole(
        &mut self,
        db: &Connection,
        batch: &Batch,
        of: &Of,
        (upto, resumes): (u64, u64),
    ) -> Result<()> {
        // The last word may have come a moment ago.
        self.write_rows(db)?;
        let since: Option<i64> = db
            .prepare_cached(
                "SELECT coalesce(
                     (SELECT min(wall, arrived) FROM log WHERE box = ?1 AND epoch = ?2 AND implausible IS NULL
                      ORDER BY seq DESC LIMIT 1),
                     (SELECT since FROM pruned_logs WHERE box = ?1 AND epoch = ?2))",
            )?
            .query_row([&of.0, &of.1], |row| row.get(0))?;
        let first = batch.records.iter().find(|record| record.implausible.is_none());
        let told = first.map_or(batch.arrived, |record| record.entry.at.wall.min(batch.arrived));
        db.prepare_cached(
            "INSERT INTO log_holes (box, epoch, upto, resumes, since, told) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            of.0,
            of.1,
            upto as i64,
            resumes as i64,
            since.unwrap_or(told.0),
            told.0
        ])?;
        Ok(())
    }

    fn note_signed(&mut self, batch: &Batch, of: &Of, seq: u64, envelope: &str) {
        let kept = self.signed.entry((of.clone(), batch.arrived.0.div_euclid(DAY_US))).or_default();
        if kept.0 < seq {
            *kept = (seq, envelope.to_owned());
        }
    }

    /// Raises an alarm where a box that had a log before begins another: its store was replaced, or somebody has its key.
    fn tell_of_new_epoch(&self, db: &Connection, batch: &Batch, of: &Of) -> Result<()> {
        let of_box = self.heads.keys().filter(|(id, epoch)| *id == of.0 && *epoch != of.1);
        match of_box.map(|(_, epoch)| epoch).max() {
            Some(before) => {
                alarm(db, batch, AlarmKind::NewEpoch, format!("epoch {} beside {before}", of.1), 1)
            }
            None => Ok(()),
        }
    }

    /// Reads the entries that are there already in the place of a batch's own.
    fn before(&mut self, db: &Connection, batch: &Batch, of: &Of, upto: u64) -> Result<Before> {
        let numbers = || batch.records.iter().map(|record| record.seq).filter(|seq| *seq <= upto);
        let (Some(first), Some(last)) = (numbers().min(), numbers().max()) else {
            return Ok(Before::default());
        };
        // They may have come a moment ago.
        self.write_rows(db)?;
        let mut query = db.prepare_cached(
            "SELECT seq, hash FROM log WHERE box = ?1 AND epoch = ?2 AND seq >= ?3 AND seq <= ?4
             UNION ALL SELECT upto AS seq, hash FROM pruned_logs WHERE box = ?1 AND epoch = ?2 AND upto >= ?3 AND upto <= ?4",
        )?;
        let rows = query.query_map(params![of.0, of.1, first as i64, last as i64], |row| {
            Ok((count(row, "seq")?, row.get("hash")?))
        })?;
        let hashes = rows.collect::<Result<_>>()?;
        let pruned = db
            .prepare_cached("SELECT upto FROM pruned_logs WHERE box = ?1 AND epoch = ?2")?
            .query_row([&of.0, &of.1], |row| count(row, "upto"))
            .optional()?;
        let mut query = db.prepare_cached(
            "SELECT upto, resumes FROM log_holes WHERE box = ?1 AND epoch = ?2 AND upto < ?3",
        )?;
        let holes = query.query_map(params![of.0, of.1, last as i64], |row| {
            Ok((count(row, "upto")?, count(row, "resumes")?))
        })?;
        Ok(Before { hashes, pruned: pruned.unwrap_or(0), holes: holes.collect::<Result<_>>()? })
    }

    fn add(&mut self, db: &Connection, batch: &Batch, epoch: &str, record: &Record) -> Result<()> {
        let at = &record.entry.at;
        self.rows.push([
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
            self.days.note_entry(&batch.id, &record.entry, batch.arrived);
        }
        let (arrived, implausible) = (batch.arrived, record.implausible);
        let of = plays::Origin { id: &batch.id, epoch, at, arrived, implausible };
        // What a box dates in the future is shown as of its arrival.
        let shown_at = at.wall.min(arrived);
        match &record.entry.event {
            Event::PlayStarted(start) => {
                self.plays.start(&of, start);
                Ok(())
            }
            Event::PlayEnded(end) => {
                self.plays.end(&of, end);
                Ok(())
            }
            Event::Delivery { command, step } => {
                let reason = match step {
                    DeliveryStep::NotPlayed { reason } => Some(NotHeard::NotPlayed(reason.clone())),
                    _ => None,
                };
                self.deliveries.advance(command, &batch.id, Step::from(step), reason, shown_at);
                Ok(())
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
                self.deliveries.advance(command, &batch.id, Step::Refused, Some(reason), shown_at);
                Ok(())
            }
            Event::ClockSet { step_us, before } if *before != ClockQuality::Synced => {
                self.plays.write(db)?;
                plays::date_anew(db, &of, *step_us)
            }
            _ => Ok(()),
        }
    }

    fn write_rows(&mut self, db: &Connection) -> Result<()> {
        let into = "log (box, epoch, seq, hash, arrived, wall, event, command, body, implausible)";
        db.insert_rows(into, &std::mem::take(&mut self.rows))
    }

    fn write(mut self, db: &Connection) -> Result<()> {
        self.write_rows(db)?;
        self.plays.write(db)?;
        self.deliveries.write(db, |command| self.days.knows(command))?;
        self.days.mark(db)?;
        let signed = self.signed.into_iter().map(|(((id, epoch), day), (seq, envelope))| {
            [id.into(), epoch.into(), day.into(), (seq as i64).into(), envelope.into()]
        });
        db.insert_rows_or(
            "signed_heads (box, epoch, day, seq, envelope)",
            &signed.collect::<Vec<_>>(),
            "ON CONFLICT (box, epoch, day) DO UPDATE SET seq = excluded.seq, envelope = excluded.envelope
             WHERE signed_heads.seq < excluded.seq",
        )?;
        let heads = self.touched.into_iter().map(|of| {
            let Head { upto, hash, forked } = self.heads[&of];
            [of.0.into(), of.1.into(), (upto as i64).into(), hash.to_vec().into(), i64::from(forked).into()]
        });
        db.insert_rows_or(
            "heads (box, epoch, upto, hash, forked)",
            &heads.collect::<Vec<_>>(),
            "ON CONFLICT (box, epoch) DO UPDATE SET upto = excluded.upto, hash = excluded.hash, forked = excluded.forked",
        )
    }
}

/// The entries that stand in the place of a batch's own.
#[derive(Default)]
struct Before {
    hashes: BTreeMap<u64, [u8; 32]>,
    /// The last entry that was deleted when its time was over.
    pruned: u64,
    /// The last entry before each hole, and the first behind it.
    holes: Vec<(u64, u64)>,
}

impl Before {
    /// Tells whether an entry is one of those that the box said it had lost: it is neither there nor contradicted.
    fn is_lost(&self, seq: u64) -> bool {
        self.holes.iter().any(|(upto, resumes)| *upto < seq && seq < *resumes)
    }

    /// Tells whether a record is there; nobody can compare any more what was deleted.
    fn has(&self, record: &Record) -> bool {
        match self.hashes.get(&record.seq) {
            Some(hash) => *hash == record.hash.0,
            None => record.seq < self.pruned,
        }
    }
}

fn fork(db: &Connection, batch: &Batch, seq: u64, outcome: &mut Ingested) -> Result<()> {
    outcome.forked = true;
    let detail = format!("epoch {}, seq {seq}", batch.epoch);
    alarm(db, batch, AlarmKind::Forked, detail, 1)
}

fn alarm(db: &Connection, batch: &Batch, kind: AlarmKind, detail: String, times: u64) -> Result<()> {
    alarms::raise(db, &Alarm { kind, subject: batch.id.to_string(), detail, at: batch.arrived, times })
}

/// Raises one alarm for all that can't be true among the entries after `upto`.
fn tell_of_implausible(db: &Connection, batch: &Batch, upto: u64) -> Result<()> {
    let new = batch.records.iter().filter(|record| record.seq > upto);
    let mut odd = new.filter_map(|record| Some((record.seq, record.implausible?)));
    let Some((seq, why)) = odd.next() else { return Ok(()) };
    let detail = format!("epoch {}, from seq {seq}: {}", batch.epoch, word(&why));
    alarm(db, batch, AlarmKind::Implausible, detail, 1 + odd.count() as u64)
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

#[cfg(test)]
mod tests {
    use super::super::prepare::prepare;
    use super::super::writer::run_next;
    use super::*;
    use loaxa_heart::domain::ids::Epoch;
    use loaxa_heart::domain::playback::{Entry, Stamp};
    use loaxa_heart::domain::time::Wall;
    use loaxa_heart::wire::chain;

    fn batch(id: &str, entries: usize) -> Batch {
        let (id, epoch) = (id.parse().unwrap(), Epoch(7));
        let at =
            Stamp { start: 1, mono_us: 1, wall: Wall(1), quality: ClockQuality::Synced, uncertainty_ms: 1 };
        let mut link = chain::Link::FIRST;
        let records = (0..entries).map(|_| {
            let entry = Entry { at, event: Event::DeviceBack };
            let record = link.record(&id, epoch, entry.clone()).unwrap();
            let prev = link.prev;
            link = chain::Link::after(record.seq, &record.body);
            Record { seq: record.seq, hash: link.prev, prev, body: record.body, entry, implausible: None }
        });
        let records = records.collect();
        Batch { id, epoch, arrived: Wall(1), oldest: 1, records, head: None }
    }

    type Told = oneshot::Receiver<Result<Ingested, StoreError>>;

    fn arrival(batch: Batch) -> (Box<dyn Operation>, Told) {
        let (tell, told) = oneshot::channel();
        (Box::new(Arrival { batch, result: None, tell, is_urgent: false }), told)
    }

    fn database() -> Connection {
        let db = Connection::Sqlite(rusqlite::Connection::open_in_memory().unwrap());
        prepare(&db).unwrap();
        db
    }

    #[test]
    fn a_batch_that_the_database_refuses_keeps_no_other_out() {
        let db = database();
        take_in(&db, &[&batch("loa-2", 2)]).unwrap();
        // Its entries are there, and nothing says so.
        db.execute("DELETE FROM heads", []).unwrap();
        let (mut jobs, told): (Vec<_>, Vec<_>) =
            ["loa-1", "loa-2", "loa-3"].map(|id| arrival(batch(id, 2))).into_iter().unzip();
        assert_eq!(run_next(&db, &mut jobs).unwrap(), 3);
        jobs.into_iter().for_each(|job| job.tell(Ok(())));
        let added = told.into_iter().map(|mut told| told.try_recv().unwrap().map(|taken| taken.added).ok());
        assert_eq!(added.collect::<Vec<_>>(), [Some(2), None, Some(2)]);
    }

    #[test]
    fn no_more_is_taken_in_as_one_than_a_group_has_time_for() {
        let db = database();
        let mut jobs: Vec<_> = (0..4).map(|n| arrival(batch(&format!("loa-{n}"), 400)).0).collect();
        assert_eq!(run_next(&db, &mut jobs).unwrap(), 2);
        assert_eq!(run_next(&db, &mut jobs[2..]).unwrap(), 2);
        let mut large = [arrival(batch("loa-9", 1_200)).0];
        assert_eq!(run_next(&db, &mut large).unwrap(), 1, "one alone always fits");
    }
}
