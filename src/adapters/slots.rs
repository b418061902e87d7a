//! Versions of the program on the disk of a box: staged whole, and one small file that says which of them runs.
//!
//! Each step leaves the disk so that the launcher finds a program, wherever the power goes: what is written is on the
//! disk before it gets its name, and its name is on the disk before anything counts on it.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use loaxa_heart::decide::slots::{Instant, Slots, Version};
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::software;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

use crate::clock::monotonic;
use crate::fetch::hash_of_file;

/// Name of the file that says which version runs.
const SLOTS: &str = "slots.json";

/// Largest such file, in bytes.
const SLOTS_BYTES_MAX: u64 = 64 * 1024;

/// Folder of the versions, each in one of its own under its hash.
const VERSIONS: &str = "versions";

/// Name of the program in the folder of its version.
const PROGRAM: &str = "loaxa";

/// Bytes at the begin of a program that tell its architecture.
const HEADER_BYTES: usize = 64;

/// The file operations of an upgrade, so that a test can cut the power between any two.
pub trait Disk {
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Copies a program, and lets it be started.
    fn copy(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Waits until the content of a file, or the names in a folder, are on the disk.
    fn sync(&self, path: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Deletes a folder with all that is in it.
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>>;
    fn names(&self, dir: &Path) -> io::Result<Vec<String>>;
    fn hash(&self, path: &Path) -> io::Result<ContentHash>;
}

/// The file system of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileSystem;

impl Disk for FileSystem {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        fs::write(path, bytes)
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::copy(from, to)?;
        fs::set_permissions(to, Permissions::from_mode(0o755))
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        use std::io::Read;
        let mut bytes = Vec::new();
        File::open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        let names = fs::read_dir(dir)?.filter_map(|found| found.ok()?.file_name().into_string().ok());
        Ok(names.collect())
    }

    fn hash(&self, path: &Path) -> io::Result<ContentHash> {
        hash_of_file(path)
    }
}

/// A reason for which a program is not staged.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum StageError {
    /// The file is not the program that was ordered.
    Damaged,
    /// The program is for another machine.
    Architecture {
        found: &'static str,
    },
    Disk(#[from] io::Error),
}

impl Say for StageError {
    fn say(&self) -> Sentence {
        match self {
            StageError::Damaged => said!("stage.damaged"),
            StageError::Architecture { found } => {
                said!("stage.architecture", found, machine = this_architecture())
            }
            StageError::Disk(error) => said!("stage.disk", error),
        }
    }
}

/// The folder with the versions of a box.
#[derive(Debug, Clone)]
pub struct SlotsDir<D = FileSystem> {
    root: PathBuf,
    disk: D,
}

impl SlotsDir {
    /// The folder below the state of a box.
    pub fn below(state_dir: &Path) -> Self {
        Self { root: state_dir.join("software"), disk: FileSystem }
    }
}

impl<D: Disk> SlotsDir<D> {
    /// Reads which versions there are. A file that is absent or damaged tells of none: then what the package installed
    /// runs.
    pub fn read(&self) -> Slots {
        let read = self.disk.read(&self.root.join(SLOTS), SLOTS_BYTES_MAX);
        read.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Writes which versions there are. When this returns, it is on the disk; before, the old state is.
    ///
    /// # Errors
    /// Fails when the disk refuses.
    pub fn write(&self, slots: &Slots) -> io::Result<()> {
        let (fresh, place) = (self.root.join("slots.new"), self.root.join(SLOTS));
        self.disk.make_dir(&self.root)?;
        self.disk.write(&fresh, &serde_json::to_vec_pretty(slots)?)?;
        self.disk.sync(&fresh)?;
        self.disk.rename(&fresh, &place)?;
        self.disk.sync(&self.root)
    }

    /// Returns where the program of a version lies.
    pub fn program(&self, sha256: &ContentHash) -> PathBuf {
        self.folder(sha256).join(PROGRAM)
    }

    fn folder(&self, sha256: &ContentHash) -> PathBuf {
        self.root.join(VERSIONS).join(sha256.to_string())
    }

    /// Tells whether the program of a version is there as it was ordered.
    pub fn is_whole(&self, version: &Version) -> bool {
        self.disk.hash(&self.program(&version.sha256)).is_ok_and(|found| found == version.sha256)
    }

    /// Copies a program that came into its place.
    ///
    /// # Errors
    /// Fails when it is not the content that its hash names, is for another machine, or the disk refuses.
    pub fn stage(&self, from: &Path, version: &Version) -> Result<(), StageError> {
        let header = self.disk.read(from, HEADER_BYTES as u64)?;
        let found = software::architecture(&header).unwrap_or("?");
        if found != this_architecture() {
            return Err(StageError::Architecture { found });
        }
        let (versions, folder) = (self.root.join(VERSIONS), self.folder(&version.sha256));
        let part = folder.join("part");
        self.disk.make_dir(&folder)?;
        self.disk.copy(from, &part)?;
        self.disk.sync(&part)?;
        if self.disk.hash(&part)? != version.sha256 {
            self.disk.remove(&folder)?;
            return Err(StageError::Damaged);
        }
        self.disk.rename(&part, &self.program(&version.sha256))?;
        for dir in [&folder, &versions, &self.root] {
            self.disk.sync(dir)?;
        }
        if let Some(above) = self.root.parent() {
            self.disk.sync(above)?;
        }
        Ok(())
    }

    /// Deletes the versions that neither `slots` nor `also` names.
    ///
    /// # Errors
    /// Fails when the disk refuses.
    pub fn tidy(&self, slots: &Slots, also: Option<&ContentHash>) -> io::Result<()> {
        let needed: BTreeSet<_> =
            slots.in_use().map(|version| &version.sha256).chain(also).map(ContentHash::to_string).collect();
        let versions = self.root.join(VERSIONS);
        for name in self.disk.names(&versions).unwrap_or_default() {
            if !needed.contains(&name) {
                self.disk.remove(&versions.join(name))?;
            }
        }
        Ok(())
    }
}

/// Returns the architecture of this machine, as Debian names it.
pub fn this_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "armhf",
        other => other,
    }
}

/// Returns the instant by the machine's own clock.
pub fn instant() -> Instant {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Instant { boot: boot.trim().to_owned(), uptime_s: monotonic().0 / 1_000_000 }
}

/// Has the kernel end this process after so many seconds, also when it has become another program meanwhile.
pub fn end_after(seconds: u32) {
    nix::unistd::alarm::set(seconds);
}

/// Takes [`end_after`] back.
pub fn end_no_more() {
    nix::unistd::alarm::cancel();
}

#[cfg(test)]
mod tests;
