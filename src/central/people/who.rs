//! A person who is signed in.

use crate::app::App;
use crate::store::{Actor, NewAct, PersonRow, Role, SessionRow};
use loaxa_heart::domain::ids::GroupId;
use loaxa_heart::domain::time::Wall;

/// A signed-in person, with the session by which they ask.
#[derive(Debug, Clone)]
pub struct Who {
    pub person: PersonRow,
    pub session: SessionRow,
    pub now: Wall,
    /// The address that the request came from.
    pub from: String,
}

impl Who {
    /// The person as the one who acts.
    pub fn actor(&self) -> Actor {
        Actor::Person { id: self.person.id.clone() }
    }

    /// Makes an act of this person for the audit trail.
    pub fn act(&self, act: &'static str, subject: impl Into<String>) -> NewAct {
        NewAct {
            at: self.now,
            actor: self.actor(),
            act,
            subject: subject.into(),
            before: None,
            after: None,
            from: Some(self.from.clone()),
        }
    }

    /// Tells whether the person has a role for some group.
    pub fn has(&self, role: Role) -> bool {
        self.person.roles.iter().any(|row| row.role == role && row.holds(self.now))
    }

    /// Tells whether the person has a role for every one of these groups, by the group itself or one above.
    pub fn may(&self, app: &App, role: Role, groups: &[GroupId]) -> bool {
        may(app, &self.person, role, groups, self.now)
    }

    /// The groups of the configuration for which the person has a role.
    pub fn groups(&self, app: &App, role: Role) -> Vec<GroupId> {
        let all = app.settings.groups.iter().map(|group| group.id.clone());
        all.filter(|group| self.may(app, role, std::slice::from_ref(group))).collect()
    }
}

/// Tells whether a person has a role for every one of these groups, by the group itself or one above.
pub fn may(app: &App, person: &PersonRow, role: Role, groups: &[GroupId], now: Wall) -> bool {
    let held: Vec<_> = person.roles.iter().filter(|row| row.role == role && row.holds(now)).collect();
    groups.iter().all(|group| {
        let with_above = app.groups_of(std::slice::from_ref(group));
        held.iter().any(|row| with_above.contains(&row.group))
    })
}
