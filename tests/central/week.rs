//! The week as staff know it: seen as it will sound, changed once or for good, copied, undone, and approved in exactly the
//! form that was read.

use crate::support::commune::*;
use crate::support::staff::Staff;
use loaxa_central::Central;
use loaxa_central::store::{ProposalKind, ProposalRow, ProposalState, Role};
use loaxa_heart::config::programme_file::{Audio, parse};
use loaxa_heart::domain::programme::Programme;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command};
use serde_json::json;
use std::path::Path;

/// A writer of the whole commune, one of a village who also approves, and an approver.
struct Office {
    lan: Staff,
    mai: Staff,
    duc: Staff,
}

const TOML: &str = "# Cô Mai giữ chương trình này.
[programme]
id = 'xa'
version = 1
title = 'Xã'
group = 'xa'

[[section]]
id = 'y-te'
title = 'Y tế'
weekly_minutes_min = 30

[[holiday]]
id = 'le'
title = 'Ngày hội làng'
effect = 'add'
dates = ['2026-12-08']

[[playlist]]
id = 'l'
title = 'Tin xã'
[[playlist.item]]
title = 'Mở <script>alert(1)</script>'
text = 'Kính chào bà con, mời bà con nghe bản tin của xã hôm nay.'
section = 'y-te'
licence = 'của xã'

# Buổi sáng
[[slot]]
id = 'sang'
title = 'Bản tin sáng'
start = '05:30' # gà gáy
end = '06:15'
playlist = 'l'

[[slot]]
id = 'phut'
title = 'Một phút'
start = '11:00'
minutes = 1
playlist = 'l'

[[slot]]
id = 'dem'
title = 'Đêm hội'
start = '23:30'
end = '00:30'
playlist = 'l'
fill = 'loop'
dates = ['2026-12-31']

[[slot]]
id = 'hoi'
title = 'Hội'
start = '15:00'
end = '15:30'
playlist = 'l'
holiday = 'le'
";

async fn with_office(test: impl AsyncFn(&Central, &Office)) {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let lan = Staff::make(&central, "lan", &[(Role::Writer, "xa")]).await;
    let mai = Staff::make(&central, "mai", &[(Role::Writer, "xa"), (Role::Approver, "xa")]).await;
    let duc = Staff::make(&central, "duc", &[(Role::Approver, "xa")]).await;
    install(&central, TOML).await;
    test(&central, &Office { lan, mai, duc }).await;
    central.stop().await;
}

async fn install(central: &Central, toml: &str) {
    let asked = json!({ "toml": toml, "media": {} }).to_string();
    let answer = post(central, "/api/v1/programmes", "application/json", asked.into()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let allowed = json!([{ "from": "00:00:00", "until": "24:00" }]);
    let policy = json!({
        "version": 0, "allowed": allowed, "session_minutes_max": 1_440, "day_minutes_max": 1_440,
        "volume_day_percent_max": 100, "volume_night_percent_max": 100,
    });
    let asked = json!({ "to": ["xa"], "policy": policy }).to_string();
    let answer = post(central, "/api/v1/policies", "application/json", asked.into()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

async fn open(central: &Central) -> Option<ProposalRow> {
    let rows = central.store().open_proposals().await.unwrap();
    rows.into_iter().find(|row| row.content.kind == ProposalKind::Programme)
}

/// Reads the version that a page shows.
fn version_on(page: &Answer) -> String {
    let rest = page.text().split_once("name=\"ban\" value=\"").unwrap_or_else(|| panic!("{}", page.text())).1;
    rest.split_once('"').unwrap().0.to_owned()
}

/// Sends the form of a slot as the writer sees it on `day`, with changes.
async fn change(central: &Central, who: &Staff, day: &str, slot: &str, changes: &[(&str, &str)]) -> Answer {
    let page = who.get(central, &format!("/tuan/khung?noi=xa&ngay={day}&ct=xa&khung={slot}")).await;
    assert_eq!(page.status, 200, "{}", page.text());
    change_seen(central, who, day, slot, &version_on(&page), changes).await
}

async fn change_seen(
    central: &Central,
    who: &Staff,
    day: &str,
    slot: &str,
    seen: &str,
    changes: &[(&str, &str)],
) -> Answer {
    let usual = [
        ("noi", "xa"),
        ("ngay", day),
        ("ct", "xa"),
        ("khung", slot),
        ("ban", seen),
        ("pham-vi", "ngay"),
        ("ten", "Bản tin sáng"),
        ("bat-dau", "05:30"),
        ("ket-thuc", "06:15"),
        ("danh-sach", "l"),
        ("am-luong", "100"),
        ("viec", "ghi"),
    ];
    let changed = |name: &str| changes.iter().any(|(other, _)| *other == name);
    let mut fields: Vec<_> = usual.into_iter().filter(|(name, _)| !changed(name)).collect();
    fields.extend(changes);
    who.post(central, "/tuan/khung", &fields).await
}

async fn step(central: &Central, who: &Staff, does: &str) -> Answer {
    let row = open(central).await.unwrap();
    let (id, digest) = (row.id.to_string(), row.digest.to_string());
    who.post(central, "/tuan/nhap", &[("noi", "xa"), ("id", &id), ("ban", &digest), ("viec", does)]).await
}

async fn decide(central: &Central, who: &Staff, row: &ProposalRow, does: &str) -> Answer {
    let fields =
        [("ban", row.digest.to_string()), ("viec", does.to_owned()), ("ly-do", "Sớm quá".to_owned())];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    who.post(central, &format!("/duyet-lich/{}", row.id), &fields).await
}

/// The programme that boxes were sent last.
async fn sent(central: &Central) -> (Programme, String, Command) {
    let documents = central.store().documents(loaxa_adapters::clock::wall()).await.unwrap();
    let newest =
        documents.iter().filter(|it| it.name.to_string() == "programme/xa").max_by_key(|it| it.version);
    let row = central.store().command(newest.unwrap().command.clone()).await.unwrap().unwrap();
    let command: Command = codec::decode(row.payload.as_bytes()).unwrap();
    let Body::Programme { toml, .. } = &command.body else { panic!("a programme") };
    (parse(toml, "p", Path::new(""), Audio::Unseen).unwrap(), toml.clone(), command.clone())
}

fn slots(programme: &Programme) -> Vec<String> {
    let slots = programme.slots.iter();
    slots.map(|it| format!("{} {} {}", it.id, it.start.format("%H:%M"), it.days.except.len())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_is_seen_as_it_will_sound() {
    with_office(async |central, office| {
        let page = office.lan.get(central, "/tuan?noi=xa&ngay=2026-12-08").await;
        let text = page.text();
        assert_eq!(page.status, 200, "{text}");
        for part in [
            "07/12 đến 13/12/2026, Xã Thử",
            "05:30–06:15",
            "11:00–11:01",
            "Ngày hội làng",
            "30/10 âm lịch",
            "1/11 âm lịch, mồng Một",
            "trên 30 phút",
            "Phiên bản 1: 0 trên 2 cụm loa đã nhận",
            "Chưa nhận: Cụm loa 1, Cụm loa 2",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert_eq!(text.matches("Một phút").count(), 7, "the slot of a minute stands on each day");
        assert!(!text.contains("<script>alert"), "names are text");
        // From 23:30 on the last day of the year to 00:30: once, and a mark on the day after.
        let year = office.lan.get(central, "/tuan?noi=xa&ngay=2026-12-31").await;
        assert_eq!(year.text().matches("23:30–00:30 hôm sau").count(), 1);
        assert!(year.text().contains("đến 00:30, tiếp từ hôm trước"));
        // What sounds in a slot; a reader who only looks; addresses that are slips.
        let slot = office.lan.get(central, "/tuan/khung?noi=xa&ngay=2026-12-08&ct=xa&khung=hoi").await;
        assert!(
            slot.text().contains("15:00:00") && slot.text().contains("Mở &lt;script&gt;"),
            "{}",
            slot.text()
        );
        assert!(
            !office.duc.get(central, "/tuan?noi=xa&ngay=2026-12-08").await.text().contains("/tuan/khung")
        );
        for path in ["/tuan?ngay=99999999", "/tuan?ngay=1066-10-14", "/tuan?noi=%3Cscript%3E"] {
            assert_eq!(office.lan.get(central, path).await.status, 200, "{path}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_drafted_approved_by_somebody_else_and_sent_with_its_comments() {
    with_office(async |central, office| {
        let moved = [("bat-dau", "06:00"), ("ket-thuc", "6h45")];
        let answer = change(central, &office.lan, "2026-12-09", "sang", &moved).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        let page = office.lan.get(central, "/tuan?noi=xa&ngay=2026-12-09").await;
        for part in [
            "chỉ ngày 09/12/2026",
            "<del>05:30–06:15</del>",
            "<ins>06:00–06:45</ins>",
            "2 cụm loa",
            "Hoàn tác",
        ] {
            assert!(page.text().contains(part), "{part} in {}", page.text());
        }
        assert_eq!(sent(central).await.0.version, 1, "nothing is sent before approval");
        assert_eq!(step(central, &office.lan, "gui").await.status, 303);
        let row = open(central).await.unwrap();
        assert_eq!(row.state, ProposalState::Submitted);

        assert_eq!(decide(central, &office.lan, &row, "duyet").await.status, 403, "lan approves nothing");
        let badge = office.duc.get(central, "/tuan").await;
        assert!(badge.text().contains("<span class=\"count\">1</span>"), "it counts in the menu");
        let queue = office.duc.get(central, "/duyet-tin").await;
        assert_eq!(queue.header("location"), format!("/duyet-lich/{}", row.id));
        let page = office.duc.get(central, queue.header("location")).await;
        for part in ["Bắt đầu: 06:00", "Nghỉ ngày: ", "Cán bộ lan", "Cụm loa 1, Cụm loa 2", "gà gáy"]
        {
            assert!(page.text().contains(part), "{part} in {}", page.text());
        }
        // Mai touches it: she can't approve, and who read it before is told and shown both.
        assert_eq!(change(central, &office.mai, "2026-12-10", "phut", &[("viec", "bo")]).await.status, 303);
        let stale = decide(central, &office.duc, &row, "duyet").await;
        assert_eq!(stale.status, 409);
        for part in [
            "Người khác vừa sửa lịch này",
            "Bản bạn đã đọc",
            "Đã đổi từ lúc bạn đọc",
            "Nghỉ ngày: 10/12/2026",
        ] {
            assert!(stale.text().contains(part), "{part} in {}", stale.text());
        }
        assert_eq!(sent(central).await.0.version, 1, "nothing was sent");
        assert_eq!(step(central, &office.mai, "gui").await.status, 303);
        let row = open(central).await.unwrap();
        assert_eq!(decide(central, &office.mai, &row, "duyet").await.status, 403, "mai edited it");
        let approved = decide(central, &office.duc, &row, "duyet").await;
        assert_eq!(approved.status, 303, "{}", approved.text());
        assert_eq!(decide(central, &office.duc, &row, "duyet").await.status, 303, "pressed twice is once");
        let (programme, toml, command) = sent(central).await;
        assert_eq!(programme.version, 2);
        assert_eq!(
            (command.author.as_str(), command.approver.as_deref()),
            ("Cán bộ lan", Some("Cán bộ duc"))
        );
        assert_eq!(
            slots(&programme),
            ["sang 05:30 1", "phut 11:00 1", "dem 23:30 0", "hoi 15:00 0", "sang.20261209 06:00 0"]
        );
        for comment in ["# Cô Mai giữ", "# Buổi sáng", "# gà gáy"] {
            assert_eq!(toml.matches(comment).count(), 1, "{toml}");
        }
        assert!(open(central).await.is_none());
        let trail = central.store().acts(loaxa_central::store::ActFilter { limit: 50, ..Default::default() });
        let acts: Vec<_> = trail.await.unwrap().into_iter().map(|act| act.act).collect();
        for act in ["proposal_begun", "proposal_changed", "proposal_submitted", "proposal_approved"] {
            assert!(acts.iter().any(|it| it == act), "{act} in {acts:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exceptions_outlive_renaming_and_moving_of_their_series() {
    with_office(async |central, office| {
        let lan = &office.lan;
        change(central, lan, "2026-12-09", "sang", &[("bat-dau", "06:00"), ("ket-thuc", "06:30")]).await;
        let series = [
            ("pham-vi", "chuoi"),
            ("ten", "Tin sớm"),
            ("bat-dau", "05:00"),
            ("ket-thuc", "05:20"),
            ("thu", "mon"),
            ("thu", "wed"),
        ];
        assert_eq!(change(central, lan, "2026-12-14", "sang", &series).await.status, 303);
        let page = lan.get(central, "/tuan?noi=xa&ngay=2026-12-09").await.text().to_owned();
        assert_eq!(page.matches("num\">05:00–05:20").count(), 1, "Monday; Wednesday has its own: {page}");
        assert_eq!(page.matches("num\">06:00–06:30").count(), 1);
        // Changed again, the single one stays one, under the same name.
        let again = [("bat-dau", "06:10"), ("ket-thuc", "06:30")];
        assert_eq!(change(central, lan, "2026-12-09", "sang.20261209", &again).await.status, 303);
        let row = open(central).await.unwrap();
        let programme = parse(&row.content.text, "p", Path::new(""), Audio::Unseen).unwrap();
        assert_eq!(slots(&programme)[0], "sang 05:00 1");
        assert_eq!(slots(&programme)[4..], ["sang.20261209 06:10 0"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_editors_the_later_is_told_and_a_change_can_be_taken_back() {
    with_office(async |central, office| {
        let page = office.mai.get(central, "/tuan/khung?noi=xa&ngay=2026-12-09&ct=xa&khung=sang").await;
        let seen = version_on(&page);
        assert_eq!(change(central, &office.lan, "2026-12-09", "phut", &[("viec", "bo")]).await.status, 303);
        let moved = [("bat-dau", "07:00"), ("ket-thuc", "07:30")];
        let late = change_seen(central, &office.mai, "2026-12-09", "sang", &seen, &moved).await;
        assert_eq!(late.status, 409, "{}", late.text());
        for part in ["Thay đổi của bạn chưa được ghi", "<ins>07:00–07:30</ins>", "Bỏ khung giờ", "Cán bộ lan"]
        {
            assert!(late.text().contains(part), "{part} in {}", late.text());
        }
        // Only whoever made the last change takes it back.
        let text = open(central).await.unwrap().content.text;
        assert!(text.contains("except"));
        assert_eq!(step(central, &office.mai, "hoan-tac").await.status, 400);
        assert_eq!(step(central, &office.lan, "hoan-tac").await.status, 303);
        assert!(!open(central).await.unwrap().content.text.contains("except"));
        assert_eq!(step(central, &office.lan, "hoan-tac").await.status, 400, "once");
        // Returned with a reason, given up.
        assert_eq!(step(central, &office.lan, "gui").await.status, 303);
        let row = open(central).await.unwrap();
        assert_eq!(decide(central, &office.duc, &row, "tra-lai").await.status, 303);
        assert!(office.lan.get(central, "/tuan?noi=xa").await.text().contains("Sớm quá"));
        assert_eq!(step(central, &office.lan, "rut").await.status, 303);
        assert!(open(central).await.is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_added_left_out_and_brought_back_and_bad_ones_are_refused() {
    with_office(async |central, office| {
        let lan = &office.lan;
        let bad = [("ten", ""), ("bat-dau", "25:00"), ("am-luong", "300"), ("danh-sach", "khong-co")];
        let answer = change(central, lan, "2026-12-09", "", &bad).await;
        assert_eq!(answer.status, 400);
        for part in
            ["Giờ chưa đúng", "Âm lượng là số từ 1 đến 100", "Xin chọn danh sách phát", "value=\"25:00\""]
        {
            assert!(answer.text().contains(part), "{part} in {}", answer.text());
        }
        let meets = [("ten", "Chen"), ("bat-dau", "06:00"), ("ket-thuc", "06:30")];
        let answer = change(central, lan, "2026-12-09", "", &meets).await;
        assert!(
            answer.status == 400 && answer.text().contains("sang"),
            "it meets another: {}",
            answer.text()
        );
        let new = [
            ("pham-vi", "chuoi"),
            ("ten", "Tin <b>trưa</b>"),
            ("bat-dau", "12:00"),
            ("ket-thuc", "12:01"),
            ("thu", "mon"),
        ];
        assert_eq!(change(central, lan, "2026-12-09", "", &new).await.status, 303);
        let page = lan.get(central, "/tuan?noi=xa&ngay=2026-12-09").await.text().to_owned();
        assert!(page.contains("12:00–12:01") && page.contains("Tin &lt;b&gt;trưa&lt;/b&gt;"), "{page}");
        assert_eq!(change(central, lan, "2026-12-09", "sang", &[("viec", "bo")]).await.status, 303);
        let page = lan.get(central, "/tuan?noi=xa&ngay=2026-12-09").await.text().to_owned();
        assert!(page.contains("Nghỉ riêng ngày này"), "{page}");
        assert_eq!(change(central, lan, "2026-12-09", "sang", &[("viec", "lai")]).await.status, 303);
        assert!(
            !lan.get(central, "/tuan?noi=xa&ngay=2026-12-09").await.text().contains("Nghỉ riêng ngày này")
        );
        let midnight = [("ten", "Đêm"), ("bat-dau", "22:00"), ("ket-thuc", "24:00")];
        assert_eq!(change(central, lan, "2026-12-09", "", &midnight).await.status, 303);
        assert!(
            lan.get(central, "/tuan?noi=xa&ngay=2026-12-09").await.text().contains("22:00–00:00 hôm sau")
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_is_copied_after_its_difference_was_shown() {
    with_office(async |central, office| {
        let lan = &office.lan;
        change(central, lan, "2026-12-02", "sang", &[("bat-dau", "06:00"), ("ket-thuc", "06:30")]).await;
        let path = "/tuan/chep?noi=xa&ngay=2026-12-15&ct=xa&tu=2026-12-02";
        let page = lan.get(central, path).await;
        for part in ["Từ tuần 30/11/2026 sang tuần 14/12/2026", "Thêm 1, bỏ 1", "06:00–06:30", "16/12"]
        {
            assert!(page.text().contains(part), "{part} in {}", page.text());
        }
        let seen = version_on(&page);
        let fields =
            [("noi", "xa"), ("ngay", "2026-12-15"), ("ct", "xa"), ("tu", "2026-12-02"), ("ban", &seen)];
        assert_eq!(lan.post(central, "/tuan/chep", &fields).await.status, 303);
        let week = lan.get(central, "/tuan?noi=xa&ngay=2026-12-16").await.text().to_owned();
        assert!(week.contains("06:00–06:30"), "{week}");
        assert!(lan.get(central, path).await.text().contains("Hai tuần giống nhau"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_text_is_judged_line_by_line_and_kept_as_it_was_written() {
    with_office(async |central, office| {
        let lan = &office.lan;
        let keep = async |text: &str| {
            let page = lan.get(central, "/tuan/van-ban?noi=xa&ct=xa").await;
            let seen = version_on(&page);
            let text = text.replace('\n', "\r\n");
            let fields = [("noi", "xa"), ("ct", "xa"), ("loai", "programme"), ("ban", &seen), ("van-ban", &text)];
            lan.post(central, "/tuan/van-ban", &fields).await
        };
        // Every hour for 15 years.
        let hourly = TOML.replace("playlist = 'l'\n\n[[slot]]\nid = 'phut'", "playlist = 'l'\nrrule = 'FREQ=HOURLY;COUNT=131400'\nrrule_from = '2026-01-01'\n\n[[slot]]\nid = 'phut'");
        let answer = keep(&hourly).await;
        assert!(answer.status == 400 && answer.text().contains("Dòng 35, slot.rrule"), "{}", answer.text());
        assert!(answer.text().contains("FREQ=HOURLY;COUNT=131400"), "what was typed is kept");
        for (bad, says) in [
            (TOML.replace("'06:15'", "'04:15'"), "Dòng 33"),
            (TOML.replace("[[holiday]]", "[[holiday"), "Dòng 13"),
            (TOML.replace("id = 'xa'", "id = 'khac'"), "định danh"),
            (TOML.replace("group = 'xa'", "group = 'khong-co'"), "khong-co"),
        ] {
            let answer = keep(&bad).await;
            assert!(answer.status == 400 && answer.text().contains(says), "{says} in {}", answer.text());
        }
        let good = TOML.replace("# Buổi sáng", "# Buổi sớm, sửa bằng tay").replace("'05:30' # gà", "'05:15' # gà");
        assert_eq!(keep(&good).await.status, 303);
        let text = open(central).await.unwrap().content.text;
        assert_eq!(text, good.replace("version = 1", "version = 2"), "nothing but the version is touched");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_edited_in_place_and_the_library_tells_where_audio_is_used() {
    with_office(async |central, office| {
        let lan = &office.lan;
        let hash = post(central, "/api/v1/media?name=Nh%E1%BA%A1c.wav", "application/octet-stream", tone())
            .await
            .json();
        let hash = hash["sha256"].as_str().unwrap();
        let edit = async |fields: &[(&str, &str)]| {
            let page = lan.get(central, "/tuan/danh-sach?noi=xa&ct=xa&danh-sach=l").await;
            let seen = version_on(&page);
            let all = [&[("noi", "xa"), ("ct", "xa"), ("ban", &seen)], fields].concat();
            lan.post(central, "/tuan/danh-sach", &all).await
        };
        let music = [
            ("danh-sach", "l"),
            ("ten", "Nhạc"),
            ("tep", hash),
            ("nhac", "co"),
            ("giay-phep", "CC0"),
            ("den-ngay", "31/12/2026"),
        ];
        let answer = edit(&music).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        assert_eq!(edit(&[("danh-sach", "l"), ("muc", "1"), ("viec", "len")]).await.status, 303);
        let words = [
            ("danh-sach", "l"),
            ("muc", "1"),
            ("ten", "Chào"),
            ("loi", "Kính chào bà con."),
            ("chuyen-muc", "y-te"),
        ];
        assert_eq!(edit(&words).await.status, 303);
        assert_eq!(edit(&[("danh-sach", "l"), ("ten", ""), ("loi", "")]).await.status, 400);
        assert_eq!(
            edit(&[("ten-danh-sach", "Danh sách mới"), ("ten", "A"), ("dai", "https://vov.vn/a")])
                .await
                .status,
            303
        );
        assert_eq!(
            edit(&[("ten-danh-sach", "Xấu"), ("ten", "A"), ("dai", "javascript:alert(1)")]).await.status,
            400
        );
        let text = open(central).await.unwrap().content.text;
        let programme = parse(&text, "p", Path::new(""), Audio::Unseen).unwrap();
        let list = &programme.playlists[&"l".parse().unwrap()];
        assert_eq!(list.items.iter().map(|item| item.title.as_str()).collect::<Vec<_>>(), ["Nhạc", "Chào"]);
        assert_eq!(programme.playlists.len(), 2);
        let library = office.duc.get(central, "/kho-am-thanh?tim=nh%E1%BA%A0C").await;
        for part in ["Nhạc.wav", "Xã: Tin xã", "CC0", "đến hết 31/12/2026", "1 tệp"] {
            assert!(library.text().contains(part), "{part} in {}", library.text());
        }
        assert!(office.duc.get(central, "/kho-am-thanh?tim=%3Cscript%3E").await.text().contains("0 tệp"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_groups_go_through_the_same_door() {
    with_office(async |central, office| {
        let binh = Staff::make(central, "binh", &[(Role::Administrator, "xa")]).await;
        let keep = async |kind: &str, old: &str, new: &str| {
            let page = binh.get(central, &format!("/tuan/van-ban?noi=xa&loai={kind}")).await;
            assert_eq!(page.status, 200, "{}", page.text());
            let seen = version_on(&page);
            let text = page.text().split_once("<textarea").unwrap().1.split_once(">\n").unwrap().1;
            let text = text.split_once("</textarea>").unwrap().0.replace("&quot;", "\"");
            assert!(text.contains(old), "{text}");
            let text = text.replace(old, new);
            let fields = [("noi", "xa"), ("loai", kind), ("ban", &seen), ("van-ban", &text)];
            binh.post(central, "/tuan/van-ban", &fields).await
        };
        for (kind, old, new) in [
            ("policy", "day_minutes_max = 1440", "day_minutes_max = 90"),
            ("groups", "loa-1 = [\"thon-1\"]", "loa-1 = [\"thon-2\"]"),
        ] {
            let answer = keep(kind, old, "đây = không phải").await;
            assert_eq!(answer.status, 400, "{}", answer.text());
            let answer = keep(kind, old, new).await;
            assert_eq!(answer.status, 303, "{}", answer.text());
            let row = central.store().open_proposals().await.unwrap().remove(0);
            let (id, digest) = (row.id.to_string(), row.digest.to_string());
            let fields = [("noi", "xa"), ("id", id.as_str()), ("ban", digest.as_str()), ("viec", "gui")];
            assert_eq!(binh.post(central, "/tuan/nhap", &fields).await.status, 303);
            let page = office.duc.get(central, &format!("/duyet-lich/{id}")).await;
            assert!(page.text().contains("<ins>"), "{}", page.text());
            let row = central.store().open_proposals().await.unwrap().remove(0);
            let done = decide(central, &office.duc, &row, "duyet").await;
            assert_eq!(done.status, 303, "{}", done.text());
        }
        let documents = get_api(central, "/api/v1/documents").await.json().to_string();
        assert!(documents.contains("\"day_minutes_max\":90"), "{documents}");
        let boxes = central.store().boxes().await.unwrap();
        assert_eq!(boxes[0].groups, [group("thon-2")]);
        assert_eq!(
            office.lan.get(central, "/tuan/van-ban?noi=xa&loai=policy").await.status,
            404,
            "not a writer's"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_without_a_programme_gets_its_first() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let lan = Staff::make(&central, "lan", &[(Role::Writer, "thon-1")]).await;
    let page = lan.get(&central, "/tuan").await;
    assert!(page.text().contains("Nơi này chưa có chương trình nào") && page.text().contains("Thôn 1"));
    let elsewhere = lan.post(&central, "/tuan/chuong-trinh", &[("noi", "xa"), ("ten", "Xã")]).await;
    assert_eq!(elsewhere.status, 403);
    let begun = lan.post(&central, "/tuan/chuong-trinh", &[("noi", "thon-1"), ("ten", "Thôn \"1\"")]).await;
    assert_eq!(begun.status, 303, "{}", begun.text());
    let page = lan.get(&central, "/tuan?noi=thon-1").await;
    assert!(page.text().contains("Bản nháp: Thôn &quot;1&quot;"), "{}", page.text());
    assert!(page.text().contains("Chưa gửi lần nào"));
    // Its first slot needs a list; all of it is new to who approves.
    let fields = [
        ("noi", "thon-1"),
        ("ct", "thon-1"),
        ("ten-danh-sach", "Tin thôn"),
        ("ten", "Chào"),
        ("loi", "Chào bà con."),
    ];
    let lists = lan.get(&central, "/tuan/danh-sach?noi=thon-1").await;
    let seen = version_on(&lists);
    let fields = [&fields[..], &[("ban", seen.as_str())]].concat();
    assert_eq!(lan.post(&central, "/tuan/danh-sach", &fields).await.status, 303);
    let row = open(&central).await.unwrap();
    let (id, digest) = (row.id.to_string(), row.digest.to_string());
    let fields = [("noi", "thon-1"), ("id", id.as_str()), ("ban", digest.as_str()), ("viec", "gui")];
    assert_eq!(lan.post(&central, "/tuan/nhap", &fields).await.status, 303);
    let duc = Staff::make(&central, "duc", &[(Role::Approver, "xa")]).await;
    let page = duc.get(&central, &format!("/duyet-lich/{id}")).await;
    assert!(page.text().contains("Danh sách: Tin thôn</b> · mới"), "{}", page.text());
    assert_eq!(decide(&central, &duc, &row, "duyet").await.status, 303);
    let again = lan.post(&central, "/tuan/chuong-trinh", &[("noi", "thon-1"), ("ten", "Nữa")]).await;
    assert_eq!(again.status, 409);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_of_a_thousand_slots_is_drawn_whole() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let head = TOML.split_once("# Buổi sáng").unwrap().0.replace("effect = 'add'", "effect = 'mourning'");
    let slot = |n: u32| {
        let (from, until) = (n * 10, n * 10 + 5);
        let hm = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
        format!(
            "[[slot]]\nid = 's{n}'\ntitle = 'S{n}'\nstart = '{}'\nend = '{}'\nplaylist = 'l'\n",
            hm(from),
            hm(until)
        )
    };
    let slots: String = (0..143).map(slot).collect();
    install(&central, &(head + &slots)).await;
    let lan = Staff::make(&central, "lan", &[(Role::Writer, "xa")]).await;
    for time in ["first", "again"] {
        let began = std::time::Instant::now();
        let page = lan.get(&central, "/tuan?noi=xa&ngay=2026-12-09").await;
        println!("{time}: {} ms, {} kB", began.elapsed().as_millis(), page.body.len() / 1_000);
        assert_eq!(page.text().matches("class=\"slot k-prog").count(), 143 * 7);
    }
    central.stop().await;
}
