//! The approval of a notice: bound to exactly what was read, and signed by the server or by the approver.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::cosigning::{self, NotTaken};
use super::issue::{self, Draft};
use super::notices::{self, NotNotice};
use super::refused::Refused;
use crate::app::App;
use crate::changes::Changed;
use crate::people::Who;
use crate::store::{Approval, Approved, NewAct, NoticeRow, NoticeState, Role};
use loaxa_heart::config::central_file::EverydaySigner;
use loaxa_heart::domain::ids::{CommandId, ContentHash, KeyId, NoticeId};
use loaxa_heart::domain::time::Span;
use loaxa_heart::wire::codec::{self, Message};
use loaxa_heart::wire::envelope::{self, Kind};
use loaxa_heart::wire::messages::Command;
use loaxa_heart::wire::signing::SIGNATURE_BYTES;

/// Time to read once more and sign.
const SIGNING_LASTS: Span = Span::secs(10 * 60);

/// An order that an approver's browser is about to sign; it is kept with the session.
#[derive(Serialize, Deserialize)]
struct Offered {
    notice: NoticeId,
    digest: ContentHash,
    /// The exact bytes to be signed.
    payload: String,
}

/// A decision before it is made: it was made by the same press before, or this is what it sends.
enum Found {
    Sent(CommandId),
    Draft(Box<Draft>),
}

/// Approves exactly what `digest` names, and sends it with the server's signature.
///
/// # Errors
/// Fails when it was changed or decided meanwhile, the approver wrote a version of it, or it can't be sent.
pub async fn approve(
    app: &Arc<App>,
    who: &Who,
    id: &NoticeId,
    digest: ContentHash,
) -> Result<CommandId, NotNotice> {
    let draft = match look(app, who, id, digest).await? {
        Found::Sent(command) => return Ok(command),
        Found::Draft(draft) => draft,
    };
    if app.settings.everyday == EverydaySigner::People {
        return Err(NotNotice::SignFirst);
    }
    let approval = approval(who, id, digest, &draft);
    let sent = issue::issue_approved(app, *draft, approval).await;
    settle(app, who, id, digest, sent).await
}

/// Makes the order that the approver's own key is to sign; nothing is decided yet. Gives its id and the exact bytes.
///
/// # Errors
/// As [`approve`]; and fails when the key is not the approver's, or may not do this alone.
pub async fn offer(
    app: &Arc<App>,
    who: &Who,
    id: &NoticeId,
    digest: ContentHash,
    key: KeyId,
) -> Result<(CommandId, String), NotNotice> {
    let Found::Draft(draft) = look(app, who, id, digest).await? else {
        return Err(NotNotice::Changed(Box::new(notices::read(app, id).await?)));
    };
    let not = |not: NotTaken| NotNotice::NotSigned(Box::new(not));
    if !cosigning::is_own_key(app, who, &key) {
        return Err(not(NotTaken::Stranger(key)));
    }
    let unnumbered = issue::command(&draft, key.clone(), 0);
    unnumbered.check().map_err(Refused::Senseless)?;
    let trust = app.keyring.trust();
    let alone =
        trust.permits(std::slice::from_ref(&key), unnumbered.power(), &unnumbered.groups, Some(who.now));
    alone.map_err(|refusal| not(NotTaken::NotAllowed(refusal)))?;
    let command = Command { serial: app.store.next_serial(key).await?, ..unnumbered };
    let payload = String::from_utf8(codec::encode(&command)).expect("JSON is UTF-8");
    let offered = Offered { notice: id.clone(), digest, payload: payload.clone() };
    let offered = serde_json::to_string(&offered).expect("names and text are plain data");
    app.store.keep_challenge(who.session.secret, offered, who.now).await?;
    Ok((command.id, payload))
}

/// Approves a notice by the signature of the approver's own key over the order that was offered, and sends it.
///
/// # Errors
/// As [`approve`]; and fails when nothing was offered to this session, or the signature is not of this key.
pub async fn approve_signed(
    app: &Arc<App>,
    who: &Who,
    id: &NoticeId,
    digest: ContentHash,
    key: KeyId,
    signature: [u8; SIGNATURE_BYTES],
) -> Result<CommandId, NotNotice> {
    if let Found::Sent(command) = look(app, who, id, digest).await? {
        return Ok(command);
    }
    let offered = app.store.take_challenge(who.session.secret, who.now.minus(SIGNING_LASTS)).await?;
    let offered = offered.and_then(|offered| serde_json::from_str::<Offered>(&offered).ok());
    let offered = offered.filter(|offered| offered.notice == *id && offered.digest == digest);
    let payload = offered.ok_or(NotNotice::SignFirst)?.payload.into_bytes();
    let command: Command = codec::decode(&payload).map_err(Refused::Senseless)?;
    let not = |not: NotTaken| NotNotice::NotSigned(Box::new(not));
    let message = envelope::pre_authentication_encoding(Kind::Command.payload_type(), &payload);
    let public = app.keyring.public_key(&key).filter(|_| key == command.issuer);
    if !public.is_some_and(|public| public.verifies(&message, &signature)) {
        return Err(not(NotTaken::BadSignature(key)));
    }
    let mut draft = Draft::of(&command).ok_or(NotNotice::SignFirst)?;
    issue::settle_ends(app, &mut draft, vec![key.clone()]).await?;
    let sealed = envelope::assemble(Kind::Command, &payload, &[(key, signature)]);
    let approval = approval(who, id, digest, &draft);
    let sent = issue::send_approved(app, &draft, &command, sealed, approval).await;
    settle(app, who, id, digest, sent).await
}

/// Checks that a notice stands as the approver read it, and that they may approve it.
async fn look(app: &Arc<App>, who: &Who, id: &NoticeId, digest: ContentHash) -> Result<Found, NotNotice> {
    let row = notices::read(app, id).await?;
    if let Some(command) = sent_by(&row, who, digest) {
        return Ok(Found::Sent(command));
    }
    if row.digest != digest || row.state_at(who.now) != NoticeState::Submitted {
        return Err(NotNotice::Changed(Box::new(row)));
    }
    let content = row.content;
    if !who.may(app, Role::Approver, &content.groups) {
        return Err(NotNotice::NotYours);
    }
    notices::may_end(app, who, Role::Approver, &content).await?;
    let versions = app.store.notice_versions(id.clone()).await?;
    if versions.iter().any(|version| version.by == who.person.id) {
        return Err(NotNotice::Own);
    }
    let media = app.store.media(content.media.ok_or(NotNotice::NoAudio)?).await?.ok_or(NotNotice::NoAudio)?;
    let author = app.store.person(row.author.clone()).await?;
    let author = author.map_or_else(|| row.author.to_string(), |person| person.name);
    let draft = notices::draft(app, &content, media, author, Some(who.person.name.clone())).await?;
    Ok(Found::Draft(Box::new(draft)))
}

fn approval(who: &Who, id: &NoticeId, digest: ContentHash, draft: &Draft) -> Approval {
    let act = NewAct { after: Some(draft.title.clone()), ..who.act("notice_approved", id.as_str()) };
    Approval { of: Approved::Notice(id.clone()), digest, by: who.person.id.clone(), act }
}

/// Tells open pages of a decision; of one that came too late, says what stands there now.
async fn settle(
    app: &App,
    who: &Who,
    id: &NoticeId,
    digest: ContentHash,
    sent: Result<CommandId, Refused>,
) -> Result<CommandId, NotNotice> {
    if let Err(Refused::NoticeChanged) = sent {
        let row = notices::read(app, id).await?;
        return sent_by(&row, who, digest).ok_or_else(|| NotNotice::Changed(Box::new(row)));
    }
    app.changes.tell(Changed::Notices);
    Ok(sent?)
}

/// The command that this very approval sent before: a press that comes twice is one.
fn sent_by(row: &NoticeRow, who: &Who, digest: ContentHash) -> Option<CommandId> {
    let same = row.state == NoticeState::Approved && row.digest == digest;
    row.command.clone().filter(|_| same && row.decided_by.as_ref() == Some(&who.person.id))
}
