//! Promises about plays and slots, as a log tells of them.

use super::*;

pub(super) async fn a_play_ends_once_with_its_outcome(store: SharedStore) {
    store.declare_boxes(vec![declared("loa-1", &["xa"])]).await.unwrap();
    let slot = || Subject::Slot(SlotKey { slot: "sang".parse().unwrap(), date: NOW.date() });
    let order = || Subject::Announcement { command: "lenh-1".parse().unwrap() };
    let mut written = Written::new();
    let events = [started(1, slot()), started(2, order())];
    ingest(&store, written.batch(events)).await;
    let open = store.plays(LogFilter { limit: 10, ..LogFilter::default() }).await.unwrap();
    assert_eq!(open.iter().map(|play| play.outcome.clone()).collect::<Vec<_>>(), [None, None]);
    let cut = PlayOutcome::Interrupted { by: Rung::Emergency };
    let events = [
        ended(1, slot(), cut.clone()),
        ended(2, order(), PlayOutcome::Finished),
        ended(1, slot(), PlayOutcome::Stopped),
    ];
    ingest(&store, written.batch(events)).await;
    let filter = LogFilter { command: Some("lenh-1".parse().unwrap()), limit: 10, ..LogFilter::default() };
    let of_command = store.plays(filter).await.unwrap().remove(0);
    assert_eq!((of_command.subject, of_command.outcome), (order(), Some(PlayOutcome::Finished)));
    let plays = store.plays(LogFilter { limit: 10, ..LogFilter::default() }).await.unwrap();
    let of_slot = plays.into_iter().find(|play| play.subject == slot()).unwrap();
    assert_eq!(of_slot.outcome, Some(cut), "its first end stays");
    assert_eq!((of_slot.rung, of_slot.mode), (Rung::Exercise, Some(Mode::Exercise)));
    let shown = serde_json::to_value(&of_slot).unwrap();
    assert_eq!(shown["subject"], "slot");
    assert_eq!(shown["subject_id"], format!("sang/{}", NOW.date()));
    assert_eq!(
        (&shown["outcome"], &shown["reason"]),
        (&"interrupted".into(), &"{\"by\":\"emergency\"}".into())
    );
    let report = store.report(at(0), at(1)).await.unwrap();
    assert_eq!((report.len(), report[0].plays, report[0].finished, report[0].seconds_played), (1, 2, 1, 2.0));
}

pub(super) async fn plays_under_an_unknown_clock_are_dated_anew(store: SharedStore) {
    store.declare_boxes(vec![declared("loa-1", &["xa"])]).await.unwrap();
    let order = || Subject::Announcement { command: "lenh-1".parse().unwrap() };
    let step_us = 86_400_000_000;
    let set = |before| Event::ClockSet { step_us, before };
    let mut written = Written::new();
    let opened = async || {
        let plays = store.plays(LogFilter { limit: 10, ..LogFilter::default() }).await.unwrap();
        plays.into_iter().map(|play| (play.opened, play.ended)).next().unwrap()
    };
    ingest(&store, written.batch([started(1, order()), ended(1, order(), PlayOutcome::Finished)])).await;
    let (began, over) = opened().await;
    // A clock that was known is only corrected: what it dated stays.
    ingest(&store, written.batch([set(ClockQuality::Synced)])).await;
    assert_eq!(opened().await, (began, over));
    ingest(&store, written.batch([set(ClockQuality::None)])).await;
    let day_later = |at: Wall| Wall(at.0 + step_us);
    assert_eq!(opened().await, (day_later(began), over.map(day_later)));
}

pub(super) async fn what_did_not_sound_has_its_reason(store: SharedStore) {
    let events = [missed("một", NotPlayed::Late), missed("hai", NotPlayed::PreEmpted { by: Rung::Live })];
    ingest(&store, Written::new().batch(events)).await;
    let rows = store.not_played(10).await.unwrap();
    let rows: Vec<_> = rows.into_iter().map(|row| (row.title, row.reason)).collect();
    let expected =
        [("hai".to_owned(), NotPlayed::PreEmpted { by: Rung::Live }), ("một".to_owned(), NotPlayed::Late)];
    assert_eq!(rows, expected);
}

pub(super) async fn a_slot_that_did_not_sound_is_shown_and_reported_until_it_sounds(store: SharedStore) {
    let ended = |outcome| {
        let key = SlotKey { slot: "sang".parse().unwrap(), date: NOW.date() };
        Event::SlotEnded { key, title: "Buổi sáng".to_owned(), scheduled: NOW, outcome }
    };
    let mut written = Written::new();
    let missed = written.batch([ended(SlotOutcome::NotAired(NotPlayed::Missed))]);
    ingest(&store, missed).await;
    let rows = store.not_played(10).await.unwrap();
    assert_eq!((rows.len(), &*rows[0].title, rows[0].at), (1, "Buổi sáng", NOW));
    let report = store.report(at(0), at(1)).await.unwrap();
    assert_eq!((report.len(), report[0].plays, report[0].not_aired["missed"]), (1, 0, 1));
    assert!(store.report(at(1), at(2)).await.unwrap().is_empty());
    let aired = written.batch([ended(SlotOutcome::Aired { finished: 1, not_finished: 0 })]);
    ingest(&store, aired).await;
    assert!(store.not_played(10).await.unwrap().is_empty());
    assert!(store.report(at(0), at(1)).await.unwrap().is_empty());
}
