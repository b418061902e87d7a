//! The state of the daemon, as an installer beside the box reads it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::domain::time::{ClockTrust, Wall};

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
    /// Audio over the network in this month, in bytes.
    pub media_month_bytes: u64,
    /// What of it this month may bring; absent for no limit.
    pub media_month_bytes_max: Option<u64>,
    /// Files that are waited for.
    pub media_waiting: usize,
    /// Refused messages since the start, by reason.
    pub refused: BTreeMap<String, u64>,
}
