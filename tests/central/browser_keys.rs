//! Two people make keys in their browsers, the root key's holder trusts them, and together they warn a real box.
use std::path::Path;
use std::process::Command;

use crate::support::browser::{Browser, Page};
use crate::support::commune::*;
use crate::support::free_port;
use crate::support::unit::Unit;
use loaxa_central::settings::Settings;
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::playback::{DeliveryStep, Event};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::TrustMessage;
use serde_json::json;

const PASSPHRASE: &str = "lúa chín đầy đồng";
const WORDS: &str = "Nước sông lên nhanh. Mời bà con lên đê ngay.";

fn loaxa(dir: &Path, arguments: &[&str]) {
    let done = Command::new(env!("CARGO_BIN_EXE_loaxa")).args(arguments).current_dir(dir).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Makes a key as a person does; gives its id and its public half.
fn make_key(page: &mut Page, holder: &str) -> (String, String) {
    page.until("!document.querySelector('#make').hidden");
    page.fill("#holder", holder);
    page.fill("#passphrase", PASSPHRASE);
    page.fill("#passphrase-again", PASSPHRASE);
    page.click("#make-form button");
    page.until_says("#key-state", "chưa có trong danh sách tin cậy");
    (page.text("#key-id"), page.text("#key-public"))
}

/// The commune's settings without any person's key on the server, on an address that stays the same.
fn without_people(dir: &Path, port: u16, trust: Vec<u8>) -> Settings {
    let mut settings = settings(dir, embedded());
    settings.listen.set_port(port);
    settings.keys.issuers = Vec::new();
    settings.keys.trust = trust;
    settings.boxes[0].key = None;
    settings.trust_first_use = true;
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_sign_an_emergency_in_their_browsers_and_the_box_sounds_it() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let central = start(without_people(dir.path(), port, trust())).await;
    let browser = Browser::start();
    let address = format!("http://127.0.0.1:{port}/sign");
    let (mut an, mut binh) = (browser.person(&address), browser.person(&address));
    let (an_id, an_public) = make_key(&mut an, "Lê Thị An");
    let (_, binh_public) = make_key(&mut binh, "Phạm Văn Bình");
    let kept = an.value("localStorage.getItem('loaxa-key-v1')");
    assert!(!kept.as_str().unwrap().contains("seed") && kept.as_str().unwrap().contains(&an_public));

    // The holder of the root key writes them down and signs.
    let office = tempfile::tempdir().unwrap();
    let message = codec::open::<TrustMessage>(&trust(), &|_| Some(key(100).public())).unwrap().payload;
    std::fs::write(office.path().join("trust.toml"), loaxa_heart::config::trust_file::print(&message.trust))
        .unwrap();
    let root = loaxa_adapters::keys::KeyFile { key: key(100), holder: None };
    root.write_new(&office.path().join("root.key")).unwrap();
    for (holder, public) in [("Lê Thị An", &an_public), ("Phạm Văn Bình", &binh_public)] {
        let grant = ["key", "grant", "--trust", "trust.toml", "--holder", holder, "--public", public];
        loaxa(
            office.path(),
            &[&grant[..], &["--powers", "emergency,exercise,cancel,policy", "--groups", "xa"]].concat(),
        );
    }
    let sign = ["key", "sign-trust", "--root", "root.key", "--trust", "trust.toml", "--out", "trust.json"];
    loaxa(office.path(), &sign);
    central.stop().await;
    let signed = std::fs::read(office.path().join("trust.json")).unwrap();
    let central = start(without_people(dir.path(), port, signed)).await;
    let mut unit = Unit::new();
    join(&mut unit, central.broker_addr().unwrap(), &trust());
    let running = unit.start();

    // An comes back to the page: her key is locked.
    an.go(&address);
    an.until_says("#key-state", "đang đóng");
    an.fill("#unlock-passphrase", "sai rồi");
    an.click("#unlock-form button");
    an.until_says("#problem", "Mật khẩu không đúng");
    an.fill("#unlock-passphrase", PASSPHRASE);
    an.click("#unlock-form button");
    an.until_says("#key-state", "có trong danh sách tin cậy");
    an.click("input[name=mode][value=actual]");
    an.click("input[name=group][value=xa]");
    an.fill("#draft-title", "Báo động lũ");
    an.fill("#draft-text", WORDS);
    an.click("#draft-form button");
    an.until_says("#drafts", "Báo động lũ");
    an.click("#drafts button.sign");
    an.until_says("#good", "Chờ người thứ hai");
    assert_eq!(get_api(&central, "/api/v1/announcements").await.json(), json!([]));

    binh.until_says("#drafts .signers", "Lê Thị An · 1 trên 2");
    let read = binh.text("#drafts article");
    for said in ["KHẨN CẤP", "THẬT", "Xã Thử (xa)", "Báo động lũ", WORDS, "Lê Thị An"] {
        assert!(read.contains(said), "{said}: {read}");
    }
    if let Some(folder) = std::env::var_os("LOAXA_PICTURES") {
        binh.picture(&Path::new(&folder).join("sign.png"));
    }
    binh.click("#drafts button.sign");
    binh.until_says("#good", "đã gửi đến các cụm loa");
    binh.until_says("#drafts .is-sent", "ĐÃ GỬI");

    let announced = get_api(&central, "/api/v1/announcements").await.json();
    let id = announced[0]["id"].as_str().unwrap();
    unit.await_event("the emergency on the air", |event| match event {
        Event::PlayStarted(start) => {
            (start.rung == Rung::Emergency && start.title == "Báo động lũ").then_some(())
        }
        _ => None,
    });
    let received = |event: &Event| {
        let step = DeliveryStep::Received;
        matches!(event, Event::Delivery { command, step: found } if command.as_str() == id && *found == step)
    };
    assert!(unit.events().iter().any(received));
    let issuer = unit.started()[0].issuer.clone().unwrap();
    assert_eq!(issuer.as_str(), an_id);
    drop(running);
    central.stop().await;
}
