//! The list of prepared messages, and those of them that the box has room for.

use std::collections::BTreeMap;

use loaxa_heart::decide::downloads;
use loaxa_heart::domain::announcement::{Media, PreparedItem};
use loaxa_heart::domain::ids::ContentHash;

/// The list of prepared messages in force.
#[derive(Debug, Default)]
pub struct Prepared {
    pub version: u32,
    pub items: Vec<PreparedItem>,
    /// The audio that this box keeps of them.
    staged: BTreeMap<ContentHash, Media>,
}

impl Prepared {
    /// Makes the list of a box with room for `disk_bytes_max` bytes of audio.
    pub fn new(version: u32, items: Vec<PreparedItem>, disk_bytes_max: u64) -> Self {
        let staged = downloads::staged(&items, disk_bytes_max);
        Self { version, items, staged }
    }

    /// Lists the audio that this box keeps.
    pub fn audio(&self) -> impl Iterator<Item = &Media> {
        self.staged.values()
    }

    /// Lists the audio that is never evicted.
    pub fn media_in_use(&self) -> impl Iterator<Item = ContentHash> {
        self.staged.keys().copied()
    }
}
