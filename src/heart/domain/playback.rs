//! The playback log: what an entry can say.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::announcement::{BulletinClass, Mode, Rung};
use super::ids::{CampaignId, CommandId, ContentHash, KeyId, PlayId, SectionId, SlotId};
use super::policy::GuardRefusal;
use super::sound::{Fault, Heard};
use super::time::{ClockQuality, Moment, Reading, Span, Wall};
use crate::said;
use crate::texts::{Say, Sentence};

/// The time of an entry, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Stamp {
    /// Number of the daemon's start; monotonic times compare only within one.
    pub start: u32,
    /// Microseconds of the machine's monotonic clock.
    pub mono_us: u64,
    pub wall: Wall,
    #[serde(rename = "trust")]
    pub quality: ClockQuality,
    pub uncertainty_ms: u32,
}

impl Stamp {
    /// Makes the stamp of a clock reading.
    pub const fn of(start: u32, now: &Reading) -> Self {
        Self {
            start,
            mono_us: now.mono.0,
            wall: now.wall,
            quality: now.quality,
            uncertainty_ms: now.uncertainty_ms,
        }
    }

    /// Returns the monotonic moment.
    pub const fn moment(&self) -> Moment {
        Moment(self.mono_us)
    }
}

/// One session of a slot: a slot sounds at most once a date.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct SlotKey {
    pub slot: SlotId,
    /// Local date.
    #[schemars(with = "String")]
    pub date: NaiveDate,
}

/// The thing that a play or a refusal is about.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Subject {
    Announcement {
        command: CommandId,
    },
    Slot(SlotKey),
    /// A live voice.
    Live {
        #[serde(rename = "session")]
        voice: String,
    },
}

/// The facts of a play that are known at its start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlayStart {
    pub play: PlayId,
    pub subject: Subject,
    pub rung: Rung,
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<SectionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<BulletinClass>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<KeyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentHash>,
    /// Origin of the sound: a file's name, "speech", "siren", a stream's address.
    pub source: String,
    pub language: String,
    /// Number of this repetition, from 1.
    pub repetition: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Wall>,
    /// Position in the audio at which the play was entered; not 0 after an interruption or a late joining.
    pub entered_at_ms: u64,
    pub volume_percent: u8,
    /// Fault of what could not be played, where this play stands in for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<Fault>,
}

/// Time between two checkpoints of a play: a power cut loses what sounded since the last one.
pub const CHECKPOINT_EVERY: Span = Span::secs(10);

/// The end of a play, as the log tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum PlayOutcome {
    Finished,
    /// Something higher took the air.
    Interrupted {
        by: Rung,
    },
    /// A slot's hard end, or the end of an announcement's time.
    HardEnd,
    Cancelled,
    Superseded,
    /// The play broke off.
    Failed {
        reason: Fault,
    },
    /// The guard's limit was reached while the play sounded.
    Guarded {
        reason: GuardRefusal,
    },
    /// The box lost power or the daemon died; `frames_played` is what the last checkpoint proves.
    PowerLost,
    /// The daemon was stopped in order.
    Stopped,
}

/// The closing entry of a play; every started play has exactly one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlayEnd {
    pub play: PlayId,
    pub subject: Subject,
    #[serde(flatten)]
    pub outcome: PlayOutcome,
    /// Time at which the first sample was handed to the device; `None` where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Stamp>,
    /// Frames of 48 kHz handed to the device.
    pub frames_played: u64,
    /// Frames that were to be played from the point of entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames_due: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loudness_lufs: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Heard>,
}

/// The reason for which something that was due did not sound.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum NotPlayed {
    /// The box was off, or the clock unknown, at the time.
    Missed,
    /// Too late by its own lateness policy.
    Late,
    /// Something higher had the air until the time was over.
    PreEmpted {
        by: Rung,
    },
    Guarded {
        reason: GuardRefusal,
    },
    /// The audio, the words or the stream can't be played.
    Unplayable {
        reason: Fault,
    },
    /// Did not fit before the hard end.
    NoRoom,
    /// Not a day of music.
    Mourning,
    /// The programme changed before the turn came.
    Replaced,
    Expired,
    Cancelled,
    Superseded,
    /// A `test` makes no sound.
    OnlyATest,
}

impl Say for NotPlayed {
    fn say(&self) -> Sentence {
        match self {
            NotPlayed::Missed => said!("not_played.missed"),
            NotPlayed::Late => said!("not_played.late"),
            NotPlayed::PreEmpted { .. } => said!("not_played.pre_empted"),
            NotPlayed::Guarded { reason } => reason.say(),
            NotPlayed::Unplayable { reason } => reason.say(),
            NotPlayed::NoRoom => said!("not_played.no_room"),
            NotPlayed::Mourning => said!("not_played.mourning"),
            NotPlayed::Replaced => said!("not_played.replaced"),
            NotPlayed::Expired => said!("not_played.expired"),
            NotPlayed::Cancelled => said!("not_played.cancelled"),
            NotPlayed::Superseded => said!("not_played.superseded"),
            NotPlayed::OnlyATest => said!("not_played.only_a_test"),
        }
    }
}

/// The outcome of a slot on a date; every slot that was due has exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum SlotOutcome {
    /// Items that sounded to their end, and items that did not.
    Aired {
        finished: u32,
        not_finished: u32,
    },
    NotAired(NotPlayed),
}

/// A step of an announcement on its way to the ear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum DeliveryStep {
    /// Verified and on disk.
    Received,
    /// The audio is on disk and its hash is right.
    Staged,
    /// The first repetition has begun.
    Started,
    /// The last repetition has ended.
    Finished,
    Interrupted,
    Superseded,
    Cancelled,
    Expired,
    NotPlayed {
        reason: NotPlayed,
    },
}

/// The reason for which a command was refused.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    thiserror::Error,
)]
#[serde(tag = "refusal", rename_all = "snake_case")]
#[error("{}", self.say())]
pub enum CommandRefusal {
    TooLarge {
        max: u64,
    },
    Malformed {
        detail: String,
    },
    UnknownVersion {
        version: u32,
    },
    BadSignature,
    UnknownKey {
        key: KeyId,
    },
    NotAllowed {
        key: KeyId,
        detail: Sentence,
    },
    TooFewSignatures {
        valid: u32,
        needed: u32,
    },
    NotForThisBox,
    Expired {
        /// Named apart: an entry has an `at` of its own beside it.
        #[serde(rename = "expired_at")]
        at: Wall,
    },
    Replayed {
        serial: u64,
    },
    Forged {
        id: CommandId,
    },
    Rollback {
        offered: u32,
        held: u32,
    },
    #[serde(rename = "clock_untrusted")]
    ClockUnknown,
    TooMany {
        max: u32,
    },
    Impossible {
        detail: Sentence,
    },
}

impl Say for CommandRefusal {
    fn say(&self) -> Sentence {
        match self {
            CommandRefusal::TooLarge { max } => said!("refused.too_large", max),
            CommandRefusal::Malformed { detail } => said!("refused.malformed", detail),
            CommandRefusal::UnknownVersion { version } => said!("refused.unknown_version", version),
            CommandRefusal::BadSignature => said!("refused.bad_signature"),
            CommandRefusal::UnknownKey { key } => said!("refused.unknown_key", key),
            CommandRefusal::NotAllowed { key, detail } => said!("refused.not_allowed", key, detail),
            CommandRefusal::TooFewSignatures { valid, needed } => {
                said!("refused.too_few_signatures", valid, needed)
            }
            CommandRefusal::NotForThisBox => said!("refused.not_for_this_box"),
            CommandRefusal::Expired { at } => said!("refused.expired", at),
            CommandRefusal::Replayed { serial } => said!("refused.replayed", serial),
            CommandRefusal::Forged { id } => said!("refused.forged", id),
            CommandRefusal::Rollback { offered, held } => said!("refused.rollback", offered, held),
            CommandRefusal::ClockUnknown => said!("refused.clock_unknown"),
            CommandRefusal::TooMany { max } => said!("refused.too_many", max),
            CommandRefusal::Impossible { detail } => said!("refused.impossible", detail),
        }
    }
}

impl CommandRefusal {
    /// Tells whether the same bytes may be accepted later: when the clock is known, or the box is in another group.
    pub const fn may_pass(&self) -> bool {
        matches!(self, CommandRefusal::ClockUnknown | CommandRefusal::NotForThisBox)
    }
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

/// One thing worth remembering; the store adds box, epoch, sequence and the link to the entry before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Entry {
    pub at: Stamp,
    #[serde(flatten)]
    pub event: Event,
}

/// The content of an entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The daemon started; `version` is its own.
    BoxStarted {
        version: String,
    },
    BoxStopped,
    PlayStarted(PlayStart),
    PlayEnded(PlayEnd),
    NotPlayed {
        subject: Subject,
        title: String,
        #[serde(flatten)]
        reason: NotPlayed,
    },
    SlotEnded {
        key: SlotKey,
        title: String,
        scheduled: Wall,
        #[serde(flatten)]
        outcome: SlotOutcome,
    },
    Delivery {
        command: CommandId,
        #[serde(flatten)]
        step: DeliveryStep,
    },
    CommandRefused {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<CommandId>,
        #[serde(flatten)]
        reason: CommandRefusal,
    },
    /// A programme or policy came into force.
    Adopted {
        what: String,
        version: u32,
    },
    /// The wall clock became known or was stepped: entries of this start are dated anew by the difference.
    ClockSet {
        step_us: i64,
        before: ClockQuality,
    },
    DeviceLost {
        detail: String,
    },
    DeviceBack,
    AmplifierFault {
        detail: String,
    },
    /// Entries could not be kept: so many, of these seconds.
    EntriesLost {
        count: u64,
    },
    /// An installed programme file is wrong and was left out. With `last_good` the text that was right at an earlier
    /// start sounds in its place.
    ProgrammeRefused {
        file: String,
        problem: String,
        last_good: bool,
    },
    /// The clock of the machine shows `system`, which can't be right: the last time known is `known`. Nothing scheduled
    /// sounds until the kernel or central tells the time.
    ClockLost {
        system: Wall,
        known: Wall,
    },
    /// The store was damaged and put aside under this name; a new epoch began.
    StoreReplaced {
        kept_as: String,
    },
    /// Urgent audio was fetched although the data budget of this month (`2026-11`) is used up; said once a month.
    DataBudgetExceeded {
        month: String,
    },
    /// A press on the box for its local emergency, or the end of what presses released: by which standing order, and by
    /// whose hand.
    LocalEmergency {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<CommandId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Presser>,
        #[serde(flatten)]
        step: LocalStep,
    },
    /// A number of further refusals of the same kind, counted and not written one by one.
    RefusalsCounted {
        reason: String,
        count: u64,
    },
}
