//! Problems of a file: the place, the fault, and what would be right.

use std::fmt;

use crate::said;
use crate::texts::{Say, Sentence};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub file: String,
    /// From 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Path of the key, for instance `slot.start`; empty where none is meant.
    pub key: String,
    /// The fault and, after a dash, what to do about it.
    pub said: Sentence,
}

impl Problem {
    /// A problem of a file as a whole.
    pub fn of_file(file: impl Into<String>, said: Sentence) -> Self {
        Self { file: file.into(), line: 0, column: 0, key: String::new(), said }
    }
}

impl Say for Problem {
    fn say(&self) -> Sentence {
        let mut place = self.file.clone();
        if self.line > 0 {
            place = format!("{place}:{}", self.line);
        }
        if !self.key.is_empty() {
            place = format!("{place}: {}", self.key);
        }
        said!("problem.at", place, said = self.said)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.say().fmt(f)
    }
}

/// All that is wrong with a file, in the order of its lines; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl Say for Problems {
    fn say(&self) -> Sentence {
        Sentence::Lines(self.0.iter().map(Say::say).collect())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.say().fmt(f)
    }
}

impl std::error::Error for Problems {}
