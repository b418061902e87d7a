//! The load that a province puts on central: `cargo bench --bench load` prints log entries a second into SQLite and into
//! PostgreSQL from 1,000 boxes, how soon one order reaches 1,000 clients of either broker, and what a heartbeat weighs.
//! With `-- postgres` it only writes into PostgreSQL.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use loaxa_adapters::mqtt::{Link, LinkConfig, LinkEvent, Qos};
use loaxa_central::link::broker::{Broker, Embedded};
use loaxa_central::settings::Logins;
use loaxa_central::store::sql::SqlStore;
use loaxa_central::store::{Batch, Record, SharedStore};
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::ids::{BoxId, Epoch, PlayId};
use loaxa_heart::domain::playback::{
    Entry, Event, NotPlayed, PlayEnd, PlayOutcome, PlayStart, Stamp, Subject,
};
use loaxa_heart::domain::time::{ClockQuality, Wall};
use loaxa_heart::wire::broker_address::BrokerAddress;
use loaxa_heart::wire::chain;
use loaxa_heart::wire::messages::{Heartbeat, Holds, VERSION, commands_digest};
use loaxa_heart::wire::topics::Topic;

const BOXES: usize = 1_000;
const BATCHES_OF_EACH: u64 = 4;
const RECORDS_OF_EACH: u64 = 50;
/// Time between two boxes that send a batch each: 20,000 entries a second.
const EACH_AFTER: Duration = Duration::from_micros(2_500);
const ORDERS: usize = 20;
/// A spoken emergency in its envelope.
const ORDER_BYTES: usize = 1_600;

#[path = "../tests/support/postgres.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod postgres;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let only_postgres = std::env::args().any(|argument| argument == "postgres");
    runtime.block_on(async {
        into_postgres().await;
        if only_postgres {
            return;
        }
        for (how, apart) in [("as fast as they can", Duration::ZERO), ("one after the other", EACH_AFTER)] {
            let dir = tempfile::tempdir().unwrap();
            let store: SharedStore = Arc::new(SqlStore::open(&dir.path().join("central.db")).unwrap());
            ingest(&store, &format!("SQLite, {how}"), apart, not_played).await;
        }
        embedded().await;
        mosquitto().await;
    });
    if !only_postgres {
        heartbeat();
    }
}

/// A server that writes to its disk as one in an office does.
async fn into_postgres() {
    let cluster = postgres::Cluster::start();
    for setting in ["fsync", "synchronous_commit", "full_page_writes", "autovacuum"] {
        cluster.sql("postgres", &format!("ALTER SYSTEM SET {setting} = on"));
    }
    cluster.sql("postgres", "ALTER SYSTEM SET shared_buffers = '512MB'");
    cluster.stop();
    cluster.start_again();
    let of_entries: [(&str, Events); 2] = [("items that did not sound", not_played), ("plays", a_play)];
    for (what, event) in of_entries {
        for (how, apart) in [("as fast as they can", Duration::ZERO), ("one after the other", EACH_AFTER)] {
            let name = format!("load_{}_{}", what.len(), apart.as_micros());
            cluster.create(&name);
            let store = SqlStore::open_at(&cluster.database(&name), None).unwrap();
            let store: SharedStore = Arc::new(store);
            ingest(&store, &format!("PostgreSQL, {what}, {how}"), apart, event).await;
        }
    }
}

fn box_id(n: usize) -> BoxId {
    format!("loa-{n}").parse().unwrap()
}

/// The event of the entry with this number.
type Events = fn(u64) -> Event;

fn not_played(_: u64) -> Event {
    let subject = Subject::Live { voice: "s".to_owned() };
    Event::NotPlayed { subject, title: "Bản tin xã".to_owned(), reason: NotPlayed::Late }
}

/// Starts and ends in turn.
fn a_play(n: u64) -> Event {
    let subject = Subject::Live { voice: "s".to_owned() };
    let play = PlayId::new(1, (n / 2) as u32);
    if n.is_multiple_of(2) {
        Event::PlayStarted(PlayStart {
            play,
            subject,
            rung: Rung::Programme,
            title: "Bản tin xã".to_owned(),
            section: None,
            campaign: None,
            class: None,
            mode: None,
            issuer: None,
            content: None,
            source: "ban-tin.mp3".to_owned(),
            language: "vi".to_owned(),
            repetition: 1,
            scheduled: None,
            entered_at_ms: 0,
            volume_percent: 80,
            instead_of: None,
        })
    } else {
        Event::PlayEnded(PlayEnd {
            play,
            subject,
            outcome: PlayOutcome::Finished,
            started_at: None,
            frames_played: 48_000,
            frames_due: Some(48_000),
            loudness_lufs: None,
            heard: None,
        })
    }
}

/// All batches of one box, checked as central's ingest checks them.
fn batches(n: usize, event: Events) -> Vec<Batch> {
    let (id, epoch) = (box_id(n), Epoch(n as u64 + 1));
    let mut link = chain::Link::FIRST;
    let at = Stamp {
        start: 1,
        mono_us: 1,
        wall: Wall(1_795_221_000_000_000),
        quality: ClockQuality::Synced,
        uncertainty_ms: 1,
    };
    let mut of_batch = |_| {
        let records = (0..RECORDS_OF_EACH).map(|_| {
            let entry = Entry { at, event: event(link.seq - 1) };
            let record = link.record(&id, epoch, entry.clone()).unwrap();
            let prev = link.prev;
            link = chain::Link::after(record.seq, &record.body);
            Record { seq: record.seq, hash: link.prev, prev, body: record.body, entry, implausible: None }
        });
        Batch { id: id.clone(), epoch, arrived: Wall(1), oldest: 1, records: records.collect(), head: None }
    };
    (0..BATCHES_OF_EACH).map(&mut of_batch).collect()
}

/// `apart` is the time between the beginnings of two boxes; each sends its next batch when it has the answer.
async fn ingest(store: &SharedStore, how: &str, apart: Duration, event: Events) {
    let all: Vec<Vec<Batch>> = (0..BOXES).map(|n| batches(n, event)).collect();
    let begun = Instant::now();
    let tasks: Vec<_> = all
        .into_iter()
        .zip(0..)
        .map(|(of_box, n)| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let mut took = Vec::new();
                // At a steady rate each sends one batch.
                let count = if apart.is_zero() { of_box.len() } else { 1 };
                tokio::time::sleep(apart * n).await;
                for batch in of_box.into_iter().take(count) {
                    let sent = Instant::now();
                    store.ingest(batch).await.unwrap().await.unwrap();
                    took.push(sent.elapsed());
                }
                took
            })
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.unwrap());
    }
    let seconds = begun.elapsed().as_secs_f64();
    let entries = took.len() as u64 * RECORDS_OF_EACH;
    println!(
        "ingest, {how}: {entries} entries of {BOXES} boxes in {seconds:.2} s, {:.0} a second; a batch of {RECORDS_OF_EACH} \
         is on disk within {:?} (p50), {:?} (p99)",
        entries as f64 / seconds,
        part(&mut took, 50),
        part(&mut took, 99),
    );
}

fn part(took: &mut [Duration], percent: usize) -> Duration {
    took.sort();
    took[(took.len() * percent / 100).min(took.len() - 1)]
}

async fn embedded() {
    let listen = "127.0.0.1:0".parse().unwrap();
    let broker = Embedded::start(listen, Logins::NameAlone, "secret".to_owned()).await.unwrap();
    fan_out("embedded broker", broker.address()).await;
    Box::new(broker).stop().await;
}

async fn mosquitto() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("mosquitto.conf");
    std::fs::write(&config, format!("listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"))
        .unwrap();
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let mut broker = Command::new("mosquitto")
        .env("PATH", path)
        .arg("-c")
        .arg(config)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    fan_out("mosquitto", &format!("mqtt://127.0.0.1:{port}").parse().unwrap()).await;
    broker.kill().unwrap();
    broker.wait().unwrap();
}

/// From the publication to the last of the clients that has it, over and over.
async fn fan_out(name: &str, broker: &BrokerAddress) {
    let topic = Topic::Group("xa".parse().unwrap());
    let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let (connected, mut connections) = tokio::sync::mpsc::unbounded_channel();
    let mut links = Vec::new();
    for n in 0..BOXES {
        let mut config = LinkConfig::new(
            BrokerAddress { login: Some((format!("loa-{n}"), "x".to_owned())), ..broker.clone() },
            format!("loa-{n}"),
        );
        config.subscriptions = vec![topic.to_string()];
        config.reconnect_s_min = 0.1;
        config.reconnect_s_max = 1.0;
        let (link, mut events) = Link::connect(config).unwrap();
        links.push(link);
        let (arrived, connected) = (arrived.clone(), connected.clone());
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                match event {
                    LinkEvent::Message { .. } => drop(arrived.send(Instant::now())),
                    LinkEvent::Connected => drop(connected.send(())),
                    _ => {}
                }
            }
        });
    }
    let (central, mut events) = Link::connect(LinkConfig::new(broker.clone(), "central")).unwrap();
    while events.recv().await != Some(LinkEvent::Connected) {}
    for _ in 0..BOXES {
        connections.recv().await;
    }
    let mut took = Vec::new();
    for _ in 0..ORDERS {
        let sent = Instant::now();
        central.publish(&topic, vec![7; ORDER_BYTES], Qos::AtLeastOnce).unwrap();
        let mut last = sent;
        for _ in 0..BOXES {
            last = arrivals.recv().await.unwrap();
        }
        took.push(last - sent);
    }
    println!(
        "fan-out: one order of {ORDER_BYTES} bytes to the last of {BOXES} clients of the {name}: {:?} (p50), {:?} (worst \
         of {ORDERS}); clients and broker share this machine",
        part(&mut took, 50),
        part(&mut took, 100),
    );
}

fn heartbeat() {
    let heartbeat = Heartbeat {
        v: VERSION,
        wall: Wall(1_795_221_000_123_456),
        clock: ClockQuality::Synced,
        nonce: None,
        on_air: None,
        holds: None,
        held: Some(
            Holds {
                commands: commands_digest([]),
                programmes: [("binh-minh".parse().unwrap(), 12)].into(),
                trust: 3,
                policy: 2,
                groups: 5,
                ..Holds::default()
            }
            .digest(),
        ),
        backlog: 0,
        faults: Vec::new(),
        usage: None,
        upgrade: None,
    };
    let payload = loaxa_heart::wire::codec::encode(&heartbeat).len();
    // MQTT 5 at QoS 0: fixed header 3, topic and its length, an empty property list.
    let packet = payload + 3 + 2 + "loaxa/v1/box/thon-dong-1/up/heartbeat".len() + 1;
    // A TLS 1.3 record: 5 + 1 + 16; TCP and IPv4 with timestamps: 52, and 52 for the acknowledgement.
    let on_the_wire = packet + 22 + 52 + 52;
    println!(
        "heartbeat: {payload} bytes of JSON, {packet} as an MQTT packet, {on_the_wire} on the wire with TLS 1.3 and TCP"
    );
}
