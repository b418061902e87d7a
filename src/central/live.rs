//! Live voices: what staff speak goes on to every box that listens, as it comes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::{Bytes, BytesMut};
use http_body::Frame;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::announce::{self, Refused};
use super::app::App;
use loaxa_heart::domain::ids::{CommandId, GroupId};
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::voice::{VOICE_HZ, wav_header};

/// Voices at the same time.
const SESSIONS_MAX: usize = 8;
/// Boxes that listen to one voice.
const LISTENERS_MAX: usize = 512;
/// Pieces that wait for a slow box; what is more is not sent to it: it would only be late.
const WAITING_MAX: usize = 16;
/// Longest session.
const SESSION_MAX: Span = Span::secs(2 * 3_600);
/// A speaker of whom nothing comes this long has gone.
const SILENT_MAX: Duration = Duration::from_secs(3);

/// Why nobody hears it.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NotLive {
    TooMany,
    NoVoice,
    Refused(#[from] Refused),
}

impl Say for NotLive {
    fn say(&self) -> Sentence {
        match self {
            NotLive::TooMany => said!("live.too_many", max = SESSIONS_MAX),
            NotLive::NoVoice => said!("live.no_voice"),
            NotLive::Refused(error) => error.say(),
        }
    }
}

/// What became of a voice.
pub struct Spoken {
    /// The command that opened it.
    pub id: CommandId,
    pub session: String,
    pub seconds: f64,
}

/// The voices that are live now, each with those who listen.
#[derive(Default)]
pub struct Sessions(Mutex<BTreeMap<String, Vec<Sender<Bytes>>>>);

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Sender<Bytes>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session under a name that nobody can guess.
    fn open(&self) -> Result<String, NotLive> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).expect("the system gives randomness");
        let session: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut sessions = self.lock();
        if sessions.len() >= SESSIONS_MAX {
            return Err(NotLive::TooMany);
        }
        sessions.insert(session.clone(), Vec::new());
        Ok(session)
    }

    fn close(&self, session: &str) {
        self.lock().remove(session);
    }

    /// Ends all voices: those who speak are told so, those who listen hear the end.
    pub fn close_all(&self) {
        self.lock().clear();
    }

    /// Passes a piece on; `false` where the session was closed.
    fn pass_on(&self, session: &str, piece: &Bytes) -> bool {
        let mut sessions = self.lock();
        let Some(listeners) = sessions.get_mut(session) else { return false };
        listeners.retain(|listener| {
            !matches!(listener.try_send(piece.clone()), Err(mpsc::error::TrySendError::Closed(_)))
        });
        true
    }

    fn listen(&self, session: &str) -> Option<Receiver<Bytes>> {
        let mut sessions = self.lock();
        let listeners = sessions.get_mut(session).filter(|listeners| listeners.len() < LISTENERS_MAX)?;
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        sender.try_send(Bytes::copy_from_slice(&wav_header(VOICE_HZ))).ok()?;
        listeners.push(sender);
        Some(receiver)
    }
}

/// Where boxes listen.
pub fn routes(app: Arc<App>) -> Router {
    Router::new().route("/live/{session}", get(listen)).with_state(app)
}

async fn listen(State(app): State<Arc<App>>, Path(session): Path<String>) -> Response {
    match app.voices.listen(&session) {
        Some(pieces) => {
            let headers = [(header::CONTENT_TYPE, "audio/wav"), (header::CACHE_CONTROL, "no-store")];
            (headers, Body::new(Pieces(pieces))).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A response that goes on until the session is closed.
struct Pieces(Receiver<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// Takes a voice from its first piece to its end. The boxes are told when there is something to hear, and when it is
/// over, however it ends.
///
/// # Errors
/// When it may not be heard.
pub async fn speak(
    app: Arc<App>,
    to: Vec<GroupId>,
    author: Option<String>,
    mut voice: Body,
) -> Result<Spoken, NotLive> {
    let first = next_piece(&mut voice).await.ok_or(NotLive::NoVoice)?;
    let session = app.voices.open()?;
    let url = format!("{}/live/{session}", app.public_url);
    let opened = announce::voice(&app, &to, (&session, &url, true), author.clone(), SESSION_MAX).await;
    let id = opened.inspect_err(|_| app.voices.close(&session))?;
    let bytes = pass_on(&app, &session, first, &mut voice).await;
    app.voices.close(&session);
    // The stream has ended; where this does not reach a box, it ends by that.
    if let Err(error) = announce::voice(&app, &to, (&session, &url, false), author, SESSION_MAX).await {
        tracing::error!(%error, "the end of a live voice could not be told");
    }
    Ok(Spoken { id, session, seconds: bytes as f64 / f64::from(2 * VOICE_HZ) })
}

/// Passes pieces on in whole samples; gives how many bytes there were.
async fn pass_on(app: &App, session: &str, first: Bytes, voice: &mut Body) -> u64 {
    let most = SESSION_MAX.0 / 1_000_000 * u64::from(2 * VOICE_HZ);
    let (mut waiting, mut bytes) = (BytesMut::new(), 0);
    let mut piece = Some(first);
    while let Some(fresh) = piece {
        waiting.extend_from_slice(&fresh);
        let whole = waiting.split_to(waiting.len() / 2 * 2).freeze();
        bytes += whole.len() as u64;
        if bytes > most || !app.voices.pass_on(session, &whole) {
            break;
        }
        piece = next_piece(voice).await;
    }
    bytes
}

/// The next bytes; `None` at the end, where the speaker is gone, or has been silent for too long.
async fn next_piece(voice: &mut Body) -> Option<Bytes> {
    let next = async {
        loop {
            let frame = std::future::poll_fn(|context| Pin::new(&mut *voice).poll_frame(context)).await?;
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) if !data.is_empty() => return Some(data),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    };
    tokio::time::timeout(SILENT_MAX, next).await.ok().flatten()
}
