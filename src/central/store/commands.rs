//! Commands that were sealed and sent.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::audit::NewAct;
use loaxa_heart::decide::delivery::{CommandKind, DocumentName};
use loaxa_heart::domain::announcement::{BulletinClass, Mode};
use loaxa_heart::domain::ids::{
    AccountId, BoxId, CommandId, ContentHash, GroupId, KeyId, NoticeId, ProposalId,
};
use loaxa_heart::domain::time::Wall;

/// A sealed command, before it is sent, with everything that follows from it.
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
    /// Boxes that it puts into other groups.
    pub moves: Vec<(BoxId, Vec<GroupId>)>,
    /// The boxes that it is meant for.
    pub boxes: Vec<BoxId>,
    /// The thing from which it follows; without it, nothing here waited for the command.
    pub basis: Option<Basis>,
}

/// The thing from which a command follows: it is kept together with the command, or neither is.
#[derive(Debug, Clone, PartialEq)]
pub enum Basis {
    Approval(Approval),
    Alert(AlertPart),
}

/// A part of an alert that a central says: the first that has no command yet.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertPart {
    /// The alert's short name.
    pub alert: String,
    /// The central that sends it.
    pub by_central: String,
    /// The number of parts that were said before.
    pub said: usize,
}

/// Something that was approved.
#[derive(Debug, Clone, PartialEq)]
pub enum Approved {
    Notice(NoticeId),
    Proposal(ProposalId),
}

/// An approval, of exactly what the approver saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    pub of: Approved,
    pub digest: ContentHash,
    pub by: AccountId,
    pub act: NewAct,
}

/// The way in which an announcement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    Cancelled,
    Superseded,
}

/// The fate of a command that was to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The command is kept, and goes out.
    Now,
    /// The same command had been kept before.
    Before,
    /// A document of its name is there in its version or a newer one, or what it follows from is not that any more.
    Overtaken,
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
    /// The command as JSON, as it was signed.
    #[serde(skip)]
    pub payload: String,
}

/// The commands of this central.
pub trait Commands: Send + Sync {
    /// The number for the issuer's next command, never given twice.
    fn next_serial(&self, issuer: KeyId) -> Answer<'_, u64>;

    /// Keeps a sealed command and the boxes that it is meant for, with everything that follows from it, before anything
    /// of it is sent. Nothing is changed unless the answer is [`Kept::Now`].
    fn add_command(&self, command: NewCommand) -> Answer<'_, Kept>;

    /// One command.
    fn command(&self, id: CommandId) -> Answer<'_, Option<CommandRow>>;

    /// Announcements, newest first: those that come after `before` in this order.
    fn announcements(&self, before: Option<CommandId>, limit: u32) -> Answer<'_, Vec<CommandRow>>;

    /// The announcements that have not ended and not expired, newest first, each with its expiry; also those of which this
    /// version can read no more.
    fn to_stop(&self, now: Wall, limit: u32) -> Answer<'_, Vec<(CommandId, Wall)>>;

    /// The newest announcements and cancels that were issued since then and that nothing has ended by now, oldest first.
    fn issued_since(
        &self,
        announced: Wall,
        cancelled: Wall,
        now: Wall,
        limit: u32,
    ) -> Answer<'_, Vec<CommandRow>>;

    /// The envelopes of these commands, in the order asked.
    fn envelopes(&self, ids: Vec<CommandId>) -> Answer<'_, Vec<Vec<u8>>>;
}
