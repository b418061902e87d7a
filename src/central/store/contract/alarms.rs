//! Promises about alarms.

use super::*;

pub(super) async fn alarms_are_counted_and_bounded(store: SharedStore) {
    let raise = |subject: String, seconds| {
        store.raise_alarm(Alarm {
            kind: AlarmKind::UnknownBox,
            subject,
            detail: "x".to_owned(),
            at: at(seconds),
            times: 1,
        })
    };
    for first in (0..=u64::from(ALARMS_MAX)).step_by(500) {
        let mut raised = tokio::task::JoinSet::new();
        for n in first..(first + 500).min(u64::from(ALARMS_MAX) + 1) {
            let (store, subject) = (Arc::clone(&store), format!("la-{n}"));
            let alarm =
                Alarm { kind: AlarmKind::UnknownBox, subject, detail: "x".to_owned(), at: at(n), times: 1 };
            raised.spawn(async move { store.raise_alarm(alarm).await.unwrap() });
        }
        raised.join_all().await;
    }
    raise("la-9".to_owned(), 20_000).await.unwrap();
    let newest = store.alarms(1).await.unwrap().remove(0);
    assert_eq!((newest.subject.as_str(), newest.count, newest.first), ("la-9", 2, at(9)));
    raise("la-0".to_owned(), 20_001).await.unwrap();
    assert_eq!(store.alarms(1).await.unwrap()[0].count, 1, "the oldest was forgotten");
}
