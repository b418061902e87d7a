//! The cost of boxes and readers to a centre: `cargo bench --bench centre [heartbeats] [report] [queue]` prints the CPU of a
//! heartbeat for numbers of boxes and of live commands, with exact topics and with a wildcard of each box; welcomes and pages
//! while a year's report is asked for without a pause, over two million plays; and hellos that mosquitto keeps for a centre
//! that is slow. The boxes are a process of their own.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use loaxa_adapters::mqtt::{Link, LinkConfig, LinkEvent, Qos};
use loaxa_central::Central;
use loaxa_central::settings::{BoxDeclared, BrokerChoice, Group, Keys, Logins, Settings};
use loaxa_central::store::NewCommand;
use loaxa_heart::config::store_file::Database;
use loaxa_heart::decide::delivery::CommandKind;
use loaxa_heart::domain::announcement::{BulletinClass, Mode};
use loaxa_heart::domain::authority::{Grant, Power, Trust};
use loaxa_heart::domain::ids::{BoxId, CommandId, Epoch, GroupId};
use loaxa_heart::domain::time::{ClockQuality, Span, Wall};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Heartbeat, Hello, Holds, TrustMessage, VERSION, commands_digest};
use loaxa_heart::wire::signing::SecretKey;
use loaxa_heart::wire::topics::{self, Topic, Up};

const VILLAGES: usize = 500;
const PLAYS: u32 = 2_000_000;
const TOKEN: &str = "a-token-for-the-bench";
/// Heartbeats that are measured of each box.
const BEATS: usize = 3;
/// Pause between two boxes, so that the centre is never behind.
const APART: Duration = Duration::from_micros(700);
const QUEUED_BOXES: usize = 5_000;
/// Boxes that say hello while reports are asked for, five times each.
const WELCOMED: usize = 40;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if args.first().is_some_and(|arg| arg == "boxes") {
        let number = |at: usize| args[at].parse::<usize>().expect("a number");
        runtime.block_on(be_boxes(number(1) as u16, number(2), number(3), args[4] == "exact"));
        return;
    }
    let asked = |what: &str| args.is_empty() || args.iter().any(|arg| arg == what);
    runtime.block_on(async {
        if asked("heartbeats") {
            for (boxes, live, topics) in [
                (100, 0, "exact"),
                (1_000, 0, "wildcard"),
                (1_000, 0, "exact"),
                (1_000, 6_000, "exact"),
                (3_000, 6_000, "exact"),
            ] {
                heartbeats(boxes, live, topics).await;
            }
        }
        if asked("report") {
            report().await;
        }
        if asked("queue") {
            for queued in [1_000, 20_000] {
                queue(queued).await;
            }
        }
    });
}

fn village(n: usize) -> GroupId {
    format!("thon-{}", n % VILLAGES).parse().expect("a name")
}

fn box_id(n: usize) -> BoxId {
    format!("loa-{n}").parse().expect("a name")
}

fn command_id(n: usize) -> CommandId {
    format!("20261126-101010-{n:08x}").parse().expect("a name")
}

/// The state of box `n` where the live commands are spread over the villages.
fn holds(n: usize, live: usize) -> Holds {
    let mut ids: Vec<_> = (0..live).filter(|of| of % VILLAGES == n % VILLAGES).map(command_id).collect();
    ids.sort();
    Holds { commands: commands_digest(&ids), trust: 1, ..Holds::default() }
}

fn settings(dir: &Path, boxes: usize) -> Settings {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let key = SecretKey::from_seed(&[9; 32]);
    let grant = Grant {
        key: key.key_id(),
        public: key.public().to_string(),
        holder: "Trung tâm".to_owned(),
        powers: [Power::Central].into(),
        groups: ["xa".parse().expect("a name")].into(),
        level: 1,
        valid_from: None,
        account: None,
        valid_until: None,
    };
    let trust =
        Trust { version: 1, grants: vec![grant], thresholds: Vec::new(), nesting: Default::default() };
    let trust = codec::seal(&TrustMessage { v: VERSION, trust }, &[&SecretKey::from_seed(&[8; 32])]);
    let top = Group { id: "xa".parse().expect("a name"), title: "Tỉnh".to_owned(), parent: None };
    let villages = (0..VILLAGES).map(|n| Group {
        id: village(n),
        title: format!("Thôn số {n}"),
        parent: Some(top.id.clone()),
    });
    let declared = (0..boxes).map(|n| BoxDeclared {
        id: box_id(n),
        title: format!("Loa {n}"),
        groups: vec![village(n)],
        key: Some("a-key".to_owned()),
    });
    Settings {
        listen: local,
        public_url: None,
        peer_url: None,
        page: Default::default(),
        data_dir: dir.to_owned(),
        commune: "Tỉnh Thử".to_owned(),
        broker: BrokerChoice::Embedded { listen: local, logins: Logins::NameAlone },
        database: Database::Sqlite(dir.join("central.db")),
        token: TOKEN.to_owned(),
        second_factor: false,
        everyday: Default::default(),
        keys: Keys { central: key, issuers: Vec::new(), trust },
        speech: Vec::new(),
        scanner: Vec::new(),
        cap: None,
        calling: Default::default(),
        training: Default::default(),
        reporting: Default::default(),
        groups: std::iter::once(top.clone()).chain(villages).collect(),
        boxes: declared.collect(),
        enrolment: None,
        trust_first_use: false,
    }
}

/// Time of the CPU that this process has used.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("a Linux system");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = [fields[11], fields[12]].iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// A process of boxes that does what a line says.
struct Boxes {
    child: Child,
    says: BufReader<std::process::ChildStdout>,
}

impl Boxes {
    fn start(port: u16, count: usize, live: usize, topics: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["boxes", &port.to_string(), &count.to_string(), &live.to_string(), topics])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let says = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, says }
    }

    fn do_it(&mut self, what: &str) {
        writeln!(self.child.stdin.as_mut().expect("it is piped"), "{what}").expect("it listens");
        let mut line = String::new();
        self.says.read_line(&mut line).expect("it answers");
    }
}

impl Drop for Boxes {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Plays the boxes: connects all, and says what a line on stdin asks for.
async fn be_boxes(port: u16, count: usize, live: usize, exact: bool) {
    let mut links = Vec::new();
    for n in 0..count {
        let id = box_id(n);
        let address = format!("mqtt://{id}:x@127.0.0.1:{port}").parse().expect("an address");
        let mut config = LinkConfig::new(address, id.as_str());
        config.subscriptions = match exact {
            true => topics::box_filters(&id, &[village(n), "xa".parse().expect("a name")]),
            false => vec![
                format!("loaxa/v1/box/{id}/down/+"),
                Topic::Group(village(n)).to_string(),
                "loaxa/v1/group/xa/down/command".to_owned(),
            ],
        };
        config.reconnect_s_min = 0.1;
        config.reconnect_s_max = 1.0;
        let (link, mut events) = Link::connect(config).expect("a link");
        tokio::spawn(async move { while events.recv().await.is_some() {} });
        links.push(link);
        if n % 50 == 49 {
            while !links.iter().all(Link::is_connected) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    while !links.iter().all(Link::is_connected) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        for (n, link) in links.iter().enumerate() {
            let (up, qos, bytes) = match line.as_str() {
                "hello" => (Up::Hello, Qos::AtLeastOnce, hello(&box_id(n), n.to_string(), holds(n, live))),
                _ => (Up::Heartbeat, Qos::AtMostOnce, heartbeat(holds(n, live))),
            };
            let _ = link.publish(&Topic::Up(box_id(n), up), bytes, qos);
            tokio::time::sleep(APART).await;
        }
        println!("done");
    }
}

fn hello(id: &BoxId, nonce: String, holds: Holds) -> Vec<u8> {
    codec::encode(&Hello {
        v: VERSION,
        box_id: id.clone(),
        software: "bench".to_owned(),
        languages: Vec::new(),
        key: None,
        epoch: Epoch(7),
        nonce,
        clock: ClockQuality::Synced,
        wall: Wall(0),
        holds,
        upgrade: None,
    })
}

fn heartbeat(holds: Holds) -> Vec<u8> {
    codec::encode(&Heartbeat {
        v: VERSION,
        wall: Wall(0),
        clock: ClockQuality::Synced,
        nonce: None,
        on_air: None,
        holds: None,
        held: Some(holds.digest()),
        backlog: 0,
        faults: Vec::new(),
        usage: None,
        upgrade: None,
    })
}

async fn add_live(central: &Central, live: usize) {
    let now = loaxa_adapters::clock::wall();
    for n in 0..live {
        let command = NewCommand {
            id: command_id(n),
            kind: CommandKind::Announce,
            issuer: "an".parse().expect("a name"),
            serial: n as u64 + 1,
            issued_at: now,
            expires: now.plus(Span::secs(86_400)),
            groups: vec![village(n)],
            title: "Bản tin thôn".to_owned(),
            class: Some(BulletinClass::Normal),
            mode: Some(Mode::Actual),
            author: "An".to_owned(),
            approver: None,
            payload: "{}".to_owned(),
            envelope: vec![7; 900],
            ends: Vec::new(),
            document: None,
            moves: Vec::new(),
            boxes: Vec::new(),
            basis: None,
        };
        central.store().add_command(command).await.expect("it is kept");
    }
}

async fn heartbeats(count: usize, live: usize, topics: &str) {
    let dir = tempfile::tempdir().expect("a folder");
    let central = Central::start(settings(dir.path(), count)).await.expect("central starts");
    add_live(&central, live).await;
    let port = central.broker_addr().expect("it is embedded").port();
    let mut boxes = Boxes::start(port, count, live, topics);
    // The first heartbeat after a hello finds out that nothing is lacking.
    boxes.do_it("hello");
    boxes.do_it("heartbeat");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (before, begun) = (cpu(), Instant::now());
    for _ in 0..BEATS {
        boxes.do_it("heartbeat");
    }
    let (used, took) = (cpu() - before, begun.elapsed());
    let before = cpu();
    tokio::time::sleep(took).await;
    let idle = cpu() - before;
    let each = used.saturating_sub(idle).as_secs_f64() * 1e6 / (count * BEATS) as f64;
    println!(
        "heartbeat: {each:.0} µs of CPU of centre and embedded broker, {count} boxes with {topics} topics, {live} live \
         commands ({} heartbeats in {:.1} s; at rest {:.1} ms of CPU a second)",
        count * BEATS,
        took.as_secs_f64(),
        idle.as_secs_f64() * 1e3 / took.as_secs_f64()
    );
    drop(boxes);
    central.stop().await;
}

/// Two million plays of 5,000 boxes in a year.
fn write_plays(path: &Path) {
    let db = rusqlite::Connection::open(path).expect("the database");
    let begun = Instant::now();
    db.execute_batch(&format!(
        "PRAGMA synchronous = OFF; BEGIN;
         INSERT INTO plays (box, epoch, play, start, subject, subject_id, title, section, class, mode, rung, source,
                            language, repetition, volume_percent, opened, started, ended, frames_played, frames_due,
                            outcome, arrived, listed)
         WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n LIMIT {PLAYS})
         SELECT 'loa-' || (n % 5000), '0000000000000007', printf('%016x', n), 1, 'slot', 'sang/2026-01-01', 'Tin sáng',
                'thoi-su', 'normal', 'actual', 'programme', 'file', 'vi', 1, 80, 1764201600000000 + n * 15768000,
                1764201600000000 + n * 15768000, 1764201660000000 + n * 15768000, 2880000, 2880000, 'finished',
                1764201660000000 + n * 15768000, 1764201600000000 + n * 15768000 FROM n;
         COMMIT;"
    ))
    .expect("plays");
    println!("{PLAYS} plays were written in {:.0} s", begun.elapsed().as_secs_f64());
}

async fn report() {
    let dir = tempfile::tempdir().expect("a folder");
    Central::start(settings(dir.path(), 5_000)).await.expect("central starts").stop().await;
    write_plays(&dir.path().join("central.db"));
    let central = Central::start(settings(dir.path(), 5_000)).await.expect("central starts");
    let http = central.http_addr();
    quietly(&central, http, "without a report").await;
    let stop = Arc::new(AtomicBool::new(false));
    let (until, reports) = (Arc::clone(&stop), Arc::new(std::sync::Mutex::new(Vec::new())));
    let took = Arc::clone(&reports);
    let asking = std::thread::spawn(move || {
        while !until.load(Ordering::Relaxed) {
            let year = "/api/v1/report?from=2025-11-27T00:00:00%2B07:00&to=2026-11-27T00:00:00%2B07:00";
            let time = ask(http, year);
            took.lock().expect("no panic").push(time);
        }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    quietly(&central, http, "a year's report in a loop").await;
    stop.store(true, Ordering::Relaxed);
    tokio::task::spawn_blocking(move || asking.join()).await.expect("it ends").expect("it ends");
    println!("the reports took {:?}", reports.lock().expect("no panic"));
    central.stop().await;
}

fn ask(http: SocketAddr, path: &str) -> Duration {
    let begun = Instant::now();
    let request =
        ureq::get(format!("http://{http}{path}")).header("authorization", format!("Bearer {TOKEN}"));
    request.call().expect("an answer").body_mut().read_to_vec().expect("a body");
    begun.elapsed()
}

/// Measures welcomes and an answer for a page.
async fn quietly(central: &Central, http: SocketAddr, when: &str) {
    let port = central.broker_addr().expect("it is embedded").port();
    let mut links = Vec::new();
    for n in 0..WELCOMED {
        let id = box_id(n);
        let address = format!("mqtt://{id}:x@127.0.0.1:{port}").parse().expect("an address");
        let mut config = LinkConfig::new(address, id.as_str());
        config.subscriptions = topics::box_filters(&id, &[village(n)]);
        let (link, mut events) = Link::connect(config).expect("a link");
        while events.recv().await != Some(LinkEvent::Connected) {}
        links.push((id, link, events));
    }
    let mut welcomes = Vec::new();
    for n in 0..5 * WELCOMED {
        let (id, link, events) = &mut links[n % WELCOMED];
        let begun = Instant::now();
        let hello = hello(id, format!("{when}{n}"), holds(1, 0));
        link.publish(&Topic::Up(id.clone(), Up::Hello), hello, Qos::AtLeastOnce).expect("it is sent");
        while !matches!(events.recv().await, Some(LinkEvent::Message { .. })) {}
        welcomes.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut pages = Vec::new();
    for _ in 0..40 {
        pages.push(
            tokio::task::spawn_blocking(move || ask(http, "/api/v1/announcements")).await.expect("it ends"),
        );
    }
    let mut boxes = Vec::new();
    for _ in 0..20 {
        boxes.push(tokio::task::spawn_blocking(move || ask(http, "/api/v1/boxes")).await.expect("it ends"));
    }
    println!(
        "{when}: welcome {:?} p50, {:?} p99; announcements {:?} p50, {:?} p99; 5,000 boxes {:?} p50, {:?} p99",
        part(&mut welcomes, 50),
        part(&mut welcomes, 99),
        part(&mut pages, 50),
        part(&mut pages, 99),
        part(&mut boxes, 50),
        part(&mut boxes, 99),
    );
}

fn part(took: &mut [Duration], percent: usize) -> Duration {
    took.sort();
    took[(took.len() * percent / 100).min(took.len() - 1)]
}

/// Hellos of many boxes at once, to a centre that takes nothing for two seconds.
async fn queue(queued_max: usize) {
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("a port").port();
    let dir = tempfile::tempdir().expect("a folder");
    let config = dir.path().join("mosquitto.conf");
    let text = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages {queued_max}\n\
         max_inflight_messages 20\n"
    );
    std::fs::write(&config, text).expect("a file");
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let mut broker = Command::new("mosquitto")
        .env("PATH", path)
        .arg("-c")
        .arg(config)
        .stderr(Stdio::null())
        .spawn()
        .expect("mosquitto");
    let address: loaxa_heart::wire::broker_address::BrokerAddress =
        format!("mqtt://127.0.0.1:{port}").parse().expect("an address");
    let mut as_central = LinkConfig::new(address.clone(), "central");
    as_central.subscriptions = vec![topics::central_filter(None)];
    as_central.incoming_max = 64;
    let (_central, mut events) = Link::connect(as_central).expect("a link");
    while events.recv().await != Some(LinkEvent::Connected) {}
    let mut senders = Vec::new();
    for n in 0..50 {
        let mut config = LinkConfig::new(address.clone(), format!("sender-{n}"));
        config.outgoing_max = 1_000;
        let (link, mut of_link) = Link::connect(config).expect("a link");
        while of_link.recv().await != Some(LinkEvent::Connected) {}
        tokio::spawn(async move { while of_link.recv().await.is_some() {} });
        senders.push(link);
    }
    for n in 0..QUEUED_BOXES {
        let bytes = hello(&box_id(n), n.to_string(), holds(n, 0));
        let topic = Topic::Up(box_id(n), Up::Hello);
        senders[n % senders.len()].publish(&topic, bytes, Qos::AtLeastOnce).expect("it is sent");
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut came = 0;
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(3), events.recv()).await {
        came += usize::from(matches!(event, LinkEvent::Message { .. }));
    }
    println!("mosquitto with max_queued_messages {queued_max}: {came} of {QUEUED_BOXES} hellos arrived");
    broker.kill().expect("it runs");
    broker.wait().expect("it ends");
}
