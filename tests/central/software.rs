//! Releases for boxes: taken in, ordered wave by wave, paused, stopped by failures, and shown to those who keep boxes.

use crate::support::browser::Browser;
use crate::support::commune::*;
use crate::support::staff::Staff;
use loaxa_central::Central;
use loaxa_central::store::{Role, RolloutStage, RolloutState};
use loaxa_heart::domain::authority::{Power, Trust};
use loaxa_heart::domain::software::{Software, UpgradeStep, UpgradeTold};
use loaxa_heart::domain::time::{ClockQuality, Wall};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Heartbeat, VERSION};
use loaxa_heart::wire::topics::{Topic, Up};
use serde_json::{Value, json};

fn with_software(trust: &mut Trust) {
    for grant in trust.grants.iter_mut().filter(|grant| grant.holder != "Trung tâm") {
        grant.powers.insert(Power::Software);
    }
}

/// The beginning of a program for arm64, and a few bytes more.
fn program() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(18, 0);
    bytes.extend([183, 0]);
    bytes.extend([7; 500]);
    bytes
}

async fn central_of(dir: &std::path::Path, trust: Vec<u8>) -> Central {
    let mut settings = settings(dir, embedded());
    settings.keys.trust = trust;
    start(settings).await
}

async fn take_in(central: &Central, bytes: Vec<u8>) -> Answer {
    post(central, "/api/v1/software/builds", "application/octet-stream", bytes).await
}

async fn publish(central: &Central, asked: &Value) -> Answer {
    post(central, "/api/v1/software", "application/json", asked.to_string().into_bytes()).await
}

async fn sha256(central: &Central) -> Value {
    let taken = take_in(central, program()).await;
    assert_eq!((taken.status, taken.json()["architecture"].clone()), (201, json!("arm64")));
    taken.json()["sha256"].clone()
}

fn order(_: &Topic, bytes: &[u8]) -> Option<Software> {
    match codec::open_command(bytes, &known_keys).ok()?.payload.body {
        Body::Software(software) => Some(software),
        _ => None,
    }
}

async fn next_order(loa: &mut ScriptedBox, paused: bool) -> Software {
    loa.next("an order", |topic, bytes| order(topic, bytes).filter(|order| order.paused == paused)).await
}

fn says(loa: &ScriptedBox, step: UpgradeStep, why: Option<&str>) {
    let told =
        UpgradeTold { version: 1, release: "1.4.0".parse().unwrap(), step, why: why.map(str::to_owned) };
    let heartbeat = Heartbeat {
        v: VERSION,
        wall: Wall(0),
        clock: ClockQuality::Synced,
        nonce: None,
        on_air: None,
        holds: None,
        held: None,
        backlog: 0,
        faults: Vec::new(),
        usage: None,
        upgrade: Some(told),
    };
    loa.say(Up::Heartbeat, codec::encode(&heartbeat));
}

async fn rollout(central: &Central) -> Value {
    get_api(central, "/api/v1/software").await.json()
}

async fn is(central: &Central, state: &str) {
    until(&format!("a rollout that is {state}"), async || {
        (rollout(central).await["state"] == state).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waves_follow_each_other_and_failures_stop_them_until_somebody_lets_them_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let central = central_of(dir.path(), trust_of(with_software)).await;
    let port = central.broker_addr().unwrap().port();
    let (mut one, mut two) = (ScriptedBox::connect(1, port).await, ScriptedBox::connect(2, port).await);
    for loa in [&one, &two] {
        loa.hello("n", loa.holds(&[]));
    }
    assert_eq!(rollout(&central).await, Value::Null);
    let asked = json!({
        "release": "1.4.0", "builds": { "arm64": sha256(&central).await }, "author": "An",
        "waves": [["thon-1"], ["thon-2"]], "failures_max": 1,
        "window": { "from": "23:00:00", "until": "04:00:00" },
    });
    let answer = publish(&central, &asked).await;
    assert_eq!(answer.status, 201, "{}", answer.text());

    let first = next_order(&mut one, false).await;
    assert_eq!((first.release.to_string(), first.builds["arm64"].bytes), ("1.4.0".to_owned(), 520));
    assert!(first.window.is_some());
    assert_eq!(rollout(&central).await["ordered"], 1);
    says(&one, UpgradeStep::Trial, None);
    until("the trial is known", async || {
        (rollout(&central).await["boxes"][0]["fate"] == "trial").then_some(())
    })
    .await;
    assert_eq!(rollout(&central).await["ordered"], 1);
    let lan = Staff::make(&central, "lan", &[(Role::Technician, "xa")]).await;
    let browser = Browser::start();
    let mut shown = browser.person(&format!("http://{}/healthz", central.http_addr()));
    shown.sign_in(&lan);
    shown.go(&format!("http://{}/phan-mem", central.http_addr()));
    assert!(shown.text("main").contains("Tự dừng khi có 1 cụm không thành công"), "{}", shown.text("main"));
    shown.look("phan-mem-dang-cap-nhat");
    shown.click("form[action$='/tam-dung'] button");
    shown.until_says("main", "Đang tạm dừng");
    next_order(&mut one, true).await;
    shown.click("form[action$='/tiep-tuc'] button");
    shown.until_says("main", "Đang cập nhật");
    next_order(&mut one, false).await;
    says(&one, UpgradeStep::Done, None);
    let second = next_order(&mut two, false).await;
    assert!(second.version > first.version);

    // The failure of the one box stops both, and people are told.
    says(&two, UpgradeStep::Failed, Some("no_sound"));
    let held = next_order(&mut two, true).await;
    assert!(held.version > second.version);
    next_order(&mut one, true).await;
    is(&central, "stopped").await;
    until("the alarm is on the page", async || {
        let page = lan.get(&central, "/canh-bao").await;
        page.text().contains("đã dừng cập nhật phần mềm").then_some(())
    })
    .await;
    let page = lan.get(&central, "/phan-mem").await;
    for words in ["Phiên bản 1.4.0", "Cụm loa 2", "không mở được thiết bị âm thanh", "Tiếp tục", "23:00"]
    {
        assert!(page.text().contains(words), "{words}: {}", page.text());
    }

    shown.go(&format!("http://{}/phan-mem", central.http_addr()));
    shown.until_says("main", "nếu có thêm 1 cụm không thành công, đợt cập nhật lại tự dừng");
    shown.look("phan-mem-da-dung");
    assert_eq!(shown.faults_by_keyboard(), Vec::<String>::new());

    // Whoever keeps one village alone lets nothing go on.
    let tu = Staff::make(&central, "tu", &[(Role::Technician, "thon-1")]).await;
    assert_eq!(tu.post(&central, "/phan-mem/tiep-tuc", &[]).await.status, 403);
    assert_eq!(rollout(&central).await["state"], "stopped");
    assert_eq!(lan.post(&central, "/phan-mem/tiep-tuc", &[]).await.status, 303);
    next_order(&mut one, false).await;
    // Both have an outcome, and the one failure counts no more.
    is(&central, "finished").await;
    shown.go(&format!("http://{}/phan-mem", central.http_addr()));
    shown.until_says("main", "Đã xong");
    assert!(!shown.text("main").contains("Tự dừng"), "{}", shown.text("main"));
    shown.look("phan-mem-da-xong");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_pause_a_rollout_let_it_go_on_and_begin_the_next_wave() {
    let dir = tempfile::tempdir().unwrap();
    let central = central_of(dir.path(), trust_of(with_software)).await;
    let port = central.broker_addr().unwrap().port();
    let (mut one, mut two) = (ScriptedBox::connect(1, port).await, ScriptedBox::connect(2, port).await);
    let asked = json!({
        "release": "1.4.0", "builds": { "arm64": sha256(&central).await }, "waves": [["thon-1"], ["thon-2"]],
    });
    assert_eq!(publish(&central, &asked).await.status, 201);
    next_order(&mut one, false).await;
    let lan = Staff::make(&central, "lan", &[(Role::Administrator, "xa")]).await;
    assert_eq!(lan.post(&central, "/phan-mem/tam-dung", &[]).await.status, 303);
    next_order(&mut one, true).await;
    is(&central, "paused").await;
    // Nothing is hurried that is paused.
    assert_eq!(lan.post(&central, "/phan-mem/dot-sau", &[]).await.status, 303);
    assert_eq!(rollout(&central).await["ordered"], 1);
    assert_eq!(lan.post(&central, "/phan-mem/tiep-tuc", &[]).await.status, 303);
    next_order(&mut one, false).await;
    assert_eq!(lan.post(&central, "/phan-mem/dot-sau", &[]).await.status, 303);
    assert_eq!(next_order(&mut two, false).await.release.to_string(), "1.4.0");
    let acts = central.store().acts(loaxa_central::store::ActFilter { limit: 20, ..Default::default() });
    let acts: Vec<_> = acts.await.unwrap().into_iter().map(|act| act.act).collect();
    for act in ["rollout_begun", "rollout_paused", "rollout_goes_on", "rollout_hurried"] {
        assert!(acts.iter().any(|kept| kept == act), "{act}: {acts:?}");
    }
    let minh = Staff::make(&central, "minh", &[(Role::Writer, "xa")]).await;
    assert_eq!(minh.get(&central, "/phan-mem").await.status, 403);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_not_sent_is_sent_later_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let central = central_of(dir.path(), trust_of(with_software)).await;
    let mut one = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    let asked = json!({ "release": "1.4.0", "builds": { "arm64": sha256(&central).await }, "waves": [["thon-1"], ["thon-2"]] });
    assert_eq!(publish(&central, &asked).await.status, 201);
    let mut last = next_order(&mut one, false).await.version;
    // As whoever moved it and ended before the order went out: paused, stopped, and let go on.
    for (state, paused) in [
        (RolloutState::Paused, true),
        (RolloutState::Runs, false),
        (RolloutState::Stopped, true),
        (RolloutState::Runs, false),
    ] {
        let row = central.store().rollout().await.unwrap().unwrap();
        let to = RolloutStage { state, ..row.stage };
        assert!(central.store().move_rollout(row.id, row.stage, to, None).await.unwrap());
        let order = next_order(&mut one, paused).await;
        assert_eq!(order.version, last + 1, "{state:?}: none was sent twice");
        last = order.version;
    }
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_release_is_not_published() {
    let dir = tempfile::tempdir().unwrap();
    let central = central_of(dir.path(), trust_of(with_software)).await;
    let refused = async |answer: Answer, status: u16, words: &str| {
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().contains(words), "{words}: {}", answer.text());
    };
    refused(take_in(&central, b"#!/bin/sh\n".to_vec()).await, 400, "no program").await;
    refused(take_in(&central, tone()).await, 400, "no program").await;
    refused(take_in(&central, Vec::new()).await, 400, "no program").await;
    let sha256 = sha256(&central).await;
    let with = |key: &str, value: Value| {
        let mut asked = json!({ "release": "1.4.0", "builds": { "arm64": sha256 }, "waves": [["xa"]] });
        asked[key] = value;
        asked
    };
    let bad = [
        (with("builds", json!({ "amd64": sha256 })), 400, "the program is for arm64, not for amd64"),
        (with("builds", json!({ "arm64": "00".repeat(32) })), 404, "0000"),
        (with("builds", json!({})), 400, "at least one build"),
        (with("waves", json!([])), 400, "at least one build"),
        (with("waves", json!([[]])), 400, "at least one group"),
        (with("waves", json!([["nowhere"]])), 404, "nowhere"),
        (with("waves", json!(vec![["xa"]; 33])), 400, "1 to 32 waves"),
        (with("release", json!("1.4")), 422, "1.4"),
        (with("channel", json!("a\nb")), 400, "channel"),
    ];
    for (asked, status, words) in bad {
        refused(publish(&central, &asked).await, status, words).await;
        assert_eq!(rollout(&central).await, Value::Null, "{asked}");
    }
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_without_the_power_publish_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let central = central_of(dir.path(), trust()).await;
    let asked =
        json!({ "release": "1.4.0", "builds": { "arm64": sha256(&central).await }, "waves": [["xa"]] });
    let answer = publish(&central, &asked).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(rollout(&central).await, Value::Null);
    central.stop().await;
}
