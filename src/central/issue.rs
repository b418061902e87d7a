//! The last steps of every command: numbered, signed, kept, and sent.

use std::collections::BTreeSet;

use super::announce::Refused;
use super::app::App;
use super::store::{Ended, NewCommand, StoreError};
use loaxa_heart::decide::delivery::{CommandKind, DocumentName};
use loaxa_heart::domain::ids::{BoxId, CommandId, GroupId, KeyId};
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::wire::codec::{self, Message};
use loaxa_heart::wire::messages::{Body, Command, MESSAGE_BYTES_MAX, VERSION};

/// How much earlier than its issue a command begins, so that a box whose clock is a little late plays it at once.
const CLOCK_LATE_MAX: Span = Span::secs(300);

/// A command without number and signature.
#[derive(Debug, Clone)]
pub struct Draft {
    pub kind: CommandKind,
    pub groups: Vec<GroupId>,
    pub now: Wall,
    pub expires: Wall,
    pub author: String,
    pub approver: Option<String>,
    pub title: String,
    pub body: Body,
    /// Announcements that this one ends.
    pub ends: Vec<(CommandId, Ended)>,
    /// The document that it carries, and its version.
    pub document: Option<(DocumentName, u32)>,
}

impl Draft {
    /// What a command that was drafted for people to sign came from; `None` for what is not drafted.
    pub fn of(command: &Command) -> Option<Self> {
        let (kind, title, ends, document) = match &command.body {
            Body::Announce { title, supersedes, .. } => {
                let ends = supersedes.iter().map(|id| (id.clone(), Ended::Superseded)).collect();
                (CommandKind::Announce, title.clone(), ends, None)
            }
            Body::Policy(policy) => {
                let document = Some((DocumentName::Policy, policy.version));
                (CommandKind::Other, format!("policy {}", policy.version), Vec::new(), document)
            }
            _ => return None,
        };
        Some(Self {
            kind,
            groups: command.groups.clone(),
            now: command.issued_at,
            expires: command.expires,
            author: command.author.clone(),
            approver: command.approver.clone(),
            title,
            body: command.body.clone(),
            ends,
            document,
        })
    }
}

/// Numbers, signs, keeps and sends a command, in this order: what was sent is always known here.
///
/// # Errors
/// When the keys on this machine may not, or it is too large for a box.
pub async fn issue(app: &App, draft: Draft) -> Result<CommandId, Refused> {
    let unsigned = command(&draft, app.authority.central_id(), 0);
    unsigned.check().map_err(Refused::Senseless)?;
    let signers =
        app.authority.signers(unsigned.power(), &unsigned.groups, draft.now).map_err(Refused::Authority)?;
    let serial = app.store.next_serial(signers.issuer()).await?;
    let command = Command { issuer: signers.issuer(), serial, ..unsigned };
    let envelope = signers.seal(&command).map_err(Refused::Authority)?;
    keep_and_send(app, &draft, &command, envelope).await
}

/// The command that a draft becomes.
pub fn command(draft: &Draft, issuer: KeyId, serial: u64) -> Command {
    Command {
        v: VERSION,
        id: new_id(draft.now),
        issuer,
        serial,
        issued_at: draft.now,
        groups: draft.groups.clone(),
        not_before: draft.now.minus(CLOCK_LATE_MAX),
        expires: draft.expires,
        author: draft.author.clone(),
        approver: draft.approver.clone(),
        critical: Vec::new(),
        body: draft.body.clone(),
    }
}

/// Keeps a signed command, and sends it.
///
/// # Errors
/// When it is too large for a box, or the store does not answer.
pub async fn keep_and_send(
    app: &App,
    draft: &Draft,
    command: &Command,
    envelope: Vec<u8>,
) -> Result<CommandId, Refused> {
    if envelope.len() > MESSAGE_BYTES_MAX {
        return Err(Refused::TooLarge);
    }
    let announces = match &command.body {
        Body::Announce { class, mode, .. } => Some((*class, *mode)),
        _ => None,
    };
    let (class, mode) = announces.unzip();
    let kept = NewCommand {
        id: command.id.clone(),
        kind: draft.kind,
        issuer: command.issuer.clone(),
        serial: command.serial,
        issued_at: command.issued_at,
        expires: command.expires,
        groups: command.groups.clone(),
        title: draft.title.clone(),
        class,
        mode,
        author: command.author.clone(),
        approver: command.approver.clone(),
        payload: String::from_utf8(codec::encode(command)).expect("JSON is UTF-8"),
        envelope: envelope.clone(),
        ends: draft.ends.clone(),
        document: draft.document.clone(),
        boxes: boxes_in(app, &command.groups).await?,
    };
    app.store.add_command(kept).await?;
    app.publisher.to_groups(&command.groups, &envelope);
    tracing::info!(id = %command.id, what = what(&command.body), "sent a command");
    Ok(command.id.clone())
}

fn what(body: &Body) -> &str {
    match body {
        Body::Announce { title, .. } => title,
        Body::Cancel { of: Some(_) } => "cancel",
        Body::Cancel { of: None } => "stop everything",
        Body::Programme { .. } => "programme",
        Body::Policy(_) => "policy",
        Body::Groups { .. } => "groups",
        Body::Live { .. } => "live voice",
        Body::Test => "test",
    }
}

async fn boxes_in(app: &App, groups: &[GroupId]) -> Result<Vec<BoxId>, StoreError> {
    let wanted: BTreeSet<_> = groups.iter().collect();
    let boxes = app.store.boxes().await?;
    let reached = |own: &[GroupId]| app.groups_of(own).iter().any(|group| wanted.contains(group));
    Ok(boxes.into_iter().filter(|row| reached(&row.groups)).map(|row| row.id).collect())
}

/// Date and time in Vietnam and 32 random bits: readable, and in order when sorted.
fn new_id(now: Wall) -> CommandId {
    let mut random = [0; 4];
    getrandom::fill(&mut random).expect("the system gives randomness");
    let id = format!("{}-{:08x}", now.local().format("%Y%m%d-%H%M%S"), u32::from_be_bytes(random));
    CommandId::new(id).expect("digits, hyphens and hex digits are a name")
}
