//! Things that are deleted when their time is over: what is left is proved still, and reports of the past stay as they are.

use std::process::Command;

use crate::reports::{long_ago, month, unzipped, with_a_day};
use crate::support::browser::Browser;
use crate::support::commune::*;
use crate::support::staff::{Staff, look};
use chrono::Days;
use loaxa_central::Central;
use loaxa_central::store::{
    Actor, FeedbackAnswer, FeedbackKind, FeedbackRow, KeepingRule, NewAct, Perishable, PlaceRow, Role,
};
use loaxa_heart::domain::ids::{CommandId, ContentHash};
use loaxa_heart::domain::playback::Event;
use loaxa_heart::domain::time::{Span, Wall};

fn now() -> Wall {
    loaxa_adapters::clock::wall()
}

fn act(name: &'static str) -> NewAct {
    let subject = String::new();
    NewAct { at: now(), actor: Actor::Console, act: name, subject, before: None, after: None, from: None }
}

/// Every form in which a report goes out, but for the page, which names the people who look at it.
async fn forms(central: &Central) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = Vec::new();
    for form in ["csv", "xlsx", "docx"] {
        let answer = get_api(central, &format!("/api/v1/reports?period={}&format={form}", month())).await;
        assert_eq!(answer.status, 200, "{form}: {}", answer.text());
        forms.push((form, answer.body.clone()));
    }
    forms.push(("json", get_api(central, &format!("/api/v1/reports?period={}", month())).await.body));
    forms.push(("print", look(central, &format!("/bao-cao/in?ky={}", month())).await.body));
    forms
}

async fn all_reckoned(central: &Central) {
    until("all days are reckoned", async || {
        central.store().to_settle(1).await.unwrap().is_empty().then_some(())
    })
    .await;
}

fn same(before: &[(&'static str, Vec<u8>)], after: &[(&'static str, Vec<u8>)]) {
    for ((form, before), (_, after)) in before.iter().zip(after) {
        assert!(before == after, "{form} is another file");
    }
}

fn words(code: &str, village: &str, kind: FeedbackKind, due: Option<Wall>) -> FeedbackRow {
    let made = Wall::from_local(long_ago().and_hms_opt(9, 0, 0).unwrap());
    FeedbackRow {
        id: 0,
        code: code.to_owned(),
        village: group(village),
        kind,
        words: "Loa rè.".to_owned(),
        about: None,
        made,
        due,
        answer: None,
    }
}

/// Three words of villagers in the month of the report, of which one was answered late.
async fn with_words(central: &Central) {
    let made = Wall::from_local(long_ago().and_hms_opt(9, 0, 0).unwrap());
    let due = Some(made.plus(Span::secs(86_400)));
    for (code, village, title, kind, due) in [
        ("a", "thon-1", "Thôn Một cũ", FeedbackKind::NotHeard, due),
        ("b", "thon-2", "Thôn Hai cũ", FeedbackKind::TooLoud, due),
        ("c", "thon-2", "Thôn Hai cũ", FeedbackKind::Clear, None),
    ] {
        let row = words(code, village, kind, due);
        assert!(central.store().add_feedback(row, title.to_owned()).await.unwrap());
    }
    let answer = FeedbackAnswer { by: "lan".parse().unwrap(), at: now(), words: "Đã sửa.".to_owned() };
    for row in central.store().feedback_waiting(9).await.unwrap() {
        if row.village == group("thon-1") {
            let done = central.store().answer_feedback(row.id, answer.clone(), act("feedback_answered"));
            assert!(done.await.unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_and_proofs_outlive_the_log() {
    with_a_day("Bản tin sáng", async |central, two| {
        with_words(central).await;
        two.append(Event::DeviceBack);
        two.upload(1, 1).await;
        let anchor_day = now().date() + Days::new(1);
        let anchor = central.store().keep_anchor(anchor_day, now()).await.unwrap();
        let id = central.store().feedback_waiting(1).await.unwrap()[0].id;
        let answer = FeedbackAnswer { by: "lan".parse().unwrap(), at: now(), words: "Xong.".to_owned() };
        assert!(central.store().answer_feedback(id, answer, act("feedback_answered")).await.unwrap());
        let before = forms(central).await;
        all_reckoned(central).await;

        let cut = now().plus(Span::secs(1));
        for kept in [Perishable::Log, Perishable::Feedback] {
            while central.store().prune(kept, cut, now()).await.unwrap() > 0 {}
        }
        two.append(Event::BoxStopped);
        assert_eq!(two.upload(2, 2).await.contiguous_upto, 2, "the log goes on");
        same(&before, &forms(central).await);
        let day = long_ago();
        let log = look(central, &format!("/nhat-ky?tu={day}&den={day}")).await;
        assert_eq!(log.status, 200);
        assert!(!log.text().contains("Lịch tiêm"), "its lines are gone");
        assert!(get(central, "/gop-y/tra-loi?ma=aaaaaaaaaa", &[]).await.status == 404);

        // The proof of what is left.
        let reviewer = Staff::make(central, "kiem", &[(Role::Reviewer, "xa")]).await;
        let whole = reviewer.get(central, "/bang-chung/nhat-ky.jsonl").await.text().to_owned();
        assert_eq!(whole.matches("{\"pruned\":").count(), 2, "{whole}");
        let of_api = get_api(central, "/api/v1/export").await.text().to_owned();
        assert_eq!(of_api.matches("{\"pruned\":").count(), 2, "{of_api}");
        let part = get_api(central, "/api/v1/export?box=loa-2").await.text().to_owned();
        assert_eq!(part.matches("{\"pruned\":").count(), 1, "{part}");
        let dir = tempfile::tempdir().unwrap();
        let verify = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_loaxa"));
            command.args(["logs", "verify", "--anchor", &anchor.hash.to_string()]).arg(&path);
            let output = command.env("LOAXA_LANG", "en").output().unwrap();
            (output.status.success(), String::from_utf8(output.stdout).unwrap())
        };
        let (is_proved, said) = verify("whole.jsonl", &whole);
        assert!(is_proved, "{said}");
        assert!(said.contains("entries 1 to 5 were deleted by central"), "{said}");
        let without: String = whole
            .lines()
            .filter(|line| !line.starts_with("{\"pruned\":"))
            .map(|it| format!("{it}\n"))
            .collect();
        assert!(!verify("without.jsonl", &without).0, "nobody said that something was deleted");
        let hash = central.store().pruned_logs().await.unwrap()[1].hash.to_string();
        let forged =
            whole.replace(&format!("\"hash\":\"{hash}\""), &format!("\"hash\":\"{}\"", "0".repeat(64)));
        assert_ne!(forged, whole);
        assert!(!verify("forged.jsonl", &forged).0);
        let checker = reviewer.get(central, "/bang-chung/kiem-tra.html").await;
        let path = dir.path().join("kiem-tra.html");
        std::fs::write(&path, &checker.body).unwrap();
        let browser = Browser::start();
        let mut page = browser.person(&format!("file://{}", path.display()));
        page.choose("#tep", &dir.path().join("whole.jsonl"));
        page.until_says("#ket-qua", "Nhật ký nguyên vẹn");
        page.until_says("#ket-qua", "đã xóa các mục từ 1 đến 5");
        for wrong in ["forged.jsonl", "without.jsonl"] {
            page.choose("#tep", &dir.path().join(wrong));
            page.until_says("#ket-qua", "không đúng");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feedback_stands_in_every_form_of_the_report() {
    with_a_day("Bản tin sáng", async |central, _| {
        with_words(central).await;
        let json = get_api(central, &format!("/api/v1/reports?period={}", month())).await.json();
        let total = &json["voices"]["total"];
        let expected = serde_json::json!({ "said": 3, "asked": 2, "in_time": 0, "late": 1, "waiting": 1 });
        assert_eq!(*total, expected);
        let get = async |end: &str| look(central, &format!("/bao-cao.{end}?ky={}", month())).await;
        let csv = get("csv").await;
        for line in
            ["Thôn Hai cũ,2,1,0,0,1", "Thôn Một cũ,1,1,0,1,0", "Không nghe thấy,1,1,0,1,0", "Cộng,3,2,0,1,1"]
        {
            assert!(csv.text().contains(line), "{line}: {}", csv.text());
        }
        let page = look(central, &format!("/bao-cao?ky={}", month())).await;
        let print = look(central, &format!("/bao-cao/in?ky={}", month())).await;
        let docx = unzipped(&get("docx").await.body, "word/document.xml");
        let xlsx = unzipped(&get("xlsx").await.body, "xl/*");
        for (form, text) in [("page", page.text()), ("print", print.text()), ("docx", &docx), ("xlsx", &xlsx)]
        {
            for words in ["Thôn Hai cũ", "Thôn Một cũ", "Không nghe thấy", "Đúng hạn"] {
                assert!(text.contains(words), "{form}: {words}");
            }
        }
        for (form, text) in [("print", print.text()), ("docx", &docx)] {
            assert!(text.contains("3 lượt, trong đó 2 lượt cần trả lời"), "{form}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_moved_or_merged_leaves_old_reports_as_they_are() {
    with_a_day("Bản tin sáng", async |central, two| {
        with_words(central).await;
        all_reckoned(central).await;
        let before = forms(central).await;
        let mai = Staff::make(central, "mai", &[(Role::Administrator, "xa"), (Role::Technician, "xa")]).await;
        // A village is merged into another: its box moves there, and it is called otherwise.
        let merged = mai.post(central, "/cai-dat/noi/thon-2/gop", &[("vao", "thon-1")]).await;
        assert_eq!(merged.status, 303, "{}", merged.text());
        let boxes = central.store().boxes().await.unwrap();
        assert!(boxes.iter().all(|row| row.groups == [group("thon-1")]), "{boxes:?}");
        for wrong in ["thon-1", "thon-2", "xa", "khong-co"] {
            let again = mai.post(central, "/cai-dat/noi/thon-1/gop", &[("vao", wrong)]).await;
            assert_eq!(again.status, 400, "{wrong}");
        }
        let old = get(central, "/chuong-trinh?thon=thon-2", &[]).await;
        assert_eq!(old.status, 200, "an old address leads to the village of now");
        assert!(old.text().contains("Thôn 1") && !old.text().contains("Thôn 2"), "{}", old.text());
        let day = long_ago();
        let both = look(central, &format!("/nhat-ky?tu={day}&den={day}&noi=thon-1")).await;
        assert!(both.text().contains("= 2 lượt"), "lines of both villages: {}", both.text());
        for village in ["thon-1", "thon-2"] {
            let title = Some("Thôn Hợp Nhất".to_owned());
            let place = PlaceRow { group: group(village), title, households: Some(999), point: None };
            central.store().set_place(place, act("place_changed")).await.unwrap();
        }
        // A person leaves.
        let an = Staff::make(central, "an", &[(Role::Writer, "xa")]).await;
        assert!(central.store().leave(an.id.clone(), now(), act("left")).await.unwrap());
        // Audio goes that nothing names any more.
        let tone = post(central, "/api/v1/media?name=a.wav", "audio/wav", tone()).await;
        assert_eq!(tone.status, 201, "{}", tone.text());
        let soon = now().plus(Span::secs(1));
        let unused = central.store().unused_media(soon, soon, 9).await.unwrap();
        assert_eq!(unused.len(), 1);
        assert!(central.store().forget_media(unused[0], soon, soon).await.unwrap());
        // The box is shut out, and the day reckoned once more.
        let boxes = vec!["loa-1".parse().unwrap(), two.id.clone()];
        central.store().mark_to_settle(long_ago(), boxes.clone()).await.unwrap();
        all_reckoned(central).await;
        let sure = [("chac-chan", "co")];
        let gone = mai.post(central, "/cum-loa/loa-2/thu-hoi", &sure).await;
        assert!(matches!(gone.status, 303 | 400), "{}", gone.text());
        central.store().mark_to_settle(long_ago(), boxes).await.unwrap();
        all_reckoned(central).await;
        same(&before, &forms(central).await);
    })
    .await;
}

/// Years after its time the hourly job leaves nothing behind but what is in force, and takes nothing before.
#[tokio::test(flavor = "multi_thread")]
async fn the_hourly_job_deletes_what_is_over_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let voice = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/cases/audio/amr-nb-voice-note.amr");
    let voice = std::fs::read(voice).unwrap();
    let answer = post(&central, "/api/v1/media?name=x.amr", "application/octet-stream", voice).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let converted: ContentHash = answer.json()["sha256"].as_str().unwrap().parse().unwrap();
    let fields = serde_json::json!({ "to": ["xa"], "class": "priority", "text": "Họp", "author": "An" });
    let said = announce(&central, &fields, None).await;
    assert_eq!(said.status, 201, "{}", said.text());
    let id: CommandId = said.json()["id"].as_str().unwrap().parse().unwrap();
    let toml = "[programme]\nid = 'p'\nversion = 1\ntitle = 'P'\ngroup = 'xa'\n\
                [[playlist]]\nid = 'l'\ntitle = 'L'\n[[playlist.item]]\ntitle = 'C'\ntext = 'Chào bà con'\nlicence = 'của xã'\n\
                [[slot]]\nid = 's'\ntitle = 'S'\nstart = '17:00'\nend = '17:05'\nplaylist = 'l'\n";
    let programme = serde_json::json!({ "toml": toml, "media": {} }).to_string();
    let sent = post(&central, "/api/v1/programmes", "application/json", programme.into_bytes()).await;
    assert!(sent.status < 300, "{}", sent.text());
    let document = sent.json()["id"].as_str().unwrap().parse().unwrap();
    let originals = || std::fs::read_dir(dir.path().join("media/originals")).unwrap().count();
    let store = central.store();
    let day = Span::secs(86_400);
    let later = |days: u64| now().plus(Span::millis(day.as_millis() * days));
    central.prune(later(300)).await.unwrap();
    assert!(store.command(id.clone()).await.unwrap().is_some());
    assert!(!store.deliveries(id.clone()).await.unwrap().is_empty());
    assert!(originals() == 1 && store.media(converted).await.unwrap().is_some());
    central.prune(later(400)).await.unwrap();
    assert_eq!(originals(), 0, "as it came");
    assert!(store.media(converted).await.unwrap().is_none(), "nothing names it");
    assert!(store.command(id.clone()).await.unwrap().is_some(), "orders stay as long as the log");
    central.prune(later(800)).await.unwrap();
    assert!(store.command(id.clone()).await.unwrap().is_none());
    assert!(store.deliveries(id).await.unwrap().is_empty());
    let acts = store.acts(loaxa_central::store::ActFilter { limit: 99, ..Default::default() }).await.unwrap();
    assert!(acts.iter().any(|act| act.act == "pruned" && act.subject == "orders"), "{acts:?}");
    central.prune(later(4_000)).await.unwrap();
    assert!(store.command(document).await.unwrap().is_some(), "what is in force stays");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_set_how_long_things_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let mai = Staff::make(&central, "mai", &[(Role::Administrator, "xa")]).await;
    let far = Staff::make(&central, "far", &[(Role::Administrator, "thon-1")]).await;
    assert_eq!(far.get(&central, "/cai-dat/luu-giu").await.status, 403);
    let fields = |log: &'static str, days: &'static str| {
        [
            ("nhat-ky", log),
            ("am-thanh", "12"),
            ("nhap", "6"),
            ("gop-y", "90"),
            ("viec-lam", "60"),
            ("lenh", "30"),
            ("thu", "6"),
            ("tra-loi", days),
        ]
    };
    assert_eq!(far.post(&central, "/cai-dat/luu-giu", &fields("24", "7")).await.status, 403);
    for (log, days) in [("13", "7"), ("24", "0"), ("999999999999", "7"), ("", "7"), ("-1", "7"), ("24", "31")]
    {
        let answer = mai.post(&central, "/cai-dat/luu-giu", &fields(log, days)).await;
        assert_eq!(answer.status, 400, "{log} {days}");
        assert!(answer.text().contains("Xin ghi một số từ"), "{}", answer.text());
    }
    assert_eq!(central.store().keeping_rule().await.unwrap(), KeepingRule::default());
    assert_eq!(mai.post(&central, "/cai-dat/luu-giu", &fields("36", "3")).await.status, 303);
    let rule = central.store().keeping_rule().await.unwrap();
    let found = (rule.log_months, rule.order_months, rule.outgoing_months, rule.answer_days);
    assert_eq!(found, (36, 30, 6, 3));
    let trail = mai.get(&central, "/ai-da-lam-gi").await;
    assert!(trail.text().contains("Sửa thời hạn lưu giữ"), "{}", trail.text());
    // Villagers are promised an answer by the new day.
    let origin = format!("http://{}", central.http_addr());
    let headers = [crate::support::staff::FORM, ("origin", &origin)];
    let form = crate::support::staff::form(&[("thon", "thon-1"), ("loai", "too_loud")]);
    assert_eq!(post_with(&central, "/gop-y", &headers, form).await.status, 303);
    let row = &central.store().feedback_waiting(1).await.unwrap()[0];
    assert_eq!(row.due.unwrap(), row.made.plus(Span::secs(3 * 86_400)));
    until("the disk is measured", async || (!central.store().room().await.unwrap().is_empty()).then_some(()))
        .await;
    let browser = Browser::start();
    let mut page = browser.person(&format!("{origin}/healthz"));
    page.sign_in(&mai);
    page.go(&format!("{origin}/cai-dat/luu-giu"));
    page.until_says("h1", "Lưu giữ và xóa");
    page.until_says("table", "Nhật ký phát");
    page.look("luu-giu");
    page.go(&format!("{origin}/cai-dat/noi/thon-1"));
    page.until_says("h1", "Thôn 1");
    page.value("document.querySelectorAll('main details').forEach((it) => { it.open = true; })");
    page.look("noi-gop");
    central.stop().await;
}
