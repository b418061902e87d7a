//! The overview and the alarms, as staff use them: numbers that add up, alarms that raise themselves and are taken on by one
//! person, and pages that learn of changes by one stream.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::browser::Browser;
use crate::support::commune::*;
use crate::support::staff::Staff;
use crate::support::villages::*;
use loaxa_central::Central;
use loaxa_central::store::{ActFilter, PlaceRow, Role};
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::playback::{SlotKey, Subject};
use loaxa_heart::domain::time::Span;
use serde_json::json;

async fn with_villages(test: impl AsyncFn(&Central)) {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings_of_villages(dir.path())).await;
    test(&central).await;
    central.stop().await;
}

/// Lets all boxes give a sign of life now, but those of one village, whose connection broke off an hour ago.
async fn all_but(central: &Central, silent: &str) {
    for id in all_boxes() {
        let ago_s = if id.starts_with(silent) { 3_600 } else { 1 };
        alive(central, &id, ago_s, if id == "dong-cao-1" { &["amplifier_fault"] } else { &[] }).await;
        if id.starts_with(silent) {
            central.store().note_lost(box_id(&id), loaxa_adapters::clock::wall()).await.unwrap();
        }
    }
}

/// Asks for a page again and again until it says something.
async fn until_says(central: &Central, person: &Staff, path: &str, words: &str) -> String {
    until(words, async || {
        let page = person.get(central, path).await.text().to_owned();
        page.contains(words).then_some(page)
    })
    .await
}

/// The four numbers above the villages.
fn sums(page: &str) -> Vec<usize> {
    page.split("<dd>").skip(1).map(|rest| rest.split('<').next().unwrap().parse().unwrap()).collect()
}

/// The ids of troubles in the first form that takes an alarm on.
fn offered(page: &str) -> String {
    let rest = page.split("name=\"viec\" value=\"").nth(1).expect("an alarm that can be taken on");
    rest.split('"').next().unwrap().to_owned()
}

fn slot(id: &str) -> Subject {
    Subject::Slot(SlotKey { slot: id.parse().unwrap(), date: loaxa_adapters::clock::wall().date() })
}

/// Sends a programme with a slot that is on the air all day.
async fn send_programme(central: &Central) {
    let allowed = json!([{ "from": "00:00:00", "until": "23:59:59" }]);
    let policy = json!({
        "version": 0, "allowed": allowed, "session_minutes_max": 1_440, "day_minutes_max": 1_440,
        "volume_day_percent_max": 100, "volume_night_percent_max": 100,
    });
    let asked = json!({ "to": ["xa"], "policy": policy });
    let answer = post(central, "/api/v1/policies", "application/json", asked.to_string().into()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let hash = post(central, "/api/v1/media?name=a.wav", "application/octet-stream", tone()).await.json();
    let toml = "[programme]\nid = \"tuan\"\nversion = 1\ntitle = \"T\"\ngroup = \"xa\"\n\
        [[playlist]]\nid = \"l\"\ntitle = \"L\"\n[[playlist.item]]\ntitle = \"Mở đầu\"\nfile = \"a.wav\"\n\
        [[slot]]\nid = \"ban-tin\"\ntitle = \"Bản tin xã\"\nplaylist = \"l\"\nfill = \"loop\"\n\
        start = \"00:00\"\nend = \"23:59:59\"\n";
    let asked = json!({ "toml": toml, "media": { "a.wav": hash["sha256"] } });
    let answer = post(central, "/api/v1/programmes", "application/json", asked.to_string().into()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_add_up_and_every_village_has_its_state() {
    with_villages(async |central| {
        send_programme(central).await;
        all_but(central, "ben").await;
        for id in ["trung-1", "trung-2", "thuong-1"] {
            sounds(central, id, 5, slot("ban-tin"), "Mở đầu", Rung::Programme).await;
        }
        // A play on a box that is silent now is not known to sound.
        sounds(central, "ben-1", 3_600, slot("ban-tin"), "Mở đầu", Rung::Programme).await;
        let lan = Staff::make(central, "lan", &[(Role::Writer, "xa")]).await;
        let page = lan.get(central, "/").await;
        assert_eq!(page.status, 200);
        assert_eq!(sums(page.text()), [3, 34, 2, 1], "on the air, quiet, out of contact, to be mended");
        assert!(page.text().contains("40 cụm loa"), "{}", page.text());
        for words in ["Bản tin xã", "2 thôn, xóm, 3 cụm loa", "2 mất liên lạc", "1 cần sửa", "âm lịch"]
        {
            assert!(page.text().contains(words), "{words} is not on {}", page.text());
        }
        assert!(
            page.text().contains("còn ") && page.text().contains("00:00 đến 23:59"),
            "the time left is known"
        );
        for never in ["máy chủ", "MQTT", "heartbeat", "<table", "type=\"submit\""] {
            assert!(!page.text().contains(never), "{never} stands on the overview");
        }
        assert!(!page.text().contains("<figure"), "no map without coordinates");
        place(central).await;
        until_says(central, &lan, "/", "<figure class=\"map\"><svg").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boxes_of_a_village_that_fall_silent_are_one_alarm_that_one_person_takes() {
    with_villages(async |central| {
        all_but(central, "ben").await;
        let tho = Staff::make(central, "tho", &[(Role::Technician, "xa")]).await;
        let hai = Staff::make(central, "hai", &[(Role::Duty, "xa")]).await;
        let lan = Staff::make(central, "lan", &[(Role::Writer, "xa")]).await;
        let far = Staff::make(central, "far", &[(Role::Technician, "moi")]).await;
        let page = until_says(central, &tho, "/", "Thôn Bến: 2 cụm loa mất liên lạc từ ").await;
        assert!(page.contains("Đồng Cao: Loa số 1 Đồng Cao, lỗi âm ly"), "{page}");
        assert!(!lan.get(central, "/").await.text().contains("Tôi nhận việc này"), "writers look only");

        let alarms = tho.get(central, "/canh-bao").await.text().to_owned();
        assert!(alarms.contains("Gọi trưởng thôn") && alarms.contains("Chưa ai nhận việc."), "{alarms}");
        let ids = offered(&page);
        let fields = [("viec", ids.as_str()), ("ve", "/")];
        assert_eq!(lan.post(central, "/canh-bao/nhan", &fields).await.status, 403);
        assert_eq!(far.post(central, "/canh-bao/nhan", &fields).await.status, 403, "another village");
        let taken = tho.post(central, "/canh-bao/nhan", &fields).await;
        assert_eq!((taken.status, taken.header("location")), (303, "/"));
        let late = hai.post(central, "/canh-bao/nhan", &fields).await;
        assert_eq!(late.status, 409);
        assert!(late.text().contains("vừa có người nhận trước bạn"), "{}", late.text());
        let page = hai.get(central, "/").await.text().to_owned();
        let (_, below) = page.split_once("Việc đã có người nhận").unwrap();
        assert!(below.contains("Thôn Bến: 2 cụm loa") && below.contains("Cán bộ tho nhận lúc"), "{below}");

        // They come back: the alarm is over, and its history says who had it.
        for id in ["ben-1", "ben-2"] {
            alive(central, id, 0, &[]).await;
        }
        until("the alarm is over", async || {
            let page = hai.get(central, "/").await.text().to_owned();
            (!page.contains("Thôn Bến: 2 cụm loa")).then_some(())
        })
        .await;
        let (_, past) = hai
            .get(central, "/canh-bao")
            .await
            .text()
            .split_once("Cảnh báo đã qua")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        assert!(past.contains("Loa số 1 Thôn Bến") && past.contains("Cán bộ tho"), "{past}");
        let acts = central.store().acts(ActFilter { limit: 50, ..ActFilter::default() }).await.unwrap();
        let taken: Vec<_> = acts.iter().filter(|act| act.act == "alarm_taken").collect();
        assert_eq!((taken.len(), taken[0].actor.as_str()), (1, "tho"), "once, with who");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silenced_alarm_comes_again_and_a_strangers_is_ended_by_people() {
    with_villages(async |central| {
        all_but(central, "ben").await;
        let stranger = ScriptedBox::connect(9, central.broker_addr().unwrap().port()).await;
        stranger.hello("n", stranger.holds(&[]));
        let tho = Staff::make(central, "tho", &[(Role::Technician, "xa")]).await;
        until_says(central, &tho, "/canh-bao", "Có cụm loa lạ").await;
        let page = until_says(central, &tho, "/canh-bao", "Thôn Bến: 2 cụm loa").await;
        let ids = offered(&page);
        let at = |seconds: u64| loaxa_adapters::clock::wall().plus(Span::secs(seconds)).0.to_string();
        let silence = async |until: &str| {
            tho.post(central, "/canh-bao/im", &[("viec", ids.as_str()), ("den", until)]).await
        };
        assert_eq!(silence("yesterday").await.status, 400);
        assert_eq!(silence(&at(30 * 86_400)).await.status, 400, "nobody silences it for a month");
        assert_eq!(silence(&at(3_600)).await.status, 303);
        let page = tho.get(central, "/canh-bao").await.text().to_owned();
        let (before, silent) = page.split_once("Đang im").unwrap();
        assert!(silent.contains("Thôn Bến: 2 cụm loa") && !before.contains("Thôn Bến: 2"), "{page}");
        assert!(!tho.get(central, "/").await.text().contains("Thôn Bến: 2 cụm loa"));

        let stranger_ids = central.store().open_troubles().await.unwrap();
        let stranger_ids = stranger_ids.iter().find(|row| row.what == "unknown_box").unwrap().id.to_string();
        let end =
            async || tho.post(central, "/canh-bao/xong", &[("viec", stranger_ids.as_str())]).await.status;
        assert_eq!((end().await, end().await), (303, 409));
        assert!(!tho.get(central, "/").await.text().contains("Có cụm loa lạ"));
        // A box's trouble ends with the trouble, not by saying so.
        assert_eq!(tho.post(central, "/canh-bao/xong", &[("viec", ids.as_str())]).await.status, 409);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_later_today_is_shown_with_its_hour() {
    with_villages(async |central| {
        let lan = Staff::make(central, "lan", &[]).await;
        assert!(lan.get(central, "/").await.text().contains("không phát gì nữa"));
        let at = loaxa_adapters::clock::wall().plus(Span::secs(90));
        let fields = json!({ "to": ["moi"], "class": "normal", "title": "Lịch gieo mạ", "at": at });
        let sent = announce(central, &fields, Some(&tone())).await;
        assert_eq!(sent.status, 201, "{}", sent.text());
        // In the last minutes of a day it is tomorrow's.
        if at.date() == loaxa_adapters::clock::wall().date() {
            let page = until_says(central, &lan, "/", "Lịch gieo mạ").await;
            let hour = at.local().format("%H:%M").to_string();
            let (_, next) = page.split_once("Tiếp theo hôm nay").unwrap();
            assert!(
                next.contains(&hour) && next.contains("Xóm Mới") && next.contains("Thông thường"),
                "{next}"
            );
        }
    })
    .await;
}

/// The stream of what changed, as a browser reads it.
struct Stream(TcpStream, String);

impl Stream {
    fn open(central: &Central, cookie: &str) -> Self {
        let mut stream = TcpStream::connect(central.http_addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = central.http_addr();
        write!(stream, "GET /su-kien HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\n\r\n").unwrap();
        Self(stream, String::new())
    }

    /// Reads on until the stream has said something.
    fn until(&mut self, words: &str) {
        let mut piece = [0; 1_024];
        while !self.1.contains(words) {
            let length = self.0.read(&mut piece).unwrap();
            assert!(length > 0, "the stream ended without {words}: {}", self.1);
            self.1 += &String::from_utf8_lossy(&piece[..length]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_is_told_what_changed_until_its_session_ends() {
    with_villages(async |central| {
        let lan = Staff::make(central, "lan", &[]).await;
        let mut stream = Stream::open(central, &lan.cookie);
        stream.until(": open");
        assert!(stream.1.contains("content-type: text/event-stream"), "{}", stream.1);
        let stranger = ScriptedBox::connect(9, central.broker_addr().unwrap().port()).await;
        let mut stream = tokio::task::spawn_blocking(move || {
            // The watch has opened the alarm about the stranger.
            stranger.hello("n", stranger.holds(&[]));
            stream.until("boxes");
            stream.until("alarms");
            stream
        })
        .await
        .unwrap();
        assert_eq!(lan.post(central, "/thoat", &[]).await.status, 303);
        let told = tokio::task::spawn_blocking(move || stream.until("signed-out")).await;
        assert!(told.is_ok());
        assert_eq!(get(central, "/su-kien", &[]).await.status, 303, "only for who is signed in");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_follows_what_happens_and_an_alarm_is_taken_by_pressing() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings_of_villages(dir.path())).await;
    place(&central).await;
    send_programme(&central).await;
    all_but(&central, "none").await;
    for id in all_boxes().iter().filter(|id| !id.starts_with("moi")) {
        let (subject, title, rung) = if id.starts_with("dong-") && !id.starts_with("dong-cao") {
            let subject = Subject::Announcement { command: "tin-1".parse().unwrap() };
            (subject, "Tạm ngừng cấp nước", Rung::Priority)
        } else {
            (slot("ban-tin"), "Mở đầu", Rung::Programme)
        };
        sounds(&central, id, 20, subject, title, rung).await;
    }
    let tho = Staff::make(&central, "tho", &[(Role::Technician, "xa")]).await;
    let browser = Browser::start();
    let address = format!("http://{}", central.http_addr());
    let mut page = browser.person(&format!("{address}/healthz"));
    page.sign_in(&tho);
    page.go(&address);
    page.until_says("h1", "Tổng quan");
    page.value("window.stays = true; 0");
    central.store().note_lost(box_id("ben-1"), loaxa_adapters::clock::wall()).await.unwrap();
    central.store().note_lost(box_id("ben-2"), loaxa_adapters::clock::wall()).await.unwrap();
    page.until_says("main", "Thôn Bến: 2 cụm loa mất liên lạc từ ");
    assert_eq!(page.value("window.stays"), true, "the page was not loaded anew");
    page.look("overview");
    page.click("form[action='/canh-bao/nhan'] button");
    page.until("[...document.querySelectorAll('.card.band')].some(it => it.innerText.includes('Cán bộ tho nhận lúc'))");
    page.look("overview-taken");
    page.go(&format!("{address}/canh-bao"));
    page.until_says("h1", "Cảnh báo");
    page.look("alarms");
    page.go(&format!("{address}/nhat-ky"));
    page.look("log");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_name_of_a_village_shows_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings_of_villages(dir.path())).await;
    let lan = Staff::make(&central, "lan", &[(Role::Writer, "ben")]).await;
    let row = PlaceRow {
        group: group("ben"),
        title: Some("Thôn Bến Đò".to_owned()),
        households: Some(120),
        point: None,
    };
    central.store().set_place(row, act()).await.unwrap();
    until_says(&central, &lan, "/", "Thôn Bến Đò").await;
    let groups = get_api(&central, "/api/v1/groups").await;
    assert!(groups.text().contains("Thôn Bến Đò"), "{}", groups.text());
    central.stop().await;
}
