//! The names that staff gave to groups, and the groups that became part of others, at hand for every page.

use std::collections::BTreeMap;
use std::sync::RwLock;

use crate::store::PlaceRow;
use loaxa_heart::domain::ids::GroupId;

/// The names of groups, as the store gave them last.
#[derive(Debug, Default)]
pub struct Gazetteer(RwLock<Names>);

#[derive(Debug, Default)]
struct Names {
    titles: BTreeMap<GroupId, String>,
    merged: BTreeMap<GroupId, GroupId>,
}

impl Gazetteer {
    fn read<T>(&self, of: impl FnOnce(&Names) -> T) -> T {
        of(&self.0.read().expect("nothing panics while it holds the names"))
    }

    /// The name that staff gave to a group.
    pub fn title(&self, group: &GroupId) -> Option<String> {
        self.read(|names| names.titles.get(group).cloned())
    }

    /// Groups that became part of others, each with the one that it is now.
    pub fn merged(&self) -> BTreeMap<GroupId, GroupId> {
        self.read(|names| names.merged.clone())
    }

    /// Keeps names in place of those before.
    pub fn keep(&self, places: Vec<PlaceRow>, merged: BTreeMap<GroupId, GroupId>) {
        let titles = places.into_iter().filter_map(|place| Some((place.group, place.title?))).collect();
        *self.0.write().expect("nothing panics while it holds the names") = Names { titles, merged };
    }
}
