//! Proposals of staff: changed, submitted, decided, and sent with their approval.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::basis::{self, Basis};
use super::not_proposal::{NotProposal, REASON_CHARS_MAX};
use crate::app::App;
use crate::changes::Changed;
use crate::orders::documents::{self, GroupsAsked, PolicyAsked, ProgrammeAsked, newest_version};
use crate::orders::issue::{self, Draft};
use crate::orders::refused::Refused;
use crate::people::Who;
use crate::store::{
    Approval, Approved, Change, ChangeKind, NewAct, ProposalContent, ProposalEdit, ProposalKept,
    ProposalKind, ProposalRow, ProposalState, ProposalStep, Role, StoreError,
};
use loaxa_heart::config::programme_edit::ProgrammeText;
use loaxa_heart::decide::delivery::DocumentName;
use loaxa_heart::decide::schedule::{Calendar, Timetable};
use loaxa_heart::domain::ids::{CommandId, ContentHash, GroupId, ProgrammeId, ProposalId};
use loaxa_heart::domain::time::{Span, Wall};

/// Most versions of a proposal.
const VERSIONS_MAX: u32 = 1_000;
/// Time in which the last change can be taken back.
pub const UNDO: Span = Span::secs(30);

/// A change that somebody asks for.
pub struct NewText {
    /// The digest of what they saw.
    pub seen: ContentHash,
    pub text: String,
    pub media: BTreeMap<String, ContentHash>,
    pub change: Change,
}

/// The role that changes documents of a kind.
pub const fn editor_of(kind: ProposalKind) -> Role {
    match kind {
        ProposalKind::Programme => Role::Writer,
        ProposalKind::Policy | ProposalKind::Groups => Role::Administrator,
    }
}

/// Keeps a change of a document as a version of its open proposal, and begins one where none is open.
///
/// # Errors
/// Says what is wrong with the text, or that somebody else changed it since.
pub async fn change(app: &App, who: &Who, basis: &Basis, new: NewText) -> Result<(), NotProposal> {
    let kind = basis.content.kind;
    if new.seen != basis.digest {
        return Err(NotProposal::Changed(basis.proposal.clone().map(Box::new)));
    }
    let content = ProposalContent { text: new.text, media: new.media, ..basis.content.clone() };
    let content = checked(app, content).await?;
    let touched: Vec<GroupId> = basis.content.groups.iter().chain(&content.groups).cloned().collect();
    if !who.may(app, editor_of(kind), &touched) {
        return Err(NotProposal::NotYours);
    }
    let (id, base) = match &basis.proposal {
        Some(row) => (row.id.clone(), Some(row.digest)),
        None => {
            let begun = Change {
                kind: ChangeKind::Begun,
                title: basis.content.subject.clone(),
                day: None,
                before: None,
                after: None,
                boxes: 0,
            };
            let id = new_id();
            let act = who.act("proposal_begun", &basis.content.subject);
            keep(app, who, &id, None, basis.content.clone(), begun, act).await?;
            (id, Some(basis.digest))
        }
    };
    let act = NewAct {
        before: new.change.before.clone(),
        after: Some(new.change.after.clone().unwrap_or_else(|| new.change.title.clone())),
        ..who.act("proposal_changed", &basis.content.subject)
    };
    keep(app, who, &id, base, content, new.change, act).await
}

/// Begins a programme that was never sent.
///
/// # Errors
/// Says what is wrong with it, or that there is one of this name.
pub async fn begin(app: &App, who: &Who, title: &str, group: GroupId) -> Result<ProgrammeId, NotProposal> {
    if !who.may(app, Role::Writer, std::slice::from_ref(&group)) {
        return Err(NotProposal::NotYours);
    }
    let subject: ProgrammeId = group.as_str().parse().map_err(|_| NotProposal::NoSuch)?;
    if basis::of_programme(app, &subject).await?.is_some() {
        return Err(NotProposal::Changed(None));
    }
    let content = ProposalContent {
        kind: ProposalKind::Programme,
        subject: subject.to_string(),
        text: ProgrammeText::begin(&subject, title, &group),
        groups: vec![group],
        media: BTreeMap::new(),
    };
    let content = checked(app, content).await?;
    let kind = ChangeKind::Begun;
    let begun = Change { kind, title: title.to_owned(), day: None, before: None, after: None, boxes: 0 };
    let act = who.act("proposal_begun", subject.as_str());
    keep(app, who, &new_id(), None, content, begun, act).await?;
    Ok(subject)
}

pub(super) fn new_id() -> ProposalId {
    let mut random = [0; 8];
    getrandom::fill(&mut random).expect("the system gives randomness");
    ProposalId::new(loaxa_heart::domain::hex::hex(&random)).expect("hex digits are a name")
}

pub(super) async fn keep(
    app: &App,
    who: &Who,
    id: &ProposalId,
    base: Option<ContentHash>,
    content: ProposalContent,
    change: Change,
    act: NewAct,
) -> Result<(), NotProposal> {
    let edit =
        ProposalEdit { id: id.clone(), base, content, change, by: who.person.id.clone(), at: who.now, act };
    match app.store.edit_proposal(edit, VERSIONS_MAX).await? {
        ProposalKept::Kept => {
            app.changes.tell(Changed::Notices);
            Ok(())
        }
        ProposalKept::NoRoom => Err(NotProposal::TooMany),
        ProposalKept::Overtaken => Err(changed(app, id).await?),
    }
}

async fn changed(app: &App, id: &ProposalId) -> Result<NotProposal, StoreError> {
    Ok(NotProposal::Changed(app.store.proposal(id.clone()).await?.map(Box::new)))
}

/// Checks a content as boxes will, and gives it the version that comes next.
async fn checked(app: &App, mut content: ProposalContent) -> Result<ProposalContent, NotProposal> {
    match content.kind {
        ProposalKind::Programme => {
            let programme = basis::read(app, &content).await?;
            if programme.id.as_str() != content.subject {
                return Err(NotProposal::OtherProgramme);
            }
            let name = DocumentName::Programme(programme.id.clone());
            let next = newest_version(app, &name).await? + 1;
            if programme.version != next {
                let mut text = ProgrammeText::open(&content.text)?;
                text.set_version(next);
                content.text = text.text();
            }
            let before = app.store.documents(app.now()).await?;
            let before = before.into_iter().filter(|document| document.name == name);
            content.groups = before.flat_map(|document| document.groups).collect();
            content.groups.push(programme.group.clone());
            content.groups.sort();
            content.groups.dedup();
            if let Some(group) = app.settings.unknown_group(std::slice::from_ref(&programme.group)) {
                return Err(Refused::NoSuchGroup(group.clone()).into());
            }
            no_clash(app, basis::read(app, &content).await?).await?;
        }
        ProposalKind::Policy => content.groups = read_as::<PolicyAsked>(&content.text)?.to,
        ProposalKind::Groups => {
            let members = read_as::<GroupsAsked>(&content.text)?.members;
            content.groups = members.into_values().flatten().collect();
            content.groups.extend(app.settings.top_groups());
            content.groups.sort();
            content.groups.dedup();
        }
    }
    Ok(content)
}

/// Checks that no other programme in force names a slot alike: boxes would refuse the second.
async fn no_clash(
    app: &App,
    programme: Arc<loaxa_heart::domain::programme::Programme>,
) -> Result<(), NotProposal> {
    let ours = programme.id.clone();
    let calendar = Calendar::new(programme).map_err(|rule| NotProposal::Unreadable(rule.to_string()))?;
    for document in app.store.documents(app.now()).await? {
        let DocumentName::Programme(id) = &document.name else { continue };
        if *id == ours {
            continue;
        }
        let Some(content) = basis::content_of(app, &document.command).await? else { continue };
        let Ok(other) = basis::read(app, &content).await else { continue };
        if let Ok(other) = Calendar::new(other) {
            Timetable::new(vec![calendar.clone(), other])?;
        }
    }
    Ok(())
}

pub(super) fn read_as<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, NotProposal> {
    toml::from_str(text).map_err(|error| NotProposal::Unreadable(error.to_string()))
}

/// Finds the change that a person can still take back: the last one, if it is theirs and of the last half minute.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn last_change(app: &App, who: &Who, row: &ProposalRow) -> Result<Option<Change>, StoreError> {
    let changes = app.store.proposal_changes(row.id.clone()).await?;
    let last = changes.into_iter().next().filter(|it| it.by == who.person.id && is_fresh(it.at, who.now));
    Ok(last.map(|it| it.change).filter(|it| !matches!(it.kind, ChangeKind::Begun | ChangeKind::Undone)))
}

fn is_fresh(at: Wall, now: Wall) -> bool {
    now.since(at) <= UNDO
}

/// Takes the last change back, within half a minute, by whoever made it.
///
/// # Errors
/// Fails when it is too late, or somebody changed something since.
pub async fn undo(app: &App, who: &Who, id: &ProposalId, seen: ContentHash) -> Result<(), NotProposal> {
    let row = read(app, id).await?;
    if row.digest != seen || !row.state.is_open() {
        return Err(NotProposal::Changed(Some(Box::new(row))));
    }
    let Some(last) = last_change(app, who, &row).await? else { return Err(NotProposal::TooLate) };
    let changes = app.store.proposal_changes(id.clone()).await?;
    let before = changes.get(1).ok_or(NotProposal::TooLate)?.digest;
    let content = app.store.proposal_content(id.clone(), before).await?.ok_or(NotProposal::TooLate)?;
    let change = Change { kind: ChangeKind::Undone, before: last.after, after: last.before, ..last };
    let act = who.act("proposal_undone", &row.content.subject);
    keep(app, who, id, Some(seen), content, change, act).await
}

/// Reads a proposal.
///
/// # Errors
/// Fails when there is none.
pub async fn read(app: &App, id: &ProposalId) -> Result<ProposalRow, NotProposal> {
    app.store.proposal(id.clone()).await?.ok_or(NotProposal::NoSuch)
}

/// Lists what waits for an approver, what came first before the rest.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn waiting(app: &App, who: &Who) -> Result<Vec<ProposalRow>, StoreError> {
    let mut rows = app.store.open_proposals().await?;
    rows.retain(|row| row.state == ProposalState::Submitted);
    rows.retain(|row| who.may(app, Role::Approver, &row.content.groups));
    rows.reverse();
    Ok(rows)
}

/// Submits a draft to whoever approves.
///
/// # Errors
/// Fails for who may not, and when somebody changed it since.
pub async fn submit(app: &App, who: &Who, id: &ProposalId, seen: ContentHash) -> Result<(), NotProposal> {
    let row = read(app, id).await?;
    if !who.may(app, editor_of(row.content.kind), &row.content.groups) {
        return Err(NotProposal::NotYours);
    }
    if row.state == ProposalState::Submitted && row.digest == seen {
        return Ok(());
    }
    let states = (row.state, ProposalState::Submitted);
    let act = who.act("proposal_submitted", &row.content.subject);
    if !row.state.is_open() {
        return Err(NotProposal::Changed(Some(Box::new(row))));
    }
    step(app, who, id, seen, states, None, act).await
}

/// Takes a proposal back: its writers give it up.
///
/// # Errors
/// Fails for who may not change it, and when it was decided meanwhile.
pub async fn withdraw(app: &App, who: &Who, id: &ProposalId, seen: ContentHash) -> Result<(), NotProposal> {
    let row = read(app, id).await?;
    if !who.may(app, editor_of(row.content.kind), &row.content.groups) {
        return Err(NotProposal::NotYours);
    }
    if !row.state.is_open() {
        return Err(NotProposal::Changed(Some(Box::new(row))));
    }
    let act = who.act("proposal_withdrawn", &row.content.subject);
    step(app, who, id, seen, (row.state, ProposalState::Withdrawn), None, act).await
}

/// Returns a proposal to its writers with a reason.
///
/// # Errors
/// Fails without a reason, and when it was changed or decided meanwhile.
pub async fn send_back(
    app: &App,
    who: &Who,
    id: &ProposalId,
    seen: ContentHash,
    reason: &str,
) -> Result<(), NotProposal> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Err(NotProposal::NoReason);
    }
    let row = read(app, id).await?;
    if !who.may(app, Role::Approver, &row.content.groups) {
        return Err(NotProposal::NotYours);
    }
    let act = NewAct { after: Some(reason.to_owned()), ..who.act("proposal_returned", &row.content.subject) };
    let states = (ProposalState::Submitted, ProposalState::Returned);
    step(app, who, id, seen, states, Some(reason.to_owned()), act).await
}

pub(super) async fn step(
    app: &App,
    who: &Who,
    id: &ProposalId,
    digest: ContentHash,
    (from, to): (ProposalState, ProposalState),
    reason: Option<String>,
    act: NewAct,
) -> Result<(), NotProposal> {
    let by = who.person.id.clone();
    let step = ProposalStep { id: id.clone(), from, digest, to, by, reason, at: who.now, act };
    if !app.store.step_proposal(step).await? {
        return Err(changed(app, id).await?);
    }
    app.changes.tell(Changed::Notices);
    Ok(())
}

/// Approves exactly what `seen` names, signs it and sends it.
///
/// # Errors
/// Fails when it was changed or decided meanwhile, the approver wrote a version of it, or it can't be sent.
pub async fn approve(
    app: &App,
    who: &Who,
    id: &ProposalId,
    seen: ContentHash,
) -> Result<CommandId, NotProposal> {
    let row = read(app, id).await?;
    if let Some(command) = sent_by(&row, who, seen) {
        return Ok(command);
    }
    if row.digest != seen || row.state != ProposalState::Submitted {
        return Err(NotProposal::Changed(Some(Box::new(row))));
    }
    if !who.may(app, Role::Approver, &row.content.groups) {
        return Err(NotProposal::NotYours);
    }
    let changes = app.store.proposal_changes(id.clone()).await?;
    if changes.iter().any(|change| change.by == who.person.id) {
        return Err(NotProposal::Own);
    }
    let author = app.store.person(row.author.clone()).await?;
    let author = author.map_or_else(|| row.author.to_string(), |person| person.name);
    let draft = draft(app, &row.content, author, who.person.name.clone()).await?;
    let act = NewAct {
        after: draft.document.as_ref().map(|(name, version)| format!("{name} {version}")),
        ..who.act("proposal_approved", &row.content.subject)
    };
    let (of, by) = (Approved::Proposal(id.clone()), who.person.id.clone());
    match issue::issue_approved(app, draft, Approval { of, digest: seen, by, act }).await {
        Err(Refused::ProposalChanged) => {
            let row = read(app, id).await?;
            sent_by(&row, who, seen).ok_or_else(|| NotProposal::Changed(Some(Box::new(row))))
        }
        sent => {
            app.changes.tell(Changed::Notices);
            Ok(sent?)
        }
    }
}

/// The command that this very approval sent before: a press that comes twice is one.
fn sent_by(row: &ProposalRow, who: &Who, digest: ContentHash) -> Option<CommandId> {
    let same = row.state == ProposalState::Approved && row.digest == digest;
    row.command.clone().filter(|_| same && row.decided_by.as_ref() == Some(&who.person.id))
}

/// The command that a proposal becomes.
async fn draft(
    app: &App,
    content: &ProposalContent,
    author: String,
    approver: String,
) -> Result<Draft, NotProposal> {
    let (author, approver) = (Some(author), Some(approver));
    Ok(match content.kind {
        ProposalKind::Programme => {
            let (toml, media) = (content.text.clone(), content.media.clone());
            documents::draft_programme(app, ProgrammeAsked { toml, media, author, approver }).await?
        }
        ProposalKind::Policy => {
            let mut asked = PolicyAsked { author, approver, ..read_as(&content.text)? };
            // The version in the text is that of the limits which it began from.
            asked.policy.version = 0;
            documents::draft_policy(app, asked).await?
        }
        ProposalKind::Groups => {
            let asked = GroupsAsked { author, approver, ..read_as(&content.text)? };
            documents::draft_groups(app, asked).await?
        }
    })
}
