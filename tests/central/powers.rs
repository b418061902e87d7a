//! Orders of keys on the server that reach less than the commune: what they may not, central does not do for them.

use std::path::Path;

use crate::support::commune::*;
use loaxa_central::Central;
use loaxa_central::settings::Settings;
use loaxa_heart::domain::authority::Power;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{TrustMessage, VERSION};
use serde_json::{Value, json};

/// A commune whose trust document knows nothing of thôn 2's place in it. Its own key (3) speaks there; a clerk (4) says
/// what is normal in the whole commune.
fn with_keys(dir: &Path, issuers: &[u8]) -> Settings {
    let mut settings = settings(dir, embedded());
    let opened = codec::open::<TrustMessage>(&trust(), &|_| Some(key(100).public())).unwrap();
    let mut trust = opened.payload.trust;
    trust.version += 1;
    trust.nesting.remove(&group("thon-2"));
    let an = trust.grants[0].clone();
    for (seed, holder, over, powers) in [
        (3, "Giang", "thon-2", vec![Power::Normal, Power::Priority, Power::Cancel, Power::Groups]),
        (4, "Chi", "xa", vec![Power::Normal, Power::Priority, Power::Exercise]),
    ] {
        let mut grant = an.clone();
        (grant.key, grant.public) = (key(seed).key_id(), key(seed).public().to_string());
        (grant.holder, grant.groups) = (holder.to_owned(), [group(over)].into());
        grant.powers = powers.into_iter().collect();
        trust.grants.push(grant);
    }
    settings.keys.trust = codec::seal(&TrustMessage { v: VERSION, trust }, &[&key(100)]);
    settings.keys.issuers = issuers.iter().map(|seed| key(*seed)).collect();
    settings
}

async fn sent(central: &Central, fields: Value) -> String {
    let answer = announce(central, &fields, Some(&tone())).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn ended(central: &Central, id: &str) -> Option<String> {
    let row = central.store().command(id.parse().unwrap()).await.unwrap().unwrap();
    row.ended.map(|ended| format!("{ended:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_end_an_emergency_takes_its_place_neither() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(with_keys(dir.path(), &[1, 2])).await;
    let storm = sent(&central, json!({ "to": ["xa"], "class": "emergency" })).await;
    central.stop().await;

    let central = start(with_keys(dir.path(), &[4])).await;
    let before = get_api(&central, "/api/v1/announcements").await.json().as_array().unwrap().len();
    for fields in [
        json!({ "to": ["xa"], "class": "normal", "supersedes": storm }),
        json!({ "to": ["xa"], "class": "emergency", "mode": "exercise", "supersedes": storm }),
    ] {
        let answer = announce(&central, &fields, Some(&tone())).await;
        assert_eq!(answer.status, 403, "{}", answer.text());
        assert!(answer.text().contains(&storm), "it is named: {}", answer.text());
    }
    // Nothing was sent, and the clerk may neither cancel nor stop.
    let after = get_api(&central, "/api/v1/announcements").await.json().as_array().unwrap().len();
    assert_eq!((before, after), (1, 1));
    let path = format!("/api/v1/announcements/{storm}/cancel");
    assert_eq!(post(&central, &path, "application/json", b"{}".to_vec()).await.status, 403);
    assert_eq!(ended(&central, &storm).await, None);
    // What the clerk said, the clerk may replace.
    let first = sent(&central, json!({ "to": ["xa"], "class": "normal" })).await;
    sent(&central, json!({ "to": ["xa"], "class": "normal", "supersedes": first })).await;
    assert_eq!(ended(&central, &first).await.as_deref(), Some("Superseded"));
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_out_what_its_keys_may_not_end() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(with_keys(dir.path(), &[1, 3])).await;
    let here = sent(&central, json!({ "to": ["thon-1"], "class": "priority" })).await;
    let there = sent(&central, json!({ "to": ["thon-2"], "class": "priority" })).await;
    let stop = post(&central, "/api/v1/stop", "application/json", b"{}".to_vec()).await;
    assert_eq!(stop.status, 200, "{}", stop.text());
    assert_eq!(ended(&central, &here).await.as_deref(), Some("Cancelled"));
    assert_eq!(ended(&central, &there).await, None, "the boxes of thon-2 go on with it");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_is_moved_only_by_keys_over_what_it_leaves_and_joins() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(with_keys(dir.path(), &[1, 3])).await;
    for (id, to) in [("loa-1", "thon-2"), ("loa-2", "thon-1"), ("loa-2", "xa")] {
        let asked = json!({ "members": { id: [to] } }).to_string();
        let answer = post(&central, "/api/v1/groups", "application/json", asked.into()).await;
        assert_eq!(answer.status, 403, "{id} to {to}: {}", answer.text());
        assert!(answer.text().contains("thon-2"), "{}", answer.text());
    }
    let asked = json!({ "members": { "loa-1": ["xa"] } }).to_string();
    let answer = post(&central, "/api/v1/groups", "application/json", asked.into()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    central.stop().await;
}
