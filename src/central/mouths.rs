//! Voices that come from a page, piece by piece: each belongs to the person who speaks, and its pieces come in order.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc::{self, Receiver, Sender};

use loaxa_heart::domain::hex::hex;
use loaxa_heart::domain::ids::AccountId;

/// Pieces that wait to be passed on; a page sends one only when the one before was taken.
const WAITING_MAX: usize = 16;

/// The voices that pages send now.
#[derive(Default)]
pub struct Mouths(Mutex<BTreeMap<String, Mouth>>);

struct Mouth {
    person: AccountId,
    /// The number of the next piece.
    next: u64,
    pieces: Sender<Bytes>,
}

/// The answer to a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    New,
    /// The piece came before, over a connection that broke.
    Again,
    /// The voice has ended, is somebody else's, or a piece is missing: what follows would not be what was said.
    Over,
}

impl Mouths {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Mouth>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a voice under a name that nobody can guess; one that the person had open ends.
    pub fn open(&self, person: &AccountId) -> (String, Receiver<Bytes>) {
        let mut random = [0; 16];
        getrandom::fill(&mut random).expect("the system gives randomness");
        let (pieces, receiver) = mpsc::channel(WAITING_MAX);
        let name = hex(&random);
        let mut mouths = self.lock();
        mouths.retain(|_, mouth| mouth.person != *person);
        mouths.insert(name.clone(), Mouth { person: person.clone(), next: 0, pieces });
        (name, receiver)
    }

    /// Takes piece `number` of a voice.
    pub fn take(&self, name: &str, person: &AccountId, number: u64, piece: Bytes) -> Taken {
        let mut mouths = self.lock();
        let Some(mouth) = mouths.get_mut(name).filter(|mouth| mouth.person == *person) else {
            return Taken::Over;
        };
        if number < mouth.next {
            return Taken::Again;
        }
        if number > mouth.next || mouth.pieces.try_send(piece).is_err() {
            mouths.remove(name);
            return Taken::Over;
        }
        mouth.next += 1;
        Taken::New
    }

    /// Ends a voice of a person.
    pub fn close(&self, name: &str, person: &AccountId) {
        let mut mouths = self.lock();
        if mouths.get(name).is_some_and(|mouth| mouth.person == *person) {
            mouths.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_in_order_once_and_from_their_person() {
        let (mouths, lan, mai) = (Mouths::default(), "lan".parse().unwrap(), "mai".parse().unwrap());
        let (name, mut pieces) = mouths.open(&lan);
        let piece = || Bytes::from_static(b"aa");
        assert_eq!(mouths.take(&name, &mai, 0, piece()), Taken::Over);
        assert_eq!(mouths.take(&name, &lan, 0, piece()), Taken::New);
        assert_eq!(mouths.take(&name, &lan, 0, piece()), Taken::Again);
        assert_eq!(pieces.try_recv().unwrap(), piece());
        assert!(pieces.try_recv().is_err());
        assert_eq!(mouths.take(&name, &lan, 2, piece()), Taken::Over, "a piece is missing");
        assert_eq!(mouths.take(&name, &lan, 1, piece()), Taken::Over);
        assert!(pieces.blocking_recv().is_none());
        let (first, _kept) = mouths.open(&lan);
        mouths.open(&lan);
        assert_eq!(mouths.take(&first, &lan, 0, piece()), Taken::Over, "one voice a person");
    }
}
