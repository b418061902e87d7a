//! The disk of a box in memory: what its heart finds again after a power cut.

use std::collections::{BTreeMap, BTreeSet};

use loaxa_heart::decide::memory::{Memo, Memory};
use loaxa_heart::decide::speaker::Restored;
use loaxa_heart::domain::ids::{CommandId, ContentHash, KeyId, PlayId};
use loaxa_heart::domain::time::Span;
use loaxa_heart::wire::messages::{Body, Command, Signed};

/// Everything that outlives the power of a box.
#[derive(Default)]
pub struct Disk {
    starts: u32,
    memory: Memory,
    commands: BTreeMap<CommandId, Signed<Command>>,
    checkpoints: BTreeMap<PlayId, Span>,
    media: BTreeSet<ContentHash>,
    policy_signers: Vec<KeyId>,
    local_order: Option<Signed<Command>>,
}

impl Disk {
    /// Reads everything for another start.
    pub fn restore(&mut self) -> Restored {
        self.starts += 1;
        Restored {
            start: self.starts,
            memory: self.memory.clone(),
            commands: self.commands.values().cloned().collect(),
            checkpoints: self.checkpoints.clone(),
            staged: self.media.clone(),
            policy_signers: self.policy_signers.clone(),
            local_order: self.local_order.clone(),
        }
    }

    pub fn remember(&mut self, memo: &Memo) {
        self.memory.apply(memo);
        self.checkpoints.retain(|play, _| self.memory.open_plays.contains_key(play));
    }

    pub fn keep_command(&mut self, signed: &Signed<Command>) {
        self.commands.insert(signed.payload.id.clone(), signed.clone());
    }

    pub fn forget_command(&mut self, id: &CommandId) {
        self.commands.remove(id);
    }

    /// Keeps how far a play has come.
    pub fn keep_position(&mut self, play: PlayId, position: Span) {
        self.checkpoints.insert(play, position);
    }

    pub fn keep_media(&mut self, sha256: ContentHash) {
        self.media.insert(sha256);
    }

    /// Keeps what the heart has put in force itself.
    pub fn keep_document(&mut self, signed: &Signed<Command>) {
        match &signed.payload.body {
            Body::Policy(_) => self.policy_signers.clone_from(&signed.signers),
            Body::LocalEmergency { .. } => self.local_order = Some(signed.clone()),
            _ => {}
        }
    }
}
