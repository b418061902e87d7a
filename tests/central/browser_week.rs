//! The week in a real Chromium: seen and changed by keyboard at the width of a phone, and looked at on every screen.

use crate::support::browser::Browser;
use crate::support::commune::*;
use crate::support::staff::Staff;
use loaxa_central::store::Role;
use serde_json::json;

/// Widths of a phone and of an office's screen, in CSS pixels.
const WIDTHS: [u32; 2] = [360, 1280];

/// A programme with all that a week shows.
const TOML: &str = "[programme]
id = 'xa'
version = 1
title = 'Chương trình toàn xã'
group = 'xa'

[[section]]
id = 'thoi-su'
title = 'Thời sự xã'
weekly_minutes_min = 60
[[section]]
id = 'y-te'
title = 'Y tế'
weekly_minutes_min = 30

[[campaign]]
id = 'tiem'
title = 'Tiêm phòng cho trẻ'
from = '2026-11-01'
until = '2026-12-31'
responsible = 'Trạm y tế xã'

[[holiday]]
id = 'van-hoa'
title = 'Ngày Văn hóa'
effect = 'add'
dates = ['2026-11-24']

[[playlist]]
id = 'tin'
title = 'Bản tin'
[[playlist.item]]
title = 'Lời chào'
text = 'Kính chào bà con. Sau đây là bản tin của xã.'
section = 'thoi-su'
[[playlist.item]]
title = 'Đài tỉnh'
relay = 'https://dai.example/tin'
minutes = 20
section = 'thoi-su'
[[playlist]]
id = 'y-te'
title = 'Lời trạm y tế'
[[playlist.item]]
title = 'Tiêm phòng'
text = 'Trạm y tế xã mời các gia đình đưa trẻ đến tiêm phòng vào sáng thứ Bảy.'
section = 'y-te'
licence = 'Trạm y tế xã'
valid_until = '2026-12-31'

[[slot]]
id = 'sang'
title = 'Bản tin sáng'
start = '05:30' # gà gáy
end = '06:15'
playlist = 'tin'
days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat']
except = ['2026-11-25']
[[slot]]
id = 'chieu'
title = 'Bản tin xã'
start = '17:00'
end = '17:30'
playlist = 'tin'
[[slot]]
id = 'phut'
title = 'Nhắc tiêm phòng'
start = '18:00'
minutes = 1
playlist = 'y-te'
campaign = 'tiem'
[[slot]]
id = 'hoi'
title = 'Văn nghệ ngày lễ'
start = '15:00'
end = '15:30'
playlist = 'tin'
holiday = 'van-hoa'
[[slot]]
id = 'dem'
title = 'Đêm hội'
start = '23:30'
end = '00:30'
playlist = 'tin'
dates = ['2026-11-28']
";

#[tokio::test(flavor = "multi_thread")]
async fn the_mouse_moves_a_slot_as_the_keys_do() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let asked = json!({ "toml": TOML, "media": {} }).to_string();
    let answer = post(&central, "/api/v1/programmes", "application/json", asked.into()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let lan = Staff::make(&central, "lan", &[(Role::Writer, "xa")]).await;
    let browser = Browser::start();
    let week = format!("http://{}/tuan?noi=xa&ngay=2026-11-26", central.http_addr());
    let mut page = browser.person(&format!("http://{}/healthz", central.http_addr()));
    page.sign_in(&lan);
    page.screen(1280, false);
    let slot = "a.slot[href*='khung=phut']";
    let there = format!("document.querySelector(\"{slot}\")");
    page.go(&week);
    page.until(&there);
    page.value(&format!("{there}.focus()"));
    page.press("ArrowDown", 40);
    page.until("document.querySelector('#bat-dau')?.value === '18:05'");
    let by_keys = page.value("location.search");
    page.go(&week);
    page.until(&there);
    page.drag(slot, 14, |page| {
        page.until(&format!("{there}.textContent.includes('18:05–18:06')"));
    });
    page.until("document.querySelector('#bat-dau')?.value === '18:05'");
    assert_eq!(page.value("location.search"), by_keys);
    // Earlier, and as far as the mouse went.
    page.go(&week);
    page.until(&there);
    page.drag(slot, -38, |page| page.until(&format!("{there}.textContent.includes('17:45–17:46')")));
    page.until("document.querySelector('#bat-dau')?.value === '17:45'");
    page.click("button[value=ghi]");
    page.until_says("#vua-sua", "18:00–18:01 → 17:45–17:46");
    page.until_says("#vua-sua", "Hoàn tác");
    page.value("document.querySelector('#vua-sua button').click()");
    page.until(&format!(
        "!document.querySelector('#vua-sua') && {there}?.textContent.includes('18:00–18:01')"
    ));
    // Escape lets go of the slot where it was, and a click opens it as it is.
    page.drag(slot, 40, |page| {
        page.press("Escape", 27);
        page.until(&format!("{there}.textContent.includes('18:00–18:01')"));
    });
    page.until("location.pathname === '/tuan' || document.querySelector('#bat-dau')?.value === '18:00'");
    page.go(&week);
    page.until(&there);
    page.drag(slot, 0, |_| {});
    page.until("document.querySelector('#bat-dau')?.value === '18:00'");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_is_changed_by_keyboard_on_a_phone_and_fits_every_screen() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let asked = json!({ "toml": TOML, "media": {} }).to_string();
    let answer = post(&central, "/api/v1/programmes", "application/json", asked.into()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    post(&central, "/api/v1/media?name=tin.wav", "application/octet-stream", tone()).await;
    let lan = Staff::make(&central, "lan", &[(Role::Writer, "xa"), (Role::Administrator, "xa")]).await;
    let duc = Staff::make(&central, "duc", &[(Role::Approver, "xa")]).await;
    let browser = Browser::start();
    let address = format!("http://{}", central.http_addr());
    let mut page = browser.person(&format!("{address}/healthz"));
    page.sign_in(&lan);
    page.screen(360, false);
    page.go(&format!("{address}/tuan?noi=xa&ngay=2026-11-26"));
    // The slot of a minute is reached and opened by the keyboard alone.
    page.until(
        "[...document.querySelectorAll('.slot')].some((it) => it.textContent.includes('18:00–18:01'))",
    );
    page.value("[...document.querySelectorAll('a.slot')].find((it) => it.textContent.includes('18:00–18:01')).focus()");
    page.press_enter();
    page.until("document.querySelector('#bat-dau')?.value === '18:00'");
    page.fill("#bat-dau", "18:05");
    page.fill("#ket-thuc", "18:06");
    page.value("document.querySelector('#ket-thuc').focus()");
    page.press_enter();
    page.until_says("#vua-sua", "18:00–18:01 → 18:05–18:06");
    page.until_says("#vua-sua", "2 cụm loa");
    page.keep_picture("tuan-vua-sua-360");
    page.value("document.querySelector('#vua-sua button').focus()");
    page.press_enter();
    page.until("!document.querySelector('#vua-sua') && document.querySelector('.week')");
    // An arrow moves it by five minutes; Enter keeps that.
    page.value("[...document.querySelectorAll('a.slot')].find((it) => it.textContent.includes('18:00–18:01')).focus()");
    page.press("ArrowDown", 40);
    page.until(
        "document.activeElement?.value === 'ghi' && document.querySelector('#bat-dau').value === '18:05'",
    );
    page.press_enter();
    page.until_says("#vua-sua", "18:00–18:01 → 18:05–18:06");
    // Changed again, and submitted.
    page.go(&format!("{address}/tuan/khung?noi=xa&ngay=2026-11-27&ct=xa&khung=chieu"));
    page.until("document.querySelector('#bat-dau')");
    page.fill("#bat-dau", "17:10");
    page.click("button[value=ghi]");
    page.until_says("#vua-sua", "17:00–17:30 → 17:10–17:30");
    page.click("button[value=gui]");
    page.until_says("main", "Chờ duyệt");
    let id = central.store().open_proposals().await.unwrap()[0].id.clone();

    let place = "noi=xa&ngay=2026-11-26&ct=xa";
    let writes = [
        ("tuan", format!("/tuan?{place}")),
        ("tuan-khung", format!("/tuan/khung?{place}&khung=sang")),
        ("tuan-them", format!("/tuan/khung?{place}")),
        ("tuan-chep", format!("/tuan/chep?{place}&tu=2026-12-10")),
        ("tuan-danh-sach", format!("/tuan/danh-sach?{place}")),
        ("tuan-muc", format!("/tuan/danh-sach?{place}&danh-sach=tin&muc=0")),
        ("tuan-van-ban", format!("/tuan/van-ban?{place}")),
        ("kho-am-thanh", "/kho-am-thanh".to_owned()),
    ];
    let mut wrong = Vec::new();
    let mut look = |page: &mut crate::support::browser::Page, name: &str, path: &str| {
        page.go(&format!("{address}{path}"));
        page.until("document.querySelector('main h1')");
        for (width, dark) in WIDTHS.into_iter().flat_map(|width| [(width, false), (width, true)]) {
            page.screen(width, dark);
            wrong.extend(
                page.faults().into_iter().map(|fault| format!("{path} {width} dark={dark}: {fault}")),
            );
            if !dark {
                page.keep_picture(&format!("{name}-{width}"));
            }
        }
    };
    for (name, path) in &writes {
        look(&mut page, name, path);
    }
    page.sign_in(&duc);
    look(&mut page, "duyet-lich", &format!("/duyet-lich/{id}"));
    look(&mut page, "tuan-nguoi-duyet", "/tuan?noi=xa&ngay=2026-11-26");
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    page.go(&format!("{address}/duyet-lich/{id}"));
    page.until("document.querySelector('#duyet')");
    page.click("#duyet");
    page.until_says("main", "Đã duyệt");
    central.stop().await;
}
