//! Documents: what stays in force until a newer version takes its place.

use super::answer::Answer;
use loaxa_heart::decide::delivery::Document;
use loaxa_heart::domain::time::Wall;

/// The documents that were sent; each is kept with the command that carries it.
pub trait Documents: Send + Sync {
    /// Programmes, policies, groups and prepared messages that were sent and have not expired at `now`.
    fn documents(&self, now: Wall) -> Answer<'_, Vec<Document>>;
}
