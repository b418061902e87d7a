//! A live voice: what staff say into a microphone, now.

use crate::domain::ids::CommandId;
use crate::domain::time::Wall;

/// A live voice that staff have opened.
#[derive(Debug)]
pub(super) struct Voice {
    pub command: CommandId,
    pub id: String,
    pub url: String,
    pub until: Wall,
}
