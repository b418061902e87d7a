//! The pages of a province: what is drawn again and again stays as small as that of a commune.

use crate::support::commune::*;
use crate::support::staff::{Staff, look};
use crate::support::villages::*;
use loaxa_central::Central;
use loaxa_central::settings::{BoxDeclared, Group, Settings};
use loaxa_central::store::{PlaceRow, Point};
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::playback::Subject;

const VILLAGES: usize = 500;
const BOXES: usize = 1_500;
/// Of the task, for any size.
const FRAGMENT_BYTES_MAX: usize = 60_000;

fn village(n: usize) -> String {
    format!("thon-{n}")
}

fn province(dir: &std::path::Path) -> Settings {
    let mut settings = settings(dir, embedded());
    settings.groups = vec![Group { id: group("xa"), title: "Tỉnh Thử".to_owned(), parent: None }];
    settings.groups.extend((0..VILLAGES).map(|n| Group {
        id: group(&village(n)),
        title: format!("Thôn Đường {n}"),
        parent: Some(group("xa")),
    }));
    let declared = |n: usize| BoxDeclared {
        id: box_id(&format!("loa-{n}")),
        title: format!("Loa số {n}"),
        groups: vec![group(&village(n % VILLAGES))],
        key: Some(key(11).public().to_string()),
    };
    settings.boxes = (0..BOXES).map(declared).collect();
    settings
}

/// Puts all villages on the map; in the first eighty something sounds, an emergency in the last of them, one box is faulty, and
/// the others were never heard of.
async fn live(central: &Central) {
    for n in 0..VILLAGES {
        let point =
            Point { latitude: 20.0 + (n / 25) as f64 / 20.0, longitude: 105.0 + (n % 25) as f64 / 20.0 };
        let row = PlaceRow { group: group(&village(n)), title: None, households: None, point: Some(point) };
        central.store().set_place(row, act()).await.unwrap();
    }
    for n in 0..80 {
        let id = format!("loa-{n}");
        alive(central, &id, 1, &[]).await;
        let rung = if n == 79 { Rung::Emergency } else { Rung::Programme };
        let subject = Subject::Live { voice: format!("s-{n}") };
        sounds(central, &id, 60, subject, &format!("Bản tin của thôn {n}"), rung).await;
    }
    alive(central, "loa-100", 1, &["amplifier_fault"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_province_fits_on_the_pages_that_are_drawn_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(province(dir.path())).await;
    live(&central).await;
    let lan = Staff::make(&central, "lan", &[]).await;

    let overview = lan.get(&central, "/fragments/tong-quan").await;
    let text = overview.text();
    assert!(overview.body.len() <= FRAGMENT_BYTES_MAX, "{} bytes", overview.body.len());
    for words in ["Bản tin của thôn 79", "Còn 68 mục nữa đang phát", "Còn 440 thôn, xóm nữa", "1500 cụm loa"]
    {
        assert!(text.contains(words), "{words} is not on {text}");
    }
    let marks = text.matches("<circle").count() + text.matches("<path").count();
    assert!((20..=60).contains(&marks), "{marks} marks");

    let list = lan.get(&central, "/fragments/cum-loa").await;
    assert!(list.body.len() <= FRAGMENT_BYTES_MAX, "{} bytes", list.body.len());
    assert!(list.text().contains("Trang 1 trên 15"), "{}", list.text());
    let shown = |page: &Answer| page.text().matches("href=\"/cum-loa/loa-").count();
    let mut seen = 0;
    for page in 1..=15 {
        seen += shown(&lan.get(&central, &format!("/cum-loa?trang={page}")).await);
    }
    assert_eq!(seen, BOXES, "each box is on one page");
    for (question, count) in [
        ("tim=duong+77", 3),
        ("tim=Đường 77", 3),
        ("tim=loa+so+1499", 1),
        ("tim=khong+co", 0),
        ("thon=thon-4", 3),
        ("thon=../x", 0),
        ("trang=x", 102),
        ("trang=99999999999999999999", 102),
    ] {
        let page = look(&central, &format!("/cum-loa?{}", question.replace(' ', "+"))).await;
        assert_eq!((page.status, shown(&page)), (200, count), "{question}: {}", page.text());
    }
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_has_what_is_shown_is_not_sent_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings_of_villages(dir.path())).await;
    let lan = Staff::make(&central, "lan", &[]).await;
    let again = async |path: &str| {
        let tag = lan.get(&central, path).await.header("etag").to_owned();
        get(&central, path, &[("cookie", &lan.cookie), ("if-none-match", &tag)]).await
    };
    for path in ["/fragments/tong-quan", "/fragments/cum-loa", "/fragments/canh-bao"] {
        // What is shown changes with the minute.
        let same = until(path, async || Some(again(path).await).filter(|same| same.status == 304)).await;
        assert!(same.body.is_empty(), "{path}: {}", same.text());
        assert_eq!(same.header("cache-control"), "private, no-cache");
    }
    let before = lan.get(&central, "/fragments/cum-loa").await.header("etag").to_owned();
    alive(&central, "ben-1", 1, &["amplifier_fault"]).await;
    let known = [("cookie", &*lan.cookie), ("if-none-match", &*before)];
    // All who ask within a second share what was read, until a change is told.
    let after = until("the fault is shown", async || {
        Some(get(&central, "/fragments/cum-loa", &known).await).filter(|after| after.status == 200)
    })
    .await;
    assert!(after.text().contains("lỗi âm ly"), "{}", after.text());
    let stranger = get(&central, "/fragments/cum-loa", &[("if-none-match", after.header("etag"))]).await;
    assert_ne!(stranger.status, 304, "who is not signed in learns nothing");
    central.stop().await;
}
