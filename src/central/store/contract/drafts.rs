//! Promises about drafts and their signatures.

use super::*;

pub(super) async fn drafts_and_signatures_have_room_for_so_many(store: SharedStore) {
    let draft = |name: &str, drafter: &str, is_emergency: bool| {
        let (payload, drafter) = ("{}".to_owned(), drafter.to_owned());
        let id = name.parse().unwrap();
        let room = DraftRoom { open_max: 3, lesser_max: 2, own_max: 1 };
        store.add_draft(NewDraft { id, made: at(1), expires: at(60), payload, drafter, is_emergency }, room)
    };
    let (a, b) = tokio::join!(draft("a", "an", false), draft("b", "an", false));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!((a == DraftKept::Kept) ^ (b == DraftKept::Kept), "one of two racers");
    assert!(a == DraftKept::NoOwnRoom || b == DraftKept::NoOwnRoom);
    assert_eq!(draft("c", "binh", false).await.unwrap(), DraftKept::Kept);
    assert_eq!(draft("d", "chi", false).await.unwrap(), DraftKept::NoRoom, "the rest is for emergencies");
    assert_eq!(draft("d", "chi", true).await.unwrap(), DraftKept::Kept);
    assert_eq!(draft("e", "dung", true).await.unwrap(), DraftKept::NoRoom);
    for lesser in ["c", "d"] {
        store.withdraw_draft(lesser.parse().unwrap()).await.unwrap();
    }
    let only = store.drafts(at(2)).await.unwrap().remove(0).draft.id;
    let sign = |key: &str, seconds| {
        let signed =
            DraftSignature { key: key.parse().unwrap(), signature: [1; SIGNATURE_BYTES], at: at(seconds) };
        store.add_signature(only.clone(), signed, 2)
    };
    assert!(sign("an", 3).await.unwrap() && sign("an", 4).await.unwrap(), "one of the same key is kept once");
    let (b, c) = tokio::join!(sign("binh", 5), sign("chi", 5));
    assert!(b.unwrap() ^ c.unwrap(), "one of two racers");
    assert_eq!(store.drafts(at(6)).await.unwrap()[0].signatures.len(), 2);
    assert!(!store.drafts(at(6)).await.unwrap()[0].sent);
    store.add_command(command(only.as_str(), 1)).await.unwrap();
    assert!(store.drafts(at(6)).await.unwrap()[0].sent);
    assert_eq!(draft("f", "an", false).await.unwrap(), DraftKept::Kept, "what was sent takes no room");
    store.withdraw_draft(only.clone()).await.unwrap();
    store.withdraw_draft("f".parse().unwrap()).await.unwrap();
    let left: Vec<_> = store.drafts(at(6)).await.unwrap().into_iter().map(|row| row.draft.id).collect();
    assert_eq!(left, [only], "what was sent is not taken back");
    assert_eq!(store.drafts(at(60)).await.unwrap(), []);
}
