//! Airings: what was due on each box, and what became of it, for the log's page.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::columns::{
    bounded, count, day, from_word, json, known_up_to, name, optional_name, unreadable, wall, word,
};
use super::engine::{Connection, OptionalExtension, Result, Row, Value, params_from_iter};
use crate::store::plays::{subject_apart, subject_together};
use crate::store::{Airing, AiringFilter, AiringRow, DayBox, Fate, FateCounts, ROWS_MAX, Reckoned};
use loaxa_heart::domain::ids::SectionId;

/// Keeps the airings of boxes on a day, all of them at once; one that is there already keeps its number.
pub fn keep(db: &Connection, of: NaiveDate, reckoned: &[&Reckoned]) -> Result<()> {
    let mut airings: BTreeMap<(String, String, String), (&Airing, &DayBox)> = BTreeMap::new();
    for Reckoned { of, place, settled } in reckoned {
        for airing in &settled.airings {
            let (subject, subject_id) = subject_apart(&airing.subject);
            airings.insert((of.id.to_string(), subject.to_owned(), subject_id), (airing, place));
        }
    }
    let rows: Vec<_> = airings.iter().map(|(key, (airing, place))| values(of, key, airing, place)).collect();
    db.insert_rows_or(
        "airings (day, box, subject, subject_id, due, title, box_title, village, village_title, class, campaign, outcome,
                  reason, planned_ms, aired_ms)",
        &rows,
        "ON CONFLICT (day, box, subject, subject_id) DO UPDATE SET due = excluded.due, title = excluded.title,
             box_title = excluded.box_title, village = excluded.village, village_title = excluded.village_title,
             class = excluded.class, campaign = excluded.campaign, outcome = excluded.outcome, reason = excluded.reason,
             planned_ms = excluded.planned_ms, aired_ms = excluded.aired_ms",
    )?;
    let boxes = json(&reckoned.iter().map(|one| &one.of.id).collect::<BTreeSet<_>>());
    let mut query = db.prepare_cached(
        "SELECT id, box, subject, subject_id FROM airings
         WHERE day = ?1 AND box IN (SELECT value FROM json_each(?2))",
    )?;
    let there = query.query_map([of.to_string(), boxes], |row| {
        let key = (row.get("box")?, row.get("subject")?, row.get("subject_id")?);
        Ok((row.get::<_, i64>("id")?, key))
    })?;
    let (mut numbers, mut gone, mut tags) = (Vec::new(), Vec::new(), Vec::new());
    for row in there {
        let (number, key) = row?;
        numbers.push(number);
        match airings.get(&key) {
            Some((airing, _)) => tags.extend(tags_of(airing, number)),
            None => gone.push(number),
        }
    }
    db.prepare_cached(
        "DELETE FROM airing_tags WHERE airing IN (SELECT CAST(value AS BIGINT) FROM json_each(?1))",
    )?
    .execute([json(&numbers)])?;
    db.insert_rows_or("airing_tags (tag, due, airing, outcome)", &tags, "ON CONFLICT DO NOTHING")?;
    if !gone.is_empty() {
        db.prepare_cached(
            "DELETE FROM airings WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each(?1))",
        )?
        .execute([json(&gone)])?;
    }
    Ok(())
}

fn values(
    of: NaiveDate,
    (id, subject, subject_id): &(String, String, String),
    airing: &Airing,
    place: &DayBox,
) -> [Value; 15] {
    [
        of.to_string().into(),
        id.clone().into(),
        subject.clone().into(),
        subject_id.clone().into(),
        airing.due.0.into(),
        airing.title.clone().into(),
        place.title.clone().into(),
        place.village.clone().into(),
        place.village_title.clone().into(),
        word(&airing.class).into(),
        airing.campaign.as_ref().map(ToString::to_string).unwrap_or_default().into(),
        airing.fate.code().to_owned().into(),
        airing.reason.clone().into(),
        bounded(airing.planned_ms).into(),
        bounded(airing.aired_ms).into(),
    ]
}

fn tags_of(airing: &Airing, number: i64) -> impl Iterator<Item = [Value; 4]> {
    let tags = airing.sections.iter().map(section_tag).chain(airing.people.iter().map(|it| person_tag(it)));
    tags.map(move |tag| {
        [tag.into(), airing.due.0.into(), number.into(), airing.fate.code().to_owned().into()]
    })
}

fn section_tag(id: &SectionId) -> String {
    format!("s/{id}")
}

fn person_tag(name: &str) -> String {
    format!("p/{name}")
}

/// Most villages whose airings are read one village after the other.
const VILLAGES_APART_MAX: usize = 4;

/// The index from which airings of a section or a person are found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begin {
    Tags,
    /// The index of a box, or of few villages: fewer rows than a section has, and all that is counted stands in it.
    Places,
}

/// The end of a query that follows from a filter: only conditions that are asked for, so that an index answers each.
struct Asked {
    sql: String,
    values: Vec<Value>,
}

impl Asked {
    fn of(filter: &AiringFilter, from: Begin) -> Self {
        let mut tags = Vec::new();
        tags.extend(filter.section.as_ref().map(section_tag));
        tags.extend(filter.person.as_deref().map(person_tag));
        let mut asked = Asked { sql: "FROM airings".to_owned(), values: Vec::new() };
        let mut tags = tags.into_iter();
        let mut due = "airings.due";
        let mut number = "airings.id";
        if from == Begin::Tags
            && let Some(tag) = tags.next()
        {
            asked.sql = "FROM airing_tags CROSS JOIN airings ON airings.id = airing_tags.airing".to_owned();
            (due, number) = ("airing_tags.due", "airing_tags.airing");
            asked.and("airing_tags.tag = ?", [tag.into()]);
        }
        for tag in tags {
            let there =
                "EXISTS (SELECT 1 FROM airing_tags AS other WHERE other.tag = ? AND other.due = airings.due
                         AND other.airing = airings.id)";
            asked.and(there, [tag.into()]);
        }
        if let Some(from) = filter.from {
            asked.and(&format!("{due} >= ?"), [from.0.into()]);
        }
        if let Some(to) = filter.to {
            asked.and(&format!("{due} < ?"), [to.0.into()]);
        }
        if let Some(id) = &filter.id {
            asked.and("airings.box = ?", [id.to_string().into()]);
        }
        match filter.villages.as_slice() {
            [] => {}
            [only] => asked.and("airings.village = ?", [only.to_string().into()]),
            // Many of them are found in the order of time.
            many => {
                let marks = vec!["?"; many.len()].join(", ");
                let values: Vec<Value> = many.iter().map(|id| id.to_string().into()).collect();
                let no_index = if from == Begin::Places { "" } else { "+" };
                asked.and(&format!("{no_index}airings.village IN ({marks})"), values);
            }
        }
        if let Some(class) = &filter.class {
            let no_index = if from == Begin::Places { "+" } else { "" };
            asked.and(&format!("{no_index}airings.class = ?"), [word(class).into()]);
        }
        if let Some(campaign) = &filter.campaign {
            // The index holds those that have a campaign.
            asked.and("airings.campaign <> '' AND airings.campaign = ?", [campaign.to_string().into()]);
        }
        if let Some(fate) = filter.fate {
            // Spelt out, so that the index of rare fates is seen to fit.
            asked.and(&format!("airings.outcome = '{}'", fate.code()), []);
        }
        if let Some((at, id)) = filter.before {
            asked.and(&format!("({due}, {number}) < (?, ?)"), [at.0.into(), id.into()]);
        }
        asked
    }

    fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        let joins = if self.sql.contains(" WHERE ") { "AND" } else { "WHERE" };
        self.sql = format!("{} {joins} {condition}", self.sql);
        self.values.extend(values);
    }

    fn is_by_tag(&self) -> bool {
        self.sql.starts_with("FROM airing_tags")
    }
}

/// Lists airings, latest first.
pub fn list(db: &Connection, filter: &AiringFilter) -> Result<Vec<AiringRow>> {
    let mut asked = Asked::of(filter, Begin::Tags);
    let order = if asked.is_by_tag() {
        "ORDER BY airing_tags.due DESC, airing_tags.airing DESC"
    } else {
        "ORDER BY airings.due DESC, airings.id DESC"
    };
    let mut query = db.prepare_cached(&format!("SELECT airings.* {} {order} LIMIT ? OFFSET ?", asked.sql))?;
    let of = asked.values.len();
    known_up_to(filter.limit.min(ROWS_MAX), |wanted, behind| {
        asked.values.truncate(of);
        asked.values.extend([i64::from(wanted).into(), i64::from(behind).into()]);
        Ok(query.query_map(params_from_iter(asked.values.iter()), airing_row)?.collect())
    })
}

/// Counts airings by their fate.
pub fn counts(db: &Connection, filter: &AiringFilter) -> Result<FateCounts> {
    let is_of_few = filter.id.is_some() || (1..=VILLAGES_APART_MAX).contains(&filter.villages.len());
    let from = if is_of_few { Begin::Places } else { Begin::Tags };
    let asked = Asked::of(&AiringFilter { before: None, ..filter.clone() }, from);
    let only_tag = asked.is_by_tag()
        && filter.id.is_none()
        && filter.villages.is_empty()
        && filter.class.is_none()
        && filter.campaign.is_none()
        && filter.fate.is_none()
        && (filter.section.is_none() || filter.person.is_none());
    // The tags alone answer for themselves.
    let (outcome, from) = match only_tag {
        true => (
            "airing_tags.outcome",
            asked.sql.replace(" CROSS JOIN airings ON airings.id = airing_tags.airing", ""),
        ),
        false => ("airings.outcome", asked.sql),
    };
    // One pass that counts all is twice as fast as groups.
    let columns = Fate::ALL.map(|fate| format!("count(*) FILTER (WHERE {outcome} = '{}')", fate.code()));
    let mut query = db.prepare_cached(&format!("SELECT {} {from}", columns.join(", ")))?;
    query.query_row(params_from_iter(asked.values), |row| {
        let mut counts = FateCounts::new();
        for (column, fate) in Fate::ALL.into_iter().enumerate() {
            let found: i64 = row.get(column)?;
            if found > 0 {
                counts.insert(fate, found as u64);
            }
        }
        Ok(counts)
    })
}

/// Reads one airing.
pub fn one(db: &Connection, id: i64) -> Result<Option<AiringRow>> {
    db.prepare_cached("SELECT * FROM airings WHERE id = ?1")?.query_row([id], airing_row).optional()
}

fn airing_row(row: &Row) -> Result<AiringRow> {
    let (kind, subject_id): (String, String) = (row.get("subject")?, row.get("subject_id")?);
    let subject = subject_together(&kind, &subject_id)
        .ok_or_else(|| unreadable("subject", "no subject of an airing".into()))?;
    let campaign: String = row.get("campaign")?;
    Ok(AiringRow {
        id: row.get("id")?,
        day: day(row, "day")?,
        box_id: name(row, "box")?,
        box_title: row.get("box_title")?,
        village: row.get("village")?,
        village_title: row.get("village_title")?,
        airing: Airing {
            subject,
            due: wall(row, "due")?,
            title: row.get("title")?,
            class: from_word(row, "class")?,
            campaign: if campaign.is_empty() { None } else { optional_name(row, "campaign")? },
            fate: from_word(row, "outcome")?,
            reason: row.get("reason")?,
            planned_ms: count(row, "planned_ms")?,
            aired_ms: count(row, "aired_ms")?,
            sections: Vec::new(),
            people: Vec::new(),
        },
    })
}
