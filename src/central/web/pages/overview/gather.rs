//! Everything that the overview shows, read from the store and put together by village.

use std::collections::{BTreeMap, BTreeSet};

use crate::app::App;
use crate::boxes::alarms::{self, AlarmGroup};
use crate::boxes::state::BoxState;
use crate::foreseen::PlannedSlot;
use crate::orders::day;
use crate::settings::village_of;
use crate::store::{BoxRow, PersonRow, Point, SiteRow, SoundingRow, StoreError};
use crate::vietnamese::order;
use loaxa_heart::domain::announcement::{Mode, Rung};
use loaxa_heart::domain::ids::{CommandId, GroupId};
use loaxa_heart::domain::playback::Subject;
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command};

/// Announcements in which those with an hour are sought.
const ANNOUNCEMENTS_READ: u32 = 200;

/// The content of the overview.
pub struct Seen {
    pub now: Wall,
    pub boxes: Vec<BoxRow>,
    pub people: Vec<PersonRow>,
    pub is_connected: bool,
    pub alarms: Vec<AlarmGroup>,
    pub villages: Vec<Village>,
    /// Boxes in each state, in the order of [`BoxState::ALL`].
    pub sums: [usize; 4],
    pub on_air: Vec<OnAir>,
    pub next: Vec<Next>,
}

/// A village and its boxes.
#[derive(Default)]
pub struct Village {
    /// `None` for boxes in no group.
    pub group: Option<GroupId>,
    pub title: String,
    /// Boxes in each state, in the order of [`BoxState::ALL`].
    pub counts: [usize; 4],
    /// The title and the rung of what sounds highest.
    pub sounding: Option<(Rung, String)>,
    /// The earliest last word of its silent boxes.
    pub silent_since: Option<Wall>,
    /// The box that needs mending, where it is one.
    pub faulty: Option<String>,
    pub next: Option<Wall>,
    pub point: Option<Point>,
}

impl Village {
    pub fn count(&self, state: BoxState) -> usize {
        BoxState::ALL.iter().position(|it| *it == state).map_or(0, |index| self.counts[index])
    }

    pub fn boxes(&self) -> usize {
        self.counts.iter().sum()
    }

    /// The state that the village shows: what needs a person comes first.
    pub fn state(&self) -> BoxState {
        let mut states = BoxState::ALL;
        states.sort();
        states.into_iter().find(|state| self.count(*state) > 0).unwrap_or(BoxState::Quiet)
    }
}

/// Something that sounds, on one box or many.
pub struct OnAir {
    pub title: String,
    pub rung: Rung,
    pub mode: Option<Mode>,
    pub from: Wall,
    /// `None` where its length is not known.
    pub until: Option<Wall>,
    pub boxes: usize,
    pub villages: BTreeSet<Option<GroupId>>,
}

/// Something that begins later today.
pub struct Next {
    pub at: Wall,
    pub title: String,
    /// `None` for a slot of a programme.
    pub rung: Option<Rung>,
    pub mode: Option<Mode>,
    pub villages: BTreeSet<GroupId>,
    pub until: Option<Wall>,
}

/// Reads and puts together what the overview shows.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn gather(app: &App) -> Result<Seen, StoreError> {
    let now = app.now();
    let boxes = app.store.boxes().await?;
    let sites = app.store.sites().await?;
    let alarms = alarms::of_now(app, &boxes, &sites).await?;
    let slots = day::today(app, &boxes).await?;
    let sounding = app.store.sounding().await?;
    let on_air = on_air(app, now, &boxes, &sounding, &slots).await?;
    let next = next(app, now, &slots).await?;
    let mut villages = villages(app, now, &boxes, &sites, (&sounding, &slots)).await?;
    for village in &mut villages {
        let hears = |it: &&Next| village.group.as_ref().is_some_and(|group| it.villages.contains(group));
        village.next = next.iter().find(hears).map(|it| it.at);
    }
    let sums = std::array::from_fn(|index| villages.iter().map(|village| village.counts[index]).sum());
    let people = app.store.people().await?;
    let is_connected = app.outbound.is_connected();
    Ok(Seen { now, boxes, people, is_connected, alarms, villages, sums, on_air, next })
}

async fn villages(
    app: &App,
    now: Wall,
    boxes: &[BoxRow],
    sites: &[SiteRow],
    (sounding, slots): (&[SoundingRow], &[PlannedSlot]),
) -> Result<Vec<Village>, StoreError> {
    let parents = app.settings.parents();
    let mut points: BTreeMap<GroupId, Point> =
        app.store.places().await?.into_iter().filter_map(|place| Some((place.group, place.point?))).collect();
    let sites: BTreeMap<_, _> = sites.iter().filter_map(|site| Some((&site.id, site.point?))).collect();
    let titled =
        |row: &SoundingRow| slot_of(&row.subject, slots).map_or(&row.title, |slot| &slot.title).clone();
    let rungs: BTreeMap<_, _> = sounding.iter().map(|row| (&row.id, (row.rung, row))).collect();
    let mut found: BTreeMap<Option<&GroupId>, Village> = BTreeMap::new();
    for row in boxes {
        let group = village_of(&row.groups, &parents);
        let village = found.entry(group).or_insert_with(|| Village {
            group: group.cloned(),
            title: group.map(|group| app.title_of(group)).unwrap_or_default(),
            counts: [0; 4],
            sounding: None,
            silent_since: None,
            faulty: None,
            next: None,
            point: group.and_then(|group| points.remove(group)),
        });
        let state = BoxState::of(row, now);
        let index = BoxState::ALL.iter().position(|it| *it == state).unwrap_or_default();
        village.counts[index] += 1;
        village.point = village.point.or(sites.get(&row.id).copied());
        match state {
            BoxState::OutOfContact => {
                let earlier = village.silent_since.into_iter().chain(row.last_seen).min();
                village.silent_since = earlier;
            }
            BoxState::Faulty if village.faulty.is_none() => village.faulty = Some(row.title.clone()),
            BoxState::OnAir => {
                if let Some((rung, play)) = rungs.get(&row.id)
                    && village.sounding.as_ref().is_none_or(|(highest, _)| highest < rung)
                {
                    village.sounding = Some((*rung, titled(play)));
                }
            }
            BoxState::Faulty | BoxState::Quiet => {}
        }
    }
    let mut villages: Vec<_> = found.into_values().collect();
    villages.sort_by_cached_key(|village| (village.state(), order(&village.title)));
    Ok(villages)
}

async fn on_air(
    app: &App,
    now: Wall,
    boxes: &[BoxRow],
    sounding: &[SoundingRow],
    slots: &[PlannedSlot],
) -> Result<Vec<OnAir>, StoreError> {
    let parents = app.settings.parents();
    let online: BTreeMap<_, _> =
        boxes.iter().filter(|row| row.is_online(now)).map(|row| (&row.id, row)).collect();
    let mut found: BTreeMap<&Subject, OnAir> = BTreeMap::new();
    for row in sounding {
        let Some(on) = online.get(&row.id) else { continue };
        let entry = found.entry(&row.subject).or_insert_with(|| OnAir {
            title: row.title.clone(),
            rung: row.rung,
            mode: row.mode,
            from: row.opened,
            until: None,
            boxes: 0,
            villages: BTreeSet::new(),
        });
        entry.from = entry.from.min(row.opened);
        entry.boxes += 1;
        entry.villages.insert(village_of(&on.groups, &parents).cloned());
    }
    for (subject, it) in &mut found {
        match subject {
            Subject::Slot(_) => {
                if let Some(slot) = slot_of(subject, slots) {
                    (it.title, it.from, it.until) = (slot.title.clone(), slot.start, Some(slot.end));
                }
            }
            Subject::Announcement { command } => {
                it.until = length(app, command).await?.map(|length| it.from.plus(length));
            }
            Subject::Live { .. } => {}
        }
        // What should be over and goes on is not known better than that it goes on.
        it.until = it.until.filter(|until| *until > now);
    }
    let mut found: Vec<_> = found.into_values().collect();
    found.sort_by_key(|it| (std::cmp::Reverse(it.rung), it.from));
    Ok(found)
}

/// The planned slot that a play belongs to.
fn slot_of<'s>(subject: &Subject, slots: &'s [PlannedSlot]) -> Option<&'s PlannedSlot> {
    let Subject::Slot(key) = subject else { return None };
    slots.iter().find(|slot| slot.key == *key)
}

/// The length of one repetition, where the audio was sent and says so.
async fn length(app: &App, id: &CommandId) -> Result<Option<Span>, StoreError> {
    let row = app.store.command(id.clone()).await?;
    let command = row.and_then(|row| codec::decode::<Command>(row.payload.as_bytes()).ok());
    Ok(command.and_then(|command| match command.body {
        Body::Announce { media: Some(media), .. } => Some(Span::millis(media.ms.into())),
        _ => None,
    }))
}

/// Finds what begins later today: slots, and announcements with an hour.
async fn next(app: &App, now: Wall, slots: &[PlannedSlot]) -> Result<Vec<Next>, StoreError> {
    let later = slots.iter().filter(|slot| slot.start > now).map(|slot| Next {
        at: slot.start,
        title: slot.title.clone(),
        rung: None,
        mode: None,
        villages: slot.villages.clone(),
        until: Some(slot.end),
    });
    let mut found: Vec<_> = later.collect();
    for row in app.store.announcements(None, ANNOUNCEMENTS_READ).await? {
        if row.ended.is_some() || row.expires <= now {
            continue;
        }
        let Ok(command) = codec::decode::<Command>(row.payload.as_bytes()) else { continue };
        let Some(announcement) = command.announcement(1) else { continue };
        let Some(at) = announcement.plan.at.filter(|at| *at > now && at.date() == now.date()) else {
            continue;
        };
        found.push(Next {
            at,
            title: row.title,
            rung: Some(announcement.rung()),
            mode: Some(announcement.mode),
            villages: row.groups.into_iter().collect(),
            until: None,
        });
    }
    found.sort_by(|a, b| (a.at, &a.title).cmp(&(b.at, &b.title)));
    Ok(found)
}
