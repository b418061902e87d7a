//! The state of a speaker.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::held::Held;
use super::interface::Action;
use super::job::Job;
use super::play::{Play, Ready};
use super::running::Running;
use super::standing::Local;
use super::voice::Voice;
use super::waiting::Waiting;
use crate::decide::guard::Guard;
use crate::decide::memory::Memory;
use crate::decide::quotas::Limits;
use crate::decide::schedule::{Listeners, Timetable};
use crate::domain::authority::Trust;
use crate::domain::ids::{CommandId, ContentHash, KeyId, PlayId};
use crate::domain::time::{Moment, Reading, Span};

/// The heart of a box.
#[cfg_attr(test, derive(Clone))]
pub struct Speaker {
    pub(super) start: u32,
    pub(super) plays_made: u32,
    pub(super) listeners: Listeners,
    pub(super) timetable: Timetable,
    pub(super) trust: Option<Trust>,
    pub(super) guard: Guard,
    /// The keys that signed the policy in force; none where the installer wrote it.
    pub(super) policy_signers: Vec<KeyId>,
    pub(super) memory: Memory,
    pub(super) limits: Limits,
    pub(super) staged: BTreeSet<ContentHash>,
    pub(super) held: BTreeMap<CommandId, Held>,
    pub(super) voice: Option<Voice>,
    pub(super) local: Local,
    pub(super) waiting: Waiting,
    pub(super) running: Option<Running>,
    /// Sessions that have had their turn since the start.
    pub(super) turns: u32,
    /// Plays that the player has been told to sound and that have not ended.
    pub(super) plays: BTreeMap<PlayId, Play>,
    pub(super) current: Option<PlayId>,
    /// Starts when `current` ends by itself.
    pub(super) follow: Option<PlayId>,
    pub(super) next: Option<Ready>,
    /// A job that turned out to be longer than was reckoned when it was prepared, and the length of its whole score.
    pub(super) longer: Option<(Job, Span)>,
    pub(super) device_lost: bool,
    pub(super) stopping: bool,
    /// Next moment to look for what can be forgotten.
    pub(super) forget_at: Moment,
    pub(super) clock: Option<Reading>,
    /// Since then the wall clock has run without a step that moves days.
    pub(super) steady_since: Moment,
    pub(super) actions: VecDeque<Action>,
}
