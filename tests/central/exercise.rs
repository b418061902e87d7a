//! Exercises: whatever this page sends, nothing real comes of it.

use crate::emergency::prepare;
use crate::support::commune::*;
use crate::support::staff::Staff;
use chrono::Days;
use loaxa_central::Central;
use loaxa_central::store::{CommandRow, MessageUse, Role};
use loaxa_heart::domain::announcement::{BulletinClass, Mode};

async fn with_officer(test: impl AsyncFn(&Central, &Staff, &str, &str)) {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let an = Staff::make(&central, "an", &[(Role::Duty, "xa")]).await;
    let message = prepare(&central, &an, "Lũ quét", MessageUse::Alarm).await;
    let day = loaxa_adapters::clock::wall().date().checked_add_days(Days::new(9)).unwrap();
    test(&central, &an, &message, &day.format("%d/%m/%Y").to_string()).await;
    central.stop().await;
}

async fn sent(central: &Central) -> Vec<CommandRow> {
    central.store().announcements(None, 100).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn villages_are_told_twice_before_an_exercise() {
    with_officer(async |central, an, message, day| {
        let fields = [
            ("bai", message),
            ("noi", "thon-1"),
            ("noi", "thon-2"),
            ("ngay", day),
            ("gio", "8h"),
            ("chu", "Diễn tập"),
        ];
        let done = an.post(central, "/dien-tap", &fields).await;
        assert_eq!(done.status, 303, "{}", done.text());
        let rows = sent(central).await;
        let exercise: Vec<_> = rows.iter().filter(|row| row.mode == Some(Mode::Exercise)).collect();
        assert_eq!((rows.len(), exercise.len()), (3, 1));
        assert_eq!(exercise[0].class, Some(BulletinClass::Emergency));
        let payload = &exercise[0].payload;
        assert_eq!(payload.matches("Đây là bài diễn tập, không phải thật.").count(), 2, "{payload}");
        let notices: Vec<_> = rows.iter().filter(|row| row.mode == Some(Mode::Actual)).collect();
        assert!(notices.iter().all(|row| row.class == Some(BulletinClass::Normal)));
        assert!(notices.iter().all(|row| row.payload.contains(&format!("Lúc 08:00 ngày {day}"))));
        let page = an.get(central, "/dien-tap").await;
        assert!(page.text().contains("class=\"drill\"") && page.text().contains("Diễn tập: Lũ quét"));
        // Called off, it takes its notices along; nothing else is ended by this address.
        let notice = format!("/dien-tap/{}/huy", notices[0].id);
        assert_eq!(an.post(central, &notice, &[]).await.status, 404);
        let path = format!("/dien-tap/{}/huy", exercise[0].id);
        let village = Staff::make(central, "village", &[(Role::Duty, "thon-2")]).await;
        assert_eq!(village.post(central, &path, &[]).await.status, 403);
        assert_eq!(an.post(central, &path, &[]).await.status, 303);
        assert!(sent(central).await.iter().all(|row| row.ended.is_some()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_field_makes_an_exercise_real() {
    with_officer(async |central, an, message, day| {
        let right = [("bai", message), ("noi", "thon-1"), ("ngay", day), ("gio", "8h"), ("chu", "diễn tập")];
        let mut tries: Vec<Vec<(&str, &str)>> = Vec::new();
        for name in [
            "mode", "che-do", "class", "loai", "fields", "that", "tin", "so", "khoa", "sau", "viec", "at",
            "opening",
        ] {
            for value in ["actual", "that", "emergency", "khan-cap", "1", "{\"mode\":\"actual\"}"] {
                tries.push([&right[..], &[(name, value)]].concat());
            }
        }
        // Every field of the form with what the other page would send, and twice.
        for (name, _) in right {
            for value in ["actual", "that", "emergency", "", "thon-1", message] {
                let changed =
                    right.iter().map(|(field, old)| (*field, if *field == name { value } else { *old }));
                tries.push(changed.collect());
                tries.push([&right[..], &[(name, value)]].concat());
            }
        }
        for fields in tries {
            an.post(central, "/dien-tap", &fields).await;
        }
        let an_hour = loaxa_adapters::clock::wall().plus(loaxa_heart::domain::time::Span::secs(3_600));
        for row in sent(central).await {
            let real = row.class != Some(BulletinClass::Normal) && row.mode != Some(Mode::Exercise);
            assert!(!real, "{}", row.payload);
            assert!(!row.payload.contains("\"at\":null") && row.payload.contains("\"at\":"), "never at once");
            assert!(row.expires > an_hour);
        }
        assert!(central.store().calls(loaxa_heart::domain::time::Wall(0)).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exercise_is_in_the_daytime_announced_and_typed() {
    with_officer(async |central, an, message, day| {
        let today = loaxa_adapters::clock::wall().date();
        let tomorrow = today.format("%d/%m/%Y").to_string();
        let far = today.checked_add_days(Days::new(40)).unwrap().format("%d/%m/%Y").to_string();
        for (day, hour, word, says) in [
            (day, "6h59", "diễn tập", "Chỉ diễn tập từ 7 giờ đến 18 giờ"),
            (day, "18h01", "diễn tập", "Chỉ diễn tập từ 7 giờ đến 18 giờ"),
            (day, "8h", "phát thật", "Hãy gõ hai chữ: diễn tập"),
            (day, "8h", "", "Hãy gõ hai chữ: diễn tập"),
            (&tomorrow, "8h", "diễn tập", "Phải báo bà con từ 17 giờ hôm trước"),
            (&far, "8h", "diễn tập", "nhiều nhất 28 ngày"),
            ("mai", "8h", "diễn tập", "Ngày chưa đúng"),
        ] {
            let fields = [("bai", message), ("noi", "thon-1"), ("ngay", day), ("gio", hour), ("chu", word)];
            let answer = an.post(central, "/dien-tap", &fields).await;
            assert_eq!(answer.status, 400);
            assert_eq!(answer.text().matches(says).count(), 2, "{says}: {}", answer.text());
        }
        assert!(sent(central).await.is_empty());
    })
    .await;
}
