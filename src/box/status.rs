//! The local status socket: what an installer beside the box asks for.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;

use crate::domain::ids::BoxId;
use crate::domain::time::{ClockTrust, Wall};

/// Name of the socket in the state directory.
pub const SOCKET: &str = "status.sock";

/// What the daemon says of itself, one JSON object on the socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub box_id: BoxId,
    pub software: String,
    pub wall: Wall,
    pub clock: ClockTrust,
    pub on_air: Option<String>,
    pub connected: bool,
    /// Log entries that central does not have yet.
    pub backlog: u64,
    pub faults: Vec<String>,
    /// Refused messages since the start, by reason.
    pub refused: std::collections::BTreeMap<String, u64>,
}

/// Opens the socket; one that a dead daemon left is replaced.
///
/// # Errors
/// When the directory can't be written.
pub fn listen(state_dir: &Path) -> std::io::Result<UnixListener> {
    let path = state_dir.join(SOCKET);
    let _ = std::fs::remove_file(&path);
    UnixListener::bind(path)
}

/// Answers one visitor.
pub async fn answer(mut visitor: tokio::net::UnixStream, status: Status) {
    if let Ok(mut json) = serde_json::to_vec(&status) {
        json.push(b'\n');
        // A visitor that hangs up early gets nothing.
        let _ = visitor.write_all(&json).await;
    }
}

/// Asks the daemon whose state is in `state_dir`.
///
/// # Errors
/// When no daemon runs there.
pub fn ask(state_dir: &Path) -> std::io::Result<Status> {
    use std::io::Read;
    let path: PathBuf = state_dir.join(SOCKET);
    let mut text = String::new();
    std::os::unix::net::UnixStream::connect(path)?.read_to_string(&mut text)?;
    serde_json::from_str(&text).map_err(std::io::Error::other)
}
