//! Notices that staff write: their versions, and how far each has come on its way to the air.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::audit::NewAct;
use super::media::MediaRow;
use loaxa_heart::domain::announcement::BulletinClass;
use loaxa_heart::domain::ids::{AccountId, CampaignId, CommandId, ContentHash, GroupId, NoticeId, SectionId};
use loaxa_heart::domain::time::Wall;

/// The way of a notice. From approved there is no way back but to cancel; what is on the air or over, the deliveries tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeState {
    Draft,
    Submitted,
    Approved,
    Returned,
    Withdrawn,
    /// Nobody approved it before its hour passed.
    Expired,
    Cancelled,
}

impl NoticeState {
    /// The word in the database and in the tables of texts.
    pub const fn code(self) -> &'static str {
        match self {
            NoticeState::Draft => "draft",
            NoticeState::Submitted => "submitted",
            NoticeState::Approved => "approved",
            NoticeState::Returned => "returned",
            NoticeState::Withdrawn => "withdrawn",
            NoticeState::Expired => "expired",
            NoticeState::Cancelled => "cancelled",
        }
    }

    /// Tells whether its writers may still change it.
    pub const fn can_change(self) -> bool {
        matches!(self, NoticeState::Draft | NoticeState::Submitted | NoticeState::Returned)
    }
}

/// The voice of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Voice {
    /// The words are spoken by the centre's engine.
    Spoken,
    /// Audio that somebody uploaded or recorded.
    Audio,
}

/// Everything of a notice that villagers will hear or that decides when and where: what an approval is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeContent {
    pub title: String,
    pub text: String,
    /// BCP 47 tag.
    pub language: String,
    pub voice: Voice,
    /// The audio that will sound; `None` as long as the words were not spoken, or nothing was uploaded.
    pub media: Option<ContentHash>,
    /// In their order, each once.
    pub groups: Vec<GroupId>,
    pub class: BulletinClass,
    /// `None` for as soon as its class allows.
    pub at: Option<Wall>,
    pub repeat: u16,
    pub section: Option<SectionId>,
    pub campaign: Option<CampaignId>,
    /// The person who answers for what is said, as the office calls them.
    pub responsible: String,
    /// The announcement that it corrects.
    pub supersedes: Option<CommandId>,
    /// Everybody may hear it again afterwards, and pass it on. Absent from the digest where it is not so, as it was before
    /// there was this choice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub republish: bool,
}

impl NoticeContent {
    /// The SHA-256 that names exactly this content.
    pub fn digest(&self) -> ContentHash {
        let json = serde_json::to_string(self).expect("a notice is JSON");
        ContentHash::of(format!("loaxa-notice v1\n{json}").as_bytes())
    }
}

/// A notice with its latest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeRow {
    pub id: NoticeId,
    pub state: NoticeState,
    pub author: AccountId,
    pub version: u32,
    pub content: NoticeContent,
    pub digest: ContentHash,
    pub made: Wall,
    pub changed: Wall,
    /// The person who approved, returned, withdrew or cancelled it.
    pub decided_by: Option<AccountId>,
    /// The reason of who returned it.
    pub reason: Option<String>,
    /// The command that its approval sent.
    pub command: Option<CommandId>,
}

impl NoticeRow {
    /// The state at `now`: what nobody approved in time has expired.
    pub fn state_at(&self, now: Wall) -> NoticeState {
        let waits = matches!(self.state, NoticeState::Submitted);
        match self.content.at {
            Some(at) if waits && at <= now => NoticeState::Expired,
            _ => self.state,
        }
    }
}

/// A version of a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeVersion {
    pub version: u32,
    pub by: AccountId,
    pub at: Wall,
    pub content: NoticeContent,
    pub digest: ContentHash,
}

/// A change of a notice's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeEdit {
    pub id: NoticeId,
    /// The content that the editor saw; `None` for a notice that they began.
    pub base: Option<ContentHash>,
    pub content: NoticeContent,
    /// The state afterwards: a draft, or submitted.
    pub state: NoticeState,
    pub by: AccountId,
    pub at: Wall,
    /// `None` for what a page saves by itself while somebody writes.
    pub act: Option<NewAct>,
}

/// The fate of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKept {
    Kept,
    /// Somebody else changed it since, or it is past changing.
    Overtaken,
    /// The person has as many drafts as there is room for.
    NoRoom,
}

/// A step on the way of a notice that changes nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeStep {
    pub id: NoticeId,
    pub from: NoticeState,
    /// The content that whoever decides saw.
    pub digest: ContentHash,
    pub to: NoticeState,
    pub by: AccountId,
    pub reason: Option<String>,
    pub at: Wall,
    pub act: NewAct,
}

/// A notice that has sounded and that everybody may hear again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedRow {
    pub id: NoticeId,
    pub content: NoticeContent,
    /// The first time that it sounded anywhere.
    pub aired: Wall,
    pub media: MediaRow,
}

/// A choice of notices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoticeFilter {
    pub author: Option<AccountId>,
    /// One of these states; none means all.
    pub states: Vec<NoticeState>,
    /// A time of their own from the first on and before the second.
    pub due: Option<(Wall, Wall)>,
    /// One of these files as their audio; none means any.
    pub media: Vec<ContentHash>,
    pub limit: u32,
}

/// The notices of a commune.
pub trait Notices: Send + Sync {
    /// Keeps a change. A draft that its editor goes on with stays one version; everything else becomes a new one. Of `room_max` drafts of
    /// a person that wait, no more are begun.
    fn edit_notice(&self, edit: NoticeEdit, room_max: u32) -> Answer<'_, NoticeKept>;

    /// Takes a step; false where the notice is in another state, or another content.
    fn step_notice(&self, step: NoticeStep) -> Answer<'_, bool>;

    fn notice(&self, id: NoticeId) -> Answer<'_, Option<NoticeRow>>;

    /// Finds the notice whose approval sent a command.
    fn notice_of(&self, command: CommandId) -> Answer<'_, Option<NoticeRow>>;

    /// Lists notices, the one changed last first.
    fn notices(&self, filter: NoticeFilter) -> Answer<'_, Vec<NoticeRow>>;

    /// Lists what everybody may hear again: approved for it, sounded, and neither cancelled nor replaced. What sounded
    /// last comes first.
    fn published(&self, limit: u32) -> Answer<'_, Vec<PublishedRow>>;

    /// Lists the versions of a notice, the newest first.
    fn notice_versions(&self, id: NoticeId) -> Answer<'_, Vec<NoticeVersion>>;
}
