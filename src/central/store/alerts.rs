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
    /// What became of it, as JSON.
    pub state: String,
}

/// The alerts that were taken, each once.
pub trait Alerts: Send + Sync {
    /// Keeps a CAP alert; `false` where one of its reference is there already.
    fn add_cap(&self, alert: CapRow) -> Answer<'_, bool>;

    /// Says what became of an alert.
    fn set_cap(&self, id: String, state: String) -> Answer<'_, ()>;

    /// Alerts, newest first.
    fn caps(&self) -> Answer<'_, Vec<CapRow>>;

    /// An alert by its short id.
    fn cap(&self, id: String) -> Answer<'_, Option<CapRow>>;

    /// An alert by what others name it with.
    fn cap_referred(&self, reference: String) -> Answer<'_, Option<CapRow>>;
}
