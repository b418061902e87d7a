//! The changes that the daemon gives the store to keep.

use loaxa_heart::domain::ids::{CommandId, PlayId};
use loaxa_heart::domain::playback::Entry;
use loaxa_heart::domain::time::Span;

/// One thing to be kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A further entry of the log.
    Log(Box<Entry>),
    /// A piece of the heart's durable state; `None` forgets it.
    Remember {
        key: String,
        value: Option<String>,
    },
    /// The exact envelope of a command in force.
    KeepCommand {
        id: CommandId,
        envelope: Vec<u8>,
    },
    ForgetCommand {
        id: CommandId,
    },
    /// The exact envelope of what stays in force until it is replaced: `trust`, `policy`, `groups`, `programme/xa`.
    KeepDocument {
        name: String,
        envelope: Option<Vec<u8>>,
    },
    /// The part of an open play that has sounded; `None` once the play is closed.
    Checkpoint {
        play: PlayId,
        played: Option<Span>,
    },
}
