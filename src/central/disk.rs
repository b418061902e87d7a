//! The disk of the centre: its room, and a reserve that is let go when nothing else is left for what must be said.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::{Moment, Span};
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;
use nix::fcntl::posix_fallocate;
use nix::sys::statvfs::statvfs;

/// Room of the reserve, where the disk is large enough.
const RESERVE_BYTES_MAX: u64 = 64 << 20;
/// Part of the whole disk that the reserve takes at most.
const RESERVE_PART: u64 = 16;
/// Room below which people are alarmed, as a part of the whole disk: 5 %.
const LOW_PART: u64 = 20;
/// Room without which nothing can be counted on: the database grows by whole pages in several files.
const NEEDED_BYTES: u64 = 256 << 10;
/// Room without which a refused disk stays refused.
const HEALED_BYTES: u64 = 2 << 20;
/// Time after a refusal for which a database server's disk counts as full.
const SERVER_FULL_FOR: Span = Span::secs(15);
/// Name of the reserve beside the database.
const RESERVE_NAME: &str = "reserve";
/// Time between two looks at the room.
const EVERY: Duration = Duration::from_secs(2);

/// The state of the disk, as people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskState {
    Well,
    /// Less than 5 % are free.
    Low {
        free_mib: u64,
    },
    /// The disk refused to keep something, or the reserve is spent.
    Full,
    /// The disk of the database server refused to keep something a moment ago.
    ServerFull,
}

impl DiskState {
    /// Tells whether nothing more can be kept.
    pub fn is_full(self) -> bool {
        matches!(self, DiskState::Full | DiskState::ServerFull)
    }

    /// The sentence for people; `None` where all is well.
    pub fn say(self) -> Option<Sentence> {
        match self {
            DiskState::Well => None,
            DiskState::Low { free_mib } if free_mib >= 1_024 => {
                Some(said!("disk.low", free = format!("{} GB", free_mib / 1_024)))
            }
            DiskState::Low { free_mib } => Some(said!("disk.low", free = format!("{free_mib} MB"))),
            DiskState::Full => Some(said!("disk.full")),
            DiskState::ServerFull => Some(said!("disk.full_on_server")),
        }
    }
}

/// The file that holds room for urgent orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reserve {
    /// The disk never had room for it.
    Absent,
    Kept,
    /// Urgent orders have its room.
    Spent,
}

struct Inside {
    reserve: Reserve,
    /// The disk refused something, and no room was seen since.
    refused: bool,
    state: DiskState,
    server_refused: Option<Moment>,
}

/// The disk under the database.
pub struct Disk {
    folder: PathBuf,
    inside: Mutex<Inside>,
}

impl Disk {
    /// Looks at the disk of this folder, and makes the reserve where there is room.
    pub fn open(folder: &Path) -> Arc<Self> {
        let inside =
            Inside { reserve: Reserve::Absent, refused: false, state: DiskState::Well, server_refused: None };
        let disk = Self { folder: folder.to_owned(), inside: Mutex::new(inside) };
        disk.look();
        Arc::new(disk)
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state at the last look or refusal.
    pub fn state(&self) -> DiskState {
        let inside = self.lock();
        let is_of_now = |refused: Moment| monotonic().since(refused) < SERVER_FULL_FOR;
        match inside.state {
            DiskState::Full => DiskState::Full,
            _ if inside.server_refused.is_some_and(is_of_now) => DiskState::ServerFull,
            state => state,
        }
    }

    /// Notes that the disk of the database server refused something. Nobody here sees when there is room again: it counts as
    /// full until it has refused nothing for a while.
    pub fn note_refusal_of_server(&self) {
        let before = self.state();
        self.lock().server_refused = Some(monotonic());
        if before != DiskState::ServerFull {
            tracing::error!("the disk of the database server is full");
        }
    }

    /// Tells whether what room there is belongs to urgent orders.
    pub fn is_kept_for_urgent(&self) -> bool {
        self.lock().reserve == Reserve::Spent
    }

    /// Tells whether hardly anything more fits, as of now.
    pub fn has_no_room(&self) -> bool {
        self.room().is_some_and(|(free, _)| free < NEEDED_BYTES)
    }

    /// Notes that the disk refused something.
    pub fn note_refusal(&self) {
        let mut inside = self.lock();
        if inside.state != DiskState::Full {
            tracing::error!(folder = %self.folder.display(), "the disk of the centre is full");
        }
        (inside.refused, inside.state) = (true, DiskState::Full);
    }

    /// Lets the reserve go, for an urgent order that found no room; says whether there was any.
    pub fn spend(&self) -> bool {
        let mut inside = self.lock();
        (inside.refused, inside.state) = (true, DiskState::Full);
        if inside.reserve != Reserve::Kept {
            return false;
        }
        match std::fs::remove_file(self.reserve()) {
            Ok(()) => {
                inside.reserve = Reserve::Spent;
                tracing::error!("the disk is full: its reserve is used for urgent orders");
                true
            }
            Err(error) => {
                tracing::error!(%error, "the reserve can't be let go");
                false
            }
        }
    }

    /// Makes room for an urgent order that writes `bytes`, by letting the reserve go where there is less.
    pub fn make_room(&self, bytes: u64) {
        if self.room().is_some_and(|(free, _)| free < bytes.saturating_add(NEEDED_BYTES)) {
            self.spend();
        }
    }

    /// Looks for as long as central runs.
    pub async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(EVERY).await;
            let disk = Arc::clone(&self);
            // The task is only lost when the process ends.
            let _ = tokio::task::spawn_blocking(move || disk.look()).await;
        }
    }

    /// Looks at the room, and makes the reserve again where there is enough.
    pub fn look(&self) {
        let Some((free, whole)) = self.room() else { return };
        let mut inside = self.lock();
        let bytes = RESERVE_BYTES_MAX.min(whole / RESERVE_PART);
        let has_file = std::fs::metadata(self.reserve()).is_ok_and(|file| file.len() == bytes);
        let is_kept = has_file || (free >= 2 * bytes && self.make_reserve(bytes));
        if is_kept {
            inside.reserve = Reserve::Kept;
        } else if free < bytes {
            // Before this start it was spent, or somebody deleted it: the little that is left is for urgent orders.
            inside.reserve = Reserve::Spent;
        } else if inside.reserve == Reserve::Kept {
            inside.reserve = Reserve::Absent;
        }
        inside.refused &= free < HEALED_BYTES;
        let state = if inside.refused || inside.reserve == Reserve::Spent || free < NEEDED_BYTES {
            DiskState::Full
        } else if free < whole / LOW_PART {
            DiskState::Low { free_mib: free >> 20 }
        } else {
            DiskState::Well
        };
        if std::mem::discriminant(&state) != std::mem::discriminant(&inside.state) {
            tracing::warn!(?state, free, folder = %self.folder.display(), "the room on the disk of the centre");
        }
        inside.state = state;
    }

    fn reserve(&self) -> PathBuf {
        self.folder.join(RESERVE_NAME)
    }

    /// Takes the room for the reserve, so that nothing else can have it.
    fn make_reserve(&self, bytes: u64) -> bool {
        let make = || -> std::io::Result<()> {
            let file = std::fs::File::create(self.reserve())?;
            let length = i64::try_from(bytes).map_err(std::io::Error::other)?;
            posix_fallocate(&file, 0, length)?;
            file.sync_all()
        };
        let Err(error) = make() else { return true };
        tracing::warn!(%error, "no reserve can be kept on the disk");
        // Half a reserve would only take room; it may not be there at all.
        let _ = std::fs::remove_file(self.reserve());
        false
    }

    /// Free and whole bytes.
    pub fn room(&self) -> Option<(u64, u64)> {
        let disk = statvfs(&self.folder).ok()?;
        #[allow(clippy::useless_conversion, reason = "32 bits wide on some machines")]
        let bytes = |blocks| u64::from(blocks).saturating_mul(u64::from(disk.fragment_size()));
        Some((bytes(disk.blocks_available()), bytes(disk.blocks())))
    }
}
