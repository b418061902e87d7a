//! The roster: who is on duty when, and in which order people are called.

use chrono::{Datelike, NaiveDateTime, Timelike};
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::audit::NewAct;
use loaxa_heart::domain::ids::AccountId;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// A turn on duty that comes again each week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShiftRow {
    /// A number that the store gives.
    pub id: i64,
    /// The person as the office calls them.
    pub name: String,
    /// The account of a person of this commune; `None` for somebody of the level above.
    pub account: Option<AccountId>,
    /// The address for letters; `None` calls on open pages and by the webhook alone.
    pub email: Option<String>,
    /// Days on which the turn begins, 0 is Monday.
    pub days: Vec<u8>,
    /// Minutes from midnight. A turn that ends before it begins goes on until the next day; one that ends when it begins
    /// lasts a day.
    pub from: u16,
    pub until: u16,
    /// The place in the order of calling, the lowest first.
    pub place: u16,
    /// Somebody of the level above, who is called when nobody here answers.
    pub above: bool,
}

impl ShiftRow {
    /// Tells whether the turn is on at a local time.
    pub fn is_on(&self, local: NaiveDateTime) -> bool {
        let today = local.weekday().num_days_from_monday() as u8;
        let minute = (local.hour() * 60 + local.minute()) as u16;
        let begins_on = |day: u8| self.days.contains(&day);
        if self.from < self.until {
            return begins_on(today) && (self.from..self.until).contains(&minute);
        }
        let yesterday = (today + 6) % 7;
        begins_on(today) && (self.from..DAY).contains(&minute) || begins_on(yesterday) && minute < self.until
    }
}

/// The turns of a commune.
pub trait Roster: Send + Sync {
    /// Adds a turn; its number is the store's.
    fn add_shift(&self, shift: ShiftRow, act: NewAct) -> Answer<'_, ()>;

    /// Takes a turn off the roster; false where it is off already.
    fn end_shift(&self, id: i64, act: NewAct) -> Answer<'_, bool>;

    /// Lists the turns in the order of calling.
    fn shifts(&self) -> Answer<'_, Vec<ShiftRow>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shift(days: &[u8], from: u16, until: u16) -> ShiftRow {
        ShiftRow {
            id: 1,
            name: "An".to_owned(),
            account: None,
            email: None,
            days: days.to_vec(),
            from,
            until,
            place: 1,
            above: false,
        }
    }

    #[test]
    fn a_turn_is_on_from_its_first_minute_to_before_its_last_over_midnight_too() {
        let check = |shift: &ShiftRow, at: &str, expected| {
            let at = NaiveDateTime::parse_from_str(at, "%Y-%m-%d %H:%M").unwrap();
            assert_eq!(shift.is_on(at), expected, "{shift:?} {at}");
        };
        // 2026-11-26 is a Thursday.
        let day = shift(&[3], 7 * 60, 17 * 60);
        check(&day, "2026-11-26 06:59", false);
        check(&day, "2026-11-26 07:00", true);
        check(&day, "2026-11-26 16:59", true);
        check(&day, "2026-11-26 17:00", false);
        check(&day, "2026-11-27 08:00", false);
        let night = shift(&[3], 22 * 60, 6 * 60);
        check(&night, "2026-11-26 05:00", false);
        check(&night, "2026-11-26 22:00", true);
        check(&night, "2026-11-27 05:59", true);
        check(&night, "2026-11-27 06:00", false);
        let sunday_night = shift(&[6], 22 * 60, 6 * 60);
        check(&sunday_night, "2026-11-30 05:59", true);
        let whole = shift(&[3], 0, 0);
        check(&whole, "2026-11-26 00:00", true);
        check(&whole, "2026-11-26 23:59", true);
        check(&whole, "2026-11-27 00:00", false);
    }
}
