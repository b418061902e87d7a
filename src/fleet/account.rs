//! The account of a fleet: what its boxes saw, as counts and as percentiles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use loaxa_heart::domain::ids::{BoxId, CommandId, Epoch};
use loaxa_heart::domain::playback::DeliveryStep;
use loaxa_heart::domain::time::Span;
use loaxa_heart::wire::chain::Link;

/// Commands of which the account keeps the arrivals; the oldest go first.
const COMMANDS_MAX: usize = 256;
/// Times of welcomes that are kept.
const WELCOMES_MAX: usize = 200_000;

/// Times of each command at the boxes.
type Times = Mutex<BTreeMap<CommandId, Vec<Span>>>;

/// Everything that the boxes of a fleet saw together.
#[derive(Default)]
pub struct Account {
    connected: AtomicU64,
    heartbeats: AtomicU64,
    refused: AtomicU64,
    recorded: AtomicU64,
    acknowledged: AtomicU64,
    forked: AtomicU64,
    welcomes: Mutex<Vec<Span>>,
    arrivals: Times,
    tellings: Times,
    deliveries: Mutex<BTreeMap<CommandId, BTreeMap<BoxId, Deliveries>>>,
    ends: Mutex<Ends>,
}

/// The end of each log that the boxes write.
pub type Ends = BTreeMap<(BoxId, Epoch), Link>;

/// Counts of entries that tell of a step of a command: those of one box, or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deliveries {
    pub received: u64,
    pub finished: u64,
    /// Ended otherwise.
    pub unfinished: u64,
}

/// The fate of all commands that came to the boxes of a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fates {
    /// Commands that came to a box, or stand in a log, and that nobody issued.
    pub foreign: Vec<CommandId>,
    /// Boxes at which a command that was issued did not come, did not sound to its end, or did so more than once.
    pub wrong: Vec<BoxId>,
}

/// Counts of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Boxes that are connected now.
    pub connected: u64,
    /// Heartbeats that were given.
    pub heartbeats: u64,
    /// Messages that a box refused.
    pub refused: u64,
    /// Log records that were made, and those that central has acknowledged.
    pub recorded: u64,
    pub acknowledged: u64,
    /// Acknowledgements that call a log forked.
    pub forked: u64,
}

/// The half, the most but one in a hundred, and the longest of some times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Percentiles {
    pub count: usize,
    pub median: Span,
    pub p99: Span,
    pub max: Span,
}

impl Percentiles {
    /// Reckons the percentiles of times in any order.
    pub fn of(mut times: Vec<Span>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
        Self {
            count: times.len(),
            median: at(50).copied().unwrap_or_default(),
            p99: at(99).copied().unwrap_or_default(),
            max: times.last().copied().unwrap_or_default(),
        }
    }
}

impl Account {
    pub(crate) fn connected(&self) {
        self.connected.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn disconnected(&self) {
        self.connected.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn heartbeat(&self) {
        self.heartbeats.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A box has written a record, behind which its log now ends.
    pub(crate) fn recorded(&self, id: &BoxId, epoch: Epoch, end: Link) {
        self.recorded.fetch_add(1, Ordering::Relaxed);
        lock(&self.ends).insert((id.clone(), epoch), end);
    }

    pub(crate) fn forked(&self) {
        self.forked.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn acknowledged(&self, records: u64) {
        self.acknowledged.fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn welcomed(&self, after: Span) {
        let mut welcomes = lock(&self.welcomes);
        if welcomes.len() < WELCOMES_MAX {
            welcomes.push(after);
        }
    }

    pub(crate) fn arrived(&self, command: &CommandId, after: Span) {
        note(&self.arrivals, command, after);
    }

    /// Central has acknowledged the record that says that a command was received.
    pub(crate) fn told(&self, command: &CommandId, after: Span) {
        note(&self.tellings, command, after);
    }

    pub(crate) fn delivered(&self, at: &BoxId, command: &CommandId, step: &DeliveryStep) {
        let mut deliveries = lock(&self.deliveries);
        if deliveries.len() >= COMMANDS_MAX && !deliveries.contains_key(command) {
            deliveries.pop_first();
        }
        let of = deliveries.entry(command.clone()).or_default().entry(at.clone()).or_default();
        match step {
            DeliveryStep::Received => of.received += 1,
            DeliveryStep::Finished => of.finished += 1,
            DeliveryStep::Staged | DeliveryStep::Started => {}
            _ => of.unfinished += 1,
        }
    }

    /// Returns what the logs of all boxes say of a command, each entry counted.
    pub fn deliveries(&self, command: &CommandId) -> Deliveries {
        let add = |all: Deliveries, one: &Deliveries| Deliveries {
            received: all.received + one.received,
            finished: all.finished + one.finished,
            unfinished: all.unfinished + one.unfinished,
        };
        lock(&self.deliveries)
            .get(command)
            .map_or_else(Default::default, |of| of.values().fold(Deliveries::default(), add))
    }

    /// Judges all commands that came: those that were issued have to be in effect once at each of these boxes, and nothing else.
    pub fn fates<'a>(&self, issued: &[CommandId], boxes: impl Iterator<Item = &'a BoxId>) -> Fates {
        let deliveries = lock(&self.deliveries);
        let came: BTreeSet<_> = lock(&self.arrivals).keys().chain(deliveries.keys()).cloned().collect();
        let foreign = came.into_iter().filter(|id| !issued.contains(id)).collect();
        let once = Deliveries { received: 1, finished: 1, unfinished: 0 };
        let is_once = |id: &BoxId, command: &CommandId| {
            deliveries.get(command).and_then(|of| of.get(id)).is_some_and(|of| *of == once)
        };
        let wrong = boxes.filter(|id| !issued.iter().all(|command| is_once(id, command))).cloned().collect();
        Fates { foreign, wrong }
    }

    /// Returns the end of each log as it is now.
    pub fn ends(&self) -> Ends {
        lock(&self.ends).clone()
    }

    /// Returns the counts of this moment.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            connected: read(&self.connected),
            heartbeats: read(&self.heartbeats),
            refused: read(&self.refused),
            recorded: read(&self.recorded),
            acknowledged: read(&self.acknowledged),
            forked: read(&self.forked),
        }
    }

    /// Counts the welcomes since [`Account::take_welcomes`] was called last.
    pub fn welcomes(&self) -> usize {
        lock(&self.welcomes).len()
    }

    /// Returns the times from hello to welcome since the last call.
    pub fn take_welcomes(&self) -> Percentiles {
        Percentiles::of(std::mem::take(&mut *lock(&self.welcomes)))
    }

    /// Returns, for each command, the times from its issue to its arrival at each box.
    pub fn arrivals(&self) -> BTreeMap<CommandId, Percentiles> {
        percentiles(&self.arrivals)
    }

    /// Returns, for each command, the times from its issue until central had each box's word that it came.
    pub fn tellings(&self) -> BTreeMap<CommandId, Percentiles> {
        percentiles(&self.tellings)
    }
}

fn note(times: &Times, command: &CommandId, after: Span) {
    let mut times = lock(times);
    if times.len() >= COMMANDS_MAX && !times.contains_key(command) {
        times.pop_first();
    }
    times.entry(command.clone()).or_default().push(after);
}

fn percentiles(times: &Times) -> BTreeMap<CommandId, Percentiles> {
    lock(times).iter().map(|(id, times)| (id.clone(), Percentiles::of(times.clone()))).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let spans = |range: std::ops::RangeInclusive<u64>| range.rev().map(Span::millis).collect();
        let hundred = Percentiles::of(spans(1..=100));
        assert_eq!((hundred.count, hundred.max), (100, Span::millis(100)));
        assert_eq!((hundred.median, hundred.p99), (Span::millis(51), Span::millis(100)));
        assert_eq!(Percentiles::of(spans(7..=7)).median, Span::millis(7));
        assert_eq!(Percentiles::of(Vec::new()), Percentiles::default());
    }

    #[test]
    fn a_command_is_in_effect_once_at_each_box_and_nothing_else_is() {
        let boxes: [BoxId; 2] = ["loa-0", "loa-1"].map(|id| id.parse().unwrap());
        let [flood, storm]: [CommandId; 2] = ["lu", "bao"].map(|id| id.parse().unwrap());
        let steps = [DeliveryStep::Received, DeliveryStep::Started, DeliveryStep::Finished];
        let account = Account::default();
        let obey = |id: &BoxId, command: &CommandId| {
            account.arrived(command, Span::millis(1));
            steps.iter().for_each(|step| account.delivered(id, command, step));
        };
        let check = |foreign: &[&CommandId], wrong: &[&BoxId]| {
            let fates = account.fates(std::slice::from_ref(&flood), boxes.iter());
            assert_eq!(
                (fates.foreign.iter().collect(), fates.wrong.iter().collect()),
                (foreign.to_vec(), wrong.to_vec())
            );
        };
        obey(&boxes[0], &flood);
        check(&[], &[&boxes[1]]);
        // Twice at one and never at the other are as many as once at each.
        obey(&boxes[0], &flood);
        assert_eq!(account.deliveries(&flood), Deliveries { received: 2, finished: 2, unfinished: 0 });
        check(&[], &[&boxes[0], &boxes[1]]);
        obey(&boxes[1], &flood);
        check(&[], &[&boxes[0]]);
        account.arrived(&storm, Span::millis(1));
        check(&[&storm], &[&boxes[0]]);
    }
}
