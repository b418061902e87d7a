//! The pages in a real Chromium: a notice from the first word to the air, and every page at every width, light and dark.

use crate::support::browser::Browser;
use crate::support::commune::*;
use crate::support::staff::Staff;
use loaxa_central::page_doors;
use loaxa_central::store::Role;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::Body;
use loaxa_heart::wire::topics::Topic;

/// Widths of a small phone, a phone, an office's screen at 200 % zoom, and the same at 100 %, in CSS pixels.
const WIDTHS: [u32; 4] = [320, 390, 640, 1280];

/// Own script and style of a page, in bytes, as they are on the disk.
const OWN_BYTES_MAX: f64 = 60_000.0;

/// Addresses that are no whole page to look at: fragments, files, streams and what only scripts ask.
const NO_PAGES: [&str; 11] = [
    "/fragments/",
    ".csv",
    ".xlsx",
    ".docx",
    ".jsonl",
    "/kiem-tra",
    "/su-kien",
    "/tep",
    ".json",
    ".xml",
    "{file}",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_is_heard_after_an_approver_agreed() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let lan = Staff::make(&central, "lan", &[(Role::Writer, "xa")]).await;
    let duc = Staff::make(&central, "duc", &[(Role::Approver, "xa")]).await;
    let loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    loa.hello("n", loa.holds(&[]));
    let browser = Browser::start();
    let address = format!("http://{}", central.http_addr());
    let mut writer = browser.person(&format!("{address}/healthz"));
    writer.sign_in(&lan);
    writer.screen(390, false);
    writer.go(&format!("{address}/soan-tin"));
    writer.until("document.querySelector('#soan-tin')");
    // An empty press: the summary is there, has the focus, and leads to the fields.
    writer.click("button[value=gui]");
    writer.until("document.activeElement?.id === 'cho-can-sua'");
    writer.keep_picture("soan-tin-loi");
    writer.fill("#ten", "Lịch tiêm phòng cho trẻ tháng 12");
    writer
        .fill("#loi", "Trạm y tế xã kính mời các gia đình đưa trẻ đến tiêm phòng lúc bảy giờ sáng thứ Bảy.");
    writer.click("#noi-thon-1");
    writer.click("#noi-thon-2");
    writer.click("#loai-priority");
    // The page saves and foresees by itself.
    writer.until_says("#da-luu", "Đã tự lưu nháp");
    writer.until_says("#xem-truoc", "trên 2 cụm loa");
    writer.keep_picture("soan-tin");
    writer.screen(1280, false);
    writer.keep_picture("soan-tin-rong");
    writer.click("button[value=nghe]");
    writer.until("document.querySelector('#nghe-thu')?.readyState > 0 && document.querySelector('#nghe-thu').duration > 2");
    writer.click("button[value=gui]");
    writer.until("location.pathname.startsWith('/tin/')");
    writer.until_says(".steps [aria-current]", "Chờ duyệt");

    let mut approver = browser.person(&format!("{address}/healthz"));
    approver.sign_in(&duc);
    approver.screen(1280, false);
    approver.go(&format!("{address}/duyet-tin"));
    approver.until_says(".kv", "Trạm y tế xã kính mời");
    approver.keep_picture("duyet-tin");
    approver.click("#duyet");
    approver.until("location.pathname.startsWith('/tin/')");
    approver.until_says("#tien-trinh", "0 trên 2 cụm loa đã nghe hết");
    approver.keep_picture("tin");
    assert_eq!(
        get_api(&central, "/api/v1/announcements").await.json()[0]["title"],
        "Lịch tiêm phòng cho trẻ tháng 12"
    );
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voice_is_heard_as_long_as_the_button_is_held() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let duc = Staff::make(&central, "duc", &[(Role::Duty, "xa")]).await;
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    loa.hello("n", loa.holds(&[]));
    let browser = Browser::start();
    let address = format!("http://{}", central.http_addr());
    let mut page = browser.person(&format!("{address}/healthz"));
    page.sign_in(&duc);
    page.go(&format!("{address}/noi-truc-tiep"));
    page.until("document.querySelector('#giu')");
    page.hold("#giu", true);
    page.until_says("#loi", "Xin chọn ít nhất một nơi nghe");
    page.hold("#giu", false);
    page.click("#noi-thon-1");
    page.hold("#giu", true);
    let url = loa.next("a voice opens", live_url).await.expect("the first order opens it");
    page.until_says("#tinh-trang", "Bà con đang nghe");
    let path = url.rsplit_once("/live/").unwrap().1;
    let listening = std::thread::spawn({
        let url = format!("{address}/live/{path}");
        move || ureq::get(&url).call().unwrap().body_mut().read_to_vec().unwrap()
    });
    page.value("new Promise((done) => setTimeout(done, 2500))");
    page.keep_picture("noi-truc-tiep");
    page.hold("#giu", false);
    assert_eq!(loa.next("the voice closes", live_url).await, None);
    let heard = tokio::task::spawn_blocking(move || listening.join().unwrap()).await.unwrap();
    let samples: Vec<i32> =
        heard[44..].as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair).into()).collect();
    assert!(samples.len() > 16_000, "more than a second: {}", samples.len());
    assert!(samples.iter().any(|sample| sample.abs() > 1_000), "the microphone's beep");
    // What was said is kept as evidence, and can be heard on the page.
    until("the recording", async || {
        let again = duc.get(&central, "/noi-truc-tiep").await;
        let hash = again.text().split_once("src=\"/media/")?.1.split_once('"')?.0.to_owned();
        Some(get(&central, &format!("/media/{hash}"), &[]).await.body).filter(|wav| wav.starts_with(b"RIFF"))
    })
    .await;
    // A page that goes away ends the voice as a hand does.
    page.go(&format!("{address}/noi-truc-tiep"));
    page.until("document.querySelector('#giu')");
    page.click("#noi-thon-1");
    page.hold("#giu", true);
    assert!(loa.next("a voice opens", live_url).await.is_some());
    page.go(&format!("{address}/tin"));
    assert_eq!(loa.next("the voice closes", live_url).await, None);
    until("nothing is left behind", async || {
        std::fs::read_dir(dir.path().join("uploads")).unwrap().next().is_none().then_some(())
    })
    .await;
    central.stop().await;
}

/// The address of a live voice that opens; `Some(None)` for one that closes.
fn live_url(_: &Topic, bytes: &[u8]) -> Option<Option<String>> {
    let command = codec::open_command(bytes, &known_keys).ok()?.payload;
    match command.body {
        Body::Live { url, open, .. } => Some(open.then_some(url)),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_every_screen_and_everybody() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let all = Staff::make(&central, "mai", &Role::ALL.map(|role| (role, "xa"))).await;
    let lan = Staff::make(&central, "lan", &[(Role::Writer, "xa")]).await;
    let fields = [
        ("goc", ""),
        ("ten", "Lịch tiêm phòng"),
        ("loi", "Mời bà con."),
        ("giong", "may"),
        ("noi", "thon-1"),
        ("khi", "som"),
        ("loai", "normal"),
        ("lan", "1"),
        ("tieng", "vi"),
        ("viec", "gui"),
    ];
    assert_eq!(lan.post(&central, "/soan-tin/00000000000000aa", &fields).await.status, 303);
    let browser = Browser::start();
    let address = format!("http://{}", central.http_addr());
    let mut page = browser.person(&format!("{address}/healthz"));
    let (mut wrong, mut paints) = (Vec::new(), Vec::new());
    let doors = page_doors();
    let (outside, inside): (Vec<_>, Vec<_>) =
        doors.iter().map(|(path, _)| *path).partition(|path| path.starts_with("/dang-nhap"));
    for path in outside.into_iter().chain(inside) {
        if NO_PAGES.iter().any(|part| path.contains(part)) {
            continue;
        }
        if !path.starts_with("/dang-nhap") {
            page.sign_in(&all);
        }
        let asked = path
            .replace("{id}", if path.contains("nguoi") { "lan" } else { "00000000000000aa" })
            .replace("{code}", "none");
        if asked.contains('{') || all.get(&central, &asked).await.status == 405 {
            continue;
        }
        page.go(&format!("{address}{asked}"));
        let bytes = page.value(
            "performance.getEntriesByType('resource').filter(({ name }) => /\\.(js|css)$/.test(name) && !name.includes('htmx')
                && (!name.includes('/assets/sign/') || /\\/(sign|keys|key_form|orders|emergency|approve|training)\\.js$/.test(name)))
                .reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0)",
        );
        if bytes.as_f64().unwrap() > OWN_BYTES_MAX {
            wrong.push(format!("{asked}: {bytes} bytes of own script and style"));
        }
        let painted = page.value("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0");
        paints.push((painted.as_f64().unwrap(), asked.clone()));
        page.screen(1280, false);
        wrong.extend(page.faults_by_keyboard().into_iter().map(|fault| format!("{asked}: {fault}")));
        for (width, dark) in WIDTHS.into_iter().flat_map(|width| [(width, false), (width, true)]) {
            page.screen(width, dark);
            wrong.extend(
                page.faults().into_iter().map(|fault| format!("{asked} {width} dark={dark}: {fault}")),
            );
            if !(dark && width < 1280) {
                page.keep_picture(&format!(
                    "trang{}-{width}{}",
                    asked.replace('/', "-"),
                    if dark { "-toi" } else { "" }
                ));
            }
        }
    }
    paints.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("slowest first paints, in ms: {:?}", paints.iter().take(3).collect::<Vec<_>>());
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    central.stop().await;
}
