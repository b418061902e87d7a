//! The panel for people beside the box: the button of the local emergency, and the lights.

use super::Daemon;
use crate::lights;
use crate::status::LocalState;
use loaxa_heart::domain::local_emergency::Contact;
use loaxa_heart::domain::playback::{LocalStep, Presser};
use loaxa_heart::domain::time::Moment;

/// A message that was released on the box sounds: central's people are told.
const FAULT_LOCAL: &str = "local_emergency";

impl Daemon {
    /// Takes in that the centre answered.
    pub(super) fn in_contact(&mut self) {
        self.contact = Contact::Stands;
    }

    /// Takes in that the connection is gone, or that the centre behind it has not answered since then.
    pub(super) fn out_of_contact(&mut self, since: Moment) {
        if self.contact == Contact::Stands {
            tracing::warn!("the centre is out of contact");
            self.contact = Contact::LostSince(since);
        }
    }

    /// Tells whether the centre is there.
    pub(super) fn is_in_contact(&self) -> bool {
        self.contact == Contact::Stands && self.uplink.is_connected()
    }

    /// Takes in a press for the local emergency.
    pub(super) fn press(&mut self, by: Presser) -> LocalStep {
        let step = self.speaker.press(&self.clock.read(), by, self.contact);
        tracing::warn!(?by, ?step, "a press for the local emergency");
        self.carry_out();
        self.show_state();
        step
    }

    /// Shows the state of the box by its lights, and tells central of a local emergency.
    pub(super) fn show_state(&mut self) {
        self.set_fault(FAULT_LOCAL, self.speaker.local_sounds());
        let in_contact = self.is_in_contact();
        let has_fault = self.faults.iter().any(|fault| *fault != FAULT_LOCAL);
        let on_air = self.speaker.on_air().is_some();
        self.lights.show(lights::state(in_contact, has_fault, on_air, self.speaker.local_is_armed()));
    }

    pub(super) fn local_state(&self) -> LocalState {
        let title = || self.speaker.local_order().map(|order| order.title.clone()).unwrap_or_default();
        match self.speaker.local_order() {
            _ if self.speaker.local_sounds() => LocalState::Sounds { title: title() },
            Some(_) if self.speaker.local_is_armed() => LocalState::Armed { title: title() },
            Some(_) => LocalState::Ready { title: title() },
            None => LocalState::NoOrder,
        }
    }
}
