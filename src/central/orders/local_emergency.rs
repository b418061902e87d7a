//! The standing order for a local emergency: signed beforehand, and released by two presses on a box that can't reach
//! this server.

use std::sync::Arc;

use serde::Deserialize;

use super::announce::{Opening, check_text};
use super::documents::{Sent, newest_version, send};
use super::issue::{Draft, title_of_standing};
use super::refused::{Refused, known_groups};
use super::speech;
use crate::app::App;
use crate::media;
use loaxa_heart::decide::delivery::{CommandKind, DocumentName};
use loaxa_heart::domain::announcement::{PlayPlan, Repeats, Words};
use loaxa_heart::domain::ids::{ContentHash, GroupId};
use loaxa_heart::domain::local_emergency::LocalEmergency;
use loaxa_heart::domain::text::clean;
use loaxa_heart::domain::time::Span;
use loaxa_heart::wire::messages::Body;

/// Longest time for which an order can stand; boxes refuse commands that live longer than 400 days.
const DAYS_MAX: u32 = 399;

/// A standing order as people ask for it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalAsked {
    pub to: Vec<GroupId>,
    /// The message; without one, the order that stands is taken back.
    #[serde(default)]
    pub message: Option<LocalMessage>,
    #[serde(default)]
    pub author: Option<String>,
    #[serde(default)]
    pub approver: Option<String>,
}

/// The message of a standing order, and its bounds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalMessage {
    pub title: String,
    /// Words to be spoken, also where the audio can't be played.
    pub text: String,
    #[serde(default = "vietnamese")]
    pub language: String,
    /// Audio that was uploaded; without it the words are spoken here.
    #[serde(default)]
    pub media: Option<ContentHash>,
    #[serde(default = "siren")]
    pub opening: Opening,
    #[serde(default = "silent")]
    pub silent_s: u32,
    #[serde(default = "confirm")]
    pub confirm_s: u32,
    #[serde(default = "minutes")]
    pub minutes_max: u32,
    #[serde(default)]
    pub with_contact: bool,
    #[serde(default = "year")]
    pub days: u32,
}

fn vietnamese() -> String {
    "vi".to_owned()
}
const fn siren() -> Opening {
    Opening::Siren
}
/// Five minutes: the connection of a box comes back within two after most cuts.
const fn silent() -> u32 {
    300
}
const fn confirm() -> u32 {
    10
}
const fn minutes() -> u32 {
    30
}
const fn year() -> u32 {
    365
}

/// Numbers, signs, keeps and sends a standing order.
///
/// # Errors
/// Gives a sentence for the person who asked; nothing was sent then.
pub async fn issue(app: &Arc<App>, asked: LocalAsked) -> Result<Sent, Refused> {
    send(app, draft(app, asked).await?).await
}

/// Makes a command with a standing order that is not signed yet. Its words are spoken by then.
///
/// # Errors
/// As [`issue`]; the keys are not asked.
pub async fn draft(app: &Arc<App>, asked: LocalAsked) -> Result<Draft, Refused> {
    known_groups(app, &asked.to)?;
    let days = asked.message.as_ref().map_or(DAYS_MAX, |message| message.days);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(Refused::TooLong);
    }
    let order = match asked.message {
        Some(message) => Some(order(app, message).await?),
        None => None,
    };
    let name = DocumentName::LocalEmergency;
    let version = newest_version(app, &name).await? + 1;
    let now = app.now();
    Ok(Draft {
        kind: CommandKind::Other,
        groups: asked.to,
        now,
        expires: now.plus(Span::secs(u64::from(days) * 86_400)),
        author: asked.author.unwrap_or_default(),
        approver: asked.approver,
        title: title_of_standing(version, order.as_ref()),
        body: Body::LocalEmergency { version, order },
        ends: Vec::new(),
        document: Some((name, version)),
        moves: Vec::new(),
    })
}

async fn order(app: &Arc<App>, message: LocalMessage) -> Result<LocalEmergency, Refused> {
    let (title, text) = (clean(&message.title), clean(&message.text));
    check_text(&text)?;
    let audio = match message.media {
        Some(hash) => {
            let row = app.store.media(hash).await?;
            row.ok_or_else(|| Refused::NoSuchMedia(hash.to_string()))?
        }
        None => speech::speak(app, &text, message.language.clone()).await?,
    };
    app.store.add_media(audio.clone()).await?;
    let plan = PlayPlan {
        repeats: Repeats::UntilCancelled,
        opening: message.opening.pattern(),
        ..PlayPlan::default()
    };
    Ok(LocalEmergency {
        title,
        plan,
        media: Some(media::reference(&audio)),
        words: Some(Words { text, language: message.language }),
        silent_s: message.silent_s,
        confirm_s: message.confirm_s,
        minutes_max: message.minutes_max,
        with_contact: message.with_contact,
    })
}
