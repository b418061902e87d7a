//! A fleet: many boxes in memory, switched on and off together.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::account::Account;
use super::session;
use loaxa_heart::domain::ids::{BoxId, GroupId};
use loaxa_heart::wire::broker_address::BrokerAddress;
use loaxa_heart::wire::signing::{PublicKey, SecretKey};

/// The identity of a box in memory.
#[derive(Clone)]
pub struct Site {
    pub id: BoxId,
    /// Its own groups with all above them.
    pub groups: Vec<GroupId>,
    /// Signs its log.
    pub key: SecretKey,
    /// The key that it pins.
    pub root: PublicKey,
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

/// Boxes that live until the fleet is dropped.
pub struct Fleet {
    pub account: Arc<Account>,
    powered: watch::Sender<bool>,
    boxes: JoinSet<()>,
}

impl Fleet {
    /// Switches boxes on, in the current tokio runtime.
    pub fn start(sites: impl IntoIterator<Item = Site>, network: &Network) -> Self {
        let account = Arc::<Account>::default();
        let (powered, receiver) = watch::channel(true);
        let mut boxes = JoinSet::new();
        for site in sites {
            boxes.spawn(session::live(site, network.clone(), account.clone(), receiver.clone()));
        }
        Self { account, powered, boxes }
    }

    /// The number of boxes.
    pub fn size(&self) -> usize {
        self.boxes.len()
    }

    /// Cuts the network of all boxes, or gives it back.
    pub fn set_network(&self, there: bool) {
        self.powered.send_replace(there);
    }
}
