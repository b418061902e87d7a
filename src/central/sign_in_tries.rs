//! Wrong passwords and codes, counted for each account, known or not.

use std::collections::BTreeMap;
use std::sync::Mutex;

use loaxa_heart::domain::time::{Moment, Span};

/// Wrong tries of an account in [`WINDOW`]; then it waits for the rest of it.
const WRONG_MAX: u32 = 10;
const WINDOW: Span = Span::secs(15 * 60);
/// Accounts that are remembered; when there are more, those whose time is over are forgotten, else all.
const ACCOUNTS_MAX: usize = 4_096;

/// Wrong tries by account.
#[derive(Default)]
pub struct SignInTries(Mutex<BTreeMap<String, (Moment, u32)>>);

impl SignInTries {
    /// Tells whether an account was tried too often.
    pub fn is_shut(&self, account: &str, now: Moment) -> bool {
        let tries = self.0.lock().expect("nothing panics while it holds the tries");
        tries.get(account).is_some_and(|(since, wrong)| now.since(*since) < WINDOW && *wrong >= WRONG_MAX)
    }

    /// Counts a wrong try.
    pub fn note(&self, account: &str, now: Moment) {
        let mut tries = self.0.lock().expect("nothing panics while it holds the tries");
        if tries.len() >= ACCOUNTS_MAX {
            tries.retain(|_, (since, _)| now.since(*since) < WINDOW);
            if tries.len() >= ACCOUNTS_MAX {
                tries.clear();
            }
        }
        let (since, wrong) = tries.entry(account.to_owned()).or_insert((now, 0));
        if now.since(*since) >= WINDOW {
            (*since, *wrong) = (now, 0);
        }
        *wrong += 1;
    }

    /// Forgets the wrong tries of somebody who came in.
    pub fn forget(&self, account: &str) {
        self.0.lock().expect("nothing panics while it holds the tries").remove(account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_waits_after_ten_wrong_tries_and_no_other_does() {
        let (tries, now) = (SignInTries::default(), Moment(1_000_000));
        for _ in 0..WRONG_MAX {
            assert!(!tries.is_shut("lan", now));
            tries.note("lan", now);
        }
        assert!(tries.is_shut("lan", now));
        assert!(!tries.is_shut("mai", now));
        assert!(!tries.is_shut("lan", now + WINDOW));
    }
}
