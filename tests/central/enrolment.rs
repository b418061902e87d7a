//! A commune is made by one command, a box comes in by its code, and is shut out again: real processes, real TLS.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use loaxa_adapters::mqtt::{Link, LinkConfig, LinkEvent, Qos};
use loaxa_box::local_socket;
use loaxa_box::status::Status;
use loaxa_heart::domain::time::ClockQuality;
use loaxa_heart::wire::topics::{Topic, Up};
use serde_json::{Value, json};
use ureq::tls::{RootCerts, TlsConfig};

const PATIENCE: Duration = Duration::from_secs(60);

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

/// The program, started by somebody whose mask is this one.
fn loaxa_under(mask: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("umask {mask}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_loaxa")]);
    command.stdin(Stdio::null()).env("LOAXA_LANG", "en");
    command
}

/// The modes of all that lies in a folder, and its own.
fn modes(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mode = |path: &Path| std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below =
        entries.flat_map(|path| if path.is_dir() { modes(&path) } else { vec![(path.clone(), mode(&path))] });
    below.chain([(folder.to_owned(), mode(folder))]).collect()
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
    /// Starts central as `loaxa central init` makes it, on free ports.
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
            .replace("0.0.0.0:8443", "127.0.0.1:0")
            .replace("0.0.0.0:8883", &format!("127.0.0.1:{broker_port}"))
            .replace("localhost:8883", &format!("localhost:{broker_port}"));
        std::fs::write(&config, text).unwrap();
        let mut central = Process(
            loaxa_under("000")
                .args(["central", "--config"])
                .arg(config)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let mut line = String::new();
        BufReader::new(central.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let http = line.split("https=").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
        let http = format!("https://{http}");
        Self { dir, broker_port, http, _central: central }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("xa").join(name)
    }

    /// A client that believes the commune's authority alone.
    fn agent(&self) -> ureq::Agent {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ca = std::fs::read(self.file("ca.pem")).unwrap();
        let ca = ureq::tls::Certificate::from_pem(&ca).unwrap();
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[ca])).build();
        ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false).build().into()
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let token = std::fs::read_to_string(self.file("api-token")).unwrap();
        let request = self
            .agent()
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
        Self::try_to_enrol_at(&self.http, dir, code)
    }

    fn try_to_enrol_at(central: &str, dir: &Path, code: &str) -> Output {
        let mut command = loaxa();
        command.args(["box", "enrol", "--central", central, "--code", code, "--dir"]).arg(dir);
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
    start_box_by(loaxa(), dir)
}

fn start_box_by(mut loaxa: Command, dir: &Path) -> Process {
    let config = dir.join("box.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("alsa:default", "null")).unwrap();
    let said = std::fs::File::create(dir.join("said")).unwrap();
    let child = loaxa.args(["box", "--config"]).arg(config).stdout(Stdio::null()).stderr(said).spawn();
    Process(child.unwrap())
}

#[test]
fn no_mask_of_whoever_starts_it_opens_or_closes_a_file() {
    let commune = Commune::start();
    let dir = commune.dir.path().join("loa-1");
    // As hardened machines have it: what the service's user reads stays readable.
    let mut command = loaxa_under("077");
    command
        .args(["box", "enrol", "--central", &commune.http, "--code", &commune.code("loa-1"), "--dir"])
        .arg(&dir);
    let enrolled = command.arg("--state-dir").arg(dir.join("state")).output().unwrap();
    assert!(enrolled.status.success(), "{enrolled:?}");
    for (path, mode) in modes(&dir) {
        let is_key = path.extension().is_some_and(|ending| ending == "key");
        let expected = if path.is_dir() {
            0o755
        } else if is_key {
            0o600
        } else {
            0o644
        };
        assert_eq!(mode, expected, "{} {mode:o}", path.display());
    }
    // And as careless ones: nobody else reads or writes what the daemons keep.
    let running = start_box_by(loaxa_under("000"), &dir);
    let state = dir.join("state");
    until("a box that runs", || local_socket::ask(&state).ok().filter(|status| status.connected));
    for (path, mode) in modes(&state).into_iter().chain(modes(&commune.file("data"))) {
        assert_eq!(mode & 0o077, 0, "{} {mode:o}", path.display());
    }
    drop(running);
}

#[test]
fn a_box_has_a_name_that_can_be_shown() {
    let commune = Commune::start();
    let long = "a".repeat(121);
    for title in ["", "  ", "a\u{1b}[31m", "a\nb", "a\u{202e}b", long.as_str()] {
        let asked = json!({ "box": "loa-1", "title": title, "groups": ["xa"] });
        assert_eq!(commune.post("enrolments", &asked).0, 400, "{title:?}");
    }
    let asked = json!({ "box": "loa-1", "title": " Đình làng ", "groups": ["xa", "xa"] });
    assert_eq!(commune.post("enrolments", &asked).0, 201);
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
    // A code that was given out for the name before is good no more.
    let [before, other] = ["loa-1", "loa-2"].map(|id| commune.code(id));
    assert_eq!(commune.post("boxes/loa-1/revoke", &json!({})).0, 204);
    let late = commune.try_to_enrol(&commune.dir.path().join("late"), &before);
    assert!(String::from_utf8_lossy(&late.stderr).contains("ask the centre for another"), "{late:?}");
    assert!(commune.try_to_enrol(&commune.dir.path().join("other"), &other).status.success());

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
    // A box from before codes had keys sends the code itself, and hears what to do.
    let (status, old) = commune.post("enrol", &json!({ "code": code, "log_key": "", "tls_key": "" }));
    assert_eq!((status, old["error"].as_str().unwrap().contains("update")), (400, true), "{old}");
    let (status, _) = commune.post("enrolments", &json!({ "box": "b", "title": "", "groups": ["nowhere"] }));
    assert_eq!(status, 400);
}

/// Stands between a box and central over plain HTTP, as who has the network does: asks central what the box asks, with
/// `ask`, and gives the box what central answers, with `answer`.
fn in_between(
    commune: &Commune,
    ask: impl Fn(Value) -> Value + Send + 'static,
    answer: impl Fn(Value) -> Value + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (agent, url) = (commune.agent(), format!("{}/api/v1/enrol", commune.http));
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let asked = ask(serde_json::from_slice(&body).unwrap());
            let request = agent.post(&url).header("content-type", "application/json");
            let mut answered = request.send(asked.to_string()).unwrap();
            let status = answered.status();
            let text = answered.body_mut().read_to_string().unwrap();
            let text = answer(serde_json::from_str(&text).unwrap()).to_string();
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
            stream.write_all((head + &text).as_bytes()).unwrap();
        }
    });
    address
}

#[test]
fn whoever_stands_in_between_makes_the_enrolment_fail() {
    let commune = Commune::start();
    let stranger = Commune::start();
    let foreign = std::fs::read_to_string(stranger.file("ca.pem")).unwrap();
    let check = |field: &'static str, value: Value, says: &str| {
        let dir = commune.dir.path().join(format!("altered-{field}"));
        let address = in_between(
            &commune,
            |asked| asked,
            move |mut answer| {
                answer[field] = value.clone();
                answer
            },
        );
        let tried = Commune::try_to_enrol_at(&address, &dir, &commune.code("loa-1"));
        let said = String::from_utf8_lossy(&tried.stderr).into_owned();
        assert!(!tried.status.success() && said.contains(says), "{field}: {said}");
        assert!(!dir.join("box.toml").exists() && !dir.join("tls/ca.pem").exists(), "{field}");
    };
    check("ca", json!(foreign), "somebody stands between");
    check("broker", json!("mqtts://stranger:8883"), "somebody stands between");
    check("certificate", json!(foreign), "somebody stands between");
    check("box", json!("loa-9"), "somebody stands between");
    check("groups", json!(["xb"]), "somebody stands between");
    check("trust", json!("{}"), "somebody stands");
    check("root", json!("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="), "another root key");
    check("seal", Value::Null, "no signature of central");

    // Keys of somebody else get no certificate, and the code stays good for the box that has it.
    let (code, dir) = (commune.code("loa-2"), commune.dir.path().join("loa-2"));
    let address = in_between(
        &commune,
        |mut asked| {
            assert!(asked.get("code").is_none(), "{asked}");
            asked["tls_key"] = json!("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
            asked
        },
        |answer| answer,
    );
    let tried = Commune::try_to_enrol_at(&address, &dir, &code);
    assert!(String::from_utf8_lossy(&tried.stderr).contains("no usable keys"), "{tried:?}");
    let enrolled = commune.try_to_enrol(&dir, &code);
    assert!(enrolled.status.success(), "{enrolled:?}");
}

/// Asks with `loaxa conform enrolment`; gives whether all passed, and what was printed.
fn conform(central: &str, code: &str) -> (bool, String) {
    let asked =
        loaxa().args(["conform", "enrolment", "--central", central, "--code", code]).output().unwrap();
    let said = String::from_utf8(asked.stdout).unwrap() + &String::from_utf8_lossy(&asked.stderr);
    (asked.status.success(), said)
}

#[test]
fn our_centre_conforms_where_a_box_is_enrolled_and_one_in_between_does_not() {
    let commune = Commune::start();
    let (all_passed, said) = conform(&commune.http, &commune.code("loa-1"));
    assert!(all_passed && said.contains("# 6 passed"), "{said}");
    let forged = in_between(
        &commune,
        |asked| asked,
        |mut answer| {
            answer["broker"] = json!("mqtts://stranger:8883");
            answer
        },
    );
    let (all_passed, said) = conform(&forged, &commune.code("loa-2"));
    assert!(!all_passed && said.contains("not ok 3 "), "{said}");
}

#[test]
fn staff_type_commands_over_tls_with_the_certificate_beside_their_token() {
    let commune = Commune::start();
    let run =
        |arguments: &[&str]| loaxa().args(arguments).env("LOAXA_CENTRAL", &commune.http).output().unwrap();
    let token = commune.file("api-token");
    let token = token.to_str().unwrap();
    let status = run(&["status", "--token-file", token]);
    assert!(status.status.success(), "{status:?}");
    let elsewhere = commune.dir.path().join("token");
    std::fs::copy(commune.file("api-token"), &elsewhere).unwrap();
    let elsewhere = elsewhere.to_str().unwrap();
    assert!(!run(&["status", "--token-file", elsewhere]).status.success(), "nobody vouches for it");
    let ca = commune.file("ca.pem");
    let named = run(&["status", "--token-file", elsewhere, "--ca", ca.to_str().unwrap()]);
    assert!(named.status.success(), "{named:?}");
    let page = commune.agent().get(format!("{}/dang-nhap", commune.http)).call().unwrap();
    assert_eq!(page.headers()["strict-transport-security"], "max-age=31536000; includeSubDomains");
    let plain = commune.http.replace("https://", "http://");
    let mut told = commune.agent().get(format!("{plain}/dang-nhap")).call().unwrap();
    assert_eq!(
        (told.status().as_u16(), told.body_mut().read_to_string().unwrap().contains("https://")),
        (400, true)
    );
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

/// A TLS session with a box's certificate, of which nothing more is said.
fn tls_session(commune: &Commune, dir: &Path) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = |name: &str| dir.join("tls").join(name);
    let mut roots = rustls::RootCertStore::empty();
    for authority in CertificateDer::pem_file_iter(file("ca.pem")).unwrap() {
        roots.add(authority.unwrap()).unwrap();
    }
    let chain = CertificateDer::pem_file_iter(file("box.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(file("box.key")).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots);
    let config = config.with_client_auth_cert(chain, key).unwrap();
    let name = "localhost".try_into().unwrap();
    let client = rustls::ClientConnection::new(config.into(), name).unwrap();
    let tcp = TcpStream::connect(("127.0.0.1", commune.broker_port)).unwrap();
    let mut session = rustls::StreamOwned::new(client, tcp);
    session.flush().unwrap();
    while session.conn.is_handshaking() {
        session.conn.complete_io(&mut session.sock).unwrap();
    }
    session
}

#[test]
fn a_stolen_key_holds_no_places_with_sessions_that_say_nothing() {
    const SESSIONS: usize = 8;
    let commune = Commune::start();
    let dir = commune.enrol("loa-1");
    let begun = Instant::now();
    let open = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(SESSIONS));
    for _ in 0..SESSIONS {
        let (mut session, open) = (tls_session(&commune, &dir), std::sync::Arc::clone(&open));
        std::thread::spawn(move || {
            // It ends with an error, or in order; nothing is ever said to it.
            let _ = session.read(&mut [0; 64]);
            open.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
        });
    }
    let still_open = || open.load(std::sync::atomic::Ordering::SeqCst);
    until("those that were followed are ended", || (still_open() <= 2).then_some(()));
    assert!(begun.elapsed() < Duration::from_secs(9), "not by their deadline: {:?}", begun.elapsed());
    // The box itself comes in, and stays when the silent ones end.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (link, event) = runtime.block_on(first_event(commune.link(&dir, "loa-1")));
    assert_eq!(event, LinkEvent::Connected);
    until("the silent ones are ended", || (still_open() == 0).then_some(()));
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert!(link.is_connected());
}

#[test]
fn of_two_sessions_with_one_certificate_the_older_ends() {
    let commune = Commune::start();
    let dir = commune.enrol("loa-1");
    let mut sessions = [tls_session(&commune, &dir), tls_session(&commune, &dir)];
    for session in &mut sessions {
        // MQTT 5, a clean start, no keep-alive.
        let mut packet = b"\x10\x12\0\x04MQTT\x05\x02\0\0\0\0\x05loa-1".to_vec();
        packet[1] = (packet.len() - 2) as u8;
        session.write_all(&packet).unwrap();
        let mut answer = [0; 4];
        session.read_exact(&mut answer).unwrap();
        assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:?}");
    }
    let [mut older, newer] = sessions;
    older.sock.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    if let Err(error) = older.read_to_end(&mut rest) {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "both go on");
    }
    drop(newer);
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
