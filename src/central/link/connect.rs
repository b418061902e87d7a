//! The broker that is chosen, started where it is ours, and the way to it.

use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::sync::broadcast;

use super::broker::{self, Broker, CantListen, Embedded, External};
use super::certificates::{Ca, CertificateError};
use super::gate::{self, Proof};
use crate::settings::{BrokerChoice, Logins, Settings};
use crate::store::SharedStore;
use loaxa_adapters::mqtt::{LinkConfig, WhenFull};
use loaxa_heart::domain::hex::hex;
use loaxa_heart::domain::ids::{BoxId, ContentHash};
use loaxa_heart::wire::signing::SecretKey;
use loaxa_heart::wire::topics;

/// Delays between tries to reach the broker, in seconds.
const RECONNECT_S: (f64, f64) = (0.2, 5.0);
/// Messages on their way to the broker: one to each box of a province at once.
const OUTGOING_MAX: u16 = 8_192;
/// Messages from the broker that wait for `boxes::inbound`: a hello of each box of a province at once. With 1,024, some of 5,000
/// boxes that came at once were welcomed a minute later, by their next heartbeat.
const INCOMING_MAX: usize = 8_192;
/// The reasons for which there is no broker to meet at.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NoBroker {
    Broker(#[from] CantListen),
    Gate(#[from] gate::CantOpen),
    Certificate(#[from] CertificateError),
    NoEnrolment,
    /// Whoever reaches the address could be any box.
    OpenToAll(SocketAddr),
    Random(getrandom::Error),
}

impl Say for NoBroker {
    fn say(&self) -> Sentence {
        match self {
            NoBroker::Broker(error) => error.say(),
            NoBroker::Gate(error) => error.say(),
            NoBroker::Certificate(error) => error.say(),
            NoBroker::NoEnrolment => said!("start.no_enrolment"),
            NoBroker::OpenToAll(listen) => said!("start.open_broker", listen),
            NoBroker::Random(error) => said!("start.random", error),
        }
    }
}

/// The parts of the gate before the embedded broker.
pub struct Gate<'a> {
    pub settings: &'a Settings,
    pub store: &'a SharedStore,
    pub revoked: &'a broadcast::Sender<BoxId>,
}

impl Gate<'_> {
    /// Starts the embedded broker on the loopback address, behind a gate on `listen`.
    async fn start(
        self,
        listen: SocketAddr,
        logins: &Logins,
        password: String,
    ) -> Result<Embedded, NoBroker> {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        if matches!(logins, Logins::NameAlone) && !listen.ip().is_loopback() {
            return Err(NoBroker::OpenToAll(listen));
        }
        if !matches!(logins, Logins::Certificates) {
            let broker = Embedded::start(loopback, logins.clone(), password).await?;
            let (listens_on, task) = gate::open(listen, Proof::Login(broker.plain_addr())).await?;
            return Ok(broker.behind_gate(listens_on, task));
        }
        let enrolment = self.settings.enrolment.as_ref().ok_or(NoBroker::NoEnrolment)?;
        let hosts = enrolment.broker.places().map(|(host, _)| host).chain(["localhost"]);
        let server =
            Ca::open(&enrolment.ca)?.issue_to_server(hosts.map(str::to_owned).collect(), broker::CENTRAL)?;
        let secret = Embedded::gate_secret(&password);
        let broker = Embedded::start(loopback, Logins::Certificates, password).await?;
        let behind = gate::Behind {
            broker: broker.plain_addr(),
            secret,
            store: Arc::clone(self.store),
            refuse_expired: enrolment.refuse_expired,
            revoked: self.revoked.clone(),
        };
        let proof = Proof::Certificate { ca: &enrolment.ca.certificate, server: &server, behind };
        let (listens_on, task) = gate::open(listen, proof).await?;
        Ok(broker.behind_gate(listens_on, task))
    }
}

/// The group in which several centrals share what boxes send: each message comes to one of them. Its name follows from their
/// key, since a box that knew it could join, and have a part of the messages of others sent to itself, where they are dropped.
fn share(key: &SecretKey) -> String {
    let secret = ContentHash::of(&key.sign(b"loaxa-share v1"));
    format!("central-{}", hex(&secret.0[..16]))
}

/// Starts the broker that the settings choose, where it is ours, and says how to connect to it.
///
/// # Errors
/// Fails when the broker or its gate can't be started.
pub async fn broker(gate: Gate<'_>) -> Result<(Box<dyn Broker>, LinkConfig), NoBroker> {
    let mut random = [0; 40];
    getrandom::fill(&mut random).map_err(NoBroker::Random)?;
    let seed = u64::from_be_bytes(random[..8].try_into().expect("eight bytes"));
    let client_id = format!("loaxa-central-{}", hex(&random[..8]));
    let share = gate.store.has_peers().then(|| share(&gate.settings.keys.central));
    let (broker, ca, identity): (Box<dyn Broker>, _, _) = match &gate.settings.broker {
        BrokerChoice::Embedded { listen, logins } => {
            let broker = gate.start(*listen, logins, hex(&random[8..])).await?;
            (Box::new(broker), None, None)
        }
        BrokerChoice::Url { address, ca, identity } => {
            (Box::new(External(address.clone())), ca.clone(), identity.clone())
        }
    };
    let config = LinkConfig {
        ca,
        identity,
        subscriptions: vec![topics::central_filter(share.as_deref())],
        reconnect_s_min: RECONNECT_S.0,
        reconnect_s_max: RECONNECT_S.1,
        seed,
        outgoing_max: OUTGOING_MAX,
        incoming_max: INCOMING_MAX,
        // What boxes say, they say again; what goes out to them waits for nothing that comes in.
        when_full: WhenFull::Drop,
        keep_alive_s: 15,
        ..LinkConfig::new(broker.address().clone(), client_id)
    };
    Ok((broker, config))
}
