//! Lists that show a part: they say so, and what is sought in more than a page is found.

use crate::support::commune::*;
use crate::support::staff::Staff;
use loaxa_central::Central;
use loaxa_central::store::{
    Actor, CapRow, FeedbackKind, FeedbackRow, Found, NewAct, NewCommand, NoticeContent, NoticeEdit,
    NoticeState, Role, TroubleKind, Voice,
};
use loaxa_heart::decide::delivery::CommandKind;
use loaxa_heart::domain::announcement::{BulletinClass, Mode};
use loaxa_heart::domain::time::{Span, Wall};
use serde_json::json;

async fn with_central(test: impl AsyncFn(&Central)) {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    test(&central).await;
    central.stop().await;
}

fn act(actor: Actor, at: Wall) -> NewAct {
    let subject = "xa".to_owned();
    NewAct { at, actor, act: "invited", subject, before: None, after: None, from: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_of_a_person_is_given_whole() {
    with_central(async |central| {
        let lan = Staff::make(central, "lan", &[]).await;
        let now = loaxa_adapters::clock::wall();
        for _ in 0..1_050 {
            central.store().note_act(act(Actor::Person { id: lan.id.clone() }, now)).await.unwrap();
        }
        let file = lan.get(central, "/tai-khoan/du-lieu.json").await.json();
        assert!(file["did"].as_array().unwrap().len() >= 1_050);
        assert_eq!(file["older_left_out"], json!({ "did": false, "about": false }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exercise_is_called_off_behind_any_number_of_announcements() {
    with_central(async |central| {
        let duty = Staff::make(central, "truc", &[(Role::Duty, "xa")]).await;
        let now = loaxa_adapters::clock::wall();
        let command = |n: u64, title: &str, mode: Mode| NewCommand {
            id: format!("lenh-{n}").parse().unwrap(),
            kind: CommandKind::Announce,
            issuer: "an".parse().unwrap(),
            serial: n,
            issued_at: now.plus(Span(n)),
            expires: now.plus(Span::secs(86_400)),
            groups: vec!["xa".parse().unwrap()],
            title: title.to_owned(),
            class: Some(BulletinClass::Emergency),
            mode: Some(mode),
            author: "An".to_owned(),
            approver: None,
            payload: "{}".to_owned(),
            envelope: Vec::new(),
            ends: Vec::new(),
            document: None,
            moves: Vec::new(),
            boxes: Vec::new(),
            basis: None,
        };
        central.store().add_command(command(1, "Diễn tập lũ", Mode::Exercise)).await.unwrap();
        for n in 2..=210 {
            central.store().add_command(command(n, "Tin", Mode::Actual)).await.unwrap();
        }
        assert!(duty.get(central, "/dien-tap").await.text().contains("Diễn tập lũ"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_that_there_is_more_than_it_lists() {
    with_central(async |central| {
        let (store, now) = (central.store(), loaxa_adapters::clock::wall());
        let roles = [(Role::Administrator, "xa"), (Role::Technician, "xa"), (Role::Writer, "xa")];
        let lan = Staff::make(central, "lan", &roles).await;
        let says = async |path: &str, words: &str| lan.get(central, path).await.text().contains(words);
        let trouble = |n: u32| Found {
            kind: TroubleKind::OutOfContact,
            what: String::new(),
            subject: format!("loa-{n}"),
            detail: String::new(),
            since: now,
            last: now,
        };
        let said = |n: u32, due: Option<Wall>| FeedbackRow {
            id: 0,
            code: format!("{n}"),
            village: "thon-1".parse().unwrap(),
            kind: FeedbackKind::Clear,
            words: String::new(),
            about: None,
            made: now,
            due,
            answer: None,
        };
        let content = |title: &str| NoticeContent {
            title: title.to_owned(),
            text: title.to_owned(),
            language: "vi".to_owned(),
            voice: Voice::Spoken,
            media: None,
            groups: vec!["xa".parse().unwrap()],
            class: BulletinClass::Normal,
            at: None,
            repeat: 1,
            section: None,
            campaign: None,
            responsible: String::new(),
            supersedes: None,
            republish: false,
        };
        // The centre may have had troubles of its own.
        for (all, is_cut) in [(40, false), (60, true)] {
            store.note_troubles((0..all).map(trouble).collect(), now).await.unwrap();
            store.note_troubles(Vec::new(), now).await.unwrap();
            assert_eq!(says("/canh-bao", "Chỉ liệt kê 50 mục").await, is_cut, "{all} troubles");
        }
        for n in 0..51 {
            assert!(!says("/gop-y-cua-dan", "Chỉ liệt kê 50 mục").await);
            assert!(store.add_feedback(said(n, None), "Thôn 1".to_owned()).await.unwrap());
        }
        assert!(says("/gop-y-cua-dan", "Chỉ liệt kê 50 mục").await);
        for n in 0..101 {
            let edit = NoticeEdit {
                id: format!("tin-{n}").parse().unwrap(),
                base: None,
                content: content(&format!("Tin {n}")),
                state: NoticeState::Submitted,
                by: lan.id.clone(),
                at: now,
                act: None,
            };
            store.edit_notice(edit, 1_000).await.unwrap();
            if n == 99 {
                assert!(!says("/tin", "Chỉ liệt kê 100 mục").await);
            }
        }
        assert!(says("/tin", "Chỉ liệt kê 100 mục").await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_that_were_taken_come_page_by_page() {
    const ALERTS: u64 = 1_005;
    with_central(async |central| {
        let store = central.store();
        for n in 1..=ALERTS {
            let alert = CapRow {
                reference: format!("a,{n},x"),
                id: format!("{n:05}"),
                received: Wall(n as i64 / 3),
                state: json!({ "state": "ended", "why": null, "title": "Bão", "said": [], "ends": false, "refers_to": [], "commands": [] })
                    .to_string(),
            };
            assert!(store.add_cap(alert, Vec::new()).await.unwrap());
        }
        let mut found = Vec::new();
        let mut path = "/api/v1/cap/alerts?limit=400".to_owned();
        while !path.is_empty() {
            let page = get_api(central, &path).await;
            let rows = page.json().as_array().unwrap().clone();
            found.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
            path = page.header("link").trim_start_matches('<').split('>').next().unwrap().to_owned();
        }
        found.sort();
        assert_eq!(found, (1..=ALERTS).map(|n| format!("{n:05}")).collect::<Vec<_>>());
    })
    .await;
}
