//! The words that sound now, for everybody: told by the centre's own titles and texts. A title that a box wrote into its log
//! is never among them, as everybody would read it.

use std::collections::{BTreeMap, BTreeSet};

use super::day;
use crate::app::App;
use crate::settings::village_of;
use crate::store::StoreError;
use loaxa_heart::domain::announcement::{Mode, Rung};
use loaxa_heart::domain::ids::{CommandId, GroupId};
use loaxa_heart::domain::playback::Subject;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Command};

/// Something that sounds now, on one box or many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sounding {
    /// `None` for a live voice, and for what the centre does not know by name.
    pub title: Option<String>,
    /// The words, where it has some.
    pub words: Option<String>,
    pub rung: Rung,
    pub villages: BTreeSet<GroupId>,
    pub since: Wall,
    /// The end of its slot.
    pub until: Option<Wall>,
}

/// Reads what sounds now on boxes that are in contact, what matters most first.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn sounding(app: &App) -> Result<Vec<Sounding>, StoreError> {
    let (now, parents) = (app.now(), app.settings.parents());
    let boxes = app.store.boxes().await?;
    let slots = day::today(app, &boxes).await?;
    let online: BTreeMap<_, _> =
        boxes.iter().filter(|row| row.is_online(now)).map(|row| (&row.id, row)).collect();
    let rows = app.store.sounding().await?;
    let mut found: BTreeMap<&Subject, Sounding> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.mode != Some(Mode::Test)) {
        let Some(village) = online.get(&row.id).and_then(|on| village_of(&on.groups, &parents)) else {
            continue;
        };
        let entry = found.entry(&row.subject).or_insert_with(|| Sounding {
            title: None,
            words: None,
            rung: row.rung,
            villages: BTreeSet::new(),
            since: row.opened,
            until: None,
        });
        entry.since = entry.since.min(row.opened);
        entry.villages.insert(village.clone());
    }
    for (subject, it) in &mut found {
        match subject {
            Subject::Slot(key) => {
                if let Some(slot) = slots.iter().find(|slot| slot.key == *key) {
                    (it.title, it.since) = (Some(slot.title.clone()), slot.start);
                    it.until = Some(slot.end).filter(|end| *end > now);
                }
            }
            Subject::Announcement { command } => {
                (it.title, it.words) = said_in(app, command).await?.unzip();
                it.words = it.words.take().filter(|words| !words.trim().is_empty());
            }
            Subject::Live { .. } => {}
        }
    }
    let mut found: Vec<_> = found.into_values().collect();
    found.sort_by(|a, b| (b.rung, a.since, &a.title).cmp(&(a.rung, b.since, &b.title)));
    Ok(found)
}

/// The title and the words of an announcement that was sent.
async fn said_in(app: &App, id: &CommandId) -> Result<Option<(String, String)>, StoreError> {
    let row = app.store.command(id.clone()).await?;
    let command = row.and_then(|row| codec::decode::<Command>(row.payload.as_bytes()).ok());
    Ok(command.and_then(|command| match command.body {
        Body::Announce { title, words, .. } => {
            Some((title, words.map(|words| words.text).unwrap_or_default()))
        }
        _ => None,
    }))
}
