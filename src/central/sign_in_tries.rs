//! Wrong passwords and codes, counted so that nobody guesses for long, and so that nobody who guesses locks others out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};

use crate::token_tries::network;
use loaxa_heart::domain::time::{Moment, Span};

/// Wrong tries for an account from one network in [`WINDOW`]; then that network waits for the rest of it.
const WRONG_MAX: u32 = 10;
/// Wrong tries for an account from everywhere; then only networks from which it was signed in before are listened to.
const ACCOUNT_WRONG_MAX: u32 = 100;
const WINDOW: Span = Span::secs(15 * 60);
/// Tries of one network that are under way at once: each costs 19 MiB and a core.
const UNDER_WAY_MAX: u32 = 2;
/// Counts that are remembered of each kind; when there are more, those whose time is over are forgotten, and then those with the
/// fewest tries.
const REMEMBERED_MAX: usize = 4_096;

/// Tries to sign in.
#[derive(Default)]
pub struct SignInTries(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    by_network: BTreeMap<(String, IpAddr), Wrong>,
    by_account: BTreeMap<String, Wrong>,
    by_device: BTreeMap<String, Wrong>,
    under_way: BTreeMap<Origin, u32>,
}

/// The origin of a try: a network, or a browser that the person signed in from before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Network(IpAddr),
    Device(String),
}

#[derive(Clone, Copy)]
struct Wrong {
    since: Moment,
    times: u32,
}

impl Wrong {
    fn is_over(&self, now: Moment) -> bool {
        now.since(self.since) >= WINDOW
    }
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
        is_full(self.lock().by_account.get(account), ACCOUNT_WRONG_MAX, now)
    }

    /// Begins a try; `was_here` tells that the account was signed in from this network before. `None` where the account was tried too often, or too many tries of this network are under way.
    pub fn begin(&self, account: &str, from: IpAddr, was_here: bool, now: Moment) -> Option<Try<'_>> {
        let key = (account.to_owned(), network(from));
        let counted = self.lock();
        if is_full(counted.by_network.get(&key), WRONG_MAX, now) {
            return None;
        }
        if is_full(counted.by_account.get(account), ACCOUNT_WRONG_MAX, now) && !was_here {
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
        is_full(self.lock().by_device.get(device), WRONG_MAX, now)
    }

    /// Counts a wrong try of a browser.
    pub fn note_wrong_on(&self, device: &str, now: Moment) {
        count(&mut self.lock().by_device, device.to_owned(), now);
    }

    /// Counts a wrong try.
    pub fn note_wrong(&self, account: &str, from: IpAddr, now: Moment) {
        let mut counted = self.lock();
        count(&mut counted.by_network, (account.to_owned(), network(from)), now);
        count(&mut counted.by_account, account.to_owned(), now);
    }

    /// Forgets the wrong tries of somebody who came in.
    pub fn note_right(&self, account: &str, from: IpAddr) {
        self.lock().by_network.remove(&(account.to_owned(), network(from)));
    }
}

fn is_full(wrong: Option<&Wrong>, max: u32, now: Moment) -> bool {
    wrong.is_some_and(|it| !it.is_over(now) && it.times >= max)
}

fn count<K: Ord>(wrong: &mut BTreeMap<K, Wrong>, key: K, now: Moment) {
    if wrong.len() >= REMEMBERED_MAX && !wrong.contains_key(&key) {
        wrong.retain(|_, it| !it.is_over(now));
        // Ever new names push out each other, and not the count of the account that somebody is after.
        let mut times = 1;
        while wrong.len() >= REMEMBERED_MAX {
            wrong.retain(|_, it| it.times > times);
            times += 1;
        }
    }
    let of_key = wrong.entry(key).or_insert(Wrong { since: now, times: 0 });
    if of_key.is_over(now) {
        *of_key = Wrong { since: now, times: 0 };
    }
    of_key.times += 1;
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
    fn ever_new_names_do_not_wash_a_count_away() {
        let (tries, now) = (SignInTries::default(), Moment(1_000_000));
        (0..WRONG_MAX).for_each(|_| tries.note_wrong("lan", address(9), now));
        (0..2 * REMEMBERED_MAX).for_each(|n| tries.note_wrong(&n.to_string(), address(8), now));
        assert!(tries.begin("lan", address(9), false, now).is_none());
        let counted = tries.lock();
        assert!(counted.by_network.len() <= REMEMBERED_MAX && counted.by_account.len() <= REMEMBERED_MAX);
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
