//! A disk that may lose power: it has what it was asked to keep, and anything of the rest.
//!
//! A file's bytes are kept by a sync of the file; names by a sync of their folder. Of what came since, each sector of
//! 512 bytes may be as of a moment of its own, and names may be there up to any of their changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::disk_trace::Step;

const SECTOR: usize = 512;

/// Numbers that look random and are the same for a seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % bound as u64) as usize
    }
}

/// The way in which a disk loses what it was not asked to keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// Nothing: a process that was killed.
    Nothing,
    Everything,
    /// Each file has what came before some moment, and a part of the next write.
    Late,
    /// Each sector is as of a moment of its own.
    Torn,
}

impl Loss {
    pub fn any(dice: &mut Dice) -> Self {
        [Loss::Nothing, Loss::Everything, Loss::Late, Loss::Late, Loss::Torn, Loss::Torn][dice.below(6)]
    }
}

/// The content of a folder.
#[derive(Debug, Default, Clone)]
pub struct Content {
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    pub folders: BTreeSet<PathBuf>,
    pub links: BTreeMap<PathBuf, PathBuf>,
}

impl Content {
    /// Reads a folder without its sockets.
    pub fn of(folder: &Path) -> Self {
        let mut content = Self::default();
        content.read(folder);
        content
    }

    fn read(&mut self, folder: &Path) {
        self.folders.insert(folder.to_owned());
        for entry in std::fs::read_dir(folder).unwrap() {
            let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type().unwrap())).unwrap();
            if kind.is_dir() {
                self.read(&path);
            } else if kind.is_file() {
                self.files.insert(path.clone(), std::fs::read(&path).unwrap());
            } else if kind.is_symlink() {
                self.links.insert(path.clone(), std::fs::read_link(&path).unwrap());
            }
        }
    }

    /// Writes what lay below `from` into the folder `to`.
    pub fn lay(&self, from: &Path, to: &Path) {
        let moved = |path: &Path| to.join(path.strip_prefix(from).unwrap());
        for folder in &self.folders {
            std::fs::create_dir_all(moved(folder)).unwrap();
        }
        for (path, bytes) in &self.files {
            let path = moved(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        for (path, target) in &self.links {
            let (path, inside) = (moved(path), target.starts_with(from));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let target = if inside { moved(target) } else { target.clone() };
            std::os::unix::fs::symlink(target, path).unwrap();
        }
    }
}

/// A thing that has a name.
#[derive(Debug, Clone, PartialEq)]
enum Thing {
    File(usize),
    Link(PathBuf),
    Folder,
}

#[derive(Debug, Clone)]
enum NameChange {
    Made(PathBuf, Thing),
    Moved(PathBuf, PathBuf, Thing),
    Removed(PathBuf),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Thing>) {
        match self {
            NameChange::Made(path, thing) => drop(names.insert(path.clone(), thing.clone())),
            NameChange::Moved(from, to, thing) => {
                names.remove(from);
                names.insert(to.clone(), thing.clone());
            }
            NameChange::Removed(path) => drop(names.remove(path)),
        }
    }

    fn is_in(&self, folder: &Path) -> bool {
        match self {
            NameChange::Made(path, _) | NameChange::Removed(path) => path.parent() == Some(folder),
            NameChange::Moved(from, to, _) => [from, to].iter().any(|path| path.parent() == Some(folder)),
        }
    }
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(at, written) => {
                let end = at + written.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(written);
            }
            Change::Length(length) => bytes.resize(*length, 0),
        }
    }
}

#[derive(Debug, Default)]
struct File {
    /// The bytes that the disk was asked to keep.
    kept: Vec<u8>,
    /// The changes since, and how many there were before.
    since: Vec<Change>,
    settled: usize,
    /// The bytes that programs see.
    seen: Vec<u8>,
}

impl File {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.since.push(change);
    }

    fn after(&self, loss: Loss, dice: &mut Dice) -> Vec<u8> {
        match loss {
            Loss::Nothing => self.seen.clone(),
            Loss::Everything => self.kept.clone(),
            Loss::Late => {
                let mut bytes = self.kept.clone();
                let whole = dice.below(self.since.len() + 1);
                self.since[..whole].iter().for_each(|change| change.apply(&mut bytes));
                if let Some(Change::Write(at, written)) = self.since.get(whole) {
                    for sector in (0..written.len()).step_by(SECTOR) {
                        if dice.below(2) == 0 {
                            let part = written[sector..written.len().min(sector + SECTOR)].to_vec();
                            Change::Write(at + sector, part).apply(&mut bytes);
                        }
                    }
                }
                bytes
            }
            Loss::Torn => self.torn(dice),
        }
    }

    fn torn(&self, dice: &mut Dice) -> Vec<u8> {
        let moments = self.since.len() + 1;
        let mut then = self.kept.clone();
        let longest = self.since.iter().fold(then.len(), |longest, change| match change {
            Change::Write(at, written) => longest.max(at + written.len()),
            Change::Length(length) => longest.max(*length),
        });
        let of_sector: Vec<usize> = (0..longest.div_ceil(SECTOR)).map(|_| dice.below(moments)).collect();
        let of_length = dice.below(moments);
        let (mut bytes, mut length) = (vec![0; longest], 0);
        for moment in 0..moments {
            if let Some(change) = moment.checked_sub(1).map(|before| &self.since[before]) {
                change.apply(&mut then);
            }
            for sector in (0..of_sector.len()).filter(|sector| of_sector[*sector] == moment) {
                let (from, to) = (sector * SECTOR, ((sector + 1) * SECTOR).min(then.len()));
                if from < to {
                    bytes[from..to].copy_from_slice(&then[from..to]);
                }
            }
            if of_length == moment {
                length = then.len();
            }
        }
        bytes.truncate(length);
        bytes
    }
}

/// The subject of a sync that has begun.
enum Sync {
    File { file: usize, until: usize },
    Folder { path: PathBuf, until: usize },
}

/// The disk below one folder.
pub struct Disk {
    root: PathBuf,
    files: Vec<File>,
    /// Names as programs see them, and as the disk was asked to keep them.
    seen: BTreeMap<PathBuf, Thing>,
    kept: BTreeMap<PathBuf, Thing>,
    /// Changes of names since, each with its number.
    since: Vec<(usize, NameChange)>,
    name_changes: usize,
    positions: HashMap<i32, u64>,
    syncs: HashMap<usize, Sync>,
    /// A file or folder whose syncs are not heard, and with a folder those of all files in it.
    pub unasked: Option<PathBuf>,
}

impl Disk {
    /// A disk that was asked to keep all of this.
    pub fn new(root: &Path, content: &Content) -> Self {
        let mut files = Vec::new();
        let mut kept = BTreeMap::new();
        for (path, bytes) in &content.files {
            kept.insert(path.clone(), Thing::File(files.len()));
            files.push(File { kept: bytes.clone(), seen: bytes.clone(), ..File::default() });
        }
        kept.extend(content.folders.iter().map(|path| (path.clone(), Thing::Folder)));
        kept.extend(content.links.iter().map(|(path, target)| (path.clone(), Thing::Link(target.clone()))));
        let seen = kept.clone();
        Self {
            root: root.to_owned(),
            files,
            seen,
            kept,
            since: Vec::new(),
            name_changes: 0,
            positions: HashMap::new(),
            syncs: HashMap::new(),
            unasked: None,
        }
    }

    fn rename(&mut self, change: NameChange) {
        change.apply(&mut self.seen);
        self.name_changes += 1;
        self.since.push((self.name_changes, change));
    }

    fn file(&self, path: &Path) -> Option<usize> {
        match self.seen.get(path) {
            Some(Thing::File(file)) => Some(*file),
            _ => None,
        }
    }

    /// Does what a program did. Steps outside of the root are left out.
    pub fn apply(&mut self, step: &Step) {
        let inside = |path: &Path| path.starts_with(&self.root);
        match step {
            Step::Opened { fd, path, may_make, empties, appends } if inside(path) => {
                if *may_make && !self.seen.contains_key(path) {
                    self.files.push(File::default());
                    self.rename(NameChange::Made(path.clone(), Thing::File(self.files.len() - 1)));
                }
                let Some(file) = self.file(path) else { return };
                if *empties && !self.files[file].seen.is_empty() {
                    self.files[file].change(Change::Length(0));
                }
                let at = if *appends { self.files[file].seen.len() as u64 } else { 0 };
                self.positions.insert(*fd, at);
            }
            Step::Sought { fd, to } => drop(self.positions.insert(*fd, *to)),
            Step::Wrote { fd, path, at, bytes } if inside(path) => {
                let Some(file) = self.file(path) else { return };
                let place = self.positions.entry(*fd).or_default();
                let at = at.unwrap_or_else(|| std::mem::replace(place, *place + bytes.len() as u64));
                self.files[file].change(Change::Write(at as usize, bytes.clone()));
            }
            Step::Length { path, bytes } => {
                if let Some(file) = self.file(path) {
                    self.files[file].change(Change::Length(*bytes as usize));
                }
            }
            Step::Moved { from, to } if inside(to) => {
                let thing = self.seen[from].clone();
                assert_ne!(thing, Thing::Folder, "what lies in a folder would have to move with it");
                self.rename(NameChange::Moved(from.clone(), to.clone(), thing));
            }
            Step::Removed { path } if inside(path) => self.rename(NameChange::Removed(path.clone())),
            Step::Folder { path } if inside(path) => {
                self.rename(NameChange::Made(path.clone(), Thing::Folder));
            }
            Step::Linked { path, target } if inside(path) => {
                self.rename(NameChange::Made(path.clone(), Thing::Link(target.clone())));
            }
            Step::SyncBegins { call, path } => {
                if self.unasked.is_some()
                    && [Some(path.as_path()), path.parent()].contains(&self.unasked.as_deref())
                {
                    return;
                }
                let sync = match self.seen.get(path) {
                    Some(Thing::File(file)) => {
                        let changed = &self.files[*file];
                        Sync::File { file: *file, until: changed.settled + changed.since.len() }
                    }
                    Some(Thing::Folder) => Sync::Folder { path: path.clone(), until: self.name_changes },
                    _ => return,
                };
                self.syncs.insert(*call, sync);
            }
            Step::SyncEnds { call } => self.synced(*call),
            _ => {}
        }
    }

    fn synced(&mut self, call: usize) {
        match self.syncs.remove(&call) {
            Some(Sync::File { file, until }) => {
                let file = &mut self.files[file];
                // Another sync of the same file may have ended meanwhile.
                let changes = until.saturating_sub(file.settled);
                file.settled += changes;
                for change in file.since.drain(..changes) {
                    change.apply(&mut file.kept);
                }
            }
            Some(Sync::Folder { path, until }) => {
                let is_kept =
                    |(number, change): &mut (usize, NameChange)| *number <= until && change.is_in(&path);
                let kept: Vec<_> = self.since.extract_if(.., is_kept).collect();
                for (_, change) in &kept {
                    change.apply(&mut self.kept);
                    // What has its new name on the disk no longer gets the old one.
                    if let NameChange::Moved(from, ..) = change {
                        self.since.retain(
                            |(_, earlier)| !matches!(earlier, NameChange::Made(path, _) if path == from),
                        );
                    }
                }
            }
            None => {}
        }
    }

    /// Makes the content of the disk as it may be when the power is back.
    pub fn after(&self, loss: Loss, dice: &mut Dice) -> Content {
        let mut names = self.kept.clone();
        let there = match loss {
            Loss::Nothing => self.since.len(),
            Loss::Everything => 0,
            Loss::Late | Loss::Torn => dice.below(self.since.len() + 1),
        };
        self.since[..there].iter().for_each(|(_, change)| change.apply(&mut names));
        let mut content = Content::default();
        for (path, thing) in names {
            match thing {
                Thing::File(file) => drop(content.files.insert(path, self.files[file].after(loss, dice))),
                Thing::Link(target) => drop(content.links.insert(path, target)),
                Thing::Folder => drop(content.folders.insert(path)),
            }
        }
        content
    }
}
