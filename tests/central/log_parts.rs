//! The log on a server, in a table for each month of arrival: two centrals make and fill them at once, an earlier database is
//! carried over, and months that are over are dropped.

use std::sync::Arc;

use loaxa_central::store::sql::SqlStore;
use loaxa_central::store::{Batch, Keeping, Log, LogFilter, LogRow, Perishable, Record};
use loaxa_heart::domain::ids::{BoxId, Epoch};
use loaxa_heart::domain::playback::{Entry, Event, Stamp};
use loaxa_heart::domain::time::{ClockQuality, Span, Wall};
use loaxa_heart::wire::chain;

use crate::support::commune::until;
use crate::support::postgres::Cluster;

/// Midnight of the end of November 2026, as UTC counts.
const END: Wall = Wall(1_796_083_200_000_000);
const EPOCH: Epoch = Epoch(7);

/// Batches of a box's log, of so many entries each.
fn batches(id: &BoxId, count: usize, of_each: usize) -> Vec<Batch> {
    let mut link = chain::Link::FIRST;
    let at = Stamp { start: 1, mono_us: 1, wall: END, quality: ClockQuality::Synced, uncertainty_ms: 1 };
    let mut of_batch = || {
        let mut record = || {
            let entry = Entry { at, event: Event::DeviceBack };
            let record = link.record(id, EPOCH, entry.clone()).unwrap();
            let prev = link.prev;
            link = chain::Link::after(record.seq, &record.body);
            Record { seq: record.seq, hash: link.prev, prev, body: record.body, entry, implausible: None }
        };
        let records = (0..of_each).map(|_| record()).collect();
        Batch { id: id.clone(), epoch: EPOCH, arrived: END, oldest: 1, records, head: None }
    };
    (0..count).map(|_| of_batch()).collect()
}

fn box_id(n: usize) -> BoxId {
    format!("loa-{n}").parse().unwrap()
}

fn open(cluster: &Cluster, name: &str) -> SqlStore {
    SqlStore::open_at(&cluster.database(name), None).unwrap()
}

async fn all(store: &SqlStore) -> Vec<LogRow> {
    store.log(LogFilter { limit: 1_000, ..LogFilter::default() }).await.unwrap()
}

const DOUBLED: &str = "SELECT count(*) - count(DISTINCT (box, epoch, seq)) FROM log";

#[tokio::test(flavor = "multi_thread")]
async fn two_centrals_take_the_same_batches_in_once() {
    const BOXES: usize = 12;
    const BATCHES: usize = 12;
    let cluster = Cluster::start();
    cluster.create("xa");
    let stores = [open(&cluster, "xa"), open(&cluster, "xa")].map(Arc::new);
    // Each takes everything, before and after midnight, by a clock of its own; no part is there when they begin.
    let arrivals = [Wall(END.0 - 1), END];
    let tasks: Vec<_> = (0..BOXES)
        .flat_map(|n| {
            stores.iter().zip(arrivals).map(move |(store, arrived)| (n, Arc::clone(store), arrived))
        })
        .map(|(n, store, arrived)| {
            tokio::spawn(async move {
                let mut added = 0;
                for batch in batches(&box_id(n), BATCHES, 3) {
                    let taken = store.ingest(Batch { arrived, ..batch }).await.unwrap().await.unwrap();
                    assert_eq!((taken.forked, taken.after_gap, taken.added + taken.known), (false, 0, 3));
                    added += taken.added;
                }
                added
            })
        })
        .collect();
    let mut added = 0;
    for task in tasks {
        added += task.await.unwrap();
    }
    assert_eq!(added as usize, BOXES * BATCHES * 3);
    assert_eq!(cluster.sql("xa", "SELECT count(*) FROM log"), added.to_string());
    assert_eq!(cluster.sql("xa", DOUBLED), "0");
}

/// The head of a log is a lock of its own: whoever has it keeps another out who takes the same batch.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_waits_for_who_has_the_head_of_its_log() {
    let cluster = Arc::new(Cluster::start());
    cluster.create("xa");
    let store = open(&cluster, "xa");
    let of_box = batches(&box_id(1), 2, 1);
    store.ingest(of_box[0].clone()).await.unwrap().await.unwrap();
    let holder = Arc::clone(&cluster);
    let held = std::thread::spawn(move || {
        holder.sql("xa", "BEGIN; UPDATE heads SET forked = forked; SELECT pg_sleep(600)");
    });
    let holder_of =
        "SELECT pid FROM pg_stat_activity WHERE query LIKE 'BEGIN; UPDATE heads%' AND wait_event = 'PgSleep'";
    until("the head is held", async || Some(cluster.sql("xa", holder_of)).filter(|pid| !pid.is_empty()))
        .await;
    let answer = store.ingest(of_box[1].clone()).await.unwrap();
    let waits =
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%heads%FOR UPDATE%'";
    until("the batch waits", async || Some(cluster.sql("xa", waits)).filter(|pid| !pid.is_empty())).await;
    let ended = format!("SELECT pg_terminate_backend(pid) FROM ({holder_of}) AS holder");
    cluster.sql("xa", &ended);
    // It tells of its end.
    held.join().unwrap_err();
    assert_eq!(answer.await.unwrap().contiguous_upto, 2);
}

/// The log of the version before, with the rows that are there.
const EARLIER: &str = r#"
    CREATE TABLE kept AS SELECT * FROM log;
    DROP TABLE log;
    DROP SEQUENCE log_cursors;
    CREATE TABLE log (cursor BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, box TEXT COLLATE "C" NOT NULL,
        epoch TEXT COLLATE "C" NOT NULL, seq BIGINT NOT NULL, hash BYTEA NOT NULL, arrived BIGINT NOT NULL, wall BIGINT NOT NULL,
        event TEXT COLLATE "C" NOT NULL, command TEXT COLLATE "C", body TEXT COLLATE "C" NOT NULL,
        implausible TEXT COLLATE "C", UNIQUE (box, epoch, seq));
    CREATE INDEX log_wall ON log (wall);
    CREATE INDEX log_not_played ON log (cursor) WHERE event = 'not_played';
    CREATE INDEX log_slots ON log (box, (json_word(body, '{key,slot}') COLLATE "C"), (json_word(body, '{key,date}') COLLATE "C"))
        WHERE event = 'slot_ended';
    CREATE INDEX log_not_aired ON log (cursor)
        WHERE event = 'slot_ended' AND json_word(body, '{outcome}') COLLATE "C" = 'not_aired';
    CREATE INDEX log_command ON log (command) WHERE command IS NOT NULL;
    CREATE INDEX log_slot_days ON log (box, (json_word(body, '{key,date}') COLLATE "C")) WHERE event = 'slot_ended';
    CREATE INDEX log_box ON log (box, wall);
    INSERT INTO log SELECT * FROM kept;
    SELECT setval('log_cursor_seq', 500);
    DROP TABLE kept;
    UPDATE schema_made SET version = 1, digest = 'earlier';
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_the_version_before_is_carried_over() {
    let cluster = Cluster::start();
    cluster.create("xa");
    let of_box = batches(&box_id(1), 4, 2);
    // The second arrived under a clock that was far ahead.
    let arrivals = [Wall(END.0 - 40 * 86_400_000_000), Wall(4_070_908_800_000_000), Wall(0)];
    let store = open(&cluster, "xa");
    for (batch, arrived) in of_box.iter().zip(arrivals) {
        store.ingest(Batch { arrived, ..batch.clone() }).await.unwrap().await.unwrap();
    }
    let before = all(&store).await;
    assert_eq!(before.len(), 6);
    drop(store);
    cluster.sql("xa", EARLIER);
    // It breaks off in the middle, and leaves all as it was.
    cluster.sql("xa", "CREATE TABLE log_cursors (a INT)");
    assert!(SqlStore::open_at(&cluster.database("xa"), None).is_err());
    let state = "SELECT (SELECT version FROM schema_made), relkind, (SELECT count(*) FROM log) FROM pg_class WHERE relname = 'log'";
    assert_eq!(cluster.sql("xa", state), "1|r|6");
    cluster.sql("xa", "DROP TABLE log_cursors");
    for _ in 0..2 {
        let store = open(&cluster, "xa");
        assert_eq!(all(&store).await, before);
    }
    assert_eq!(cluster.sql("xa", state), "2|p|6");
    let parts = "SELECT part FROM log_parts ORDER BY ends";
    assert_eq!(cluster.sql("xa", parts), "log_earlier\nlog_2099_01");
    let store = open(&cluster, "xa");
    let again = Batch { arrived: Wall(0), ..of_box[1].clone() };
    let again = store.ingest(again).await.unwrap().await.unwrap();
    assert_eq!((again.added, again.known), (0, 2));
    // The month after the present one gets a part of its own.
    let later = Wall(loaxa_adapters::clock::wall().0 + 40 * 86_400_000_000);
    let taken = store.ingest(Batch { arrived: later, ..of_box[3].clone() }).await.unwrap().await.unwrap();
    assert_eq!((taken.added, taken.contiguous_upto), (2, 8));
    assert_eq!(all(&store).await[6].cursor, 502, "no number comes twice, of those that are gone either");
    assert_eq!(cluster.sql("xa", "SELECT count(*) FROM log_parts"), "3");
    assert_eq!(cluster.sql("xa", DOUBLED), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_is_over_is_dropped_once_nobody_reads_it() {
    let cluster = Arc::new(Cluster::start());
    cluster.create("xa");
    let store = open(&cluster, "xa");
    let month_of = |back: i64| Wall(END.0 - back * 31 * 86_400_000_000 - 86_400_000_000);
    for (batch, back) in batches(&box_id(1), 3, 2).into_iter().zip([2, 1, 0]) {
        store.ingest(Batch { arrived: month_of(back), ..batch }).await.unwrap().await.unwrap();
    }
    let parts = || cluster.sql("xa", "SELECT part FROM log_parts ORDER BY ends");
    assert_eq!(parts(), "log_2026_09\nlog_2026_10\nlog_2026_11");
    let reader = Arc::clone(&cluster);
    let reads = std::thread::spawn(move || reader.sql("xa", "SELECT pg_sleep(600) FROM log LIMIT 1"));
    let reading =
        "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND wait_event = 'PgSleep'";
    until("somebody reads", async || Some(cluster.sql("xa", reading)).filter(|pid| !pid.is_empty())).await;
    let now = END.plus(Span::secs(86_400));
    let october = Wall(1_790_812_800_000_000);
    // Row by row, as nobody waits for the reader.
    assert_eq!(store.prune(Perishable::Log, october, now).await.unwrap(), 2);
    assert_eq!(store.prune(Perishable::Log, october, now).await.unwrap(), 0);
    assert_eq!(
        parts(),
        "log_2026_09\nlog_2026_10\nlog_2026_11\nlog_2026_12",
        "the month that comes is there"
    );
    cluster.sql("xa", &format!("SELECT pg_terminate_backend(pid) FROM ({reading}) AS reader"));
    reads.join().unwrap_err();
    assert_eq!(store.prune(Perishable::Log, october, now).await.unwrap(), 0);
    assert_eq!(parts(), "log_2026_10\nlog_2026_11\nlog_2026_12");
    let december = END;
    assert_eq!(store.prune(Perishable::Log, december, now).await.unwrap(), 2, "a month at once");
    assert_eq!(parts(), "log_2026_11\nlog_2026_12");
    assert_eq!(store.prune(Perishable::Log, december, now).await.unwrap(), 2);
    assert_eq!(store.prune(Perishable::Log, december, now).await.unwrap(), 0);
    assert_eq!((parts(), all(&store).await.len()), ("log_2026_12".to_owned(), 0));
    let pruned = store.pruned_logs().await.unwrap();
    assert_eq!((pruned.len(), pruned[0].upto), (1, 6));
    // What was sent before is known still, and the log goes on.
    let of_box = batches(&box_id(1), 4, 2);
    let again = store.ingest(of_box[2].clone()).await.unwrap().await.unwrap();
    assert_eq!((again.known, again.forked), (2, false));
    let next = store.ingest(Batch { arrived: now, ..of_box[3].clone() }).await.unwrap().await.unwrap();
    assert_eq!((next.added, next.contiguous_upto), (2, 8));
}

/// The reading of a month is held up: who writes does not wait for that.
#[tokio::test(flavor = "multi_thread")]
async fn who_writes_waits_for_no_reading_of_a_month_that_goes() {
    let cluster = Arc::new(Cluster::start());
    cluster.create("xa");
    let store = Arc::new(open(&cluster, "xa"));
    let day = 86_400_000_000;
    let arrivals = [Wall(END.0 - 40 * day), Wall(END.0 - 2 * day), Wall(END.0 - day)];
    let of_box = batches(&box_id(1), 3, 2);
    for (batch, arrived) in of_box.iter().zip(arrivals).take(2) {
        store.ingest(Batch { arrived, ..batch.clone() }).await.unwrap().await.unwrap();
    }
    let holder = Arc::clone(&cluster);
    let held = std::thread::spawn(move || {
        holder.sql("xa", "BEGIN; LOCK TABLE signed_heads IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)");
    });
    let holder_of =
        "SELECT pid FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK TABLE%' AND wait_event = 'PgSleep'";
    until("the reading is held up", async || {
        Some(cluster.sql("xa", holder_of)).filter(|pid| !pid.is_empty())
    })
    .await;
    let (november, now) = (Wall(END.0 - 30 * day), END);
    let prunes = Arc::clone(&store);
    let pruning = tokio::spawn(async move { prunes.prune(Perishable::Log, november, now).await });
    let waits =
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%signed_heads%'";
    until("the month is read", async || Some(cluster.sql("xa", waits)).filter(|pid| !pid.is_empty())).await;
    let batch = Batch { arrived: arrivals[2], ..of_box[2].clone() };
    let answer = store.ingest(batch).await.unwrap();
    let taken = tokio::time::timeout(std::time::Duration::from_secs(3), answer).await;
    assert_eq!(taken.expect("nobody waits for the reading").unwrap().added, 2);
    cluster.sql("xa", &format!("SELECT pg_terminate_backend(pid) FROM ({holder_of}) AS holder"));
    held.join().unwrap_err();
    let gone = pruning.await.unwrap().unwrap_or(0);
    let rest = store.prune(Perishable::Log, november, now).await.unwrap();
    assert_eq!((gone + rest, all(&store).await.len()), (2, 4));
}
