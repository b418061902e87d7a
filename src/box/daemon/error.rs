//! What keeps the daemon from running.

use loaxa_adapters::box_store::StoreError;
use loaxa_adapters::fetch::FetchError;
use loaxa_adapters::mqtt::LinkError;

/// Reasons for which the daemon can't run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error("the state directory {path} can't be used: {error}")]
    State { path: String, error: std::io::Error },
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Link(#[from] LinkError),
    #[error("{0}")]
    Fetch(#[from] FetchError),
    #[error("the system refuses what the daemon needs: {0}")]
    System(#[from] std::io::Error),
    #[error("the player died; the supervisor starts the daemon again")]
    PlayerDied,
    #[error("the player hangs and takes no more commands; the supervisor starts the daemon again")]
    PlayerHangs,
}
