//! The shipped mosquitto.conf and mosquitto.acl, in a real mosquitto: a box speaks and hears for itself only.
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair,
};

const STARTUP_MAX: Duration = Duration::from_secs(60);

struct Broker {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A CA, and a certificate with each of `names` as its CN, as `NAME.pem` and `NAME.key`.
pub(crate) fn make_certificates(folder: &Path, names: &[&str]) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "Loa test CA");
    fs::write(folder.join("ca.pem"), ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let list = CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2025, 1, 1),
        next_update: rcgen::date_time_ymd(2045, 1, 1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    fs::write(folder.join("crl.pem"), list.signed_by(&issuer).unwrap().pem().unwrap()).unwrap();
    for name in names {
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, *name);
        fs::write(folder.join(format!("{name}.pem")), leaf.signed_by(&key, &issuer).unwrap().pem()).unwrap();
        fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

impl Broker {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        make_certificates(folder.path(), &["broker", "central", "thon-dong-1", "thon-doai-1"]);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware-config");
        let acl = fs::read_to_string(shipped.join("mosquitto.acl")).unwrap();
        fs::write(folder.path().join("mosquitto.acl"), acl).unwrap();
        let here = folder.path().to_str().unwrap();
        let conf = fs::read_to_string(shipped.join("mosquitto.conf")).unwrap();
        let conf = conf
            .replace("listener 8883", &format!("listener {port} 127.0.0.1"))
            .replace("/etc/loaxa/tls", here)
            .replace("/etc/loaxa", here);
        // root would become the user mosquitto, who can't read the test's folder
        fs::write(folder.path().join("mosquitto.conf"), format!("{conf}\nuser root\n")).unwrap();
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap());
        let process = Command::new("mosquitto")
            .env("PATH", path)
            .arg("-c")
            .arg(folder.path().join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto is installed by scripts/setup.sh --tests");
        let mut broker = Self { process, port, folder };
        let deadline = Instant::now() + STARTUP_MAX;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(broker.process.try_wait().unwrap().is_none(), "mosquitto refused the configuration");
            assert!(Instant::now() < deadline, "mosquitto does not listen");
            std::thread::yield_now();
        }
        broker
    }

    fn client(&self, program: &str, user: Option<&str>) -> Command {
        let file = |name: String| self.folder.path().join(name);
        let mut command = Command::new(program);
        command.args(["-h", "localhost", "-V", "5", "-q", "1", "-p", &self.port.to_string(), "--cafile"]);
        command.arg(file("ca.pem".to_owned()));
        if let Some(user) = user {
            command
                .arg("--cert")
                .arg(file(format!("{user}.pem")))
                .arg("--key")
                .arg(file(format!("{user}.key")));
        }
        command
    }

    fn publish(&self, user: Option<&str>, topic: &str) -> Output {
        self.client("mosquitto_pub", user).args(["-t", topic, "-m", "x"]).output().unwrap()
    }

    /// Asserts whether `user` may publish to `topic`, by the broker's acknowledgement.
    fn check_write(&self, user: &str, topic: &str, expected: bool) {
        let answer = self.publish(Some(user), topic);
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert!(answer.status.success() || !expected, "{user} {topic}: {said}");
        assert_eq!(!said.contains("Not authorized"), expected, "{user} {topic}: {said}");
    }

    /// Lists what reaches `user`, who asks for `filter`, while central publishes to `topics` in turn.
    fn heard(&self, user: &str, filter: &str, topics: &[&str]) -> Vec<String> {
        // more messages than one round holds, so that a whole round passes by the subscriber
        let count = (2 * topics.len()).to_string();
        let mut subscriber = self
            .client("mosquitto_sub", Some(user))
            .args(["-t", filter, "-F", "%t", "-W", "30", "-C", &count])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        while subscriber.try_wait().unwrap().is_none() {
            for topic in topics {
                self.publish(Some("central"), topic);
            }
        }
        let output = subscriber.wait_with_output().unwrap();
        assert!(output.status.success(), "{user} heard nothing");
        let mut heard: Vec<String> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        heard.sort();
        heard.dedup();
        heard
    }
}

#[test]
fn a_box_writes_its_own_topics_only() {
    let broker = Broker::start();
    let user = "thon-dong-1";
    broker.check_write(user, "loaxa/v1/box/thon-dong-1/up/log", true);
    broker.check_write(user, "loaxa/v1/box/thon-dong-1/up/heartbeat", true);
    broker.check_write(user, "loaxa/v1/box/thon-doai-1/up/log", false);
    broker.check_write(user, "loaxa/v1/box/thon-dong-1/down/command", false);
    broker.check_write(user, "loaxa/v1/group/binh-minh/down/command", false);
    broker.check_write(user, "other", false);
    broker.check_write("central", "loaxa/v1/group/binh-minh/down/command", true);
    broker.check_write("central", "other", false);
}

#[test]
fn a_box_hears_itself_and_the_groups_only() {
    let broker = Broker::start();
    let topics = [
        "loaxa/v1/box/thon-doai-1/down/command",
        "loaxa/v1/box/thon-doai-1/up/log",
        "loaxa/v1/box/thon-dong-1/down/welcome",
        "loaxa/v1/group/binh-minh/down/command",
    ];
    let heard = broker.heard("thon-dong-1", "loaxa/v1/#", &topics);
    assert_eq!(heard, ["loaxa/v1/box/thon-dong-1/down/welcome", "loaxa/v1/group/binh-minh/down/command"]);
    // One central, and one of several.
    for filter in ["loaxa/v1/#", "$share/central-01/loaxa/v1/#"] {
        assert_eq!(broker.heard("central", filter, &topics), topics.map(str::to_owned), "{filter}");
    }
}

#[test]
fn nobody_comes_in_without_a_certificate() {
    let broker = Broker::start();
    let answer = broker.publish(None, "loaxa/v1/box/thon-dong-1/up/log");
    assert!(!answer.status.success(), "a client without a certificate was let in");
}
