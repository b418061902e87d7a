use std::fs;

use tempfile::TempDir;

use super::unwritten::ENTRIES_WAITING_MAX;
use super::*;
use loaxa_heart::domain::ids::CommandId;
use loaxa_heart::domain::playback::{Entry, Event, Stamp};
use loaxa_heart::wire::chain::verify_chain;
use loaxa_heart::wire::messages::LogBody;

fn box_id() -> BoxId {
    BoxId::new("loa-1").unwrap()
}

fn entry_at(wall: Wall, event: Event) -> Change {
    let at = Stamp { start: 1, mono_us: 0, wall, quality: ClockQuality::Synced, uncertainty_ms: 1 };
    Change::Log(Box::new(Entry { at, event }))
}

fn entry(n: u64) -> Change {
    entry_at(Wall(n as i64), Event::DeviceLost { detail: n.to_string() })
}

fn remember(key: &str, value: &str) -> Change {
    Change::Remember { key: key.to_owned(), value: Some(value.to_owned()) }
}

fn open(dir: &TempDir) -> Opened {
    BoxStore::open(&dir.path().join("box.db"), &box_id()).unwrap()
}

fn all(store: &BoxStore) -> Vec<LogRecord> {
    store.pending(0, usize::MAX >> 1, usize::MAX).unwrap()
}

fn events(store: &BoxStore) -> Vec<Event> {
    let body = |record: &LogRecord| serde_json::from_str::<LogBody>(&record.body).unwrap();
    all(store).iter().map(|record| body(record).entry.event).collect()
}

fn numbers(store: &BoxStore) -> Vec<u64> {
    all(store).iter().map(|record| record.seq).collect()
}

#[test]
fn everything_is_there_after_a_start() {
    let dir = TempDir::new().unwrap();
    let id = CommandId::new("c-1").unwrap();
    let mut store = open(&dir).store;
    let epoch = store.epoch();
    let kept = |n| Change::Checkpoint { play: PlayId::new(1, n), played: Some(Span::secs(10)) };
    let changes = vec![
        entry(1),
        entry(2),
        remember("a", "1"),
        remember("b", "2"),
        Change::KeepCommand { id: id.clone(), envelope: b"{}".to_vec() },
        Change::KeepDocument { name: "trust".to_owned(), envelope: Some(b"t".to_vec()) },
        kept(1),
        kept(2),
    ];
    assert_eq!(store.commit(changes), Ok(2));
    let forgotten = vec![
        Change::Remember { key: "b".to_owned(), value: None },
        Change::Checkpoint { play: PlayId::new(1, 1), played: None },
        entry(3),
    ];
    assert_eq!(store.commit(forgotten), Ok(3));
    drop(store);

    let Opened { mut store, replaced } = open(&dir);
    assert_eq!((replaced, store.epoch(), store.start_number()), (None, epoch, 2));
    assert_eq!((store.last_seq(), store.backlog(), store.last_known().synced), (3, 3, Wall(3)));
    assert_eq!(store.memory().unwrap(), [("a".to_owned(), "1".to_owned())].into());
    assert_eq!(store.commands().unwrap(), [("c-1".to_owned(), b"{}".to_vec())].into());
    assert_eq!(store.documents().unwrap(), [("trust".to_owned(), b"t".to_vec())].into());
    assert_eq!(store.checkpoints().unwrap(), [(PlayId::new(1, 2), Span::secs(10))].into());
    assert_eq!(store.commit([entry(4), Change::ForgetCommand { id }]), Ok(4));
    assert!(store.commands().unwrap().is_empty());
    assert_eq!(verify_chain(&box_id(), epoch, Link::FIRST, &all(&store)).unwrap().seq, 5);
}

#[test]
fn a_position_alone_leaves_the_database_as_it_is() {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir).store;
    let database = || {
        let files = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path());
        let of_it = files.filter(|path| path.to_string_lossy().contains("box.db"));
        of_it.map(|path| (std::fs::read(&path).unwrap(), path)).collect::<Vec<_>>()
    };
    let position =
        |n: u32, s: u64| Change::Checkpoint { play: PlayId::new(1, n), played: Some(Span::secs(s)) };
    store.commit([entry(1), position(1, 10), position(2, 90)]).unwrap();
    let before = database();
    store.commit([position(1, 20)]).unwrap();
    store.commit([position(1, 30), position(2, 80)]).unwrap();
    assert!(!store.has_unwritten() && database() == before, "only the file of positions was written");
    drop(store);
    let mut store = open(&dir).store;
    let expected = [(PlayId::new(1, 1), Span::secs(30)), (PlayId::new(1, 2), Span::secs(90))];
    assert_eq!(store.checkpoints().unwrap(), expected.into(), "of two positions the later is true");
    // A play that is closed is not opened again by what its file says.
    store.commit([Change::Checkpoint { play: PlayId::new(1, 2), played: None }]).unwrap();
    store.commit([position(1, 40)]).unwrap();
    drop(store);
    let expected = [(PlayId::new(1, 1), Span::secs(40))];
    assert_eq!(open(&dir).store.checkpoints().unwrap(), expected.into());
}

#[test]
fn without_a_file_for_them_positions_go_into_the_database() {
    let dir = TempDir::new().unwrap();
    std::fs::create_dir(dir.path().join("box.positions-1")).unwrap();
    let mut store = open(&dir).store;
    store.commit([Change::Checkpoint { play: PlayId::new(1, 1), played: Some(Span::secs(10)) }]).unwrap();
    drop(store);
    assert_eq!(open(&dir).store.checkpoints().unwrap(), [(PlayId::new(1, 1), Span::secs(10))].into());
}

#[test]
fn the_last_known_time_follows_confirmed_times_back_and_others_only_forth() {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir).store;
    let mut check = |quality, wall, expected: (i64, i64)| {
        let at = Stamp { start: 1, mono_us: 0, wall: Wall(wall), quality, uncertainty_ms: 1 };
        let event = Event::DeviceBack;
        store.commit([Change::Log(Box::new(Entry { at, event }))]).unwrap();
        let LastKnown { synced, believed } = store.last_known();
        assert_eq!((synced.0, believed.0), expected);
    };
    check(ClockQuality::Synced, 100, (100, 100));
    check(ClockQuality::Floor, 900, (100, 900));
    check(ClockQuality::Floor, 500, (100, 900));
    check(ClockQuality::None, 9_000, (100, 900));
    check(ClockQuality::Synced, 120, (120, 120));
    drop(store);
    assert_eq!(open(&dir).store.last_known(), LastKnown { synced: Wall(120), believed: Wall(120) });
}

#[test]
fn batches_are_bounded_and_acknowledgements_believed_only_when_possible() {
    let mut store = BoxStore::volatile(&box_id()).unwrap();
    store.commit((1..=5).map(entry)).unwrap();
    let size = store.pending(1, 1, usize::MAX).unwrap()[0].body.len();
    let check = |from, records, bytes, expected: &[u64]| {
        let found = store.pending(from, records, bytes).unwrap();
        assert_eq!(found.iter().map(|record| record.seq).collect::<Vec<_>>(), expected);
    };
    check(0, 2, usize::MAX, &[1, 2]);
    check(4, 200, usize::MAX, &[4, 5]);
    check(6, 200, usize::MAX, &[]);
    check(2, 200, 1, &[2]);
    check(2, 200, size * 3, &[2, 3]);
    let epoch = store.epoch();
    assert_eq!(store.acknowledge(Epoch(epoch.0 ^ 1), 3), Ok(false));
    assert_eq!(store.acknowledge(epoch, 6), Ok(false));
    assert_eq!(store.acknowledge(epoch, 3), Ok(true));
    assert_eq!(store.acknowledge(epoch, 1), Ok(true));
    assert_eq!(store.backlog(), 2);
}

#[test]
fn only_the_acknowledged_and_old_are_deleted() {
    let day = |n: u64| Wall(0).plus(Span::secs(n * 24 * 3600));
    let mut store = BoxStore::volatile(&box_id()).unwrap();
    let epoch = store.epoch();
    store.commit((1..=40).map(|n| entry_at(day(n), Event::DeviceBack))).unwrap();
    assert_eq!(store.trim(day(40)), Ok(0));
    assert_eq!(store.oldest(), Ok(1));
    store.acknowledge(epoch, 5).unwrap();
    store.trim(day(40)).unwrap();
    assert_eq!(store.oldest(), Ok(6));
    store.acknowledge(epoch, 40).unwrap();
    store.trim(day(40)).unwrap();
    assert_eq!(store.oldest(), Ok(10));
    store.trim(day(400)).unwrap();
    assert_eq!(numbers(&store), [40]);
    assert_eq!(store.commit([entry(41)]), Ok(41));
}

#[test]
fn beyond_its_bound_the_log_counts_what_it_gives_up() {
    let mut store = BoxStore::volatile(&box_id()).unwrap();
    store.commit((1..=10).map(entry)).unwrap();
    store.acknowledge(store.epoch(), 2).unwrap();
    assert_eq!(store.trim_beyond(Wall(0), 6), Ok(2));
    assert_eq!(numbers(&store), [5, 6, 7, 8, 9, 10]);
    assert_eq!(store.trim_beyond(Wall(0), 6), Ok(0));
    assert_eq!(store.backlog(), 6);
}

/// Breaks the disk, writes, heals it, and writes again.
fn check_a_failing_disk(breaks: &str, heals: &str, expected: StoreError) {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir).store;
    store.commit([entry(1)]).unwrap();
    store.connection.execute_batch(breaks).unwrap();
    let large = Event::DeviceLost { detail: "x".repeat(20_000) };
    assert_eq!(store.commit([entry_at(Wall(2), large.clone()), remember("a", "1")]), Err(expected));
    for n in 0..ENTRIES_WAITING_MAX as u64 + 4 {
        assert!(store.commit([entry(n), remember("a", "2")]).is_err());
    }
    assert!(store.has_unwritten());
    store.connection.execute_batch(heals).unwrap();
    store.commit([entry(7)]).unwrap();
    assert!(!store.has_unwritten());
    let events = events(&store);
    assert_eq!(events.len(), 3 + ENTRIES_WAITING_MAX);
    assert_eq!(events[1], Event::EntriesLost { count: 5 });
    assert_eq!(events.last(), Some(&Event::DeviceLost { detail: "7".to_owned() }));
    assert_eq!(store.memory().unwrap()["a"], "2");
    assert!(verify_chain(&box_id(), store.epoch(), Link::FIRST, &all(&store)).is_ok());
}

#[test]
fn a_full_or_read_only_disk_loses_nothing_unseen() {
    check_a_failing_disk("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 100000", StoreError::Full);
    check_a_failing_disk("PRAGMA query_only = 1", "PRAGMA query_only = 0", StoreError::ReadOnly);
}

#[test]
fn an_entry_that_is_too_long_is_counted() {
    let mut store = BoxStore::volatile(&box_id()).unwrap();
    let huge = Event::DeviceLost { detail: "x".repeat(100_000) };
    assert_eq!(store.commit([entry_at(Wall(1), huge)]), Ok(0));
    store.commit([entry(1)]).unwrap();
    assert_eq!(events(&store)[0], Event::EntriesLost { count: 1 });
}

/// A store with 60 entries and one memory, damaged by `damage`.
fn damaged(damage: impl FnOnce(&mut Vec<u8>)) -> (TempDir, Epoch) {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir).store;
    for n in 1..=60 {
        store.commit([entry(n)]).unwrap();
    }
    store.commit([remember("a", "1")]).unwrap();
    let epoch = store.epoch();
    drop(store);
    let path = dir.path().join("box.db");
    let mut bytes = fs::read(&path).unwrap();
    damage(&mut bytes);
    fs::write(&path, bytes).unwrap();
    (dir, epoch)
}

#[test]
fn a_damaged_store_is_put_aside() {
    let check = |damage: fn(&mut Vec<u8>), remembers: bool| {
        let (dir, epoch) = damaged(damage);
        let Opened { mut store, replaced } = open(&dir);
        assert_eq!(replaced.as_deref(), Some("box.db.damaged-1"));
        assert!(dir.path().join("box.db.damaged-1").exists());
        assert_ne!(store.epoch(), epoch);
        assert_eq!(store.commit([entry(1)]), Ok(1));
        assert_eq!(store.memory().unwrap().contains_key("a"), remembers);
        drop(store);
        assert_eq!(open(&dir).replaced, None);
    };
    check(|bytes| bytes[..16].fill(b'?'), false);
    check(|bytes| bytes.truncate(5_000), false);
    check(|bytes| bytes.fill(0xa5), false);
    let in_an_entry = |bytes: &mut Vec<u8>| {
        let needle = b"\"detail\":\"58\"";
        let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
        bytes[at + 11] = b'9';
    };
    check(in_an_entry, true);
}

#[test]
fn a_flipped_bit_never_stops_the_box() {
    let (dir, _) = damaged(|_| ());
    let path = dir.path().join("box.db");
    let whole = fs::read(&path).unwrap();
    for n in 0..100 {
        let mut bytes = whole.clone();
        let at = n * 7_919 % bytes.len();
        bytes[at] ^= 1 << (n % 8);
        fs::write(&path, bytes).unwrap();
        let mut store = open(&dir).store;
        store.commit([entry(1), remember("b", "2")]).unwrap();
        store.memory().unwrap();
        drop(store);
        fs::read_dir(dir.path()).unwrap().for_each(|file| fs::remove_file(file.unwrap().path()).unwrap());
    }
}

#[test]
fn the_store_of_another_box_is_not_taken_over() {
    let dir = TempDir::new().unwrap();
    open(&dir).store.commit([entry(1)]).unwrap();
    let other = BoxStore::open(&dir.path().join("box.db"), &BoxId::new("loa-2").unwrap()).unwrap();
    assert!(other.replaced.is_some());
    assert_eq!(other.store.last_seq(), 0);
}

#[test]
fn a_fork_begins_a_new_epoch_and_keeps_the_memory() {
    let dir = TempDir::new().unwrap();
    let mut store = open(&dir).store;
    let epoch = store.epoch();
    store.commit([entry(1), remember("a", "1")]).unwrap();
    assert_eq!(store.begin_epoch().unwrap(), "box.db.damaged-1");
    assert_ne!(store.epoch(), epoch);
    store.commit([entry(1)]).unwrap();
    drop(store);
    let Opened { store, replaced } = open(&dir);
    assert_eq!((replaced, store.last_seq(), store.start_number()), (None, 1, 3));
    assert_eq!(store.memory().unwrap().len(), 1);
}
