//! Wrong tries by whoever makes them, counted for a while and in bounded room.

use std::collections::BTreeMap;
use std::net::IpAddr;

use loaxa_heart::domain::time::{Moment, Span};

/// Counts that are remembered; when there are more, those whose time is over are forgotten, and then those with the fewest tries:
/// ever new names push out each other, and not the count of whoever guesses for long.
const REMEMBERED_MAX: usize = 4_096;

/// Wrong tries by key, each count for a time from its first.
pub struct WrongTries<K> {
    window: Span,
    counts: BTreeMap<K, Count>,
}

#[derive(Clone, Copy)]
struct Count {
    since: Moment,
    times: u32,
}

impl<K: Ord> WrongTries<K> {
    /// No tries yet; they will count for `window`.
    pub fn within(window: Span) -> Self {
        Self { window, counts: BTreeMap::new() }
    }

    fn is_over(window: Span, count: &Count, now: Moment) -> bool {
        now.since(count.since) >= window
    }

    /// Tells whether there were `max` tries.
    pub fn reach(&self, key: &K, max: u32, now: Moment) -> bool {
        self.counts.get(key).is_some_and(|it| !Self::is_over(self.window, it, now) && it.times >= max)
    }

    /// Counts a try.
    pub fn note(&mut self, key: K, now: Moment) {
        let (window, counts) = (self.window, &mut self.counts);
        if counts.len() >= REMEMBERED_MAX && !counts.contains_key(&key) {
            counts.retain(|_, it| !Self::is_over(window, it, now));
            let mut times = 1;
            while counts.len() >= REMEMBERED_MAX {
                counts.retain(|_, it| it.times > times);
                times += 1;
            }
        }
        let none = Count { since: now, times: 0 };
        let of_key = counts.entry(key).or_insert(none);
        if Self::is_over(window, of_key, now) {
            *of_key = none;
        }
        of_key.times += 1;
    }

    /// Forgets the tries of somebody who was right.
    pub fn forget(&mut self, key: &K) {
        self.counts.remove(key);
    }
}

/// The network that one subscriber has: an address, or of IPv6 its first 64 bits.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ever_new_names_do_not_wash_a_count_away() {
        let (mut tries, now) = (WrongTries::within(Span::secs(60)), Moment(1_000_000));
        (0..3).for_each(|_| tries.note("lan".to_owned(), now));
        (0..2 * REMEMBERED_MAX).for_each(|n| tries.note(n.to_string(), now));
        assert!(tries.reach(&"lan".to_owned(), 3, now) && !tries.reach(&"lan".to_owned(), 4, now));
        assert!(tries.counts.len() <= REMEMBERED_MAX);
    }

    #[test]
    fn a_count_lasts_from_its_first_try_and_begins_anew() {
        let (mut tries, at) = (WrongTries::within(Span::secs(60)), |s| Moment(0) + Span::secs(s));
        tries.note(1, at(1));
        tries.note(1, at(60));
        assert!(tries.reach(&1, 2, at(60)) && !tries.reach(&1, 1, at(61)));
        tries.note(1, at(61));
        assert!(tries.reach(&1, 1, at(61)) && !tries.reach(&1, 2, at(61)));
        tries.forget(&1);
        assert!(!tries.reach(&1, 1, at(61)));
    }

    #[test]
    fn a_subscriber_is_one_network() {
        let check = |one: &str, other: &str, expected: bool| {
            let [one, other] = [one, other].map(|text| network(text.parse().unwrap()));
            assert_eq!(one == other, expected, "{one} and {other}");
        };
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("2001:db8::1", "2001:db8::ffff:0:0:1", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
    }
}
