//! The boxes, and their signs of life.

use std::collections::{BTreeMap, BTreeSet};

use super::SqlStore;
use super::columns::{count, from_json, json, name, optional_wall, optional_word};
use super::engine::{Connection, Result, params};
use super::signs::{Part, shown};
use crate::settings::BoxDeclared;
use crate::store::{Answer, BoxRow, Boxes, SignKind, SignOfLife};
use loaxa_heart::decide::delivery::DocumentName;
use loaxa_heart::domain::ids::{BoxId, GroupId};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::wire::messages::{Holds, OnAir};

impl Boxes for SqlStore {
    fn declare_boxes(&self, boxes: Vec<BoxDeclared>) -> Answer<'_, ()> {
        self.write(move |db| declare_boxes(db, &boxes))
    }

    fn trust_box_key(&self, id: BoxId, title: String, key: String) -> Answer<'_, bool> {
        self.write(move |db| trust_box_key(db, &id, &title, &key))
    }

    fn enrolled(&self, id: BoxId) -> Answer<'_, Option<BoxDeclared>> {
        self.read_about(&self.of_boxes.enrolled, id, enrolled)
    }

    fn holds(&self, id: BoxId) -> Answer<'_, Option<Holds>> {
        let written = |id| self.read_about(&self.of_boxes.holds, id, holds);
        let Some((said, at)) = self.signs.holds(&id) else {
            return Box::pin(async move { Ok(written(id).await?.map(|(holds, _)| holds)) });
        };
        if !self.among.has_peers() {
            return Box::pin(async move { Ok(Some(said)) });
        }
        // The box may have said more to another central since.
        Box::pin(async move {
            let later = written(id).await?.filter(|(_, seen)| *seen > Some(at));
            Ok(Some(later.map_or(said, |(holds, _)| holds)))
        })
    }

    fn boxes(&self) -> Answer<'_, Vec<BoxRow>> {
        Box::pin(async move {
            let waiting = self.signs.waiting();
            let (read, lost) = match self.read(all).await {
                Ok(rows) => {
                    let (rows, lost): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
                    (Ok(rows), lost)
                }
                Err(error) => (Err(error), Vec::new()),
            };
            let mut rows = self.memory.boxes(read)?;
            for (place, row) in rows.iter_mut().enumerate() {
                if let Some(waiting) = waiting.get(&row.id) {
                    waiting.show_in(row, lost.get(place).copied().flatten());
                }
            }
            Ok(rows)
        })
    }

    fn count_boxes(&self) -> Answer<'_, usize> {
        self.read(|db| {
            let count: i64 =
                db.prepare_cached("SELECT count(*) FROM boxes")?.query_row([], |row| row.get(0))?;
            Ok(count as usize)
        })
    }

    fn note_sign_of_life(&self, sign: SignOfLife) -> Answer<'_, bool> {
        Box::pin(async move {
            if !self.signs.knows(&sign.id, sign.at) {
                let known = self.read_about(&self.of_boxes.shown, sign.id.clone(), shown).await?;
                let Some(known) = known else { return Ok(false) };
                self.signs.learn(sign.id.clone(), known);
            }
            let is_other = self.signs.note(&sign);
            // What a box says of itself once for a whole connection is written at once.
            let is_hello = matches!(sign.kind, SignKind::Hello { .. });
            self.begin_to_write_signs(if is_hello { Part::One(sign.id) } else { Part::Due });
            Ok(is_other)
        })
    }

    fn note_lost(&self, id: BoxId, at: Wall) -> Answer<'_, ()> {
        Box::pin(async move {
            self.write_signs(Part::One(id.clone())).await;
            let of = id.clone();
            self.write(move |db| note_lost(db, &of, at)).await?;
            self.signs.lose(&id, at);
            Ok(())
        })
    }
}

/// Takes boxes over as the configuration or their enrolment names them.
pub fn declare_boxes(db: &Connection, boxes: &[BoxDeclared]) -> Result<()> {
    let mut upsert = db.prepare_cached(
        "INSERT INTO boxes (id, title, groups, key) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET title = ?2,
             groups = CASE WHEN EXISTS (SELECT 1 FROM documents WHERE name = ?5) THEN boxes.groups ELSE ?3 END,
             key = CASE WHEN EXISTS (SELECT 1 FROM shut_out WHERE box = ?1) THEN NULL ELSE coalesce(?4, boxes.key) END",
    )?;
    for declared in boxes {
        upsert.execute(params![
            declared.id.as_str(),
            declared.title,
            json(&declared.groups),
            declared.key,
            DocumentName::Groups.to_string(),
        ])?;
    }
    Ok(())
}

/// Puts boxes into these groups.
pub fn move_boxes(db: &Connection, groups: &[(BoxId, Vec<GroupId>)]) -> Result<()> {
    let mut update = db.prepare_cached("UPDATE boxes SET groups = ?2 WHERE id = ?1")?;
    for (id, groups) in groups {
        update.execute(params![id.as_str(), json(groups)])?;
    }
    Ok(())
}

fn trust_box_key(db: &Connection, id: &BoxId, title: &str, key: &str) -> Result<bool> {
    db.prepare_cached("INSERT INTO boxes (id, title) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING")?
        .execute(params![id.as_str(), title])?;
    let taken = db
        .prepare_cached(
            "UPDATE boxes SET key = ?2
             WHERE id = ?1 AND key IS NULL AND NOT EXISTS (SELECT 1 FROM shut_out WHERE box = ?1)",
        )?
        .execute(params![id.as_str(), key])?;
    Ok(taken == 1)
}

fn note_lost(db: &Connection, id: &BoxId, at: Wall) -> Result<()> {
    db.prepare_cached("UPDATE boxes SET lost = ?2 WHERE id = ?1 AND coalesce(last_seen, 0) <= ?2")?
        .execute(params![id.as_str(), at.0])?;
    Ok(())
}

fn enrolled(db: &Connection, ids: &BTreeSet<BoxId>) -> Result<BTreeMap<BoxId, BoxDeclared>> {
    let mut query = db.prepare_cached(
        "SELECT id, title, groups, key FROM boxes WHERE id IN (SELECT value FROM json_each(?1))",
    )?;
    let rows = query.query_map([json(ids)], |row| {
        let declared = BoxDeclared {
            id: name(row, "id")?,
            title: row.get("title")?,
            groups: from_json(row, "groups")?,
            key: row.get("key")?,
        };
        Ok((declared.id.clone(), declared))
    })?;
    rows.collect()
}

/// Reads all boxes, each with the time at which its connection broke off, where it did.
fn all(db: &Connection) -> Result<Vec<(BoxRow, Option<Wall>)>> {
    let mut query = db.prepare_cached(
        "SELECT boxes.*,
                on_air.play AS on_air_play, on_air.title AS on_air_title
         FROM boxes LEFT JOIN plays AS on_air ON on_air.cursor = (
             SELECT max(cursor) FROM plays
             WHERE plays.box = boxes.id AND plays.epoch = boxes.epoch AND plays.outcome IS NULL)
         ORDER BY boxes.id",
    )?;
    let rows = query.query_map([], |row| {
        let holds: Option<String> = row.get("holds")?;
        let play = optional_word(row, "on_air_play").ok().flatten();
        let title: Option<String> = row.get("on_air_title")?;
        let on_air = play.zip(title).map(|(play, title)| OnAir { play, title });
        let lost: i64 = row.get("lost")?;
        let row = BoxRow {
            id: name(row, "id")?,
            title: row.get("title")?,
            groups: from_json(row, "groups")?,
            key: row.get("key")?,
            last_seen: optional_wall(row, "last_seen")?,
            lost: lost > 0,
            software: row.get("software")?,
            languages: from_json(row, "languages")?,
            clock: optional_word(row, "clock")?,
            epoch: optional_word(row, "epoch")?,
            backlog: count(row, "backlog")?,
            faults: from_json(row, "faults")?,
            holds: holds.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            on_air,
        };
        Ok((row, (lost > 0).then_some(Wall(lost))))
    })?;
    rows.collect()
}

fn holds(db: &Connection, ids: &BTreeSet<BoxId>) -> Result<BTreeMap<BoxId, (Holds, Option<Wall>)>> {
    let mut query = db.prepare_cached(
        "SELECT id, holds, last_seen FROM boxes
         WHERE holds IS NOT NULL AND id IN (SELECT value FROM json_each(?1))",
    )?;
    let rows = query.query_map([json(ids)], |row| {
        Ok((name(row, "id")?, (from_json(row, "holds")?, optional_wall(row, "last_seen")?)))
    })?;
    rows.collect()
}
