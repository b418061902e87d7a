//! Words that the speech engine says wrongly, and how they are to be said.

use super::answer::Answer;
use super::audit::NewAct;
use loaxa_heart::domain::ids::AccountId;
use loaxa_heart::domain::time::Wall;

/// A word, or a few, with the way to say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PronunciationRow {
    /// As people write it: `UBND`.
    pub word: String,
    /// As the engine is to read it: `Ủy ban nhân dân`.
    pub say: String,
    pub by: AccountId,
    pub at: Wall,
}

/// The list of a commune.
pub trait Pronunciations: Send + Sync {
    /// Keeps a word in place of the same word before; false where there are `room_max` already.
    fn set_pronunciation(&self, row: PronunciationRow, room_max: u32, act: NewAct) -> Answer<'_, bool>;

    /// Takes a word off the list; false where it is not there.
    fn drop_pronunciation(&self, word: String, act: NewAct) -> Answer<'_, bool>;

    /// Lists all by word.
    fn pronunciations(&self) -> Answer<'_, Vec<PronunciationRow>>;
}
