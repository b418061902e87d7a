//! A fleet: many boxes in memory, switched on and off together.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::account::Account;
use super::session;
use super::site::{Network, Site};

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
