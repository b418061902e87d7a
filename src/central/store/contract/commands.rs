//! Promises about commands and documents: serials, races, moves of boxes.

use super::*;

pub(super) async fn serials_are_given_once(store: SharedStore) {
    let key = |name: &str| name.parse::<KeyId>().unwrap();
    let (a, b) = tokio::join!(store.next_serial(key("an")), store.next_serial(key("an")));
    let mut given = [a.unwrap(), b.unwrap()];
    given.sort_unstable();
    assert_eq!(given, [1, 2]);
    assert_eq!(store.next_serial(key("binh")).await.unwrap(), 1);
}

pub(super) async fn a_command_is_kept_once(store: SharedStore) {
    let (a, b) = tokio::join!(store.add_command(command("mot", 1)), store.add_command(command("mot", 1)));
    let mut kept = [a.unwrap(), b.unwrap()];
    kept.sort_by_key(|kept| *kept == Kept::Before);
    assert_eq!(kept, [Kept::Now, Kept::Before], "one of two racers");
    let other = NewCommand { payload: "{\"other\":1}".to_owned(), ..command("mot", 9) };
    assert!(store.add_command(other).await.is_err(), "another command under the same id");
    let ends = vec![("mot".parse().unwrap(), Ended::Superseded)];
    store.add_command(NewCommand { ends, ..command("hai", 2) }).await.unwrap();
    let ends = vec![("mot".parse().unwrap(), Ended::Cancelled)];
    let cancel = NewCommand { kind: CommandKind::Cancel, class: None, mode: None, ends, ..command("huy", 3) };
    store.add_command(cancel).await.unwrap();
    let row = store.command("mot".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((row.ended, row.mode), (Some(Ended::Superseded), Some(Mode::Exercise)), "what ended it first");
    let names = |rows: Vec<CommandRow>| rows.into_iter().map(|row| row.title).collect::<Vec<_>>();
    assert_eq!(names(store.announcements(None, 10).await.unwrap()), ["hai", "mot"]);
    let pages = [("hai", vec!["mot"]), ("mot", vec![]), ("huy", vec!["hai", "mot"]), ("khong-co", vec![])];
    for (before, rest) in pages {
        let page = store.announcements(Some(before.parse().unwrap()), 10).await.unwrap();
        assert_eq!(names(page), rest, "after {before}");
    }
    let ids = ["hai", "mot"].map(|name| name.parse::<CommandId>().unwrap()).to_vec();
    assert_eq!(store.envelopes(ids).await.unwrap(), [b"hai".to_vec(), b"mot".to_vec()]);
    let standing = store.standing(id("loa-1"), vec![group("xa")], at(10)).await.unwrap();
    let orders: Vec<_> = standing.iter().map(|row| (row.kind, row.ended, row.step)).collect();
    let sent = Some(Step::Sent);
    let expected = [
        (CommandKind::Announce, true, sent),
        (CommandKind::Announce, false, sent),
        (CommandKind::Cancel, false, None),
    ];
    assert_eq!(orders, expected);
}

pub(super) async fn of_two_documents_of_one_version_one_is_kept(store: SharedStore) {
    let (a, b) = tokio::join!(store.add_command(document("a", 1, 1)), store.add_command(document("b", 2, 1)));
    let kept = [a.unwrap(), b.unwrap()];
    assert!(kept.contains(&Kept::Now) && kept.contains(&Kept::Overtaken), "one of two racers: {kept:?}");
    let in_force = async |now| {
        let documents = store.documents(now).await.unwrap();
        documents.iter().map(|document| document.version).collect::<Vec<_>>()
    };
    assert_eq!(in_force(at(10)).await, [1]);
    assert_eq!(store.add_command(document("c", 3, 2)).await.unwrap(), Kept::Now);
    assert_eq!(store.add_command(document("d", 4, 1)).await.unwrap(), Kept::Overtaken);
    assert_eq!(store.command("d".parse().unwrap()).await.unwrap(), None, "nothing of it is kept");
    assert_eq!(in_force(at(10)).await, [2], "the one that was read before has been followed");
    assert_eq!(in_force(Wall::MAX).await, [0_u32; 0], "they expire");
}

pub(super) async fn boxes_move_with_the_document_that_moves_them(store: SharedStore) {
    store.declare_boxes(vec![declared("loa-1", &["thon-1"])]).await.unwrap();
    let to = |name: &str, serial, version, groups: &str| {
        let moves = vec![(id("loa-1"), vec![group(groups)])];
        store.add_command(NewCommand { moves, ..document(name, serial, version) })
    };
    let groups = async || store.enrolled(id("loa-1")).await.unwrap().unwrap().groups;
    assert_eq!(to("a", 1, 1, "thon-2").await.unwrap(), Kept::Now);
    assert_eq!(to("b", 2, 1, "thon-3").await.unwrap(), Kept::Overtaken);
    assert_eq!(groups().await, [group("thon-2")]);
    store.declare_boxes(vec![declared("loa-1", &["thon-1"])]).await.unwrap();
    assert_eq!(
        groups().await,
        [group("thon-2")],
        "groups that were sent are not the configuration's any more"
    );
}
