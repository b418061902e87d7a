//! A commune for tests: keys, a central, brokers, and a box that does what the test says.
use std::fmt::Display;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use loaxa_adapters::mqtt::{Link, LinkConfig, LinkEvent, Qos};
use loaxa_central::Central;
use loaxa_central::settings::BoxDeclared;
use loaxa_central::settings::{BrokerChoice, Group, Keys, Logins, Settings};
use loaxa_heart::config::store_file::Database;
use loaxa_heart::domain::authority::{Grant, Power, Threshold, Trust};
use loaxa_heart::domain::ids::{BoxId, ContentHash, Epoch, GroupId, KeyId};
use loaxa_heart::domain::playback::{Entry, Event, Stamp};
use loaxa_heart::domain::time::{ClockQuality, Wall};
use loaxa_heart::wire::broker_address::BrokerAddress;
use loaxa_heart::wire::messages::{
    Heartbeat, Hello, Holds, LogAck, LogBatch, LogHead, LogRecord, TrustMessage, VERSION, commands_digest,
};
use loaxa_heart::wire::signing::{PublicKey, SecretKey};
use loaxa_heart::wire::topics::{self, Down, Topic, Up};
use loaxa_heart::wire::{chain, codec};
use tokio::sync::mpsc;

use super::broker::{Broker, Mosquitto};
use super::unit::Unit;

/// Longest wait for anything before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const TOKEN: &str = "a-token-for-tests";

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

pub fn central_key() -> SecretKey {
    key(101)
}

pub fn known_keys(id: &KeyId) -> Option<PublicKey> {
    [central_key(), key(1), key(2)].iter().map(SecretKey::public).find(|key| key.key_id() == *id)
}

pub fn group(id: &str) -> GroupId {
    GroupId::new(id).unwrap()
}

/// An (1) and Bình (2) are duty officers; emergencies need both.
pub fn trust() -> Vec<u8> {
    trust_of(|_| {})
}

/// The trust document with a change.
pub fn trust_of(change: impl FnOnce(&mut Trust)) -> Vec<u8> {
    trust_with(&["thon-1", "thon-2"], change)
}

/// The same, over these villages.
pub fn trust_over(villages: &[&str]) -> Vec<u8> {
    trust_with(villages, |_| {})
}

fn trust_with(villages: &[&str], change: impl FnOnce(&mut Trust)) -> Vec<u8> {
    use Power::*;
    let people = [Normal, Priority, Emergency, Exercise, Live, Cancel, Test, Programme, Policy, Groups];
    let grant = |key: SecretKey, holder: &str, powers: &[Power]| Grant {
        key: key.key_id(),
        public: key.public().to_string(),
        holder: holder.to_owned(),
        powers: powers.iter().copied().collect(),
        groups: [group("xa")].into(),
        level: 1,
        valid_from: None,
        account: None,
        valid_until: None,
    };
    let mut trust = Trust {
        version: 3,
        grants: vec![
            grant(key(1), "An", &people),
            grant(key(2), "Bình", &people),
            grant(central_key(), "Trung tâm", &[Central]),
        ],
        thresholds: vec![Threshold { power: Emergency, signatures: 2 }],
        nesting: villages.iter().map(|village| (group(village), group("xa"))).collect(),
    };
    change(&mut trust);
    codec::seal(&TrustMessage { v: VERSION, trust }, &[&key(100)])
}

/// The database of a commune in this folder: a file, or one on the server whose socket's folder is in the environment.
fn database(dir: &Path) -> Database {
    match std::env::var("LOAXA_TEST_POSTGRES") {
        Ok(socket) => super::postgres::database_on(&socket, dir),
        Err(_) => Database::Sqlite(dir.join("central.db")),
    }
}

/// A commune of two villages with a box in each.
pub fn settings(dir: &Path, broker: BrokerChoice) -> Settings {
    let place = |id: &str, title: &str, parent: Option<&str>| Group {
        id: group(id),
        title: title.to_owned(),
        parent: parent.map(group),
    };
    let declared = |n: u8| BoxDeclared {
        id: BoxId::new(format!("loa-{n}")).unwrap(),
        title: format!("Cụm loa {n}"),
        groups: vec![group(&format!("thon-{n}"))],
        key: Some(key(10 + n).public().to_string()),
    };
    Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        public_url: None,
        peer_url: None,
        page: Default::default(),
        data_dir: dir.to_owned(),
        commune: "Xã Thử".to_owned(),
        broker,
        database: database(dir),
        token: TOKEN.to_owned(),
        second_factor: true,
        everyday: Default::default(),
        training: Default::default(),
        keys: Keys { central: central_key(), issuers: vec![key(1), key(2)], trust: trust() },
        scanner: Vec::new(),
        speech: ["espeak-ng", "-v", "{language}", "-w", "{out}", "--stdin"].map(str::to_owned).to_vec(),
        groups: vec![
            place("xa", "Xã Thử", None),
            place("thon-1", "Thôn 1", Some("xa")),
            place("thon-2", "Thôn 2", Some("xa")),
        ],
        boxes: vec![declared(1), declared(2)],
        cap: None,
        calling: Default::default(),
        reporting: Default::default(),
        enrolment: None,
        trust_first_use: false,
    }
}

pub fn embedded() -> BrokerChoice {
    BrokerChoice::Embedded { listen: SocketAddr::from(([127, 0, 0, 1], 0)), logins: Logins::NameAlone }
}

/// Sets a box of the commune up at a broker; central takes its key at its first word.
pub fn join(unit: &mut Unit, broker: impl Display, trust: &[u8]) {
    unit.groups = vec!["thon-1", "xa"];
    std::fs::write(unit.path("root.pub"), format!("public {}\n", key(100).public())).unwrap();
    std::fs::write(unit.path("trust.json"), trust).unwrap();
    unit.link = format!(
        "[central]\nbroker = \"mqtt://loa-1:x@{broker}\"\n\
         [trust]\nroot = \"root.pub\"\ntrust = \"trust.json\"\nkey = \"box.key\"\n"
    );
}

/// A broker beside central.
pub fn outside(broker: &Mosquitto) -> BrokerChoice {
    BrokerChoice::Url { address: broker.address(), ca: None, identity: None }
}

/// Starts central and waits until its broker has it.
pub async fn start(settings: Settings) -> Central {
    let central = Central::start(settings).await.unwrap();
    until("central reaches its broker", async || central.is_connected().then_some(())).await;
    central
}

/// Asks again and again until there is an answer.
pub async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A box that does what the test says.
pub struct ScriptedBox {
    pub id: BoxId,
    pub key: SecretKey,
    pub epoch: Epoch,
    link: Link,
    events: mpsc::Receiver<LinkEvent>,
    chain: chain::Link,
    /// Oldest record that the box still holds, as its batches say.
    pub oldest: u64,
    pub records: Vec<LogRecord>,
}

impl ScriptedBox {
    /// Box `n`, connected.
    pub async fn connect(n: u8, port: u16) -> Self {
        Self::connect_to(n, &format!("mqtt://127.0.0.1:{port}").parse().unwrap()).await
    }

    /// Box `n`, connected to one of these brokers.
    pub async fn connect_to(n: u8, broker: &BrokerAddress) -> Self {
        let id = BoxId::new(format!("loa-{n}")).unwrap();
        let broker = BrokerAddress { login: Some((id.to_string(), "x".to_owned())), ..broker.clone() };
        let config = LinkConfig {
            subscriptions: topics::box_filters(&id, &[group(&format!("thon-{n}")), group("xa")]),
            reconnect_s_min: 0.05,
            reconnect_s_max: 0.2,
            ..LinkConfig::new(broker, id.as_str())
        };
        let (link, events) = Link::connect(config).unwrap();
        let records = Vec::new();
        let mut this = Self {
            id,
            key: key(10 + n),
            epoch: Epoch(70 + u64::from(n)),
            link,
            events,
            chain: chain::Link::FIRST,
            oldest: 1,
            records,
        };
        this.connected().await;
        this
    }

    pub async fn connected(&mut self) {
        until("the box reaches the broker", async || self.link.is_connected().then_some(())).await;
    }

    /// Waits until the connection was lost and there is another; passes over what arrived before.
    pub async fn reconnected(&mut self) {
        for wanted in [false, true] {
            let is_it = |event: &LinkEvent| match event {
                LinkEvent::Disconnected { .. } => !wanted,
                LinkEvent::Connected => wanted,
                _ => false,
            };
            while !is_it(&self.events.recv().await.expect("the link lives")) {}
        }
    }

    pub fn holds(&self, ids: &[&str]) -> Holds {
        let mut ids: Vec<_> = ids.iter().map(|id| id.parse().unwrap()).collect();
        ids.sort();
        let commands = commands_digest(&ids);
        Holds { commands, trust: 3, ..Holds::default() }
    }

    pub fn say(&self, up: Up, bytes: Vec<u8>) {
        assert!(self.try_to_say(up, bytes), "the box is connected");
    }

    /// Says whether the link took it.
    pub fn try_to_say(&self, up: Up, bytes: Vec<u8>) -> bool {
        self.link.publish(&Topic::Up(self.id.clone(), up), bytes, Qos::AtLeastOnce).is_ok()
    }

    pub fn hello(&self, nonce: &str, holds: Holds) {
        self.hello_in(nonce, &[], holds);
    }

    /// Says hello as a village that hears these languages.
    pub fn hello_in(&self, nonce: &str, languages: &[&str], holds: Holds) {
        let hello = Hello {
            v: VERSION,
            box_id: self.id.clone(),
            software: "scripted".to_owned(),
            languages: languages.iter().map(|tag| (*tag).to_owned()).collect(),
            key: None,
            epoch: self.epoch,
            nonce: nonce.to_owned(),
            clock: ClockQuality::Synced,
            wall: Wall(0),
            holds,
            upgrade: None,
        };
        self.say(Up::Hello, codec::encode(&hello));
    }

    pub fn heartbeat(&self, holds: Holds) {
        self.say_heartbeat(Some(holds), None);
    }

    /// Says that it still holds what it said before.
    pub fn heartbeat_held(&self, holds: &Holds) {
        self.say_heartbeat(None, Some(holds.digest()));
    }

    fn say_heartbeat(&self, holds: Option<Holds>, held: Option<String>) {
        self.say(Up::Heartbeat, Self::heartbeat_of(holds, held));
    }

    /// The bytes of a heartbeat.
    pub fn heartbeat_of(holds: Option<Holds>, held: Option<String>) -> Vec<u8> {
        codec::encode(&Heartbeat {
            v: VERSION,
            wall: Wall(0),
            clock: ClockQuality::Synced,
            nonce: None,
            on_air: None,
            holds,
            held,
            backlog: 2,
            faults: vec!["device_lost".to_owned()],
            usage: None,
            upgrade: None,
        })
    }

    /// Takes what has arrived, unread, so that the link goes on.
    pub fn pass_over(&mut self) {
        while self.events.try_recv().is_ok() {}
    }

    /// The next message for which `wanted` has an answer; others are passed over.
    pub async fn next<T>(&mut self, what: &str, wanted: impl Fn(&Topic, &[u8]) -> Option<T>) -> T {
        let look = async {
            loop {
                match self.events.recv().await.expect("the link lives") {
                    LinkEvent::Message { topic, bytes } => {
                        if let Some(found) = wanted(&topic, &bytes) {
                            return found;
                        }
                    }
                    LinkEvent::Refused { reason } => panic!("the broker refused: {reason}"),
                    LinkEvent::Connected | LinkEvent::Disconnected { .. } => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
    }

    /// Writes an entry into the box's own log.
    pub fn append(&mut self, event: Event) {
        let wall = Wall(1_795_221_000_000_000 + self.records.len() as i64 * 1_000_000);
        let at = Stamp { start: 1, mono_us: 5, wall, quality: ClockQuality::Synced, uncertainty_ms: 1 };
        self.append_entry(Entry { at, event });
    }

    /// Writes an entry with a stamp of its own.
    pub fn append_entry(&mut self, entry: Entry) {
        let record = self.chain.record(&self.id, self.epoch, entry).unwrap();
        self.chain = chain::Link::after(record.seq, &record.body);
        self.records.push(record);
    }

    /// The sealed batch of records `from..=to` by their numbers.
    pub fn batch(&self, from: u64, to: u64) -> Vec<u8> {
        let records = self.records[from as usize - 1..to as usize].to_vec();
        let (box_id, epoch) = (self.id.clone(), self.epoch);
        let hash = ContentHash::of(self.records[to as usize - 1].body.as_bytes());
        let head = LogHead { v: VERSION, box_id: box_id.clone(), epoch, seq: to, hash };
        let head = String::from_utf8(codec::seal(&head, &[&self.key])).ok();
        let batch = LogBatch { v: VERSION, box_id, epoch, oldest: self.oldest, records, head };
        codec::seal(&batch, &[&self.key])
    }

    /// Uploads and waits for the answer.
    pub async fn upload(&mut self, from: u64, to: u64) -> LogAck {
        self.say(Up::Log, self.batch(from, to));
        self.next("an acknowledgement", ack).await
    }
}

/// Reads an acknowledgement, and checks who signed it.
pub fn ack(topic: &Topic, bytes: &[u8]) -> Option<LogAck> {
    matches!(topic, Topic::Down(_, Down::LogAck))
        .then(|| codec::open::<LogAck>(bytes, &known_keys).expect("signed by central").payload)
}

/// An answer of central over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    pub headers: Vec<(String, String)>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into()
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let headers = response.headers().iter();
    let headers = headers.map(|(key, value)| (key.to_string(), value.to_str().unwrap().to_owned())).collect();
    Answer { status: response.status().as_u16(), body: response.body_mut().read_to_vec().unwrap(), headers }
}

pub async fn get(central: &Central, path: &str, headers: &[(&'static str, &str)]) -> Answer {
    let url = format!("http://{}{path}", central.http_addr());
    let headers: Vec<_> = headers.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    let ask = move || {
        let request =
            headers.iter().fold(agent().get(&url), |request, (key, value)| request.header(*key, value));
        answer(request.call().unwrap())
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

pub async fn get_api(central: &Central, path: &str) -> Answer {
    get(central, path, &[("authorization", &format!("Bearer {TOKEN}"))]).await
}

pub async fn post(central: &Central, path: &str, content_type: &'static str, body: Vec<u8>) -> Answer {
    let url = format!("http://{}{path}", central.http_addr());
    let ask = move || {
        let request = agent().post(&url).header("authorization", format!("Bearer {TOKEN}"));
        answer(request.header("content-type", content_type).send(&body[..]).unwrap())
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

/// Puts without the token.
pub async fn put_with(
    central: &Central,
    path: &str,
    headers: &[(&'static str, &str)],
    body: Vec<u8>,
) -> Answer {
    let url = format!("http://{}{path}", central.http_addr());
    let headers: Vec<_> = headers.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    let ask = move || {
        let request =
            headers.iter().fold(agent().put(&url), |request, (key, value)| request.header(*key, value));
        answer(request.send(&body[..]).unwrap())
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

/// Posts without the token.
pub async fn post_with(
    central: &Central,
    path: &str,
    headers: &[(&'static str, &str)],
    body: Vec<u8>,
) -> Answer {
    let url = format!("http://{}{path}", central.http_addr());
    let headers: Vec<_> = headers.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    let ask = move || {
        let request =
            headers.iter().fold(agent().post(&url), |request, (key, value)| request.header(*key, value));
        answer(request.send(&body[..]).unwrap())
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

/// Sends an announcement as a form.
pub async fn announce(central: &Central, fields: &serde_json::Value, audio: Option<&[u8]>) -> Answer {
    let mut body = Vec::new();
    let head = "--b\r\ncontent-disposition: form-data; name=\"fields\"\r\n\r\n";
    write!(body, "{head}{fields}\r\n").unwrap();
    if let Some(audio) = audio {
        let head = "--b\r\ncontent-disposition: form-data; name=\"audio\"; filename=\"bai.wav\"\r\n\r\n";
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(audio);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    post(central, "/api/v1/announcements", "multipart/form-data; boundary=b", body).await
}

/// A second of a tone, as WAV.
pub fn tone() -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for n in 0..8_000 {
        writer
            .write_sample(((n as f32 * 440.0 * std::f32::consts::TAU / 8_000.0).sin() * 9_000.0) as i16)
            .unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}
