//! Common Alerting Protocol 1.2 (OASIS, 1 July 2010) to a checked [`Alert`]: its schema, and the rules of its prose.
//!
//! Deliberately absent: signatures, and what is done with an alert.

use crate::said;
use crate::texts::{Say, Sentence};

mod area;
mod read;
#[cfg(test)]
mod tests;

pub use area::{Area, Circle, Point, Polygon};
pub use read::read;

use crate::domain::time::Wall;

/// Most bytes of an alert, before it is read.
pub const ALERT_BYTES_MAX: usize = 256 * 1024;

/// Most nodes of its XML.
pub const NODES_MAX: u32 = 20_000;

/// Most `info` blocks, areas of one, polygons and circles of one area, and corners of a polygon.
pub const INFOS_MAX: usize = 32;
pub const AREAS_MAX: usize = 256;
pub const SHAPES_MAX: usize = 64;
pub const CORNERS_MAX: usize = 4_096;

/// Most other elements that may repeat: codes, references, geocodes.
pub const REPEATS_MAX: usize = 512;

/// An alert, as it was written and is allowed to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Without blanks, commas, `<` and `&`: section 3.2.1.
    pub identifier: String,
    pub sender: String,
    pub sent: Wall,
    pub status: Status,
    pub kind: Kind,
    pub scope: Scope,
    pub source: Option<String>,
    pub note: Option<String>,
    pub infos: Vec<Info>,
}

impl Alert {
    /// What others name it by; unique over all alerts.
    pub fn reference(&self) -> Reference {
        Reference { sender: self.sender.clone(), identifier: self.identifier.clone(), sent: self.sent }
    }
}

/// What it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Actual,
    Exercise,
    System,
    Test,
    Draft,
}

/// What it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Alert,
    /// Replaces the alerts that it names.
    Update(Vec<Reference>),
    /// Ends the alerts that it names.
    Cancel(Vec<Reference>),
    Ack(Vec<Reference>),
    Error(Vec<Reference>),
}

/// Another alert: `sender,identifier,sent`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    pub sender: String,
    pub identifier: String,
    pub sent: Wall,
}

/// Whom it may be told to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    Public,
    Restricted { restriction: String },
    Private { addresses: Vec<String> },
}

/// What is said in one language.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// BCP 47, in lower case; `en-us` where none is named: section 3.2.2.
    pub language: String,
    pub categories: Vec<Category>,
    pub event: String,
    pub urgency: Urgency,
    pub severity: Severity,
    pub certainty: Certainty,
    pub event_codes: Vec<Named>,
    pub effective: Option<Wall>,
    pub onset: Option<Wall>,
    pub expires: Option<Wall>,
    pub sender_name: Option<String>,
    pub headline: Option<String>,
    pub description: Option<String>,
    pub instruction: Option<String>,
    pub areas: Vec<Area>,
}

/// A value of a system that is named beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    pub value: String,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($word:ident),+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($word),+ }

        impl $name {
            /// All of them, with how CAP writes them.
            pub const ALL: &'static [(&'static str, $name)] = &[$((stringify!($word), $name::$word)),+];
        }
    };
}

words!(/// What kind of thing happens.
    Category: Geo, Met, Safety, Security, Rescue, Fire, Health, Env, Transport, Infra, CBRNE, Other);
words!(/// How soon one must act; the most urgent first.
    Urgency: Immediate, Expected, Future, Past, Unknown);
words!(/// How bad it is; the worst first.
    Severity: Extreme, Severe, Moderate, Minor, Unknown);
words!(/// How sure it is; the surest first.
    Certainty: Observed, Likely, Possible, Unlikely, Unknown);

/// Why a text is no alert that may be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum CapError {
    TooLarge,
    NotXml(String),
    NotCap { found: String },
    Rule { line: u32, element: String, what: Sentence },
}

impl Say for CapError {
    fn say(&self) -> Sentence {
        match self {
            CapError::TooLarge => said!("cap.too_large", max = ALERT_BYTES_MAX),
            CapError::NotXml(detail) => said!("cap.not_xml", detail),
            CapError::NotCap { found } => said!("cap.not_cap", found),
            CapError::Rule { line, element, what } => said!("cap.rule", line, element, what),
        }
    }
}
