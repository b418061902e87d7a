//! Promises about enrolment: codes, certificates, revocation.

use super::*;

pub(super) async fn a_code_is_used_up_by_one_of_two(store: SharedStore) {
    let code = ContentHash::of(b"code");
    store.add_enrolment(code, declared("loa-1", &["thon-1"]), at(60)).await.unwrap();
    let use_it = |key: &str| store.use_enrolment(code, key.to_owned(), at(1));
    let (a, b) = tokio::join!(use_it("a"), use_it("b"));
    assert!(a.unwrap().is_some() ^ b.unwrap().is_some(), "one of two racers");
    let late = ContentHash::of(b"late");
    store.add_enrolment(late, declared("loa-2", &["thon-1"]), at(60)).await.unwrap();
    assert_eq!(store.use_enrolment(late, "c".to_owned(), at(60)).await.unwrap(), None);
}

pub(super) async fn who_is_shut_out_stays_out_until_enrolled_anew(store: SharedStore) {
    let with_key = BoxDeclared { key: Some("k".to_owned()), ..declared("loa-1", &["xa"]) };
    store.declare_boxes(vec![with_key.clone()]).await.unwrap();
    let [first, second] = [b"first", b"other"].map(|bytes| ContentHash::of(bytes));
    store.add_certificate(first, [1; SERIAL_BYTES], id("loa-1"), at(1)).await.unwrap();
    store.add_certificate(second, [2; SERIAL_BYTES], id("loa-1"), at(2)).await.unwrap();
    assert_eq!(store.certified(first).await.unwrap(), None, "a box has one certificate");
    assert_eq!(store.certified(second).await.unwrap(), Some(id("loa-1")));
    assert!(store.revoke_box(id("loa-1"), at(3)).await.unwrap());
    assert!(!store.revoke_box(id("loa-9"), at(3)).await.unwrap());
    assert_eq!(store.certified(second).await.unwrap(), None);
    let key = async || store.enrolled(id("loa-1")).await.unwrap().unwrap().key;
    assert_eq!(key().await, None, "its log is believed no more");
    let revoked = store.revoked_certificates().await.unwrap();
    assert_eq!(revoked, [([1; SERIAL_BYTES], at(2)), ([2; SERIAL_BYTES], at(3))]);
    store.declare_boxes(vec![with_key]).await.unwrap();
    assert_eq!(key().await, None, "no configuration brings its key back");
    store.add_enrolment(first, declared("loa-1", &["xa"]), at(60)).await.unwrap();
    store.use_enrolment(first, "new".to_owned(), at(4)).await.unwrap();
    assert_eq!(key().await.as_deref(), Some("new"));
}
