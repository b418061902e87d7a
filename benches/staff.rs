//! Two hundred members of staff with the first page open beside 1,000 boxes: `cargo bench --profile dev --bench staff` prints
//! how soon each page is drawn anew after something changed, and the processor time that all of it takes.
//!
//! Boxes, central and the pages' readers are one process here, so the time counts for all of them.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use loaxa_central::Central;
use loaxa_central::settings::{BoxDeclared, BrokerChoice, Group, Keys, Logins, Settings};
use loaxa_central::store::{Actor, NewAct, PersonRow, SessionRow, Stage};
use loaxa_fleet::fleet::Fleet;
use loaxa_fleet::site::{Network, Release, Site};
use loaxa_heart::config::store_file::Database;
use loaxa_heart::domain::authority::{Grant, Power, Trust};
use loaxa_heart::domain::ids::{BoxId, ContentHash, GroupId};
use loaxa_heart::wire::broker_address::BrokerAddress;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{TrustMessage, VERSION};
use loaxa_heart::wire::signing::SecretKey;

const BOXES: usize = 1_000;
const VILLAGES: usize = 100;
const STAFF: usize = 200;
/// Time that is measured, after all boxes have come.
const MEASURED: Duration = Duration::from_secs(60);
const WAIT_MAX: Duration = Duration::from_secs(300);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let dir = tempfile::tempdir().expect("a folder");
        let keys: Vec<SecretKey> = (0..BOXES).map(key_of).collect();
        let central = Central::start(settings(dir.path(), &keys)).await.expect("central starts");
        for n in 0..STAFF {
            let (person, session) = somebody(n);
            central.store().add_person(person, act()).await.expect("kept");
            central.store().add_session(session).await.expect("kept");
        }
        let broker = central.broker_addr().expect("an embedded broker");
        let address = BrokerAddress {
            tls: false,
            host: broker.ip().to_string(),
            port: broker.port(),
            login: None,
            others: Vec::new(),
        };
        let fleet = Fleet::start(sites(&keys), &Network { broker: address, ca: None, come_within_s: 20.0 });
        let begun = Instant::now();
        while fleet.account.counts().connected < BOXES as u64 {
            assert!(begun.elapsed() < WAIT_MAX, "all boxes come");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        println!("{BOXES} boxes came within {:.0?}", begun.elapsed());
        let page = central.http_addr();
        tokio::task::spawn_blocking(move || measure(page)).await.expect("measured");
        drop(fleet);
        central.stop().await;
    });
}

/// Keeps all pages open for a while, each of which asks for its fragment whenever something changed.
fn measure(page: SocketAddr) {
    let (over, open) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let took = Arc::new(Mutex::new(Vec::new()));
    let readers: Vec<_> = (0..STAFF)
        .map(|n| {
            let (over, open, took) = (Arc::clone(&over), Arc::clone(&open), Arc::clone(&took));
            std::thread::spawn(move || read(page, n, &over, &open, &took))
        })
        .collect();
    let begun = Instant::now();
    while open.load(Ordering::Relaxed) < STAFF {
        assert!(begun.elapsed() < WAIT_MAX, "all pages are open");
        std::thread::sleep(Duration::from_millis(50));
    }
    took.lock().expect("no reader panics").clear();
    let (cpu, begun) = (cpu(), Instant::now());
    std::thread::sleep(MEASURED);
    let used = (self::cpu() - cpu, begun.elapsed());
    over.store(true, Ordering::Relaxed);
    let mut took = std::mem::take(&mut *took.lock().expect("no reader panics"));
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    println!(
        "{STAFF} open pages: {} were drawn anew in {:.0?}: {:.0?} median, {:.0?} p99, {:.0?} most; {:.2} processors in use",
        took.len(),
        used.1,
        at(50),
        at(99),
        at(100),
        used.0.as_secs_f64() / used.1.as_secs_f64()
    );
    // The streams end with the server.
    drop(readers);
}

/// One page: its stream, and a fragment for each change that it tells.
fn read(page: SocketAddr, n: usize, over: &AtomicBool, open: &AtomicUsize, took: &Mutex<Vec<Duration>>) {
    let cookie = format!("loaxa-session={}", secret(n));
    let agent: ureq::Agent = ureq::Agent::config_builder().build().into();
    let stream =
        ureq::get(format!("http://{page}/su-kien")).header("cookie", &cookie).call().expect("a stream");
    open.fetch_add(1, Ordering::Relaxed);
    for line in BufReader::new(stream.into_body().into_reader()).lines() {
        let Ok(line) = line else { return };
        if over.load(Ordering::Relaxed) {
            return;
        }
        if !line.starts_with("data:") {
            continue;
        }
        let begun = Instant::now();
        let fragment = agent.get(format!("http://{page}/fragments/tong-quan")).header("cookie", &cookie);
        let body = fragment.call().and_then(|mut answer| answer.body_mut().read_to_vec());
        assert!(body.is_ok_and(|body| !body.is_empty()), "a fragment");
        took.lock().expect("no reader panics").push(begun.elapsed());
    }
}

/// The processor time of this process so far, which Linux tells in hundredths of a second.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux tells it");
    let fields = stat.rsplit_once(')').expect("the name is in parentheses").1.split_whitespace();
    let ticks = fields.skip(11).take(2).map(|field| field.parse::<u64>().expect("a number"));
    Duration::from_millis(10 * ticks.sum::<u64>())
}

fn key_of(n: usize) -> SecretKey {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&(n as u64).to_be_bytes());
    SecretKey::from_seed(&seed)
}

fn secret(n: usize) -> String {
    format!("the-session-of-{n}")
}

fn village(n: usize) -> GroupId {
    format!("thon-{}", n % VILLAGES).parse().expect("a name")
}

fn all() -> GroupId {
    "xa".parse().expect("a name")
}

fn act() -> NewAct {
    let at = loaxa_adapters::clock::wall();
    let subject = String::new();
    NewAct { at, actor: Actor::Console, act: "invited", subject, before: None, after: None, from: None }
}

fn somebody(n: usize) -> (PersonRow, SessionRow) {
    let (id, now) = (
        format!("can-bo-{n}").parse::<loaxa_heart::domain::ids::AccountId>().expect("a name"),
        loaxa_adapters::clock::wall(),
    );
    let person = PersonRow {
        id: id.clone(),
        name: format!("Cán bộ {n}"),
        reach: String::new(),
        password: None,
        totp: None,
        recovery_left: 0,
        made: now,
        left: None,
        roles: Vec::new(),
    };
    let session = SessionRow {
        secret: ContentHash::of(secret(n).as_bytes()),
        person: id,
        stage: Stage::Full,
        made: now,
        seen: now,
        from: "127.0.0.1".to_owned(),
        browser: "bench".to_owned(),
    };
    (person, session)
}

fn root() -> SecretKey {
    SecretKey::from_seed(&[8; 32])
}

fn trust() -> Trust {
    let key = SecretKey::from_seed(&[9; 32]);
    let grant = Grant {
        key: key.key_id(),
        public: key.public().to_string(),
        holder: "Trung tâm".to_owned(),
        powers: [Power::Central].into(),
        groups: [all()].into(),
        level: 1,
        valid_from: None,
        account: None,
        valid_until: None,
    };
    let nesting = (0..VILLAGES).map(|n| (village(n), all())).collect();
    Trust { version: 1, grants: vec![grant], thresholds: Vec::new(), nesting }
}

fn sites(keys: &[SecretKey]) -> Vec<Site> {
    let trust = Arc::new(trust());
    let site = |(n, key): (usize, &SecretKey)| Site {
        id: BoxId::new(format!("loa-{n}")).expect("a name"),
        groups: vec![village(n), all()],
        key: key.clone(),
        root: root().public(),
        trust: Arc::clone(&trust),
        log: None,
        release: Release::Own,
    };
    keys.iter().enumerate().map(site).collect()
}

fn settings(dir: &std::path::Path, keys: &[SecretKey]) -> Settings {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let villages =
        (0..VILLAGES)
            .map(|n| Group { id: village(n), title: format!("Thôn số {n}"), parent: Some(all()) });
    let boxes = keys.iter().enumerate().map(|(n, key)| BoxDeclared {
        id: BoxId::new(format!("loa-{n}")).expect("a name"),
        title: format!("Loa {n}"),
        groups: vec![village(n)],
        key: Some(key.public().to_string()),
    });
    Settings {
        listen: local,
        public_url: None,
        peer_url: None,
        page: Default::default(),
        data_dir: dir.to_owned(),
        commune: "Huyện Thử".to_owned(),
        broker: BrokerChoice::Embedded { listen: local, logins: Logins::NameAlone },
        database: Database::Sqlite(dir.join("central.db")),
        token: "a-token-for-the-bench".to_owned(),
        second_factor: false,
        everyday: Default::default(),
        training: Default::default(),
        keys: Keys {
            central: SecretKey::from_seed(&[9; 32]),
            issuers: Vec::new(),
            trust: codec::seal(&TrustMessage { v: VERSION, trust: trust() }, &[&root()]),
        },
        speech: Vec::new(),
        scanner: Vec::new(),
        cap: None,
        calling: Default::default(),
        reporting: Default::default(),
        groups: std::iter::once(Group { id: all(), title: "Huyện".to_owned(), parent: None })
            .chain(villages)
            .collect(),
        boxes: boxes.collect(),
        enrolment: None,
        trust_first_use: false,
    }
}
