//! Brokers to meet at: mosquitto, and the one that is embedded in central.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use loaxa_heart::wire::broker_address::BrokerAddress;

use super::cluster::{self, Cluster};
use super::{eventually, free_port};

/// A broker of a test.
pub trait Broker {
    fn port(&self) -> u16;

    /// Returns the address that a central connects to.
    fn address(&self) -> BrokerAddress {
        address_at(self.port())
    }
}

fn address_at(port: u16) -> BrokerAddress {
    format!("mqtt://127.0.0.1:{port}").parse().unwrap()
}

/// A mosquitto that ends with the test; a cluster of rmqttd in its place where the tests are to run on one.
pub struct Mosquitto {
    running: Running,
    port: u16,
}

enum Running {
    Mosquitto { child: Child, _config: tempfile::NamedTempFile },
    Cluster(Cluster),
}

impl Mosquitto {
    pub fn start() -> Self {
        Self::start_at(free_port())
    }

    pub fn start_at(port: u16) -> Self {
        match cluster::program() {
            Some(program) => Self { running: Running::Cluster(Cluster::start_at(program, port)), port },
            None => Self::start_with(port, ""),
        }
    }

    /// Starts a mosquitto with more lines of configuration.
    pub fn start_with(port: u16, more: &str) -> Self {
        let mut config = tempfile::NamedTempFile::new().unwrap();
        let own = format!("listener {port} 127.0.0.1\nallow_anonymous true\npersistence false");
        writeln!(config, "{own}\n{more}").unwrap();
        let child = spawn_mosquitto(config.path(), port);
        Self { running: Running::Mosquitto { child, _config: config }, port }
    }

    /// Kills it as a power cut would; gives the port.
    pub fn kill(self) -> u16 {
        self.port
    }

    /// Ends it without a word, and starts it again on the same port; nothing is left of what it kept.
    pub fn restart(&mut self) {
        match &mut self.running {
            Running::Cluster(cluster) => cluster.restart_all(),
            Running::Mosquitto { child, _config: config } => {
                child.kill().unwrap();
                child.wait().unwrap();
                *child = spawn_mosquitto(config.path(), self.port);
            }
        }
    }
}

fn spawn_mosquitto(config: &Path, port: u16) -> Child {
    let program = ["/usr/sbin/mosquitto", "mosquitto"].into_iter().find(|path| Path::new(path).exists());
    let mut command = Command::new(program.unwrap_or("mosquitto"));
    let child = command.arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = child.expect("mosquitto is installed by scripts/setup.sh");
    eventually("mosquitto", || TcpStream::connect(("127.0.0.1", port)).ok());
    child
}

impl Broker for Mosquitto {
    fn port(&self) -> u16 {
        self.port
    }

    /// In a cluster, other nodes than the one at [`Broker::port`] come first.
    fn address(&self) -> BrokerAddress {
        match &self.running {
            Running::Cluster(cluster) => cluster.address_from(1),
            Running::Mosquitto { .. } => address_at(self.port),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Running::Mosquitto { child, .. } = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Central's own broker, in a runtime of its own.
pub struct Embedded {
    address: BrokerAddress,
    _runtime: tokio::runtime::Runtime,
}

impl Embedded {
    pub fn start() -> Self {
        use loaxa_central::link::broker::{self, Broker};
        use loaxa_central::settings::Logins;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let started = broker::Embedded::start(listen, Logins::NameAlone, "secret".to_owned());
        let broker = runtime.block_on(started).unwrap();
        let address = broker.address().clone();
        // It ends with its runtime.
        std::mem::forget(broker);
        Self { address, _runtime: runtime }
    }
}

impl Broker for Embedded {
    fn port(&self) -> u16 {
        self.address.port
    }

    fn address(&self) -> BrokerAddress {
        self.address.clone()
    }
}
