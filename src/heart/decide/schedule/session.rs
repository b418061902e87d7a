//! A slot on a date.

use crate::domain::days::DayNote;
use crate::domain::playback::SlotKey;
use crate::domain::time::{Span, Wall};

/// A slot on a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub key: SlotKey,
    /// Index of the calendar in its [`Timetable`]; 0 for a calendar alone.
    pub calendar: usize,
    /// Index in [`Programme::slots`].
    pub slot: usize,
    pub start: Wall,
    /// Hard end.
    pub end: Wall,
    /// Music is left out.
    pub mourning: bool,
    pub notes: Vec<DayNote>,
}

impl Session {
    /// Returns the time from start to hard end.
    pub fn length(&self) -> Span {
        self.end.since(self.start)
    }
}
