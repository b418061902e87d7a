//! The local emergency: a message that people signed beforehand, and that two presses on the box sound while no link
//! reaches the centre.

use serde::{Deserialize, Serialize};

use super::announcement::{Media, PlayPlan, Words};
use super::time::Moment;

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
