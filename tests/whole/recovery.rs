//! Broker and database server end without a word while boxes play and say so, and come back: how long until all goes on, and
//! whether every record is there once.
//!
//! `LOAXA_BOXES` is the number of boxes (60 without it), `LOAXA_GONE_S` the seconds for which the server is gone (10).
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::cluster::{entries, healed, sites, taken, with_boxes};
use crate::support::broker::{Broker, Mosquitto};
use crate::support::commune::*;
use crate::support::postgres::Cluster;
use loaxa_central::Central;
use loaxa_central::settings::Settings;
use loaxa_central::store::LogFilter;
use loaxa_fleet::fleet::Fleet;
use loaxa_fleet::site::Network;
use loaxa_heart::domain::announcement::BulletinClass;
use loaxa_heart::domain::ids::CommandId;
use loaxa_heart::domain::playback::Event;
use loaxa_heart::wire::messages::LogBody;
use serde_json::json;

const BOXES: usize = 60;
const GONE_S: u64 = 10;

fn number<T: std::str::FromStr>(name: &str, without: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(without)
}

/// Announces something to all boxes, and says how long it took until it was everywhere.
struct Village<'a> {
    central: &'a Central,
    fleet: &'a Fleet,
    boxes: usize,
    announced: Vec<CommandId>,
}

impl Village<'_> {
    async fn announce(&mut self, class: &str) {
        let title = format!("Tin {}", self.announced.len());
        let fields = json!({ "to": ["xa"], "class": class, "title": title, "author": "An" });
        let answer = announce(self.central, &fields, Some(&tone())).await;
        self.announced.push(taken(&answer));
    }

    async fn is_everywhere(&self, since: Instant, what: &str) {
        let last = self.announced.last().unwrap();
        let arrived = || self.fleet.account.arrivals().get(last).map_or(0, |arrived| arrived.count);
        healed("an emergency is at every box", async || (arrived() == self.boxes).then_some(())).await;
        println!("{what}: an emergency is at all boxes after {:.1?}", since.elapsed());
    }

    async fn is_home(&self, since: Instant, what: &str) {
        let counts = || self.fleet.account.counts();
        healed("every record is with central", async || {
            let counts = counts();
            (counts.recorded > 0 && counts.acknowledged == counts.recorded).then_some(())
        })
        .await;
        println!("{what}: all {} records are with central after {:.1?}", counts().recorded, since.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_of_broker_and_database_server_every_record_is_there_once() {
    let (boxes, gone_s) = (number("LOAXA_BOXES", BOXES), number("LOAXA_GONE_S", GONE_S));
    let (cluster, mut broker) = (Cluster::start(), Mosquitto::start());
    cluster.create("xa");
    let dir = tempfile::tempdir().unwrap();
    let settings = with_boxes(settings(dir.path(), outside(&broker)), boxes);
    let central = start(Settings { database: cluster.database("xa"), ..settings }).await;
    let network = Network { broker: broker.address(), ca: None, come_within_s: 2.0 };
    let fleet = Fleet::start(sites(boxes), &network);
    healed("all boxes are welcomed", async || (fleet.account.welcomes() >= boxes).then_some(())).await;
    let mut village = Village { central: &central, fleet: &fleet, boxes, announced: Vec::new() };
    for _ in 0..3 {
        village.announce("priority").await;
    }

    let gone = Instant::now();
    tokio::task::block_in_place(|| broker.restart());
    until("central is back at the broker", async || central.is_connected().then_some(())).await;
    village.announce("emergency").await;
    village.is_everywhere(gone, "broker").await;
    village.is_home(gone, "broker").await;

    for _ in 0..3 {
        village.announce("priority").await;
    }
    // What this server acknowledges outlives it, although the tests' servers are set to be quick.
    tokio::task::block_in_place(|| cluster.crash());
    let gone = Instant::now();
    village.announce("emergency").await;
    village.is_everywhere(gone, "server away").await;
    tokio::time::sleep(Duration::from_secs(gone_s).saturating_sub(gone.elapsed())).await;
    tokio::task::block_in_place(|| cluster.start_again());
    let back = Instant::now();
    until("central is well", async || (get(&central, "/healthz", &[]).await.status == 200).then_some(()))
        .await;
    println!("server back: central is well after {:.1?}", back.elapsed());
    village.is_home(back, "server back").await;

    let ended = || LogFilter { event: Some("play_ended".to_owned()), ..LogFilter::default() };
    let plays = boxes * village.announced.len();
    healed("every announcement was played", async || {
        (entries(&central, ended()).await.len() >= plays).then_some(())
    })
    .await;
    village.is_home(back, "at the end").await;
    let mut starts = BTreeMap::new();
    let rows = entries(&central, LogFilter::default()).await;
    for row in &rows {
        if let Event::PlayStarted(start) = serde_json::from_str::<LogBody>(&row.body).unwrap().entry.event {
            let is_emergency = start.class == Some(BulletinClass::Emergency);
            *starts.entry((row.id.clone(), start.title, is_emergency)).or_insert(0) += 1;
        }
    }
    assert_eq!(rows.len() as u64, fleet.account.counts().recorded, "central has every record once");
    assert_eq!(starts.len(), plays, "every box played every announcement");
    // What an emergency cut off begins anew after it.
    let twice: Vec<_> =
        starts.iter().filter(|((.., is_emergency), times)| *is_emergency && **times != 1).collect();
    assert!(twice.is_empty(), "played more than once: {twice:?}");
    let orders = "SELECT count(*) - count(DISTINCT serial) FROM commands";
    assert_eq!(cluster.sql("xa", orders), "0");
    central.stop().await;
}
