//! Several centrals on one PostgreSQL database and one mosquitto: whichever is killed, nothing is lost or doubled, and orders
//! go out by another.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use loaxa_adapters::keys::KeyFile;
use loaxa_central::settings::{BrokerChoice, Settings};
use loaxa_central::store::Role;
use loaxa_central::{Central, StartError};
use loaxa_fleet::fleet::Fleet;
use loaxa_fleet::site::{Network, Release, Site, Supply};
use loaxa_heart::domain::authority::Trust;
use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::domain::playback::Event;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::texts::{Lang, Say};
use loaxa_heart::wire::messages::{Body, Welcome};
use loaxa_heart::wire::request::Request;
use loaxa_heart::wire::topics::{Down, Topic};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::support::broker::{Broker, Mosquitto};
use crate::support::commune::*;
use crate::support::free_port;
use crate::support::postgres::Cluster;
use crate::support::staff::{FORM, Staff};

/// The broker and the database that all share, and the keys in files.
pub struct Ground {
    pub cluster: Cluster,
    pub broker: Mosquitto,
    pub dir: tempfile::TempDir,
}

impl Ground {
    pub fn lay() -> Self {
        let cluster = Cluster::start();
        cluster.create("xa");
        Self { cluster, broker: Mosquitto::start(), dir: tempfile::tempdir().unwrap() }
    }

    /// The settings of a central in this process.
    pub fn settings(&self) -> Settings {
        let broker = outside(&self.broker);
        Settings { database: self.cluster.database("xa"), ..settings(self.dir.path(), broker) }
    }

    pub fn sql(&self, statement: &str) -> String {
        self.cluster.sql("xa", statement)
    }

    /// Writes the configuration of a commune with so many boxes.
    pub fn write(&self, boxes: u8) -> PathBuf {
        let dir = self.dir.path();
        for (name, key) in [("central.key", central_key()), ("an.key", key(1)), ("binh.key", key(2))] {
            KeyFile { key, holder: None }.write_new(&dir.join(name)).unwrap();
        }
        std::fs::write(dir.join("trust.json"), trust()).unwrap();
        loaxa_adapters::private_files::write(&dir.join("token"), TOKEN.as_bytes()).unwrap();
        let declared = (1..=boxes).map(|n| {
            let key = key(10 + n).public();
            format!("[[box]]\nid = \"loa-{n}\"\ntitle = \"Loa {n}\"\ngroups = [\"xa\"]\nkey = \"{key}\"\n")
        });
        let config = format!(
            "[central]\nlisten = \"127.0.0.1:0\"\ndata_dir = \"data\"\ncommune = \"Xã Thử\"\ngroup = \"xa\"\n\
             [broker]\nurl = \"mqtt://127.0.0.1:{}\"\n[api]\ntoken_file = \"token\"\n\
             [keys]\ncentral = \"central.key\"\nissuers = [\"an.key\", \"binh.key\"]\ntrust = \"trust.json\"\n\
             [store]\nurl = \"{}\"\n[[group]]\nid = \"xa\"\ntitle = \"Xã\"\n{}",
            self.broker.port(),
            self.cluster.url("xa"),
            declared.collect::<String>()
        );
        let path = dir.join("central.toml");
        std::fs::write(&path, config).unwrap();
        path
    }

    /// Boxes in memory that live as those of the configuration.
    pub fn fleet(&self, boxes: u8) -> Fleet {
        let mut known: Option<Trust> = None;
        trust_of(|trust| known = Some(trust.clone()));
        let trust = Arc::new(known.unwrap());
        let site = |n: u8| Site {
            id: BoxId::new(format!("loa-{n}")).unwrap(),
            groups: vec![group("xa")],
            key: key(10 + n),
            root: key(100).public(),
            trust: Arc::clone(&trust),
            log: None,
            release: Release::Own,
        };
        let broker = format!("mqtt://127.0.0.1:{}", self.broker.port()).parse().unwrap();
        Fleet::start((1..=boxes).map(site), &Network { broker, ca: None, come_within_s: 0.0 })
    }
}

/// `loaxa central` as a process of its own.
pub struct Process {
    child: Child,
    pub base: String,
}

impl Process {
    pub fn start(config: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_loaxa"))
            .args(["central", "--config"])
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http=").nth(1).and_then(|rest| rest.split_whitespace().next());
        let base = format!("http://{}", address.expect("central starts"));
        Self { child, base }
    }

    /// Ends it without a word, as a power cut does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops the process where it is, so that it answers nothing more and breaks no connection; or lets it go on.
    pub fn hold(&self, is_held: bool) {
        let signal = if is_held { Signal::SIGSTOP } else { Signal::SIGCONT };
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Ends everything; gives the answer's status.
    pub fn stop(&self) -> u16 {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = agent.post(format!("{}/api/v1/stop", self.base));
        request.header("authorization", format!("Bearer {TOKEN}")).send_empty().unwrap().status().as_u16()
    }

    /// Announces to all; gives the answer's status.
    pub fn announce(&self, title: &str, class: &str) -> u16 {
        self.announce_later(title, class).join().unwrap().expect("it answers")
    }

    /// Announces to all, and waits for no answer; there is none from one that is killed.
    pub fn announce_later(&self, title: &str, class: &str) -> JoinHandle<Option<u16>> {
        let fields = json!({ "to": ["xa"], "title": title, "class": class, "mode": "actual", "author": "An",
                             "text": "Nước đang lên, bà con lên chỗ cao." });
        let body =
            format!("--b\r\ncontent-disposition: form-data; name=\"fields\"\r\n\r\n{fields}\r\n--b--\r\n");
        self.post_later("/api/v1/announcements", "multipart/form-data; boundary=b", body.into_bytes())
    }

    /// Posts, and waits for no answer.
    pub fn post_later(&self, path: &str, kind: &'static str, body: Vec<u8>) -> JoinHandle<Option<u16>> {
        let url = format!("{}{path}", self.base);
        std::thread::spawn(move || {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let request = agent.post(url).header("authorization", format!("Bearer {TOKEN}"));
            let answer = request.header("content-type", kind).send(&body[..]);
            answer.ok().map(|answer| answer.status().as_u16())
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const BOXES: u8 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn whichever_is_killed_nothing_is_lost_or_doubled_and_an_emergency_goes_out_by_another() {
    let ground = Ground::lay();
    let config = ground.write(BOXES);
    let (one, other) = (Process::start(&config), Process::start(&config));
    let fleet = ground.fleet(BOXES);
    let all = usize::from(BOXES);
    until("all boxes are welcomed", async || (fleet.account.welcomes() >= all).then_some(())).await;
    // Entries come while one is killed: every box plays, and says so.
    for (n, central) in [&one, &other, &one, &other].into_iter().enumerate() {
        assert_eq!(central.announce(&format!("Tin {n}"), "priority"), 201);
    }
    until("logs are on their way", async || {
        (fleet.account.counts().recorded > 4 * u64::from(BOXES)).then_some(())
    })
    .await;
    one.kill();
    let began = Instant::now();
    assert_eq!(other.announce("Vỡ đê", "emergency"), 201);
    let answered = began.elapsed();
    let arrived = || fleet.account.arrivals().into_values().filter(|of_one| of_one.count >= all).count();
    until("all boxes have the emergency and what came before", async || (arrived() == 5).then_some(())).await;
    eprintln!("answered after {answered:?}, everywhere after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(20));

    // One comes back, and the other goes.
    let one = Process::start(&config);
    other.kill();
    assert_eq!(one.announce("Tin cuối", "priority"), 201);
    until("all is acknowledged", async || {
        let counts = fleet.account.counts();
        (arrived() == 6 && counts.recorded > 0 && counts.acknowledged == counts.recorded).then_some(())
    })
    .await;
    let recorded = fleet.account.counts().recorded;
    fleet.set_supply(Supply::NoNetwork);
    let kept = ground.sql("SELECT count(*), count(DISTINCT (box, epoch, seq)), count(DISTINCT box) FROM log");
    let kept: Vec<u64> = kept.split('|').map(|number| number.parse().unwrap()).collect();
    assert!(
        kept[0] >= recorded && kept[0] == kept[1] && kept[2] == u64::from(BOXES),
        "{kept:?} of {recorded}"
    );
    assert_eq!(ground.sql("SELECT bool_and(upto = seqs AND forked = 0) FROM (SELECT heads.upto, heads.forked,
        (SELECT count(*) FROM log WHERE log.box = heads.box AND log.epoch = heads.epoch) AS seqs FROM heads) AS h"), "t");
    assert_eq!(ground.sql("SELECT count(*) - count(DISTINCT (issuer, serial)) FROM commands"), "0");
    assert_eq!(ground.sql("SELECT count(*) FROM commands WHERE kind = 'announce'"), "6");
    assert_eq!(ground.sql("SELECT count(*) FROM alarms WHERE kind IN ('forked', 'gap', 'new_epoch')"), "0");
}

/// The stream of what changed, as a browser reads it.
fn stream_until(central: &Central, cookie: &str, words: &'static str) -> tokio::task::JoinHandle<String> {
    let mut stream = TcpStream::connect(central.http_addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host = central.http_addr();
    write!(stream, "GET /su-kien HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\n\r\n").unwrap();
    let (mut said, mut piece) = (String::new(), [0; 1_024]);
    let read = move |stream: &mut TcpStream, said: &mut String, words: &str| {
        while !said.contains(words) {
            let length = stream.read(&mut piece).unwrap();
            assert!(length > 0, "the stream ended without {words}: {said}");
            *said += &String::from_utf8_lossy(&piece[..length]);
        }
    };
    let mut reads = read;
    reads(&mut stream, &mut said, ": open");
    tokio::task::spawn_blocking(move || {
        said.clear();
        reads(&mut stream, &mut said, words);
        said
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_changes_the_other_shows_and_sends() {
    let ground = Ground::lay();
    let (one, other) = (start(ground.settings()).await, start(ground.settings()).await);
    let lan = Staff::make(&one, "lan", &[]).await;
    let told = stream_until(&one, &lan.cookie, "announcements");
    let asked = json!({ "to": ["thon-1"], "title": "Họp thôn", "class": "priority", "author": "An" });
    let sent = announce(&other, &asked, Some(&tone())).await;
    assert_eq!(sent.status, 201, "{}", sent.text());
    let id = sent.json()["id"].as_str().unwrap().to_owned();
    told.await.unwrap();
    assert!(get_api(&one, "/api/v1/announcements").await.text().contains("Họp thôn"));
    // A session that ends at one is over at the other.
    assert_eq!(lan.get(&other, "/").await.status, 200);
    assert_eq!(lan.post(&one, "/thoat", &[]).await.status, 303);
    assert_eq!(lan.get(&other, "/").await.status, 303);

    // A box that agreed with one is sent what the other takes, and keeps its state at both.
    other.stop().await;
    let mut loa = ScriptedBox::connect(1, ground.broker.port()).await;
    let holds = loa.holds(&[&id]);
    loa.hello("n", holds.clone());
    loa.heartbeat(holds.clone());
    until("it is heard", async || {
        let boxes = get_api(&one, "/api/v1/boxes").await.json();
        (boxes[0]["faults"][0] == "device_lost").then_some(())
    })
    .await;
    let other = start(ground.settings()).await;
    until("the other knows of it", async || {
        let boxes = get_api(&other, "/api/v1/boxes").await.json();
        (boxes[0]["online"] == true && boxes[0]["faults"][0] == "device_lost").then_some(())
    })
    .await;
    // Each word of a box comes to one of them.
    let nonces: Vec<String> = (0..20).map(|n| format!("once-{n}")).collect();
    nonces.iter().for_each(|nonce| loa.hello(nonce, holds.clone()));
    let welcome = |topic: &Topic, bytes: &[u8]| {
        matches!(topic, Topic::Down(_, Down::Welcome))
            .then(|| loaxa_heart::wire::codec::open::<Welcome>(bytes, &known_keys).unwrap().payload.nonce)
    };
    let mut welcomed = Vec::new();
    for _ in &nonces {
        welcomed.push(loa.next("a welcome for each hello", welcome).await);
    }
    welcomed.sort();
    welcomed.dedup();
    assert_eq!(welcomed.len(), nonces.len(), "each is answered by one of them: {welcomed:?}");
    let sent = announce(&other, &asked, Some(&tone())).await;
    assert_eq!(sent.status, 201, "{}", sent.text());
    let new = sent.json()["id"].as_str().unwrap().to_owned();
    loa.next("the announcement itself", |_, bytes| {
        String::from_utf8_lossy(bytes).contains("payload").then_some(())
    })
    .await;

    // It was lost on the way, and the one that sent it is gone: the one that had agreed with the box says it again.
    other.stop().await;
    let command = |_: &Topic, bytes: &[u8]| {
        let opened = loaxa_heart::wire::codec::open_command(bytes, &known_keys).ok()?;
        (opened.payload.id.as_str() == new).then_some(())
    };
    loa.pass_over();
    let deadline = Instant::now() + PATIENCE;
    loop {
        loa.heartbeat(holds.clone());
        let again = loa.next("the announcement again", command);
        if tokio::time::timeout(Duration::from_millis(500), again).await.is_ok() {
            break;
        }
        assert!(Instant::now() < deadline, "what another sent is not sent again");
    }
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duty_is_taken_over_when_its_central_dies() {
    let ground = Ground::lay();
    let config = ground.write(2);
    let holders = || ground.sql("SELECT DISTINCT holder FROM leases WHERE duty NOT LIKE 'central %'");
    let one = Process::start(&config);
    let first = until("the first has every duty", async || Some(holders()).filter(|it| !it.is_empty())).await;
    let other = Process::start(&config);
    let renewed = || ground.sql("SELECT until FROM leases WHERE duty = 'watch'").parse::<i64>().unwrap();
    until("the other has asked", async || {
        (ground.sql("SELECT count(*) FROM leases WHERE duty LIKE 'central %'") == "2").then_some(())
    })
    .await;
    let then = renewed();
    until("the first has renewed its duties", async || (renewed() > then + 3_000_000).then_some(())).await;
    assert_eq!(holders(), first, "whoever has a duty keeps it");
    let began = Instant::now();
    one.kill();
    until("the other has every duty", async || {
        let holders = holders();
        (holders != first && !holders.contains('\n')).then_some(())
    })
    .await;
    eprintln!("taken over after {:?}", began.elapsed());
    // The troubles of boxes are found by the one that is left.
    let stranger = ScriptedBox::connect(9, ground.broker.port()).await;
    stranger.hello("n", stranger.holds(&[]));
    until("the watch goes on", async || {
        (ground.sql("SELECT count(*) FROM troubles WHERE subject = 'loa-9'") == "1").then_some(())
    })
    .await;
    drop(other);
}

async fn refused(settings: Settings) -> String {
    match Central::start(settings).await {
        Err(error @ StartError::Store(_)) => error.say().to(Lang::En),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it starts beside another"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_one_is_refused_where_there_can_be_one() {
    let broker = Mosquitto::start();
    let dir = tempfile::tempdir().unwrap();
    let in_file = settings(dir.path(), outside(&broker));
    let one = start(in_file.clone()).await;
    let said = refused(in_file.clone()).await;
    assert!(said.contains("central.db") && said.contains("systemctl stop"), "{said}");
    one.stop().await;
    start(in_file).await.stop().await;

    let ground = Ground::lay();
    let alone = Settings { broker: embedded(), ..ground.settings() };
    let one = start(alone.clone()).await;
    let said = refused(alone.clone()).await;
    assert!(said.contains("postgres://") && said.contains("operations.md"), "{said}");
    refused(ground.settings()).await;
    one.stop().await;
    let one = start(ground.settings()).await;
    refused(alone).await;
    let other = start(ground.settings()).await;
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_each_gives_numbers_of_its_own() {
    let ground = Ground::lay();
    let (one, other) = (start(ground.settings()).await, start(ground.settings()).await);
    let mut loa = ScriptedBox::connect(1, ground.broker.port()).await;
    let asked = |title: &str| {
        json!({ "to": ["xa"], "title": title, "class": "emergency", "mode": "actual", "author": "An",
                "text": "Nước đang lên, bà con lên chỗ cao." })
    };
    let mut serials = Vec::new();
    let orders = ["Diễn biến", "Mưa lớn", "Vỡ đê", "Bão về", "Lũ lên", "Cháy rừng"];
    for (n, title) in orders.into_iter().enumerate() {
        if n == 2 {
            // Each knows the numbers that it gave itself, and not those of the other.
            ground.cluster.stop();
        }
        let central = if n % 2 == 0 { &one } else { &other };
        let sent = announce(central, &asked(title), None).await;
        assert_eq!(sent.status, 201, "{}", sent.text());
        // Another central may send a copy of what is kept.
        let serial = |_: &_, bytes: &[u8]| {
            let command = loaxa_heart::wire::codec::open_command(bytes, &known_keys).ok()?.payload;
            let is_it = matches!(&command.body, Body::Announce { title: it, .. } if it == title);
            is_it.then_some(command.serial)
        };
        serials.push(loa.next(title, serial).await);
    }
    serials.sort_unstable();
    serials.dedup();
    assert_eq!(serials.len(), orders.len(), "a box takes each number once: {serials:?}");
    ground.cluster.start_again();
    until("all are kept", async || {
        (ground.sql("SELECT count(*) FROM commands WHERE kind = 'announce'") == "6").then_some(())
    })
    .await;
    // Both hear each other again.
    let lan = Staff::make(&one, "lan", &[]).await;
    let told = stream_until(&other, &lan.cookie, "announcements");
    assert_eq!(announce(&one, &asked("Hết lũ"), None).await.status, 201);
    told.await.unwrap();
    loa.append(Event::DeviceBack);
    assert_eq!(loa.upload(1, 1).await.contiguous_upto, 1);
    assert!(matches!(ground.settings().broker, BrokerChoice::Url { .. }));
    one.stop().await;
    other.stop().await;
}

/// Asks for drafts under a person's signature.
async fn ask_signed(central: &Central, at: Wall, nonce: &str) -> u16 {
    let path = "/api/v1/drafts";
    let request = Request { method: "GET", path, at, nonce, body: b"" };
    let signature = BASE64.encode(key(1).sign(&request.to_be_signed()));
    let (id, at) = (key(1).key_id().to_string(), at.to_string());
    let headers = [
        ("x-loaxa-key", &*id),
        ("x-loaxa-time", &*at),
        ("x-loaxa-nonce", nonce),
        ("x-loaxa-signature", &*signature),
    ];
    get(central, path, &headers).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_is_taken_by_one_of_them_once() {
    let ground = Ground::lay();
    let (one, other) = (start(ground.settings()).await, start(ground.settings()).await);
    let now = loaxa_adapters::clock::wall;
    let nonce = |n: u8| format!("{n:064x}");
    let at = now();
    let first = nonce(1);
    let both = tokio::join!(ask_signed(&one, at, &first), ask_signed(&other, at, &first));
    let mut both = [both.0, both.1];
    both.sort_unstable();
    assert_eq!(both[0], 200, "one of them takes it");
    assert_eq!(both[1], ask_signed(&one, at, &nonce(1)).await, "and no other, nor once more");
    assert!(both[1] >= 400);
    assert_eq!(ask_signed(&other, now(), &nonce(2)).await, 200);

    // Without the database each takes what came to it, and what it took then is not taken again.
    ground.cluster.stop();
    let at = now();
    let away = ask_signed(&one, at, &nonce(3)).await;
    assert_eq!(ask_signed(&one, at, &nonce(3)).await, both[1], "{away}");
    ground.cluster.start_again();
    until("the database is back", async || (get(&one, "/healthz", &[]).await.status == 200).then_some(()))
        .await;
    assert_eq!(ask_signed(&one, at, &nonce(3)).await, both[1]);
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_at_both_gets_no_more_tries() {
    let ground = Ground::lay();
    let (one, other) = (start(ground.settings()).await, start(ground.settings()).await);
    Staff::make(&one, "lan", &[]).await;
    let mut tried = Vec::new();
    for n in 0..12 {
        let central = if n % 2 == 0 { &one } else { &other };
        let origin = format!("http://{}", central.http_addr());
        let form = b"ten=lan&mat-khau=doan-mo-thoi".to_vec();
        let answer = post_with(central, "/dang-nhap", &[FORM, ("origin", &origin)], form).await;
        tried.push(answer.text().contains("quá nhiều lần"));
    }
    assert_eq!(tried.iter().filter(|too_often| !**too_often).count(), 10, "{tried:?}");
    assert_eq!(ground.sql("SELECT max(times) FROM wrong_tries WHERE who LIKE 'network %'"), "10");
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_one_works_beside_a_newer_or_says_that_it_can_not() {
    let ground = Ground::lay();
    let older = start(ground.settings()).await;
    let asked = json!({ "to": ["thon-1"], "title": "Họp thôn", "class": "priority", "author": "An" });
    // By turns, so that each of the threads that read has prepared its statements, and is asked again behind the change.
    let goes_out = async |central: &Central| {
        for _ in 0..6 {
            let sent = announce(central, &asked, Some(&tone())).await;
            assert_eq!(sent.status, 201, "{}", sent.text());
        }
    };
    goes_out(&older).await;
    // A newer version made its tables while the older one runs.
    ground.sql(
        "ALTER TABLE boxes ADD COLUMN of_a_later_version BIGINT NOT NULL DEFAULT 7; CREATE TABLE later (a BIGINT);
         INSERT INTO news (central, kind, version, at) VALUES ('later', 'of_a_later_version', 1, 1);
         SELECT pg_notify('loaxa', 'later of_a_later_version x')",
    );
    let mut loa = ScriptedBox::connect(1, ground.broker.port()).await;
    loa.hello("n", loa.holds(&[]));
    loa.append(Event::DeviceBack);
    assert_eq!(loa.upload(1, 1).await.contiguous_upto, 1);
    goes_out(&older).await;
    // It starts again beside the newer one, as long as that one's tables are of use to it.
    let beside = start(ground.settings()).await;
    goes_out(&beside).await;
    ground.sql("UPDATE schema_made SET version = version + 1");
    let said = refused(ground.settings()).await;
    assert!(said.contains("later version"), "{said}");
    // Those that run go on until their keeper ends them.
    goes_out(&older).await;
    older.stop().await;
    beside.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_newer_one_knows_keeps_no_list_and_no_stop_of_an_older_one() {
    let ground = Ground::lay();
    let older = start(ground.settings()).await;
    let lan = Staff::make(&older, "lan", &[(Role::Administrator, "xa")]).await;
    let asked = json!({ "to": ["thon-1"], "title": "Họp thôn", "class": "priority", "author": "An" });
    for _ in 0..2 {
        assert_eq!(announce(&older, &asked, Some(&tone())).await.status, 201);
    }
    let known = get_api(&older, "/api/v1/announcements").await.json();
    let strange = known[0]["id"].as_str().unwrap().to_owned();
    ground.sql(&format!(
        "UPDATE commands SET class = 'of_later', mode = 'of_later' WHERE id = '{strange}';
         INSERT INTO troubles (kind, what, subject, detail, since) VALUES ('of_later', 'x', 'y', 'z', 1),
             ('security', 'x', 'y', 'z', 1);
         INSERT INTO alarms (kind, subject, detail, first, last, count) VALUES ('of_later', 'y', 'z', 1, 1, 1);
         INSERT INTO cap_alerts (reference, id, received, state) VALUES ('a,1,b', 'abc', 1, '{{\"state\":\"of_later\"}}')"
    ));
    let listed = get_api(&older, "/api/v1/announcements").await;
    assert_eq!((listed.status, listed.json().as_array().unwrap().len()), (200, 1), "{}", listed.text());
    for path in ["/api/v1/metrics", "/api/v1/cap/alerts"] {
        let answer = get_api(&older, path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    for path in ["/", "/canh-bao"] {
        let page = lan.get(&older, path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text());
    }
    let stopped = post(&older, "/api/v1/stop", "text/plain", Vec::new()).await;
    assert!(stopped.status < 300, "{}", stopped.text());
    assert_eq!(ground.sql("SELECT count(*) FROM commands WHERE ended = 'cancelled'"), "2", "both are ended");
    // Its watch ends what it looks for itself, and leaves alone what it does not know.
    ground.sql(
        "INSERT INTO troubles (kind, what, subject, detail, since) VALUES ('fault', 'device_lost', 'loa-1', '', 1)",
    );
    until("the watch has looked", async || {
        (ground.sql("SELECT ended > 0 FROM troubles WHERE kind = 'fault'") == "t").then_some(())
    })
    .await;
    assert_eq!(ground.sql("SELECT count(*) FROM troubles WHERE kind = 'of_later' AND ended IS NULL"), "1");
    older.stop().await;
}

/// A central that the others find.
async fn found_by_others(ground: &Ground) -> Central {
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    start(Settings { listen, peer_url: Some(format!("http://{listen}")), ..ground.settings() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voice_is_taken_and_heard_by_any_of_them() {
    let ground = Ground::lay();
    let (one, other) = (found_by_others(&ground).await, found_by_others(&ground).await);
    let mut loa = ScriptedBox::connect(1, ground.broker.port()).await;
    let duc = Staff::make(&one, "duc", &[(Role::Duty, "xa")]).await;
    let begun = duc.post(&one, "/noi-truc-tiep", &[("noi", "xa")]).await;
    assert_eq!(begun.status, 200, "{}", begun.text());
    let name = begun.json()["phien"].as_str().unwrap().to_owned();
    let piece = [7, 7].repeat(1_600);
    let put = async |central: &Central, n: u32| {
        duc.put(central, &format!("/noi-truc-tiep/{name}?so={n}"), &piece).await.status
    };
    assert_eq!(put(&other, 0).await, 204, "the other passes it on");
    let url = loa
        .next("the voice", |_, bytes| {
            let command = loaxa_heart::wire::codec::open_command(bytes, &known_keys).ok()?.payload;
            match command.body {
                Body::Live { open: true, url, .. } => Some(url),
                _ => None,
            }
        })
        .await;
    let session = url.rsplit('/').next().unwrap().to_owned();
    let listen = |central: &Central| {
        let url = format!("http://{}/live/{session}", central.http_addr());
        tokio::task::spawn_blocking(move || {
            let mut heard = vec![0; 44 + 5 * 3_200];
            let mut voice = ureq::get(&url).call().unwrap().into_body().into_reader();
            voice.read_exact(&mut heard).unwrap();
            heard
        })
    };
    let boxes = [listen(&other), listen(&other), listen(&one)];
    let (deadline, mut n) = (Instant::now() + PATIENCE, 0);
    while !boxes.iter().all(|it| it.is_finished()) {
        assert!(Instant::now() < deadline, "nobody hears the voice");
        n += 1;
        assert_eq!(put(if n % 2 == 0 { &one } else { &other }, n).await, 204);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for heard in boxes {
        let heard = heard.await.unwrap();
        assert!(heard.starts_with(b"RIFF") && heard[44..].iter().all(|byte| *byte == 7));
    }
    assert_eq!(put(&other, n).await, 204, "a piece twice is taken once");
    assert_eq!(put(&other, n + 2).await, 410, "a piece is missing");
    until("the voice is over everywhere", async || {
        let gone = [&one, &other].map(|central| format!("http://{}/live/{session}", central.http_addr()));
        let gone = gone.map(|url| tokio::task::spawn_blocking(move || ureq::get(&url).call().is_err()));
        for answer in gone {
            if !answer.await.unwrap() {
                return None;
            }
        }
        (ground.sql("SELECT count(*) FROM voices") == "0").then_some(())
    })
    .await;
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voice_from_elsewhere_is_brought_once_for_all_and_ends_where_its_central_is_silent() {
    const BOXES: usize = 40;
    let ground = Ground::lay();
    let central = found_by_others(&ground).await;
    // A central that holds its voice back until all have asked, and then dies in the middle of it.
    let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", peer.local_addr().unwrap());
    ground.sql(&format!("INSERT INTO voices (name, url, since) VALUES ('tieng', '{url}', 1)"));
    let (fetched, speaks) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (counted, may_speak) = (Arc::clone(&fetched), Arc::clone(&speaks));
    std::thread::spawn(move || {
        for asker in peer.incoming() {
            let (mut asker, may_speak) = (asker.unwrap(), Arc::clone(&may_speak));
            counted.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                while !may_speak.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(10));
                }
                let head = b"HTTP/1.1 200 OK\r\ncontent-type: audio/wav\r\n\r\n";
                asker.write_all(head).unwrap();
                asker.write_all(&[7; 44 + 3_200]).unwrap();
                // Its connection stays as it is, as that of a machine without power does.
                std::thread::sleep(Duration::from_secs(3_600));
            });
        }
    });
    let url = format!("http://{}/live/tieng", central.http_addr());
    let asked = Arc::new(AtomicUsize::new(0));
    let boxes: Vec<_> = (0..BOXES)
        .map(|_| {
            let (url, asked) = (url.clone(), Arc::clone(&asked));
            std::thread::spawn(move || {
                let addr = url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
                let mut stream = TcpStream::connect(&addr).unwrap();
                write!(stream, "GET /live/tieng HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n")
                    .unwrap();
                asked.fetch_add(1, Ordering::SeqCst);
                let mut heard = Vec::new();
                stream.read_to_end(&mut heard).unwrap();
                heard
            })
        })
        .collect();
    until("all have asked", async || (asked.load(Ordering::SeqCst) == BOXES).then_some(())).await;
    until("somebody fetches it", async || (fetched.load(Ordering::SeqCst) > 0).then_some(())).await;
    speaks.store(true, Ordering::SeqCst);
    for it in boxes {
        let heard = tokio::task::spawn_blocking(move || it.join().unwrap()).await.unwrap();
        assert!(
            heard.starts_with(b"HTTP/1.1 200"),
            "{:?}",
            String::from_utf8_lossy(&heard[..heard.len().min(60)])
        );
    }
    assert_eq!(fetched.load(Ordering::SeqCst), 1, "one brings it for all");
    central.stop().await;
}
