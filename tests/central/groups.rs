//! Groups: two who move boxes in the same moment lose no move, and what was merged is offered nowhere.

use crate::emergency::prepare;
use crate::support::commune::*;
use crate::support::staff::Staff;
use loaxa_central::Central;
use loaxa_central::store::{MessageUse, Role};
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

#[tokio::test(flavor = "multi_thread")]
async fn a_village_that_became_part_of_another_is_offered_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let mai = Staff::make(&central, "mai", &Role::ALL.map(|role| (role, "xa"))).await;
    prepare(&central, &mai, "Lũ về", MessageUse::Alarm).await;
    let places = [
        "/soan-tin/00000000000000aa",
        "/noi-truc-tiep",
        "/khan-cap",
        "/dien-tap",
        "/cum-loa/loa-1",
        "/tuan?noi=xa",
    ];
    let offers = async |path: &str| {
        let page = mai.get(&central, path).await;
        assert_eq!(page.status, 200, "{path}");
        page.text().contains("value=\"thon-2\"")
    };
    for path in places {
        assert!(offers(path).await, "{path}");
    }
    let fields = [("vao", "thon-1")];
    assert_eq!(mai.post(&central, "/cai-dat/noi/thon-2/gop", &fields).await.status, 303);
    for path in places {
        assert!(!offers(path).await, "{path}");
    }
    // A page that was open meanwhile still names it: the notice is for the village that it belongs to now.
    let sent = [
        ("goc", ""),
        ("ten", "Họp thôn"),
        ("loi", "Mời bà con."),
        ("giong", "may"),
        ("noi", "thon-2"),
        ("khi", "som"),
        ("loai", "normal"),
        ("lan", "1"),
        ("tieng", "vi"),
        ("viec", "luu"),
    ];
    assert_eq!(mai.post(&central, places[0], &sent).await.status, 303);
    let kept = central.store().notice("00000000000000aa".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(kept.content.groups, [group("thon-1")]);
    // Boxes that are in it again are heard from again.
    let asked = json!({ "members": { "loa-2": ["thon-2"] } }).to_string();
    let moved = post(&central, "/api/v1/groups", "application/json", asked.into()).await;
    assert_eq!(moved.status, 201, "{}", moved.text());
    assert!(offers("/soan-tin/00000000000000ab").await && offers("/khan-cap").await);
    central.stop().await;
}
