//! The state of a box that lasts through power cuts: its log, the heart's memory, and the signed documents in force.
//!
//! One SQLite file, one connection, owned by the daemon's thread. A commit is on the disk when it returns. Where the
//! disk refuses, changes wait in memory within bounds and are written by a later commit; what must be dropped is
//! counted, so that a full disk silences nothing and hides nothing.

mod change;
mod error;
mod positions;
mod repair;
mod rows;
mod unwritten;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

pub use self::change::Change;
pub use self::error::StoreError;
use self::positions::Positions;
use self::repair::{Carried, check_tail, connect, put_aside, quick_check, salvage};
use self::rows::{insert_all, keep_last_known, last_known, meta, read_map, set_meta, to_sql};
use self::unwritten::Unwritten;
use crate::clock::LastKnown;
use loaxa_heart::domain::ids::{BoxId, Epoch, PlayId};
use loaxa_heart::domain::time::{ClockQuality, Span, Wall};
use loaxa_heart::wire::chain::Link;
use loaxa_heart::wire::messages::LogRecord;

/// Time for which acknowledged records are kept.
pub const KEPT: Span = Span::secs(30 * 24 * 3600);

/// Most records in the log: 30 days without contact at one record every 5 s, about 350 MB.
pub const RECORDS_MAX: u64 = 500_000;

/// Most records that one call of [`BoxStore::trim`] deletes, so that it takes a few milliseconds.
const TRIM_RECORDS_MAX: u64 = 1_000;

/// Files up to this size are checked as a whole at start (20 ms); of larger ones only what is not log.
const WHOLE_CHECK_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The layout of the tables; a file with another one is put aside.
const LAYOUT: i64 = 1;

const TABLES: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE log (seq INTEGER PRIMARY KEY, body TEXT NOT NULL, wall_us INTEGER);
    CREATE TABLE memory (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE command (id TEXT PRIMARY KEY, envelope BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE document (name TEXT PRIMARY KEY, envelope BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE checkpoint (play INTEGER PRIMARY KEY, played_us INTEGER NOT NULL);
";

/// A store that was opened.
pub struct Opened {
    pub store: BoxStore,
    /// The name under which a damaged store was put aside; a new epoch began.
    pub replaced: Option<String>,
}

/// The store of one box.
pub struct BoxStore {
    connection: Connection,
    /// `None` where nothing outlives the process.
    path: Option<PathBuf>,
    box_id: BoxId,
    epoch: Epoch,
    start: u32,
    link: Link,
    acked: u64,
    last_known: LastKnown,
    unwritten: Unwritten,
    /// `None` where the disk has no such files; the database keeps the positions then.
    positions: Option<Positions>,
}

impl BoxStore {
    /// Opens the store of `box_id`, or makes it. A damaged one, or that of another box (a copied card), is put aside
    /// beside it, and a new epoch begins; what the heart remembers is taken over where it is whole.
    ///
    /// # Errors
    /// Fails when the directory can't be written. [`BoxStore::volatile`] then still lets the box sound.
    pub fn open(path: &Path, box_id: &BoxId) -> Result<Opened, StoreError> {
        if !path.exists() {
            return Ok(Opened { store: Self::create(path, box_id, &Carried::default())?, replaced: None });
        }
        match Self::open_existing(path, box_id) {
            Ok(store) => Ok(Opened { store, replaced: None }),
            Err(StoreError::Damaged { detail }) => {
                tracing::error!(path = %path.display(), detail, "the box's store is damaged and is put aside");
                let carried = salvage(path, box_id);
                let kept_as = put_aside(path)?;
                let store = Self::create(path, box_id, &carried)?;
                Ok(Opened { store, replaced: Some(kept_as) })
            }
            Err(error) => Err(error),
        }
    }

    /// A store that forgets everything when the process ends: better than silence where the disk can't be used.
    ///
    /// # Errors
    /// Fails when there is no memory for it.
    pub fn volatile(box_id: &BoxId) -> Result<Self, StoreError> {
        let connection = Connection::open_in_memory()?;
        Self::begin(connection, None, box_id, &Carried::default())
    }

    fn create(path: &Path, box_id: &BoxId, carried: &Carried) -> Result<Self, StoreError> {
        crate::private_files::keep(path)?;
        let connection = connect(path)?;
        let store = Self::begin(connection, Some(path.to_owned()), box_id, carried)?;
        // The file's name is on the disk only when its directory is.
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        std::fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(store)
    }

    fn begin(
        mut connection: Connection,
        path: Option<PathBuf>,
        box_id: &BoxId,
        carried: &Carried,
    ) -> Result<Self, StoreError> {
        let random = getrandom::u64().map_err(|error| StoreError::Unusable { detail: error.to_string() })?;
        let (epoch, start) = (Epoch(random), carried.start.saturating_add(1));
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(TABLES)?;
        set_meta(&transaction, "layout", &LAYOUT)?;
        set_meta(&transaction, "box", &box_id.as_str())?;
        set_meta(&transaction, "epoch", &(epoch.0 as i64))?;
        set_meta(&transaction, "start", &start)?;
        set_meta(&transaction, "acked", &0)?;
        keep_last_known(&transaction, carried.last_known)?;
        insert_all(&transaction, "INSERT INTO memory VALUES (?1, ?2)", &carried.memory)?;
        insert_all(&transaction, "INSERT INTO command VALUES (?1, ?2)", &carried.commands)?;
        insert_all(&transaction, "INSERT INTO document VALUES (?1, ?2)", &carried.documents)?;
        transaction.commit()?;
        Ok(Self {
            connection,
            positions: path.as_deref().and_then(|path| positions_beside(path, epoch)),
            path,
            box_id: box_id.clone(),
            epoch,
            start,
            link: Link::FIRST,
            acked: 0,
            last_known: carried.last_known,
            unwritten: Unwritten::default(),
        })
    }

    fn open_existing(path: &Path, box_id: &BoxId) -> Result<Self, StoreError> {
        let damaged = |detail: &str| StoreError::Damaged { detail: detail.to_owned() };
        crate::private_files::keep(path)?;
        let connection = connect(path)?;
        if std::fs::metadata(path)?.len() <= WHOLE_CHECK_BYTES_MAX {
            quick_check(&connection, None)?;
        } else {
            ["meta", "memory", "command", "document", "checkpoint"]
                .iter()
                .try_for_each(|table| quick_check(&connection, Some(table)))?;
        }
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'meta'";
        if connection.query_row(tables, [], |row| row.get::<_, i64>(0))? != 1 {
            return Err(damaged("it has no tables"));
        }
        if meta::<i64>(&connection, "layout")? != LAYOUT {
            return Err(damaged("its tables are of another version"));
        }
        if meta::<String>(&connection, "box")? != box_id.as_str() {
            return Err(damaged("it is the store of another box"));
        }
        let epoch = Epoch(meta::<i64>(&connection, "epoch")? as u64);
        let link = check_tail(&connection, box_id, epoch)?;
        let start = meta::<u32>(&connection, "start")?.saturating_add(1);
        set_meta(&connection, "start", &start)?;
        Ok(Self {
            path: Some(path.to_owned()),
            box_id: box_id.clone(),
            epoch,
            start,
            link,
            acked: (meta::<i64>(&connection, "acked")? as u64).min(link.seq - 1),
            last_known: last_known(&connection)?,
            unwritten: Unwritten::default(),
            positions: positions_beside(path, epoch),
            connection,
        })
    }

    /// Begins a new epoch because central knows another record under a number of this one: two stores have lived
    /// under one name. The old store is put aside; gives the name that it has then.
    ///
    /// # Errors
    /// Fails when the disk refuses; the old store then stays in use.
    pub fn begin_epoch(&mut self) -> Result<String, StoreError> {
        self.flush()?;
        let Some(path) = self.path.clone() else {
            *self = Self::volatile(&self.box_id)?;
            return Ok(String::new());
        };
        let carried = salvage(&path, &self.box_id);
        // SQLite removes side files by name when it closes: it must be closed before the new ones have that name.
        let old = std::mem::replace(&mut self.connection, Connection::open_in_memory()?);
        drop(old);
        let begun =
            put_aside(&path).and_then(|kept_as| Ok((kept_as, Self::create(&path, &self.box_id, &carried)?)));
        match begun {
            Ok((kept_as, store)) => {
                *self = store;
                Ok(kept_as)
            }
            Err(error) => {
                self.connection = connect(&path)?;
                Err(error)
            }
        }
    }

    /// Returns the identity of this store.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Returns how often the store was opened, this time included; from 1.
    pub const fn start_number(&self) -> u32 {
        self.start
    }

    /// Returns the latest times known.
    pub const fn last_known(&self) -> LastKnown {
        self.last_known
    }

    /// Returns the number of the last record, 0 where there is none.
    pub const fn last_seq(&self) -> u64 {
        self.link.seq - 1
    }

    /// Returns how many records wait for acknowledgement.
    pub const fn backlog(&self) -> u64 {
        self.last_seq().saturating_sub(self.acked)
    }

    /// Tells whether changes wait in memory because the disk refused them; a later commit writes them.
    pub fn has_unwritten(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// Writes all changes, together with those that an earlier call could not write, as one: after a power cut either
    /// all of them are there or none. They are on the disk when it returns. Gives the number of the last record.
    ///
    /// # Errors
    /// Tells why the disk refused. The changes are kept in memory, within bounds, and tried again by the next call.
    pub fn commit(&mut self, changes: impl IntoIterator<Item = Change>) -> Result<u64, StoreError> {
        changes.into_iter().for_each(|change| self.unwritten.add(change));
        self.flush().inspect_err(|_| self.unwritten.bound())?;
        Ok(self.last_seq())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.unwritten.is_empty() || self.write_positions_alone() {
            return Ok(());
        }
        let (box_id, epoch, mut link) = (&self.box_id, self.epoch, self.link);
        let mut last_known = self.last_known;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut too_long = 0;
        for entry in self.unwritten.entries() {
            let at = entry.at;
            let known = at.quality != ClockQuality::None;
            let Ok(record) = link.record(box_id, epoch, entry) else {
                too_long += 1;
                continue;
            };
            match at.quality {
                // Also where that is earlier: then what was known before came from a clock that was ahead.
                ClockQuality::Synced => last_known = LastKnown { synced: at.wall, believed: at.wall },
                ClockQuality::Floor => last_known.believed = last_known.believed.max(at.wall),
                ClockQuality::None => {}
            }
            append(&transaction, &record, known.then_some(at.wall))?;
            link = Link::after(record.seq, &record.body);
        }
        self.unwritten.write_state(&transaction)?;
        if last_known != self.last_known {
            keep_last_known(&transaction, last_known)?;
        }
        transaction.commit()?;
        if let Some(positions) = &mut self.positions {
            positions.forget(self.unwritten.closed_plays());
        }
        self.unwritten = Unwritten::after_losing(too_long);
        (self.link, self.last_known) = (link, last_known);
        Ok(())
    }

    /// Writes positions of plays to their own file, where nothing else waits; says whether they are on the disk.
    fn write_positions_alone(&mut self) -> bool {
        let Some((positions, fresh)) = self.positions.as_mut().zip(self.unwritten.positions_alone()) else {
            return false;
        };
        match positions.write(self.epoch, fresh) {
            Ok(()) => {
                self.unwritten = Unwritten::default();
                true
            }
            Err(error) => {
                tracing::debug!(%error, "a position goes into the database");
                false
            }
        }
    }

    /// Reads the heart's durable state.
    ///
    /// # Errors
    /// Fails when the store can't be read.
    pub fn memory(&self) -> Result<BTreeMap<String, String>, StoreError> {
        Ok(read_map(&self.connection, "SELECT key, value FROM memory")?)
    }

    /// Reads the envelopes of the commands in force.
    ///
    /// # Errors
    /// Fails when the store can't be read.
    pub fn commands(&self) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        Ok(read_map(&self.connection, "SELECT id, envelope FROM command")?)
    }

    /// Reads the envelopes of the documents in force, by name.
    ///
    /// # Errors
    /// Fails when the store can't be read.
    pub fn documents(&self) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        Ok(read_map(&self.connection, "SELECT name, envelope FROM document")?)
    }

    /// Reads how much of each open play is proved to have sounded.
    ///
    /// # Errors
    /// Fails when the store can't be read.
    pub fn checkpoints(&self) -> Result<BTreeMap<PlayId, Span>, StoreError> {
        let rows: BTreeMap<i64, i64> = read_map(&self.connection, "SELECT play, played_us FROM checkpoint")?;
        let mut found: BTreeMap<_, _> =
            rows.into_iter().map(|(play, played)| (PlayId(play as u64), Span(played as u64))).collect();
        // A play only goes on: of two positions the later is true.
        for (play, played) in self.positions.iter().flat_map(|positions| positions.plays()) {
            let known = found.entry(*play).or_default();
            *known = (*known).max(*played);
        }
        Ok(found)
    }

    /// Reads records in turn from `from` on, or from the oldest that is held where that is later: at least one where there is
    /// one, then as many as fit. `bytes_max` counts bodies as they stand in the JSON of a batch.
    ///
    /// # Errors
    /// Fails when the store can't be read.
    pub fn pending(
        &self,
        from: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<LogRecord>, StoreError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT seq, body FROM log WHERE seq >= ?1 ORDER BY seq LIMIT ?2")?;
        let rows = select.query_map(params![to_sql(from), to_sql(records_max as u64)], |row| {
            Ok(LogRecord { seq: row.get::<_, i64>(0)? as u64, body: row.get(1)? })
        })?;
        let (mut records, mut bytes) = (Vec::new(), 0);
        for record in rows {
            let record = record?;
            bytes +=
                record.body.len() + record.body.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
            if bytes > bytes_max && !records.is_empty() {
                break;
            }
            records.push(record);
        }
        Ok(records)
    }

    /// Reads the number of the oldest record that is still held, 0 where there is none.
    ///
    /// # Errors
    /// Fails when the store can't be read.
    pub fn oldest(&self) -> Result<u64, StoreError> {
        let oldest: Option<i64> =
            self.connection.query_row("SELECT min(seq) FROM log", [], |row| row.get(0))?;
        Ok(oldest.unwrap_or(0) as u64)
    }

    /// Notes that central has everything up to and with `upto`, and tells whether that counted: an acknowledgement of
    /// another epoch, or of what was never written, does not.
    ///
    /// # Errors
    /// Fails when the disk refuses; it counts in memory all the same.
    pub fn acknowledge(&mut self, epoch: Epoch, upto: u64) -> Result<bool, StoreError> {
        if epoch != self.epoch || upto > self.last_seq() {
            return Ok(false);
        }
        if upto > self.acked {
            self.acked = upto;
            set_meta(&self.connection, "acked", &to_sql(upto))?;
        }
        Ok(true)
    }

    /// Deletes a bounded number of records that were acknowledged and are older than [`KEPT`]; beyond
    /// [`RECORDS_MAX`] the oldest, acknowledged ones first since they are the oldest. Gives how many went that central
    /// never acknowledged: the caller logs them. Call it now and then, with a clock that is trusted.
    ///
    /// # Errors
    /// Fails when the disk refuses.
    pub fn trim(&mut self, now: Wall) -> Result<u64, StoreError> {
        self.trim_beyond(now, RECORDS_MAX)
    }

    fn trim_beyond(&mut self, now: Wall, records_max: u64) -> Result<u64, StoreError> {
        let oldest = self.oldest()?;
        let young = "SELECT seq FROM log WHERE wall_us >= ?1 ORDER BY seq LIMIT 1";
        let old_until: Option<i64> =
            self.connection.query_row(young, [now.minus(KEPT).0], |row| row.get(0)).optional()?;
        let old = old_until.map_or(self.last_seq(), |seq| (seq as u64).saturating_sub(1));
        let too_many = self.last_seq().saturating_sub(records_max);
        // The last record stays: the next one is linked to it.
        let upto = old.min(self.acked).max(too_many).min(self.last_seq().saturating_sub(1));
        let upto = upto.min(oldest.saturating_add(TRIM_RECORDS_MAX).saturating_sub(1));
        if oldest == 0 || upto < oldest {
            return Ok(0);
        }
        self.connection.execute("DELETE FROM log WHERE seq <= ?1", [to_sql(upto)])?;
        let lost = upto.saturating_sub(self.acked.max(oldest - 1));
        // They are accounted for: a further loss is counted from here.
        self.acked = self.acked.max(upto);
        Ok(lost)
    }
}

/// Opens the files of positions beside a store.
fn positions_beside(path: &Path, epoch: Epoch) -> Option<Positions> {
    let opened = Positions::open(path, epoch);
    opened.inspect_err(|error| tracing::warn!(%error, "positions go into the database")).ok()
}

fn append(transaction: &Transaction, record: &LogRecord, wall: Option<Wall>) -> rusqlite::Result<()> {
    let mut insert =
        transaction.prepare_cached("INSERT INTO log (seq, body, wall_us) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![to_sql(record.seq), record.body, wall.map(|wall| wall.0)])?;
    Ok(())
}

#[cfg(test)]
mod tests;
