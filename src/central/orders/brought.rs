//! The database on a server, kept ready for times in which it is away, and the orders that are complete once it is back.

use std::sync::Arc;
use std::time::Duration;

use super::cosigning;
use crate::app::App;

/// Time between two copies of what urgent orders need, and between two tries to bring what they changed.
const READY_EVERY: Duration = Duration::from_secs(2);

/// Keeps what urgent orders need where the server goes away, for as long as central runs.
pub async fn keep_ready(app: Arc<App>) {
    let mut may_be_complete = false;
    loop {
        tokio::time::sleep(READY_EVERY).await;
        match app.store.keep_ready().await {
            Ok(brought) => may_be_complete |= brought,
            Err(error) => {
                tracing::debug!(%error, "what urgent orders need is as old as the last answer of the database server");
                continue;
            }
        }
        // What was signed here may meet what was signed at another central.
        if may_be_complete {
            match cosigning::send_complete(&app).await {
                Ok(()) => may_be_complete = false,
                Err(error) => {
                    tracing::warn!(%error, "drafts that enough people have signed are looked for again")
                }
            }
        }
    }
}
