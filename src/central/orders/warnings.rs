//! Warnings about a programme before it is sent: what the guards of its boxes will refuse.

use std::sync::Arc;

use super::day::{bodies, in_force};
use crate::app::App;
use crate::store::StoreError;
use loaxa_heart::decide::delivery::{documents_to_send, with_ancestors};
use loaxa_heart::decide::preview::{self, Warning};
use loaxa_heart::decide::schedule::{Calendar, Timetable};
use loaxa_heart::domain::programme::Programme;
use loaxa_heart::wire::messages::Holds;

/// Rehearses a programme beside the others of its group, under the limits that were sent. What an installer wrote on a box
/// itself is not known here.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn of_programme(app: &App, programme: &Programme) -> Result<Vec<Warning>, StoreError> {
    let now = app.now();
    let sent = app.store.documents(now).await?;
    let groups = with_ancestors(std::slice::from_ref(&programme.group), &app.settings.parents());
    let documents = documents_to_send(&Holds::default(), 0, &groups, &sent).commands;
    let documents: Vec<_> = documents.into_iter().cloned().collect();
    let bodies = bodies(app, documents.iter()).await?;
    let programme = Arc::new(programme.clone());
    let rehearsed = tokio::task::spawn_blocking(move || {
        let (mut calendars, policy) = in_force(&documents, &bodies, |group| groups.contains(group));
        let Ok(own) = Calendar::new(Arc::clone(&programme)) else { return Vec::new() };
        calendars.retain(|calendar| calendar.programme().id != programme.id);
        calendars.push(own.clone());
        // Boxes refuse a programme that clashes with an earlier one.
        let timetable = Timetable::new(calendars).or_else(|_| Timetable::new(vec![own])).unwrap_or_default();
        let mut found = preview::warnings(&timetable, &policy, now.date());
        found.retain(|warning| programme.slots.iter().any(|slot| slot.id == warning.slot));
        found
    });
    Ok(rehearsed.await.unwrap_or_default())
}
