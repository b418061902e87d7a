//! Box, broker and central are killed at random moments and the network is made bad; afterwards every record is with
//! central exactly once, every play is closed exactly once, and the log says what was heard.
//!
//! Run by root, all of it lives in a network namespace of its own, where a fifth of all packets between box and broker can
//! be dropped; without root that one fault is left out, and the test says so.
//!
//! `LOAXA_SOAK` is the number of faults (12 without it), `LOAXA_SEED` the seed to begin with.
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::broker::Mosquitto;
use crate::support::central::{Keys, enrol};
use crate::support::unit::{Running, Unit};
use crate::support::{eventually, free_port};
use loaxa_adapters::keys::KeyFile;
use loaxa_heart::domain::playback::{Event, PlayOutcome};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{LogBody, TrustMessage, VERSION};
use serde_json::{Value, json};

const TOKEN: &str = "a-token-for-fault-tests";

/// Faults of the short form.
const FAULTS: u64 = 12;

/// Beyond so many faults the recording is too long to be listened to in full.
const LISTENED_TO_MAX: u64 = 60;

/// Tones in the middle of what is told apart with certainty, and a length that kills hit in the middle.
const TONES_HZ: [f64; 8] = [400.0, 520.0, 640.0, 760.0, 880.0, 1000.0, 1120.0, 1240.0];
const TONE_S: f64 = 0.8;

/// Largest difference, in seconds, between a count of frames and what is heard: windows of 20 ms at both ends, and
/// fades.
const HEARING_S: f64 = 0.15;

/// Longest time for the healing after the last fault.
const HEALING: Duration = Duration::from_secs(90);

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Net {
    Good,
    /// Everything arrives two seconds late.
    Slow,
    /// Connections stand, and nothing passes.
    HalfOpen,
    /// New connections are ended at once.
    Shut,
}

/// A network of the test's own, which can lose packets.
struct Lossy;

impl Lossy {
    /// Moves this thread, and all that it will start, into a new network.
    fn enter() -> Option<Self> {
        let run = |program: &str, arguments: &[&str]| {
            Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
        };
        let entered = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).is_ok()
            && run("ip", &["link", "set", "lo", "up"])
            && run("nft", &["add table inet loss"])
            && run("nft", &["add chain inet loss in { type filter hook input priority 0; }"]);
        if !entered {
            eprintln!("left out: the loss of packets, which takes root");
        }
        entered.then_some(Self)
    }

    /// Drops a fifth of the packets from and to a port for a while.
    fn lose(&self, port: u16, time: Duration) {
        let nft = |rule: &str| assert!(Command::new("nft").arg(rule).status().unwrap().success(), "{rule}");
        for side in ["dport", "sport"] {
            nft(&format!("add rule inet loss in tcp {side} {port} numgen random mod 100 < 20 drop"));
        }
        std::thread::sleep(time);
        nft("flush chain inet loss in");
    }
}

/// The network between the box and the broker.
struct Proxy {
    port: u16,
    net: Arc<Mutex<Net>>,
    cuts: Arc<AtomicU64>,
}

impl Proxy {
    fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            net: Arc::new(Mutex::new(Net::Good)),
            cuts: Arc::default(),
        };
        let (net, cuts) = (Arc::clone(&proxy.net), Arc::clone(&proxy.cuts));
        // Its threads end with the test's process.
        std::thread::spawn(move || {
            for outside in listener.incoming().flatten() {
                let Ok(inside) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                if *net.lock().unwrap() == Net::Shut {
                    continue;
                }
                for (from, to) in [(&outside, &inside), (&inside, &outside)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let (net, cuts) = (Arc::clone(&net), Arc::clone(&cuts));
                    std::thread::spawn(move || pump(from, to, &net, &cuts));
                }
            }
        });
        proxy
    }

    fn become_(&self, net: Net) {
        *self.net.lock().unwrap() = net;
    }

    /// Ends every connection there is.
    fn cut(&self) {
        self.cuts.fetch_add(1, Ordering::SeqCst);
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, net: &Mutex<Net>, cuts: &AtomicU64) {
    const LOOK: Duration = Duration::from_millis(20);
    let born = cuts.load(Ordering::SeqCst);
    from.set_read_timeout(Some(LOOK)).unwrap();
    let mut buffer = [0; 16_384];
    while cuts.load(Ordering::SeqCst) == born {
        let now = *net.lock().unwrap();
        if now == Net::HalfOpen {
            std::thread::sleep(LOOK);
            continue;
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                if now == Net::Slow {
                    std::thread::sleep(Duration::from_secs(2));
                }
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    // The other side may be gone already.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// `loaxa central` as its own process.
struct Central<'u> {
    unit: &'u Unit,
    http_port: u16,
    child: Option<Child>,
}

impl<'u> Central<'u> {
    fn new(unit: &'u Unit, keys: &Keys, broker_port: u16) -> Self {
        let write = |name: &str, key: &loaxa_heart::wire::signing::SecretKey| {
            KeyFile { key: key.clone(), holder: None }.write_new(&unit.path(name)).unwrap();
        };
        write("central.key", &keys.central);
        write("an.key", &keys.duty[0]);
        write("binh.key", &keys.duty[1]);
        let trust = TrustMessage { v: VERSION, trust: keys.trust() };
        std::fs::write(unit.path("trust.json"), codec::seal(&trust, &[&keys.root])).unwrap();
        loaxa_adapters::private_files::write(&unit.path("token"), TOKEN.as_bytes()).unwrap();
        let box_key = KeyFile::generate(None).unwrap();
        box_key.write_new(&unit.path("box.key")).unwrap();
        let http_port = free_port();
        let config = format!(
            "[central]\nlisten = \"127.0.0.1:{http_port}\"\ndata_dir = \"central\"\ncommune = \"Xã Thử\"\ngroup = \"xa\"\n\
             [broker]\nurl = \"mqtt://127.0.0.1:{broker_port}\"\n[api]\ntoken_file = \"token\"\n\
             [keys]\ncentral = \"central.key\"\nissuers = [\"an.key\", \"binh.key\"]\ntrust = \"trust.json\"\n\
             [[group]]\nid = \"xa\"\ntitle = \"Xã\"\n\
             [[box]]\nid = \"loa-1\"\ntitle = \"Loa\"\ngroups = [\"xa\"]\nkey = \"{}\"\n",
            box_key.key.public()
        );
        std::fs::write(unit.path("central.toml"), config).unwrap();
        Self { unit, http_port, child: None }
    }

    fn start(&mut self) {
        let said = self.unit.path("central-said");
        let said = std::fs::OpenOptions::new().create(true).append(true).open(said).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_loaxa"))
            .args(["central", "--config"])
            .arg(self.unit.path("central.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(said)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("ready"), "central does not start");
        self.child = Some(child);
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn agent() -> ureq::Agent {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        config.timeout_global(Some(Duration::from_secs(10))).build().into()
    }

    fn get(&self, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}/api/v1/{path}", self.http_port);
        let request = Self::agent().get(url).header("authorization", format!("Bearer {TOKEN}"));
        request.call().unwrap().body_mut().with_config().limit(1 << 30).read_to_string().unwrap()
    }

    /// Asks for an announcement of one tone; gives its id.
    fn announce(&self, hz: f64) -> String {
        let fields = json!({
            "to": ["xa"], "class": "priority", "title": hz.to_string(), "opening": "none", "expires_in_s": 86_400
        });
        let mut body = Vec::new();
        write!(body, "--b\r\ncontent-disposition: form-data; name=\"fields\"\r\n\r\n{fields}\r\n").unwrap();
        body.extend(b"--b\r\ncontent-disposition: form-data; name=\"audio\"; filename=\"a.wav\"\r\n\r\n");
        body.extend(tone(hz));
        body.extend(b"\r\n--b--\r\n");
        let url = format!("http://127.0.0.1:{}/api/v1/announcements", self.http_port);
        let request = Self::agent().post(url).header("authorization", format!("Bearer {TOKEN}"));
        let mut answer =
            request.header("content-type", "multipart/form-data; boundary=b").send(&body[..]).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert_eq!(answer.status(), 201, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["id"].as_str().unwrap().to_owned()
    }

    fn step(&self, id: &str) -> String {
        let answer: Value = serde_json::from_str(&self.get(&format!("announcements/{id}"))).unwrap();
        answer["delivery"][0]["step"].as_str().unwrap_or_default().to_owned()
    }

    /// Everything that it keeps of the box's log, in the order of arrival.
    fn exported(&self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let after = lines.len();
            let page: Value = serde_json::from_str(
                &self.get(&format!("log?box=loa-1&limit=500&after={}", next_cursor(&lines))),
            )
            .unwrap();
            for entry in page["entries"].as_array().unwrap() {
                let cursor = entry["cursor"].as_i64().unwrap();
                lines.push((
                    cursor,
                    entry["body"].as_str().map_or_else(|| entry["body"].to_string(), str::to_owned),
                ));
            }
            if lines.len() == after {
                return lines.into_iter().map(|(_, body)| body).collect();
            }
        }
    }
}

fn next_cursor(lines: &[(i64, String)]) -> i64 {
    lines.last().map_or(0, |(cursor, _)| *cursor)
}

impl Drop for Central<'_> {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.unit.path("central-said")).unwrap_or_default();
            eprintln!("central said:\n{said}");
        }
    }
}

fn tone(hz: f64) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 48_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for n in 0..(TONE_S * 48_000.0) as usize {
        let at = n as f64 / 48_000.0;
        writer.write_sample(((at * hz * std::f64::consts::TAU).sin() * 12_000.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

/// The log's count of one tone: seconds, plays, and how many of them sounded to the end.
#[derive(Default)]
struct Counted {
    seconds: f64,
    finished: u32,
    plays: u32,
}

#[test]
fn nothing_is_lost_nothing_twice_whatever_is_killed() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (faults, seed) = (number("LOAXA_SOAK").unwrap_or(FAULTS), number("LOAXA_SEED").unwrap_or(1));
    let mut dice = Dice(seed);
    // Before anything else is started.
    let lossy = Lossy::enter();
    let mut unit = Unit::new();
    let keys = Keys::new();
    let broker_port = free_port();
    let mut broker = Some(Mosquitto::start_at(broker_port));
    let proxy = Proxy::start(broker_port);
    enrol(&mut unit, &keys, proxy.port);
    let mut central = Central::new(&unit, &keys, broker_port);
    central.start();
    let mut running: Option<Running<'_>> = Some(unit.start());
    let mut issued = Vec::new();
    for fault in 0..faults {
        let hz = TONES_HZ[(fault % TONES_HZ.len() as u64) as usize];
        issued.push((central.announce(hz), hz));
        // The moment that is hit is the test's subject, not something that is waited for.
        std::thread::sleep(Duration::from_millis(dice.below(1_200)));
        match dice.below(9) {
            0..=2 => {
                running.take().expect("it is always started again").kill();
                running = Some(unit.start());
            }
            3 | 4 => {
                drop(broker.take());
                std::thread::sleep(Duration::from_millis(dice.below(400)));
                broker = Some(Mosquitto::start_at(broker_port));
            }
            5 => {
                central.kill();
                std::thread::sleep(Duration::from_millis(dice.below(400)));
                central.start();
            }
            6 => proxy.cut(),
            7 => {
                if let Some(lossy) = &lossy {
                    lossy.lose(proxy.port, Duration::from_millis(1_000 + dice.below(4_000)));
                }
            }
            _ => {
                proxy.become_([Net::Slow, Net::HalfOpen, Net::Shut][dice.below(3) as usize]);
                std::thread::sleep(Duration::from_millis(500 + dice.below(2_000)));
                proxy.cut();
                proxy.become_(Net::Good);
            }
        }
    }
    // A new connection heals at once what the next heartbeat would.
    proxy.cut();
    let healed_by = Instant::now() + HEALING;
    let mut open: Vec<&str> = issued.iter().map(|(id, _)| id.as_str()).collect();
    while !open.is_empty() {
        open.retain(|id| central.step(id) != "finished");
        assert!(Instant::now() < healed_by, "seed {seed}: not finished: {open:?}\n{}", unit.said());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(running.take().expect("it is always started again").terminate().success());
    // What it wrote while it ended comes home with the next start.
    let last = unit.start();
    let wrote = |status: &loaxa_box::status::Status| status.connected && status.backlog == 0;
    eventually("a log that is home", || unit.status().filter(wrote));
    last.kill();

    let (_, records) = unit.records();
    let written: Vec<String> = records.into_iter().map(|record| record.body).collect();
    let kept = central.exported();
    assert_eq!(kept.len(), written.len(), "seed {seed}: central keeps as many records as the box wrote");
    assert!(kept == written, "seed {seed}: central keeps exactly what the box wrote, in its order");

    let mut counted: BTreeMap<String, Counted> = BTreeMap::new();
    let mut plays = BTreeMap::new();
    for body in &written {
        match serde_json::from_str::<LogBody>(body).unwrap().entry.event {
            Event::PlayStarted(start) => {
                counted.entry(start.title.clone()).or_default().plays += 1;
                assert_eq!(
                    plays.insert(start.play, (start.title, 0)),
                    None,
                    "seed {seed}: a play begins twice"
                );
            }
            Event::PlayEnded(end) => {
                let (title, ends) = plays.get_mut(&end.play).expect("it began");
                *ends += 1;
                let of = counted.get_mut(title).expect("it began");
                of.seconds += end.frames_played as f64 / 48_000.0;
                of.finished += u32::from(end.outcome == PlayOutcome::Finished);
            }
            _ => {}
        }
    }
    assert!(plays.values().all(|(_, ends)| *ends == 1), "seed {seed}: every play ends once: {plays:?}");
    let rows: Vec<Value> = serde_json::from_str(&central.get("plays?limit=500")).unwrap();
    assert!(
        faults > 400 || rows.len() == plays.len(),
        "seed {seed}: {} rows, {} plays",
        rows.len(),
        plays.len()
    );
    assert!(rows.iter().all(|row| row["outcome"].is_string()), "seed {seed}");
    for (_, hz) in &issued {
        let finished = counted.get(&hz.to_string()).map_or(0, |counted| counted.finished);
        let times = issued.iter().filter(|(_, of)| of == hz).count();
        assert_eq!(finished as usize, times, "seed {seed}: {hz} Hz");
    }
    if faults <= LISTENED_TO_MAX {
        let stretches = unit.recording().stretches(&TONES_HZ);
        for hz in TONES_HZ {
            let heard: f64 = stretches.iter().filter(|s| s.hz == hz).map(|s| s.seconds()).sum();
            let none = Counted::default();
            let said = counted.get(&hz.to_string()).unwrap_or(&none);
            let slack = HEARING_S * f64::from(said.plays);
            assert!(
                said.seconds <= heard + slack,
                "seed {seed}: {hz} Hz: {} s counted, {heard} s heard",
                said.seconds
            );
            assert!(heard <= TONE_S * f64::from(said.plays) + slack, "seed {seed}: {hz} Hz: {heard} s heard");
        }
    }
    println!("seed {seed}: {faults} faults, {} records, {} plays", written.len(), plays.len());
    drop(broker);
}
