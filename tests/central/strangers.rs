//! Attempts of strangers and of stolen sessions: floods of alerts, requests within requests, voices that do not stop.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::commune::*;
use crate::support::staff::Staff;
use loaxa_central::Central;
use loaxa_central::settings::CapSettings;
use loaxa_central::store::Role;
use loaxa_heart::config::{box_file, central_file};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::Body;
use loaxa_heart::wire::topics::Topic;
use serde_json::json;

const FLOOD: &str = include_str!("../fixtures/cap/lu-quet.xml");
const CAP_TOKEN: &str = "a-token-for-alerts";

async fn with_central(test: impl AsyncFn(&Central)) {
    let dir = tempfile::tempdir().unwrap();
    let text = "[central]\nlisten = '127.0.0.1:0'\ndata_dir = 'd'\ncommune = 'X'\ngroup = 'xa'\n[api]\ntoken_file = 't'\n\
         [keys]\ncentral = 'c'\ntrust = 't.json'\n[broker]\nembedded = '127.0.0.1:1883'\n\
         [[group]]\nid = 'xa'\ntitle = 'X'\n[cap]\nsenders = ['canhbao@kttv.example.vn']\n\
         [[cap.place]]\ngroup = 'xa'\ncodes = ['DVHC=26-0417']\n";
    let config = central_file::parse(text, "central.toml", dir.path(), box_file::NamedFiles::Unseen);
    let config = config.unwrap().cap.unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.cap = Some(CapSettings {
        policy: config.policy,
        straight_to_air: config.straight_to_air,
        certificates: config.certificates,
        feed: None,
        token: Some(CAP_TOKEN.to_owned()),
    });
    let central = start(settings).await;
    test(&central).await;
    central.stop().await;
}

async fn push(central: &Central, token: &str, alert: String) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/cap+xml")];
    post_with(central, "/api/v1/cap", &headers, alert.into_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_floods_is_put_off_and_staff_are_not() {
    with_central(async |central| {
        let alert = |n: usize| {
            let padding = " ".repeat((4 << 20) - FLOOD.len() - 100);
            FLOOD
                .replace("<identifier>VN", &format!("<identifier>{n}-VN"))
                .replace("</alert>", &format!("{padding}</alert>"))
        };
        for n in 0..16 {
            assert_eq!(push(central, CAP_TOKEN, alert(n)).await.status, 202, "{n}");
        }
        let over = push(central, CAP_TOKEN, alert(16)).await;
        assert_eq!(over.status, 429, "{}", over.text());
        assert_eq!(push(central, CAP_TOKEN, alert(0)).await.status, 202, "one that is known is no news");
        assert_eq!(push(central, TOKEN, alert(16)).await.status, 202, "staff hand in what they like");
        until("an alarm", async || {
            let alarms = central.store().alarms(10).await.unwrap();
            alarms.iter().any(|alarm| alarm.kind.code() == "too_much").then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_is_dear_to_read_is_refused_in_short_words() {
    with_central(async |central| {
        let attributes: String = (0..300_000).map(|n| format!(" a{n}=''")).collect();
        let nested: String = (0..60_000).map(|n| format!("<a xmlns:n{n}='u{n}'>")).collect();
        let name = "a".repeat(3_000_000);
        for alert in [format!("<alert{attributes}/>"), nested, format!("<{name}/>"), format!("<a></{name}>")]
        {
            let refused = push(central, CAP_TOKEN, alert).await;
            assert!(
                refused.status == 400 && refused.body.len() < 4_000,
                "{} {}",
                refused.status,
                refused.body.len()
            );
        }
    })
    .await;
}

/// Sends bytes as they are; gives everything that comes back until the server ends it.
async fn raw(central: &Central, bytes: Vec<u8>) -> String {
    let to = central.http_addr();
    let talk = move || {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may be refused before its end.
        let _ = stream.write_all(&bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::task::spawn_blocking(talk).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_hides_in_another() {
    with_central(async |central| {
        let hidden = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let length = hidden.len();
        let pair = format!("POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n{hidden}");
        assert!(raw(central, pair.into_bytes()).await.contains("\nok\n"), "two requests that hide nothing");
        // Of a proxy and a server, one might go by the length and the other by the chunks.
        let heads = [
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
            format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
            format!("Content-Length: {length}\r\nTransfer-Encoding: identity, chunked, identity\r\n"),
            "Content-Length: 0\r\nContent-Length: 5\r\n".to_owned(),
            "Content-Length: 0, 5\r\n".to_owned(),
            "Content-Length: +5\r\n".to_owned(),
            "Content-Length: -1\r\n".to_owned(),
            "Content-Length: 99999999999999999999\r\n".to_owned(),
            "Transfer-Encoding : chunked\r\n".to_owned(),
            "Transfer-Encoding: xchunked\r\n".to_owned(),
            " Transfer-Encoding: chunked\r\n".to_owned(),
        ];
        for head in heads {
            for chunk in ["0\r\n\r\n", ""] {
                let sent = format!("POST /nowhere HTTP/1.1\r\nHost: localhost\r\n{head}\r\n{chunk}{hidden}");
                let told = raw(central, sent.into_bytes()).await;
                assert!(!told.contains("\nok\n"), "{head:?} {chunk:?}: {told}");
            }
        }
        let lies = ["fffffffffffffffff\r\n", "-1\r\n", "5;x=\u{1}\r\n", "5 5\r\n", "0x5\r\n", "g\r\n", "\r\n"];
        for lie in lies {
            let head = "POST /dang-nhap HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\nTransfer-Encoding: chunked\r\n";
            let kind = "Content-Type: application/x-www-form-urlencoded\r\n\r\n";
            let told = raw(central, format!("{head}{kind}{lie}{hidden}").into_bytes()).await;
            assert!(!told.contains("\nok\n"), "{lie:?}: {told}");
        }
        let many: String = (0..100).map(|n| format!("X-{n}: 1\r\n")).collect();
        let told = raw(central, format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{many}\r\n").into_bytes()).await;
        assert!(told.starts_with("HTTP/1.1 431"), "{told}");
        let long = "a".repeat(64 << 10);
        let told = raw(central, format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n").into_bytes()).await;
        assert!(!told.contains("200 OK"), "{told}");
    })
    .await;
}

/// The address of a voice that opens, or `None` for one that closes.
fn live_url(_: &Topic, bytes: &[u8]) -> Option<Option<String>> {
    match codec::open_command(bytes, &known_keys).ok()?.payload.body {
        Body::Live { url, open, .. } => Some(open.then_some(url)),
        _ => None,
    }
}

async fn begin(central: &Central, who: &Staff) -> String {
    let begun = who.post(central, "/noi-truc-tiep", &[("noi", "thon-1")]).await;
    assert_eq!(begun.status, 200, "{}", begun.text());
    begun.json()["phien"].as_str().unwrap().to_owned()
}

async fn say(central: &Central, who: &Staff, session: &str, number: u64) -> u16 {
    who.put(central, &format!("/noi-truc-tiep/{session}?so={number}"), &[1; 3_200]).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voice_is_its_speakers_and_ends_with_the_session() {
    with_central(async |central| {
        let duc = Staff::make(central, "duc", &[(Role::Duty, "xa")]).await;
        let thief = Staff::make(central, "trom", &[(Role::Duty, "xa")]).await;
        let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
        loa.hello("n", loa.holds(&[]));
        let (of_duc, of_thief) = (begin(central, &duc).await, begin(central, &thief).await);
        assert_eq!(say(central, &thief, &of_duc, 0).await, 410, "another's voice");
        assert_eq!(say(central, &duc, &of_duc, 0).await, 204);
        assert_eq!(say(central, &duc, &of_duc, 0).await, 204, "sent again over a broken line");
        assert_eq!(
            say(central, &thief, &of_thief, 0).await,
            204,
            "two speak at once, each in a voice of their own"
        );
        for _ in 0..2 {
            assert!(loa.next("a voice opens", live_url).await.is_some());
        }
        assert_eq!(say(central, &thief, &of_thief, 5).await, 410, "a piece is missing");
        assert_eq!(say(central, &thief, &of_thief, 1).await, 410, "what follows it is lost, too");
        assert_eq!(loa.next("the voice closes", live_url).await, None);

        let huge = duc.put(central, &format!("/noi-truc-tiep/{of_duc}?so=1"), &vec![0; 200_000]).await;
        assert_eq!(huge.status, 413);
        assert_eq!(say(central, &duc, &of_duc, 1).await, 204, "the voice is still there");
        let stolen = Staff { id: duc.id.clone(), cookie: duc.cookie.clone() };
        assert_eq!(duc.post(central, "/thoat", &[]).await.status, 303);
        let after = say(central, &stolen, &of_duc, 2).await;
        assert!(!matches!(after, 200 | 204), "{after}");
        assert_eq!(loa.next("the voice closes", live_url).await, None);
        duc.sign_in_again(central).await;
        assert_eq!(say(central, &duc, &of_duc, 2).await, 410, "it is over");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_loses_the_role_is_heard_no_more() {
    with_central(async |central| {
        let duc = Staff::make(central, "duc", &[(Role::Duty, "xa")]).await;
        let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
        loa.hello("n", loa.holds(&[]));
        let session = begin(central, &duc).await;
        assert_eq!(say(central, &duc, &session, 0).await, 204);
        assert!(loa.next("a voice opens", live_url).await.is_some());
        let roles = central.store().person(duc.id.clone()).await.unwrap().unwrap().roles;
        let act = loaxa_central::store::NewAct {
            at: loaxa_adapters::clock::wall(),
            actor: loaxa_central::store::Actor::Console,
            act: "role_ended",
            subject: "duc".to_owned(),
            before: None,
            after: None,
            from: None,
        };
        central.store().end_role(roles[0].id, act.at, act).await.unwrap();
        assert_eq!(say(central, &duc, &session, 1).await, 403);
        assert_eq!(loa.next("the voice closes", live_url).await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_one_session_are_counted_and_end_with_it() {
    with_central(async |central| {
        let lan = Staff::make(central, "lan", &[]).await;
        let open = |cookie: String| {
            let mut stream = TcpStream::connect(central.http_addr()).unwrap();
            stream.set_read_timeout(Some(PATIENCE.max(Duration::from_secs(60)))).unwrap();
            write!(stream, "GET /su-kien HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n").unwrap();
            let mut reader = BufReader::new(stream);
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            (line, reader)
        };
        let cookie = lan.cookie.clone();
        let streams: Vec<_> = tokio::task::block_in_place(|| (0..20).map(|_| open(cookie.clone())).collect());
        let told = |status: &str| streams.iter().filter(|(line, _)| line.contains(status)).count();
        assert_eq!((told(" 200 "), told(" 503 ")), (16, 4));
        assert_eq!(lan.post(central, "/thoat", &[]).await.status, 303);
        // Something changes: what, is not for them any more.
        let fields = json!({ "to": ["xa"], "class": "emergency", "title": "Lũ" });
        assert_eq!(announce(central, &fields, Some(&tone())).await.status, 201);
        tokio::task::block_in_place(|| {
            for (line, reader) in streams {
                if line.contains(" 200 ") {
                    assert!(reader.lines().any(|line| line.unwrap().contains("signed-out")));
                }
            }
        });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_steers_is_a_plain_name_in_every_list() {
    with_central(async |central| {
        let evil = "a%0Ab%1B%5B2Jc%E2%80%AEd%00".to_owned() + &"x".repeat(1_000);
        let answer =
            post(central, &format!("/api/v1/media?name={evil}"), "application/octet-stream", tone()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let name = answer.json()["name"].as_str().unwrap().to_owned();
        assert!(name.starts_with("a b[2Jcd") && name.chars().count() == 200, "{name:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cell_of_the_audit_trail_is_a_formula() {
    with_central(async |central| {
        let mai = Staff::make(central, "mai", &[(Role::Administrator, "xa")]).await;
        for word in ["=HYPERLINK(1)", "+1", "-1", "@x", "＝1", "\t=1"] {
            let act = loaxa_central::store::NewAct {
                at: loaxa_adapters::clock::wall(),
                actor: loaxa_central::store::Actor::Console,
                act: "place_renamed",
                subject: word.to_owned(),
                before: Some(word.to_owned()),
                after: Some(word.to_owned()),
                from: None,
            };
            central.store().note_act(act).await.unwrap();
        }
        let table = mai.get(central, "/ai-da-lam-gi.csv").await;
        let cells = || table.text().split('"').skip(1).step_by(2);
        assert!(cells().filter(|cell| *cell == "'=HYPERLINK(1)").count() == 3, "{}", table.text());
        let is_formula = |cell: &str| cell.trim_start().starts_with(['=', '+', '-', '@', '＝']);
        assert_eq!(cells().find(|cell| is_formula(cell)), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_keeps_nobody_from_a_browser_of_their_own() {
    const PASSWORD: &str = "con đê làng mình 1996";
    let dir = tempfile::tempdir().unwrap();
    let settings =
        loaxa_central::settings::Settings { second_factor: false, ..settings(dir.path(), embedded()) };
    let central = start(settings).await;
    let link = std::fs::read_to_string(dir.path().join("first-administrator")).unwrap();
    let origin = format!("http://{}", central.http_addr());
    let send = async |path: &str, cookie: &str, fields: &[(&str, &str)]| {
        let headers = [crate::support::staff::FORM, ("origin", origin.as_str()), ("cookie", cookie)];
        post_with(&central, path, &headers, crate::support::staff::form(fields)).await
    };
    let path = url::Url::parse(link.trim()).unwrap().path().to_owned();
    let fields = [("ho-ten", "Mai"), ("ten", "mai"), ("mat-khau", PASSWORD), ("nhac-lai", PASSWORD)];
    let begun = send(&path, "", &fields).await;
    let set = begun.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.as_str());
    let device = set.clone().find(|value| value.starts_with("loaxa-device=")).expect("a mark of the browser");
    assert!(device.contains("HttpOnly") && device.contains("SameSite=Strict"), "{device}");
    let device = device.split(';').next().unwrap();
    let sign_in = async |cookie: &str, account: &str, password: &str| {
        send("/dang-nhap", cookie, &[("ten", account), ("mat-khau", password)]).await.status
    };
    for _ in 0..10 {
        assert_eq!(sign_in("", "mai", "mật khẩu sai nhé").await, 401);
    }
    assert_eq!(sign_in("", "mai", PASSWORD).await, 401, "a browser that nobody knows waits");
    let (name, rest) = device.split_once('.').unwrap();
    let forged = [
        format!("loaxa-device=0{}.{rest}", &name["loaxa-device=0".len()..]),
        format!("{name}.{}", rest.replacen(|c: char| c.is_ascii_digit(), "0", 1)),
        name.to_owned(),
        "loaxa-device=..".to_owned(),
    ];
    for mark in forged.iter().filter(|mark| *mark != device) {
        assert_eq!(sign_in(mark, "mai", PASSWORD).await, 401, "{mark}");
    }
    assert_eq!(sign_in(device, "mai", PASSWORD).await, 303, "the one of Mai does not");
    // A stolen mark gives ten tries, and then its browser is a stranger, too.
    for _ in 0..10 {
        assert_eq!(sign_in(device, "mai", "mật khẩu sai nhé").await, 401);
    }
    for _ in 0..10 {
        assert_eq!(sign_in("", "mai", "mật khẩu sai nhé").await, 401);
    }
    assert_eq!(sign_in(device, "mai", PASSWORD).await, 401);
    central.stop().await;
}
