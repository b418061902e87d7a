//! The commands and documents that have not expired, kept in memory. The database is the truth: each commit that changes a
//! command has them read anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::columns::{from_json, name, parsed, wall};
use super::engine::{Connection, Result, params};
use super::kinds::{kind_code, kind_of};
use super::steps::steps;
use super::touched::Touched;
use crate::store::Version;
use loaxa_heart::decide::delivery::{CommandKind, Document, DocumentName, Standing};
use loaxa_heart::domain::ids::{BoxId, GroupId};
use loaxa_heart::domain::time::Wall;

/// A box for whose groups commands are asked for, and the time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForBox {
    pub id: BoxId,
    pub groups: Vec<GroupId>,
    pub now: Wall,
}

/// A command that may still be played or cancel something.
struct LiveCommand {
    standing: Standing,
    expires: Wall,
}

/// The commands as they were at a version, oldest first, and their places by group.
struct Loaded {
    version: u64,
    commands: Vec<LiveCommand>,
    by_group: BTreeMap<GroupId, Vec<usize>>,
    /// Each with the time until which it is in force.
    documents: Vec<(Document, Wall)>,
}

impl Loaded {
    /// Commands that a box may hold then.
    fn of(&self, of: &ForBox) -> Vec<Standing> {
        let places: BTreeSet<usize> =
            of.groups.iter().filter_map(|group| self.by_group.get(group)).flatten().copied().collect();
        let commands = places.into_iter().map(|place| &self.commands[place]);
        commands.filter(|live| live.expires > of.now).map(|live| live.standing.clone()).collect()
    }

    fn documents(&self, now: Wall) -> Vec<Document> {
        let in_force = self.documents.iter().filter(|(_, expires)| *expires > now);
        in_force.map(|(document, _)| document.clone()).collect()
    }
}

#[derive(Default)]
struct Versions {
    commands: u64,
    boxes: BTreeMap<BoxId, u64>,
    /// Grows with steps of deliveries to boxes that were not named.
    unnamed: u64,
}

/// The commands that are remembered, and the versions by which others may remember more.
#[derive(Default)]
pub struct Live {
    versions: Mutex<Versions>,
    loaded: Mutex<Option<Arc<Loaded>>>,
}

impl Live {
    /// Takes account of a commit, or of one of which nobody knows whether it was kept.
    pub fn attempted(&self, touched: &Touched) {
        if !touched.commands && touched.boxes.is_empty() {
            return;
        }
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.commands += u64::from(touched.commands);
        for id in &touched.boxes {
            *versions.boxes.entry(id.clone()).or_default() += 1;
        }
    }

    /// Takes account of commands that another process added or ended.
    pub fn changed_elsewhere(&self) {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).commands += 1;
    }

    /// Takes account of a delivery that another process noted.
    pub fn delivered(&self, id: &BoxId) {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        *versions.boxes.entry(id.clone()).or_default() += 1;
    }

    /// Takes account of deliveries to any boxes that another process noted.
    pub fn delivered_to_many(&self) {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).unnamed += 1;
    }

    /// The version of all that decides what a box should be sent.
    pub fn version(&self, id: &BoxId) -> Version {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        Version {
            commands: versions.commands,
            deliveries: versions.boxes.get(id).copied().unwrap_or_default() + versions.unnamed,
        }
    }

    /// Commands for the groups of these boxes that each may hold then, oldest first, with the step that it has reached.
    pub fn standing(
        &self,
        db: &Connection,
        boxes: &BTreeSet<ForBox>,
    ) -> Result<BTreeMap<ForBox, Vec<Standing>>> {
        let Some(now) = boxes.iter().map(|of| of.now).min() else { return Ok(BTreeMap::new()) };
        let loaded = self.loaded(db, now)?;
        let mut found: BTreeMap<_, Vec<_>> = boxes.iter().map(|of| (of.clone(), loaded.of(of))).collect();
        let mut wanted: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (of, rows) in &found {
            for row in rows {
                wanted.entry(&row.id).or_default().insert(&of.id);
            }
        }
        let steps = steps(db, &wanted)?;
        for (of, rows) in &mut found {
            rows.iter_mut().for_each(|row| row.step = steps.get(&(row.id.clone(), of.id.clone())).copied());
        }
        Ok(found)
    }

    /// The documents in force at `now`; `None` where the database has to be asked first.
    pub fn known_documents(&self, now: Wall) -> Option<Vec<Document>> {
        let version = self.versions.lock().unwrap_or_else(PoisonError::into_inner).commands;
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.as_ref().filter(|known| known.version == version).map(|known| known.documents(now))
    }

    /// The documents in force at `now`.
    pub fn documents(&self, db: &Connection, now: Wall) -> Result<Vec<Document>> {
        Ok(self.loaded(db, now)?.documents(now))
    }

    fn loaded(&self, db: &Connection, now: Wall) -> Result<Arc<Loaded>> {
        let version = self.versions.lock().unwrap_or_else(PoisonError::into_inner).commands;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = loaded.as_ref().filter(|known| known.version == version) {
            return Ok(Arc::clone(known));
        }
        // What is committed meanwhile is read too, and read once more under its own version.
        let commands = load(db, now)?;
        let mut by_group: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (place, live) in commands.iter().enumerate() {
            for group in &live.standing.groups {
                by_group.entry(group.clone()).or_default().push(place);
            }
        }
        let documents = load_documents(db, now)?;
        let new = Arc::new(Loaded { version, commands, by_group, documents });
        *loaded = Some(Arc::clone(&new));
        Ok(new)
    }
}

fn load(db: &Connection, now: Wall) -> Result<Vec<LiveCommand>> {
    // Documents have versions of their own, and are sent by them.
    let mut query = db.prepare_cached(
        "SELECT id, groups, kind, expires, ended IS NOT NULL AS is_ended,
                payload -> '$.body.supersedes' IS NOT NULL AS supersedes FROM commands
         WHERE expires > ?1 AND kind <> ?2 ORDER BY issued_at, serial",
    )?;
    let rows = query.query_map(params![now.0, kind_code(CommandKind::Other)], |row| {
        let standing = Standing {
            id: name(row, "id")?,
            groups: from_json(row, "groups")?,
            kind: parsed(row, "kind", |code| kind_of(code).ok_or("no kind of a command"))?,
            ended: row.get("is_ended")?,
            supersedes: row.get("supersedes")?,
            step: None,
        };
        Ok(LiveCommand { standing, expires: wall(row, "expires")? })
    })?;
    rows.collect()
}

fn load_documents(db: &Connection, now: Wall) -> Result<Vec<(Document, Wall)>> {
    let mut query = db.prepare_cached(
        "SELECT name, version, command, groups, expires FROM documents JOIN commands ON commands.id = command
         WHERE expires > ?1 ORDER BY name, version",
    )?;
    let rows = query.query_map([now.0], |row| {
        let document = Document {
            name: parsed(row, "name", |text| DocumentName::from_text(text).ok_or("no name of a document"))?,
            version: row.get("version")?,
            command: name(row, "command")?,
            groups: from_json(row, "groups")?,
        };
        Ok((document, wall(row, "expires")?))
    })?;
    rows.collect()
}
