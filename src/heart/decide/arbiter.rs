//! The arbiter: who has the air, and who takes it when.
//!
//! Claims are compared here; what stands behind them is not known.

use crate::domain::announcement::Rung;
use crate::domain::time::Wall;

/// A wish to sound now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim<J> {
    pub job: J,
    pub rung: Rung,
    /// A normal announcement for which the running slot has room goes before the slot's next item.
    pub has_room: bool,
    /// Province 0, commune 1, village 2; compared only among emergencies.
    pub level: u8,
    /// Instant of issue, or of the scheduled start.
    pub since: Wall,
    /// Order among those issued at the same instant: the commune's serial.
    pub serial: u64,
    pub take: Take,
}

/// The way in which a claim takes the air from something lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    AtOnce,
    AtBoundary,
}

/// The play that holds the air, as far as the arbiter cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnAir {
    pub rung: Rung,
    /// The play ends by itself soon enough to be waited for; a relay does not.
    pub has_boundary: bool,
}

/// The way in which the best claim gets the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    /// The air is free.
    Start,
    /// Stop what sounds, then start.
    Cut,
    /// Follow when what sounds has ended by itself.
    Follow,
}

impl<J: Ord> Claim<J> {
    /// Returns the key by which claims are sorted: the first sounds first.
    fn standing(&self) -> (std::cmp::Reverse<(Rung, bool)>, u8, Wall, u64, &J) {
        let rung = if self.has_room { Rung::Programme } else { self.rung };
        let level = if rung >= Rung::Exercise { self.level } else { 0 };
        (std::cmp::Reverse((rung, self.has_room)), level, self.since, self.serial, &self.job)
    }
}

/// Finds the claim that is to sound next.
pub fn best<J: Ord>(claims: &[Claim<J>]) -> Option<&Claim<J>> {
    let best = claims.iter().min_by(|a, b| a.standing().cmp(&b.standing()))?;
    let ladder = |claim: &Claim<J>| if claim.has_room { Rung::Programme } else { claim.rung };
    debug_assert!(claims.iter().all(|claim| ladder(claim) <= ladder(best)), "a higher rung waits");
    Some(best)
}

/// Decides how the best claim gets the air from `on_air`.
pub fn handover<J>(on_air: Option<OnAir>, claim: &Claim<J>) -> Handover {
    let handover = match on_air {
        None => Handover::Start,
        Some(on_air) if claim.rung > on_air.rung => match claim.take {
            Take::AtOnce => Handover::Cut,
            Take::AtBoundary if !on_air.has_boundary => Handover::Cut,
            Take::AtBoundary => Handover::Follow,
        },
        Some(_) => Handover::Follow,
    };
    let is_higher = on_air.is_none_or(|on_air| claim.rung > on_air.rung);
    debug_assert!(handover != Handover::Cut || is_higher, "{:?} cuts {on_air:?}", claim.rung);
    debug_assert!((handover == Handover::Start) == on_air.is_none(), "the air is free, or not");
    handover
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(job: &'static str, rung: Rung) -> Claim<&'static str> {
        let take = if rung.takes_the_air_at_once() { Take::AtOnce } else { Take::AtBoundary };
        Claim { job, rung, has_room: false, level: 1, since: Wall(0), serial: 0, take }
    }

    fn check(claims: &[Claim<&'static str>], expected: &str) {
        assert_eq!(best(claims).unwrap().job, expected);
    }

    #[test]
    fn the_higher_rung_sounds() {
        check(&[claim("slot", Rung::Programme), claim("storm", Rung::Emergency)], "storm");
        check(&[claim("news", Rung::Normal), claim("slot", Rung::Programme)], "slot");
        check(&[claim("drill", Rung::Exercise), claim("voice", Rung::Live)], "drill");
    }

    #[test]
    fn equals_go_by_level_then_by_time_then_by_serial() {
        let province = Claim { level: 0, since: Wall(9), ..claim("province", Rung::Emergency) };
        check(&[claim("commune", Rung::Emergency), province.clone()], "province");
        let priority = |job, level, since, serial| Claim {
            level,
            since: Wall(since),
            serial,
            ..claim(job, Rung::Priority)
        };
        check(&[priority("later", 0, 9, 0), priority("first", 1, 5, 0)], "first");
        check(&[priority("second", 1, 5, 8), priority("first", 1, 5, 7)], "first");
        let of_province = Claim { level: 0, since: Wall(9), ..claim("province", Rung::Exercise) };
        check(&[claim("commune", Rung::Exercise), of_province], "province");
    }

    #[test]
    fn a_slot_with_room_lets_a_normal_announcement_in() {
        let news = Claim { has_room: true, ..claim("news", Rung::Normal) };
        check(&[claim("slot", Rung::Programme), news.clone()], "news");
        check(&[claim("priority", Rung::Priority), news], "priority");
    }

    #[test]
    fn only_who_must_not_wait_cuts() {
        let on_air = |rung, has_boundary| Some(OnAir { rung, has_boundary });
        let priority = claim("priority", Rung::Priority);
        assert_eq!(handover(None, &priority), Handover::Start);
        assert_eq!(handover(on_air(Rung::Programme, true), &priority), Handover::Follow);
        assert_eq!(handover(on_air(Rung::Programme, false), &priority), Handover::Cut);
        assert_eq!(handover(on_air(Rung::Emergency, true), &priority), Handover::Follow);
        let storm = claim("storm", Rung::Emergency);
        assert_eq!(handover(on_air(Rung::Live, true), &storm), Handover::Cut);
        assert_eq!(handover(on_air(Rung::Emergency, false), &storm), Handover::Follow);
    }
}
