//! Settings of a link to a broker.

use std::path::PathBuf;

use loaxa_heart::wire::broker_address::BrokerAddress;
use loaxa_heart::wire::topics::Topic;

/// Settings of a link.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    pub broker: BrokerAddress,
    /// Unique on the broker; a box uses its id.
    pub client_id: String,
    /// Certificates that the broker's is checked against, PEM; needed for `mqtts`.
    pub ca: Option<PathBuf>,
    /// The file of such certificates that came later; while it is there, they count in place of the others.
    pub renewed_ca: Option<PathBuf>,
    /// Our own certificate and key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The file of a certificate and its key that came later; while it is there, they are shown in place of the others.
    pub renewed: Option<PathBuf>,
    /// The message that the broker sends for us when we vanish.
    pub last_will: Option<(Topic, Vec<u8>)>,
    pub keep_alive_s: u16,
    /// Topic filters to begin with.
    pub subscriptions: Vec<String>,
    /// The first connection is made after a time drawn between zero and this.
    pub first_delay_s_max: f64,
    pub reconnect_s_min: f64,
    pub reconnect_s_max: f64,
    /// Random, so that boxes do not come back all at once.
    pub seed: u64,
    /// Most messages that wait to be sent, and most that the broker has not acknowledged.
    pub outgoing_max: u16,
    /// Most messages that wait to be looked at.
    pub incoming_max: usize,
    pub when_full: WhenFull,
}

/// The fate of messages that come while as many as may wait do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The link reads and sends nothing until there is room: nothing is lost here.
    Wait,
    /// The messages are dropped and counted, and the link goes on sending.
    Drop,
}

impl LinkConfig {
    /// Makes the settings of a box, which connects at once, and again after 5 to 300 s.
    pub fn new(broker: BrokerAddress, client_id: impl Into<String>) -> Self {
        Self {
            broker,
            client_id: client_id.into(),
            ca: None,
            renewed_ca: None,
            identity: None,
            renewed: None,
            last_will: None,
            keep_alive_s: 60,
            subscriptions: Vec::new(),
            first_delay_s_max: 0.0,
            reconnect_s_min: 5.0,
            reconnect_s_max: 300.0,
            seed: 0,
            outgoing_max: 64,
            incoming_max: 32,
            when_full: WhenFull::Wait,
        }
    }
}
