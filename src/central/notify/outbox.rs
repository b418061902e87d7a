//! The outbox: letters are tried until they are sent, more and more seldom, and given up when their call is long over.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{mail, webhook};
use crate::app::App;
use crate::duties::Duty;
use crate::store::{Channel, LetterRow, StoreError, Tried};
use loaxa_heart::domain::time::Span;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Letters that are under way at once: a slow server keeps few others waiting.
const AT_ONCE: u32 = 8;

/// Most tries of one letter: the last is some twenty minutes after the first.
const TRIES_MAX: u32 = 9;

/// Pause after the first try; each further one is twice as long.
const AGAIN_S: u64 = 5;

/// Sends letters for as long as central runs.
pub async fn send_letters(app: Arc<App>) {
    loop {
        if let Err(error) = look(&app).await {
            tracing::error!(%error, "letters can't be sent");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look(app: &Arc<App>) -> Result<(), StoreError> {
    if !app.has_duty(Duty::Letters) {
        return Ok(());
    }
    let mut under_way = JoinSet::new();
    for letter in app.store.letters_due(app.now(), AT_ONCE).await? {
        let app = Arc::clone(app);
        under_way.spawn(async move { send(&app, letter).await });
    }
    while let Some(sent) = under_way.join_next().await {
        if let Ok(Err(error)) = sent {
            return Err(error);
        }
    }
    Ok(())
}

async fn send(app: &Arc<App>, row: LetterRow) -> Result<(), StoreError> {
    let (calling, now) = (app.settings.calling.clone(), app.now());
    let letter = row.letter.clone();
    let id = format!("{}-{}", row.call, row.id);
    let sending = move || match letter.channel {
        Channel::Email => mail::send(calling.email.as_ref(), &letter),
        Channel::Webhook => webhook::send(calling.webhook.as_ref(), &id, &letter.body, now),
    };
    let sent = tokio::task::spawn_blocking(sending).await;
    let sent = sent.unwrap_or_else(|panic| Err(panic.to_string()));
    let tried = match sent {
        Ok(()) => Tried::Sent(app.now()),
        Err(fault) => {
            tracing::warn!(call = %row.call, contact = row.contact, fault, "a letter was not sent");
            match row.tries + 1 {
                tries if tries >= TRIES_MAX => Tried::GivenUp(fault),
                tries => Tried::Again(app.now().plus(Span::secs(AGAIN_S << (tries - 1))), fault),
            }
        }
    };
    app.store.letter_tried(row.id, tried).await
}
