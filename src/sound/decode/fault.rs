//! Faults of audio, in words for people.

use std::panic::{AssertUnwindSafe, catch_unwind};

use loaxa_heart::domain::sound::Fault;
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;

/// The fault of audio that is damaged, or not to be decoded here.
pub fn damaged(what: &str, detail: Sentence) -> Fault {
    Fault::Damaged { what: what.to_owned(), detail }
}

/// The fault of something that can't be read.
pub fn unread(what: &str, error: &std::io::Error) -> Fault {
    damaged(what, said!("decode.unread", error))
}

/// Runs what may panic on damaged input, and makes a fault of it.
pub fn contained<T>(what: &str, run: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(damaged(what, said!("decode.broken"))))
}
