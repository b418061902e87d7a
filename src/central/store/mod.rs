//! The store: a trait and the rows of each subject, kept by SQLite for a commune.
//!
//! Every write is on disk when its answer resolves. Whoever changes a state names the state that they saw: where somebody
//! else was faster, nothing is changed, and the answer says so.

mod alarms;
mod alerts;
mod answer;
mod audit;
mod boxes;
mod calls;
mod commands;
#[cfg(test)]
mod contract;
mod day_sums;
mod deliveries;
mod documents;
mod drafts;
mod enrolment;
mod errand;
mod feedback;
mod health;
mod keeping;
mod log;
mod media;
mod messages;
mod notices;
mod passkeys;
mod peers;
mod people;
mod places;
mod plays;
mod pronunciations;
mod proposals;
mod reach;
mod rollouts;
mod roster;
mod sessions;
pub mod sql;
mod tagged;
mod tokens;
mod troubles;
mod webhooks;

use std::sync::Arc;

pub use alarms::*;
pub use alerts::*;
pub use answer::*;
pub use audit::*;
pub use boxes::*;
pub use calls::*;
pub use commands::*;
pub use day_sums::*;
pub use deliveries::*;
pub use documents::*;
pub use drafts::*;
pub use enrolment::*;
pub use errand::*;
pub use feedback::*;
pub use health::*;
pub use keeping::*;
pub use log::*;
pub use media::*;
pub use messages::*;
pub use notices::*;
pub use passkeys::*;
pub use peers::*;
pub use people::*;
pub use places::*;
pub use plays::*;
pub use pronunciations::*;
pub use proposals::*;
pub use reach::*;
pub use rollouts::*;
pub use roster::*;
pub use sessions::*;
pub use tokens::*;
pub use troubles::*;
pub use webhooks::*;

macro_rules! store {
    ($($subject:ident)*) => {
        /// Everything that central keeps.
        pub trait Store: $($subject +)* 'static {}

        impl<T: $($subject +)* 'static> Store for T {}
    };
}

store! {
    Alarms Alerts Audit Boxes Calls Commands DaySums Deliveries Documents Drafts Enrolment Feedback Health Keeping Log Media Messages Notices
    Passkeys Peers People Places Plays Pronunciations Proposals Reach Rollouts Roster Sessions Tokens Troubles Webhooks
}

/// A store that any part of central holds.
pub type SharedStore = Arc<dyn Store>;
