//! The people who hear a box, with their groups and languages.

use std::collections::BTreeSet;

use crate::domain::ids::GroupId;

/// The people who hear a box, as a programme sees them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Listeners {
    /// All groups of the box, those above them included.
    pub groups: BTreeSet<GroupId>,
    /// BCP 47 tags of the languages of the village, in turn; empty for each item's own.
    pub languages: Vec<String>,
}

impl Listeners {
    /// Tells whether something for `audience` is for these listeners; an empty audience is everybody.
    pub fn hear(&self, audience: &[GroupId]) -> bool {
        audience.is_empty() || audience.iter().any(|group| self.groups.contains(group))
    }
}

/// Tells whether two tags name one language, regions apart: `vi` and `vi-VN`.
pub(super) fn same_language(a: &str, b: &str) -> bool {
    fn primary(tag: &str) -> &str {
        tag.split('-').next().unwrap_or(tag)
    }
    primary(a).eq_ignore_ascii_case(primary(b))
}
