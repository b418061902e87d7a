//! The facts from which days of boxes are reckoned: the announcements that were due, and what the boxes' logs say.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveDate, NaiveTime};

use super::columns::{self, from_json, json, name, optional_name, optional_wall, wall};
use super::commands::{COMMAND_COLUMNS, command_row};
use super::deliveries::delivery_row;
use super::engine::{Connection, Result, Row, params};
use super::plays::play_row;
use crate::store::{Announced, CommandRow, DayFacts, NoticeContent, SlotEnd};
use loaxa_heart::domain::ids::{BoxId, CommandId};
use loaxa_heart::domain::playback::{Entry, Event};
use loaxa_heart::domain::time::{Span, Wall};

/// Plays, ends of slots and items that did not sound, each of a box and a day.
const OF_A_DAY_MAX: u32 = 5_000;
/// Time after a day's begin in which its slots and live voices sound: those of the evening may go on until noon.
const SOUNDS_WITHIN: Span = Span::secs(36 * 3_600);
/// Longest time for which an announcement is in force.
const IN_FORCE_MAX: Span = Span::secs(31 * 86_400);

/// Reads the time at which an announcement is due: its hour, or that of its issue.
pub fn due_at(row: &Row) -> Result<Wall> {
    let hour = row.get::<_, Option<String>>("due")?.and_then(|hour| hour.parse::<Wall>().ok());
    Ok(hour.unwrap_or(wall(row, "issued_at")?))
}

/// Lists the announcements that were due on a day.
pub fn due_on(db: &Connection, of: NaiveDate) -> Result<Vec<Announced>> {
    let begin = Wall::from_local(of.and_time(NaiveTime::MIN));
    let mut query = db.prepare_cached(
        "SELECT id, issued_at, payload ->> '$.body.plan.at' AS due FROM commands
         WHERE kind = 'announce' AND issued_at >= ?1 AND issued_at < ?2 AND mode IS DISTINCT FROM 'test'",
    )?;
    let issued = [begin.minus(IN_FORCE_MAX).0, begin.plus(Span::secs(86_400)).0];
    let found = query.query_map(issued, |row| Ok((row.get::<_, String>("id")?, due_at(row)?.date())))?;
    let found = found.collect::<Result<Vec<_>>>()?;
    let due: Vec<String> = found.into_iter().filter(|(_, day)| *day == of).map(|(id, _)| id).collect();
    announcements(db, &due)
}

/// Reads announcements with their notices, latest first.
pub fn announcements(db: &Connection, ids: &[String]) -> Result<Vec<Announced>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids = json(&ids);
    let mut query = db.prepare_cached(
        "SELECT command, id, author, decided_by, content FROM notices
         WHERE command IN (SELECT value FROM json_each(?1))",
    )?;
    let notices = query.query_map([&ids], |row| {
        let content: NoticeContent = from_json(row, "content")?;
        let named = (name(row, "id")?, name(row, "author")?, optional_name(row, "decided_by")?);
        Ok((name::<CommandId>(row, "command")?, (named, content)))
    })?;
    let mut notices = notices.collect::<Result<BTreeMap<_, _>>>()?;
    let mut query = db.prepare_cached(&format!(
        "SELECT {COMMAND_COLUMNS} WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY issued_at DESC, id DESC"
    ))?;
    let rows = query.query_map([&ids], command_row)?;
    let announced = |row: CommandRow| match notices.remove(&row.id) {
        Some(((notice, author, approver), content)) => Announced {
            row,
            section: content.section,
            campaign: content.campaign,
            responsible: Some(content.responsible).filter(|name| !name.trim().is_empty()),
            author: Some(author),
            approver,
            notice: Some(notice),
        },
        None => {
            let (section, campaign, responsible) = (None, None, None);
            Announced { row, section, campaign, responsible, author: None, approver: None, notice: None }
        }
    };
    Ok(columns::known(rows)?.into_iter().map(announced).collect())
}

/// Finds announcements that were issued, were due or expired in a time, by the day on which they were due.
pub fn announced_within(
    db: &Connection,
    from: Wall,
    to: Wall,
) -> Result<BTreeMap<NaiveDate, BTreeSet<CommandId>>> {
    // Whatever was issued or was due in that time expires later: those in force are few, however many there were.
    let mut query = db.prepare_cached(
        "SELECT id, issued_at, expires, payload ->> '$.body.plan.at' AS due FROM commands
         WHERE +kind = 'announce' AND expires > ?1 AND issued_at <= ?2 AND mode IS DISTINCT FROM 'test'",
    )?;
    let found = query.query_map([from.0, to.0], |row| {
        let due = due_at(row)?;
        let is_within = |at: Wall| from < at && at <= to;
        let any = is_within(wall(row, "issued_at")?) || is_within(due) || is_within(wall(row, "expires")?);
        Ok(if any { Some((due.date(), name(row, "id")?)) } else { None })
    })?;
    let mut by_day: BTreeMap<NaiveDate, BTreeSet<CommandId>> = BTreeMap::new();
    for row in found {
        let Some((day, command)) = row? else { continue };
        by_day.entry(day).or_default().insert(command);
    }
    Ok(by_day)
}

/// Reads what the logs of boxes say of a day, in a few statements for all of them.
pub fn day_facts(
    db: &Connection,
    day: NaiveDate,
    boxes: &[BoxId],
    due: &[CommandId],
) -> Result<BTreeMap<BoxId, DayFacts>> {
    let empty = || DayFacts {
        day,
        plays: Vec::new(),
        ends: BTreeMap::new(),
        not_played: Vec::new(),
        deliveries: BTreeMap::new(),
        known: Vec::new(),
    };
    let mut facts: Facts = boxes.iter().map(|id| (id.clone(), empty())).collect();
    let boxes = json(&boxes);
    plays(db, &boxes, &mut facts)?;
    if !due.is_empty() {
        of_announcements(db, &boxes, &json(&due), &mut facts)?;
    }
    slots(db, &boxes, &mut facts)?;
    known(db, &boxes, &mut facts)?;
    Ok(facts)
}

type Facts = BTreeMap<BoxId, DayFacts>;

/// The day that facts are of, as its begin and the time until which it sounds.
fn window(facts: &Facts) -> Option<(NaiveDate, Wall, Wall)> {
    let day = facts.values().next()?.day;
    let begin = Wall::from_local(day.and_time(NaiveTime::MIN));
    Some((day, begin, begin.plus(SOUNDS_WITHIN)))
}

fn plays(db: &Connection, boxes: &str, facts: &mut Facts) -> Result<()> {
    let Some((_, begin, end)) = window(facts) else { return Ok(()) };
    let mut query = db.prepare_cached(
        "SELECT * FROM (
             SELECT plays.*, box AS box_title, row_number() OVER (PARTITION BY box ORDER BY opened, cursor) AS place
             FROM plays WHERE box IN (SELECT value FROM json_each(?1)) AND opened >= ?2 AND opened < ?3
             AND subject <> 'announcement' AND implausible IS NULL) AS told
         WHERE place <= ?4 ORDER BY opened, cursor",
    )?;
    for play in query.query_map(params![boxes, begin.0, end.0, OF_A_DAY_MAX], play_row)? {
        let play = play?;
        if let Some(of) = facts.get_mut(&play.id) {
            of.plays.push(play);
        }
    }
    Ok(())
}

/// Reads the plays of announcements, whenever they sounded, and how far those have come.
fn of_announcements(db: &Connection, boxes: &str, due: &str, facts: &mut Facts) -> Result<()> {
    let mut query = db.prepare_cached(
        "SELECT * FROM (
             SELECT plays.*, box AS box_title, row_number() OVER (PARTITION BY box ORDER BY opened, cursor) AS place
             FROM plays WHERE subject_id IN (SELECT value FROM json_each(?2)) AND subject = 'announcement'
             AND +box IN (SELECT value FROM json_each(?1)) AND implausible IS NULL) AS told
         WHERE place <= ?3 ORDER BY opened, cursor",
    )?;
    for play in query.query_map(params![boxes, due, OF_A_DAY_MAX], play_row)? {
        let play = play?;
        if let Some(of) = facts.get_mut(&play.id) {
            of.plays.push(play);
        }
    }
    let mut query = db.prepare_cached(
        "SELECT deliveries.*, box AS box_title FROM deliveries
         WHERE command IN (SELECT value FROM json_each(?2)) AND box IN (SELECT value FROM json_each(?1))",
    )?;
    let rows = query.query_map([boxes, due], |row| Ok((name(row, "command")?, delivery_row(row)?)))?;
    for row in rows {
        let (command, delivery) = row?;
        if let Some(of) = facts.get_mut(&delivery.id) {
            of.deliveries.insert(command, delivery);
        }
    }
    Ok(())
}

fn slots(db: &Connection, boxes: &str, facts: &mut Facts) -> Result<()> {
    let Some((day, begin, end)) = window(facts) else { return Ok(()) };
    let entry = |row: &Row| Ok((name::<BoxId>(row, "box")?, from_json::<Entry>(row, "body")?.event));
    // The last word on a slot counts.
    let mut query = db.prepare_cached(
        "SELECT box, body FROM (
             SELECT box, body, cursor, row_number() OVER (PARTITION BY box ORDER BY cursor DESC) AS place FROM log
             WHERE event = 'slot_ended' AND box IN (SELECT value FROM json_each(?1)) AND body ->> '$.key.date' = ?2
             AND implausible IS NULL) AS told
         WHERE place <= ?3 ORDER BY cursor",
    )?;
    for row in query.query_map(params![boxes, day.to_string(), OF_A_DAY_MAX], entry)? {
        let (id, event) = row?;
        let Event::SlotEnded { key, title, scheduled, outcome } = event else { continue };
        if let Some(of) = facts.get_mut(&id) {
            of.ends.insert(key.slot, SlotEnd { title, scheduled, outcome });
        }
    }
    let mut query = db.prepare_cached(
        "SELECT box, body FROM (
             SELECT box, body, wall, row_number() OVER (PARTITION BY box ORDER BY wall) AS place FROM log
             WHERE event = 'not_played' AND box IN (SELECT value FROM json_each(?1)) AND wall >= ?2 AND wall < ?3
             AND implausible IS NULL) AS told
         WHERE place <= ?4 ORDER BY wall",
    )?;
    for row in query.query_map(params![boxes, begin.0, end.0, OF_A_DAY_MAX], entry)? {
        let (id, event) = row?;
        let Event::NotPlayed { subject, reason, .. } = event else { continue };
        if let Some(of) = facts.get_mut(&id) {
            of.not_played.push((subject, reason));
        }
    }
    Ok(())
}

/// Finds the stretches of time of which boxes have told everything: a log each, and the present one up to the last sign of
/// life where nothing waits on the box.
fn known(db: &Connection, boxes: &str, facts: &mut Facts) -> Result<()> {
    let mut query = db.prepare_cached(
        "SELECT heads.box, heads.epoch,
             CASE WHEN boxes.epoch = heads.epoch AND boxes.backlog = 0 THEN boxes.last_seen END AS seen,
             (SELECT since FROM pruned_logs WHERE box = heads.box AND epoch = heads.epoch) AS since,
             (SELECT min(wall, arrived) FROM log WHERE log.box = heads.box AND log.epoch = heads.epoch
                 AND log.implausible IS NULL ORDER BY seq ASC LIMIT 1) AS begun,
             (SELECT min(wall, arrived) FROM log WHERE log.box = heads.box AND log.epoch = heads.epoch
                 AND log.implausible IS NULL ORDER BY seq DESC LIMIT 1) AS told
         FROM heads LEFT JOIN boxes ON boxes.id = heads.box
         WHERE heads.box IN (SELECT value FROM json_each(?1)) ORDER BY heads.box, heads.epoch",
    )?;
    let rows = query.query_map([boxes], |row| {
        let (since, begun) = (optional_wall(row, "since")?, optional_wall(row, "begun")?);
        let (told, seen) = (optional_wall(row, "told")?, optional_wall(row, "seen")?);
        let of = (name::<BoxId>(row, "box")?, row.get::<_, String>("epoch")?);
        Ok((of, since, begun.zip(told), seen))
    })?;
    let holes = holes(db, boxes)?;
    for row in rows {
        let (log, since, words, seen) = row?;
        if let Some((begun, told)) = words
            && let Some(of) = facts.get_mut(&log.0)
        {
            let whole = (since.unwrap_or(begun), seen.map_or(told, |seen| seen.max(told)));
            of.known.extend(without(whole, holes.get(&log).map_or(&[], Vec::as_slice)));
        }
    }
    Ok(())
}

/// Stretches of time, by their first and their last instant.
type Stretches = Vec<(Wall, Wall)>;

/// Lists the stretches of which logs say nothing, by box and epoch.
fn holes(db: &Connection, boxes: &str) -> Result<BTreeMap<(BoxId, String), Stretches>> {
    let mut query = db.prepare_cached(
        "SELECT * FROM log_holes WHERE box IN (SELECT value FROM json_each(?1)) AND since < told
         ORDER BY box, epoch, since",
    )?;
    let rows = query.query_map([boxes], |row| {
        Ok(((name(row, "box")?, row.get("epoch")?), (wall(row, "since")?, wall(row, "told")?)))
    })?;
    let mut holes: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in rows {
        let (log, hole) = row?;
        holes.entry(log).or_default().push(hole);
    }
    Ok(holes)
}

/// The parts of a stretch that are left around holes, which are in the order of their begins.
fn without((begun, told): (Wall, Wall), holes: &[(Wall, Wall)]) -> Stretches {
    let mut parts = Vec::new();
    let mut from = begun;
    for (since, until) in holes.iter().filter(|(since, until)| *since < told && *until > begun) {
        parts.extend((from <= *since).then_some((from, *since)));
        from = from.max(*until);
    }
    parts.extend((from <= told).then_some((from, told)));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(whole: (i64, i64), holes: &[(i64, i64)], expected: &[(i64, i64)]) {
        let walls = |pairs: &[(i64, i64)]| {
            pairs.iter().map(|(from, to)| (Wall(*from), Wall(*to))).collect::<Vec<_>>()
        };
        let parts = without((Wall(whole.0), Wall(whole.1)), &walls(holes));
        assert_eq!(parts, walls(expected), "{whole:?} {holes:?}");
    }

    #[test]
    fn a_stretch_is_known_around_its_holes() {
        check((10, 90), &[], &[(10, 90)]);
        check((10, 90), &[(20, 30)], &[(10, 20), (30, 90)]);
        check((10, 90), &[(10, 30), (40, 95)], &[(10, 10), (30, 40)]);
        check((10, 90), &[(20, 50), (30, 40), (45, 60)], &[(10, 20), (60, 90)]);
        check((10, 90), &[(1, 5), (90, 95)], &[(10, 90)]);
        check((10, 90), &[(5, 95)], &[]);
    }
}
