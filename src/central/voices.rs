//! The live voices: each is a session, and what is spoken goes on to every box that listens, as it comes.

use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};

use loaxa_heart::domain::hex::hex;
use loaxa_heart::wire::voice::{VOICE_HZ, wav_header};

/// Voices at the same time.
const SESSIONS_MAX: usize = 8;
/// Boxes that listen to one voice.
const LISTENERS_MAX: usize = 512;
/// Pieces that wait for a slow box; what is more is not sent to it: it would only be late.
const WAITING_MAX: usize = 16;

/// Too many people speak at once.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub struct TooManyVoices;

impl Say for TooManyVoices {
    fn say(&self) -> Sentence {
        said!("live.too_many", max = SESSIONS_MAX)
    }
}

/// The voices that are live now, each with those who listen.
#[derive(Default)]
pub struct Voices {
    sessions: Mutex<BTreeMap<String, Vec<Sender<Bytes>>>>,
    pieces_dropped: AtomicU64,
    listeners_refused: AtomicU64,
}

impl Voices {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Sender<Bytes>>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session under a name that nobody can guess.
    ///
    /// # Errors
    /// Fails when too many are live already.
    pub fn open(&self) -> Result<String, TooManyVoices> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).expect("the system gives randomness");
        let session = hex(&random);
        let mut sessions = self.lock();
        if sessions.len() >= SESSIONS_MAX {
            return Err(TooManyVoices);
        }
        sessions.insert(session.clone(), Vec::new());
        Ok(session)
    }

    /// Opens a session here that another central takes; `false` where it is open already, or there is no room.
    pub fn open_as(&self, session: &str) -> bool {
        let mut sessions = self.lock();
        let is_new = sessions.len() < SESSIONS_MAX && !sessions.contains_key(session);
        if is_new {
            sessions.insert(session.to_owned(), Vec::new());
        }
        is_new
    }

    /// Tells whether anybody listens to a session.
    pub fn is_heard(&self, session: &str) -> bool {
        self.lock().get(session).is_some_and(|listeners| !listeners.is_empty())
    }

    /// Ends a session: those who listen hear the end.
    pub fn close(&self, session: &str) {
        self.lock().remove(session);
    }

    /// Ends all voices: those who speak are told so, those who listen hear the end.
    pub fn close_all(&self) {
        self.lock().clear();
    }

    /// Passes a piece on; `false` where the session was closed.
    pub fn pass_on(&self, session: &str, piece: &Bytes) -> bool {
        let mut sessions = self.lock();
        let Some(listeners) = sessions.get_mut(session) else { return false };
        listeners.retain(|listener| match listener.try_send(piece.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.pieces_dropped.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        });
        true
    }

    /// Joins a session: gives what is spoken from now on, as a WAV without an end; `None` where there is no such session,
    /// or no room.
    pub fn listen(&self, session: &str) -> Option<Receiver<Bytes>> {
        let mut sessions = self.lock();
        let listeners = sessions.get_mut(session)?;
        if listeners.len() >= LISTENERS_MAX {
            self.listeners_refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        sender.try_send(Bytes::copy_from_slice(&wav_header(VOICE_HZ, None))).ok()?;
        listeners.push(sender);
        Some(receiver)
    }

    /// The pieces that slow boxes did not get, since the start.
    pub fn pieces_dropped(&self) -> u64 {
        self.pieces_dropped.load(Ordering::Relaxed)
    }

    /// The boxes that found no room beside a voice's other listeners, since the start.
    pub fn listeners_refused(&self) -> u64 {
        self.listeners_refused.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_box_loses_pieces_and_a_late_one_finds_no_room() {
        let voices = Voices::default();
        let session = voices.open().unwrap();
        let _slow = voices.listen(&session).unwrap();
        // The head of the WAV waits already.
        for _ in 0..WAITING_MAX + 2 {
            assert!(voices.pass_on(&session, &Bytes::from_static(b"pi")));
        }
        assert_eq!(voices.pieces_dropped(), 3);
        let others: Vec<_> = (1..LISTENERS_MAX).map(|_| voices.listen(&session).unwrap()).collect();
        assert!(voices.listen(&session).is_none());
        assert_eq!((others.len(), voices.listeners_refused()), (LISTENERS_MAX - 1, 1));
        voices.close(&session);
        assert!(!voices.pass_on(&session, &Bytes::new()));
        let open: Vec<_> = (0..SESSIONS_MAX).map(|_| voices.open().unwrap()).collect();
        assert!(voices.open().is_err());
        assert_eq!(open.len(), SESSIONS_MAX);
    }
}
