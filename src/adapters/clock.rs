//! The box's clocks.

use nix::time::{ClockId, clock_gettime};

use crate::domain::time::Moment;

/// Reads `CLOCK_MONOTONIC`, the clock of every [`Moment`] on this box.
pub fn monotonic() -> Moment {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux always has CLOCK_MONOTONIC");
    Moment(now.tv_sec() as u64 * 1_000_000 + now.tv_nsec() as u64 / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_moves_on() {
        let first = monotonic();
        assert!(first.0 > 0);
        while monotonic() == first {
            std::thread::yield_now();
        }
    }
}
