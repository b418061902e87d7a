//! The shipped settings of rmqttd, in a real cluster of three: a box speaks and hears for itself only, whichever node it is at.
//! Wants rmqttd: `make broker-cluster`.
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::mosquitto_acl::make_certificates;
use crate::support::cluster::{self, Cluster, NODES};
use crate::support::free_port;

struct Broker {
    cluster: Cluster,
    folder: tempfile::TempDir,
}

impl Broker {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        make_certificates(folder.path(), &["broker", "central", "thon-dong-1", "thon-doai-1"]);
        let program = cluster::program().expect("make broker-cluster builds rmqttd and says where it is");
        let here = folder.path().display().to_string();
        let cluster =
            Cluster::start_with(program, free_port(), |settings| settings.replace("/etc/loaxa/tls", &here));
        Self { cluster, folder }
    }

    fn client(&self, program: &str, user: Option<&str>, node: usize) -> Command {
        let file = |name: String| self.folder.path().join(name);
        let mut command = Command::new(program);
        let port = self.cluster.ports()[node].to_string();
        command.args(["-h", "localhost", "-V", "5", "-q", "1", "-p", &port, "--cafile"]);
        command.arg(file("ca.pem".to_owned()));
        if let Some(user) = user {
            command.args(["-u", "central"]);
            command.arg("--cert").arg(file(format!("{user}.pem")));
            command.arg("--key").arg(file(format!("{user}.key")));
        }
        command
    }

    fn publish(&self, user: Option<&str>, node: usize, topic: &str) -> Output {
        self.client("mosquitto_pub", user, node).args(["-t", topic, "-m", "x"]).output().unwrap()
    }

    /// Lists what reaches `user` at one node by these subscriptions, while central publishes to `topics` at another.
    fn heard(&self, user: &str, filters: &[&str], topics: &[&str], expected: usize) -> Vec<String> {
        let count = (2 * expected).to_string();
        let mut subscriber = self.client("mosquitto_sub", Some(user), 1);
        let mut subscriber = subscriber
            .args(filters.iter().flat_map(|filter| ["-t", filter]))
            .args(["-F", "%t", "-W", "30", "-C", &count])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while subscriber.try_wait().unwrap().is_none() {
            for topic in topics {
                self.publish(Some("central"), 2, topic);
            }
        }
        let output = subscriber.wait_with_output().unwrap();
        let mut heard: Vec<String> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        heard.sort();
        heard.dedup();
        heard
    }
}

#[ignore = "wants rmqttd: make broker-cluster"]
#[test]
fn a_box_speaks_and_hears_for_itself_only_at_every_node_and_a_stranger_not_at_all() {
    let broker = Broker::start();
    let user = "thon-dong-1";
    for node in 0..NODES {
        // The name that a client gives is not asked for: `client` says "central" for everybody.
        let check = |user: &str, topic: &str, expected: bool| {
            let answer = broker.publish(Some(user), node, topic);
            let said = String::from_utf8_lossy(&answer.stderr).into_owned();
            let is_taken = answer.status.success() && said.is_empty();
            assert_eq!(is_taken, expected, "node {}, {user} {topic}: {said}", node + 1);
        };
        check(user, "loaxa/v1/box/thon-dong-1/up/log", true);
        check(user, "loaxa/v1/box/thon-doai-1/up/log", false);
        check(user, "loaxa/v1/box/thon-dong-1/down/command", false);
        check(user, "loaxa/v1/group/binh-minh/down/command", false);
        check(user, "other", false);
        check("central", "loaxa/v1/group/binh-minh/down/command", true);
        check("central", "other", false);
        let answer = broker.publish(None, node, "loaxa/v1/box/thon-dong-1/up/log");
        assert!(!answer.status.success(), "a client without a certificate was let in");
    }
    let topics = [
        "loaxa/v1/box/thon-doai-1/down/command",
        "loaxa/v1/box/thon-doai-1/up/log",
        "loaxa/v1/box/thon-dong-1/down/welcome",
        "loaxa/v1/group/binh-minh/down/command",
    ];
    let own = ["loaxa/v1/box/thon-dong-1/down/welcome", "loaxa/v1/group/binh-minh/down/command"];
    let filters = ["loaxa/v1/box/thon-dong-1/down/#", "loaxa/v1/group/+/down/command"];
    let others = ["loaxa/v1/box/thon-doai-1/down/#", "loaxa/v1/box/+/up/log", "loaxa/v1/#"];
    assert_eq!(broker.heard(user, &[&filters[..], &others].concat(), &topics, 2), own);
    assert_eq!(broker.heard("central", &["loaxa/v1/#"], &topics, 4), topics, "central hears everything");
}

#[test]
fn the_cluster_takes_the_largest_message() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware-config/rmqttd/rmqtt.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let kib = text.lines().find_map(|line| line.strip_prefix("max_packet_size = \"")?.strip_suffix("K\""));
    let kib: usize = kib.and_then(|kib| kib.parse().ok()).expect("a size in K");
    let needed = loaxa_heart::wire::messages::MESSAGE_BYTES_MAX + 4_000;
    assert!(kib * 1_024 >= needed, "{kib} K is less than {needed} bytes");
}
