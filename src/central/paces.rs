//! The pace of each person: nobody does more in a minute than a person can.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use loaxa_heart::domain::ids::AccountId;
use loaxa_heart::domain::time::{Moment, Span};

/// People who are remembered; those who have done nothing for long are forgotten when there are more.
const PEOPLE_MAX: usize = 4_096;

/// A kind of thing that a person does, with its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doing {
    /// Anything that changes something: also what a page saves and foresees by itself while somebody writes.
    Change,
    /// A decision about something of somebody else, which has to be read first.
    Decision,
    /// A link that lets somebody in.
    Link,
}

impl Doing {
    /// The most at once, and the time after which one more may be done.
    const fn bound(self) -> (u32, Span) {
        match self {
            Doing::Change => (1_000, Span(500_000)),
            Doing::Decision => (60, Span::secs(2)),
            Doing::Link => (100, Span::secs(60)),
        }
    }
}

/// The pace of each person who did something lately.
#[derive(Default)]
pub struct Paces(Mutex<BTreeMap<(AccountId, Doing), Done>>);

/// A count of things of one kind, at a time.
#[derive(Clone, Copy)]
struct Done {
    times: u32,
    at: Moment,
}

impl Done {
    /// The count at `now`: one less for each time that has passed.
    fn at(self, now: Moment, each: Span) -> Self {
        let passed = now.since(self.at).0 / each.0;
        match u32::try_from(passed) {
            Ok(passed) if passed < self.times => {
                Self { times: self.times - passed, at: self.at + Span(each.0 * u64::from(passed)) }
            }
            _ => Self { times: 0, at: now },
        }
    }
}

impl Paces {
    /// Counts one more thing that a person does; false where it is too much.
    pub fn may(&self, person: &AccountId, doing: Doing, now: Moment) -> bool {
        let mut people = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if people.len() >= PEOPLE_MAX {
            people.retain(|(_, doing), done| done.at(now, doing.bound().1).times > 0);
        }
        let (most, each) = doing.bound();
        let done = people.entry((person.clone(), doing)).or_insert(Done { times: 0, at: now });
        *done = done.at(now, each);
        let may = done.times < most;
        done.times += u32::from(may);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_person_has_a_pace_of_their_own() {
        let (paces, lan, mai) = (Paces::default(), "lan".parse().unwrap(), "mai".parse().unwrap());
        let at = |s| Moment(0) + Span::secs(s);
        let (most, each) = Doing::Decision.bound();
        assert!((0..most).all(|_| paces.may(&lan, Doing::Decision, at(1))));
        assert!(!paces.may(&lan, Doing::Decision, at(1)));
        assert!(paces.may(&lan, Doing::Change, at(1)) && paces.may(&mai, Doing::Decision, at(1)));
        let later = at(1) + each;
        assert!(paces.may(&lan, Doing::Decision, later) && !paces.may(&lan, Doing::Decision, later));
        assert!((0..most).all(|_| paces.may(&lan, Doing::Decision, at(1_000))), "whoever rests begins anew");
    }
}
