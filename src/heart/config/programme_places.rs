//! Places of names in a programme's text, for problems that show only when all of the text is known.

use std::collections::BTreeMap;

use crate::domain::ids::{HolidayId, PlaylistId};

/// Lines of things in the text, for problems that show only when all of it is known.
#[derive(Default)]
pub(super) struct Places {
    /// By index of the slot.
    pub slots: Vec<usize>,
    pub playlists: BTreeMap<PlaylistId, usize>,
    pub holidays: BTreeMap<HolidayId, usize>,
    /// Each name of something else: where, under which key, of what kind, the name.
    pub names: Vec<Name>,
}

/// A mention of something by its name.
pub(super) struct Name {
    pub at: usize,
    pub key: String,
    pub of: NameOf,
    pub name: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NameOf {
    Section,
    Campaign,
    Playlist,
    Holiday,
}
