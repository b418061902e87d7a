//! The broker that central and boxes meet at: embedded in this process, or any other by its address.

use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use std::collections::HashMap;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mqtt5::broker::auth::{AuthProvider, AuthResult};
use mqtt5::broker::config::{BrokerConfig, StorageBackend, StorageConfig};
use mqtt5::broker::{BrokerShutdownHandle, MqttBroker};
use mqtt5::packet::connect::ConnectPacket;
use mqtt5::protocol::v5::reason_codes::ReasonCode;
use tokio::task::JoinHandle;

use crate::settings::Logins;
use loaxa_heart::domain::ids::{BoxId, ContentHash};
use loaxa_heart::wire::broker_address::BrokerAddress;
use loaxa_heart::wire::messages::MESSAGE_BYTES_MAX;
use loaxa_heart::wire::topics::Topic;

/// The name under which central logs in to the embedded broker.
pub const CENTRAL: &str = "central";

/// Room for topic and properties beside the largest message, in bytes.
const PACKET_OVERHEAD_BYTES_MAX: usize = 4_096;
/// Most connections: a province's boxes and central.
pub const CLIENTS_MAX: usize = 12_000;
/// Most subscriptions that one client makes in a session: a box makes five for itself and one for each of 32 groups, and
/// some more where its groups change.
const SUBSCRIPTIONS_MAX: u32 = 256;
/// Messages that wait for a slow box; further ones are dropped, and sent again after its next heartbeat.
const WAITING_MAX: usize = 256;
/// Time for the embedded broker to end its connections.
const STOP_WAIT: Duration = Duration::from_secs(3);

/// A broker that central may rely on while it runs.
pub trait Broker: Send {
    /// The address that central connects to.
    fn address(&self) -> &BrokerAddress;

    /// The address that boxes connect to, if this process listens.
    fn listens_on(&self) -> Option<SocketAddr>;

    /// Ends the broker in order, if it runs in this process.
    fn stop(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// A broker that somebody else runs.
pub struct External(pub BrokerAddress);

impl Broker for External {
    fn address(&self) -> &BrokerAddress {
        &self.0
    }

    fn listens_on(&self) -> Option<SocketAddr> {
        None
    }

    fn stop(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async {})
    }
}

/// The embedded broker that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub struct CantListen {
    listen: SocketAddr,
    detail: String,
}

impl Say for CantListen {
    fn say(&self) -> Sentence {
        said!("broker.bad", listen = self.listen, detail = self.detail)
    }
}

/// The embedded broker. It keeps nothing on disk: what must not be lost lies in central's store and on the boxes.
pub struct Embedded {
    address: BrokerAddress,
    listens_on: SocketAddr,
    gate: Option<JoinHandle<()>>,
    shutdown: BrokerShutdownHandle,
    task: JoinHandle<()>,
}

impl Embedded {
    /// Starts the broker; central logs in with `password`.
    ///
    /// # Errors
    /// Fails when the address can't be listened on.
    pub async fn start(listen: SocketAddr, logins: Logins, password: String) -> Result<Self, CantListen> {
        let cant_listen = |detail: String| CantListen { listen, detail };
        let gate = ContentHash::of(Self::gate_secret(&password).as_bytes());
        let access = Access::new(ContentHash::of(password.as_bytes()), gate, logins);
        let broker = MqttBroker::with_config(broker_config(listen)).await;
        let mut broker =
            broker.map_err(|error| cant_listen(error.to_string()))?.with_auth_provider(Arc::new(access));
        let listens_on = broker.local_addr().ok_or_else(|| cant_listen("no listener".to_owned()))?;
        let shutdown = broker.shutdown_handle();
        let mut ready = broker.ready_receiver();
        let task = tokio::spawn(async move {
            if let Err(error) = broker.run().await {
                tracing::error!(%error, "the embedded broker ended");
            }
        });
        ready.wait_for(|ready| *ready).await.map_err(|_| cant_listen("it ended at once".to_owned()))?;
        let host = match listens_on {
            addr if addr.ip().is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
            addr => addr.ip().to_string(),
        };
        let login = Some((CENTRAL.to_owned(), password));
        let address = BrokerAddress { tls: false, host, port: listens_on.port(), login, others: Vec::new() };
        Ok(Self { address, listens_on, gate: None, shutdown, task })
    }

    /// The address on which the broker listens without TLS.
    pub(crate) fn plain_addr(&self) -> SocketAddr {
        self.listens_on
    }

    /// Derives the secret of the gate from central's `password`: a client that brings it came through the gate.
    pub(crate) fn gate_secret(password: &str) -> String {
        ContentHash::of(format!("{password}/gate").as_bytes()).to_string()
    }

    /// Puts the broker behind a gate, where boxes find it from now on.
    pub(crate) fn behind_gate(self, listens_on: SocketAddr, gate: JoinHandle<()>) -> Self {
        Self { listens_on, gate: Some(gate), ..self }
    }
}

impl Broker for Embedded {
    fn address(&self) -> &BrokerAddress {
        &self.address
    }

    fn listens_on(&self) -> Option<SocketAddr> {
        Some(self.listens_on)
    }

    fn stop(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            if let Some(gate) = &self.gate {
                gate.abort();
            }
            self.shutdown.shutdown();
            let mut task = self.task;
            if tokio::time::timeout(STOP_WAIT, &mut task).await.is_err() {
                task.abort();
            }
        })
    }
}

fn broker_config(listen: SocketAddr) -> BrokerConfig {
    let storage = StorageConfig {
        backend: StorageBackend::Memory,
        enable_persistence: false,
        max_queued_messages_per_client: WAITING_MAX,
        ..StorageConfig::default()
    };
    let mut config = BrokerConfig::default()
        .with_max_clients(CLIENTS_MAX)
        .with_max_packet_size(MESSAGE_BYTES_MAX + PACKET_OVERHEAD_BYTES_MAX)
        .with_maximum_qos(1)
        .with_retain_available(false)
        // Sessions are clean: what a connection subscribed to ends with it.
        .with_session_expiry(Duration::ZERO)
        .with_sys_topics_enabled(false)
        .with_storage(storage);
    config.bind_addresses = vec![listen];
    config
}

/// The rules of access: who may log in, publish and subscribe.
struct Access {
    central: ContentHash,
    gate: ContentHash,
    logins: Logins,
    sessions: Mutex<HashMap<String, Session>>,
}

/// The connections of one client, and what they subscribed to. There are two while one takes over from the other. The
/// broker could bound subscriptions itself, but counts those of all clients at each.
#[derive(Default)]
struct Session {
    connections: u32,
    subscriptions: u32,
}

impl Access {
    fn new(central: ContentHash, gate: ContentHash, logins: Logins) -> Self {
        Self { central, gate, logins, sessions: Mutex::default() }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_session(&self, name: &str, is_clean: bool) {
        let mut sessions = self.sessions();
        let session = sessions.entry(name.to_owned()).or_default();
        session.connections += 1;
        if is_clean {
            session.subscriptions = 0;
        }
    }

    fn end_connection(&self, name: &str) {
        let mut sessions = self.sessions();
        if let Some(session) = sessions.get_mut(name) {
            session.connections = session.connections.saturating_sub(1);
            if session.connections == 0 {
                sessions.remove(name);
            }
        }
    }

    /// Counts a subscription, and tells whether there is room for it.
    fn has_room(&self, name: &str) -> bool {
        self.sessions().get_mut(name).is_some_and(|session| {
            session.subscriptions += 1;
            session.subscriptions <= SUBSCRIPTIONS_MAX
        })
    }

    fn login(&self, client: &str, name: &str, password: &[u8]) -> bool {
        let proof = ContentHash::of(password);
        if name == CENTRAL {
            return equal(proof, self.central);
        }
        let Ok(id) = name.parse::<BoxId>() else { return false };
        // A box that took another's client id would end the other's connection.
        client == name
            && match &self.logins {
                Logins::NameAlone => true,
                Logins::Certificates => equal(proof, self.gate),
                Logins::Passwords(known) => known.get(&id).is_some_and(|known| equal(proof, *known)),
            }
    }
}

/// Compares in constant time.
fn equal(a: ContentHash, b: ContentHash) -> bool {
    a.0.iter().zip(b.0).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// Tells whether `user` may publish here: central everywhere, a box on its own `up` topics.
fn may_publish(user: Option<&str>, topic: &str) -> bool {
    match (user, topic.parse()) {
        (Some(CENTRAL), Ok(_)) => true,
        (Some(user), Ok(Topic::Up(id, _))) => id.as_str() == user,
        _ => false,
    }
}

/// Tells whether `user` may subscribe: central to everything, a box to its own `down` topics and the commands of groups.
fn may_subscribe(user: Option<&str>, filter: &str) -> bool {
    let Some(user) = user else { return false };
    if user == CENTRAL {
        return true;
    }
    let own = filter.strip_prefix("loaxa/v1/box/").and_then(|rest| rest.strip_prefix(user));
    let of_group = filter.strip_prefix("loaxa/v1/group/").and_then(|rest| rest.strip_suffix("/down/command"));
    own.is_some_and(|rest| rest.starts_with("/down/"))
        || of_group
            .is_some_and(|group| group == "+" || group.parse::<loaxa_heart::domain::ids::GroupId>().is_ok())
}

type Verdict<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl AuthProvider for Access {
    fn authenticate<'a>(
        &'a self,
        connect: &'a ConnectPacket,
        from: SocketAddr,
    ) -> Verdict<'a, mqtt5::error::Result<AuthResult>> {
        // Where the name alone is proof, a box without a login is the client that it says it is.
        let unnamed = if matches!(self.logins, Logins::NameAlone) { connect.client_id.as_str() } else { "" };
        let name = connect.username.as_deref().unwrap_or(unnamed);
        let let_in = self.login(&connect.client_id, name, connect.password.as_deref().unwrap_or_default());
        let result = if let_in {
            self.begin_session(name, connect.clean_start);
            AuthResult::success_with_user(name)
        } else {
            tracing::warn!(client = connect.client_id, name, %from, "the broker refused a login");
            AuthResult::fail(ReasonCode::BadUsernameOrPassword)
        };
        Box::pin(async { Ok(result) })
    }

    fn authorize_publish<'a>(&'a self, _: &str, user: Option<&'a str>, topic: &'a str) -> Verdict<'a, bool> {
        Box::pin(async move { may_publish(user, topic) })
    }

    fn authorize_subscribe<'a>(
        &'a self,
        _: &str,
        user: Option<&'a str>,
        filter: &'a str,
    ) -> Verdict<'a, bool> {
        Box::pin(async move { may_subscribe(user, filter) && user.is_some_and(|user| self.has_room(user)) })
    }

    fn cleanup_session<'a>(&'a self, user: &'a str) -> Verdict<'a, ()> {
        Box::pin(async move { self.end_connection(user) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_speaks_and_hears_for_itself_alone() {
        let check = |topic: &str, publish: bool, subscribe: bool| {
            assert_eq!(may_publish(Some("loa-1"), topic), publish, "publish {topic}");
            assert_eq!(may_subscribe(Some("loa-1"), topic), subscribe, "subscribe {topic}");
            assert!(!may_publish(None, topic) && !may_subscribe(None, topic));
        };
        check("loaxa/v1/box/loa-1/up/log", true, false);
        check("loaxa/v1/box/loa-2/up/log", false, false);
        check("loaxa/v1/box/loa-1/down/command", false, true);
        check("loaxa/v1/box/loa-1/down/+", false, true);
        check("loaxa/v1/box/loa-10/down/+", false, false);
        check("loaxa/v1/box/+/down/+", false, false);
        check("loaxa/v1/group/xa/down/command", false, true);
        check("loaxa/v1/group/+/down/command", false, true);
        check("loaxa/v1/group/+/+/command", false, false);
        check("loaxa/v1/#", false, false);
        check("#", false, false);
        assert!(may_publish(Some(CENTRAL), "loaxa/v1/group/xa/down/command"));
        assert!(may_subscribe(Some(CENTRAL), "loaxa/v1/box/+/up/+"));
    }

    #[test]
    fn a_login_is_a_name_of_its_own_with_its_password() {
        let id = || BoxId::new("loa-1").unwrap();
        let logins = Logins::Passwords([(id(), ContentHash::of(b"secret"))].into());
        let central = ContentHash::of(b"central's");
        let access = Access::new(central, ContentHash::of(b"gate's"), logins);
        assert!(access.login("loa-1", "loa-1", b"secret"));
        assert!(!access.login("loa-1", "loa-1", b"wrong"));
        assert!(!access.login("loa-2", "loa-1", b"secret"));
        assert!(!access.login("loa-2", "loa-2", b""));
        assert!(access.login("anything", CENTRAL, b"central's"));
        assert!(!access.login("loa-1", "loa-1", b"gate's"));
        let access = Access::new(access.central, access.gate, Logins::Certificates);
        assert!(access.login("loa-1", "loa-1", b"gate's"));
        assert!(!access.login("loa-1", "loa-1", b""));
        let access = Access::new(access.central, access.gate, Logins::NameAlone);
        assert!(access.login("loa-2", "loa-2", b""));
        assert!(!access.login("loa-2", "", b""));
        assert!(!access.login("central", CENTRAL, b""));
    }

    #[test]
    fn subscriptions_are_bounded_in_each_session() {
        let access = Access::new(ContentHash::of(b""), ContentHash::of(b""), Logins::NameAlone);
        assert!(!access.has_room("loa-1"), "it is not connected");
        access.begin_session("loa-1", true);
        let has = |expected: u32| {
            assert_eq!(
                (0..2 * SUBSCRIPTIONS_MAX).filter(|_| access.has_room("loa-1")).count() as u32,
                expected
            );
        };
        has(SUBSCRIPTIONS_MAX);
        // Whoever takes over from itself keeps what it subscribed to, unless it begins anew.
        access.begin_session("loa-1", false);
        access.end_connection("loa-1");
        has(0);
        access.begin_session("loa-1", true);
        access.end_connection("loa-1");
        has(SUBSCRIPTIONS_MAX);
        access.end_connection("loa-1");
        assert!(access.sessions().is_empty());
    }
}
