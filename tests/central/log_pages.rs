//! The log as people read it: more plays than one answer holds, and one line with all that is known of it.

use std::process::Command;

use crate::support::commune::*;
use crate::support::staff::Staff;
use loaxa_central::store::Role;
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::ids::{CommandId, ContentHash, PlayId};
use loaxa_heart::domain::playback::{
    DeliveryStep, Entry, Event, PlayEnd, PlayOutcome, PlayStart, SlotKey, Stamp, Subject,
};
use loaxa_heart::domain::time::{ClockQuality, Span, Wall};
use serde_json::json;

/// More than two answers, and no multiple of one.
const PLAYS: u64 = 2_150;

fn play(number: u64, wall: Wall) -> Entry {
    let start = PlayStart {
        play: PlayId::new(1, number as u32),
        subject: Subject::Slot(SlotKey { slot: "sang".parse().unwrap(), date: wall.date() }),
        rung: Rung::Programme,
        title: format!("Mục {number:05}"),
        section: None,
        campaign: None,
        class: None,
        mode: None,
        issuer: None,
        content: None,
        source: "a.mp3".to_owned(),
        language: "vi".to_owned(),
        repetition: 1,
        scheduled: None,
        entered_at_ms: 0,
        volume_percent: 100,
        instead_of: None,
    };
    let at = Stamp { start: 1, mono_us: number, wall, quality: ClockQuality::Synced, uncertainty_ms: 1 };
    Entry { at, event: Event::PlayStarted(start) }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_go_on_past_the_first_thousand_rows() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let mut village = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    village.hello("n", village.holds(&[]));
    let begin = loaxa_adapters::clock::wall().minus(Span::secs(7_200));
    for number in 1..=PLAYS {
        // Three at a time share their instant, also where an answer ends.
        village.append_entry(play(number, begin.plus(Span::secs(number / 3))));
    }
    for from in (1..=PLAYS).step_by(100) {
        village.upload(from, (from + 99).min(PLAYS)).await;
    }
    let logs = async |limit: &str, format: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loaxa"));
        command.args(["logs", "--limit", limit, "--format", format]).env("LOAXA_LANG", "en");
        command.env("LOAXA_CENTRAL", format!("http://{}", central.http_addr())).env("LOAXA_TOKEN", TOKEN);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{output:?}");
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let titles = |text: &str| {
        let numbers =
            text.lines().filter_map(|line| line.split_once("Mục ")?.1.get(..5)?.parse::<u64>().ok());
        numbers.collect::<Vec<_>>()
    };
    for format in ["csv", "table"] {
        let (all, more) = logs("5000", format).await;
        let mut found = titles(&all);
        found.sort_unstable();
        assert_eq!(found, (1..=PLAYS).collect::<Vec<_>>(), "{format}");
        assert!(!more.contains("more"), "{more}");
    }
    // The newest, as many as were asked for, and a word that there are more.
    let (some, more) = logs("1500", "csv").await;
    let found = titles(&some);
    assert_eq!((found.len(), found.last()), (1_500, Some(&PLAYS)));
    assert!(found.iter().all(|number| *number > PLAYS - 1_503), "{:?}", found.first());
    assert!(more.contains("1500"), "{more}");
    // Page by page, though three at a time share their instant.
    let (mut found, mut path) = (Vec::new(), "/api/v1/plays?limit=700".to_owned());
    while !path.is_empty() {
        let page = get_api(&central, &path).await;
        let text = page.text().replace("\"title\":", "\n");
        found.extend(titles(&text));
        path = page.header("link").trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    found.sort_unstable();
    assert_eq!(found, (1..=PLAYS).collect::<Vec<_>>());
    central.stop().await;
}

/// The line of an announcement in the log: on whose authority, how it came to the box, what sounded, and the very audio;
/// where a power cut ended it, only bounds are told.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_shows_the_chain_the_audio_and_only_what_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let reviewer = Staff::make(&central, "mai", &[(Role::Reviewer, "xa")]).await;
    let mut village = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    village.hello("n", village.holds(&[]));
    let fields =
        json!({ "to": ["thon-1"], "class": "priority", "title": "Cắt điện thôn 1", "author": "Lan" });
    let sent = announce(&central, &fields, Some(&tone())).await;
    let id: CommandId = sent.json()["id"].as_str().unwrap().parse().unwrap();
    let hash = ContentHash::of(&tone());

    let subject = Subject::Announcement { command: id.clone() };
    let wall = loaxa_adapters::clock::wall();
    let at = |seconds: u64| Stamp {
        start: 1,
        mono_us: seconds,
        wall: wall.plus(Span::secs(seconds)),
        quality: ClockQuality::Synced,
        uncertainty_ms: 1,
    };
    let Event::PlayStarted(slot) = play(1, wall).event else { unreachable!() };
    let started = PlayStart {
        subject: subject.clone(),
        rung: Rung::Priority,
        title: "Cắt điện thôn 1".to_owned(),
        content: Some(hash),
        source: "media".to_owned(),
        ..slot
    };
    let delivered = |step: DeliveryStep| Event::Delivery { command: id.clone(), step };
    let cut = PlayEnd {
        play: PlayId::new(1, 1),
        subject,
        outcome: PlayOutcome::PowerLost,
        started_at: Some(at(2)),
        frames_played: 0,
        frames_due: Some(48_000),
        loudness_lufs: None,
        heard: None,
    };
    let events = [
        delivered(DeliveryStep::Received),
        delivered(DeliveryStep::Staged),
        Event::PlayStarted(started),
        delivered(DeliveryStep::Started),
        Event::PlayEnded(cut),
    ];
    for (second, event) in (0..).zip(events) {
        village.append_entry(Entry { at: at(second), event });
    }
    village.upload(1, 5).await;

    let list = until("the line", async || {
        let list = reviewer.get(&central, "/nhat-ky").await.text().to_owned();
        list.contains("/nhat-ky/luot/").then_some(list)
    })
    .await;
    let number: String =
        list.split("/nhat-ky/luot/").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
    let line = reviewer.get(&central, &format!("/nhat-ky/luot/{number}")).await;
    for shown in [
        "Lan gửi",
        "Đã ký và gửi tới 1 cụm loa",
        "Cụm loa này đã nhận; 1 trên 1 cụm loa đã nhận",
        "ít nhất 0 giây, nhiều nhất 10 giây",
        &format!("src=\"/media/{hash}\""),
    ] {
        assert!(line.text().contains(shown), "{shown} in {}", line.text());
    }
    assert!(!line.text().contains("0,0 giây"), "{}", line.text());
    let audio = reviewer.get(&central, &format!("/media/{hash}")).await;
    assert_eq!((audio.status, ContentHash::of(&audio.body)), (200, hash));

    let mut command = Command::new(env!("CARGO_BIN_EXE_loaxa"));
    command.args(["logs", "--lang", "vi"]);
    command.env("LOAXA_CENTRAL", format!("http://{}", central.http_addr())).env("LOAXA_TOKEN", TOKEN);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("Cắt điện thôn 1") && !told.contains(" 0,0 giây"), "{told}");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_anchor_is_shown_given_and_exported() {
    // More than one answer holds, each a day before the other.
    const ANCHORS: u64 = 1_100;
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let today = loaxa_adapters::clock::wall();
    for days in 1..=ANCHORS {
        central.store().keep_anchor(today.date() - chrono::Days::new(days), today).await.unwrap();
    }
    let days = |page: &serde_json::Value| {
        page.as_array().unwrap().iter().map(|row| row["day"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = get_api(&central, "/api/v1/anchors").await;
    let link = first.header("link").to_owned();
    let next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    let second = get_api(&central, next).await;
    let mut all = [days(&first.json()), days(&second.json())].concat();
    assert_eq!((all.len() as u64, second.header("link")), (ANCHORS + 1, ""));
    assert!(first.json()[0]["heads"].is_string());
    all.dedup();
    assert_eq!(all.len() as u64, ANCHORS + 1);

    let mut command = Command::new(env!("CARGO_BIN_EXE_loaxa"));
    command.args(["logs", "anchor"]).env("LOAXA_LANG", "en");
    command.env("LOAXA_CENTRAL", format!("http://{}", central.http_addr())).env("LOAXA_TOKEN", TOKEN);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.lines().skip(1).map(|line| &line[..10]).collect::<Vec<_>>(), all);

    let reviewer = Staff::make(&central, "kiem", &[(Role::Reviewer, "xa")]).await;
    let export = reviewer.get(&central, "/bang-chung/nhat-ky.jsonl").await;
    assert_eq!(export.text().matches("{\"anchor\":").count() as u64, ANCHORS + 1);
    let page = reviewer.get(&central, "/bang-chung").await;
    let older = format!("/bang-chung?truoc={}", all[59]);
    assert!(page.text().contains(&older), "the page goes on");
    let oldest = reviewer.get(&central, &format!("/bang-chung?truoc={}", all[1_099])).await;
    assert!(oldest.text().contains(&*all[1_100].split('-').rev().collect::<Vec<_>>().join("/")));
    let behind = format!("truoc={}", all[1_100]);
    assert!(!oldest.text().contains(&behind), "nothing is older");
}
