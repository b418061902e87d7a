//! Orders that are kept while nobody is left to send them: the caller hung up, the central has no broker, or the database hangs
//! under a crowd of boxes.
use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::several::Ground;
use crate::support::broker::Broker;
use crate::support::commune::*;
use crate::support::free_port;
use crate::support::postgres::Cluster;
use crate::support::postgres_way::Way;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use loaxa_adapters::clock;
use loaxa_central::Central;
use loaxa_central::settings::{BrokerChoice, Settings};
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::envelope::{Kind, pre_authentication_encoding};
use loaxa_heart::wire::messages::{Body, Command};
use loaxa_heart::wire::request::Request;
use loaxa_heart::wire::topics::{Topic, Up};
use serde_json::{Value, json};

/// Longest time from a press, or from the start, to the box.
const OUT_WITHIN: Duration = Duration::from_secs(2);
/// Time after which callers hang up, well before the database has kept anything.
const HANGS_UP_AFTER: Duration = Duration::from_millis(150);

/// Reads the title of an announcement; a stop is "dừng".
fn order(topic: &Topic, bytes: &[u8]) -> Option<String> {
    let command = matches!(topic, Topic::Group(_))
        .then(|| codec::open::<Command>(bytes, &known_keys).expect("signed by people").payload)?;
    match command.body {
        Body::Announce { title, .. } => Some(title),
        Body::Cancel { of: None } => Some("dừng".to_owned()),
        _ => None,
    }
}

async fn arrives(loa: &mut ScriptedBox, wanted: &str) {
    let begun = Instant::now();
    loa.next("an order", |topic, bytes| order(topic, bytes).filter(|title| title == wanted)).await;
    let took = begun.elapsed();
    println!("{wanted}: at the box after {took:.1?}");
    assert!(took < OUT_WITHIN, "{wanted}: {took:?}");
}

fn emergency(title: &str) -> Value {
    json!({ "to": ["xa"], "title": title, "class": "emergency", "mode": "actual", "author": "An",
            "text": "Nước đang lên, bà con lên chỗ cao." })
}

/// Posts, and closes the connection before there is an answer.
fn hang_up(central: &Central, path: &str, kind: &str, body: &str) {
    let mut stream = TcpStream::connect(central.http_addr()).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: {kind}\r\n\
         content-length: {}\r\n\r\n{body}",
        central.http_addr(),
        body.len()
    )
    .unwrap();
    std::thread::sleep(HANGS_UP_AFTER);
}

/// Drafts an emergency that people sign; returns its id and the bytes to be signed.
async fn draft(central: &Central, title: &str) -> (String, String) {
    let body = json!({ "announce": { "fields": emergency(title) } }).to_string();
    let (at, nonce) = (clock::wall(), ContentHash::of(title.as_bytes()).to_string());
    let request =
        Request { method: "POST", path: "/api/v1/drafts", at, nonce: &nonce, body: body.as_bytes() };
    let signature = BASE64.encode(key(1).sign(&request.to_be_signed()));
    let (id, time) = (key(1).key_id().to_string(), at.to_string());
    let headers = [
        ("x-loaxa-key", &*id),
        ("x-loaxa-time", &*time),
        ("x-loaxa-nonce", &*nonce),
        ("x-loaxa-signature", &*signature),
        ("content-type", "application/json"),
    ];
    let made = post_with(central, "/api/v1/drafts", &headers, body.clone().into_bytes()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let drafts = central.store().drafts(clock::wall()).await.unwrap();
    (drafts[0].draft.id.to_string(), drafts[0].draft.payload.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_caller_hangs_up_goes_out() {
    let cluster = Cluster::start();
    cluster.create("xa");
    let way = Way::to(&cluster);
    let dir = tempfile::tempdir().unwrap();
    let central = start(Settings { database: way.database("xa"), ..settings(dir.path(), embedded()) }).await;
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    let (id, payload) = draft(&central, "Vỡ đập").await;
    let signed = |n: u8| {
        let message = pre_authentication_encoding(Kind::Command.payload_type(), payload.as_bytes());
        json!({ "key": key(n).key_id(), "signature": BASE64.encode(key(n).sign(&message)) }).to_string()
    };
    let path = format!("/api/v1/drafts/{id}/signatures");
    let first = post(&central, &path, "application/json", signed(1).into_bytes()).await;
    assert_eq!(first.status, 200, "{}", first.text());

    way.delay_commits(Duration::from_millis(300));
    hang_up(&central, &path, "application/json", &signed(2));
    arrives(&mut loa, "Vỡ đập").await;
    let form = format!(
        "--b\r\ncontent-disposition: form-data; name=\"fields\"\r\n\r\n{}\r\n--b--\r\n",
        emergency("Vỡ đê")
    );
    hang_up(&central, "/api/v1/announcements", "multipart/form-data; boundary=b", &form);
    arrives(&mut loa, "Vỡ đê").await;
    hang_up(&central, "/api/v1/stop", "text/plain", "");
    arrives(&mut loa, "dừng").await;
    way.delay_commits(Duration::ZERO);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_that_a_central_kept_and_did_not_send_goes_out_by_another() {
    let ground = Ground::lay();
    let nowhere = format!("mqtt://127.0.0.1:{}", free_port()).parse().unwrap();
    let broker = BrokerChoice::Url { address: nowhere, ca: None, identity: None };
    let apart = Central::start(Settings { broker, ..ground.settings() }).await.unwrap();
    let mut loa = ScriptedBox::connect(1, ground.broker.port()).await;
    let sent = announce(&apart, &emergency("Vỡ đê"), None).await;
    assert_eq!(sent.status, 201, "{}", sent.text());
    let everyday = json!({ "to": ["xa"], "title": "Họp thôn", "class": "priority", "author": "An" });
    assert_eq!(announce(&apart, &everyday, Some(&tone())).await.status, 201);

    // One that starts.
    let other = start(ground.settings()).await;
    arrives(&mut loa, "Vỡ đê").await;
    // One that is there.
    let sent = announce(&apart, &emergency("Bão về"), None).await;
    assert_eq!(sent.status, 201, "{}", sent.text());
    arrives(&mut loa, "Bão về").await;
    let stopped = post(&apart, "/api/v1/stop", "text/plain", Vec::new()).await;
    assert_eq!(stopped.status, 200, "{}", stopped.text());
    arrives(&mut loa, "dừng").await;
    until("the one without a broker says so", async || {
        (get(&apart, "/healthz", &[]).await.status == 503).then_some(())
    })
    .await;
    assert_eq!(get(&other, "/healthz", &[]).await.status, 200);
    let others = loa.next("an order again", order);
    assert!(
        tokio::time::timeout(Duration::from_secs(1), others).await.is_err(),
        "nothing else, nothing twice"
    );
    apart.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_boxes_before_a_database_that_hangs_keeps_no_emergency_back() {
    const BOXES: u8 = 11;
    let cluster = Cluster::start();
    cluster.create("xa");
    let dir = tempfile::tempdir().unwrap();
    let central =
        start(Settings { database: cluster.database("xa"), ..settings(dir.path(), embedded()) }).await;
    let port = central.broker_addr().unwrap().port();
    let mut loa = ScriptedBox::connect(1, port).await;
    cluster.hold(true);
    // Seven times as many as are dealt with at once, and one box beyond its quota.
    for n in 2..2 + BOXES {
        let other = ScriptedBox::connect(n, port).await;
        let heartbeat = ScriptedBox::heartbeat_of(Some(other.holds(&[])), None);
        for _ in 0..300 {
            until("the link takes it", async || {
                other.try_to_say(Up::Heartbeat, heartbeat.clone()).then_some(())
            })
            .await;
        }
    }
    let (begun, asked) = (Instant::now(), emergency("Vỡ đê"));
    let (answer, ()) = tokio::join!(announce(&central, &asked, None), arrives(&mut loa, "Vỡ đê"));
    println!("answered after {:.1?}", begun.elapsed());
    assert_eq!(answer.status, 201, "{}", answer.text());
    cluster.hold(false);
    central.stop().await;
}
