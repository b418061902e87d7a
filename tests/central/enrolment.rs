//! A commune is made by one command, a box comes in by its code, and is shut out again: real processes, real TLS.
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use loaxa_adapters::mqtt::{Link, LinkConfig, LinkEvent, Qos};
use loaxa_box::local_socket;
use loaxa_box::status::Status;
use loaxa_heart::domain::time::ClockQuality;
use loaxa_heart::wire::topics::{Topic, Up};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn loaxa() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loaxa"));
    command.stdin(Stdio::null()).env("LOAXA_LANG", "en");
    command
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Commune {
    dir: tempfile::TempDir,
    broker_port: u16,
    http: String,
    _central: Process,
}

impl Commune {
    /// As `loaxa central init` makes it, on free ports.
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = loaxa()
            .args(["central", "init", "--commune", "Xã \"Thử\"", "--group", "xa", "--demo", "--dir"])
            .arg(dir.path().join("xa"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let said = String::from_utf8(made.stdout).unwrap();
        assert!(said.contains("Keep offline") && said.contains("offline/root.key"), "{said}");
        let broker_port = free_port();
        let config = dir.path().join("xa/central.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        let text = text
            .replace("127.0.0.1:8080", "127.0.0.1:0")
            .replace("public_url = \"http://localhost:8080\"\n", "")
            .replace("0.0.0.0:8883", &format!("127.0.0.1:{broker_port}"))
            .replace("localhost:8883", &format!("localhost:{broker_port}"));
        std::fs::write(&config, text).unwrap();
        let mut central = Process(
            loaxa()
                .args(["central", "--config"])
                .arg(config)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let mut line = String::new();
        BufReader::new(central.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let http = line.split("http=").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
        let http = format!("http://{http}");
        Self { dir, broker_port, http, _central: central }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("xa").join(name)
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let token = std::fs::read_to_string(self.file("api-token")).unwrap();
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = agent
            .post(format!("{}/api/v1/{path}", self.http))
            .header("authorization", format!("Bearer {}", token.trim()))
            .header("content-type", "application/json");
        let mut answer = request.send(body.to_string()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or_default())
    }

    fn code(&self, id: &str) -> String {
        let asked = json!({ "box": id, "title": "Cụm loa", "groups": ["xa"] });
        let (status, answer) = self.post("enrolments", &asked);
        assert_eq!(status, 201, "{answer}");
        answer["code"].as_str().unwrap().to_owned()
    }

    fn try_to_enrol(&self, dir: &Path, code: &str) -> Output {
        let mut command = loaxa();
        command.args(["box", "enrol", "--central", &self.http, "--code", code, "--dir"]).arg(dir);
        command.arg("--state-dir").arg(dir.join("state")).output().unwrap()
    }

    fn enrol(&self, id: &str) -> PathBuf {
        let dir = self.dir.path().join(id);
        let enrolled = self.try_to_enrol(&dir, &self.code(id));
        assert!(enrolled.status.success(), "{enrolled:?}");
        dir
    }

    /// A client with the certificate in `dir` that says it is `id`.
    fn link(&self, dir: &Path, id: &str) -> LinkConfig {
        let broker = format!("mqtts://localhost:{}", self.broker_port).parse().unwrap();
        let mut config = LinkConfig::new(broker, id);
        config.ca = Some(dir.join("tls/ca.pem"));
        config.identity = Some((dir.join("tls/box.pem"), dir.join("tls/box.key")));
        config.reconnect_s_min = 0.05;
        config.reconnect_s_max = 0.2;
        config
    }
}

async fn first_event(config: LinkConfig) -> (Link, LinkEvent) {
    let (link, mut events) = Link::connect(config).unwrap();
    let event = tokio::time::timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
    (link, event)
}

fn start_box(dir: &Path) -> Process {
    let config = dir.join("box.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("alsa:default", "null")).unwrap();
    let said = std::fs::File::create(dir.join("said")).unwrap();
    let child = loaxa().args(["box", "--config"]).arg(config).stdout(Stdio::null()).stderr(said).spawn();
    Process(child.unwrap())
}

#[test]
fn a_box_comes_in_by_its_code_and_is_shut_out() {
    let commune = Commune::start();
    let dir = commune.enrol("loa-1");
    let running = start_box(&dir);
    let state = dir.join("state");
    let welcomed = |status: &Status| status.connected && status.clock == ClockQuality::Synced;
    until("a box that was welcomed", || local_socket::ask(&state).ok().filter(welcomed));
    // Its log is believed: it was enrolled with the key that signs it.
    until("a log that is home", || local_socket::ask(&state).ok().filter(|status| status.backlog == 0));

    assert_eq!(commune.post("boxes/loa-1/revoke", &json!({})).0, 204);
    until("the end of its session", || local_socket::ask(&state).ok().filter(|status| !status.connected));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_, event) = runtime.block_on(first_event(commune.link(&dir, "loa-1")));
    assert!(matches!(event, LinkEvent::Disconnected { .. }), "{event:?}");
    assert_eq!(commune.post("boxes/loa-9/revoke", &json!({})).0, 404);

    // Enrolled anew, it is itself again at its next start.
    let enrolled = commune.try_to_enrol(&dir, &commune.code("loa-1"));
    assert!(enrolled.status.success(), "{enrolled:?}");
    drop(running);
    let _box = start_box(&dir);
    until("a box that is back", || local_socket::ask(&state).ok().filter(welcomed));
}

#[test]
fn a_code_is_good_once_and_names_the_authority() {
    let commune = Commune::start();
    let code = commune.code("loa-1");
    let other = commune.dir.path().join("other");
    let mut forged = code.clone().into_bytes();
    let last = forged.len() - 1;
    forged[last] = if forged[last] == b'0' { b'1' } else { b'0' };
    let tampered = commune.try_to_enrol(&other, std::str::from_utf8(&forged).unwrap());
    assert!(String::from_utf8_lossy(&tampered.stderr).contains("another root key"), "{tampered:?}");
    assert!(!other.join("box.toml").exists());
    // The code was used up by that.
    let again = commune.try_to_enrol(&other, &code);
    assert!(String::from_utf8_lossy(&again.stderr).contains("ask the centre for another"), "{again:?}");
    let (status, _) = commune.post("enrolments", &json!({ "box": "b", "title": "", "groups": ["nowhere"] }));
    assert_eq!(status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_one_name_with_its_own_topics() {
    let commune = Commune::start();
    let dir = commune.enrol("loa-1");
    let refused = |event: &LinkEvent| matches!(event, LinkEvent::Disconnected { .. });
    let (_, event) = first_event(commune.link(&dir, "loa-2")).await;
    assert!(refused(&event), "another's name: {event:?}");
    let nobody = LinkConfig { identity: None, ..commune.link(&dir, "loa-1") };
    let (_, event) = first_event(nobody).await;
    assert!(refused(&event), "no certificate: {event:?}");

    let stranger = Commune::start();
    let theirs = stranger.enrol("loa-1");
    let mut config = commune.link(&dir, "loa-1");
    config.identity = Some((theirs.join("tls/box.pem"), theirs.join("tls/box.key")));
    let (_, event) = first_event(config).await;
    assert!(refused(&event), "another commune's: {event:?}");

    let subscriptions = vec!["loaxa/v1/box/loa-2/down/+".to_owned()];
    let (_, event) = first_event(LinkConfig { subscriptions, ..commune.link(&dir, "loa-1") }).await;
    assert!(!matches!(event, LinkEvent::Connected), "it hears another: {event:?}");
    let (link, mut events) = Link::connect(commune.link(&dir, "loa-1")).unwrap();
    assert_eq!(events.recv().await, Some(LinkEvent::Connected));
    link.publish(&Topic::Up("loa-2".parse().unwrap(), Up::Log), vec![1], Qos::AtLeastOnce).unwrap();
    let event = tokio::time::timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
    assert!(matches!(event, LinkEvent::Refused { .. }), "it speaks for another: {event:?}");
}

#[test]
fn the_same_certificates_serve_mosquitto_with_the_shipped_settings() {
    let commune = Commune::start();
    let dir = commune.enrol("loa-1");
    let port = free_port();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware-config");
    std::fs::copy(shipped.join("mosquitto.acl"), commune.file("mosquitto.acl")).unwrap();
    std::fs::copy(commune.file("broker-tls.key"), commune.file("broker.key")).unwrap();
    let here = commune.file("").display().to_string();
    let here = here.trim_end_matches('/');
    let conf = std::fs::read_to_string(shipped.join("mosquitto.conf")).unwrap();
    let conf = conf
        .replace("listener 8883", &format!("listener {port} 127.0.0.1"))
        .replace("/etc/loaxa/tls", here)
        .replace("/etc/loaxa", here);
    std::fs::write(commune.file("mosquitto.conf"), format!("{conf}\nuser root\n")).unwrap();
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap());
    let start = || {
        let broker = Command::new("mosquitto")
            .env("PATH", &path)
            .arg("-c")
            .arg(commune.file("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto is installed by scripts/setup.sh --tests");
        let broker = Process(broker);
        until("mosquitto", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        broker
    };
    let broker = start();
    let publish_from = |dir: &Path, topic: &str| {
        let answer = Command::new("mosquitto_pub")
            .args(["-h", "localhost", "-V", "5", "-q", "1", "-p", &port.to_string(), "-t", topic, "-m", "x"])
            .arg("--cafile")
            .arg(dir.join("tls/ca.pem"))
            .arg("--cert")
            .arg(dir.join("tls/box.pem"))
            .arg("--key")
            .arg(dir.join("tls/box.key"))
            .output()
            .unwrap();
        answer.status.success() && !String::from_utf8_lossy(&answer.stderr).contains("Not authorized")
    };
    let publish = |topic: &str| publish_from(&dir, topic);
    assert!(publish("loaxa/v1/box/loa-1/up/log"));
    assert!(!publish("loaxa/v1/box/loa-2/up/log"));
    assert!(!publish("loaxa/v1/group/xa/down/command"));

    // Revoked, it is shut out when mosquitto reads central's list; others are not, nor is it with a new certificate.
    let other = commune.enrol("loa-2");
    assert_eq!(commune.post("boxes/loa-1/revoke", &json!({})).0, 204);
    drop(broker);
    let broker = start();
    assert!(!publish("loaxa/v1/box/loa-1/up/log"));
    assert!(publish_from(&other, "loaxa/v1/box/loa-2/up/log"));
    assert!(commune.try_to_enrol(&dir, &commune.code("loa-1")).status.success());
    assert!(publish("loaxa/v1/box/loa-1/up/log"));
    drop(broker);
}
