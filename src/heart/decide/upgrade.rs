//! Upgrades of the program: when a box fetches, waits, restarts for a release, or refuses it, and when a release that
//! runs on trial is kept.
//!
//! Deliberately absent: files, processes, network. The shell fetches, stages and restarts.

use super::slots::{self, Outcome, Verdict};
use super::speaker::Rest;
use crate::domain::ids::ContentHash;
use crate::domain::software::{Build, Release, Software};
use crate::domain::time::{ClockQuality, Reading, Span, Wall};

/// Time before a slot in which no box restarts: two trials of ten minutes, and five to spare, so that a release that
/// does not sound is gone before the slot begins.
pub const MARGIN: Span = Span::secs(25 * 60);

/// The program that runs, and the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// As Debian names it.
    pub architecture: String,
    pub channel: String,
    pub release: Release,
    /// Hash of the program that runs; none for the one that the package installed.
    pub sha256: Option<ContentHash>,
    /// A launcher started the program, and will start another.
    pub is_launched: bool,
}

/// Everything that the next step of an upgrade depends on.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    pub order: &'a Software,
    pub machine: &'a Machine,
    /// The last upgrade that was tried here.
    pub last: Option<&'a Outcome>,
    /// The program that is ordered is staged.
    pub is_staged: bool,
    /// The program that runs is itself on trial.
    pub is_on_trial: bool,
    pub rest: Rest,
    pub now: &'a Reading,
}

/// The next step of an upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// The order is for boxes that follow another channel.
    PassOver,
    /// The build that is ordered runs.
    Runs,
    Refuse(Refusal),
    Fetch(Build),
    /// Nothing is done before `until`, or before something changes.
    Wait {
        until: Option<Wall>,
        why: Waits,
    },
    /// The program is put on trial, and the box restarts.
    Apply(Build),
}

/// A reason for which a box does not take a release; nothing is fetched then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no build for this machine.
    Architecture,
    /// The release is not newer than what runs, and the order does not allow that.
    Older,
    /// This very build was tried here, and the old one runs again.
    FailedBefore,
    /// No launcher started the program, so nobody would start another.
    NoLauncher,
}

impl Refusal {
    /// Returns the word for central.
    pub const fn code(self) -> &'static str {
        match self {
            Refusal::Architecture => "architecture",
            Refusal::Older => "older",
            Refusal::FailedBefore => "failed_before",
            Refusal::NoLauncher => "no_launcher",
        }
    }
}

/// A reason for which a box waits with a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    Paused,
    /// Nobody knows the time: neither hours nor slots can be kept.
    Clock,
    Trial,
    Emergency,
    Sounds,
    /// Something sounds soon.
    Slot,
    Window,
}

impl Waits {
    /// Returns the word for central.
    pub const fn code(self) -> &'static str {
        match self {
            Waits::Paused => "paused",
            Waits::Clock => "clock",
            Waits::Trial => "trial",
            Waits::Emergency => "emergency",
            Waits::Sounds => "sounds",
            Waits::Slot => "slot",
            Waits::Window => "window",
        }
    }
}

/// Chooses the next step.
pub fn plan(scene: &Scene) -> Plan {
    let Scene { order, machine, now, .. } = scene;
    if order.channel != machine.channel {
        return Plan::PassOver;
    }
    let Some(build) = order.builds.get(&machine.architecture) else {
        return Plan::Refuse(Refusal::Architecture);
    };
    let runs = match &machine.sha256 {
        Some(sha256) => *sha256 == build.sha256,
        None => machine.release == order.release,
    };
    if runs {
        return Plan::Runs;
    }
    if let Some(refusal) = refusal(scene, build) {
        return Plan::Refuse(refusal);
    }
    let wait = |until, why| Plan::Wait { until, why };
    if order.paused {
        return wait(None, Waits::Paused);
    }
    if !scene.is_staged {
        return Plan::Fetch(build.clone());
    }
    if now.quality == ClockQuality::None {
        return wait(None, Waits::Clock);
    }
    if scene.is_on_trial {
        return wait(None, Waits::Trial);
    }
    match scene.rest {
        Rest::Emergency => return wait(None, Waits::Emergency),
        Rest::Sounds => return wait(None, Waits::Sounds),
        Rest::Soon(at) => return wait(Some(at), Waits::Slot),
        Rest::Quiet => {}
    }
    match order.window.and_then(|hours| hours.next_after(now.wall)) {
        Some(begins) => wait(Some(begins), Waits::Window),
        None => Plan::Apply(build.clone()),
    }
}

fn refusal(scene: &Scene, build: &Build) -> Option<Refusal> {
    let Scene { order, machine, last, .. } = scene;
    let failed = |last: &&Outcome| last.verdict != Verdict::Kept && last.version.sha256 == build.sha256;
    let tried_again = |last: &Outcome| order.retry && last.order < order.version;
    if !machine.is_launched {
        Some(Refusal::NoLauncher)
    } else if order.release <= machine.release && !order.allow_downgrade {
        Some(Refusal::Older)
    } else if last.filter(failed).is_some_and(|last| !tried_again(last)) {
        Some(Refusal::FailedBefore)
    } else {
        None
    }
}

/// The signs by which a release that runs on trial proves healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// Central answered.
    pub contact: bool,
    /// The sound device is open.
    pub sound: bool,
    /// The heart took up what was in force before, from the disk.
    pub heart: bool,
    /// The disk takes what is to be remembered.
    pub disk: bool,
}

/// The judgement on a release that runs on trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    Wait,
    Keep,
    GiveUp(Verdict),
}

/// Judges a release that has run for so long: it is kept when all signs were seen, and given up when its time is over.
pub fn judge(ran: Span, health: Health) -> Judgement {
    let Health { contact, sound, heart, disk } = health;
    let lacks = match (heart && disk, sound, contact) {
        (true, true, true) => return Judgement::Keep,
        (false, _, _) => Verdict::NoHeart,
        (true, false, _) => Verdict::NoSound,
        (true, true, false) => Verdict::NoContact,
    };
    if ran < slots::TRIAL { Judgement::Wait } else { Judgement::GiveUp(lacks) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::slots::Version;
    use crate::domain::software::Hours;
    use crate::domain::time::Moment;

    fn hash(n: u8) -> ContentHash {
        ContentHash([n; 32])
    }

    fn order() -> Software {
        Software {
            version: 3,
            release: "1.1.0".parse().unwrap(),
            channel: "stable".into(),
            builds: [("arm64".to_owned(), Build { sha256: hash(2), bytes: 9 })].into(),
            window: None,
            allow_downgrade: false,
            retry: false,
            paused: false,
        }
    }

    fn machine() -> Machine {
        Machine {
            architecture: "arm64".into(),
            channel: "stable".into(),
            release: "1.0.0".parse().unwrap(),
            sha256: Some(hash(1)),
            is_launched: true,
        }
    }

    /// A box at 01:00 local time that has everything it needs to restart.
    struct Case {
        order: Software,
        machine: Machine,
        last: Option<Outcome>,
        is_staged: bool,
        is_on_trial: bool,
        rest: Rest,
        quality: ClockQuality,
    }

    fn check(change: impl FnOnce(&mut Case), expected: &str) {
        let mut case = Case {
            order: order(),
            machine: machine(),
            last: None,
            is_staged: true,
            is_on_trial: false,
            rest: Rest::Quiet,
            quality: ClockQuality::Synced,
        };
        change(&mut case);
        let wall = Wall::from_local("2026-11-26T01:00:00".parse().unwrap());
        let now = Reading { mono: Moment(0), wall, quality: case.quality, uncertainty_ms: 0 };
        let Case { order, machine, last, is_staged, is_on_trial, rest, .. } = &case;
        let (is_staged, is_on_trial, rest, last) = (*is_staged, *is_on_trial, *rest, last.as_ref());
        let found = match plan(&Scene { order, machine, last, is_staged, is_on_trial, rest, now: &now }) {
            Plan::PassOver => "others".to_owned(),
            Plan::Runs => "runs".to_owned(),
            Plan::Refuse(why) => format!("refuse {}", why.code()),
            Plan::Fetch(build) => format!("fetch {}", build.bytes),
            Plan::Wait { until: Some(at), why } => format!("{} {}", why.code(), at.local().format("%H:%M")),
            Plan::Wait { until: None, why } => why.code().to_owned(),
            Plan::Apply(build) => format!("apply {}", build.bytes),
        };
        assert_eq!(found, expected);
    }

    fn failed(case: &mut Case, order: u32) {
        let version = Version { release: case.order.release, sha256: hash(2) };
        case.last = Some(Outcome { version, order, verdict: Verdict::NoContact });
    }

    #[test]
    fn a_box_restarts_when_nothing_sounds_and_nothing_is_near() {
        check(|_| {}, "apply 9");
        check(|case| case.is_staged = false, "fetch 9");
        check(|case| case.rest = Rest::Emergency, "emergency");
        check(|case| case.rest = Rest::Sounds, "sounds");
        let at = Wall::from_local("2026-11-26T01:20:00".parse().unwrap());
        check(|case| case.rest = Rest::Soon(at), "slot 01:20");
        check(|case| case.quality = ClockQuality::None, "clock");
        check(|case| case.is_on_trial = true, "trial");
        check(|case| case.order.paused = true, "paused");
        // What is paused is not even fetched.
        check(|case| (case.order.paused, case.is_staged) = (true, false), "paused");
        let hours = |from: &str, until: &str| {
            Some(Hours { from: from.parse().unwrap(), until: until.parse().unwrap() })
        };
        check(|case| case.order.window = hours("02:00:00", "04:00:00"), "window 02:00");
        check(|case| case.order.window = hours("23:00:00", "04:00:00"), "apply 9");
    }

    #[test]
    fn a_release_that_is_older_or_for_others_is_not_taken() {
        check(|case| case.order.channel = "thu".into(), "others");
        check(|case| case.machine.architecture = "armhf".into(), "refuse architecture");
        check(
            |case| (case.machine.architecture, case.is_staged) = ("armhf".into(), false),
            "refuse architecture",
        );
        check(|case| case.machine.sha256 = Some(hash(2)), "runs");
        check(|case| case.order.release = "0.9.0".parse().unwrap(), "refuse older");
        check(|case| case.order.release = "1.0.0".parse().unwrap(), "refuse older");
        let older = |case: &mut Case| case.order.release = "0.9.0".parse().unwrap();
        check(|case| (older(case), case.order.allow_downgrade = true).1, "apply 9");
        check(|case| case.machine.is_launched = false, "refuse no_launcher");
        // The package brought this release already.
        check(|case| (case.machine.release, case.machine.sha256) = (case.order.release, None), "runs");
    }

    #[test]
    fn a_build_that_failed_is_tried_again_only_where_a_later_order_says_so() {
        check(|case| failed(case, 3), "refuse failed_before");
        check(|case| (failed(case, 3), case.order.retry = true).1, "refuse failed_before");
        check(|case| (failed(case, 2), case.order.retry = true).1, "apply 9");
        check(|case| failed(case, 2), "refuse failed_before");
        let kept = |case: &mut Case| {
            failed(case, 3);
            case.last.as_mut().unwrap().verdict = Verdict::Kept;
        };
        check(kept, "apply 9");
    }

    #[test]
    fn a_trial_is_kept_with_all_signs_and_given_up_in_the_end() {
        let all = Health { contact: true, sound: true, heart: true, disk: true };
        let late = slots::TRIAL;
        assert_eq!(judge(Span(0), all), Judgement::Keep);
        assert_eq!(judge(late, all), Judgement::Keep);
        for (health, verdict) in [
            (Health { contact: false, ..all }, Verdict::NoContact),
            (Health { sound: false, ..all }, Verdict::NoSound),
            (Health { heart: false, ..all }, Verdict::NoHeart),
            (Health { disk: false, ..all }, Verdict::NoHeart),
            (Health::default(), Verdict::NoHeart),
        ] {
            assert_eq!(judge(Span(late.0 - 1), health), Judgement::Wait);
            assert_eq!(judge(late, health), Judgement::GiveUp(verdict));
        }
    }
}
