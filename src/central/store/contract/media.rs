//! Promises about audio.

use std::collections::BTreeSet;

use super::*;

pub(super) async fn media_are_described_once(store: SharedStore) {
    let media = |name: &str| MediaRow {
        sha256: ContentHash::of(b"audio"),
        bytes: 9,
        codec: "audio/wav".to_owned(),
        ms: 1_000,
        name: name.to_owned(),
        added: NOW,
    };
    store.add_media(media("a.wav")).await.unwrap();
    store.add_media(media("b.wav")).await.unwrap();
    assert_eq!(store.media(ContentHash::of(b"audio")).await.unwrap(), Some(media("a.wav")));
    assert_eq!(store.media(ContentHash::of(b"none")).await.unwrap(), None);
}

pub(super) async fn words_are_found_in_any_number_of_files(store: SharedStore) {
    let file = |n: u32| MediaRow {
        sha256: ContentHash::of(&n.to_be_bytes()),
        bytes: 9,
        codec: "audio/wav".to_owned(),
        ms: 1_000,
        name: if n.is_multiple_of(400) { format!("Đê số {n}.wav") } else { format!("{n}.wav") },
        added: at(u64::from(n / 700)),
    };
    let mut adding = tokio::task::JoinSet::new();
    for n in 0..1_201 {
        let store = Arc::clone(&store);
        adding.spawn(async move { store.add_media(file(n)).await });
    }
    for added in adding.join_all().await {
        added.unwrap();
    }
    let found = async |words: &str, limit| {
        let rows = store.media_files(words.to_owned(), limit).await.unwrap();
        rows.into_iter().map(|row| (row.added, row.name)).collect::<Vec<_>>()
    };
    let mut named = found("đÊ SỐ", 9).await;
    assert!(named.is_sorted_by_key(|(added, _)| std::cmp::Reverse(*added)), "the newest first: {named:?}");
    named.sort();
    let expected = [0, 400, 1_200, 800].map(|n| (file(n).added, file(n).name));
    assert_eq!(named, expected);
    assert_eq!(found("đê số", 2).await.len(), 2);
    let all: BTreeSet<_> = found("", 1_000).await.into_iter().collect();
    assert_eq!(all.len(), 1_000, "each is listed once");
}
