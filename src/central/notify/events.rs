//! The outbox of events for other systems: tried until they are sent, more and more seldom, and given up after a day. Each
//! receiver has one event under way at a time, so that one that is dead keeps nobody else waiting.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::webhook;
use crate::app::App;
use crate::duties::Duty;
use crate::settings::Webhook;
use crate::store::{EventRow, ReceiverRow, StoreError, Tried};
use loaxa_heart::domain::time::Span;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Most tries of one event: the last is about a day after the first.
const TRIES_MAX: u32 = 15;

/// Pause after the first try; each further one is twice as long, up to the longest.
const AGAIN_S: u64 = 5;
const AGAIN_S_MAX: u64 = 4 * 3_600;

/// Sends events for as long as central runs.
pub async fn send_events(app: Arc<App>) {
    let mut under_way = JoinSet::new();
    let mut busy = BTreeSet::new();
    loop {
        if let Err(error) = look(&app, &mut under_way, &mut busy).await {
            tracing::error!(%error, "events can't be sent");
        }
        tokio::time::sleep(LOOK_EVERY).await;
        while let Some(done) = under_way.try_join_next() {
            match done {
                Ok((receiver, kept)) => {
                    busy.remove(&receiver);
                    if let Err(error) = kept {
                        tracing::error!(%error, "the fate of an event is not kept");
                    }
                }
                // Nothing tells whose it was: all are asked again.
                Err(_) => busy.clear(),
            }
        }
    }
}

type UnderWay = JoinSet<(i64, Result<(), StoreError>)>;

async fn look(app: &Arc<App>, under_way: &mut UnderWay, busy: &mut BTreeSet<i64>) -> Result<(), StoreError> {
    if !app.has_duty(Duty::Events) {
        return Ok(());
    }
    let due = app.store.events_due(app.now()).await?;
    if due.is_empty() {
        return Ok(());
    }
    let receivers = app.store.receivers().await?;
    for event in due {
        let Some(receiver) = receivers.iter().find(|it| it.id == event.receiver) else { continue };
        if busy.insert(receiver.id) {
            let (app, receiver) = (Arc::clone(app), receiver.clone());
            under_way.spawn(async move { (receiver.id, send(&app, receiver, event).await) });
        }
    }
    Ok(())
}

async fn send(app: &App, receiver: ReceiverRow, event: EventRow) -> Result<(), StoreError> {
    let now = app.now();
    let target = target(app, &receiver);
    let (id, body) = (format!("evt_{}_{}", event.made.0, event.id), event.body.clone());
    let sending = move || webhook::send(Some(&target?), &id, &body, now);
    let sent = tokio::task::spawn_blocking(sending).await.unwrap_or_else(|panic| Err(panic.to_string()));
    let tried = match sent {
        Ok(()) => Tried::Sent(app.now()),
        Err(fault) => match event.tries + 1 {
            tries if tries >= TRIES_MAX => Tried::GivenUp(fault),
            tries => {
                let pause = (AGAIN_S << (tries - 1)).min(AGAIN_S_MAX);
                Tried::Again(app.now().plus(Span::secs(pause)), fault)
            }
        },
    };
    app.store.event_tried(event.id, tried).await
}

/// Tells whether receivers may lie in the office's own network: only whoever writes the configuration says so.
pub fn may_be_private(app: &App) -> bool {
    app.settings.calling.webhook.as_ref().is_some_and(|webhook| webhook.private_addresses)
}

fn target(app: &App, receiver: &ReceiverRow) -> Result<Webhook, String> {
    let url = receiver.url.parse().map_err(|error| format!("{}: {error}", receiver.url))?;
    Ok(Webhook { url, secret: receiver.secret.clone(), private_addresses: may_be_private(app) })
}
