//! The training commune as somebody who trains alone meets it, and that nothing of it reaches the real one.

use crate::support::browser::{Browser, Page};
use crate::support::commune::*;
use crate::support::eventually;
use crate::support::own_key::{keep_key, unlock};
use loaxa_central::settings::TrainingDoor;
use loaxa_central::store::Role;
use loaxa_central::training::TrainingCommune;
use loaxa_central::{Newcomer, console};

const PASSWORD: &str = "con đê làng mình 1996";

fn days_ago(days: u64) -> chrono::NaiveDate {
    loaxa_adapters::clock::wall().date() - chrono::Days::new(days)
}

fn sign_in(page: &mut Page, address: &str) {
    // It may be about to begin anew: its old door closes first.
    eventually("somebody is signed in", || {
        page.go(&format!("{address}/dang-nhap"));
        if page.value("document.querySelector('#ten') === null") == true {
            return None;
        }
        page.fill("#ten", "lan");
        page.fill("#mat-khau", PASSWORD);
        page.click("main form .btn");
        page.until("document.readyState === 'complete' && !location.href.includes('?')");
        (page.value("location.pathname") == "/").then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_alone_trains_and_nothing_reaches_the_real_commune() {
    let dir = tempfile::tempdir().unwrap();
    let real_settings = settings(dir.path(), embedded());
    let real = start(real_settings.clone()).await;
    let now = loaxa_adapters::clock::wall();
    let newcomer =
        Newcomer { account: "lan".to_owned(), name: "Nguyễn Thị Lan".to_owned(), reach: String::new() };
    let store = real.store();
    let roles = [(Role::Writer, group("thon-1"))];
    let lan = console::add_person(&**store, newcomer, &roles, now).await.unwrap();
    console::set_passwords(&**store, &[lan], PASSWORD, now).await.unwrap();
    let door = TrainingDoor { listen: "127.0.0.1:0".parse().unwrap(), public_url: None };
    let training = TrainingCommune::start(real_settings, door, store.clone()).await.unwrap();

    let address = format!("http://{}", training.http_addr());
    let browser = Browser::start();
    let mut page = browser.person(&format!("{address}/healthz"));
    sign_in(&mut page, &address);
    page.until_says("p.training", "không cụm loa nào phát");
    page.look("tap-huan-tong-quan");
    assert_eq!(page.faults_by_keyboard(), Vec::<String>::new());
    page.value("setTimeout(() => document.body.dispatchEvent(new CustomEvent('shown')), 500)");
    assert!(page.keeps_focus("#tong-quan a", 1), "who reads the overview by keyboard stays where they are");

    // A week lies behind: what was aired, what was missed and why, what nobody knows, and what villagers said.
    eventually("the week is reckoned", || {
        page.go(&format!("{address}/nhat-ky?tu={}&den={}", days_ago(7), days_ago(1)));
        page.text("main").contains("79 + 2 + 3 = 84 lượt").then_some(())
    });
    page.look("tap-huan-nhat-ky");
    let log = page.text("main");
    for words in ["mất điện", "Chưa rõ", "không phát được", "lúc đó cụm loa tắt"] {
        assert!(log.contains(words), "{words}: {log}");
    }
    page.go(&format!("{address}/bao-cao"));
    page.look("tap-huan-bao-cao");
    assert!(!page.text("main").contains("Đã bổ sung"), "no log came late: {}", page.text("main"));
    page.until_says("p.training", "không cụm loa nào phát");
    // Everything that leaves the page says for which commune it is.
    for path in ["/bao-cao/in", "/chuong-trinh", "/bang-dien-tu"] {
        page.go(&format!("{address}{path}"));
        assert!(page.text("body").to_lowercase().contains("xã tập huấn"), "{path}: {}", page.text("body"));
    }
    page.go(&format!("{address}/chuong-trinh?thon=thon-dong"));
    page.until_says("p.training", "không cụm loa nào phát");
    page.look("tap-huan-cong-khai");
    page.go(&format!("{address}/tuan"));
    page.look("tap-huan-tuan");
    page.go(&format!("{address}/cum-loa/thon-trung-2"));
    page.until_says("main", "Mất liên lạc");
    page.go(&format!("{address}/gop-y-cua-dan"));
    page.until_says("main", "xóm tôi không nghe thấy loa");
    page.go(&format!("{address}/canh-bao"));
    assert!(!page.text("main").contains("Nhật ký bắt đầu lại"), "{}", page.text("main"));

    // A notice of somebody alone is approved by the colleague, and taken by five boxes in memory; the sixth is silent.
    page.go(&format!("{address}/soan-tin"));
    page.until("document.querySelector('#soan-tin')");
    page.fill("#ten", "Tập gửi tin");
    page.fill("#loi", "Đây là tin tập huấn.");
    for village in ["dong", "doai", "trung"] {
        page.click(&format!("#noi-thon-{village}"));
    }
    page.click("button[value=gui]");
    page.until("location.pathname.startsWith('/tin/')");
    // At night it waits for the morning; that they have it is told at any hour.
    page.until("document.querySelector('#tien-trinh')?.innerText.match(/6 cụm loa/) && !document.querySelector('#tien-trinh').innerText.includes('chưa nhận')");
    page.keep_picture("tap-huan-tin");

    // A key that is trusted here, and an emergency that the colleague agrees to.
    page.go(&format!("{address}/tap-huan"));
    keep_key(&mut page, 9, "Lan");
    page.go(&format!("{address}/tap-huan"));
    page.until("!document.querySelector('#tin-khoa').hidden");
    page.look("tap-huan");
    page.screen(1280, false);
    page.click("#tin-khoa button");
    page.until("document.querySelector('[role=status]')");
    page.until("fetch('/healthz').then((it) => window.there = it.ok).catch(() => 0) && window.there");
    page.go(&format!("{address}/khan-cap"));
    page.until("document.querySelector('#tin-tap-huan-lu')");
    page.click("#tin-tap-huan-lu");
    page.click("#noi-thon-dong");
    page.fill("#so", "1");
    unlock(&mut page);
    page.until("!document.querySelector('#giu').disabled");
    page.hold("#giu", true);
    page.until("/khan-cap\\/20/.test(location.pathname)");
    page.until("document.querySelector('#dung')");
    page.keep_picture("tap-huan-khan-cap");

    // Its session opens nothing real, and no real box knows its keys.
    page.go(&format!("http://{}/", real.http_addr()));
    page.until("location.pathname === '/dang-nhap'");
    assert!(get_api(&real, "/api/v1/announcements").await.json().as_array().unwrap().is_empty());
    assert!(known_keys(&key(9).key_id()).is_none());

    // Everything begins anew.
    sign_in(&mut page, &address);
    page.go(&format!("{address}/tap-huan"));
    page.click("button[value=lai]");
    page.until("document.querySelector('[role=status]')");
    sign_in(&mut page, &address);
    page.go(&format!("{address}/tin"));
    assert!(!page.text("main").contains("Tập gửi tin"));
    training.stop().await;
    real.stop().await;
}
