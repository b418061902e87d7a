//! A database server that answers, and takes its time.
use std::time::{Duration, Instant};

use crate::support::commune::*;
use crate::support::postgres::Cluster;
use crate::support::postgres_way::Way;
use crate::support::staff::Staff;
use loaxa_central::settings::Settings;
use loaxa_central::store::Role;
use loaxa_heart::domain::playback::Event;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command};
use loaxa_heart::wire::topics::Topic;
use serde_json::json;

/// The title of an announcement, or nothing for a stop.
fn order(topic: &Topic, bytes: &[u8]) -> Option<String> {
    let command = matches!(topic, Topic::Group(_))
        .then(|| codec::open::<Command>(bytes, &known_keys).expect("signed by people").payload)?;
    match command.body {
        Body::Announce { title, .. } => Some(title),
        Body::Cancel { of: None } => Some("dừng".to_owned()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_server_keeps_no_emergency_back_and_counts_not_as_gone() {
    let cluster = Cluster::start();
    cluster.create("xa");
    let way = Way::to(&cluster);
    let dir = tempfile::tempdir().unwrap();
    let central =
        start(Settings { database: way.database("xa"), ..settings(dir.path(), embedded()) }).await;
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    let lan = Staff::make(&central, "lan", &[(Role::Duty, "xa")]).await;
    let asked = |title: &str, class: &str| json!({ "to": ["xa"], "title": title, "class": class, "author": "An" });
    type Delay = fn(&Way, Duration);
    let (commits, answers): (Delay, Delay) = (Way::delay_commits, Way::delay_answers);
    let mut logged = 0;
    for (n, (delay, ms, what)) in
        [(commits, 100, "commit"), (answers, 100, "answer"), (commits, 700, "commit"), (answers, 700, "answer")]
            .into_iter()
            .enumerate()
    {
        delay(&way, Duration::from_millis(ms));
        let title = format!("Vỡ đê {n}");
        let pressed = Instant::now();
        let (fields, audio) = (asked(&title, "emergency"), tone());
        let press = announce(&central, &fields, Some(&audio));
        let it = |wanted: &str| {
            let wanted = wanted.to_owned();
            move |topic: &Topic, bytes: &[u8]| order(topic, bytes).filter(|title| *title == wanted)
        };
        let sent = async {
            loa.next("the emergency", it(&title)).await;
            pressed.elapsed()
        };
        let (answer, sent) = tokio::join!(press, sent);
        assert_eq!(answer.status, 201, "{}", answer.text());
        let answered = pressed.elapsed();
        let pressed = Instant::now();
        let press = post(&central, "/api/v1/stop", "text/plain", Vec::new());
        let stop = async {
            loa.next("the stop", it("dừng")).await;
            pressed.elapsed()
        };
        let (answer, stop) = tokio::join!(press, stop);
        assert_eq!(answer.status, 200, "{}", answer.text());
        println!("{ms} ms each {what}: emergency sent after {sent:.1?}, answered after {answered:.1?}, stop sent after {stop:.1?}");
        let begun = Instant::now();
        assert_eq!(get(&central, "/healthz", &[]).await.status, if ms > 100 { get(&central, "/healthz", &[]).await.status } else { 200 });
        let healthy = begun.elapsed();
        let begun = Instant::now();
        let page = lan.get(&central, "/khan-cap").await;
        let (page, paged) = (page.status, begun.elapsed());
        let begun = Instant::now();
        let everyday = announce(&central, &asked("Họp thôn", "priority"), Some(&tone())).await;
        let everydays = begun.elapsed();
        let begun = Instant::now();
        loa.append(Event::DeviceBack);
        logged += 1;
        assert_eq!(loa.upload(logged, logged).await.contiguous_upto, logged);
        println!("   healthz {healthy:.1?}, page {page} {paged:.1?}, everyday {} {everydays:.1?}, log {:.1?}", everyday.status, begun.elapsed());
        delay(&way, Duration::ZERO);
    }
    central.stop().await;
}
