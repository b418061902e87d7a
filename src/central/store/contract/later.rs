//! Rows in a word that only a later version knows: each is missing from its list, and nothing else is.

use super::*;
use crate::store::sql::SqlStore;

const THREE: [&str; 3] = ["mot", "hai", "ba"];

/// A store with three notices, calls, proposals, plays, letters and words of villagers.
async fn filled(path: &std::path::Path) -> SharedStore {
    let store: SharedStore = Arc::new(SqlStore::open(path).unwrap());
    let mut written = Written::new();
    for (n, name) in (1..).zip(THREE) {
        let edit = NoticeEdit {
            id: name.parse().unwrap(),
            base: None,
            content: keeping::notice(None),
            state: NoticeState::Draft,
            by: "an".parse().unwrap(),
            at: at(n.into()),
            act: None,
        };
        assert_eq!(store.edit_notice(edit, 9).await.unwrap(), NoticeKept::Kept);
        let drill = CallRow { purpose: CallFor::Drill, began: at(n.into()), ..calls::call(name) };
        assert!(store.add_call(drill, act()).await.unwrap());
        let mut edit = proposals::edit(name, None, name, "an");
        edit.content.subject = name.to_owned();
        assert_eq!(store.edit_proposal(edit, 4).await.unwrap(), ProposalKept::Kept);
        let live = Subject::Live { voice: name.to_owned() };
        ingest(&store, written.batch_at(at(n.into()), [started(n, live)])).await;
        let called = CalledRow { contact: name.to_owned(), name: name.to_owned(), at: at(n.into()) };
        let letter = NewLetter {
            channel: Channel::Email,
            to: name.to_owned(),
            subject: "Gọi".to_owned(),
            body: "Mở trang".to_owned(),
        };
        assert!(store.note_called("goi".parse().unwrap(), called, vec![letter]).await.unwrap());
        let said = FeedbackRow {
            id: 0,
            code: name.to_owned(),
            village: "dong".parse().unwrap(),
            kind: FeedbackKind::TooLoud,
            words: name.to_owned(),
            about: None,
            made: at(n.into()),
            due: Some(at(500)),
            answer: None,
        };
        assert!(store.add_feedback(said, "Đông".to_owned()).await.unwrap());
    }
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_of_a_later_version_keeps_its_own_row_alone_from_a_list() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("central.db");
    let store = filled(&path).await;
    let beside = rusqlite::Connection::open(&path).unwrap();
    beside
        .execute_batch(
            "UPDATE notices SET state = 'of_later' WHERE id = 'hai';
             UPDATE calls SET state = 'of_later' WHERE id = 'hai';
             UPDATE proposals SET content = '{\"kind\":\"of_later\"}' WHERE id = 'hai';
             UPDATE plays SET rung = 'of_later' WHERE subject_id = 'hai';
             UPDATE letters SET channel = 'of_later' WHERE contact = 'hai';
             UPDATE feedback SET kind = 'of_later' WHERE code = 'hai';",
        )
        .unwrap();
    // A list of two is full: what stands behind the strange row comes in its place.
    let filter = NoticeFilter { limit: 2, ..NoticeFilter::default() };
    let notices = store.notices(filter).await.unwrap();
    assert_eq!(notices.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["ba", "mot"]);
    let drills = store.drills(2).await.unwrap();
    assert_eq!(drills.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["ba", "mot"]);
    assert_eq!(store.calls(Wall(0)).await.unwrap(), drills);
    let proposals = store.open_proposals().await.unwrap();
    let mut proposals: Vec<_> = proposals.iter().map(|row| row.id.as_str()).collect();
    proposals.sort_unstable();
    assert_eq!(proposals, ["ba", "mot"]);
    let plays = store.plays(LogFilter { limit: 2, ..LogFilter::default() }).await.unwrap();
    let voice = |name: &str| Subject::Live { voice: name.to_owned() };
    assert_eq!(plays.iter().map(|row| row.subject.clone()).collect::<Vec<_>>(), [voice("ba"), voice("mot")]);
    let letters = store.letters_due(at(900), 2).await.unwrap();
    assert_eq!(letters.iter().map(|row| row.contact.as_str()).collect::<Vec<_>>(), ["mot", "ba"]);
    assert_eq!(store.letters("goi".parse().unwrap()).await.unwrap().len(), 2);
    let waiting = store.feedback_waiting(2).await.unwrap();
    assert_eq!(waiting.iter().map(|row| row.code.as_str()).collect::<Vec<_>>(), ["mot", "ba"]);
    // On the air is told of the boxes that can be read.
    beside.execute_batch("UPDATE plays SET rung = 'of_later'").unwrap();
    assert!(store.sounding().await.unwrap().is_empty());
}
