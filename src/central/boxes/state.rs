//! The state of a box in one word.

use crate::store::BoxRow;
use loaxa_heart::domain::time::{ClockQuality, Wall};

/// The states of which each box has one; what needs a person comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BoxState {
    OutOfContact,
    Faulty,
    OnAir,
    Quiet,
}

impl BoxState {
    pub const ALL: [BoxState; 4] =
        [BoxState::OnAir, BoxState::Quiet, BoxState::OutOfContact, BoxState::Faulty];

    /// The state of a box at `now`.
    pub fn of(row: &BoxRow, now: Wall) -> Self {
        if !row.is_online(now) {
            BoxState::OutOfContact
        } else if !row.faults.is_empty() || row.clock == Some(ClockQuality::None) {
            BoxState::Faulty
        } else if row.on_air.is_some() {
            BoxState::OnAir
        } else {
            BoxState::Quiet
        }
    }
}
