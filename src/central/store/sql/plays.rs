//! Plays, each joined from the entries of its start and its end.

use std::collections::BTreeMap;

use super::SqlStore;
use super::asked::Asked;
use super::columns::{
    bounded, count, from_word, known, known_up_to, name, optional_count, optional_name, optional_wall,
    optional_word, unreadable, wall, word,
};
use super::engine::{Connection, OptionalExtension, Result, Row, Value, params, params_from_iter};
use crate::store::plays::{outcome_apart, subject_apart, subject_together};
use crate::store::{Answer, LogFilter, PlayRow, Plays, ROWS_MAX, ReportRow, SoundingRow, tagged};
use loaxa_heart::decide::plausible::{self, Implausible};
use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::domain::playback::{PlayEnd, PlayOutcome, PlayStart, Stamp, Subject};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::texts::visible;

/// Frames a second in the log.
const FRAMES_A_SECOND: f64 = 48_000.0;

impl Plays for SqlStore {
    fn sounding(&self) -> Answer<'_, Vec<SoundingRow>> {
        self.read(sounding)
    }

    fn plays(&self, filter: LogFilter) -> Answer<'_, Vec<PlayRow>> {
        self.read(move |db| newest(db, &filter))
    }

    fn report(&self, from: Wall, to: Wall) -> Answer<'_, Vec<ReportRow>> {
        self.read(move |db| report(db, from, to))
    }
}

fn sounding(db: &Connection) -> Result<Vec<SoundingRow>> {
    let mut query = db.prepare_cached(
        "SELECT box, subject, subject_id, title, mode, rung, opened FROM plays WHERE cursor IN (
             SELECT max(cursor) FROM plays JOIN boxes ON boxes.id = plays.box AND boxes.epoch = plays.epoch
             WHERE outcome IS NULL AND implausible IS NULL GROUP BY box) ORDER BY box",
    )?;
    let rows = query.query_map([], |row| {
        Ok(SoundingRow {
            id: name(row, "box")?,
            subject: subject(row)?,
            title: row.get("title")?,
            mode: optional_word(row, "mode")?,
            rung: from_word(row, "rung")?,
            opened: wall(row, "opened")?,
        })
    })?;
    known(rows)
}

/// Slots that did not sound. The last word on a slot counts: what was missed under a clock that was ahead is taken back.
pub const SLOTS_NOT_AIRED: &str =
    "event = 'slot_ended' AND body ->> '$.outcome' = 'not_aired' AND NOT EXISTS (
    SELECT 1 FROM log AS later WHERE later.event = 'slot_ended' AND later.box = log.box
    AND later.body ->> '$.key.slot' = log.body ->> '$.key.slot'
    AND later.body ->> '$.key.date' = log.body ->> '$.key.date' AND later.cursor > log.cursor)";

/// The origin of an entry: box, epoch and time.
pub struct Origin<'a> {
    pub id: &'a BoxId,
    pub epoch: &'a str,
    pub at: &'a Stamp,
    pub arrived: Wall,
    pub implausible: Option<Implausible>,
}

impl Origin<'_> {
    fn key(&self, play: &str) -> String {
        format!("{} {} {play}", self.id, self.epoch)
    }
}

/// Plays that began or ended in batches that are taken in together. They are written together.
#[derive(Default)]
pub struct Told {
    begun: Vec<[Value; COLUMNS]>,
    /// The places of those that began, by box, epoch and play.
    places: BTreeMap<String, usize>,
    /// The ends of plays that began earlier.
    ended: BTreeMap<String, [Value; 11]>,
}

const COLUMNS: usize = 28;
const INTO: &str =
    "plays (box, epoch, play, start, subject, subject_id, title, section, campaign, class, mode, rung,
    source, language, repetition, volume_percent, scheduled, opened, arrived, listed, implausible,
    started, ended, frames_played, frames_due, outcome, reason, heard)";
/// The places of what a play's end says, and of what makes it implausible.
const OF_THE_END: std::ops::Range<usize> = 21..COLUMNS;
const OUTCOME: usize = 25;
const IMPLAUSIBLE: usize = 20;
/// A play that is there already is begun by nothing, and ended by its first end.
const ON_CONFLICT: &str = "ON CONFLICT (box, epoch, play) DO UPDATE SET
    started = excluded.started, ended = excluded.ended, frames_played = excluded.frames_played,
    frames_due = excluded.frames_due, outcome = excluded.outcome, reason = excluded.reason, heard = excluded.heard,
    implausible = coalesce(plays.implausible, excluded.implausible)
    WHERE plays.outcome IS NULL AND excluded.outcome IS NOT NULL";

/// The columns that an end tells of a play that began earlier; its first end stays.
const ENDED: &str = "plays (box, epoch, play, started, ended, frames_played, frames_due, outcome, reason, heard, implausible)";
const END_ONE: &str =
    "UPDATE plays SET started = ?4, ended = ?5, frames_played = ?6, frames_due = ?7, outcome = ?8,
        reason = ?9, heard = ?10, implausible = coalesce(implausible, ?11)
    WHERE box = ?1 AND epoch = ?2 AND play = ?3 AND outcome IS NULL";
const END_ALL: &str =
    "UPDATE plays SET started = told.started, ended = told.ended, frames_played = told.frames_played,
        frames_due = told.frames_due, outcome = told.outcome, reason = told.reason, heard = told.heard,
        implausible = coalesce(plays.implausible, told.implausible)
    FROM {told} AS told WHERE plays.box = told.box AND plays.epoch = told.epoch AND plays.play = told.play
        AND plays.outcome IS NULL";

impl Told {
    /// Begins a play.
    pub fn start(&mut self, of: &Origin, start: &PlayStart) {
        let play = start.play.to_string();
        let key = of.key(&play);
        if self.places.contains_key(&key) {
            return;
        }
        let (subject, subject_id) = subject_apart(&start.subject);
        let name = |id: Option<&str>| Value::from(id.map(str::to_owned));
        let row = [
            of.id.to_string().into(),
            of.epoch.to_owned().into(),
            play.into(),
            i64::from(of.at.start).into(),
            subject.to_owned().into(),
            subject_id.into(),
            visible(&start.title).into_owned().into(),
            name(start.section.as_ref().map(|id| id.as_str())),
            name(start.campaign.as_ref().map(|id| id.as_str())),
            start.class.as_ref().map(word).into(),
            start.mode.as_ref().map(word).into(),
            word(&start.rung).into(),
            visible(&start.source).into_owned().into(),
            visible(&start.language).into_owned().into(),
            i64::from(start.repetition).into(),
            i64::from(start.volume_percent).into(),
            start.scheduled.map(|at| at.0).into(),
            of.at.wall.0.into(),
            of.arrived.0.into(),
            of.at.wall.min(of.arrived).0.into(),
            of.implausible.as_ref().map(word).into(),
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
        ];
        self.places.insert(key, self.begun.len());
        self.begun.push(row);
    }

    /// Ends a play; its first end stays.
    pub fn end(&mut self, of: &Origin, end: &PlayEnd) {
        let play = end.play.to_string();
        let key = of.key(&play);
        let (outcome, reason) = outcome_apart(&end.outcome);
        let told: [Value; 7] = [
            end.started_at.map(|at| at.wall.0).into(),
            of.at.wall.0.into(),
            bounded(end.frames_played).into(),
            end.frames_due.map(bounded).into(),
            outcome.into(),
            reason.into(),
            end.heard.as_ref().map(|heard| heard.heard).into(),
        ];
        let implausible: Value = of.implausible.as_ref().map(word).into();
        let Some(place) = self.places.get(&key) else {
            let [started, ended, frames_played, frames_due, outcome, reason, heard] = told;
            self.ended.entry(key).or_insert_with(|| {
                let (id, epoch) = (of.id.to_string().into(), of.epoch.to_owned().into());
                [
                    id,
                    epoch,
                    play.into(),
                    started,
                    ended,
                    frames_played,
                    frames_due,
                    outcome,
                    reason,
                    heard,
                    implausible,
                ]
            });
            return;
        };
        let row = &mut self.begun[*place];
        if row[OUTCOME] != Value::Null {
            return;
        }
        row[OF_THE_END].clone_from_slice(&told);
        if row[IMPLAUSIBLE] == Value::Null {
            row[IMPLAUSIBLE] = implausible;
        }
    }

    /// Writes what has begun and ended so far.
    ///
    /// # Errors
    /// Fails where the database refuses it.
    pub fn write(&mut self, db: &Connection) -> Result<()> {
        self.places.clear();
        let ended: Vec<_> = std::mem::take(&mut self.ended).into_values().collect();
        db.change_rows(ENDED, &ended, (END_ONE, END_ALL))?;
        db.insert_rows_or(INTO, &std::mem::take(&mut self.begun), ON_CONFLICT)
    }
}

/// A time so far away that no number becomes too large where a step is added to one that is nearer.
const FAR: i64 = 1 << 61;

/// Dates anew the plays that were dated while the clock was not known; the log keeps the original reading. A step that no clock
/// makes is implausible, and moves nothing.
pub fn date_anew(db: &Connection, of: &Origin, step_us: i64) -> Result<()> {
    if of.implausible.is_some() {
        return Ok(());
    }
    db.prepare_cached(
        "UPDATE plays SET opened = opened + ?4, started = max(min(started, ?8), ?9) + ?4,
                          ended = max(min(ended, ?8), ?9) + ?4, listed = min(opened + ?4, coalesce(arrived, ?5)),
                          implausible = CASE WHEN implausible = ?6 AND opened + ?4 <= ?7 THEN NULL
                                             WHEN opened + ?4 > ?7 THEN coalesce(implausible, ?6)
                                             ELSE implausible END
             WHERE box = ?1 AND epoch = ?2 AND start = ?3 AND opened < ?8 AND opened > ?9",
    )?
    .execute(params![
        of.id.as_str(),
        of.epoch,
        of.at.start,
        step_us,
        of.arrived.0,
        word(&Implausible::Date),
        plausible::latest(of.arrived).0,
        FAR,
        -FAR,
    ])?;
    Ok(())
}

fn newest(db: &Connection, filter: &LogFilter) -> Result<Vec<PlayRow>> {
    let which = if filter.implausible { "NOT NULL" } else { "NULL" };
    let mut asked = Asked::default();
    asked.and("box =", filter.id.as_ref().map(|id| id.to_string()));
    asked.and("opened >=", filter.from.map(|at| at.0));
    asked.and("opened <", filter.to.map(|at| at.0));
    asked.and("subject_id =", filter.command.as_ref().map(|id| id.to_string()));
    asked.and("cursor >", filter.after);
    if let Some(before) = filter.before {
        let listed: Option<i64> = db
            .prepare_cached("SELECT listed FROM plays WHERE cursor = ?1")?
            .query_row([before], |row| row.get(0))
            .optional()?;
        asked.and_both("(listed, cursor) < (?, ?)", Some([listed.unwrap_or(i64::MIN), before]));
    }
    let joins = if asked.values.is_empty() { "WHERE" } else { "AND" };
    let asked_of = asked.sql();
    known_up_to(filter.limit.min(ROWS_MAX), |wanted, behind| {
        let mut query = db.prepare_cached(&format!(
            "SELECT plays.*, coalesce(boxes.title, box) AS box_title FROM plays LEFT JOIN boxes ON boxes.id = box
             {asked_of} {joins} implausible IS {which} ORDER BY listed DESC, cursor DESC LIMIT {wanted} OFFSET {behind}"
        ))?;
        Ok(query.query_map(params_from_iter(asked.values.iter()), play_row)?.collect())
    })
}

pub fn play_row(row: &Row) -> Result<PlayRow> {
    Ok(PlayRow {
        cursor: row.get("cursor")?,
        id: name(row, "box")?,
        box_title: row.get("box_title")?,
        epoch: from_word(row, "epoch")?,
        play: from_word(row, "play")?,
        subject: subject(row)?,
        title: row.get("title")?,
        section: optional_name(row, "section")?,
        campaign: optional_name(row, "campaign")?,
        class: optional_word(row, "class")?,
        mode: optional_word(row, "mode")?,
        rung: from_word(row, "rung")?,
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
        outcome: outcome(row)?,
        heard: row.get("heard")?,
        implausible: optional_word(row, "implausible")?,
    })
}

fn subject(row: &Row) -> Result<Subject> {
    let (kind, id): (String, String) = (row.get("subject")?, row.get("subject_id")?);
    subject_together(&kind, &id).ok_or_else(|| unreadable("subject", "no subject of a play".into()))
}

fn outcome(row: &Row) -> Result<Option<PlayOutcome>> {
    let (word, rest): (Option<String>, Option<String>) = (row.get("outcome")?, row.get("reason")?);
    let Some(word) = word else { return Ok(None) };
    let outcome = tagged::together("outcome", &word, rest.as_deref());
    outcome.map(Some).map_err(|error| unreadable("outcome", error.into()))
}

fn report(db: &Connection, from: Wall, to: Wall) -> Result<Vec<ReportRow>> {
    let mut query = db.prepare_cached(
        "SELECT box, coalesce(boxes.title, box) AS box_title, section,
                count(*) FILTER (WHERE implausible IS NULL) AS plays,
                count(*) FILTER (WHERE implausible IS NULL AND outcome = 'finished') AS finished,
                count(implausible) AS implausible,
                CAST(coalesce(sum(frames_played) FILTER (WHERE implausible IS NULL), 0) AS DOUBLE PRECISION) AS frames
         FROM plays LEFT JOIN boxes ON boxes.id = box
         WHERE opened >= ?1 AND opened < ?2 GROUP BY box, boxes.title, section ORDER BY box, section NULLS FIRST",
    )?;
    let rows = query.query_map([from.0, to.0], |row| {
        Ok(ReportRow {
            id: name(row, "box")?,
            box_title: row.get("box_title")?,
            section: optional_name(row, "section")?,
            plays: count(row, "plays")?,
            finished: count(row, "finished")?,
            implausible: count(row, "implausible")?,
            seconds_played: row.get::<_, f64>("frames")? / FRAMES_A_SECOND,
            not_aired: BTreeMap::new(),
        })
    })?;
    let mut rows = rows.collect::<Result<Vec<_>>>()?;
    for (id, box_title, because, slots) in not_aired(db, from, to)? {
        let of_box = |row: &ReportRow| row.id == id && row.section.is_none();
        let place = match rows.iter().position(of_box) {
            Some(place) => place,
            None => {
                let place = rows.partition_point(|row| row.id < id);
                rows.insert(place, ReportRow::empty(id, box_title));
                place
            }
        };
        rows[place].not_aired.insert(because, slots);
    }
    Ok(rows)
}

/// Counts the slots of a period that did not sound, by box and reason.
fn not_aired(db: &Connection, from: Wall, to: Wall) -> Result<Vec<(BoxId, String, String, u64)>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT box, coalesce(boxes.title, box) AS box_title, body ->> '$.because' AS because, count(*) AS slots
         FROM log LEFT JOIN boxes ON boxes.id = box
         WHERE {SLOTS_NOT_AIRED} AND implausible IS NULL AND body ->> '$.scheduled' >= ?1 AND body ->> '$.scheduled' < ?2
         GROUP BY box, boxes.title, because ORDER BY box, because"
    ))?;
    let rows = query.query_map([in_json(from), in_json(to)], |row| {
        Ok((name(row, "box")?, row.get("box_title")?, row.get("because")?, count(row, "slots")?))
    })?;
    rows.collect()
}

/// An instant as it stands in a log entry; all have the same length, so that texts compare as times.
fn in_json(at: Wall) -> String {
    serde_json::to_value(at).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
