//! Passkeys: keys that a person's telephone or computer keeps, and the half-done steps of making and showing them.

use super::answer::Answer;
use super::audit::NewAct;
use loaxa_heart::domain::ids::{AccountId, ContentHash};
use loaxa_heart::domain::time::Wall;

/// Most passkeys of a person.
pub const PASSKEYS_MAX: u32 = 10;

/// A passkey of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyRow {
    /// SHA-256 of the credential's id.
    pub id: ContentHash,
    pub person: AccountId,
    /// The person's name for the device.
    pub name: String,
    /// The public half with its counter, JSON of `webauthn-rs`.
    pub credential: String,
    pub made: Wall,
    pub used: Option<Wall>,
}

/// Passkeys of people.
pub trait Passkeys: Send + Sync {
    /// Keeps a passkey; false where somebody has it already, or the person has [`PASSKEYS_MAX`].
    fn add_passkey(&self, key: PasskeyRow, act: NewAct) -> Answer<'_, bool>;

    /// Lists the passkeys of a person, the oldest first.
    fn passkeys(&self, person: AccountId) -> Answer<'_, Vec<PasskeyRow>>;

    /// Notes the use of a passkey, with the credential as the device has counted it on.
    fn note_passkey(&self, id: ContentHash, credential: String, at: Wall) -> Answer<'_, ()>;

    /// Forgets a passkey; false where the person has none of this id.
    fn remove_passkey(&self, person: AccountId, id: ContentHash, act: NewAct) -> Answer<'_, bool>;

    /// Keeps the challenge that a session's browser was given, in place of an earlier one.
    fn keep_challenge(&self, session: ContentHash, challenge: String, at: Wall) -> Answer<'_, ()>;

    /// Takes the challenge of a session, once; `None` where it was given before `since`.
    fn take_challenge(&self, session: ContentHash, since: Wall) -> Answer<'_, Option<String>>;
}
