//! Places that hold other places.

use crate::app::App;
use loaxa_heart::decide::delivery::with_ancestors;
use loaxa_heart::domain::ids::GroupId;

/// A group with all below it, and what became part of them; nothing for a group that holds all others, since nothing needs to be left out then.
pub fn below(app: &App, group: &GroupId) -> Vec<GroupId> {
    let parents = app.settings.parents();
    if app.settings.top_groups() == [group.clone()] {
        return Vec::new();
    }
    let known = app.settings.groups.iter().map(|known| known.id.clone());
    let mut found: Vec<_> =
        known.filter(|id| with_ancestors(std::slice::from_ref(id), &parents).contains(group)).collect();
    let merged = app.merged();
    let old = merged.into_iter().filter(|(_, becomes)| found.contains(becomes)).map(|(old, _)| old);
    let old: Vec<_> = old.filter(|old| !found.contains(old)).collect();
    found.extend(old);
    // A group that is gone is still a choice: its past is kept.
    if found.is_empty() {
        found.push(group.clone());
    }
    found
}
