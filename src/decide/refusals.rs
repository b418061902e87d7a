//! Refusals, rate-limited: the first of a kind is logged, the rest are counted, and the count is logged.

use std::collections::BTreeMap;

use crate::domain::playback::CommandRefusal;
use crate::domain::time::{Moment, Span};

/// One entry of a kind in this time; further ones are counted.
pub const QUIET: Span = Span::secs(60);

/// What has been refused, by kind.
#[derive(Debug, Default)]
pub struct Refusals {
    kinds: BTreeMap<&'static str, Kind>,
}

#[derive(Debug, Default)]
struct Kind {
    total: u64,
    unreported: u64,
    quiet_until: Moment,
}

/// A number of refusals that were not logged one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    pub reason: &'static str,
    pub count: u64,
}

impl Refusals {
    /// Counts a refusal. Says whether it is to be logged by itself.
    pub fn note(&mut self, now: Moment, refusal: &CommandRefusal) -> bool {
        let kind = self.kinds.entry(name(refusal)).or_default();
        kind.total += 1;
        let aloud = kind.total == 1 || now >= kind.quiet_until && kind.unreported == 0;
        if aloud {
            kind.quiet_until = now + QUIET;
        } else {
            kind.unreported += 1;
        }
        aloud
    }

    /// What has been counted in silence and is to be logged now.
    pub fn report(&mut self, now: Moment) -> Vec<Counted> {
        let due = self.kinds.iter_mut().filter(|(_, kind)| kind.unreported > 0 && now >= kind.quiet_until);
        due.map(|(reason, kind)| {
            kind.quiet_until = now + QUIET;
            Counted { reason, count: std::mem::take(&mut kind.unreported) }
        })
        .collect()
    }

    /// When [`Refusals::report`] has something to say.
    pub fn poll_timeout(&self) -> Option<Moment> {
        let silent = self.kinds.values().filter(|kind| kind.unreported > 0);
        silent.map(|kind| kind.quiet_until).min()
    }

    /// All refusals since the start, by kind.
    pub fn totals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.kinds.iter().map(|(name, kind)| (*name, kind.total))
    }
}

/// The kind of a refusal, as it is counted.
const fn name(refusal: &CommandRefusal) -> &'static str {
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
        CommandRefusal::ClockUntrusted => "clock_untrusted",
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
        let aloud = (0..1_000).filter(|_| refusals.note(at(1), &CommandRefusal::BadSignature)).count();
        assert_eq!(aloud, 1);
        assert!(refusals.note(at(2), &CommandRefusal::NotForThisBox));
        assert_eq!(refusals.report(at(30)), []);
        assert_eq!(refusals.poll_timeout(), Some(at(61)));
        assert_eq!(refusals.report(at(61)), [Counted { reason: "bad_signature", count: 999 }]);
        assert_eq!(refusals.totals().map(|(_, n)| n).sum::<u64>(), 1_001);
        assert!(!refusals.note(at(62), &CommandRefusal::BadSignature));
        assert!(refusals.report(at(121)).len() == 1);
        assert!(refusals.note(at(300), &CommandRefusal::BadSignature));
    }
}
