//! Faults that keep the daemon from running.

use loaxa_adapters::box_store::StoreError;
use loaxa_adapters::fetch::FetchError;
use loaxa_adapters::mqtt::LinkError;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// Reasons for which the daemon can't run.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum DaemonError {
    State { path: String, error: std::io::Error },
    Store(#[from] StoreError),
    Link(#[from] LinkError),
    Fetch(#[from] FetchError),
    System(#[from] std::io::Error),
    PlayerDied,
    PlayerHangs,
}

impl Say for DaemonError {
    fn say(&self) -> Sentence {
        match self {
            DaemonError::State { path, error } => said!("daemon.state", path, error),
            DaemonError::Store(error) => error.say(),
            DaemonError::Link(error) => error.say(),
            DaemonError::Fetch(error) => error.say(),
            DaemonError::System(error) => said!("daemon.system", error),
            DaemonError::PlayerDied => said!("daemon.player_died"),
            DaemonError::PlayerHangs => said!("daemon.player_hangs"),
        }
    }
}
