//! The other centrals on this database: what they change is told to the pages that are open here, what this one changes is told
//! to them, and each duty is one central's at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;

use crate::app::App;
use crate::changes::Changed;
use crate::duties::{Duty, RENEWED_EVERY, TERM};
use crate::orders::unsent;
use crate::store::{News, at_once, urgently};
use loaxa_adapters::clock::monotonic;

/// Time in which changes are gathered before the others are told.
const GATHERED_FOR: Duration = Duration::from_millis(300);

/// Passes on what other centrals changed, for as long as they can be heard.
pub async fn hear(app: Arc<App>, mut news: Receiver<News>) {
    while let Some(news) = news.recv().await {
        match changed(news) {
            Some(changed) => app.changes.tell_here(changed),
            None if news == News::Silence => app.voices.close_all(),
            // Whoever keeps an order may end before sending it. What else is heard does not wait for the database.
            None => drop(tokio::spawn(at_once(unsent::send_after_others(Arc::clone(&app))))),
        }
    }
}

/// Tells the other centrals of what this one changes, for as long as it runs.
pub async fn tell(app: Arc<App>) {
    loop {
        let news: Vec<_> = app.changes.untold().await.into_iter().map(news_of).collect();
        // Their pages ask again with the next change.
        if let Err(error) = app.store.tell_peers(news).await {
            tracing::debug!(%error, "the other centrals are not told");
        }
        tokio::time::sleep(GATHERED_FOR).await;
    }
}

/// Tells the other centrals which urgent orders the broker has from this one, for as long as it runs.
pub async fn tell_sent(app: Arc<App>) {
    loop {
        let ids = app.outbound.taken().await;
        // They send these too, then.
        if let Err(error) = urgently(app.store.tell_sent(ids)).await {
            tracing::debug!(%error, "the other centrals do not hear what was sent");
        }
    }
}

/// Keeps the duties of this central, and takes those that nobody has, for as long as it runs.
pub async fn renew_duties(app: Arc<App>) {
    loop {
        let asked = monotonic();
        let duties = Duty::ALL.iter().map(|duty| duty.code()).collect();
        match app.store.take_duties(duties, TERM).await {
            Ok(given) => {
                let new = app.duties.note(&given, asked);
                if !new.is_empty() {
                    tracing::info!(duties = ?new, "this central has these duties now");
                }
            }
            Err(error) => tracing::debug!(%error, "no duty is renewed"),
        }
        tokio::time::sleep(RENEWED_EVERY.into()).await;
    }
}

const fn changed(news: News) -> Option<Changed> {
    match news {
        News::Boxes => Some(Changed::Boxes),
        News::Alarms => Some(Changed::Alarms),
        News::Announcements => Some(Changed::Announcements),
        News::Notices => Some(Changed::Notices),
        News::Calls => Some(Changed::Calls),
        News::Commands | News::Silence => None,
    }
}

const fn news_of(changed: Changed) -> News {
    match changed {
        Changed::Boxes => News::Boxes,
        Changed::Alarms => News::Alarms,
        Changed::Announcements => News::Announcements,
        Changed::Notices => News::Notices,
        Changed::Calls => News::Calls,
    }
}
