//! The local socket: what an installer beside the box asks for, and brings.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use crate::status::Status;
use loaxa_heart::domain::announcement::PreparedItem;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::playback::LocalStep;
use loaxa_heart::wire::messages::MESSAGE_BYTES_MAX;
use loaxa_sound::losses::Count;

/// Name of the socket in the state directory.
pub const SOCKET: &str = "status.sock";

/// Visitors that wait to be answered.
const VISITS_MAX: usize = 8;

/// Longest time in which a visitor says what it wants.
const ASK_WAIT: Duration = Duration::from_secs(2);

/// Longest request: an envelope with every byte escaped.
const REQUEST_BYTES_MAX: u64 = 2 * MESSAGE_BYTES_MAX as u64 + 1_024;

/// A visitor's request: one JSON object, then the end of what the visitor writes. Nothing at all asks for the status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Request {
    Status,
    /// The hashes of audio that is scheduled, live or waited for.
    Known,
    /// The list of prepared messages.
    Prepared,
    /// Audio was put into the media directory.
    Look,
    /// A press for the local emergency.
    Press,
    /// A signed command or trust document.
    Offer {
        envelope: String,
    },
}

/// A prepared message, and whether its audio is on this box.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreparedHeld {
    #[serde(flatten)]
    pub item: PreparedItem,
    pub held: bool,
}

/// The fate of an envelope that was offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offered {
    /// The envelope is obeyed, or was so already.
    Taken,
    Refused {
        reason: String,
    },
}

/// A request on its way to the daemon, and the way back.
#[derive(Debug)]
pub struct Visit {
    pub request: Request,
    pub answer: oneshot::Sender<Vec<u8>>,
}

/// Makes the way of requests to the daemon, with room for a bounded number.
pub fn visits() -> (mpsc::Sender<Visit>, mpsc::Receiver<Visit>) {
    mpsc::channel(VISITS_MAX)
}

/// Opens the socket, in the place of one that a dead daemon left. Visitors who find no room in `visits` are turned away
/// and counted.
///
/// # Errors
/// Fails when the directory can't be written.
pub fn listen(state_dir: &Path, visits: mpsc::Sender<Visit>, turned_away: Arc<Count>) -> std::io::Result<()> {
    let path = state_dir.join(SOCKET);
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(path)?;
    tokio::spawn(async move {
        while let Ok((visitor, _)) = listener.accept().await {
            let Ok(place) = visits.clone().try_reserve_owned() else {
                turned_away.add(1);
                continue;
            };
            tokio::spawn(attend(visitor, place));
        }
    });
    Ok(())
}

async fn attend(mut visitor: UnixStream, place: mpsc::OwnedPermit<Visit>) {
    let mut asked = Vec::new();
    let mut bounded = (&mut visitor).take(REQUEST_BYTES_MAX);
    let read = tokio::time::timeout(ASK_WAIT, bounded.read_to_end(&mut asked)).await;
    let request = match read {
        Ok(Ok(0)) => Ok(Request::Status),
        // A visitor that only listens is told how the box is.
        Err(_) if asked.is_empty() => Ok(Request::Status),
        _ => serde_json::from_slice(&asked),
    };
    let Ok(request) = request else { return };
    let (answer, answered) = oneshot::channel();
    place.send(Visit { request, answer });
    if let Ok(mut json) = answered.await {
        json.push(b'\n');
        // A visitor that hangs up early gets nothing.
        let _ = visitor.write_all(&json).await;
    }
}

fn request<T: DeserializeOwned>(state_dir: &Path, request: &Request) -> std::io::Result<T> {
    use std::io::{Read, Write};
    let mut socket = std::os::unix::net::UnixStream::connect(state_dir.join(SOCKET))?;
    socket.write_all(&serde_json::to_vec(request).map_err(std::io::Error::other)?)?;
    socket.shutdown(std::net::Shutdown::Write)?;
    let mut text = String::new();
    socket.read_to_string(&mut text)?;
    serde_json::from_str(&text).map_err(std::io::Error::other)
}

/// Asks the daemon whose state is in `state_dir` how it is.
///
/// # Errors
/// Fails when no daemon runs there.
pub fn ask(state_dir: &Path) -> std::io::Result<Status> {
    request(state_dir, &Request::Status)
}

/// Asks what audio is scheduled, live or waited for.
///
/// # Errors
/// Fails as [`ask`] does.
pub fn known_media(state_dir: &Path) -> std::io::Result<BTreeSet<ContentHash>> {
    request(state_dir, &Request::Known)
}

/// Asks for the prepared messages.
///
/// # Errors
/// Fails as [`ask`] does.
pub fn prepared(state_dir: &Path) -> std::io::Result<Vec<PreparedHeld>> {
    request(state_dir, &Request::Prepared)
}

/// Presses for the local emergency, and returns the consequence.
///
/// # Errors
/// Fails as [`ask`] does.
pub fn press(state_dir: &Path) -> std::io::Result<LocalStep> {
    request(state_dir, &Request::Press)
}

/// Says that audio was put into the media directory.
///
/// # Errors
/// Fails as [`ask`] does.
pub fn look(state_dir: &Path) -> std::io::Result<()> {
    request(state_dir, &Request::Look)
}

/// Brings an envelope, to be judged as if it came over the wire.
///
/// # Errors
/// Fails as [`ask`] does.
pub fn offer(state_dir: &Path, envelope: String) -> std::io::Result<Offered> {
    request(state_dir, &Request::Offer { envelope })
}
