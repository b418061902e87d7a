//! The answer to who sent an announcement: how many boxes, which are silent, when it sounds on each or why it does not.

use crate::support::commune::*;
use crate::support::staff::{Staff, look};
use chrono::{Days, Timelike};
use loaxa_adapters::clock;
use loaxa_central::Central;
use loaxa_central::store::Role;
use loaxa_heart::decide::delivery::DocumentName;
use loaxa_heart::domain::playback::{Event, NotPlayed, SlotKey, SlotOutcome};
use loaxa_heart::domain::time::{Span, Wall};
use serde_json::{Value, json};

async fn with_central(test: impl AsyncFn(&Central)) {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    test(&central).await;
    central.stop().await;
}

async fn sent(central: &Central, fields: &Value) -> Value {
    let answer = announce(central, fields, Some(&tone())).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

/// Lets every hour be allowed, so that no test depends on the time of day.
async fn allow_all_day(central: &Central) {
    let allowed = json!([{ "from": "00:00:00", "until": "23:59:59" }]);
    let policy = json!({
        "version": 0, "allowed": allowed, "session_minutes_max": 1_440, "day_minutes_max": 1_440,
        "volume_day_percent_max": 100, "volume_night_percent_max": 100,
    });
    let asked = json!({ "to": ["xa"], "policy": policy });
    let answer = post(central, "/api/v1/policies", "application/json", asked.to_string().into()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_to_nobody_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.boxes.truncate(1);
    let central = start(settings).await;
    let answer = sent(&central, &json!({ "to": ["thon-2"], "class": "priority" })).await;
    assert_eq!((&answer["boxes"], &answer["outlook"]), (&json!(0), &json!([])));
    assert!(answer["said_vi"].as_str().unwrap().contains("không ai nghe được"), "{answer}");
    let page = look(&central, "/nhat-ky").await;
    assert!(page.text().contains("Không có cụm loa nào trong các nhóm này"), "{}", page.text());
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boxes_out_of_contact_are_named() {
    with_central(async |central| {
        let mut heard = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
        heard.hello("n", heard.holds(&[]));
        heard.next("the welcome", |topic, _| topic.to_string().ends_with("welcome").then_some(())).await;
        until("contact with the first", async || {
            let boxes = central.store().boxes().await.unwrap();
            boxes.iter().any(|row| row.id.as_str() == "loa-1" && row.last_seen.is_some()).then_some(())
        })
        .await;
        let answer = sent(central, &json!({ "to": ["xa"], "class": "emergency", "title": "Bão" })).await;
        assert_eq!((&answer["boxes"], &answer["silent"]), (&json!(2), &json!(["loa-2"])));
        let said = answer["said_vi"].as_str().unwrap();
        assert!(
            said.contains("Cụm loa 2 (chưa liên lạc lần nào)") && said.contains("phát ngay bây giờ"),
            "{said}"
        );
        // What was not received is never shown as if it had been.
        let page = look(central, "/nhat-ky").await.text().to_owned();
        let css = get(central, "/assets/loaxa.css", &[]).await.text().to_owned();
        assert!(
            page.contains("<li class=\"step-sent silent\"><b>Cụm loa 2</b>: đã gửi, chưa nhận, mất liên lạc"),
            "{page}"
        );
        for class in ["step-sent", "silent"] {
            let green =
                css.lines().find(|line| line.contains(&format!(".{class} ")) && line.contains("--green"));
            assert_eq!(green, None);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_waits_for_a_slot_says_which_and_when() {
    with_central(async |central| {
        allow_all_day(central).await;
        let notice = json!({ "to": ["thon-1"], "class": "normal" });
        let answer = sent(central, &notice).await;
        assert!(answer["said_vi"].as_str().unwrap().contains("trung tâm chưa gửi chương trình nào"), "{answer}");

        // A slot that is not on the air now: tomorrow, at about this time of day.
        let now = clock::wall();
        let start = now.local().time().with_second(0).unwrap();
        let days = |from: Wall| format!("valid_from = \"{0}\"\nvalid_until = \"{0}\"", from.date());
        let tomorrow = days(now.plus(Span::secs(86_400)));
        let hash = post(central, "/api/v1/media?name=a.wav", "application/octet-stream", tone()).await.json();
        let programme = |version: u32, when: &str| {
            let start = start.format("%H:%M");
            let toml = format!(
                "[programme]\nid = \"sang\"\nversion = {version}\ntitle = \"S\"\ngroup = \"xa\"\n\
                 [[playlist]]\nid = \"l\"\ntitle = \"L\"\n[[playlist.item]]\ntitle = \"A\"\nfile = \"a.wav\"\n\
                 [[slot]]\nid = \"s\"\ntitle = \"Buổi tin\"\nplaylist = \"l\"\nfill = \"loop\"\n\
                 start = \"{start}\"\nend = \"23:59:59\"\n{when}\n"
            );
            json!({ "toml": toml, "media": { "a.wav": hash["sha256"] } })
        };
        let send = async |version, when: &str| {
            let asked = programme(version, when).to_string();
            let answer = post(central, "/api/v1/programmes", "application/json", asked.into()).await;
            assert_eq!(answer.status, 201, "{}", answer.text());
        };
        send(1, &tomorrow).await;
        let answer = sent(central, &json!({ "to": ["thon-1"], "class": "normal", "expires_in_s": 172_800 })).await;
        let said = answer["said_vi"].as_str().unwrap();
        let date = (now.date() + Days::new(1)).format("%d/%m/%Y").to_string();
        assert!(said.contains("chờ khung giờ \"Buổi tin\"") && said.contains(&date), "{said}");
        assert!(answer["outlook"][0]["sounds_at"].is_string(), "{answer}");
        let answer = sent(central, &json!({ "to": ["thon-1"], "class": "normal", "expires_in_s": 600 })).await;
        let said = answer["said_vi"].as_str().unwrap();
        assert!(said.contains("sẽ không phát") && said.contains("khung giờ kế tiếp"), "{said}");
        send(2, &days(now.plus(Span::secs(30 * 86_400)))).await;
        let answer = sent(central, &notice).await;
        assert!(answer["said_vi"].as_str().unwrap().contains("7 ngày tới không có khung giờ nào"), "{answer}");
        let listed = get_api(central, "/api/v1/documents").await.json();
        let name = DocumentName::Programme("sang".parse().unwrap()).to_string();
        assert!(listed.as_array().unwrap().iter().any(|row| row["document"] == name.as_str()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_did_not_sound_stands_on_the_page_and_in_the_report() {
    with_central(async |central| {
        let mut village = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
        village.hello("n", village.holds(&[]));
        let scheduled = clock::wall();
        village.append(Event::SlotEnded {
            key: SlotKey { slot: "sang".parse().unwrap(), date: scheduled.date() },
            title: "Bản tin sáng".to_owned(),
            scheduled,
            outcome: SlotOutcome::NotAired(NotPlayed::Missed),
        });
        village.upload(1, 1).await;
        let page = look(central, "/nhat-ky").await.text().to_owned();
        assert!(page.contains("Không phát: lúc đó cụm loa tắt") && page.contains("Bản tin sáng"), "{page}");
        let (from, to) = (scheduled.minus(Span::secs(60)), scheduled.plus(Span::secs(60)));
        let report = get_api(central, &format!("/api/v1/report?from={from}&to={to}")).await.json();
        assert_eq!(report[0]["not_aired"], json!({ "missed": 1 }), "{report}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_limits_in_force_are_listed() {
    with_central(async |central| {
        allow_all_day(central).await;
        let groups = get_api(central, "/api/v1/groups").await.json();
        let boxes = |n: usize| groups[n]["boxes"].as_array().unwrap().len();
        assert_eq!((groups[0]["id"].as_str(), boxes(0)), (Some("xa"), 2), "{groups}");
        assert_eq!((groups[2]["parent"].as_str(), boxes(2)), (Some("xa"), 1), "{groups}");
        let documents = get_api(central, "/api/v1/documents").await.json();
        assert_eq!(documents[0]["policy"]["day_minutes_max"], 1_440, "{documents}");
    })
    .await;
}

/// Looks at the page as somebody about to speak, whom nobody would hear.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_voice_says_which_boxes_keep_silent_now() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let duc = Staff::make(&central, "duc", &[(Role::Duty, "xa")]).await;
    let _box = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    let limit = async |allowed: Value| {
        let policy = json!({ "version": 0, "allowed": allowed, "session_minutes_max": 1_440, "day_minutes_max": 1_440,
            "volume_day_percent_max": 90, "volume_night_percent_max": 40 });
        let body = json!({ "to": ["xa"], "policy": policy }).to_string().into_bytes();
        assert_eq!(post(&central, "/api/v1/policies", "application/json", body).await.status, 201);
        duc.get(&central, "/noi-truc-tiep").await.text().to_owned()
    };
    let page = limit(json!([])).await;
    assert!(
        page.contains("Giờ này các cụm loa sau không phát") && page.contains("ngoài giờ cho phép"),
        "{page}"
    );
    let page = limit(json!([{ "from": "00:00", "until": "24:00" }])).await;
    assert!(!page.contains("Giờ này các cụm loa sau không phát"), "{page}");
    central.stop().await;
}
