//! Signs of life, kept in memory and written many at a time. A crash loses those of a minute at most, and the boxes say
//! more in the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::columns::{bounded, from_json, json, name, optional_wall, optional_word, word};
use super::engine::{Connection, Result, Value};
use super::hours::{Counted, count_signs, hour_of};
use super::writer::{Operation, alone};
use crate::store::{BoxRow, SILENT_MAX, SignKind, SignOfLife, StoreError};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::ids::{BoxId, Epoch};
use loaxa_heart::domain::time::{ClockQuality, Moment, Span, Wall};
use loaxa_heart::texts::visible;
use loaxa_heart::wire::messages::Holds;

/// Largest disorder of a box's messages on their way through this process. A sign of life that is older than the kept
/// one by more than this means that the clock of this machine was set back: the newcomer is right.
const DISORDER_MAX: Span = Span::secs(60);
/// Time between two writes of what boxes said.
const BOXES_EVERY: Span = Span::secs(60);
/// The same where other centrals show it to their people.
const BOXES_EVERY_FOR_PEERS: Span = Span::secs(5);
/// Time after which a box has spoken to another central since, perhaps, and is read from the database again.
const HEARD_ELSEWHERE: Span = Span::secs(30);
/// Time between two writes of counts: the row of each box lies on a page of its own.
const HOURS_EVERY: Span = Span::secs(900);
/// Entries that are taken to wait on a box that comes back, until its heartbeat counts them: nobody knows yet what it wrote while
/// it was away.
const HELLO_BACKLOG: u64 = 1;
/// Most counts that wait; then they are written at once.
const HOURS_MAX: usize = 50_000;

/// The part of a box's state that people see.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    seen: Option<Wall>,
    lost: bool,
    clock: Option<ClockQuality>,
    faults: Vec<String>,
}

/// The words of a box that are not on disk yet.
#[derive(Debug, Clone)]
pub struct Waiting {
    at: Wall,
    clock: ClockQuality,
    holds: Option<Holds>,
    hello: Option<Introduced>,
    backlog: Option<u64>,
    faults: Option<Vec<String>>,
    /// Tells whether more was said since it was handed over for writing.
    number: u64,
}

/// The words that only a hello has. They are said once for a whole connection, so that they count also where a later sign went
/// before them: a heartbeat that another central took in, or one whose clock is ahead.
#[derive(Debug, Clone)]
struct Introduced {
    at: Wall,
    software: String,
    languages: Vec<String>,
    epoch: Epoch,
}

#[derive(Default)]
struct Inside {
    known: BTreeMap<BoxId, Shown>,
    waiting: BTreeMap<BoxId, Arc<Waiting>>,
    hours: BTreeMap<(BoxId, Wall), Counted>,
    /// The last write of each; none at first.
    boxes_written: Option<Moment>,
    hours_written: Option<Moment>,
    number: u64,
}

/// The signs of life that this process remembers.
#[derive(Default)]
pub struct Signs {
    inside: Mutex<Inside>,
    has_peers: AtomicBool,
}

impl Signs {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on other centrals wait for what is written.
    pub fn write_often(&self) {
        self.has_peers.store(true, Ordering::Relaxed);
    }

    fn boxes_every(&self) -> Span {
        if self.has_peers.load(Ordering::Relaxed) { BOXES_EVERY_FOR_PEERS } else { BOXES_EVERY }
    }

    /// Tells whether the box was heard, or read from the database, since the start; where other centrals hear it too, not long
    /// before `now`.
    pub fn knows(&self, id: &BoxId, now: Wall) -> bool {
        let has_peers = self.has_peers.load(Ordering::Relaxed);
        let is_new = |shown: &Shown| shown.seen.is_some_and(|seen| now.since(seen) < HEARD_ELSEWHERE);
        self.lock().known.get(id).is_some_and(|shown| !has_peers || is_new(shown))
    }

    /// Learns what the database says of a box, unless this process knows better.
    pub fn learn(&self, id: BoxId, shown: Shown) {
        let mut inside = self.lock();
        let known = inside.known.entry(id).or_insert_with(|| shown.clone());
        if known.seen <= shown.seen {
            *known = shown;
        }
    }

    /// Takes a sign of life, unless a later one is there; says whether people see another state than before.
    pub fn note(&self, sign: &SignOfLife) -> bool {
        let mut inside = self.lock();
        inside.number += 1;
        let number = inside.number;
        let Some(known) = inside.known.get_mut(&sign.id) else { return false };
        if known.seen.is_some_and(|seen| is_before(sign.at, seen)) {
            inside.note_late(sign, number);
            return false;
        }
        let was_silent = known.seen.is_none_or(|seen| sign.at.since(seen) >= SILENT_MAX);
        let before = known.clone();
        (known.seen, known.lost, known.clock) = (Some(sign.at), false, Some(sign.clock));
        let mut waiting = Waiting {
            at: sign.at,
            clock: sign.clock,
            holds: sign.holds.clone(),
            hello: None,
            backlog: None,
            faults: None,
            number,
        };
        match &sign.kind {
            SignKind::Hello { .. } => {
                waiting.hello = Introduced::by(sign);
                waiting.backlog = Some(HELLO_BACKLOG);
            }
            SignKind::Heartbeat { backlog, faults, .. } => {
                known.faults = faults.iter().map(|code| visible(code).into_owned()).collect();
                (waiting.backlog, waiting.faults) = (Some(*backlog), Some(known.faults.clone()));
            }
        }
        let is_other = Shown { seen: before.seen, ..known.clone() } != before;
        inside.hours.entry((sign.id.clone(), hour_of(sign.at))).or_default().add(sign);
        let earlier = inside.waiting.remove(&sign.id);
        let earlier = earlier.map(Arc::unwrap_or_clone);
        inside.waiting.insert(sign.id.clone(), Arc::new(waiting.after(earlier)));
        was_silent || is_other
    }

    /// Notes that the connection of a box broke off.
    pub fn lose(&self, id: &BoxId, at: Wall) {
        if let Some(known) = self.lock().known.get_mut(id).filter(|known| known.seen <= Some(at)) {
            known.lost = true;
        }
    }

    /// The words of all boxes that are not on disk yet.
    pub fn waiting(&self) -> BTreeMap<BoxId, Arc<Waiting>> {
        self.lock().waiting.clone()
    }

    /// The commands and documents that a box holds, where it said so since the last write, and when it did.
    pub fn holds(&self, id: &BoxId) -> Option<(Holds, Wall)> {
        let inside = self.lock();
        let waiting = inside.waiting.get(id)?;
        Some((waiting.holds.clone()?, waiting.at))
    }
}

/// Tells whether a sign of life was said before another; a time far ahead comes from a clock that was set back.
fn is_before(at: Wall, other: Wall) -> bool {
    other > at && other <= at.plus(DISORDER_MAX)
}

impl Introduced {
    fn by(sign: &SignOfLife) -> Option<Self> {
        let SignKind::Hello { software, languages, epoch } = &sign.kind else { return None };
        Some(Self {
            at: sign.at,
            software: visible(software).into_owned(),
            languages: languages.iter().map(|tag| visible(tag).into_owned()).collect(),
            epoch: *epoch,
        })
    }

    /// The later of two hellos.
    fn later(this: Option<Self>, earlier: Option<Self>) -> Option<Self> {
        match (this, earlier) {
            (Some(this), Some(earlier)) if is_before(this.at, earlier.at) => Some(earlier),
            (this, earlier) => this.or(earlier),
        }
    }
}

impl Inside {
    /// Takes what a sign says that came after a later one: of a hello, what no other sign says.
    fn note_late(&mut self, sign: &SignOfLife, number: u64) {
        let Some(hello) = Introduced::by(sign) else { return };
        let (at, clock) = (sign.at, sign.clock);
        let (holds, backlog, faults) = (None, None, None);
        let late = Waiting { at, clock, holds, hello: Some(hello), backlog, faults, number };
        let waiting = match self.waiting.remove(&sign.id).map(Arc::unwrap_or_clone) {
            Some(other) => {
                Waiting { hello: Introduced::later(late.hello, other.hello.clone()), number, ..other }
            }
            None => late,
        };
        self.waiting.insert(sign.id.clone(), Arc::new(waiting));
    }
}

impl Waiting {
    /// Fills what this sign does not say with what an earlier one did.
    fn after(self, earlier: Option<Self>) -> Self {
        let Some(earlier) = earlier else { return self };
        Self {
            holds: self.holds.or(earlier.holds),
            hello: Introduced::later(self.hello, earlier.hello),
            backlog: self.backlog.or(earlier.backlog),
            faults: self.faults.or(earlier.faults),
            ..self
        }
    }

    /// Tells whether the box's connection broke off after this sign; a time far ahead comes from a clock that was set back.
    fn was_before(&self, lost: Option<Wall>) -> bool {
        lost.is_some_and(|lost| is_before(self.at, lost))
    }

    /// Puts what waits over the row of the database, where it is newer. `lost` is when the box's connection broke off.
    pub fn show_in(&self, row: &mut BoxRow, lost: Option<Wall>) {
        if row.last_seen.is_some_and(|seen| is_before(self.at, seen)) {
            return;
        }
        (row.last_seen, row.lost, row.clock) = (Some(self.at), self.was_before(lost), Some(self.clock));
        if let Some(holds) = &self.holds {
            row.holds = Some(holds.clone());
        }
        if let Some(hello) = &self.hello {
            (row.software, row.epoch) = (Some(hello.software.clone()), Some(hello.epoch));
            row.languages.clone_from(&hello.languages);
        }
        if let Some(backlog) = self.backlog {
            row.backlog = backlog;
        }
        if let Some(faults) = &self.faults {
            row.faults.clone_from(faults);
        }
    }
}

/// Reads what people see of boxes.
pub fn shown(db: &Connection, ids: &BTreeSet<BoxId>) -> Result<BTreeMap<BoxId, Shown>> {
    let mut query = db.prepare_cached(
        "SELECT id, last_seen, lost, clock, faults FROM boxes WHERE id IN (SELECT value FROM json_each(?1))",
    )?;
    let rows = query.query_map([json(ids)], |row| {
        let shown = Shown {
            seen: optional_wall(row, "last_seen")?,
            lost: row.get::<_, i64>("lost")? > 0,
            clock: optional_word(row, "clock")?,
            faults: from_json(row, "faults")?,
        };
        Ok((name(row, "id")?, shown))
    })?;
    rows.collect()
}

/// The part that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// All that is due by its time.
    Due,
    /// All that waits.
    All,
    One(BoxId),
}

/// Signs of life on their way to the disk.
pub struct Flush {
    signs: Arc<Signs>,
    boxes: Vec<(BoxId, Arc<Waiting>)>,
    hours: Vec<((BoxId, Wall), Counted)>,
    /// The database refused them when they were written, and nothing else of their commit.
    is_refused: bool,
    tell: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Flush {
    /// Takes what is to be written; `None` where nothing is.
    pub fn take(
        signs: &Arc<Signs>,
        part: &Part,
        tell: Option<tokio::sync::oneshot::Sender<()>>,
    ) -> Option<Self> {
        let mut inside = signs.lock();
        let now = monotonic();
        let is_due = |last: Option<Moment>, every| last.is_none_or(|last| now.since(last) >= every);
        let has_boxes = match part {
            Part::Due => is_due(inside.boxes_written, signs.boxes_every()),
            Part::All => true,
            Part::One(_) => false,
        };
        let has_hours = *part == Part::All
            || has_boxes && is_due(inside.hours_written, HOURS_EVERY)
            || inside.hours.len() >= HOURS_MAX;
        let mut boxes = Vec::new();
        if has_boxes {
            boxes.extend(inside.waiting.iter().map(|(id, waiting)| (id.clone(), Arc::clone(waiting))));
            inside.boxes_written = Some(now);
        }
        if let Part::One(id) = part {
            boxes.extend(inside.waiting.get(id).map(|waiting| (id.clone(), Arc::clone(waiting))));
        }
        let mut hours = Vec::new();
        if has_hours {
            hours.extend(std::mem::take(&mut inside.hours));
            inside.hours_written = Some(now);
        }
        drop(inside);
        let has_any = !boxes.is_empty() || !hours.is_empty();
        has_any.then(|| Self { signs: Arc::clone(signs), boxes, hours, is_refused: false, tell })
    }
}

impl Operation for Flush {
    fn run(&mut self, db: &Connection) -> Result<()> {
        let written = alone(db, |db| {
            write(db, &self.boxes)?;
            count_signs(db, &self.hours)
        });
        let written = written?;
        self.is_refused = written.is_err();
        if let Err(error) = written {
            tracing::error!(%error, "signs of life can't be kept");
        }
        Ok(())
    }

    fn tell(self: Box<Self>, committed: std::result::Result<(), StoreError>) {
        let mut inside = self.signs.lock();
        let is_kept = committed.is_ok() && !self.is_refused;
        for (id, written) in &self.boxes {
            let is_all = inside.waiting.get(id).is_some_and(|waiting| waiting.number == written.number);
            if is_kept && is_all {
                inside.waiting.remove(id);
            }
        }
        if !is_kept && inside.hours.len() < HOURS_MAX {
            for (key, counted) in self.hours {
                inside.hours.entry(key).or_default().join(counted);
            }
        }
        drop(inside);
        if let Some(tell) = self.tell {
            // Whoever waited may have gone.
            let _ = tell.send(());
        }
    }

    fn is_urgent(&self) -> bool {
        false
    }
}

/// The columns that are told of each box; `lost` is the time up to which it may have spoken later to another central.
const TOLD: &str =
    "boxes (id, last_seen, clock, holds, software, epoch, backlog, faults, languages, lost, introduced)";
/// What a later sign has said stays, but for what only a hello says: of that, the latest hello's words stay.
const ONE: &str = "UPDATE boxes SET
         last_seen = CASE WHEN last_seen > ?2 AND last_seen <= ?10 THEN last_seen ELSE ?2 END,
         lost = CASE WHEN lost > ?2 AND lost <= ?10 OR last_seen > ?2 AND last_seen <= ?10 THEN lost ELSE 0 END,
         clock = CASE WHEN last_seen > ?2 AND last_seen <= ?10 THEN clock ELSE ?3 END,
         holds = CASE WHEN last_seen > ?2 AND last_seen <= ?10 THEN holds ELSE coalesce(?4, holds) END,
         backlog = CASE WHEN last_seen > ?2 AND last_seen <= ?10 THEN backlog ELSE coalesce(?7, backlog) END,
         faults = CASE WHEN last_seen > ?2 AND last_seen <= ?10 THEN faults ELSE coalesce(?8, faults) END,
         software = CASE WHEN introduced > ?11 AND introduced <= ?11 + (?10 - ?2) THEN software ELSE coalesce(?5, software) END,
         epoch = CASE WHEN introduced > ?11 AND introduced <= ?11 + (?10 - ?2) THEN epoch ELSE coalesce(?6, epoch) END,
         languages = CASE WHEN introduced > ?11 AND introduced <= ?11 + (?10 - ?2) THEN languages ELSE coalesce(?9, languages) END,
         introduced = CASE WHEN introduced > ?11 AND introduced <= ?11 + (?10 - ?2) THEN introduced ELSE coalesce(?11, introduced) END
         WHERE id = ?1 AND (last_seen IS NULL OR last_seen <= ?2 OR last_seen > ?10 OR CAST(?11 AS BIGINT) IS NOT NULL)";
const ALL: &str = "UPDATE boxes SET
         last_seen = CASE WHEN boxes.last_seen > told.last_seen AND boxes.last_seen <= told.lost THEN boxes.last_seen ELSE told.last_seen END,
         lost = CASE WHEN boxes.lost > told.last_seen AND boxes.lost <= told.lost
             OR boxes.last_seen > told.last_seen AND boxes.last_seen <= told.lost THEN boxes.lost ELSE 0 END,
         clock = CASE WHEN boxes.last_seen > told.last_seen AND boxes.last_seen <= told.lost THEN boxes.clock ELSE told.clock END,
         holds = CASE WHEN boxes.last_seen > told.last_seen AND boxes.last_seen <= told.lost
             THEN boxes.holds ELSE coalesce(told.holds, boxes.holds) END,
         backlog = CASE WHEN boxes.last_seen > told.last_seen AND boxes.last_seen <= told.lost
             THEN boxes.backlog ELSE coalesce(told.backlog, boxes.backlog) END,
         faults = CASE WHEN boxes.last_seen > told.last_seen AND boxes.last_seen <= told.lost
             THEN boxes.faults ELSE coalesce(told.faults, boxes.faults) END,
         software = CASE WHEN boxes.introduced > told.introduced AND boxes.introduced <= told.introduced + (told.lost - told.last_seen)
             THEN boxes.software ELSE coalesce(told.software, boxes.software) END,
         epoch = CASE WHEN boxes.introduced > told.introduced AND boxes.introduced <= told.introduced + (told.lost - told.last_seen)
             THEN boxes.epoch ELSE coalesce(told.epoch, boxes.epoch) END,
         languages = CASE WHEN boxes.introduced > told.introduced AND boxes.introduced <= told.introduced + (told.lost - told.last_seen)
             THEN boxes.languages ELSE coalesce(told.languages, boxes.languages) END,
         introduced = CASE WHEN boxes.introduced > told.introduced AND boxes.introduced <= told.introduced + (told.lost - told.last_seen)
             THEN boxes.introduced ELSE coalesce(told.introduced, boxes.introduced) END
         FROM {told} AS told WHERE boxes.id = told.id
         AND (boxes.last_seen IS NULL OR boxes.last_seen <= told.last_seen OR boxes.last_seen > told.lost OR told.introduced IS NOT NULL)";

fn write(db: &Connection, boxes: &[(BoxId, Arc<Waiting>)]) -> Result<()> {
    let rows = boxes.iter().map(|(id, waiting)| -> [Value; 11] {
        let hello = waiting.hello.as_ref();
        [
            id.to_string().into(),
            waiting.at.0.into(),
            word(&waiting.clock).into(),
            waiting.holds.as_ref().map(json).into(),
            hello.map(|hello| hello.software.clone()).into(),
            hello.map(|hello| hello.epoch.to_string()).into(),
            waiting.backlog.map(bounded).into(),
            waiting.faults.as_ref().map(json).into(),
            hello.map(|hello| json(&hello.languages)).into(),
            // Another central may have written a later sign.
            waiting.at.plus(DISORDER_MAX).0.into(),
            hello.map(|hello| hello.at.0).into(),
        ]
    });
    db.change_rows(TOLD, &rows.collect::<Vec<_>>(), (ONE, ALL))
}
