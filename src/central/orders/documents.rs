//! Documents stay in force until a newer version takes their place: programmes, limits, and which box is in which group.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::issue::{Draft, issue};
use super::refused::{Refused, known_groups};
use crate::app::App;
use crate::media;
use crate::store::{BoxRow, StoreError};
use loaxa_heart::config::problem::{Problem, Problems};
use loaxa_heart::config::programme_file::{self, Audio};
use loaxa_heart::decide::delivery::{CommandKind, Document, DocumentName, HELD_MAX};
use loaxa_heart::decide::schedule::Calendar;
use loaxa_heart::domain::announcement::{Media, PreparedItem};
use loaxa_heart::domain::ids::{BoxId, CommandId, ContentHash, GroupId, PreparedId};
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::programme::Programme;
use loaxa_heart::domain::software::Software;
use loaxa_heart::domain::sound::Pattern;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::Say;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command};

/// Time for which a document can be sent to boxes that lack it; boxes refuse commands that live longer than 400 days.
const LIVES: Span = Span::secs(399 * 86_400);

/// Most tries to send a document while others send one of its name in the same moment.
pub const TRIES_MAX: u32 = 8;

/// A programme as staff send it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgrammeAsked {
    pub toml: String,
    /// The uploaded audio of each path that the programme names.
    #[serde(default)]
    pub media: BTreeMap<String, ContentHash>,
    #[serde(default)]
    pub author: Option<String>,
    #[serde(default)]
    pub approver: Option<String>,
}

/// Limits as staff send them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyAsked {
    pub to: Vec<GroupId>,
    /// Version 0 takes the next one.
    pub policy: Policy,
    #[serde(default)]
    pub author: Option<String>,
    #[serde(default)]
    pub approver: Option<String>,
}

/// A message to be kept ready on boxes; its audio was uploaded or spoken before.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreparedMessage {
    pub id: PreparedId,
    pub title: String,
    pub language: String,
    pub audio: ContentHash,
    #[serde(default)]
    pub siren: Option<Pattern>,
}

/// The whole list of messages that boxes are to keep ready, the most important first.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreparedAsked {
    pub to: Vec<GroupId>,
    pub messages: Vec<PreparedMessage>,
    #[serde(default)]
    pub author: Option<String>,
    #[serde(default)]
    pub approver: Option<String>,
}

/// The boxes that change their groups, and their new groups; all others stay where they are.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupsAsked {
    #[serde(default)]
    pub members: BTreeMap<BoxId, Vec<GroupId>>,
    #[serde(default)]
    pub author: Option<String>,
    #[serde(default)]
    pub approver: Option<String>,
}

/// A document that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub id: CommandId,
    pub name: DocumentName,
    pub version: u32,
}

/// Checks, keeps and sends a programme to the group that it names.
///
/// # Errors
/// Gives a sentence for the person who asked; nothing was sent then.
pub async fn send_programme(app: &App, asked: ProgrammeAsked) -> Result<Sent, Refused> {
    send(app, draft_programme(app, asked).await?).await
}

/// Makes a command with a programme that is not signed yet.
///
/// # Errors
/// As [`send_programme`]; the keys are not asked.
pub async fn draft_programme(app: &App, asked: ProgrammeAsked) -> Result<Draft, Refused> {
    let CheckedProgramme { programme, media } = check_programme(app, &asked).await?;
    let (id, version) = (programme.id, programme.version);
    let name = DocumentName::Programme(id.clone());
    let mut groups = vec![programme.group];
    let documents = app.store.documents(app.now()).await?;
    // Boxes of the group that had it before learn that it is not theirs any more.
    groups.extend(of_name(&documents, &name).flat_map(|earlier| earlier.groups.clone()));
    groups.sort();
    groups.dedup();
    let body = Body::Programme { programme: id, version, toml: asked.toml, media };
    Ok(document(app, (name, version), programme.title, groups, body, (asked.author, asked.approver)))
}

/// A programme that boxes will read, with the audio of each path that it names.
pub struct CheckedProgramme {
    pub programme: Programme,
    media: BTreeMap<String, Media>,
}

/// Checks a programme that staff want to send.
///
/// # Errors
/// Gives a sentence for the person who asked.
pub async fn check_programme(app: &App, asked: &ProgrammeAsked) -> Result<CheckedProgramme, Refused> {
    let mut media = BTreeMap::new();
    for (path, hash) in &asked.media {
        let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        let row = app.store.media(*hash).await?.filter(|_| plain);
        let row = row.ok_or_else(|| Refused::NoSuchMedia(path.clone()))?;
        media.insert(path.clone(), media::reference(&row));
    }
    let programme = read_programme(&asked.toml, &media)?;
    known_groups(app, std::slice::from_ref(&programme.group))?;
    let (name, offered) = (DocumentName::Programme(programme.id.clone()), programme.version);
    let documents = app.store.documents(app.now()).await?;
    match of_name(&documents, &name).map(|earlier| earlier.version).max() {
        Some(sent) if sent >= offered => Err(Refused::NotNewer { name, sent, offered }),
        _ => Ok(CheckedProgramme { programme, media }),
    }
}

/// Reads a programme as a box does, so that no box refuses it.
pub(super) fn read_programme(toml: &str, media: &BTreeMap<String, Media>) -> Result<Programme, Refused> {
    parse_programme(toml, media).map_err(|problems| Refused::BadProgramme(problems.say()))
}

/// Reads a programme as a box does.
///
/// # Errors
/// Lists all that is wrong with it, by line.
pub fn parse_programme(toml: &str, media: &BTreeMap<String, Media>) -> Result<Programme, Problems> {
    let base = Path::new("sent");
    let lengths: BTreeMap<PathBuf, u32> =
        media.iter().map(|(path, media)| (base.join(path), media.ms)).collect();
    let probe = |path: &Path| lengths.get(path).copied().ok_or_else(|| said!("order.not_sent_along"));
    let programme = programme_file::parse(toml, "programme", base, Audio::Sent(&probe))?;
    Calendar::new(Arc::new(programme.clone())).map_err(|rule| Problem::of_file("programme", rule.say()))?;
    Ok(programme)
}

/// Checks, numbers, keeps and sends limits to the guards of boxes.
///
/// # Errors
/// Gives a sentence for the person who asked; nothing was sent then.
pub async fn send_policy(app: &App, asked: PolicyAsked) -> Result<Sent, Refused> {
    send(app, draft_policy(app, asked).await?).await
}

/// Makes a command with limits that is not signed yet.
///
/// # Errors
/// As [`send_policy`]; the keys are not asked.
pub async fn draft_policy(app: &App, asked: PolicyAsked) -> Result<Draft, Refused> {
    known_groups(app, &asked.to)?;
    let name = DocumentName::Policy;
    let newest = newest_version(app, &name).await?;
    let version = if asked.policy.version == 0 { newest + 1 } else { asked.policy.version };
    if version <= newest {
        return Err(Refused::NotNewer { name, sent: newest, offered: version });
    }
    let body = Body::Policy(Policy { version, ..asked.policy });
    let title = format!("policy {version}");
    Ok(document(app, (name, version), title, asked.to, body, (asked.author, asked.approver)))
}

/// Checks, numbers, keeps and sends the whole list of prepared messages to the groups that it names. Boxes fetch the
/// audio beforehand and keep it.
///
/// # Errors
/// Gives a sentence for the person who asked; nothing was sent then.
pub async fn send_prepared(app: &App, asked: PreparedAsked) -> Result<Sent, Refused> {
    known_groups(app, &asked.to)?;
    let name = DocumentName::Prepared;
    let version = newest_version(app, &name).await? + 1;
    let mut items = Vec::new();
    for PreparedMessage { id, title, language, audio, siren } in asked.messages {
        let row = app.store.media(audio).await?;
        let row = row.ok_or_else(|| Refused::NoSuchMedia(audio.to_string()))?;
        items.push(PreparedItem { id, title, language, media: media::reference(&row), siren });
    }
    let body = Body::Prepared { version, items };
    let title = format!("prepared {version}");
    send(app, document(app, (name, version), title, asked.to, body, (asked.author, asked.approver))).await
}

/// Numbers, keeps and sends the order to run a release.
///
/// # Errors
/// Gives a sentence for the person who asked; nothing was sent then.
pub async fn send_software(
    app: &App,
    software: Software,
    to: Vec<GroupId>,
    author: String,
) -> Result<Sent, Refused> {
    let (name, version) = (DocumentName::Software, software.version);
    let title = format!("software {}", software.release);
    let body = Body::Software(software);
    send(app, document(app, (name, version), title, to, body, (Some(author), None))).await
}

/// Moves boxes to other groups, and tells all boxes where they belong.
///
/// # Errors
/// Gives a sentence for the person who asked; nothing was moved and sent then.
pub async fn send_groups(app: &Arc<App>, asked: GroupsAsked) -> Result<Sent, Refused> {
    let mut tries = TRIES_MAX;
    loop {
        match try_to_send_groups(app, asked.clone()).await {
            // Somebody else sent the groups meanwhile: the boxes are where that puts them, and this goes on from there.
            Err(Refused::NotNewer { .. }) if tries > 1 => tries -= 1,
            done => return done,
        }
    }
}

async fn try_to_send_groups(app: &Arc<App>, asked: GroupsAsked) -> Result<Sent, Refused> {
    send(app, draft_groups(app, asked).await?).await
}

/// Makes a command with all groups that is not signed yet.
///
/// # Errors
/// As [`send_groups`]; the keys are not asked.
pub async fn draft_groups(app: &App, asked: GroupsAsked) -> Result<Draft, Refused> {
    let name = DocumentName::Groups;
    // Before the boxes are read: where they are moved meanwhile, this version is no longer the next one.
    let version = newest_version(app, &name).await? + 1;
    let mut members: BTreeMap<BoxId, Vec<GroupId>> =
        app.store.boxes().await?.into_iter().map(|row| (row.id, row.groups)).collect();
    for (id, groups) in &asked.members {
        known_groups(app, groups)?;
        *members.get_mut(id).ok_or_else(|| Refused::NoSuchBox(id.clone()))? = groups.clone();
    }
    for groups in members.values_mut() {
        *groups = app.groups_of(groups);
    }
    let body = Body::Groups { version, members };
    let title = format!("groups {version}");
    let by = (asked.author, asked.approver);
    let draft = document(app, (name, version), title, app.settings.top_groups(), body, by);
    Ok(Draft { moves: asked.members.into_iter().collect(), ..draft })
}

/// Sends the groups anew if boxes were enrolled into other groups since. Does nothing as long as groups were never sent:
/// boxes are then in the groups of their own configuration.
///
/// # Errors
/// As [`send_groups`].
pub async fn groups_follow_enrolment(app: &Arc<App>) -> Result<Option<Sent>, Refused> {
    let documents = app.store.documents(app.now()).await?;
    let Some(newest) = of_name(&documents, &DocumentName::Groups).last() else { return Ok(None) };
    let Some(row) = app.store.command(newest.command.clone()).await? else { return Ok(None) };
    let Ok(Command { body: Body::Groups { members, .. }, .. }) = codec::decode(row.payload.as_bytes()) else {
        return Ok(None);
    };
    let moved =
        |row: &BoxRow| members.get(&row.id).is_none_or(|groups| *groups != app.groups_of(&row.groups));
    match app.store.boxes().await?.iter().any(moved) {
        true => send_groups(app, GroupsAsked::default()).await.map(Some),
        false => Ok(None),
    }
}

/// Finds the newest version that was sent, or that a box says it holds: a central that lost its database must not begin
/// at 1.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn newest_version(app: &App, name: &DocumentName) -> Result<u32, StoreError> {
    let sent = app.store.documents(app.now()).await?;
    let sent = of_name(&sent, name).map(|document| document.version).max();
    let held = app.store.boxes().await?.into_iter().filter_map(|row| Some(name.held(&row.holds?)));
    let held = held.filter(|version| *version <= HELD_MAX).max();
    Ok(sent.max(held).unwrap_or(0))
}

fn of_name<'a>(documents: &'a [Document], name: &'a DocumentName) -> impl Iterator<Item = &'a Document> {
    documents.iter().filter(move |document| document.name == *name)
}

/// The names of a document's writer and approver, for the log.
type By = (Option<String>, Option<String>);

fn document(
    app: &App,
    (name, version): (DocumentName, u32),
    title: String,
    groups: Vec<GroupId>,
    body: Body,
    (author, approver): By,
) -> Draft {
    let now: Wall = app.now();
    Draft {
        kind: CommandKind::Other,
        groups,
        now,
        expires: now.plus(LIVES),
        author: author.unwrap_or_default(),
        approver,
        title,
        body,
        ends: Vec::new(),
        document: Some((name, version)),
        moves: Vec::new(),
    }
}

/// Signs, keeps and sends a document.
///
/// # Errors
/// As [`issue`].
pub async fn send(app: &App, draft: Draft) -> Result<Sent, Refused> {
    let (name, version) = draft.document.clone().expect("what is sent here is a document");
    Ok(Sent { id: issue(app, draft).await?, name, version })
}
