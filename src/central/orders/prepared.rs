//! Messages for emergencies, as staff prepare them: spoken by the engine that will speak, heard, and kept.

use std::sync::Arc;

use super::announce::check_text;
use super::documents::{self, PreparedAsked, PreparedMessage};
use super::refused::Refused;
use super::speech;
use crate::app::App;
use crate::people::Who;
use crate::store::{Danger, MediaRow, MessageRow, MessageUse, NewAct, StoreError};
use loaxa_heart::domain::ids::{ContentHash, PreparedId};
use loaxa_heart::domain::sound::Pattern;
use loaxa_heart::domain::text::clean;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// Most messages that are offered at once: more would be read through while the water rises.
const MESSAGES_MAX: usize = 40;
/// Longest title, in characters.
pub const TITLE_CHARS_MAX: usize = 80;
/// Most repetitions.
pub const REPEAT_MAX: u16 = 5;

/// A reason for which a message is not kept.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NotPrepared {
    NoTitle,
    /// The words that were heard are not the words that are to be kept.
    NotHeard,
    TooMany,
    /// Somebody else replaced it, or took it off the list.
    Gone,
    Refused(#[from] Refused),
    Store(#[from] StoreError),
}

impl Say for NotPrepared {
    fn say(&self) -> Sentence {
        match self {
            NotPrepared::NoTitle => said!("message.no_title", max = TITLE_CHARS_MAX),
            NotPrepared::NotHeard => said!("message.not_heard"),
            NotPrepared::TooMany => said!("message.too_many", max = MESSAGES_MAX),
            NotPrepared::Gone => said!("message.gone"),
            NotPrepared::Refused(refused) => refused.say(),
            NotPrepared::Store(error) => error.say(),
        }
    }
}

/// Sends the list to all boxes, which fetch the audio beforehand: an emergency then needs no download.
///
/// # Errors
/// Fails when the keys here may not. The list stands all the same, and boxes fetch the audio when it is aired.
pub async fn stage(app: &App, who: &Who) -> Result<(), NotPrepared> {
    let messages = app.store.messages().await?.into_iter().map(|row| PreparedMessage {
        id: row.id,
        title: row.title,
        language: row.language,
        audio: row.media,
        siren: row.siren.then(|| Pattern::siren(1)),
    });
    let asked = PreparedAsked {
        to: app.settings.top_groups(),
        messages: messages.collect(),
        author: Some(who.person.name.clone()),
        approver: None,
    };
    documents::send_prepared(app, asked).await?;
    Ok(())
}

/// A message as it is written.
#[derive(Debug, Clone)]
pub struct Written {
    pub purpose: MessageUse,
    pub danger: Danger,
    pub title: String,
    pub text: String,
    pub language: String,
    pub siren: bool,
    pub repeat: u16,
}

/// Speaks the words as they will sound.
///
/// # Errors
/// Fails when there is nothing to be spoken, or the engine fails.
pub async fn hear(app: &Arc<App>, written: &Written) -> Result<MediaRow, NotPrepared> {
    check_text(&written.text)?;
    let media = speech::speak(app, &written.text, written.language.clone()).await?;
    app.store.add_media(media.clone()).await?;
    Ok(media)
}

/// Keeps a message whose words were heard: `heard` names the audio that was played. It takes the place of `replaces`.
///
/// # Errors
/// Fails when the words are not those that were heard.
pub async fn keep(
    app: &Arc<App>,
    who: &Who,
    written: Written,
    heard: Option<ContentHash>,
    replaces: Option<PreparedId>,
) -> Result<(), NotPrepared> {
    let written = Written { title: clean(&written.title), text: clean(&written.text), ..written };
    let title = written.title.trim().to_owned();
    if title.is_empty() || title.chars().count() > TITLE_CHARS_MAX {
        return Err(NotPrepared::NoTitle);
    }
    check_text(&written.text)?;
    // The engine keeps what it spoke: the same words are the same audio.
    let media = hear(app, &written).await?;
    if heard != Some(media.sha256) {
        return Err(NotPrepared::NotHeard);
    }
    if replaces.is_none() && app.store.messages().await?.len() >= MESSAGES_MAX {
        return Err(NotPrepared::TooMany);
    }
    let id = new_id();
    let act = NewAct { after: Some(title.clone()), ..who.act("message_prepared", id.as_str()) };
    let row = MessageRow {
        id,
        purpose: written.purpose,
        danger: written.danger,
        title,
        text: written.text,
        language: written.language,
        media: media.sha256,
        ms: media.ms,
        siren: written.siren,
        repeat: written.repeat.clamp(1, REPEAT_MAX),
        by: who.person.id.clone(),
        made: who.now,
        ended: None,
    };
    if app.store.add_message(row, replaces, act).await? { Ok(()) } else { Err(NotPrepared::Gone) }
}

fn new_id() -> PreparedId {
    let mut random = [0; 8];
    getrandom::fill(&mut random).expect("the system gives randomness");
    PreparedId::new(loaxa_heart::domain::hex::hex(&random)).expect("hex digits are a name")
}
