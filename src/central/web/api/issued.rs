//! The answer of everything that sends a command.

use serde::{Deserialize, Serialize};

use loaxa_heart::domain::ids::CommandId;

/// A command that was sent.
#[derive(Serialize)]
pub struct Issued {
    pub id: CommandId,
}

/// A query that names who asks, for the log.
#[derive(Deserialize)]
pub struct By {
    #[serde(default)]
    pub author: Option<String>,
}
