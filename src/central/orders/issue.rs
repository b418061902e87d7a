//! The last steps of every command: numbered, signed, kept, and sent.

use std::collections::BTreeSet;

use super::refused::Refused;
use crate::app::App;
use crate::changes::Changed;
use crate::store::{
    AlertPart, Approval, Approved, Basis, Ended, Errand, Kept, NewCommand, StoreError, urgently,
};
use loaxa_heart::decide::delivery::{CommandKind, DocumentName};
use loaxa_heart::domain::authority::{Ender, Power};
use loaxa_heart::domain::ids::{BoxId, CommandId, GroupId, KeyId};
use loaxa_heart::domain::local_emergency::LocalEmergency;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::wire::codec::{self, Message};
use loaxa_heart::wire::messages::{Body, Command, MESSAGE_BYTES_MAX, VERSION};

/// The time before its issue at which a command begins, so that a box whose clock is a little late plays it at once.
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
    /// Boxes that it puts into other groups.
    pub moves: Vec<(BoxId, Vec<GroupId>)>,
}

/// Returns the title of a standing order; one that takes it back has only its version.
pub fn title_of_standing(version: u32, order: Option<&LocalEmergency>) -> String {
    order.map_or_else(|| format!("local emergency {version}"), |order| order.title.clone())
}

impl Draft {
    /// Restores the draft of a command that people signed; `None` for kinds of command that are never drafted.
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
            Body::LocalEmergency { version, order } => {
                let document = Some((DocumentName::LocalEmergency, *version));
                let title = title_of_standing(*version, order.as_ref());
                (CommandKind::Other, title, Vec::new(), document)
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
            moves: Vec::new(),
        })
    }
}

/// Numbers, signs, keeps and sends a command, in this order, so that everything sent is in the store.
///
/// # Errors
/// Fails when the keys on this machine may not, or it is too large for a box.
pub async fn issue(app: &App, draft: Draft) -> Result<CommandId, Refused> {
    issue_with(app, draft, None).await
}

/// Issues a command in the very step that approves what it is made of: of many approvals and withdrawals at once, one counts.
///
/// # Errors
/// As [`issue`]; and fails when that is not what was approved any more.
pub async fn issue_approved(app: &App, draft: Draft, approval: Approval) -> Result<CommandId, Refused> {
    issue_with(app, draft, Some(Basis::Approval(approval))).await
}

/// Issues what says a part of an alert, in the very step that takes note of it: of several centrals one says it.
///
/// # Errors
/// As [`issue`]; and fails when that part is not for this central to say any more.
pub async fn issue_part(app: &App, draft: Draft, part: AlertPart) -> Result<CommandId, Refused> {
    issue_with(app, draft, Some(Basis::Alert(part))).await
}

async fn issue_with(app: &App, mut draft: Draft, basis: Option<Basis>) -> Result<CommandId, Refused> {
    let unsigned = command(&draft, app.keyring.central_id(), 0);
    unsigned.check().map_err(Refused::Senseless)?;
    let signers =
        app.keyring.signers(unsigned.power(), &unsigned.groups, draft.now).map_err(Refused::Authority)?;
    check_moves(app, &draft, &signers.ids()).await?;
    settle_ends(app, &mut draft, signers.ids()).await?;
    let errand = Errand { is_urgent: unsigned.is_urgent() || Errand::of_now().is_urgent, ..Errand::of_now() };
    let serial = errand.run(app.store.next_serial(signers.issuer())).await?;
    let command = Command { issuer: signers.issuer(), serial, ..unsigned };
    let envelope = signers.seal(&command).map_err(Refused::Authority)?;
    keep(app, &draft, &command, envelope, basis).await
}

/// Checks that these signers may move the boxes of a draft, as each box will check it.
async fn check_moves(app: &App, draft: &Draft, signers: &[KeyId]) -> Result<(), Refused> {
    let boxes = if draft.moves.is_empty() { Vec::new() } else { app.store.boxes().await? };
    for (id, groups) in &draft.moves {
        let Some(row) = boxes.iter().find(|row| row.id == *id) else { continue };
        let [from, to] = [&row.groups, groups].map(|own| app.groups_of(own).into_iter().collect());
        app.keyring.trust().may_move(signers, &from, &to, Some(draft.now)).map_err(Refused::Authority)?;
    }
    Ok(())
}

/// Leaves out of a stop what these signers may not end: the boxes go on with it.
///
/// # Errors
/// Fails when it names one announcement that they may not end.
pub async fn settle_ends(app: &App, draft: &mut Draft, signers: Vec<KeyId>) -> Result<(), Refused> {
    let mode = match &draft.body {
        Body::Announce { mode, .. } => Some(*mode),
        _ => None,
    };
    let is_stop = matches!(draft.body, Body::Cancel { of: None });
    let Some(issuer) = signers.first().cloned() else { return Ok(()) };
    let by = Ender { issuer, signers, mode };
    let mut ends = Vec::new();
    for (id, ended) in std::mem::take(&mut draft.ends) {
        let row = match app.store.command(id.clone()).await {
            // A later version's announcement; each box judges for itself whether the stop ends it.
            Err(StoreError::Sql(_)) if is_stop => None,
            row => row?,
        };
        let announced = row.and_then(|row| Some((Power::to_announce(row.class?, row.mode?), row.groups)));
        let may =
            announced.map_or(Ok(()), |(power, groups)| app.keyring.trust().may_end(&by, power, &groups));
        match may {
            Ok(()) => ends.push((id, ended)),
            Err(_) if is_stop => {}
            Err(reason) => return Err(Refused::MayNotEnd { id, reason }),
        }
    }
    draft.ends = ends;
    Ok(())
}

/// Makes the command of a draft, not signed yet.
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

/// Keeps a signed command, and sends it; one that is kept already was sent by whoever kept it.
///
/// # Errors
/// Fails when it is too large for a box, a newer document of its name was sent meanwhile, or the store does not answer.
pub async fn keep_and_send(
    app: &App,
    draft: &Draft,
    command: &Command,
    envelope: Vec<u8>,
) -> Result<CommandId, Refused> {
    keep(app, draft, command, envelope, None).await
}

/// Keeps and sends the command of a notice that its approver signed, in the very step that approves it.
///
/// # Errors
/// As [`issue_approved`].
pub async fn send_approved(
    app: &App,
    draft: &Draft,
    command: &Command,
    envelope: Vec<u8>,
    approval: Approval,
) -> Result<CommandId, Refused> {
    keep(app, draft, command, envelope, Some(Basis::Approval(approval))).await
}

async fn keep(
    app: &App,
    draft: &Draft,
    command: &Command,
    envelope: Vec<u8>,
    basis: Option<Basis>,
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
        moves: draft.moves.clone(),
        boxes: boxes_in(app, &command.groups, command.is_urgent()).await?,
        basis,
    };
    let (approved, is_of_alert) = match &kept.basis {
        Some(Basis::Approval(approval)) => (Some(approval.of.clone()), false),
        Some(Basis::Alert(_)) => (None, true),
        None => (None, false),
    };
    let fate = match command.is_urgent() && approved.is_none() {
        true => keep_or_owe(app, kept).await?,
        false => app.store.add_command(kept).await?,
    };
    match (fate, &draft.document) {
        (Kept::Now, _) => {
            app.outbound.to_groups(command, &envelope, command.is_urgent());
            app.changes.tell(Changed::Announcements);
            tracing::info!(id = %command.id, what = what(&command.body), "sent a command");
        }
        (Kept::Overtaken, Some(_)) if matches!(approved, Some(Approved::Proposal(_))) => {
            return Err(Refused::ProposalChanged);
        }
        (Kept::Overtaken, Some((name, version))) => {
            return Err(Refused::NotNewer { name: name.clone(), sent: *version, offered: *version });
        }
        (Kept::Overtaken, None) if approved.is_some() => return Err(Refused::NoticeChanged),
        (Kept::Overtaken, None) if is_of_alert => return Err(Refused::AlertChanged),
        // Somebody else sent it in the same moment.
        (Kept::Before | Kept::Overtaken, _) => {}
    }
    Ok(command.id.clone())
}

/// Keeps an urgent command; one that the disk refuses is sent all the same, and written when the disk takes it.
async fn keep_or_owe(app: &App, command: NewCommand) -> Result<Kept, Refused> {
    match urgently(app.store.add_command(command.clone())).await {
        Err(StoreError::Closed) => Err(StoreError::Closed.into()),
        Err(error) => {
            tracing::error!(id = %command.id, %error, "an urgent command goes out although the disk refuses it");
            app.owed.keep(command);
            Ok(Kept::Now)
        }
        Ok(kept) => Ok(kept),
    }
}

fn what(body: &Body) -> &str {
    match body {
        Body::Announce { title, .. } => title,
        Body::Cancel { of: Some(_) } => "cancel",
        Body::Cancel { of: None } => "stop everything",
        Body::Programme { .. } => "programme",
        Body::Policy(_) => "policy",
        Body::Prepared { .. } => "prepared messages",
        Body::LocalEmergency { .. } => "local emergency",
        Body::Software(_) => "software",
        Body::Groups { .. } => "groups",
        Body::Live { .. } => "live voice",
        Body::Test => "test",
    }
}

async fn boxes_in(app: &App, groups: &[GroupId], is_urgent: bool) -> Result<Vec<BoxId>, StoreError> {
    let wanted: BTreeSet<_> = groups.iter().collect();
    let errand = Errand { is_urgent: is_urgent || Errand::of_now().is_urgent, ..Errand::of_now() };
    let boxes = errand.run(app.store.boxes()).await?;
    let reached = |own: &[GroupId]| app.groups_of(own).iter().any(|group| wanted.contains(group));
    Ok(boxes.into_iter().filter(|row| reached(&row.groups)).map(|row| row.id).collect())
}

/// Makes an id of date and time in Vietnam and 32 random bits: readable, and in order when sorted.
fn new_id(now: Wall) -> CommandId {
    let mut random = [0; 4];
    getrandom::fill(&mut random).expect("the system gives randomness");
    let id = format!("{}-{:08x}", now.local().format("%Y%m%d-%H%M%S"), u32::from_be_bytes(random));
    CommandId::new(id).expect("digits, hyphens and hex digits are a name")
}
