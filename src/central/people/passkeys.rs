//! Passkeys: a person's telephone or computer shows by fingerprint, face or PIN that it is they (WebAuthn). They stand beside
//! the codes and never in their place: a device that is lost must not shut its person out.

use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;
use webauthn_rs::prelude::{
    CreationChallengeResponse, Passkey, PasskeyAuthentication, PasskeyRegistration, RequestChallengeResponse,
    Uuid, Webauthn, WebauthnBuilder,
};

use loaxa_heart::domain::ids::{AccountId, ContentHash};
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence, steers};

use super::sign_in;
use super::who::Who;
use crate::app::App;
use crate::store::{NewAct, PASSKEYS_MAX, PasskeyRow, Stage, StoreError};

/// Time to touch the sensor.
const CHALLENGE_LASTS: Span = Span::secs(5 * 60);
/// Time after a sign-in in which a passkey may be added: a session that was left open or stolen adds none.
const FRESH: Span = Span::secs(15 * 60);
/// Longest name of a device, in characters.
const NAME_CHARS_MAX: usize = 60;

/// A reason for which a passkey is not taken.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NoPasskey {
    /// Browsers give passkeys only to servers with a name, and TLS.
    NotHere,
    /// Only a whole sign-in, with a code, adds one.
    CodeFirst,
    /// The sign-in was too long ago.
    SignInAgain,
    Name,
    TooMany,
    /// The device's answer is wrong, or came too late.
    Wrong,
    Store(#[from] StoreError),
}

impl Say for NoPasskey {
    fn say(&self) -> Sentence {
        match self {
            NoPasskey::NotHere => said!("passkey.not_here"),
            NoPasskey::CodeFirst => said!("passkey.code_first"),
            NoPasskey::SignInAgain => said!("passkey.sign_in_again", minutes = FRESH.as_millis() / 60_000),
            NoPasskey::Name => said!("passkey.name_length", max = NAME_CHARS_MAX),
            NoPasskey::TooMany => said!("passkey.too_many", max = PASSKEYS_MAX),
            NoPasskey::Wrong => said!("passkey.wrong"),
            NoPasskey::Store(error) => error.say(),
        }
    }
}

/// Tells whether this server's address is one for which browsers keep passkeys.
pub fn are_possible(app: &App) -> bool {
    verifier(app).is_ok()
}

/// Checks that a person may add a passkey in this session.
///
/// # Errors
/// Fails where they have not shown a code, or signed in too long ago.
pub fn may_add(who: &Who) -> Result<(), NoPasskey> {
    if who.session.stage != Stage::Full || who.person.totp.is_none() {
        return Err(NoPasskey::CodeFirst);
    }
    if who.now.since(who.session.made) > FRESH { Err(NoPasskey::SignInAgain) } else { Ok(()) }
}

fn verifier(app: &App) -> Result<Webauthn, NoPasskey> {
    let address = Url::parse(&app.public_url).map_err(|_| NoPasskey::NotHere)?;
    let name = address.domain().filter(|name| address.scheme() == "https" || *name == "localhost");
    let builder = WebauthnBuilder::new(name.ok_or(NoPasskey::NotHere)?, &address);
    let named = builder.map(|builder| builder.rp_name(&app.settings.commune).build());
    named.and_then(|built| built).map_err(|error| {
        tracing::warn!(%error, address = app.public_url, "this address can have no passkeys");
        NoPasskey::NotHere
    })
}

/// Begins to make a passkey: the question for the browser.
///
/// # Errors
/// Fails where the address has no name, or the person has not shown a code in this session.
pub async fn begin_making(app: &App, who: &Who) -> Result<CreationChallengeResponse, NoPasskey> {
    let verifier = verifier(app)?;
    may_add(who)?;
    let known = keys_of(app, &who.person.id).await?;
    if known.len() >= PASSKEYS_MAX as usize {
        return Err(NoPasskey::TooMany);
    }
    let known = known.iter().map(|(_, key)| key.cred_id().clone()).collect();
    let account = who.person.id.as_str();
    let (question, state) = verifier
        .start_passkey_registration(handle(&who.person.id), account, &who.person.name, Some(known))
        .map_err(|error| refused(who, &error))?;
    keep(app, who, &state).await?;
    Ok(question)
}

/// Keeps the passkey that a browser made.
///
/// # Errors
/// Fails when the answer does not fit the question of this session.
pub async fn finish_making(app: &App, who: &Who, name: &str, answer: &str) -> Result<(), NoPasskey> {
    let verifier = verifier(app)?;
    may_add(who)?;
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(steers) {
        return Err(NoPasskey::Name);
    }
    let state: PasskeyRegistration = take(app, who).await?;
    let answer = serde_json::from_str(answer).map_err(|_| NoPasskey::Wrong)?;
    let key = verifier.finish_passkey_registration(&answer, &state).map_err(|error| refused(who, &error))?;
    let row = PasskeyRow {
        id: ContentHash::of(key.cred_id()),
        person: who.person.id.clone(),
        name: name.clone(),
        credential: written(&key),
        made: who.now,
        used: None,
    };
    let act = NewAct { after: Some(name), ..who.act("passkey_added", who.person.id.as_str()) };
    if app.store.add_passkey(row, act).await? { Ok(()) } else { Err(NoPasskey::TooMany) }
}

/// Begins the second step of a sign-in: the question for the browser.
///
/// # Errors
/// Fails where the person has no passkey.
pub async fn begin_showing(app: &App, who: &Who) -> Result<RequestChallengeResponse, NoPasskey> {
    let keys: Vec<Passkey> = keys_of(app, &who.person.id).await?.into_iter().map(|(_, key)| key).collect();
    if keys.is_empty() {
        return Err(NoPasskey::Wrong);
    }
    let (question, state) =
        verifier(app)?.start_passkey_authentication(&keys).map_err(|error| refused(who, &error))?;
    keep(app, who, &state).await?;
    Ok(question)
}

/// Checks what a browser showed, and begins a full session in place of the one of the first step.
///
/// # Errors
/// Fails when the answer does not fit the question of this session.
pub async fn finish_showing(app: &App, who: &Who, answer: &str) -> Result<String, NoPasskey> {
    let verifier = verifier(app)?;
    let state: PasskeyAuthentication = take(app, who).await?;
    let answer = serde_json::from_str(answer).map_err(|_| NoPasskey::Wrong)?;
    let shown =
        verifier.finish_passkey_authentication(&answer, &state).map_err(|error| refused(who, &error))?;
    // A key that was taken away since the question opens nothing.
    let known = keys_of(app, &who.person.id).await?;
    let (row, mut key) =
        known.into_iter().find(|(_, key)| key.cred_id() == shown.cred_id()).ok_or(NoPasskey::Wrong)?;
    key.update_credential(&shown);
    app.store.note_passkey(row.id, written(&key), who.now).await?;
    Ok(sign_in::step_up(app, who).await?)
}

/// Takes one of the person's own passkeys away; false where there is none.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn remove(app: &App, who: &Who, id: ContentHash) -> Result<bool, StoreError> {
    let act = who.act("passkey_removed", who.person.id.as_str());
    app.store.remove_passkey(who.person.id.clone(), id, act).await
}

async fn keys_of(app: &App, person: &AccountId) -> Result<Vec<(PasskeyRow, Passkey)>, StoreError> {
    let rows = app.store.passkeys(person.clone()).await?;
    let read = |row: PasskeyRow| Some((serde_json::from_str(&row.credential).ok()?, row));
    Ok(rows.into_iter().filter_map(read).map(|(key, row)| (row, key)).collect())
}

/// The number by which devices know an account.
fn handle(account: &AccountId) -> Uuid {
    let hash = ContentHash::of(format!("loaxa-passkeys v1\n{account}").as_bytes());
    Uuid::from_bytes(std::array::from_fn(|i| hash.0[i]))
}

async fn keep(app: &App, who: &Who, state: &impl Serialize) -> Result<(), StoreError> {
    app.store.keep_challenge(who.session.secret, written(state), who.now).await
}

async fn take<T: DeserializeOwned>(app: &App, who: &Who) -> Result<T, NoPasskey> {
    let state = app.store.take_challenge(who.session.secret, who.now.minus(CHALLENGE_LASTS)).await?;
    state.and_then(|state| serde_json::from_str(&state).ok()).ok_or(NoPasskey::Wrong)
}

fn written(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("credentials and challenges are plain data")
}

fn refused(who: &Who, error: &webauthn_rs::prelude::WebauthnError) -> NoPasskey {
    tracing::info!(%error, person = %who.person.id, "a passkey is not taken");
    NoPasskey::Wrong
}
