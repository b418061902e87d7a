//! Floor 5: the server for commune staff.

pub mod announce;
mod api;
pub mod app;
pub mod authority;
pub mod broker;
mod cap;
pub mod cap_feed;
mod cap_sending;
pub mod certificates;
pub mod drafts;
mod enrol;
mod gate;
mod ingest;
pub mod issue;
mod live;
pub mod media;
pub mod orders;
mod pages;
pub mod publisher;
mod router;
pub mod settings;
pub mod store;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;

use app::App;
use authority::{Authority, BadAuthority};
use broker::{Broker, CantListen, Embedded, External};
use certificates::{Ca, CertificateError};
use loaxa_adapters::mqtt::{Link, LinkConfig, LinkError};
use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence, Tables};
use loaxa_heart::wire::topics;
use media::MediaFolder;
use publisher::Publisher;
use settings::{BrokerChoice, Logins, Settings};
use store::sqlite::SqliteStore;
use store::{SharedStore, StoreError};

/// The words on the pages and in the answers of the API.
pub static TEXTS: Tables = Tables::new(include_str!("texts/vi.toml"), include_str!("texts/en.toml"));

/// Delays between tries to reach the broker, in seconds.
const RECONNECT_S: (f64, f64) = (0.2, 5.0);
/// Messages on their way to the broker: one to each box of a province at once.
const OUTGOING_MAX: u16 = 8_192;
/// Messages from the broker that wait for the router.
const INCOMING_MAX: usize = 1_024;
/// Revocations that a session of the gate may be behind.
const REVOKED_MAX: usize = 64;
/// How long open requests may take when central stops.
const REQUESTS_WAIT: Duration = Duration::from_secs(3);

/// Why central can't start.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum StartError {
    Listen { listen: SocketAddr, error: std::io::Error },
    Folder { path: std::path::PathBuf, error: std::io::Error },
    Broker(#[from] CantListen),
    Gate(#[from] gate::CantOpen),
    Certificate(#[from] CertificateError),
    NoEnrolment,
    Link(#[from] LinkError),
    Store(#[from] StoreError),
    Authority(#[from] BadAuthority),
    Random(getrandom::Error),
}

impl Say for StartError {
    fn say(&self) -> Sentence {
        match self {
            StartError::Listen { listen, error } => said!("start.listen", listen, error),
            StartError::Folder { path, error } => said!("start.folder", path = path.display(), error),
            StartError::Broker(error) => error.say(),
            StartError::Gate(error) => error.say(),
            StartError::Certificate(error) => error.say(),
            StartError::NoEnrolment => said!("start.no_enrolment"),
            StartError::Link(error) => error.say(),
            StartError::Store(error) => error.say(),
            StartError::Authority(error) => error.say(),
            StartError::Random(error) => said!("start.random", error),
        }
    }
}

/// A central that runs.
pub struct Central {
    app: Arc<App>,
    http: SocketAddr,
    broker: Box<dyn Broker>,
    stop_http: oneshot::Sender<()>,
    server: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
}

impl Central {
    /// Starts everything; when it returns, pages and broker can be reached.
    ///
    /// # Errors
    /// Says what could not be started; nothing keeps running then.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let authority = Authority::new(settings.keys.clone())?;
        let folder_error = |error| StartError::Folder { path: settings.data_dir.clone(), error };
        let media = MediaFolder::open(settings.data_dir.join("media")).map_err(folder_error)?;
        let store: SharedStore = Arc::new(SqliteStore::open(&settings.sqlite)?);
        store.declare_boxes(settings.boxes.clone()).await?;
        let listen = settings.listen;
        let listen_error = |error| StartError::Listen { listen, error };
        let listener = TcpListener::bind(listen).await.map_err(listen_error)?;
        let http = listener.local_addr().map_err(listen_error)?;
        let (revoked, _) = broadcast::channel(REVOKED_MAX);
        let gate = Gate { settings: &settings, store: &store, revoked: &revoked };
        let (broker, config) = connect_to_broker(&settings.broker, gate).await?;
        let (link, events) = Link::connect(config)?;
        let public_url = settings.public_url.clone().unwrap_or_else(|| format!("http://{}", reachable(http)));
        let app = App::new(settings, store, authority, Publisher::new(link), media, public_url, revoked);
        let app = Arc::new(app);
        if let Err(error) = enrol::write_revocation_list(&app).await {
            tracing::error!(%error, "the list of revoked certificates is not written");
        }
        let (batches, waiting) = mpsc::channel(ingest::WAITING_MAX);
        let mut tasks = vec![
            tokio::spawn(router::run(Arc::clone(&app), events, batches)),
            tokio::spawn(ingest::run(Arc::clone(&app), waiting)),
        ];
        tasks.push(tokio::spawn(cap_sending::resume(Arc::clone(&app))));
        let feed = app.settings.cap.as_ref().and_then(|cap| cap.feed.clone());
        tasks.extend(feed.map(|feed| tokio::spawn(cap_feed::run(Arc::clone(&app), feed))));
        let (stop_http, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(listener, Arc::clone(&app), stopped));
        tracing::info!(page = %http, broker = %broker.address(), "central is ready");
        Ok(Self { app, http, broker, stop_http, server, tasks })
    }

    /// Where page and API are.
    pub fn http_addr(&self) -> SocketAddr {
        self.http
    }

    /// Where the embedded broker listens; `None` with a broker of somebody else.
    pub fn broker_addr(&self) -> Option<SocketAddr> {
        self.broker.listens_on()
    }

    /// What central keeps.
    pub fn store(&self) -> &SharedStore {
        &self.app.store
    }

    /// Whether the broker has central now.
    pub fn is_connected(&self) -> bool {
        self.app.publisher.is_connected()
    }

    /// Ends everything in order: requests, then the link, then the broker; what was taken in is committed.
    pub async fn stop(self) {
        // The server may have ended by itself.
        let _ = self.stop_http.send(());
        let mut server = self.server;
        if tokio::time::timeout(REQUESTS_WAIT, &mut server).await.is_err() {
            server.abort();
        }
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            // It was aborted a moment ago.
            let _ = task.await;
        }
        drop(self.app);
        self.broker.stop().await;
    }
}

/// Starts central, says where it is, and ends it in order when `shutdown` resolves.
///
/// # Errors
/// As [`Central::start`].
pub async fn run(
    settings: Settings,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(&Central),
) -> Result<(), StartError> {
    let central = Central::start(settings).await?;
    ready(&central);
    shutdown.await;
    tracing::info!("central ends");
    central.stop().await;
    Ok(())
}

/// What the gate before the embedded broker is made of.
struct Gate<'a> {
    settings: &'a Settings,
    store: &'a SharedStore,
    revoked: &'a broadcast::Sender<BoxId>,
}

impl Gate<'_> {
    /// Starts the embedded broker, on the loopback address, behind a gate on `listen`.
    async fn start(self, listen: SocketAddr, password: String) -> Result<Embedded, StartError> {
        let enrolment = self.settings.enrolment.as_ref().ok_or(StartError::NoEnrolment)?;
        let server = Ca::open(&enrolment.ca)?
            .issue_to_server(vec![enrolment.broker.host.clone(), "localhost".to_owned()], broker::CENTRAL)?;
        let secret = Embedded::gate_secret(&password);
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let broker = Embedded::start(loopback, Logins::Certificates, password).await?;
        let behind = gate::Behind {
            broker: broker.plain_addr(),
            secret,
            store: Arc::clone(self.store),
            revoked: self.revoked.clone(),
        };
        let (listens_on, task) = gate::open(listen, &enrolment.ca.certificate, &server, behind).await?;
        Ok(broker.behind_gate(listens_on, task))
    }
}

async fn connect_to_broker(
    choice: &BrokerChoice,
    gate: Gate<'_>,
) -> Result<(Box<dyn Broker>, LinkConfig), StartError> {
    let mut random = [0; 40];
    getrandom::fill(&mut random).map_err(StartError::Random)?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let seed = u64::from_be_bytes(random[..8].try_into().expect("eight bytes"));
    let client_id = format!("loaxa-central-{}", hex(&random[..8]));
    let (broker, ca, identity): (Box<dyn Broker>, _, _) = match choice {
        BrokerChoice::Embedded { listen, logins } => {
            if matches!(logins, Logins::NameAlone) && !listen.ip().is_loopback() {
                tracing::warn!(%listen, "boxes prove their name to the broker by saying it: keep this network closed");
            }
            let password = hex(&random[8..]);
            let broker = match logins {
                Logins::Certificates => gate.start(*listen, password).await?,
                logins => Embedded::start(*listen, logins.clone(), password).await?,
            };
            (Box::new(broker), None, None)
        }
        BrokerChoice::Url { address, ca, identity } => {
            (Box::new(External(address.clone())), ca.clone(), identity.clone())
        }
    };
    let config = LinkConfig {
        ca,
        identity,
        subscriptions: vec![topics::central_filter(None)],
        reconnect_s_min: RECONNECT_S.0,
        reconnect_s_max: RECONNECT_S.1,
        seed,
        outgoing_max: OUTGOING_MAX,
        incoming_max: INCOMING_MAX,
        keep_alive_s: 15,
        ..LinkConfig::new(broker.address().clone(), client_id)
    };
    Ok((broker, config))
}

/// An address that others can connect to, for one that may say "all of this machine's".
fn reachable(listens_on: SocketAddr) -> SocketAddr {
    if listens_on.ip().is_unspecified() {
        SocketAddr::from((Ipv4Addr::LOCALHOST, listens_on.port()))
    } else {
        listens_on
    }
}

async fn serve(listener: TcpListener, app: Arc<App>, stopped: oneshot::Receiver<()>) {
    let routes =
        pages::routes(Arc::clone(&app)).merge(live::routes(Arc::clone(&app))).merge(api::routes(app));
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    let shutdown = async {
        // A sender that is gone means the same.
        let _ = stopped.await;
    };
    if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(shutdown).await {
        tracing::error!(%error, "the pages ended");
    }
}
