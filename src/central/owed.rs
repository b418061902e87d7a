//! Commands that went out although the disk would not keep them: they are kept here until it does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::{Basis, Commands, DraftSignature, Kept, NewCommand, StoreError, urgently};
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
    fn first(&self) -> Option<NewCommand> {
        lock(&self.commands).front().cloned()
    }

    /// Writes what the store takes now, and tells of each. One that the store refuses waits behind the others, and keeps none of
    /// them out.
    pub async fn write(
        &self,
        store: &(impl Commands + ?Sized),
        mut tell: impl FnMut(&CommandId, Result<Kept, StoreError>),
    ) {
        let mut refused = 0;
        while refused < lock(&self.commands).len() {
            let Some(command) = self.first() else { return };
            let id = command.id.clone();
            let mut written = urgently(store.add_command(command.clone())).await;
            if written == Ok(Kept::Overtaken) && matches!(command.basis, Some(Basis::Alert(_))) {
                // It sounds all the same, whoever goes on with the alert: people see it, and can end it.
                written = urgently(store.add_command(NewCommand { basis: None, ..command })).await;
            }
            match &written {
                Ok(_) => drop(lock(&self.commands).pop_front()),
                Err(StoreError::Sql(_)) => {
                    lock(&self.commands).rotate_left(1);
                    refused += 1;
                }
                Err(_) => return,
            }
            tell(&id, written);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sql::SqlStore;
    use loaxa_heart::decide::delivery::CommandKind;
    use loaxa_heart::domain::time::Wall;

    fn command(name: &str, serial: u64, payload: &str) -> NewCommand {
        NewCommand {
            id: name.parse().unwrap(),
            kind: CommandKind::Announce,
            issuer: "an".parse().unwrap(),
            serial,
            issued_at: Wall(1),
            expires: Wall(9),
            groups: Vec::new(),
            title: name.to_owned(),
            class: None,
            mode: None,
            author: "An".to_owned(),
            approver: None,
            payload: payload.to_owned(),
            envelope: Vec::new(),
            ends: Vec::new(),
            document: None,
            moves: Vec::new(),
            boxes: Vec::new(),
            basis: None,
        }
    }

    #[tokio::test]
    async fn a_command_that_the_database_refuses_keeps_no_other_out() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqlStore::open(&dir.path().join("central.db")).unwrap();
        store.add_command(command("mot", 1, "{}")).await.unwrap();
        let owed = Owed::default();
        for owing in [command("mot", 2, "{\"other\":1}"), command("hai", 3, "{}"), command("ba", 4, "{}")] {
            assert!(owed.keep(owing));
        }
        let mut told = Vec::new();
        owed.write(&store, |id, written| told.push((id.to_string(), written.is_ok()))).await;
        let expected = [("mot", false), ("hai", true), ("ba", true)].map(|(id, kept)| (id.to_owned(), kept));
        assert_eq!(told, expected);
        for kept in ["hai", "ba"] {
            assert!(store.command(kept.parse().unwrap()).await.unwrap().is_some(), "{kept}");
        }
        assert!(owed.command(&"mot".parse().unwrap()).is_some(), "it is tried again");
        owed.write(&store, |id, written| assert_eq!((id.as_str(), written.is_ok()), ("mot", false))).await;
    }
}
