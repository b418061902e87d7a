//! Orders that end what was announced.

use std::collections::BTreeSet;

use super::issue::{Draft, issue};
use super::refused::Refused;
use crate::app::App;
use crate::store::{Ended, ROWS_MAX, StoreError, or_nothing, urgently};
use loaxa_heart::decide::delivery::CommandKind;
use loaxa_heart::domain::authority::Power;
use loaxa_heart::domain::ids::{CommandId, GroupId};
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::wire::messages::Body;

/// Most announcements that one `stop` looks at.
const STOP_MAX: u32 = ROWS_MAX;

/// Ends one announcement, mid-word, for good.
///
/// # Errors
/// Fails when there is none of this id, or the keys may not.
pub async fn cancel(app: &App, id: CommandId, author: Option<String>) -> Result<CommandId, Refused> {
    let announced = app.store.command(id.clone()).await?;
    let announced = announced.map(|row| (row.groups, row.expires, row.title));
    let owed = || app.owed.command(&id).map(|owed| (owed.groups, owed.expires, owed.title));
    let announced = announced.or_else(owed).ok_or_else(|| Refused::NoSuchAnnouncement(id.clone()))?;
    let now = app.now();
    let (mut groups, expires, title) = announced;
    groups.extend(groups_of_moved(app, &id, &groups, now).await?);
    let draft = Draft {
        kind: CommandKind::Cancel,
        groups,
        now,
        // As long as a box could still take up what it cancels.
        expires: expires.max(now.plus(Span::secs(3_600))),
        author: author.unwrap_or_default(),
        approver: None,
        title,
        body: Body::Cancel { of: Some(id.clone()) },
        ends: vec![(id, Ended::Cancelled)],
        document: None,
        moves: Vec::new(),
    };
    issue(app, draft).await
}

/// Finds the groups of boxes that hold an emergency and were moved out of its groups since: they go on with it until they
/// hear of its end.
async fn groups_of_moved(
    app: &App,
    id: &CommandId,
    groups: &[GroupId],
    now: Wall,
) -> Result<BTreeSet<GroupId>, Refused> {
    let chain = app.store.deliveries(id.clone()).await?;
    let hold: BTreeSet<_> = chain.into_iter().filter(|row| !row.step.is_over()).map(|row| row.id).collect();
    let boxes = app.store.boxes().await?.into_iter().filter(|row| hold.contains(&row.id));
    let moved = boxes.filter(|row| app.groups_of(&row.groups).iter().all(|group| !groups.contains(group)));
    let may = |group: &GroupId| app.keyring.signers(Power::Cancel, std::slice::from_ref(group), now).is_ok();
    Ok(moved.filter_map(|row| row.groups.into_iter().find(may)).collect())
}

/// Ends everything but programme slots, on all boxes of this commune.
///
/// # Errors
/// Fails when the keys may not.
pub async fn stop_all(app: &App, author: Option<String>) -> Result<CommandId, Refused> {
    let now = app.now();
    let announced = match urgently(async { or_nothing(app.store.to_stop(now, STOP_MAX).await) }).await {
        Err(StoreError::Sql(error)) => {
            tracing::error!(error, "everything is stopped, and what that ends can not be read");
            Vec::new()
        }
        announced => announced?,
    };
    let mut standing = Vec::new();
    for (id, expires) in announced {
        let is_over = match app.store.deliveries(id.clone()).await {
            Err(StoreError::Sql(_)) => false,
            chain => chain.map(|chain| !chain.is_empty() && chain.iter().all(|row| row.step.is_over()))?,
        };
        if !is_over {
            standing.push((id, expires));
        }
    }
    let last = standing.iter().map(|(_, expires)| *expires).max().unwrap_or(now);
    let draft = Draft {
        kind: CommandKind::Cancel,
        groups: app.settings.top_groups(),
        now,
        expires: last.max(now.plus(Span::secs(3_600))),
        author: author.unwrap_or_default(),
        approver: None,
        title: String::new(),
        body: Body::Cancel { of: None },
        ends: standing.into_iter().map(|(id, _)| (id, Ended::Cancelled)).collect(),
        document: None,
        moves: Vec::new(),
    };
    issue(app, draft).await
}
