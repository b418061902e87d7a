//! Orders to end what has not arrived yet: remembered with their signers, they hold against what these may end.

use super::memory::{Ending, Memo, Memory, Stop};
use super::quotas::Limits;
use crate::domain::authority::{Ender, Power, Trust};
use crate::domain::ids::CommandId;
use crate::domain::time::Wall;
use crate::wire::messages::Command;

/// Remembers that `of` is not to sound, as `by` orders. Where its issuer has ordered too many, the one that ends first
/// is forgotten.
pub fn remember(
    memory: &Memory,
    limits: &Limits,
    of: &CommandId,
    by: &CommandId,
    ending: Ending,
) -> Vec<Memo> {
    let alike: Vec<_> =
        memory.endings.iter().filter(|(_, other)| other.by.issuer == ending.by.issuer).collect();
    let beyond = (alike.len() + 1).saturating_sub(limits.endings_of_issuer);
    let first = alike.into_iter().min_by_key(|(_, other)| other.until).filter(|_| beyond > 0);
    let forgotten = first.map(|((of, by), _)| Memo::Ending(of.clone(), by.clone(), None));
    forgotten.into_iter().chain([Memo::Ending(of.clone(), by.clone(), Some(ending))]).collect()
}

/// Remembers a stop of everything. It takes the place of earlier ones of the same signers.
pub fn remember_stop(memory: &Memory, limits: &Limits, by: &CommandId, mut stop: Stop) -> Vec<Memo> {
    let (same, others): (Vec<_>, Vec<_>) = memory
        .stops
        .iter()
        .filter(|(_, other)| other.by.issuer == stop.by.issuer)
        .partition(|(_, other)| other.by == stop.by);
    stop.upto = same.iter().map(|(_, other)| other.upto).fold(stop.upto, Wall::max);
    let beyond = (others.len() + 1).saturating_sub(limits.stops_of_issuer);
    let first = others.into_iter().min_by_key(|(_, other)| other.upto).filter(|_| beyond > 0);
    let gone = same.into_iter().chain(first).map(|(id, _)| Memo::Stop(id.clone(), None));
    gone.chain([Memo::Stop(by.clone(), Some(stop))]).collect()
}

/// Reports whether an announcement or a live voice was ended before it arrived, by somebody who may end it.
pub fn has_ended(memory: &Memory, trust: &Trust, command: &Command) -> bool {
    let id = &command.id;
    let holds = |by: &Ender| trust.may_end(by, command.power(), &command.groups).is_ok();
    let named = memory.endings.iter().filter(|((of, _), _)| of == id);
    let stopped = memory.stops.values().filter(|stop| command.issued_at <= stop.upto);
    named.map(|(_, ending)| &ending.by).chain(stopped.map(|stop| &stop.by)).any(holds)
        || was_cancelled_before(memory, command)
}

/// Reports whether an older version of this program wrote down that it is cancelled. Nobody knows by whom, so that it
/// holds against no emergency.
pub fn was_cancelled_before(memory: &Memory, command: &Command) -> bool {
    let by_all = memory.all_cancelled_upto.is_some_and(|upto| command.issued_at <= upto);
    command.power() != Power::Emergency && (by_all || memory.cancelled.contains_key(&command.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::inbox::tests::everything;
    use crate::domain::announcement::{BulletinClass, Mode, PlayPlan};
    use crate::domain::ids::KeyId;
    use crate::wire::messages::Body;

    fn ender(signers: &[&str]) -> Ender {
        let signers: Vec<_> = signers.iter().map(|key| KeyId::new(*key).unwrap()).collect();
        Ender { issuer: signers[0].clone(), signers, mode: None }
    }

    fn announcement(id: &str, class: BulletinClass, issued_at: i64) -> Command {
        Command {
            v: 1,
            id: id.parse().unwrap(),
            issuer: "an".parse().unwrap(),
            serial: 1,
            issued_at: Wall(issued_at),
            groups: vec!["xa".parse().unwrap()],
            not_before: Wall(issued_at),
            expires: Wall(issued_at + 100),
            author: "An".to_owned(),
            approver: None,
            critical: Vec::new(),
            body: Body::Announce {
                title: String::new(),
                class,
                mode: Mode::Actual,
                plan: PlayPlan::default(),
                media: None,
                words: None,
                supersedes: None,
                cap: None,
            },
        }
    }

    /// Orders stops by these signers up to these instants, and returns those that are remembered, with their ends.
    fn stops(orders: &[(&[&str], i64)], of_issuer: usize) -> Vec<(String, i64)> {
        let mut memory = Memory::default();
        let limits = Limits { stops_of_issuer: of_issuer, ..Limits::default() };
        for (n, (signers, upto)) in orders.iter().enumerate() {
            let stop = Stop { by: ender(signers), upto: Wall(*upto) };
            let id = format!("s{n}").parse().unwrap();
            for memo in remember_stop(&memory, &limits, &id, stop) {
                memory.apply(&memo);
            }
        }
        memory.stops.iter().map(|(id, stop)| (id.to_string(), stop.upto.0)).collect()
    }

    #[test]
    fn a_stop_takes_the_place_of_earlier_ones_of_the_same_signers_and_reaches_as_far() {
        let expect = |found: Vec<(String, i64)>, expected: &[(&str, i64)]| {
            assert_eq!(
                found,
                expected.iter().map(|(id, upto)| ((*id).to_owned(), *upto)).collect::<Vec<_>>()
            );
        };
        expect(stops(&[(&["an"], 5), (&["an"], 9)], 8), &[("s1", 9)]);
        expect(stops(&[(&["an"], 9), (&["an"], 5)], 8), &[("s1", 9)]);
        expect(stops(&[(&["an"], 5), (&["an", "binh"], 9)], 8), &[("s0", 5), ("s1", 9)]);
        expect(stops(&[(&["an"], 5), (&["binh"], 9)], 1), &[("s0", 5), ("s1", 9)]);
        // Of one issuer with ever other signers, the one that reaches least far is forgotten.
        let many: [(&[&str], i64); 3] = [(&["an"], 5), (&["an", "binh"], 3), (&["an", "chi"], 9)];
        expect(stops(&many, 2), &[("s0", 5), ("s2", 9)]);
    }

    #[test]
    fn what_an_older_version_wrote_down_holds_against_all_but_emergencies() {
        let mut memory = Memory::default();
        memory.apply(&Memo::Cancelled("a".parse().unwrap(), Some(Wall(1_000))));
        memory.apply(&Memo::AllCancelledUpto(Wall(10)));
        let was = |id: &str, class, at| was_cancelled_before(&memory, &announcement(id, class, at));
        use BulletinClass::{Emergency, Normal};
        assert!(was("a", Normal, 50) && was("b", Normal, 10));
        assert!(!was("b", Normal, 11));
        assert!(!was("a", Emergency, 50) && !was("b", Emergency, 5));
    }

    #[test]
    fn a_stop_holds_against_what_was_issued_up_to_its_instant_by_those_it_may_end() {
        let trust = everything(&["an", "binh"]);
        let mut memory = Memory::default();
        memory.apply(&Memo::Stop("s".parse().unwrap(), Some(Stop { by: ender(&["an"]), upto: Wall(10) })));
        let ended = |at| has_ended(&memory, &trust, &announcement("a", BulletinClass::Normal, at));
        assert_eq!([9, 10, 11].map(ended), [true, true, false]);
        let nobody = everything(&["binh"]);
        assert!(!has_ended(&memory, &nobody, &announcement("a", BulletinClass::Normal, 9)));
    }
}
