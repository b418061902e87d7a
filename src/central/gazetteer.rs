//! The names that staff gave to groups, at hand for every page.

use std::collections::BTreeMap;
use std::sync::RwLock;

use crate::store::PlaceRow;
use loaxa_heart::domain::ids::GroupId;

/// The names of groups, as the store gave them last.
#[derive(Debug, Default)]
pub struct Gazetteer(RwLock<BTreeMap<GroupId, String>>);

impl Gazetteer {
    /// The name that staff gave to a group.
    pub fn title(&self, group: &GroupId) -> Option<String> {
        self.0.read().expect("nothing panics while it holds the names").get(group).cloned()
    }

    /// Keeps names in place of those before.
    pub fn keep(&self, places: Vec<PlaceRow>) {
        let names = places.into_iter().filter_map(|place| Some((place.group, place.title?))).collect();
        *self.0.write().expect("nothing panics while it holds the names") = names;
    }
}
