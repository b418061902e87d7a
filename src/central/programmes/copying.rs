//! A week that is to sound like another one: the differences, and the changes that make them go.

use chrono::{Days, NaiveDate, NaiveTime};

use super::not_proposal::NotProposal;
use loaxa_heart::config::programme_edit::{ProgrammeText, SlotFields};
use loaxa_heart::domain::days::ProgrammeDays;
use loaxa_heart::domain::ids::{PlaylistId, SlotId};
use loaxa_heart::domain::programme::{Programme, Slot};

/// A slot that one of the weeks has more than the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The day in the week that changes.
    pub day: NaiveDate,
    pub slot: SlotId,
    pub title: String,
    pub start: NaiveTime,
    pub end: NaiveTime,
}

/// The changes of a week.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    pub added: Vec<Missing>,
    pub removed: Vec<Missing>,
}

impl Difference {
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// Everything that villagers can tell two slots by.
type Looks<'a> = (NaiveTime, NaiveTime, &'a str, &'a PlaylistId, u8);

fn looks(slot: &Slot) -> Looks<'_> {
    (slot.start, slot.end, &slot.title, &slot.playlist, slot.volume_percent)
}

/// Finds what changes in the week from `to` on, so that it sounds like the week from `from` on; both are Mondays.
pub fn difference(programme: &Programme, from: NaiveDate, to: NaiveDate) -> Difference {
    let Ok(days) = ProgrammeDays::new(programme) else { return Difference::default() };
    let mut found = Difference::default();
    for day in (0..7).map(Days::new) {
        let due = |date: NaiveDate| days.on(date).due.into_iter().map(|due| &programme.slots[due.slot]);
        let (source, target): (Vec<_>, Vec<_>) = (due(from + day).collect(), due(to + day).collect());
        let missing = |slot: &&Slot| Missing {
            day: to + day,
            slot: slot.id.clone(),
            title: slot.title.clone(),
            start: slot.start,
            end: slot.end,
        };
        let lacks = |there: &[&Slot], slot: &&Slot| !there.iter().any(|it| looks(it) == looks(slot));
        found.added.extend(source.iter().filter(|slot| lacks(&target, slot)).map(missing));
        found.removed.extend(target.iter().filter(|slot| lacks(&source, slot)).map(missing));
    }
    found
}

/// Writes the changes into a programme's text.
///
/// # Errors
/// Fails when the text has a slot no more.
pub fn apply(text: &str, difference: &Difference) -> Result<String, NotProposal> {
    let mut text = ProgrammeText::open(text)?;
    for it in &difference.added {
        text.copy_to(&it.slot, it.day, &SlotFields::default())?;
    }
    for it in &difference.removed {
        text.silence_once(&it.slot, it.day)?;
    }
    Ok(text.text())
}
