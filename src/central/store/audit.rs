//! The audit trail: who did what to what, and what it was before. Rows are added and never changed.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use loaxa_heart::domain::ids::AccountId;
use loaxa_heart::domain::time::Wall;

/// Somebody who does something here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    Person {
        id: AccountId,
    },
    /// A program with a token of this name.
    Program {
        token: String,
    },
    /// Whoever holds the keyboard of the server.
    Console,
    /// The centre by itself, for instance at the end of a term.
    Central,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Person { id } => write!(f, "{id}"),
            Actor::Program { token } => write!(f, "token:{token}"),
            Actor::Console => f.write_str("console"),
            Actor::Central => f.write_str("central"),
        }
    }
}

/// An act as it is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAct {
    pub at: Wall,
    pub actor: Actor,
    /// A code of the texts' section `act`.
    pub act: &'static str,
    /// The person, notice, box or document that it was done to.
    pub subject: String,
    pub before: Option<String>,
    pub after: Option<String>,
    /// The address from which it came.
    pub from: Option<String>,
}

/// An act as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActRow {
    pub id: i64,
    pub at: Wall,
    /// As [`Actor`] displays it.
    pub actor: String,
    pub act: String,
    pub subject: String,
    pub before: Option<String>,
    pub after: Option<String>,
    pub from: Option<String>,
}

/// A choice of acts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActFilter {
    pub actor: Option<String>,
    pub act: Option<String>,
    pub subject: Option<String>,
    pub from: Option<Wall>,
    pub until: Option<Wall>,
    /// Only acts with a smaller number, for the next page.
    pub before: Option<i64>,
    pub limit: u32,
}

/// The trail.
pub trait Audit: Send + Sync {
    /// Keeps an act that belongs to no other change of the store.
    fn note_act(&self, act: NewAct) -> Answer<'_, ()>;

    /// Lists acts, the newest first.
    fn acts(&self, filter: ActFilter) -> Answer<'_, Vec<ActRow>>;
}
