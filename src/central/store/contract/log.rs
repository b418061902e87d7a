//! Promises about the boxes' logs: records in turn, forks, gaps.

use super::*;

pub(super) async fn a_log_is_taken_once_in_turn(store: SharedStore) {
    let mut written = Written::new();
    let (first, second) = (
        written.batch([missed("một", NotPlayed::Late), Event::DeviceBack]),
        written.batch([missed("hai", NotPlayed::Missed)]),
    );
    let after_gap = ingest(&store, second.clone()).await;
    assert_eq!((after_gap.contiguous_upto, after_gap.after_gap), (0, 1));
    let taken = ingest(&store, first.clone()).await;
    assert_eq!((taken.contiguous_upto, taken.added, taken.known), (2, 2, 0));
    let again = ingest(&store, first).await;
    assert_eq!((again.contiguous_upto, again.added, again.known), (2, 0, 2));
    assert_eq!(ingest(&store, second).await.contiguous_upto, 3);
    assert_eq!(store.contiguous_upto(id("loa-1"), EPOCH).await.unwrap(), 3);
    let log = store.log(LogFilter { limit: 10, ..LogFilter::default() }).await.unwrap();
    assert_eq!(log.iter().map(|row| row.seq).collect::<Vec<_>>(), [1, 2, 3]);
    let filter = LogFilter { after: Some(log[0].cursor), limit: 1, ..LogFilter::default() };
    assert_eq!(store.log(filter).await.unwrap(), log[1..2]);
    let filter = LogFilter { event: Some("device_back".to_owned()), limit: 10, ..LogFilter::default() };
    assert_eq!(store.log(filter).await.unwrap(), log[1..2]);
}

pub(super) async fn a_fork_is_seen_and_a_gap_is_said(store: SharedStore) {
    ingest(&store, Written::new().batch([Event::DeviceBack])).await;
    let forked = ingest(&store, Written::new().batch([Event::BoxStopped])).await;
    assert!(forked.forked);
    // A second batch that does not follow from the first, though its number does.
    let (mut one, mut other) = (Written::new(), Written::new());
    let of_epoch = |batch: Batch| Batch { epoch: Epoch(9), ..batch };
    ingest(&store, of_epoch(one.batch([Event::DeviceBack]))).await;
    other.batch([Event::BoxStopped]);
    let strange = ingest(&store, of_epoch(other.batch([Event::DeviceBack]))).await;
    assert_eq!((strange.forked, strange.contiguous_upto, strange.added), (true, 1, 0));
    let mut lost = Written::new();
    lost.batch([Event::DeviceBack, Event::DeviceBack]);
    let rest = Batch { epoch: Epoch(8), oldest: 3, ..lost.batch([Event::BoxStopped]) };
    assert_eq!(ingest(&store, rest).await.contiguous_upto, 3);
    let mut kinds: Vec<_> =
        store.alarms(10).await.unwrap().into_iter().map(|row| (row.kind, row.subject)).collect();
    kinds.sort();
    kinds.dedup();
    let expected = [AlarmKind::Forked, AlarmKind::Gap, AlarmKind::NewEpoch];
    assert_eq!(kinds, expected.map(|kind| (kind, "loa-1".to_owned())));
}

pub(super) async fn no_date_loses_or_doubles_an_entry(store: SharedStore) {
    const DAY: Span = Span::secs(86_400);
    let date = |year: i32| {
        Wall::from_local(
            chrono::NaiveDate::from_ymd_opt(year, 1, 1).unwrap().and_time(chrono::NaiveTime::MIN),
        )
    };
    let mut written = Written::new();
    // One epoch: a clock far ahead, one that began anew, the very ends of what can be said, and the right one.
    let walls = [date(2099), Wall(0), Wall(i64::MAX), Wall(i64::MIN), NOW];
    let mut play = 0;
    let batches = walls.map(|wall| {
        play += 1;
        written.batch_at(wall, [started(play, Subject::Live { voice: "v".to_owned() }), Event::DeviceBack])
    });
    for (n, batch) in batches.iter().enumerate() {
        // Once before midnight, once after it, and once years later.
        for arrived in [NOW, NOW.plus(DAY), date(2099)] {
            let taken = ingest(&store, Batch { arrived, ..batch.clone() }).await;
            let upto = 2 * (n as u64 + 1);
            assert_eq!((taken.contiguous_upto, taken.forked), (upto, false), "{n} {arrived:?}");
            assert_eq!(taken.added + taken.known, 2);
            assert_eq!(taken.added, if arrived == NOW { 2 } else { 0 }, "{n} {arrived:?}");
        }
    }
    // The clock is set by as much as a number can say.
    let set = [i64::MAX, i64::MIN].map(|step_us| Event::ClockSet { step_us, before: ClockQuality::None });
    assert_eq!(ingest(&store, written.batch(set)).await.added, 2);
    let mut plays = 0;
    for implausible in [false, true] {
        let filter = LogFilter { implausible, limit: 100, ..LogFilter::default() };
        plays += store.plays(filter).await.unwrap().len();
    }
    assert_eq!(plays, walls.len());
    let log = store.log(LogFilter { limit: 100, ..LogFilter::default() }).await.unwrap();
    let numbers: Vec<_> = (1..=2 * walls.len() as u64 + 2).collect();
    assert_eq!(log.iter().map(|row| row.seq).collect::<Vec<_>>(), numbers);
    assert_eq!(store.contiguous_upto(id("loa-1"), EPOCH).await.unwrap(), numbers.len() as u64);
}

pub(super) async fn a_months_end_and_centrals_own_clock_lose_and_double_nothing(store: SharedStore) {
    // Midnight of a month's end, as UTC counts.
    let end = Wall(1_796_083_200_000_000);
    let clocks = [
        Wall(end.0 - 1),
        end,
        Wall(end.0 - 3_600_000_000),
        Wall(0),
        Wall(-1),
        Wall(4_070_908_800_000_000),
        Wall(253_402_300_800_000_000),
        NOW,
    ];
    let mut written = Written::new();
    let mut arrivals = Vec::new();
    for (n, arrived) in (1..).zip(clocks) {
        let subject = Subject::Live { voice: "v".to_owned() };
        let batch = Batch { arrived, ..written.batch([started(n, subject), Event::DeviceBack]) };
        let taken = ingest(&store, batch.clone()).await;
        assert_eq!((taken.added, taken.known, taken.forked), (2, 0, false), "{arrived:?}");
        arrivals.extend([arrived, arrived]);
        for arrived in clocks {
            let again = ingest(&store, Batch { arrived, ..batch.clone() }).await;
            assert_eq!((again.added, again.known, again.forked), (0, 2, false), "{arrived:?}");
            assert_eq!(again.contiguous_upto, u64::from(n) * 2);
        }
    }
    let log = store.log(LogFilter { limit: 100, ..LogFilter::default() }).await.unwrap();
    assert_eq!(log.iter().map(|row| row.arrived).collect::<Vec<_>>(), arrivals);
    assert_eq!(log.iter().map(|row| row.seq).collect::<Vec<_>>(), (1..=16).collect::<Vec<_>>());
    // A page begins where the one before it ended, whatever the months were.
    let mut paged = Vec::new();
    while paged.len() < log.len() {
        let after = paged.last().map(|row: &LogRow| row.cursor);
        paged.extend(store.log(LogFilter { after, limit: 3, ..LogFilter::default() }).await.unwrap());
    }
    assert_eq!(paged, log);
    assert_eq!(store.plays(LogFilter { limit: 100, ..LogFilter::default() }).await.unwrap().len(), 8);
}

pub(super) async fn no_sign_in_an_entry_keeps_it_out(store: SharedStore) {
    let odd = "a\0b\u{1}\u{7f}\u{2028}\\u0000 'x' \"y\" \u{10ffff} 喇叭 Thôn Đông";
    let key = SlotKey { slot: "sang".parse().unwrap(), date: NOW.date() };
    let outcome = SlotOutcome::NotAired(NotPlayed::Missed);
    let ended = Event::SlotEnded { key, title: odd.to_owned(), scheduled: NOW, outcome };
    let mut written = Written::new();
    let batch = written.batch([
        missed(odd, NotPlayed::Late),
        ended,
        started(1, Subject::Live { voice: odd.to_owned() }),
    ]);
    let bodies: Vec<_> = batch.records.iter().map(|record| record.body.clone()).collect();
    assert_eq!(ingest(&store, batch).await.added, 3);
    let log = store.log(LogFilter { limit: 10, ..LogFilter::default() }).await.unwrap();
    assert_eq!(log.into_iter().map(|row| row.body).collect::<Vec<_>>(), bodies);
    assert_eq!(store.not_played(10).await.unwrap().len(), 2);
    assert_eq!(store.plays(LogFilter { limit: 10, ..LogFilter::default() }).await.unwrap().len(), 1);
    // What people write where no box vouches for it.
    store.trust_box_key(id("loa-2"), odd.to_owned(), "k".to_owned()).await.unwrap();
    store
        .raise_alarm(Alarm {
            kind: AlarmKind::Gap,
            subject: odd.to_owned(),
            detail: odd.to_owned(),
            at: NOW,
            times: 1,
        })
        .await
        .unwrap();
    store.note_act(NewAct { subject: odd.to_owned(), ..act() }).await.unwrap();
}

pub(super) async fn anchors_come_page_by_page_of_so_many_bytes(store: SharedStore) {
    // Thirty logs a day.
    for n in 0..30 {
        let batch = Written::new().batch([Event::DeviceBack]);
        ingest(&store, Batch { epoch: Epoch(n), ..batch }).await;
    }
    let first = NOW.date();
    let days: Vec<_> = (0..3).map(|n| first + chrono::Days::new(n)).collect();
    for day in &days {
        let kept = store.keep_anchor(*day, NOW).await.unwrap();
        assert_eq!(kept.heads.unwrap().lines().count(), 30);
    }
    let latest_first: Vec<_> = days.iter().rev().copied().collect();
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = store.anchors(before, false, 2).await.unwrap();
        assert!(page.anchors.len() <= 2 && page.anchors.iter().all(|anchor| anchor.heads.is_none()));
        seen.extend(page.anchors.iter().map(|anchor| anchor.day));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, latest_first);
    let whole = store.anchors(None, true, 9).await.unwrap();
    assert_eq!((whole.anchors.len(), whole.next), (3, None));
    assert!(
        whole
            .anchors
            .iter()
            .all(|anchor| ContentHash::of(anchor.heads.as_deref().unwrap().as_bytes()) == anchor.hash)
    );
}
