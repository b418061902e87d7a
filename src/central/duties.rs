//! Duties that one central has for all that share a database. Without others it has them all.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use loaxa_heart::domain::time::{Moment, Span};

/// Time for which a duty is taken; one whose central died is taken over at most this and [`RENEWED_EVERY`] later.
pub const TERM: Span = Span::secs(5);
/// Time between two renewals.
pub const RENEWED_EVERY: Span = Span::secs(1);

/// Something that is done for the whole commune, and by one central at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// Troubles are found.
    Watch,
    /// Letters to people who are called.
    Letters,
    /// Events for other systems.
    Events,
    Rollouts,
    /// Days that are planned and added up.
    Days,
    MonthlyReport,
    Anchors,
    Pruning,
    /// The feed of alerts.
    Feed,
}

impl Duty {
    pub const ALL: [Duty; 9] = [
        Duty::Watch,
        Duty::Letters,
        Duty::Events,
        Duty::Rollouts,
        Duty::Days,
        Duty::MonthlyReport,
        Duty::Anchors,
        Duty::Pruning,
        Duty::Feed,
    ];

    /// The word for it in the database.
    pub const fn code(self) -> &'static str {
        match self {
            Duty::Watch => "watch",
            Duty::Letters => "letters",
            Duty::Events => "events",
            Duty::Rollouts => "rollouts",
            Duty::Days => "days",
            Duty::MonthlyReport => "monthly_report",
            Duty::Anchors => "anchors",
            Duty::Pruning => "pruning",
            Duty::Feed => "feed",
        }
    }
}

/// The duties of this central.
#[derive(Debug, Default)]
pub struct Duties {
    /// Another central may have some.
    are_shared: bool,
    until: Mutex<BTreeMap<Duty, Moment>>,
}

impl Duties {
    /// Has all duties for ever, or none yet where they are shared.
    pub fn new(are_shared: bool) -> Self {
        Self { are_shared, until: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Duty, Moment>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether other centrals may have duties.
    pub fn are_shared(&self) -> bool {
        self.are_shared
    }

    /// Tells whether this central has a duty at `now`.
    pub fn has(&self, duty: Duty, now: Moment) -> bool {
        !self.are_shared || self.lock().get(&duty).is_some_and(|until| now < *until)
    }

    /// Notes what the database gave on a question that was begun at `asked`; returns what is new.
    pub fn note(&self, given: &[String], asked: Moment) -> Vec<Duty> {
        let mut until = self.lock();
        let now_given = Duty::ALL.into_iter().filter(|duty| given.iter().any(|code| code == duty.code()));
        let new: BTreeMap<_, _> = now_given.map(|duty| (duty, asked + TERM)).collect();
        let before = std::mem::replace(&mut *until, new);
        until.keys().filter(|duty| before.get(duty).is_none_or(|until| *until <= asked)).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duty_ends_with_its_term_and_without_others_never() {
        let at = |s| Moment(0) + Span::secs(s);
        let (shared, alone) = (Duties::new(true), Duties::new(false));
        assert!(!shared.has(Duty::Watch, at(0)) && alone.has(Duty::Watch, at(0)));
        let given = ["watch".to_owned(), "a later version's".to_owned()];
        assert_eq!(shared.note(&given, at(10)), [Duty::Watch]);
        assert!(shared.has(Duty::Watch, at(14)) && !shared.has(Duty::Letters, at(14)));
        assert_eq!(shared.note(&given, at(11)), []);
        assert!(shared.has(Duty::Watch, at(15)) && !shared.has(Duty::Watch, at(16)));
        assert_eq!(shared.note(&given, at(30)), [Duty::Watch], "it was another's meanwhile, perhaps");
        assert_eq!(shared.note(&[], at(31)), []);
        assert!(!shared.has(Duty::Watch, at(31)));
    }

    #[test]
    fn every_duty_has_a_word_of_its_own() {
        let codes: std::collections::BTreeSet<_> = Duty::ALL.iter().map(|duty| duty.code()).collect();
        assert_eq!(codes.len(), Duty::ALL.len());
    }
}
