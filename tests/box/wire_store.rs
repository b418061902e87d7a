//! The box store under kill -9: what a commit said is on the disk is on the disk, as a whole.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use loaxa_adapters::box_store::{BoxStore, Change, Opened};
use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::domain::playback::{Entry, Event, Stamp};
use loaxa_heart::domain::time::{ClockQuality, Wall};
use loaxa_heart::wire::chain::{Link, verify_chain};

/// Variable by which the parent tells the child where the store is.
const CHILD: &str = "LOAXA_TEST_STORE";

/// The child prints a number only after its commit has returned.
const COMMITS_BEFORE_KILL: [u64; 8] = [1, 2, 3, 7, 20, 45, 80, 120];

fn open(path: &Path) -> Opened {
    BoxStore::open(path, &BoxId::new("loa-1").unwrap()).unwrap()
}

/// Two entries and what the heart remembers of them, together.
fn changes(n: u64) -> [Change; 3] {
    let at = Stamp { start: 1, mono_us: n, wall: Wall(0), quality: ClockQuality::None, uncertainty_ms: 0 };
    let entry = || Change::Log(Box::new(Entry { at, event: Event::DeviceBack }));
    [entry(), Change::Remember { key: "n".to_owned(), value: Some(n.to_string()) }, entry()]
}

/// Not a test of its own: writes until it is killed, where the parent test asks for it.
#[test]
fn child() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let mut store = open(Path::new(&path)).store;
    for n in store.last_seq() / 2 + 1.. {
        store.commit(changes(n)).unwrap();
        writeln!(std::io::stderr(), "{n}").unwrap();
    }
}

#[test]
fn killed_at_any_moment_nothing_that_was_promised_is_lost() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("box.db");
    let mut epoch = None;
    for commits in COMMITS_BEFORE_KILL {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "wire_store::child", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut promised = 0;
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        for line in lines.take(commits as usize) {
            promised = line.unwrap().parse().unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let Opened { store, replaced } = open(&path);
        assert_eq!(replaced, None);
        assert_eq!(*epoch.get_or_insert(store.epoch()), store.epoch());
        assert!(store.last_seq() >= 2 * promised, "{} of {promised} commits", store.last_seq());
        let whole = store.last_seq() / 2;
        assert_eq!(store.last_seq(), 2 * whole);
        assert_eq!(store.memory().unwrap()["n"], whole.to_string());
        let records = store.pending(0, usize::MAX >> 1, usize::MAX).unwrap();
        let end = verify_chain(&BoxId::new("loa-1").unwrap(), store.epoch(), Link::FIRST, &records);
        assert_eq!(end.unwrap().seq, store.last_seq() + 1);
    }
}
