//! The commands that have not expired, kept in memory by group. The database is the truth: each commit that changes a
//! command has them read anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::columns::{from_json, name, parsed, wall};
use super::engine::{Connection, OptionalExtension, Result, params};
use super::kinds::{kind_code, kind_of};
use super::touched::Touched;
use crate::store::Version;
use loaxa_heart::decide::delivery::{CommandKind, Standing, Step};
use loaxa_heart::domain::ids::{BoxId, CommandId, GroupId};
use loaxa_heart::domain::time::Wall;

/// Most commands whose steps are looked up one by one; of more, the box's rows are read in one go.
const ONE_BY_ONE_MAX: usize = 64;

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

    /// Commands for these groups that the box may hold at `now`, oldest first, with the step that it has reached.
    pub fn standing(
        &self,
        db: &Connection,
        id: &BoxId,
        groups: &[GroupId],
        now: Wall,
    ) -> Result<Vec<Standing>> {
        let loaded = self.loaded(db, now)?;
        let places: BTreeSet<usize> =
            groups.iter().filter_map(|group| loaded.by_group.get(group)).flatten().copied().collect();
        let commands = places.into_iter().map(|place| &loaded.commands[place]);
        let mut rows: Vec<_> =
            commands.filter(|live| live.expires > now).map(|live| live.standing.clone()).collect();
        if rows.len() > ONE_BY_ONE_MAX {
            let steps = steps_from(db, id, rows.iter().map(|row| &row.id).min())?;
            rows.iter_mut().for_each(|row| row.step = steps.get(&row.id).copied());
        } else {
            for row in &mut rows {
                row.step = step(db, &row.id, id)?;
            }
        }
        Ok(rows)
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
        let new = Arc::new(Loaded { version, commands, by_group });
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

fn step(db: &Connection, command: &CommandId, id: &BoxId) -> Result<Option<Step>> {
    let step: Option<String> = db
        .prepare_cached("SELECT step FROM deliveries WHERE command = ?1 AND box = ?2")?
        .query_row([command.as_str(), id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(step.as_deref().and_then(Step::from_code))
}

/// The steps of a box from this command on; their names rise with the time of their issue.
fn steps_from(db: &Connection, id: &BoxId, first: Option<&CommandId>) -> Result<BTreeMap<CommandId, Step>> {
    let first = first.map_or("", CommandId::as_str);
    let mut query =
        db.prepare_cached("SELECT command, step FROM deliveries WHERE box = ?1 AND command >= ?2")?;
    let rows = query
        .query_map([id.as_str(), first], |row| Ok((name(row, "command")?, row.get::<_, String>("step")?)))?;
    let with_step = |row: Result<(CommandId, String)>| {
        row.map(|(command, code)| Some((command, Step::from_code(&code)?))).transpose()
    };
    rows.filter_map(with_step).collect()
}
