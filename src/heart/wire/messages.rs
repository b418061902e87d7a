//! The messages of the protocol, version 1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::announcement::{
    Announcement, BulletinClass, Issued, Media, Mode, PlayPlan, PreparedItem, Words,
};
use crate::domain::authority::{Power, Trust};
use crate::domain::ids::{BoxId, CommandId, ContentHash, Epoch, GroupId, KeyId, PlayId, ProgrammeId};
use crate::domain::local_emergency::LocalEmergency;
use crate::domain::playback::Entry;
use crate::domain::policy::Policy;
use crate::domain::software::{Software, UpgradeTold};
use crate::domain::time::{ClockQuality, Wall};

/// The version of the protocol that this program speaks.
pub const VERSION: u32 = 1;

/// Largest message that is read at all, in bytes. A programme of a commune with 200 items takes 60 kB.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// Most log records in one batch.
pub const BATCH_RECORDS_MAX: usize = 200;

/// Most bytes of record bodies in one batch, as they stand in its JSON; base64 and signature still fit into
/// [`MESSAGE_BYTES_MAX`].
pub const BATCH_BYTES_MAX: usize = 128 * 1024;

/// A signed order to boxes: the payload of an envelope on a `down/command` topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Command {
    pub v: u32,
    pub id: CommandId,
    /// The key whose serial this is; it must be among the signers.
    pub issuer: KeyId,
    /// Strictly growing for each issuer.
    pub serial: u64,
    pub issued_at: Wall,
    pub groups: Vec<GroupId>,
    pub not_before: Wall,
    pub expires: Wall,
    /// Names for the log; authority comes from the signatures alone.
    pub author: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver: Option<String>,
    /// Names of fields that must be understood for the command to be obeyed; an unknown one refuses it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub critical: Vec<String>,
    pub body: Body,
}

/// The content of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// Sound this; with `supersedes`, in place of an earlier announcement.
    Announce {
        title: String,
        class: BulletinClass,
        mode: Mode,
        plan: PlayPlan,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media: Option<Media>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        words: Option<Words>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        supersedes: Option<CommandId>,
        /// Identifier of the CAP alert behind the announcement.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cap: Option<String>,
    },
    /// Stop an announcement mid-word and never play it again; without `of`, everything that is not a slot.
    Cancel {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<CommandId>,
    },
    /// A programme: its TOML, and the audio that it names by path.
    Programme {
        programme: ProgrammeId,
        version: u32,
        toml: String,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        media: BTreeMap<String, Media>,
    },
    Policy(Policy),
    /// The groups that each box named is in.
    Groups {
        version: u32,
        members: BTreeMap<BoxId, Vec<GroupId>>,
    },
    /// Messages whose audio boxes fetch beforehand and keep: the whole list, in the order of its importance.
    Prepared {
        version: u32,
        items: Vec<PreparedItem>,
    },
    /// The standing order for a local emergency; without `order`, the one that was in force is taken back.
    LocalEmergency {
        version: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<LocalEmergency>,
    },
    /// The release that boxes run.
    Software(Software),
    /// A live voice opens or closes; the voice itself arrives on its own stream.
    Live {
        #[serde(rename = "session")]
        voice: String,
        open: bool,
        url: String,
    },
    /// Answer with a log entry, make no sound.
    Test,
}

impl Command {
    /// Tells whether nothing may hold it up, neither a disk that is full nor a turn to wait for: what ends something, and
    /// actual emergencies.
    pub fn is_urgent(&self) -> bool {
        matches!(self.body, Body::Cancel { .. }) || self.power() == Power::Emergency
    }

    /// Returns the power that the signers must hold.
    pub fn power(&self) -> Power {
        match &self.body {
            Body::Announce { class, mode, .. } => Power::to_announce(*class, *mode),
            Body::Cancel { .. } => Power::Cancel,
            Body::Programme { .. } | Body::Prepared { .. } => Power::Programme,
            Body::Policy(_) => Power::Policy,
            Body::Groups { .. } => Power::Groups,
            Body::LocalEmergency { .. } => Power::Emergency,
            Body::Software(_) => Power::Software,
            Body::Live { .. } => Power::Live,
            Body::Test => Power::Test,
        }
    }

    /// Returns the announcement that the command carries, issued at `level`.
    pub fn announcement(&self, level: u8) -> Option<Announcement> {
        let Body::Announce { title, class, mode, plan, media, words, supersedes, .. } = &self.body else {
            return None;
        };
        Some(Announcement {
            id: self.id.clone(),
            title: title.clone(),
            class: *class,
            mode: *mode,
            groups: self.groups.clone(),
            not_before: self.not_before,
            expires: self.expires,
            plan: plan.clone(),
            media: media.clone(),
            words: words.clone(),
            supersedes: supersedes.clone(),
            issued: Issued {
                issuer: self.issuer.clone(),
                serial: self.serial,
                at: self.issued_at,
                level,
                author: self.author.clone(),
                approver: self.approver.clone(),
            },
        })
    }
}

/// The payload of an envelope signed by the root key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TrustMessage {
    pub v: u32,
    pub trust: Trust,
}

/// A box's first message on each connection: `up/hello`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Hello {
    pub v: u32,
    pub box_id: BoxId,
    pub software: String,
    /// BCP 47 tags of the languages of the village, in turn; none where the box does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// The public key that signs the box's log, in base64: only for a central that trusts a box at its first word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    pub epoch: Epoch,
    /// Random; `welcome` signs it together with the time.
    pub nonce: String,
    pub clock: ClockQuality,
    pub wall: Wall,
    pub holds: Holds,
    /// The newest release that was ordered, and what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<UpgradeTold>,
}

/// Central's answer: `down/welcome`, in an envelope signed by a key with [`Power::Central`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Welcome {
    pub v: u32,
    pub box_id: BoxId,
    pub nonce: String,
    pub time: Wall,
    /// Seconds until this box may start to upload what it kept while it was away.
    pub upload_after_s: u32,
    /// Base address of media, for instance `http://central:8080/media/`.
    pub media_base: String,
    /// SHA-256 of the authorities' certificates, PEM, that a box is to check the centre's servers against. A box that has others
    /// asks for them with a renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<ContentHash>,
}

/// The holdings of a box, so that central can send the difference.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Holds {
    /// First 16 hex digits of the SHA-256 over the sorted ids of live commands, one a line.
    pub commands: String,
    pub programmes: BTreeMap<ProgrammeId, u32>,
    pub trust: u32,
    pub policy: u32,
    pub groups: u32,
    /// Version of the list of prepared messages.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub prepared: u32,
    /// Messages of that list whose audio is not on the disk.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub prepared_missing: u32,
    /// Version of the order to run a release.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub software: u32,
    /// Version of the standing order for a local emergency.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub local_emergency: u32,
}

/// Tells whether a number is 0 and left out, so that a centre that does not know the document computes the same digest.
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Holds {
    /// Digests the holdings, to stand for them in most heartbeats: the first 16 hex digits of the SHA-256 over
    /// `commands`, each programme with its version, and the versions of trust, policy and groups, one a line; last the
    /// version of the prepared messages with the number of missing files, and those of the software and of the standing
    /// order for a local emergency, each where the box holds one.
    ///
    /// ```
    /// let holds = loaxa_heart::wire::messages::Holds::default();
    /// assert_eq!(holds.digest(), "76a70ceca7714f07");
    /// ```
    pub fn digest(&self) -> String {
        let Holds { commands, programmes, trust, policy, groups, prepared, prepared_missing, .. } = self;
        let Holds { software, local_emergency, .. } = self;
        let mut text = format!("commands {commands}\n");
        for (programme, version) in programmes {
            text += &format!("programme {programme} {version}\n");
        }
        text += &format!("trust {trust}\npolicy {policy}\ngroups {groups}\n");
        if *prepared > 0 {
            text += &format!("prepared {prepared} {prepared_missing}\n");
        }
        if *software > 0 {
            text += &format!("software {software}\n");
        }
        if *local_emergency > 0 {
            text += &format!("local_emergency {local_emergency}\n");
        }
        ContentHash::of(text.as_bytes()).to_string()[..16].to_owned()
    }
}

/// Digests the ids of commands in force for [`Holds::commands`].
pub fn commands_digest<'a>(sorted_ids: impl IntoIterator<Item = &'a CommandId>) -> String {
    let text: String = sorted_ids.into_iter().map(|id| format!("{id}\n")).collect();
    ContentHash::of(text.as_bytes()).to_string()[..16].to_owned()
}

/// A sign of life every 60 s, QoS 0: `up/heartbeat`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Heartbeat {
    pub v: u32,
    pub wall: Wall,
    pub clock: ClockQuality,
    /// Random, from a box that asks for the time again: central answers with a `welcome` that signs the nonce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_air: Option<OnAir>,
    /// The holdings in full when they have changed, and every tenth time; otherwise `held` says that they have not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<Holds>,
    /// [`Holds::digest`] of what stood in full in an earlier hello or heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Entries that wait for acknowledgement.
    pub backlog: u64,
    /// Names of what is wrong, for instance `device_lost`, `disk_full`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// Disk and network, beside `holds` in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The newest release that was ordered, and what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<UpgradeTold>,
}

/// The room that a box has left on its disk, and the audio that it has fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Usage {
    /// Room on the disk of its audio, in MiB.
    pub disk_free_mib: u64,
    /// Audio over the network in this month, in MiB.
    pub month_mib: u64,
}

/// The play that sounds now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OnAir {
    pub play: PlayId,
    pub title: String,
}

/// A log record: the exact bytes that were hashed, so that anyone can check the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LogRecord {
    pub seq: u64,
    /// JSON of a [`LogBody`]; its SHA-256 is the `prev` of the next record.
    pub body: String,
}

/// The content of `LogRecord::body`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LogBody {
    pub v: u32,
    #[serde(rename = "box")]
    pub box_id: BoxId,
    pub epoch: Epoch,
    pub seq: u64,
    /// Hash of the previous record's body; zeros for the first.
    pub prev: ContentHash,
    #[serde(flatten)]
    pub entry: Entry,
}

/// Records in turn, without a gap: `up/log`, in an envelope signed by the box's key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LogBatch {
    pub v: u32,
    pub box_id: BoxId,
    pub epoch: Epoch,
    /// The oldest record that the box still holds. Where central expects an earlier one, what lies between is gone for
    /// ever: central notes it and goes on from here.
    #[serde(default)]
    pub oldest: u64,
    pub records: Vec<LogRecord>,
    /// A [`LogHead`] of the last record in an envelope of its own, as text: central keeps it as evidence for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
}

/// The length of a box's log and the hash of its end, in an envelope signed by the box's key: whoever has the public
/// key can check an export with it, without believing central.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LogHead {
    pub v: u32,
    pub box_id: BoxId,
    pub epoch: Epoch,
    pub seq: u64,
    /// SHA-256 of the body of the record with this number.
    pub hash: ContentHash,
}

/// Central has everything up to and with this sequence number: `down/log-ack`, in an envelope signed by a key with
/// [`Power::Central`], since the box may forget what was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LogAck {
    pub v: u32,
    pub epoch: Epoch,
    pub contiguous_upto: u64,
    /// Central saw a different body under a number that it already has: the box begins a new epoch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forked: bool,
}

/// The last will of a box: `up/lost`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Lost {
    pub v: u32,
    pub epoch: Epoch,
}

/// A command whose signatures were checked: who signed, and the digest of the exact bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed<T> {
    pub signers: Vec<KeyId>,
    pub digest: ContentHash,
    pub payload: T,
}
