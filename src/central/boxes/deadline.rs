//! Answers to villagers that are overdue.

use crate::app::App;
use crate::store::{Found, StoreError, TroubleKind};
use loaxa_heart::domain::time::Wall;

/// The code of an answer that is overdue.
const OVERDUE: &str = "feedback_overdue";

/// Finds villages whose people wait for longer than the commune promised.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn overdue(app: &App, now: Wall) -> Result<Vec<Found>, StoreError> {
    let late = app.store.feedback_overdue(now).await?;
    let found = late.into_iter().map(|(village, count, due)| Found {
        kind: TroubleKind::Feedback,
        what: OVERDUE.to_owned(),
        subject: village.to_string(),
        detail: count.to_string(),
        since: due,
        last: now,
    });
    Ok(found.collect())
}
