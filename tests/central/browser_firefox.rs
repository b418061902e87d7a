//! The pages in a real Firefox: from signing in to what a box is told to play, and a live voice.

use crate::support::commune::*;
use crate::support::firefox::Firefox;
use crate::support::pulse::Pulse;
use crate::support::staff::Staff;
use loaxa_central::Central;
use loaxa_central::console;
use loaxa_central::store::Role;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::Body;
use loaxa_heart::wire::topics::Topic;
use totp_rs::{Builder, Secret};

const PASSWORD: &str = "con đê làng mình 1996";

/// The code that a telephone shows now.
fn code(secret: &str) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    Builder::new().with_secret(secret).build_noncompliant().generate(now).to_string()
}

/// Signs in with the password.
fn give_password(page: &mut Firefox, address: &str, account: &str) {
    page.forget();
    page.go(&format!("{address}/dang-nhap"));
    page.fill("#ten", account);
    page.fill("#mat-khau", PASSWORD);
    page.click("main form .btn");
}

async fn person(central: &Central, account: &str, role: Role) {
    let staff = Staff::make(central, account, &[(role, "xa")]).await;
    let now = loaxa_adapters::clock::wall();
    console::set_passwords(&**central.store(), &[staff.id], PASSWORD, now).await.unwrap();
}

/// The address of a live voice that opens; `Some(None)` for one that closes.
fn live_url(_: &Topic, bytes: &[u8]) -> Option<Option<String>> {
    match codec::open_command(bytes, &known_keys).ok()?.payload.body {
        Body::Live { url, open, .. } => Some(open.then_some(url)),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_firefox_a_recording_is_made_approved_and_sent_and_a_voice_goes_live() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.second_factor = true;
    let central = start(settings).await;
    person(&central, "lan", Role::Writer).await;
    person(&central, "duc", Role::Approver).await;
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    loa.hello("n", loa.holds(&[]));
    let address = format!("http://{}", central.http_addr());
    let sound = Pulse::start(dir.path());
    let mut page = Firefox::start(&sound);

    // The writer records what is to be said.
    give_password(&mut page, &address, "lan");
    page.until("location.pathname === '/' && document.readyState === 'complete'");
    assert_eq!(page.faults(390), Vec::<String>::new(), "the first page");
    page.go(&format!("{address}/soan-tin"));
    page.fill("#ten", "Lịch tiêm phòng cho trẻ");
    page.click("#g2");
    page.click("#bat-dau-ghi");
    page.until("parseFloat(document.querySelector('#muc-tieng').getAttribute('width')) > 5");
    page.value("new Promise((done) => setTimeout(done, 2500))");
    page.click("#dung-ghi");
    page.until("document.querySelector('#tep').value.length === 64");
    page.until("document.querySelector('#tep-dang-co audio')?.duration > 1");
    page.click("#noi-thon-1");
    page.until_says("#da-luu", "Đã tự lưu nháp");
    page.keep_picture("soan-tin");
    assert_eq!(page.faults(390), Vec::<String>::new(), "the page to write on");
    let hash = page.value("document.querySelector('#tep').value").as_str().unwrap().to_owned();
    page.click("button[value=gui]");
    page.until("location.pathname.startsWith('/tin/')");
    page.until_says(".steps [aria-current]", "Chờ duyệt");
    assert_eq!(page.faults(1280), Vec::<String>::new(), "the page of a notice");

    // The approver sets up a telephone, hears the recording and agrees.
    give_password(&mut page, &address, "duc");
    page.until("document.querySelector('#bi-mat-chu')");
    let secret = page.value("document.querySelector('#bi-mat-chu').textContent.replace(/ /g, '')");
    page.fill("#ma", &code(secret.as_str().unwrap()));
    page.click("main form .btn");
    page.until("document.querySelector('.codes')");
    page.go(&format!("{address}/duyet-tin"));
    page.until(&format!("document.querySelector('main audio')?.src.includes({hash:?})"));
    page.value("document.querySelector('main audio').play().then(() => 0)");
    page.until("document.querySelector('main audio').currentTime > 0.5");
    page.keep_picture("duyet-tin");
    assert_eq!(page.faults(1280), Vec::<String>::new(), "the page to approve on");
    page.click("#duyet");
    page.until("location.pathname.startsWith('/tin/')");
    let media = loa.next("the announcement", |_, bytes| {
        match codec::open_command(bytes, &known_keys).ok()?.payload.body {
            Body::Announce { media, .. } => media,
            _ => None,
        }
    });
    assert_eq!(media.await.sha256.to_string(), hash, "the very recording that was heard");

    // The same person speaks live.
    page.go(&format!("{address}/noi-truc-tiep"));
    page.click("#noi-thon-1");
    page.hold("#giu", true);
    let url = loa.next("a voice opens", live_url).await.expect("the first order opens it");
    page.until_says("#tinh-trang", "Bà con đang nghe");
    let path = url.rsplit_once("/live/").unwrap().1.to_owned();
    let listening = std::thread::spawn({
        let url = format!("{address}/live/{path}");
        move || ureq::get(&url).call().unwrap().body_mut().read_to_vec().unwrap()
    });
    page.until("parseInt(document.querySelector('#tre').textContent) > 0");
    page.value("new Promise((done) => setTimeout(done, 2500))");
    page.keep_picture("noi-truc-tiep");
    page.hold("#giu", false);
    assert_eq!(loa.next("the voice closes", live_url).await, None);
    let heard = tokio::task::spawn_blocking(move || listening.join().unwrap()).await.unwrap();
    let samples: Vec<i32> =
        heard[44..].as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair).into()).collect();
    assert!(samples.len() > 16_000, "more than a second: {}", samples.len());
    assert!(samples.iter().any(|sample| sample.abs() > 1_000), "the microphone's beep");
    assert_eq!(page.faults(390), Vec::<String>::new(), "the page of a live voice");
    central.stop().await;
}
