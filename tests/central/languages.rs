//! Villages that hear one programme in several languages: what the centre foresees is what each box will play.

use crate::support::commune::*;
use crate::support::staff::Staff;
use chrono::NaiveTime;
use loaxa_central::store::{DueSession, Role};
use serde_json::json;

const LAST_SLOT: NaiveTime = NaiveTime::from_hms_opt(23, 54, 0).unwrap();
const TOML: &str = "[programme]
id = 'xa'
version = 1
title = 'Xã'
group = 'xa'
[[playlist]]
id = 'l'
title = 'Tin xã'
[[playlist.item]]
title = 'Tiêm phòng dại'
text = 'Mời bà con đưa chó đi tiêm phòng dại.'
translations.hmn = { text = 'Tiêm phòng dại cho chó, bản tiếng Mông.' }
[[slot]]
id = 'sang'
title = 'Bản tin sáng'
start = '05:30'
end = '06:15'
playlist = 'l'
[[slot]]
id = 'dem'
title = 'Bản tin đêm'
start = '23:55'
minutes = 30
playlist = 'l'
";

#[tokio::test(flavor = "multi_thread")]
async fn each_village_is_foreseen_in_its_own_languages() {
    let dir = tempfile::tempdir().unwrap();
    let mut central = start(settings(dir.path(), embedded())).await;
    let asked = json!({ "toml": TOML, "media": {} }).to_string();
    let answer = post(&central, "/api/v1/programmes", "application/json", asked.into()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let policy = json!({
        "version": 0, "allowed": [{ "from": "00:00:00", "until": "24:00" }], "session_minutes_max": 1_440,
        "day_minutes_max": 1_440, "volume_day_percent_max": 100, "volume_night_percent_max": 100,
    });
    let asked = json!({ "to": ["xa"], "policy": policy }).to_string();
    assert_eq!(post(&central, "/api/v1/policies", "application/json", asked.into()).await.status, 201);
    let lan = Staff::make(&central, "lan", &[(Role::Writer, "xa"), (Role::Technician, "xa")]).await;
    let slot = "/tuan/khung?noi=xa&ngay=2026-12-08&ct=xa&khung=sang";

    // Boxes of an earlier version say nothing of it: each item in its own language, once for all.
    let before = lan.get(&central, slot).await;
    assert_eq!(before.text().matches("Tiêm phòng dại").count(), 1, "{}", before.text());

    let port = central.broker_addr().unwrap().port();
    let one = ScriptedBox::connect(1, port).await;
    let two = ScriptedBox::connect(2, port).await;
    one.hello_in("a", &["vi"], one.holds(&[]));
    two.hello_in("b", &["hmn", "vi"], two.holds(&[]));
    for restart in [false, true] {
        if restart {
            central.stop().await;
            central = start(settings(dir.path(), embedded())).await;
        }
        until("both boxes said their languages", async || {
            let rows = central.store().boxes().await.unwrap();
            let said: Vec<_> = rows.iter().map(|row| row.languages.join(" ")).collect();
            (said == ["vi", "hmn vi"]).then_some(())
        })
        .await;
        let page = lan.get(&central, slot).await;
        let text = page.text();
        assert_eq!(text.matches("Tiêm phòng dại").count(), 3, "{text}");
        assert_eq!(text.matches("(Tiếng Mông)").count(), 1, "{text}");
        let (first, second) = (text.find("</b> Thôn 1").unwrap(), text.find("</b> Thôn 2").unwrap());
        assert_eq!(
            text[first.min(second)..first.max(second)].matches("(Tiếng Mông)").count(),
            usize::from(second < first)
        );
        // On the days the slot stands once, for all.
        let week = lan.get(&central, "/tuan?noi=xa&ngay=2026-12-08").await;
        assert_eq!(week.text().matches("05:30–06:15").count(), 7, "{}", week.text());
    }
    let page = lan.get(&central, "/cum-loa/loa-2").await;
    assert!(page.text().contains("Tiếng Mông, Tiếng Việt"), "{}", page.text());

    // What is due to sound yet today, and will be reported as missed where it was not heard.
    until("today is planned anew", async || {
        let now = loaxa_adapters::clock::wall();
        let plan = central.store().day_plan(now.date()).await.unwrap()?;
        // What had begun when the boxes first told their languages stays as it was planned.
        let is_to_come = |it: &&DueSession| it.key.slot.as_str() == "dem";
        let parts = plan
            .boxes
            .iter()
            .map(|row| row.sessions.iter().filter(is_to_come).map(|it| it.parts.len()).sum::<usize>());
        let (parts, is_late) = (parts.collect::<Vec<_>>(), now.local().time() > LAST_SLOT);
        (parts == [1, 2] || is_late).then_some(())
    })
    .await;
    central.stop().await;
}
