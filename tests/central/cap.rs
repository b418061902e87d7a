//! CAP alerts over HTTP: a draft for the duty officer, straight to the air, updated and cancelled, and taken once.
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::Duration;

use crate::support::commune::*;
use chrono::{FixedOffset, SecondsFormat, TimeDelta, Utc};
use loaxa_central::Central;
use loaxa_central::settings::CapSettings;
use loaxa_central::settings::Feed;
use loaxa_heart::config::central_file;
use serde_json::Value;

const FLOOD: &str = include_str!("../fixtures/cap/lu-quet.xml");
const UPDATE: &str = include_str!("../fixtures/cap/lu-quet-cap-nhat.xml");
const CANCEL: &str = include_str!("../fixtures/cap/lu-quet-huy.xml");
const CAP_TOKEN: &str = "a-token-for-alerts";

/// The fixture, with its expiry in some hours.
fn soon(text: &str) -> String {
    let vietnam = FixedOffset::east_opt(7 * 3_600).unwrap();
    let at = |hours| {
        let at = Utc::now().with_timezone(&vietnam) + TimeDelta::hours(hours);
        at.to_rfc3339_opts(SecondsFormat::Secs, false)
    };
    let mut text = text.to_owned();
    for (element, hours) in [("effective", -1), ("onset", 0), ("expires", 5)] {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let parts: Vec<_> = text.split(&open).map(str::to_owned).collect();
        let rest = parts[1..]
            .iter()
            .map(|part| format!("{open}{}{}", at(hours), &part[part.find(&close).unwrap()..]));
        text = format!("{}{}", parts[0], rest.collect::<String>());
    }
    text
}

/// A central that takes alerts as `[cap]` with these lines says.
async fn with_central(lines: &str, test: impl AsyncFn(&Central)) {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "[central]\nlisten = '127.0.0.1:0'\ndata_dir = 'd'\ncommune = 'X'\ngroup = 'xa'\n[api]\ntoken_file = 't'\n\
         [keys]\ncentral = 'c'\ntrust = 't.json'\n[broker]\nembedded = '127.0.0.1:1883'\n\
         [[group]]\nid = 'xa'\ntitle = 'X'\n[[group]]\nid = 'thon-1'\ntitle = 'T'\nparent = 'xa'\n\
         [cap]\nsenders = ['canhbao@kttv.example.vn']\n{lines}\n[[cap.place]]\ngroup = 'thon-1'\ncodes = ['DVHC=26-0417']\n"
    );
    let unseen = loaxa_heart::config::box_file::NamedFiles::Unseen;
    let config = central_file::parse(&text, "central.toml", dir.path(), unseen).unwrap().cap.unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.cap = Some(CapSettings {
        policy: config.policy,
        straight_to_air: config.straight_to_air,
        certificates: config.certificates,
        feed: config.feed.map(|feed| Feed { url: feed.url, ca: feed.ca, every: Duration::from_millis(200) }),
        token: Some(CAP_TOKEN.to_owned()),
    });
    let central = start(settings).await;
    test(&central).await;
    central.stop().await;
}

async fn push(central: &Central, alert: &str) -> Value {
    let bearer = format!("Bearer {CAP_TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/cap+xml")];
    let answer = post_with(central, "/api/v1/cap", &headers, alert.as_bytes().to_vec()).await;
    assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

async fn announced(central: &Central) -> Vec<Value> {
    get_api(central, "/api/v1/announcements").await.json().as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_waits_for_the_duty_officer_and_is_taken_once() {
    with_central("", async |central| {
        let taken = push(central, &soon(FLOOD)).await;
        assert_eq!(taken["alert"]["state"], "draft", "{taken}");
        assert!(announced(central).await.is_empty());
        let again = push(central, &soon(FLOOD)).await;
        assert_eq!(again["id"], taken["id"]);
        assert_eq!(get_api(central, "/api/v1/cap/alerts").await.json().as_array().unwrap().len(), 1);
        let path = format!("/api/v1/cap/alerts/{}/approve", taken["id"].as_str().unwrap());
        let approved = post(central, &path, "text/plain", Vec::new()).await;
        assert_eq!(approved.status, 200, "{}", approved.json());
        let rows = announced(central).await;
        assert_eq!(rows.len(), 1);
        assert_eq!((&rows[0]["class"], &rows[0]["groups"][0]), (&"emergency".into(), &"thon-1".into()));
        assert_eq!(post(central, &path, "text/plain", Vec::new()).await.status, 409);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_replace_and_cancels_end_what_went_straight_to_the_air() {
    with_central("on_arrival = 'straight_to_air'", async |central| {
        assert_eq!(push(central, &soon(FLOOD)).await["alert"]["state"], "sent");
        let update = push(central, &soon(UPDATE)).await;
        assert_eq!(update["alert"]["state"], "sent", "{update}");
        let ended = async || {
            let rows = announced(central).await;
            rows.iter().map(|row| row["ended"].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(ended().await, ["-", "superseded"]);
        // A stranger takes nothing back.
        let strange = CANCEL.replace("<sender>canhbao@kttv", "<sender>ai-do@kttv");
        assert_eq!(push(central, &strange).await["alert"]["state"], "ignored");
        let cancel = push(central, CANCEL).await;
        assert_eq!(cancel["alert"]["state"], "sent", "{cancel}");
        assert_eq!(ended().await, ["cancelled", "superseded"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_is_cancelled_can_not_be_approved() {
    with_central("", async |central| {
        let taken = push(central, &soon(UPDATE)).await;
        assert_eq!(push(central, CANCEL).await["alert"]["state"], "ended");
        let path = format!("/api/v1/cap/alerts/{}/approve", taken["id"].as_str().unwrap());
        assert_eq!(post(central, &path, "text/plain", Vec::new()).await.status, 409);
        assert!(announced(central).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_sends_alerts_and_only_alerts() {
    with_central("", async |central| {
        for (token, status) in
            [("", 401), ("Bearer a-token-for-alertz", 401), ("Bearer a-token-for-alerts", 202)]
        {
            let headers = [("authorization", token)];
            let answer = post_with(central, "/api/v1/cap", &headers, soon(FLOOD).into_bytes()).await;
            assert_eq!(answer.status, status, "{token}");
        }
        let bearer = format!("Bearer {CAP_TOKEN}");
        let headers = [("authorization", bearer.as_str())];
        assert_eq!(get(central, "/api/v1/cap/alerts", &headers).await.status, 401);
        let bad = post_with(central, "/api/v1/cap", &headers, b"<alert/>".to_vec()).await;
        assert_eq!(bad.status, 400);
        assert!(bad.json()["error_vi"].as_str().unwrap().contains("không đúng quy cách"));
    })
    .await;
}

/// A web server with a feed of one alert; ends with the test's process.
fn serve_feed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let feed = "<feed xmlns='http://www.w3.org/2005/Atom'><entry><link href='/lu-quet.xml'/></entry></feed>";
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(|line| line.unwrap());
            let asked = lines.next().unwrap_or_default();
            drop(lines.find(String::is_empty));
            let body = if asked.contains("lu-quet") { soon(FLOOD) } else { feed.to_owned() };
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    base
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_is_polled_and_each_alert_is_taken_once() {
    let base = serve_feed();
    with_central(&format!("feed = {{ url = '{base}/feed.xml' }}"), async |central| {
        let taken = until("the alert of the feed", async || {
            let alerts = get_api(central, "/api/v1/cap/alerts").await.json();
            alerts.as_array().unwrap().first().cloned()
        })
        .await;
        assert_eq!(taken["alert"]["state"], "draft");
        assert!(taken["reference"].as_str().unwrap().contains("VN-KTTV-2026-11-20-0417"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_certificates_are_named_only_what_is_signed_is_an_alert() {
    let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/cap/kttv.pem");
    with_central(&format!("certificates = [{certificate:?}]"), async |central| {
        let bearer = format!("Bearer {CAP_TOKEN}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/cap+xml")];
        let signed = include_str!("../fixtures/cap/lu-quet-ky.xml");
        for (alert, status) in
            [(FLOOD.to_owned(), 400), (signed.replace("Lũ quét", "Lũ lớn"), 400), (signed.to_owned(), 202)]
        {
            let answer = post_with(central, "/api/v1/cap", &headers, alert.into_bytes()).await;
            assert_eq!(answer.status, status, "{}", answer.text());
        }
    })
    .await;
}
