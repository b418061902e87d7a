//! The words of a preview.

use chrono::{Datelike, NaiveDate, Weekday};

use super::planned::{Fate, Planned};
use crate::domain::days::DayNote;
use crate::domain::lunar::LunarDate;
use crate::said;
use crate::texts::{Say, Sentence};

/// Says a date with its day of the week and its lunar date.
pub fn day(date: NaiveDate) -> Sentence {
    let weekday = match date.weekday() {
        Weekday::Mon => said!("weekday.mon"),
        Weekday::Tue => said!("weekday.tue"),
        Weekday::Wed => said!("weekday.wed"),
        Weekday::Thu => said!("weekday.thu"),
        Weekday::Fri => said!("weekday.fri"),
        Weekday::Sat => said!("weekday.sat"),
        Weekday::Sun => said!("weekday.sun"),
    };
    let written =
        Sentence::Each { vi: date.format("%d/%m/%Y").to_string(), en: date.format("%Y-%m-%d").to_string() };
    said!("preview.day", weekday, date = written, lunar = LunarDate::from_solar(date))
}

/// Says a note on a day.
pub fn note(note: &DayNote) -> Sentence {
    match note {
        DayNote::LunarThirtieth => said!("preview.lunar_thirtieth"),
        DayNote::Holiday(id) => said!("preview.holiday", id),
    }
}

/// Returns the title that people see for a play.
pub fn title(play: &Planned) -> Sentence {
    if play.chime { said!("preview.chime") } else { Sentence::from_outside(&*play.title) }
}

/// Says what becomes of a play; nothing for one that sounds whole.
pub fn fate(fate: &Fate) -> Option<Sentence> {
    match fate {
        Fate::Whole => None,
        Fate::HardEnd => Some(said!("preview.hard_end")),
        Fate::Guarded { reason } => Some(said!("preview.stopped", reason)),
        Fate::NotPlayed { reason } => Some(said!("preview.not_played", reason = reason.say())),
    }
}
