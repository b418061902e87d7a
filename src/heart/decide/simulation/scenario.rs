//! Scenarios of a simulated box: lists of events made from a seed, so that a failing one can be made shorter.

use super::random::Random;
use crate::domain::announcement::{BulletinClass, Mode};
use crate::domain::time::{ClockQuality, Span};

/// Announcements a week, as a busy commune pushes.
pub const ANNOUNCEMENTS_A_WEEK: u64 = 10;

/// One thing that happens, so long after the start.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    pub at: Span,
    pub what: What,
}

/// An event in the life of a box.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// An announcement is issued, and reaches the box after a while; never, if it is lost.
    Push(Push),
    /// The n-th command before is delivered once more.
    Again(u64),
    /// The n-th announcement before is cancelled; `None` cancels everything.
    Cancel(Option<u64>),
    /// The power goes, before the heart's next actions are all carried out, and comes back.
    PowerCut {
        after_actions: u32,
        off_for: Span,
        clock: BootClock,
    },
    /// The wall clock is off by so many microseconds for a while.
    ClockStep {
        by_us: i64,
        lasts: Span,
    },
    DeviceLost {
        lasts: Span,
    },
    /// Somebody speaks; closed after a while, by its end or by a cancel of it, or never.
    Voice {
        signing: Signing,
        lasts: Span,
        closed_after: Option<Span>,
        by_cancel: bool,
    },
    Trust(TrustChange),
    /// Other limits come into force, by their number in a list.
    Policy(u8),
    /// The next play breaks off after a while.
    Break {
        after: Span,
    },
    /// No file of the programme can be opened for a while.
    FilesGone {
        lasts: Span,
    },
    /// The disk takes nothing for a while.
    DiskFull {
        lasts: Span,
    },
}

/// An announcement of the simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    pub class: BulletinClass,
    pub mode: Mode,
    pub delay: Span,
    pub lasts: Span,
    /// Chosen time after its issue.
    pub at: Option<Span>,
    pub repeats: u16,
    pub until_cancelled: bool,
    pub with_media: bool,
    /// Time from the command to the arrival of its audio; `None` where that never comes.
    pub media_after: Option<Span>,
    pub speakable: bool,
    /// Replaces the announcement before.
    pub supersedes: bool,
    pub signing: Signing,
    pub volume_percent: u8,
}

/// The people who sign a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// An and Binh, who are on duty.
    Proper,
    /// An with both of his keys: one person.
    OnePersonTwice,
    /// Two of one village, for the whole commune.
    Neighbours,
    /// Two of one village, for that village, where they may.
    Village,
    /// The one for their village, to the commune as well: the first group is theirs.
    VillageAndCommune,
    /// Dung, who may everything but emergencies, until he is revoked.
    Clerk,
    /// Lan, whose key counts a month from now, and Binh.
    TooEarly,
}

/// A trust document of the simulation, of which the box holds version 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustChange {
    /// The next version, without Dung or with him.
    Next { clerk: bool },
    /// One that is older, or another with the version that is held.
    Older,
}

/// The clock after a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootClock {
    pub quality: ClockQuality,
    /// Until the clock is right and known.
    pub synced_after: Span,
    /// Error until then, in microseconds.
    pub off_by_us: i64,
}

const MINUTE: Span = Span::secs(60);
const HOUR: Span = Span::secs(3_600);
const DAY: Span = Span::secs(86_400);

/// Makes a calm life: only announcements.
pub fn calm(seed: u64, length: Span) -> Vec<Happening> {
    let mut random = Random::new(seed);
    let gap = Span(7 * DAY.0 / ANNOUNCEMENTS_A_WEEK);
    let mut happenings = Vec::new();
    let mut at = random.span(MINUTE, gap);
    while at < length {
        happenings.push(Happening { at, what: What::Push(push(&mut random, false)) });
        at = at + random.span(Span(gap.0 / 2), Span(gap.0 * 3 / 2));
    }
    happenings
}

/// Makes a hard life: announcements that come late, twice, in the wrong order or not at all, power cuts, wrong clocks,
/// lost devices, missing and broken audio, a full disk.
pub fn faulty(seed: u64, length: Span) -> Vec<Happening> {
    let mut random = Random::new(seed);
    let mut happenings = Vec::new();
    let mut at = MINUTE;
    while at < length {
        let what = match random.below(100) {
            0..45 => What::Push(push(&mut random, true)),
            45..55 => What::Again(random.below(8)),
            55..65 => What::Cancel((!random.percent(10)).then(|| random.below(4))),
            65..80 => power_cut(&mut random),
            80..86 => What::ClockStep { by_us: clock_error(&mut random), lasts: random.span(MINUTE, DAY) },
            86..91 => What::DeviceLost { lasts: random.span(Span::secs(1), HOUR) },
            91..95 => What::Break { after: random.span(Span::millis(10), MINUTE) },
            95..98 => What::FilesGone { lasts: random.span(MINUTE, DAY) },
            _ => What::DiskFull { lasts: random.span(MINUTE, HOUR) },
        };
        happenings.push(Happening { at, what });
        // Mostly within the day's programme, sometimes one upon the other.
        at = at
            + if random.percent(30) {
                random.span(Span(1), MINUTE)
            } else {
                random.span(MINUTE, Span(24 * HOUR.0))
            };
    }
    happenings
}

/// A hard life under changing laws: people without authority, revoked keys, voices, other limits, quieter wishes.
pub fn governed(seed: u64, length: Span) -> Vec<Happening> {
    let mut random = Random::new(seed ^ 0x1a3);
    let mut happenings = faulty(seed, length);
    for happening in &mut happenings {
        if let What::Push(push) = &mut happening.what {
            push.signing = signing(&mut random);
            push.volume_percent = if random.percent(40) { random.below(101) as u8 } else { 100 };
        }
    }
    let mut at = random.span(MINUTE, DAY);
    while at < length {
        let what = match random.below(10) {
            0..5 => What::Voice {
                signing: signing(&mut random),
                lasts: random.span(MINUTE, HOUR),
                closed_after: random.percent(60).then(|| random.span(Span::secs(1), HOUR)),
                by_cancel: random.percent(40),
            },
            5..8 => What::Trust(match random.below(4) {
                0 => TrustChange::Older,
                n => TrustChange::Next { clerk: n > 1 },
            }),
            _ => What::Policy(random.below(5) as u8),
        };
        happenings.push(Happening { at, what });
        at = at + random.span(MINUTE, Span(2 * DAY.0));
    }
    happenings.sort_by_key(|happening| happening.at);
    happenings
}

fn signing(random: &mut Random) -> Signing {
    match random.below(20) {
        0 => Signing::OnePersonTwice,
        1 => Signing::Neighbours,
        2 => Signing::VillageAndCommune,
        3 => Signing::TooEarly,
        4..6 => Signing::Village,
        6..10 => Signing::Clerk,
        _ => Signing::Proper,
    }
}

fn push(random: &mut Random, faults: bool) -> Push {
    let class = match random.below(10) {
        0..5 => BulletinClass::Normal,
        5..8 => BulletinClass::Priority,
        _ => BulletinClass::Emergency,
    };
    let until_cancelled = faults && random.percent(5);
    Push {
        class,
        mode: match random.below(20) {
            0 => Mode::Exercise,
            1 => Mode::Test,
            _ => Mode::Actual,
        },
        delay: if faults && random.percent(20) { random.span(MINUTE, DAY) } else { Span::millis(50) },
        lasts: if until_cancelled { random.span(MINUTE, HOUR) } else { random.span(HOUR, Span(2 * DAY.0)) },
        at: random.percent(20).then(|| random.span(MINUTE, DAY)),
        repeats: 1 + random.below(3) as u16,
        until_cancelled,
        with_media: random.percent(60),
        media_after: (!faults || random.percent(80))
            .then(|| random.span(Span::millis(100), Span(10 * MINUTE.0))),
        speakable: !faults || random.percent(90),
        supersedes: random.percent(10),
        signing: Signing::Proper,
        volume_percent: 100,
    }
}

fn power_cut(random: &mut Random) -> What {
    let quality = match random.below(3) {
        0 => ClockQuality::None,
        1 => ClockQuality::Floor,
        _ => ClockQuality::Synced,
    };
    let off_for = if random.percent(70) {
        random.span(Span::secs(1), HOUR)
    } else {
        random.span(HOUR, Span(9 * DAY.0))
    };
    let off_by_us = if quality == ClockQuality::Synced { 0 } else { clock_error(random) };
    let clock = BootClock { quality, synced_after: random.span(Span::secs(1), DAY), off_by_us };
    What::PowerCut { after_actions: random.below(12) as u32, off_for, clock }
}

/// Seconds, hours, or the year 1970 or 2099.
fn clock_error(random: &mut Random) -> i64 {
    let sign = if random.percent(50) { 1 } else { -1 };
    let size = match random.below(10) {
        0..4 => random.span(Span::secs(1), MINUTE),
        4..7 => random.span(MINUTE, Span(12 * HOUR.0)),
        7..9 => random.span(DAY, Span(60 * DAY.0)),
        _ => Span(50 * 365 * DAY.0),
    };
    sign * size.0 as i64
}
