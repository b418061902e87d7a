//! Promises about proposals.

use super::*;
use loaxa_heart::domain::ids::{AccountId, ProposalId};

fn person(id: &str) -> AccountId {
    id.parse().unwrap()
}

fn act(name: &'static str) -> NewAct {
    let (actor, subject) = (Actor::Person { id: person("lan") }, "xa".to_owned());
    NewAct { at: NOW, actor, act: name, subject, before: None, after: None, from: None }
}

fn content(text: &str) -> ProposalContent {
    ProposalContent {
        kind: ProposalKind::Programme,
        subject: "xa".to_owned(),
        groups: vec![group("xa")],
        text: text.to_owned(),
        media: [("a.mp3".to_owned(), ContentHash::of(b"a"))].into(),
    }
}

pub(super) fn edit(id: &str, base: Option<&str>, text: &str, by: &str) -> ProposalEdit {
    let change = Change {
        kind: ChangeKind::SlotChanged,
        title: text.to_owned(),
        day: None,
        before: Some("05:00".to_owned()),
        after: None,
        boxes: 2,
    };
    ProposalEdit {
        id: id.parse().unwrap(),
        base: base.map(|text| content(text).digest()),
        content: content(text),
        change,
        by: person(by),
        at: NOW,
        act: act("programme_changed"),
    }
}

fn step(from: ProposalState, text: &str, to: ProposalState) -> ProposalStep {
    ProposalStep {
        id: "mot".parse().unwrap(),
        from,
        digest: content(text).digest(),
        to,
        by: person("lan"),
        reason: None,
        at: at(3),
        act: act("programme_submitted"),
    }
}

pub async fn of_two_editors_one_is_told_and_nobody_approves_what_they_wrote(store: SharedStore) {
    use ProposalState::{Draft, Submitted};
    let keep = |edit| store.edit_proposal(edit, 4);
    assert_eq!(keep(edit("mot", None, "a", "lan")).await.unwrap(), ProposalKept::Kept);
    assert_eq!(keep(edit("hai", None, "b", "mai")).await.unwrap(), ProposalKept::Overtaken, "one is open");
    assert_eq!(keep(edit("mot", Some("a"), "b", "lan")).await.unwrap(), ProposalKept::Kept);
    assert_eq!(keep(edit("mot", Some("a"), "c", "mai")).await.unwrap(), ProposalKept::Overtaken);
    assert_eq!(keep(edit("mot", Some("b"), "c", "mai")).await.unwrap(), ProposalKept::Kept);
    assert!(!store.step_proposal(step(Draft, "b", Submitted)).await.unwrap(), "not what stands there");
    assert!(store.step_proposal(step(Draft, "c", Submitted)).await.unwrap());

    let approval = |by: &str, text: &str| Approval {
        of: Approved::Proposal("mot".parse().unwrap()),
        digest: content(text).digest(),
        by: person(by),
        act: act("programme_approved"),
    };
    let send = async |id: &str, approval| {
        store
            .add_command(NewCommand { basis: Some(Basis::Approval(approval)), ..command(id, 1) })
            .await
            .unwrap()
    };
    assert_eq!(send("c1", approval("mai", "c")).await, Kept::Overtaken, "mai wrote a version");
    assert_eq!(send("c1", approval("duc", "b")).await, Kept::Overtaken, "not what was read");
    assert_eq!(send("c1", approval("duc", "c")).await, Kept::Now);
    assert_eq!(send("c2", approval("duc", "c")).await, Kept::Overtaken, "it was approved");

    let id: ProposalId = "mot".parse().unwrap();
    let row = store.proposal(id.clone()).await.unwrap().unwrap();
    assert_eq!((row.state, row.version, row.command.unwrap().as_str()), (ProposalState::Approved, 3, "c1"));
    assert!(store.open_proposals().await.unwrap().is_empty());
    let changes = store.proposal_changes(id.clone()).await.unwrap();
    assert_eq!(
        changes.iter().map(|it| (it.version, it.by.as_str())).collect::<Vec<_>>(),
        [(3, "mai"), (2, "lan"), (1, "lan")]
    );
    assert_eq!(store.proposal_content(id, content("b").digest()).await.unwrap(), Some(content("b")));
    assert_eq!(keep(edit("hai", None, "b", "mai")).await.unwrap(), ProposalKept::Kept, "the next may begin");
}
