//! Days as they were planned and as they turned out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::SqlStore;
use super::columns::{bounded, count, day, from_json, from_word, json, name, wall, word};
use super::engine::{Connection, OptionalExtension, Result, Value, params};
use super::{airings, anchors, calls, day_facts};
use crate::store::{
    AiringFilter, AiringRow, Anchor, AnchorPage, Announced, Answer, DayBox, DayFacts, DayPlan, DaySums,
    DueSession, FateCounts, NewLetter, Reckoned, SumFilter, SumKey, SumRow, Sums, Supplement, ToSettle,
    VillageRow,
};
use chrono::NaiveDate;
use loaxa_heart::domain::ids::{BoxId, CommandId, ContentHash};
use loaxa_heart::domain::playback::{Entry, Event, PlayEnd, PlayStart, Subject};
use loaxa_heart::domain::time::Wall;

/// Days around now of which entries are reckoned; others are the dates of a clock that is wrong.
const DAYS_AROUND: i64 = 400;

impl DaySums for SqlStore {
    fn day_plan(&self, day: NaiveDate) -> Answer<'_, Option<DayPlan>> {
        self.read(move |db| day_plan(db, day))
    }

    fn days_kept(&self) -> Answer<'_, Option<(NaiveDate, NaiveDate)>> {
        self.read(|db| {
            let found: (Option<String>, Option<String>) = db
                .prepare_cached("SELECT min(day), max(day) FROM days")?
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let day = |text: Option<String>| text.and_then(|text| text.parse().ok());
            Ok(day(found.0).zip(day(found.1)))
        })
    }

    fn last_day_kept(&self, until: NaiveDate) -> Answer<'_, Option<NaiveDate>> {
        self.read(move |db| {
            let found: Option<String> = db
                .prepare_cached("SELECT max(day) FROM days WHERE day <= ?1")?
                .query_row([until.to_string()], |row| row.get(0))?;
            Ok(found.and_then(|text| text.parse().ok()))
        })
    }

    fn keep_day(&self, plan: DayPlan) -> Answer<'_, ()> {
        self.write(move |db| keep_day(db, &plan))
    }

    fn mark_to_settle(&self, day: NaiveDate, boxes: Vec<BoxId>) -> Answer<'_, ()> {
        let boxes = boxes.into_iter().collect();
        self.write(move |db| mark(db, day, &boxes))
    }

    fn mark_announced(&self, day: NaiveDate, commands: BTreeSet<CommandId>) -> Answer<'_, ()> {
        self.write(move |db| mark_announced(db, day, &commands))
    }

    fn mark_history(&self) -> Answer<'_, ()> {
        self.write(|db| {
            db.execute(
                "INSERT INTO days_to_settle (day, box, mark)
                 SELECT DISTINCT date(opened / 1000000 + 25200, 'unixepoch'), box, CAST(?1 AS BIGINT) FROM plays
                 WHERE implausible IS NULL AND NOT EXISTS (SELECT 1 FROM days) ON CONFLICT DO NOTHING",
                [new_mark()],
            )?;
            Ok(())
        })
    }

    fn to_settle(&self, limit: u32) -> Answer<'_, Vec<ToSettle>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT day, box, mark FROM days_to_settle ORDER BY day DESC, box LIMIT ?1",
            )?;
            let rows = query.query_map([limit], |row| {
                Ok(ToSettle { day: day(row, "day")?, id: name(row, "box")?, mark: row.get("mark")? })
            })?;
            rows.collect()
        })
    }

    fn day_facts(
        &self,
        day: NaiveDate,
        boxes: Vec<BoxId>,
        due: Vec<CommandId>,
    ) -> Answer<'_, BTreeMap<BoxId, DayFacts>> {
        self.read(move |db| day_facts::day_facts(db, day, &boxes, &due))
    }

    fn due_on(&self, day: NaiveDate) -> Answer<'_, Vec<Announced>> {
        self.read(move |db| day_facts::due_on(db, day))
    }

    fn announced_within(&self, from: Wall, to: Wall) -> Answer<'_, BTreeMap<NaiveDate, BTreeSet<CommandId>>> {
        self.read(move |db| day_facts::announced_within(db, from, to))
    }

    fn announcement(&self, id: CommandId) -> Answer<'_, Option<Announced>> {
        self.read(move |db| Ok(day_facts::announcements(db, &[id.to_string()])?.pop()))
    }

    fn settle(&self, reckoned: Vec<Reckoned>, on: NaiveDate) -> Answer<'_, ()> {
        self.write(move |db| {
            let mut by_day: BTreeMap<NaiveDate, Vec<&Reckoned>> = BTreeMap::new();
            for one in &reckoned {
                by_day.entry(one.of.day).or_default().push(one);
            }
            by_day.into_iter().try_for_each(|(day, boxes)| settle(db, day, &boxes, on))
        })
    }

    fn airings(&self, filter: AiringFilter) -> Answer<'_, Vec<AiringRow>> {
        self.read(move |db| airings::list(db, &filter))
    }

    fn count_airings(&self, filter: AiringFilter) -> Answer<'_, FateCounts> {
        self.read(move |db| airings::counts(db, &filter))
    }

    fn airing(&self, id: i64) -> Answer<'_, Option<AiringRow>> {
        self.read(move |db| airings::one(db, id))
    }

    fn sums(&self, filter: SumFilter) -> Answer<'_, Vec<SumRow>> {
        self.read(move |db| sums(db, &filter))
    }

    fn villages_of(&self, from: NaiveDate, until: NaiveDate) -> Answer<'_, Vec<VillageRow>> {
        self.read(move |db| {
            // The last word of each, whichever day it is of: a column beside two of these would be of any day.
            let mut query = db.prepare_cached(
                "SELECT village, max(day || village_title) AS titled, count(DISTINCT box) AS boxes,
                        max(CASE WHEN households IS NOT NULL THEN day || households END) AS told
                 FROM day_boxes WHERE day >= ?1 AND day <= ?2 GROUP BY village ORDER BY village",
            )?;
            let rows = query.query_map([from.to_string(), until.to_string()], |row| {
                Ok(VillageRow {
                    village: row.get("village")?,
                    title: behind_day(row.get("titled")?).unwrap_or_default(),
                    households: behind_day(row.get("told")?).and_then(|text| text.parse().ok()),
                    boxes: count(row, "boxes")?,
                })
            })?;
            rows.collect()
        })
    }

    fn supplements(&self, from: NaiveDate, until: NaiveDate) -> Answer<'_, Vec<Supplement>> {
        self.read(move |db| {
            let title = db.on_last_day("title");
            let mut query = db.prepare_cached(&format!(
                "SELECT supplemented, max(day), {title} AS box_title, count(*) AS days FROM day_boxes
                 WHERE day >= ?1 AND day <= ?2 AND supplemented IS NOT NULL
                 GROUP BY supplemented, box ORDER BY supplemented, box"
            ))?;
            let rows = query.query_map([from.to_string(), until.to_string()], |row| {
                Ok(Supplement {
                    on: day(row, "supplemented")?,
                    box_title: row.get("box_title")?,
                    days: count(row, "days")?,
                })
            })?;
            rows.collect()
        })
    }

    fn note_report(
        &self,
        month: String,
        made: Wall,
        sums: Sums,
        letter: Option<NewLetter>,
    ) -> Answer<'_, bool> {
        self.write(move |db| {
            let added = db
                .prepare_cached(
                    "INSERT INTO made_reports (month, made, sums) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                )?
                .execute(params![month, made.0, json(&sums)])?;
            if let (Some(letter), true) = (&letter, added > 0) {
                calls::add_letter(db, &format!("bao-cao-{month}"), "above", letter, made)?;
            }
            Ok(added > 0)
        })
    }

    fn made_reports(&self) -> Answer<'_, Vec<(String, Wall)>> {
        self.read(|db| {
            let mut query =
                db.prepare_cached("SELECT month, made FROM made_reports ORDER BY month DESC LIMIT 120")?;
            query.query_map([], |row| Ok((row.get("month")?, wall(row, "made")?)))?.collect()
        })
    }

    fn keep_anchor(&self, day: NaiveDate, made: Wall) -> Answer<'_, Anchor> {
        self.write(move |db| anchors::keep(db, day, made))
    }

    fn anchors(&self, before: Option<NaiveDate>, with_heads: bool, limit: u32) -> Answer<'_, AnchorPage> {
        self.read(move |db| anchors::page(db, before, with_heads, limit))
    }
}

/// The text behind a day, which has ten characters.
fn behind_day(text: Option<String>) -> Option<String> {
    Some(text?.get(10..)?.to_owned())
}

/// Makes a mark that no reason had before: one that was deleted never comes again, so whoever read under it is told apart from
/// whoever reads later.
fn new_mark() -> i64 {
    let mut random = [0; 8];
    getrandom::fill(&mut random).expect("the system gives randomness");
    i64::from_le_bytes(random) & i64::MAX
}

/// Has a day of boxes reckoned anew; one whose log was deleted stays as it was reckoned last. Vietnam has kept one offset since
/// 1975.
fn mark(db: &Connection, day: NaiveDate, boxes: &BTreeSet<BoxId>) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO days_to_settle (day, box, mark) SELECT ?1, value, CAST(?3 AS BIGINT) FROM json_each(?2)
         WHERE ?1 >= coalesce((SELECT date(before / 1000000 + 25200, 'unixepoch') FROM pruned WHERE kept = 'log'), '')
         ON CONFLICT (day, box) DO UPDATE SET mark = excluded.mark",
    )?
    .execute(params![day.to_string(), json(boxes), new_mark()])?;
    Ok(())
}

fn mark_announced(db: &Connection, day: NaiveDate, commands: &BTreeSet<CommandId>) -> Result<()> {
    let mut query = db.prepare_cached(
        "SELECT DISTINCT box FROM deliveries WHERE command IN (SELECT value FROM json_each(?1))",
    )?;
    let boxes = query.query_map([json(commands)], |row| name(row, "box"))?.collect::<Result<_>>()?;
    mark(db, day, &boxes)
}

/// The days that entries tell of, which are to be reckoned anew, with the boxes.
#[derive(Default)]
pub struct Told {
    days: BTreeMap<NaiveDate, BTreeSet<BoxId>>,
    /// The days on which commands are due, of those that central knows.
    due: BTreeMap<CommandId, NaiveDate>,
}

impl Told {
    /// Looks up the commands that entries name, all at once: whoever has a box's key may name any number that nobody gave.
    pub fn look_up(&mut self, db: &Connection, commands: BTreeSet<&CommandId>) -> Result<()> {
        if commands.is_empty() {
            return Ok(());
        }
        let mut query = db.prepare_cached(
            "SELECT id, payload ->> '$.body.plan.at' AS due, issued_at FROM commands
             WHERE id IN (SELECT value FROM json_each(?1))",
        )?;
        let found = query
            .query_map([json(&commands)], |row| Ok((name(row, "id")?, day_facts::due_at(row)?.date())))?;
        self.due = found.collect::<Result<_>>()?;
        Ok(())
    }

    /// Tells whether a command that was looked up is one of ours.
    pub fn knows(&self, command: &CommandId) -> bool {
        self.due.contains_key(command)
    }

    /// Notes the days of an entry; a date far from its arrival is no day of ours.
    pub fn note_entry(&mut self, id: &BoxId, entry: &Entry, arrived: Wall) {
        let own = entry.at.wall.date();
        let mut days: BTreeSet<NaiveDate> = BTreeSet::new();
        match &entry.event {
            Event::PlayStarted(PlayStart { subject, .. })
            | Event::PlayEnded(PlayEnd { subject, .. })
            | Event::NotPlayed { subject, .. } => days.extend(match subject {
                Subject::Slot(key) => Some(key.date),
                Subject::Announcement { command } => self.due.get(command).copied(),
                Subject::Live { .. } => Some(own),
            }),
            Event::SlotEnded { key, .. } => days.extend([key.date]),
            Event::Delivery { command, .. } | Event::CommandRefused { command: Some(command), .. } => {
                days.extend(self.due.get(command));
            }
            Event::ClockSet { step_us, .. } => {
                days.extend([own, Wall(entry.at.wall.0.saturating_add(*step_us)).date()]);
            }
            Event::BoxStarted { .. } => days.extend([own]),
            _ => {}
        }
        let is_near = |day: &NaiveDate| (*day - arrived.date()).num_days().abs() <= DAYS_AROUND;
        for day in days.into_iter().filter(is_near) {
            let boxes = self.days.entry(day).or_default();
            if !boxes.contains(id) {
                boxes.insert(id.clone());
            }
        }
    }

    /// Has the days reckoned anew.
    pub fn mark(self, db: &Connection) -> Result<()> {
        self.days.into_iter().try_for_each(|(day, boxes)| mark(db, day, &boxes))
    }
}

fn day_plan(db: &Connection, of: NaiveDate) -> Result<Option<DayPlan>> {
    let head = db
        .prepare_cached("SELECT made, names FROM days WHERE day = ?1")?
        .query_row([of.to_string()], |row| Ok((wall(row, "made")?, from_json(row, "names")?)))
        .optional()?;
    let Some((made, names)) = head else { return Ok(None) };
    let mut plans: BTreeMap<Vec<u8>, Arc<Vec<DueSession>>> = BTreeMap::new();
    let mut query = db.prepare_cached("SELECT * FROM day_boxes WHERE day = ?1 ORDER BY box")?;
    let mut rows = query.query([of.to_string()])?;
    let mut boxes = Vec::new();
    while let Some(row) = rows.next()? {
        let plan: Vec<u8> = row.get("plan")?;
        let sessions = match plans.get(&plan) {
            Some(known) => Arc::clone(known),
            None => {
                let read = db
                    .prepare_cached("SELECT sessions FROM day_plans WHERE plan = ?1")?
                    .query_row([&plan], |row| from_json::<Vec<DueSession>>(row, "sessions"))
                    .optional()?;
                let read = Arc::new(read.unwrap_or_default());
                plans.insert(plan, Arc::clone(&read));
                read
            }
        };
        boxes.push(DayBox {
            id: name(&row, "box")?,
            title: row.get("title")?,
            village: row.get("village")?,
            village_title: row.get("village_title")?,
            households: row.get("households")?,
            sessions,
        });
    }
    Ok(Some(DayPlan { day: of, made, names, boxes }))
}

fn keep_day(db: &Connection, plan: &DayPlan) -> Result<()> {
    let day = plan.day.to_string();
    db.prepare_cached(
        "INSERT INTO days (day, made, names) VALUES (?1, ?2, ?3)
         ON CONFLICT (day) DO UPDATE SET made = ?2, names = ?3",
    )?
    .execute(params![day, plan.made.0, json(&plan.names)])?;
    keep_boxes(db, plan.day, &plan.boxes)?;
    mark(db, plan.day, &plan.boxes.iter().map(|place| place.id.clone()).collect())
}

/// Keeps boxes of a day, all of them at once, and each plan once.
fn keep_boxes(db: &Connection, day: NaiveDate, places: &[DayBox]) -> Result<()> {
    let (mut plans, mut rows) = (BTreeMap::new(), BTreeMap::new());
    for place in places {
        let sessions = json(&*place.sessions);
        let plan = ContentHash::of(sessions.as_bytes()).0.to_vec();
        let row: [Value; 7] = [
            day.to_string().into(),
            place.id.to_string().into(),
            place.title.clone().into(),
            place.village.clone().into(),
            place.village_title.clone().into(),
            place.households.into(),
            plan.clone().into(),
        ];
        rows.insert(&place.id, row);
        plans.insert(plan, sessions);
    }
    let plans: Vec<[Value; 2]> =
        plans.into_iter().map(|(plan, sessions)| [plan.into(), sessions.into()]).collect();
    db.insert_rows_or("day_plans (plan, sessions)", &plans, "ON CONFLICT DO NOTHING")?;
    db.insert_rows_or(
        "day_boxes (day, box, title, village, village_title, households, plan)",
        &rows.into_values().collect::<Vec<_>>(),
        "ON CONFLICT (day, box) DO UPDATE SET title = excluded.title, village = excluded.village,
             village_title = excluded.village_title, households = excluded.households, plan = excluded.plan",
    )
}

/// Keeps what a day of boxes turned out to be. Whoever comes with a mark that is there no more read something older than what is
/// kept, or is to be: nothing of it is written.
fn settle(db: &Connection, of: NaiveDate, reckoned: &[&Reckoned], on: NaiveDate) -> Result<()> {
    let reckoned = take_marks(db, of, reckoned)?;
    if reckoned.is_empty() {
        return Ok(());
    }
    let day = of.to_string();
    let boxes = json(&reckoned.iter().map(|one| &one.of.id).collect::<Vec<_>>());
    let there = ids(
        db,
        "SELECT box FROM day_boxes WHERE day = ?1 AND box IN (SELECT value FROM json_each(?2))",
        [&day, &boxes],
    )?;
    let new = reckoned.iter().filter(|one| !there.contains(&one.of.id)).map(|one| one.place.clone());
    keep_boxes(db, of, &new.collect::<Vec<_>>())?;
    let mut query = db.prepare_cached(
        "SELECT box, CAST(sum(unknown_ms) AS BIGINT) AS unknown FROM day_sums
         WHERE day = ?1 AND box IN (SELECT value FROM json_each(?2)) GROUP BY box",
    )?;
    let before = query.query_map([&day, &boxes], |row| Ok((name(row, "box")?, count(row, "unknown")?)))?;
    let before: BTreeMap<BoxId, u64> = before.collect::<Result<_>>()?;
    airings::keep(db, of, &reckoned)?;
    db.prepare_cached("DELETE FROM day_sums WHERE day = ?1 AND box IN (SELECT value FROM json_each(?2))")?
        .execute([&day, &boxes])?;
    let rows: Vec<_> = reckoned.iter().flat_map(|one| sum_rows(one)).collect();
    db.insert_rows(SUMS, &rows)?;
    let is_over = of < on;
    let says_more = |one: &&&Reckoned| {
        let unknown: u64 = one.settled.sums.values().map(|sums| sums.unknown_ms).sum();
        is_over && before.get(&one.of.id).is_some_and(|before| unknown < *before)
    };
    let late: Vec<_> = reckoned.iter().filter(says_more).map(|one| &one.of.id).collect();
    if !late.is_empty() {
        db.prepare_cached(
            "UPDATE day_boxes SET supplemented = ?3 WHERE day = ?1 AND box IN (SELECT value FROM json_each(?2))",
        )?
        .execute(params![day, json(&late), on.to_string()])?;
    }
    Ok(())
}

/// Takes the marks under which days of boxes were read off the list, and returns those that were still there.
fn take_marks<'r>(db: &Connection, of: NaiveDate, reckoned: &[&'r Reckoned]) -> Result<Vec<&'r Reckoned>> {
    let boxes = json(&reckoned.iter().map(|one| &one.of.id).collect::<Vec<_>>());
    let marked = |id: &BoxId, mark: i64| format!("{id} {mark}");
    let marks = json(&reckoned.iter().map(|one| marked(&one.of.id, one.of.mark)).collect::<Vec<_>>());
    let mut query = db.prepare_cached(
        "DELETE FROM days_to_settle WHERE day = ?1 AND box IN (SELECT value FROM json_each(?2))
         AND box || ' ' || mark IN (SELECT value FROM json_each(?3)) RETURNING box, mark",
    )?;
    let taken = query.query_map(params![of.to_string(), boxes, marks], |row| {
        Ok(marked(&name(row, "box")?, row.get("mark")?))
    })?;
    let mut taken = taken.collect::<Result<BTreeSet<String>>>()?;
    let is_taken = |one: &&Reckoned| taken.remove(&marked(&one.of.id, one.of.mark));
    Ok(reckoned.iter().copied().filter(is_taken).collect())
}

fn ids(db: &Connection, sql: &str, values: [&String; 2]) -> Result<BTreeSet<BoxId>> {
    db.prepare_cached(sql)?.query_map(values, |row| name(row, "box"))?.collect()
}

const SUMS: &str =
    "day_sums (day, box, village, village_title, section, section_title, campaign, campaign_title, class,
    responsible, reason, planned_ms, aired_ms, missed_ms, unknown_ms, extra_ms)";

fn sum_rows(Reckoned { of, place, settled }: &Reckoned) -> impl Iterator<Item = [Value; 16]> {
    settled.sums.iter().map(|(key, sums)| {
        [
            of.day.to_string().into(),
            of.id.to_string().into(),
            place.village.clone().into(),
            place.village_title.clone().into(),
            key.section.clone().into(),
            key.section_title.clone().into(),
            key.campaign.clone().into(),
            key.campaign_title.clone().into(),
            word(&key.class).into(),
            key.responsible.clone().into(),
            key.reason.clone().into(),
            bounded(sums.planned_ms).into(),
            bounded(sums.aired_ms).into(),
            bounded(sums.missed_ms).into(),
            bounded(sums.unknown_ms).into(),
            bounded(sums.extra_ms).into(),
        ]
    })
}

fn sums(db: &Connection, filter: &SumFilter) -> Result<Vec<SumRow>> {
    let of_campaign = if filter.campaign.is_some() { "AND campaign = ?3" } else { "AND ?3 = ''" };
    let titles = ["village_title", "section_title", "campaign_title"]
        .map(|title| format!("{} AS {title}", db.on_last_day(title)))
        .join(", ");
    let mut query = db.prepare_cached(&format!(
        "SELECT substr(day, 1, 7) AS month, max(day), village, section, campaign, {titles}, class, responsible, reason,
                CAST(sum(planned_ms) AS BIGINT) AS planned, CAST(sum(aired_ms) AS BIGINT) AS aired,
                CAST(sum(missed_ms) AS BIGINT) AS missed, CAST(sum(unknown_ms) AS BIGINT) AS unknown,
                CAST(sum(extra_ms) AS BIGINT) AS extra
         FROM day_sums WHERE day >= ?1 AND day <= ?2 {of_campaign}
         GROUP BY month, village, section, campaign, class, responsible, reason
         ORDER BY month, village, section, campaign, class, responsible, reason"
    ))?;
    let campaign = filter.campaign.as_ref().map_or("", |id| id.as_str());
    let rows =
        query.query_map(params![filter.from.to_string(), filter.until.to_string(), campaign], |row| {
            Ok(SumRow {
                month: row.get("month")?,
                village: row.get("village")?,
                village_title: row.get("village_title")?,
                key: SumKey {
                    section: row.get("section")?,
                    section_title: row.get("section_title")?,
                    campaign: row.get("campaign")?,
                    campaign_title: row.get("campaign_title")?,
                    class: from_word(row, "class")?,
                    responsible: row.get("responsible")?,
                    reason: row.get("reason")?,
                },
                sums: Sums {
                    planned_ms: count(row, "planned")?,
                    aired_ms: count(row, "aired")?,
                    missed_ms: count(row, "missed")?,
                    unknown_ms: count(row, "unknown")?,
                    extra_ms: count(row, "extra")?,
                },
            })
        })?;
    rows.collect()
}
