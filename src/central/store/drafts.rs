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
    /// Nobody signs it from then on.
    pub expires: Wall,
    /// The exact bytes to be signed.
    pub payload: String,
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
    /// Keeps what people are to sign, unless `open_max` drafts wait already; says whether it did.
    fn add_draft(&self, draft: NewDraft, open_max: usize) -> Answer<'_, bool>;

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
