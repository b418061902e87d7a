//! Wrong tokens, counted for each address: who guesses is shut out for the rest of a minute.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;

use loaxa_heart::domain::time::{Moment, Span};

/// Wrong tokens of one address in [`WINDOW`]; then no token of it is looked at.
const WRONG_MAX: u32 = 20;
const WINDOW: Span = Span::secs(60);
/// Addresses that are remembered; when there are more, those whose minute is over are forgotten, then those with the fewest tries.
const ADDRESSES_MAX: usize = 4_096;

/// Wrong tokens by address.
#[derive(Default)]
pub struct TokenTries(Mutex<BTreeMap<IpAddr, Tries>>);

struct Tries {
    since: Moment,
    wrong: u32,
}

impl TokenTries {
    /// Tells whether an address has guessed too often. This machine's own never has: a proxy on it speaks for everybody.
    pub fn is_shut_out(&self, from: IpAddr, now: Moment) -> bool {
        let tries = self.0.lock().expect("nothing panics while it holds the tries");
        let tries = tries.get(&network(from)).filter(|tries| now.since(tries.since) < WINDOW);
        !from.to_canonical().is_loopback() && tries.is_some_and(|tries| tries.wrong >= WRONG_MAX)
    }

    /// Counts a wrong token.
    pub fn note(&self, from: IpAddr, now: Moment) {
        let mut tries = self.0.lock().expect("nothing panics while it holds the tries");
        if tries.len() >= ADDRESSES_MAX && !tries.contains_key(&network(from)) {
            tries.retain(|_, tries| now.since(tries.since) < WINDOW);
            let mut wrong = 1;
            while tries.len() >= ADDRESSES_MAX {
                tries.retain(|_, tries| tries.wrong > wrong);
                wrong += 1;
            }
        }
        let of_address = tries.entry(network(from)).or_insert(Tries { since: now, wrong: 0 });
        if now.since(of_address.since) >= WINDOW {
            *of_address = Tries { since: now, wrong: 0 };
        }
        of_address.wrong += 1;
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
    fn who_guesses_is_shut_out_for_a_minute_and_others_are_not() {
        let tries = TokenTries::default();
        let at = |s| Moment(0) + Span::secs(s);
        let (one, other, here) =
            ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap(), "127.0.0.1".parse().unwrap());
        for from in [one, here] {
            (0..WRONG_MAX).for_each(|_| tries.note(from, at(1)));
        }
        assert!(tries.is_shut_out(one, at(30)) && !tries.is_shut_out(one, at(61)));
        assert!(!tries.is_shut_out(other, at(30)) && !tries.is_shut_out(here, at(30)));
        // A listener for both families sees this machine's own address so.
        let here_too = "::ffff:127.0.0.1".parse().unwrap();
        (0..WRONG_MAX).for_each(|_| tries.note(here_too, at(1)));
        assert!(!tries.is_shut_out(here_too, at(30)));
        let many = |n: u32| IpAddr::from(n.to_be_bytes());
        (0..2 * ADDRESSES_MAX as u32).for_each(|n| tries.note(many(0x0b00_0000 + n), at(2)));
        assert!(tries.is_shut_out(one, at(30)), "ever new addresses wash no count away");
        (0..WRONG_MAX).for_each(|n| tries.note(format!("2001:db8::{n}").parse().unwrap(), at(1)));
        assert!(tries.is_shut_out("2001:db8::ffff".parse().unwrap(), at(1)));
    }
}
