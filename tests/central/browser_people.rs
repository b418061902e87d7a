//! People in a real Chromium: passkeys, and the question before a session ends.

use crate::support::browser::{Browser, Page};
use crate::support::commune::*;
use crate::support::free_port;
use crate::support::staff::Staff;
use loaxa_central::store::{SessionRow, Stage};
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::time::Span;
use totp_rs::{Builder, Secret};

const PASSWORD: &str = "con đê làng mình 1996";

/// Types the password, as far as the second step.
fn give_password(page: &mut Page, address: &str) {
    page.go(&format!("{address}/dang-nhap"));
    page.fill("#ten", "lan");
    page.fill("#mat-khau", PASSWORD);
    page.click("main form .btn");
    page.until("location.pathname === '/dang-nhap/buoc-2'");
    page.until("document.querySelector('[data-khoa-may]:not([hidden])')");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fingerprint_is_the_second_step_until_the_key_is_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    let port = free_port();
    settings.listen.set_port(port);
    let address = format!("http://localhost:{port}");
    settings.public_url = Some(address.clone());
    let central = start(settings).await;
    let link = std::fs::read_to_string(dir.path().join("first-administrator")).unwrap();

    let browser = Browser::start();
    let mut page = browser.person(&format!("{address}/healthz"));
    let device = page.add_authenticator();
    page.screen(390, false);
    page.go(link.trim());
    page.fill("#ten", "lan");
    page.fill("#ho-ten", "Nguyễn Thị Lan");
    page.fill("#mat-khau", PASSWORD);
    page.fill("#nhac-lai", PASSWORD);
    page.click("[data-hien='mat-khau']");
    page.until("document.querySelector('#mat-khau').type === 'text'");
    page.click("main form .btn");
    page.until("document.querySelector('#bi-mat-chu')");
    let words = page.value("document.querySelector('#bi-mat-chu').textContent.replace(/ /g, '')");
    page.fill("#ma", &code(words.as_str().unwrap()));
    page.click("main form .btn");
    page.until("document.querySelector('.codes')");

    page.go(&format!("{address}/tai-khoan"));
    page.fill("#ten-may", "điện thoại của Lan");
    page.click("[data-khoa-may] .btn");
    page.until_says("main", "điện thoại của Lan");
    page.keep_picture("tai-khoan-khoa-may");

    page.click("form[action='/thoat'] button");
    page.until("location.pathname === '/dang-nhap'");
    give_password(&mut page, &address);
    page.keep_picture("dang-nhap-khoa-may");
    // The device that does not know its person opens nothing, and says so.
    page.verify_people(&device, false);
    page.click("[data-khoa-may] .btn");
    page.until("document.querySelector('[data-loi]:not([hidden])')");
    page.verify_people(&device, true);
    page.click("[data-khoa-may] .btn");
    page.until("location.pathname === '/'");

    // Another session asks, the key goes meanwhile, and the answer comes too late.
    let mut other = browser.person(&format!("{address}/healthz"));
    let credential = page.credential(&device);
    let copy = other.add_authenticator();
    other.add_credential(&copy, &credential);
    give_password(&mut other, &address);
    page.go(&format!("{address}/tai-khoan"));
    page.click("form[action='/tai-khoan/khoa-may/xoa'] button");
    page.until("location.pathname === '/tai-khoan' && !document.querySelector('[action$=xoa]')");
    other.click("[data-khoa-may] .btn");
    other.until("document.querySelector('[data-loi]:not([hidden])')");
    other.go(&format!("{address}/tai-khoan"));
    other.until("location.pathname === '/dang-nhap/buoc-2'");
    central.stop().await;
}

/// The code that a telephone shows now.
fn code(secret: &str) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    Builder::new().with_secret(secret).build_noncompliant().generate(now).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_about_to_be_signed_out_is_asked_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let lan = Staff::make(&central, "lan", &[]).await;
    let browser = Browser::start();
    let address = format!("http://{}", central.http_addr());
    let mut page = browser.person(&format!("{address}/healthz"));
    page.sign_in(&lan);
    page.screen(390, false);
    page.go(&format!("{address}/tai-khoan"));
    let come_back = "document.dispatchEvent(new Event('visibilitychange')); 0";
    page.value(come_back);
    page.until(
        "performance.getEntriesByType('resource').some((one) => one.name.endsWith('/fragments/phien'))",
    );
    page.until("document.querySelector('#sap-het').hidden");

    // Nobody has used the page for 56 minutes.
    let secret = ContentHash::of(lan.cookie.split_once('=').unwrap().1.as_bytes());
    let now = loaxa_adapters::clock::wall();
    let session = SessionRow {
        secret,
        person: lan.id.clone(),
        stage: Stage::Full,
        made: now.minus(Span::secs(2 * 3_600)),
        seen: now.minus(Span::secs(56 * 60)),
        from: "127.0.0.1".to_owned(),
        browser: "test".to_owned(),
    };
    central.store().end_session(lan.id.clone(), secret).await.unwrap();
    central.store().add_session(session).await.unwrap();
    page.value(come_back);
    page.until("!document.querySelector('#sap-het').hidden");
    page.keep_picture("sap-het-gio");
    page.click("#sap-het button");
    page.until("document.querySelector('#sap-het').hidden");

    central.store().end_session(lan.id.clone(), secret).await.unwrap();
    page.value(come_back);
    page.until("location.pathname === '/dang-nhap'");
    central.stop().await;
}
