//! Brokers to meet at: mosquitto, and the one that is embedded in central.

use std::io::Write;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use loaxa_heart::wire::broker_address::BrokerAddress;

use super::{eventually, free_port};

/// A broker of a test.
pub trait Broker {
    fn port(&self) -> u16;

    /// Returns the address that a scripted central connects to.
    fn address(&self) -> BrokerAddress {
        format!("mqtt://127.0.0.1:{}", self.port()).parse().unwrap()
    }
}

/// A mosquitto that ends with the test.
pub struct Mosquitto {
    child: Child,
    port: u16,
    _config: tempfile::NamedTempFile,
}

impl Mosquitto {
    pub fn start() -> Self {
        Self::start_at(free_port())
    }

    pub fn start_at(port: u16) -> Self {
        Self::start_with(port, "")
    }

    /// Starts one with more lines of configuration.
    pub fn start_with(port: u16, more: &str) -> Self {
        let mut config = tempfile::NamedTempFile::new().unwrap();
        let own = format!("listener {port} 127.0.0.1\nallow_anonymous true\npersistence false");
        writeln!(config, "{own}\n{more}").unwrap();
        let child = Command::new("mosquitto")
            .arg("-c")
            .arg(config.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto is installed by scripts/setup.sh");
        let broker = Self { child, port, _config: config };
        eventually("mosquitto", || TcpStream::connect(("127.0.0.1", port)).ok());
        broker
    }

    /// Kills it as a power cut would; gives the port.
    pub fn kill(self) -> u16 {
        self.port
    }
}

impl Broker for Mosquitto {
    fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
