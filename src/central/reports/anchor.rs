//! Anchors: one hash of all logs a day. Whoever keeps the hash, on paper for instance, can show later that no log was
//! rewritten since.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::duties::Duty;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(60);

/// Keeps an anchor a day for as long as central runs.
pub async fn keep_anchors(app: Arc<App>) {
    loop {
        let now = app.now();
        if app.has_duty(Duty::Anchors)
            && let Err(error) = app.store.keep_anchor(now.date(), now).await
        {
            tracing::error!(%error, "the logs have no anchor today");
        }
        tokio::time::sleep(EVERY).await;
    }
}
