//! Boxes that staff move to other groups: two who do so in the same moment lose no move.

use crate::support::commune::*;
use loaxa_central::Central;
use loaxa_heart::domain::ids::BoxId;
use serde_json::{Value, json};

/// Moves one box, and gives the answer's status.
async fn move_box(central: &Central, id: &str, to: &str) -> u16 {
    let asked = json!({ "members": { id: [to] } });
    post(central, "/api/v1/groups", "application/json", asked.to_string().into()).await.status
}

/// The groups of each box, as the newest document tells all boxes.
async fn told(central: &Central) -> Value {
    let documents = get_api(central, "/api/v1/documents").await.json();
    let newest = documents.as_array().unwrap().iter().max_by_key(|document| document["version"].as_u64());
    let id = newest.unwrap()["id"].as_str().unwrap().parse().unwrap();
    let row = central.store().command(id).await.unwrap().unwrap();
    serde_json::from_str::<Value>(&row.payload).unwrap()["body"]["members"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_move_boxes_in_the_same_moment_lose_no_move() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    for (first, second) in [("thon-2", "thon-1"), ("thon-1", "thon-2")].into_iter().cycle().take(10) {
        let (a, b) = tokio::join!(move_box(&central, "loa-1", first), move_box(&central, "loa-2", second));
        assert_eq!((a, b), (201, 201));
        let told = told(&central).await;
        for (name, group) in [("loa-1", first), ("loa-2", second)] {
            assert_eq!(told[name], json!([group, "xa"]), "what the boxes are told of {name}");
            let id = BoxId::new(name).unwrap();
            let kept = central.store().enrolled(id).await.unwrap().unwrap().groups;
            assert_eq!(kept[0].as_str(), group, "what is kept of {name}");
        }
    }
    central.stop().await;
}
