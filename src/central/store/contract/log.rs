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
