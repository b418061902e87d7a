//! The texts that staff change: what is in force, or the proposal that is open for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::not_proposal::NotProposal;
use crate::app::App;
use crate::media;
use crate::orders::documents::parse_programme;
use crate::store::{ProposalContent, ProposalKind, ProposalRow, StoreError};
use loaxa_heart::config::problem::Problems;
use loaxa_heart::decide::delivery::{Document, DocumentName};
use loaxa_heart::domain::announcement::Media;
use loaxa_heart::domain::ids::{BoxId, CommandId, ContentHash, GroupId, ProgrammeId};
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::programme::Programme;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command};

/// A document as it is to be changed.
#[derive(Debug, Clone)]
pub struct Basis {
    pub content: ProposalContent,
    pub digest: ContentHash,
    /// `None` where nobody has begun to change it.
    pub proposal: Option<ProposalRow>,
    /// The content that is in force, and its version; `None` for a document that was never sent.
    pub in_force: Option<(ProposalContent, u32)>,
}

/// Limits with the groups that they are for, as TOML.
#[derive(Serialize)]
struct LimitsText<'a> {
    to: &'a [GroupId],
    policy: &'a Policy,
}

/// Boxes with their groups, as TOML.
#[derive(Serialize)]
struct GroupsText {
    members: BTreeMap<BoxId, Vec<GroupId>>,
}

/// Finds the text of a programme: the open proposal, or what is in force.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn of_programme(app: &App, id: &ProgrammeId) -> Result<Option<Basis>, StoreError> {
    find(app, ProposalKind::Programme, id.as_str()).await
}

/// Finds the text of a document of any kind; limits and groups that were never sent have a first one.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn find(app: &App, kind: ProposalKind, subject: &str) -> Result<Option<Basis>, StoreError> {
    let open = app.store.open_proposals().await?;
    let proposal = open.into_iter().find(|row| row.content.kind == kind && row.content.subject == subject);
    let in_force = match kind {
        ProposalKind::Groups => Some(groups_now(app).await?),
        _ => newest(app, kind, subject).await?,
    };
    let content = match (&proposal, &in_force, kind) {
        (Some(row), ..) => row.content.clone(),
        (None, Some((content, _)), _) => content.clone(),
        (None, None, ProposalKind::Policy) if subject == kind.code() => {
            limits(&app.settings.top_groups(), &Policy::default())
        }
        (None, None, _) => return Ok(None),
    };
    Ok(Some(Basis { digest: content.digest(), content, proposal, in_force }))
}

async fn newest(
    app: &App,
    kind: ProposalKind,
    subject: &str,
) -> Result<Option<(ProposalContent, u32)>, StoreError> {
    let top = app.settings.top_groups();
    let of_place = subject.parse::<GroupId>().ok().filter(|_| subject != ProposalKind::Policy.code());
    let above = of_place.map(|group| app.groups_of(&[group]));
    // Limits of one place are those that reach it; of the commune, those that reach all of it.
    let reaches = |groups: &[GroupId]| match &above {
        Some(above) => groups.iter().any(|group| above.contains(group)),
        None => top.iter().all(|group| groups.contains(group)),
    };
    let named = |document: &&Document| match (&document.name, kind) {
        (DocumentName::Programme(id), ProposalKind::Programme) => id.as_str() == subject,
        (DocumentName::Policy, ProposalKind::Policy) => true,
        _ => false,
    };
    let documents = app.store.documents(app.now()).await?;
    let by_version = |document: &&Document| document.version;
    let meant = documents
        .iter()
        .filter(named)
        .filter(|document| kind != ProposalKind::Policy || reaches(&document.groups));
    let any = || documents.iter().filter(named).max_by_key(by_version).filter(|_| above.is_none());
    let Some(newest) = meant.max_by_key(by_version).or_else(any) else { return Ok(None) };
    Ok(content_of(app, &newest.command).await?.map(|content| (content, newest.version)))
}

/// The content of a command that was sent.
pub(super) async fn content_of(app: &App, id: &CommandId) -> Result<Option<ProposalContent>, StoreError> {
    let row = app.store.command(id.clone()).await?;
    let command = row.and_then(|row| codec::decode::<Command>(row.payload.as_bytes()).ok());
    Ok(command.and_then(|command| match command.body {
        Body::Programme { programme, toml, media, .. } => Some(ProposalContent {
            kind: ProposalKind::Programme,
            subject: programme.to_string(),
            groups: command.groups,
            text: toml,
            media: media.into_iter().map(|(path, media)| (path, media.sha256)).collect(),
        }),
        Body::Policy(policy) => Some(limits(&command.groups, &policy)),
        _ => None,
    }))
}

pub(super) fn limits(to: &[GroupId], policy: &Policy) -> ProposalContent {
    ProposalContent {
        kind: ProposalKind::Policy,
        subject: ProposalKind::Policy.code().to_owned(),
        groups: to.to_vec(),
        text: toml::to_string(&LimitsText { to, policy }).unwrap_or_default(),
        media: BTreeMap::new(),
    }
}

async fn groups_now(app: &App) -> Result<(ProposalContent, u32), StoreError> {
    let version = crate::orders::documents::newest_version(app, &DocumentName::Groups).await?;
    let members = app.store.boxes().await?.into_iter().map(|row| (row.id, row.groups)).collect();
    let content = ProposalContent {
        kind: ProposalKind::Groups,
        subject: ProposalKind::Groups.code().to_owned(),
        groups: app.settings.top_groups(),
        text: toml::to_string(&GroupsText { members }).unwrap_or_default(),
        media: BTreeMap::new(),
    };
    Ok((content, version))
}

/// Reads a programme's text with its audio; what was read lately is not read again.
///
/// # Errors
/// Lists all that is wrong with it, by line.
pub async fn read(app: &App, content: &ProposalContent) -> Result<Arc<Programme>, NotProposal> {
    let digest = content.digest();
    if let Some(known) = app.programmes.find(digest) {
        return Ok(known);
    }
    let mut media: BTreeMap<String, Media> = BTreeMap::new();
    for (path, hash) in &content.media {
        if let Some(row) = app.store.media(*hash).await? {
            media.insert(path.clone(), media::reference(&row));
        }
    }
    let text = content.text.clone();
    // Looking for slots that meet goes through years of days.
    let parsed: Result<Programme, Problems> =
        tokio::task::spawn_blocking(move || parse_programme(&text, &media))
            .await
            .map_err(|_| NotProposal::NoSuch)?;
    let programme = Arc::new(parsed?);
    app.programmes.keep(digest, Arc::clone(&programme));
    Ok(programme)
}
