//! The state of the daemon, as an installer beside the box reads it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::domain::software::UpgradeTold;
use loaxa_heart::domain::time::{ClockQuality, Wall};
use loaxa_sound::hearing::ears::Microphone;

/// The daemon's account of itself, one JSON object on the socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub box_id: BoxId,
    pub software: String,
    /// The newest release that was ordered, and what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<UpgradeTold>,
    pub wall: Wall,
    pub clock: ClockQuality,
    pub on_air: Option<String>,
    pub connected: bool,
    /// Log entries that central does not have yet.
    pub backlog: u64,
    #[serde(default)]
    pub local_emergency: LocalState,
    pub faults: Vec<String>,
    /// Audio over the network in this month, in bytes.
    pub media_month_bytes: u64,
    /// Limit of that audio in this month, in bytes; absent for no limit.
    pub media_month_bytes_max: Option<u64>,
    /// Files that are waited for.
    pub media_waiting: usize,
    /// Refused messages since the start, by reason.
    pub refused: BTreeMap<String, u64>,
    #[serde(default)]
    pub microphone: MicrophoneStatus,
    /// Losses since the start, where a bound was reached or sound came too late to be heard: by kind, those of which
    /// nothing was lost left out.
    #[serde(default)]
    pub lost: BTreeMap<String, u64>,
}

/// The state of the local emergency.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum LocalState {
    /// The centre has given no order.
    #[default]
    NoOrder,
    /// Two presses release this message where the centre can't be reached.
    Ready {
        title: String,
    },
    /// One press was taken.
    Armed {
        title: String,
    },
    Sounds {
        title: String,
    },
}

/// The state of the microphone that proves that the loudspeaker sounds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum MicrophoneStatus {
    /// No microphone is set in box.toml.
    #[default]
    NotSet,
    /// Set, and opened when something sounds for the first time.
    Waiting,
    /// Open, and no sound has come from it yet.
    Opened,
    /// Gives sound.
    Hears,
    /// Set, and can't be used; it is tried again and again.
    Failed { why: String },
}

impl From<Option<Microphone>> for MicrophoneStatus {
    fn from(microphone: Option<Microphone>) -> Self {
        match microphone {
            None => Self::NotSet,
            Some(Microphone::Waiting) => Self::Waiting,
            Some(Microphone::Opened) => Self::Opened,
            Some(Microphone::Hears) => Self::Hears,
            Some(Microphone::Failed { why }) => Self::Failed { why },
        }
    }
}
