//! A box in memory as it is installed, and its way to the broker.

use std::path::PathBuf;
use std::sync::Arc;

use loaxa_heart::domain::authority::Trust;
use loaxa_heart::domain::ids::{BoxId, Epoch, GroupId};
use loaxa_heart::wire::broker_address::BrokerAddress;
use loaxa_heart::wire::chain::Link;
use loaxa_heart::wire::signing::{PublicKey, SecretKey};

/// The identity of a box in memory.
#[derive(Clone)]
pub struct Site {
    pub id: BoxId,
    /// The groups that it is in, with all above them.
    pub groups: Vec<GroupId>,
    /// Signs its log.
    pub key: SecretKey,
    /// The key that it pins, and the trust document that its installer brought.
    pub root: PublicKey,
    pub trust: Arc<Trust>,
    /// The log that the box goes on with: its epoch and its end. Without one it begins its log when it is switched on.
    pub log: Option<(Epoch, Link)>,
    pub release: Release,
}

/// The release that a box runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    Own,
    /// One that subscribed to all of its own topics by a wildcard.
    Older,
}

/// The way to the broker.
#[derive(Clone)]
pub struct Network {
    pub broker: BrokerAddress,
    /// Certificates that the broker's is checked against, PEM; needed for `mqtts`.
    pub ca: Option<PathBuf>,
    /// The boxes come spread over this time.
    pub come_within_s: f64,
}

/// Power and network, as far as a box has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supply {
    Whole,
    NoNetwork,
    NoPower,
}
