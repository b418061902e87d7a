//! Floor 5: the server for commune staff.
//!
//! Its rooms, the lowest first; each imports only those below it: `settings` and `disk`; `store`; `keyring`, `media`, `voices`,
//! `log_quota`, `alarm_rate`, `nonces`, `token_tries`, `changes`, `duties`, `gazetteer`, `owed` and `link`; `app`, which holds one of each; `orders` and `people`; `programmes`; `notify`; `boxes` and `alerts`; `web`. `training`, which is a second central. This file starts and stops them.

mod alarm_rate;
mod alert_quota;
mod alerts;
mod app;
mod boxes;
mod changes;
mod clock_check;
mod convert;
mod disk;
mod duties;
mod foreseen;
mod gazetteer;
mod keyring;
pub mod link;
mod log_quota;
mod media;
mod mouths;
mod nonces;
mod notify;
mod one_each;
mod orders;
mod owed;
mod paces;
mod peers;
mod people;
mod programmes;
mod reports;
pub mod run;
mod scanner;
pub mod settings;
mod sign_in_tries;
pub mod store;
mod token_tries;
mod told_once;
pub mod training;
mod uploads;
mod vietnamese;
mod voices;
mod web;
mod wrong_tries;

use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;

use app::App;
use disk::Disk;
use keyring::{BadKeyring, Keyring};
use link::broker::Broker;
use link::connect::{self, Gate, NoBroker};
use link::outbound::Outbound;
use loaxa_adapters::clock::monotonic;
use loaxa_adapters::mqtt::{Link, LinkError, LinkEvent};
use loaxa_heart::config::store_file::Database;
use media::MediaFolder;
pub use people::accounts::Newcomer;
pub use people::console;
use settings::{BrokerChoice, PageTls, Settings, Training};
use store::sql::{Beside, SqlStore};
use store::{News, Reader, SharedStore, StoreError, reading_as, urgently};
use uploads::Uploads;
use web::Door;
pub use web::doors::Needs;
pub use web::page_doors;
pub use web::texts::TEXTS;
use web::tls::{self, NoCertificate};

/// Revocations that wait for a session of the gate; a session that lags further is ended.
const REVOKED_MAX: usize = 64;
/// Time for open requests to end when central stops.
const REQUESTS_WAIT: Duration = Duration::from_secs(3);

/// Time in which a database may become free that another central works on.
const TAKEN_WAIT: Span = Span::secs(3);
/// Time between two looks whether it has.
const TAKEN_AGAIN: Duration = Duration::from_millis(100);

/// A reason for which central can't start.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum StartError {
    Listen {
        listen: SocketAddr,
        error: std::io::Error,
    },
    Folder {
        path: std::path::PathBuf,
        error: std::io::Error,
    },
    Broker(#[from] NoBroker),
    Link(#[from] LinkError),
    Store(#[from] StoreError),
    Keyring(#[from] BadKeyring),
    Certificate(#[from] NoCertificate),
    /// The page would be open to others without TLS.
    OpenPage(SocketAddr),
    /// People would sign in without a second factor from elsewhere.
    NoSecondFactor(SocketAddr),
}

impl Say for StartError {
    fn say(&self) -> Sentence {
        match self {
            StartError::Listen { listen, error } => said!("start.listen", listen, error),
            StartError::Folder { path, error } => said!("start.folder", path = path.display(), error),
            StartError::Broker(error) => error.say(),
            StartError::Link(error) => error.say(),
            StartError::Store(error) => error.say(),
            StartError::Keyring(error) => error.say(),
            StartError::Certificate(error) => error.say(),
            StartError::OpenPage(listen) => said!("start.open_page", listen),
            StartError::NoSecondFactor(listen) => said!("start.no_second_factor", listen),
        }
    }
}

/// A running central.
pub struct Central {
    app: Arc<App>,
    http: SocketAddr,
    scheme: &'static str,
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
        let keyring = Keyring::new(settings.keys.clone())?;
        let folder_error = |error| StartError::Folder { path: settings.data_dir.clone(), error };
        let media = MediaFolder::open(settings.data_dir.join("media"))
            .map_err(folder_error)?
            .scanned_by(settings.scanner.clone());
        let uploads = Uploads::open(settings.data_dir.join("uploads")).map_err(folder_error)?;
        let folder = settings
            .database
            .file()
            .and_then(std::path::Path::parent)
            .filter(|folder| !folder.as_os_str().is_empty());
        let disk = Disk::open(folder.unwrap_or(&settings.data_dir));
        let mut store = SqlStore::open_at(&settings.database, Some(Arc::clone(&disk)))?;
        let news = begin_to_work(&mut store, &settings).await?;
        let store: SharedStore = Arc::new(store);
        declare(&store, &settings).await?;
        store.set_serials_aside(keyring.issuers()).await?;
        let uploads = uploads.shared(store.has_peers());
        let listen = settings.listen;
        let listen_error = |error| StartError::Listen { listen, error };
        let has_tls = !matches!(settings.page.tls, PageTls::Off);
        if !has_tls && !listen.ip().is_loopback() {
            return Err(StartError::OpenPage(listen));
        }
        let trains = matches!(settings.training, Training::Here(_));
        if !settings.second_factor && !trains && !listen.ip().is_loopback() {
            return Err(StartError::NoSecondFactor(listen));
        }
        let listener = TcpListener::bind(listen).await.map_err(listen_error)?;
        let http = listener.local_addr().map_err(listen_error)?;
        let scheme = if has_tls { "https" } else { "http" };
        let public_url =
            settings.public_url.clone().unwrap_or_else(|| format!("{scheme}://{}", reachable(http)));
        let names = tls::names(&public_url, &settings, http.ip());
        let door = Door { listener, certificates: tls::open(&settings, names.clone())?, names };
        let (revoked, _) = broadcast::channel(REVOKED_MAX);
        let gate = Gate { settings: &settings, store: &store, revoked: &revoked };
        let (broker, config) = connect::broker(gate).await?;
        let (link, events) = Link::connect(config)?;
        let app = App::new(
            settings,
            (store, disk),
            keyring,
            Outbound::new(link),
            (media, uploads),
            public_url,
            revoked,
        );
        let app = Arc::new(app);
        app.read_places().await?;
        if let Err(error) = boxes::enrolment::write_revocation_list(&app).await {
            tracing::error!(%error, "the list of revoked certificates is not written");
        }
        if !trains {
            invite(&app).await?;
        }
        let tasks = begin_tasks(&app, events, news);
        let (stop_http, stopped) = oneshot::channel();
        let server = tokio::spawn(web::serve(door, Arc::clone(&app), stopped));
        tracing::info!(page = %http, broker = %broker.address(), "central is ready");
        Ok(Self { app, http, scheme, broker, stop_http, server, tasks })
    }

    /// The address of page and API.
    pub fn http_addr(&self) -> SocketAddr {
        self.http
    }

    /// `https` where page and API have TLS, else `http`.
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// The address that the embedded broker listens on; `None` with any other broker.
    pub fn broker_addr(&self) -> Option<SocketAddr> {
        self.broker.listens_on()
    }

    /// Tells whether other centrals may work on its database.
    pub fn has_peers(&self) -> bool {
        self.app.duties.are_shared()
    }

    /// The store.
    pub fn store(&self) -> &SharedStore {
        &self.app.store
    }

    /// Deletes what is kept no longer by then, as the hourly job does.
    ///
    /// # Errors
    /// Fails when the store does not answer.
    pub async fn prune(&self, now: Wall) -> Result<(), StoreError> {
        reports::prune_once(&self.app, now).await
    }

    /// Tells whether central is connected to its broker now.
    pub fn is_connected(&self) -> bool {
        self.app.outbound.is_connected()
    }

    /// Ends everything in order: requests, then the link, then the broker; what was taken in is committed.
    pub async fn stop(self) {
        self.app.changes.end();
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
        if self.app.duties.are_shared() {
            // Without it, the others wait until the term is over.
            let _ = tokio::time::timeout(REQUESTS_WAIT, self.app.store.leave_duties()).await;
        }
        drop(self.app);
        self.broker.stop().await;
    }
}

/// Begins everything that goes on by itself.
fn begin_tasks(
    app: &Arc<App>,
    events: mpsc::Receiver<LinkEvent>,
    news: mpsc::Receiver<News>,
) -> Vec<JoinHandle<()>> {
    let (batches, waiting) = mpsc::channel(boxes::log_intake::WAITING_MAX);
    let mut tasks = vec![
        tokio::spawn(reading_as(Reader::Wire, boxes::inbound::run(Arc::clone(app), events, batches))),
        tokio::spawn(reading_as(Reader::Wire, boxes::log_intake::run(Arc::clone(app), waiting))),
    ];
    if app.duties.are_shared() {
        tasks.push(tokio::spawn(peers::hear(Arc::clone(app), news)));
        tasks.push(tokio::spawn(peers::tell(Arc::clone(app))));
        tasks.push(tokio::spawn(peers::tell_sent(Arc::clone(app))));
        tasks.push(tokio::spawn(peers::renew_duties(Arc::clone(app))));
    }
    tasks.push(tokio::spawn(Arc::clone(app).write_waiting_alarms()));
    tasks.push(tokio::spawn(Arc::clone(&app.disk).watch()));
    tasks.push(tokio::spawn(Arc::clone(app).write_owed()));
    if matches!(app.settings.database, Database::Postgres(_)) {
        tasks.push(tokio::spawn(orders::brought::keep_ready(Arc::clone(app))));
    }
    tasks.push(tokio::spawn(urgently(notify::call_people(Arc::clone(app)))));
    tasks.push(tokio::spawn(urgently(notify::send_letters(Arc::clone(app)))));
    tasks.push(tokio::spawn(notify::send_events(Arc::clone(app))));
    tasks.push(tokio::spawn(boxes::watch::run(Arc::clone(app))));
    tasks.push(tokio::spawn(orders::software::run(Arc::clone(app))));
    // What reads much waits for no page, and no page for it.
    tasks.push(tokio::spawn(reading_as(Reader::Reports, reports::run(Arc::clone(app)))));
    tasks.push(tokio::spawn(reading_as(Reader::Reports, reports::make_monthly(Arc::clone(app)))));
    tasks.push(tokio::spawn(reading_as(Reader::Reports, reports::keep_anchors(Arc::clone(app)))));
    tasks.push(tokio::spawn(reading_as(Reader::Reports, reports::prune(Arc::clone(app)))));
    tasks.push(tokio::spawn(urgently(alerts::cap_sending::resume(Arc::clone(app)))));
    let feed = app.settings.cap.as_ref().and_then(|cap| cap.feed.clone());
    tasks.extend(feed.map(|feed| tokio::spawn(urgently(alerts::cap_feed::run(Arc::clone(app), feed)))));
    tasks
}

/// Begins to work on a database: several centrals may, where each meets the boxes at the same broker and the database is on a
/// server.
async fn begin_to_work(
    store: &mut SqlStore,
    settings: &Settings,
) -> Result<mpsc::Receiver<News>, StoreError> {
    let beside = match &settings.broker {
        BrokerChoice::Embedded { .. } => Beside::Nobody,
        BrokerChoice::Url { .. } => Beside::Others,
    };
    let begun = monotonic();
    loop {
        match store.begin_to_work(&settings.database, beside) {
            // One that was killed a moment ago is let go of soon.
            Err(StoreError::Taken { .. }) if monotonic().since(begun) < TAKEN_WAIT => {
                tokio::time::sleep(TAKEN_AGAIN).await;
            }
            begun => return begun,
        }
    }
}

/// Takes over the boxes of the configuration.
async fn declare(store: &SharedStore, settings: &Settings) -> Result<(), StoreError> {
    let declared = store.declare_boxes(settings.boxes.clone());
    // The boxes of a province take a server longer than an urgent order waits.
    let declared = match &settings.database {
        Database::Sqlite(_) => urgently(declared).await,
        Database::Postgres(_) => declared.await,
    };
    match declared {
        // The boxes that were declared before are there, and must be heard and told.
        Err(StoreError::Full) => {
            tracing::error!("the boxes of the configuration are not kept: the disk is full");
            Ok(())
        }
        declared => declared,
    }
}

/// Invites the first administrator, where nobody has an account yet.
async fn invite(app: &App) -> Result<(), StoreError> {
    match urgently(people::accounts::invite_first(app)).await {
        Ok(Some(path)) => {
            tracing::info!(path = %path.display(), "nobody has an account yet: the link in this file makes the first administrator");
            Ok(())
        }
        // Boxes can be told without it.
        Err(StoreError::Full) => {
            tracing::error!("nobody can be invited: the disk is full");
            Ok(())
        }
        invited => invited.map(drop),
    }
}

/// An address that others can connect to, for one that may say "all of this machine's".
fn reachable(listens_on: SocketAddr) -> SocketAddr {
    if listens_on.ip().is_unspecified() {
        SocketAddr::from((Ipv4Addr::LOCALHOST, listens_on.port()))
    } else {
        listens_on
    }
}
