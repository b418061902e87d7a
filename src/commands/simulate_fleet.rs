//! `loaxa simulate fleet`: a central on this machine, and many boxes in memory over real MQTT sessions: how fast an emergency
//! is everywhere, and whether it sounds once at each box and the whole log comes home, also over an outage of all at once and
//! a power cut while it sounds.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::client::Client;
use super::language::{Failure, Outcome, tell};
use loaxa_adapters::clock::monotonic;
use loaxa_central::Central;
use loaxa_central::settings::{BoxDeclared, BrokerChoice, Group, Keys, Logins, Settings};
use loaxa_fleet::account::{Account, Deliveries, Percentiles};
use loaxa_fleet::fleet::Fleet;
use loaxa_fleet::hostile::Mob;
use loaxa_fleet::site::{Network, Release, Site, Supply};
use loaxa_fleet::weather::{Relay, Weather};
use loaxa_heart::config::store_file::{Database, PostgresServer};
use loaxa_heart::domain::authority::{Grant, Power, Threshold, Trust};
use loaxa_heart::domain::hex::hex;
use loaxa_heart::domain::ids::{BoxId, CommandId, GroupId};
use loaxa_heart::domain::time::{Moment, Span};
use loaxa_heart::texts::Sentence;
use loaxa_heart::wire::broker_address::BrokerAddress;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{TrustMessage, VERSION};
use loaxa_heart::wire::signing::SecretKey;

/// The group of all boxes, and the boxes in each village.
const ALL: &str = "huyen";
const VILLAGE_BOXES: usize = 5;
/// Time between two looks at the fleet.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(clap::Args)]
pub struct Args {
    #[arg(long, default_value_t = 1_000)]
    boxes: usize,
    #[arg(long, default_value_t = 0)]
    outage: u64,
    #[arg(long, default_value_t = 120)]
    patience: u64,
    /// Milliseconds there and back.
    #[arg(long, default_value_t = 0)]
    round_trip: u64,
    /// Percent of the packets.
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    #[arg(long, default_value_t = 0)]
    hostile: usize,
    #[arg(long, default_value_t = 0)]
    power_cut: u64,
    /// Percent of the boxes.
    #[arg(long, default_value_t = 0)]
    older: usize,
    /// Another broker than that in this process, without TLS.
    #[arg(long)]
    broker: Option<BrokerAddress>,
    /// `postgres://` instead of SQLite in a file.
    #[arg(long)]
    database: Option<String>,
    #[arg(long)]
    database_password_file: Option<PathBuf>,
}

pub fn run(args: &Args) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(trial(args))
}

async fn trial(args: &Args) -> Outcome {
    let dir = std::env::temp_dir().join(format!("loaxa-fleet-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let done = in_folder(args, &dir).await;
    let _ = std::fs::remove_dir_all(&dir);
    done
}

async fn in_folder(args: &Args, dir: &Path) -> Outcome {
    let keys = TrialKeys::draw(args.boxes + args.hostile);
    let token = hex(&random());
    let central = Central::start(settings(args, &keys, dir, token.clone())?).await;
    let central = central.map_err(|error| loaxa_heart::texts::Say::say(&error))?;
    let broker = broker_of(args, &central).await?;
    let weather = Weather {
        round_trip: Duration::from_millis(args.round_trip),
        loss: args.loss.clamp(0.0, 50.0) / 100.0,
    };
    let relay = if weather.is_fair() { None } else { Some(Relay::start(broker, weather).await?) };
    let network = network_to(relay.as_ref().map_or(broker, |relay| relay.address));

    let mut sites = keys.sites();
    for older in sites.iter_mut().take(args.boxes * args.older.min(100) / 100) {
        older.release = Release::Older;
    }
    let hostile = sites.split_off(args.boxes);
    let mob = sites.first().map(|victim| Mob::start(hostile, &victim.id, &network_to(broker)));
    let began = monotonic();
    let fleet = Fleet::start(sites, &network);
    let mut trial = Trial { fleet, patience: Span::secs(args.patience), whole: true };
    trial.welcome(began).await;
    if args.outage > 0 {
        let (count, after, most) = trial.cut(Supply::NoNetwork, args.outage).await;
        tell!("fleet.came_back", count, all = trial.all(), seconds = after, most);
    }
    let base = format!("http://{}", central.http_addr());
    let began = monotonic();
    let id =
        tokio::task::spawn_blocking(move || emergency(&base, &token)).await.expect("it does not panic")?;
    let answered = monotonic().since(began);
    if args.power_cut > 0 {
        let (count, after, most) = trial.cut(Supply::NoPower, args.power_cut).await;
        tell!("fleet.power_back", count, all = trial.all(), seconds = after, most);
    }
    trial.emergency(&id, answered).await;
    let whole = trial.account(&id).await;
    drop((trial, mob));
    central.stop().await;
    if whole {
        tell!("fleet.kept");
        return Ok(ExitCode::SUCCESS);
    }
    tell!("fleet.broken");
    Ok(ExitCode::FAILURE)
}

/// A fleet whose boxes have to get everything.
struct Trial {
    fleet: Fleet,
    patience: Span,
    /// Nothing was missing so far.
    whole: bool,
}

impl Trial {
    fn all(&self) -> usize {
        self.fleet.size()
    }

    async fn wait(&mut self, is_so: impl Fn(&Account) -> bool) {
        self.whole &= until(self.patience, || is_so(&self.fleet.account)).await;
    }

    async fn all_are_welcomed(&mut self) -> Percentiles {
        let all = self.all();
        self.wait(|account| account.welcomes() >= all).await;
        self.fleet.account.take_welcomes()
    }

    async fn welcome(&mut self, began: Moment) {
        let welcomes = self.all_are_welcomed().await;
        let connected = self.fleet.account.counts().connected;
        tell!("fleet.connected", connected, all = self.all(), seconds = seconds(began));
        tell!(
            "fleet.welcomed",
            median = ms(welcomes.median),
            most = ms(welcomes.p99),
            max = ms(welcomes.max)
        );
    }

    /// Takes something away for some seconds; tells how many boxes came back, in which time, and how long most waited.
    async fn cut(&mut self, supply: Supply, for_s: u64) -> (usize, Sentence, Sentence) {
        self.fleet.set_supply(supply);
        tokio::time::sleep(Duration::from_secs(for_s)).await;
        self.fleet.account.take_welcomes();
        let began = monotonic();
        self.fleet.set_supply(Supply::Whole);
        let back = self.all_are_welcomed().await;
        (back.count, seconds(began), ms(back.p99))
    }

    async fn emergency(&mut self, id: &CommandId, answered: Span) {
        let all = self.all();
        let arrived = |account: &Account| account.arrivals().get(id).copied().unwrap_or_default();
        self.wait(|account| arrived(account).count >= all).await;
        let arrived = arrived(&self.fleet.account);
        tell!(
            "fleet.emergency",
            answered = ms(answered),
            count = arrived.count,
            all,
            median = ms(arrived.median),
            most = ms(arrived.p99),
            max = ms(arrived.max)
        );
    }

    /// Waits for the whole log; tells whether the emergency sounded once at each box and nothing is missing.
    async fn account(&mut self, id: &CommandId) -> bool {
        let all = self.all() as u64;
        self.wait(|account| account.deliveries(id).finished >= all).await;
        self.wait(|account| {
            let counts = account.counts();
            counts.recorded > 0 && counts.acknowledged == counts.recorded
        })
        .await;
        let (counts, sounded) = (self.fleet.account.counts(), self.fleet.account.deliveries(id));
        tell!("fleet.sounded", received = sounded.received, finished = sounded.finished, all);
        tell!("fleet.log", home = counts.acknowledged, records = counts.recorded, refused = counts.refused);
        // An entry more than one a box would be an emergency that was obeyed twice.
        let is_once = sounded == Deliveries { received: all, finished: all, unfinished: 0 };
        self.whole && is_once && counts.refused == 0
    }
}

fn settings(args: &Args, keys: &TrialKeys, dir: &Path, token: String) -> Result<Settings, Failure> {
    let mut settings = keys.settings(dir, token)?;
    if let Some(address) = &args.broker {
        settings.broker = BrokerChoice::Url { address: address.clone(), ca: None, identity: None };
    }
    if let Some(url) = &args.database {
        let password_file = args.database_password_file.clone();
        settings.database = Database::Postgres(PostgresServer { url: url.clone(), ca: None, password_file });
    }
    Ok(settings)
}

async fn broker_of(args: &Args, central: &Central) -> Result<SocketAddr, Failure> {
    let address = match &args.broker {
        Some(elsewhere) => tokio::net::lookup_host((&*elsewhere.host, elsewhere.port)).await?.next(),
        None => central.broker_addr(),
    };
    address.ok_or_else(|| loaxa_heart::said!("fleet.no_broker").into())
}

fn network_to(broker: SocketAddr) -> Network {
    let broker = BrokerAddress {
        tls: false,
        host: broker.ip().to_string(),
        port: broker.port(),
        login: None,
        others: Vec::new(),
    };
    Network { broker, ca: None, come_within_s: 0.0 }
}

/// Waits until something is so; false where that takes too long.
async fn until(patience: Span, is_so: impl Fn() -> bool) -> bool {
    let deadline = monotonic() + patience;
    while !is_so() {
        if monotonic() > deadline {
            return false;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    true
}

fn ms(span: Span) -> Sentence {
    Sentence::decimal(span.as_secs_f64() * 1_000.0, 1)
}

fn seconds(since: Moment) -> Sentence {
    Sentence::decimal(monotonic().since(since).as_secs_f64(), 2)
}

/// Announces an emergency to all boxes.
fn emergency(base: &str, token: &str) -> Result<CommandId, Failure> {
    let fields = json!({
        "to": [ALL], "class": "emergency", "mode": "actual", "title": "simulated", "text": "The water is rising.",
    });
    let boundary = "loaxa-fleet";
    let body = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"fields\"\r\n\r\n{fields}\r\n--{boundary}--\r\n"
    );
    let kind = format!("multipart/form-data; boundary={boundary}");
    let answer = Client::new(base, token, None)?.post("announcements", &kind, body.as_bytes())?;
    let id = answer["id"].as_str().unwrap_or_default().parse();
    id.map_err(|_| loaxa_heart::said!("fleet.no_answer").into())
}

/// The keys of a trial; nobody keeps them.
struct TrialKeys {
    root: SecretKey,
    central: SecretKey,
    officers: [SecretKey; 2],
    boxes: Vec<SecretKey>,
}

fn random() -> [u8; 32] {
    let mut random = [0; 32];
    getrandom::fill(&mut random).expect("the system gives randomness");
    random
}

fn draw() -> SecretKey {
    SecretKey::from_seed(&random())
}

fn group(id: &str) -> GroupId {
    id.parse().expect("groups here have plain names")
}

fn village(of_box: usize) -> String {
    format!("thon-{}", of_box / VILLAGE_BOXES)
}

impl TrialKeys {
    fn draw(boxes: usize) -> Self {
        let boxes = std::iter::repeat_with(draw).take(boxes).collect();
        Self { root: draw(), central: draw(), officers: [draw(), draw()], boxes }
    }

    fn sites(&self) -> Vec<Site> {
        let trust = Arc::new(self.trust());
        let site = |(n, key): (usize, &SecretKey)| Site {
            id: BoxId::new(format!("loa-{n}")).expect("boxes here have plain names"),
            groups: vec![group(&village(n)), group(ALL)],
            key: key.clone(),
            root: self.root.public(),
            trust: Arc::clone(&trust),
            log: None,
            release: Release::Own,
        };
        self.boxes.iter().enumerate().map(site).collect()
    }

    fn trust(&self) -> Trust {
        let grant = |key: &SecretKey, holder: &str, powers: &[Power]| Grant {
            key: key.key_id(),
            public: key.public().to_string(),
            holder: holder.to_owned(),
            account: None,
            powers: powers.iter().copied().collect(),
            groups: [group(ALL)].into(),
            level: 1,
            valid_from: None,
            valid_until: None,
        };
        let villages = (0..self.boxes.len().div_ceil(VILLAGE_BOXES)).map(|n| format!("thon-{n}"));
        let [one, two] = &self.officers;
        Trust {
            version: 1,
            grants: vec![
                grant(&self.central, "central", &[Power::Central]),
                grant(one, "An", &[Power::Emergency]),
                grant(two, "Binh", &[Power::Emergency]),
            ],
            thresholds: vec![Threshold { power: Power::Emergency, signatures: 2 }],
            nesting: villages.map(|id| (group(&id), group(ALL))).collect(),
        }
    }

    fn settings(&self, dir: &Path, token: String) -> Result<Settings, Failure> {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let words = dir.join("words.wav");
        std::fs::write(&words, a_second_of_silence())?;
        let place = |id: String, parent: Option<&str>| Group {
            title: id.clone(),
            id: group(&id),
            parent: parent.map(group),
        };
        let villages = (0..self.boxes.len().div_ceil(VILLAGE_BOXES)).map(|n| format!("thon-{n}"));
        let declared = |site: Site| BoxDeclared {
            title: site.id.to_string(),
            id: site.id,
            groups: vec![site.groups[0].clone()],
            key: Some(site.key.public().to_string()),
        };
        Ok(Settings {
            listen: local,
            public_url: None,
            peer_url: None,
            page: Default::default(),
            data_dir: dir.to_owned(),
            commune: "simulated".to_owned(),
            broker: BrokerChoice::Embedded { listen: local, logins: Logins::NameAlone },
            database: Database::Sqlite(dir.join("central.db")),
            token,
            second_factor: false,
            everyday: Default::default(),
            keys: Keys {
                central: self.central.clone(),
                issuers: self.officers.to_vec(),
                trust: codec::seal(&TrustMessage { v: VERSION, trust: self.trust() }, &[&self.root]),
            },
            scanner: Vec::new(),
            speech: vec!["cp".to_owned(), words.display().to_string(), "{out}".to_owned()],
            cap: None,
            calling: Default::default(),
            reporting: Default::default(),
            training: Default::default(),
            groups: std::iter::once(place(ALL.to_owned(), None))
                .chain(villages.map(|id| place(id, Some(ALL))))
                .collect(),
            boxes: self.sites().into_iter().map(declared).collect(),
            enrolment: None,
            trust_first_use: false,
        })
    }
}

/// A WAV of one second: 8,000 frames of 16 bits.
fn a_second_of_silence() -> Vec<u8> {
    let mut wav = b"RIFF".to_vec();
    wav.extend(16_036_u32.to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(8_000_u32.to_le_bytes());
    wav.extend(16_000_u32.to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend(16_000_u32.to_le_bytes());
    wav.resize(44 + 16_000, 0);
    wav
}
