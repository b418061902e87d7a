//! The load that a province puts on central: `cargo bench --bench load` prints log entries a second into SQLite from
//! 1,000 boxes, how soon one order reaches 1,000 clients of either broker, and what a heartbeat weighs.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use loaxa_adapters::mqtt::{Link, LinkConfig, LinkEvent, Qos};
use loaxa_central::link::broker::{Broker, Embedded};
use loaxa_central::settings::Logins;
use loaxa_central::store::sql::SqlStore;
use loaxa_central::store::{Batch, Record, SharedStore};
use loaxa_heart::domain::ids::{BoxId, Epoch};
use loaxa_heart::domain::playback::{Entry, Event, NotPlayed, Stamp, Subject};
use loaxa_heart::domain::time::{ClockQuality, Wall};
use loaxa_heart::wire::broker_address::BrokerAddress;
use loaxa_heart::wire::chain;
use loaxa_heart::wire::messages::{Heartbeat, Holds, VERSION, commands_digest};
use loaxa_heart::wire::topics::Topic;

const BOXES: usize = 1_000;
const BATCHES_OF_EACH: u64 = 4;
const RECORDS_OF_EACH: u64 = 50;
const ORDERS: usize = 20;
/// A spoken emergency in its envelope.
const ORDER_BYTES: usize = 1_600;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        ingest("as fast as they can", Duration::ZERO).await;
        // 400 batches, 20,000 entries a second.
        ingest("one after the other", Duration::from_micros(2_500)).await;
        embedded().await;
        mosquitto().await;
    });
    heartbeat();
}

fn box_id(n: usize) -> BoxId {
    format!("loa-{n}").parse().unwrap()
}

/// All batches of one box, checked as central's ingest checks them.
fn batches(n: usize) -> Vec<Batch> {
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
            let subject = Subject::Live { voice: "s".to_owned() };
            let event =
                Event::NotPlayed { subject, title: "Bản tin xã".to_owned(), reason: NotPlayed::Late };
            let entry = Entry { at, event };
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
async fn ingest(how: &str, apart: Duration) {
    let dir = tempfile::tempdir().unwrap();
    let store: SharedStore = Arc::new(SqlStore::open(&dir.path().join("central.db")).unwrap());
    let all: Vec<Vec<Batch>> = (0..BOXES).map(batches).collect();
    let begun = Instant::now();
    let tasks: Vec<_> = all
        .into_iter()
        .zip(0..)
        .map(|(of_box, n)| {
            let store = Arc::clone(&store);
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
