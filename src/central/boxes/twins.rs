//! Two machines under one name: a memory card that was copied, or a key that somebody else has.
//!
//! A machine never goes back to an earlier epoch of its log. Where the hellos of one name do, two machines say them.

use std::collections::BTreeMap;
use std::sync::Mutex;

use loaxa_heart::domain::ids::{BoxId, Epoch};
use loaxa_heart::domain::time::Wall;

/// Epochs that are remembered of each name; the latest stay.
const EPOCHS_MAX: usize = 4;

/// Names that are remembered; beyond them nobody new is looked at.
const NAMES_MAX: usize = 65_536;

/// The epochs that said hello since the start, each with the time of its first hello, in the order of these.
type Seen = Vec<(Epoch, Wall)>;

/// The epochs of all names.
#[derive(Default)]
pub struct Twins(Mutex<BTreeMap<BoxId, Heard>>);

#[derive(Default)]
struct Heard {
    seen: Seen,
    last: Option<Epoch>,
}

/// Two machines that bear one name, told apart by their logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The one that was there first.
    pub older: (Epoch, Wall),
    pub newer: (Epoch, Wall),
}

impl Twins {
    /// Takes in a hello, and tells whether it shows that another machine bears the same name.
    pub fn note(&self, id: &BoxId, epoch: Epoch, now: Wall) -> Option<Pair> {
        let mut names = self.0.lock().expect("nothing panics while it holds the epochs");
        if !names.contains_key(id) && names.len() >= NAMES_MAX {
            return None;
        }
        let Heard { seen, last } = names.entry(id.clone()).or_default();
        let before = last.replace(epoch);
        let Some(own) = seen.iter().position(|(known, _)| *known == epoch) else {
            if seen.len() >= EPOCHS_MAX {
                seen.remove(0);
            }
            seen.push((epoch, now));
            return None;
        };
        let other = before.filter(|before| *before != epoch)?;
        let other = seen.iter().position(|(known, _)| *known == other)?;
        Some(Pair { older: seen[own.min(other)], newer: seen[own.max(other)] })
    }
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (older, newer) = (self.older, self.newer);
        write!(
            f,
            "the older has log {} (first heard {}), the newer log {} ({})",
            older.0, older.1, newer.0, newer.1
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(epochs: &[u64], expected: &[Option<(u64, u64)>]) {
        let (twins, id) = (Twins::default(), "loa-1".parse().unwrap());
        let told = epochs.iter().enumerate().map(|(at, epoch)| {
            let pair = twins.note(&id, Epoch(*epoch), Wall(at as i64));
            pair.map(|pair| (pair.older.0.0, pair.newer.0.0))
        });
        assert_eq!(told.collect::<Vec<_>>(), expected, "{epochs:?}");
    }

    #[test]
    fn who_goes_back_to_an_earlier_log_is_two() {
        check(&[1, 1, 1], &[None, None, None]);
        // A box whose memory was replaced, and one that was replaced often.
        check(&[1, 2, 2, 3, 4, 5, 6], &[None; 7]);
        check(&[1, 2, 1, 1, 2], &[None, None, Some((1, 2)), None, Some((1, 2))]);
        check(&[7, 3, 3, 7], &[None, None, None, Some((7, 3))]);
    }
}
