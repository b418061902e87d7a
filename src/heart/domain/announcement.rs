//! Announcements: their class, their place on the ladder and how they are to be played.

use serde::{Deserialize, Serialize};

use super::ids::{CommandId, ContentHash, GroupId, PreparedId};
use super::sound::Pattern;
use super::time::Wall;

/// The three bulletin classes of Circular 39/2020/TT-BTTTT.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum BulletinClass {
    Normal,
    Priority,
    Emergency,
}

/// The intent of an announcement: actual, exercise or test.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Actual,
    /// A drill: wrapped in its own tone and words, never mistakable for the real thing.
    Exercise,
    /// Goes the whole way to the box and is logged, but makes no sound.
    Test,
}

/// The ladder: the higher rung sounds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// 50: inside a slot that has room, or at the time that staff chose.
    Normal,
    /// 60: a programme slot.
    Programme,
    /// 80: at the next boundary between items.
    Priority,
    /// 90: live voice of staff, at once.
    Live,
    /// 95: an emergency exercise, at once, within allowed hours.
    Exercise,
    /// 100: an actual emergency, at once.
    Emergency,
}

impl Rung {
    /// Returns the rung of an announcement. A `test` never reaches the ladder.
    pub const fn of(class: BulletinClass, mode: Mode) -> Self {
        match (class, mode) {
            (BulletinClass::Normal, _) => Rung::Normal,
            (BulletinClass::Priority, _) => Rung::Priority,
            (BulletinClass::Emergency, Mode::Actual) => Rung::Emergency,
            (BulletinClass::Emergency, Mode::Exercise | Mode::Test) => Rung::Exercise,
        }
    }

    /// Tells whether this rung stops what sounds instead of waiting for a boundary.
    pub const fn takes_the_air_at_once(self) -> bool {
        matches!(self, Rung::Live | Rung::Exercise | Rung::Emergency)
    }
}

/// The continuation of a play that was interrupted.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Interruption {
    /// Goes on from where it stopped.
    #[default]
    Resume,
    /// Starts again.
    Restart,
    /// Is over.
    Drop,
}

/// The number of times that an announcement is played.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Repeats {
    Times(u16),
    /// Until it is cancelled, superseded or expired.
    UntilCancelled,
}

/// Audio that travels over HTTP, named by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Media {
    pub sha256: ContentHash,
    pub bytes: u64,
    /// MIME type, for instance `audio/mpeg`.
    pub codec: String,
    /// Length of the audio.
    pub ms: u32,
    /// Path on central's media server, relative to its base address.
    pub path: String,
}

/// A message that was prepared for an emergency. Boxes keep its audio, so that an announcement that names the same audio
/// needs no download.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PreparedItem {
    pub id: PreparedId,
    pub title: String,
    /// BCP 47 tag of the language that is spoken in it.
    pub language: String,
    pub media: Media,
    /// Pattern that is to sound before the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub siren: Option<Pattern>,
}

/// Words of an announcement in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Words {
    pub text: String,
    /// BCP 47 tag, for instance `vi`, `tay`, `hmn`.
    pub language: String,
}

/// The wishes of staff for how an announcement is played.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlayPlan {
    pub repeats: Repeats,
    /// Silence between repetitions.
    pub gap_s: u32,
    /// Pattern that sounds before the message at each repetition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<Pattern>,
    /// 0 to 100; the guard may lower it, except for an actual emergency.
    pub volume_percent: u8,
    pub interruption: Interruption,
    /// The instant that staff chose; without it the announcement goes out as soon as its class allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Wall>,
}

impl Default for PlayPlan {
    fn default() -> Self {
        Self {
            repeats: Repeats::Times(1),
            gap_s: 5,
            opening: None,
            volume_percent: 100,
            interruption: Interruption::Resume,
            at: None,
        }
    }
}

/// An announcement as a box keeps it, after signature, authority and target were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Announcement {
    pub id: CommandId,
    pub title: String,
    pub class: BulletinClass,
    pub mode: Mode,
    pub groups: Vec<GroupId>,
    /// Earliest instant at which the announcement sounds.
    pub not_before: Wall,
    /// Instant from which on no repetition starts.
    pub expires: Wall,
    pub plan: PlayPlan,
    pub media: Option<Media>,
    pub words: Option<Words>,
    /// The announcement that this one replaces.
    pub supersedes: Option<CommandId>,
    pub issued: Issued,
}

impl Announcement {
    /// Returns the announcement's place on the ladder.
    pub const fn rung(&self) -> Rung {
        Rung::of(self.class, self.mode)
    }
}

/// The issue of a command: by whom, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Issued {
    pub issuer: super::ids::KeyId,
    /// Grows with every command of this issuer.
    pub serial: u64,
    pub at: Wall,
    /// Province 0, commune 1, village 2: the lower goes first among equal emergencies.
    pub level: u8,
    /// Names for the log, not for authority.
    pub author: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_is_in_order() {
        use {BulletinClass::*, Mode::*};
        let up = [
            Rung::of(Normal, Actual),
            Rung::Programme,
            Rung::of(Priority, Actual),
            Rung::Live,
            Rung::of(Emergency, Exercise),
            Rung::of(Emergency, Actual),
        ];
        assert!(up.is_sorted() && up.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
