//! Things that the log tells of once, however often they are met.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Most things that are told of; further ones are not.
const TOLD_MAX: usize = 64;

/// The things that were told of.
pub struct ToldOnce(Mutex<BTreeSet<String>>);

impl ToldOnce {
    /// Begins with nothing told.
    pub const fn new() -> Self {
        Self(Mutex::new(BTreeSet::new()))
    }

    /// Tells whether to tell of this now, and remembers it.
    pub fn is_due(&self, what: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < TOLD_MAX && told.insert(what.to_owned())
    }
}
