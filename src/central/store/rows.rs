//! What goes into the store and comes out of it.

use serde::Serialize;

use loaxa_heart::decide::delivery::{CommandKind, DocumentName, Step};
use loaxa_heart::domain::announcement::{BulletinClass, Mode};
use loaxa_heart::domain::ids::{BoxId, CommandId, ContentHash, Epoch, GroupId, KeyId, PlayId};
use loaxa_heart::domain::playback::Entry;
use loaxa_heart::domain::time::{ClockQuality, Wall};
use loaxa_heart::wire::messages::{Holds, OnAir};
use loaxa_heart::wire::signing::SIGNATURE_BYTES;

/// Most rows that one question returns.
pub const ROWS_MAX: u32 = 1_000;

/// A box as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoxDeclared {
    pub id: BoxId,
    pub title: String,
    pub groups: Vec<GroupId>,
    /// Public key in base64; `None` keeps what was learnt.
    pub key: Option<String>,
}

/// A box and what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BoxRow {
    pub id: BoxId,
    pub title: String,
    pub groups: Vec<GroupId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When the last message came.
    pub last_seen: Option<Wall>,
    /// Its connection broke off and it has not spoken since.
    pub lost: bool,
    pub software: Option<String>,
    pub clock: Option<ClockQuality>,
    pub epoch: Option<Epoch>,
    /// Log entries that wait on the box.
    pub backlog: u64,
    pub faults: Vec<String>,
    /// What it said last that it holds.
    pub holds: Option<Holds>,
    /// What its log says is sounding.
    pub on_air: Option<OnAir>,
}

/// A hello or a heartbeat.
#[derive(Debug, Clone, PartialEq)]
pub struct SignOfLife {
    pub id: BoxId,
    pub at: Wall,
    pub clock: ClockQuality,
    /// `None` where it says that nothing has changed.
    pub holds: Option<Holds>,
    pub kind: SignKind,
}

/// What only one of the two says.
#[derive(Debug, Clone, PartialEq)]
pub enum SignKind {
    Hello { software: String, epoch: Epoch },
    Heartbeat { backlog: u64, faults: Vec<String> },
}

/// Records of one box whose signature and inner chain were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    pub id: BoxId,
    pub epoch: Epoch,
    pub arrived: Wall,
    /// The oldest record that the box still holds; 0 where it does not say.
    pub oldest: u64,
    pub records: Vec<Record>,
    /// The box's signature over the end of it, checked.
    pub head: Option<String>,
}

/// One checked record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub seq: u64,
    pub hash: ContentHash,
    pub prev: ContentHash,
    /// The exact bytes that were hashed.
    pub body: String,
    pub entry: Entry,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ingested {
    pub contiguous_upto: u64,
    /// A number was seen with a different body, or the chain does not fit what is stored.
    pub forked: bool,
    /// Records that were not there before.
    pub added: u64,
    /// Records that were there already.
    pub known: u64,
    /// Records after a gap, not taken.
    pub after_gap: u64,
}

/// A sealed command, before it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCommand {
    pub id: CommandId,
    pub kind: CommandKind,
    pub issuer: KeyId,
    pub serial: u64,
    pub issued_at: Wall,
    pub expires: Wall,
    pub groups: Vec<GroupId>,
    pub title: String,
    pub class: Option<BulletinClass>,
    pub mode: Option<Mode>,
    pub author: String,
    pub approver: Option<String>,
    /// The command as JSON, as it was signed.
    pub payload: String,
    pub envelope: Vec<u8>,
    /// Announcements that this one ends: cancelled or superseded.
    pub ends: Vec<(CommandId, Ended)>,
    /// The document that it carries, and its version: an earlier one for the same groups is kept no more.
    pub document: Option<(DocumentName, u32)>,
    /// The boxes that it is meant for.
    pub boxes: Vec<BoxId>,
}

/// A CAP alert that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapRow {
    /// `sender,identifier,sent`.
    pub reference: String,
    /// Short, for people to type.
    pub id: String,
    pub received: Wall,
    /// What became of it, as JSON.
    pub state: String,
}

/// Something that a feed of alerts brought and that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// An address, or the words by which its entry is known.
    pub what: String,
    pub why: String,
    /// The same in Vietnamese.
    pub why_vi: String,
    pub last: Wall,
}

/// A command that waits for people's signatures, under the id that it will have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDraft {
    pub id: CommandId,
    pub made: Wall,
    /// Nobody signs it from then on.
    pub expires: Wall,
    /// The exact bytes to be signed.
    pub payload: String,
}

/// A draft as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftRow {
    pub draft: NewDraft,
    /// In the order in which they came; each was verified.
    pub signatures: Vec<DraftSignature>,
    /// The threshold was met, and the command went out.
    pub sent: bool,
}

/// A person's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftSignature {
    pub key: KeyId,
    pub signature: [u8; SIGNATURE_BYTES],
    pub at: Wall,
}

/// How a command came to stand no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    Cancelled,
    Superseded,
}

/// A command as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CommandRow {
    pub id: CommandId,
    pub title: String,
    pub class: Option<BulletinClass>,
    pub mode: Option<Mode>,
    pub groups: Vec<GroupId>,
    pub issued_at: Wall,
    pub expires: Wall,
    pub author: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approver: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// The command as it was signed.
    #[serde(skip)]
    pub payload: String,
}

/// How far an announcement has come with one box.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeliveryRow {
    #[serde(rename = "box")]
    pub id: BoxId,
    pub title: String,
    #[serde(serialize_with = "step_code")]
    pub step: Step,
    /// Why it did not play or was refused, as the box said it, in JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub sent: Option<Wall>,
    pub received: Option<Wall>,
    pub staged: Option<Wall>,
    pub started: Option<Wall>,
    /// When it was over, however it ended.
    pub over: Option<Wall>,
}

fn step_code<S: serde::Serializer>(step: &Step, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(step.code())
}

/// Which rows of the log or of plays are asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogFilter {
    pub id: Option<BoxId>,
    pub from: Option<Wall>,
    /// Exclusive.
    pub to: Option<Wall>,
    pub event: Option<String>,
    pub command: Option<CommandId>,
    /// Only rows that came after this cursor.
    pub after: Option<i64>,
    /// Of the log: the latest arrived first.
    pub newest_first: bool,
    pub limit: u32,
}

/// A log entry as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogRow {
    /// Grows in the order of arrival: the `after` of the next question.
    pub cursor: i64,
    #[serde(rename = "box")]
    pub id: BoxId,
    pub epoch: Epoch,
    pub seq: u64,
    pub hash: ContentHash,
    pub event: String,
    pub arrived: Wall,
    /// The exact bytes that were hashed.
    pub body: String,
    /// The envelope in which the box signed the log up to here; one a day is kept, the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
}

/// Something that was due and did not sound.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NotPlayedRow {
    #[serde(rename = "box")]
    pub id: BoxId,
    pub box_title: String,
    pub at: Wall,
    pub title: String,
    /// The tag of the reason.
    pub because: String,
    /// The whole entry.
    pub reason: serde_json::Value,
}

/// One play: what sounded on which box, when and for how long.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlayRow {
    /// Grows in the order of arrival.
    pub cursor: i64,
    #[serde(rename = "box")]
    pub id: BoxId,
    pub box_title: String,
    pub epoch: Epoch,
    pub play: PlayId,
    /// `announcement`, `slot` or `live`.
    pub subject: String,
    pub subject_id: String,
    pub title: String,
    pub section: Option<String>,
    pub campaign: Option<String>,
    pub class: Option<String>,
    pub mode: Option<String>,
    pub rung: String,
    pub source: String,
    pub language: String,
    pub repetition: u32,
    pub volume_percent: u32,
    pub scheduled: Option<Wall>,
    /// When the entry of its start was written.
    pub opened: Wall,
    /// When the first sample sounded; `None` until it ended, or where none did.
    pub started: Option<Wall>,
    pub ended: Option<Wall>,
    /// Frames of 48 kHz.
    pub frames_played: Option<u64>,
    pub frames_due: Option<u64>,
    /// `None` while it sounds.
    pub outcome: Option<String>,
    /// More about the outcome, as the box said it, in JSON.
    pub reason: Option<String>,
    pub heard: Option<bool>,
}

/// Plays of one box and section added up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportRow {
    #[serde(rename = "box")]
    pub id: BoxId,
    pub box_title: String,
    pub section: Option<String>,
    pub plays: u64,
    pub finished: u64,
    pub seconds_played: f64,
}

/// A media file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MediaRow {
    pub sha256: ContentHash,
    pub bytes: u64,
    /// MIME type.
    pub codec: String,
    pub ms: u32,
    /// What the file was called, for people.
    pub name: String,
    pub added: Wall,
}

/// What staff must look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    pub kind: AlarmKind,
    pub subject: String,
    pub detail: String,
    pub at: Wall,
}

/// The kinds of alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlarmKind {
    /// Two different entries under one number: a copied or manipulated box.
    Forked,
    /// A batch whose signature or chain is wrong.
    BadLog,
    /// A box speaks that nobody enrolled.
    UnknownBox,
    /// Entries that the box no longer holds never arrived.
    Gap,
    /// A feed of alerts can't be read, or something in it was passed over.
    AlertPassedOver,
}

impl AlarmKind {
    /// Its word in the database and in the tables of texts.
    pub const fn code(self) -> &'static str {
        match self {
            AlarmKind::Forked => "forked",
            AlarmKind::BadLog => "bad_log",
            AlarmKind::UnknownBox => "unknown_box",
            AlarmKind::Gap => "gap",
            AlarmKind::AlertPassedOver => "alert_passed_over",
        }
    }
}

/// An alarm as it is kept: one row for a kind and subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlarmRow {
    pub kind: String,
    pub subject: String,
    pub detail: String,
    pub first: Wall,
    pub last: Wall,
    pub count: u64,
}
