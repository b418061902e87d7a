//! Everybody's pages, as villagers, podcast applications, calendars and bulletin boards use them: without sign-in.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::roster::receiver;
use crate::support::browser::Browser;
use crate::support::commune::*;
use crate::support::free_port;
use crate::support::staff::{FORM, Staff, form};
use crate::support::villages::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use loaxa_central::Central;
use loaxa_central::settings::{Settings, Webhook};
use loaxa_central::store::{Broadcast, EventKind, FeedbackKind, FeedbackRow, Role};
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::ids::CommandId;
use loaxa_heart::domain::playback::{SlotKey, Subject};
use loaxa_heart::domain::time::Span;
use serde_json::{Value, json};
use sha2::Sha256;

/// Words that do harm where somebody forgets to write them out, with what XML and iCalendar have no place for.
const EVIL: &str =
    "<script>alert(1)</script> =cmd|' /C calc'!A0 ]]> & \u{7}\u{1b}[31m \u{202e}; , \\n BEGIN:VEVENT";

async fn with_villages(test: impl AsyncFn(&Central)) {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings_of_villages(dir.path())).await;
    for id in all_boxes() {
        alive(&central, &id, 1, &["amplifier_fault"]).await;
    }
    test(&central).await;
    central.stop().await;
}

/// Sends a programme with a slot that lasts all day, under this title.
async fn send_programme(central: &Central, title: &str) {
    let allowed = json!([{ "from": "00:00:00", "until": "23:59:59" }]);
    let policy = json!({
        "version": 0, "allowed": allowed, "session_minutes_max": 1_440, "day_minutes_max": 1_440,
        "volume_day_percent_max": 100, "volume_night_percent_max": 100,
    });
    let asked = json!({ "to": ["xa"], "policy": policy });
    let answer = post(central, "/api/v1/policies", "application/json", asked.to_string().into()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let hash = post(central, "/api/v1/media?name=a.wav", "application/octet-stream", tone()).await.json();
    // Texts of JSON are texts of TOML.
    let title = serde_json::to_string(title).unwrap();
    let toml = format!(
        "[programme]\nid = \"tuan\"\nversion = 1\ntitle = \"T\"\ngroup = \"xa\"\n\
        [[playlist]]\nid = \"l\"\ntitle = \"L\"\n[[playlist.item]]\ntitle = \"Mở đầu\"\nfile = \"a.wav\"\n\
        [[slot]]\nid = \"ban-tin\"\ntitle = {title}\nplaylist = \"l\"\n\
        start = \"00:00\"\nend = \"23:59:59\"\n"
    );
    let asked = json!({ "toml": toml, "media": { "a.wav": hash["sha256"] } });
    let answer = post(central, "/api/v1/programmes", "application/json", asked.to_string().into()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

fn slot() -> Subject {
    Subject::Slot(SlotKey { slot: "ban-tin".parse().unwrap(), date: loaxa_adapters::clock::wall().date() })
}

async fn until_says(central: &Central, path: &str, words: &str) -> String {
    until(words, async || {
        let page = get(central, path, &[]).await.text().to_owned();
        page.contains(words).then_some(page)
    })
    .await
}

/// Sends a form as a browser does that nobody is signed in on.
async fn send(central: &Central, fields: &[(&str, &str)]) -> Answer {
    let origin = format!("http://{}", central.http_addr());
    post_with(central, "/gop-y", &[FORM, ("origin", &origin)], form(fields)).await
}

/// Writes a notice, approves it, and lets it begin on a box of the village.
async fn aired(
    central: &Central,
    id: &str,
    (title, words): (&str, &str),
    republish: bool,
    on: &str,
) -> CommandId {
    let lan = Staff::make(central, &format!("lan-{on}"), &[(Role::Writer, "xa")]).await;
    let duc = Staff::make(central, &format!("duc-{on}"), &[(Role::Approver, "xa")]).await;
    let village = on.rsplit_once('-').unwrap().0;
    let mut fields = vec![
        ("goc", ""),
        ("ten", title),
        ("loi", words),
        ("giong", "may"),
        ("noi", village),
        ("khi", "som"),
        ("loai", "priority"),
        ("lan", "1"),
        ("tieng", "vi"),
        ("viec", "gui"),
    ];
    if republish {
        fields.push(("dang-lai", "co"));
    }
    let answer = lan.post(central, &format!("/soan-tin/{id}"), &fields).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let page = duc.get(central, &format!("/duyet-tin/{id}")).await;
    let says = if republish {
        "nơi khác được đăng lại"
    } else {
        "Nghe lại và đăng lại</dt><dd>Không"
    };
    assert!(page.text().contains(says), "the approver reads it: {}", page.text());
    let row = central.store().notice(id.parse().unwrap()).await.unwrap().unwrap();
    let version = row.digest.to_string();
    let done = duc.post(central, &format!("/duyet-tin/{id}"), &[("ban", &version), ("viec", "duyet")]).await;
    assert_eq!(done.status, 303, "{}", done.text());
    let command = central.store().notice(id.parse().unwrap()).await.unwrap().unwrap().command.unwrap();
    let subject = Subject::Announcement { command: command.clone() };
    sounds(central, on, 5, subject, "a title that the box made up", Rung::Priority).await;
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_sees_the_programme_of_their_village() {
    with_villages(async |central| {
        send_programme(central, "Bản tin xã").await;
        sounds(central, "dong-1", 5, slot(), "Tên do cụm loa ghi", Rung::Programme).await;
        let page = until_says(central, "/chuong-trinh?thon=dong", "Bản tin xã").await;
        for words in
            ["Thôn Đông hôm nay", "âm lịch", "Đang phát", "Thôn Bến", "/chuong-trinh/dong.ics", "Nghe rõ"]
        {
            assert!(page.contains(words), "{words} is not on {page}");
        }
        for never in ["Loa số", "dong-1", "âm ly", "lỗi", "Tên do cụm loa ghi", "htmx", "đăng nhập"]
        {
            assert!(!page.contains(never), "{never} stands on a page for everybody: {page}");
        }
        let answer = get(central, "/chuong-trinh?thon=dong", &[]).await;
        assert!(answer.header("cache-control").starts_with("public, max-age="));
        assert!(answer.header("set-cookie").is_empty());
        let tag = answer.header("etag").to_owned();
        let again = get(central, "/chuong-trinh?thon=dong", &[("if-none-match", &tag)]).await;
        assert!(again.status == 304 && again.body.is_empty(), "{}", again.status);
        // Whoever is signed in gets the same page: caches keep it for all.
        let lan = Staff::make(central, "lan", &[(Role::Writer, "xa")]).await;
        assert_eq!(lan.get(central, "/chuong-trinh?thon=dong").await.header("etag"), tag);
        for nowhere in [
            "/chuong-trinh?thon=khong-co",
            "/gop-y?thon=khong-co",
            "/chuong-trinh/khong-co.ics",
            "/nghe-lai.xml?thon=x",
        ] {
            assert_eq!(get(central, nowhere, &[]).await.status, 404, "{nowhere}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sounds_is_told_as_text_by_the_centres_own_words() {
    with_villages(async |central| {
        send_programme(central, "Bản tin xã").await;
        let host = central.http_addr().to_string();
        let mut stream = TcpStream::connect(&host).unwrap();
        write!(stream, "GET /dang-phat/su-kien?thon=dong HTTP/1.1\r\nhost: {host}\r\n\r\n").unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut lines = BufReader::new(stream).lines();
        let mut next = || -> Value {
            let data = lines.by_ref().map(Result::unwrap).find(|line| line.starts_with("data: ")).unwrap();
            serde_json::from_str(&data["data: ".len()..]).unwrap()
        };
        assert_eq!(next()["sounding"], json!([]), "the stream begins with what is");
        aired(central, "00000000000000aa", ("Tạm ngừng cấp nước", "Ngừng từ 8 giờ."), false, "dong-1").await;
        let now = next();
        assert_eq!(now["commune"], "Xã Bình Minh");
        let it = &now["sounding"][0];
        assert_eq!((&it["class"], &it["title"]), (&json!("priority"), &json!("Tạm ngừng cấp nước")));
        assert_eq!(it["words"], "Ngừng từ 8 giờ.");
        assert_eq!(it["villages"], json!([{ "id": "dong", "title": "Thôn Đông" }]));

        let everywhere = get(central, "/dang-phat.json", &[]).await;
        assert_eq!(everywhere.header("access-control-allow-origin"), "*");
        assert_eq!(everywhere.json()["sounding"], now["sounding"]);
        assert_eq!(get(central, "/dang-phat.json?thon=ben", &[]).await.json()["sounding"], json!([]));
        let board = get(central, "/bang-dien-tu?thon=dong", &[]).await;
        assert!(board.text().contains("Ngừng từ 8 giờ."), "{}", board.text());
        assert!(!board.text().contains("made up"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn approved_items_are_a_podcast_until_they_are_cancelled() {
    with_villages(async |central| {
        aired(central, "00000000000000aa", (EVIL, EVIL), true, "dong-1").await;
        aired(central, "00000000000000bb", ("Không đăng lại", "Không đăng lại."), false, "ben-1").await;
        let text = until_says(central, "/nghe-lai.xml", "<item>").await;
        let feed = roxmltree::Document::parse(&text).unwrap();
        let all = |name: &str| feed.descendants().filter(|it| it.has_tag_name(name)).collect::<Vec<_>>();
        assert_eq!(feed.root_element().attribute("version"), Some("2.0"));
        assert_eq!(all("item").len(), 1, "only what carries the mark: {text}");
        let title = all("title")[1].text().unwrap();
        assert!(
            title.contains("<script>alert(1)</script>") && !title.contains(['\u{7}', '\u{1b}']),
            "{title:?}"
        );
        let (guid, enclosure) = (all("guid")[0], all("enclosure")[0]);
        assert_eq!(
            (guid.text(), guid.attribute("isPermaLink")),
            (Some("loaxa-notice-00000000000000aa"), Some("false"))
        );
        assert!(chrono::DateTime::parse_from_rfc2822(all("pubDate")[0].text().unwrap()).is_ok());
        let itunes = "http://www.itunes.com/dtds/podcast-1.0.dtd";
        assert!(feed.descendants().any(|it| it.has_tag_name((itunes, "duration"))), "{text}");

        let address = url::Url::parse(enclosure.attribute("url").unwrap()).unwrap();
        assert!(address.path().ends_with(".wav"), "{address}");
        let whole = get(central, address.path(), &[]).await;
        assert_eq!(whole.body.len().to_string(), enclosure.attribute("length").unwrap());
        assert_eq!(whole.header("content-type"), enclosure.attribute("type").unwrap());
        assert!(whole.status == 200 && whole.body.starts_with(b"RIFF"));
        let part = get(central, address.path(), &[("range", "bytes=8-11")]).await;
        assert_eq!((part.status, &part.body[..]), (206, &b"WAVE"[..]));
        assert_eq!(get(central, "/nghe-lai/00000000000000bb.wav", &[]).await.status, 404);
        assert_eq!(get(central, "/nghe-lai/00000000000000aa.mp3", &[]).await.status, 404);
        until_says(central, "/chuong-trinh?thon=dong", "<audio").await;
        assert!(!get(central, "/chuong-trinh?thon=ben", &[]).await.text().contains("<audio"));

        let lan = Staff::make(central, "lan", &[(Role::Writer, "xa")]).await;
        assert_eq!(lan.post(central, "/tin/00000000000000aa", &[("viec", "huy")]).await.status, 303);
        until("the item is gone", async || {
            let feed = get(central, "/nghe-lai.xml", &[]).await;
            (!feed.text().contains("<item>")).then_some(())
        })
        .await;
        assert_eq!(get(central, address.path(), &[]).await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_village_takes_its_programme_into_a_calendar() {
    with_villages(async |central| {
        let title = format!(
            "Bản tin xã rất dài để phải gấp dòng {}",
            EVIL.replace(['\u{7}', '\u{1b}', '\u{202e}'], "")
        );
        send_programme(central, &title).await;
        let text = until_says(central, "/chuong-trinh/dong.ics", "BEGIN:VEVENT").await;
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines.first(), Some(&"BEGIN:VCALENDAR"));
        assert!(lines.iter().all(|line| line.len() <= 75), "folded as RFC 5545 says: {text}");
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{text}");
        let read: icalendar::Calendar = text.parse().unwrap();
        let events: Vec<_> =
            read.components.iter().filter_map(icalendar::CalendarComponent::as_event).collect();
        assert_eq!(events.len(), 14, "the days from today on");
        use icalendar::Component;
        let summary = events[0].get_summary().unwrap();
        assert!(summary.contains("<script>") && summary.contains("Bản tin xã"), "{summary}");
        let uids: std::collections::BTreeSet<_> =
            events.iter().map(|it| it.get_uid().unwrap().to_owned()).collect();
        assert_eq!(uids.len(), 14);
        assert!(uids.iter().all(|uid| uid.starts_with("ban-tin-") && uid.contains("-dong@")), "{uids:?}");
        let again = get(central, "/chuong-trinh/dong.ics", &[]).await;
        assert_eq!(again.text(), text, "the same programme is the same file");
        assert!(again.header("content-type").starts_with("text/calendar"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feedback_is_answered_and_read_by_its_code() {
    with_villages(async |central| {
        send_programme(central, "Bản tin xã").await;
        let page = until_says(central, "/gop-y?thon=dong", "value=\"buoi/ban-tin/").await;
        let about = page.split_once("value=\"buoi/ban-tin/").unwrap().1.split_once('"').unwrap().0;
        let about = format!("buoi/ban-tin/{about}");
        let bad = send(central, &[("thon", "dong"), ("loai", "other"), ("loi", " ")]).await;
        assert!(bad.status == 400 && bad.text().contains("Hãy ghi điều bà con muốn nói"));
        let sent =
            send(central, &[("thon", "dong"), ("loai", "not_heard"), ("ve", &about), ("loi", EVIL)]).await;
        assert_eq!(sent.status, 303, "{}", sent.text());
        let mine = sent.header("location").to_owned();
        let page = get(central, &mine, &[]).await;
        assert!(page.text().contains("chờ trả lời") && page.text().contains("Bản tin xã"), "{}", page.text());
        assert!(page.text().contains("&lt;script&gt;") && !page.text().contains("<script>alert"));
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(get(central, "/gop-y/tra-loi?ma=aaaaaaaaaa", &[]).await.status, 404);

        let lan = Staff::make(central, "lan", &[(Role::Writer, "dong")]).await;
        let far = Staff::make(central, "far", &[(Role::Writer, "ben")]).await;
        let list = lan.get(central, "/gop-y-cua-dan").await.text().to_owned();
        assert!(list.contains("Không nghe thấy") && list.contains("&amp;noi=dong"), "{list}");
        assert!(!list.contains("<script>alert"));
        let id = list.split_once("action=\"/gop-y-cua-dan/").unwrap().1.split_once('"').unwrap().0.to_owned();
        let path = format!("/gop-y-cua-dan/{id}");
        assert_eq!(far.post(central, &path, &[("tra-loi", "Không")]).await.status, 403, "another village");
        assert_eq!(lan.post(central, &path, &[("tra-loi", " ")]).await.status, 400);
        assert_eq!(lan.post(central, &path, &[("tra-loi", "Đã chỉnh loa.")]).await.status, 303);
        assert_eq!(lan.post(central, &path, &[("tra-loi", "Lần nữa.")]).await.status, 409);
        assert!(get(central, &mine, &[]).await.text().contains("Đã chỉnh loa."));
        let row = central.store().feedback(id.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(row.about.map(|about| about.title), Some("Bản tin xã".to_owned()));

        // A broadcast that there was not is none.
        let forged = [("thon", "dong"), ("loai", "clear"), ("ve", "tin/khong-co"), ("loi", "")];
        assert_eq!(send(central, &forged).await.status, 303);
        let now = loaxa_adapters::clock::wall();
        let counts = central.store().feedback_counts(now.minus(Span::secs(600)), now).await.unwrap();
        assert_eq!(counts[&(group("dong"), FeedbackKind::NotHeard)], 1);
        assert_eq!(counts[&(group("dong"), FeedbackKind::Clear)], 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_overdue_is_an_alarm_until_it_is_given() {
    with_villages(async |central| {
        let now = loaxa_adapters::clock::wall();
        let row = FeedbackRow {
            id: 0,
            code: "aaaaaaaaaa".to_owned(),
            village: group("dong"),
            kind: FeedbackKind::TooLoud,
            words: String::new(),
            about: Some(Broadcast { id: "tin/x".to_owned(), title: "Bản tin".to_owned(), at: now }),
            made: now.minus(Span::secs(8 * 86_400)),
            due: Some(now.minus(Span::secs(86_400))),
            answer: None,
        };
        assert!(central.store().add_feedback(row, "Thôn".to_owned()).await.unwrap());
        let tho = Staff::make(central, "tho", &[(Role::Technician, "xa")]).await;
        let says = "Thôn Đông: góp ý của dân quá hạn trả lời";
        until("the alarm", async || tho.get(central, "/canh-bao").await.text().contains(says).then_some(()))
            .await;
        assert!(tho.get(central, "/gop-y-cua-dan").await.text().contains("Quá hạn trả lời từ"));
        let id = central.store().feedback_waiting(1).await.unwrap()[0].id;
        let answered =
            tho.post(central, &format!("/gop-y-cua-dan/{id}"), &[("tra-loi", "Đã vặn nhỏ.")]).await;
        assert_eq!(answered.status, 303);
        until("it is over", async || {
            let open = central.store().open_troubles().await.unwrap();
            open.iter().all(|row| row.subject != "dong").then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_feedback_is_refused_before_it_reaches_the_store() {
    with_villages(async |central| {
        let mut taken = 0;
        for _ in 0..200 {
            match send(central, &[("thon", "dong"), ("loai", "too_loud")]).await {
                answer if answer.status == 303 => taken += 1,
                answer => {
                    assert_eq!(
                        (answer.status, answer.header("retry-after")),
                        (429, "60"),
                        "{}",
                        answer.text()
                    );
                }
            }
        }
        assert_eq!(taken, 20);
        assert_eq!(central.store().feedback_waiting(500).await.unwrap().len(), taken);
        let large = "x".repeat(20_000);
        assert_eq!(send(central, &[("thon", "dong"), ("loai", "other"), ("loi", &large)]).await.status, 413);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_board_says_it_in_pages_of_four_lines_and_outlives_the_centre() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings_of_villages(dir.path());
    settings.listen.set_port(free_port());
    let central = start(settings.clone()).await;
    alive(&central, "dong-1", 1, &[]).await;
    let words = "Thứ Sáu 27/11, từ 8 giờ đến 11 giờ, thôn Đông tạm ngừng cấp nước để sửa ống. ".repeat(4);
    aired(&central, "00000000000000aa", ("Tạm ngừng cấp nước", &words), false, "dong-1").await;
    let browser = Browser::start();
    let address = format!("http://{}", central.http_addr());
    let mut board = browser.person(&format!("{address}/bang-dien-tu?thon=dong"));
    board.size(1920, 1080, false);
    board.until("document.getElementById('loi').textContent.startsWith('Thứ Sáu 27/11')");
    board.until("document.getElementById('trang').textContent.startsWith('Trang 1 trên')");
    let lines = "(() => { const it = document.getElementById('loi');
        return Math.round(it.getBoundingClientRect().height / parseFloat(getComputedStyle(it).lineHeight)); })()";
    assert!(board.value(lines).as_i64().unwrap() <= 4);
    assert_eq!(board.value("document.documentElement.scrollHeight <= innerHeight"), true);
    board.keep_picture("bang-dien-tu-1920");
    board.until("document.getElementById('trang').textContent.startsWith('Trang 2 trên')");
    central.stop().await;
    // The same board, without a hand, after the centre has begun anew; by then an emergency sounds.
    let central = start(settings).await;
    alive(&central, "dong-2", 1, &[]).await;
    let voice = Subject::Live { voice: "v".to_owned() };
    sounds(&central, "dong-2", 1, voice, "Hồ Núi Cốc xả lũ", Rung::Emergency).await;
    board.until("document.querySelector('.board.emer')");
    board.until("document.getElementById('ten').textContent.startsWith('KHẨN CẤP')");
    assert!(
        !board.value("document.body.textContent").as_str().unwrap().contains("Hồ Núi Cốc"),
        "a box's own words"
    );
    board.keep_picture("bang-dien-tu-khan-cap-1920");
    central.stop().await;
}

/// Settings under which receivers may lie on this machine.
fn settings_with_private_receivers(dir: &std::path::Path) -> Settings {
    let mut settings = settings_of_villages(dir);
    let (url, secret) = ("http://127.0.0.1:9/".parse().unwrap(), b"0123456789abcdef01234567".to_vec());
    settings.calling.webhook = Some(Webhook { url, secret, private_addresses: true });
    settings
}

/// Adds a receiver of all kinds, and gives the secret that the page shows.
async fn add_receiver(central: &Central, by: &Staff, url: &str) -> Vec<u8> {
    let kinds = EventKind::CHOICES.map(|kind| ("loai", kind.code()));
    let fields = [&[("ten", "Cổng thông tin xã"), ("dia-chi", url)][..], &kinds].concat();
    let page = by.post(central, "/cai-dat/noi-nhan", &fields).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let secret = page.text().split_once("whsec_").unwrap().1.split_once('<').unwrap().0;
    BASE64.decode(secret).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn other_systems_are_told_and_a_dead_one_keeps_nobody_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings_with_private_receivers(dir.path())).await;
    alive(&central, "dong-1", 1, &[]).await;
    let mai = Staff::make(&central, "mai", &[(Role::Administrator, "xa")]).await;
    let (url, events) = receiver(&["500 No", "302 Found"]);
    // A port on which nobody listens.
    add_receiver(&central, &mai, &format!("http://127.0.0.1:{}/", free_port())).await;
    let secret = add_receiver(&central, &mai, &url).await;
    assert!(!mai.get(&central, "/cai-dat/noi-nhan").await.text().contains("whsec_"), "shown once");
    aired(&central, "00000000000000aa", ("Tạm ngừng cấp nước", EVIL), false, "dong-1").await;
    let first = events.recv_timeout(PATIENCE).unwrap();
    let again: Vec<_> = (0..2).map(|_| events.recv_timeout(PATIENCE).unwrap()).collect();
    assert!(again.iter().all(|it| it.path == "/goi"), "no redirect is followed");
    let mut by_id = std::collections::BTreeMap::new();
    for event in [first]
        .into_iter()
        .chain(again)
        .chain((0..8).map_while(|_| events.recv_timeout(std::time::Duration::from_secs(8)).ok()))
    {
        let (id, at) = (event.header("webhook-id").to_owned(), event.header("webhook-timestamp").to_owned());
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
        mac.update(format!("{id}.{at}.{}", event.body).as_bytes());
        let signature = format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()));
        assert_eq!(event.header("webhook-signature"), signature);
        let body: Value = serde_json::from_str(&event.body).unwrap();
        let kept = by_id.entry(id).or_insert_with(|| body.clone());
        assert_eq!(*kept, body, "the same event under the same id");
        if by_id.values().any(|body| body["type"] == "notice.aired") && by_id.len() >= 2 {
            break;
        }
    }
    let kinds: std::collections::BTreeSet<_> =
        by_id.values().map(|body| body["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["notice.aired", "notice.approved"].map(str::to_owned).into());
    let data = &by_id.values().next().unwrap()["data"];
    assert_eq!((&data["title"], &data["groups"]), (&json!("Tạm ngừng cấp nước"), &json!(["dong"])));
    until("both fates are on the page", async || {
        let page = mai.get(&central, "/cai-dat/noi-nhan").await;
        (page.text().contains("Chưa nhận sau") && page.text().contains("Đã nhận lúc")).then_some(())
    })
    .await;

    // The button, feedback, and the end of the notice.
    let id = central.store().receivers().await.unwrap()[1].id;
    assert_eq!(mai.post(&central, &format!("/cai-dat/noi-nhan/{id}/thu"), &[]).await.status, 303);
    assert_eq!(send(&central, &[("thon", "dong"), ("loai", "other"), ("loi", EVIL)]).await.status, 303);
    let lan = Staff::make(&central, "lan", &[(Role::Writer, "xa")]).await;
    assert_eq!(lan.post(&central, "/tin/00000000000000aa", &[("viec", "huy")]).await.status, 303);
    let mut found = std::collections::BTreeSet::new();
    while found.len() < 3 {
        let body: Value = serde_json::from_str(&events.recv_timeout(PATIENCE).unwrap().body).unwrap();
        let kind = body["type"].as_str().unwrap().to_owned();
        assert!(
            kind != "feedback.received" || !body.to_string().contains("alert(1)"),
            "a villager's words stay here"
        );
        if ["test", "feedback.received", "notice.cancelled"].contains(&kind.as_str()) {
            found.insert(kind);
        }
    }
    for id in [id, id - 1] {
        assert_eq!(mai.post(&central, &format!("/cai-dat/noi-nhan/{id}/bo"), &[]).await.status, 303);
    }
    assert!(central.store().events(10).await.unwrap().is_empty());
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_inside_are_refused_unless_the_configuration_allows_them() {
    with_villages(async |central| {
        let mai = Staff::make(central, "mai", &[(Role::Administrator, "xa")]).await;
        let far = Staff::make(central, "far", &[(Role::Administrator, "ben")]).await;
        let fields = |url| [("ten", "Cổng"), ("dia-chi", url), ("loai", "notice.aired")];
        for url in ["http://portal.example/", "file:///etc/passwd", "https://an:mat@portal.example/", "x"] {
            let answer = mai.post(central, "/cai-dat/noi-nhan", &fields(url)).await;
            assert!(answer.status == 400 && answer.text().contains("https://"), "{url}: {}", answer.status);
        }
        assert_eq!(
            far.post(central, "/cai-dat/noi-nhan", &fields("https://portal.example/")).await.status,
            403
        );
        assert_eq!(mai.post(central, "/cai-dat/noi-nhan", &fields("https://127.0.0.1/")).await.status, 200);
        let id = central.store().receivers().await.unwrap()[0].id;
        mai.post(central, &format!("/cai-dat/noi-nhan/{id}/thu"), &[]).await;
        let event = until("it was tried", async || {
            central.store().events(1).await.unwrap().into_iter().find(|event| event.tries > 0)
        })
        .await;
        assert!(event.fault.unwrap().contains("no public address"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_for_everybody_fit_every_screen() {
    with_villages(async |central| {
        send_programme(central, "Bản tin xã").await;
        aired(central, "00000000000000aa", ("Tạm ngừng cấp nước", "Từ 8 giờ đến 11 giờ."), true, "dong-1")
            .await;
        until_says(central, "/chuong-trinh?thon=dong", "<audio").await;
        let sent =
            send(central, &[("thon", "dong"), ("loai", "not_heard"), ("loi", "Loa ở đầu xóm im.")]).await;
        let mine = sent.header("location").to_owned();
        let lan = Staff::make(central, "lan", &[(Role::Writer, "xa")]).await;
        let browser = Browser::start();
        let address = format!("http://{}", central.http_addr());
        let mut page = browser.person(&format!("{address}/chuong-trinh?thon=dong"));
        for (path, name) in [
            ("/chuong-trinh?thon=dong", "cong-khai"),
            ("/gop-y?thon=dong", "gop-y"),
            (mine.as_str(), "gop-y-tra-loi"),
        ] {
            page.go(&format!("{address}{path}"));
            page.look(name);
        }
        page.sign_in(&lan);
        page.go(&format!("{address}/gop-y-cua-dan"));
        page.look("gop-y-cua-dan");
        let mai = Staff::make(central, "mai", &[(Role::Administrator, "xa")]).await;
        add_receiver(central, &mai, "https://127.0.0.1/su-kien").await;
        mai.post(central, "/cai-dat/noi-nhan/1/thu", &[]).await;
        page.sign_in(&mai);
        page.go(&format!("{address}/cai-dat/noi-nhan"));
        page.look("noi-nhan");
    })
    .await;
}
