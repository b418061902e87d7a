//! The people who may install boxes, move them and shut them out.

use crate::app::App;
use crate::people::Who;
use crate::store::Role;
use loaxa_heart::domain::ids::GroupId;

/// Roles that install boxes, move them and shut them out.
pub const KEEPERS: &[Role] = &[Role::Technician, Role::Administrator];

/// Tells whether a person may change boxes of these groups.
pub fn may_keep(app: &App, who: &Who, groups: &[GroupId]) -> bool {
    KEEPERS.iter().any(|role| who.has(*role) && who.may(app, *role, groups))
}

/// The groups for which a person may change boxes, without those that became part of others.
pub fn kept_groups(app: &App, who: &Who) -> Vec<GroupId> {
    let merged = app.merged();
    let all = app.settings.groups.iter().map(|group| group.id.clone());
    all.filter(|group| !merged.contains_key(group))
        .filter(|group| may_keep(app, who, std::slice::from_ref(group)))
        .collect()
}
