//! Days as they were planned and as they turned out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::SqlStore;
use super::columns::{bounded, count, day, from_json, from_word, json, name, optional_name, wall, word};
use super::commands::{COMMAND_COLUMNS, command_row};
use super::engine::{Connection, OptionalExtension, Result, Row, Value, params};
use super::plays::play_row;
use super::{airings, calls, columns};
use crate::store::{
    AiringFilter, AiringRow, Anchor, Announced, Answer, DayBox, DayFacts, DayPlan, DaySums, DueSession,
    FateCounts, NewLetter, NoticeContent, Settled, SlotEnd, SumFilter, SumKey, SumRow, Sums, Supplement,
    ToSettle, VillageRow,
};
use chrono::{NaiveDate, NaiveTime};
use loaxa_heart::domain::ids::{BoxId, CommandId, ContentHash};
use loaxa_heart::domain::playback::{Entry, Event, PlayEnd, PlayStart, Subject};
use loaxa_heart::domain::time::{Span, Wall};

/// Commands that are looked through for a day.
const COMMANDS_MAX: u32 = 5_000;
/// Plays and items that did not sound, of a box and a day.
const OF_A_DAY_MAX: u32 = 5_000;
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

    fn keep_day(&self, plan: DayPlan) -> Answer<'_, ()> {
        self.write(move |db| keep_day(db, &plan))
    }

    fn mark_to_settle(&self, day: NaiveDate, boxes: Vec<BoxId>) -> Answer<'_, ()> {
        let boxes = boxes.into_iter().collect();
        self.write(move |db| mark(db, day, &boxes))
    }

    fn mark_history(&self) -> Answer<'_, ()> {
        self.write(|db| {
            db.execute(
                "INSERT INTO days_to_settle (day, box, mark)
                 SELECT DISTINCT date(opened / 1000000 + 25200, 'unixepoch'), box, 1 FROM plays
                 WHERE implausible IS NULL AND NOT EXISTS (SELECT 1 FROM days) ON CONFLICT DO NOTHING",
                [],
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

    fn day_facts(&self, day: NaiveDate, id: BoxId) -> Answer<'_, DayFacts> {
        self.read(move |db| day_facts(db, day, &id))
    }

    fn announced(&self, from: Wall, to: Wall) -> Answer<'_, Vec<Announced>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(&format!(
                "SELECT {COMMAND_COLUMNS} WHERE kind = 'announce' AND issued_at >= ?1 AND issued_at < ?2
                 AND mode IS DISTINCT FROM 'test' ORDER BY issued_at DESC LIMIT ?3"
            ))?;
            let rows = query.query_map(params![from.0, to.0, COMMANDS_MAX], command_row)?;
            columns::known(rows)?.into_iter().map(|row| with_notice(db, row)).collect()
        })
    }

    fn announcement(&self, id: CommandId) -> Answer<'_, Option<Announced>> {
        self.read(move |db| {
            let row = db
                .prepare_cached(&format!("SELECT {COMMAND_COLUMNS} WHERE id = ?1"))?
                .query_row([id.as_str()], command_row)
                .optional()?;
            row.map(|row| with_notice(db, row)).transpose()
        })
    }

    fn settle(&self, of: ToSettle, place: DayBox, settled: Settled, on: NaiveDate) -> Answer<'_, ()> {
        self.write(move |db| settle(db, &of, &place, &settled, on))
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
            let title = db.at_greatest("village_title", "day");
            let mut query = db.prepare_cached(&format!(
                "SELECT village, {title} AS village_title, max(day), count(DISTINCT box) AS boxes,
                        max(CASE WHEN households IS NOT NULL THEN day || households END) AS told
                 FROM day_boxes WHERE day >= ?1 AND day <= ?2 GROUP BY village ORDER BY village"
            ))?;
            let rows = query.query_map([from.to_string(), until.to_string()], |row| {
                Ok(VillageRow {
                    village: row.get("village")?,
                    title: row.get("village_title")?,
                    households: told_last(row.get("told")?),
                    boxes: count(row, "boxes")?,
                })
            })?;
            rows.collect()
        })
    }

    fn supplements(&self, from: NaiveDate, until: NaiveDate) -> Answer<'_, Vec<Supplement>> {
        self.read(move |db| {
            let title = db.at_greatest("title", "day");
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
        self.write(move |db| keep_anchor(db, day, made))
    }

    fn anchors(&self, limit: u32) -> Answer<'_, Vec<Anchor>> {
        self.read(move |db| {
            let mut query = db.prepare_cached("SELECT * FROM anchors ORDER BY day DESC LIMIT ?1")?;
            query.query_map([limit], anchor)?.collect()
        })
    }
}

/// The number behind a day, which has ten characters.
fn told_last(text: Option<String>) -> Option<u32> {
    text?.get(10..)?.parse().ok()
}

/// Has a day of boxes reckoned anew; one whose log was deleted stays as it was reckoned last. Vietnam has kept one offset since
/// 1975.
fn mark(db: &Connection, day: NaiveDate, boxes: &BTreeSet<BoxId>) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO days_to_settle (day, box, mark) SELECT ?1, value, 1 FROM json_each(?2)
         WHERE ?1 >= coalesce((SELECT date(before / 1000000 + 25200, 'unixepoch') FROM pruned WHERE kept = 'log'), '')
         ON CONFLICT (day, box) DO UPDATE SET mark = days_to_settle.mark + 1",
    )?
    .execute(params![day.to_string(), json(boxes)])?;
    Ok(())
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
        // An announcement is due at its hour, or when it is issued.
        let found = query.query_map([json(&commands)], |row| {
            let hour = row.get::<_, Option<String>>("due")?.and_then(|hour| hour.parse::<Wall>().ok());
            Ok((name(row, "id")?, hour.unwrap_or(wall(row, "issued_at")?).date()))
        })?;
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

fn day_facts(db: &Connection, day: NaiveDate, id: &BoxId) -> Result<DayFacts> {
    let begin = Wall::from_local(day.and_time(NaiveTime::MIN));
    let end = begin.plus(Span::secs(36 * 3_600));
    let mut query = db.prepare_cached(
        "SELECT plays.*, box AS box_title FROM plays WHERE box = ?1 AND opened >= ?2 AND opened < ?3
         AND implausible IS NULL ORDER BY opened, cursor LIMIT ?4",
    )?;
    let plays = query.query_map(params![id.as_str(), begin.0, end.0, OF_A_DAY_MAX], play_row)?;
    let plays = plays.collect::<Result<Vec<_>>>()?;
    // The last word on a slot counts.
    let mut ends = BTreeMap::new();
    let mut query = db.prepare_cached(
        "SELECT body FROM log WHERE event = 'slot_ended' AND box = ?1 AND body ->> '$.key.date' = ?2
         AND implausible IS NULL ORDER BY cursor LIMIT ?3",
    )?;
    let told = query.query_map(params![id.as_str(), day.to_string(), OF_A_DAY_MAX], |row| {
        from_json::<Entry>(row, "body")
    })?;
    for entry in told {
        if let Event::SlotEnded { key, title, scheduled, outcome } = entry?.event {
            ends.insert(key.slot, SlotEnd { title, scheduled, outcome });
        }
    }
    let mut query = db.prepare_cached(
        "SELECT body FROM log WHERE event = 'not_played' AND box = ?1 AND wall >= ?2 AND wall < ?3
         AND implausible IS NULL ORDER BY wall LIMIT ?4",
    )?;
    let rows = query.query_map(params![id.as_str(), begin.0, end.0, OF_A_DAY_MAX], |row| {
        from_json::<Entry>(row, "body")
    })?;
    let mut not_played = Vec::new();
    for entry in rows {
        if let Event::NotPlayed { subject, reason, .. } = entry?.event {
            not_played.push((subject, reason));
        }
    }
    Ok(DayFacts { day, plays, ends, not_played, known: known(db, id)? })
}

/// Finds the stretches of time of which a box has told everything: a log each, and the present one up to the last sign of
/// life where nothing waits on the box.
fn known(db: &Connection, id: &BoxId) -> Result<Vec<(Wall, Wall)>> {
    let present: Option<(Option<String>, Option<i64>, i64)> = db
        .prepare_cached("SELECT epoch, last_seen, backlog FROM boxes WHERE id = ?1")?
        .query_row([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let mut query = db.prepare_cached("SELECT epoch FROM heads WHERE box = ?1")?;
    let epochs =
        query.query_map([id.as_str()], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>>>()?;
    let mut found = Vec::new();
    for epoch in epochs {
        let at = |order: &str| {
            db.prepare_cached(&format!(
                "SELECT min(wall, arrived) FROM log WHERE box = ?1 AND epoch = ?2 AND implausible IS NULL
                 ORDER BY seq {order} LIMIT 1"
            ))?
            .query_row([id.as_str(), &epoch], |row| row.get::<_, i64>(0))
            .optional()
        };
        let (Some(first), Some(mut last)) = (at("ASC")?, at("DESC")?) else { continue };
        let since: Option<i64> = db
            .prepare_cached("SELECT since FROM pruned_logs WHERE box = ?1 AND epoch = ?2")?
            .query_row([id.as_str(), &epoch], |row| row.get(0))
            .optional()?;
        let first = since.unwrap_or(first);
        if let Some((Some(now), Some(seen), 0)) = &present
            && *now == epoch
        {
            last = last.max(*seen);
        }
        found.push((Wall(first), Wall(last)));
    }
    Ok(found)
}

fn with_notice(db: &Connection, row: crate::store::CommandRow) -> Result<Announced> {
    let notice = db
        .prepare_cached("SELECT id, author, decided_by, content FROM notices WHERE command = ?1 LIMIT 1")?
        .query_row([row.id.as_str()], |row| {
            let content: NoticeContent = from_json(row, "content")?;
            Ok((name(row, "id")?, name(row, "author")?, optional_name(row, "decided_by")?, content))
        })
        .optional()?;
    Ok(match notice {
        Some((notice, author, approver, content)) => Announced {
            row,
            section: content.section,
            campaign: content.campaign,
            responsible: Some(content.responsible).filter(|name| !name.trim().is_empty()),
            author: Some(author),
            approver,
            notice: Some(notice),
        },
        None => {
            let (section, campaign, responsible, author, approver, notice) =
                (None, None, None, None, None, None);
            Announced { row, section, campaign, responsible, author, approver, notice }
        }
    })
}

fn settle(db: &Connection, of: &ToSettle, place: &DayBox, settled: &Settled, on: NaiveDate) -> Result<()> {
    let (day, id) = (of.day.to_string(), of.id.as_str());
    let is_there: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM day_boxes WHERE day = ?1 AND box = ?2)")?
        .query_row([&day, id], |row| row.get(0))?;
    if !is_there {
        keep_boxes(db, of.day, std::slice::from_ref(place))?;
    }
    let before: Option<i64> = db
        .prepare_cached("SELECT CAST(sum(unknown_ms) AS BIGINT) FROM day_sums WHERE day = ?1 AND box = ?2")?
        .query_row([&day, id], |row| row.get(0))?;
    airings::keep(db, of, place, &settled.airings)?;
    db.prepare_cached("DELETE FROM day_sums WHERE day = ?1 AND box = ?2")?.execute([&day, id])?;
    let mut insert = db.prepare_cached(
        "INSERT INTO day_sums VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?;
    for (key, sums) in &settled.sums {
        insert.execute(params![
            day,
            id,
            place.village,
            place.village_title,
            key.section,
            key.section_title,
            key.campaign,
            key.campaign_title,
            word(&key.class),
            key.responsible,
            key.reason,
            bounded(sums.planned_ms),
            bounded(sums.aired_ms),
            bounded(sums.missed_ms),
            bounded(sums.unknown_ms),
            bounded(sums.extra_ms),
        ])?;
    }
    let unknown: u64 = settled.sums.values().map(|sums| sums.unknown_ms).sum();
    if of.day < on && before.is_some_and(|before| (unknown as i64) < before) {
        db.prepare_cached("UPDATE day_boxes SET supplemented = ?3 WHERE day = ?1 AND box = ?2")?
            .execute(params![day, id, on.to_string()])?;
    }
    db.prepare_cached("DELETE FROM days_to_settle WHERE day = ?1 AND box = ?2 AND mark = ?3")?
        .execute(params![day, id, of.mark])?;
    Ok(())
}

fn sums(db: &Connection, filter: &SumFilter) -> Result<Vec<SumRow>> {
    let of_campaign = if filter.campaign.is_some() { "AND campaign = ?3" } else { "AND ?3 = ''" };
    let titles = ["village_title", "section_title", "campaign_title"]
        .map(|title| format!("{} AS {title}", db.at_greatest(title, "day")))
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

fn keep_anchor(db: &Connection, of: NaiveDate, made: Wall) -> Result<Anchor> {
    let read = |db: &Connection| {
        db.prepare_cached("SELECT * FROM anchors WHERE day = ?1")?
            .query_row([of.to_string()], anchor)
            .optional()
    };
    if let Some(kept) = read(db)? {
        return Ok(kept);
    }
    let mut query =
        db.prepare_cached("SELECT box, epoch, upto, lower(hex(hash)) FROM heads ORDER BY box, epoch")?;
    let lines = query.query_map([], |row| {
        let (id, epoch, upto, hash): (String, String, i64, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(format!("{id} {epoch} {upto} {hash}\n"))
    })?;
    let heads = lines.collect::<Result<String>>()?;
    let hash = ContentHash::of(heads.as_bytes());
    db.prepare_cached("INSERT INTO anchors (day, made, hash, heads) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![of.to_string(), made.0, hash.0, heads])?;
    Ok(Anchor { day: of, made, hash, heads })
}

fn anchor(row: &Row) -> Result<Anchor> {
    Ok(Anchor {
        day: day(row, "day")?,
        made: wall(row, "made")?,
        hash: ContentHash(row.get("hash")?),
        heads: row.get("heads")?,
    })
}
