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
