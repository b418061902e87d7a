//! The pages of boxes and the commune's settings, as technicians and administrators use them.

use crate::support::browser::Browser;
use crate::support::commune::*;
use crate::support::staff::Staff;
use crate::support::villages::*;
use loaxa_central::Central;
use loaxa_central::store::{ActFilter, Role, SignKind, SignOfLife};
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::playback::{SlotKey, Subject};
use loaxa_heart::domain::time::{ClockQuality, Span, Wall};
use loaxa_heart::wire::messages::Usage;

async fn with_villages(test: impl AsyncFn(&Central)) {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings_of_villages(dir.path())).await;
    test(&central).await;
    central.stop().await;
}

/// Asks for a page again and again until it says something.
async fn until_says(central: &Central, person: &Staff, path: &str, words: &str) -> String {
    until(words, async || {
        let page = person.get(central, path).await.text().to_owned();
        page.contains(words).then_some(page)
    })
    .await
}

async fn groups_of(central: &Central, id: &str) -> Vec<String> {
    let declared = central.store().enrolled(box_id(id)).await.unwrap().unwrap();
    declared.groups.iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_says_what_is_wrong_and_what_to_do() {
    with_villages(async |central| {
        alive(central, "ben-1", 1, &["amplifier_fault"]).await;
        let lan = Staff::make(central, "lan", &[(Role::Writer, "xa")]).await;
        let tho = Staff::make(central, "tho", &[(Role::Technician, "xa")]).await;
        let page =
            until_says(central, &tho, "/cum-loa/ben-1", "Thôn Bến: Loa số 1 Thôn Bến, lỗi âm ly").await;
        for words in ["Xem cầu chì và dây loa", "Tôi nhận việc này", "Bảy ngày qua", "Chuyển sang thôn khác"]
        {
            assert!(page.contains(words), "{words} is not on {page}");
        }
        let page = lan.get(central, "/cum-loa/ben-1").await;
        assert!(page.text().contains("Xem cầu chì"), "everybody reads what to do");
        for words in ["Tôi nhận việc này", "Chuyển sang thôn khác", "Ngừng tin"] {
            assert!(!page.text().contains(words), "a writer does not see {words}");
        }
        let list = lan.get(central, "/cum-loa").await;
        assert!(list.text().contains("id=\"ben\"") && list.text().contains("lỗi âm ly"), "{}", list.text());
        for id in ["none", "%2e%2e", "%3Cb%3E"] {
            assert_eq!(lan.get(central, &format!("/cum-loa/{id}")).await.status, 404, "{id}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_moves_where_its_keeper_may_move_it() {
    with_villages(async |central| {
        let tho = Staff::make(central, "tho", &[(Role::Technician, "ben"), (Role::Technician, "moi")]).await;
        let to = |group| [("nhom", group)];
        let moves = async |group| tho.post(central, "/cum-loa/ben-1/chuyen", &to(group)).await.status;
        assert_eq!(moves("trung").await, 403, "not theirs");
        assert_eq!(moves("none").await, 400);
        assert_eq!(groups_of(central, "ben-1").await, ["ben"]);
        assert_eq!(moves("moi").await, 303);
        assert_eq!(groups_of(central, "ben-1").await, ["moi"]);
        let documents = get_api(central, "/api/v1/documents").await.json();
        assert_eq!(documents[0]["document"], "groups", "the boxes are told");
        let away = tho.post(central, "/cum-loa/trung-1/chuyen", &to("moi")).await;
        assert_eq!(away.status, 403, "nobody takes a box of another's village");
        let acts = central.store().acts(ActFilter { limit: 10, ..ActFilter::default() }).await.unwrap();
        let moved = acts.iter().find(|act| act.act == "box_moved").unwrap();
        assert_eq!((moved.before.as_deref(), moved.after.as_deref()), (Some("ben"), Some("moi")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn maintenance_keeps_a_boxs_alarms_quiet() {
    with_villages(async |central| {
        alive(central, "ben-1", 1, &["amplifier_fault"]).await;
        let tho = Staff::make(central, "tho", &[(Role::Technician, "xa")]).await;
        until_says(central, &tho, "/", "lỗi âm ly").await;
        let work = async |note: &str, hours: &str| {
            tho.post(central, "/cum-loa/ben-1/bao-tri", &[("ghi-chu", note), ("gio", hours)]).await
        };
        let refused = work("", "2").await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.text().matches("Xin ghi việc đang làm").count(), 2, "above and beside the field");
        assert_eq!(work("thay âm ly", "100000").await.status, 400);
        assert_eq!(work("thay âm ly", "2").await.status, 303);
        let page = tho.get(central, "/cum-loa/ben-1").await;
        assert!(page.text().contains("Cán bộ tho bảo trì đến") && page.text().contains("thay âm ly"));
        assert!(!tho.get(central, "/").await.text().contains("lỗi âm ly"), "nobody is told of it");
        assert_eq!(work("", "0").await.status, 303);
        assert!(tho.get(central, "/").await.text().contains("lỗi âm ly"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_box_is_out_only_when_somebody_is_sure() {
    with_villages(async |central| {
        let tho = Staff::make(central, "tho", &[(Role::Technician, "xa")]).await;
        assert_eq!(tho.post(central, "/cum-loa/ben-1/thu-hoi", &[]).await.status, 400);
        let has_key =
            async || central.store().enrolled(box_id("ben-1")).await.unwrap().unwrap().key.is_some();
        assert!(has_key().await);
        assert_eq!(tho.post(central, "/cum-loa/ben-1/thu-hoi", &[("chac-chan", "co")]).await.status, 303);
        assert!(!has_key().await);
        assert!(tho.get(central, "/cum-loa/ben-1").await.text().contains("đã ngừng tin"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_for_a_box_of_another_village_is_not_made() {
    with_villages(async |central| {
        let tho = Staff::make(central, "tho", &[(Role::Technician, "ben")]).await;
        let ask = async |id: &str, group: &str| {
            tho.post(central, "/cum-loa/moi", &[("ma", id), ("ten", "Chợ"), ("nhom", group)]).await
        };
        assert_eq!(ask("cho", "moi").await.status, 403);
        assert_eq!(ask("moi-1", "ben").await.status, 403, "the box that is there would be shut out");
        let faulty = tho.post(central, "/cum-loa/moi", &[("ma", "Chợ Bến")]).await;
        assert_eq!(faulty.status, 400);
        for words in ["Mã cụm loa chỉ gồm", "Xin ghi tên cụm loa", "hãy chọn ít nhất một nhóm"]
        {
            assert_eq!(faulty.text().matches(words).count(), 2, "{words} in {}", faulty.text());
        }
        assert!(faulty.text().contains("value=\"Chợ Bến\""), "what was typed is kept");
        let off = ask("cho", "ben").await;
        assert!(off.status == 400 && off.text().contains("chưa bật ghi danh"), "{}", off.text());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_name_villages_and_keep_sections_and_campaigns() {
    with_villages(async |central| {
        let mai = Staff::make(central, "mai", &[(Role::Administrator, "xa")]).await;
        let here = Staff::make(central, "here", &[(Role::Administrator, "ben")]).await;
        let place = |title: &'static str, households: &'static str, latitude: &'static str| {
            [("ten", title), ("so-ho", households), ("vi-do", latitude), ("kinh-do", "105,741")]
        };
        let wrong = mai.post(central, "/cai-dat/noi/ben", &place("", "nhiều", "100")).await;
        assert_eq!(wrong.status, 400);
        for words in ["Xin ghi tên, dài nhất", "Số hộ là một số", "Vĩ độ là một số từ 6 đến 24"]
        {
            assert_eq!(wrong.text().matches(words).count(), 2, "{words} in {}", wrong.text());
        }
        assert!(wrong.text().contains("value=\"nhiều\"") && wrong.text().contains("value=\"100\""));
        let right = place("Thôn Bến Đò", "120", "20,981");
        assert_eq!(here.post(central, "/cai-dat/noi/moi", &right).await.status, 403);
        assert_eq!(here.get(central, "/cai-dat/noi/moi").await.status, 403);
        assert_eq!(here.post(central, "/cai-dat/chuyen-muc", &[("chuyen-muc", "Y tế")]).await.status, 403);
        assert_eq!(mai.post(central, "/cai-dat/noi/ben", &right).await.status, 303);
        let page = mai.get(central, "/cai-dat").await;
        assert!(
            page.text().contains("Thôn Bến Đò") && page.text().contains("120 hộ, có trên sơ đồ"),
            "{}",
            page.text()
        );
        for (path, words) in
            [("/", "Thôn Bến Đò"), ("/cum-loa", "Thôn Bến Đò"), ("/nguoi/here", "Thôn Bến Đò")]
        {
            assert!(mai.get(central, path).await.text().contains(words), "{path}");
        }

        assert_eq!(mai.post(central, "/cai-dat/chuyen-muc", &[("chuyen-muc", "Y tế")]).await.status, 303);
        let campaign = |until: &'static str| {
            [("chien-dich", "Tiêm phòng"), ("tu", "2026-12-01"), ("den", until), ("phu-trach", "Trạm y tế")]
        };
        assert_eq!(mai.post(central, "/cai-dat/chien-dich", &campaign("2026-11-01")).await.status, 400);
        assert_eq!(mai.post(central, "/cai-dat/chien-dich", &campaign("2026-12-31")).await.status, 303);
        let page = mai.get(central, "/cai-dat").await;
        assert!(page.text().contains("01/12/2026 đến 31/12/2026") && page.text().contains("Trạm y tế"));
        assert_eq!(central.store().sections().await.unwrap()[0].id.as_str(), "y-te");
    })
    .await;
}

/// Six days of heartbeats: four hours of silence, and a bad clock for a while.
async fn six_days(central: &Central, id: &str) {
    let now = loaxa_adapters::clock::wall();
    for hours in (1..6 * 24).rev().filter(|hours| !(60..64).contains(hours)) {
        let clock = if (30..33).contains(&hours) { ClockQuality::None } else { ClockQuality::Synced };
        let begin = Wall(now.0 - now.0.rem_euclid(3_600_000_000)).minus(Span::secs(hours * 3_600));
        let usage = Some(Usage { disk_free_mib: 2_100 + hours, month_mib: 150 - hours });
        let faults = if hours == 90 { vec!["amplifier_fault".to_owned()] } else { Vec::new() };
        let kind = SignKind::Heartbeat { backlog: 0, faults, usage };
        let sign = SignOfLife { id: box_id(id), at: begin, clock, holds: None, kind };
        let signs =
            (0..60).map(|minute| SignOfLife { at: begin.plus(Span::secs(60 * minute)), ..sign.clone() });
        let signs: Vec<_> = signs.collect();
        for sign in signs {
            central.store().note_sign_of_life(sign).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_of_a_box_is_drawn_from_its_heartbeats() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings_of_villages(dir.path())).await;
    let tho = Staff::make(&central, "tho", &[(Role::Technician, "xa")]).await;
    let mai = Staff::make(&central, "mai", &[(Role::Administrator, "xa")]).await;
    assert!(tho.get(&central, "/cum-loa/ben-1").await.text().contains("Chưa có số liệu"));
    six_days(&central, "ben-1").await;
    alive(&central, "ben-1", 0, &["amplifier_fault"]).await;
    let now = loaxa_adapters::clock::wall();
    let subject = Subject::Slot(SlotKey { slot: "sang".parse().unwrap(), date: now.date() });
    sounds(&central, "ben-1", 60, subject, "Bản tin xã", Rung::Programme).await;
    let page = until_says(&central, &tho, "/cum-loa/ben-1", "Cần làm gì bây giờ?").await;
    // The hour of now has only begun, so that a part of a percent depends on the minute.
    assert!(["96 % thời gian", "97 % thời gian"].iter().any(|words| page.contains(words)), "{page}");
    assert!(page.contains("2,1 GB") && page.contains("149 MB"), "{page}");
    assert!(page.contains("3 giờ") && page.contains("url(#ruled)"), "{page}");
    let hours = central.store().health(box_id("ben-1"), Wall(0)).await.unwrap();
    assert_eq!(hours.iter().map(|hour| hour.without_clock).sum::<u32>(), 180);

    let browser = Browser::start();
    let address = format!("http://{}", central.http_addr());
    let mut page = browser.person(&format!("{address}/healthz"));
    page.sign_in(&tho);
    page.go(&format!("{address}/cum-loa/ben-1"));
    page.look("box");
    page.go(&format!("{address}/cum-loa"));
    page.look("boxes");
    page.go(&format!("{address}/cum-loa/moi"));
    page.look("box-new");
    let mut page = browser.person(&format!("{address}/healthz"));
    page.sign_in(&mai);
    page.go(&format!("{address}/cai-dat"));
    page.look("settings");
    page.go(&format!("{address}/cai-dat/noi/ben"));
    page.look("settings-place");
    central.stop().await;
}
