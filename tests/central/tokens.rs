//! Tokens of programs, and files that others may read.

use std::os::unix::fs::PermissionsExt;

use crate::support::commune::*;
use loaxa_central::store::{AlarmKind, Scope, TokenRow};
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::time::Span;

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_the_machine_is_good_on_the_machine_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut behind = settings(dir.path(), embedded());
    behind.page.proxies = vec!["127.0.0.1".parse().unwrap()];
    let central = start(behind).await;
    let now = loaxa_adapters::clock::wall();
    let row = TokenRow {
        name: "lan".to_owned(),
        hash: ContentHash::of(b"cua-lan"),
        scope: Scope::Admin,
        made: now,
        expires: now.plus(Span::secs(3_600)),
        revoked: None,
        owner: None,
    };
    assert!(central.store().add_token(row).await.unwrap());
    let ask = async |token: &str, by: Option<&str>| {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(by.map(|address| ("x-forwarded-for", address)));
        get(&central, "/api/v1/status", &headers).await.status
    };
    assert_eq!(ask(TOKEN, None).await, 200);
    assert_eq!(ask(TOKEN, Some("127.0.0.1")).await, 200);
    assert_eq!(ask(TOKEN, Some("203.0.113.9")).await, 403);
    assert_eq!(ask("cua-lan", Some("203.0.113.9")).await, 200, "a person answers for this one");
    central.stop().await;

    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let bearer = format!("Bearer {TOKEN}");
    let by = |address| [("authorization", bearer.as_str()), ("x-forwarded-for", address)];
    assert_eq!(
        get(&central, "/api/v1/status", &by("127.0.0.1")).await.status,
        403,
        "a proxy that nobody named"
    );
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_what_its_scope_says_until_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let now = loaxa_adapters::clock::wall();
    for (name, scope) in [("doc", Scope::Read), ("phat", Scope::Announce), ("quan-tri", Scope::Admin)] {
        let hash = ContentHash::of(name.as_bytes());
        let (made, expires) = (now, now.plus(Span::secs(3_600)));
        let row = TokenRow { name: name.to_owned(), hash, scope, made, expires, revoked: None, owner: None };
        assert!(central.store().add_token(row).await.unwrap());
    }
    let hash = ContentHash::of(b"het-han");
    let (made, expires) = (now.minus(Span::secs(60)), now.minus(Span::secs(1)));
    let row = TokenRow {
        name: "cu".to_owned(),
        hash,
        scope: Scope::Admin,
        made,
        expires,
        revoked: None,
        owner: None,
    };
    central.store().add_token(row).await.unwrap();

    let check = async |token: &str, path: &str, expected: &[u16]| {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let answer = match path.strip_prefix("POST ") {
            Some(path) => post_with(&central, &format!("/api/v1{path}"), &headers, b"{}".to_vec()).await,
            None => get(&central, &format!("/api/v1{path}"), &headers).await,
        };
        assert!(expected.contains(&answer.status), "{token} {path}: {} {}", answer.status, answer.text());
    };
    for path in ["/boxes", "/announcements", "/documents", "/drafts", "/export"] {
        for token in ["doc", "phat", "quan-tri", TOKEN] {
            check(token, path, &[200]).await;
        }
        check("het-han", path, &[401]).await;
        check("sai", path, &[401]).await;
    }
    let announcing = ["POST /announcements/none/cancel", "POST /media", "POST /cap/alerts/none/approve"];
    for path in announcing {
        check("doc", path, &[403]).await;
        check("phat", path, &[400, 404, 409, 415, 422]).await;
    }
    for path in [
        "POST /programmes",
        "POST /groups",
        "POST /policies",
        "POST /local-emergencies",
        "POST /prepared",
        "POST /boxes/none/revoke",
        "POST /enrolments",
    ] {
        check("doc", path, &[403]).await;
        check("phat", path, &[403]).await;
        check("sai", path, &[401]).await;
        check("quan-tri", path, &[201, 400, 404, 409, 415, 422]).await;
    }
    check("doc", "POST /cap", &[401]).await;
    assert!(central.store().revoke_token("doc".to_owned(), now).await.unwrap());
    check("doc", "/boxes", &[401]).await;
    let told = until("an alarm with its count", async || {
        let alarms = central.store().alarms(10).await.unwrap();
        alarms.into_iter().find(|alarm| alarm.kind == AlarmKind::WrongToken && alarm.count >= 16)
    })
    .await;
    assert_eq!(told.subject, "127.0.0.1");
    // Whatever lies on the disk is its owner's.
    for name in ["central.db", "central.db-wal", "central.db-shm"] {
        let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} {mode:o}");
    }
    central.stop().await;
}
