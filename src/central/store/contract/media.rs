//! Promises about audio.

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
