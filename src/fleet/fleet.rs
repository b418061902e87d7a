//! A fleet: many boxes in memory, which lose their network or their power together.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::account::Account;
use super::session;
use super::site::{Network, Site, Supply};

/// Boxes that live until the fleet is dropped.
pub struct Fleet {
    pub account: Arc<Account>,
    supply: watch::Sender<Supply>,
    boxes: JoinSet<()>,
}

impl Fleet {
    /// Switches boxes on, in the current tokio runtime.
    pub fn start(sites: impl IntoIterator<Item = Site>, network: &Network) -> Self {
        let account = Arc::<Account>::default();
        let (supply, receiver) = watch::channel(Supply::Whole);
        let mut boxes = JoinSet::new();
        for site in sites {
            boxes.spawn(session::live(site, network.clone(), account.clone(), receiver.clone()));
        }
        Self { account, supply, boxes }
    }

    /// The number of boxes.
    pub fn size(&self) -> usize {
        self.boxes.len()
    }

    /// Takes the network or the power of all boxes away, or gives both back.
    pub fn set_supply(&self, supply: Supply) {
        self.supply.send_replace(supply);
    }
}
