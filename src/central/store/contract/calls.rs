//! Promises about calls, prepared messages and the roster.

use super::*;
use loaxa_heart::domain::ids::{AccountId, PreparedId};

fn person(id: &str) -> AccountId {
    id.parse().unwrap()
}

fn act(subject: &str) -> NewAct {
    let actor = Actor::Person { id: person("an") };
    NewAct {
        at: NOW,
        actor,
        act: "emergency_called",
        subject: subject.to_owned(),
        before: None,
        after: None,
        from: None,
    }
}

pub(super) fn call(id: &str) -> CallRow {
    CallRow {
        id: id.parse().unwrap(),
        purpose: CallFor::Emergency,
        state: CallState::Chosen,
        message: Some("lu".parse().unwrap()),
        title: "Lũ".to_owned(),
        groups: vec![group("thon-1")],
        by: person("an"),
        began: NOW,
        agreed_by: None,
        agreed: None,
        ended_by: None,
        ended: None,
    }
}

pub async fn a_call_takes_each_step_once(store: SharedStore) {
    assert!(store.add_call(call("goi"), act("goi")).await.unwrap());
    assert!(!store.add_call(call("goi"), act("goi")).await.unwrap());
    let step = |from, to, by| CallStep {
        id: "goi".parse().unwrap(),
        from,
        to,
        by: person(by),
        at: at(5),
        act: act("goi"),
    };
    use CallState::*;
    assert!(!store.step_call(step(Calling, OnAir, "binh")).await.unwrap(), "nobody was called yet");
    assert!(store.step_call(step(Chosen, Calling, "an")).await.unwrap());
    assert!(store.step_call(step(Calling, OnAir, "binh")).await.unwrap());
    assert!(!store.step_call(step(Calling, CalledOff, "an")).await.unwrap(), "it is on the air");
    let found = store.call("goi".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((found.state, found.began, found.agreed_by), (OnAir, at(5), Some(person("binh"))));
    let acts = store.acts(ActFilter { limit: 10, ..Default::default() }).await.unwrap();
    assert_eq!(acts.len(), 3, "an act for each step that was taken");
}

pub async fn a_person_is_called_once_and_letters_are_tried_until_they_are_sent(store: SharedStore) {
    let id: CommandId = "goi".parse().unwrap();
    let called = CalledRow { contact: "binh".to_owned(), name: "Bình".to_owned(), at: at(1) };
    let letter = NewLetter {
        channel: Channel::Email,
        to: "binh@xa.vn".to_owned(),
        subject: "Gọi".to_owned(),
        body: "Mở trang".to_owned(),
    };
    assert!(store.note_called(id.clone(), called.clone(), vec![letter.clone()]).await.unwrap());
    assert!(!store.note_called(id.clone(), called, vec![letter]).await.unwrap());
    assert_eq!(store.letters_due(NOW, 10).await.unwrap(), Vec::new());
    let due = store.letters_due(at(1), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    store.letter_tried(due[0].id, Tried::Again(at(9), "no route".to_owned())).await.unwrap();
    assert!(store.letters_due(at(8), 10).await.unwrap().is_empty());
    store.letter_tried(due[0].id, Tried::Sent(at(9))).await.unwrap();
    store.letter_tried(due[0].id, Tried::GivenUp("late".to_owned())).await.unwrap();
    assert!(store.letters_due(at(99), 10).await.unwrap().is_empty());
    let letters = store.letters(id).await.unwrap();
    assert_eq!((letters[0].sent, letters[0].tries, &letters[0].fault), (Some(at(9)), 2, &None));
}

pub async fn a_message_is_replaced_once(store: SharedStore) {
    let message = |id: &str| MessageRow {
        id: id.parse().unwrap(),
        purpose: MessageUse::Alarm,
        danger: Danger::Flood,
        title: "Lũ".to_owned(),
        text: "Nước lên".to_owned(),
        language: "vi".to_owned(),
        media: ContentHash::of(b"audio"),
        ms: 5_000,
        siren: true,
        repeat: 3,
        by: person("an"),
        made: at(1),
        ended: None,
    };
    let old: PreparedId = "lu".parse().unwrap();
    assert!(store.add_message(message("lu"), None, act("lu")).await.unwrap());
    assert!(store.add_message(message("lu-2"), Some(old.clone()), act("lu")).await.unwrap());
    assert!(!store.add_message(message("lu-3"), Some(old.clone()), act("lu")).await.unwrap());
    let offered = store.messages().await.unwrap();
    assert_eq!(offered, vec![message("lu-2")]);
    assert_eq!(store.message(old).await.unwrap().unwrap().ended, Some(at(1)), "what was aired can be read");
}
