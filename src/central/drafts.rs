//! Commands that people sign with keys that are not here: drafted, signed one by one, sent when enough have signed.

use std::sync::Arc;

use super::announce::{self, Asked, Refused};
use super::app::App;
use super::issue::{self, Draft};
use super::orders::{self, PolicyAsked};
use super::store::{DraftRow, DraftSignature, NewDraft, StoreError};
use loaxa_heart::domain::ids::{CommandId, ContentHash, KeyId};
use loaxa_heart::domain::playback::CommandRefusal;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::codec::{self, Message};
use loaxa_heart::wire::envelope::{self, Kind, SIGNATURES_MAX};
use loaxa_heart::wire::messages::Command;
use loaxa_heart::wire::request;
use loaxa_heart::wire::signing::SIGNATURE_BYTES;

/// How long people may take to sign: what is announced belongs to this hour.
const LIVES: Span = Span::secs(3_600);

/// Most drafts that wait at once.
const OPEN_MAX: usize = 32;

/// How far the clock of a browser may be off, and how long a request of it can be repeated.
const REQUEST_CLOCK_OFF_MAX: Span = Span::secs(600);

/// What is to be drafted.
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
}

/// Why a draft or a signature is not taken.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NotTaken {
    NoSuchDraft(CommandId),
    TooMany,
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

/// A draft with what is still to be done.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub row: DraftRow,
    /// How many people must sign.
    pub needed: u32,
}

/// Drafts a command for the person who holds `issuer` to sign first.
///
/// # Errors
/// A sentence for the person who asked.
pub async fn make(app: &Arc<App>, issuer: KeyId, asked: DraftAsked) -> Result<CommandId, NotTaken> {
    if app.store.drafts(app.now()).await?.iter().filter(|row| !row.sent).count() >= OPEN_MAX {
        return Err(NotTaken::TooMany);
    }
    let draft = match asked {
        DraftAsked::Announce { fields, media: None } => announce::draft(app, fields, None).await?,
        DraftAsked::Announce { fields, media: Some(hash) } => {
            let row = app.store.media(hash).await?;
            let row = row.ok_or_else(|| Refused::NoSuchMedia(hash.to_string()))?;
            announce::draft(app, fields, Some(row)).await?
        }
        DraftAsked::Policy(asked) => orders::draft_policy(app, asked).await?,
    };
    let unnumbered = issue::command(&draft, issuer.clone(), 0);
    unnumbered.check().map_err(Refused::Senseless)?;
    may_sign(app, &unnumbered, &issuer)?;
    let command = Command { serial: app.store.next_serial(issuer).await?, ..unnumbered };
    let kept = NewDraft {
        id: command.id.clone(),
        made: draft.now,
        expires: draft.now.plus(LIVES).min(command.expires),
        payload: String::from_utf8(codec::encode(&command)).expect("JSON is UTF-8"),
    };
    app.store.add_draft(kept).await?;
    tracing::info!(id = %command.id, issuer = %command.issuer, "drafted a command for people to sign");
    Ok(command.id)
}

/// Whether a key may be one of those who sign.
fn may_sign(app: &App, command: &Command, key: &KeyId) -> Result<(), NotTaken> {
    let alone = app.authority.trust().permits(
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

/// All drafts that wait, or went out within their hour.
///
/// # Errors
/// When the store does not answer.
pub async fn waiting(app: &App) -> Result<Vec<Waiting>, StoreError> {
    let rows = app.store.drafts(app.now()).await?.into_iter();
    let needed = |row: &DraftRow| {
        let command = codec::decode::<Command>(row.draft.payload.as_bytes());
        command.map_or(u32::MAX, |command| app.authority.trust().signatures_needed(command.power()))
    };
    Ok(rows.map(|row| Waiting { needed: needed(&row), row }).collect())
}

/// Takes a signature; the command goes out when enough have signed. Says whether it did.
///
/// # Errors
/// Why the signature is not taken.
pub async fn sign(
    app: &App,
    id: CommandId,
    key: KeyId,
    signature: [u8; SIGNATURE_BYTES],
) -> Result<bool, NotTaken> {
    let now = app.now();
    let DraftRow { draft, mut signatures, mut sent } = find(app, &id).await?;
    let payload = draft.payload.as_bytes();
    let command: Command = codec::decode(payload).map_err(Refused::Senseless)?;
    let message = envelope::pre_authentication_encoding(Kind::Command.payload_type(), payload);
    let public = app.authority.public_key(&key).ok_or_else(|| NotTaken::Stranger(key.clone()))?;
    if !public.verifies(&message, &signature) {
        return Err(NotTaken::BadSignature(key));
    }
    may_sign(app, &command, &key)?;
    if !signatures.iter().any(|signed| signed.key == key) {
        if signatures.len() >= SIGNATURES_MAX {
            return Err(NotTaken::Full);
        }
        let signed = DraftSignature { key, signature, at: now };
        tracing::info!(%id, key = %signed.key, "a person signed a draft");
        app.store.add_signature(id.clone(), signed).await?;
        // Somebody else may have signed in the same moment: whoever sees both sends it.
        DraftRow { signatures, sent, .. } = find(app, &id).await?;
    }
    if sent {
        return Ok(true);
    }
    let signers: Vec<_> = signatures.iter().map(|signed| signed.key.clone()).collect();
    let enough = app.authority.trust().permits(&signers, command.power(), &command.groups, Some(now)).is_ok();
    if !enough || !signers.contains(&command.issuer) {
        return Ok(false);
    }
    let signatures: Vec<_> = signatures.into_iter().map(|signed| (signed.key, signed.signature)).collect();
    let sealed = envelope::assemble(Kind::Command, payload, &signatures);
    let draft = Draft::of(&command).ok_or_else(|| NotTaken::NoSuchDraft(id.clone()))?;
    match issue::keep_and_send(app, &draft, &command, sealed).await {
        Ok(_) => Ok(true),
        // Both saw both signatures, and the other was first.
        Err(_) if find(app, &id).await?.sent => Ok(true),
        Err(refused) => Err(refused.into()),
    }
}

async fn find(app: &App, id: &CommandId) -> Result<DraftRow, NotTaken> {
    let found = app.store.drafts(app.now()).await?.into_iter().find(|row| row.draft.id == *id);
    found.ok_or_else(|| NotTaken::NoSuchDraft(id.clone()))
}

/// A request that is signed by a person's key instead of carrying the token.
pub struct SignedRequest<'a> {
    pub key: KeyId,
    pub at: Wall,
    pub signature: [u8; SIGNATURE_BYTES],
    pub method: &'a str,
    pub path: &'a str,
    pub body: &'a [u8],
}

impl SignedRequest<'_> {
    /// Whose request it is.
    ///
    /// # Errors
    /// When the key is unknown, the signature false, or the time is not now.
    pub fn check(&self, app: &App) -> Result<KeyId, NotTaken> {
        let public =
            app.authority.public_key(&self.key).ok_or_else(|| NotTaken::Stranger(self.key.clone()))?;
        let message = request::to_be_signed(self.method, self.path, self.at, self.body);
        if !public.verifies(&message, &self.signature) {
            return Err(NotTaken::BadSignature(self.key.clone()));
        }
        let now = app.now();
        let off = if self.at > now { self.at.since(now) } else { now.since(self.at) };
        if off > REQUEST_CLOCK_OFF_MAX { Err(NotTaken::Clock(self.at)) } else { Ok(self.key.clone()) }
    }
}
