//! Commands that people sign with their own keys: drafted, signed one by one, sent when enough have signed.

use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use std::sync::Arc;

use super::announce::{self, Asked};
use super::documents::{self, PolicyAsked};
use super::issue::{self, Draft};
use super::local_emergency::{self, LocalAsked};
use super::outlook;
use super::refused::Refused;
use crate::app::App;
use crate::foreseen::Foreseen;
use crate::people::Who;
use crate::store::{DraftKept, DraftRoom, DraftRow, DraftSignature, Errand, NewDraft, StoreError};
use loaxa_heart::domain::authority::Power;
use loaxa_heart::domain::ids::{CommandId, ContentHash, KeyId};
use loaxa_heart::domain::playback::CommandRefusal;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::wire::codec::{self, Message};
use loaxa_heart::wire::envelope::{self, Kind, SIGNATURES_MAX};
use loaxa_heart::wire::messages::Command;
use loaxa_heart::wire::signing::SIGNATURE_BYTES;

/// Time that people may take to sign: an announcement belongs to its hour.
const LIVES: Span = Span::secs(3_600);

/// Most drafts that wait at once.
const OPEN_MAX: usize = 32;

/// Most drafts that wait and are no actual emergencies: the rest of the room is kept for these.
const LESSER_MAX: usize = 24;

/// Most drafts of one person that wait.
const OWN_MAX: usize = 4;

/// Most drafts of alerts that wait.
const ALERTS_MAX: usize = 16;

/// An order to be drafted.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DraftAsked {
    Announce {
        fields: Asked,
        /// Audio that was uploaded; without it the words are spoken.
        #[serde(default)]
        media: Option<ContentHash>,
    },
    Policy(PolicyAsked),
    LocalEmergency(LocalAsked),
}

impl DraftAsked {
    /// Tells whether it is to be an actual emergency, or a standing order for one.
    fn is_urgent(&self) -> bool {
        match self {
            DraftAsked::Announce { fields, .. } => {
                Power::to_announce(fields.class, fields.mode) == Power::Emergency
            }
            DraftAsked::Policy(_) => false,
            DraftAsked::LocalEmergency(_) => true,
        }
    }
}

/// The errand on which a draft goes on. What people sign comes on an urgent one; the room that is kept for emergencies, and the
/// stand-in of a database that is away, are for these alone.
fn errand(is_urgent: bool) -> Errand {
    let of_now = Errand::of_now();
    Errand { is_urgent: is_urgent && of_now.is_urgent, ..of_now }
}

/// A reason for which a draft or a signature is not taken.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NotTaken {
    NoSuchDraft(CommandId),
    TooMany,
    TooManyOwn(usize),
    TooManyRequests,
    Replayed,
    BadSignature(KeyId),
    NotAllowed(CommandRefusal),
    Full,
    Stranger(KeyId),
    Clock(Wall),
    Refused(#[from] Refused),
    Store(#[from] StoreError),
}

impl Say for NotTaken {
    fn say(&self) -> Sentence {
        match self {
            NotTaken::NoSuchDraft(id) => said!("draft.no_such_draft", id),
            NotTaken::TooMany => said!("draft.too_many", max = OPEN_MAX),
            NotTaken::TooManyOwn(max) => said!("draft.too_many_own", max),
            NotTaken::TooManyRequests => said!("draft.too_many_requests"),
            NotTaken::Replayed => said!("draft.replayed"),
            NotTaken::BadSignature(key) => said!("draft.bad_signature", key),
            NotTaken::NotAllowed(refusal) => said!("draft.not_allowed", refusal),
            NotTaken::Full => said!("draft.full", max = SIGNATURES_MAX),
            NotTaken::Stranger(key) => said!("draft.stranger", key),
            NotTaken::Clock(at) => said!("draft.clock", at),
            NotTaken::Refused(error) => error.say(),
            NotTaken::Store(error) => error.say(),
        }
    }
}

/// A draft with the number of signatures that it needs.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub row: DraftRow,
    /// The number of people who must sign.
    pub needed: u32,
}

/// The source of a draft; each has its own room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drafter {
    /// The person who holds the key that is to sign first.
    Person,
    /// An alert that was approved.
    Alert,
}

/// Drafts a command for the person who holds `issuer` to sign first.
///
/// # Errors
/// Gives a sentence for the person who asked.
pub async fn make(
    app: &Arc<App>,
    by: Drafter,
    issuer: KeyId,
    asked: DraftAsked,
) -> Result<CommandId, NotTaken> {
    let (drafter, own_max) = match by {
        Drafter::Person => (person_of(app, &issuer), OWN_MAX),
        Drafter::Alert => ("alerts".to_owned(), ALERTS_MAX),
    };
    still_here(app, &issuer).await?;
    // Once before the words are spoken, and once more when the draft is kept.
    let waiting = app.store.drafts(app.now()).await?.into_iter().filter(|row| !row.sent);
    let (own, others): (Vec<_>, Vec<_>) = waiting.partition(|row| row.draft.drafter == drafter);
    if own.len() >= own_max {
        return Err(NotTaken::TooManyOwn(own_max));
    }
    if own.len() + others.len() >= OPEN_MAX {
        return Err(NotTaken::TooMany);
    }
    errand(asked.is_urgent()).run(Box::pin(make_now(app, issuer, asked, (drafter, own_max)))).await
}

async fn make_now(
    app: &Arc<App>,
    issuer: KeyId,
    asked: DraftAsked,
    (drafter, own_max): (String, usize),
) -> Result<CommandId, NotTaken> {
    let (draft, unnumbered) = unnumbered(app, &issuer, asked).await?;
    let command = Command { serial: app.store.next_serial(issuer).await?, ..unnumbered };
    let kept = NewDraft {
        id: command.id.clone(),
        made: draft.now,
        expires: draft.now.plus(LIVES).min(command.expires),
        payload: String::from_utf8(codec::encode(&command)).expect("JSON is UTF-8"),
        drafter,
        is_emergency: command.power() == Power::Emergency,
    };
    let room = DraftRoom { open_max: OPEN_MAX, lesser_max: LESSER_MAX, own_max };
    match app.store.add_draft(kept, room).await? {
        DraftKept::Kept => {}
        DraftKept::NoRoom => return Err(NotTaken::TooMany),
        DraftKept::NoOwnRoom => return Err(NotTaken::TooManyOwn(own_max)),
    }
    tracing::info!(id = %command.id, issuer = %command.issuer, "drafted a command for people to sign");
    Ok(command.id)
}

/// Writes an order as the holder of `issuer` would sign it, but for its serial.
async fn unnumbered(app: &Arc<App>, issuer: &KeyId, asked: DraftAsked) -> Result<(Draft, Command), NotTaken> {
    let draft = match asked {
        DraftAsked::Announce { fields, media: None } => announce::draft(app, fields, None).await?,
        DraftAsked::Announce { fields, media: Some(hash) } => {
            let row = app.store.media(hash).await?;
            let row = row.ok_or_else(|| Refused::NoSuchMedia(hash.to_string()))?;
            announce::draft(app, fields, Some(row)).await?
        }
        DraftAsked::Policy(asked) => documents::draft_policy(app, asked).await?,
        DraftAsked::LocalEmergency(asked) => local_emergency::draft(app, asked).await?,
    };
    let command = issue::command(&draft, issuer.clone(), 0);
    command.check().map_err(Refused::Senseless)?;
    may_sign(app, &command, issuer)?;
    Ok((draft, command))
}

/// Foresees what would become of an order that people sign, and keeps nothing of it.
///
/// # Errors
/// As [`make`].
pub async fn foresee(app: &Arc<App>, issuer: KeyId, asked: DraftAsked) -> Result<Option<Foreseen>, NotTaken> {
    still_here(app, &issuer).await?;
    let (_, command) = unnumbered(app, &issuer, asked).await?;
    Ok(outlook::foresee_unsigned(app, command).await?)
}

/// Foresees what would become of a draft that waits, once enough people have signed it.
///
/// # Errors
/// Fails when there is no such draft, or the store does not answer.
pub async fn foresee_waiting(app: &Arc<App>, id: &CommandId) -> Result<Option<Foreseen>, NotTaken> {
    let row = find(app, id).await?;
    let command = codec::decode(row.draft.payload.as_bytes()).map_err(Refused::Senseless)?;
    Ok(outlook::foresee_unsigned(app, command).await?)
}

/// Names the person who holds a key by the first of their keys: several keys are no more room.
fn person_of(app: &App, key: &KeyId) -> String {
    let grants = &app.keyring.trust().grants;
    let own = grants.iter().find(|grant| grant.key == *key);
    let same = grants.iter().filter(|grant| own.is_some_and(|own| own.is_same_person(grant)));
    same.map(|grant| &grant.key).min().unwrap_or(key).to_string()
}

/// Tells whether a key of the trust document may be this person's: it names their account, or none.
pub fn is_own_key(app: &App, who: &Who, key: &KeyId) -> bool {
    let grant = app.keyring.trust().grants.iter().find(|grant| grant.key == *key);
    grant.is_some_and(|grant| grant.account.as_ref().is_none_or(|account| *account == who.person.id))
}

/// Checks that a key may be one of those that sign.
fn may_sign(app: &App, command: &Command, key: &KeyId) -> Result<(), NotTaken> {
    let alone = app.keyring.trust().permits(
        std::slice::from_ref(key),
        command.power(),
        &command.groups,
        Some(app.now()),
    );
    match alone {
        Ok(_) | Err(CommandRefusal::TooFewSignatures { .. }) => Ok(()),
        Err(refusal) => Err(NotTaken::NotAllowed(refusal)),
    }
}

/// Refuses the key of a person who has left. Boxes go on to obey it until the trust document names it no more, and nothing
/// of theirs goes through this server.
async fn still_here(app: &App, key: &KeyId) -> Result<(), NotTaken> {
    let grant = app.keyring.trust().grants.iter().find(|grant| grant.key == *key);
    let Some(account) = grant.and_then(|grant| grant.account.clone()) else { return Ok(()) };
    match app.store.person(account).await? {
        Some(person) if person.left.is_some() => Err(NotTaken::Stranger(key.clone())),
        _ => Ok(()),
    }
}

/// Lists the drafts that wait, and those that went out within their hour.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn waiting(app: &App) -> Result<Vec<Waiting>, StoreError> {
    let rows = app.store.drafts(app.now()).await?.into_iter();
    let needed = |row: &DraftRow| {
        let command = codec::decode::<Command>(row.draft.payload.as_bytes());
        command.map_or(u32::MAX, |command| app.keyring.trust().signatures_needed(command.power()))
    };
    Ok(rows.map(|row| Waiting { needed: needed(&row), row }).collect())
}

/// Takes a signature, and sends the command when enough have signed; returns whether it was sent.
///
/// # Errors
/// Says why the signature is not taken.
pub async fn sign(
    app: &App,
    id: CommandId,
    key: KeyId,
    signature: [u8; SIGNATURE_BYTES],
) -> Result<bool, NotTaken> {
    let now = app.now();
    still_here(app, &key).await?;
    let mut row = find(app, &id).await?;
    let payload = row.draft.payload.as_bytes();
    let command: Command = codec::decode(payload).map_err(Refused::Senseless)?;
    let message = envelope::pre_authentication_encoding(Kind::Command.payload_type(), payload);
    let public = app.keyring.public_key(&key).ok_or_else(|| NotTaken::Stranger(key.clone()))?;
    if !public.verifies(&message, &signature) {
        return Err(NotTaken::BadSignature(key));
    }
    may_sign(app, &command, &key)?;
    if !row.signatures.iter().any(|signed| signed.key == key) {
        let signed = DraftSignature { key, signature, at: now };
        let kept = app.store.add_signature(id.clone(), signed.clone(), SIGNATURES_MAX);
        let is_kept = match errand(command.is_urgent()).run(kept).await {
            Err(error)
                if (error.may_pass() || matches!(error, StoreError::Sql(_)))
                    && command.power() == Power::Emergency =>
            {
                app.owed.sign(&id, signed);
                true
            }
            kept => kept?,
        };
        // Somebody else may have signed in the same moment, here or at another central: whoever sees both sends it. Where
        // neither does, because the database is away, the centrals do that bring both.
        row = find(app, &id).await?;
        if !is_kept {
            return Err(NotTaken::Full);
        }
        tracing::info!(%id, "a person signed a draft");
    }
    send_if_enough(app, row).await
}

/// Sends every draft that enough people have signed and that was not sent.
///
/// # Errors
/// Fails when the store does not answer. What is refused is told to the log, and stays.
pub async fn send_complete(app: &App) -> Result<(), StoreError> {
    for row in app.store.drafts(app.now()).await?.into_iter().filter(|row| !row.sent) {
        let id = row.draft.id.clone();
        match send_if_enough(app, row).await {
            Ok(true) => tracing::warn!(%id, "a draft went out whose signatures met in the database"),
            Ok(false) => {}
            Err(NotTaken::Store(error) | NotTaken::Refused(Refused::Store(error))) => return Err(error),
            Err(refusal) => tracing::error!(%id, %refusal, "a draft that enough people have signed"),
        }
    }
    Ok(())
}

/// Sends a draft once enough people have signed it; tells whether it was sent, now or before.
async fn send_if_enough(app: &App, row: DraftRow) -> Result<bool, NotTaken> {
    let DraftRow { draft, mut signatures, sent } = row;
    let id = draft.id;
    if sent || app.owed.command(&id).is_some() {
        return Ok(true);
    }
    let payload = draft.payload.as_bytes();
    let command: Command = codec::decode(payload).map_err(Refused::Senseless)?;
    for owed in app.owed.signatures(&id) {
        if !signatures.iter().any(|signed| signed.key == owed.key) {
            signatures.push(owed);
        }
    }
    let signers: Vec<_> = signatures.iter().map(|signed| signed.key.clone()).collect();
    let permitted = app.keyring.trust().permits(&signers, command.power(), &command.groups, Some(app.now()));
    let enough = permitted.is_ok();
    if !enough || !signers.contains(&command.issuer) {
        return Ok(false);
    }
    let signatures: Vec<_> = signatures.into_iter().map(|signed| (signed.key, signed.signature)).collect();
    let sealed = envelope::assemble(Kind::Command, payload, &signatures);
    let mut draft = Draft::of(&command).ok_or_else(|| NotTaken::NoSuchDraft(id.clone()))?;
    let send = async {
        issue::settle_ends(app, &mut draft, signers).await?;
        issue::keep_and_send(app, &draft, &command, sealed).await
    };
    errand(command.is_urgent()).run(Box::pin(send)).await?;
    Ok(true)
}

async fn find(app: &App, id: &CommandId) -> Result<DraftRow, NotTaken> {
    let found = app.store.drafts(app.now()).await?.into_iter().find(|row| row.draft.id == *id);
    found.ok_or_else(|| NotTaken::NoSuchDraft(id.clone()))
}
