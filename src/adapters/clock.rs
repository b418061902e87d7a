//! The box's clocks: the only place that reads one.
//!
//! The wall clock is the kernel's where the kernel says that it is synchronised; else it is what central's signed
//! time said, carried on by the monotonic clock, so that nobody who sets the system clock by hand moves the programme.

use nix::libc;
use nix::time::{ClockId, clock_gettime};

use loaxa_heart::domain::time::{ClockQuality, Moment, Reading, Span, Wall};

/// A battery clock is believed this far beyond the last time known; a drained battery shows years.
const FLOOR_AHEAD_MAX: Span = Span::secs(60 * 24 * 3600);

/// Uncertainty of a battery clock that nobody has checked.
const RTC_UNCERTAINTY_MS: u32 = 60_000;

/// Reads `CLOCK_MONOTONIC`, the clock of every [`Moment`] on this box.
pub fn monotonic() -> Moment {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux always has CLOCK_MONOTONIC");
    Moment(now.tv_sec() as u64 * 1_000_000 + now.tv_nsec() as u64 / 1_000)
}

/// Reads the system's wall clock, believed or not. For central and the command line; a box uses [`Clock`].
pub fn wall() -> Wall {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).expect("Linux always has CLOCK_REALTIME");
    Wall(now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000)
}

/// Tries to read both clocks at the same instant, and how long one may take.
const BOTH_TRIES: usize = 4;
const BOTH_MAX: Span = Span(5);

/// Reads both clocks as near to the same instant as can be: a busy machine may pause between the two.
fn both() -> (Moment, Wall) {
    let read = || {
        let (before, wall, after) = (monotonic(), wall(), monotonic());
        (after.since(before), before + Span(after.since(before).0 / 2), wall)
    };
    let mut best = read();
    for _ in 1..BOTH_TRIES {
        if best.0 <= BOTH_MAX {
            break;
        }
        best = best.min(read());
    }
    (best.1, best.2)
}

/// Whether the kernel's clock is disciplined by NTP, and how far it may be off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelSync {
    pub synced: bool,
    pub uncertainty_ms: u32,
}

/// Asks the kernel, as `adjtimex(8)` does.
pub fn kernel_sync() -> KernelSync {
    // SAFETY: all-zero is a valid `timex`, and `modes` 0 makes the call read only.
    let (status, timex) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&mut timex), timex)
    };
    let synced = status >= 0 && status != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0;
    KernelSync { synced, uncertainty_ms: u32::try_from(timex.maxerror / 1_000).unwrap_or(u32::MAX) }
}

/// A wall instant that was learnt at a moment.
#[derive(Debug, Clone, Copy)]
struct Learnt {
    wall: Wall,
    at: Moment,
    uncertainty_ms: u32,
}

/// The clock of a box.
#[derive(Debug, Clone)]
pub struct Clock {
    /// The latest time known before this start.
    floor: Wall,
    has_battery: bool,
    learnt: Option<Learnt>,
}

impl Clock {
    /// A clock that knows it is not earlier than `floor`. `has_battery`: the system clock survived the power cut.
    pub fn new(floor: Wall, has_battery: bool) -> Self {
        Self { floor, has_battery, learnt: None }
    }

    /// Whether this machine has a clock with a battery.
    pub fn battery_is_there() -> bool {
        std::path::Path::new("/sys/class/rtc/rtc0").exists()
    }

    /// Central's signed time, which answered a question asked at `asked` and arrived now.
    pub fn learn(&mut self, wall: Wall, asked: Moment) {
        let at = monotonic();
        let half_way = at.since(asked).as_millis() / 2;
        let uncertainty_ms = u32::try_from(half_way).unwrap_or(u32::MAX);
        let wall = wall.plus(Span::millis(half_way));
        self.learnt = Some(Learnt { wall, at, uncertainty_ms });
    }

    /// Reads both clocks.
    pub fn read(&self) -> Reading {
        let (mono, wall) = both();
        self.judge(mono, wall, kernel_sync())
    }

    fn judge(&self, mono: Moment, system: Wall, kernel: KernelSync) -> Reading {
        if kernel.synced && system >= self.floor {
            let (quality, uncertainty_ms) = (ClockQuality::Synced, kernel.uncertainty_ms);
            return Reading { mono, wall: system, quality, uncertainty_ms };
        }
        if let Some(learnt) = self.learnt {
            let wall = learnt.wall.plus(mono.since(learnt.at));
            let (quality, uncertainty_ms) = (ClockQuality::Synced, learnt.uncertainty_ms);
            return Reading { mono, wall, quality, uncertainty_ms };
        }
        let plausible =
            system >= self.floor && (self.floor == Wall(0) || system <= self.floor.plus(FLOOR_AHEAD_MAX));
        let quality = if self.has_battery && plausible { ClockQuality::Floor } else { ClockQuality::None };
        Reading { mono, wall: system, quality, uncertainty_ms: RTC_UNCERTAINTY_MS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Span = Span::secs(86_400);
    const FLOOR: Wall = Wall(1_795_000_000_000_000);

    fn check(clock: &Clock, system: Wall, synced: bool, expected: ClockQuality) {
        let kernel = KernelSync { synced, uncertainty_ms: 5 };
        assert_eq!(clock.judge(Moment(0), system, kernel).quality, expected, "{system}");
    }

    #[test]
    fn a_clock_is_believed_as_far_as_it_can_be() {
        let battery = Clock::new(FLOOR, true);
        check(&battery, FLOOR.plus(DAY), false, ClockQuality::Floor);
        check(&battery, FLOOR.minus(DAY), false, ClockQuality::None);
        check(&battery, Wall(0), false, ClockQuality::None);
        check(&battery, FLOOR.plus(Span(DAY.0 * 70)), false, ClockQuality::None);
        check(&battery, FLOOR.plus(Span(DAY.0 * 70)), true, ClockQuality::Synced);
        check(&battery, FLOOR.minus(DAY), true, ClockQuality::None);
        let bare = Clock::new(FLOOR, false);
        check(&bare, FLOOR.plus(DAY), false, ClockQuality::None);
    }

    #[test]
    fn central_tells_the_time_where_nobody_else_does() {
        let mut clock = Clock::new(FLOOR, false);
        clock.learn(FLOOR.plus(DAY), monotonic());
        let kernel = KernelSync { synced: false, uncertainty_ms: 0 };
        let later = monotonic() + Span::secs(10);
        let reading = clock.judge(later, Wall(0), kernel);
        assert_eq!(reading.quality, ClockQuality::Synced);
        assert!(reading.wall >= FLOOR.plus(DAY).plus(Span::secs(9)));
    }

    #[test]
    fn the_clock_moves_on() {
        let first = monotonic();
        assert!(first.0 > 0);
        while monotonic() == first {
            std::thread::yield_now();
        }
    }
}
