//! Urgent orders that are kept and that this process did not send: whoever kept them may have ended before sending them.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::store::StoreError;
use loaxa_heart::domain::ids::CommandId;
use loaxa_heart::domain::time::Span;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::Command;

/// Time since its issue in which an emergency may go out: it is issued with its draft, whose last signature may come hours later.
const ANNOUNCED_FOR: Span = Span::secs(86_400);
/// Time since its issue in which the end of something does: whatever boxes lack after it, they say in a heartbeat.
const CANCELLED_FOR: Span = Span::secs(300);
/// Time for whoever kept an order to send it and to say so: the way to the broker and back and through the database takes some
/// ten milliseconds, and an emergency is to be out within two seconds whoever dies.
const LEFT_TO_KEEPER: Duration = Duration::from_millis(500);
/// The centrals that are left then do not all send it in the same moment: the first says that it did.
const APART_MAX: Duration = Duration::from_millis(300);
/// Most orders of each kind that are looked at.
const ORDERS_MAX: u32 = 32;

/// Sends them, where nobody else has said by then that the broker has them. Boxes know what they have, so a second copy of what
/// another central sent does no harm.
pub async fn send_after_others(app: Arc<App>) {
    let name = app.store.own_name().bytes().fold(0_u8, u8::wrapping_add);
    tokio::time::sleep(LEFT_TO_KEEPER + APART_MAX * u32::from(name) / u32::from(u8::MAX)).await;
    send(app).await;
}

/// Sends them over a new connection, at once where there is no other central.
pub async fn send_on_connection(app: Arc<App>) {
    let me = app.store.own_name();
    let has_others = app.store.has_peers()
        && app.store.are_there(Span(0)).await.is_ok_and(|there| there.iter().any(|name| name != me));
    if has_others { send_after_others(app).await } else { send(app).await }
}

async fn send(app: Arc<App>) {
    if let Err(error) = send_all(&app).await {
        tracing::warn!(%error, "urgent orders of others are not looked for; boxes ask for them in their heartbeats");
    }
}

async fn send_all(app: &App) -> Result<(), StoreError> {
    // With the connection they are looked for again.
    if !app.outbound.is_connected() {
        return Ok(());
    }
    let now = app.now();
    let since = [ANNOUNCED_FOR, CANCELLED_FOR].map(|span| now.minus(span));
    let rows = app.store.issued_since(since[0], since[1], now, ORDERS_MAX).await?;
    let commands = rows.iter().filter_map(|row| codec::decode::<Command>(row.payload.as_bytes()).ok());
    let is_sent = |id: &CommandId| app.outbound.has_sent(id) || app.store.is_sent_elsewhere(id);
    let unsent: Vec<_> = commands.filter(|command| command.is_urgent() && !is_sent(&command.id)).collect();
    if unsent.is_empty() {
        return Ok(());
    }
    let ids: Vec<CommandId> = unsent.iter().map(|command| command.id.clone()).collect();
    for (command, envelope) in unsent.iter().zip(app.store.envelopes(ids).await?) {
        // Meanwhile it may have gone out.
        if !is_sent(&command.id) {
            app.outbound.to_groups(command, &envelope, true);
            tracing::info!(id = %command.id, "sent an urgent command that was kept elsewhere, or before the start");
        }
    }
    Ok(())
}
