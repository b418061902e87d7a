//! The words between the shell and the speaker: inputs, actions, wakes.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::downloads::Need;
use crate::decide::memory::{Memo, Memory};
use crate::decide::schedule::{Listeners, Timetable};
use crate::domain::announcement::Media;
use crate::domain::authority::Trust;
use crate::domain::ids::{CommandId, ContentHash, KeyId, PlayId};
use crate::domain::playback::{CommandRefusal, Entry, Event};
use crate::domain::policy::Policy;
use crate::domain::sound::{Fault, PlayerCommand, PlayerEvent};
use crate::domain::time::{Span, Wall};
use crate::wire::messages::{Command, Signed};

/// News for the speaker.
#[derive(Debug, Clone)]
pub enum Input {
    /// A command whose signatures were checked.
    Command(Box<Signed<Command>>),
    /// A trust document whose root signature was checked.
    Trust(Trust),
    /// A programme was read and checked; it replaces those in force.
    Timetable(Timetable),
    /// The limits that were in force are not believed any more; these take their place, whatever their version.
    Limits(Policy),
    /// Groups of this box, with all groups above them, and its languages.
    Listeners(Listeners),
    /// Audio is on disk with the right hash, or can't be had.
    Fetched {
        sha256: ContentHash,
        result: Result<(), Fault>,
    },
    Player(PlayerEvent),
    /// A message that never became a command, or a document that the shell could not adopt.
    Refused {
        command: Option<CommandId>,
        reason: CommandRefusal,
    },
    /// Further refusals of a kind, counted instead of logged one by one.
    RefusalsCounted {
        reason: &'static str,
        count: u64,
    },
    /// Something about the box that a reviewer should know: it is logged as it is.
    Noted(Box<Event>),
    /// The wall clock was stepped, or its quality changed.
    ClockChanged,
    /// The daemon is asked to end.
    Shutdown,
}

/// An order to the shell; orders are carried out in turn.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Writes to the log. What follows in the queue is done only when it is on disk.
    Log(Entry),
    /// Remembers, together with the log entries beside it.
    Remember(Memo),
    /// Keeps a command's envelope until it has expired.
    Keep(CommandId),
    /// The envelope is needed no more.
    Forget(CommandId),
    Player(PlayerCommand),
    /// Puts the position of a play on disk.
    Checkpoint(PlayId),
    /// Keeps the document that an accepted command carries until a newer one takes its place. A programme and groups
    /// are put in force by the shell, which answers with [`Input::Timetable`], [`Input::Listeners`] or
    /// [`Input::Refused`]; a policy and a standing order are in force already.
    Adopt(Box<Signed<Command>>),
    /// Fetches audio, which is needed at the instant `by`.
    Fetch {
        media: Media,
        by: Wall,
        need: Need,
    },
}

/// The reason for which the speaker wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    SessionStarts,
    SessionEnds,
    LimitReached,
    AnnouncementDue,
    AnnouncementExpires,
    PreflightSlow,
    Checkpoint,
}

/// The state that the shell restores after a start.
#[derive(Debug, Clone, Default)]
pub struct Restored {
    /// Number of this start, from 1.
    pub start: u32,
    pub memory: Memory,
    /// Commands in force, opened anew under the trust in force.
    pub commands: Vec<Signed<Command>>,
    /// Positions of the plays that were open, as the last checkpoints prove them.
    pub checkpoints: BTreeMap<PlayId, Span>,
    /// Media on disk.
    pub staged: BTreeSet<ContentHash>,
    /// The keys that signed the policy in force; none where the installer wrote it.
    pub policy_signers: Vec<KeyId>,
    /// The standing order for a local emergency, opened anew under the trust in force.
    pub local_order: Option<Signed<Command>>,
}
