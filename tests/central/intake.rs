//! Attacks of a box with a stolen key on central: the box can fill its own quota, under an alarm, and do no more.

use crate::support::commune::*;
use crate::support::staff::look;
use loaxa_central::Central;
use loaxa_central::store::{AlarmKind, AlarmRow, LogFilter};
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::ids::{Epoch, PlayId};
use loaxa_heart::domain::playback::{Entry, Event, PlayEnd, PlayOutcome, PlayStart, Stamp, Subject};
use loaxa_heart::domain::time::{ClockQuality, Span, Wall};
use loaxa_heart::wire::chain;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{LogBatch, LogRecord, VERSION};
use loaxa_heart::wire::topics::Up;

async fn with_box(test: impl AsyncFn(&Central, &mut ScriptedBox)) {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    test(&central, &mut loa).await;
    central.stop().await;
}

async fn alarm(central: &Central, kind: AlarmKind, enough: u64) -> AlarmRow {
    until("an alarm", async || {
        let alarms = central.store().alarms(100).await.unwrap();
        alarms.into_iter().find(|alarm| alarm.kind == kind && alarm.count >= enough)
    })
    .await
}

fn subject() -> Subject {
    Subject::Live { voice: "v".to_owned() }
}

fn start_of(play: u32, title: &str) -> Event {
    Event::PlayStarted(PlayStart {
        play: PlayId::new(1, play),
        subject: subject(),
        rung: Rung::Live,
        title: title.to_owned(),
        section: None,
        campaign: None,
        class: None,
        mode: None,
        issuer: None,
        content: None,
        source: "speech".to_owned(),
        language: "vi".to_owned(),
        repetition: 1,
        scheduled: None,
        entered_at_ms: 0,
        volume_percent: 80,
        instead_of: None,
    })
}

fn end_of(play: u32, frames: u64) -> Event {
    Event::PlayEnded(PlayEnd {
        play: PlayId::new(1, play),
        subject: subject(),
        outcome: PlayOutcome::Finished,
        started_at: None,
        frames_played: frames,
        frames_due: None,
        loudness_lufs: None,
        heard: None,
    })
}

/// Appends an entry of a date.
fn append_at(loa: &mut ScriptedBox, wall: Wall, event: Event) {
    let at = Stamp { start: 1, mono_us: 5, wall, quality: ClockQuality::Synced, uncertainty_ms: 1 };
    loa.append_entry(Entry { at, event });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_true_is_kept_apart_and_never_added_up() {
    with_box(async |central, loa| {
        let now = loaxa_adapters::clock::wall();
        append_at(loa, now, start_of(1, "Bản tin"));
        append_at(loa, now, end_of(1, 48_000));
        for play in [2, 3] {
            append_at(loa, now, start_of(play, "Vô tận"));
            append_at(loa, now, end_of(play, (1 << 63) - 1));
        }
        let far: Wall = "2199-01-01T00:00:00Z".parse().unwrap();
        for play in 4..104 {
            append_at(loa, far, start_of(play, "Tương lai"));
        }
        assert_eq!(loa.upload(1, 106).await.contiguous_upto, 106);

        let period = format!("from={}&to={far}", Wall(0));
        let report = get_api(central, &format!("/api/v1/report?{period}")).await;
        assert_eq!(report.status, 200, "{}", report.text());
        let row = &report.json()[0];
        let counts =
            [&row["plays"], &row["finished"], &row["implausible"]].map(|count| count.as_u64().unwrap());
        assert_eq!((counts, row["seconds_played"].as_f64()), ([1, 1, 2], Some(1.0)));
        let plays = get_api(central, "/api/v1/plays?limit=10").await.json();
        assert_eq!((plays.as_array().unwrap().len(), plays[0]["title"].as_str()), (1, Some("Bản tin")));
        let apart = get_api(central, "/api/v1/plays?implausible=true&limit=1000").await.json();
        assert_eq!(apart.as_array().unwrap().len(), 102);
        let page = look(central, "/nhat-ky").await;
        assert!(page.text().contains("Không thể có thật") && page.status == 200);
        // The evidence stays as it was written.
        let log = central.store().log(LogFilter { limit: 1_000, ..LogFilter::default() }).await.unwrap();
        assert_eq!(log.iter().filter(|row| row.implausible.is_some()).count(), 102);
        assert_eq!(alarm(central, AlarmKind::Implausible, 102).await.count, 102);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_that_floods_is_put_off_and_others_are_not() {
    with_box(async |central, loa| {
        let mut other = ScriptedBox::connect(2, central.broker_addr().unwrap().port()).await;
        for _ in 0..40 {
            loa.append(Event::DeviceLost { detail: "x".repeat(2_000) });
        }
        let batch = loa.batch(1, 40);
        let mut bytes = 0;
        while bytes < 40 << 20 {
            loa.pass_over();
            if loa.try_to_say(Up::Log, batch.clone()) {
                bytes += batch.len();
            } else {
                tokio::task::yield_now().await;
            }
        }
        other.append(Event::DeviceBack);
        assert_eq!(other.upload(1, 1).await.contiguous_upto, 1);
        let alarm = alarm(central, AlarmKind::TooMuch, 2).await;
        assert_eq!(alarm.subject, "loa-1");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_is_an_alarm_and_numbers_do_not_wrap() {
    with_box(async |central, loa| {
        loa.append(Event::DeviceBack);
        assert_eq!(loa.upload(1, 1).await.contiguous_upto, 1);
        let forge = |epoch: u64, seq: u64| {
            let at = Stamp {
                start: 1,
                mono_us: 5,
                wall: loaxa_adapters::clock::wall().minus(Span::secs(1)),
                quality: ClockQuality::Synced,
                uncertainty_ms: 1,
            };
            let epoch = Epoch(epoch);
            let link = chain::Link { seq, prev: chain::Link::FIRST.prev };
            let record: LogRecord =
                link.record(&loa.id, epoch, Entry { at, event: Event::DeviceBack }).unwrap();
            let batch = LogBatch {
                v: VERSION,
                box_id: loa.id.clone(),
                epoch,
                oldest: seq,
                records: vec![record],
                head: None,
            };
            codec::seal(&batch, &[&loa.key])
        };
        for seq in [0, u64::MAX, 1 << 63] {
            loa.say(Up::Log, forge(71, seq));
        }
        let refused = alarm(central, AlarmKind::BadLog, 3).await;
        assert!(refused.detail.contains("numbers"), "{}", refused.detail);
        loa.say(Up::Log, forge(9_000, 1));
        let told = alarm(central, AlarmKind::NewEpoch, 1).await;
        assert_eq!(told.subject, "loa-1");
        assert!(told.detail.contains(&Epoch(9_000).to_string()), "{}", told.detail);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_five_thousand_forged_commands_are_one_alarm_with_their_count() {
    with_box(async |central, loa| {
        loa.append(Event::RefusalsCounted { reason: "bad_signature".to_owned(), count: 34_999 });
        loa.append(Event::CommandRefused {
            command: None,
            reason: loaxa_heart::domain::playback::CommandRefusal::BadSignature,
        });
        loa.append(Event::RefusalsCounted { reason: "bad_signature".to_owned(), count: u64::MAX });
        loa.append(Event::RefusalsCounted { reason: "bad_signature".to_owned(), count: u64::MAX });
        assert_eq!(loa.upload(1, 2).await.contiguous_upto, 2);
        let told = alarm(central, AlarmKind::Forged, 1).await;
        assert_eq!((told.subject.as_str(), told.count), ("loa-1", 35_000));
        assert_eq!(loa.upload(3, 4).await.contiguous_upto, 4, "a count that is a lie stops nothing");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_title_cannot_steer_a_terminal() {
    with_box(async |central, loa| {
        append_at(loa, loaxa_adapters::clock::wall(), start_of(1, "a\u{1b}[2J\n\u{9b}31m\u{202e}b"));
        assert_eq!(loa.upload(1, 1).await.contiguous_upto, 1);
        let plays = get_api(central, "/api/v1/plays").await.json();
        assert_eq!(plays[0]["title"], r"a\u{1b}[2J\n\u{9b}31m\u{202e}b");
    })
    .await;
}
