//! Sessions of people's browsers.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use loaxa_heart::domain::ids::{AccountId, ContentHash};
use loaxa_heart::domain::time::Wall;

/// The steps of a sign-in that a session has behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The password was right; the second factor is asked for, or has to be set up first.
    Password,
    /// Signed in by the password alone, as the roles of that time asked for no more.
    Plain,
    /// The second factor was right, too.
    Full,
}

/// A session; the store keeps the SHA-256 of its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    pub secret: ContentHash,
    pub person: AccountId,
    pub stage: Stage,
    pub made: Wall,
    pub seen: Wall,
    /// The address that it came from, and what the browser said of itself.
    pub from: String,
    pub browser: String,
}

/// The sessions that have not ended.
pub trait Sessions: Send + Sync {
    fn add_session(&self, session: SessionRow) -> Answer<'_, ()>;

    /// Finds a session.
    fn session(&self, secret: ContentHash) -> Answer<'_, Option<SessionRow>>;

    /// Notes that a session was used.
    fn touch_session(&self, secret: ContentHash, at: Wall) -> Answer<'_, ()>;

    /// Lists a person's sessions, the newest first.
    fn sessions(&self, person: AccountId) -> Answer<'_, Vec<SessionRow>>;

    /// Ends a session of a person; false where there is none.
    fn end_session(&self, person: AccountId, secret: ContentHash) -> Answer<'_, bool>;

    /// Ends all sessions of a person but `kept`.
    fn end_sessions(&self, person: AccountId, kept: Option<ContentHash>) -> Answer<'_, ()>;

    /// Forgets sessions that were made before `made` or last used before `seen`.
    fn forget_sessions(&self, made: Wall, seen: Wall) -> Answer<'_, ()>;
}
