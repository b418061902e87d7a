//! Descriptions of audio; the files themselves lie in the media folder.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::time::Wall;

/// A media file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaRow {
    pub sha256: ContentHash,
    pub bytes: u64,
    /// MIME type.
    pub codec: String,
    pub ms: u32,
    /// The file's name, for people.
    pub name: String,
    pub added: Wall,
}

/// The audio that was uploaded or spoken.
pub trait Media: Send + Sync {
    /// Keeps the description of a media file.
    fn add_media(&self, media: MediaRow) -> Answer<'_, ()>;

    /// Lists media files whose name holds these words, the newest first.
    fn media_files(&self, words: String, limit: u32) -> Answer<'_, Vec<MediaRow>>;

    /// Finds a media file.
    fn media(&self, hash: ContentHash) -> Answer<'_, Option<MediaRow>>;
}
