//! Tokens of programs: who may ask the API for what, and until when.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use loaxa_heart::domain::ids::{AccountId, ContentHash};
use loaxa_heart::domain::time::Wall;

/// The reach of a token; each may what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Reads what is, what was, and what was ordered.
    Read,
    /// Announces, speaks live, ends announcements and approves alerts.
    Announce,
    /// Changes programmes, policies and groups, takes boxes in and shuts them out.
    Admin,
}

impl Scope {
    /// The word in the database, on the command line and in answers.
    pub const fn code(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Announce => "announce",
            Scope::Admin => "admin",
        }
    }
}

/// A token as it is kept: not itself, but its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    pub name: String,
    pub hash: ContentHash,
    pub scope: Scope,
    pub made: Wall,
    pub expires: Wall,
    pub revoked: Option<Wall>,
    /// The person who answers for it; it ends when they leave. `None` for tokens of versions that knew no owners.
    pub owner: Option<AccountId>,
}

impl TokenRow {
    /// Tells whether the token is good at this time.
    pub fn is_good(&self, now: Wall) -> bool {
        self.revoked.is_none() && now < self.expires
    }
}

/// The tokens that were made beside the one of the configuration.
pub trait Tokens: Send + Sync {
    /// Keeps a token; false where there is one of this name, or its owner has no account here any more.
    fn add_token(&self, token: TokenRow) -> Answer<'_, bool>;

    /// Finds a token, also one that is no longer good.
    fn token(&self, hash: ContentHash) -> Answer<'_, Option<TokenRow>>;

    /// Lists all by name.
    fn tokens(&self) -> Answer<'_, Vec<TokenRow>>;

    /// Revokes a token; false where there is none of this name that is not revoked.
    fn revoke_token(&self, name: String, at: Wall) -> Answer<'_, bool>;
}
