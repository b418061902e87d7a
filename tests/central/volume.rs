//! The highest volume of a village, from the page of one of its boxes: asked for within the limits, approved by somebody else,
//! and told to the boxes of that village alone.

use crate::support::browser::Browser;
use crate::support::commune::*;
use crate::support::staff::Staff;
use loaxa_central::Central;
use loaxa_central::store::{ActFilter, ProposalRow, Role};
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::Body;
use loaxa_heart::wire::topics::Topic;
use serde_json::json;

async fn limit(central: &Central, to: &[&str], day: u8, zone: u8) {
    let policy = json!({
        "version": 0, "allowed": [{ "from": "05:00:00", "until": "20:00:00" }], "session_minutes_max": 90,
        "day_minutes_max": 200, "volume_day_percent_max": day, "volume_night_percent_max": 50,
        "volume_zone_percent_max": zone,
    });
    let asked = json!({ "to": to, "policy": policy }).to_string();
    let answer = post(central, "/api/v1/policies", "application/json", asked.into()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// Limits that came, with the groups that they are for.
fn limits(_: &Topic, bytes: &[u8]) -> Option<(Policy, Vec<String>)> {
    let command = codec::open_command(bytes, &known_keys).ok()?.payload;
    let groups = command.groups.iter().map(ToString::to_string).collect();
    if let Body::Policy(policy) = command.body { Some((policy, groups)) } else { None }
}

async fn open(central: &Central) -> Vec<ProposalRow> {
    central.store().open_proposals().await.unwrap()
}

async fn ask(central: &Central, who: &Staff, id: &str, percent: &str) -> Answer {
    who.post(central, &format!("/cum-loa/{id}/am-luong"), &[("am-luong", percent)]).await
}

async fn approve(central: &Central, who: &Staff, row: &ProposalRow) -> Answer {
    let fields = [("ban", row.digest.to_string()), ("viec", "duyet".to_owned())];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    who.post(central, &format!("/duyet-lich/{}", row.id), &fields).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_village_gets_another_volume_when_somebody_else_has_approved() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let tu = Staff::make(&central, "tu", &[(Role::Technician, "xa"), (Role::Approver, "xa")]).await;
    let duc = Staff::make(&central, "duc", &[(Role::Approver, "xa")]).await;
    let xa = Staff::make(&central, "xa", &[(Role::Technician, "thon-2")]).await;
    let port = central.broker_addr().unwrap().port();
    let (mut one, mut two) = (ScriptedBox::connect(1, port).await, ScriptedBox::connect(2, port).await);

    // Without limits of the commune, a new document would take the place of those on the box itself.
    let refused = ask(&central, &tu, "loa-1", "50").await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("Xã chưa đặt giới hạn phát chung"), "{}", refused.text());
    limit(&central, &["xa"], 90, 80).await;
    assert_eq!(one.next("limits", limits).await.1, ["xa"]);
    two.next("limits", limits).await;

    let page = tu.get(&central, "/cum-loa/loa-1").await;
    assert!(page.text().contains("cao nhất 80 %, áp dụng cho 1 cụm loa"), "{}", page.text());
    for wrong in ["81", "90", "100", "19", "0", "-1", "fifty", ""] {
        assert_eq!(ask(&central, &tu, "loa-1", wrong).await.status, 400, "{wrong}");
    }
    assert_eq!(ask(&central, &xa, "loa-1", "50").await.status, 403, "another village's technician");
    assert!(open(&central).await.is_empty());
    assert_eq!(ask(&central, &tu, "loa-1", "50").await.status, 303);
    let row = open(&central).await.remove(0);
    let page = tu.get(&central, "/cum-loa/loa-1").await;
    assert!(page.text().contains("đang chờ người khác duyệt"), "{}", page.text());
    assert_eq!(ask(&central, &tu, "loa-1", "40").await.status, 400, "one change waits already");
    assert_eq!(approve(&central, &tu, &row).await.status, 403, "nobody approves what they asked for");
    let review = duc.get(&central, &format!("/duyet-lich/{}", row.id)).await;
    assert!(review.text().contains("80 %") && review.text().contains("50 %"), "{}", review.text());
    assert_eq!(approve(&central, &duc, &row).await.status, 303);

    let (policy, groups) = one.next("limits", limits).await;
    assert_eq!((policy.volume_zone_percent_max, groups), (50, vec!["thon-1".to_owned()]));
    // All else stays as the commune has it.
    assert_eq!((policy.volume_day_percent_max, policy.day_minutes_max, policy.allowed.len()), (90, 200, 1));
    // The other village's limits are the commune's still, and it may be asked for as well.
    let page = tu.get(&central, "/cum-loa/loa-2").await;
    assert!(page.text().contains("cao nhất 80 %"), "{}", page.text());
    assert!(tu.get(&central, "/cum-loa/loa-1").await.text().contains("cao nhất 50 %"));
    assert_eq!(ask(&central, &xa, "loa-2", "70").await.status, 303);
    assert_eq!(approve(&central, &duc, &open(&central).await.remove(0)).await.status, 303);
    let (policy, groups) = two.next("limits", limits).await;
    assert_eq!((policy.volume_zone_percent_max, groups), (70, vec!["thon-2".to_owned()]));
    // The page of the commune's limits shows those of the commune, and new ones are for all villages.
    let binh = Staff::make(&central, "binh", &[(Role::Administrator, "xa")]).await;
    let text = binh.get(&central, "/tuan/van-ban?noi=xa&loai=policy").await;
    assert!(text.text().contains("volume_zone_percent_max = 80"), "{}", text.text());
    limit(&central, &["xa"], 90, 60).await;
    assert_eq!(one.next("limits", limits).await.0.volume_zone_percent_max, 60);
    assert!(tu.get(&central, "/cum-loa/loa-1").await.text().contains("cao nhất 60 %"));

    let acts = central.store().acts(ActFilter { limit: 30, ..Default::default() }).await.unwrap();
    let asked = acts.iter().filter(|act| act.act == "volume_asked");
    let asked: Vec<_> = asked.map(|act| (act.before.as_deref(), act.after.as_deref())).collect();
    assert_eq!(asked, [(Some("80 %"), Some("70 %")), (Some("80 %"), Some("50 %"))]);

    let browser = Browser::start();
    let address = format!("http://{}", central.http_addr());
    let mut page = browser.person(&format!("{address}/healthz"));
    page.sign_in(&tu);
    page.go(&format!("{address}/cum-loa/loa-1"));
    page.value("document.querySelectorAll('details').forEach((it) => { it.open = true; }); 0");
    page.look("am-luong");
    page.value("document.querySelector('#am-luong').value = '30'; 0");
    page.click("form[action$='/am-luong'] button");
    page.until("document.body.innerText.includes('đang chờ người khác duyệt')");
    let row = open(&central).await.remove(0);
    let mut page = browser.person(&format!("{address}/healthz"));
    page.sign_in(&duc);
    page.go(&format!("{address}/duyet-lich/{}", row.id));
    page.look("am-luong-duyet");
    central.stop().await;
}
