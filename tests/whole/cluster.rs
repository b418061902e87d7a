//! Boxes and centre on a cluster of brokers of which one node after another is killed. Wants rmqttd: `make broker-cluster`.
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::cluster::{self, Cluster, NODES};
use crate::support::commune::*;
use crate::support::free_port;
use loaxa_central::Central;
use loaxa_central::settings::{BoxDeclared, BrokerChoice, Settings};
use loaxa_central::store::{LogFilter, LogRow};
use loaxa_fleet::fleet::Fleet;
use loaxa_fleet::site::{Network, Release, Site};
use loaxa_heart::domain::ids::{BoxId, CommandId};
use loaxa_heart::domain::playback::Event;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{LogBody, TrustMessage};
use loaxa_heart::wire::signing::SecretKey;
use loaxa_heart::wire::topics::Up;
use serde_json::json;

const BOXES: usize = 300;
/// Three heartbeats: in them a box asks for what no other way brought.
const HEALED_WITHIN: Duration = Duration::from_secs(200);
const ROWS_A_PAGE: u32 = 1_000;

fn box_id(n: usize) -> BoxId {
    BoxId::new(format!("loa-{n}")).unwrap()
}

fn box_key(n: usize) -> SecretKey {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&(n as u64).to_be_bytes());
    SecretKey::from_seed(&seed)
}

/// The settings of a commune with so many boxes.
pub fn with_boxes(settings: Settings, boxes: usize) -> Settings {
    let declared = |n| BoxDeclared {
        id: box_id(n),
        title: format!("Cụm loa {n}"),
        groups: vec![group("thon-1")],
        key: Some(box_key(n).public().to_string()),
    };
    Settings { boxes: (0..boxes).map(declared).collect(), ..settings }
}

/// So many boxes of that commune.
pub fn sites(boxes: usize) -> Vec<Site> {
    let root = key(100).public();
    let known = |id: &_| Some(root).filter(|root| root.key_id() == *id);
    let trust = Arc::new(codec::open::<TrustMessage>(&trust(), &known).unwrap().payload.trust);
    let site = |n| Site {
        id: box_id(n),
        groups: vec![group("thon-1"), group("xa")],
        key: box_key(n),
        root,
        trust: Arc::clone(&trust),
        log: None,
        release: Release::Own,
    };
    (0..boxes).map(site).collect()
}

/// A centre and [`BOXES`] boxes on a cluster.
struct Commune {
    cluster: Cluster,
    central: Central,
    fleet: Fleet,
    _dir: tempfile::TempDir,
}

fn start_cluster() -> Cluster {
    let program = cluster::program().expect("make broker-cluster builds rmqttd and says where it is");
    Cluster::start_at(program, free_port())
}

fn choice(cluster: &Cluster) -> BrokerChoice {
    BrokerChoice::Url { address: cluster.address_from(0), ca: None, identity: None }
}

impl Commune {
    async fn start() -> Self {
        let cluster = tokio::task::block_in_place(start_cluster);
        let dir = tempfile::tempdir().unwrap();
        let central = start(with_boxes(settings(dir.path(), choice(&cluster)), BOXES)).await;
        let network = Network { broker: cluster.address_from(0), ca: None, come_within_s: 2.0 };
        let this = Self { cluster, central, fleet: Fleet::start(sites(BOXES), &network), _dir: dir };
        healed("all boxes are welcomed", async || (this.fleet.account.welcomes() >= BOXES).then_some(()))
            .await;
        this
    }

    /// Starts a node again, and waits until every box has found a way back meanwhile.
    async fn restart(&mut self, n: usize) {
        tokio::task::block_in_place(|| self.cluster.restart(n));
        self.all_connected().await;
    }

    async fn all_connected(&self) {
        let connected =
            || self.fleet.account.counts().connected as usize == BOXES && self.central.is_connected();
        healed("everybody is back at the brokers", async || connected().then_some(())).await;
    }

    /// Waits until a command arrived at every box, and says when.
    async fn is_everywhere(&self, id: &CommandId, what: &str) {
        let arrived = || self.fleet.account.arrivals().get(id).copied().unwrap_or_default();
        healed("it is at every box", async || (arrived().count == BOXES).then_some(())).await;
        let (arrived, of) = (arrived(), Duration::from);
        println!(
            "{what}: at half of the boxes after {:.1?}, at 99 % after {:.1?}, at all after {:.1?}",
            of(arrived.median),
            of(arrived.p99),
            of(arrived.max)
        );
    }

    /// Checks that central has each record of each box once, and that each box took and played each announcement once.
    async fn check_once(&self, announced: &[CommandId]) {
        let counts = || self.fleet.account.counts();
        let ended = || LogFilter { event: Some("play_ended".to_owned()), ..LogFilter::default() };
        healed("every announcement was played, and every log is home", async || {
            let are_home = counts().acknowledged == counts().recorded;
            let ended = entries(&self.central, ended()).await.len();
            (are_home && ended >= BOXES * announced.len()).then_some(())
        })
        .await;
        let rows = entries(&self.central, LogFilter::default()).await;
        assert_eq!(rows.len() as u64, counts().recorded, "central has every record once");
        let mut starts = BTreeMap::new();
        for row in &rows {
            let event = serde_json::from_str::<LogBody>(&row.body).unwrap().entry.event;
            if let Event::PlayStarted(start) = event {
                *starts.entry((row.id.clone(), start.title)).or_insert(0) += 1;
            }
        }
        assert_eq!(starts.len(), BOXES * announced.len(), "every box played every announcement");
        let twice: Vec<_> = starts.iter().filter(|(_, count)| **count != 1).collect();
        assert!(twice.is_empty(), "played more than once: {twice:?}");
        assert!(rows.iter().all(|row| row.event != "command_refused"), "no box refused an order");
    }
}

/// Asks again and again until there is an answer, as long as the slowest way may take.
pub async fn healed<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < HEALED_WITHIN, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// All rows, page by page.
pub async fn entries(central: &Central, filter: LogFilter) -> Vec<LogRow> {
    let mut rows: Vec<LogRow> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.cursor);
        let page = LogFilter { after, limit: ROWS_A_PAGE, ..filter.clone() };
        let page = central.store().log(page).await.unwrap();
        let is_last = page.len() < ROWS_A_PAGE as usize;
        rows.extend(page);
        if is_last {
            return rows;
        }
    }
}

/// The announcement that central took.
pub fn taken(answer: &Answer) -> CommandId {
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["id"].as_str().unwrap().parse().unwrap()
}

#[ignore = "wants rmqttd: make broker-cluster"]
#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_is_heard_once_at_every_box_whichever_node_is_killed_under_it() {
    let mut commune = Commune::start().await;
    let mut announced = Vec::new();
    // Milliseconds from the press to the kill: before it goes out, and while it does.
    for (round, delay_ms) in [0_u64, 150].into_iter().enumerate() {
        for n in 0..NODES {
            let title = format!("Bão số {}", round * NODES + n);
            let fields = json!({ "to": ["xa"], "class": "emergency", "title": title, "author": "An" });
            let tone = tone();
            let press = announce(&commune.central, &fields, Some(&tone));
            let cluster = &mut commune.cluster;
            let kill = async {
                tokio::time::sleep(Duration::from_millis(delay_ms)).await;
                tokio::task::block_in_place(|| cluster.kill(n));
            };
            let (answer, ()) = tokio::join!(press, kill);
            let id = taken(&answer);
            commune.is_everywhere(&id, &format!("node {} killed {delay_ms} ms after the press", n + 1)).await;
            announced.push(id);
            commune.restart(n).await;
        }
    }
    commune.check_once(&announced).await;
    commune.central.stop().await;
}

#[ignore = "wants rmqttd: make broker-cluster"]
#[tokio::test(flavor = "multi_thread")]
async fn each_record_is_with_central_once_whichever_node_is_killed_while_it_is_sent() {
    const RECORDS: u64 = 600;
    const A_BATCH: u64 = 10;
    let mut cluster = tokio::task::block_in_place(start_cluster);
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), choice(&cluster))).await;
    let mut loa = ScriptedBox::connect_to(1, &cluster.address_from(1)).await;
    (0..RECORDS).for_each(|_| loa.append(Event::DeviceBack));
    let (mut acknowledged, mut kills) = (0, 0_u64);
    while acknowledged < RECORDS {
        let upto = |from: u64| (from + A_BATCH).min(RECORDS);
        let killed = (acknowledged >= 100 * (kills + 1)).then_some(kills as usize % NODES);
        loa.connected().await;
        if !loa.try_to_say(Up::Log, loa.batch(acknowledged + 1, upto(acknowledged))) {
            continue;
        }
        if let Some(n) = killed {
            tokio::task::block_in_place(|| cluster.kill(n));
            kills += 1;
        }
        let answer = tokio::time::timeout(Duration::from_millis(500), loa.next("an ack", ack)).await;
        if let Ok(ack) = answer {
            assert!(!ack.forked);
            acknowledged = ack.contiguous_upto;
        }
        if let Some(n) = killed {
            tokio::task::block_in_place(|| cluster.restart(n));
        }
    }
    assert!(kills >= 5);
    let rows: Vec<_> = entries(&central, LogFilter::default()).await.into_iter().map(|row| row.seq).collect();
    assert_eq!(rows, (1..=RECORDS).collect::<Vec<_>>());
    central.stop().await;
}

/// Sends an announcement with its audio over HTTP, and does something when half of it is with central.
fn upload(central: &Central, title: &str, audio: &[u8], in_the_middle: impl FnOnce()) -> (u16, String) {
    let fields = json!({ "to": ["xa"], "class": "emergency", "title": title, "author": "An" });
    let mut body =
        format!("--b\r\ncontent-disposition: form-data; name=\"fields\"\r\n\r\n{fields}\r\n").into_bytes();
    body.extend(b"--b\r\ncontent-disposition: form-data; name=\"audio\"; filename=\"bai.wav\"\r\n\r\n");
    body.extend(audio);
    body.extend(b"\r\n--b--\r\n");
    let address = central.http_addr();
    let head = format!(
        "POST /api/v1/announcements HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: multipart/form-data; boundary=b\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (first, rest) = body.split_at(body.len() / 2);
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(first).unwrap();
    in_the_middle();
    stream.write_all(rest).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[ignore = "wants rmqttd: make broker-cluster"]
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_and_its_announcement_outlive_every_node() {
    let mut commune = Commune::start().await;
    let mut announced = Vec::new();
    for n in 0..NODES {
        let title = format!("Tin {n}");
        let audio = tone();
        let Commune { central, cluster, .. } = &mut commune;
        let (status, body) =
            tokio::task::block_in_place(|| upload(central, &title, &audio, || cluster.kill(n)));
        assert_eq!(status, 201, "{body}");
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        let id: CommandId = answer["id"].as_str().unwrap().parse().unwrap();
        commune.is_everywhere(&id, &format!("node {} killed in the middle of an upload", n + 1)).await;
        announced.push(id);
        commune.restart(n).await;
    }
    commune.check_once(&announced).await;
    commune.central.stop().await;
}
