//! Pages whose reader's computer lives in another time zone, and links that keep the place.

use crate::support::browser::Browser;
use crate::support::commune::*;
use crate::support::staff::Staff;
use crate::support::villages::{alive, all_boxes, settings_of_villages};
use loaxa_central::store::{Actor, Maintenance, NewAct, Role};
use loaxa_heart::domain::time::Span;

/// Pages on which times stand.
const PAGES: [&str; 9] = [
    "/",
    "/tuan",
    "/nhat-ky",
    "/bao-cao",
    "/cum-loa/dong-1",
    "/soan-tin",
    "/bang-chung",
    "/ai-da-lam-gi",
    "/chuong-trinh?thon=dong",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_the_same_at_both_ends_of_the_world() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings_of_villages(dir.path())).await;
    for id in all_boxes() {
        alive(&central, &id, 1, &[]).await;
    }
    let roles =
        [Role::Administrator, Role::Writer, Role::Reviewer, Role::Technician].map(|role| (role, "xa"));
    let lan = Staff::make(&central, "lan", &roles).await;
    let now = loaxa_adapters::clock::wall();
    let act = NewAct {
        at: now,
        actor: Actor::Console,
        act: "maintenance_begun",
        subject: "dong-1".to_owned(),
        before: None,
        after: None,
        from: None,
    };
    let until = now.plus(Span::secs(20 * 3_600));
    let work = Maintenance { by: lan.id.clone(), note: "Thay loa".to_owned(), until };
    central.store().set_maintenance("dong-1".parse().unwrap(), Some(work), act).await.unwrap();
    let browser = Browser::start();
    let address = format!("http://{}", central.http_addr());
    let mut page = browser.person(&format!("{address}/healthz"));
    page.sign_in(&lan);
    for path in PAGES {
        let mut read = |zone: &str| {
            page.zone(zone);
            page.go(&format!("{address}{path}"));
            page.until("document.readyState === 'complete' && document.querySelector('h1')");
            let offset = page.value("new Date(Date.UTC(2026, 5, 1)).getTimezoneOffset()").as_i64();
            let fields = "[...document.querySelectorAll('input, select')].map((it) => it.value).join('|')";
            let said = page.value(&format!("document.body.innerText + {fields}"));
            (offset, said.as_str().unwrap().to_owned())
        };
        // What changes from minute to minute by itself is read once more.
        loop {
            let (west, here) = read("Etc/GMT+12");
            let (east, there) = read("Etc/GMT-14");
            let (_, again) = read("Etc/GMT+12");
            assert_eq!((west, east), (Some(720), Some(-840)), "the browser lives elsewhere");
            if here == again {
                assert_eq!(here, there, "{path}");
                break;
            }
        }
    }
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_language_is_of_the_same_place() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings_of_villages(dir.path())).await;
    let page = get(&central, "/chuong-trinh?thon=dong", &[]).await;
    let link = "href=\"/chuong-trinh?thon=dong&amp;lang=en\"";
    assert!(page.text().contains(link), "{}", page.text());
    let chosen = get(&central, "/chuong-trinh?thon=dong&lang=en", &[]).await;
    assert_eq!((chosen.status, chosen.header("location")), (303, "/chuong-trinh?thon=dong"));
    let hostile = get(&central, "/chuong-trinh?thon=%22%3E%3Cscript%3E&x='%22%3E%3Cb%3E", &[]).await;
    assert!(!hostile.text().contains("<script>&") && !hostile.text().contains("\"><b>"));
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_technician_has_a_village_sound_a_test() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let one = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    one.hello("n", one.holds(&[]));
    let tho = Staff::make(&central, "tho", &[(Role::Technician, "thon-1")]).await;
    let far = Staff::make(&central, "far", &[(Role::Technician, "thon-2")]).await;
    let page = tho.get(&central, "/cum-loa/loa-1").await;
    assert!(page.text().contains("/cum-loa/loa-1/phat-thu"));
    assert_eq!(far.post(&central, "/cum-loa/loa-1/phat-thu", &[]).await.status, 403);
    assert_eq!(tho.post(&central, "/cum-loa/loa-9/phat-thu", &[]).await.status, 404);
    let sent = tho.post(&central, "/cum-loa/loa-1/phat-thu", &[]).await;
    assert_eq!(sent.status, 303, "{}", sent.text());
    let listed = get_api(&central, "/api/v1/announcements").await.json();
    let tests = listed.as_array().unwrap();
    assert_eq!(tests.len(), 1, "one test, by who may: {listed}");
    assert_eq!((&tests[0]["title"], &tests[0]["author"]), (&"Phát thử loa".into(), &"Cán bộ tho".into()));
    let browser = Browser::start();
    let address = format!("http://{}", central.http_addr());
    let mut page = browser.person(&format!("{address}/healthz"));
    page.sign_in(&tho);
    page.go(&format!("{address}/cum-loa/loa-1"));
    page.until_says("main", "Phát thử từ xa");
    page.value("document.querySelectorAll('main details').forEach((it) => { it.open = true; })");
    page.look("cum-loa-phat-thu");
    let mai = Staff::make(&central, "mai", &[(Role::Administrator, "xa")]).await;
    assert!(mai.get(&central, "/ai-da-lam-gi").await.text().contains("Phát thử từ xa"));
    central.stop().await;
}
