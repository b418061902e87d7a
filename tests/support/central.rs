//! A central that keeps to a script: welcomes boxes, signs commands, collects logs, serves media.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use loaxa_adapters::clock;
use loaxa_adapters::mqtt::{Link, LinkConfig, LinkEvent, Qos};
use loaxa_heart::domain::announcement::{BulletinClass, Media, Mode, PlayPlan, Words};
use loaxa_heart::domain::authority::{Grant, Power, Threshold, Trust};
use loaxa_heart::domain::ids::{ContentHash, Epoch};
use loaxa_heart::domain::sound::{Pattern, Tone};
use loaxa_heart::domain::time::Span;
use loaxa_heart::wire::broker_address::BrokerAddress;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{
    Body, Command, Heartbeat, Hello, LogAck, LogBatch, LogRecord, TrustMessage, VERSION, Welcome,
};
use loaxa_heart::wire::signing::{PublicKey, SecretKey};
use loaxa_heart::wire::topics::{self, Down, Topic, Up};

use super::broker::Broker;
use super::eventually;
use super::unit::{BOX_ID, GROUP, Unit, box_id};

/// The keys of a small commune.
pub struct Keys {
    pub root: SecretKey,
    pub central: SecretKey,
    /// Two people; an emergency needs both.
    pub duty: [SecretKey; 2],
    /// May do everything in one village.
    pub villager: SecretKey,
}

impl Keys {
    pub fn new() -> Self {
        let key = |n| SecretKey::from_seed(&[n; 32]);
        Self { root: key(1), central: key(2), duty: [key(3), key(4)], villager: key(5) }
    }

    pub fn trust(&self) -> Trust {
        use Power::*;
        let grant = |key: &SecretKey, holder: &str, powers: &[Power]| Grant {
            key: key.key_id(),
            public: key.public().to_string(),
            holder: holder.to_owned(),
            powers: powers.iter().copied().collect(),
            groups: [GROUP.parse().unwrap()].into(),
            level: 1,
            valid_from: None,
            account: None,
            valid_until: None,
        };
        let of_people =
            [Normal, Priority, Emergency, Exercise, Cancel, Programme, Policy, Groups, Software, Test];
        Trust {
            version: 1,
            grants: vec![
                grant(&self.central, "trung tâm", &[Central]),
                grant(&self.duty[0], "Nguyễn Văn An", &of_people),
                grant(&self.duty[1], "Trần Thị Bình", &of_people),
                Grant {
                    groups: ["thon-1".parse().unwrap()].into(),
                    level: 2,
                    ..grant(&self.villager, "Lê Văn Giang", &of_people)
                },
            ],
            thresholds: vec![Threshold { power: Emergency, signatures: 2 }],
            nesting: ["thon-1", "thon-2"]
                .map(|village| (village.parse().unwrap(), GROUP.parse().unwrap()))
                .into(),
        }
    }

    /// Signed by both people.
    pub fn sealed_by_both(&self, command: &Command) -> Vec<u8> {
        codec::seal(command, &[&self.duty[0], &self.duty[1]])
    }
}

/// Writes the keys that a box pins, and points the box to a broker.
pub fn enrol(unit: &mut Unit, keys: &Keys, broker_port: u16) {
    let trust = TrustMessage { v: VERSION, trust: keys.trust() };
    std::fs::write(unit.path("root.pub"), format!("public {}\n", keys.root.public())).unwrap();
    std::fs::write(unit.path("trust.json"), codec::seal(&trust, &[&keys.root])).unwrap();
    unit.link = format!(
        "[central]\nbroker = \"mqtt://127.0.0.1:{broker_port}\"\n\
         [trust]\nroot = \"root.pub\"\ntrust = \"trust.json\"\nkey = \"box.key\"\n"
    );
}

/// The messages that central has received so far.
#[derive(Default)]
pub struct Heard {
    pub hellos: Vec<Hello>,
    pub heartbeats: Vec<Heartbeat>,
    box_key: Option<PublicKey>,
    /// Bodies by epoch and number; each of them arrived with a valid signature.
    pub log: BTreeMap<(Epoch, u64), String>,
    /// Records that arrived again, with the same body.
    pub again: u64,
    /// Numbers under which another body arrived.
    pub forked: Vec<u64>,
    /// While it is set, nothing is acknowledged.
    pub keeps_silent: bool,
}

impl Heard {
    /// Up to where there is no gap.
    fn contiguous_upto(&self, epoch: Epoch) -> u64 {
        (1..).take_while(|seq| self.log.contains_key(&(epoch, *seq))).last().unwrap_or(0)
    }
}

/// The central itself.
pub struct ScriptedCentral {
    pub keys: Keys,
    pub heard: Arc<Mutex<Heard>>,
    link: Link,
    media: MediaServer,
    serial: u64,
    _runtime: tokio::runtime::Runtime,
}

impl ScriptedCentral {
    pub fn start(keys: Keys, broker: &impl Broker) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let _inside = runtime.enter();
        let media = MediaServer::start();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (link, mut events) = Link::connect(link_config(broker.address())).unwrap();
        let clerk = Clerk {
            key: keys.central.clone(),
            heard: heard.clone(),
            link: link.clone(),
            media_base: media.base.clone(),
        };
        runtime.spawn(async move {
            while let Some(event) = events.recv().await {
                if let LinkEvent::Message { topic: Topic::Up(_, up), bytes } = event {
                    clerk.hear(up, &bytes);
                }
            }
        });
        drop(_inside);
        eventually("central on the broker", || link.is_connected().then_some(()));
        Self { keys, heard, link, media, serial: 0, _runtime: runtime }
    }

    /// Waits until a box has said hello and knows the time.
    pub fn await_box(&self, unit: &Unit) {
        eventually("a hello", || (!self.heard.lock().unwrap().hellos.is_empty()).then_some(()));
        let synced = |status: &loaxa_box::status::Status| {
            status.clock == loaxa_heart::domain::time::ClockQuality::Synced && status.connected
        };
        eventually("a box that was welcomed", || unit.status().filter(synced));
    }

    /// A command of the first person that is in force for ten minutes from now.
    pub fn command(&mut self, id: &str, body: Body) -> Command {
        self.serial += 1;
        let now = clock::wall();
        Command {
            v: VERSION,
            id: id.parse().unwrap(),
            issuer: self.keys.duty[0].key_id(),
            serial: self.serial,
            issued_at: now,
            groups: vec![GROUP.parse().unwrap()],
            not_before: now.minus(Span::secs(1)),
            expires: now.plus(Span::secs(600)),
            author: "An".to_owned(),
            approver: Some("Bình".to_owned()),
            critical: Vec::new(),
            body,
        }
    }

    /// Sends bytes to all boxes of the group.
    pub fn say(&self, bytes: &[u8]) {
        let topic = Topic::Group(GROUP.parse().unwrap());
        self.link.publish(&topic, bytes.to_vec(), Qos::AtLeastOnce).unwrap();
    }

    /// Sends bytes to all boxes of another group.
    pub fn say_to_group(&self, group: &str, bytes: &[u8]) {
        let topic = Topic::Group(group.parse().unwrap());
        self.link.publish(&topic, bytes.to_vec(), Qos::AtLeastOnce).unwrap();
    }

    /// Sends bytes to the box on one of its own topics.
    pub fn say_to_box(&self, down: Down, bytes: &[u8]) {
        self.link.publish(&Topic::Down(box_id(), down), bytes.to_vec(), Qos::AtLeastOnce).unwrap();
    }

    /// Offers a WAV for download.
    pub fn offer(&self, wav: &std::path::Path, ms: u32) -> Media {
        let bytes = std::fs::read(wav).unwrap();
        let sha256 = ContentHash::of(&bytes);
        let media = Media {
            sha256,
            bytes: bytes.len() as u64,
            codec: "audio/wav".to_owned(),
            ms,
            path: format!("{sha256}"),
        };
        self.media.files.lock().unwrap().insert(media.path.clone(), bytes);
        media
    }

    /// Takes all audio away from the server.
    pub fn withdraw_audio(&self) {
        self.media.files.lock().unwrap().clear();
    }

    pub fn heard<T>(&self, ask: impl FnOnce(&mut Heard) -> T) -> T {
        ask(&mut self.heard.lock().unwrap())
    }

    /// Returns the records of an epoch that have arrived without a gap.
    pub fn collected(&self, epoch: Epoch) -> Vec<LogRecord> {
        let heard = self.heard.lock().unwrap();
        let record = |seq| Some(LogRecord { seq, body: heard.log.get(&(epoch, seq))?.clone() });
        (1..=heard.contiguous_upto(epoch)).filter_map(record).collect()
    }
}

/// An announcement without any extras.
pub fn announce(
    class: BulletinClass,
    media: Option<Media>,
    words: Option<&str>,
    opening: Option<Pattern>,
) -> Body {
    let words = words.map(|text| Words { text: text.to_owned(), language: "vi".to_owned() });
    Body::Announce {
        title: "Thông báo".to_owned(),
        class,
        mode: Mode::Actual,
        plan: PlayPlan { gap_s: 0, opening, ..PlayPlan::default() },
        media,
        words,
        supersedes: None,
        cap: None,
    }
}

/// One steady tone as an opening.
pub fn beep(hz: f32, ms: u32) -> Pattern {
    Pattern { tones: vec![Tone { from_hz: hz, to_hz: hz, ms, gap_ms: 0 }], repeats: 1 }
}

fn link_config(broker: BrokerAddress) -> LinkConfig {
    let mut config = LinkConfig::new(broker, "central");
    config.subscriptions = vec![topics::central_filter(None)];
    config.reconnect_s_min = 0.05;
    config.reconnect_s_max = 0.2;
    config
}

/// The part of a scripted central that answers what arrives.
struct Clerk {
    key: SecretKey,
    heard: Arc<Mutex<Heard>>,
    link: Link,
    media_base: String,
}

impl Clerk {
    fn hear(&self, up: Up, bytes: &[u8]) {
        match up {
            Up::Hello => self.welcome(codec::decode(bytes).unwrap()),
            Up::Log => self.take_log(bytes),
            Up::Heartbeat => self.heard.lock().unwrap().heartbeats.push(codec::decode(bytes).unwrap()),
            Up::Lost | Up::Renew => {}
        }
    }

    fn welcome(&self, hello: Hello) {
        let welcome = Welcome {
            v: VERSION,
            box_id: hello.box_id.clone(),
            nonce: hello.nonce.clone(),
            time: clock::wall(),
            upload_after_s: 0,
            media_base: self.media_base.clone(),
            authorities: None,
        };
        let mut heard = self.heard.lock().unwrap();
        heard.box_key = hello.key.as_ref().map(|key| key.parse().unwrap());
        heard.hellos.push(hello);
        drop(heard);
        self.answer(Down::Welcome, codec::seal(&welcome, &[&self.key]));
    }

    fn take_log(&self, bytes: &[u8]) {
        let mut heard = self.heard.lock().unwrap();
        let box_key = heard.box_key;
        let keys = |id: &_| box_key.filter(|key| key.key_id() == *id);
        let batch = codec::open::<LogBatch>(bytes, &keys).expect("the box signs its log").payload;
        for LogRecord { seq, body } in batch.records {
            match heard.log.get(&(batch.epoch, seq)) {
                None => drop(heard.log.insert((batch.epoch, seq), body)),
                Some(known) if *known == body => heard.again += 1,
                Some(_) => heard.forked.push(seq),
            }
        }
        if heard.keeps_silent {
            return;
        }
        let contiguous_upto = heard.contiguous_upto(batch.epoch);
        drop(heard);
        let ack = LogAck { v: VERSION, epoch: batch.epoch, contiguous_upto, forked: false };
        self.answer(Down::LogAck, codec::seal(&ack, &[&self.key]));
    }

    /// A broker that is gone takes the answer with it: the box asks again.
    fn answer(&self, down: Down, bytes: Vec<u8>) {
        let topic = Topic::Down(BOX_ID.parse().unwrap(), down);
        let _ = self.link.publish(&topic, bytes, Qos::AtLeastOnce);
    }
}

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A small web server for media; its thread ends with the test's process.
struct MediaServer {
    base: String,
    files: Files,
}

impl MediaServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/media/", listener.local_addr().unwrap());
        let files = Files::default();
        let served = files.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that hangs up gets nothing.
                let _ = serve(&stream, &served);
            }
        });
        Self { base, files }
    }
}

fn serve(mut stream: &TcpStream, files: &Files) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let request = lines.next().unwrap_or_default();
    let from = lines.find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
    let from: usize = from.and_then(|range| range.trim_end_matches('-').parse().ok()).unwrap_or(0);
    let name = request.split(' ').nth(1).and_then(|path| path.strip_prefix("/media/")).unwrap_or_default();
    let Some(body) = files.lock().unwrap().get(name).cloned() else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let (length, whole) = (body.len() - from, body.len());
    let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Range: bytes {from}-{}/{whole}\r\n\
         Connection: close\r\n\r\n",
        whole - 1
    )?;
    stream.write_all(&body[from..])
}
