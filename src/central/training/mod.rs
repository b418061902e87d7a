//! The training commune (a second central in this process): boxes that exist only in memory, another root key, and a banner.
//! Everything may be tried there, and begun anew.

mod commune;
mod first_things;
mod past;
mod people;

use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use self::commune::{FREE_PORT, TrainingKeys};
use crate::settings::{Settings, TrainingDoor, TrainingWish};
use crate::store::SharedStore;
#[cfg(doc)]
use crate::store::StoreError;
use crate::store::sql::work_alone_on;
use crate::{Central, StartError};
use loaxa_fleet::fleet::Fleet;
use loaxa_fleet::site::Network;
use loaxa_heart::wire::broker_address::BrokerAddress;

/// Wishes that wait.
const WISHES_MAX: usize = 8;
/// Most keys of people who train; the oldest is forgotten for a newer one.
const TRUSTED_MAX: usize = 64;

/// The running training commune; it ends in order by [`TrainingCommune::stop`].
pub struct TrainingCommune {
    page: SocketAddr,
    stop: oneshot::Sender<()>,
    keeper: JoinHandle<()>,
}

impl TrainingCommune {
    /// Starts it beside a real commune, with that one's people.
    ///
    /// # Errors
    /// As [`Central::start`]; and [`StoreError::Taken`] where another central of several keeps it.
    pub async fn start(real: Settings, door: TrainingDoor, people: SharedStore) -> Result<Self, StartError> {
        let alone = work_alone_on(&commune::folder(&real))?;
        let (wishes, wished) = mpsc::channel(WISHES_MAX);
        let mut keeper =
            Keeper { alone, real, door, people, wishes, keys: TrainingKeys::draw(), broker: FREE_PORT };
        keeper.clear();
        let running = keeper.open().await?;
        let page = running.central.http_addr();
        keeper.door.listen = page;
        let (stop, stopped) = oneshot::channel();
        let keeper = tokio::spawn(keeper.keep(running, wished, stopped));
        Ok(Self { page, stop, keeper })
    }

    /// The address of its pages.
    pub fn http_addr(&self) -> SocketAddr {
        self.page
    }

    /// Ends it in order.
    pub async fn stop(self) {
        // It may have ended by itself.
        let _ = self.stop.send(());
        let _ = self.keeper.await;
    }
}

/// The parts of the commune from one beginning to the next.
struct Running {
    central: Central,
    people: JoinHandle<()>,
    _fleet: Fleet,
}

struct Keeper {
    /// Held so that nobody else clears the folder.
    #[expect(dead_code, reason = "it is held")]
    alone: File,
    real: Settings,
    door: TrainingDoor,
    people: SharedStore,
    wishes: mpsc::Sender<TrainingWish>,
    keys: TrainingKeys,
    broker: SocketAddr,
}

impl Keeper {
    /// Forgets everything that was there. Keys are drawn anew at each start, so that nothing of an earlier one is of use.
    fn clear(&self) {
        let _ = std::fs::remove_dir_all(commune::folder(&self.real));
    }

    async fn open(&mut self) -> Result<Running, StartError> {
        let settings = self.keys.settings(&self.real, &self.door, self.broker, self.wishes.clone());
        let folder = settings.data_dir.clone();
        std::fs::create_dir_all(&folder).map_err(|error| StartError::Folder { path: folder, error })?;
        let central = Central::start(settings).await?;
        let broker = central.broker_addr().unwrap_or(self.broker);
        self.broker = broker;
        let address = BrokerAddress {
            tls: false,
            host: broker.ip().to_string(),
            port: broker.port(),
            login: None,
            others: Vec::new(),
        };
        let network = Network { broker: address, ca: None, come_within_s: 0.0 };
        let app = Arc::clone(&central.app);
        let logs = past::lay(&app).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the training commune begins without a past");
            Default::default()
        });
        let mut sites = self.keys.sites();
        sites.retain(|site| site.id.as_str() != past::SILENT);
        for site in &mut sites {
            site.log = logs.get(&site.id).copied();
        }
        let fleet = Fleet::start(sites, &network);
        let (real, key) = (Arc::clone(&self.people), self.keys.colleague.clone());
        if let Err(error) = people::bring_in(&app, &real).await {
            tracing::warn!(%error, "people can't be brought into the training commune yet");
        }
        let people = tokio::spawn(async move {
            first_things::prepare(&app).await;
            people::look_after(app, real, key).await;
        });
        Ok(Running { central, people, _fleet: fleet })
    }

    /// Fulfils wishes until the real commune ends.
    async fn keep(
        mut self,
        mut running: Running,
        mut wished: mpsc::Receiver<TrainingWish>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        loop {
            let wish = tokio::select! {
                _ = &mut stopped => break,
                wish = wished.recv() => wish,
            };
            running.close().await;
            match wish {
                Some(TrainingWish::Trust(key)) => {
                    self.keys.trusted.retain(|other| other.account != key.account);
                    self.keys.trusted.push(*key);
                    if self.keys.trusted.len() > TRUSTED_MAX {
                        self.keys.trusted.remove(0);
                    }
                    self.keys.version += 1;
                }
                Some(TrainingWish::BeginAnew) => {
                    let trusted = std::mem::take(&mut self.keys.trusted);
                    self.keys = TrainingKeys::draw();
                    self.keys.trusted = trusted;
                    self.clear();
                }
                None => return,
            }
            running = match self.open().await {
                Ok(running) => running,
                Err(error) => {
                    tracing::error!(%error, "the training commune does not start again");
                    return;
                }
            };
        }
        running.close().await;
    }
}

impl Running {
    async fn close(self) {
        self.people.abort();
        let _ = self.people.await;
        self.central.stop().await;
    }
}
