//! The link to a broker, for boxes and for central.
//!
//! The broker is a pipe that may lose anything: sessions are clean, nothing is kept over a reconnect, and what was
//! published is delivered only when the other side says so in a message of ours.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnectProperties, Filter, LastWill, Packet, PubAckReason, RetainForwardRule, SubscribeReasonCode,
};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use rumqttc::{NetworkOptions, Outgoing, TlsConfiguration, Transport};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::{Notify, mpsc};

use super::any_time::AnyTime;
use super::backoff::Backoff;
use super::clock::monotonic;
pub use super::link_config::{LinkConfig, WhenFull};
use super::other_way::other_way;
use super::receipts::{Receipt, Receipts, Told};
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::broker_address::BrokerAddress;
use loaxa_heart::wire::messages::MESSAGE_BYTES_MAX;
use loaxa_heart::wire::topics::Topic;

/// Room for topic and properties beside the largest message, in bytes.
const PACKET_OVERHEAD_BYTES_MAX: usize = 4_096;

/// Time that a connection must last for the delays to begin again with the shortest.
const STABLE_AFTER: Span = Span::secs(300);

/// Longest time in which a broker accepts a connection: TLS over a poor 4G link.
const CONNECT_TIMEOUT_S: u64 = 15;

/// Of so many connections to a broker that fail, one shows the certificate of the configuration.
const TRIES_OF_BOTH: usize = 4;

/// Room that messages which may be dropped leave to what the link says of itself.
const ROOM_FOR_EVENTS: usize = 16;

/// Longest time for an orderly end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The shortest keep-alive that the client library accepts.
const KEEP_ALIVE_S_MIN: u16 = 5;

/// Reasons for which a link can't be made, or a message can't be handed to it.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum LinkError {
    File { path: PathBuf, error: std::io::Error },
    NoCa { broker: BrokerAddress },
    NotConnected,
    Full { max: u16 },
    TooLarge { bytes: usize },
}

impl Say for LinkError {
    fn say(&self) -> Sentence {
        match self {
            LinkError::File { path, error } => said!("link.file", path = path.display(), error),
            LinkError::NoCa { broker } => said!("link.no_ca", broker),
            LinkError::NotConnected => said!("link.not_connected"),
            LinkError::Full { max } => said!("link.full", max),
            LinkError::TooLarge { bytes } => said!("link.too_large", bytes, max = MESSAGE_BYTES_MAX),
        }
    }
}

/// Events of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// The broker took us and our subscriptions.
    Connected,
    /// The connection is gone, or could not be made; everything handed to it may be lost. Another try follows.
    Disconnected { reason: String },
    /// A message on a topic of ours; others are not reported.
    Message { topic: Topic, bytes: Vec<u8> },
    /// The broker refused a subscription or a message.
    Refused { reason: String },
}

/// The broker's promise for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qos {
    AtMostOnce,
    AtLeastOnce,
}

impl From<Qos> for QoS {
    fn from(qos: Qos) -> Self {
        match qos {
            Qos::AtMostOnce => QoS::AtMostOnce,
            Qos::AtLeastOnce => QoS::AtLeastOnce,
        }
    }
}

/// A handle to a link. When the last one is dropped, the link ends in order and the last will is not said.
#[derive(Clone)]
pub struct Link(Arc<Owned>);

/// The part that the handles own together. The task holds only [`Shared`], so that dropping the handles ends the task.
struct Owned(Arc<Shared>);

struct Shared {
    brokers: usize,
    outgoing_max: u16,
    when_full: WhenFull,
    /// Messages that came and found no room.
    dropped: AtomicU64,
    state: Mutex<State>,
    closing: Notify,
}

struct State {
    filters: Vec<String>,
    /// The connection of the moment.
    client: Option<AsyncClient>,
    receipts: Receipts,
}

impl Link {
    /// Starts a link in the current tokio runtime. It goes on for ever, through every failure of the network.
    ///
    /// # Errors
    /// Fails when a certificate file can't be read, or TLS is asked for without one.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn connect(config: LinkConfig) -> Result<(Link, mpsc::Receiver<LinkEvent>), LinkError> {
        let options = mqtt_options(&config, 0, Shows::Renewed)?;
        let filters = config.subscriptions.clone();
        let state = State { filters, client: None, receipts: Receipts::default() };
        let shared = Arc::new(Shared {
            brokers: brokers(&config),
            outgoing_max: config.outgoing_max,
            when_full: config.when_full,
            dropped: AtomicU64::new(0),
            state: Mutex::new(state),
            closing: Notify::new(),
        });
        let (events, receiver) = mpsc::channel(config.incoming_max.max(1));
        tokio::spawn(run(config, options, Arc::clone(&shared), events));
        Ok((Link(Arc::new(Owned(shared))), receiver))
    }

    /// Hands a message to the link; never blocks. That it arrives is not promised.
    ///
    /// # Errors
    /// Fails when there is no connection, the queue is full, or the message is too large.
    pub fn publish(&self, topic: &Topic, bytes: Vec<u8>, qos: Qos) -> Result<(), LinkError> {
        self.hand_over(topic, bytes, qos, None)
    }

    /// Hands over a message that the broker is to acknowledge; the receipt tells when it has.
    ///
    /// # Errors
    /// As [`Link::publish`].
    pub fn publish_for_receipt(&self, topic: &Topic, bytes: Vec<u8>) -> Result<Receipt, LinkError> {
        let (told, receipt) = Receipt::pair();
        self.hand_over(topic, bytes, Qos::AtLeastOnce, Some(told))?;
        Ok(receipt)
    }

    fn hand_over(
        &self,
        topic: &Topic,
        bytes: Vec<u8>,
        qos: Qos,
        told: Option<Told>,
    ) -> Result<(), LinkError> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(LinkError::TooLarge { bytes: bytes.len() });
        }
        let shared = &self.0.0;
        let mut state = shared.lock();
        let client = state.client.as_ref().ok_or(LinkError::NotConnected)?;
        let sent = client.try_publish(topic.to_string(), qos.into(), false, bytes);
        sent.map_err(|_| LinkError::Full { max: shared.outgoing_max })?;
        // Under the same lock, so that receipts are in the order of the messages.
        state.receipts.handed_over(told);
        Ok(())
    }

    /// Changes what the link subscribes to, now and on every later connection.
    pub fn subscribe(&self, filters: Vec<String>) {
        let mut state = self.0.0.lock();
        let before = std::mem::replace(&mut state.filters, filters);
        let Some(client) = &state.client else { return };
        let added: Vec<_> = state.filters.iter().filter(|filter| !before.contains(filter)).cloned().collect();
        let removed = before.iter().filter(|filter| !state.filters.contains(filter));
        let mut handed = added.is_empty() || client.try_subscribe_many(added.into_iter().map(filter)).is_ok();
        for filter in removed {
            handed &= client.try_unsubscribe(filter).is_ok();
        }
        if !handed {
            // The queue is full: a new connection subscribes to all of it.
            let _ = client.try_disconnect();
        }
    }

    /// Ends the connection; the next one shows the certificate that is there by then.
    pub fn reconnect(&self) {
        if let Some(client) = &self.0.0.lock().client {
            // A queue that is full belongs to a connection that ends by itself.
            let _ = client.try_disconnect();
        }
    }

    /// Tells whether there is a connection to the broker now.
    pub fn is_connected(&self) -> bool {
        self.0.0.lock().client.is_some()
    }

    /// The messages that came and were dropped, since the start.
    pub fn dropped(&self) -> u64 {
        self.0.0.dropped.load(Ordering::Relaxed)
    }

    /// Tells whether the address names several brokers.
    pub fn is_to_cluster(&self) -> bool {
        self.0.0.brokers > 1
    }
}

impl State {
    /// Forgets the connection, and what was handed to it; tells whether there was one.
    fn part(&mut self) -> bool {
        self.receipts = Receipts::default();
        self.client.take().is_some()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.closing.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the link's state")
    }
}

/// Retained messages are never asked for: nothing depends on them, and one that is too large would come back at each
/// connection.
fn filter(path: String) -> Filter {
    let mut filter = Filter::new(path, QoS::AtLeastOnce);
    filter.retain_forward_rule = RetainForwardRule::Never;
    filter
}

/// Makes the options of a connection to one of the brokers; those of a cluster follow each other without end.
fn mqtt_options(config: &LinkConfig, broker: usize, shows: Shows) -> Result<MqttOptions, LinkError> {
    let BrokerAddress { tls, login, .. } = &config.broker;
    let (host, port) =
        config.broker.places().nth(broker % brokers(config)).expect("the remainder is below the count");
    let mut options = MqttOptions::new(&config.client_id, host, port);
    options
        .set_clean_start(true)
        .set_keep_alive(Duration::from_secs(config.keep_alive_s.max(KEEP_ALIVE_S_MIN).into()))
        .set_connection_timeout(CONNECT_TIMEOUT_S)
        .set_outgoing_inflight_upper_limit(config.outgoing_max.max(1));
    let mut properties = ConnectProperties::new();
    properties.max_packet_size = Some((MESSAGE_BYTES_MAX + PACKET_OVERHEAD_BYTES_MAX) as u32);
    options.set_connect_properties(properties);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    if let Some((name, password)) = login {
        options.set_credentials(name, password);
    }
    if let Some((topic, bytes)) = &config.last_will {
        options.set_last_will(LastWill::new(topic.to_string(), bytes.clone(), QoS::AtLeastOnce, false, None));
    }
    if *tls {
        options.set_transport(Transport::tls_with_config(tls_configuration(config, shows)?));
    }
    Ok(options)
}

/// Counts the brokers of the address.
fn brokers(config: &LinkConfig) -> usize {
    config.broker.places().count()
}

/// A certificate that a connection shows, and the authorities that it takes the broker's from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    /// The renewed one, where there is one.
    Renewed,
    /// The one of the configuration, for a broker that does not know the renewed one.
    Configured,
}

/// Reads the certificate of two PEM files that a connection can show; `None` where one is not there or damaged, or the key is
/// another's. Both may be in one file.
pub fn own_certificate(certificate: &Path, key: &Path) -> Option<CertificateDer<'static>> {
    let (chain, secret) = read_identity(certificate, key).ok()?;
    let pair = CertifiedKey::from_der(chain, secret, &rustls::crypto::ring::default_provider()).ok()?;
    pair.cert.into_iter().next()
}

fn tls_configuration(config: &LinkConfig, shows: Shows) -> Result<TlsConfiguration, LinkError> {
    // An error says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca = config.ca.as_ref().ok_or_else(|| LinkError::NoCa { broker: config.broker.clone() })?;
    let renewed_ca = config.renewed_ca.as_deref().filter(|path| shows == Shows::Renewed && path.exists());
    let verifier = match renewed_ca {
        Some(path) => pinned(path).or_else(|error| {
            tracing::warn!(%error, "the renewed authorities can't be used; those of the configuration count");
            pinned(ca)
        })?,
        None => pinned(ca)?,
    };
    let with = |identity: Option<(&Path, &Path)>| {
        let tls = ClientConfig::builder().dangerous().with_custom_certificate_verifier(verifier.clone());
        let Some((certificate, key)) = identity else { return Ok(tls.with_no_client_auth()) };
        let (chain, secret) = read_identity(certificate, key)?;
        tls.with_client_auth_cert(chain, secret).map_err(|error| unusable(certificate, error))
    };
    let configured = || with(config.identity.as_ref().map(|(certificate, key)| (&**certificate, &**key)));
    let renewed = config.renewed.as_deref().filter(|path| shows == Shows::Renewed && path.exists());
    let tls = match renewed {
        Some(path) => with(Some((path, path))).or_else(|error| {
            tracing::warn!(%error, "the renewed certificate can't be used; the one of the configuration is shown");
            configured()
        })?,
        None => configured()?,
    };
    Ok(TlsConfiguration::Rustls(Arc::new(tls)))
}

fn unusable(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> LinkError {
    LinkError::File { path: path.to_owned(), error: std::io::Error::other(error) }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read_identity(certificate: &Path, key: &Path) -> Result<Identity, LinkError> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|error| LinkError::File { path: path.to_owned(), error });
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?).collect::<Result<Vec<_>, _>>();
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| unusable(key, error))?;
    Ok((chain.map_err(|error| unusable(certificate, error))?, secret))
}

/// Makes the check of a broker's certificate against the authorities of a file.
fn pinned(path: &Path) -> Result<Arc<AnyTime>, LinkError> {
    let text = std::fs::read(path).map_err(|error| LinkError::File { path: path.to_owned(), error })?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        roots
            .add(certificate.map_err(|error| unusable(path, error))?)
            .map_err(|error| unusable(path, error))?;
    }
    let verifier = WebPkiServerVerifier::builder(Arc::new(roots)).build();
    Ok(Arc::new(AnyTime::new(verifier.map_err(|error| unusable(path, error))?)))
}

/// Connects again and again until the handles are dropped.
async fn run(
    config: LinkConfig,
    mut options: MqttOptions,
    shared: Arc<Shared>,
    events: mpsc::Sender<LinkEvent>,
) {
    let seconds = |s: f64| Duration::try_from_secs_f64(s).unwrap_or(Duration::from_secs(300));
    let (min, max) = (seconds(config.reconnect_s_min), seconds(config.reconnect_s_max));
    let mut backoff = Backoff::new(min, max, config.seed);
    let mut delay = backoff.uniform(seconds(config.first_delay_s_max));
    // Boxes begin at different brokers, so that a cluster shares them.
    let brokers = brokers(&config);
    let mut broker = (config.seed % brokers as u64) as usize;
    let (mut failures, mut losses) = (0_usize, 0_usize);
    loop {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = shared.closing.notified() => return,
        }
        let rounds = failures / brokers;
        let shows =
            if rounds % TRIES_OF_BOTH == TRIES_OF_BOTH - 1 { Shows::Configured } else { Shows::Renewed };
        match mqtt_options(&config, broker, shows) {
            Ok(fresh) => options = fresh,
            Err(error) => tracing::warn!(%error, "the certificates can't be read anew"),
        }
        let begun = monotonic();
        // In a task of its own: a panic of the client library is a lost connection and nothing more.
        let session = Session {
            broker: (config.broker.host.clone(), config.broker.port),
            options: options.clone(),
            shared: Arc::clone(&shared),
            events: events.clone(),
        };
        let ended = tokio::spawn(session.run()).await;
        let was_connected = shared.lock().part();
        failures = if was_connected { 0 } else { failures.wrapping_add(1) };
        let reason = match ended {
            Ok(End::Closed) => return,
            Ok(End::Lost { reason }) => reason,
            Err(panic) => panic.to_string(),
        };
        if events.send(LinkEvent::Disconnected { reason }).await.is_err() {
            return;
        }
        if monotonic().since(begun) >= STABLE_AFTER {
            backoff.reset();
            losses = 0;
        } else {
            losses = losses.wrapping_add(1);
        }
        broker = (broker + 1) % brokers;
        // The next of a cluster is asked soon, though not by all at once; the delays grow once all were asked in vain.
        delay = if losses % brokers == brokers - 1 { backoff.next_delay() } else { backoff.uniform(min) };
    }
}

/// One connection, from first to last.
struct Session {
    /// Host and port.
    broker: (String, u16),
    options: MqttOptions,
    shared: Arc<Shared>,
    events: mpsc::Sender<LinkEvent>,
}

enum End {
    /// By us: nobody holds the link any more.
    Closed,
    Lost {
        reason: String,
    },
}

impl Session {
    async fn run(self) -> End {
        // A new event loop for each connection: nothing of the last one is sent again behind our back.
        let (client, mut event_loop) =
            AsyncClient::new(self.options.clone(), self.shared.outgoing_max.into());
        tokio::select! {
            biased;
            end = self.poll(&client, &mut event_loop) => return end,
            () = other_way(&self.broker) => {
                return End::Lost { reason: "another link leads to the broker now".to_owned() };
            }
            () = self.shared.closing.notified() => {}
        }
        // The wait above may have been cut in the middle of a packet; the broker then ends the connection itself.
        let _ = client.try_disconnect();
        let farewell = async {
            while let Ok(event) = event_loop.poll().await {
                if event == Event::Outgoing(Outgoing::Disconnect) {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, farewell).await;
        End::Closed
    }

    async fn poll(&self, client: &AsyncClient, event_loop: &mut EventLoop) -> End {
        loop {
            let event = match event_loop.poll().await {
                Ok(event) => event,
                Err(error) => return End::Lost { reason: error.to_string() },
            };
            let told = match event {
                Event::Incoming(packet) => self.take(packet, client).await,
                Event::Outgoing(Outgoing::Disconnect) => {
                    return End::Lost { reason: "to subscribe anew".to_owned() };
                }
                Event::Outgoing(Outgoing::Publish(packet)) => {
                    self.shared.lock().receipts.went_out(packet);
                    Ok(())
                }
                Event::Outgoing(_) => Ok(()),
            };
            if told.is_err() {
                return End::Closed;
            }
        }
    }

    /// An error says that nobody listens any more.
    async fn take(
        &self,
        packet: Packet,
        client: &AsyncClient,
    ) -> Result<(), mpsc::error::SendError<LinkEvent>> {
        match packet {
            Packet::ConnAck(_) => {
                let filters = self.shared.lock().filters.clone();
                if filters.is_empty() {
                    return self.connected(client).await;
                }
                // The queue of a new connection is empty and has room for one.
                let _ = client.try_subscribe_many(filters.into_iter().map(filter));
                Ok(())
            }
            Packet::SubAck(ack) => {
                let refused = |code: &&SubscribeReasonCode| !matches!(code, SubscribeReasonCode::Success(_));
                if let Some(code) = ack.return_codes.iter().find(refused) {
                    self.refused(format!("a subscription: {code:?}")).await?;
                }
                self.connected(client).await
            }
            Packet::PubAck(ack) => match ack.reason {
                PubAckReason::Success | PubAckReason::NoMatchingSubscribers => {
                    self.shared.lock().receipts.acknowledged(ack.pkid);
                    Ok(())
                }
                reason => self.refused(format!("a message: {reason:?}")).await,
            },
            Packet::Publish(publish) => {
                let topic = std::str::from_utf8(&publish.topic).ok().and_then(|topic| topic.parse().ok());
                match topic {
                    // One that is too large is refused, counted and logged by who reads it.
                    Some(topic) => {
                        self.message(LinkEvent::Message { topic, bytes: publish.payload.to_vec() }).await
                    }
                    None => self.refused_by_us(&publish.topic),
                }
            }
            _ => Ok(()),
        }
    }

    async fn message(&self, message: LinkEvent) -> Result<(), mpsc::error::SendError<LinkEvent>> {
        let has_room = self.events.capacity() > ROOM_FOR_EVENTS;
        if has_room || self.shared.when_full == WhenFull::Wait || self.events.is_closed() {
            return self.events.send(message).await;
        }
        self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn connected(&self, client: &AsyncClient) -> Result<(), mpsc::error::SendError<LinkEvent>> {
        let first = self.shared.lock().client.replace(client.clone()).is_none();
        if first { self.events.send(LinkEvent::Connected).await } else { Ok(()) }
    }

    async fn refused(&self, reason: String) -> Result<(), mpsc::error::SendError<LinkEvent>> {
        self.events.send(LinkEvent::Refused { reason }).await
    }

    fn refused_by_us(&self, topic: &[u8]) -> Result<(), mpsc::error::SendError<LinkEvent>> {
        let topic: String = String::from_utf8_lossy(topic).chars().take(80).collect();
        tracing::debug!(topic, "a message on a topic that is none of ours was left aside");
        Ok(())
    }
}
