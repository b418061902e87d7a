//! Drafts: commands that wait for people's signatures.

use super::answer::Answer;
use loaxa_heart::domain::ids::{CommandId, KeyId};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::wire::signing::SIGNATURE_BYTES;

/// A command that waits for people's signatures, under the id that it will have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDraft {
    pub id: CommandId,
    pub made: Wall,
    /// The time from which nobody can sign the draft any more.
    pub expires: Wall,
    /// The exact bytes to be signed.
    pub payload: String,
    /// The person, or the source, whose room it takes.
    pub drafter: String,
    /// An actual emergency.
    pub is_emergency: bool,
}

/// The room for drafts that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DraftRoom {
    pub open_max: usize,
    /// Of those that are no emergencies.
    pub lesser_max: usize,
    /// Of one drafter.
    pub own_max: usize,
}

/// The fate of a new draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DraftKept {
    Kept,
    NoRoom,
    NoOwnRoom,
}

/// A draft as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftRow {
    pub draft: NewDraft,
    /// In the order in which they came; each was verified.
    pub signatures: Vec<DraftSignature>,
    /// The threshold was met, and the command went out.
    pub sent: bool,
}

/// A person's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftSignature {
    pub key: KeyId,
    pub signature: [u8; SIGNATURE_BYTES],
    pub at: Wall,
}

/// The drafts of the last hour.
pub trait Drafts: Send + Sync {
    /// Keeps what people are to sign, if there is room; of many at once, no more than have room.
    fn add_draft(&self, draft: NewDraft, room: DraftRoom) -> Answer<'_, DraftKept>;

    /// Takes a draft back, unless it was sent.
    fn withdraw_draft(&self, id: CommandId) -> Answer<'_, ()>;

    /// Lists the drafts whose hour is not over at `now`, newest first.
    fn drafts(&self, now: Wall) -> Answer<'_, Vec<DraftRow>>;

    /// Keeps a signature that was verified, while the draft can be signed and has fewer than `signatures_max`; one of the
    /// same key is kept once. Says whether there is one of this key now.
    fn add_signature(
        &self,
        draft: CommandId,
        signature: DraftSignature,
        signatures_max: usize,
    ) -> Answer<'_, bool>;
}
