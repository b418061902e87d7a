//! Notices of staff: kept while they are written, submitted, decided, and sent with their approval.

use std::sync::Arc;

use super::announce::{self, Asked, Opening};
use super::cancel;
use super::cosigning::NotTaken;
use super::issue::Draft;
use super::outlook;
use super::refused::Refused;
use super::speech;
use crate::app::App;
use crate::changes::Changed;
use crate::foreseen::Foreseen;
use crate::people::Who;
use crate::store::{
    MediaRow, NewAct, NoticeContent, NoticeEdit, NoticeFilter, NoticeKept, NoticeRow, NoticeState,
    NoticeStep, Role, StoreError, Voice, urgently,
};
use loaxa_heart::domain::announcement::{BulletinClass, Mode};
use loaxa_heart::domain::ids::{ContentHash, NoticeId};
use loaxa_heart::domain::text::clean;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// Most notices of one writer that wait.
const WAITING_MAX: u32 = 100;
/// Notices in an approver's queue.
const QUEUE_MAX: u32 = 200;
/// Pause between repetitions, in seconds.
const GAP_S: u32 = 5;
/// Longest reason for a return, in characters.
const REASON_CHARS_MAX: usize = 1_000;

/// A reason for which a notice does not take the step that somebody asked for.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NotNotice {
    NoSuch(NoticeId),
    /// Somebody else changed it since; both contents are shown side by side.
    Changed(Box<NoticeRow>),
    TooMany,
    /// A group is outside of the person's care.
    NotYours,
    /// Whoever wrote a version of it does not approve it.
    Own,
    NoReason,
    /// Emergencies have pages of their own.
    Emergency,
    NoAudio,
    /// The engine still speaks for this person.
    Speaking,
    /// The approver's key does not sign this, or the signature is not theirs.
    NotSigned(Box<NotTaken>),
    /// Approvers sign with their own keys here.
    SignFirst,
    Refused(#[from] Refused),
    Store(#[from] StoreError),
}

impl Say for NotNotice {
    fn say(&self) -> Sentence {
        match self {
            NotNotice::NoSuch(_) => said!("notice.no_such"),
            NotNotice::Changed(_) => said!("notice.changed"),
            NotNotice::TooMany => said!("notice.too_many", max = WAITING_MAX),
            NotNotice::NotYours => said!("notice.not_yours"),
            NotNotice::Own => said!("notice.own"),
            NotNotice::NoReason => said!("notice.no_reason", max = REASON_CHARS_MAX),
            NotNotice::Emergency => said!("notice.emergency"),
            NotNotice::NoAudio => said!("notice.no_audio"),
            NotNotice::Speaking => said!("notice.speaking"),
            NotNotice::NotSigned(not) => not.say(),
            NotNotice::SignFirst => said!("notice.sign_first"),
            NotNotice::Refused(refused) => refused.say(),
            NotNotice::Store(error) => error.say(),
        }
    }
}

/// Makes the id of a new notice, for the address of its page.
pub fn new_id() -> NoticeId {
    let mut random = [0; 8];
    getrandom::fill(&mut random).expect("the system gives randomness");
    NoticeId::new(loaxa_heart::domain::hex::hex(&random)).expect("hex digits are a name")
}

/// Keeps what somebody has written so far, however little it is. What they saw is named by `base`.
///
/// # Errors
/// Fails when somebody else changed it since, with what stands there now.
pub async fn save(
    app: &App,
    who: &Who,
    id: &NoticeId,
    base: Option<ContentHash>,
    content: NoticeContent,
    by_itself: bool,
) -> Result<(), NotNotice> {
    let act = (!by_itself).then(|| who.act("notice_saved", id.as_str()));
    edit(app, who, id, base, content, NoticeState::Draft, act).await
}

async fn edit(
    app: &App,
    who: &Who,
    id: &NoticeId,
    base: Option<ContentHash>,
    content: NoticeContent,
    state: NoticeState,
    act: Option<NewAct>,
) -> Result<(), NotNotice> {
    if content.class == BulletinClass::Emergency {
        return Err(NotNotice::Emergency);
    }
    let content = NoticeContent { title: clean(&content.title), text: clean(&content.text), ..content };
    let before = app.store.notice(id.clone()).await?;
    may_end(app, who, Role::Writer, &content).await?;
    let touched = before.iter().flat_map(|row| &row.content.groups).chain(&content.groups).cloned();
    if !who.may(app, Role::Writer, &touched.collect::<Vec<_>>()) {
        return Err(NotNotice::NotYours);
    }
    let act = act.map(|act| NewAct {
        before: before.map(|row| row.content.title),
        after: Some(content.title.clone()),
        ..act
    });
    let edit =
        NoticeEdit { id: id.clone(), base, content, state, by: who.person.id.clone(), at: who.now, act };
    match app.store.edit_notice(edit, WAITING_MAX).await? {
        NoticeKept::Kept => {
            if state != NoticeState::Draft {
                app.changes.tell(Changed::Notices);
            }
            Ok(())
        }
        NoticeKept::NoRoom => Err(NotNotice::TooMany),
        NoticeKept::Overtaken => Err(changed(app, id).await?),
    }
}

/// Checks that a notice takes the place only of another notice, and only of one for groups in the person's care.
///
/// # Errors
/// Fails when it does not.
pub async fn may_end(app: &App, who: &Who, role: Role, content: &NoticeContent) -> Result<(), NotNotice> {
    let Some(ended) = &content.supersedes else { return Ok(()) };
    match app.store.notice_of(ended.clone()).await? {
        Some(row) if who.may(app, role, &row.content.groups) => Ok(()),
        _ => Err(NotNotice::NotYours),
    }
}

async fn changed(app: &App, id: &NoticeId) -> Result<NotNotice, StoreError> {
    let row = app.store.notice(id.clone()).await?;
    Ok(row.map_or_else(|| NotNotice::NoSuch(id.clone()), |row| NotNotice::Changed(Box::new(row))))
}

/// Speaks the words of a notice, so that whoever submits and approves it hears the very audio that will sound; one with
/// audio of its own has it.
///
/// # Errors
/// Fails when there is nothing to say, or the engine fails.
pub async fn give_voice(
    app: &Arc<App>,
    who: &Who,
    content: &mut NoticeContent,
) -> Result<MediaRow, NotNotice> {
    if content.voice == Voice::Audio {
        let hash = content.media.ok_or(NotNotice::NoAudio)?;
        return app.store.media(hash).await?.ok_or(NotNotice::NoAudio);
    }
    announce::check_text(&content.text)?;
    // A preview costs a process and a file: one at a time for each writer.
    let _speaking = app.speaking.begin(&who.person.id).await.ok_or(NotNotice::Speaking)?;
    let spoken = speech::speak(app, &content.text, content.language.clone()).await?;
    app.store.add_media(spoken.clone()).await?;
    content.media = Some(spoken.sha256);
    Ok(spoken)
}

/// The announcement that a notice becomes.
fn asked(content: &NoticeContent, author: String, approver: Option<String>) -> Asked {
    Asked {
        to: content.groups.clone(),
        class: content.class,
        mode: Mode::Actual,
        title: Some(content.title.clone()).filter(|title| !title.trim().is_empty()),
        text: Some(content.text.clone()).filter(|text| !text.trim().is_empty()),
        language: content.language.clone(),
        at: content.at,
        repeat: content.repeat,
        until_cancelled: false,
        gap_s: GAP_S,
        opening: Opening::Chime,
        volume_percent: 100,
        expires_in_s: None,
        supersedes: content.supersedes.clone(),
        author: Some(author),
        approver,
    }
}

/// Makes the order of a notice, not signed yet.
///
/// # Errors
/// Says what keeps it from being sent.
pub async fn draft(
    app: &Arc<App>,
    content: &NoticeContent,
    media: MediaRow,
    author: String,
    approver: Option<String>,
) -> Result<Draft, NotNotice> {
    Ok(announce::draft(app, asked(content, author, approver), Some(media)).await?)
}

/// Foresees what would become of a notice as it stands. Gives its words a voice first.
///
/// # Errors
/// Says what keeps it from being sent.
pub async fn foresee(app: &Arc<App>, who: &Who, content: &mut NoticeContent) -> Result<Foreseen, NotNotice> {
    let media = give_voice(app, who, content).await?;
    let draft = draft(app, content, media, who.person.name.clone(), None).await?;
    let foreseen = outlook::foresee_draft(app, &draft).await?;
    Ok(foreseen.unwrap_or(Foreseen { boxes: Vec::new(), said: Sentence::Lines(Vec::new()) }))
}

/// Submits a notice to whoever approves, with the audio that will sound.
///
/// # Errors
/// Says what is wrong with it; it is not submitted then.
pub async fn submit(
    app: &Arc<App>,
    who: &Who,
    id: &NoticeId,
    base: Option<ContentHash>,
    mut content: NoticeContent,
) -> Result<(), NotNotice> {
    let media = give_voice(app, who, &mut content).await?;
    draft(app, &content, media, who.person.name.clone(), None).await?;
    edit(app, who, id, base, content, NoticeState::Submitted, Some(who.act("notice_submitted", id.as_str())))
        .await
}

/// Reads a notice.
///
/// # Errors
/// Fails when there is none.
pub async fn read(app: &App, id: &NoticeId) -> Result<NoticeRow, NotNotice> {
    app.store.notice(id.clone()).await?.ok_or_else(|| NotNotice::NoSuch(id.clone()))
}

/// Reads what waits for an approver: for their groups, and in time, what sounds first before the rest.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn waiting(app: &App, who: &Who) -> Result<Vec<NoticeRow>, StoreError> {
    let filter =
        NoticeFilter { states: vec![NoticeState::Submitted], limit: QUEUE_MAX, ..Default::default() };
    let mut rows = app.store.notices(filter).await?;
    rows.retain(|row| row.state_at(who.now) == NoticeState::Submitted);
    rows.retain(|row| who.may(app, Role::Approver, &row.content.groups));
    rows.sort_by_key(|row| (row.content.at.unwrap_or(row.changed), row.changed));
    Ok(rows)
}

/// Returns a notice to its writer with a reason.
///
/// # Errors
/// Fails without a reason, and when the notice was changed or decided meanwhile.
pub async fn send_back(
    app: &App,
    who: &Who,
    id: &NoticeId,
    digest: ContentHash,
    reason: &str,
) -> Result<(), NotNotice> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Err(NotNotice::NoReason);
    }
    let row = read(app, id).await?;
    if !who.may(app, Role::Approver, &row.content.groups) {
        return Err(NotNotice::NotYours);
    }
    let act = NewAct { after: Some(reason.to_owned()), ..who.act("notice_returned", id.as_str()) };
    let states = (NoticeState::Submitted, NoticeState::Returned);
    step(app, who, id, digest, states, Some(reason.to_owned()), act).await
}

/// Takes a notice back that nobody has approved.
///
/// # Errors
/// Fails when it is not the person's own, or was decided meanwhile.
pub async fn withdraw(app: &App, who: &Who, id: &NoticeId) -> Result<(), NotNotice> {
    let row = read(app, id).await?;
    if row.author != who.person.id {
        return Err(NotNotice::NotYours);
    }
    if !row.state.can_change() {
        return Err(NotNotice::Changed(Box::new(row)));
    }
    let act = who.act("notice_withdrawn", id.as_str());
    step(app, who, id, row.digest, (row.state, NoticeState::Withdrawn), None, act).await
}

/// Ends a notice that was approved, on all boxes.
///
/// # Errors
/// Fails for who may neither write nor approve for its groups, and when it has ended.
pub async fn end(app: &App, who: &Who, id: &NoticeId) -> Result<(), NotNotice> {
    let row = read(app, id).await?;
    let groups = &row.content.groups;
    if ![Role::Writer, Role::Approver, Role::Duty].iter().any(|role| who.may(app, *role, groups)) {
        return Err(NotNotice::NotYours);
    }
    let Some(command) = row.command.clone().filter(|_| row.state == NoticeState::Approved) else {
        return Err(NotNotice::Changed(Box::new(row)));
    };
    // First the boxes: a notice that is marked as ended and still sounds would be a lie.
    cancel::cancel(app, command, Some(who.person.name.clone())).await?;
    let act = NewAct { before: Some(row.content.title.clone()), ..who.act("notice_cancelled", id.as_str()) };
    let states = (NoticeState::Approved, NoticeState::Cancelled);
    match urgently(step(app, who, id, row.digest, states, None, act)).await {
        // Somebody else ended it in the same moment.
        Err(NotNotice::Changed(row)) if row.state == NoticeState::Cancelled => Ok(()),
        done => done,
    }
}

async fn step(
    app: &App,
    who: &Who,
    id: &NoticeId,
    digest: ContentHash,
    (from, to): (NoticeState, NoticeState),
    reason: Option<String>,
    act: NewAct,
) -> Result<(), NotNotice> {
    let step =
        NoticeStep { id: id.clone(), from, digest, to, by: who.person.id.clone(), reason, at: who.now, act };
    if !app.store.step_notice(step).await? {
        return Err(changed(app, id).await?);
    }
    app.changes.tell(Changed::Notices);
    Ok(())
}
