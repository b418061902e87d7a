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
