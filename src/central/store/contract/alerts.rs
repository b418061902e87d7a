//! Promises about alerts, and about what a feed brought that was not taken.

use super::*;

pub(super) async fn an_alert_is_taken_once(store: SharedStore) {
    let alert = |reference: &str, short: &str, seconds| CapRow {
        reference: reference.to_owned(),
        id: short.to_owned(),
        received: at(seconds),
        state: "{\"state\":\"draft\"}".to_owned(),
    };
    let names = || vec!["a,0,x".to_owned()];
    assert!(store.add_cap(alert("a,1,x", "aaa", 1), names()).await.unwrap());
    assert!(!store.add_cap(alert("a,1,x", "bbb", 2), Vec::new()).await.unwrap());
    assert!(store.add_cap(alert("a,2,x", "ccc", 3), Vec::new()).await.unwrap());
    let ids = async |before: Option<&str>, limit| {
        let rows = store.caps(before.map(str::to_owned), limit).await.unwrap();
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 9).await, ["ccc", "aaa"]);
    assert_eq!(
        (ids(None, 1).await, ids(Some("ccc"), 9).await),
        (vec!["ccc".to_owned()], vec!["aaa".to_owned()])
    );
    assert_eq!(store.cap("aaa".to_owned()).await.unwrap(), Some(alert("a,1,x", "aaa", 1)));
    assert_eq!(store.caps_referred("a,2,x".to_owned()).await.unwrap(), [alert("a,2,x", "ccc", 3)]);
    assert_eq!(store.caps_naming("a,0,x".to_owned()).await.unwrap(), [alert("a,1,x", "aaa", 1)]);
    assert_eq!(store.cap("bbb".to_owned()).await.unwrap(), None);
    let draft = alert("a,1,x", "aaa", 1).state;
    let to = |state: &str| {
        let state = format!("{{\"state\":\"{state}\"}}");
        store.change_cap("aaa".to_owned(), draft.clone(), state)
    };
    let (a, b) = tokio::join!(to("sending"), to("ended"));
    assert!(a.unwrap() ^ b.unwrap(), "one of two racers");
    assert_eq!(store.caps_in_state("draft").await.unwrap().len(), 1);
}

pub(super) async fn a_part_of_an_alert_is_said_once_by_who_sends_it(store: SharedStore) {
    let keep = async |name: &str, state: &str| {
        let alert = CapRow {
            reference: format!("a,{name},x"),
            id: name.to_owned(),
            received: at(1),
            state: state.to_owned(),
        };
        assert!(store.add_cap(alert, Vec::new()).await.unwrap());
    };
    let say = async |alert: &str, by: &str, said, id: &str, serial| {
        let part = AlertPart { alert: alert.to_owned(), by_central: by.to_owned(), said };
        let basis = Some(Basis::Alert(part));
        store.add_command(NewCommand { basis, ..command(id, serial) }).await.unwrap()
    };
    keep("aaa", r#"{"state":"sending","by_central":"one","commands":[],"of_later":{"a":[1]}}"#).await;
    assert_eq!(say("aaa", "other", 0, "c1", 1).await, Kept::Overtaken, "another central sends it");
    assert_eq!(say("aaa", "one", 1, "c1", 1).await, Kept::Overtaken, "nothing was said before");
    assert_eq!(say("aaa", "one", 0, "c1", 1).await, Kept::Now);
    assert_eq!(say("aaa", "one", 0, "c2", 2).await, Kept::Overtaken, "it was said");
    assert_eq!(say("aaa", "one", 1, "c2", 2).await, Kept::Now, "the next part");
    let kept = store.cap("aaa".to_owned()).await.unwrap().unwrap().state;
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["commands"], serde_json::json!(["c1", "c2"]));
    assert_eq!(kept["of_later"], serde_json::json!({ "a": [1] }));

    keep("bbb", r#"{"state":"sent","by_central":"one","commands":[]}"#).await;
    keep("ccc", r#"{"state":"sending","by_central":"one","commands":[],"doomed":true}"#).await;
    for alert in ["bbb", "ccc", "nowhere"] {
        assert_eq!(say(alert, "one", 0, "c3", 3).await, Kept::Overtaken, "{alert}");
    }
    assert_eq!(store.command("c3".parse().unwrap()).await.unwrap(), None, "and the command is not kept");
    // What was kept is told so again, though the alert has gone on.
    assert_eq!(say("aaa", "one", 0, "c1", 1).await, Kept::Before);
}

pub(super) async fn what_is_passed_over_is_counted_by_its_reason(store: SharedStore) {
    let passed = |why: &str, seconds| PassedOver {
        what: "https://kttv.example.vn/1".to_owned(),
        why: why.to_owned(),
        why_vi: "không đọc được".to_owned(),
        last: at(seconds),
    };
    assert_eq!(store.pass_over_cap(passed("lost", 1)).await.unwrap(), 1);
    assert_eq!(store.pass_over_cap(passed("lost", 2)).await.unwrap(), 2);
    assert_eq!(store.pass_over_cap(passed("too large", 3)).await.unwrap(), 1, "another reason");
    assert_eq!(store.caps_passed_over().await.unwrap(), [passed("too large", 3)]);
    store.cap_passed_over_no_more(passed("lost", 1).what).await.unwrap();
    assert_eq!(store.caps_passed_over().await.unwrap(), []);
}
