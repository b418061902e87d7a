//! The rollout of a release over the boxes of a commune, wave by wave: what became of each box, and when the next wave
//! begins or everything stops.

use crate::domain::software::{Release, UpgradeStep, UpgradeTold};
use crate::domain::time::{Span, Wall};

/// Silence of a box that is about to restart, or runs on trial, after which it counts as failed. Two trials take twenty
/// minutes.
pub const SILENT_MAX: Span = Span::secs(30 * 60);

/// A box that is to run the release.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// The box's last account of an upgrade, and since when it says so.
    pub told: Option<(UpgradeTold, Wall)>,
    /// The time of its last message.
    pub last_seen: Option<Wall>,
}

/// The fate of a box in a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// The old program runs again.
    Failed,
    /// Nothing was heard of the box since it was about to restart.
    Silent,
    Refused,
    /// The box has not said anything of the release.
    Ordered,
    Underway(UpgradeStep),
    Done,
}

impl Fate {
    /// Tells whether the release harmed the box, as far as anybody knows.
    pub const fn is_failure(self) -> bool {
        matches!(self, Fate::Failed | Fate::Silent)
    }

    /// Tells whether nothing more is to come.
    pub const fn is_over(self) -> bool {
        !matches!(self, Fate::Ordered | Fate::Underway(_))
    }
}

/// Judges what became of a box.
pub fn fate(seen: &Seen, release: Release, now: Wall) -> Fate {
    let Some((told, since)) = seen.told.as_ref().filter(|(told, _)| told.release == release) else {
        return Fate::Ordered;
    };
    match told.step {
        UpgradeStep::Done => Fate::Done,
        UpgradeStep::Failed => Fate::Failed,
        UpgradeStep::Refused => Fate::Refused,
        step @ (UpgradeStep::Applying | UpgradeStep::Trial) => {
            let heard = seen.last_seen.map_or(*since, |at| at.max(*since));
            if now.since(heard) >= SILENT_MAX { Fate::Silent } else { Fate::Underway(step) }
        }
        step => Fate::Underway(step),
    }
}

/// The next step of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Wait,
    /// The boxes of the next wave are ordered to run the release.
    Wave,
    /// So many boxes failed that no further one is to try it.
    Stop {
        failed: usize,
    },
    /// Nothing more is to come.
    Finish,
}

/// Chooses the next step. `waves` are the boxes of each wave, those of the first `ordered` have the order; a box counts in
/// the first wave that names it. `failures_max` failures stop everything.
pub fn next(waves: &[Vec<Seen>], ordered: usize, release: Release, failures_max: u32, now: Wall) -> Next {
    let fates: Vec<Vec<Fate>> =
        waves.iter().map(|wave| wave.iter().map(|seen| fate(seen, release, now)).collect()).collect();
    let failed = fates.iter().flatten().filter(|fate| fate.is_failure()).count();
    if failed >= failures_max.max(1) as usize {
        return Next::Stop { failed };
    }
    let Some(before) = ordered.checked_sub(1) else { return Next::Wave };
    if ordered >= waves.len() {
        return if fates.iter().flatten().all(|fate| fate.is_over()) { Next::Finish } else { Next::Wait };
    }
    // Boxes that nobody hears, as in a village without power, keep nobody waiting; but one must have come through.
    let is_heard = |seen: &Seen| seen.last_seen.is_some_and(|at| now.since(at) < SILENT_MAX);
    let settled = |wave: &[Seen], fates: &[Fate]| {
        wave.iter().zip(fates).all(|(seen, fate)| fate.is_over() || !is_heard(seen) && *fate == Fate::Ordered)
    };
    let are_settled = waves.iter().zip(&fates).take(ordered).all(|(wave, fates)| settled(wave, fates));
    let came_through = fates[before].is_empty() || fates[before].contains(&Fate::Done);
    if are_settled && came_through { Next::Wave } else { Next::Wait }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn release() -> Release {
        "1.1.0".parse().unwrap()
    }

    /// A box at minute 100 that was heard at `heard` and says `step` since `since`.
    fn seen(step: Option<UpgradeStep>, since: i64, heard: i64) -> Seen {
        let told = step.map(|step| {
            (UpgradeTold { version: 1, release: release(), step, why: None }, Wall(since * MINUTE))
        });
        Seen { told, last_seen: Some(Wall(heard * MINUTE)) }
    }

    const NOW: Wall = Wall(100 * MINUTE);

    #[test]
    fn a_box_that_says_nothing_for_half_an_hour_after_its_restart_has_failed() {
        use UpgradeStep::*;
        let fate = |step, since, heard| fate(&seen(step, since, heard), release(), NOW);
        assert_eq!(fate(None, 0, 100), Fate::Ordered);
        assert_eq!(fate(Some(Applying), 71, 71), Fate::Underway(Applying));
        assert_eq!(fate(Some(Applying), 70, 70), Fate::Silent);
        assert_eq!(fate(Some(Trial), 60, 70), Fate::Silent);
        assert_eq!(fate(Some(Trial), 60, 99), Fate::Underway(Trial));
        // Whoever waits for the hour may be silent for a night without power.
        assert_eq!(fate(Some(Waiting), 0, 0), Fate::Underway(Waiting));
        assert_eq!(fate(Some(Done), 0, 0), Fate::Done);
        let other = Seen { told: seen(Some(Done), 0, 100).told, last_seen: None };
        assert_eq!(super::fate(&other, "1.2.0".parse().unwrap(), NOW), Fate::Ordered);
    }

    fn check(waves: &[&[Seen]], ordered: usize, failures_max: u32, expected: Next) {
        let waves: Vec<_> = waves.iter().map(|wave| wave.to_vec()).collect();
        assert_eq!(next(&waves, ordered, release(), failures_max, NOW), expected);
    }

    #[test]
    fn waves_follow_each_other_and_failures_stop_them() {
        use UpgradeStep::*;
        let at = |step| seen(Some(step), 90, 100);
        let (done, failed, trial, fresh) = (at(Done), at(Failed), at(Trial), seen(None, 0, 100));
        let away = seen(None, 0, 10);
        let two = |first: &[Seen]| [first.to_vec(), vec![fresh.clone()]];
        let check_two = |first: &[Seen], expected| {
            let [a, b] = two(first);
            check(&[&a, &b], 1, 2, expected);
        };
        check(&[std::slice::from_ref(&fresh)], 0, 2, Next::Wave);
        check_two(&[done.clone(), done.clone()], Next::Wave);
        check_two(&[done.clone(), trial.clone()], Next::Wait);
        check_two(&[done.clone(), fresh.clone()], Next::Wait);
        check_two(&[done.clone(), failed.clone()], Next::Wave);
        check_two(&[failed.clone(), failed.clone()], Next::Stop { failed: 2 });
        check_two(&[done.clone(), away.clone()], Next::Wave);
        check_two(&[done.clone(), seen(None, 0, 70)], Next::Wave);
        check_two(&[done.clone(), seen(None, 0, 71)], Next::Wait);
        // Nobody has come through yet.
        check_two(std::slice::from_ref(&failed), Next::Wait);
        check_two(std::slice::from_ref(&away), Next::Wait);
        check_two(&[], Next::Wave);
        let silent = seen(Some(Applying), 10, 10);
        check_two(&[silent.clone(), silent, done.clone()], Next::Stop { failed: 2 });
        check(&[std::slice::from_ref(&done), std::slice::from_ref(&failed)], 2, 2, Next::Finish);
        check(&[std::slice::from_ref(&done), std::slice::from_ref(&away)], 2, 2, Next::Wait);
        // No box fails for nothing.
        check(&[std::slice::from_ref(&failed)], 1, 0, Next::Stop { failed: 1 });
    }
}
