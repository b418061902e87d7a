//! Everything that pages for everybody show, read once for all who ask: however many strangers come, the store is asked as
//! often as by one of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Days;
use tokio::sync::Mutex;

use super::readers::{Readers, Writers};
use crate::app::App;
use crate::foreseen::PlannedSlot;
use crate::orders::day;
use crate::orders::sounding::{self, Sounding};
use crate::settings::village_of;
use crate::store::{Broadcast, PublishedRow, StoreError};
use crate::web::shared;
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::announcement::Mode;
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::time::{Moment, Span, Wall};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::Command;

/// Time for which all who ask share what was read of programmes and of what can be heard again.
const GOOD_FOR: Span = Span::secs(3);
/// Shortest time between two readings of what sounds.
const SOUNDING_EVERY: Span = Span::millis(200);
/// Longest time for which what sounds is taken to be as it was read: a box may fall silent without a word.
const SOUNDING_GOOD_FOR: Span = Span::secs(5);
/// Days before today of which people may speak, and days from today on that are planned.
const DAYS_BEFORE: u64 = 2;
const DAYS_AHEAD: u64 = 14;
/// Items that can be heard again, and announcements of the last days, at most.
const AGAIN_MAX: u32 = 100;
const ANNOUNCEMENTS_READ: u32 = 100;

/// A village.
pub struct Village {
    pub group: GroupId,
    pub title: String,
}

/// An announcement of the last days, and where it was meant to be heard.
struct Said {
    broadcast: Broadcast,
    groups: Vec<GroupId>,
}

/// Everything of the programme, and of what was said.
pub struct Seen {
    pub now: Wall,
    /// Villages by their titles.
    pub villages: Vec<Village>,
    pub slots: Arc<Vec<PlannedSlot>>,
    pub again: Vec<PublishedRow>,
    said: Vec<Said>,
    /// A village with all groups above it.
    above: BTreeMap<GroupId, Vec<GroupId>>,
    /// Villages that became part of others: their old addresses lead there.
    merged: BTreeMap<GroupId, GroupId>,
}

impl Seen {
    /// The village that was asked for; the first where none was; `None` where there is no such village.
    pub fn village(&self, asked: &str) -> Option<&Village> {
        match asked {
            "" => self.villages.first(),
            asked => {
                let becomes = self.merged.iter().find(|(old, _)| old.as_str() == asked);
                let asked = becomes.map_or(asked, |(_, becomes)| becomes.as_str());
                self.villages.iter().find(|village| village.group.as_str() == asked)
            }
        }
    }

    /// The slots that a village hears.
    pub fn slots_of<'s>(&'s self, village: &'s GroupId) -> impl Iterator<Item = &'s PlannedSlot> {
        self.slots.iter().filter(|slot| slot.villages.contains(village))
    }

    fn is_for(&self, groups: &[GroupId], village: &GroupId) -> bool {
        self.above.get(village).is_some_and(|above| above.iter().any(|group| groups.contains(group)))
    }

    /// Lists the items that a village can hear again, the latest first.
    pub fn again_in<'s>(&'s self, village: &'s GroupId) -> impl Iterator<Item = &'s PublishedRow> {
        self.again.iter().filter(|row| self.is_for(&row.content.groups, village))
    }

    /// The broadcasts of the last days of which people of a village may speak, the latest first.
    pub fn broadcasts(&self, village: &GroupId) -> Vec<Broadcast> {
        let slots = self.slots_of(village).filter(|slot| slot.start <= self.now).map(|slot| Broadcast {
            id: format!("buoi/{}/{}", slot.key.slot, slot.key.date),
            title: slot.title.clone(),
            at: slot.start,
        });
        let said = self.said.iter().filter(|said| self.is_for(&said.groups, village));
        let mut all: Vec<_> = slots.chain(said.map(|said| said.broadcast.clone())).collect();
        all.sort_by_key(|broadcast| std::cmp::Reverse(broadcast.at));
        all
    }
}

/// The content that was read last, and the strangers who read and write.
pub struct Shared {
    seen: std::sync::Mutex<Option<(Moment, Arc<Seen>)>>,
    /// Held by whoever reads it anew.
    reading: Mutex<()>,
    sounding: shared::Shared<Vec<Sounding>>,
    pub readers: Readers,
    pub writers: Writers,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            seen: Default::default(),
            reading: Mutex::default(),
            sounding: shared::Shared::of(SOUNDING_GOOD_FOR, SOUNDING_EVERY),
            readers: Readers::default(),
            writers: Writers::default(),
        }
    }
}

impl Shared {
    /// Everything of the programme, as it was a moment ago.
    ///
    /// # Errors
    /// Fails when the store does not answer.
    pub async fn seen(&self, app: &App) -> Result<Arc<Seen>, StoreError> {
        let kept = || self.seen.lock().expect("nothing panics while it holds what was read").clone();
        let is_good = |(made, _): &(Moment, _)| monotonic().since(*made) < GOOD_FOR;
        let before = kept();
        if let Some((_, seen)) = before.clone().filter(is_good) {
            return Ok(seen);
        }
        let reading = match (self.reading.try_lock(), before) {
            (Ok(reading), _) => reading,
            // A new programme takes its time to be rehearsed: until then everybody sees the one before.
            (Err(_), Some((_, seen))) => return Ok(seen),
            (Err(_), None) => self.reading.lock().await,
        };
        if let Some((_, seen)) = kept().filter(is_good) {
            return Ok(seen);
        }
        let seen = Arc::new(read(app).await?);
        let read = Some((monotonic(), Arc::clone(&seen)));
        *self.seen.lock().expect("nothing panics while it holds what was read") = read;
        drop(reading);
        Ok(seen)
    }

    /// The sounds of now, as they were a fifth of a second ago at most where something has changed since.
    ///
    /// # Errors
    /// Fails when the store does not answer.
    pub async fn sounding(&self, app: &App) -> Result<Arc<Vec<Sounding>>, StoreError> {
        self.sounding.get(&app.changes, sounding::sounding(app)).await
    }
}

async fn read(app: &App) -> Result<Seen, StoreError> {
    let (now, parents) = (app.now(), app.settings.parents());
    let boxes = app.store.boxes().await?;
    // Also those whose first box is still to come.
    let known = app.settings.groups.iter().map(|group| group.id.clone());
    let lowest = known.filter(|id| parents.values().all(|parent| parent != id));
    let groups: std::collections::BTreeSet<_> =
        boxes.iter().filter_map(|row| village_of(&row.groups, &parents).cloned()).chain(lowest).collect();
    let merged = app.merged();
    let above = groups.iter().map(|group| (group.clone(), app.groups_of(std::slice::from_ref(group))));
    let above = above.collect();
    let mut villages: Vec<_> = groups
        .into_iter()
        .filter(|group| !merged.contains_key(group))
        .map(|group| Village { title: app.title_of(&group), group })
        .collect();
    villages.sort_by(|a, b| a.title.cmp(&b.title));
    let first = now.date() - Days::new(DAYS_BEFORE);
    let slots = day::between(app, &boxes, (first, now.date() + Days::new(DAYS_AHEAD - 1))).await?;
    let again = app.store.published(AGAIN_MAX).await?;
    let mut said = Vec::new();
    for row in app.store.announcements(None, ANNOUNCEMENTS_READ).await? {
        if row.mode == Some(Mode::Test) || row.issued_at.date() < first {
            continue;
        }
        let Ok(command) = codec::decode::<Command>(row.payload.as_bytes()) else { continue };
        let Some(announcement) = command.announcement(1) else { continue };
        let at = announcement.plan.at.unwrap_or(row.issued_at);
        if at > now || (row.ended.is_some() && announcement.plan.at.is_some()) {
            // Nobody is to read today what is said tomorrow, or was never said.
            continue;
        }
        let broadcast = Broadcast { id: format!("tin/{}", row.id), title: row.title, at };
        said.push(Said { broadcast, groups: row.groups });
    }
    Ok(Seen { now, villages, slots, again, said, above, merged })
}
