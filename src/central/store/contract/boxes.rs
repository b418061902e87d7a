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

pub(super) async fn the_words_of_a_hello_count_behind_a_later_sign(store: SharedStore) {
    store.declare_boxes(vec![declared("loa-1", &["xa"])]).await.unwrap();
    let say = async |seconds, kind| {
        let sign =
            SignOfLife { id: id("loa-1"), at: at(seconds), clock: ClockQuality::Synced, holds: None, kind };
        store.note_sign_of_life(sign).await.unwrap();
    };
    let hello = async |seconds, software: &str, epoch| {
        let software = software.to_owned();
        say(seconds, SignKind::Hello { software, languages: vec!["vi".to_owned()], epoch: Epoch(epoch) })
            .await;
        // What waits is written first.
        store.note_lost(id("loa-1"), at(seconds)).await.unwrap();
        let row = store.boxes().await.unwrap().remove(0);
        (row.software.unwrap(), row.epoch.unwrap().0, row.backlog, row.last_seen.unwrap())
    };
    let faults = vec!["disk_full".to_owned()];
    for is_written in [false, true] {
        let later = at(if is_written { 200 } else { 100 });
        let seconds = if is_written { 200 } else { 100 };
        say(seconds, SignKind::Heartbeat { backlog: 9, faults: faults.clone(), usage: None }).await;
        if is_written {
            store.note_lost(id("loa-1"), at(seconds - 40)).await.unwrap();
        }
        assert_eq!(hello(seconds - 20, "1.2.0", 7).await, ("1.2.0".to_owned(), 7, 9, later));
        assert_eq!(
            hello(seconds - 30, "1.1.0", 6).await,
            ("1.2.0".to_owned(), 7, 9, later),
            "an earlier hello"
        );
        assert_eq!(hello(seconds - 10, "1.3.0", 8).await, ("1.3.0".to_owned(), 8, 9, later));
        let row = store.boxes().await.unwrap().remove(0);
        assert_eq!(
            (row.faults, row.languages, row.clock),
            (faults.clone(), vec!["vi".to_owned()], Some(ClockQuality::Synced))
        );
    }
    assert_eq!(hello(230, "1.4.0", 9).await, ("1.4.0".to_owned(), 9, 1, at(230)));
}
