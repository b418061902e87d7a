//! From what staff ask for to a signed command: checked, kept, and sent.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use super::app::App;
use super::issue::{Draft, issue};
use super::media::{self, MediaRefusal};
use super::store::{Ended, MediaRow, StoreError};
use loaxa_heart::decide::delivery::{CommandKind, DocumentName};
use loaxa_heart::domain::announcement::{BulletinClass, Interruption, Mode, PlayPlan, Repeats, Words};
use loaxa_heart::domain::ids::{BoxId, CommandId, GroupId};
use loaxa_heart::domain::playback::CommandRefusal;
use loaxa_heart::domain::sound::{Fault, Pattern};
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::messages::{Body, MESSAGE_BYTES_MAX};
use loaxa_sound::tts::Speech;

/// Longest life of an announcement.
const EXPIRES_IN_MAX: Span = Span::secs(30 * 86_400);

/// How long a speech engine may take.
const SPEECH_MS_MAX: u64 = 60_000;

/// Most announcements that one `stop` looks at.
const STOP_MAX: u32 = super::store::ROWS_MAX;

/// Title of a live voice.
const VOICE_TITLE: &str = "Phát trực tiếp";

/// Longest part of a text that stands in for a title, in characters.
const TITLE_FROM_TEXT_CHARS: usize = 60;

/// What staff ask for: the `fields` of the API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub to: Vec<GroupId>,
    pub class: BulletinClass,
    #[serde(default = "actual")]
    pub mode: Mode,
    #[serde(default)]
    pub title: Option<String>,
    /// Words to be spoken; beside audio, what a box speaks that can't get the audio.
    #[serde(default)]
    pub text: Option<String>,
    #[serde(default = "vietnamese")]
    pub language: String,
    /// When it is to sound; without it, as soon as its class allows.
    #[serde(default)]
    pub at: Option<Wall>,
    #[serde(default = "once")]
    pub repeat: u16,
    /// Sounds until it is cancelled or expires.
    #[serde(default)]
    pub until_cancelled: bool,
    #[serde(default = "gap")]
    pub gap_s: u32,
    #[serde(default)]
    pub opening: Opening,
    #[serde(default = "full")]
    pub volume_percent: u8,
    #[serde(default)]
    pub expires_in_s: Option<u32>,
    #[serde(default)]
    pub supersedes: Option<CommandId>,
    /// Who wrote it, for the log.
    #[serde(default)]
    pub author: Option<String>,
    #[serde(default)]
    pub approver: Option<String>,
}

/// What sounds before the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opening {
    #[default]
    Chime,
    Siren,
    None,
}

const fn actual() -> Mode {
    Mode::Actual
}
fn vietnamese() -> String {
    "vi".to_owned()
}
const fn once() -> u16 {
    1
}
const fn gap() -> u32 {
    5
}
const fn full() -> u8 {
    100
}

/// Why it can't be done, for the person who asked.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum Refused {
    NoGroup,
    NoSuchGroup(GroupId),
    NothingToSay,
    Repeat,
    Volume,
    Past(Wall),
    ExpiresBefore(Wall),
    TooLong,
    NoSuchAnnouncement(CommandId),
    NotSpoken(Fault),
    Media(#[from] MediaRefusal),
    Authority(CommandRefusal),
    TooLarge,
    BadProgramme(Sentence),
    NoSuchMedia(String),
    NotNewer { name: DocumentName, sent: u32, offered: u32 },
    NoSuchBox(BoxId),
    Senseless(CommandRefusal),
    Store(#[from] StoreError),
}

impl Say for Refused {
    fn say(&self) -> Sentence {
        match self {
            Refused::NoGroup => said!("order.no_group"),
            Refused::NoSuchGroup(group) => said!("order.no_such_group", group),
            Refused::NothingToSay => said!("order.nothing_to_say"),
            Refused::Repeat => said!("order.repeat"),
            Refused::Volume => said!("order.volume"),
            Refused::Past(at) => said!("order.past", at),
            Refused::ExpiresBefore(at) => said!("order.expires_before", at),
            Refused::TooLong => said!("order.too_long"),
            Refused::NoSuchAnnouncement(id) => said!("order.no_such_announcement", id),
            Refused::NotSpoken(fault) => said!("order.not_spoken", fault),
            Refused::Media(error) => error.say(),
            Refused::Authority(refusal) => said!("order.authority", refusal),
            Refused::TooLarge => said!("order.too_large", max = MESSAGE_BYTES_MAX >> 10),
            Refused::BadProgramme(problems) => said!("order.bad_programme", problems),
            Refused::NoSuchMedia(name) => said!("order.no_such_media", name = name.escape_debug()),
            Refused::NotNewer { name, sent, offered } => said!("order.not_newer", name, sent, offered),
            Refused::NoSuchBox(box_id) => said!("order.no_such_box", box_id),
            Refused::Senseless(refusal) => said!("order.senseless", refusal),
            Refused::Store(error) => error.say(),
        }
    }
}

/// Speaks the text into the media folder.
///
/// # Errors
/// When the engine fails, or the disk refuses.
pub fn speak(app: &App, text: &str, language: &str) -> Result<MediaRow, Refused> {
    let speech = Speech {
        command: app.settings.speech.clone(),
        timeout_ms: SPEECH_MS_MAX,
        cache_dir: speech_folder(app),
    };
    let wav = speech.speak(text, language).map_err(Refused::NotSpoken)?;
    let mut incoming = app.media.begin().map_err(MediaRefusal::from)?;
    let bytes = std::fs::read(&wav).map_err(MediaRefusal::from)?;
    incoming.write(&bytes)?;
    Ok(app.media.finish(incoming, "speech.wav", app.now())?)
}

fn speech_folder(app: &App) -> PathBuf {
    app.settings.data_dir.join("speech")
}

/// Makes, keeps and sends an announcement.
///
/// # Errors
/// A sentence for the person who asked; nothing was sent then.
pub async fn announce(app: &Arc<App>, asked: Asked, audio: Option<MediaRow>) -> Result<CommandId, Refused> {
    issue(app, draft(app, asked, audio).await?).await
}

/// Makes an announcement that is not signed yet; its words are spoken, its audio is kept.
///
/// # Errors
/// As [`announce`], but for the keys.
pub async fn draft(app: &Arc<App>, asked: Asked, audio: Option<MediaRow>) -> Result<Draft, Refused> {
    let now = app.now();
    check(app, &asked, audio.is_some(), now)?;
    let audio = match audio {
        Some(audio) => audio,
        None => speak_apart(app, &asked).await?,
    };
    app.store.add_media(audio.clone()).await?;
    let title = asked.title.clone().unwrap_or_else(|| title_of(&asked, &audio));
    let words = asked.text.clone().map(|text| Words { text, language: asked.language.clone() });
    let body = Body::Announce {
        title: title.clone(),
        class: asked.class,
        mode: asked.mode,
        plan: plan(&asked),
        media: Some(media::reference(&audio)),
        words,
        supersedes: asked.supersedes.clone(),
        cap: None,
    };
    // Else a box that hears of it too late would go on with the earlier one.
    let replaces_until = match &asked.supersedes {
        Some(old) => app.store.command(old.clone()).await?.map_or(now, |old| old.expires),
        None => now,
    };
    let ends = asked.supersedes.iter().map(|id| (id.clone(), Ended::Superseded)).collect();
    Ok(Draft {
        kind: CommandKind::Announce,
        groups: asked.to.clone(),
        now,
        expires: now.plus(lifetime(&asked, now)).max(replaces_until),
        author: asked.author.unwrap_or_default(),
        approver: asked.approver,
        title,
        body,
        ends,
        document: None,
    })
}

/// Speaks on a thread of its own, as an engine takes its time.
async fn speak_apart(app: &Arc<App>, asked: &Asked) -> Result<MediaRow, Refused> {
    let text = asked.text.clone().ok_or(Refused::NothingToSay)?;
    let (app, language) = (Arc::clone(app), asked.language.clone());
    let spoken = tokio::task::spawn_blocking(move || speak(&app, &text, &language)).await;
    spoken.unwrap_or_else(|panic| Err(Refused::NotSpoken(Fault::NoSpeech { detail: panic.to_string() })))
}

fn check(app: &App, asked: &Asked, has_audio: bool, now: Wall) -> Result<(), Refused> {
    known_groups(app, &asked.to)?;
    let has_text = asked.text.as_ref().is_some_and(|text| !text.trim().is_empty());
    if !has_audio && !has_text {
        return Err(Refused::NothingToSay);
    }
    if asked.repeat == 0 {
        return Err(Refused::Repeat);
    }
    if asked.volume_percent > 100 {
        return Err(Refused::Volume);
    }
    if let Some(at) = asked.at.filter(|at| *at < now) {
        return Err(Refused::Past(at));
    }
    let lifetime = lifetime(asked, now);
    if lifetime > EXPIRES_IN_MAX {
        return Err(Refused::TooLong);
    }
    match asked.at {
        Some(at) if now.plus(lifetime) <= at => Err(Refused::ExpiresBefore(at)),
        _ => Ok(()),
    }
}

fn known_groups(app: &App, groups: &[GroupId]) -> Result<(), Refused> {
    if groups.is_empty() {
        return Err(Refused::NoGroup);
    }
    let known = |group: &&GroupId| app.settings.groups.iter().any(|known| known.id == **group);
    match groups.iter().find(|group| !known(group)) {
        Some(group) => Err(Refused::NoSuchGroup(group.clone())),
        None => Ok(()),
    }
}

/// How long it may wait to be played: what staff said, or from its time on as long as its class is of use.
fn lifetime(asked: &Asked, now: Wall) -> Span {
    let of_use = match asked.class {
        BulletinClass::Normal => Span::secs(24 * 3_600),
        BulletinClass::Priority => Span::secs(6 * 3_600),
        BulletinClass::Emergency => Span::secs(2 * 3_600),
    };
    let until_its_time = asked.at.map_or(Span(0), |at| at.since(now));
    asked.expires_in_s.map_or(until_its_time + of_use, |s| Span::secs(s.into()))
}

fn plan(asked: &Asked) -> PlayPlan {
    PlayPlan {
        repeats: if asked.until_cancelled { Repeats::UntilCancelled } else { Repeats::Times(asked.repeat) },
        gap_s: asked.gap_s,
        opening: match asked.opening {
            Opening::Chime => Some(Pattern::chime()),
            Opening::Siren => Some(Pattern::siren(1)),
            Opening::None => None,
        },
        volume_percent: asked.volume_percent,
        interruption: Interruption::Resume,
        at: asked.at,
    }
}

fn title_of(asked: &Asked, audio: &MediaRow) -> String {
    let text = asked.text.as_deref().unwrap_or(&audio.name);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(TITLE_FROM_TEXT_CHARS) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

/// Ends one announcement, mid-word, for good.
///
/// # Errors
/// When there is none of this id, or the keys may not.
pub async fn cancel(app: &App, id: CommandId, author: Option<String>) -> Result<CommandId, Refused> {
    let announced = app.store.command(id.clone()).await?;
    let announced = announced.ok_or_else(|| Refused::NoSuchAnnouncement(id.clone()))?;
    let now = app.now();
    let draft = Draft {
        kind: CommandKind::Cancel,
        groups: announced.groups,
        now,
        // As long as a box could still take up what it cancels.
        expires: announced.expires.max(now.plus(Span::secs(3_600))),
        author: author.unwrap_or_default(),
        approver: None,
        title: announced.title,
        body: Body::Cancel { of: Some(id.clone()) },
        ends: vec![(id, Ended::Cancelled)],
        document: None,
    };
    issue(app, draft).await
}

/// Ends everything that is not a slot, on all boxes that this commune's keys reach.
///
/// # Errors
/// When the keys may not.
pub async fn stop_all(app: &App, author: Option<String>) -> Result<CommandId, Refused> {
    let now = app.now();
    let announced = app.store.announcements(STOP_MAX).await?;
    let mut standing = Vec::new();
    for row in announced.into_iter().filter(|row| row.ended.is_none() && row.expires > now) {
        let chain = app.store.deliveries(row.id.clone()).await?;
        if chain.is_empty() || chain.iter().any(|delivery| !delivery.step.is_over()) {
            standing.push(row);
        }
    }
    let last = standing.iter().map(|row| row.expires).max().unwrap_or(now);
    let draft = Draft {
        kind: CommandKind::Cancel,
        groups: top_groups(app),
        now,
        expires: last.max(now.plus(Span::secs(3_600))),
        author: author.unwrap_or_default(),
        approver: None,
        title: String::new(),
        body: Body::Cancel { of: None },
        ends: standing.into_iter().map(|row| (row.id, Ended::Cancelled)).collect(),
        document: None,
    };
    issue(app, draft).await
}

/// Opens or closes the live voice of a session on the boxes of its groups.
///
/// # Errors
/// When there is no such group, or the keys may not.
pub async fn voice(
    app: &App,
    to: &[GroupId],
    (session, url, open): (&str, &str, bool),
    author: Option<String>,
    lasts: Span,
) -> Result<CommandId, Refused> {
    known_groups(app, to)?;
    let now = app.now();
    let draft = Draft {
        kind: CommandKind::Other,
        groups: to.to_vec(),
        now,
        expires: now.plus(lasts),
        author: author.unwrap_or_default(),
        approver: None,
        title: VOICE_TITLE.to_owned(),
        document: None,
        body: Body::Live { voice: session.to_owned(), open, url: url.to_owned() },
        ends: Vec::new(),
    };
    issue(app, draft).await
}

/// The groups that no other group holds.
pub(super) fn top_groups(app: &App) -> Vec<GroupId> {
    let top = app.settings.groups.iter().filter(|group| group.parent.is_none());
    top.map(|group| group.id.clone()).collect()
}
