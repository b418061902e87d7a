//! Power cuts between any two file operations of an upgrade, on a disk that forgets what was not synchronised.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::*;
use loaxa_heart::decide::slots::{Launch, Start, Verdict};
use loaxa_heart::domain::software::Release;

/// A file or folder: what programs see, and what is still there after a power cut.
#[derive(Debug, Clone, Default)]
struct Names {
    seen: BTreeMap<PathBuf, usize>,
    kept: BTreeMap<PathBuf, usize>,
    /// Contents by number, as seen and as kept.
    contents: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The way in which a disk loses what was not synchronised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// Everything that was done is there, the operation under way half.
    Nothing,
    /// Neither content nor names.
    All,
    /// Names are there, and their contents are empty.
    Contents,
}

/// A disk in memory whose power goes after so many operations.
#[derive(Debug, Clone, Default)]
struct Cut {
    names: Rc<RefCell<Names>>,
    left: Rc<Cell<Option<usize>>>,
    done: Rc<Cell<usize>>,
}

impl Cut {
    fn step(&self) -> io::Result<bool> {
        self.done.set(self.done.get() + 1);
        match self.left.get() {
            Some(0) => Err(io::Error::other("the power is gone")),
            Some(left) => {
                self.left.set(Some(left - 1));
                Ok(left == 1)
            }
            None => Ok(false),
        }
    }

    /// The power comes back.
    fn back(&self, loss: Loss) {
        self.left.set(None);
        let names = &mut *self.names.borrow_mut();
        match loss {
            Loss::Nothing => {}
            Loss::All => {
                names.seen.clone_from(&names.kept);
                names.contents.iter_mut().for_each(|(seen, kept)| seen.clone_from(kept));
            }
            Loss::Contents => names.contents.iter_mut().for_each(|(seen, kept)| seen.clone_from(kept)),
        }
        names.kept.clone_from(&names.seen);
        names.contents.iter_mut().for_each(|(seen, kept)| kept.clone_from(seen));
    }

    fn put(&self, path: &Path, bytes: &[u8]) {
        let names = &mut *self.names.borrow_mut();
        let number = names.contents.len();
        let number = *names.seen.entry(path.to_owned()).or_insert(number);
        if number == names.contents.len() {
            names.contents.push((Vec::new(), Vec::new()));
        }
        names.contents[number].0 = bytes.to_vec();
    }
}

/// The number of a folder, which has no content.
const FOLDER: usize = usize::MAX;

impl Disk for Cut {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        for above in path.ancestors() {
            self.names.borrow_mut().seen.entry(above.to_owned()).or_insert(FOLDER);
        }
        Ok(())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let is_last = self.step()?;
        self.put(path, if is_last { &bytes[..bytes.len() / 2] } else { bytes });
        Ok(())
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        let bytes = self.look(from)?;
        self.write(to, &bytes)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        let names = &mut *self.names.borrow_mut();
        match names.seen.get(path) {
            None => return Err(io::ErrorKind::NotFound.into()),
            Some(&FOLDER) => {
                let within = |other: &Path| other.parent() == Some(path);
                names.kept.retain(|other, _| !within(other));
                let here = names.seen.iter().filter(|(other, _)| within(other));
                names.kept.extend(here.map(|(other, number)| (other.clone(), *number)));
            }
            Some(&number) => {
                let content = &mut names.contents[number];
                content.1.clone_from(&content.0);
            }
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        let names = &mut *self.names.borrow_mut();
        let number = names.seen.remove(from).ok_or(io::ErrorKind::NotFound)?;
        names.seen.insert(to.to_owned(), number);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.names.borrow_mut().seen.retain(|other, _| !other.starts_with(path));
        Ok(())
    }

    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = self.look(path)?;
        bytes.truncate(bytes_max as usize);
        Ok(bytes)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        let names = self.names.borrow();
        let here = names.seen.keys().filter(|path| path.parent() == Some(dir));
        Ok(here.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect())
    }

    fn hash(&self, path: &Path) -> io::Result<ContentHash> {
        Ok(ContentHash::of(&self.look(path)?))
    }
}

impl Cut {
    /// Reads as a program does: a file whose folder is gone can't be found.
    fn look(&self, path: &Path) -> io::Result<Vec<u8>> {
        let names = self.names.borrow();
        let reachable = path.ancestors().skip(1).all(|above| names.seen.contains_key(above));
        let number = names.seen.get(path).filter(|number| reachable && **number != FOLDER);
        number.map(|number| names.contents[*number].0.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn program(text: &str) -> Vec<u8> {
    let machine = match this_architecture() {
        "amd64" => 62,
        "arm64" => 183,
        _ => 40,
    };
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    bytes.resize(18, 0);
    bytes.extend([machine, 0]);
    bytes.extend(text.as_bytes());
    bytes
}

fn release(text: &str) -> Release {
    text.parse().unwrap()
}

fn version(text: &str) -> Version {
    Version { release: release(text), sha256: ContentHash::of(&program(text)) }
}

const PACKAGE: &str = "1.0.0";

fn dir(disk: &Cut) -> SlotsDir<Cut> {
    SlotsDir { root: PathBuf::from("/state/software"), disk: disk.clone() }
}

/// A box that runs 1.1.0, and has 1.2.0 among its downloads.
fn a_box() -> Cut {
    let disk = Cut::default();
    disk.make_dir(Path::new("/state/media")).unwrap();
    for text in ["1.1.0", "1.2.0"] {
        disk.put(&media(text), &program(text));
    }
    let slots_dir = dir(&disk);
    slots_dir.stage(&media("1.1.0"), &version("1.1.0")).unwrap();
    let mut slots = Slots::default();
    slots.try_out(version("1.1.0"), 1);
    slots.keep(release(PACKAGE));
    slots_dir.write(&slots).unwrap();
    disk.back(Loss::Nothing);
    disk.done.set(0);
    disk
}

fn media(text: &str) -> PathBuf {
    Path::new("/state/media").join(text)
}

/// Starts a program as the launcher does, and returns its release.
fn start(slots_dir: &SlotsDir<Cut>, boot: &str) -> io::Result<String> {
    let before = slots_dir.read();
    let now = Instant { boot: boot.to_owned(), uptime_s: 1 };
    let Launch { start, slots } =
        before.clone().launch(release(PACKAGE), &now, |version| slots_dir.is_whole(version));
    if slots != before {
        slots_dir.write(&slots)?;
    }
    Ok(match start {
        Start::Trial { version, .. } | Start::Kept(version) => {
            assert!(slots_dir.is_whole(&version), "{} is started damaged", version.release);
            version.release.to_string()
        }
        Start::Installed => "installed".to_owned(),
    })
}

/// The life of an upgrade: staged, put on trial, started, and kept or given up; what is not needed any more goes.
fn upgrade(slots_dir: &SlotsDir<Cut>, verdict: Verdict) -> Result<(), StageError> {
    slots_dir.tidy(&slots_dir.read(), Some(&version("1.2.0").sha256))?;
    slots_dir.stage(&media("1.2.0"), &version("1.2.0"))?;
    let mut slots = slots_dir.read();
    slots.try_out(version("1.2.0"), 2);
    slots_dir.write(&slots)?;
    start(slots_dir, "first")?;
    let mut slots = slots_dir.read();
    match verdict {
        Verdict::Kept => slots.keep(release(PACKAGE)),
        verdict => slots.give_up(verdict),
    }
    slots_dir.write(&slots)?;
    slots_dir.tidy(&slots, None)?;
    start(slots_dir, "first")?;
    Ok(())
}

#[test]
fn wherever_the_power_goes_the_old_or_the_new_program_starts() {
    let mut points = 0;
    for verdict in [Verdict::Kept, Verdict::NoContact] {
        let whole = a_box();
        upgrade(&dir(&whole), verdict).unwrap();
        for cut in 1..whole.done.get() {
            for loss in [Loss::Nothing, Loss::All, Loss::Contents] {
                let disk = a_box();
                let slots_dir = dir(&disk);
                disk.left.set(Some(cut));
                assert!(upgrade(&slots_dir, verdict).is_err(), "{cut} operations were all");
                disk.back(loss);
                points += 1;
                // Whatever was under way, the box starts, also when the power goes again and again.
                for boot in 0..4 {
                    let started = start(&slots_dir, &boot.to_string()).unwrap();
                    let of_both = ["1.1.0", "1.2.0"].contains(&started.as_str());
                    assert!(of_both, "{started} starts after {cut} operations, {loss:?}, {verdict:?}");
                }
            }
        }
    }
    assert!(points >= 50, "{points}");
}

#[test]
fn what_is_staged_outlives_a_power_cut() {
    for loss in [Loss::All, Loss::Contents] {
        let disk = a_box();
        let slots_dir = dir(&disk);
        slots_dir.stage(&media("1.2.0"), &version("1.2.0")).unwrap();
        disk.back(loss);
        let mut slots = slots_dir.read();
        slots.try_out(version("1.2.0"), 2);
        slots_dir.write(&slots).unwrap();
        assert_eq!(start(&slots_dir, "a").unwrap(), "1.2.0", "{loss:?}");
    }
}

#[test]
fn two_power_cuts_at_the_first_start_bring_the_old_program_back() {
    let disk = a_box();
    let slots_dir = dir(&disk);
    slots_dir.stage(&media("1.2.0"), &version("1.2.0")).unwrap();
    let mut slots = slots_dir.read();
    slots.try_out(version("1.2.0"), 2);
    slots_dir.write(&slots).unwrap();
    let mut started = Vec::new();
    for boot in ["a", "b", "c"] {
        started.push(start(&slots_dir, boot).unwrap());
        disk.back(Loss::All);
    }
    assert_eq!(started, ["1.2.0", "1.2.0", "1.1.0"]);
    assert_eq!(slots_dir.read().last.map(|last| last.verdict), Some(Verdict::Ended));
}

#[test]
fn a_power_cut_while_a_start_is_counted_starts_no_third_trial() {
    for cut in 1..5 {
        for loss in [Loss::Nothing, Loss::All, Loss::Contents] {
            let disk = a_box();
            let slots_dir = dir(&disk);
            slots_dir.stage(&media("1.2.0"), &version("1.2.0")).unwrap();
            let mut slots = slots_dir.read();
            slots.try_out(version("1.2.0"), 2);
            slots_dir.write(&slots).unwrap();
            let mut trials = 0;
            for boot in 0..6 {
                disk.left.set((boot < 2).then_some(cut));
                // The program itself starts only where its start was counted.
                let started = start(&slots_dir, &boot.to_string());
                trials += u32::from(started.is_ok_and(|started| started == "1.2.0"));
                disk.back(loss);
            }
            assert!(trials <= 2 && slots_dir.read().trial.is_none(), "{trials} after {cut}, {loss:?}");
        }
    }
}

#[test]
fn a_damaged_file_and_one_for_another_machine_are_not_staged() {
    let disk = a_box();
    let slots_dir = dir(&disk);
    disk.put(&media("bad"), &program("something else"));
    assert!(matches!(slots_dir.stage(&media("bad"), &version("1.2.0")), Err(StageError::Damaged)));
    let mut other = program("1.2.0");
    other[18] = 21;
    disk.put(&media("other"), &other);
    let refused = slots_dir.stage(&media("other"), &version("1.2.0"));
    assert!(matches!(refused, Err(StageError::Architecture { .. })));
    disk.put(&media("script"), b"#!/bin/sh\n");
    let refused = slots_dir.stage(&media("script"), &version("1.2.0"));
    assert!(matches!(refused, Err(StageError::Architecture { .. })));
    assert_eq!(slots_dir.disk.names(Path::new("/state/software/versions")).unwrap().len(), 1);
}

#[test]
fn slots_that_can_not_be_read_start_what_the_package_installed() {
    let disk = a_box();
    let slots_dir = dir(&disk);
    for bad in ["", "{", "[]", r#"{"current":{"release":"x","sha256":"00"}}"#] {
        disk.put(Path::new("/state/software/slots.json"), bad.as_bytes());
        assert_eq!(start(&slots_dir, "a").unwrap(), "installed");
    }
}
