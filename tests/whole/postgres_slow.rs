//! A database server that answers, and takes its time.
use std::time::{Duration, Instant};

use crate::support::commune::*;
use crate::support::postgres::Cluster;
use crate::support::postgres_way::Way;
use crate::support::staff::Staff;
use loaxa_central::Central;
use loaxa_central::settings::Settings;
use loaxa_central::store::Role;
use loaxa_heart::domain::playback::Event;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command};
use loaxa_heart::wire::topics::Topic;
use serde_json::json;

/// The longest time from the press to the box: an order asks the server some thirty things, one after the other.
const SENT_WITHIN: Duration = Duration::from_secs(5);

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

async fn arrives(loa: &mut ScriptedBox, wanted: &str, pressed: Instant) -> Duration {
    let wanted = wanted.to_owned();
    let is_it = |topic: &Topic, bytes: &[u8]| order(topic, bytes).filter(|title| *title == wanted);
    loa.next("an order", is_it).await;
    pressed.elapsed()
}

/// Sends an emergency and stops all; returns the times until each is at the box, and says all that was measured.
async fn press(central: &Central, loa: &mut ScriptedBox, title: &str, what: &str) -> [Duration; 2] {
    let fields = json!({ "to": ["xa"], "title": title, "class": "emergency", "author": "An" });
    let (pressed, audio) = (Instant::now(), tone());
    let (answer, sent) = tokio::join!(announce(central, &fields, Some(&audio)), arrives(loa, title, pressed));
    assert_eq!(answer.status, 201, "{}", answer.text());
    let (answered, pressed) = (pressed.elapsed(), Instant::now());
    let stop = post(central, "/api/v1/stop", "text/plain", Vec::new());
    let (answer, stopped) = tokio::join!(stop, arrives(loa, "dừng", pressed));
    assert_eq!(answer.status, 200, "{}", answer.text());
    println!(
        "{what}: emergency at the box after {sent:.1?}, answered after {answered:.1?}; stop after {stopped:.1?}"
    );
    [sent, stopped]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_server_keeps_no_emergency_back_and_counts_not_as_gone() {
    let cluster = Cluster::start();
    cluster.create("xa");
    let way = Way::to(&cluster);
    let dir = tempfile::tempdir().unwrap();
    let central = start(Settings { database: way.database("xa"), ..settings(dir.path(), embedded()) }).await;
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    let lan = Staff::make(&central, "lan", &[(Role::Duty, "xa")]).await;
    let slow = Duration::from_millis(100);
    for (n, what) in ["100 ms each commit", "100 ms each answer"].into_iter().enumerate() {
        if n == 0 {
            way.delay_commits(slow)
        } else {
            way.delay_answers(slow)
        }
        for took in press(&central, &mut loa, what, what).await {
            assert!(took < SENT_WITHIN, "{took:?}");
        }
        assert_eq!(get(&central, "/healthz", &[]).await.status, 200);
        assert_eq!(lan.get(&central, "/khan-cap").await.status, 200);
        let fields = json!({ "to": ["xa"], "title": "Họp thôn", "class": "priority", "author": "An" });
        assert_eq!(announce(&central, &fields, Some(&tone())).await.status, 201);
        loa.append(Event::DeviceBack);
        let last = loa.records.len() as u64;
        assert_eq!(loa.upload(last, last).await.contiguous_upto, last);
        way.delay_commits(Duration::ZERO);
    }
    way.delay_answers(7 * slow);
    for took in press(&central, &mut loa, "Vỡ đê", "700 ms each answer").await {
        assert!(took < SENT_WITHIN, "{took:?}");
    }
    assert_eq!(lan.get(&central, "/khan-cap").await.status, 200);
    way.delay_answers(Duration::ZERO);
    until("all is kept", async || {
        let orders = "SELECT count(*), count(DISTINCT serial) FROM commands WHERE class = 'emergency' OR kind = 'cancel'";
        (!central.store().is_away() && cluster.sql("xa", orders) == "6|6").then_some(())
    })
    .await;
    central.stop().await;
}
