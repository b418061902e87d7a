//! A commune whose database is on a PostgreSQL server: all goes as with a file, and on where the server is away.
use crate::support::commune::*;
use crate::support::postgres::Cluster;
use crate::support::unit::Unit;
use loaxa_central::Central;
use loaxa_central::settings::Settings;
use loaxa_heart::domain::playback::Event;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command};
use loaxa_heart::wire::topics::Topic;
use serde_json::{Value, json};

fn settings_on(cluster: &Cluster, dir: &std::path::Path) -> Settings {
    Settings { database: cluster.database("xa"), ..settings(dir, embedded()) }
}

/// A box of the commune whose key central takes at its first word.
fn unit_of(central: &Central) -> Unit {
    let mut unit = Unit::new();
    unit.groups = vec!["thon-1", "xa"];
    std::fs::write(unit.path("root.pub"), format!("public {}\n", key(100).public())).unwrap();
    std::fs::write(unit.path("trust.json"), trust()).unwrap();
    unit.link = format!(
        "[central]\nbroker = \"mqtt://loa-1:x@{}\"\n\
         [trust]\nroot = \"root.pub\"\ntrust = \"trust.json\"\nkey = \"box.key\"\n",
        central.broker_addr().unwrap()
    );
    unit
}

async fn finished(central: &Central) -> Value {
    until("a play that has ended", async || {
        let plays = get_api(central, "/api/v1/plays").await.json();
        plays.as_array().unwrap().iter().find(|play| play["outcome"] == "finished").cloned()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commune_on_a_server_announces_and_reports_and_goes_on_after_a_restart() {
    let cluster = Cluster::start();
    cluster.create("xa");
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings_on(&cluster, dir.path());
    settings.boxes[0].key = None;
    settings.trust_first_use = true;
    let central = start(settings.clone()).await;
    let unit = unit_of(&central);
    let running = unit.start();
    let asked = json!({ "to": ["xa"], "title": "Họp thôn", "class": "priority", "author": "An" });
    let sent = announce(&central, &asked, Some(&tone())).await;
    assert_eq!(sent.status, 201, "{}", sent.text());
    let play = finished(&central).await;
    assert_eq!((&play["title"], &play["box"]), (&json!("Họp thôn"), &json!("loa-1")));
    let report =
        get_api(&central, "/api/v1/report?from=2020-01-01T00:00:00Z&to=2090-01-01T00:00:00Z").await.json();
    let seconds = report[0]["seconds_played"].as_f64().unwrap();
    assert!(seconds > 0.5, "{report}");
    drop(running);
    central.stop().await;
    let central = start(settings).await;
    assert_eq!(finished(&central).await["play"], play["play"]);
    let doubled = "SELECT count(*) - count(DISTINCT (box, epoch, seq)) FROM log";
    assert_eq!(cluster.sql("xa", doubled), "0");
    central.stop().await;
}

fn emergency(topic: &Topic, bytes: &[u8]) -> Option<String> {
    let command = matches!(topic, Topic::Group(_))
        .then(|| codec::open::<Command>(bytes, &known_keys).expect("signed by people").payload)?;
    match command.body {
        Body::Announce { title, .. } => Some(title),
        _ => None,
    }
}

async fn healthz(central: &Central, expected: u16) {
    until(&format!("health is {expected}"), async || {
        (get(central, "/healthz", &[]).await.status == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_is_away_emergencies_go_out_and_nothing_is_lost_or_doubled() {
    let cluster = Cluster::start();
    cluster.create("xa");
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings_on(&cluster, dir.path())).await;
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    loa.hello("n", loa.holds(&[]));
    loa.append(Event::DeviceBack);
    assert_eq!(loa.upload(1, 1).await.contiguous_upto, 1);
    healthz(&central, 200).await;

    cluster.stop();
    healthz(&central, 503).await;
    let said = get(&central, "/healthz", &[]).await;
    assert!(said.text().contains("máy chủ cơ sở dữ liệu"), "{}", said.text());
    loa.append(Event::DeviceBack);
    loa.append(Event::DeviceBack);
    let batch = loa.batch(2, 3);
    loa.say(loaxa_heart::wire::topics::Up::Log, batch);
    let everyday = json!({ "to": ["xa"], "title": "Họp thôn", "class": "priority", "author": "An" });
    let refused = announce(&central, &everyday, Some(&tone())).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    let asked = json!({ "to": ["xa"], "title": "Vỡ đê", "class": "emergency", "mode": "actual", "author": "An",
                        "text": "Nước đang lên, bà con lên chỗ cao." });
    let sent = announce(&central, &asked, None).await;
    assert_eq!(sent.status, 201, "{}", sent.text());
    assert_eq!(loa.next("the emergency", emergency).await, "Vỡ đê");
    let stopped = post(&central, "/api/v1/stop", "text/plain", Vec::new()).await;
    assert_eq!(stopped.status, 200, "{}", stopped.text());

    cluster.start_again();
    healthz(&central, 200).await;
    // The box heard no acknowledgement, and says it again; and once more.
    for _ in 0..2 {
        assert_eq!(loa.upload(2, 3).await.contiguous_upto, 3);
    }
    until("what went out is kept", async || {
        let kept =
            cluster.sql("xa", "SELECT count(*) FROM commands WHERE title = 'Vỡ đê' OR kind = 'cancel'");
        (kept == "2").then_some(())
    })
    .await;
    assert_eq!(cluster.sql("xa", "SELECT count(*), count(DISTINCT (box, epoch, seq)) FROM log"), "3|3");
    assert_eq!(cluster.sql("xa", "SELECT count(*) - count(DISTINCT (issuer, serial)) FROM commands"), "0");
    let sent = announce(&central, &everyday, Some(&tone())).await;
    assert_eq!(sent.status, 201, "{}", sent.text());
    central.stop().await;
}
