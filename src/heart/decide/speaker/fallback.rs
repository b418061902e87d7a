//! The fallback of a relay that does not sound: its items in turn, until the relay's time is over. While each of them
//! sounds, the relay is tried again.

use std::collections::BTreeSet;

use super::job::PieceSource;
use super::play::Ended;
use super::stand_in::{RelayTime, StandIn, StandsIn};
use super::state::Speaker;
use crate::decide::schedule::Length;
use crate::domain::playback::{NotPlayed, PlayOutcome};
use crate::domain::sound::Fault;
use crate::domain::time::{Reading, Span};

/// Tells whether a relay failed for a reason of its station.
fn is_of_the_station(reason: &Fault) -> bool {
    matches!(reason, Fault::NoStream { .. } | Fault::SilentStream { .. })
}

impl Speaker {
    /// Puts the fallback in the place of a relay that failed at `position`.
    pub(super) fn stand_in_for(&mut self, relay: u32, position: Span, reason: &Fault) -> StandsIn {
        let Some(running) = &mut self.running else { return StandsIn::Nothing };
        let Some(piece) = running.piece(relay).cloned() else { return StandsIn::Nothing };
        let Some(fallback) = piece.fallback.as_ref().filter(|_| is_of_the_station(reason)) else {
            return StandsIn::Nothing;
        };
        if let Some(same) = running.stand_in.as_mut().filter(|stand_in| stand_in.relay == relay) {
            (same.is_tried, same.reason) = (true, reason.clone());
            return StandsIn::Still;
        }
        let calendar = self.timetable.calendar(&running.session);
        let items = calendar.fallback(&running.session, &self.listeners, fallback).pieces;
        if items.is_empty() {
            return StandsIn::Nothing;
        }
        let time = match piece.length {
            Length::Known(length) => RelayTime::Left(length.saturating_sub(position)),
            Length::About(_) | Length::Unknown | Length::UntilEnd => RelayTime::UntilHardEnd,
        };
        running.not_finished += 1;
        running.stand_in = Some(StandIn {
            relay,
            reason: reason.clone(),
            items,
            next: 0,
            broken: BTreeSet::new(),
            is_tried: true,
            time,
        });
        StandsIn::FromNow
    }

    /// Takes in that the relay, or what stands in for it, was given the air.
    pub(super) fn stand_in_begun(&mut self, now: &Reading, source: PieceSource) {
        let Some(running) = &mut self.running else { return };
        let (begins, end_at) = (now.mono.max(running.begin_at), running.end_at);
        let Some(stand_in) = &mut running.stand_in else { return };
        match (source, stand_in.time) {
            (PieceSource::Fallback { nth }, time) => {
                stand_in.time = RelayTime::Until(time.over_at(begins).unwrap_or(end_at));
                (stand_in.next, stand_in.is_tried) = (nth + 1, false);
            }
            (PieceSource::Itself, RelayTime::Until(_)) => stand_in.is_tried = false,
            (PieceSource::Itself, RelayTime::Left(_) | RelayTime::UntilHardEnd) => running.stand_in = None,
        }
    }

    /// Takes in that an item which stood in has ended. What was cut is not taken up again.
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

    /// Logs that an item which was to stand in can't be played, and passes it over.
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
