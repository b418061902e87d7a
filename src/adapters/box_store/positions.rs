//! The positions of open plays, in two small files that are overwritten in place: a position every ten seconds costs the
//! memory card one block, where the database writes three.
//!
//! The files, of a block each, are written in turn, each with its hash, so that a power cut spoils at most the one that is
//! being written, and the other is at most one position older. In one file both blocks would be written together.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use loaxa_heart::domain::ids::{ContentHash, Epoch, PlayId};
use loaxa_heart::domain::time::Span;

/// First bytes of a record.
const MARK: &[u8; 8] = b"LoaXaPo1";
/// Bytes of a record, a sector of any disk.
const RECORD_BYTES: usize = 512;
/// Bytes of a file, a block of any file system here.
const BLOCK_BYTES: u64 = 4_096;
/// Ends of the names of the files.
const ENDS: [&str; 2] = ["positions-0", "positions-1"];
/// Most plays that are open at once and have a place: one sounds, few wait behind it.
const PLAYS_MAX: usize = 24;
/// Bytes before the plays: mark, number, epoch, count.
const HEAD_BYTES: usize = 32;
/// Place of the hash of all before it.
const HASH_AT: usize = RECORD_BYTES - 32;

/// The files of positions.
#[derive(Debug)]
pub struct Positions {
    files: [File; 2],
    /// Number of the last record.
    number: u64,
    plays: BTreeMap<PlayId, Span>,
}

impl Positions {
    /// Opens the files beside a store, or makes them. What another epoch wrote is none of these plays.
    ///
    /// # Errors
    /// Fails when the disk refuses.
    pub fn open(store: &Path, epoch: Epoch) -> io::Result<Self> {
        let [first, second] = ENDS.map(|end| open(&store.with_extension(end)));
        let files = [first?, second?];
        let last = files.iter().filter_map(read).max_by_key(|record| record.number);
        let number = last.as_ref().map_or(0, |record| record.number);
        let plays = last.filter(|record| record.epoch == epoch).map(|record| record.plays);
        Ok(Self { files, number, plays: plays.unwrap_or_default() })
    }

    /// Returns how much of each play is proved to have sounded, those that were closed since among them.
    pub const fn plays(&self) -> &BTreeMap<PlayId, Span> {
        &self.plays
    }

    /// Writes positions over those before; when this returns, they are on the disk.
    ///
    /// # Errors
    /// Fails when the disk refuses; the record before stands then.
    pub fn write(&mut self, epoch: Epoch, fresh: impl IntoIterator<Item = (PlayId, Span)>) -> io::Result<()> {
        let mut plays = self.plays.clone();
        plays.extend(fresh);
        while plays.len() > PLAYS_MAX {
            plays.pop_first();
        }
        let number = self.number + 1;
        let mut record = [0; RECORD_BYTES];
        record[..8].copy_from_slice(MARK);
        for (at, value) in [(8, number), (16, epoch.0), (24, plays.len() as u64)] {
            record[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        for (n, (play, played)) in plays.iter().enumerate() {
            let at = HEAD_BYTES + 16 * n;
            record[at..at + 8].copy_from_slice(&play.0.to_le_bytes());
            record[at + 8..at + 16].copy_from_slice(&played.0.to_le_bytes());
        }
        let hash = ContentHash::of(&record[..HASH_AT]);
        record[HASH_AT..].copy_from_slice(&hash.0);
        let file = &self.files[usize::from(!number.is_multiple_of(2))];
        file.write_all_at(&record, 0)?;
        file.sync_data()?;
        (self.number, self.plays) = (number, plays);
        Ok(())
    }

    /// Forgets plays that were closed.
    pub fn forget(&mut self, closed: impl IntoIterator<Item = PlayId>) {
        for play in closed {
            self.plays.remove(&play);
        }
    }
}

/// Opens a file of a block, or makes it.
fn open(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if file.metadata()?.len() != BLOCK_BYTES {
        file.set_len(0)?;
        file.write_all_at(&[0; BLOCK_BYTES as usize], 0)?;
        file.sync_all()?;
        path.parent().map(File::open).transpose()?.map(|folder| folder.sync_all()).transpose()?;
    }
    Ok(file)
}

struct Record {
    number: u64,
    epoch: Epoch,
    plays: BTreeMap<PlayId, Span>,
}

fn read(file: &File) -> Option<Record> {
    let mut record = [0; RECORD_BYTES];
    file.read_exact_at(&mut record, 0).ok()?;
    let is_whole = record.starts_with(MARK) && ContentHash::of(&record[..HASH_AT]).0 == record[HASH_AT..];
    if !is_whole {
        return None;
    }
    let value = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| record[at + n]));
    let count = usize::try_from(value(24)).ok().filter(|count| *count <= PLAYS_MAX)?;
    let play = |n: usize| (PlayId(value(HEAD_BYTES + 16 * n)), Span(value(HEAD_BYTES + 16 * n + 8)));
    Some(Record { number: value(8), epoch: Epoch(value(16)), plays: (0..count).map(play).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Epoch = Epoch(7);

    fn at(positions: &Positions, play: u64) -> Option<u64> {
        positions.plays().get(&PlayId(play)).map(|played| played.0)
    }

    #[test]
    fn what_is_spoilt_by_a_power_cut_leaves_the_record_before() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("box.sqlite");
        let mut positions = Positions::open(&store, EPOCH).unwrap();
        for n in 1..=9 {
            positions.write(EPOCH, [(PlayId(5), Span(n))]).unwrap();
        }
        // The ninth lies in the second file.
        let path = dir.path().join("box.positions-1");
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(whole.len() as u64, BLOCK_BYTES, "it never grows");
        let read = || at(&Positions::open(&store, EPOCH).unwrap(), 5);
        assert_eq!(read(), Some(9));
        // Each of its bytes may be what the disk had, or something else.
        for spoilt in (0..RECORD_BYTES).step_by(7) {
            let mut bytes = whole.clone();
            bytes[spoilt] ^= 0x55;
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(read(), Some(8), "byte {spoilt}");
        }
        for length in [0, 1, 511, 4_095] {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(read(), Some(8), "{length} bytes");
        }
    }

    #[test]
    fn plays_of_another_epoch_are_others_and_there_is_room_for_the_latest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box.sqlite");
        let mut positions = Positions::open(&path, EPOCH).unwrap();
        positions.write(EPOCH, (0..100).map(|n| (PlayId(n), Span(n)))).unwrap();
        positions.forget([PlayId(99)]);
        positions.write(EPOCH, [(PlayId(98), Span(500))]).unwrap();
        let again = Positions::open(&path, EPOCH).unwrap();
        assert_eq!((again.plays().len(), at(&again, 98), at(&again, 99)), (PLAYS_MAX - 1, Some(500), None));
        let mut other = Positions::open(&path, Epoch(8)).unwrap();
        assert!(other.plays().is_empty());
        other.write(Epoch(8), [(PlayId(1), Span(1))]).unwrap();
        assert_eq!(at(&Positions::open(&path, Epoch(8)).unwrap(), 1), Some(1));
    }
}
