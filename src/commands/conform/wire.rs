//! Tools of both sides of the test: the broker, with blocking calls and deadlines, and keys that everybody knows.

use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;

use super::super::language::{Failure, of_file};
use super::check::Broker;
use loaxa_adapters::clock::monotonic;
use loaxa_adapters::mqtt::{Link, LinkConfig, LinkEvent, Qos};
use loaxa_heart::domain::authority::{Grant, Power, Threshold, Trust};
use loaxa_heart::domain::time::{Moment, Span};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::messages::{TrustMessage, VERSION};
use loaxa_heart::wire::signing::{PublicKey, SecretKey};
use loaxa_heart::wire::topics::Topic;

/// Longest wait for an answer that is due at once: a slow box over 4G.
pub const SOON: Span = Span::secs(15);

/// The village of the test bench.
pub const VILLAGE: &str = "conform-thon";

/// The broker, with blocking calls.
pub struct Wire {
    runtime: tokio::runtime::Runtime,
    link: Link,
    events: mpsc::Receiver<LinkEvent>,
}

impl Wire {
    pub fn connect(broker: &Broker, client_id: &str, subscriptions: Vec<String>) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut config = LinkConfig::new(broker.broker.clone(), client_id);
        config.ca = broker.ca.clone();
        config.identity = broker.identity.as_deref().and_then(|files| match files {
            [certificate, key] => Some((certificate.clone(), key.clone())),
            _ => None,
        });
        config.subscriptions = subscriptions;
        config.reconnect_s_min = 0.2;
        config.reconnect_s_max = 2.0;
        let (link, events) = {
            let _inside = runtime.enter();
            Link::connect(config)?
        };
        Ok(Self { runtime, link, events })
    }

    /// The next message until `deadline`.
    pub fn next(&mut self, deadline: Moment) -> Option<(Topic, Vec<u8>)> {
        loop {
            let left = Duration::from(deadline.since(monotonic()));
            let next = self.runtime.block_on(async { tokio::time::timeout(left, self.events.recv()).await });
            match next {
                Ok(Some(LinkEvent::Message { topic, bytes })) => return Some((topic, bytes)),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return None,
            }
        }
    }

    pub fn is_connected(&self) -> bool {
        self.link.is_connected()
    }

    pub fn say(&self, topic: &Topic, bytes: Vec<u8>) -> Result<(), Sentence> {
        self.link.publish(topic, bytes, Qos::AtLeastOnce).map_err(|error| error.say())
    }
}

/// The authority of a test bench. Its secrets are no secrets: 32 equal bytes, as in the golden files.
pub struct Authority {
    pub root: SecretKey,
    pub central: SecretKey,
    pub duty: [SecretKey; 2],
    /// Has every power but those over emergencies.
    pub clerk: SecretKey,
    /// May do everything, elsewhere.
    pub neighbour: SecretKey,
    /// May do everything in one village of the commune.
    pub villager: SecretKey,
    pub stranger: SecretKey,
}

impl Default for Authority {
    fn default() -> Self {
        let key = |n| SecretKey::from_seed(&[n; 32]);
        Self {
            root: key(4),
            central: key(3),
            duty: [key(1), key(2)],
            clerk: key(5),
            neighbour: key(6),
            villager: key(8),
            stranger: key(9),
        }
    }
}

impl Authority {
    /// The trust document of this version: two people who may do everything, an emergency takes both.
    pub fn trust(&self, version: u32) -> TrustMessage {
        use Power::*;
        let grant = |key: &SecretKey, holder: &str, powers: &[Power]| Grant {
            key: key.key_id(),
            public: key.public().to_string(),
            holder: holder.to_owned(),
            powers: powers.iter().copied().collect(),
            groups: ["xa".parse().expect("it is a name")].into(),
            level: 1,
            valid_from: None,
            account: None,
            valid_until: None,
        };
        let all = [Normal, Priority, Emergency, Exercise, Live, Cancel, Programme, Policy, Groups, Test];
        let trust = Trust {
            version,
            grants: vec![
                grant(&self.central, "trung tâm", &[Central]),
                grant(&self.duty[0], "An", &all),
                grant(&self.duty[1], "Bình", &all),
                grant(&self.clerk, "Chi", &[Normal, Priority, Exercise, Live, Programme, Policy, Test]),
                Grant {
                    groups: ["conform-elsewhere".parse().expect("it is a name")].into(),
                    ..grant(&self.neighbour, "Dũng", &all)
                },
                Grant {
                    groups: [VILLAGE.parse().expect("it is a name")].into(),
                    level: 2,
                    ..grant(&self.villager, "Giang", &all)
                },
            ],
            thresholds: vec![Threshold { power: Emergency, signatures: 2 }],
            nesting: [(VILLAGE, "xa")]
                .map(|(child, parent)| {
                    (child.parse().expect("it is a name"), parent.parse().expect("it is a name"))
                })
                .into(),
        };
        TrustMessage { v: VERSION, trust }
    }
}

/// The key of the box that is played to a centre.
pub fn unit_key() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

/// Reads a public key file: a line `public <base64>`.
pub fn root_key(path: &Path) -> Result<PublicKey, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| of_file(path, &error))?;
    let key = text.lines().find_map(|line| line.strip_prefix("public "));
    let key = key.ok_or_else(|| of_file(path, &said!("conform.no_public_line")))?;
    Ok(key.trim().parse()?)
}
