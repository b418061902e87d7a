//! The account of a fleet: what its boxes saw, as counts and as percentiles.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use loaxa_heart::domain::ids::CommandId;
use loaxa_heart::domain::playback::DeliveryStep;
use loaxa_heart::domain::time::Span;

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
    welcomes: Mutex<Vec<Span>>,
    arrivals: Times,
    tellings: Times,
    deliveries: Mutex<BTreeMap<CommandId, Deliveries>>,
}

/// Counts of boxes that have a step of a command in their logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deliveries {
    pub received: u64,
    pub finished: u64,
    /// Ended otherwise.
    pub unfinished: u64,
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

    pub(crate) fn recorded(&self) {
        self.recorded.fetch_add(1, Ordering::Relaxed);
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

    pub(crate) fn delivered(&self, command: &CommandId, step: &DeliveryStep) {
        let mut deliveries = lock(&self.deliveries);
        if deliveries.len() >= COMMANDS_MAX && !deliveries.contains_key(command) {
            deliveries.pop_first();
        }
        let of = deliveries.entry(command.clone()).or_default();
        match step {
            DeliveryStep::Received => of.received += 1,
            DeliveryStep::Finished => of.finished += 1,
            DeliveryStep::Staged | DeliveryStep::Started => {}
            _ => of.unfinished += 1,
        }
    }

    /// Returns what the logs of all boxes say of a command, each entry counted.
    pub fn deliveries(&self, command: &CommandId) -> Deliveries {
        lock(&self.deliveries).get(command).copied().unwrap_or_default()
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
}
