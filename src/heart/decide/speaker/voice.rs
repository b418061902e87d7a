//! A live voice: what staff say into a microphone, now.

use crate::decide::quotas::Standing;
use crate::domain::authority::Power;
use crate::domain::ids::{CommandId, GroupId, KeyId};
use crate::domain::time::Wall;
use crate::wire::messages::Command;

/// A live voice that staff have opened.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) struct Voice {
    pub command: CommandId,
    pub issuer: KeyId,
    pub signers: Vec<KeyId>,
    pub groups: Vec<GroupId>,
    pub id: String,
    pub url: String,
    pub until: Wall,
}

impl Voice {
    /// Makes the voice that a command opens.
    pub fn new(command: &Command, signers: Vec<KeyId>, id: String, url: String) -> Self {
        Self {
            command: command.id.clone(),
            issuer: command.issuer.clone(),
            signers,
            groups: command.groups.clone(),
            id,
            url,
            until: command.expires,
        }
    }

    /// Gives what others must know to end it.
    pub fn standing(&self) -> Standing<'_> {
        Standing {
            id: &self.command,
            issuer: &self.issuer,
            power: Power::Live,
            groups: &self.groups,
            lapsed: false,
        }
    }
}
