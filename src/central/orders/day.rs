//! The plan of a day or of some days: the heart rehearses the programmes in force for every village.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;

use super::documents::read_programme;
use crate::app::App;
use crate::foreseen::PlannedSlot;
use crate::settings::village_of;
use crate::store::{Audience, BoxRow, StoreError};
use loaxa_heart::decide::delivery::{Document, documents_to_send, with_ancestors};
use loaxa_heart::decide::preview;
use loaxa_heart::decide::schedule::{Calendar, Listeners, Timetable};
use loaxa_heart::domain::ids::{CommandId, GroupId};
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command, Holds};

/// Plans today's slots, in the order in which they begin. What an installer wrote on a box itself is not known here.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn today(app: &App, boxes: &[BoxRow]) -> Result<Arc<Vec<PlannedSlot>>, StoreError> {
    let today = app.now().date();
    between(app, boxes, (today, today)).await
}

/// Plans the slots of the days from the first to the last, in the order in which they begin.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn between(
    app: &App,
    boxes: &[BoxRow],
    days: (NaiveDate, NaiveDate),
) -> Result<Arc<Vec<PlannedSlot>>, StoreError> {
    let audiences: BTreeSet<Audience> = boxes.iter().map(BoxRow::audience).collect();
    let sent = app.store.documents(app.now()).await?;
    let from = (days, sent.iter().map(|document| document.command.clone()).collect(), audiences);
    if let Some(known) = app.days.find(&from) {
        return Ok(known);
    }
    let sessions = rehearse(app, &from.2, &sent, days).await?;
    let planned = Arc::new(together(&sessions, &app.settings.parents()));
    app.days.keep(from, Arc::clone(&planned));
    Ok(planned)
}

/// The sessions of some days for each audience.
pub type Sessions = BTreeMap<Audience, Arc<Vec<preview::PlannedSession>>>;

/// Rehearses days, from the first to the last, with the documents that were sent, for each audience.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn rehearse(
    app: &App,
    audiences: &BTreeSet<Audience>,
    sent: &[Document],
    days: (NaiveDate, NaiveDate),
) -> Result<Sessions, StoreError> {
    let parents = app.settings.parents();
    let mut by_documents: ByDocuments = BTreeMap::new();
    for audience in audiences {
        let all = with_ancestors(&audience.groups, &parents);
        let documents = documents_to_send(&Holds::default(), 0, &all, sent).commands;
        let documents = documents.into_iter().cloned().collect();
        by_documents.entry(documents).or_default().push(audience.clone());
    }
    let bodies = bodies(app, by_documents.keys().flatten()).await?;
    // A rehearsal takes its time.
    let planned = tokio::task::spawn_blocking(move || plan(&by_documents, &bodies, &parents, days)).await;
    Ok(planned.unwrap_or_default())
}

/// Audiences that have the same documents in force.
type ByDocuments = BTreeMap<Vec<CommandId>, Vec<Audience>>;

/// Reads documents from the store.
pub(super) async fn bodies(
    app: &App,
    documents: impl Iterator<Item = &CommandId>,
) -> Result<BTreeMap<CommandId, Body>, StoreError> {
    let mut bodies = BTreeMap::new();
    for id in documents.collect::<BTreeSet<_>>() {
        let row = app.store.command(id.clone()).await?;
        let body = row.and_then(|row| codec::decode::<Command>(row.payload.as_bytes()).ok());
        bodies.extend(body.map(|command| (id.clone(), command.body)));
    }
    Ok(bodies)
}

fn plan(
    by_documents: &ByDocuments,
    bodies: &BTreeMap<CommandId, Body>,
    parents: &BTreeMap<GroupId, GroupId>,
    (first, last): (NaiveDate, NaiveDate),
) -> Sessions {
    let mut sessions = Sessions::new();
    for (documents, audiences) in by_documents {
        // Whoever had a programme before learns that it is not theirs any more.
        let is_for = |group: &GroupId| {
            audiences.iter().any(|audience| with_ancestors(&audience.groups, parents).contains(group))
        };
        let (calendars, policy) = in_force(documents, bodies, is_for);
        // Boxes refuse a programme that clashes with an earlier one.
        let timetable = Timetable::new(calendars).unwrap_or_default();
        let mut rehearsed: BTreeMap<Listeners, Arc<Vec<preview::PlannedSession>>> = BTreeMap::new();
        for audience in audiences {
            let seen = timetable.seen_from(&audience.listeners(parents));
            let plan = rehearsed.entry(seen.clone()).or_insert_with(|| {
                let sessions = preview::plan(&timetable, &seen, &policy, first, last);
                Arc::new(sessions.into_iter().filter(sounds).collect())
            });
            sessions.insert(audience.clone(), Arc::clone(plan));
        }
    }
    sessions
}

/// Puts the sessions of all villages into one list, in the order in which they begin.
fn together(sessions: &Sessions, parents: &BTreeMap<GroupId, GroupId>) -> Vec<PlannedSlot> {
    let mut slots: BTreeMap<(Wall, String), PlannedSlot> = BTreeMap::new();
    for (audience, sessions) in sessions {
        for session in sessions.iter() {
            let key = (session.start, session.key.slot.to_string());
            let kept = slots.entry(key).or_insert_with(|| as_slot(session));
            kept.villages.extend(village_of(&audience.groups, parents).cloned());
        }
    }
    slots.into_values().collect()
}

/// Tells whether anything of a session would sound: the guard may refuse it all.
fn sounds(session: &preview::PlannedSession) -> bool {
    session.plays.iter().any(|play| !matches!(play.fate, preview::Fate::NotPlayed { .. }))
}

fn as_slot(session: &preview::PlannedSession) -> PlannedSlot {
    let preview::PlannedSession { key, title, start, end, .. } = session;
    PlannedSlot {
        key: key.clone(),
        title: title.clone(),
        start: *start,
        end: *end,
        villages: BTreeSet::new(),
    }
}

/// The programmes of these documents, as far as they are for these groups, and the limits.
pub(super) fn in_force(
    documents: &[CommandId],
    bodies: &BTreeMap<CommandId, Body>,
    is_for: impl Fn(&GroupId) -> bool,
) -> (Vec<Calendar>, Policy) {
    let (mut calendars, mut policy) = (Vec::new(), Policy::default());
    for body in documents.iter().filter_map(|id| bodies.get(id)) {
        match body {
            Body::Policy(sent) => policy = sent.clone(),
            Body::Programme { toml, media, .. } => {
                let Ok(programme) = read_programme(toml, media) else { continue };
                if is_for(&programme.group) {
                    calendars.extend(Calendar::new(Arc::new(programme)));
                }
            }
            _ => {}
        }
    }
    (calendars, policy)
}
