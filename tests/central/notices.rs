//! Notices as staff know them: written, heard, foreseen, submitted, approved in exactly the form that was read, ended.

use crate::support::commune::*;
use crate::support::staff::Staff;
use loaxa_central::Central;
use loaxa_central::store::{NoticeFilter, NoticeRow, NoticeState, Role};
use loaxa_heart::domain::ids::NoticeId;

const ID: &str = "00000000000000aa";

/// A writer, a second one, and an approver of the whole commune.
struct Office {
    lan: Staff,
    mai: Staff,
    duc: Staff,
}

async fn with_office(test: impl AsyncFn(&Central, &Office)) {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let lan = Staff::make(&central, "lan", &[(Role::Writer, "xa")]).await;
    let mai = Staff::make(&central, "mai", &[(Role::Writer, "thon-1"), (Role::Approver, "xa")]).await;
    let duc = Staff::make(&central, "duc", &[(Role::Approver, "xa")]).await;
    test(&central, &Office { lan, mai, duc }).await;
    central.stop().await;
}

async fn notice(central: &Central, id: &str) -> NoticeRow {
    central.store().notice(id.parse().unwrap()).await.unwrap().unwrap()
}

async fn base(central: &Central, id: &str) -> String {
    let row = central.store().notice(NoticeId::new(id).unwrap()).await.unwrap();
    row.map(|row| row.digest.to_string()).unwrap_or_default()
}

/// Fills the form as a writer does; `changes` come in place of the usual values.
async fn write(central: &Central, who: &Staff, id: &str, does: &str, changes: &[(&str, &str)]) -> Answer {
    let base = base(central, id).await;
    let usual = [
        ("goc", base.as_str()),
        ("ten", "Lịch tiêm phòng"),
        ("loi", "Trạm y tế xã kính mời các gia đình đưa trẻ đến tiêm phòng."),
        ("giong", "may"),
        ("noi", "thon-1"),
        ("khi", "som"),
        ("loai", "priority"),
        ("lan", "1"),
        ("tieng", "vi"),
    ];
    let changed = |name: &str| changes.iter().any(|(other, _)| *other == name);
    let mut fields: Vec<_> = usual.into_iter().filter(|(name, _)| !changed(name)).collect();
    fields.extend(changes);
    fields.push(("viec", does));
    who.post(central, &format!("/soan-tin/{id}"), &fields).await
}

async fn decide(central: &Central, who: &Staff, id: &str, version: &str, does: &str) -> Answer {
    who.post(
        central,
        &format!("/duyet-tin/{id}"),
        &[("ban", version), ("viec", does), ("ly-do", "Thiếu giờ")],
    )
    .await
}

async fn sent(central: &Central) -> usize {
    get_api(central, "/api/v1/announcements").await.json().as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_written_heard_foreseen_approved_and_sent() {
    with_office(async |central, office| {
        let fresh = office.lan.get(central, "/soan-tin").await;
        assert!(fresh.status == 303 && fresh.header("location").starts_with("/soan-tin/"));
        let heard = write(central, &office.lan, ID, "nghe", &[]).await;
        assert_eq!(heard.status, 200, "{}", heard.text());
        let player = heard.text().split_once("<audio id=\"nghe-thu\"").unwrap().1;
        let audio = player.split_once("src=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
        assert!(
            get(central, &audio, &[]).await.body.starts_with(b"RIFF"),
            "what is heard is what will sound"
        );
        let foreseen = write(central, &office.lan, ID, "xem", &[]).await;
        assert!(foreseen.text().contains("Nghe được ở 0 trên 1 cụm loa"), "the box is not there yet");
        assert!(foreseen.text().contains("Mất liên lạc"));

        let submitted = write(central, &office.lan, ID, "gui", &[]).await;
        assert_eq!((submitted.status, submitted.header("location")), (303, format!("/tin/{ID}").as_str()));
        assert_eq!(sent(central).await, 0, "nothing sounds before approval");
        let queue = office.duc.get(central, "/duyet-tin").await;
        assert_eq!(queue.header("location"), format!("/duyet-tin/{ID}"));
        let page = office.duc.get(central, &format!("/duyet-tin/{ID}")).await;
        assert!(page.text().contains("đưa trẻ đến tiêm phòng") && page.text().contains(&audio));
        assert!(page.text().contains("Cán bộ lan") && page.text().contains("Duyệt, phát sớm nhất có thể"));
        let version = base(central, ID).await;
        let approved = decide(central, &office.duc, ID, &version, "duyet").await;
        assert_eq!((approved.status, approved.header("location")), (303, format!("/tin/{ID}").as_str()));
        let announced = get_api(central, "/api/v1/announcements").await.json();
        assert_eq!(announced[0]["title"], "Lịch tiêm phòng");
        assert_eq!(
            (&announced[0]["author"], &announced[0]["approver"]),
            (&"Cán bộ lan".into(), &"Cán bộ duc".into())
        );
        // Pressed twice, or once more after a connection that broke: one announcement.
        assert_eq!(decide(central, &office.duc, ID, &version, "duyet").await.status, 303);
        assert_eq!(sent(central).await, 1);

        let page = office.lan.get(central, &format!("/tin/{ID}")).await;
        assert!(page.text().contains("0 trên 1 cụm loa đã nghe hết") && page.text().contains("Cụm loa 1"));
        assert_eq!(office.lan.post(central, &format!("/tin/{ID}"), &[("viec", "huy")]).await.status, 303);
        assert_eq!(notice(central, ID).await.state, NoticeState::Cancelled);
        let ended = get_api(central, "/api/v1/announcements").await.json();
        assert_eq!(ended[0]["ended"], "cancelled");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_bound_to_what_was_read() {
    with_office(async |central, office| {
        write(central, &office.lan, ID, "gui", &[]).await;
        let read = base(central, ID).await;
        // Meanwhile somebody else changes one village.
        let changed = [
            ("noi", "thon-1"),
            ("noi", "thon-2"),
            ("loi", "Trạm y tế xã kính mời các gia đình đưa trẻ đến khám."),
        ];
        assert_eq!(write(central, &office.lan, ID, "gui", &changed).await.status, 303);
        let refused = decide(central, &office.duc, ID, &read, "duyet").await;
        assert_eq!(refused.status, 409);
        let text = refused.text();
        assert!(text.contains("đã đổi khi bạn đang xem") && text.contains("Chưa có gì được gửi"), "{text}");
        assert!(
            text.contains("Thôn 1, Thôn 2")
                && text.contains("<del>tiêm</del>")
                && text.contains("<ins>khám.</ins>")
        );
        assert!(
            !text.contains("name=\"viec\" value=\"duyet\""),
            "the two versions are in place of the button"
        );
        assert_eq!(sent(central).await, 0);
        assert_eq!(notice(central, ID).await.state, NoticeState::Submitted);
        let read = base(central, ID).await;
        assert_eq!(decide(central, &office.duc, ID, &read, "duyet").await.status, 303);
        assert_eq!(sent(central).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_decisions_at_once_one_counts() {
    with_office(async |central, office| {
        for round in 0..3 {
            let id = format!("{round:016x}");
            write(central, &office.lan, &id, "gui", &[]).await;
            let (read, before) = (base(central, &id).await, sent(central).await);
            let path = format!("/tin/{id}");
            let take_back = office.lan.post(central, &path, &[("viec", "rut-lai")]);
            let approvals = (0..20).map(|_| decide(central, &office.duc, &id, &read, "duyet"));
            let (approved, _) = tokio::join!(join_all(approvals), take_back);
            let row = notice(central, &id).await;
            let went_out = sent(central).await - before;
            match row.state {
                NoticeState::Approved => {
                    assert_eq!(went_out, 1);
                    assert!(approved.iter().all(|answer| answer.status == 303));
                }
                NoticeState::Withdrawn => {
                    assert_eq!(went_out, 0);
                    assert!(approved.iter().all(|answer| answer.status == 409));
                }
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
}

/// Runs all at once.
async fn join_all<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pinned: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = pinned.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (one, place) in pinned.iter_mut().zip(&mut done) {
            if place.is_none()
                && let std::task::Poll::Ready(value) = one.as_mut().poll(context)
            {
                *place = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_approves_what_they_wrote_and_nobody_writes_elsewhere() {
    with_office(async |central, office| {
        // Mai writes for one village and approves for all: not what she wrote.
        assert_eq!(write(central, &office.mai, ID, "gui", &[]).await.status, 303);
        let read = base(central, ID).await;
        let page = office.mai.get(central, &format!("/duyet-tin/{ID}")).await;
        assert!(page.text().contains("người khác phải duyệt") && !page.text().contains("value=\"duyet\""));
        assert_eq!(decide(central, &office.mai, ID, &read, "duyet").await.status, 403);
        assert_eq!(decide(central, &office.lan, ID, &read, "duyet").await.status, 403, "no approver");
        // Nor what she only edited.
        let other = "00000000000000bb";
        write(central, &office.lan, other, "gui", &[]).await;
        assert_eq!(write(central, &office.mai, other, "gui", &[("ten", "Tên khác")]).await.status, 303);
        let read = base(central, other).await;
        assert_eq!(decide(central, &office.mai, other, &read, "duyet").await.status, 403);
        assert_eq!(sent(central).await, 0);
        // And for another village she does not write at all.
        let elsewhere = write(central, &office.mai, "00000000000000cc", "luu", &[("noi", "thon-2")]).await;
        assert_eq!(elsewhere.status, 403);
        let village = Staff::make(central, "hoa", &[(Role::Approver, "thon-2")]).await;
        let read = base(central, ID).await;
        assert_eq!(village.get(central, &format!("/duyet-tin/{ID}")).await.status, 403);
        assert_eq!(decide(central, &village, ID, &read, "duyet").await.status, 403);
        assert_eq!(decide(central, &village, ID, &read, "tra-lai").await.status, 403);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_comes_back_with_its_reason_and_goes_again() {
    with_office(async |central, office| {
        write(central, &office.lan, ID, "gui", &[]).await;
        let read = base(central, ID).await;
        let path = format!("/duyet-tin/{ID}");
        let blank = [("ban", read.as_str()), ("viec", "tra-lai"), ("ly-do", " ")];
        let empty = office.duc.post(central, &path, &blank).await;
        assert!(empty.status == 400 && empty.text().matches("Xin ghi lý do trả lại").count() == 2);
        assert_eq!(decide(central, &office.duc, ID, &read, "tra-lai").await.status, 303);
        assert_eq!(notice(central, ID).await.state, NoticeState::Returned);
        let page = office.lan.get(central, &format!("/soan-tin/{ID}")).await;
        assert!(page.text().contains("Người duyệt đã trả lại") && page.text().contains("Thiếu giờ"));
        assert_eq!(decide(central, &office.duc, ID, &read, "duyet").await.status, 409, "no way back");
        write(central, &office.lan, ID, "gui", &[("loi", "Mời đến lúc bảy giờ.")]).await;
        let read = base(central, ID).await;
        assert_eq!(decide(central, &office.duc, ID, &read, "duyet").await.status, 303);
        // A correction takes its place on the air.
        let corrected = office.lan.post(central, &format!("/tin/{ID}/sua"), &[]).await;
        let next = corrected.header("location").rsplit('/').next().unwrap().to_owned();
        let command = notice(central, ID).await.command.unwrap();
        assert_eq!(notice(central, &next).await.content.supersedes, Some(command.clone()));
        write(
            central,
            &office.lan,
            &next,
            "gui",
            &[("thay", command.as_str()), ("loi", "Mời đến lúc tám giờ.")],
        )
        .await;
        let read = base(central, &next).await;
        assert_eq!(decide(central, &office.duc, &next, &read, "duyet").await.status, 303);
        let all = get_api(central, "/api/v1/announcements").await.json();
        let old = all.as_array().unwrap().iter().find(|row| row["id"] == command.as_str()).unwrap();
        assert_eq!(old["ended"], "superseded");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_and_two_writers_lose_nothing() {
    with_office(async |central, office| {
        // The same press in two tabs.
        let (first, second) = tokio::join!(
            write(central, &office.lan, ID, "gui", &[("goc", "")]),
            write(central, &office.lan, ID, "gui", &[("goc", "")])
        );
        assert_eq!((first.status, second.status), (303, 303), "{} {}", first.text(), second.text());
        let all = central.store().notices(NoticeFilter { limit: 10, ..Default::default() }).await.unwrap();
        assert_eq!((all.len(), all[0].version), (1, 1));
        // Two writers who began from the same version.
        let from = base(central, ID).await;
        let here = [("goc", from.as_str()), ("loi", "Bản của Mai")];
        assert_eq!(write(central, &office.mai, ID, "luu", &here).await.status, 303);
        let late =
            write(central, &office.lan, ID, "luu", &[("goc", from.as_str()), ("loi", "Bản của Lan")]).await;
        assert_eq!(late.status, 409);
        assert!(late.text().contains("Bản của Lan") && late.text().contains("Bản của Mai"), "both are shown");
        // What a page saves by itself stays one version, and says what it saved.
        let own = "00000000000000dd";
        for words in ["M", "Mời", "Mời bà con"] {
            let saved =
                write(central, &office.lan, own, "tu-luu", &[("loi", words), ("ten", ""), ("noi", "x")])
                    .await;
            assert_eq!(saved.json()["goc"], base(central, own).await);
        }
        let row = notice(central, own).await;
        assert_eq!(
            (row.version, row.content.text.as_str(), row.state),
            (1, "Mời bà con", NoticeState::Draft)
        );
        assert!(!office.mai.get(central, "/tin").await.text().contains(own), "a draft is its writer's own");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_above_and_beside_and_nothing_typed_is_lost() {
    with_office(async |central, office| {
        let check = async |changes: &[(&str, &str)], words: &str| {
            let answer = write(central, &office.lan, ID, "gui", changes).await;
            assert_eq!(answer.status, 400, "{changes:?}");
            assert!(answer.text().matches(words).count() >= 2, "{words} {}", answer.text());
            assert!(
                answer.text().contains("Trạm y tế xã kính mời") || changes.iter().any(|it| it.0 == "loi")
            );
        };
        check(&[("ten", " ")], "Xin ghi tên tin").await;
        check(&[("noi", "")], "Xin chọn ít nhất một nơi nghe").await;
        check(&[("loi", "")], "Xin viết lời của tin").await;
        check(&[("loi", "😀😀")], "nội dung không có chữ hay số nào").await;
        check(&[("giong", "tep")], "Chưa có tệp âm thanh").await;
        check(&[("khi", "gio"), ("ngay", "31/2/2027"), ("gio", "17:10")], "Ngày chưa đúng").await;
        check(&[("khi", "gio"), ("ngay", "1/2/2027"), ("gio", "25:00")], "Giờ chưa đúng").await;
        check(&[("khi", "gio"), ("ngay", "1/2/2020"), ("gio", "5h")], "Giờ này đã qua").await;
        assert!(central.store().notice(ID.parse().unwrap()).await.unwrap().is_none());
        let typed = write(
            central,
            &office.lan,
            ID,
            "gui",
            &[("khi", "gio"), ("ngay", "31/2/2027"), ("gio", "17:10")],
        )
        .await;
        assert!(typed.text().contains("value=\"31/2/2027\""), "the date is kept as it was typed");
        // An emergency can't be made here, whatever a form says.
        let forged = write(central, &office.lan, ID, "gui", &[("loai", "emergency")]).await;
        assert_eq!(forged.status, 303);
        let row = notice(central, ID).await;
        assert_eq!(row.content.class, loaxa_heart::domain::announcement::BulletinClass::Normal);
        // Nothing that was typed runs on anybody's page.
        let script = "<script>alert(1)</script>\"'>";
        let evil = "00000000000000ee";
        write(central, &office.lan, evil, "gui", &[("ten", script), ("loi", script), ("nguoi", script)])
            .await;
        for (who, path) in [
            (&office.lan, format!("/tin/{evil}")),
            (&office.duc, format!("/duyet-tin/{evil}")),
            (&office.duc, "/tin".to_owned()),
        ] {
            let page = who.get(central, &path).await;
            assert!(
                page.text().contains("&lt;script&gt;") && !page.text().contains("<script>alert"),
                "{path}"
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audio_file_comes_in_parts_and_goes_on_after_a_break() {
    with_office(async |central, office| {
        let tep = format!("/soan-tin/{ID}/tep");
        let tone = tone();
        let begun = office.lan.post(central, &format!("{tep}?ten=bai.wav&co={}", tone.len()), &[]).await;
        let id = begun.json()["ma"].as_str().unwrap().to_owned();
        let half = tone.len() / 2;
        let part = async |from: usize, bytes: &[u8]| {
            office.lan.put(central, &format!("{tep}?ma={id}&tu={from}"), bytes).await
        };
        assert_eq!(part(0, &tone[..half]).await.json()["den"], half);
        // The connection broke: the page asks how far it came, and goes on there.
        let far = office.lan.get(central, &format!("{tep}?ma={id}")).await.json();
        assert_eq!((&far["den"], &far["co"]), (&half.into(), &tone.len().into()));
        let wrong = part(half + 5, &tone[half + 5..]).await;
        assert_eq!((wrong.status, &wrong.json()["den"]), (409, &half.into()));
        let whole = part(half, &tone[half..]).await.json();
        let hash = whole["xong"]["tep"].as_str().unwrap().to_owned();
        assert_eq!(get(central, &format!("/media/{hash}"), &[]).await.body, tone);
        let changes = [("giong", "tep"), ("tep", hash.as_str()), ("loi", "")];
        assert_eq!(write(central, &office.lan, ID, "gui", &changes).await.status, 303);
        assert_eq!(notice(central, ID).await.content.media.unwrap().to_string(), hash);

        // What can't be used is said in words, and leaves nothing behind.
        let check = async |name: &str, size: usize, bytes: &[u8], status: u16, words: &str| {
            let begun = office.lan.post(central, &format!("{tep}?ten={name}&co={size}"), &[]).await;
            let answer = match begun.json()["ma"].as_str() {
                Some(id) => office.lan.put(central, &format!("{tep}?ma={id}&tu=0"), bytes).await,
                None => begun,
            };
            assert_eq!(answer.status, status, "{name}: {}", answer.text());
            assert!(answer.json()["loi"].as_str().unwrap().contains(words), "{}", answer.text());
        };
        check("rong.mp3", 0, b"", 400, "rỗng").await;
        check("to.wav", 600 << 20, b"", 413, "512").await;
        check("bai.mp3", 9, b"%PDF-1.7\n", 400, "không phải âm thanh").await;
        let stranger = office.mai.get(central, &format!("{tep}?ma={id}")).await;
        assert_eq!(stranger.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_approved_in_time_has_expired() {
    with_office(async |central, office| {
        let soon = loaxa_adapters::clock::wall().plus(loaxa_heart::domain::time::Span::secs(90)).local();
        let (day, hour) = (soon.format("%d/%m/%Y").to_string(), soon.format("%H:%M").to_string());
        let changes = [("khi", "gio"), ("ngay", day.as_str()), ("gio", hour.as_str())];
        assert_eq!(write(central, &office.lan, ID, "gui", &changes).await.status, 303);
        let row = notice(central, ID).await;
        let at = row.content.at.unwrap();
        assert_eq!(row.state_at(at), NoticeState::Expired);
        assert_eq!(row.state_at(at.minus(loaxa_heart::domain::time::Span::secs(1))), NoticeState::Submitted);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_said_as_the_list_has_them() {
    with_office(async |central, office| {
        let spoken = async |id: &str| {
            write(central, &office.lan, id, "nghe", &[("loi", "UBND mời họp.")]).await;
            let page = write(central, &office.lan, id, "gui", &[("loi", "UBND mời họp.")]).await;
            assert_eq!(page.status, 303);
            let row = notice(central, id).await;
            assert_eq!(row.content.text, "UBND mời họp.", "what people read stays as it was written");
            central.store().media(row.content.media.unwrap()).await.unwrap().unwrap().ms
        };
        let before = spoken(ID).await;
        let set = [("tu", "UBND"), ("doc", "Ủy ban nhân dân xã Bình Minh"), ("viec", "them")];
        assert_eq!(office.lan.post(central, "/phat-am", &set).await.status, 303);
        let after = spoken("00000000000000bb").await;
        assert!(after > before + 300, "{before} ms, then {after} ms");
        let empty =
            office.lan.post(central, "/phat-am", &[("tu", " "), ("doc", "x"), ("viec", "them")]).await;
        assert_eq!(empty.status, 400);
        assert_eq!(office.lan.post(central, "/phat-am", &[("tu", "UBND"), ("viec", "bo")]).await.status, 303);
        assert!(!office.lan.get(central, "/phat-am").await.text().contains("Bình Minh"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_village_ends_nothing_of_the_commune() {
    with_office(async |central, office| {
        write(central, &office.lan, ID, "gui", &[("noi", "xa")]).await;
        let read = base(central, ID).await;
        assert_eq!(decide(central, &office.duc, ID, &read, "duyet").await.status, 303);
        let standing = notice(central, ID).await.command.unwrap();
        let other = "00000000000000bb";
        let forged = [("thay", standing.as_str())];
        assert_eq!(
            write(central, &office.mai, other, "gui", &forged).await.status,
            403,
            "Mai writes for one village"
        );
        let unknown = [("thay", "20260101-000000-00000000")];
        assert_eq!(write(central, &office.lan, other, "gui", &unknown).await.status, 400, "no notice at all");
        // Whoever may replace it shows the approver what it replaces.
        assert_eq!(write(central, &office.lan, other, "gui", &forged).await.status, 303);
        let page = office.duc.get(central, &format!("/duyet-tin/{other}")).await;
        assert!(page.text().contains("Thay cho bản tin") && page.text().contains(&format!("/tin/{ID}")));
        // Nor does a village change what the machine says everywhere.
        let word = [("tu", "di tản"), ("doc", "cứ ở nhà"), ("viec", "them")];
        let village = Staff::make(central, "hoa", &[(Role::Writer, "thon-2")]).await;
        assert_eq!(village.post(central, "/phat-am", &word).await.status, 403);
    })
    .await;
}
