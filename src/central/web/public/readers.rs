//! The strangers who listen to what sounds, and those who write: bounded for each network, and for all of them.
//!
//! Addresses are counted under a hash with a salt of the day that is written nowhere, and forgotten with it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use chrono::NaiveDate;

use crate::wrong_tries::network;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::time::{Moment, Span};

/// Streams that are open at a time, and those of one network.
const LISTENERS_MAX: usize = 256;
const OF_NETWORK_MAX: usize = 16;

/// Words that one network may send a day: many telephones of a mobile network have one address.
const WORDS_OF_NETWORK_MAX: u32 = 20;
/// Words of all in a minute, and in a day.
const WORDS_A_MINUTE_MAX: u32 = 30;
const WORDS_A_DAY_MAX: u32 = 1_000;
const MINUTE: Span = Span::secs(60);

/// Streams that are open, by network.
#[derive(Default)]
pub struct Readers(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

impl Readers {
    /// Gives a stream a place; `None` where there is none.
    pub fn enter(&self, from: IpAddr) -> Option<Reader> {
        let from = network(from);
        let mut open = self.0.lock().expect("nothing panics while it counts readers");
        let of_network = open.get(&from).copied().unwrap_or(0);
        if of_network >= OF_NETWORK_MAX || open.values().sum::<usize>() >= LISTENERS_MAX {
            return None;
        }
        open.insert(from, of_network + 1);
        Some(Reader { open: Arc::clone(&self.0), from })
    }
}

/// A stream's place, free again when it is dropped.
pub struct Reader {
    open: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    from: IpAddr,
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut open = self.open.lock().expect("nothing panics while it counts readers");
        match open.get_mut(&self.from) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.from)),
        }
    }
}

/// Words that strangers have sent today.
#[derive(Default)]
pub struct Writers(Mutex<Option<Today>>);

struct Today {
    date: NaiveDate,
    salt: [u8; 32],
    /// At most [`WORDS_A_DAY_MAX`] are counted.
    by_network: BTreeMap<ContentHash, u32>,
    all: u32,
    minute: (Moment, u32),
}

impl Writers {
    /// Counts one more; false where there were too many from there, or from everywhere.
    pub fn may_write(&self, from: IpAddr, date: NaiveDate, now: Moment) -> bool {
        let mut kept = self.0.lock().expect("nothing panics while it counts words");
        if kept.as_ref().is_none_or(|today| today.date != date) {
            let mut salt = [0; 32];
            getrandom::fill(&mut salt).expect("the system gives randomness");
            *kept = Some(Today { date, salt, by_network: BTreeMap::new(), all: 0, minute: (now, 0) });
        }
        let Some(today) = kept.as_mut() else { return false };
        if now.since(today.minute.0) >= MINUTE {
            today.minute = (now, 0);
        }
        if today.all >= WORDS_A_DAY_MAX || today.minute.1 >= WORDS_A_MINUTE_MAX {
            return false;
        }
        let name = [&today.salt[..], network(from).to_string().as_bytes()].concat();
        let of_network = today.by_network.entry(ContentHash::of(&name)).or_default();
        if *of_network >= WORDS_OF_NETWORK_MAX {
            return false;
        }
        *of_network += 1;
        today.all += 1;
        today.minute.1 += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4((0x0a00_0000 + n).into())
    }

    #[test]
    fn a_flood_of_words_is_bounded_from_one_place_and_from_many() {
        let (writers, today) = (Writers::default(), "2026-11-26".parse().unwrap());
        let at = |s| Moment(0) + Span::secs(s);
        let taken = |from: &dyn Fn(u32) -> IpAddr, day, now| {
            (0..1_000).filter(|n| writers.may_write(from(*n), day, now)).count() as u32
        };
        assert_eq!(taken(&|_| address(1), today, at(0)), WORDS_OF_NETWORK_MAX);
        assert_eq!(taken(&address, today, at(1)), WORDS_A_MINUTE_MAX - WORDS_OF_NETWORK_MAX);
        assert_eq!(taken(&address, today, at(61)), WORDS_A_MINUTE_MAX);
        let of_the_day: u32 = (2..1_000).map(|minute| taken(&address, today, at(minute * 61))).sum();
        assert_eq!(of_the_day, WORDS_A_DAY_MAX - 2 * WORDS_A_MINUTE_MAX);
        let tomorrow = today.succ_opt().unwrap();
        assert!(writers.may_write(address(1), tomorrow, at(90_000)), "the next day begins anew");
    }

    #[test]
    fn streams_have_room_for_so_many_and_give_it_back() {
        let readers = Readers::default();
        let of_one: Vec<_> = (0..OF_NETWORK_MAX).map(|_| readers.enter(address(1)).unwrap()).collect();
        assert!(readers.enter(address(1)).is_none() && readers.enter(address(2)).is_some());
        drop(of_one);
        let all = (0..2 * LISTENERS_MAX as u32).filter_map(|n| readers.enter(address(n))).collect::<Vec<_>>();
        assert_eq!(all.len(), LISTENERS_MAX);
    }
}
