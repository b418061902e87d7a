//! A commune whose approvers sign with their own keys: the server alone can't say anything.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::support::browser::Browser;
use crate::support::commune::*;
use crate::support::own_key::{keep_key, unlock};
use crate::support::staff::Staff;
use loaxa_central::Central;
use loaxa_central::store::Role;
use loaxa_heart::config::central_file::EverydaySigner;
use loaxa_heart::domain::ids::CommandId;
use loaxa_heart::wire::envelope::{Kind, pre_authentication_encoding};

const ID: &str = "00000000000000aa";

/// A central without any person's key, a writer, and an approver whose key the trust document names.
async fn with_office(test: impl AsyncFn(&Central, &Staff, &Staff)) {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.everyday = EverydaySigner::People;
    settings.keys.issuers = Vec::new();
    settings.keys.trust = trust_of(|trust| trust.grants[0].account = Some("duc".parse().unwrap()));
    let central = start(settings).await;
    let lan = Staff::make(&central, "lan", &[(Role::Writer, "xa")]).await;
    let duc = Staff::make(&central, "duc", &[(Role::Approver, "xa")]).await;
    test(&central, &lan, &duc).await;
    central.stop().await;
}

/// Submits a notice of these words; gives the version that waits.
async fn submit(central: &Central, lan: &Staff, words: &str) -> String {
    let base = version(central).await;
    let fields = [
        ("goc", base.as_str()),
        ("ten", "Lịch tiêm phòng"),
        ("loi", words),
        ("giong", "may"),
        ("noi", "thon-1"),
        ("khi", "som"),
        ("loai", "priority"),
        ("lan", "2"),
        ("tieng", "vi"),
        ("viec", "gui"),
    ];
    let answer = lan.post(central, &format!("/soan-tin/{ID}"), &fields).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    version(central).await
}

async fn version(central: &Central) -> String {
    let row = central.store().notice(ID.parse().unwrap()).await.unwrap();
    row.map(|row| row.digest.to_string()).unwrap_or_default()
}

async fn sent(central: &Central) -> usize {
    get_api(central, "/api/v1/announcements").await.json().as_array().unwrap().len()
}

/// Asks for the bytes to be signed.
async fn offer(central: &Central, who: &Staff, version: &str, seed: u8) -> Answer {
    let key = key(seed).key_id().to_string();
    who.post(central, &format!("/duyet-tin/{ID}/ban-ky"), &[("ban", version), ("khoa", &key)]).await
}

/// Signs these bytes with a key and sends the signature.
async fn sign(central: &Central, who: &Staff, version: &str, payload: &str, seed: u8) -> Answer {
    let message = pre_authentication_encoding(Kind::Command.payload_type(), payload.as_bytes());
    let (signature, key) = (BASE64.encode(key(seed).sign(&message)), key(seed).key_id().to_string());
    let fields = [("ban", version), ("khoa", key.as_str()), ("chu-ky", signature.as_str())];
    who.post(central, &format!("/duyet-tin/{ID}/ky"), &fields).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_signs_what_the_page_shows() {
    with_office(async |central, lan, duc| {
        submit(central, lan, "Mời bà con đưa trẻ đến trạm.").await;
        let browser = Browser::start();
        let base = format!("http://{}", central.http_addr());
        let mut page = browser.person(&format!("{base}/dang-nhap"));
        page.sign_in(duc);
        keep_key(&mut page, 1, "An");
        page.screen(390, false);
        page.go(&format!("{base}/duyet-tin/{ID}"));
        page.click("#duyet");
        page.until_says("#loi-duyet", "Khóa đang đóng");
        assert_eq!(sent(central).await, 0, "the key is not open");
        unlock(&mut page);
        page.keep_picture("duyet-tin-bang-khoa");
        page.click("#duyet");
        page.until("location.pathname.startsWith('/tin/')");
        let announced = get_api(central, "/api/v1/announcements").await.json();
        let id: CommandId = announced[0]["id"].as_str().unwrap().parse().unwrap();
        let kept = central.store().command(id.clone()).await.unwrap().unwrap();
        let command: serde_json::Value = serde_json::from_str(&kept.payload).unwrap();
        assert_eq!(command["issuer"], key(1).key_id().to_string());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_approvers_signature_nothing_is_sent() {
    with_office(async |central, lan, duc| {
        let first = submit(central, lan, "Mời bà con đưa trẻ đến trạm.").await;
        let press = [("ban", first.as_str()), ("viec", "duyet")];
        let pressed = duc.post(central, &format!("/duyet-tin/{ID}"), &press).await;
        assert!(pressed.status == 400 && pressed.text().contains("ký bằng khóa của mình"));
        assert_eq!(offer(central, lan, &first, 1).await.status, 403, "a writer approves nothing");
        assert_eq!(offer(central, duc, &first, 9).await.status, 400, "nobody trusts this key");

        let offered = offer(central, duc, &first, 1).await.json();
        let payload = offered["ban-ky"].as_str().unwrap();
        assert_eq!(sign(central, duc, &first, payload, 2).await.status, 400, "another's key");
        assert_eq!(sign(central, duc, &first, payload, 1).await.status, 400, "an offer is taken once");
        // Other bytes than those that were offered, well signed.
        let offered = offer(central, duc, &first, 1).await.json();
        let other = offered["ban-ky"].as_str().unwrap().replace("đưa trẻ", "không đưa trẻ");
        assert_eq!(sign(central, duc, &first, &other, 1).await.status, 400);
        // The writer changes it between the offer and the signature.
        let offered = offer(central, duc, &first, 1).await.json();
        let second = submit(central, lan, "Mời bà con đưa trẻ đến trạm lúc bảy giờ.").await;
        let late = sign(central, duc, &first, offered["ban-ky"].as_str().unwrap(), 1).await;
        assert_eq!(late.status, 409, "{}", late.text());
        let crossed = sign(central, duc, &second, offered["ban-ky"].as_str().unwrap(), 1).await;
        assert_eq!(crossed.status, 400, "the offer was for the first version");
        assert_eq!(sent(central).await, 0);

        let offered = offer(central, duc, &second, 1).await.json();
        let payload = offered["ban-ky"].as_str().unwrap();
        assert_eq!(sign(central, duc, &second, payload, 1).await.status, 200);
        assert_eq!(sign(central, duc, &second, payload, 1).await.status, 200, "the same press again");
        assert_eq!(sent(central).await, 1);
    })
    .await;
}
