//! `loaxa simulate fleet`: a central on this machine, and many boxes in memory over real MQTT sessions: how fast an emergency
//! is everywhere, and whether it sounds once at each box and the whole log comes home, also over an outage of all at once and
//! a power cut while it sounds; and what the centre uses for it.

mod apart;
mod ground;
mod kept;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use self::apart::{Centre, Used};
use self::ground::{ALL, Ground};
use self::kept::Kept;
use super::client::Client;
use super::language::{Failure, Outcome, tell};
use loaxa_adapters::clock::monotonic;
use loaxa_central::settings::{BrokerChoice, Settings};
use loaxa_fleet::account::{Account, Fates, Percentiles};
use loaxa_fleet::fleet::Fleet;
use loaxa_fleet::hostile::Mob;
use loaxa_fleet::site::{Network, Release, Supply};
use loaxa_fleet::weather::{Relay, Weather};
use loaxa_heart::config::store_file::{Database, PostgresServer};
use loaxa_heart::domain::ids::{BoxId, CommandId};
use loaxa_heart::domain::time::{Moment, Span};
use loaxa_heart::texts::Sentence;
use loaxa_heart::wire::broker_address::BrokerAddress;

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
    #[arg(long, default_value_t = 0)]
    rest: u64,
    /// Another broker than that of the centre.
    #[arg(long)]
    broker: Option<BrokerAddress>,
    /// The authority of that broker's certificate.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// `postgres://` instead of SQLite in a file.
    #[arg(long)]
    database: Option<String>,
    #[arg(long)]
    database_password_file: Option<PathBuf>,
    /// The folder of the centre that this process is to be.
    #[arg(long, hide = true)]
    as_centre: Option<PathBuf>,
}

pub fn run(args: &Args) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match &args.as_centre {
            Some(dir) => apart::be_centre(|seed| settings(args, dir, seed)).await,
            None => trial(args).await,
        }
    })
}

async fn trial(args: &Args) -> Outcome {
    let dir = std::env::temp_dir().join(format!("loaxa-fleet-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let done = in_folder(args, &dir).await;
    let _ = std::fs::remove_dir_all(&dir);
    done
}

async fn in_folder(args: &Args, dir: &Path) -> Outcome {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).expect("the system gives randomness");
    let ground = Ground::lay(&seed, args.boxes + args.hostile);
    let centre = Centre::start(dir, &seed)?;
    let broker = broker_of(args, &centre).await?;
    let weather = Weather {
        round_trip: Duration::from_millis(args.round_trip),
        loss: args.loss.clamp(0.0, 50.0) / 100.0,
    };
    let relay = if weather.is_fair() { None } else { Some(Relay::start(broker, weather).await?) };
    let network = network_to(args, relay.as_ref().map_or(broker, |relay| relay.address));

    let mut sites = ground.sites();
    for older in sites.iter_mut().take(args.boxes * args.older.min(100) / 100) {
        older.release = Release::Older;
    }
    let hostile = sites.split_off(args.boxes);
    let mob = sites.first().map(|victim| Mob::start(hostile, &victim.id, &network_to(args, broker)));
    let base = format!("http://{}", centre.http);
    let client = Client::new(&base, &ground.token, None)?;
    let began = monotonic();
    let boxes = sites.iter().map(|site| site.id.clone()).collect();
    let fleet = Fleet::start(sites, &network);
    let mut trial = Trial {
        fleet,
        boxes,
        centre,
        used: Used::default(),
        since: began,
        patience: Span::secs(args.patience),
        whole: true,
    };
    trial.welcome(began).await;
    if args.outage > 0 {
        let (count, after, most) = trial.cut(Supply::NoNetwork, args.outage).await;
        tell!("fleet.came_back", count, all = trial.all(), seconds = after, most);
        trial.tell_used();
    }
    if args.rest > 0 {
        trial.rest(args.rest).await;
    }
    let began = monotonic();
    let (client, id) = asked(client, emergency).await?;
    let answered = monotonic().since(began);
    if args.power_cut > 0 {
        let (count, after, most) = trial.cut(Supply::NoPower, args.power_cut).await;
        tell!("fleet.power_back", count, all = trial.all(), seconds = after, most);
    }
    trial.emergency(&id, answered).await;
    let whole = trial.account(&id).await;
    let is_kept = trial.compare(client).await?;
    drop((trial, mob));
    if whole && is_kept {
        tell!("fleet.kept");
        return Ok(ExitCode::SUCCESS);
    }
    tell!("fleet.broken");
    Ok(ExitCode::FAILURE)
}

/// A fleet whose boxes have to get everything.
struct Trial {
    fleet: Fleet,
    boxes: Vec<BoxId>,
    centre: Centre,
    /// The use of the centre when it was told last, and the time since.
    used: Used,
    since: Moment,
    patience: Span,
    /// Nothing was missing so far.
    whole: bool,
}

impl Trial {
    fn all(&self) -> usize {
        self.fleet.size()
    }

    /// Tells what the centre has used since the last time.
    fn tell_used(&mut self) {
        let (now, used) = (monotonic(), self.centre.used());
        tell!(
            "fleet.used",
            cpu = Sentence::decimal(used.cpu.as_secs_f64() - self.used.cpu.as_secs_f64(), 2),
            seconds = seconds(self.since),
            memory = used.memory / 1_000
        );
        (self.since, self.used) = (now, used);
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
        self.tell_used();
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

    /// Waits until all has come home, leaves everything alone for some seconds, and tells what a heartbeat costs the centre.
    async fn rest(&mut self, for_s: u64) {
        self.wait(is_home).await;
        let (before, used) = (self.fleet.account.counts().heartbeats, self.centre.used());
        tokio::time::sleep(Duration::from_secs(for_s)).await;
        let (count, now) = (self.fleet.account.counts().heartbeats - before, self.centre.used());
        let each = |all: f64| Sentence::decimal(all / count.max(1) as f64, 0);
        tell!(
            "fleet.rest",
            seconds = for_s,
            count,
            cpu = each((now.cpu.as_secs_f64() - used.cpu.as_secs_f64()) * 1e6),
            bytes = each((now.written - used.written) as f64)
        );
        self.tell_used();
    }

    async fn emergency(&mut self, id: &CommandId, answered: Span) {
        let all = self.all();
        let of_this = |all: BTreeMap<CommandId, Percentiles>| all.get(id).copied().unwrap_or_default();
        self.wait(|account| of_this(account.arrivals()).count >= all).await;
        let arrived = of_this(self.fleet.account.arrivals());
        tell!(
            "fleet.emergency",
            answered = ms(answered),
            count = arrived.count,
            all,
            median = ms(arrived.median),
            most = ms(arrived.p99),
            max = ms(arrived.max)
        );
        self.wait(|account| of_this(account.tellings()).count >= all).await;
        let told = of_this(self.fleet.account.tellings());
        tell!(
            "fleet.told",
            count = told.count,
            all,
            median = ms(told.median),
            most = ms(told.p99),
            max = ms(told.max)
        );
        self.tell_used();
    }

    /// Waits for the whole log; tells whether the emergency sounded once at each box and nothing is missing.
    async fn account(&mut self, id: &CommandId) -> bool {
        let all = self.all() as u64;
        self.wait(|account| account.deliveries(id).finished >= all).await;
        self.wait(is_home).await;
        let (counts, sounded) = (self.fleet.account.counts(), self.fleet.account.deliveries(id));
        tell!("fleet.sounded", received = sounded.received, finished = sounded.finished, all);
        let fates = self.fleet.account.fates(std::slice::from_ref(id), self.boxes.iter());
        tell!("fleet.fates", wrong = fates.wrong.len(), foreign = fates.foreign.len());
        tell!("fleet.log", home = counts.acknowledged, records = counts.recorded, refused = counts.refused);
        self.tell_used();
        self.whole && fates == Fates::default() && counts.refused == 0
    }

    /// Holds what the centre keeps against what the boxes wrote; tells whether it has each entry once, and nothing else.
    async fn compare(&self, client: Client) -> Result<bool, Failure> {
        let before = self.fleet.account.ends();
        let (_, kept) = asked(client, Kept::of).await?;
        let compared = kept.compare(&before, &self.fleet.account.ends());
        let forked = self.fleet.account.counts().forked;
        let (whole, missing, doubled) = (compared.whole, compared.missing, compared.doubled);
        tell!("fleet.centre_log", whole, missing, doubled, foreign = compared.foreign, forked);
        Ok(compared.is_exact() && forked == 0)
    }
}

/// Asks the centre something beside the boxes.
async fn asked<T: Send + 'static>(
    client: Client,
    ask: impl FnOnce(&Client) -> Result<T, Failure> + Send + 'static,
) -> Result<(Client, T), Failure> {
    let ask = move || ask(&client).map(|answer| (client, answer));
    tokio::task::spawn_blocking(ask).await.expect("it does not panic")
}

/// The settings of the centre, with the broker and the database of the arguments in the place of those within.
fn settings(args: &Args, dir: &Path, seed: &[u8; 32]) -> Result<Settings, Failure> {
    let mut settings = Ground::lay(seed, args.boxes + args.hostile).settings(dir)?;
    if let Some(address) = &args.broker {
        settings.broker = BrokerChoice::Url { address: address.clone(), ca: args.ca.clone(), identity: None };
    }
    if let Some(url) = &args.database {
        let password_file = args.database_password_file.clone();
        settings.database = Database::Postgres(PostgresServer { url: url.clone(), ca: None, password_file });
    }
    Ok(settings)
}

async fn broker_of(args: &Args, centre: &Centre) -> Result<SocketAddr, Failure> {
    let address = match &args.broker {
        Some(elsewhere) => tokio::net::lookup_host((&*elsewhere.host, elsewhere.port)).await?.next(),
        None => centre.broker,
    };
    address.ok_or_else(|| loaxa_heart::said!("fleet.no_broker").into())
}

fn network_to(args: &Args, broker: SocketAddr) -> Network {
    let broker = BrokerAddress {
        tls: args.broker.as_ref().is_some_and(|broker| broker.tls),
        host: broker.ip().to_string(),
        port: broker.port(),
        login: None,
        others: Vec::new(),
    };
    Network { broker, ca: args.ca.clone(), come_within_s: 0.0 }
}

/// Tells whether central has every record.
fn is_home(account: &Account) -> bool {
    let counts = account.counts();
    counts.recorded > 0 && counts.acknowledged == counts.recorded
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
fn emergency(client: &Client) -> Result<CommandId, Failure> {
    let fields = json!({
        "to": [ALL], "class": "emergency", "mode": "actual", "title": "simulated", "text": "The water is rising.",
    });
    let boundary = "loaxa-fleet";
    let body = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"fields\"\r\n\r\n{fields}\r\n--{boundary}--\r\n"
    );
    let kind = format!("multipart/form-data; boundary={boundary}");
    let answer = client.post("announcements", &kind, body.as_bytes())?;
    let id = answer["id"].as_str().unwrap_or_default().parse();
    id.map_err(|_| loaxa_heart::said!("fleet.no_answer").into())
}
