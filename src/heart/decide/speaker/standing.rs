//! The standing order for a local emergency, as the speaker keeps it, and the stage to which presses have come.

use crate::decide::versions::Edition;
use crate::domain::ids::CommandId;
use crate::domain::local_emergency::LocalEmergency;
use crate::domain::time::Moment;
use crate::wire::messages::{Body, Command, Signed};

/// The standing order, and how far presses have come.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug, Default)]
pub(super) struct Local {
    pub order: Option<Signed<Command>>,
    pub stage: Stage,
    /// Messages that were released since the start.
    pub released: u32,
    pub pressed_at: Option<Moment>,
    pub told_at: Option<Moment>,
}

/// The stage to which presses have come.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug, Default)]
pub(super) enum Stage {
    #[default]
    Resting,
    Armed {
        until: Moment,
    },
    Sounding(Run),
    /// Sounds, and a press before `until` ends it.
    AboutToStop {
        run: Run,
        until: Moment,
    },
}

/// A message that was released.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) struct Run {
    pub id: CommandId,
    pub until: Moment,
}

impl Local {
    /// Returns what was released and is not over.
    pub fn run(&self) -> Option<&Run> {
        match &self.stage {
            Stage::Resting | Stage::Armed { .. } => None,
            Stage::Sounding(run) | Stage::AboutToStop { run, .. } => Some(run),
        }
    }

    pub fn order(&self) -> Option<&LocalEmergency> {
        match &self.order.as_ref()?.payload.body {
            Body::LocalEmergency { order, .. } => order.as_ref(),
            _ => None,
        }
    }

    pub fn edition(&self) -> Edition<'_> {
        let signers = self.order.as_ref().map_or(&[][..], |signed| &signed.signers);
        Edition { version: self.version(), signers }
    }

    pub fn version(&self) -> u32 {
        match self.order.as_ref().map(|signed| &signed.payload.body) {
            Some(Body::LocalEmergency { version, .. }) => *version,
            _ => 0,
        }
    }
}
