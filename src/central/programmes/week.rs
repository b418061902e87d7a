//! A week in a place as it will sound: the heart rehearses it for every village there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{Datelike, Days, NaiveDate};

use super::basis::{self, Basis};
use super::not_proposal::NotProposal;
use crate::app::App;
use crate::foreseen::{Week, WeekSession};
use crate::settings::village_of;
use crate::store::{Audience, BoxRow, ProposalContent, ProposalKind};
use loaxa_heart::decide::delivery::{Document, DocumentName, documents_to_send, with_ancestors};
use loaxa_heart::decide::preview::{self, PlannedSession, SectionWeek};
use loaxa_heart::decide::schedule::{Calendar, Listeners, Timetable};
use loaxa_heart::domain::ids::{CommandId, ContentHash, GroupId, ProgrammeId};
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::programme::Programme;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command, Holds};

/// A programme on the page of a week.
#[derive(Debug, Clone)]
pub struct Shown {
    pub id: ProgrammeId,
    pub programme: Arc<Programme>,
    pub basis: Basis,
    /// The programme in force, where a draft is shown in its place.
    pub in_force: Option<Arc<Programme>>,
}

/// Everything that a week in a place follows from.
pub struct Scene {
    pub shown: Vec<Shown>,
    /// The boxes in the place.
    pub boxes: Vec<BoxRow>,
    audiences: Vec<Hearing>,
    parents: BTreeMap<GroupId, GroupId>,
}

/// An audience, and what reaches it.
struct Hearing {
    own: Audience,
    all: Vec<GroupId>,
    policy: Policy,
    programmes: Vec<ProgrammeId>,
}

/// Finds the Monday of a day's week.
pub fn monday(day: NaiveDate) -> NaiveDate {
    day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into())).unwrap_or(day)
}

/// Reads what sounds in a place: the programmes in force, with drafts in the place of what they change where `drafts` are
/// asked for.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn scene(app: &App, group: &GroupId, drafts: bool) -> Result<Scene, NotProposal> {
    let parents = app.settings.parents();
    let boxes: Vec<BoxRow> = app.store.boxes().await?;
    let boxes: Vec<_> = boxes.into_iter().filter(|row| app.groups_of(&row.groups).contains(group)).collect();
    let mut owns: BTreeSet<Audience> = boxes.iter().map(BoxRow::audience).collect();
    if owns.is_empty() {
        owns.insert(Audience { groups: vec![group.clone()], languages: Vec::new() });
    }
    let sent = app.store.documents(app.now()).await?;
    let mut read = Reading::default();
    let mut audiences = Vec::new();
    for own in owns {
        let all = with_ancestors(&own.groups, &parents);
        let audience = Hearing { own, all, policy: Policy::default(), programmes: Vec::new() };
        audiences.push(read.audience(app, audience, &sent).await?);
    }
    let open = app.store.open_proposals().await?;
    for row in open.iter().filter(|row| row.content.kind == ProposalKind::Programme) {
        let Ok(id) = row.content.subject.parse::<ProgrammeId>() else { continue };
        let here = audiences.iter().any(|it| row.content.groups.iter().any(|group| it.all.contains(group)));
        if here {
            read.ids.insert(id);
        }
    }
    let mut shown = Vec::new();
    for id in std::mem::take(&mut read.ids) {
        let Some(basis) = basis::of_programme(app, &id).await? else { continue };
        shown.extend(one(app, id, basis, drafts).await?);
    }
    for audience in &mut audiences {
        let is_for = |it: &&Shown| audience.all.contains(&it.programme.group);
        audience.programmes = shown.iter().filter(is_for).map(|it| it.id.clone()).collect();
    }
    Ok(Scene { shown, boxes, audiences, parents })
}

/// Documents as they are read for several audiences.
#[derive(Default)]
struct Reading {
    ids: BTreeSet<ProgrammeId>,
    policies: BTreeMap<CommandId, Policy>,
}

impl Reading {
    async fn audience(
        &mut self,
        app: &App,
        mut audience: Hearing,
        sent: &[Document],
    ) -> Result<Hearing, NotProposal> {
        for id in documents_to_send(&Holds::default(), 0, &audience.all, sent).commands {
            let Some(document) = sent.iter().find(|document| document.command == *id) else { continue };
            match &document.name {
                DocumentName::Programme(name) => drop(self.ids.insert(name.clone())),
                DocumentName::Policy => audience.policy = self.policy(app, id).await?,
                DocumentName::Groups
                | DocumentName::Prepared
                | DocumentName::LocalEmergency
                | DocumentName::Software => {}
            }
        }
        Ok(audience)
    }

    async fn policy(&mut self, app: &App, id: &CommandId) -> Result<Policy, NotProposal> {
        if let Some(known) = self.policies.get(id) {
            return Ok(known.clone());
        }
        let row = app.store.command(id.clone()).await?;
        let policy = match row.and_then(|row| codec::decode::<Command>(row.payload.as_bytes()).ok()) {
            Some(Command { body: Body::Policy(policy), .. }) => policy,
            _ => Policy::default(),
        };
        self.policies.insert(id.clone(), policy.clone());
        Ok(policy)
    }
}

/// Reads a programme; `None` for one that this program can't read any more, or that is only a draft where no drafts are
/// asked for.
async fn one(app: &App, id: ProgrammeId, basis: Basis, drafts: bool) -> Result<Option<Shown>, NotProposal> {
    let readable = async |content: &ProposalContent| match basis::read(app, content).await {
        Ok(programme) => Ok(Some(programme)),
        Err(error @ NotProposal::Store(_)) => Err(error),
        Err(_) => Ok(None),
    };
    let in_force = match &basis.in_force {
        Some((content, _)) => readable(content).await?,
        None => None,
    };
    let draft = match &basis.proposal {
        Some(row) if drafts => readable(&row.content).await?,
        _ => None,
    };
    Ok(match (draft, in_force) {
        (Some(programme), in_force) => Some(Shown { id, programme, basis, in_force }),
        (None, Some(programme)) => Some(Shown { id, programme, basis, in_force: None }),
        (None, None) => None,
    })
}

impl Scene {
    /// Finds a programme of the place.
    pub fn programme(&self, id: &ProgrammeId) -> Option<&Shown> {
        self.shown.iter().find(|shown| shown.id == *id)
    }

    /// The boxes that hear a slot with this audience of a programme for `group`; all where it has none.
    pub fn hearing(&self, app: &App, group: &GroupId, audience: &[GroupId]) -> Vec<&BoxRow> {
        let hears = |row: &&BoxRow| {
            let all = app.groups_of(&row.groups);
            all.contains(group) && (audience.is_empty() || audience.iter().any(|it| all.contains(it)))
        };
        self.boxes.iter().filter(hears).collect()
    }

    /// Plans the week that begins on `monday`.
    ///
    /// # Errors
    /// Fails when two programmes name their slots alike: no box would take them.
    pub async fn plan(&self, app: &App, monday: NaiveDate) -> Result<Arc<Week>, NotProposal> {
        let from = self.digest(monday);
        if let Some(known) = app.weeks.find(from) {
            return Ok(known);
        }
        let mut jobs = Vec::new();
        for audience in &self.audiences {
            let programmes = self.shown.iter().filter(|it| audience.programmes.contains(&it.id));
            let programmes: Vec<_> = programmes.map(|it| Arc::clone(&it.programme)).collect();
            let village = village_of(&audience.own.groups, &self.parents).cloned();
            jobs.push(Job {
                programmes,
                policy: audience.policy.clone(),
                listeners: audience.own.listeners(&self.parents),
                village,
            });
        }
        let planned = tokio::task::spawn_blocking(move || plan(&jobs, monday)).await;
        let week = Arc::new(planned.map_err(|_| NotProposal::NoSuch)??);
        app.weeks.keep(from, Arc::clone(&week));
        Ok(week)
    }

    fn digest(&self, monday: NaiveDate) -> ContentHash {
        let mut all = format!("{monday}\n");
        for audience in &self.audiences {
            let Hearing { own, all: groups, policy, programmes } = audience;
            all += &format!("{groups:?} {:?} {policy:?} {programmes:?}\n", own.languages);
        }
        for shown in &self.shown {
            all += &format!("{} {} {}\n", shown.id, shown.basis.digest, shown.in_force.is_some());
        }
        ContentHash::of(all.as_bytes())
    }
}

/// A rehearsal for boxes of one audience.
struct Job {
    programmes: Vec<Arc<Programme>>,
    policy: Policy,
    listeners: Listeners,
    village: Option<GroupId>,
}

impl Job {
    fn has_programmes_of(&self, other: &Self) -> bool {
        let pairs = self.programmes.iter().zip(&other.programmes);
        self.programmes.len() == other.programmes.len() && pairs.into_iter().all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

/// A rehearsal that was made, for all villages that hear the same.
struct Rehearsed<'j> {
    job: &'j Job,
    timetable: Arc<Timetable>,
    seen: Listeners,
    planned: Vec<PlannedSession>,
    villages: BTreeSet<GroupId>,
}

fn plan(jobs: &[Job], monday: NaiveDate) -> Result<Week, NotProposal> {
    let (before, sunday) = (monday - Days::new(1), monday + Days::new(6));
    let mut rehearsed: Vec<Rehearsed<'_>> = Vec::new();
    for job in jobs {
        let timetable = match rehearsed.iter().find(|it| it.job.has_programmes_of(job)) {
            Some(known) => Arc::clone(&known.timetable),
            None => {
                let calendars = job.programmes.iter().cloned().map(Calendar::new).collect::<Result<_, _>>();
                Arc::new(Timetable::new(calendars.unwrap_or_default())?)
            }
        };
        let seen = timetable.seen_from(&job.listeners);
        let is_same = |it: &&mut Rehearsed<'_>| {
            it.seen == seen && it.job.policy == job.policy && it.job.has_programmes_of(job)
        };
        match rehearsed.iter_mut().find(is_same) {
            Some(known) => known.villages.extend(job.village.clone()),
            None => {
                let planned = preview::plan(&timetable, &seen, &job.policy, before, sunday);
                let villages = job.village.iter().cloned().collect();
                rehearsed.push(Rehearsed { job, timetable, seen, planned, villages });
            }
        }
    }
    let mut sessions: BTreeMap<(chrono::NaiveDateTime, String, bool), Vec<WeekSession>> = BTreeMap::new();
    let mut sums: BTreeMap<String, SectionWeek> = BTreeMap::new();
    for Rehearsed { job, planned, villages, .. } in &rehearsed {
        let programmes: Vec<&Programme> = job.programmes.iter().map(|it| &**it).collect();
        for sum in preview::section_weeks(planned, &programmes, monday, sunday) {
            let least = sums.entry(sum.section.to_string()).or_insert_with(|| sum.clone());
            least.sounds_s = least.sounds_s.min(sum.sounds_s);
        }
        for session in planned.iter().filter(|session| session.end.date() >= monday) {
            let of = job.programmes.iter().find(|it| it.slots.iter().any(|slot| slot.id == session.key.slot));
            let Some(of) = of else { continue };
            let new = WeekSession {
                planned: session.clone(),
                programme: of.id.clone(),
                villages: villages.clone(),
            };
            let key = (session.start.local(), session.key.slot.to_string(), new.silent().is_some());
            let alike = sessions.entry(key).or_default();
            match alike.iter_mut().find(|it| it.planned.plays == new.planned.plays) {
                Some(known) => known.villages.extend(new.villages),
                None => alike.push(new),
            }
        }
    }
    Ok(Week { sessions: sessions.into_values().flatten().collect(), sums: sums.into_values().collect() })
}
