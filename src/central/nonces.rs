//! Nonces of signed requests: each is taken once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use loaxa_heart::domain::ids::KeyId;
use loaxa_heart::domain::time::{Span, Wall};

/// Largest difference between a signer's clock and ours; for twice as long a nonce is remembered.
pub const CLOCK_OFF_MAX: Span = Span::secs(300);

/// Nonces of one key that are remembered: a page asks every three seconds, and a person may open many.
pub const NONCES_MAX: usize = 8_192;

/// A reason for which a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// The request's time is not now, or lies before the start of central, which remembers no nonce from before.
    Time,
    /// The request was taken before.
    Replayed,
    /// The key signs more than anybody reads.
    TooMany,
}

/// The nonces of the last minutes, by key.
pub struct Nonces(Mutex<Taken>);

struct Taken {
    /// Requests signed until then were taken or forgotten.
    floor: Wall,
    by_key: BTreeMap<KeyId, BTreeSet<(Wall, String)>>,
}

/// Checks that a request was signed now.
///
/// # Errors
/// [`Stale::Time`] where the signer's clock differs too much.
pub fn is_of_now(at: Wall, now: Wall) -> Result<(), Stale> {
    let off = if at > now { at.since(now) } else { now.since(at) };
    if off > CLOCK_OFF_MAX { Err(Stale::Time) } else { Ok(()) }
}

impl Nonces {
    /// Remembers from now on; what was signed before is refused, as it may have been taken before a restart.
    pub fn new(now: Wall) -> Self {
        Self(Mutex::new(Taken { floor: now, by_key: BTreeMap::new() }))
    }

    /// Tells whether a request was taken by this process alone.
    pub fn knows(&self, key: &KeyId, at: Wall, nonce: &str) -> bool {
        let taken = self.0.lock().expect("nothing panics while it holds the nonces");
        taken.by_key.get(key).is_some_and(|of_key| of_key.contains(&(at, nonce.to_owned())))
    }

    /// Takes a request whose signature was verified.
    ///
    /// # Errors
    /// Says why it is not taken.
    pub fn take(&self, key: &KeyId, at: Wall, nonce: &str, now: Wall) -> Result<(), Stale> {
        is_of_now(at, now)?;
        let mut taken = self.0.lock().expect("nothing panics while it holds the nonces");
        let Taken { floor, by_key } = &mut *taken;
        // A floor ahead of now comes from a clock that was wrong.
        if at <= *floor && now >= *floor {
            return Err(Stale::Time);
        }
        let of_key = by_key.entry(key.clone()).or_default();
        while let Some((oldest, _)) = of_key.first().filter(|(at, _)| now.since(*at) > CLOCK_OFF_MAX) {
            *floor = (*floor).max(*oldest);
            of_key.pop_first();
        }
        if of_key.len() >= NONCES_MAX {
            return Err(Stale::TooMany);
        }
        if of_key.insert((at, nonce.to_owned())) { Ok(()) } else { Err(Stale::Replayed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Wall = Wall(1_795_221_000_000_000);

    fn at(seconds: u64) -> Wall {
        START.plus(Span::secs(seconds))
    }

    #[test]
    fn a_request_is_taken_once_and_only_now() {
        let nonces = Nonces::new(START);
        let key: KeyId = "an".parse().unwrap();
        let take = |signed: Wall, nonce: &str, now: Wall| nonces.take(&key, signed, nonce, now);
        // Before a restart it may have been taken.
        assert_eq!(take(START.minus(Span::secs(1)), "e", at(1)), Err(Stale::Time));
        assert_eq!(take(at(10), "a", at(11)), Ok(()));
        assert_eq!(take(at(10), "a", at(12)), Err(Stale::Replayed));
        assert_eq!(take(at(10), "b", at(12)), Ok(()));
        assert_eq!(take(at(10), "c", at(311)), Err(Stale::Time));
        assert_eq!(take(at(700), "c", at(399)), Err(Stale::Time));
        assert_eq!(take(at(650), "d", at(400)), Ok(()));
        assert_eq!(take(at(650), "d", at(900)), Err(Stale::Replayed), "as long as it could be taken");
        // What was forgotten does not come back with the clock.
        assert_eq!(take(at(2_000), "f", at(2_000)), Ok(()));
        assert_eq!(take(at(650), "d", at(700)), Err(Stale::Time));
    }

    #[test]
    fn a_clock_that_was_ahead_at_the_start_locks_nobody_out() {
        let nonces = Nonces::new("2099-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(nonces.take(&"an".parse().unwrap(), at(1), "a", at(1)), Ok(()));
    }

    #[test]
    fn one_key_fills_its_own_room_alone() {
        let nonces = Nonces::new(START);
        let (an, binh): (KeyId, KeyId) = ("an".parse().unwrap(), "binh".parse().unwrap());
        let taken = (0..10_000).filter(|n| nonces.take(&an, at(1), &n.to_string(), at(1)).is_ok()).count();
        assert_eq!(taken, NONCES_MAX);
        assert_eq!(nonces.take(&binh, at(1), "a", at(1)), Ok(()));
    }
}
