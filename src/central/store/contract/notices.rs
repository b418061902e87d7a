//! Promises about the choice of notices.

use super::*;

pub(super) async fn notices_are_found_by_their_time_and_their_audio(store: SharedStore) {
    let audio = ContentHash::of(b"loa");
    let due = [None, Some(at(100)), Some(at(200)), Some(at(300))];
    for (n, at) in due.into_iter().enumerate() {
        let media = (n % 2 == 0).then_some(audio);
        let edit = NoticeEdit {
            id: format!("tin-{n}").parse().unwrap(),
            base: None,
            content: NoticeContent { at, ..keeping::notice(media) },
            state: NoticeState::Submitted,
            by: "an".parse().unwrap(),
            at: NOW,
            act: None,
        };
        assert_eq!(store.edit_notice(edit, 9).await.unwrap(), NoticeKept::Kept);
    }
    let found = async |filter: NoticeFilter| {
        let rows = store.notices(NoticeFilter { limit: 9, ..filter }).await.unwrap();
        rows.into_iter().map(|row| row.id.to_string()).collect::<Vec<_>>()
    };
    let all = NoticeFilter::default();
    assert_eq!(found(all.clone()).await, ["tin-0", "tin-1", "tin-2", "tin-3"]);
    assert_eq!(
        found(NoticeFilter { due: Some((at(100), at(300))), ..all.clone() }).await,
        ["tin-1", "tin-2"]
    );
    let media = vec![ContentHash::of(b"khac"), audio];
    assert_eq!(found(NoticeFilter { media, ..all.clone() }).await, ["tin-0", "tin-2"]);
    let media = vec![ContentHash::of(b"khac")];
    assert_eq!(found(NoticeFilter { media, ..all }).await, Vec::<String>::new());
}
