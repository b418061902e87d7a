//! Slots for versions of the program: which one is started, and what becomes of a version on trial that does not prove
//! healthy.
//!
//! One small file holds all of it, so that a power cut leaves the old state or the new one.

use serde::{Deserialize, Serialize};

use crate::domain::ids::ContentHash;
use crate::domain::software::Release;
use crate::domain::time::Span;

/// Starts that a version on trial gets.
pub const STARTS_MAX: u32 = 2;

/// Time in which a version on trial must prove healthy.
pub const TRIAL: Span = Span::secs(600);

/// A version of the program that came over the air.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub release: Release,
    pub sha256: ContentHash,
}

/// The versions of a box.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Slots {
    /// The version that proved healthy; none where it is the one that the package installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Version>,
    /// The version before it, which is started where the file of the current one is damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Version>,
    /// Release of the package at the time when `current` took its place. A newer package takes the place of both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<Release>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// The last upgrade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Outcome>,
}

/// A version that has yet to prove healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    pub version: Version,
    /// Version of the document that ordered it.
    pub order: u32,
    /// Starts so far; counted before each.
    pub starts: u32,
    /// The first start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Instant>,
}

/// An instant of the machine's own clock, which needs nobody to set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instant {
    /// The kernel's name for the time since the machine was switched on.
    pub boot: String,
    pub uptime_s: u64,
}

/// The end of an upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub version: Version,
    pub order: u32,
    pub verdict: Verdict,
}

/// The fate of a version that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Kept,
    /// The version ended again and again before it proved healthy.
    Ended,
    /// The version ran out of its time, and was stopped.
    TimeOver,
    /// The file of the version is not what was ordered.
    Damaged,
    /// Central did not answer the version.
    NoContact,
    /// The version could not open the sound device.
    NoSound,
    /// The version could not take up what was in force.
    NoHeart,
}

impl Verdict {
    /// Returns the word for central.
    pub const fn code(self) -> &'static str {
        match self {
            Verdict::Kept => "kept",
            Verdict::Ended => "ended",
            Verdict::TimeOver => "time_over",
            Verdict::Damaged => "damaged",
            Verdict::NoContact => "no_contact",
            Verdict::NoSound => "no_sound",
            Verdict::NoHeart => "no_heart",
        }
    }
}

/// The program to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// A version on trial, to be stopped after so many seconds unless it proves healthy before.
    Trial {
        version: Version,
        seconds: u32,
    },
    Kept(Version),
    /// The program that the package installed.
    Installed,
}

/// A decision of the launcher. Where the slots change, they are on the disk before a version on trial is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    pub start: Start,
    pub slots: Slots,
}

impl Slots {
    /// Puts a version on trial.
    pub fn try_out(&mut self, version: Version, order: u32) {
        self.trial = Some(Trial { version, order, starts: 0, begun: None });
    }

    /// Keeps the version that is on trial; `installed` is the release of the package.
    pub fn keep(&mut self, installed: Release) {
        if let Some(Trial { version, order, .. }) = self.trial.take() {
            self.previous = self.current.replace(version.clone());
            self.installed = Some(installed);
            self.last = Some(Outcome { version, order, verdict: Verdict::Kept });
        }
    }

    /// Gives the version up that is on trial.
    pub fn give_up(&mut self, verdict: Verdict) {
        if let Some(Trial { version, order, .. }) = self.trial.take() {
            self.last = Some(Outcome { version, order, verdict });
        }
    }

    /// Lists the versions whose files are needed.
    pub fn in_use(&self) -> impl Iterator<Item = &Version> {
        let trial = self.trial.as_ref().map(|trial| &trial.version);
        self.current.iter().chain(&self.previous).chain(trial)
    }

    /// Decides which program is started now. `is_whole` tells whether the file of a version is what was ordered.
    pub fn launch(
        mut self,
        installed: Release,
        now: &Instant,
        is_whole: impl Fn(&Version) -> bool,
    ) -> Launch {
        if let Some(trial) = &mut self.trial {
            let ran = match &trial.begun {
                Some(begun) if begun.boot == now.boot => now.uptime_s.saturating_sub(begun.uptime_s),
                _ => 0,
            };
            let left = (TRIAL.0 / 1_000_000).saturating_sub(ran);
            let ends = if !is_whole(&trial.version) {
                Some(Verdict::Damaged)
            } else if left == 0 {
                Some(Verdict::TimeOver)
            } else if trial.starts >= STARTS_MAX {
                Some(Verdict::Ended)
            } else {
                None
            };
            match ends {
                Some(verdict) => self.give_up(verdict),
                None => {
                    trial.starts += 1;
                    let is_of_this_boot = trial.begun.as_ref().is_some_and(|begun| begun.boot == now.boot);
                    if !is_of_this_boot {
                        trial.begun = Some(now.clone());
                    }
                    let (version, seconds) = (trial.version.clone(), u32::try_from(left).unwrap_or(u32::MAX));
                    return Launch { start: Start::Trial { version, seconds }, slots: self };
                }
            }
        }
        self.start_kept(installed, is_whole)
    }

    /// Decides which program is started where a version on trial can't be.
    pub fn start_kept(mut self, installed: Release, is_whole: impl Fn(&Version) -> bool) -> Launch {
        let upgraded = self.installed.is_some_and(|then| installed > then);
        if upgraded && self.current.as_ref().is_some_and(|current| installed >= current.release) {
            (self.current, self.previous, self.installed) = (None, None, None);
        }
        let kept = self.current.iter().chain(&self.previous).find(|version| is_whole(version)).cloned();
        Launch { start: kept.map_or(Start::Installed, Start::Kept), slots: self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(text: &str) -> Release {
        text.parse().unwrap()
    }

    fn version(text: &str) -> Version {
        Version { release: release(text), sha256: ContentHash::of(text.as_bytes()) }
    }

    fn at(boot: &str, uptime_s: u64) -> Instant {
        Instant { boot: boot.to_owned(), uptime_s }
    }

    /// Current 1.1.0 beside a package of 1.0.0, and 1.2.0 on trial.
    fn on_trial() -> Slots {
        let mut slots = Slots::default();
        slots.try_out(version("1.1.0"), 1);
        slots.keep(release("1.0.0"));
        slots.try_out(version("1.2.0"), 2);
        slots
    }

    fn check(slots: &Slots, installed: &str, now: &Instant, damaged: &[&str], expected: &str) -> Slots {
        let damaged: Vec<_> = damaged.iter().map(|text| version(text)).collect();
        let Launch { start, slots } =
            slots.clone().launch(release(installed), now, |version| !damaged.contains(version));
        let found = match start {
            Start::Trial { version, seconds } => format!("try {} for {seconds}", version.release),
            Start::Kept(version) => version.release.to_string(),
            Start::Installed => "installed".to_owned(),
        };
        assert_eq!(found, expected);
        slots
    }

    fn verdict(slots: &Slots) -> Option<Verdict> {
        slots.last.as_ref().filter(|_| slots.trial.is_none()).map(|last| last.verdict)
    }

    #[test]
    fn a_version_on_trial_gets_two_starts() {
        let one = check(&on_trial(), "1.0.0", &at("a", 5), &[], "try 1.2.0 for 600");
        let two = check(&one, "1.0.0", &at("a", 20), &[], "try 1.2.0 for 585");
        let over = check(&two, "1.0.0", &at("a", 21), &[], "1.1.0");
        assert_eq!(verdict(&over), Some(Verdict::Ended));
        assert_eq!(check(&over, "1.0.0", &at("a", 30), &[], "1.1.0"), over);
    }

    #[test]
    fn a_second_start_does_not_begin_the_trial_anew() {
        let one = check(&on_trial(), "1.0.0", &at("a", 5), &[], "try 1.2.0 for 600");
        let two = check(&one, "1.0.0", &at("a", 400), &[], "try 1.2.0 for 205");
        assert_eq!(two.trial.unwrap().begun, Some(at("a", 5)));
    }

    #[test]
    fn power_cuts_count_as_starts() {
        let one = check(&on_trial(), "1.0.0", &at("a", 5), &[], "try 1.2.0 for 600");
        // Another time since switching on says nothing of how long it was off.
        let two = check(&one, "1.0.0", &at("b", 3), &[], "try 1.2.0 for 600");
        let over = check(&two, "1.0.0", &at("c", 3), &[], "1.1.0");
        assert_eq!(verdict(&over), Some(Verdict::Ended));
    }

    #[test]
    fn a_trial_ends_after_ten_minutes() {
        let one = check(&on_trial(), "1.0.0", &at("a", 100), &[], "try 1.2.0 for 600");
        check(&one, "1.0.0", &at("a", 699), &[], "try 1.2.0 for 1");
        let over = check(&one, "1.0.0", &at("a", 700), &[], "1.1.0");
        assert_eq!(verdict(&over), Some(Verdict::TimeOver));
    }

    #[test]
    fn a_damaged_file_is_never_started() {
        let over = check(&on_trial(), "1.0.0", &at("a", 1), &["1.2.0"], "1.1.0");
        assert_eq!(verdict(&over), Some(Verdict::Damaged));
        check(&on_trial(), "1.0.0", &at("a", 1), &["1.2.0", "1.1.0"], "installed");
        let mut kept = on_trial();
        kept.keep(release("1.0.0"));
        check(&kept, "1.0.0", &at("a", 1), &[], "1.2.0");
        check(&kept, "1.0.0", &at("a", 1), &["1.2.0"], "1.1.0");
        check(&kept, "1.0.0", &at("a", 1), &["1.2.0", "1.1.0"], "installed");
    }

    #[test]
    fn a_newer_package_takes_the_place_of_what_came_over_the_air() {
        let mut kept = on_trial();
        kept.keep(release("1.0.0"));
        let after = check(&kept, "1.3.0", &at("a", 1), &[], "installed");
        assert_eq!((after.current, after.previous), (None, None));
        check(&kept, "1.2.0", &at("a", 1), &[], "installed");
        check(&kept, "1.1.5", &at("a", 1), &[], "1.2.0");
        check(&kept, "0.9.0", &at("a", 1), &[], "1.2.0");
        // An older version that was ordered beside a newer package stays until the package is upgraded.
        let mut back = Slots::default();
        back.try_out(version("0.9.0"), 3);
        back.keep(release("1.0.0"));
        check(&back, "1.0.0", &at("a", 1), &[], "0.9.0");
        check(&back, "1.0.1", &at("a", 1), &[], "installed");
    }

    /// Every sequence of a few starts, waits, power cuts and damages, of a box with and without an earlier version.
    #[test]
    fn some_program_is_always_started_and_a_trial_never_lasts() {
        let turns = [("cut", 3), ("crash", 2), ("late", 601)];
        for with_current in [false, true] {
            for sequence in 0..3_usize.pow(5) {
                let mut slots = if with_current { on_trial() } else { Slots::default() };
                if !with_current {
                    slots.try_out(version("1.2.0"), 2);
                }
                let (mut boot, mut uptime_s, mut tried) = (0, 1, 0);
                for turn in 0..5 {
                    let now = at(&boot.to_string(), uptime_s);
                    let Launch { start, slots: next } = slots.launch(release("1.0.0"), &now, |_| true);
                    match start {
                        Start::Trial { seconds, .. } => {
                            tried += 1;
                            assert!((1..=600).contains(&seconds) && next.trial.is_some());
                        }
                        Start::Kept(kept) => assert!(with_current && kept == version("1.1.0")),
                        Start::Installed => assert!(!with_current),
                    }
                    slots = next;
                    match turns[sequence / 3_usize.pow(turn) % 3] {
                        ("cut", after) => (boot, uptime_s) = (boot + 1, after),
                        (_, after) => uptime_s += after,
                    }
                }
                assert!((1..=2).contains(&tried) && slots.trial.is_none(), "{sequence}");
                assert!(verdict(&slots).is_some_and(|verdict| verdict != Verdict::Kept));
            }
        }
    }
}
