//! Promises about boxes: keys and signs of life.

use super::*;

pub(super) async fn a_box_keeps_the_key_that_came_first(store: SharedStore) {
    let trust = |key: &str| store.trust_box_key(id("loa-1"), "Cụm 1".to_owned(), key.to_owned());
    let (a, b) = tokio::join!(trust("a"), trust("b"));
    assert!(a.unwrap() ^ b.unwrap(), "one of two racers");
    let first = store.enrolled(id("loa-1")).await.unwrap().unwrap().key;
    assert!(!trust("c").await.unwrap());
    store.declare_boxes(vec![declared("loa-1", &["xa"])]).await.unwrap();
    let row = store.enrolled(id("loa-1")).await.unwrap().unwrap();
    assert_eq!((row.key, row.groups), (first, vec![group("xa")]), "a configuration without a key keeps it");
    assert_eq!(store.enrolled(id("loa-9")).await.unwrap(), None);
}

pub(super) async fn signs_of_life_are_kept_in_their_order(store: SharedStore) {
    store.declare_boxes(vec![declared("loa-1", &["xa"])]).await.unwrap();
    let heartbeat = |seconds, version: u32| {
        let kind = SignKind::Heartbeat {
            backlog: version.into(),
            faults: vec!["disk_full".to_owned()],
            usage: None,
        };
        let holds = Some(holds(version));
        store.note_sign_of_life(SignOfLife {
            id: id("loa-1"),
            at: at(seconds),
            clock: ClockQuality::Floor,
            holds,
            kind,
        })
    };
    let row = async || store.boxes().await.unwrap().remove(0);
    assert!(heartbeat(100, 2).await.unwrap(), "it is heard for the first time");
    assert!(!heartbeat(99, 1).await.unwrap());
    assert!(!heartbeat(100, 2).await.unwrap(), "people see nothing new");
    assert_eq!(store.holds(id("loa-1")).await.unwrap(), Some(holds(2)), "an earlier one came late");
    assert_eq!((row().await.backlog, row().await.clock), (2, Some(ClockQuality::Floor)));
    store.note_lost(id("loa-1"), at(50)).await.unwrap();
    assert!(row().await.is_online(at(101)), "it has spoken since");
    store.note_lost(id("loa-1"), at(101)).await.unwrap();
    assert!(!row().await.is_online(at(101)));
    assert!(heartbeat(10, 3).await.unwrap(), "it is heard again");
    assert_eq!(row().await.last_seen, Some(at(10)), "the clock of this machine was set back");
    assert!(row().await.is_online(at(100)) && !row().await.is_online(at(10 + 150)));
}
