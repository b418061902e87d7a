//! A commune as it is after a year of use: thirty villages with long names, a hundred and fifty boxes of which some are
//! silent or faulty, notices in every state, alarms, villagers' words, people who left. Every page is looked at with that.

use crate::emergency::prepare;
use crate::support::browser::Browser;
use crate::support::commune::*;
use crate::support::staff::{FORM, Staff, form};
use crate::support::villages::{alive, box_id, sounds};
use loaxa_central::Central;
use loaxa_central::settings::{BoxDeclared, Group, Settings};
use loaxa_central::store::{MessageUse, Role};
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::playback::{SlotKey, Subject};
use serde_json::json;

const VILLAGES: usize = 30;
const BOXES_EACH: usize = 5;

const NAMES: [&str; VILLAGES] = [
    "Thôn Đông",
    "Thôn Đoài",
    "Thôn Thượng",
    "Thôn Hạ",
    "Thôn Trung",
    "Thôn Bến",
    "Xóm Chùa",
    "Xóm Mới",
    "Xóm Đình",
    "Xóm Trại",
    "Tổ dân phố số 1 Nguyễn Thị Minh Khai",
    "Tổ dân phố số 2 Nguyễn Thị Minh Khai",
    "Khu tái định cư Thượng Nghĩa Trung Hạ Phường Đông",
    "Bản Nậm Khòa Thượng",
    "Bản Nậm Khòa Hạ",
    "Thôn Đồng Cao",
    "Thôn Phú Xuân Thượng",
    "Thôn Phú Xuân Hạ",
    "Thôn Yên Lạc",
    "Thôn Yên Bình",
    "Thôn Vạn Phúc",
    "Thôn Vạn Thọ",
    "Thôn Kim Sơn",
    "Thôn Kim Ngọc",
    "Thôn Đại Đồng",
    "Thôn Tiền Phong",
    "Thôn Quyết Thắng",
    "Thôn Tân Lập",
    "Thôn Tân Tiến",
    "Thôn Cây Đa Giếng Nước Sân Đình",
];

fn village(nth: usize) -> String {
    format!("thon-{}", nth + 1)
}

fn loa(nth: usize, number: usize) -> String {
    format!("{}-{number}", village(nth))
}

fn commune(dir: &std::path::Path) -> Settings {
    let mut settings = settings(dir, embedded());
    settings.commune = "Xã Nguyễn Văn Linh".to_owned();
    let ids: Vec<String> = (0..VILLAGES).map(village).collect();
    settings.keys.trust = trust_over(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    settings.groups =
        vec![Group { id: group("xa"), title: "Xã Nguyễn Văn Linh".to_owned(), parent: None }];
    settings.groups.extend(NAMES.iter().enumerate().map(|(nth, title)| Group {
        id: group(&village(nth)),
        title: (*title).to_owned(),
        parent: Some(group("xa")),
    }));
    let boxes = (0..VILLAGES).flat_map(|nth| (1..=BOXES_EACH).map(move |number| (nth, number)));
    settings.boxes = boxes
        .map(|(nth, number)| BoxDeclared {
            id: box_id(&loa(nth, number)),
            title: format!("Cột loa số {number}, {}", NAMES[nth]),
            groups: vec![group(&village(nth))],
            key: Some(key(11).public().to_string()),
        })
        .collect();
    settings
}

const PROGRAMME: &str = "[programme]\nid = 'xa'\nversion = 1\ntitle = 'Chương trình của xã'\ngroup = 'xa'\n\
[[section]]\nid = 'thoi-su'\ntitle = 'Thời sự của xã'\nweekly_minutes_min = 60\n\
[[section]]\nid = 'y-te'\ntitle = 'Y tế và sức khỏe cộng đồng'\nweekly_minutes_min = 500\n\
[[playlist]]\nid = 'sang'\ntitle = 'Bản tin buổi sáng'\n\
[[playlist.item]]\ntitle = 'Tin trong xã'\ntext = 'Kính chào bà con, mời bà con nghe tin trong xã hôm nay.'\nsection = 'thoi-su'\n\
[[playlist.item]]\ntitle = 'Phòng bệnh sốt xuất huyết trong mùa mưa và những điều các gia đình cần làm'\n\
text = 'Các gia đình nhớ diệt bọ gậy, ngủ màn, đậy kín chum vại.'\nsection = 'y-te'\n\
[[slot]]\nid = 'sang'\ntitle = 'Bản tin buổi sáng'\nstart = '05:30'\nend = '06:00'\nplaylist = 'sang'\n\
[[slot]]\nid = 'trua'\ntitle = 'Nhắc một phút'\nstart = '11:00'\nminutes = 1\nplaylist = 'sang'\n\
[[slot]]\nid = 'chieu'\ntitle = 'Bản tin buổi chiều và lời nhắc của các thôn'\nstart = '17:00'\nend = '17:30'\nplaylist = 'sang'\nfill = 'loop'\n";

async fn sends(central: &Central, path: &str, asked: serde_json::Value) -> Answer {
    let answer = post(central, path, "application/json", asked.to_string().into()).await;
    assert_eq!(answer.status, 201, "{path}: {}", answer.text());
    answer
}

/// Writes a notice, and sends it to be approved unless it stays a draft.
async fn writes(
    central: &Central,
    who: &Staff,
    (id, title): (&str, &str),
    to: &str,
    class: &str,
    does: &str,
) {
    let words = "Ủy ban nhân dân xã kính mời bà con đến nhà văn hóa thôn lúc bảy giờ sáng thứ Bảy để họp bàn về việc \
        sửa đường liên thôn, mỗi gia đình cử một người, xin mang theo sổ hộ khẩu.";
    let fields = [
        ("goc", ""),
        ("ten", title),
        ("loi", words),
        ("giong", "may"),
        ("noi", to),
        ("khi", "som"),
        ("loai", class),
        ("lan", "1"),
        ("tieng", "vi"),
        ("viec", does),
    ];
    let answer = who.post(central, &format!("/soan-tin/{id}"), &fields).await;
    assert!([200, 303].contains(&answer.status), "{title}: {} {}", answer.status, answer.text());
}

async fn decides(central: &Central, who: &Staff, id: &str, does: &str) {
    let row = central.store().notice(id.parse().unwrap()).await.unwrap().unwrap();
    let version = row.digest.to_string();
    let fields =
        [("ban", version.as_str()), ("viec", does), ("ly-do", "Xin ghi rõ ngày giờ họp và người liên hệ.")];
    let done = who.post(central, &format!("/duyet-tin/{id}"), &fields).await;
    assert_eq!(done.status, 303, "{id} {does}: {}", done.text());
}

/// The commune's people: one with all roles, a writer, an approver.
struct Office {
    all: Staff,
    lan: Staff,
    duc: Staff,
}

async fn lives(central: &Central) -> Office {
    let all = Staff::make(central, "nguyen-thi-mai-phuong", &Role::ALL.map(|role| (role, "xa"))).await;
    let lan = Staff::make(central, "lan", &[(Role::Writer, "xa")]).await;
    let duc = Staff::make(central, "duc", &[(Role::Approver, "xa"), (Role::Duty, "xa")]).await;
    for nth in 0..12 {
        let id = format!("can-bo-{nth}");
        Staff::make(central, &id, &[(Role::ALL[nth % Role::ALL.len()], village(nth).as_str())]).await;
    }
    for nth in 0..VILLAGES {
        for number in 1..=BOXES_EACH {
            let id = loa(nth, number);
            match (nth, number) {
                (5, _) | (12, 1..=2) => {
                    alive(central, &id, 7_200, &[]).await;
                    central.store().note_lost(box_id(&id), loaxa_adapters::clock::wall()).await.unwrap();
                }
                (29, 5) => {}
                (3, 1) => alive(central, &id, 1, &["amplifier_fault"]).await,
                (16, 2) => alive(central, &id, 1, &["disk_full", "clock_unset"]).await,
                _ => alive(central, &id, 1, &[]).await,
            }
        }
    }
    let allowed = json!([{ "from": "00:00:00", "until": "24:00" }]);
    let policy = json!({
        "version": 0, "allowed": allowed, "session_minutes_max": 1_440, "day_minutes_max": 1_440,
        "volume_day_percent_max": 100, "volume_night_percent_max": 100,
    });
    sends(central, "/api/v1/policies", json!({ "to": ["xa"], "policy": policy })).await;
    sends(central, "/api/v1/programmes", json!({ "toml": PROGRAMME, "media": {} })).await;
    for (nth, (title, class, to)) in [
        ("Lịch cắt điện để sửa đường dây ngày thứ Bảy", "priority", "thon-1"),
        (
            "Mời họp thôn bàn về đường liên thôn và góp vốn đối ứng của các gia đình năm 2027",
            "normal",
            "thon-13",
        ),
        ("Tiêm phòng cho trẻ dưới hai tuổi", "normal", "xa"),
        ("Nhắc nộp thuế đất phi nông nghiệp", "normal", "xa"),
        ("Chúc thọ các cụ tròn 80 tuổi", "normal", "thon-2"),
        ("Phun thuốc muỗi", "priority", "xa"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("00000000000000a{nth}");
        writes(central, &lan, (&id, title), to, class, if nth == 5 { "luu" } else { "gui" }).await;
        match nth {
            0 | 1 => decides(central, &duc, &id, "duyet").await,
            2 => decides(central, &duc, &id, "tra-lai").await,
            _ => {}
        }
    }
    let slot =
        Subject::Slot(SlotKey { slot: "chieu".parse().unwrap(), date: loaxa_adapters::clock::wall().date() });
    for nth in [0, 1, 2, 12] {
        for number in 3..=5 {
            sounds(central, &loa(nth, number), 60, slot.clone(), "Tin trong xã", Rung::Programme).await;
        }
    }
    for (title, purpose) in [
        ("Nước sông lên nhanh, bà con lên đê ngay", MessageUse::Alarm),
        ("Hết nguy hiểm", MessageUse::AllClear),
        ("Báo động nhầm", MessageUse::FalseAlarm),
    ] {
        prepare(central, &all, title, purpose).await;
    }
    let origin = format!("http://{}", central.http_addr());
    for (village, kind, words) in [
        (
            "thon-6",
            "not_heard",
            "Cả tuần nay loa ở đầu xóm không nói gì, chúng tôi không biết lịch tiêm cho các cháu.",
        ),
        ("thon-13", "too_loud", "Loa chĩa vào cửa sổ nhà có cháu nhỏ, 5 giờ sáng đã to."),
        ("thon-1", "other", "Xin phát lại tin cắt điện."),
    ] {
        let fields = form(&[("thon", village), ("loai", kind), ("loi", words)]);
        post_with(central, "/gop-y", &[FORM, ("origin", &origin)], fields).await;
    }
    for title in ["Thời sự của xã", "Y tế và sức khỏe cộng đồng", "Nông nghiệp"] {
        all.post(central, "/cai-dat/chuyen-muc", &[("chuyen-muc", title)]).await;
    }
    for (title, by) in [
        ("Tháng hành động phòng chống ma túy và tệ nạn xã hội", "Công an xã"),
        ("Tết trồng cây", "Hội nông dân"),
    ] {
        all.post(central, "/cai-dat/chien-dich", &[("chien-dich", title), ("phu-trach", by)]).await;
    }
    for (day, hours) in [("0", ("07:00", "17:00")), ("1", ("17:00", "07:00"))] {
        let fields = [("nguoi", "duc"), ("thu-may", day), ("tu", hours.0), ("den", hours.1), ("thu-tu", "1")];
        all.post(central, "/truc-ban/ca", &fields).await;
    }
    Office { all, lan, duc }
}

/// Waits beside the commune for as long as a file is there, for somebody who wants to look around with a browser of their own.
async fn stays(central: &Central, office: &Office) {
    let Some(file) = std::env::var_os("LOAXA_VISIT") else { return };
    let told = json!({
        "address": format!("http://{}", central.http_addr()),
        "all": office.all.cookie, "lan": office.lan.cookie, "duc": office.duc.cookie,
    });
    std::fs::write(&file, told.to_string()).unwrap();
    while std::path::Path::new(&file).exists() {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

/// Pages with much on them, as a person with all roles sees them.
const PAGES: [&str; 33] = [
    "/",
    "/tin",
    "/tin?trang-thai=tat-ca",
    "/tin/00000000000000a0",
    "/tin/00000000000000a2",
    "/soan-tin",
    "/soan-tin/00000000000000a5",
    "/duyet-tin",
    "/duyet-tin/00000000000000a3",
    "/phat-am",
    "/noi-truc-tiep",
    "/canh-bao",
    "/canh-bao/da-nhan",
    "/cum-loa",
    "/cum-loa/thon-6-1",
    "/cum-loa/thon-4-1",
    "/cum-loa/thon-13-3",
    "/cum-loa/moi",
    "/phan-mem",
    "/tuan",
    "/tuan?noi=xa",
    "/kho-am-thanh",
    "/nhat-ky",
    "/bao-cao",
    "/khan-cap",
    "/dien-tap",
    "/tin-soan-san",
    "/truc-ban",
    "/gop-y-cua-dan",
    "/cai-dat",
    "/cai-dat/luu-giu",
    "/cai-dat/noi-nhan",
    "/nguoi",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_a_lived_in_commune_fits_a_small_telephone_and_a_desk() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(commune(dir.path())).await;
    let office = lives(&central).await;
    stays(&central, &office).await;
    let browser = Browser::start();
    let address = format!("http://{}", central.http_addr());
    let mut page = browser.person(&format!("{address}/healthz"));
    page.sign_in(&office.all);
    let mut wrong = Vec::new();
    for path in PAGES {
        page.go(&format!("{address}{path}"));
        for (width, dark) in [(320, false), (1280, true)] {
            page.screen(width, dark);
            let faults = page.faults().into_iter();
            wrong.extend(faults.map(|fault| format!("{path} at {width} px, dark {dark}: {fault}")));
        }
        let main =
            page.value("document.querySelectorAll('main .btn:not(.sec):not(.quiet):not(.c-line)').length");
        if main.as_u64().unwrap() > 1 {
            wrong.push(format!("{path}: {main} main buttons"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    central.stop().await;
}
