//! Wrong passwords and codes, counted so that nobody guesses for long, and so that nobody who guesses locks others out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};

use crate::wrong_tries::{WrongTries, network};
use loaxa_heart::domain::time::{Moment, Span};

/// Wrong tries for an account from one network in [`WINDOW`]; then that network waits for the rest of it.
pub const WRONG_MAX: u32 = 10;
/// Wrong tries for an account from everywhere; then only networks from which it was signed in before are listened to.
pub const ACCOUNT_WRONG_MAX: u32 = 100;
pub const WINDOW: Span = Span::secs(15 * 60);
/// Tries of one network that are under way at once: each costs 19 MiB and a core.
const UNDER_WAY_MAX: u32 = 2;
/// Tries to sign in.
pub struct SignInTries(Mutex<Counted>);

struct Counted {
    by_network: WrongTries<(String, IpAddr)>,
    by_account: WrongTries<String>,
    by_device: WrongTries<String>,
    under_way: BTreeMap<Origin, u32>,
}

impl Default for SignInTries {
    fn default() -> Self {
        Self(Mutex::new(Counted {
            by_network: WrongTries::within(WINDOW),
            by_account: WrongTries::within(WINDOW),
            by_device: WrongTries::within(WINDOW),
            under_way: BTreeMap::new(),
        }))
    }
}

/// The origin of a try: a network, or a browser that the person signed in from before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Network(IpAddr),
    Device(String),
}

/// A try that is under way, until it is dropped.
pub struct Try<'t> {
    tries: &'t SignInTries,
    origin: Origin,
}

impl Drop for Try<'_> {
    fn drop(&mut self) {
        let mut counted = self.tries.lock();
        if let Some(count) = counted.under_way.get_mut(&self.origin) {
            *count -= 1;
            if *count == 0 {
                counted.under_way.remove(&self.origin);
            }
        }
    }
}

impl SignInTries {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().expect("nothing panics while it holds the tries")
    }

    /// Tells whether an account was tried so often that only networks from which it was signed in before are listened to.
    pub fn is_besieged(&self, account: &str, now: Moment) -> bool {
        self.lock().by_account.reach(&account.to_owned(), ACCOUNT_WRONG_MAX, now)
    }

    /// Begins a try; `was_here` tells that the account was signed in from this network before. `None` where the account was tried too often, or too many tries of this network are under way.
    pub fn begin(&self, account: &str, from: IpAddr, was_here: bool, now: Moment) -> Option<Try<'_>> {
        let key = (account.to_owned(), network(from));
        let counted = self.lock();
        if counted.by_network.reach(&key, WRONG_MAX, now) {
            return None;
        }
        if counted.by_account.reach(&key.0, ACCOUNT_WRONG_MAX, now) && !was_here {
            return None;
        }
        self.start(counted, Origin::Network(key.1))
    }

    /// Begins a try of a browser that its person signed in from before. Only its own tries count: whoever shares its network,
    /// or is after the account, keeps it waiting for nothing.
    pub fn begin_on(&self, device: &str) -> Option<Try<'_>> {
        self.start(self.lock(), Origin::Device(device.to_owned()))
    }

    fn start<'t>(&'t self, mut counted: MutexGuard<'_, Counted>, origin: Origin) -> Option<Try<'t>> {
        let under_way = counted.under_way.entry(origin.clone()).or_default();
        if *under_way >= UNDER_WAY_MAX {
            return None;
        }
        *under_way += 1;
        Some(Try { tries: self, origin })
    }

    /// Tells whether a browser has used up the tries of its own; it is a stranger then.
    pub fn is_worn_out(&self, device: &str, now: Moment) -> bool {
        self.lock().by_device.reach(&device.to_owned(), WRONG_MAX, now)
    }

    /// Counts a wrong try of a browser.
    pub fn note_wrong_on(&self, device: &str, now: Moment) {
        self.lock().by_device.note(device.to_owned(), now);
    }

    /// Counts a wrong try.
    pub fn note_wrong(&self, account: &str, from: IpAddr, now: Moment) {
        let mut counted = self.lock();
        counted.by_network.note((account.to_owned(), network(from)), now);
        counted.by_account.note(account.to_owned(), now);
    }

    /// Forgets the wrong tries of somebody who came in.
    pub fn note_right(&self, account: &str, from: IpAddr) {
        self.lock().by_network.forget(&(account.to_owned(), network(from)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn who_guesses_is_stopped_and_locks_nobody_out() {
        let (tries, now) = (SignInTries::default(), Moment(1_000_000));
        for _ in 0..WRONG_MAX {
            assert!(tries.begin("lan", address(9), false, now).is_some());
            tries.note_wrong("lan", address(9), now);
        }
        assert!(tries.begin("lan", address(9), false, now).is_none());
        assert!(tries.begin("lan", address(1), false, now).is_some(), "Lan herself still comes in");
        assert!(tries.begin("mai", address(9), false, now).is_some());
        assert!(tries.begin("lan", address(9), false, now + WINDOW).is_some());
        // From many places at once: those where Lan never was are shut out, and hers is not.
        for place in 10..30 {
            (0..WRONG_MAX / 2).for_each(|_| tries.note_wrong("lan", address(place), now));
        }
        assert!(tries.begin("lan", address(99), false, now).is_none());
        assert!(tries.is_besieged("lan", now));
        assert!(tries.begin("lan", address(1), true, now).is_some());
    }

    #[test]
    fn a_browser_that_is_known_has_tries_of_its_own() {
        let (tries, now) = (SignInTries::default(), Moment(1_000_000));
        (0..WRONG_MAX).for_each(|_| tries.note_wrong("lan", address(9), now));
        let _stranger = [tries.begin("a", address(9), false, now), tries.begin("b", address(9), false, now)];
        assert!(tries.begin("lan", address(9), false, now).is_none());
        assert!(tries.begin_on("mark").is_some(), "the browser of Lan on the same network");
        for _ in 0..WRONG_MAX {
            assert!(!tries.is_worn_out("mark", now));
            tries.note_wrong_on("mark", now);
        }
        assert!(tries.is_worn_out("mark", now) && !tries.is_worn_out("other", now));
        assert!(!tries.is_worn_out("mark", now + WINDOW));
        let both = [tries.begin_on("mark"), tries.begin_on("mark")];
        assert!(both.iter().all(Option::is_some) && tries.begin_on("mark").is_none());
    }

    #[test]
    fn a_flood_of_one_network_takes_two_places() {
        let (tries, now) = (SignInTries::default(), Moment(1_000_000));
        let under_way: Vec<_> =
            (0..UNDER_WAY_MAX).map(|n| tries.begin(&n.to_string(), address(9), false, now)).collect();
        assert!(under_way.iter().all(Option::is_some));
        assert!(tries.begin("lan", address(9), false, now).is_none());
        assert!(tries.begin("lan", address(1), false, now).is_some());
        drop(under_way);
        assert!(tries.begin("lan", address(9), false, now).is_some());
    }
}
