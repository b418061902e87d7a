//! Wrong tokens, counted for each address: who guesses is shut out for the rest of a minute.

use std::net::IpAddr;
use std::sync::Mutex;

use crate::wrong_tries::{WrongTries, network};
use loaxa_heart::domain::time::{Moment, Span};

/// Wrong tokens of one address in [`WINDOW`]; then no token of it is looked at.
const WRONG_MAX: u32 = 20;
const WINDOW: Span = Span::secs(60);

/// Wrong tokens by address.
pub struct TokenTries(Mutex<WrongTries<IpAddr>>);

impl Default for TokenTries {
    fn default() -> Self {
        Self(Mutex::new(WrongTries::within(WINDOW)))
    }
}

impl TokenTries {
    /// Tells whether an address has guessed too often. This machine's own never has: a proxy on it speaks for everybody.
    pub fn is_shut_out(&self, from: IpAddr, now: Moment) -> bool {
        let tries = self.0.lock().expect("nothing panics while it holds the tries");
        !from.to_canonical().is_loopback() && tries.reach(&network(from), WRONG_MAX, now)
    }

    /// Counts a wrong token.
    pub fn note(&self, from: IpAddr, now: Moment) {
        self.0.lock().expect("nothing panics while it holds the tries").note(network(from), now);
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
        (0..WRONG_MAX).for_each(|n| tries.note(format!("2001:db8::{n}").parse().unwrap(), at(1)));
        assert!(tries.is_shut_out("2001:db8::ffff".parse().unwrap(), at(1)));
    }
}
