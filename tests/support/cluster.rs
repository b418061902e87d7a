//! Three rmqttd on this machine, with the shipped settings but for TLS: a cluster of which each node can be killed.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use loaxa_heart::wire::broker_address::BrokerAddress;

use super::{eventually, free_port};

pub const NODES: usize = 3;

/// The program, where the tests are to run on a cluster: scripts/broker_cluster.sh builds it.
pub fn program() -> Option<PathBuf> {
    std::env::var_os("LOAXA_TEST_RMQTTD").map(PathBuf::from)
}

/// A cluster that ends with the test.
pub struct Cluster {
    program: PathBuf,
    nodes: [Option<Child>; NODES],
    ports: [u16; NODES],
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Starts a cluster that everybody may use; its first node listens at `port`.
    pub fn start_at(program: PathBuf, port: u16) -> Self {
        let cluster = Self::start_with(program, port, |settings| {
            let (before, listener) =
                settings.split_once("[listener.tls.boxes]").expect("the listener of boxes");
            let of_tls = |line: &&str| {
                ["cert", "key", "client_ca_certs", "cross_certificate", "cert_cn_as_username"]
                    .iter()
                    .any(|key| line.starts_with(&format!("{key} =")))
            };
            let listener: String =
                listener.lines().filter(|line| !of_tls(line)).flat_map(|line| [line, "\n"]).collect();
            let open = listener.replace("allow_anonymous = false", "allow_anonymous = true");
            format!("{before}[listener.tcp.boxes]{open}")
        });
        (0..NODES).for_each(|n| cluster.await_others(n));
        cluster
    }

    /// Starts a cluster whose settings are the shipped ones with a change.
    pub fn start_with(program: PathBuf, port: u16, change: impl Fn(&str) -> String) -> Self {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware-config/rmqttd");
        let read = |name: &str| std::fs::read_to_string(shipped.join(name)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ports = [port, free_port(), free_port()];
        let among_them: [u16; NODES] = std::array::from_fn(|_| free_port());
        let settings = change(&read("rmqtt.toml"));
        let is_open = settings.contains("allow_anonymous = true");
        let everybody = "rules = [[\"allow\", \"all\"]]\n".to_owned();
        let rules = if is_open { everybody } else { read("plugins/rmqtt-acl.toml") };
        let mut members = read("plugins/rmqtt-cluster-broadcast.toml");
        for (n, port) in among_them.iter().enumerate() {
            let machine = n + 1;
            members = members.replace(&format!("@10.0.0.{machine}:5363"), &format!("@127.0.0.1:{port}"));
        }
        assert!(!members.contains("10.0.0."), "{members}");
        for n in 0..NODES {
            let node = folder.path().join(n.to_string());
            let plugins = node.join("plugins");
            std::fs::create_dir_all(&plugins).unwrap();
            let settings = settings
                .replace("/etc/loaxa/rmqttd/plugins/", &format!("{}/", plugins.display()))
                .replace("0.0.0.0:8883", &format!("127.0.0.1:{}", ports[n]))
                .replace("0.0.0.0:5363", &format!("127.0.0.1:{}", among_them[n]));
            std::fs::write(node.join("rmqtt.toml"), settings).unwrap();
            std::fs::write(plugins.join("rmqtt-acl.toml"), &rules).unwrap();
            std::fs::write(plugins.join("rmqtt-cluster-broadcast.toml"), &members).unwrap();
            let shared = "rmqtt-shared-subscription.toml";
            std::fs::write(plugins.join(shared), read(&format!("plugins/{shared}"))).unwrap();
        }
        let mut cluster = Self { program, nodes: Default::default(), ports, folder };
        (0..NODES).for_each(|n| cluster.spawn(n));
        (0..NODES).for_each(|n| cluster.await_node(n));
        cluster
    }

    fn spawn(&mut self, n: usize) {
        let node = self.folder.path().join(n.to_string());
        let said = std::fs::File::options().create(true).append(true).open(node.join("said")).unwrap();
        let child = Command::new(&self.program)
            .arg("-f")
            .arg(node.join("rmqtt.toml"))
            .args(["--id", &(n + 1).to_string()])
            .current_dir(&node)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .expect("scripts/broker_cluster.sh builds rmqttd");
        self.nodes[n] = Some(child);
    }

    fn await_node(&self, n: usize) {
        eventually("a node of the cluster", || TcpStream::connect(("127.0.0.1", self.ports[n])).ok());
    }

    /// Waits until what is said at any other node is heard at this one, and the other way round.
    fn await_others(&self, n: usize) {
        for other in (0..NODES).filter(|other| *other != n && self.nodes[*other].is_some()) {
            for (from, to) in [(n, other), (other, n)] {
                let at = |node: usize, program: &str| {
                    let mut command = Command::new(program);
                    command.args(["-p", &self.ports[node].to_string(), "-t", "probe"]);
                    command.stdout(Stdio::null()).stderr(Stdio::null());
                    command
                };
                let mut heard = at(to, "mosquitto_sub").args(["-C", "1", "-W", "60"]).spawn().unwrap();
                eventually("the nodes of the cluster hear each other", || {
                    let _ = at(from, "mosquitto_pub").args(["-m", "x"]).status();
                    heard.try_wait().unwrap().filter(std::process::ExitStatus::success)
                });
            }
        }
    }

    pub fn ports(&self) -> [u16; NODES] {
        self.ports
    }

    /// The nodes from the `first` on.
    pub fn address_from(&self, first: usize) -> BrokerAddress {
        let places: Vec<_> =
            (0..NODES).map(|n| format!("127.0.0.1:{}", self.ports[(first + n) % NODES])).collect();
        format!("mqtt://{}", places.join(",")).parse().unwrap()
    }

    /// Kills a node as a power cut would.
    pub fn kill(&mut self, n: usize) {
        if let Some(mut child) = self.nodes[n].take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts a killed node again, and waits until it is one of the cluster.
    pub fn restart(&mut self, n: usize) {
        self.spawn(n);
        self.await_node(n);
        self.await_others(n);
    }

    /// Kills all nodes and starts them again: nothing is left of what they kept.
    pub fn restart_all(&mut self) {
        (0..NODES).for_each(|n| self.kill(n));
        (0..NODES).for_each(|n| self.spawn(n));
        (0..NODES).for_each(|n| self.await_node(n));
        (0..NODES).for_each(|n| self.await_others(n));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        (0..NODES).for_each(|n| self.kill(n));
        if std::thread::panicking() {
            for n in 0..NODES {
                let said = std::fs::read_to_string(self.folder.path().join(n.to_string()).join("said"));
                let said = said.unwrap_or_default();
                let last: Vec<_> = said.lines().rev().take(40).collect();
                eprintln!("node {}:\n{}", n + 1, last.into_iter().rev().collect::<Vec<_>>().join("\n"));
            }
        }
    }
}
