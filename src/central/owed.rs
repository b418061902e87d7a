//! Commands that went out although the disk would not keep them: they are kept here until it does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::{DraftSignature, NewCommand};
use loaxa_heart::domain::ids::CommandId;

/// Most commands that are owed to the disk; further ones are sent and not kept.
const COMMANDS_MAX: usize = 256;
/// Most drafts whose signatures are owed.
const DRAFTS_MAX: usize = 64;

/// Things that are owed to the disk.
#[derive(Default)]
pub struct Owed {
    commands: Mutex<VecDeque<NewCommand>>,
    signatures: Mutex<BTreeMap<CommandId, Vec<DraftSignature>>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Owed {
    /// Keeps a command that was sent and that the disk refused; says whether there was room.
    pub fn keep(&self, command: NewCommand) -> bool {
        let mut commands = lock(&self.commands);
        let has_room = commands.len() < COMMANDS_MAX;
        if has_room {
            commands.push_back(command);
        }
        has_room
    }

    /// The oldest, to be tried again.
    pub fn first(&self) -> Option<NewCommand> {
        lock(&self.commands).front().cloned()
    }

    /// Forgets the oldest, which is kept now.
    pub fn forget_first(&self) {
        lock(&self.commands).pop_front();
    }

    /// Finds a command that is owed.
    pub fn command(&self, id: &CommandId) -> Option<NewCommand> {
        lock(&self.commands).iter().find(|command| command.id == *id).cloned()
    }

    /// Keeps a signature of a draft that the disk refused.
    pub fn sign(&self, id: &CommandId, signed: DraftSignature) {
        let mut drafts = lock(&self.signatures);
        if drafts.len() >= DRAFTS_MAX && !drafts.contains_key(id) {
            drafts.pop_first();
        }
        let of_draft = drafts.entry(id.clone()).or_default();
        if !of_draft.iter().any(|known| known.key == signed.key) {
            of_draft.push(signed);
        }
    }

    /// The signatures of a draft that the disk refused.
    pub fn signatures(&self, id: &CommandId) -> Vec<DraftSignature> {
        lock(&self.signatures).get(id).cloned().unwrap_or_default()
    }
}
