//! The decision who is called when. Time is an argument; nothing here knows a clock, a store or a network.

use chrono::NaiveDateTime;

use crate::store::{Reply, ReplyRow, ShiftRow};
use loaxa_heart::domain::ids::AccountId;
use loaxa_heart::domain::time::{Span, Wall};

/// Time for which somebody who listens keeps the others from being called: enough to read, hear and decide.
const LISTENS: Span = Span::secs(300);

/// Somebody who can be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// `None` for somebody without an account here.
    pub account: Option<AccountId>,
    pub name: String,
    pub email: Option<String>,
    /// Somebody of the level above.
    pub above: bool,
}

impl Contact {
    /// The name under which the store remembers that they were called.
    pub fn key(&self) -> String {
        match (&self.account, &self.email) {
            (Some(account), _) => account.to_string(),
            (None, Some(email)) => email.clone(),
            (None, None) => self.name.clone(),
        }
    }
}

/// The times of calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// From one person to the next.
    pub next: Span,
    /// From the beginning to the level above.
    pub above: Span,
}

/// Puts people in the order of calling: whoever is on duty, then every other officer, then the level above. Whoever began the
/// call is left out, and nobody stands in it twice.
pub fn order(
    shifts: &[ShiftRow],
    officers: &[Contact],
    first: &AccountId,
    local: NaiveDateTime,
) -> Vec<Contact> {
    let mut ordered: Vec<Contact> = Vec::new();
    let mut add = |contact: Contact| {
        let is_first = contact.account.as_ref() == Some(first);
        if !is_first && ordered.iter().all(|known| known.key() != contact.key()) {
            ordered.push(contact);
        }
    };
    let mut on: Vec<&ShiftRow> = shifts.iter().filter(|shift| shift.is_on(local)).collect();
    on.sort_by_key(|shift| (shift.place, shift.id));
    let contact = |shift: &ShiftRow| Contact {
        account: shift.account.clone(),
        name: shift.name.clone(),
        email: shift.email.clone(),
        above: shift.above,
    };
    // A person who has lost the role since is called no more.
    let is_officer = |shift: &&ShiftRow| officers.iter().any(|officer| officer.account == shift.account);
    on.iter().copied().filter(|shift| !shift.above).filter(is_officer).map(contact).for_each(&mut add);
    officers.iter().cloned().for_each(&mut add);
    on.iter().copied().filter(|shift| shift.above).map(contact).for_each(&mut add);
    ordered
}

/// Gives everybody in the order the time at which they are called.
pub fn plan(ordered: &[Contact], began: Wall, times: Times) -> Vec<(Contact, Wall)> {
    let at = |start: Wall, place: usize| Wall(start.0 + times.next.0 as i64 * place as i64);
    let here = ordered.iter().filter(|contact| !contact.above).enumerate();
    let above = ordered.iter().filter(|contact| contact.above).enumerate();
    let here = here.map(|(place, contact)| (contact.clone(), at(began, place)));
    let above = above.map(|(place, contact)| (contact.clone(), at(began.plus(times.above), place)));
    let mut planned: Vec<_> = here.chain(above).collect();
    planned.sort_by_key(|(_, at)| *at);
    planned
}

/// Finds the time since which somebody is listening and has not declined: from then on nobody else is called, unless
/// whoever listens decides nothing for five minutes.
pub fn held_since(replies: &[ReplyRow], now: Wall) -> Option<Wall> {
    let listens = |row: &&ReplyRow| row.reply == Reply::Listening && now.since(row.at) < LISTENS;
    replies.iter().filter(listens).map(|row| row.at).min()
}

/// Says who is called by `now`.
pub fn called_by(planned: &[(Contact, Wall)], replies: &[ReplyRow], now: Wall) -> Vec<(Contact, Wall)> {
    let until = held_since(replies, now).map_or(now, |held| held.min(now));
    planned.iter().filter(|(_, at)| *at <= until).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: Wall = Wall(1_795_221_000_000_000);
    const TIMES: Times = Times { next: Span::secs(60), above: Span::secs(180) };

    fn local() -> NaiveDateTime {
        // A Thursday.
        NaiveDateTime::parse_from_str("2026-11-26 17:06", "%Y-%m-%d %H:%M").unwrap()
    }

    fn officer(name: &str) -> Contact {
        Contact { account: Some(name.parse().unwrap()), name: name.to_owned(), email: None, above: false }
    }

    fn shift(name: &str, place: u16, days: &[u8], above: bool) -> ShiftRow {
        ShiftRow {
            id: i64::from(place),
            name: name.to_owned(),
            account: (!above).then(|| name.parse().unwrap()),
            email: above.then(|| format!("{name}@tinh.vn")),
            days: days.to_vec(),
            from: 7 * 60,
            until: 22 * 60,
            place,
            above,
        }
    }

    fn names(contacts: &[Contact]) -> Vec<&str> {
        contacts.iter().map(|contact| contact.name.as_str()).collect()
    }

    #[test]
    fn who_is_on_duty_comes_first_and_the_level_above_last() {
        let officers = ["an", "binh", "chi", "dung"].map(officer);
        let shifts = [
            shift("tinh", 1, &[3], true),
            shift("dung", 3, &[3], false),
            shift("chi", 2, &[3], false),
            shift("an", 1, &[3], false),
            shift("binh", 1, &[4], false),
            shift("gone", 1, &[3], false),
        ];
        let ordered = order(&shifts, &officers, &"an".parse().unwrap(), local());
        assert_eq!(names(&ordered), ["chi", "dung", "binh", "tinh"]);
        let nobody_on = order(&[], &officers, &"binh".parse().unwrap(), local());
        assert_eq!(
            names(&nobody_on),
            ["an", "chi", "dung"],
            "every officer is called where the roster is empty"
        );
    }

    /// Checks who is called so many seconds after the beginning.
    fn check(replies: &[(&str, Reply, u64)], seconds: u64, expected: &[&str]) {
        let above = Contact { above: true, ..officer("tinh") };
        let ordered = [officer("binh"), officer("chi"), officer("dung"), officer("em"), above];
        let reply = |(person, reply, at): &(&str, Reply, u64)| ReplyRow {
            person: person.parse().unwrap(),
            reply: *reply,
            at: BEGAN.plus(Span::secs(*at)),
        };
        let replies: Vec<_> = replies.iter().map(reply).collect();
        let planned = plan(&ordered, BEGAN, TIMES);
        let called = called_by(&planned, &replies, BEGAN.plus(Span::secs(seconds)));
        let called: Vec<_> = called.iter().map(|(contact, _)| contact.name.as_str()).collect();
        assert_eq!(called, expected, "{replies:?} after {seconds} s");
    }

    #[test]
    fn the_next_is_called_after_60_seconds_and_the_level_above_after_180() {
        use Reply::*;
        check(&[], 0, &["binh"]);
        check(&[], 59, &["binh"]);
        check(&[], 60, &["binh", "chi"]);
        check(&[], 120, &["binh", "chi", "dung"]);
        check(&[], 180, &["binh", "chi", "dung", "em", "tinh"]);
        check(&[("binh", Listening, 30)], 329, &["binh"]);
        check(&[("binh", Listening, 30)], 330, &["binh", "chi", "dung", "em", "tinh"]);
        check(&[("chi", Listening, 70)], 369, &["binh", "chi"]);
        check(&[("binh", Declined, 30)], 60, &["binh", "chi"]);
        check(&[("binh", Declined, 30), ("chi", Listening, 65)], 364, &["binh", "chi"]);
    }
}
