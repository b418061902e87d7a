//! The messages for emergencies that lie ready in the training commune.

use std::sync::Arc;

use super::commune::{COLLEAGUE, account, words};
use crate::app::App;
use crate::orders::prepared;
use crate::store::{Actor, Danger, MessageRow, MessageUse, NewAct};
use loaxa_heart::domain::ids::PreparedId;

/// Messages as a commune prepares them: id, use, danger, title, words, siren.
const MESSAGES: [(&str, MessageUse, Danger, &str, &str, bool); 3] = [
    ("tap-huan-lu", MessageUse::Alarm, Danger::Flood, "training.flood", "training.flood_words", true),
    (
        "tap-huan-nham",
        MessageUse::FalseAlarm,
        Danger::Other,
        "training.false_alarm",
        "training.false_alarm_words",
        false,
    ),
    (
        "tap-huan-yen",
        MessageUse::AllClear,
        Danger::Other,
        "training.all_clear",
        "training.all_clear_words",
        false,
    ),
];

/// Lays ready what is not there yet. What can't be is said to the log: people can train without it.
pub async fn prepare(app: &Arc<App>) {
    let is_there = app.store.messages().await.is_ok_and(|messages| !messages.is_empty());
    if is_there {
        return;
    }
    for (id, purpose, danger, title, text, siren) in MESSAGES {
        let (title, text) = (words(title), words(text));
        let written = prepared::Written {
            purpose,
            danger,
            title: title.to_owned(),
            text: text.to_owned(),
            language: "vi".to_owned(),
            siren,
            repeat: 2,
        };
        let media = match prepared::hear(app, &written).await {
            Ok(media) => media,
            Err(error) => {
                tracing::warn!(%error, title, "a message of the training commune can't be spoken");
                continue;
            }
        };
        let row = MessageRow {
            id: PreparedId::new(id).expect("messages here have plain names"),
            purpose,
            danger,
            title: title.to_owned(),
            text: text.to_owned(),
            language: "vi".to_owned(),
            media: media.sha256,
            ms: media.ms,
            siren,
            repeat: 2,
            by: account(COLLEAGUE),
            made: app.now(),
            ended: None,
        };
        let act = NewAct {
            at: app.now(),
            actor: Actor::Console,
            act: "message_prepared",
            subject: id.to_owned(),
            before: None,
            after: Some(title.to_owned()),
            from: None,
        };
        if let Err(error) = app.store.add_message(row, None, act).await {
            tracing::warn!(%error, title, "a message of the training commune is not kept");
        }
    }
}
