//! What sounds in the place of a relay that does not: the items of its fallback in turn, until the relay's time is
//! over. While each of them sounds, the relay is tried again.

use std::collections::BTreeSet;

use super::air::Ended;
use super::running::Running;
use super::sessions::WORTH_STARTING;
use super::*;
use crate::decide::schedule::{Length, Piece};
use crate::domain::playback::{NotPlayed, PlayOutcome};

/// The stand-in for one relay.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) struct StandIn {
    /// The number of the relay's piece.
    pub relay: u32,
    /// Why the relay did not sound last.
    pub reason: Fault,
    items: Vec<Piece>,
    /// The item to go on with; they go round.
    next: u32,
    broken: BTreeSet<u32>,
    /// The relay was tried since the last item began.
    is_tried: bool,
    /// What was left of the relay's time when it failed; `None` until the hard end.
    left: Option<Span>,
    /// When the relay's time is over, once something sounds in its place.
    until: Option<Moment>,
}

impl StandIn {
    fn index(&self, nth: u32) -> u32 {
        nth % self.items.len().max(1) as u32
    }

    /// An item by its count.
    pub fn item(&self, nth: u32) -> Option<&Piece> {
        self.items.get(self.index(nth) as usize)
    }

    fn playable(&self) -> Option<u32> {
        let round = self.next..self.next.saturating_add(self.items.len() as u32);
        round.into_iter().find(|nth| !self.broken.contains(&self.index(*nth)))
    }

    /// The item that is to sound next; `None` where it is the relay's turn to be tried.
    pub fn wants(&self) -> Option<u32> {
        if self.is_tried { self.playable() } else { None }
    }

    /// The end of the relay's time as a limit of what begins at `begins`.
    pub fn limit(&self, begins: Moment) -> Option<(Moment, PlayOutcome)> {
        let until = self.until.or_else(|| self.left.map(|left| begins + left));
        until.map(|until| (until, PlayOutcome::Finished))
    }

    /// Whether too little of the relay's time is left for anything to begin at `moment`.
    pub fn is_over(&self, moment: Moment) -> bool {
        self.until.is_some_and(|until| until <= moment + WORTH_STARTING)
    }
}

/// Whether a relay failed for a reason of its station.
fn is_of_the_station(reason: &Fault) -> bool {
    matches!(reason, Fault::NoStream { .. } | Fault::SilentStream { .. })
}

impl Speaker {
    /// Puts the fallback in the place of a relay that failed at `position`, where it has one. `true`: it failed for the
    /// first time.
    pub(super) fn stand_in_for(&mut self, relay: u32, position: Span, reason: &Fault) -> Option<bool> {
        let running = self.running.as_mut()?;
        let piece = running.piece(relay)?.clone();
        let fallback = piece.fallback.as_ref().filter(|_| is_of_the_station(reason))?;
        if let Some(same) = running.stand_in.as_mut().filter(|it| it.relay == relay) {
            (same.is_tried, same.reason) = (true, reason.clone());
            return Some(false);
        }
        let calendar = self.timetable.calendar(&running.session);
        let items = calendar.fallback(&running.session, &self.place, fallback).pieces;
        if items.is_empty() {
            return None;
        }
        let left = match piece.length {
            Length::Known(length) => Some(length.saturating_sub(position)),
            _ => None,
        };
        running.not_finished += 1;
        running.stand_in = Some(StandIn {
            relay,
            reason: reason.clone(),
            items,
            next: 0,
            broken: BTreeSet::new(),
            is_tried: true,
            left,
            until: None,
        });
        Some(true)
    }

    /// The relay, or what stands in for it, was given the air.
    pub(super) fn stand_in_begun(&mut self, now: &Reading, instead: Option<u32>) {
        let Some(running) = &mut self.running else { return };
        let (begins, end_at) = (now.mono.max(running.begin_at), running.end_at);
        let Some(stand_in) = &mut running.stand_in else { return };
        match instead {
            Some(nth) => {
                let until = stand_in.left.map_or(end_at, |left| begins + left);
                stand_in.until.get_or_insert(until);
                (stand_in.next, stand_in.is_tried) = (nth + 1, false);
            }
            None if stand_in.until.is_none() => running.stand_in = None,
            None => stand_in.is_tried = false,
        }
    }

    /// An item that stood in has ended; what was cut is not taken up again.
    pub(super) fn stand_in_ended(&mut self, now: &Reading, nth: u32, ended: &Ended) {
        let Some(running) = &mut self.running else { return };
        let Some(stand_in) = &mut running.stand_in else { return };
        if matches!(&ended.outcome, PlayOutcome::Failed { reason } if !matches!(reason, Fault::DeviceLost { .. }))
        {
            stand_in.broken.insert(stand_in.index(nth));
        }
        if stand_in.is_over(now.mono) || stand_in.playable().is_none() {
            running.pass_relay();
        }
    }

    /// An item that was to stand in can't be played.
    pub(super) fn stand_in_unplayable(&mut self, now: &Reading, nth: u32, reason: NotPlayed) {
        let Some(running) = &mut self.running else { return };
        let subject = running.subject();
        let Some(stand_in) = &mut running.stand_in else { return };
        let Some(title) = stand_in.item(nth).map(|item| item.title.clone()) else { return };
        stand_in.broken.insert(stand_in.index(nth));
        if stand_in.playable().is_none() {
            running.pass_relay();
        }
        self.log_not_played(now, subject, title, reason);
    }
}

impl Running {
    /// Gives the relay up, and goes on behind it.
    fn pass_relay(&mut self) {
        let Some(stand_in) = self.stand_in.take() else { return };
        (self.next, self.position) = (stand_in.relay + 1, Span(0));
    }
}
