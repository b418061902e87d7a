//! Promises about tokens.

use super::*;

pub(super) async fn a_token_is_good_until_it_is_revoked(store: SharedStore) {
    let row = TokenRow {
        name: "bang-tin".to_owned(),
        hash: ContentHash::of(b"secret"),
        scope: Scope::Announce,
        made: at(0),
        expires: at(60),
        revoked: None,
        owner: None,
    };
    assert!(store.add_token(row.clone()).await.unwrap());
    assert!(!store.add_token(row.clone()).await.unwrap(), "a name is given once");
    let kept = || async { store.token(ContentHash::of(b"secret")).await.unwrap().unwrap() };
    assert_eq!((kept().await, store.tokens().await.unwrap()), (row.clone(), vec![row.clone()]));
    assert!(row.is_good(at(59)) && !row.is_good(at(60)));
    assert!(store.revoke_token(row.name.clone(), at(5)).await.unwrap());
    assert!(!store.revoke_token(row.name, at(6)).await.unwrap());
    assert!(!kept().await.is_good(at(7)) && kept().await.revoked == Some(at(5)));
    assert_eq!(store.token(ContentHash::of(b"other")).await.unwrap(), None);
}

pub(super) async fn a_token_ends_with_the_account_of_its_owner(store: SharedStore) {
    let token = |name: &str, owner: &str| TokenRow {
        name: name.to_owned(),
        hash: ContentHash::of(name.as_bytes()),
        scope: Scope::Read,
        made: at(0),
        expires: at(60),
        revoked: None,
        owner: Some(owner.parse().unwrap()),
    };
    assert!(!store.add_token(token("cong", "lan")).await.unwrap(), "nobody has this account");
    for id in ["lan", "mai"] {
        let person = PersonRow {
            id: id.parse().unwrap(),
            name: id.to_owned(),
            reach: String::new(),
            password: None,
            totp: None,
            recovery_left: 0,
            made: at(0),
            left: None,
            roles: Vec::new(),
        };
        store.add_person(person, act()).await.unwrap();
    }
    assert!(store.add_token(token("cong", "lan")).await.unwrap());
    assert!(store.add_token(token("zalo", "mai")).await.unwrap());
    assert!(store.leave("lan".parse().unwrap(), at(9), act()).await.unwrap());
    let revoked = store.tokens().await.unwrap().into_iter().map(|row| (row.name, row.revoked));
    assert_eq!(revoked.collect::<Vec<_>>(), [("cong".to_owned(), Some(at(9))), ("zalo".to_owned(), None)]);
    assert!(!store.add_token(token("nua", "lan")).await.unwrap(), "who left answers for none");
}
