//! The plan of a day: the heart rehearses the programmes in force for every village.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;

use super::documents::read_programme;
use crate::app::App;
use crate::foreseen::PlannedSlot;
use crate::settings::village_of;
use crate::store::{BoxRow, StoreError};
use loaxa_heart::decide::delivery::{Document, documents_to_send, with_ancestors};
use loaxa_heart::decide::preview;
use loaxa_heart::decide::schedule::{Calendar, Listeners, Timetable};
use loaxa_heart::domain::ids::{CommandId, GroupId};
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command, Holds};

/// The groups of some boxes, and the documents in force for them.
struct Audience {
    groups: Vec<GroupId>,
    documents: Vec<CommandId>,
}

/// Plans today's slots, in the order in which they begin. What an installer wrote on a box itself is not known here.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn today(app: &App, boxes: &[BoxRow]) -> Result<Arc<Vec<PlannedSlot>>, StoreError> {
    let now = app.now();
    let groups: BTreeSet<Vec<GroupId>> = boxes.iter().map(|row| row.groups.clone()).collect();
    let sent = app.store.documents(now).await?;
    let from = (now.date(), sent.iter().map(|document| document.command.clone()).collect(), groups);
    if let Some(known) = app.days.find(&from) {
        return Ok(known);
    }
    let sessions = rehearse(app, &from.2, &sent, now.date()).await?;
    let planned = Arc::new(together(&sessions, &app.settings.parents()));
    app.days.keep(from, Arc::clone(&planned));
    Ok(planned)
}

/// The sessions of a day for boxes in these groups.
pub type Sessions = BTreeMap<Vec<GroupId>, Arc<Vec<preview::PlannedSession>>>;

/// Rehearses a day with the documents that were sent, for each set of groups that a box is in.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn rehearse(
    app: &App,
    groups: &BTreeSet<Vec<GroupId>>,
    sent: &[Document],
    date: NaiveDate,
) -> Result<Sessions, StoreError> {
    let parents = app.settings.parents();
    let audiences: Vec<_> = groups
        .iter()
        .map(|own| {
            let all = with_ancestors(own, &parents);
            let documents = documents_to_send(&Holds::default(), 0, &all, sent).commands;
            let documents = documents.into_iter().cloned().collect();
            Audience { groups: own.clone(), documents }
        })
        .collect();
    let bodies = bodies(app, audiences.iter().flat_map(|audience| &audience.documents)).await?;
    // A rehearsal takes its time.
    let planned = tokio::task::spawn_blocking(move || plan(&audiences, &bodies, &parents, date)).await;
    Ok(planned.unwrap_or_default())
}

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
    audiences: &[Audience],
    bodies: &BTreeMap<CommandId, Body>,
    parents: &BTreeMap<GroupId, GroupId>,
    date: NaiveDate,
) -> Sessions {
    let mut by_documents: BTreeMap<&[CommandId], Vec<&Audience>> = BTreeMap::new();
    for audience in audiences {
        by_documents.entry(&audience.documents).or_default().push(audience);
    }
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
            let groups = with_ancestors(&audience.groups, parents).into_iter().collect();
            let seen = timetable.seen_from(&Listeners { groups, languages: Vec::new() });
            let plan = rehearsed.entry(seen.clone()).or_insert_with(|| {
                let sessions = preview::plan(&timetable, &seen, &policy, date, date);
                Arc::new(sessions.into_iter().filter(sounds).collect())
            });
            sessions.insert(audience.groups.clone(), Arc::clone(plan));
        }
    }
    sessions
}

/// Puts the sessions of all villages into one list, in the order in which they begin.
fn together(sessions: &Sessions, parents: &BTreeMap<GroupId, GroupId>) -> Vec<PlannedSlot> {
    let mut slots: BTreeMap<(Wall, String), PlannedSlot> = BTreeMap::new();
    for (groups, sessions) in sessions {
        for session in sessions.iter() {
            let key = (session.start, session.key.slot.to_string());
            let kept = slots.entry(key).or_insert_with(|| as_slot(session));
            kept.villages.extend(village_of(groups, parents).cloned());
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
