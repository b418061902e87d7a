//! The time within which villagers get an answer, and what has gone past it.

use crate::app::App;
use crate::store::{Found, StoreError, TroubleKind};
use loaxa_heart::domain::time::{Span, Wall};

/// Villagers are answered within a week.
pub const ANSWERED_WITHIN: Span = Span::secs(7 * 86_400);

/// The code of an answer that is overdue.
const OVERDUE: &str = "feedback_overdue";

/// Finds villages whose people wait for longer than that.
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
