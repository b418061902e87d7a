//! The metrics that Prometheus reads of a centre, and the rules and the dashboard that we ship for it.

use std::collections::BTreeSet;

use crate::support::commune::*;
use loaxa_central::link::certificates::Ca;
use loaxa_central::settings::Enrolment;

fn shipped(name: &str) -> String {
    let path = format!("{}/firmware-config/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The names of our metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c| !is_part(c)).filter(|word| word.starts_with("loaxa_"));
    words.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_what_is_and_alerts_ask_for_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.enrolment = Some(Enrolment {
        ca: Ca::make(Ca::term(loaxa_adapters::clock::wall().date())).unwrap(),
        root: key(100).public(),
        broker: "mqtts://localhost:8883".parse().unwrap(),
        crl: dir.path().join("crl.pem"),
        certificate_days: None,
        refuse_expired: false,
    });
    let central = start(settings).await;
    assert_eq!(get(&central, "/api/v1/metrics", &[]).await.status, 401);
    let read = async || get_api(&central, "/api/v1/metrics").await;
    let first = read().await;
    assert!(first.header("content-type").starts_with("application/openmetrics-text"));
    let has = |text: &str, line: &str| assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
    has(first.text(), "loaxa_boxes{state=\"out_of_contact\"} 2");
    has(first.text(), "loaxa_last_sign_of_life_timestamp_seconds 0.0");
    has(first.text(), "loaxa_broker_connected 1.0");
    has(first.text(), "loaxa_troubles{kind=\"security\"} 0");
    assert!(first.text().ends_with("# EOF\n"));

    let loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    loa.hello("n", loa.holds(&[]));
    until("the box is counted", async || {
        let text = read().await.text().to_owned();
        (text.contains("loaxa_boxes{state=\"quiet\"} 1\n")
            && text.contains("loaxa_boxes{state=\"out_of_contact\"} 1\n")
            && !text.contains("timestamp_seconds 0.0"))
        .then_some(())
    })
    .await;
    loa.heartbeat(loa.holds(&[]));
    until("its fault and its backlog are counted", async || {
        let text = read().await.text().to_owned();
        (text.contains("loaxa_boxes{state=\"faulty\"} 1\n") && text.contains("loaxa_log_backlog 2.0\n"))
            .then_some(())
    })
    .await;

    let known = names(read().await.text());
    for file in ["prometheus-rules.yml", "grafana.json"] {
        let asked = names(&shipped(file));
        assert!(asked.len() >= 8, "{file} asks for {asked:?}");
        assert!(asked.is_subset(&known), "{file}: {:?}", asked.difference(&known));
    }
    let alerts = shipped("prometheus-rules.yml");
    let alerts = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let told = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    for alert in alerts {
        assert!(told.contains(&format!("| {alert} |")), "docs/operations.md says nothing of {alert}");
    }
    central.stop().await;
}
