//! Common Alerting Protocol 1.2 (OASIS, 1 July 2010) to a checked [`Alert`]: its schema, and the rules of its prose.
//!
//! Deliberately absent: signatures, and what is done with an alert.

use crate::said;
use crate::texts::{Say, Sentence};

mod area;
pub mod feed;
mod read;
#[cfg(test)]
mod tests;
mod text;

pub use area::{Area, Circle, Point, Polygon};
pub use read::{read, read_text};
pub use text::decode;

use crate::config::xml::XmlError;
use crate::domain::time::Wall;

/// Most bytes of an alert, before it is read. Weather services send up to 1 MB, where coasts are drawn as polygons.
pub const ALERT_BYTES_MAX: usize = 4 << 20;

/// Most nodes of its XML.
pub const NODES_MAX: u32 = 262_144;

/// Most bytes of what an alert is named by: its sender, and its identifier.
pub const NAME_BYTES_MAX: usize = 1_024;

/// Most `info` blocks: a country with many languages and levels sends some thirty.
pub const INFOS_MAX: usize = 128;

/// Most areas of an `info` block.
pub const AREAS_MAX: usize = 1_024;

/// Most polygons, and most circles, of an area: alerts with 65 are seen.
pub const SHAPES_MAX: usize = 1_024;

/// Most corners of a polygon: alerts with 5,000 are seen.
pub const CORNERS_MAX: usize = 65_536;

/// Most other elements that may repeat: codes, references, geocodes.
pub const REPEATS_MAX: usize = 4_096;

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
    /// Gives the name that other alerts use for this one; unique over all alerts.
    pub fn reference(&self) -> Reference {
        Reference { sender: self.sender.clone(), identifier: self.identifier.clone(), sent: self.sent }
    }
}

/// A purpose: only an actual alert tells of something real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Actual,
    Exercise,
    System,
    Test,
    Draft,
}

/// An effect of an alert on others.
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

/// The people whom an alert may be told to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    Public,
    Restricted { restriction: String },
    Private { addresses: Vec<String> },
}

/// A block of an alert in one language.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// BCP 47, in lower case; `en-us` where none is named: section 3.2.2.
    pub language: String,
    pub categories: Vec<Category>,
    pub event: String,
    pub responses: Vec<Response>,
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

impl Info {
    /// Says that the danger is over, and asks nobody to do anything against it.
    pub fn is_all_clear(&self) -> bool {
        let harmless = |response| {
            matches!(response, Response::AllClear | Response::Monitor | Response::Assess | Response::None)
        };
        self.responses.contains(&Response::AllClear) && self.responses.iter().copied().all(harmless)
    }
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

words!(/// A kind of event.
    Category: Geo, Met, Safety, Security, Rescue, Fire, Health, Env, Transport, Infra, CBRNE, Other);
words!(/// An action that those who hear of the alert are to take.
    Response: Shelter, Evacuate, Prepare, Execute, Avoid, Monitor, Assess, AllClear, None);
words!(/// A time in which one must act; the most urgent first.
    Urgency: Immediate, Expected, Future, Past, Unknown);
words!(/// A degree of harm; the worst first.
    Severity: Extreme, Severe, Moderate, Minor, Unknown);
words!(/// A degree of certainty; the surest first.
    Certainty: Observed, Likely, Possible, Unlikely, Unknown);

/// A reason why a text is no alert that may be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum CapError {
    TooLarge,
    NotXml(#[from] XmlError),
    Encoding { found: String },
    NotCap { found: String },
    Rule { line: u32, element: String, what: Sentence },
}

impl Say for CapError {
    fn say(&self) -> Sentence {
        match self {
            CapError::TooLarge => said!("cap.too_large", max = ALERT_BYTES_MAX),
            CapError::NotXml(error) => said!("cap.not_xml", error),
            CapError::Encoding { found } => said!("cap.encoding", found = found.escape_debug()),
            CapError::NotCap { found } => said!("cap.not_cap", found),
            CapError::Rule { line, element, what } => said!("cap.rule", line, element, what),
        }
    }
}
