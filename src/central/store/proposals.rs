//! Proposals: changes of what stays in force (programmes, limits, groups) on their way through approval.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::audit::NewAct;
use loaxa_heart::domain::ids::{AccountId, CommandId, ContentHash, GroupId, ProposalId};
use loaxa_heart::domain::time::Wall;

/// The kind of document that a proposal changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProposalKind {
    Programme,
    Policy,
    Groups,
}

impl ProposalKind {
    /// The word in the database, in addresses and in the tables of texts.
    pub const fn code(self) -> &'static str {
        match self {
            ProposalKind::Programme => "programme",
            ProposalKind::Policy => "policy",
            ProposalKind::Groups => "groups",
        }
    }
}

/// The way of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProposalState {
    Draft,
    Submitted,
    Approved,
    Returned,
    Withdrawn,
}

impl ProposalState {
    /// The word in the database and in the tables of texts.
    pub const fn code(self) -> &'static str {
        match self {
            ProposalState::Draft => "draft",
            ProposalState::Submitted => "submitted",
            ProposalState::Approved => "approved",
            ProposalState::Returned => "returned",
            ProposalState::Withdrawn => "withdrawn",
        }
    }

    /// Tells whether writers may still change it.
    pub const fn is_open(self) -> bool {
        matches!(self, ProposalState::Draft | ProposalState::Submitted | ProposalState::Returned)
    }
}

/// Everything that an approval of a proposal is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalContent {
    pub kind: ProposalKind,
    /// The programme's id; for limits of one place that place; for the others their kind.
    pub subject: String,
    /// The groups that hear of it.
    pub groups: Vec<GroupId>,
    /// TOML, as people read and write it.
    pub text: String,
    /// The audio of each path that the text names.
    pub media: BTreeMap<String, ContentHash>,
}

impl ProposalContent {
    /// The SHA-256 that names exactly this content.
    pub fn digest(&self) -> ContentHash {
        let json = serde_json::to_string(self).expect("a proposal is JSON");
        ContentHash::of(format!("loaxa-proposal v1\n{json}").as_bytes())
    }
}

/// The kind of a single change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// The text as it was in force, before anybody changed it.
    Begun,
    SlotAdded,
    SlotChanged,
    SlotRemoved,
    SlotRestored,
    WeekCopied,
    ListChanged,
    TextWritten,
    VolumeSet,
    Undone,
}

impl ChangeKind {
    /// The word in the tables of texts.
    pub const fn code(self) -> &'static str {
        match self {
            ChangeKind::Begun => "begun",
            ChangeKind::SlotAdded => "slot_added",
            ChangeKind::SlotChanged => "slot_changed",
            ChangeKind::SlotRemoved => "slot_removed",
            ChangeKind::SlotRestored => "slot_restored",
            ChangeKind::WeekCopied => "week_copied",
            ChangeKind::ListChanged => "list_changed",
            ChangeKind::TextWritten => "text_written",
            ChangeKind::VolumeSet => "volume_set",
            ChangeKind::Undone => "undone",
        }
    }
}

/// A single change, for people: what it was, what it became, and how many boxes it concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub kind: ChangeKind,
    pub title: String,
    /// The one day that it is about; `None` for a series.
    pub day: Option<NaiveDate>,
    pub before: Option<String>,
    pub after: Option<String>,
    pub boxes: u32,
}

/// A proposal with its latest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalRow {
    pub id: ProposalId,
    pub state: ProposalState,
    pub author: AccountId,
    pub version: u32,
    pub content: ProposalContent,
    pub digest: ContentHash,
    pub made: Wall,
    pub changed: Wall,
    /// The person who approved, returned or withdrew it.
    pub decided_by: Option<AccountId>,
    /// The reason of who returned it.
    pub reason: Option<String>,
    /// The command that its approval sent.
    pub command: Option<CommandId>,
}

/// A version of a proposal, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    pub version: u32,
    pub by: AccountId,
    pub at: Wall,
    pub change: Change,
    pub digest: ContentHash,
}

/// A change of a proposal's content; it is a draft afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalEdit {
    pub id: ProposalId,
    /// The content that the editor saw; `None` for a proposal that begins.
    pub base: Option<ContentHash>,
    pub content: ProposalContent,
    pub change: Change,
    pub by: AccountId,
    pub at: Wall,
    pub act: NewAct,
}

/// The fate of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProposalKept {
    Kept,
    /// Somebody else changed it or began one for the same document, or it is past changing.
    Overtaken,
    /// The proposal was changed as often as there is room for.
    NoRoom,
}

/// A step on the way of a proposal that changes nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalStep {
    pub id: ProposalId,
    pub from: ProposalState,
    /// The content that whoever decides saw.
    pub digest: ContentHash,
    pub to: ProposalState,
    pub by: AccountId,
    pub reason: Option<String>,
    pub at: Wall,
    pub act: NewAct,
}

/// The proposals of a commune; of each document, one at a time is open.
pub trait Proposals: Send + Sync {
    /// Keeps a change as a new version, up to `versions_max` of them.
    fn edit_proposal(&self, edit: ProposalEdit, versions_max: u32) -> Answer<'_, ProposalKept>;

    /// Takes a step; false where the proposal is in another state, or another content.
    fn step_proposal(&self, step: ProposalStep) -> Answer<'_, bool>;

    fn proposal(&self, id: ProposalId) -> Answer<'_, Option<ProposalRow>>;

    /// Lists what is not decided yet: drafts, what waits for approval, what was returned. The one changed last comes first.
    fn open_proposals(&self) -> Answer<'_, Vec<ProposalRow>>;

    /// Lists the versions of a proposal, the newest first, without their contents.
    fn proposal_changes(&self, id: ProposalId) -> Answer<'_, Vec<ChangeRow>>;

    /// Finds the content that a proposal had under a digest.
    fn proposal_content(&self, id: ProposalId, digest: ContentHash) -> Answer<'_, Option<ProposalContent>>;
}
