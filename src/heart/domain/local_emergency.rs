//! The local emergency: a message that people signed beforehand, and that two presses on the box sound while no link
//! reaches the centre.

use serde::{Deserialize, Serialize};

use super::announcement::{Media, PlayPlan, Words};
use super::ids::CommandId;
use super::playback::CommandRefusal;
use super::time::Moment;
use crate::said;
use crate::texts::{Say, Sentence};

/// A standing order: the message, and when a press on the box may release it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LocalEmergency {
    pub title: String,
    /// Without a chosen time: the presses choose it.
    pub plan: PlayPlan,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<Media>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Words>,
    /// Seconds without contact with the centre before a press counts.
    pub silent_s: u32,
    /// Seconds after the first press within which the second one counts.
    pub confirm_s: u32,
    /// Longest time that one release sounds.
    pub minutes_max: u32,
    /// A press counts while the centre can be reached, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub with_contact: bool,
}

/// The contact between the box and the centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    Stands,
    LostSince(Moment),
}

/// The hand that presses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presser {
    /// The button on the box.
    Button,
    /// `loaxa box emergency` on the box.
    Console,
}

/// The consequence of a press, or of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum LocalStep {
    /// The first press: another one within the order's seconds releases the message.
    Armed {
        confirm_s: u32,
    },
    /// The message sounds, as the announcement with this id.
    Released {
        command: CommandId,
    },
    /// The first press while the message sounds: another one ends it.
    AboutToStop {
        confirm_s: u32,
    },
    /// Two presses ended the message.
    Stopped,
    /// The message is over: its time is, its repetitions are, or the centre ended it.
    Over,
    Refused {
        why: LocalRefusal,
    },
}

/// The reason for which a press releases nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum LocalRefusal {
    /// The centre has sent no order, or took it back.
    NoOrder,
    /// The centre can be reached: an emergency comes from there.
    InContact,
    /// The contact has not been lost for long enough.
    TooSoon { wait_s: u32 },
    /// The order does not hold here and now.
    Invalid { reason: CommandRefusal },
    /// The box is about to stop.
    Stopping,
}

impl Say for LocalRefusal {
    fn say(&self) -> Sentence {
        match self {
            LocalRefusal::NoOrder => said!("local_emergency.no_order"),
            LocalRefusal::InContact => said!("local_emergency.in_contact"),
            LocalRefusal::TooSoon { wait_s } => said!("local_emergency.too_soon", wait_s),
            LocalRefusal::Invalid { reason } => said!("local_emergency.invalid", reason),
            LocalRefusal::Stopping => said!("local_emergency.stopping"),
        }
    }
}
