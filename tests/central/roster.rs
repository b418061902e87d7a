//! The roster and the chain of calling: letters to a real mail server and events to a real receiver.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::emergency::Duty;
use crate::support::commune::*;
use crate::support::staff::Staff;
use loaxa_central::Central;
use loaxa_central::settings::{Calling, Email, Webhook};
use loaxa_central::store::{CallState, Role};
use loaxa_heart::domain::time::{Span, Wall};

const SECRET: &[u8] = b"a secret of both, 32 bytes long.";

/// A mail server that takes every letter, one a connection; gives who it was to, and its text.
fn mail_server() -> (u16, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that hangs up has sent nothing.
            let _ = take_letter(stream, &tell);
        }
    });
    (port, told)
}

fn take_letter(mut stream: TcpStream, tell: &Sender<(String, String)>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let (mut to, mut text) = (String::new(), String::new());
    writeln!(stream, "220 test\r")?;
    while let Some(line) = lines.next().transpose()? {
        let said = line.to_uppercase();
        if said.starts_with("RCPT TO:") {
            to = line[8..].trim().trim_matches(['<', '>']).to_owned();
        }
        if said == "DATA" {
            writeln!(stream, "354 go on\r")?;
            for line in lines.by_ref().map_while(Result::ok).take_while(|line| line != ".") {
                text.push_str(&line);
                text.push('\n');
            }
            let _ = tell.send((to.clone(), std::mem::take(&mut text)));
        }
        writeln!(stream, "{}\r", if said == "QUIT" { "221 bye" } else { "250 ok" })?;
    }
    Ok(())
}

/// An event as it was received: its headers in lower case, and its body.
pub struct Received {
    pub path: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value.as_str())
    }
}

/// A receiver that answers each request with the next of these statuses, and then with 204.
pub fn receiver(statuses: &'static [&'static str]) -> (String, Receiver<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    let left = Arc::new(Mutex::new(statuses.iter()));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let status = left.lock().unwrap().next().copied().unwrap_or("204 No Content");
            let _ = take_event(stream, status, &tell);
        }
    });
    (format!("http://{address}/goi"), told)
}

fn take_event(mut stream: TcpStream, status: &str, tell: &Sender<Received>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, it)| it.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).unwrap();
    let _ = tell.send(Received { path, headers, body });
    write!(
        stream,
        "HTTP/1.1 {status}\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
}

fn calling(mail: Option<u16>, webhook: Option<String>) -> Calling {
    Calling {
        next_after: Span::millis(700),
        above_after: Span::millis(2_100),
        email: mail.map(|port| Email {
            url: format!("smtp://127.0.0.1:{port}").parse().unwrap(),
            password: None,
            from: "Loa Xã <loa@xa.vn>".to_owned(),
            private_addresses: true,
        }),
        webhook: webhook.map(|url| Webhook {
            url: url.parse().unwrap(),
            secret: SECRET.to_vec(),
            private_addresses: true,
        }),
    }
}

async fn with_calling(calling: Calling, test: impl AsyncFn(&Central, &Duty, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.calling = calling;
    let central = start(settings).await;
    let duty = Duty::new(&central).await;
    test(&central, &duty, dir.path()).await;
    central.stop().await;
}

/// Adds a turn on all days, the whole day.
async fn add_turn(central: &Central, by: &Staff, fields: &[(&str, &str)]) -> Answer {
    let days = ["0", "1", "2", "3", "4", "5", "6"].map(|day| ("thu-may", day));
    let all = [fields, &days, &[("tu", "0h"), ("den", "0h")]].concat();
    by.post(central, "/truc-ban/ca", &all).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_officer_is_called_then_the_next_then_the_level_above() {
    let (port, letters) = mail_server();
    let (url, events) = receiver(&[]);
    with_calling(calling(Some(port), Some(url)), async |central, duty, _| {
        let mai = Staff::make(central, "mai", &[(Role::Administrator, "xa")]).await;
        Staff::make(central, "chi", &[(Role::Duty, "xa")]).await;
        for fields in [
            &[("nguoi", "chi"), ("thu", "chi@xa.vn"), ("thu-tu", "2")][..],
            &[("nguoi", "binh"), ("thu", "binh@xa.vn"), ("thu-tu", "1")],
            &[("nguoi", "cap-tren"), ("ten", "Trực ban tỉnh"), ("thu", "truc@tinh.vn"), ("thu-tu", "1")],
        ] {
            let added = add_turn(central, &mai, fields).await;
            assert_eq!(added.status, 303, "{}", added.text());
        }
        let begun = std::time::Instant::now();
        let (id, _) = duty.call(central).await;
        let mut order = Vec::new();
        for _ in 0..3 {
            let (to, text) = letters.recv_timeout(PATIENCE).unwrap();
            assert!(text.contains(&format!("/khan-cap/{id}")) || text.contains("base64"), "{text}");
            println!("{to} was called after {:.1?}", begun.elapsed());
            order.push(to);
        }
        assert_eq!(order, ["binh@xa.vn", "chi@xa.vn", "truc@tinh.vn"]);
        let called = central.store().called(id.parse().unwrap()).await.unwrap();
        let call = central.store().call(id.parse().unwrap()).await.unwrap().unwrap();
        let after = |place: usize| called[place].at.since(call.began);
        assert!(after(1) >= Span::millis(700) && after(2) >= Span::millis(2_100), "{called:?}");
        // The same people by the webhook, signed by the convention.
        let mut ids = Vec::new();
        for _ in 0..3 {
            let event = events.recv_timeout(PATIENCE).unwrap();
            let (event_id, at) = (event.header("webhook-id"), event.header("webhook-timestamp"));
            let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
            mac.update(format!("{event_id}.{at}.{}", event.body).as_bytes());
            let signature = format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()));
            assert_eq!(event.header("webhook-signature"), signature);
            let body: serde_json::Value = serde_json::from_str(&event.body).unwrap();
            assert_eq!(
                (&body["type"], &body["data"]["call"]),
                (&"call.emergency".into(), &id.clone().into())
            );
            ids.push(event_id.to_owned());
        }
        ids.dedup();
        assert_eq!(ids.len(), 3);
        let page = duty.an.get(central, &format!("/khan-cap/{id}")).await;
        assert!(page.text().contains("Trực ban tỉnh"), "{}", page.text());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_stops_the_calling_and_who_declines_lets_it_go_on() {
    with_calling(calling(None, None), async |central, duty, _| {
        let chi = Staff::make(central, "chi", &[(Role::Duty, "xa")]).await;
        let (id, _) = duty.call(central).await;
        let path = format!("/khan-cap/{id}");
        until("the first is called", async || {
            (central.store().called(id.parse().unwrap()).await.unwrap().len() == 1).then_some(())
        })
        .await;
        let heard = duty.binh.post(central, &path, &[("viec", "nghe")]).await;
        assert_eq!(heard.status, 303);
        let page = duty.an.get(central, &path).await;
        assert!(
            page.text().contains("tôi nghe đây") && !page.text().contains("Sẽ gọi lúc"),
            "{}",
            page.text()
        );
        let bell = duty.binh.get(central, "/fragments/goi").await;
        assert!(bell.text().contains("gọi bạn") && !bell.text().contains("data-tieng"), "it rings no more");
        assert_eq!(duty.an.post(central, &path, &[("viec", "nghe")]).await.status, 403, "not one's own call");
        duty.binh.post(central, &path, &[("viec", "khong")]).await;
        until("the next is called", async || {
            (central.store().called(id.parse().unwrap()).await.unwrap().len() == 2).then_some(())
        })
        .await;
        assert!(!duty.binh.get(central, "/fragments/goi").await.text().contains("gọi bạn"));
        assert!(chi.get(central, "/fragments/goi").await.text().contains("data-tieng"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_tried_again_under_its_id_and_follows_no_redirect() {
    let (url, events) = receiver(&["500 No", "302 Found"]);
    with_calling(calling(None, Some(url)), async |central, duty, _| {
        let (id, _) = duty.call(central).await;
        let first = events.recv_timeout(PATIENCE).unwrap();
        let look = async || {
            let letters = central.store().letters(id.parse().unwrap()).await.unwrap();
            letters.into_iter().find(|row| row.tries == 1)
        };
        let row = until("the first try is noted", look).await;
        assert_eq!((row.sent, row.fault.as_deref()), (None, Some("the receiver answered 500")));
        let second = events.recv_timeout(PATIENCE).unwrap();
        assert_eq!((first.path.as_str(), second.path.as_str()), ("/goi", "/goi"));
        assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
        let third = events.recv_timeout(PATIENCE).unwrap();
        assert_eq!((third.path.as_str(), &third.body), ("/goi", &first.body), "no redirect was followed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_a_private_address_that_is_not_allowed() {
    let (port, letters) = mail_server();
    let (url, events) = receiver(&[]);
    let mut calling = calling(Some(port), Some(url));
    calling.email.as_mut().unwrap().private_addresses = false;
    calling.webhook.as_mut().unwrap().private_addresses = false;
    with_calling(calling, async |central, duty, _| {
        let mai = Staff::make(central, "mai", &[(Role::Administrator, "xa")]).await;
        add_turn(central, &mai, &[("nguoi", "binh"), ("thu", "binh@xa.vn"), ("thu-tu", "1")]).await;
        let (id, _) = duty.call(central).await;
        let look = async || {
            let letters = central.store().letters(id.parse().unwrap()).await.unwrap();
            (letters.len() == 2 && letters.iter().all(|row| row.tries > 0)).then_some(letters)
        };
        for row in until("both were tried", look).await {
            assert!(row.fault.as_ref().unwrap().contains("no public address"), "{row:?}");
        }
        assert!(letters.try_recv().is_err() && events.try_recv().is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_calls_without_sound_and_is_on_record() {
    with_calling(calling(None, None), async |central, duty, _| {
        let page = duty.an.get(central, "/truc-ban").await;
        assert!(page.text().contains("Đã hơn một tháng chưa tập"), "{}", page.text());
        assert_eq!(duty.an.post(central, "/truc-ban/tap", &[]).await.status, 303);
        assert_eq!(duty.binh.post(central, "/truc-ban/tap", &[]).await.status, 303, "one drill at a time");
        let drills = central.store().drills(9).await.unwrap();
        assert_eq!(drills.len(), 1);
        let bell = duty.binh.get(central, "/fragments/goi").await;
        assert!(
            bell.text().contains("tập gọi người trực") && !bell.text().contains("data-tieng"),
            "{}",
            bell.text()
        );
        let id = &drills[0].id;
        until("the second officer is called", async || {
            (!central.store().called(id.clone()).await.unwrap().is_empty()).then_some(())
        })
        .await;
        duty.binh.post(central, &format!("/khan-cap/{id}"), &[("viec", "nghe")]).await;
        let row = central.store().call(id.clone()).await.unwrap().unwrap();
        assert_eq!(row.state_at(Wall::MAX), CallState::Answered);
        let page = duty.an.get(central, "/truc-ban").await;
        assert!(page.text().contains("Cán bộ binh trả lời sau"), "{}", page.text());
        assert!(page.text().contains("Tháng này đã tập"));
        assert!(central.store().announcements(None, 9).await.unwrap().is_empty(), "nothing is aired");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_communes_administrator_changes_the_roster() {
    with_calling(Calling::default(), async |central, duty, _| {
        let turn = [("nguoi", "binh"), ("thu-tu", "1")];
        assert_eq!(add_turn(central, &duty.an, &turn).await.status, 403);
        let village = Staff::make(central, "village", &[(Role::Administrator, "thon-1")]).await;
        assert_eq!(add_turn(central, &village, &turn).await.status, 403);
        let mai = Staff::make(central, "mai", &[(Role::Administrator, "xa")]).await;
        for (fields, says) in [
            (&[("nguoi", "mai")][..], "Hãy chọn người trực"),
            (&[("nguoi", "cap-tren")], "Hãy ghi tên người ở cấp trên"),
            (&[("nguoi", "binh"), ("thu", "binh@xa.vn\r\nBcc: ai@kia.vn")], "Thư điện tử chưa đúng"),
        ] {
            let answer = add_turn(central, &mai, fields).await;
            assert_eq!(answer.status, 400, "{fields:?}");
            assert_eq!(answer.text().matches(says).count(), 2, "{says}: {}", answer.text());
        }
        assert_eq!(add_turn(central, &mai, &turn).await.status, 303);
        let page = duty.an.get(central, "/truc-ban").await;
        assert!(page.text().contains("Cán bộ binh") && page.text().contains("Đang trực"), "{}", page.text());
        let id = central.store().shifts().await.unwrap()[0].id;
        assert_eq!(village.post(central, &format!("/truc-ban/ca/{id}/bo"), &[]).await.status, 403);
        assert_eq!(mai.post(central, &format!("/truc-ban/ca/{id}/bo"), &[]).await.status, 303);
        assert!(central.store().shifts().await.unwrap().is_empty());
    })
    .await;
}
