//! From what staff ask for to a signed command: checked, kept, and sent.

use std::sync::Arc;

use serde::Deserialize;

use super::issue::{Draft, issue, issue_part};
use super::refused::{Refused, known_groups};
use super::speech;
use crate::app::App;
use crate::media;
use crate::store::{AlertPart, Ended, Errand, MediaRow, at_once, or_nothing};
use loaxa_heart::decide::delivery::CommandKind;
use loaxa_heart::domain::announcement::{BulletinClass, Interruption, Mode, PlayPlan, Repeats, Words};
use loaxa_heart::domain::ids::{CommandId, GroupId};
use loaxa_heart::domain::sound::Pattern;
use loaxa_heart::domain::text::clean;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::wire::codec::TEXT_BYTES_MAX;
use loaxa_heart::wire::messages::Body;

/// Longest time from the issue of an announcement to its expiry.
const EXPIRES_IN_MAX: Span = Span::secs(30 * 86_400);

/// Shortest such time: an announcement has to reach its boxes.
const EXPIRES_IN_S_MIN: u32 = 10;
/// Most repetitions; what goes on longer is cancelled by a person.
const REPEATS_MAX: u16 = 100;
/// Longest audio of an announcement; longer pieces belong into a programme.
pub const AUDIO_MS_MAX: u32 = 60 * 60_000;
/// Longest text, in seconds of speech.
const SPEECH_S_MAX: usize = 20 * 60;
/// Characters of Vietnamese that are spoken in a second, measured with espeak-ng.
const CHARS_A_SECOND: usize = 14;

/// A test that has not begun by then is given up: whoever asked for it has gone on.
const TEST_EXPIRES_S: u32 = 300;

/// Longest part of a text that stands in for a title, in characters.
const TITLE_FROM_TEXT_CHARS: usize = 60;

/// An announcement as staff ask for it: the `fields` of the API.
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
    /// The instant to sound at; without one, as soon as its class allows.
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
    /// The writer's name, for the log.
    #[serde(default)]
    pub author: Option<String>,
    #[serde(default)]
    pub approver: Option<String>,
}

/// The sound before the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opening {
    #[default]
    Chime,
    Siren,
    None,
}

impl Opening {
    /// Returns the sound.
    pub fn pattern(self) -> Option<Pattern> {
        match self {
            Opening::Chime => Some(Pattern::chime()),
            Opening::Siren => Some(Pattern::siren(1)),
            Opening::None => None,
        }
    }
}

impl Asked {
    /// A short notice that says of itself that it is a test.
    pub fn test(to: Vec<GroupId>, title: String, words: String, author: String) -> Self {
        Asked {
            to,
            class: BulletinClass::Normal,
            mode: Mode::Actual,
            title: Some(title),
            text: Some(words),
            language: vietnamese(),
            at: None,
            repeat: once(),
            until_cancelled: false,
            gap_s: gap(),
            opening: Opening::Chime,
            volume_percent: full(),
            expires_in_s: Some(TEST_EXPIRES_S),
            supersedes: None,
            author: Some(author),
            approver: None,
        }
    }
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

/// Makes, keeps and sends an announcement.
///
/// # Errors
/// Gives a sentence for the person who asked; nothing was sent then.
pub async fn announce(app: &Arc<App>, asked: Asked, audio: Option<MediaRow>) -> Result<CommandId, Refused> {
    issue_as(asked.class, async { issue(app, draft(app, asked, audio).await?).await }).await
}

/// Says a part of an alert, once, whoever says it.
///
/// # Errors
/// As [`announce`]; and fails when that part is not for this central to say any more.
pub async fn say_part(app: &Arc<App>, asked: Asked, part: AlertPart) -> Result<CommandId, Refused> {
    issue_as(asked.class, async { issue_part(app, draft(app, asked, None).await?, part).await }).await
}

/// Does in time what issues something urgent.
async fn issue_as(
    class: BulletinClass,
    issued: impl Future<Output = Result<CommandId, Refused>>,
) -> Result<CommandId, Refused> {
    let is_urgent = class == BulletinClass::Emergency || Errand::of_now().is_urgent;
    if is_urgent { at_once(issued).await } else { issued.await }
}

/// Makes an announcement that is not signed yet. Its words are spoken and its audio is kept by then.
///
/// # Errors
/// As [`announce`]; the keys are not asked.
pub async fn draft(app: &Arc<App>, asked: Asked, audio: Option<MediaRow>) -> Result<Draft, Refused> {
    let now = app.now();
    let plain = |text: Option<String>| text.map(|text| clean(&text));
    let asked = Asked { title: plain(asked.title), text: plain(asked.text), ..asked };
    check(app, &asked, audio.as_ref(), now)?;
    // Else a box that hears of it too late would go on with the earlier one.
    let replaces_until = replaces_until(app, asked.supersedes.as_ref(), now).await?;
    let audio = match audio {
        Some(audio) => audio,
        None => {
            let text = asked.text.clone().ok_or(Refused::NothingToSay)?;
            speech::speak(app, &text, asked.language.clone()).await?
        }
    };
    // Boxes fetch it from the folder, where it is.
    or_nothing(app.store.add_media(audio.clone()).await)?;
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
        moves: Vec::new(),
    })
}

/// Finds the instant until which what is superseded could sound.
async fn replaces_until(app: &App, old: Option<&CommandId>, now: Wall) -> Result<Wall, Refused> {
    let Some(old) = old else { return Ok(now) };
    let row = app.store.command(old.clone()).await?.filter(|row| row.class.is_some());
    row.map(|row| row.expires).ok_or_else(|| Refused::NoSuchAnnouncement(old.clone()))
}

fn check(app: &App, asked: &Asked, audio: Option<&MediaRow>, now: Wall) -> Result<(), Refused> {
    known_groups(app, &asked.to)?;
    check_content(asked, audio)?;
    if asked.repeat == 0 || asked.repeat > REPEATS_MAX {
        return Err(Refused::Repeat { max: REPEATS_MAX });
    }
    if let Some(seconds) = asked.expires_in_s.filter(|seconds| *seconds < EXPIRES_IN_S_MIN) {
        return Err(Refused::ExpiresAtOnce { seconds, min: EXPIRES_IN_S_MIN });
    }
    // A test is what sounds nothing; an announcement that nobody can hear is a slip.
    if asked.volume_percent == 0 || asked.volume_percent > 100 {
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

/// Checks that there is something to say, and that it is of an announcement's length.
fn check_content(asked: &Asked, audio: Option<&MediaRow>) -> Result<(), Refused> {
    let text = asked.text.as_deref().unwrap_or_default();
    match audio {
        None => check_text(text),
        Some(audio) if audio.ms > AUDIO_MS_MAX => {
            Err(Refused::AudioTooLong { minutes: audio.ms / 60_000, max: AUDIO_MS_MAX / 60_000 })
        }
        Some(_) => check_length(text.trim()),
    }
}

/// Checks that a text can be spoken.
///
/// # Errors
/// Fails when it is empty, too long, or has nothing that is read aloud.
pub fn check_text(text: &str) -> Result<(), Refused> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Refused::NothingToSay);
    }
    if !text.chars().any(char::is_alphanumeric) {
        return Err(Refused::NothingToRead);
    }
    check_length(text)
}

fn check_length(text: &str) -> Result<(), Refused> {
    let chars = text.chars().count();
    // A box takes a bounded number of bytes, which are fewer characters where each takes more of them.
    let fit = TEXT_BYTES_MAX * chars / text.len().max(1);
    let max = fit.min(SPEECH_S_MAX * CHARS_A_SECOND);
    if chars > max || text.len() > TEXT_BYTES_MAX {
        return Err(Refused::TextTooLong { chars, max, minutes: max / CHARS_A_SECOND / 60 });
    }
    Ok(())
}

/// The time that an announcement may wait to be played: as staff said, or for as long after its instant as its class is
/// of use.
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
        opening: asked.opening.pattern(),
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
