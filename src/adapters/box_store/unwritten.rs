//! Changes on their way to the disk, bounded for the time when it refuses them.

use std::collections::{BTreeMap, VecDeque};

use rusqlite::types::ToSql;
use rusqlite::{Transaction, params};

use super::change::Change;
use loaxa_heart::domain::ids::{CommandId, PlayId};
use loaxa_heart::domain::playback::{Entry, Event};
use loaxa_heart::domain::time::Span;

/// Most log entries that wait in memory, about 1 MB; beyond it the oldest go and are counted.
pub const ENTRIES_WAITING_MAX: usize = 1_000;

/// The last value of each thing that is to be kept, and the entries in turn.
#[derive(Debug, Default)]
pub struct Unwritten {
    log: VecDeque<Entry>,
    lost: u64,
    memory: BTreeMap<String, Option<String>>,
    commands: BTreeMap<CommandId, Option<Vec<u8>>>,
    documents: BTreeMap<String, Option<Vec<u8>>>,
    checkpoints: BTreeMap<PlayId, Option<Span>>,
}

impl Unwritten {
    /// Returns the state after a commit that lost so many entries, which are still to be told.
    pub fn after_losing(lost: u64) -> Self {
        Self { lost, ..Self::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.log.is_empty()
            && self.memory.is_empty()
            && self.commands.is_empty()
            && self.documents.is_empty()
            && self.checkpoints.is_empty()
    }

    /// Returns the positions where nothing else waits, and no play is to be closed.
    pub fn positions_alone(&self) -> Option<Vec<(PlayId, Span)>> {
        let alone = self.log.is_empty()
            && self.lost == 0
            && self.memory.is_empty()
            && self.commands.is_empty()
            && self.documents.is_empty();
        let positions = || self.checkpoints.iter().map(|(play, played)| Some((*play, (*played)?))).collect();
        if alone { positions() } else { None }
    }

    /// Lists the plays that are to be closed.
    pub fn closed_plays(&self) -> impl Iterator<Item = PlayId> {
        self.checkpoints.iter().filter(|(_, played)| played.is_none()).map(|(play, _)| *play)
    }

    /// A later change of the same thing replaces the earlier; so there are never more than the heart has things.
    pub fn add(&mut self, change: Change) {
        match change {
            Change::Log(entry) => self.log.push_back(*entry),
            Change::Remember { key, value } => drop(self.memory.insert(key, value)),
            Change::KeepCommand { id, envelope } => drop(self.commands.insert(id, Some(envelope))),
            Change::ForgetCommand { id } => drop(self.commands.insert(id, None)),
            Change::KeepDocument { name, envelope } => drop(self.documents.insert(name, envelope)),
            Change::Checkpoint { play, played } => drop(self.checkpoints.insert(play, played)),
        }
    }

    /// Gives up the oldest entries beyond the bound, and counts them: the disk has refused.
    pub fn bound(&mut self) {
        let beyond = self.log.len().saturating_sub(ENTRIES_WAITING_MAX);
        self.log.drain(..beyond);
        self.lost += beyond as u64;
    }

    /// The entries in turn, after one that tells how many were lost before them.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let lost = self.log.front().filter(|_| self.lost > 0);
        let lost = lost.map(|first| Entry { at: first.at, event: Event::EntriesLost { count: self.lost } });
        lost.into_iter().chain(self.log.iter().cloned())
    }

    /// Writes all that is not log.
    pub fn write_state(&self, transaction: &Transaction) -> rusqlite::Result<()> {
        write(transaction, "memory", "key", self.memory.iter())?;
        write(
            transaction,
            "command",
            "id",
            self.commands.iter().map(|(id, envelope)| (id.as_str(), envelope)),
        )?;
        write(transaction, "document", "name", self.documents.iter())?;
        let checkpoints: BTreeMap<_, _> = self
            .checkpoints
            .iter()
            .map(|(play, played)| (play.0 as i64, played.map(|played| played.0 as i64)))
            .collect();
        write(transaction, "checkpoint", "play", checkpoints.iter())
    }
}

fn write<'a, K: ToSql, V: ToSql + 'a>(
    transaction: &Transaction,
    table: &str,
    key_column: &str,
    changes: impl Iterator<Item = (K, &'a Option<V>)>,
) -> rusqlite::Result<()> {
    for (key, value) in changes {
        match value {
            Some(value) => transaction
                .prepare_cached(&format!("INSERT OR REPLACE INTO {table} VALUES (?1, ?2)"))?
                .execute(params![key, value])?,
            None => transaction
                .prepare_cached(&format!("DELETE FROM {table} WHERE {key_column} = ?1"))?
                .execute(params![key])?,
        };
    }
    Ok(())
}
