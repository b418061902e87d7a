//! Days as they were planned and as boxes tell of them, in the log's page and in every form of the report.

use std::process::Command;

use crate::support::browser::Browser;
use crate::support::commune::*;
use crate::support::staff::{Staff, look};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{Datelike, Days, NaiveDate};
use loaxa_central::Central;
use loaxa_central::store::{
    CampaignRow, DayBox, DayPlan, DuePart, DueSession, NamedCampaign, Names, NewCommand, PlaceRow, Role,
    SectionRow,
};
use loaxa_heart::decide::delivery::CommandKind;
use loaxa_heart::domain::announcement::{BulletinClass, Media, Mode, PlayPlan, Rung};
use loaxa_heart::domain::ids::{ContentHash, PlayId};
use loaxa_heart::domain::playback::{
    DeliveryStep, Entry, Event, NotPlayed, PlayEnd, PlayOutcome, PlayStart, SlotKey, SlotOutcome, Stamp,
    Subject,
};
use loaxa_heart::domain::time::{ClockQuality, Span, Wall};
use loaxa_heart::wire::messages::Body;
use serde_json::{Value, json};

/// A name that a hostile writer puts into every field.
const HOSTILE: &str = "=cmd|'/C calc'!A0<script>alert(1)</script>";

pub fn long_ago() -> NaiveDate {
    loaxa_adapters::clock::wall().date() - Days::new(40)
}

pub fn month() -> String {
    long_ago().format("%Y-%m").to_string()
}

fn at(hour: u32, minute: u32) -> Wall {
    Wall::from_local(long_ago().and_hms_opt(hour, minute, 0).unwrap())
}

fn key(slot: &str) -> SlotKey {
    SlotKey { slot: slot.parse().unwrap(), date: long_ago() }
}

fn part(title: &str, section: &str, minutes: u64) -> DuePart {
    DuePart {
        title: title.to_owned(),
        section: Some(section.parse().unwrap()),
        campaign: None,
        responsible: Some("Nguyễn Văn Lực".to_owned()),
        ms: minutes * 60_000,
    }
}

/// A plan of a day in a month that is over: thirty minutes in the morning on both boxes.
fn plan(title: &str) -> DayPlan {
    let session = DueSession {
        key: key("sang"),
        title: title.to_owned(),
        start: at(5, 0),
        end: at(5, 45),
        parts: vec![part("Tin xã", "thoi-su", 20), part("Lịch tiêm", "y-te", 10)],
    };
    let place = |n: u8| DayBox {
        id: format!("loa-{n}").parse().unwrap(),
        title: format!("Cụm loa {n}"),
        village: format!("thon-{n}"),
        village_title: format!("Thôn {n}"),
        households: Some(100 * u32::from(n)),
        sessions: std::sync::Arc::new(vec![session.clone()]),
    };
    let names = Names {
        sections: [("thoi-su", "Thời sự xã"), ("y-te", "Y tế")]
            .map(|(id, title)| (id.parse().unwrap(), title.to_owned()))
            .into(),
        campaigns: [(
            "tiem".parse().unwrap(),
            NamedCampaign { title: "Tiêm chủng".to_owned(), responsible: "Trạm y tế".to_owned() },
        )]
        .into(),
    };
    DayPlan { day: long_ago(), made: at(0, 0), names, boxes: vec![place(1), place(2)] }
}

fn write(loa: &mut ScriptedBox, wall: Wall, event: Event) {
    let at = Stamp { start: 1, mono_us: 5, wall, quality: ClockQuality::Synced, uncertainty_ms: 1 };
    loa.append_entry(Entry { at, event });
}

fn play(loa: &mut ScriptedBox, number: u32, wall: Wall, named: (&str, &str), minutes: u64) {
    play_of(loa, number, wall, Subject::Slot(key("sang")), named, minutes);
}

fn play_of(
    loa: &mut ScriptedBox,
    number: u32,
    wall: Wall,
    subject: Subject,
    (title, section): (&str, &str),
    minutes: u64,
) {
    let play = PlayId::new(1, number);
    write(
        loa,
        wall,
        Event::PlayStarted(PlayStart {
            play,
            subject: subject.clone(),
            rung: Rung::Programme,
            title: title.to_owned(),
            section: Some(section.parse().unwrap()),
            campaign: None,
            class: None,
            mode: None,
            issuer: None,
            content: None,
            source: "a.mp3".to_owned(),
            language: "vi".to_owned(),
            repetition: 1,
            scheduled: None,
            entered_at_ms: 0,
            volume_percent: 100,
            instead_of: None,
        }),
    );
    write(
        loa,
        wall.plus(Span::secs(minutes * 60)),
        Event::PlayEnded(PlayEnd {
            play,
            subject,
            outcome: PlayOutcome::Finished,
            started_at: None,
            frames_played: minutes * 60 * 48_000,
            frames_due: None,
            loudness_lufs: None,
            heard: None,
        }),
    );
}

fn ended(loa: &mut ScriptedBox, outcome: SlotOutcome) {
    let event =
        Event::SlotEnded {
            key: key("sang"), title: "Bản tin sáng".to_owned(), scheduled: at(5, 0), outcome
        };
    write(loa, at(5, 45), event);
}

/// A commune of which that day was planned, and of which one box has told.
pub async fn with_a_day(title: &str, test: impl AsyncFn(&Central, &mut ScriptedBox)) {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.reporting.above = "Ủy ban nhân dân tỉnh Thử".to_owned();
    let central = start(settings).await;
    // Today has its plan first: what lies between would be planned, too.
    until("a plan of today", async || central.store().days_kept().await.unwrap()).await;
    central.store().keep_day(plan(title)).await.unwrap();
    let port = central.broker_addr().unwrap().port();
    let mut one = ScriptedBox::connect(1, port).await;
    play(&mut one, 1, at(5, 0), ("Tin xã", "thoi-su"), 20);
    play(&mut one, 2, at(5, 20), ("Lịch tiêm", "y-te"), 10);
    ended(&mut one, SlotOutcome::Aired { finished: 2, not_finished: 0 });
    assert_eq!(one.upload(1, 5).await.contiguous_upto, 5);
    let mut two = ScriptedBox::connect(2, port).await;
    test(&central, &mut two).await;
    central.stop().await;
}

async fn report(central: &Central) -> Value {
    let answer = get_api(central, &format!("/api/v1/reports?period={}", month())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn total(central: &Central) -> [u64; 4] {
    let report = report(central).await;
    ["planned", "aired", "missed", "unknown"].map(|code| report["total"][code].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unknown_becomes_what_it_was_and_the_report_says_so() {
    with_a_day("Bản tin sáng", async |central, two| {
        assert_eq!(total(central).await, [60, 30, 0, 30]);
        let page = look(central, &format!("/bao-cao?ky={}", month())).await;
        assert!(page.text().contains("30 + 0 + 30 = 60 phút"), "{}", page.text());
        assert!(!page.text().contains("Cụm loa 2 gửi"));
        let day = long_ago();
        let log = look(central, &format!("/nhat-ky?tu={day}&den={day}")).await;
        assert!(log.text().contains("1 + 0 + 1 = 2 lượt"), "{}", log.text());
        assert!(log.text().contains("Chưa rõ trên 30 phút"), "{}", log.text());

        ended(two, SlotOutcome::NotAired(NotPlayed::Missed));
        assert_eq!(two.upload(1, 1).await.contiguous_upto, 1);
        assert_eq!(total(central).await, [60, 30, 30, 0]);
        let page = look(central, &format!("/bao-cao?ky={}", month())).await;
        assert!(
            page.text().contains("Đã bổ sung ngày") && page.text().contains("Cụm loa 2"),
            "{}",
            page.text()
        );
        assert!(page.text().contains("lúc đó cụm loa tắt"), "{}", page.text());
    })
    .await;
}

/// Gives an order of the evening, for one sounding of so many minutes, that is good for a day.
async fn order(central: &Central, id: &str, minutes: u32) {
    let (issued_at, expires) = (at(20, 0), at(20, 0).plus(Span::secs(86_400)));
    let audio = Media {
        sha256: ContentHash::of(id.as_bytes()),
        bytes: 9,
        codec: "audio/wav".to_owned(),
        ms: minutes * 60_000,
        path: "a.wav".to_owned(),
    };
    let command = loaxa_heart::wire::messages::Command {
        v: 1,
        id: id.parse().unwrap(),
        issuer: "an".parse().unwrap(),
        serial: 1,
        issued_at,
        groups: vec![group("xa")],
        not_before: issued_at,
        expires,
        author: "An".to_owned(),
        approver: None,
        critical: Vec::new(),
        body: Body::Announce {
            title: "Họp thôn".to_owned(),
            class: BulletinClass::Normal,
            mode: Mode::Actual,
            plan: PlayPlan::default(),
            media: Some(audio),
            words: None,
            supersedes: None,
            cap: None,
        },
    };
    let kept = NewCommand {
        id: command.id.clone(),
        kind: CommandKind::Announce,
        issuer: command.issuer.clone(),
        serial: 1,
        issued_at,
        expires,
        groups: command.groups.clone(),
        title: "Họp thôn".to_owned(),
        class: Some(BulletinClass::Normal),
        mode: Some(Mode::Actual),
        author: "An".to_owned(),
        approver: None,
        payload: serde_json::to_string(&command).unwrap(),
        envelope: Vec::new(),
        ends: Vec::new(),
        document: None,
        moves: Vec::new(),
        boxes: vec!["loa-2".parse().unwrap()],
        basis: None,
    };
    central.store().add_command(kept).await.unwrap();
    // As the keeper does where a day is reckoned already.
    central.store().mark_announced(long_ago(), [command.id].into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_box_without_power_says_on_the_day_after_counts_on_the_day_of_its_order() {
    with_a_day("Bản tin sáng", async |central, two| {
        order(central, "hop", 3).await;
        assert_eq!(total(central).await, [63, 30, 0, 33]);
        let ordered = Subject::Announcement { command: "hop".parse().unwrap() };
        // One in the afternoon: 37 hours after the day began.
        play_of(two, 1, at(20, 0).plus(Span::secs(17 * 3_600)), ordered, ("Họp thôn", "thoi-su"), 3);
        let finished = Event::Delivery { command: "hop".parse().unwrap(), step: DeliveryStep::Finished };
        write(two, at(20, 0).plus(Span::secs(17 * 3_600 + 180)), finished);
        assert_eq!(two.upload(1, 3).await.contiguous_upto, 3);
        assert_eq!(total(central).await, [63, 33, 0, 30]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn later_names_change_no_report() {
    with_a_day("Bản tin sáng", async |central, _| {
        let file = async || {
            let answer = get_api(central, &format!("/api/v1/reports?period={}&format=csv", month())).await;
            answer.text().to_owned()
        };
        let before = file().await;
        assert!(before.contains("Thôn 2,1,200,30,0,0,30"), "{before}");
        let act = || loaxa_central::store::NewAct {
            at: at(0, 0),
            actor: loaxa_central::store::Actor::Console,
            act: "place_set",
            subject: String::new(),
            before: None,
            after: None,
            from: None,
        };
        let place = PlaceRow {
            group: group("thon-2"),
            title: Some("Thôn Mới".to_owned()),
            households: Some(9),
            point: None,
        };
        central.store().set_place(place, act()).await.unwrap();
        let section = SectionRow { id: "y-te".parse().unwrap(), title: "Sức khỏe".to_owned() };
        central.store().set_section(section, act()).await.unwrap();
        central.store().mark_to_settle(long_ago(), vec!["loa-1".parse().unwrap()]).await.unwrap();
        assert_eq!(file().await, before);
    })
    .await;
}

pub fn unzipped(bytes: &[u8], pattern: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let script = "import sys,zipfile,fnmatch\nz=zipfile.ZipFile(sys.argv[1])\n\
                  print('\\n'.join(z.read(n).decode() for n in z.namelist() if fnmatch.fnmatch(n, sys.argv[2])))";
    let output = Command::new("python3").args(["-c", script]).arg(file.path()).arg(pattern).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_forms_of_a_report_agree() {
    with_a_day("Bản tin sáng", async |central, _| {
        let json = report(central).await;
        let villages = &json["tables"][0]["lines"];
        assert_eq!(
            villages[0]["minutes"],
            json!({ "planned": 30, "aired": 30, "missed": 0, "unknown": 0, "extra": 0 })
        );
        assert_eq!((&villages[0]["households"], &json["reach"]["reached"]), (&json!(100), &json!(100)));
        let get = async |end: &str| look(central, &format!("/bao-cao.{end}?ky={}", month())).await;
        let csv = get("csv").await;
        assert!(csv.text().starts_with('\u{feff}'));
        assert!(
            csv.text().contains("Thôn 1,1,100,30,30,0,0") && csv.text().contains("Cộng,2,300,60,30,0,30")
        );
        assert!(csv.text().contains("Thời sự xã,40,20,0,20"), "{}", csv.text());
        let page = look(central, &format!("/bao-cao?ky={}", month())).await.text().to_owned();
        let print = look(central, &format!("/bao-cao/in?ky={}", month())).await.text().to_owned();
        for (form, text) in [("page", &page), ("print", &print)] {
            let cells = text.replace(" role=\"cell\"", "").replace(" data-l=", "|");
            for words in ["Thôn 1", "Thôn 2", "Thời sự xã", "Y tế", "Nguyễn Văn Lực"] {
                assert!(cells.contains(words), "{form}: {words}");
            }
        }
        let xlsx = get("xlsx").await;
        let sheets = unzipped(&xlsx.body, "xl/worksheets/sheet1.xml");
        for number in ["<v>100</v>", "<v>60</v>", "<v>30</v>"] {
            assert!(sheets.contains(number), "{number} in {sheets}");
        }
        let docx = get("docx").await;
        let document = unzipped(&docx.body, "word/document.xml");
        for words in [
            "Thôn 2",
            "Thời sự xã",
            "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM",
            "Kính gửi: Ủy ban nhân dân tỉnh Thử",
            "50 %",
        ] {
            assert!(document.contains(words), "{words}");
        }
        // Margins in twentieths of a point: 22, 22, 32 and 18 mm.
        for margin in ["w:top=\"1247\"", "w:bottom=\"1247\"", "w:left=\"1814\"", "w:right=\"1020\""] {
            assert!(document.contains(margin), "{margin}");
        }
        assert!(unzipped(&docx.body, "word/header*.xml").contains("PAGE"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_stay_words_in_every_form() {
    with_a_day(HOSTILE, async |central, _| {
        let mut hostile = plan(HOSTILE);
        for place in &mut hostile.boxes {
            (place.title, place.village_title) = (HOSTILE.to_owned(), HOSTILE.to_owned());
            place.village = HOSTILE.to_owned();
        }
        hostile.names.sections.values_mut().for_each(|title| *title = HOSTILE.to_owned());
        central.store().keep_day(hostile).await.unwrap();
        let day = long_ago();
        for path in [
            format!("/bao-cao?ky={}", month()),
            format!("/bao-cao/in?ky={}", month()),
            format!("/nhat-ky?tu={day}&den={day}&nguoi=%3Cscript%3Ealert(1)"),
            format!("/nhat-ky?tu={day}&den={day}"),
        ] {
            let page = look(central, &path).await;
            assert_eq!(page.status, 200, "{path}");
            assert!(!page.text().contains("<script>alert"), "{path}");
        }
        for path in [format!("/bao-cao.csv?ky={}", month()), format!("/nhat-ky.csv?tu={day}&den={day}")] {
            let file = look(central, &path).await;
            let is_formula =
                |line: &str| line.starts_with('=') || line.contains(",=") || line.contains(",\"=");
            assert!(file.text().contains("'=cmd"), "{}", file.text());
            assert!(!file.text().lines().any(is_formula), "{}", file.text());
        }
        let xlsx = look(central, &format!("/bao-cao.xlsx?ky={}", month())).await;
        let sheets = unzipped(&xlsx.body, "xl/*.xml");
        assert!(!sheets.contains("<f>") && !sheets.contains("<script>"), "{sheets}");
        let docx = look(central, &format!("/bao-cao.docx?ky={}", month())).await;
        assert!(!unzipped(&docx.body, "word/document.xml").contains("<script>"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_period_that_has_not_begun_is_said_and_nonsense_is_refused() {
    with_a_day("Bản tin sáng", async |central, _| {
        let later = long_ago() + Days::new(400);
        let page = look(central, &format!("/bao-cao?ky={}", later.year())).await;
        assert!(
            page.text().contains("chưa bắt đầu") && !page.text().contains("0 + 0 + 0"),
            "{}",
            page.text()
        );
        for form in ["in", ""] {
            let path = if form.is_empty() { "/bao-cao.xlsx" } else { "/bao-cao/in" };
            let refused = look(central, &format!("{path}?ky={}", later.year())).await;
            assert_eq!(refused.status, 400);
        }
        let bad = look(central, "/bao-cao?ky=%3Cb%3E").await;
        assert_eq!(bad.status, 400);
        assert!(bad.text().contains("2026-Q4"), "{}", bad.text());
        assert_eq!(look(central, "/bao-cao?dot=khong-co").await.status, 400);
        let empty = look(central, "/bao-cao?ky=2001-01").await;
        assert!(empty.text().contains("Kỳ này chưa ghi được"), "{}", empty.text());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_with_a_mad_clock_changes_no_day() {
    with_a_day("Bản tin sáng", async |central, two| {
        let before = total(central).await;
        for year in ["2199", "1970"] {
            let wall: Wall = format!("{year}-03-01T00:00:00Z").parse().unwrap();
            play(two, 7, wall, ("Tin xã", "thoi-su"), 20);
        }
        assert_eq!(two.upload(1, 4).await.contiguous_upto, 4);
        assert_eq!(total(central).await, before);
        let day = long_ago();
        for path in [
            "/nhat-ky".to_owned(),
            "/nhat-ky?tu=1970-01-01&den=2199-12-31".to_owned(),
            format!("/nhat-ky?tu={day}"),
        ] {
            assert_eq!(look(central, &path).await.status, 200, "{path}");
        }
        let this = report(central).await;
        assert_eq!(this["total"]["extra"], 0, "{this}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_of_the_log_finds_its_lines() {
    with_a_day("Bản tin sáng", async |central, two| {
        ended(two, SlotOutcome::NotAired(NotPlayed::Late));
        two.upload(1, 1).await;
        let day = long_ago();
        let found = async |filter: &str| {
            let page = look(central, &format!("/nhat-ky?tu={day}&den={day}&{filter}")).await;
            assert_eq!(page.status, 200);
            page.text().matches("/nhat-ky/luot/").count()
        };
        for (filter, expected) in [
            ("", 2),
            ("noi=xa", 2),
            ("noi=thon-1", 1),
            ("noi=box/loa-2", 1),
            ("noi=khong-co", 0),
            ("muc=y-te", 2),
            ("muc=van-nghe", 0),
            ("loai=programme", 2),
            ("loai=emergency", 0),
            ("nguoi=Nguy%E1%BB%85n+V%C4%83n+L%E1%BB%B1c", 2),
            ("nguoi=ai-do", 0),
            ("kq=missed", 1),
            ("kq=aired&muc=y-te&noi=thon-1&nguoi=Nguy%E1%BB%85n+V%C4%83n+L%E1%BB%B1c", 1),
            ("dot=tiem", 0),
        ] {
            assert_eq!(found(filter).await, expected, "{filter}");
        }
        let page = look(central, &format!("/nhat-ky?tu={day}&den={day}&kq=missed")).await.text().to_owned();
        let (_, rest) = page.split_once("/nhat-ky/luot/").unwrap();
        let one = look(central, &format!("/nhat-ky/luot/{}", rest.split_once('"').unwrap().0)).await;
        assert!(
            one.text().contains("quá muộn") && one.text().contains("phát lại trong bản tin sau"),
            "{}",
            one.text()
        );
        for bad in ["0", "-1", "x", "999999999999999999999"] {
            assert_eq!(look(central, &format!("/nhat-ky/luot/{bad}")).await.status, 404);
        }
        let api = get_api(central, "/api/v1/airings?outcome=missed").await.json();
        assert_eq!(
            (api["airings"].as_array().unwrap().len(), &api["airings"][0]["reason"]),
            (1, &json!("late"))
        );
        let page = get_api(central, "/api/v1/airings?limit=1").await.json();
        let next = page["next"].as_str().unwrap();
        let rest = get_api(central, &format!("/api/v1/airings?limit=5&before={next}")).await.json();
        assert_eq!(rest["airings"].as_array().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_reports_and_says_where_it_ends() {
    with_a_day("Bản tin sáng", async |central, _| {
        let run = async |args: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_loaxa"));
            command.args(args).env("LOAXA_LANG", "en").env("LOAXA_TOKEN", TOKEN);
            command.env("LOAXA_CENTRAL", format!("http://{}", central.http_addr()));
            let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
            assert!(output.status.success(), "{output:?}");
            (output.stdout, String::from_utf8(output.stderr).unwrap())
        };
        let month = month();
        let (csv, _) = run(&["report", "--month", &month, "--format", "csv"]).await;
        assert!(String::from_utf8(csv).unwrap().contains("Thôn 1,1,100,30,30,0,0"));
        let year = long_ago().year().to_string();
        let (xlsx, _) = run(&["report", "--year", &year, "--format", "xlsx"]).await;
        assert!(xlsx.starts_with(b"PK"));
        let (table, _) = run(&["report", "--year", &year]).await;
        assert!(String::from_utf8(table).unwrap().contains("Thôn 2"));
        let (json, _) = run(&["report", "--month", &month, "--format", "json"]).await;
        assert_eq!(serde_json::from_slice::<Value>(&json).unwrap()["total"]["planned"], 60);
        let (lines, more) = run(&["logs", "--class", "programme", "--limit", "1"]).await;
        assert!(String::from_utf8(lines).unwrap().contains("Bản tin sáng"));
        assert!(more.contains('1'), "{more}");
        let (lines, more) = run(&["logs", "--section", "y-te", "--format", "csv"]).await;
        assert_eq!((String::from_utf8(lines).unwrap().lines().count(), more.as_str()), (3, ""));
    })
    .await;
}

/// Words of a PDF with their boxes in points, by page.
fn words(pdf: &[u8]) -> Vec<Vec<(String, [f64; 4])>> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pdf).unwrap();
    let output = Command::new("pdftotext").arg("-bbox").arg(file.path()).arg("-").output();
    let output = output.expect("poppler-utils is installed (scripts/setup.sh --tests)");
    let text = String::from_utf8(output.stdout).unwrap();
    let pages = text.split("<page ").skip(1).map(|page| {
        let lines = page.lines().filter_map(|line| line.trim().strip_prefix("<word "));
        let word = |line: &str| {
            let place = |name: &str| {
                let (_, rest) = line.split_once(&format!("{name}=\"")).unwrap();
                rest.split_once('"').unwrap().0.parse::<f64>().unwrap()
            };
            let (_, rest) = line.split_once('>').unwrap();
            (rest.split_once('<').unwrap().0.to_owned(), ["xMin", "yMin", "xMax", "yMax"].map(place))
        };
        lines.map(word).collect()
    });
    pages.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_report_has_the_form_of_the_decree() {
    with_a_day("Bản tin sáng", async |central, _| {
        // Enough villages for a second page.
        let mut long = plan("Bản tin sáng");
        let first = long.boxes[0].clone();
        for n in 3..60 {
            let village = format!("thon-{n}");
            let id = format!("loa-{n}").parse().unwrap();
            long.boxes
                .push(DayBox { id, village, village_title: format!("Thôn số {n}"), ..first.clone() });
        }
        central.store().keep_day(long).await.unwrap();
        let lan = Staff::make(central, "lan", &[(Role::Reviewer, "xa")]).await;
        let browser = Browser::start();
        let address = format!("http://{}", central.http_addr());
        let mut page = browser.person(&format!("{address}/healthz"));
        page.sign_in(&lan);
        page.go(&format!("{address}/bao-cao/in?ky={}", month()));
        page.until("document.querySelector('.sheet table')");
        page.keep_picture("bao-cao-in");
        let pdf = BASE64.decode(page.pdf()).unwrap();
        let pages = words(&pdf);
        assert!(pages.len() >= 2, "{}", pages.len());
        let mm = |points: f64| points * 25.4 / 72.0;
        for (number, page) in pages.iter().enumerate() {
            let (above, body): (Vec<_>, Vec<_>) = page.iter().partition(|(_, place)| mm(place[1]) < 21.0);
            let left = body.iter().map(|(_, place)| mm(place[0])).fold(f64::MAX, f64::min);
            let right = body.iter().map(|(_, place)| mm(place[2])).fold(0.0, f64::max);
            let bottom = body.iter().map(|(_, place)| mm(place[3])).fold(0.0, f64::max);
            assert!((30.0..=35.0).contains(&left), "page {number}: left {left} mm");
            assert!(right <= 210.0 - 15.0, "page {number}: right {right} mm");
            assert!(bottom <= 297.0 - 20.0, "page {number}: bottom {bottom} mm");
            let top = body.iter().map(|(_, place)| mm(place[1])).fold(f64::MAX, f64::min);
            assert!((20.0..=25.5).contains(&top), "page {number}: top {top} mm");
            // The number stands in the middle of the text's width, on all pages but the first.
            let found: Vec<_> = above.iter().map(|(word, _)| word.as_str()).collect();
            if number == 0 {
                assert_eq!(found, [""; 0]);
            } else {
                assert_eq!(found, [(number + 1).to_string()]);
                let place = above[0].1;
                let middle = mm(f64::midpoint(place[0], place[2]));
                assert!((middle - 112.0).abs() < 1.5, "page {number}: {middle} mm");
            }
        }
        // Glyphs of two fonts are words of their own to pdftotext: what was written is compared without spaces.
        let all: Vec<_> = pages.concat();
        let place = |words: &str| {
            let wanted: String = words.split_whitespace().collect();
            let begins = |from: &usize| {
                let mut text = String::new();
                let mut rest = all[*from..].iter();
                while text.len() < wanted.len() {
                    let Some((word, _)) = rest.next() else { return false };
                    text.push_str(word);
                }
                text.starts_with(&wanted)
            };
            let found = (0..all.len()).find(begins);
            all[found.unwrap_or_else(|| panic!("{words} is not on paper: {all:?}"))].1
        };
        for words in
            ["Số: /BC-UBND", "Kính gửi: Ủy ban nhân dân tỉnh Thử", "Độc lập - Tự do - Hạnh phúc", "Nơi nhận:"]
        {
            place(words);
        }
        let (office, country) =
            (place("ỦY BAN NHÂN DÂN XÃ THỬ"), place("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM"));
        assert!(country[0] > office[2], "the country stands to the right of the office");
        assert!((country[1] - office[1]).abs() < 5.0, "and beside it");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_log_and_report_are_fit_for_all() {
    with_a_day("Bản tin sáng", async |central, two| {
        ended(two, SlotOutcome::NotAired(NotPlayed::Missed));
        two.upload(1, 1).await;
        let campaign = CampaignRow {
            id: "tiem".parse().unwrap(),
            title: "Tiêm chủng".to_owned(),
            from: long_ago(),
            until: long_ago(),
            responsible: "Trạm y tế".to_owned(),
        };
        let act = loaxa_central::store::NewAct {
            at: at(0, 0),
            actor: loaxa_central::store::Actor::Console,
            act: "campaign_set",
            subject: "tiem".to_owned(),
            before: None,
            after: None,
            from: None,
        };
        central.store().set_campaign(campaign, act).await.unwrap();
        let lan = Staff::make(central, "lan", &[(Role::Reviewer, "xa")]).await;
        let browser = Browser::start();
        let address = format!("http://{}", central.http_addr());
        let mut page = browser.person(&format!("{address}/healthz"));
        page.sign_in(&lan);
        let day = long_ago();
        page.go(&format!("{address}/nhat-ky?tu={day}&den={day}"));
        page.until_says("h1", "Nhật ký phát");
        page.look("nhat-ky");
        page.value("document.querySelector('a[href^=\"/nhat-ky/luot/\"]').click()");
        page.until("location.pathname.startsWith('/nhat-ky/luot/')");
        page.until_says("h1", "Bản tin sáng");
        page.look("nhat-ky-luot");
        page.go(&format!("{address}/bao-cao?ky={}", month()));
        page.until_says("h1", "Báo cáo tháng");
        page.look("bao-cao");
        page.go(&format!("{address}/bang-chung"));
        page.until_says("h1", "Bằng chứng");
        page.look("bang-chung");
    })
    .await;
}

/// The lines of an export that a reviewer downloads.
async fn export(central: &Central) -> String {
    let reviewer = Staff::make(central, "kiem", &[(Role::Reviewer, "xa")]).await;
    let answer = reviewer.get(central, "/bang-chung/nhat-ky.jsonl").await;
    assert_eq!(answer.status, 200);
    answer.text().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_evidence_is_proved_without_the_centre() {
    with_a_day("Bản tin sáng", async |central, _| {
        let dir = tempfile::tempdir().unwrap();
        // The centre made today's anchor before the box had told of anything; the next one binds what came since.
        let day = loaxa_adapters::clock::wall().date() + Days::new(1);
        let anchor = central.store().keep_anchor(day, loaxa_adapters::clock::wall()).await.unwrap();
        let whole = export(central).await;
        assert!(
            whole.contains("{\"key\":") && whole.contains("{\"head\":") && whole.contains("{\"anchor\":")
        );
        let verify = |name: &str, text: &str, hash: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_loaxa"));
            command.args(["logs", "verify", "--anchor", hash]).arg(&path).env("LOAXA_LANG", "en");
            let output = command.output().unwrap();
            (output.status.success(), String::from_utf8(output.stdout).unwrap())
        };
        let hash = anchor.hash.to_string();
        let (is_proved, said) = verify("whole.jsonl", &whole, &hash);
        assert!(is_proved, "{said}");
        assert!(!verify("other.jsonl", &whole, &"0".repeat(64)).0, "a hash that is not there");
        let forged = whole.replace("Lịch tiêm", "Lịch khác");
        assert!(!verify("forged.jsonl", &forged, &hash).0);
        let cut: String =
            whole.lines().filter(|line| !line.contains("slot_ended")).map(|it| format!("{it}\n")).collect();
        assert!(!verify("cut.jsonl", &cut, &hash).0);

        let lan = Staff::make(central, "lan", &[(Role::Reviewer, "xa")]).await;
        let checker = lan.get(central, "/bang-chung/kiem-tra.html").await;
        let path = dir.path().join("kiem-tra.html");
        std::fs::write(&path, &checker.body).unwrap();
        let browser = Browser::start();
        let mut page = browser.person(&format!("file://{}", path.display()));
        page.choose("#tep", &dir.path().join("whole.jsonl"));
        page.until_says("#ket-qua", "Nhật ký nguyên vẹn");
        page.keep_picture("kiem-tra");
        for wrong in ["forged.jsonl", "cut.jsonl"] {
            page.choose("#tep", &dir.path().join(wrong));
            page.until_says("#ket-qua", "không đúng");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_a_month_is_made_once_and_sent() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.reporting.email = Some("tren@example.vn".to_owned());
    settings.calling.email = Some(loaxa_central::settings::Email {
        url: "smtp://127.0.0.1:9".parse().unwrap(),
        password: None,
        from: "loa@example.vn".to_owned(),
        private_addresses: true,
    });
    let central = start(settings).await;
    until("a plan of today", async || central.store().days_kept().await.unwrap()).await;
    let last = loaxa_adapters::clock::wall().date().with_day(1).unwrap() - Days::new(1);
    let month = last.format("%Y-%m").to_string();
    let kept = DayPlan { day: last, ..plan("Bản tin sáng") };
    central.store().keep_day(kept).await.unwrap();
    let made = until("the report of last month", async || {
        central.store().made_reports().await.unwrap().into_iter().find(|(made, _)| *made == month)
    })
    .await;
    let call = format!("bao-cao-{month}").parse().unwrap();
    let letters = central.store().letters(call).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].letter.to, "tren@example.vn");
    assert!(letters[0].letter.body.contains(&format!("/bao-cao?ky={month}")), "{}", letters[0].letter.body);
    let again = central.store().note_report(month, made.1, Default::default(), None).await.unwrap();
    assert!(!again, "one report a month");
    let page = look(&central, "/bao-cao").await;
    assert!(page.text().contains("Báo cáo tháng đã lập tự động"), "{}", page.text());
    central.stop().await;
}
