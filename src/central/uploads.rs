//! Uploads that resume: a file that comes in parts, over days if need be, until it is whole.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::media::{MediaFolder, MediaRefusal, keep_room};
use crate::store::MediaRow;
use loaxa_adapters::disk::free_bytes;
use loaxa_adapters::whole_file;
use loaxa_heart::domain::hex::hex;
use loaxa_heart::domain::ids::AccountId;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::codec::MEDIA_BYTES_MAX;

/// Time after the last part in which an upload may go on.
const KEPT_FOR: Span = Span::secs(2 * 86_400);
/// Most uploads of one person that are under way.
const OWN_MAX: usize = 4;
/// Room that the disk keeps for everything else, in bytes.
const FREE_MIN: u64 = 256 * 1024 * 1024;
/// Longest name of a file, in characters.
const NAME_CHARS_MAX: usize = 200;

/// Finished uploads that are remembered, so that whoever lost the answer is told.
const FINISHED_MAX: usize = 256;

/// The folder of files that are coming in.
#[derive(Debug, Clone)]
pub struct Uploads {
    root: PathBuf,
    checks: Arc<Checks>,
    /// Other centrals have the folder, too.
    is_shared: bool,
}

/// Whole files, which are checked one time each: whoever asks again meanwhile waits, and gets the same outcome.
#[derive(Debug, Default)]
struct Checks {
    known: Mutex<Known>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Known {
    under_way: BTreeSet<String>,
    /// The newest is the last.
    finished: VecDeque<(String, AccountId, Result<MediaRow, Sentence>)>,
}

/// A check that is under way, until it is dropped.
struct Checking<'c>(&'c Checks, String);

impl Drop for Checking<'_> {
    fn drop(&mut self) {
        self.0.lock().under_way.remove(&self.1);
        self.0.changed.notify_all();
    }
}

impl Checks {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the check of an upload when no other one of the same is under way.
    fn begin(&self, id: &str) -> Checking<'_> {
        let mut known = self.lock();
        while known.under_way.contains(id) {
            known = self.changed.wait(known).unwrap_or_else(PoisonError::into_inner);
        }
        known.under_way.insert(id.to_owned());
        Checking(self, id.to_owned())
    }

    fn remember(&self, id: &str, person: &AccountId, outcome: Result<MediaRow, Sentence>) {
        let mut known = self.lock();
        if known.finished.len() >= FINISHED_MAX {
            known.finished.pop_front();
        }
        known.finished.push_back((id.to_owned(), person.clone(), outcome));
    }
}

/// An upload as its sender announced it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Announced {
    pub name: String,
    /// Bytes of the whole file.
    pub size: u64,
    pub person: AccountId,
}

/// A whole file that was taken.
#[derive(Serialize, Deserialize)]
struct Done {
    person: AccountId,
    row: MediaRow,
}

fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Tells whether nobody has gone on with a file for days, or it is gone.
fn is_old(path: &Path, now: Wall) -> bool {
    let age = fs::metadata(path).and_then(|file| file.modified()).ok().and_then(|at| {
        let since = at.duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Some(now.since(Wall(i64::try_from(since.as_micros()).ok()?)))
    });
    age.is_none_or(|age| age >= KEPT_FOR)
}

/// A reason for which a part of a file is not taken.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NotUploaded {
    Empty,
    TooLarge,
    TooMany,
    NoSuch,
    /// The next part has to begin at this byte.
    Elsewhere(u64),
    /// The room that the file needs and the room that there is, in MiB.
    DiskFull {
        needs: u64,
        free: u64,
    },
    Disk(io::Error),
    Media(MediaRefusal),
    /// The file was refused before, for this reason.
    Before(Sentence),
}

/// Tells whether an error means that the disk has no room.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl Say for NotUploaded {
    fn say(&self) -> Sentence {
        match self {
            NotUploaded::Empty => said!("upload.empty"),
            NotUploaded::TooLarge => said!("media.too_large", max = MEDIA_BYTES_MAX >> 20),
            NotUploaded::TooMany => said!("upload.too_many", max = OWN_MAX),
            NotUploaded::NoSuch => said!("upload.no_such"),
            NotUploaded::Elsewhere(at) => said!("upload.elsewhere", at),
            NotUploaded::DiskFull { needs, free } => said!("upload.disk_full", needs, free),
            NotUploaded::Disk(error) => said!("media.disk", error),
            NotUploaded::Media(MediaRefusal::Unplayable(_) | MediaRefusal::NoLength) => {
                said!("upload.no_audio")
            }
            NotUploaded::Media(refusal) => refusal.say(),
            NotUploaded::Before(said) => said.clone(),
        }
    }
}

impl Uploads {
    /// Opens the folder, and makes it where there is none.
    ///
    /// # Errors
    /// Fails when it can't be made.
    pub fn open(root: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        Ok(Self { root, checks: Arc::default(), is_shared: false })
    }

    /// Tells other centrals from now on what became of a whole file, where they have this folder.
    #[must_use]
    pub fn shared(self, is_shared: bool) -> Self {
        Self { is_shared, ..self }
    }

    /// A file of this folder for something that comes into being.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.root.join(format!("{name}.scratch"))
    }

    fn part(&self, id: &str) -> PathBuf {
        self.root.join(format!("{id}.part"))
    }

    /// The file of a whole file's outcome, for the other centrals that have this folder.
    fn done(&self, id: &str) -> PathBuf {
        self.root.join(format!("{id}.done"))
    }

    fn note(&self, id: &str) -> PathBuf {
        self.root.join(format!("{id}.json"))
    }

    /// Begins an upload and returns its id. Those that nobody goes on with are forgotten here.
    ///
    /// # Errors
    /// Fails when the file is empty or too large, the person has too many under way, or the disk has no room.
    pub fn begin(&self, announced: &Announced, now: Wall) -> Result<String, NotUploaded> {
        if announced.size == 0 {
            return Err(NotUploaded::Empty);
        }
        if announced.size > MEDIA_BYTES_MAX {
            return Err(NotUploaded::TooLarge);
        }
        let waiting = self.waiting(now).map_err(NotUploaded::Disk)?;
        if waiting.iter().filter(|other| other.person == announced.person).count() >= OWN_MAX {
            return Err(NotUploaded::TooMany);
        }
        if free_bytes(&self.root).map_err(NotUploaded::Disk)? < Self::needed(announced.size) {
            return Err(self.full(announced.size));
        }
        let mut random = [0; 16];
        getrandom::fill(&mut random).expect("the system gives randomness");
        let id = hex(&random);
        let name = announced.name.chars().take(NAME_CHARS_MAX).collect();
        let note =
            serde_json::to_vec(&Announced { name, ..announced.clone() }).expect("a note is plain data");
        let made = File::create_new(self.part(&id)).and_then(|_| fs::write(self.note(&id), note));
        made.map_err(|error| self.refused_by_disk(&id, announced.size, error))?;
        Ok(id)
    }

    /// The room that a file of so many bytes needs: once as it comes in, and once more until the whole file has its place.
    const fn needed(size: u64) -> u64 {
        2 * size + FREE_MIN
    }

    fn full(&self, size: u64) -> NotUploaded {
        let free = free_bytes(&self.root).unwrap_or(0) >> 20;
        NotUploaded::DiskFull { needs: Self::needed(size).div_ceil(1 << 20), free }
    }

    /// Deletes an upload for which the disk has no room. Another fault may pass, and the upload goes on then.
    fn refused_by_disk(&self, id: &str, size: u64, error: io::Error) -> NotUploaded {
        if !is_full(&error) {
            return NotUploaded::Disk(error);
        }
        self.forget(id);
        self.full(size)
    }

    /// Lists the uploads under way, and deletes those that nobody has gone on with for days.
    fn waiting(&self, now: Wall) -> io::Result<Vec<Announced>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "done") && is_old(&path, now) {
                // Another central may have deleted it.
                let _ = fs::remove_file(&path);
            }
            let Some(id) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".json")) else {
                continue;
            };
            match fs::read(&path).ok().and_then(|note| serde_json::from_slice(&note).ok()) {
                Some(announced) if !is_old(&self.part(id), now) => found.push(announced),
                _ => self.forget(id),
            }
        }
        Ok(found)
    }

    /// Deletes what came of an upload.
    pub fn forget(&self, id: &str) {
        // What is gone already needs no deleting.
        let _ = fs::remove_file(self.part(id));
        let _ = fs::remove_file(self.note(id));
    }

    /// Finds an upload of a person, with the bytes that have come.
    ///
    /// # Errors
    /// Fails when there is none of this id, or it is somebody else's.
    pub fn find(&self, id: &str, person: &AccountId) -> Result<(Announced, u64), NotUploaded> {
        if !is_id(id) {
            return Err(NotUploaded::NoSuch);
        }
        let note = fs::read(self.note(id)).map_err(|_| NotUploaded::NoSuch)?;
        let announced: Announced = serde_json::from_slice(&note).map_err(|_| NotUploaded::NoSuch)?;
        let come = fs::metadata(self.part(id)).map_err(|_| NotUploaded::NoSuch)?.len();
        if announced.person == *person { Ok((announced, come)) } else { Err(NotUploaded::NoSuch) }
    }

    /// Finds how many bytes of an upload of a person have come, of how many, and the file once it is checked.
    ///
    /// # Errors
    /// Says why the file was refused; fails when there is no such upload, or it is somebody else's.
    pub fn how_far(&self, id: &str, person: &AccountId) -> Result<(u64, u64, Option<MediaRow>), NotUploaded> {
        match self.find(id, person) {
            Ok((announced, come)) => Ok((come, announced.size, None)),
            Err(not) => {
                let row = self.finished(id, person)?.ok_or(not)?;
                Ok((row.bytes, row.bytes, Some(row)))
            }
        }
    }

    /// Adds a part as [`add`](Self::add) does, and gives the file once it is whole and checked. Whatever is sent of an upload that is
    /// finished is as good as its last part.
    ///
    /// # Errors
    /// Fails as [`add`](Self::add) and [`finish`](Self::finish) do.
    pub fn take(
        &self,
        (id, person): (&str, &AccountId),
        (at, bytes): (u64, &[u8]),
        media: &MediaFolder,
        (now, ms_max): (Wall, u64),
    ) -> Result<(u64, Option<MediaRow>), NotUploaded> {
        let add = || {
            let come = self.add(id, person, at, bytes)?;
            let (announced, _) = self.find(id, person)?;
            let is_whole = come == announced.size;
            let row = is_whole.then(|| self.finish(id, person, media, (now, ms_max)));
            Ok((come, row.transpose()?))
        };
        match add() {
            Err(NotUploaded::NoSuch) => {
                let row = self.finished(id, person)?.ok_or(NotUploaded::NoSuch)?;
                Ok((row.bytes, Some(row)))
            }
            added => added,
        }
    }

    /// Finds the outcome of an upload of a person whose whole file was checked already.
    ///
    /// # Errors
    /// Says why the file was refused.
    fn finished(&self, id: &str, person: &AccountId) -> Result<Option<MediaRow>, NotUploaded> {
        let known = self.checks.lock();
        let found = known.finished.iter().find(|(known, whose, _)| known == id && whose == person);
        if let Some((_, _, outcome)) = found {
            return outcome.clone().map(Some).map_err(NotUploaded::Before);
        }
        drop(known);
        Ok(self.finished_elsewhere(id, person))
    }

    /// Finds a file that another central, or this one before its start, has checked.
    fn finished_elsewhere(&self, id: &str, person: &AccountId) -> Option<MediaRow> {
        let kept = if is_id(id) { fs::read(self.done(id)).ok()? } else { return None };
        let Done { person: of, row } = serde_json::from_slice(&kept).ok()?;
        (of == *person).then_some(row)
    }

    /// Adds the part that begins at byte `at`, and returns how many bytes have come. A part that came before is not an
    /// error when it continues what is there.
    ///
    /// # Errors
    /// Fails when the part begins elsewhere, or the file grows beyond what was announced.
    fn add(&self, id: &str, person: &AccountId, at: u64, bytes: &[u8]) -> Result<u64, NotUploaded> {
        let (announced, come) = self.find(id, person)?;
        if at > come {
            return Err(NotUploaded::Elsewhere(come));
        }
        let end = at + bytes.len() as u64;
        if end > announced.size {
            self.forget(id);
            return Err(NotUploaded::TooLarge);
        }
        let write = || {
            keep_room(&self.root)?;
            let mut part = OpenOptions::new().write(true).open(self.part(id))?;
            part.seek(SeekFrom::Start(at))?;
            part.write_all(bytes)
        };
        write().map_err(|error| match error.kind() {
            // It was checked and deleted meanwhile.
            io::ErrorKind::NotFound => NotUploaded::NoSuch,
            _ => self.refused_by_disk(id, announced.size, error),
        })?;
        Ok(come.max(end))
    }

    /// Moves a whole file into the media folder, where it is checked. What came of it is gone afterwards, unless it can't be read
    /// now and may be later. The outcome is remembered for whoever asks again.
    ///
    /// # Errors
    /// Fails when it is not whole, is no audio, lasts longer than `ms_max`, or the disk refuses.
    fn finish(
        &self,
        id: &str,
        person: &AccountId,
        media: &MediaFolder,
        (now, ms_max): (Wall, u64),
    ) -> Result<MediaRow, NotUploaded> {
        let _checking = self.checks.begin(id);
        // Held until the end, so that no other central checks the same.
        let note = if is_id(id) { File::open(self.note(id)).ok() } else { None };
        note.as_ref().map_or(Ok(()), File::lock).map_err(NotUploaded::Disk)?;
        if let Some(row) = self.finished(id, person)? {
            return Ok(row);
        }
        let (announced, come) = self.find(id, person)?;
        if come < announced.size {
            return Err(NotUploaded::Elsewhere(come));
        }
        let take = || {
            let mut incoming = media.begin()?;
            incoming.write_all_of(&mut File::open(self.part(id))?)?;
            media.scan(&incoming)?;
            media.finish_within(incoming, &announced.name, now, ms_max)
        };
        let taken = take();
        if let Ok(row) = &taken
            && self.is_shared
        {
            let done = Done { person: person.clone(), row: row.clone() };
            let done = serde_json::to_vec(&done).expect("an outcome is plain data");
            // Without it, whoever asks another central sends the file again.
            let _ = whole_file::write(&self.done(id), &done, 0o600);
        }
        let taken = taken.map_err(|refusal| match refusal {
            MediaRefusal::Disk(error) if is_full(&error) => self.full(announced.size),
            other => NotUploaded::Media(other),
        });
        // Before what came is deleted: whoever no longer finds the one finds the other.
        self.checks.remember(id, person, taken.as_ref().map(Clone::clone).map_err(Say::say));
        self.forget(id);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lan() -> AccountId {
        "lan".parse().unwrap()
    }

    fn announced(size: u64) -> Announced {
        Announced { name: "bai.wav".to_owned(), size, person: lan() }
    }

    fn now() -> Wall {
        loaxa_adapters::clock::wall()
    }

    /// A second of silence, as WAV of 8,000 samples.
    fn a_second() -> Vec<u8> {
        let mut wav = b"RIFF\x24\x3f\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x40\x1f\0\0".to_vec();
        wav[4..8].copy_from_slice(&(8_000_u32 + 36).to_le_bytes());
        wav.resize(wav.len() + 8_000, 128);
        wav
    }

    #[test]
    fn parts_come_in_order_and_again() {
        let dir = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(dir.path().to_owned()).unwrap();
        let id = uploads.begin(&announced(10), now()).unwrap();
        assert_eq!(uploads.add(&id, &lan(), 0, b"01234").unwrap(), 5);
        assert!(matches!(uploads.add(&id, &lan(), 7, b"789"), Err(NotUploaded::Elsewhere(5))));
        assert_eq!(uploads.add(&id, &lan(), 3, b"3456").unwrap(), 7, "what came twice is there once");
        let stranger = "nam".parse().unwrap();
        assert!(matches!(uploads.add(&id, &stranger, 7, b"789"), Err(NotUploaded::NoSuch)));
        assert!(matches!(uploads.find("../../etc/passwd", &lan()), Err(NotUploaded::NoSuch)));
        assert_eq!(uploads.add(&id, &lan(), 7, b"789").unwrap(), 10);
        assert_eq!(fs::read(uploads.part(&id)).unwrap(), b"0123456789");
    }

    #[test]
    fn what_is_no_audio_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(dir.path().join("uploads")).unwrap();
        let media = MediaFolder::open(dir.path().join("media")).unwrap();
        let id = uploads.begin(&announced(9), now()).unwrap();
        uploads.add(&id, &lan(), 0, b"%PDF-1.7\n").unwrap();
        assert!(matches!(uploads.finish(&id, &lan(), &media, (now(), 60_000)), Err(NotUploaded::Media(_))));
        assert_eq!(fs::read_dir(dir.path().join("uploads")).unwrap().count(), 0);
        let second = a_second();
        let id = uploads.begin(&announced(second.len() as u64), now()).unwrap();
        uploads.add(&id, &lan(), 0, &second).unwrap();
        let refused = uploads.finish(&id, &lan(), &media, (now(), 999));
        assert!(matches!(refused, Err(NotUploaded::Media(MediaRefusal::TooLong { .. }))), "{refused:?}");
        let files = fs::read_dir(dir.path().join("media/incoming")).unwrap().count();
        assert_eq!(files, 0, "what is refused is not kept");
        let more = uploads.begin(&announced(3), now()).unwrap();
        assert!(matches!(uploads.add(&more, &lan(), 0, b"more"), Err(NotUploaded::TooLarge)));
        assert_eq!(fs::read_dir(dir.path().join("uploads")).unwrap().count(), 0);
    }

    #[test]
    fn two_centrals_with_one_folder_take_a_file_once() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Uploads::open(dir.path().join("uploads")).unwrap().shared(true);
        let (one, other) = (open(), open());
        let media = MediaFolder::open(dir.path().join("media")).unwrap();
        let second = a_second();
        let id = one.begin(&announced(second.len() as u64), now()).unwrap();
        assert_eq!(one.add(&id, &lan(), 0, &second[..4_000]).unwrap(), 4_000);
        assert_eq!(other.add(&id, &lan(), 4_000, &second[4_000..]).unwrap(), second.len() as u64);
        let finish = |uploads: &Uploads| uploads.finish(&id, &lan(), &media, (now(), 60_000)).unwrap();
        let rows = std::thread::scope(|scope| {
            let both = [&one, &other].map(|uploads| scope.spawn(move || finish(uploads)));
            both.map(|thread| thread.join().unwrap())
        });
        assert_eq!(rows[0], rows[1]);
        assert_eq!(open().finished(&id, &lan()).unwrap(), Some(rows[0].clone()));
        assert_eq!(open().finished(&id, &"nam".parse().unwrap()).unwrap(), None, "it is Lan's");
        assert_eq!(open().finished("../media/x", &lan()).unwrap(), None);
        open().begin(&announced(1), now().plus(KEPT_FOR + Span::secs(60))).unwrap();
        assert_eq!(open().finished(&id, &lan()).unwrap(), None, "it is forgotten after days");
    }

    #[test]
    fn whoever_asks_again_at_any_moment_of_the_check_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(dir.path().join("uploads")).unwrap();
        let media = MediaFolder::open(dir.path().join("media")).unwrap();
        let second = a_second();
        let whole = second.len() as u64;
        for _ in 0..200 {
            let id = uploads.begin(&announced(whole), now()).unwrap();
            let send = |at: u64, bytes: &[u8]| {
                uploads.take((&id, &lan()), (at, bytes), &media, (now(), 60_000)).unwrap().1
            };
            let asks = || loop {
                if let (_, _, Some(row)) = uploads.how_far(&id, &lan()).unwrap() {
                    break Some(row);
                }
            };
            // The last part comes again and again, until it finds nothing to go on with.
            let sends = || loop {
                match uploads.add(&id, &lan(), whole, &[]) {
                    Ok(_) | Err(NotUploaded::Elsewhere(_)) => {}
                    Err(NotUploaded::NoSuch) => break send(whole, &[]),
                    Err(other) => panic!("{other}"),
                }
            };
            std::thread::scope(|scope| {
                let (asks, sends) = (scope.spawn(asks), scope.spawn(sends));
                let row = send(0, &second);
                assert!(row.is_some());
                assert_eq!(asks.join().unwrap(), row);
                assert_eq!(sends.join().unwrap(), row);
            });
        }
    }

    #[test]
    fn there_are_bounds_and_old_ones_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(dir.path().to_owned()).unwrap();
        assert!(matches!(uploads.begin(&announced(0), now()), Err(NotUploaded::Empty)));
        assert!(matches!(uploads.begin(&announced(MEDIA_BYTES_MAX + 1), now()), Err(NotUploaded::TooLarge)));
        for _ in 0..OWN_MAX {
            uploads.begin(&announced(10), now()).unwrap();
        }
        assert!(matches!(uploads.begin(&announced(10), now()), Err(NotUploaded::TooMany)));
        uploads.begin(&announced(10), now().plus(KEPT_FOR + Span::secs(60))).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
