//! Promises about the words of villagers, and about events for other systems.

use super::*;

fn said(code: &str, kind: FeedbackKind, due: Option<Wall>) -> FeedbackRow {
    FeedbackRow {
        id: 0,
        code: code.to_owned(),
        village: "dong".parse().unwrap(),
        kind,
        words: "Loa im.".to_owned(),
        about: Some(Broadcast { id: "tin/x".to_owned(), title: "Bản tin".to_owned(), at: NOW }),
        made: NOW,
        due,
        answer: None,
    }
}

pub(super) async fn words_are_answered_once_and_counted(store: SharedStore) {
    let (week, dong) = (NOW.plus(Span::secs(604_800)), "dong".parse().unwrap());
    assert!(
        store
            .add_feedback(said("a", FeedbackKind::NotHeard, Some(week)), "Thôn Đông".to_owned())
            .await
            .unwrap()
    );
    assert!(store.add_feedback(said("b", FeedbackKind::Clear, None), "Thôn Đông".to_owned()).await.unwrap());
    let waiting = store.feedback_waiting(10).await.unwrap();
    assert_eq!(waiting, [FeedbackRow { id: waiting[0].id, ..said("a", FeedbackKind::NotHeard, Some(week)) }]);
    assert!(store.feedback_overdue(NOW).await.unwrap().is_empty());
    assert_eq!(store.feedback_overdue(week).await.unwrap(), [(dong, 1, week)]);
    let answer = FeedbackAnswer { by: "an".parse().unwrap(), at: NOW, words: "Đã sửa.".to_owned() };
    let id = waiting[0].id;
    let counted = async || {
        let sums = store.feedback_sums(NOW.date(), NOW.date()).await.unwrap();
        let mut counted: Vec<_> = sums
            .into_iter()
            .map(|it| (it.title, it.kind, [it.said, it.asked, it.in_time, it.late]))
            .collect();
        counted.sort();
        counted
    };
    let title = "Thôn Đông".to_owned();
    let clear = (title.clone(), FeedbackKind::Clear, [1, 0, 0, 0]);
    assert_eq!(counted().await, [clear.clone(), (title.clone(), FeedbackKind::NotHeard, [1, 1, 0, 0])]);
    assert!(store.answer_feedback(id, answer.clone(), act()).await.unwrap());
    assert!(!store.answer_feedback(id, answer.clone(), act()).await.unwrap());
    assert_eq!(counted().await, [clear, (title, FeedbackKind::NotHeard, [1, 1, 1, 0])]);
    assert!(store.feedback_waiting(10).await.unwrap().is_empty());
    assert!(store.feedback_overdue(week).await.unwrap().is_empty());
    let found = store.feedback_by_code("a".to_owned()).await.unwrap().unwrap();
    assert_eq!(found.answer, Some(answer));
    let counts = store.feedback_counts(NOW, NOW.plus(Span::secs(1))).await.unwrap();
    assert_eq!(counts.values().sum::<u64>(), 2);
}

pub(super) async fn an_event_waits_for_each_receiver_of_its_kind(store: SharedStore) {
    let receiver = |title: &str, kinds: &[EventKind]| ReceiverRow {
        id: 0,
        title: title.to_owned(),
        url: "https://portal.example/".to_owned(),
        secret: vec![1, 2],
        kinds: kinds.to_vec(),
    };
    for row in [receiver("one", &[EventKind::FeedbackReceived]), receiver("other", &[EventKind::NoticeAired])]
    {
        assert!(store.add_receiver(row, act()).await.unwrap());
    }
    store.add_feedback(said("c", FeedbackKind::TooLoud, Some(NOW)), "Thôn Đông".to_owned()).await.unwrap();
    store.add_feedback(said("d", FeedbackKind::TooLoud, Some(NOW)), "Thôn Đông".to_owned()).await.unwrap();
    let due = store.events_due(NOW).await.unwrap();
    assert_eq!(due.len(), 1, "one of each receiver at a time");
    assert!(!due[0].body.contains("Loa im."), "the words stay here");
    let later = NOW.plus(Span::secs(5));
    store.event_tried(due[0].id, Tried::Again(later, "no answer".to_owned())).await.unwrap();
    let next = store.events_due(NOW).await.unwrap();
    assert!(next.len() == 1 && next[0].id != due[0].id);
    store.event_tried(next[0].id, Tried::Sent(NOW)).await.unwrap();
    assert!(store.events_due(NOW).await.unwrap().is_empty());
    assert_eq!(store.events_due(later).await.unwrap()[0].tries, 1);
    assert!(store.try_receiver(next[0].receiver, NOW).await.unwrap());
    assert!(store.end_receiver(next[0].receiver, act()).await.unwrap());
    assert!(store.events(10).await.unwrap().is_empty() && !store.try_receiver(999, NOW).await.unwrap());
}

pub(super) async fn an_emergency_is_told_when_it_begins_and_when_it_is_over(store: SharedStore) {
    let receiver = ReceiverRow {
        id: 0,
        title: "all".to_owned(),
        url: "https://portal.example/".to_owned(),
        secret: vec![1],
        kinds: EventKind::CHOICES.to_vec(),
    };
    assert!(store.add_receiver(receiver, act()).await.unwrap());
    for (name, serial, mode) in [("mot", 1, Mode::Actual), ("hai", 2, Mode::Exercise)] {
        let payload = r#"{"body":{"words":{"text":"X\u1ea3 l\u0169","language":"vi"}}}"#.to_owned();
        let row = NewCommand { mode: Some(mode), payload, ..command(name, serial) };
        store.add_command(row).await.unwrap();
    }
    let step = |name: &str, step| Event::Delivery { command: name.parse().unwrap(), step };
    let mut written = Written::new();
    let kinds = async || {
        let events = store.events(10).await.unwrap();
        events.iter().rev().map(|event| event.kind).collect::<Vec<_>>()
    };
    ingest(&store, written.batch([step("mot", DeliveryStep::Received), step("hai", DeliveryStep::Started)]))
        .await;
    assert_eq!(kinds().await, [], "an exercise is no emergency");
    ingest(&store, written.batch([step("mot", DeliveryStep::Started)])).await;
    assert_eq!(kinds().await, [EventKind::EmergencyOnAir]);
    assert!(store.events(1).await.unwrap()[0].body.contains("Xả lũ"));
    ingest(&store, written.batch([step("mot", DeliveryStep::Finished), step("hai", DeliveryStep::Finished)]))
        .await;
    assert_eq!(kinds().await, [EventKind::EmergencyOnAir, EventKind::EmergencyEnded]);
}
