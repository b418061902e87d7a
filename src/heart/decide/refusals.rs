//! Refusals, rate-limited: the first of a kind is logged, the rest are counted, and the count is logged.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::ids::CommandId;
use crate::domain::playback::CommandRefusal;
use crate::domain::time::{Moment, Span};

/// One entry of a kind in this time; further ones are counted.
pub const QUIET: Span = Span::secs(60);

/// Commands of known people that are named one by one in this time, of a kind; further ones are counted.
pub const NAMED_MAX: usize = 64;

/// Counts of what has been refused, by kind.
#[derive(Debug, Default)]
pub struct Refusals {
    kinds: BTreeMap<&'static str, Kind>,
}

#[derive(Debug, Default)]
struct Kind {
    total: u64,
    unreported: u64,
    quiet_until: Moment,
    /// Commands that were logged since it was last quiet.
    named: BTreeSet<CommandId>,
}

/// A number of refusals that were not logged one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    pub reason: &'static str,
    pub count: u64,
}

impl Refusals {
    /// Counts a refusal, and tells whether to log it by itself. `command` is known only where a signature was
    /// right: its people are told of each command, once.
    pub fn note(&mut self, now: Moment, command: Option<&CommandId>, refusal: &CommandRefusal) -> bool {
        let kind = self.kinds.entry(name(refusal)).or_default();
        kind.total += 1;
        if now >= kind.quiet_until {
            kind.named.clear();
        }
        let first = kind.total == 1 || now >= kind.quiet_until && kind.unreported == 0;
        let room = kind.named.len() < NAMED_MAX;
        let named = room && command.is_some_and(|id| kind.named.insert(id.clone()));
        if first {
            kind.quiet_until = now + QUIET;
        }
        if !first && !named {
            kind.unreported += 1;
        }
        first || named
    }

    /// Returns what has been counted in silence and is to be logged now.
    pub fn report(&mut self, now: Moment) -> Vec<Counted> {
        let due = self.kinds.iter_mut().filter(|(_, kind)| kind.unreported > 0 && now >= kind.quiet_until);
        due.map(|(reason, kind)| {
            kind.quiet_until = now + QUIET;
            Counted { reason, count: std::mem::take(&mut kind.unreported) }
        })
        .collect()
    }

    /// Returns when [`Refusals::report`] has something to say.
    pub fn poll_timeout(&self) -> Option<Moment> {
        let silent = self.kinds.values().filter(|kind| kind.unreported > 0);
        silent.map(|kind| kind.quiet_until).min()
    }

    /// Returns all refusals since the start, by kind.
    pub fn totals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.kinds.iter().map(|(name, kind)| (*name, kind.total))
    }
}

/// Tells whether refusals of a kind mean that somebody tries to speak who may not.
pub fn is_forgery(kind: &str) -> bool {
    matches!(kind, "bad_signature" | "unknown_key" | "forged" | "malformed" | "too_large")
}

/// Returns the kind under which a refusal is counted.
pub const fn name(refusal: &CommandRefusal) -> &'static str {
    match refusal {
        CommandRefusal::TooLarge { .. } => "too_large",
        CommandRefusal::Malformed { .. } => "malformed",
        CommandRefusal::UnknownVersion { .. } => "unknown_version",
        CommandRefusal::BadSignature => "bad_signature",
        CommandRefusal::UnknownKey { .. } => "unknown_key",
        CommandRefusal::NotAllowed { .. } => "not_allowed",
        CommandRefusal::TooFewSignatures { .. } => "too_few_signatures",
        CommandRefusal::NotForThisBox => "not_for_this_box",
        CommandRefusal::Expired { .. } => "expired",
        CommandRefusal::Replayed { .. } => "replayed",
        CommandRefusal::Forged { .. } => "forged",
        CommandRefusal::Rollback { .. } => "rollback",
        CommandRefusal::ClockUnknown => "clock_untrusted",
        CommandRefusal::TooMany { .. } => "too_many",
        CommandRefusal::Impossible { .. } => "impossible",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_becomes_one_entry_and_a_number() {
        let mut refusals = Refusals::default();
        let at = |s| Moment(0) + Span::secs(s);
        let aloud = (0..1_000).filter(|_| refusals.note(at(1), None, &CommandRefusal::BadSignature)).count();
        assert_eq!(aloud, 1);
        assert!(refusals.note(at(2), None, &CommandRefusal::NotForThisBox));
        assert_eq!(refusals.report(at(30)), []);
        assert_eq!(refusals.poll_timeout(), Some(at(61)));
        assert_eq!(refusals.report(at(61)), [Counted { reason: "bad_signature", count: 999 }]);
        assert_eq!(refusals.totals().map(|(_, n)| n).sum::<u64>(), 1_001);
        assert!(!refusals.note(at(62), None, &CommandRefusal::BadSignature));
        assert!(refusals.report(at(121)).len() == 1);
        assert!(refusals.note(at(300), None, &CommandRefusal::BadSignature));
    }

    #[test]
    fn each_command_of_known_people_is_named_once() {
        let mut refusals = Refusals::default();
        let id = |n: usize| CommandId::new(format!("c{n}")).unwrap();
        let reason = CommandRefusal::NotForThisBox;
        let mut aloud = |at: u64, n| refusals.note(Moment(0) + Span::secs(at), Some(&id(n)), &reason);
        assert_eq!([aloud(1, 1), aloud(1, 1), aloud(2, 2), aloud(2, 2)], [true, false, true, false]);
        let named = (3..1_000).filter(|n| aloud(3, *n)).count();
        assert_eq!(named, NAMED_MAX - 2);
        assert!(aloud(70, 5_000));
        assert_eq!(refusals.totals().next(), Some(("not_for_this_box", 1_002)));
    }
}
