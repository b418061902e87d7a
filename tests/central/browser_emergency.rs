//! Two duty officers in two browsers: from opening the page to the box that sounds, and to its silence.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::emergency::{Duty, prepare};
use crate::support::browser::{Browser, Page};
use crate::support::commune::*;
use crate::support::own_key::{keep_key, unlock};
use crate::support::staff::Staff;
use crate::support::unit::Unit;
use loaxa_central::settings::Settings;
use loaxa_central::store::{MessageUse, Role};
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::authority::{Grant, Power};
use loaxa_heart::domain::playback::Event;

pub fn type_into(page: &mut Page, selector: &str, words: &str) {
    page.fill(selector, words);
    page.value(&format!(
        "document.querySelector({selector:?}).dispatchEvent(new Event('input', {{ bubbles: true }})); 0"
    ));
}

/// The people's keys are in their browsers alone; the server has a key for everyday notices and to cancel.
pub fn apart(dir: &Path) -> Settings {
    let mut settings = settings(dir, embedded());
    settings.keys.trust = trust_of(|trust| {
        use Power::*;
        let everyday = [Normal, Priority, Exercise, Cancel, Programme, Test];
        let staff = Grant {
            key: key(3).key_id(),
            public: key(3).public().to_string(),
            holder: "Trung tâm xã".to_owned(),
            powers: everyday.into_iter().collect(),
            ..trust.grants[0].clone()
        };
        trust.grants.push(staff);
    });
    settings.keys.issuers = vec![key(3)];
    settings.boxes[0].key = None;
    settings.trust_first_use = true;
    settings
}

/// Looks at a page as a phone and a desk show it, light and dark: nothing to complain of. Gives the time that this took.
fn look_at(page: &mut Page, name: &str) -> Duration {
    let begun = Instant::now();
    let mut wrong = Vec::new();
    for (width, dark) in [(320, false), (390, false), (390, true), (1280, true), (1280, false)] {
        page.screen(width, dark);
        wrong.extend(page.faults().into_iter().map(|fault| format!("{name} {width} dark={dark}: {fault}")));
        page.keep_picture(&format!("{name}-{width}-{}", if dark { "dark" } else { "light" }));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_officers_air_an_emergency_and_stop_it() {
    let dir = tempfile::tempdir().unwrap();
    let settings = apart(dir.path());
    let trust = settings.keys.trust.clone();
    let central = start(settings).await;
    let duty = Duty::new(&central).await;
    prepare(&central, &duty.an, "Báo động nhầm", MessageUse::FalseAlarm).await;
    prepare(&central, &duty.an, "Lũ quét, sạt lở đất", MessageUse::Alarm).await;
    let mut unit = Unit::new();
    join(&mut unit, central.broker_addr().unwrap(), &trust);
    let running = unit.start();
    until("the box is known", async || {
        let boxes = central.store().boxes().await.unwrap();
        boxes.iter().any(|row| row.id.as_str() == "loa-1" && row.last_seen.is_some()).then_some(())
    })
    .await;

    let base = format!("http://{}", central.http_addr());
    let (one, two) = (Browser::start(), Browser::start());
    let (mut an, mut binh) =
        (one.person(&format!("{base}/dang-nhap")), two.person(&format!("{base}/dang-nhap")));
    an.sign_in(&duty.an);
    binh.sign_in(&duty.binh);
    keep_key(&mut an, 1, "An");
    keep_key(&mut binh, 2, "Bình");
    // The second officer looks at something else.
    binh.go(&format!("{base}/tin"));
    let title = binh.value("document.title");

    let mut looked = Duration::ZERO;
    let opened = Instant::now();
    an.go(&format!("{base}/khan-cap"));
    assert!(
        an.text("header .bandline").contains("PHÁT THẬT")
            && an.value("document.querySelector('#muc-luc')").is_null()
    );
    assert!(!an.text("main").to_lowercase().contains("diễn tập") && !an.text("main").contains("nhầm"));
    an.click(&format!("#tin-{}", duty.message));
    an.until_says("#tin-loi", "Nước sông lên nhanh");
    an.click("#noi-thon-1");
    unlock(&mut an);
    type_into(&mut an, "#so", "2");
    assert_eq!(an.value("document.querySelector('#giu').disabled"), true, "the number is wrong");
    type_into(&mut an, "#so", "1");
    an.until("!document.querySelector('#giu').disabled");
    looked += look_at(&mut an, "khan-cap");
    // Whoever lets go at once has done nothing.
    an.hold("#giu", true);
    an.hold("#giu", false);
    assert!(central.store().calls(loaxa_heart::domain::time::Wall(0)).await.unwrap().is_empty());
    an.hold("#giu", true);
    an.until("location.pathname !== '/khan-cap' && document.querySelector('#dien-bien')");
    an.hold("h1", false);
    an.until_says("#dien-bien", "Cán bộ binh");
    let called = opened.elapsed() - looked;
    looked += look_at(&mut an, "khan-cap-nguoi-thu-hai");

    binh.until("document.querySelector('#goi .goi[data-tieng]')");
    let heard = opened.elapsed() - looked;
    binh.until("document.title.includes('Cán bộ an gọi bạn') && document.documentElement.classList.contains('bi-goi')");
    looked += look_at(&mut binh, "khan-cap-goi");
    let looks = Instant::now();
    assert!(
        binh.keeps_focus("#goi button[value=nghe]", 2),
        "whoever tabs to the answer is still there when it comes anew"
    );
    looked += looks.elapsed();
    binh.click("#goi button[value=nghe]");
    binh.until("location.pathname.endsWith('/dong-y') && document.querySelector('#tin-het div')");
    assert_ne!(binh.value("document.title"), title);
    an.until_says("#dien-bien", "tôi nghe đây");
    assert!(
        binh.text("#tin-loi").contains("Nước sông lên nhanh") && binh.text("#tin-noi").contains("Thôn 1")
    );
    assert_eq!(
        binh.value("document.querySelectorAll('main input:not([type=password])').length"),
        0,
        "nothing to change"
    );
    unlock(&mut binh);
    binh.until("!document.querySelector('#giu').disabled");
    looked += look_at(&mut binh, "khan-cap-dong-y");
    let agreed = Instant::now();
    binh.hold("#giu", true);
    unit.await_event("the emergency on the air", |event| match event {
        Event::PlayStarted(start) => {
            (start.rung == Rung::Emergency && start.title == "Nước sông lên nhanh").then_some(())
        }
        _ => None,
    });
    let (sounds, from_press) = (opened.elapsed() - looked, agreed.elapsed());
    binh.until("document.querySelector('#dung')");
    an.until("document.querySelector('#dung')");
    an.until_says("#dien-bien", "1 trên 1 cụm loa đang phát");
    looked += look_at(&mut an, "khan-cap-dang-phat");

    // One press, not yet released.
    let pressed = Instant::now();
    an.hold("#dung", true);
    unit.await_event("the end of the emergency", |event| matches!(event, Event::PlayEnded(_)).then_some(()));
    let silent = pressed.elapsed();
    an.until_says("#dien-bien", "Mọi cụm loa đã dừng");
    binh.until_says("#dien-bien", "Cán bộ an đã dừng");
    looked += look_at(&mut an, "khan-cap-da-dung");
    println!(
        "from opening the page: second officer called {called:.1?}, told {heard:.1?}, sounds {sounds:.1?}; \
         from the second press (held 2 s): {from_press:.1?}; from STOP to silence: {silent:.1?}"
    );
    an.click("main form button[value=tiep]");
    an.until_says("main", "Đã phát: Báo động nhầm");
    unit.await_event("the false alarm is told", |event| match event {
        Event::PlayStarted(start) => (start.title == "Báo động nhầm").then_some(()),
        _ => None,
    });
    drop(running);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_signs_nothing_but_what_it_shows() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(apart(dir.path())).await;
    let duty = Duty::new(&central).await;
    let base = format!("http://{}", central.http_addr());
    let browser = Browser::start();
    let mut an = browser.person(&format!("{base}/dang-nhap"));
    an.sign_in(&duty.an);
    keep_key(&mut an, 1, "An");
    // A centre that was taken over offers another text, other places, another class, or a field that the page does not know.
    for (change, says) in [
        ("it.body.words.text = 'Mời bà con ra đê'", "một tin khác"),
        ("it.groups.push('thon-2')", "một tin khác"),
        ("it.body.class = 'normal'", "một tin khác"),
        (
            "it.body.media.sha256 = it.body.media.sha256.replace(/./, (digit) => digit === '0' ? '1' : '0')",
            "một tin khác",
        ),
        ("it.body.plan.volume_curve = 1", "một tin khác"),
    ] {
        an.go(&format!("{base}/khan-cap"));
        an.click(&format!("#tin-{}", duty.message));
        an.click("#noi-thon-1");
        type_into(&mut an, "#so", "1");
        unlock(&mut an);
        an.value(&format!(
            "const asked = fetch; globalThis.sent = [];
             globalThis.fetch = async (path, options) => {{
                 sent.push(path);
                 const answer = await asked(path, options);
                 if (path !== '/khan-cap') return answer;
                 const told = await answer.json();
                 const it = JSON.parse(told['ban-ky']);
                 {change};
                 told['ban-ky'] = JSON.stringify(it);
                 return new Response(JSON.stringify(told), {{ status: 200 }});
             }}; 0"
        ));
        an.hold("#giu", true);
        an.until_says("#loi-phat", says);
        an.hold("#giu", false);
        assert_eq!(an.value("sent.join(' ')"), "/khan-cap", "{change}: nothing was signed");
    }
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_exercises_and_the_roster_work_by_their_buttons() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let duty = Duty::new(&central).await;
    prepare(&central, &duty.an, "Báo động nhầm", MessageUse::FalseAlarm).await;
    let mai = Staff::make(&central, "mai", &[(Role::Administrator, "xa"), (Role::Duty, "xa")]).await;
    let base = format!("http://{}", central.http_addr());
    let browser = Browser::start();
    let mut page = browser.person(&format!("{base}/dang-nhap"));
    page.sign_in(&mai);

    page.go(&format!("{base}/tin-soan-san"));
    page.fill("#ten", "Vỡ đê");
    page.fill("#loi", "Đê thôn Bến đã vỡ. Bà con lên đồi ngay.");
    page.click("#tin-moi button[value=luu]");
    page.until_says(".err-sum", "Hãy bấm Nghe thử");
    look_at(&mut page, "tin-soan-san-loi");
    page.click("#tin-moi button[value=nghe]");
    page.until("document.querySelector('#nghe-thu')");
    page.click("#tin-moi button[value=luu]");
    page.until("document.querySelectorAll('main section li').length === 3 && document.querySelector('#ten').value === ''");
    look_at(&mut page, "tin-soan-san");

    page.go(&format!("{base}/truc-ban"));
    for (who, place) in [("binh", "1"), ("an", "2")] {
        page.fill("#nguoi", who);
        page.fill("#thu", &format!("{who}@xa.vn"));
        page.fill("#thu-tu", place);
        page.value("document.querySelector('main').dataset.cu = 1; 0");
        page.click("#ca-moi button");
        page.until("!document.querySelector('main').dataset.cu && document.querySelector('main ol li')");
    }
    page.click("#tap-goi button");
    page.until_says("#tap-goi", "Đang gọi");
    let mut binh = browser.person(&format!("{base}/dang-nhap"));
    binh.sign_in(&duty.binh);
    binh.go(&format!("{base}/tin"));
    binh.until("document.title.includes('tập gọi người trực')");
    assert_eq!(
        binh.value("document.documentElement.classList.contains('bi-goi')"),
        false,
        "a drill makes no sound"
    );
    look_at(&mut binh, "tap-goi");
    binh.click("#goi button[value=nghe]");
    binh.until_says("#tap-goi", "trả lời sau");
    page.go(&format!("{base}/truc-ban"));
    look_at(&mut page, "truc-ban");

    page.go(&format!("{base}/dien-tap"));
    page.click("main form button");
    page.until_says(".err-sum", "Hãy chọn một bài diễn tập");
    look_at(&mut page, "dien-tap-loi");
    let day = loaxa_adapters::clock::wall().date().checked_add_days(chrono::Days::new(9)).unwrap();
    page.click("[name=bai]");
    page.click("#noi-thon-1");
    page.fill("#ngay", &day.format("%d/%m/%Y").to_string());
    page.fill("#gio", "08:00");
    page.fill("#chu", "diễn tập");
    page.click("main form button");
    page.until_says("#h-da-xep", "Đã xếp lịch");
    assert!(
        page.value("document.querySelector('main .k-emer, #muc-luc')").is_null(),
        "nothing red, and no menu"
    );
    look_at(&mut page, "dien-tap");
    central.stop().await;
}
