//! Findings about the things that a box needs.

use loaxa_box::status::Status;
use loaxa_heart::texts::Sentence;

/// The grade of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    Good,
    /// The box sounds all the same.
    Doubtful,
    Bad,
}

impl Grade {
    pub const fn code(self) -> &'static str {
        match self {
            Grade::Good => "good",
            Grade::Doubtful => "doubtful",
            Grade::Bad => "bad",
        }
    }
}

/// The state of one thing, and the remedy for what is wrong with it.
pub struct Finding {
    /// The word for the thing in the texts.
    pub thing: &'static str,
    pub grade: Grade,
    pub said: Sentence,
    pub remedy: Option<Sentence>,
}

impl Finding {
    pub fn good(thing: &'static str, said: Sentence) -> Self {
        Self { thing, grade: Grade::Good, said, remedy: None }
    }

    pub fn doubtful(thing: &'static str, said: Sentence, remedy: Sentence) -> Self {
        Self { thing, grade: Grade::Doubtful, said, remedy: Some(remedy) }
    }

    pub fn bad(thing: &'static str, said: Sentence, remedy: Sentence) -> Self {
        Self { thing, grade: Grade::Bad, said, remedy: Some(remedy) }
    }
}

/// Tells whether the daemon reports this fault.
pub fn has_fault(status: Option<&Status>, code: &str) -> bool {
    status.is_some_and(|status| status.faults.iter().any(|fault| fault == code))
}
