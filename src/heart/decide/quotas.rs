//! Room for commands: bounds for each key, so that whoever floods a box fills their own room only.
//!
//! Actual emergencies have room of their own, which nothing else can take. What a key has too much of is forgotten from
//! its oldest on, where it can act no more; what still waits is never pushed out: then the new command is refused, to
//! this key alone. Forgetting an id makes no command new, as its serial stays used.

use super::memory::{Known, Memo, Memory};
use crate::domain::authority::{Power, Trust};
use crate::domain::ids::{CommandId, GroupId, KeyId};
use crate::domain::playback::CommandRefusal;

/// Bounds of what a box keeps of commands. The default is what is shipped; a search through all states takes less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Announcements of one issuer that are not over, but for actual emergencies. A commune that issues 50 a day, each in
    /// force for four days, has 200.
    pub held_of_issuer: usize,
    /// Announcements of all issuers that are not over, but for actual emergencies: 1,024 with the longest texts are 32
    /// MB.
    pub held: usize,
    /// Actual emergencies of one issuer that are not over.
    pub emergencies_of_issuer: usize,
    /// Actual emergencies of all issuers that are not over.
    pub emergencies: usize,
    /// Ids that are remembered for one issuer, but for actual emergencies. More than `held_of_issuer`, so that one of them
    /// can always be forgotten.
    pub known_of_issuer: usize,
    /// Ids of actual emergencies that are remembered for one issuer; more than `emergencies_of_issuer`.
    pub known_emergencies_of_issuer: usize,
    /// Orders of one issuer to end what has not arrived.
    pub endings_of_issuer: usize,
    /// Orders of one issuer to end everything, by different signers.
    pub stops_of_issuer: usize,
    /// Keys outside the trust document whose serials are remembered, in case that they come back.
    pub serials_of_strangers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            held_of_issuer: 256,
            held: 1_024,
            emergencies_of_issuer: 64,
            emergencies: 256,
            known_of_issuer: 512,
            known_emergencies_of_issuer: 128,
            endings_of_issuer: 256,
            stops_of_issuer: 8,
            serials_of_strangers: 1_024,
        }
    }
}

/// An announcement that is not over, or the live voice, as far as others may end it.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    pub id: &'a CommandId,
    pub issuer: &'a KeyId,
    pub power: Power,
    pub groups: &'a [GroupId],
    /// Expired, and held on only in case that the clock was ahead: it takes no room from others.
    pub lapsed: bool,
}

/// Reports whether room is kept apart for commands of this power.
const fn is_emergency(power: Power) -> bool {
    matches!(power, Power::Emergency)
}

/// Checks that another announcement has room.
///
/// # Errors
/// Names the bound that is reached.
pub fn check_held(
    limits: &Limits,
    standing: &[Standing],
    issuer: &KeyId,
    power: Power,
) -> Result<(), CommandRefusal> {
    let emergency = is_emergency(power);
    let (of_issuer, of_all) = if emergency {
        (limits.emergencies_of_issuer, limits.emergencies)
    } else {
        (limits.held_of_issuer, limits.held)
    };
    let alike = || standing.iter().filter(|one| is_emergency(one.power) == emergency && !one.lapsed);
    let too_many = |max: usize| Err(CommandRefusal::TooMany { max: max as u32 });
    if alike().filter(|one| one.issuer == issuer).count() >= of_issuer {
        return too_many(of_issuer);
    }
    if alike().count() >= of_all { too_many(of_all) } else { Ok(()) }
}

/// Finds the id that is to be forgotten before another of this issuer is remembered: the oldest that can act no more.
///
/// # Errors
/// Names the bound, where all of them still stand.
pub fn make_room(
    memory: &Memory,
    limits: &Limits,
    standing: &[Standing],
    issuer: &KeyId,
    power: Power,
) -> Result<Option<CommandId>, CommandRefusal> {
    let emergency = is_emergency(power);
    let max = if emergency { limits.known_emergencies_of_issuer } else { limits.known_of_issuer };
    let is_alike = |known: &Known| {
        let origin = known.origin.as_ref();
        origin.is_some_and(|from| from.issuer == *issuer && is_emergency(from.power) == emergency)
    };
    let known: Vec<_> = memory.known.iter().filter(|(_, known)| is_alike(known)).collect();
    if known.len() < max {
        return Ok(None);
    }
    let serial = |known: &Known| known.origin.as_ref().map(|origin| origin.serial);
    let over = known.into_iter().filter(|(id, _)| !standing.iter().any(|one| one.id == *id));
    let oldest = over.min_by_key(|(_, known)| serial(known)).map(|(id, _)| id.clone());
    oldest.map(Some).ok_or(CommandRefusal::TooMany { max: max as u32 })
}

/// Forgets the commands of keys that are in no grant, which frees their room at once, and the serials of the strangers
/// beyond the bound.
pub fn forget_strangers(memory: &Memory, limits: &Limits, trust: &Trust) -> Vec<Memo> {
    let is_stranger = |key: &KeyId| trust.grants.iter().all(|grant| grant.key != *key);
    let from_stranger =
        |known: &Known| known.origin.as_ref().is_some_and(|origin| is_stranger(&origin.issuer));
    let mut memos = Vec::new();
    for (id, _) in memory.known.iter().filter(|(_, known)| from_stranger(known)) {
        memos.extend([Memo::Known(id.clone(), None), Memo::Progress(id.clone(), None)]);
    }
    let endings = memory.endings.iter().filter(|(_, ending)| is_stranger(&ending.by.issuer));
    memos.extend(endings.map(|((of, by), _)| Memo::Ending(of.clone(), by.clone(), None)));
    let stops = memory.stops.iter().filter(|(_, stop)| is_stranger(&stop.by.issuer));
    memos.extend(stops.map(|(by, _)| Memo::Stop(by.clone(), None)));
    let strangers = memory.serials.keys().filter(|key| is_stranger(key)).skip(limits.serials_of_strangers);
    memos.extend(
        strangers
            .flat_map(|key| [Memo::Serials(key.clone(), None), Memo::EmergencySerials(key.clone(), None)]),
    );
    memos
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shipped_leaves_something_to_forget() {
        let limits = Limits::default();
        assert!(limits.known_of_issuer > limits.held_of_issuer);
        assert!(limits.known_emergencies_of_issuer > limits.emergencies_of_issuer);
    }

    #[test]
    fn room_ends_exactly_at_each_bound() {
        let limits = Limits {
            held_of_issuer: 2,
            held: 3,
            emergencies_of_issuer: 2,
            emergencies: 3,
            ..Limits::default()
        };
        let (id, an) = ("c".parse().unwrap(), KeyId::new("an").unwrap());
        for power in [Power::Normal, Power::Emergency] {
            let check = |issuers: &[&str], expected: Option<u32>| {
                let issuers: Vec<_> = issuers.iter().map(|issuer| KeyId::new(*issuer).unwrap()).collect();
                let one = |issuer| Standing { id: &id, issuer, power, groups: &[], lapsed: false };
                let standing: Vec<_> = issuers.iter().map(one).collect();
                let found = check_held(&limits, &standing, &an, power);
                let expected = expected.map_or(Ok(()), |max| Err(CommandRefusal::TooMany { max }));
                assert_eq!(found, expected, "{power:?} {issuers:?}");
            };
            check(&["an", "binh"], None);
            check(&["an", "an"], Some(2));
            check(&["binh", "binh", "binh"], Some(3));
            check(&["binh", "binh"], None);
        }
    }
}
