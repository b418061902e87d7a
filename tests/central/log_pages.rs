//! More plays than one answer holds: `loaxa logs` reads page after page, and misses none.

use std::process::Command;

use crate::support::commune::*;
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::ids::PlayId;
use loaxa_heart::domain::playback::{Entry, Event, PlayStart, SlotKey, Stamp, Subject};
use loaxa_heart::domain::time::{ClockQuality, Span, Wall};

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
    central.stop().await;
}
