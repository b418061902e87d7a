//! The live voices: each is a session, and what is spoken goes on to every box that listens, as it comes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc::{self, Receiver, Sender};

use loaxa_heart::wire::voice::{VOICE_HZ, wav_header};

/// Voices at the same time.
const SESSIONS_MAX: usize = 8;
/// Boxes that listen to one voice.
const LISTENERS_MAX: usize = 512;
/// Pieces that wait for a slow box; what is more is not sent to it: it would only be late.
const WAITING_MAX: usize = 16;

/// Too many people speak at once.
#[derive(Debug, thiserror::Error)]
#[error("{SESSIONS_MAX} voices are live already")]
pub struct TooManyVoices;

/// The voices that are live now, each with those who listen.
#[derive(Default)]
pub struct Voices(Mutex<BTreeMap<String, Vec<Sender<Bytes>>>>);

impl Voices {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Sender<Bytes>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session under a name that nobody can guess.
    ///
    /// # Errors
    /// When too many are live already.
    pub fn open(&self) -> Result<String, TooManyVoices> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).expect("the system gives randomness");
        let session: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut sessions = self.lock();
        if sessions.len() >= SESSIONS_MAX {
            return Err(TooManyVoices);
        }
        sessions.insert(session.clone(), Vec::new());
        Ok(session)
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
        listeners.retain(|listener| {
            !matches!(listener.try_send(piece.clone()), Err(mpsc::error::TrySendError::Closed(_)))
        });
        true
    }

    /// What is spoken from now on, as a WAV without an end; `None` where there is no such session, or no room.
    pub fn listen(&self, session: &str) -> Option<Receiver<Bytes>> {
        let mut sessions = self.lock();
        let listeners = sessions.get_mut(session).filter(|listeners| listeners.len() < LISTENERS_MAX)?;
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        sender.try_send(Bytes::copy_from_slice(&wav_header(VOICE_HZ))).ok()?;
        listeners.push(sender);
        Some(receiver)
    }
}
