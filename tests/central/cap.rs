//! CAP alerts over HTTP: a draft for the duty officer, straight to the air, updated and cancelled, and taken once.
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use crate::support::commune::*;
use crate::support::staff::Staff;
use chrono::{FixedOffset, SecondsFormat, TimeDelta, Utc};
use loaxa_central::Central;
use loaxa_central::settings::{CapSettings, Feed, Settings};
use loaxa_central::store::{PassedOver, Role};
use loaxa_heart::config::central_file;
use serde_json::{Value, json};

const FLOOD: &str = include_str!("../fixtures/cap/lu-quet.xml");
const UPDATE: &str = include_str!("../fixtures/cap/lu-quet-cap-nhat.xml");
const CANCEL: &str = include_str!("../fixtures/cap/lu-quet-huy.xml");
const FIRST_CANCEL: &str = include_str!("../fixtures/cap/world/reverse_1_cancel.xml");
const THEN_ALERT: &str = include_str!("../fixtures/cap/world/reverse_2_alert.xml");
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

/// Settings of a central that takes alerts as `[cap]` with these lines says.
fn settings_with(dir: &Path, lines: &str) -> Settings {
    let text = format!(
        "[central]\nlisten = '127.0.0.1:0'\ndata_dir = 'd'\ncommune = 'X'\ngroup = 'xa'\n[api]\ntoken_file = 't'\n\
         [keys]\ncentral = 'c'\ntrust = 't.json'\n[broker]\nembedded = '127.0.0.1:1883'\n\
         [[group]]\nid = 'xa'\ntitle = 'X'\n[[group]]\nid = 'thon-1'\ntitle = 'T'\nparent = 'xa'\n\
         [cap]\nsenders = ['canhbao@kttv.example.vn', 'canhbao@example.vn']\n{lines}\n\
         [[cap.place]]\ngroup = 'thon-1'\ncodes = ['DVHC=26-0417']\n"
    );
    let unseen = loaxa_heart::config::box_file::NamedFiles::Unseen;
    let config = central_file::parse(&text, "central.toml", dir, unseen).unwrap().cap.unwrap();
    let mut settings = settings(dir, embedded());
    settings.cap = Some(CapSettings {
        policy: config.policy,
        straight_to_air: config.straight_to_air,
        certificates: config.certificates,
        feed: config.feed.map(|feed| Feed { url: feed.url, ca: feed.ca, every: Duration::from_millis(200) }),
        token: Some(CAP_TOKEN.to_owned()),
    });
    settings
}

async fn with_central(lines: &str, test: impl AsyncFn(&Central)) {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings_with(dir.path(), lines)).await;
    test(&central).await;
    central.stop().await;
}

async fn push(central: &Central, alert: &str) -> Value {
    push_as(central, CAP_TOKEN, alert).await
}

async fn push_as(central: &Central, token: &str, alert: &str) -> Value {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/cap+xml")];
    let answer = post_with(central, "/api/v1/cap", &headers, alert.as_bytes().to_vec()).await;
    assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

async fn approve(central: &Central, taken: &Value, query: &str) -> u16 {
    let path = format!("/api/v1/cap/alerts/{}/approve{query}", taken["id"].as_str().unwrap());
    post(central, &path, "text/plain", Vec::new()).await.status
}

/// The state of an alert by its identifier, as the list shows it.
async fn state_of(central: &Central, identifier: &str) -> String {
    let listed = get_api(central, "/api/v1/cap/alerts").await.json();
    let name = format!(",{identifier},");
    let found =
        listed.as_array().unwrap().iter().find(|row| row["reference"].as_str().unwrap().contains(&name));
    found.map_or_else(|| "-".to_owned(), |row| row["alert"]["state"].as_str().unwrap().to_owned())
}

/// Lists the ends of the announcements, newest first.
async fn endings(central: &Central) -> Vec<String> {
    let rows = announced(central).await;
    rows.iter().map(|row| row["ended"].as_str().unwrap_or("-").to_owned()).collect()
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

/// An alert of little severity, for a quarter past three tomorrow night.
fn at_night() -> String {
    let text = soon(FLOOD);
    let (before, rest) = text.split_once("<onset>").unwrap();
    let (_, after) = rest.split_once("</onset>").unwrap();
    let tomorrow = Utc::now().with_timezone(&FixedOffset::east_opt(7 * 3_600).unwrap()) + TimeDelta::days(1);
    let day = tomorrow.format("%Y-%m-%d");
    let text = format!("{before}<onset>{day}T03:15:00+07:00</onset>{after}");
    let (before, rest) = text.split_once("<expires>").unwrap();
    let (_, after) = rest.split_once("</expires>").unwrap();
    let text = format!("{before}<expires>{day}T05:00:00+07:00</expires>{after}");
    text.replace("<severity>Extreme<", "<severity>Minor<").replace("<severity>Severe<", "<severity>Minor<")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_duty_officer_hears_beforehand_of_what_guards_refuse() {
    with_central("", async |central| {
        let taken = push(central, &at_night()).await;
        assert_eq!(taken["alert"]["state"], "draft", "{taken}");
        let path = format!("/api/v1/cap/alerts/{}/approve", taken["id"].as_str().unwrap());
        let foreseen = post(central, &format!("{path}?foresee=true"), "text/plain", Vec::new()).await;
        assert_eq!(foreseen.status, 200, "{}", foreseen.json());
        assert!(announced(central).await.is_empty(), "nothing was sent");
        let expected = &foreseen.json()["expected"];
        assert_eq!(expected.as_array().unwrap().len(), 1, "{expected}");
        assert_eq!(post(central, &path, "text/plain", Vec::new()).await.status, 200);
        assert_eq!(announced(central).await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_replace_and_cancels_end_what_went_straight_to_the_air() {
    with_central("on_arrival = 'straight_to_air'", async |central| {
        assert_eq!(push(central, &soon(FLOOD)).await["alert"]["state"], "sent");
        let update = push(central, &soon(UPDATE)).await;
        assert_eq!(update["alert"]["state"], "sent", "{update}");
        assert_eq!(endings(central).await, ["-", "superseded"]);
        // A stranger takes nothing back.
        let strange = CANCEL.replace("<sender>canhbao@kttv", "<sender>ai-do@kttv");
        assert_eq!(push(central, &strange).await["alert"]["state"], "ignored");
        let cancel = push(central, CANCEL).await;
        assert_eq!(cancel["alert"]["state"], "sent", "{cancel}");
        assert_eq!(endings(central).await, ["cancelled", "superseded"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_another_central_took_an_alert_from_says_it_no_more() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("tone.wav"), tone()).unwrap();
    let speech = "cd $1; while ! test -e gate; do sleep 0.05; done; cp tone.wav \"$0\"";
    let speech = ["sh", "-c", speech, "{out}", dir.path().to_str().unwrap()].map(str::to_owned).to_vec();
    let settings = Settings { speech, ..settings_with(dir.path(), "on_arrival = 'straight_to_air'") };
    let central = start(settings).await;
    let store = central.store();
    let take_away = async {
        let row = until("sent", async || store.caps_in_state("sending").await.unwrap().pop()).await;
        let mut kept: Value = serde_json::from_str(&row.state).unwrap();
        kept["by_central"] = "other".into();
        assert!(store.change_cap(row.id.clone(), row.state, kept.to_string()).await.unwrap());
        std::fs::write(dir.path().join("gate"), "").unwrap();
        (row.id, kept.to_string())
    };
    let alert = soon(FLOOD);
    let (_, (id, taken)) = tokio::join!(push(&central, &alert), take_away);
    assert_eq!((announced(&central).await.len(), store.cap(id).await.unwrap().unwrap().state), (0, taken));
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_is_cancelled_can_not_be_approved() {
    with_central("", async |central| {
        let taken = push(central, &soon(UPDATE)).await;
        assert_eq!(push(central, CANCEL).await["alert"]["state"], "ended");
        assert_eq!(approve(central, &taken, "").await, 409);
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

/// The answer of a web server.
enum Answer {
    Whole(String),
    /// The whole is announced, and half of it comes.
    Half(String),
    Moved(&'static str),
}

/// A web server with the answers of each path, the last of them again and again; `PORT` stands for its own port. It ends
/// with the test's process.
fn serve(paths: Vec<(&'static str, Vec<Answer>)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let base = format!("http://127.0.0.1:{port}");
    let mut asked_before: BTreeMap<String, usize> = BTreeMap::new();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(|line| line.unwrap());
            let asked = lines.next().unwrap_or_default();
            drop(lines.find(String::is_empty));
            let path = asked.split(' ').nth(1).unwrap_or_default().to_owned();
            let before = asked_before.entry(path.clone()).or_default();
            let answers = paths.iter().find(|(known, _)| *known == path).map(|(_, answers)| answers);
            let answer = answers.map(|answers| &answers[(*before).min(answers.len() - 1)]);
            *before += 1;
            let ok = |body: &str, sent: &str| {
                format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{sent}",
                    body.len()
                )
            };
            let said = match answer {
                Some(Answer::Whole(body)) => {
                    let body = body.replace("PORT", &port);
                    ok(&body, &body)
                }
                Some(Answer::Half(body)) => ok(body, &body.chars().take(400).collect::<String>()),
                Some(Answer::Moved(to)) => {
                    let to = to.replace("PORT", &port);
                    format!(
                        "HTTP/1.1 301 Moved\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                    )
                }
                None => "HTTP/1.1 404 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
            };
            let _ = stream.write_all(said.as_bytes());
        }
    });
    base
}

fn whole(text: &str) -> Vec<Answer> {
    vec![Answer::Whole(soon(text))]
}

/// An alert of a feed under another name.
fn named(identifier: &str) -> String {
    const Y: &str = include_str!("../fixtures/cap/feed/cap_y-alert.xml");
    soon(&Y.replace(">y1<", &format!(">{identifier}<")).replace("Y CU", identifier))
}

/// Waits until the alerts have come so far.
async fn until_states(central: &Central, expected: &[(&str, &str)]) {
    for (identifier, state) in expected {
        until(&format!("{identifier} is {state}"), async || {
            (state_of(central, identifier).await == *state).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_is_polled_and_each_alert_is_taken_once() {
    let feed = "<feed xmlns='http://www.w3.org/2005/Atom'><entry><link href='/lu-quet.xml'/></entry></feed>";
    let base = serve(vec![("/feed.xml", whole(feed)), ("/lu-quet.xml", whole(FLOOD))]);
    with_central(&format!("feed = {{ url = '{base}/feed.xml' }}"), async |central| {
        until_states(central, &[("VN-KTTV-2026-11-20-0417", "draft")]).await;
        assert_eq!(get_api(central, "/api/v1/cap/alerts").await.json().as_array().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_tells_the_newest_first_airs_nothing_that_was_cancelled() {
    const FEED: &str = include_str!("../fixtures/cap/feed/newest_first_and_others.atom");
    let z = named("z1");
    let latest = vec![Answer::Whole(named("l1")), Answer::Whole(named("l2"))];
    let base = serve(vec![
        ("/feed.atom", whole(FEED)),
        ("/cap/x-cancel.xml", whole(include_str!("../fixtures/cap/feed/cap_x-cancel.xml"))),
        ("/cap/x-alert.xml", whole(include_str!("../fixtures/cap/feed/cap_x-alert.xml"))),
        ("/cap/y-update.xml", whole(include_str!("../fixtures/cap/feed/cap_y-update.xml"))),
        ("/cap/y-alert.xml", whole(include_str!("../fixtures/cap/feed/cap_y-alert.xml"))),
        ("/api/v1/warnings/feeds-vietnam/3ec5a08b", whole(&named("meteo"))),
        ("/eventpage/us1.cap", whole(&named("us1"))),
        // Once half of what was announced, once whole by its length and half by its sense.
        (
            "/cap/z.xml",
            vec![Answer::Half(z.clone()), Answer::Whole(z[..600].to_owned()), Answer::Whole(z.clone())],
        ),
        ("/cap/empty.xml", whole(&named("empty").replace("</description>", "</description><instruction/>"))),
        ("/cap/latest.xml", latest),
    ]);
    let lines = format!("on_arrival = 'straight_to_air'\nfeed = {{ url = '{base}/feed.atom' }}");
    with_central(&lines, async |central| {
        let sent = ["y2", "meteo", "us1", "z1", "empty", "l1", "l2", "emb1"].map(|name| (name, "sent"));
        until_states(central, &sent).await;
        until_states(central, &[("x1", "ended"), ("x2", "ended"), ("y1", "ended")]).await;
        let titles: Vec<_> =
            announced(central).await.iter().map(|row| row["title"].as_str().unwrap().to_owned()).collect();
        assert_eq!(titles.len(), sent.len(), "{titles:?}");
        assert!(!titles.iter().any(|title| title == "X DA HUY" || title == "Y CU"), "{titles:?}");
        // What came whole in the end is passed over no more.
        assert_eq!(state_of(central, "/cap/z.xml").await, "-");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_in_rss_is_followed_on_its_own_server_only_and_the_rest_is_said() {
    const FEED: &str = include_str!("../fixtures/cap/feed/rss_oldest_first.rss");
    let others = "<item><title>strange</title><link>https://evil.example/cap.xml</link></item>\
                  <item><title>lost</title><link>/cap/lost.xml</link></item>\
                  <item><title>away</title><link>/away.xml</link></item>\
                  <item><title>page</title><link>/page.html</link></item></channel>";
    let base = serve(vec![
        ("/feed.rss", whole(&FEED.replace("</channel>", others))),
        ("/cap/x-alert.xml", whole(include_str!("../fixtures/cap/feed/cap_x-alert.xml"))),
        ("/cap/x-cancel.xml", whole(include_str!("../fixtures/cap/feed/cap_x-cancel.xml"))),
        ("/cap/y-alert.xml", whole(include_str!("../fixtures/cap/feed/cap_y-alert.xml"))),
        ("/eventpage/us1.cap", whole(&named("us1"))),
        ("/redirect.xml", vec![Answer::Moved("http://127.0.0.1:PORT/moved.xml")]),
        ("/moved.xml", whole(&named("moved"))),
        ("/away.xml", vec![Answer::Moved("http://localhost:PORT/moved.xml")]),
        ("/page.html", whole("<html><body>Bão</body></html>")),
    ]);
    let lines = format!("on_arrival = 'straight_to_air'\nfeed = {{ url = '{base}/feed.rss' }}");
    with_central(&lines, async |central| {
        until_states(central, &["y1", "us1", "moved"].map(|name| (name, "sent"))).await;
        until_states(central, &[("x1", "ended"), ("x2", "ended")]).await;
        assert_eq!(announced(central).await.len(), 3);
        let expected = [
            ("strange", "other servers"),
            ("/cap/lost.xml", "status 404"),
            ("/away.xml", "is moved to http://localhost"),
            ("/page.html", "is no CAP 1.2"),
        ];
        for (what, why) in expected {
            until(what, async || {
                let listed = get_api(central, "/api/v1/cap/alerts").await.json();
                let rows = listed.as_array().unwrap().iter();
                let passed: Vec<_> =
                    rows.filter(|row| row["reference"].as_str().unwrap().ends_with(what)).collect();
                let [row] = passed[..] else { return None };
                assert_eq!(row["alert"]["state"], "passed_over");
                assert!(row["alert"]["why"].as_str().unwrap().contains(why), "{row}");
                assert!(row["alert"]["why_vi"].is_string());
                Some(())
            })
            .await;
        }
        until("what stays so is an alarm", async || {
            let alarms = central.store().alarms(10).await.unwrap();
            alarms.iter().any(|alarm| alarm.kind.code() == "alert_passed_over").then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_read_what_came_and_why_something_was_passed_over() {
    with_central("", async |central| {
        push(central, &soon(include_str!("../fixtures/cap/world/no_area.xml"))).await;
        let passed = PassedOver {
            what: "https://kttv.example.vn/<5>".to_owned(),
            why: "status 404".to_owned(),
            why_vi: "máy chủ trả lời mã 404".to_owned(),
            last: "2026-11-26T10:00:00Z".parse().unwrap(),
        };
        central.store().pass_over_cap(passed).await.unwrap();
        let lan = Staff::make(central, "lan", &[(Role::Duty, "xa")]).await;
        let page = lan.get(central, "/canh-bao/da-nhan").await;
        assert_eq!(page.status, 200);
        for part in ["chờ duyệt", "bị bỏ qua", "kttv.example.vn/&lt;5&gt;", "máy chủ trả lời mã 404"]
        {
            assert!(page.text().contains(part), "{part} in {}", page.text());
        }
        let link = lan.get(central, "/canh-bao").await;
        assert!(link.text().contains("/canh-bao/da-nhan"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_the_media_type_is_found_among_others() {
    const FEED: &str = include_str!("../fixtures/cap/feed/meteoalarm_link_type.atom");
    let base = serve(vec![
        ("/feed.atom", whole(FEED)),
        ("/api/v1/warnings/feeds-vietnam/3ec5a08b", whole(&named("meteo"))),
    ]);
    with_central(&format!("feed = {{ url = '{base}/feed.atom' }}"), async |central| {
        until_states(central, &[("meteo", "draft")]).await;
    })
    .await;
}

/// Pushes `alerts` in this order, each after a restart of central, and checks the state that each gets and how many
/// announcements there are after the last.
async fn check_order(lines: &str, alerts: &[&str], states: &[&str], announcements: usize) {
    let dir = tempfile::tempdir().unwrap();
    for (n, (alert, state)) in alerts.iter().zip(states).enumerate() {
        let central = start(settings_with(dir.path(), lines)).await;
        let taken = push(&central, &soon(alert)).await;
        assert_eq!(taken["alert"]["state"], *state, "{n}: {taken}");
        if n + 1 == alerts.len() {
            assert_eq!(announced(&central).await.len(), announcements);
        }
        central.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_an_alert_may_come_before_it_and_is_remembered_over_restarts() {
    let straight = "on_arrival = 'straight_to_air'";
    check_order(straight, &[FIRST_CANCEL, THEN_ALERT], &["ended", "ended"], 0).await;
    check_order("", &[FIRST_CANCEL, THEN_ALERT], &["ended", "ended"], 0).await;
    check_order(straight, &[UPDATE, FLOOD], &["sent", "ended"], 1).await;
    check_order("", &[UPDATE, FLOOD], &["draft", "ended"], 0).await;
    // A cancelled update takes with it what it would have replaced, in any order.
    check_order(straight, &[CANCEL, UPDATE, FLOOD], &["ended", "ended", "ended"], 0).await;
    check_order(straight, &[CANCEL, FLOOD, UPDATE], &["ended", "sent", "sent"], 1).await;
    check_order("", &[FLOOD, CANCEL, UPDATE], &["draft", "ended", "ended"], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_update_that_waits_for_the_officer_ends_what_is_on_the_air() {
    with_central("", async |central| {
        let flood = push(central, &soon(FLOOD)).await;
        assert_eq!(approve(central, &flood, "").await, 200);
        assert_eq!(push(central, &soon(UPDATE)).await["alert"]["state"], "draft");
        let cancel = push(central, CANCEL).await;
        assert_eq!(cancel["alert"]["state"], "draft", "{cancel}");
        assert_eq!(state_of(central, "VN-KTTV-2026-11-20-0630").await, "ended");
        assert_eq!(approve(central, &cancel, "").await, 200);
        assert_eq!(endings(central).await, ["cancelled"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_ends_what_somebody_else_vouched_for() {
    with_central("on_arrival = 'straight_to_air'", async |central| {
        // A stranger's word that came first keeps no warning from being said.
        assert_eq!(push(central, FIRST_CANCEL).await["alert"]["state"], "ended");
        let alert = push_as(central, TOKEN, &soon(THEN_ALERT)).await;
        assert_eq!(alert["alert"]["state"], "sent", "{alert}");
        // Nor does one that comes later; a person may let it.
        let again = FIRST_CANCEL.replace(">revc<", ">revd<");
        let cancel = push(central, &again).await;
        assert_eq!(cancel["alert"]["state"], "draft", "{cancel}");
        assert!(cancel["alert"]["why_vi"].as_str().unwrap().contains("nguồn khác"), "{cancel}");
        assert_eq!(endings(central).await, ["-"]);
        assert_eq!(approve(central, &cancel, "").await, 200);
        assert_eq!(endings(central).await, ["cancelled"]);
        // A name that a stranger used first does not keep the true alert out.
        let fake = soon(&FLOOD.replace("Cảnh báo lũ quét", "Không có lũ quét"));
        let fake = push(central, &fake).await;
        let flood = push_as(central, TOKEN, &soon(FLOOD)).await;
        assert_ne!(fake["id"], flood["id"]);
        assert_eq!(flood["alert"]["state"], "sent");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_ends_by_what_has_its_weight_or_by_a_person() {
    with_central("on_arrival = 'straight_to_air'", async |central| {
        assert_eq!(push(central, &soon(FLOOD)).await["alert"]["state"], "sent");
        let exercise =
            UPDATE.replace(">Actual<", ">Exercise<").replace("</scope>", "</scope><note>Diễn tập</note>");
        let exercise = exercise.replace("-0630<", "-0629<");
        assert_eq!(push(central, &soon(&exercise)).await["alert"]["state"], "sent");
        let test = UPDATE.replace(">Actual<", ">Test<").replace("-0630<", "-0628<");
        assert_eq!(push(central, &soon(&test)).await["alert"]["state"], "sent");
        assert_eq!(endings(central).await, ["-", "-", "-"]);
        let cancelled_in_exercise = CANCEL.replace(">Actual<", ">Exercise<").replace("-0630", "-0417");
        let cancelled_in_exercise =
            cancelled_in_exercise.replace("T06:30", "T04:17").replace("-1105<", "-1104<");
        push(central, &cancelled_in_exercise).await;
        assert_eq!(endings(central).await, ["-", "-", "-"]);
        let lesser =
            push(central, &soon(&UPDATE.replace(">Extreme<", ">Minor<").replace(">Severe<", ">Minor<")))
                .await;
        assert_eq!(lesser["alert"]["state"], "draft", "{lesser}");
        assert_eq!(endings(central).await, ["-", "-", "-"]);
        assert_eq!(approve(central, &lesser, "").await, 200);
        // It does not supersede, which would take the emergency's power: the earlier one is cancelled.
        assert_eq!(endings(central).await, ["-", "-", "-", "cancelled"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_all_clear_ends_the_emergency_without_a_siren() {
    with_central("on_arrival = 'straight_to_air'", async |central| {
        push(central, &soon(FLOOD)).await;
        let all_clear = UPDATE
            .replace(">Alert<", ">Update<")
            .replace("<urgency>", "<responseType>AllClear</responseType><urgency>");
        let all_clear = push(central, &soon(&all_clear)).await;
        assert_eq!(all_clear["alert"]["state"], "sent", "{all_clear}");
        let rows = announced(central).await;
        assert_eq!(
            (&rows[0]["class"], &rows[1]["ended"]),
            (&"priority".into(), &"cancelled".into()),
            "{rows:?}"
        );
        let by_itself = push(central, &soon(include_str!("../fixtures/cap/world/allclear.xml"))).await;
        assert_eq!(by_itself["alert"]["said"][0]["class"], "priority", "{by_itself}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_without_a_place_waits_for_a_person() {
    with_central("on_arrival = 'straight_to_air'", async |central| {
        let taken = push(central, &soon(include_str!("../fixtures/cap/world/no_area.xml"))).await;
        assert_eq!(taken["alert"]["state"], "draft", "{taken}");
        assert!(taken["alert"]["why_vi"].as_str().unwrap().contains("khu vực"), "{taken}");
        assert_eq!(approve(central, &taken, "").await, 200);
        assert_eq!(announced(central).await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_withdraws_what_waits_for_signatures() {
    with_central("", async |central| {
        let flood = push(central, &soon(FLOOD)).await;
        assert_eq!(approve(central, &flood, &format!("?key={}", key(1).key_id())).await, 200);
        let now = loaxa_adapters::clock::wall();
        let waiting = async || central.store().drafts(now).await.unwrap().len();
        assert_eq!(waiting().await, 1);
        let cancel = CANCEL.replace("-0630", "-0417").replace("T06:30", "T04:17");
        assert_eq!(push(central, &cancel).await["alert"]["state"], "ended");
        assert_eq!(
            (waiting().await, state_of(central, "VN-KTTV-2026-11-20-0417").await),
            (0, "ended".to_owned())
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_approve_at_once_one_does() {
    with_central("", async |central| {
        let flood = push(central, &soon(FLOOD)).await;
        let both = tokio::join!(approve(central, &flood, ""), approve(central, &flood, ""));
        assert!(matches!(both, (200, 409) | (409, 200)), "{both:?}");
        assert_eq!(announced(central).await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_verified_is_what_is_read() {
    let named = |name: &str| format!("{}/tests/fixtures/cap/world/{name}", env!("CARGO_MANIFEST_DIR"));
    let (utf7, naad) = (named("cap-certificate.pem"), named("two_signatures_second.pem"));
    with_central(&format!("certificates = [{utf7:?}, {naad:?}]"), async |central| {
        let bearer = format!("Bearer {CAP_TOKEN}");
        let headers = [("authorization", bearer.as_str())];
        for (name, status, says) in [
            ("cap-signed-alert-rewritten-by-utf7-comment.xml", 400, "UTF-7"),
            ("two_signatures_naad.xml", 202, "canhbao@kttv.gov.vn,signed3"),
            ("utf16.xml", 400, "bears 0"),
        ] {
            let alert = std::fs::read(named(name)).unwrap();
            let answer = post_with(central, "/api/v1/cap", &headers, alert).await;
            assert_eq!(answer.status, status, "{name}: {}", answer.text());
            assert!(answer.text().contains(says), "{name}: {}", answer.text());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_as_large_as_real_ones_are_taken() {
    with_central("", async |central| {
        for text in [
            include_str!("../fixtures/cap/world/areas_65_polygons.xml").to_owned(),
            FLOOD.replace("Mưa rất to", &"Mưa rất to. ".repeat(80_000)),
        ] {
            let taken = push(central, &soon(&text)).await;
            assert!(["draft", "ignored"].contains(&taken["alert"]["state"].as_str().unwrap()), "{taken}");
        }
        let utf16 = include_bytes!("../fixtures/cap/world/utf16.xml").to_vec();
        let bearer = format!("Bearer {CAP_TOKEN}");
        let headers = [("authorization", bearer.as_str())];
        assert_eq!(post_with(central, "/api/v1/cap", &headers, utf16).await.status, 202);
        let huge = post_with(central, "/api/v1/cap", &headers, vec![b' '; (4 << 20) + 1]).await;
        assert_eq!(huge.status, 400);
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

#[tokio::test(flavor = "multi_thread")]
async fn what_was_being_sent_when_central_ended_goes_on_or_waits_again() {
    let check = async |lines: &str, changes: &[(&str, &str)], expected: &str, announcements: usize| {
        let dir = tempfile::tempdir().unwrap();
        let central = start(settings_with(dir.path(), "")).await;
        let taken = push(&central, &soon(FLOOD)).await;
        let id = taken["id"].as_str().unwrap().to_owned();
        let before = central.store().cap(id.clone()).await.unwrap().unwrap().state;
        let sending = changes.iter().fold(before.clone(), |state, (from, to)| {
            assert!(state.contains(from));
            state.replace(from, to)
        });
        assert!(central.store().change_cap(id.clone(), before.clone(), sending).await.unwrap());
        // Whoever read it before changes it no more.
        assert!(!central.store().change_cap(id, before.clone(), before).await.unwrap());
        central.stop().await;
        let central = start(settings_with(dir.path(), lines)).await;
        until_states(&central, &[("VN-KTTV-2026-11-20-0417", expected)]).await;
        assert_eq!(announced(&central).await.len(), announcements);
        central.stop().await;
    };
    let sending = ("\"state\":\"draft\"", "\"state\":\"sending\"");
    let straight = "on_arrival = 'straight_to_air'";
    check(straight, &[sending], "sent", 1).await;
    check("", &[sending], "draft", 0).await;
    check(straight, &[sending, ("\"asks\":false", "\"asks\":true")], "draft", 0).await;
    check("", &[sending, ("\"doomed\":false", "\"doomed\":true")], "ended", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_cancels_its_alert_although_somebody_passed_both_on_before() {
    let cancel = CANCEL.replace("-0630", "-0417").replace("T06:30", "T04:17");
    let feed = "<rss><channel><item><link>/cap/huy.xml</link></item><item><link>/cap/lu.xml</link></item></channel></rss>";
    let flood = soon(FLOOD);
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings_with(dir.path(), "")).await;
    let taken = push_as(&central, TOKEN, &flood).await;
    assert_eq!(approve(&central, &taken, "").await, 200);
    // The token for alerts may not end what staff sent.
    let cancelled = push(&central, &cancel).await;
    assert_eq!(
        (cancelled["alert"]["asks"].as_bool(), endings(&central).await),
        (Some(true), vec!["-".to_owned()])
    );
    central.stop().await;
    let base = serve(vec![
        ("/feed.rss", whole(feed)),
        ("/cap/huy.xml", whole(&cancel)),
        ("/cap/lu.xml", vec![Answer::Whole(flood.clone())]),
    ]);
    let lines = format!("on_arrival = 'straight_to_air'\nfeed = {{ url = '{base}/feed.rss' }}");
    let central = start(settings_with(dir.path(), &lines)).await;
    until("the feed ends its alert", async || (endings(&central).await == ["cancelled"]).then_some(())).await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lesser_update_that_came_before_an_emergency_leaves_it_to_a_person() {
    with_central("on_arrival = 'straight_to_air'", async |central| {
        let lesser = UPDATE.replace(">Severe<", ">Minor<");
        assert_eq!(push(central, &soon(&lesser)).await["alert"]["state"], "sent");
        let flood = push(central, &soon(FLOOD)).await;
        assert_eq!(
            (&flood["alert"]["state"], &flood["alert"]["asks"]),
            (&"draft".into(), &true.into()),
            "{flood}"
        );
        let other = CANCEL.replace("<references>canhbao@kttv", "<references>ai-do@kttv");
        assert_eq!(push(central, &other).await["alert"]["state"], "ignored");
    })
    .await;
}

/// Files of other services, each with what becomes of it where nothing goes out by itself.
#[tokio::test(flavor = "multi_thread")]
async fn each_file_of_the_world_has_its_outcome() {
    const FILES: &[(&str, &str, &str)] = &[
        (include_str!("../fixtures/cap/world/allclear.xml"), "draft", "priority"),
        (include_str!("../fixtures/cap/world/areas_65_polygons.xml"), "draft", "emergency"),
        (include_str!("../fixtures/cap/world/empty_geocode_value.xml"), "draft", "emergency"),
        (include_str!("../fixtures/cap/world/empty_headline.xml"), "draft", "emergency"),
        (include_str!("../fixtures/cap/world/empty_note.xml"), "draft", "emergency"),
        (include_str!("../fixtures/cap/world/no_area.xml"), "draft", "emergency"),
        (include_str!("../fixtures/cap/world/public_with_empty_addresses.xml"), "draft", "emergency"),
        (FIRST_CANCEL, "ended", ""),
        (THEN_ALERT, "ended", ""),
    ];
    with_central("", async |central| {
        for (text, state, class) in FILES {
            let taken = push(central, &soon(text)).await;
            let alert = &taken["alert"];
            let found =
                (alert["state"].as_str().unwrap(), alert["said"][0]["class"].as_str().unwrap_or_default());
            assert_eq!(found, (*state, *class), "{taken}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_whose_hour_for_signatures_passed_may_be_approved_again() {
    with_central("", async |central| {
        let flood = push(central, &soon(FLOOD)).await;
        let by_person = format!("?key={}", key(1).key_id());
        assert_eq!(approve(central, &flood, &by_person).await, 200);
        assert_eq!(approve(central, &flood, &by_person).await, 409);
        let now = loaxa_adapters::clock::wall();
        let [waiting] = &central.store().drafts(now).await.unwrap()[..] else { panic!("one draft") };
        // As after its hour.
        central.store().withdraw_draft(waiting.draft.id.clone()).await.unwrap();
        assert_eq!(approve(central, &flood, &by_person).await, 200);
        assert_eq!(central.store().drafts(now).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duty_officer_hears_of_the_limits_before_an_alert_goes_out() {
    with_central("", async |central| {
        let limits = json!({ "version": 0, "allowed": [], "session_minutes_max": 60, "day_minutes_max": 120,
            "volume_day_percent_max": 90, "volume_night_percent_max": 40 });
        let limits = json!({ "to": ["xa"], "policy": limits }).to_string();
        let sent = post(central, "/api/v1/policies", "application/json", limits.into_bytes()).await;
        assert_eq!(sent.status, 201, "{}", String::from_utf8_lossy(&sent.body));
        let _box = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
        let lesser = FLOOD.replace(">Extreme<", ">Moderate<");
        let taken = push(central, &soon(&lesser)).await;
        let id = taken["id"].as_str().unwrap();
        let run = async |more: &[&str]| {
            let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_loaxa"));
            command.args(["cap", "approve", id, "--central", &format!("http://{}", central.http_addr())]);
            let output = command.args(more).env("LOAXA_TOKEN", TOKEN).env("LOAXA_LANG", "vi").output().await;
            let output = output.unwrap();
            let said = [output.stdout, output.stderr].concat();
            (output.status.code(), String::from_utf8_lossy(&said).into_owned())
        };
        let (code, said) = run(&[]).await;
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("ngoài giờ cho phép") && said.contains("chưa gửi gì"), "{said}");
        assert!(announced(central).await.is_empty());
        let (code, said) = run(&["--anyway"]).await;
        assert_eq!((code, announced(central).await.len()), (Some(0), 1), "{said}");
        let (code, said) = run(&["--anyway"]).await;
        assert_eq!(code, Some(1), "it went out already: {said}");
    })
    .await;
}
