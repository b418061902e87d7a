//! The box's clocks: the only place that reads one.
//!
//! The wall clock is the kernel's where the kernel says that it is synchronised; else it is what central's signed
//! time said, carried on by the monotonic clock, so that nobody who sets the system clock by hand moves the programme.
//! A battery clock is believed within bounds around the times that earlier starts knew ([`LastKnown`]).

use std::time::Duration;

use nix::libc;
use nix::time::{ClockId, clock_gettime};

use loaxa_heart::domain::time::{ClockQuality, Moment, Reading, Span, Wall};

/// 2026-01-01 in UTC: no clock is right that shows a time before this program was written.
pub const EARLIEST: Wall = Wall(1_767_225_600_000_000);

/// A battery clock is believed this far beyond the last time known; a drained battery shows years.
const FLOOR_AHEAD_MAX: Span = Span::secs(60 * 24 * 3600);

/// An answer of central that took longer is no source of time: nobody knows on which half of the way it was held up.
pub const ROUND_TRIP_MAX: Span = Span::secs(2);

/// A carried-on time loses 100 microseconds a second at most: the quartz of a cheap board in the sun.
const DRIFT_PPM_MAX: u64 = 100;

/// Time of the machine's first hardware clock, in seconds.
const HARDWARE_CLOCK: &str = "/sys/class/rtc/rtc0/since_epoch";

/// Uncertainty of a battery clock that nobody has checked.
const RTC_UNCERTAINTY_MS: u32 = 60_000;

/// Reads `CLOCK_MONOTONIC`, the clock of every [`Moment`] on this box.
pub fn monotonic() -> Moment {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux always has CLOCK_MONOTONIC");
    Moment(u64::try_from(Duration::from(now).as_micros()).unwrap_or(u64::MAX))
}

/// Reads the system's wall clock, believed or not. For central and the command line; a box uses [`Clock`].
pub fn wall() -> Wall {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).expect("Linux always has CLOCK_REALTIME");
    // Seconds have 32 bits on some machines.
    Wall(i64::try_from(Duration::from(now).as_micros()).unwrap_or(i64::MAX))
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

/// The kernel's word on its clock: disciplined by NTP or not, and how far it may be off.
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

/// The latest times that earlier starts of this box knew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LastKnown {
    /// Confirmed by the kernel's synchronisation or by central: a battery clock that shows less is wrong.
    pub synced: Wall,
    /// Believed, and perhaps never confirmed. Not below `synced`.
    pub believed: Wall,
}

/// A wall instant that central told at a moment.
#[derive(Debug, Clone, Copy)]
struct Learnt {
    wall: Wall,
    at: Moment,
    uncertainty_ms: u32,
}

impl Learnt {
    fn reading(&self, mono: Moment) -> Reading {
        let carried_on = mono.since(self.at);
        let drift_ms = carried_on.as_millis() * DRIFT_PPM_MAX / 1_000_000;
        let uncertainty_ms = u64::from(self.uncertainty_ms) + drift_ms;
        let uncertainty_ms = u32::try_from(uncertainty_ms).unwrap_or(u32::MAX);
        Reading { mono, wall: self.wall.plus(carried_on), quality: ClockQuality::Synced, uncertainty_ms }
    }
}

/// Tells whether a hardware clock that shows these seconds can have gone on over the last power cut.
fn went_on(since_epoch: &str) -> bool {
    since_epoch.trim().parse::<i64>().is_ok_and(|seconds| seconds >= EARLIEST.0 / 1_000_000)
}

/// The clock of a box.
#[derive(Debug, Clone)]
pub struct Clock {
    last_known: LastKnown,
    has_battery: bool,
    learnt: Option<Learnt>,
}

impl Clock {
    /// A clock that goes by what earlier starts knew. `has_battery`: the system clock survived the power cut.
    pub fn new(last_known: LastKnown, has_battery: bool) -> Self {
        Self { last_known, has_battery, learnt: None }
    }

    /// Tells whether this machine has a clock that went on over the power cut. The system clock can't tell: where the
    /// hardware clock shows 1970, systemd sets the system clock to the date of its own release.
    pub fn battery_is_there() -> bool {
        std::fs::read_to_string(HARDWARE_CLOCK).is_ok_and(|since_epoch| went_on(&since_epoch))
    }

    /// Takes central's signed time, which answered a question asked at `asked` and arrived at `arrived`. An answer that
    /// took longer than [`ROUND_TRIP_MAX`], or that only repeats less exactly what is known, changes nothing. Returns
    /// whether it was taken.
    pub fn learn(&mut self, wall: Wall, asked: Moment, arrived: Moment) -> bool {
        let round_trip = arrived.since(asked);
        if round_trip > ROUND_TRIP_MAX || wall < EARLIEST {
            return false;
        }
        let half_way = round_trip.as_millis() / 2;
        let uncertainty_ms = u32::try_from(half_way).unwrap_or(u32::MAX);
        let told = Learnt { wall: wall.plus(Span::millis(half_way)), at: arrived, uncertainty_ms };
        if let Some(known) = self.learnt.map(|learnt| learnt.reading(arrived)) {
            let apart_ms = (known.wall - told.wall).unsigned_abs() / 1_000;
            let agree = apart_ms <= u64::from(known.uncertainty_ms) + u64::from(uncertainty_ms);
            if agree && known.uncertainty_ms <= uncertainty_ms {
                return false;
            }
        }
        self.learnt = Some(told);
        true
    }

    /// Tells whether the system clock survived the power cut.
    pub fn has_battery(&self) -> bool {
        self.has_battery
    }

    /// Tells whether central's time would be better than what this machine knows by itself.
    pub fn wants_time(&self) -> bool {
        !kernel_sync().synced || wall() < EARLIEST
    }

    /// Reads both clocks.
    pub fn read(&self) -> Reading {
        let (mono, wall) = both();
        self.judge(mono, wall, kernel_sync())
    }

    fn judge(&self, mono: Moment, system: Wall, kernel: KernelSync) -> Reading {
        // A synchronised clock beats what earlier starts knew: that came from a clock, too, and may have been ahead.
        if kernel.synced && system >= EARLIEST {
            let (quality, uncertainty_ms) = (ClockQuality::Synced, kernel.uncertainty_ms);
            return Reading { mono, wall: system, quality, uncertainty_ms };
        }
        if let Some(learnt) = self.learnt {
            return learnt.reading(mono);
        }
        let LastKnown { synced, believed } = self.last_known;
        let latest = if believed == Wall(0) { Wall(i64::MAX) } else { believed.plus(FLOOR_AHEAD_MAX) };
        let plausible = (synced.max(EARLIEST)..=latest).contains(&system);
        let quality = if self.has_battery && plausible { ClockQuality::Floor } else { ClockQuality::None };
        Reading { mono, wall: system, quality, uncertainty_ms: RTC_UNCERTAINTY_MS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Span = Span::secs(86_400);
    const KNOWN: Wall = Wall(1_795_000_000_000_000);

    fn check(clock: &Clock, system: Wall, synced: bool, expected: ClockQuality) {
        let kernel = KernelSync { synced, uncertainty_ms: 5 };
        assert_eq!(clock.judge(Moment(0), system, kernel).quality, expected, "{system}");
    }

    fn days(count: u64) -> Span {
        Span(DAY.0 * count)
    }

    #[test]
    fn a_battery_clock_is_believed_as_far_as_it_can_be() {
        let battery = Clock::new(LastKnown { synced: KNOWN, believed: KNOWN }, true);
        check(&battery, KNOWN.plus(DAY), false, ClockQuality::Floor);
        check(&battery, KNOWN.minus(DAY), false, ClockQuality::None);
        check(&battery, Wall(0), false, ClockQuality::None);
        check(&battery, KNOWN.plus(days(70)), false, ClockQuality::None);
        check(&Clock::new(LastKnown::default(), true), Wall(0), false, ClockQuality::None);
        check(&Clock::new(LastKnown::default(), true), KNOWN, false, ClockQuality::Floor);
        let bare = Clock::new(LastKnown { synced: KNOWN, believed: KNOWN }, false);
        check(&bare, KNOWN.plus(DAY), false, ClockQuality::None);
    }

    #[test]
    fn a_hardware_clock_that_begins_anew_has_no_battery() {
        for (shown, expected) in
            [("1795000000\n", true), ("39\n", false), ("946684812\n", false), ("\n", false)]
        {
            assert_eq!(went_on(shown), expected, "{shown}");
        }
    }

    #[test]
    fn a_synchronised_clock_beats_a_last_known_time_that_was_ahead() {
        let year_2099 = KNOWN.plus(days(26_600));
        let misled = Clock::new(LastKnown { synced: year_2099, believed: year_2099 }, true);
        check(&misled, KNOWN, true, ClockQuality::Synced);
        check(&misled, KNOWN, false, ClockQuality::None);
        check(&misled, Wall(0), true, ClockQuality::None);
    }

    #[test]
    fn a_clock_that_was_ahead_unconfirmed_is_believed_again_once_it_is_set_back() {
        let ahead = Clock::new(LastKnown { synced: KNOWN, believed: KNOWN.plus(days(2)) }, true);
        check(&ahead, KNOWN.plus(DAY), false, ClockQuality::Floor);
        check(&ahead, KNOWN.plus(days(61)), false, ClockQuality::Floor);
        check(&ahead, KNOWN.minus(Span(1)), false, ClockQuality::None);
    }

    const UNSYNCED: KernelSync = KernelSync { synced: false, uncertainty_ms: 0 };

    #[test]
    fn central_tells_the_time_where_nobody_else_does() {
        let mut clock = Clock::new(LastKnown { synced: KNOWN, believed: KNOWN }, false);
        let asked = Moment(0);
        let arrived = asked + Span::millis(400);
        assert!(clock.learn(KNOWN.plus(DAY), asked, arrived));
        let reading = clock.judge(arrived + Span::secs(10), Wall(0), UNSYNCED);
        assert_eq!(reading.quality, ClockQuality::Synced);
        assert_eq!(reading.wall, KNOWN.plus(DAY).plus(Span::millis(10_200)));
        assert_eq!(reading.uncertainty_ms, 201);
    }

    #[test]
    fn a_late_answer_is_no_source_of_time_and_a_vague_one_replaces_no_better_one() {
        let mut clock = Clock::new(LastKnown::default(), false);
        let at = |ms| Moment(0) + Span::millis(ms);
        assert!(!clock.learn(KNOWN, at(0), at(2_001)), "held up on the way");
        assert_eq!(clock.judge(at(2_001), Wall(0), UNSYNCED).quality, ClockQuality::None);
        assert!(clock.learn(KNOWN.plus(Span::millis(3_000)), at(3_000), at(3_010)));
        assert!(
            !clock.learn(KNOWN.plus(Span::millis(4_300)), at(4_000), at(5_000)),
            "agrees, and is less exact"
        );
        let hour = 3_600_000;
        assert!(
            clock.learn(KNOWN.plus(Span::millis(hour + 80)), at(hour), at(hour + 100)),
            "after an hour's drift"
        );
        assert!(clock.learn(KNOWN, at(hour), at(hour + 900)), "central's clock was set");
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
