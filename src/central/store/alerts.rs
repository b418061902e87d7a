//! CAP alerts that were taken.

use super::answer::Answer;
use loaxa_heart::domain::time::Wall;

/// A CAP alert that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapRow {
    /// `sender,identifier,sent`.
    pub reference: String,
    /// Short, for people to type.
    pub id: String,
    pub received: Wall,
    /// The alert's state and what it says, as JSON.
    pub state: String,
}

/// Something that a feed of alerts brought and that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// An address, or the words by which its entry is known.
    pub what: String,
    pub why: String,
    /// The reason in Vietnamese.
    pub why_vi: String,
    pub last: Wall,
}

/// The alerts that were taken, and what was passed over.
pub trait Alerts: Send + Sync {
    /// Keeps a CAP alert and the references of those that it names; `false` where one of its reference is there already.
    fn add_cap(&self, alert: CapRow, names: Vec<String>) -> Answer<'_, bool>;

    /// Changes the state of an alert from one to another; `false` where somebody else changed it since it was read.
    fn change_cap(&self, id: String, from: String, to: String) -> Answer<'_, bool>;

    /// Lists alerts, newest first, those behind one where its id is given.
    fn caps(&self, before: Option<String>, limit: u32) -> Answer<'_, Vec<CapRow>>;

    /// Lists alerts whose state is this word, oldest first.
    fn caps_in_state(&self, word: &'static str) -> Answer<'_, Vec<CapRow>>;

    /// Finds an alert by its short id.
    fn cap(&self, id: String) -> Answer<'_, Option<CapRow>>;

    /// Finds alerts by what others name them with: more than one where different vouchers use the same name.
    fn caps_referred(&self, reference: String) -> Answer<'_, Vec<CapRow>>;

    /// Finds alerts that name this reference.
    fn caps_naming(&self, reference: String) -> Answer<'_, Vec<CapRow>>;

    /// Keeps what a feed brought and was not taken; returns how often that was so, for the same reason.
    fn pass_over_cap(&self, passed: PassedOver) -> Answer<'_, u32>;

    /// Forgets what was passed over and was taken since.
    fn cap_passed_over_no_more(&self, what: String) -> Answer<'_, ()>;

    /// Lists what was passed over, latest first.
    fn caps_passed_over(&self) -> Answer<'_, Vec<PassedOver>>;
}
