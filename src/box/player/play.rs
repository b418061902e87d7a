//! One play as the player holds it.

use std::sync::Arc;

use loaxa_heart::domain::ids::PlayId;
use loaxa_heart::domain::sound::Cut;
use loaxa_heart::domain::time::{Moment, Span};
use loaxa_sound::output::feed::Feeder;
use loaxa_sound::output::ledger::Ledger;
use loaxa_sound::output::voice::Voice;

/// A play from its preflight to its end.
pub(super) struct Play {
    pub id: PlayId,
    pub feeder: Feeder,
    pub ledger: Arc<Ledger>,
    pub stage: Stage,
    /// The length that was to sound from where the play was entered.
    pub due: Option<Span>,
    pub skip: Span,
}

impl Play {
    pub fn is_on_air(&self) -> bool {
        matches!(self.stage, Stage::Ordered { started: true, .. })
    }
}

/// The stages of a play.
pub(super) enum Stage {
    Opening {
        voice: Box<Voice>,
        then: Option<Cut>,
    },
    Ready {
        voice: Box<Voice>,
    },
    /// Commanded to sound; waits for the amplifier or the device.
    Starting {
        voice: Box<Voice>,
        cut: Cut,
        warm_at: Moment,
    },
    /// In the mixer.
    Ordered {
        started: bool,
        ending_told: bool,
    },
}
