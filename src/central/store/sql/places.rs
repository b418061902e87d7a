//! Places as staff describe them.

use std::collections::BTreeMap;

use super::SqlStore;
use super::audit::{note, noted};
use super::columns::{name, optional_name, optional_wall, parsed};
use super::engine::{Result, Row, params};
use crate::store::{Answer, CampaignRow, Maintenance, NewAct, PlaceRow, Places, Point, SectionRow, SiteRow};
use loaxa_heart::domain::ids::{AccountId, BoxId, GroupId};
use loaxa_heart::domain::time::Wall;

impl Places for SqlStore {
    fn places(&self) -> Answer<'_, Vec<PlaceRow>> {
        self.read(|db| {
            let mut query = db.prepare_cached("SELECT * FROM places ORDER BY in_group")?;
            let rows = query.query_map([], |row| {
                Ok(PlaceRow {
                    group: name(row, "in_group")?,
                    title: row.get("title")?,
                    households: row.get("households")?,
                    point: point(row)?,
                })
            })?;
            rows.collect()
        })
    }

    fn set_place(&self, place: PlaceRow, act: NewAct) -> Answer<'_, ()> {
        self.write(move |db| {
            db.prepare_cached(
                "INSERT INTO places (in_group, title, households, latitude, longitude) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (in_group) DO UPDATE SET title = ?2, households = ?3, latitude = ?4, longitude = ?5",
            )?
            .execute(params![
                place.group.as_str(),
                place.title,
                place.households,
                place.point.map(|point| point.latitude),
                place.point.map(|point| point.longitude),
            ])?;
            note(db, &act)
        })
    }

    fn merged(&self) -> Answer<'_, BTreeMap<GroupId, GroupId>> {
        self.read(|db| {
            let mut query = db.prepare_cached("SELECT old, becomes FROM merged")?;
            query.query_map([], |row| Ok((name(row, "old")?, name(row, "becomes")?)))?.collect()
        })
    }

    fn merge(&self, old: GroupId, becomes: GroupId, act: NewAct) -> Answer<'_, bool> {
        self.write(move |db| {
            let kept = db
                .prepare_cached(
                    "INSERT INTO merged (old, becomes) SELECT ?1, ?2
                     WHERE ?1 <> ?2 AND NOT EXISTS (SELECT 1 FROM merged WHERE old = ?2)
                     ON CONFLICT (old) DO UPDATE SET becomes = ?2",
                )?
                .execute([old.as_str(), becomes.as_str()])?;
            if kept == 1 {
                db.prepare_cached("UPDATE merged SET becomes = ?2 WHERE becomes = ?1")?
                    .execute([old.as_str(), becomes.as_str()])?;
            }
            noted(db, kept == 1, &act)
        })
    }

    fn part(&self, old: GroupId, act: NewAct) -> Answer<'_, bool> {
        self.write(move |db| {
            let parted = db.prepare_cached("DELETE FROM merged WHERE old = ?1")?.execute([old.as_str()])?;
            noted(db, parted == 1, &act)
        })
    }

    fn sites(&self) -> Answer<'_, Vec<SiteRow>> {
        self.read(|db| {
            let mut query = db.prepare_cached("SELECT * FROM sites ORDER BY box")?;
            let rows = query.query_map([], |row| {
                let (by, until): (Option<AccountId>, Option<Wall>) =
                    (optional_name(row, "work_by")?, optional_wall(row, "work_until")?);
                let note: Option<String> = row.get("work_note")?;
                let maintenance = by.zip(until).map(|(by, until)| Maintenance {
                    by,
                    note: note.unwrap_or_default(),
                    until,
                });
                Ok(SiteRow { id: name(row, "box")?, point: point(row)?, maintenance })
            })?;
            rows.collect()
        })
    }

    fn set_point(&self, id: BoxId, point: Option<Point>, act: NewAct) -> Answer<'_, ()> {
        self.write(move |db| {
            db.prepare_cached(
                "INSERT INTO sites (box, latitude, longitude) VALUES (?1, ?2, ?3)
                 ON CONFLICT (box) DO UPDATE SET latitude = ?2, longitude = ?3",
            )?
            .execute(params![
                id.as_str(),
                point.map(|point| point.latitude),
                point.map(|point| point.longitude)
            ])?;
            note(db, &act)
        })
    }

    fn set_maintenance(&self, id: BoxId, work: Option<Maintenance>, act: NewAct) -> Answer<'_, ()> {
        self.write(move |db| {
            db.prepare_cached(
                "INSERT INTO sites (box, work_by, work_note, work_until) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (box) DO UPDATE SET work_by = ?2, work_note = ?3, work_until = ?4",
            )?
            .execute(params![
                id.as_str(),
                work.as_ref().map(|work| work.by.as_str()),
                work.as_ref().map(|work| &work.note),
                work.as_ref().map(|work| work.until.0),
            ])?;
            note(db, &act)
        })
    }

    fn sections(&self) -> Answer<'_, Vec<SectionRow>> {
        self.read(|db| {
            let mut query = db.prepare_cached("SELECT * FROM sections ORDER BY title")?;
            let rows = query
                .query_map([], |row| Ok(SectionRow { id: name(row, "id")?, title: row.get("title")? }))?;
            rows.collect()
        })
    }

    fn set_section(&self, section: SectionRow, act: NewAct) -> Answer<'_, ()> {
        self.write(move |db| {
            db.prepare_cached(
                "INSERT INTO sections (id, title) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET title = ?2",
            )?
            .execute(params![section.id.as_str(), section.title])?;
            note(db, &act)
        })
    }

    fn campaigns(&self) -> Answer<'_, Vec<CampaignRow>> {
        self.read(|db| {
            let mut query = db.prepare_cached("SELECT * FROM campaigns ORDER BY begins DESC, id")?;
            let rows = query.query_map([], |row| {
                Ok(CampaignRow {
                    id: name(row, "id")?,
                    title: row.get("title")?,
                    from: parsed(row, "begins", str::parse)?,
                    until: parsed(row, "ends", str::parse)?,
                    responsible: row.get("responsible")?,
                })
            })?;
            rows.collect()
        })
    }

    fn set_campaign(&self, campaign: CampaignRow, act: NewAct) -> Answer<'_, ()> {
        self.write(move |db| {
            let CampaignRow { id, title, from, until, responsible } = &campaign;
            db.prepare_cached(
                "INSERT INTO campaigns (id, title, begins, ends, responsible) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (id) DO UPDATE SET title = ?2, begins = ?3, ends = ?4, responsible = ?5",
            )?
            .execute(params![
                id.as_str(),
                title,
                from.to_string(),
                until.to_string(),
                responsible
            ])?;
            note(db, &act)
        })
    }
}

fn point(row: &Row) -> Result<Option<Point>> {
    let (latitude, longitude): (Option<f64>, Option<f64>) = (row.get("latitude")?, row.get("longitude")?);
    Ok(latitude.zip(longitude).map(|(latitude, longitude)| Point { latitude, longitude }))
}
