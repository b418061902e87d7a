//! One of three centrals dies or hangs in the middle of sending: what it kept goes out by another, and nothing is obeyed twice.
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{FixedOffset, SecondsFormat, TimeDelta, Utc};
use loaxa_fleet::account::Fates;
use loaxa_fleet::fleet::Fleet;
use loaxa_heart::domain::ids::{BoxId, CommandId};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::Body;
use loaxa_heart::wire::topics::Topic;

use crate::several::{Ground, Process};
use crate::support::broker::Broker;
use crate::support::commune::*;

const BOXES: u8 = 3;
/// Longest time from the death of whoever kept an emergency to the last box: the promise is two seconds, the machine may be busy.
const OUT_WITHIN: Duration = Duration::from_secs(20);
/// Time in which a second copy would have come.
const SECOND_COPY: Duration = Duration::from_secs(3);
/// Longest time for an emergency to sound to its end, siren and repetitions included.
const SOUNDS_FOR: Duration = Duration::from_secs(300);

/// The end of the central that sends, or its sleep.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Killed,
    Hangs,
}

/// A way to the broker that can be made to stand still: it takes what is said and passes nothing on.
struct Relay {
    port: u16,
    is_still: Arc<AtomicBool>,
}

impl Relay {
    fn to(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, is_still) = (listener.local_addr().unwrap().port(), Arc::<AtomicBool>::default());
        let still = Arc::clone(&is_still);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", broker)) else { continue };
                let ways = [(&client, &server), (&server, &client)];
                for (from, to) in ways.map(|(from, to)| (from.try_clone().unwrap(), to.try_clone().unwrap()))
                {
                    let still = Arc::clone(&still);
                    std::thread::spawn(move || pass_on(from, to, &still));
                }
            }
        });
        Self { port, is_still }
    }

    fn stand_still(&self, is_still: bool) {
        self.is_still.store(is_still, Ordering::SeqCst);
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, is_still: &AtomicBool) {
    let mut bytes = [0; 4_096];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        while is_still.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    // The other end may have gone before.
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// Reads the title of an announcement; a stop of everything is "dừng".
fn order(topic: &Topic, bytes: &[u8]) -> Option<String> {
    matches!(topic, Topic::Group(_)).then_some(())?;
    match codec::open_command(bytes, &known_keys).ok()?.payload.body {
        Body::Announce { title, .. } => Some(title),
        Body::Cancel { of: None } => Some("dừng".to_owned()),
        _ => None,
    }
}

/// Writes the configuration with another port of the broker.
fn through(ground: &Ground, config: &PathBuf, relay: &Relay) -> PathBuf {
    let text = std::fs::read_to_string(config).unwrap();
    let [own, other] = [ground.broker.port(), relay.port].map(|port| format!("mqtt://127.0.0.1:{port}\""));
    assert!(text.contains(&own));
    let path = ground.dir.path().join("relayed.toml");
    std::fs::write(&path, text.replace(&own, &other)).unwrap();
    path
}

async fn all_are_there(ground: &Ground, centrals: usize) {
    until("each central knows of the others", async || {
        let there = ground.sql("SELECT count(*) FROM leases WHERE duty LIKE 'central %'");
        (there == centrals.to_string()).then_some(())
    })
    .await;
}

async fn all_are_welcomed(fleet: &Fleet) {
    until("all boxes are welcomed", async || (fleet.account.welcomes() >= usize::from(BOXES)).then_some(()))
        .await;
}

fn kept(ground: &Ground, which: &str) -> Vec<CommandId> {
    let ids = ground.sql(&format!("SELECT id FROM commands WHERE kind = 'announce' AND {which} ORDER BY id"));
    ids.lines().map(|id| id.parse().unwrap()).collect()
}

/// Waits until every box has obeyed all that was kept to its end, and checks that it did so once and did nothing else.
async fn all_is_obeyed_once(ground: &Ground, fleet: &Fleet, expected: usize) {
    let ids = kept(ground, "true");
    assert_eq!(ids.len(), expected, "{ids:?}");
    let deadline = Instant::now() + SOUNDS_FOR;
    let is_over = |id| fleet.account.deliveries(id).finished >= u64::from(BOXES);
    while !ids.iter().all(is_over) && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let boxes: Vec<BoxId> = (1..=BOXES).map(|n| format!("loa-{n}").parse().unwrap()).collect();
    assert_eq!(fleet.account.fates(&ids, boxes.iter()), Fates::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_all_are_well_the_broker_carries_an_emergency_once() {
    let ground = Ground::lay();
    let config = ground.write(1);
    let centrals = [Process::start(&config), Process::start(&config), Process::start(&config)];
    all_are_there(&ground, centrals.len()).await;
    let mut ear = ScriptedBox::connect(9, ground.broker.port()).await;
    for (central, title) in centrals.iter().zip(["Vỡ đê", "Bão về", "Lũ lên"]) {
        assert_eq!(central.announce(title, "emergency"), 201);
        assert_eq!(ear.next("the emergency", order).await, title);
        assert_eq!(central.stop(), 200);
        assert_eq!(ear.next("the stop", order).await, "dừng", "{title} came again");
        let again = tokio::time::timeout(SECOND_COPY, ear.next("a copy", order)).await;
        assert!(again.is_err(), "{again:?} came again");
    }
}

/// One takes an emergency while its connection to the broker stands still.
async fn an_emergency_goes_out_by_another(fate: Fate) {
    let ground = Ground::lay();
    let config = ground.write(BOXES);
    let relay = Relay::to(ground.broker.port());
    let one = Process::start(&through(&ground, &config, &relay));
    let _others = [Process::start(&config), Process::start(&config)];
    let fleet = ground.fleet(BOXES);
    all_are_there(&ground, 3).await;
    all_are_welcomed(&fleet).await;
    assert_eq!(one.announce("Tin", "priority"), 201);
    let are_everywhere = |ids: &[CommandId]| {
        let arrivals = fleet.account.arrivals();
        ids.iter().all(|id| arrivals.get(id).is_some_and(|of_one| of_one.count >= usize::from(BOXES)))
    };
    let before = kept(&ground, "true");
    until("the way through the relay is open", async || are_everywhere(&before).then_some(())).await;

    relay.stand_still(true);
    let asked = one.announce_later("Vỡ đê", "emergency");
    let emergency =
        until("it is kept", async || Some(kept(&ground, "title = 'Vỡ đê'")).filter(|ids| !ids.is_empty()))
            .await;
    let begun = Instant::now();
    let held = match fate {
        Fate::Killed => {
            one.kill();
            None
        }
        Fate::Hangs => {
            one.hold(true);
            Some(one)
        }
    };
    until("the emergency is at all boxes", async || are_everywhere(&emergency).then_some(())).await;
    let took = begun.elapsed();
    println!("at all boxes after {took:.1?}");
    assert!(took < OUT_WITHIN, "{took:?}");
    if let Some(one) = &held {
        // What it said before it was held comes now, and what it says when it wakes.
        relay.stand_still(false);
        one.hold(false);
    }
    // It was killed before it could answer, perhaps.
    let answered = tokio::task::spawn_blocking(move || asked.join().unwrap()).await.unwrap();
    assert!(held.is_none() || answered == Some(201), "{answered:?}");
    all_is_obeyed_once(&ground, &fleet, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_of_one_that_is_killed_goes_out_by_another() {
    an_emergency_goes_out_by_another(Fate::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_of_one_that_hangs_goes_out_by_another_and_is_obeyed_once() {
    an_emergency_goes_out_by_another(Fate::Hangs).await;
}

/// An alert in two languages that begins now; it is no emergency, whose sirens and repetitions take minutes.
fn alert() -> String {
    let vietnam = FixedOffset::east_opt(7 * 3_600).unwrap();
    let at = |hours| {
        let at = Utc::now().with_timezone(&vietnam) + TimeDelta::hours(hours);
        at.to_rfc3339_opts(SecondsFormat::Secs, false)
    };
    include_str!("../fixtures/cap/lu-quet.xml")
        .replace("Extreme", "Moderate")
        .replace("2026-11-20T05:00:00+07:00", &at(0))
        .replace("2026-11-20T10:00:00+07:00", &at(5))
}

/// One sends an alert straight to the air, and has said the first of its two parts.
async fn an_alert_is_said_once(fate: Fate) {
    let ground = Ground::lay();
    let config = ground.write(BOXES);
    let dir = ground.dir.path();
    std::fs::write(dir.join("tone.wav"), tone()).unwrap();
    let speech = "cd \"$2\"; if [ \"$0\" = en ]; then while ! test -e gate; do sleep 0.05; done; fi; cp tone.wav \"$1\"";
    let more = format!(
        "[speech]\ncommand = ['sh', '-c', '{speech}', '{{language}}', '{{out}}', '{}']\n\
         [cap]\nsenders = ['canhbao@kttv.example.vn']\nlanguages = ['vi', 'en']\non_arrival = 'straight_to_air'\n\
         [[cap.place]]\ngroup = 'xa'\ncodes = ['DVHC=26-0417']\n",
        dir.display()
    );
    std::fs::write(&config, std::fs::read_to_string(&config).unwrap() + &more).unwrap();
    let one = Process::start(&config);
    let _others = [Process::start(&config), Process::start(&config)];
    let fleet = ground.fleet(BOXES);
    all_are_there(&ground, 3).await;
    all_are_welcomed(&fleet).await;

    let asked = one.post_later("/api/v1/cap", "application/cap+xml", alert().into_bytes());
    until("the first part is said", async || (kept(&ground, "true").len() == 1).then_some(())).await;
    let held = match fate {
        Fate::Killed => {
            one.kill();
            None
        }
        Fate::Hangs => {
            one.hold(true);
            Some(one)
        }
    };
    std::fs::write(dir.join("gate"), "").unwrap();
    until("another says the second part", async || (kept(&ground, "true").len() == 2).then_some(())).await;
    if let Some(one) = &held {
        one.hold(false);
    }
    let answered = tokio::task::spawn_blocking(move || asked.join().unwrap()).await.unwrap();
    assert_eq!(answered.is_some(), held.is_some(), "{answered:?}");
    let state = || ground.sql("SELECT state FROM cap_alerts");
    until("it is sent", async || state().contains("\"state\":\"sent\"").then_some(())).await;
    all_is_obeyed_once(&ground, &fleet, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_of_one_that_is_killed_while_it_sends_is_said_once() {
    an_alert_is_said_once(Fate::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_of_one_that_hangs_while_it_sends_is_said_once() {
    an_alert_is_said_once(Fate::Hangs).await;
}

/// Drafts a change of the limits, which one signature lets go out; returns its id and the bytes to be signed.
async fn draft_policy(central: &loaxa_central::Central) -> (String, Vec<u8>) {
    use base64::Engine;
    let policy = serde_json::json!({ "version": 0, "allowed": [], "session_minutes_max": 60, "day_minutes_max": 120,
                                     "volume_day_percent_max": 90, "volume_night_percent_max": 40 });
    let body = serde_json::json!({ "policy": { "to": ["xa"], "policy": policy } }).to_string();
    let (at, nonce) = (loaxa_adapters::clock::wall(), "0123456789abcdef0123456789abcdef");
    let request = loaxa_heart::wire::request::Request {
        method: "POST",
        path: "/api/v1/drafts",
        at,
        nonce,
        body: body.as_bytes(),
    };
    let signature = base64::engine::general_purpose::STANDARD.encode(key(1).sign(&request.to_be_signed()));
    let (id, time) = (key(1).key_id().to_string(), at.to_string());
    let headers = [
        ("x-loaxa-key", &*id),
        ("x-loaxa-time", &*time),
        ("x-loaxa-nonce", nonce),
        ("x-loaxa-signature", &*signature),
        ("content-type", "application/json"),
    ];
    let made = post_with(central, "/api/v1/drafts", &headers, body.into_bytes()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let draft = central.store().drafts(loaxa_adapters::clock::wall()).await.unwrap().remove(0).draft;
    (draft.id.to_string(), draft.payload.into_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_of_something_everyday_waits_for_the_database() {
    use base64::Engine;
    use loaxa_heart::wire::envelope::{Kind, pre_authentication_encoding};
    let ground = Ground::lay();
    let central = start(ground.settings()).await;
    let mut ear = ScriptedBox::connect(1, ground.broker.port()).await;
    let (id, payload) = draft_policy(&central).await;
    let message = pre_authentication_encoding(Kind::Command.payload_type(), &payload);
    let signature = base64::engine::general_purpose::STANDARD.encode(key(1).sign(&message));
    let signed = serde_json::json!({ "key": key(1).key_id(), "signature": signature }).to_string();
    let path = format!("/api/v1/drafts/{id}/signatures");
    let sign = async || post(&central, &path, "application/json", signed.clone().into_bytes()).await;
    ground.cluster.stop();
    let away = sign().await;
    assert_eq!(away.status, 503, "{}", away.text());
    let sent = |_: &Topic, bytes: &[u8]| {
        let command = codec::open_command(bytes, &known_keys).ok()?.payload;
        matches!(command.body, Body::Policy(_)).then_some(())
    };
    let early = tokio::time::timeout(SECOND_COPY, ear.next("the limits", sent)).await;
    assert!(early.is_err(), "they went out without being kept");
    ground.cluster.start_again();
    until("the signature is taken", async || (sign().await.status == 200).then_some(())).await;
    ear.next("the limits", sent).await;
    central.stop().await;
}
