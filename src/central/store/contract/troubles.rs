//! Promises about troubles.

use super::*;

fn found(kind: TroubleKind, subject: &str, last: Wall) -> Found {
    let (what, detail) = ("disk_full".to_owned(), String::new());
    Found { kind, what, subject: subject.to_owned(), detail, since: last, last }
}

pub(super) async fn a_trouble_is_opened_once_taken_once_and_has_an_end(store: SharedStore) {
    let fault = || vec![found(TroubleKind::Fault, "loa-1", NOW)];
    assert!(store.note_troubles(fault(), NOW).await.unwrap());
    assert!(!store.note_troubles(fault(), at(5)).await.unwrap(), "it is open");
    let id = store.open_troubles().await.unwrap()[0].id;
    let take = |name: &str| store.take_troubles(vec![id, 77], name.parse().unwrap(), at(6), act());
    let (an, binh) = tokio::join!(take("an"), take("binh"));
    assert_ne!(an.unwrap(), binh.unwrap(), "one of two");
    let by = store.open_troubles().await.unwrap()[0].taken.clone().unwrap().0;
    assert!(store.silence_troubles(vec![id], at(60), act()).await.unwrap());
    assert!(
        !store.end_troubles(vec![id], at(7), act()).await.unwrap(),
        "a box's trouble is no person's to end"
    );
    assert!(store.note_troubles(Vec::new(), at(10)).await.unwrap());
    assert_eq!(store.open_troubles().await.unwrap(), []);
    let past = store.past_troubles(Some("loa-1".to_owned()), 10).await.unwrap();
    assert_eq!((past.len(), past[0].ended), (1, Some(at(10))));
    assert!(!take("chi").await.unwrap(), "it is over");
    // Again within minutes: the same, with who had it.
    assert!(store.note_troubles(fault(), at(60)).await.unwrap());
    let open = store.open_troubles().await.unwrap();
    assert_eq!((open[0].id, open[0].taken.clone().map(|(by, _)| by)), (id, Some(by)));
    assert!(store.note_troubles(Vec::new(), at(70)).await.unwrap());
    assert!(store.note_troubles(fault(), at(3_600)).await.unwrap());
    let open = store.open_troubles().await.unwrap();
    assert!(open.len() == 1 && open[0].id != id && open[0].taken.is_none(), "an hour later it is another");
    assert_eq!(store.acts(ActFilter { limit: 10, ..ActFilter::default() }).await.unwrap().len(), 2);
}

pub(super) async fn a_strangers_trouble_comes_again_only_with_a_new_sight(store: SharedStore) {
    let seen = |last| vec![found(TroubleKind::Security, "203.0.113.7", last)];
    assert!(store.note_troubles(seen(NOW), NOW).await.unwrap());
    let id = store.open_troubles().await.unwrap()[0].id;
    assert!(!store.note_troubles(Vec::new(), at(5)).await.unwrap(), "people end it");
    assert!(store.end_troubles(vec![id], at(10), act()).await.unwrap());
    assert!(!store.note_troubles(seen(NOW), at(20)).await.unwrap());
    assert!(store.note_troubles(seen(at(15)), at(20)).await.unwrap());
    assert_eq!(store.open_troubles().await.unwrap().len(), 1);
}
