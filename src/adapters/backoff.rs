//! Waiting before another try: growing, bounded, and never the same for two boxes.

use std::time::Duration;

/// Delays that grow from `min` to `max`, each drawn at random between `min` and the bound of its turn.
#[derive(Debug, Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    tries: u32,
    random: u64,
}

/// Doublings after which the bound stays at its highest, far from overflow.
const DOUBLINGS_MAX: u32 = 16;

impl Backoff {
    /// Delays between `min` and `max`; `seed` must differ from box to box.
    pub fn new(min: Duration, max: Duration, seed: u64) -> Self {
        Self { min, max: max.max(min), tries: 0, random: seed }
    }

    /// The delay before the next try.
    pub fn next_delay(&mut self) -> Duration {
        self.tries = (self.tries + 1).min(DOUBLINGS_MAX);
        let bound = self.min.saturating_mul(1 << self.tries).min(self.max);
        self.min + self.uniform(bound - self.min)
    }

    /// A delay drawn evenly between zero and `max`.
    pub fn uniform(&mut self, max: Duration) -> Duration {
        max.mul_f64((self.next_random() >> 11) as f64 / (1u64 << 53) as f64)
    }

    /// Begins again with the shortest delay.
    pub fn reset(&mut self) {
        self.tries = 0;
    }

    /// SplitMix64 (Steele, Lea and Flood 2014).
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_their_bound_and_start_again() {
        let (min, max) = (Duration::from_secs(5), Duration::from_secs(300));
        let mut backoff = Backoff::new(min, max, 7);
        let mut bound = min;
        for _ in 0..100 {
            bound = (bound * 2).min(max);
            let delay = backoff.next_delay();
            assert!(min <= delay && delay <= bound, "{delay:?}");
        }
        backoff.reset();
        assert!(backoff.next_delay() <= 2 * min);
    }

    #[test]
    fn two_boxes_do_not_wait_alike() {
        let delay =
            |seed| Backoff::new(Duration::ZERO, Duration::ZERO, seed).uniform(Duration::from_secs(120));
        let delays: std::collections::BTreeSet<_> = (0..100).map(delay).collect();
        assert_eq!(delays.len(), 100);
        assert!(delays.first().unwrap().as_secs() < 10 && delays.last().unwrap().as_secs() > 110);
    }
}
