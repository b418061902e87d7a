//! Certificates of boxes are renewed over the wire: real processes, the real gate, certificates that end soon or have ended.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::commune::{ScriptedBox, embedded, key, known_keys, settings, start};
use crate::support::eventually;
use loaxa_adapters::certificate::{first_of, is_for, names, validity};
use loaxa_adapters::keys::{KeyFile, pkcs8_pem};
use loaxa_adapters::mqtt::{Link, LinkConfig, LinkEvent};
use loaxa_box::local_socket;
use loaxa_central::Central;
use loaxa_central::link::certificates::{Ca, Term};
use loaxa_central::settings::{Enrolment, Identity};
use loaxa_heart::domain::ids::{BoxId, ContentHash};
use loaxa_heart::domain::time::Span;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::renewal::{Renewal, Renewed};
use loaxa_heart::wire::topics::{Down, Topic, Up};
use rusqlite::{Connection, params};
use serde_json::json;

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A commune whose box has the certificate of this many days, counted from today.
struct Commune {
    dir: tempfile::TempDir,
    broker_port: u16,
    http: String,
    central: Process,
}

fn loaxa() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loaxa"));
    command.stdin(Stdio::null()).env("LOAXA_LANG", "en").stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Starts the centre of a folder; gives the address of its pages, too.
fn start_central(config: &Path) -> (Process, String) {
    let child = loaxa().args(["central", "--config"]).arg(config).stdout(Stdio::piped()).spawn().unwrap();
    let mut central = Process(child);
    let mut line = String::new();
    BufReader::new(central.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let http = line.split("https=").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    let http = format!("https://{http}");
    (central, http)
}

impl Commune {
    fn start(days_left: i64, expired: &str) -> Self {
        let this = Self::of_authority(expired, None);
        this.end_in(days_left);
        this
    }

    /// A commune whose authority has this term, with a box that was just enrolled.
    fn of_authority(expired: &str, term: Option<Term>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (xa, loa) = (dir.path().join("xa"), dir.path().join("loa-1"));
        let made = loaxa()
            .args(["central", "init", "--commune", "Xã", "--group", "xa", "--demo", "--dir"])
            .arg(&xa)
            .status();
        assert!(made.unwrap().success());
        let [broker_port, http_port] = [(); 2].map(|()| crate::support::free_port());
        let config = xa.join("central.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        let text = text
            .replace("0.0.0.0:8443", &format!("127.0.0.1:{http_port}"))
            .replace(":8443", &format!(":{http_port}"))
            .replace("0.0.0.0:8883", &format!("127.0.0.1:{broker_port}"))
            .replace("localhost:8883", &format!("localhost:{broker_port}"))
            .replace("[enrolment]\n", &format!("[enrolment]\nexpired_certificates = \"{expired}\"\n"));
        std::fs::write(&config, text).unwrap();
        if let Some(term) = term {
            let made = Ca::make(term).unwrap();
            std::fs::write(xa.join("ca.pem"), made.certificate).unwrap();
            std::fs::write(xa.join("ca.key"), made.key).unwrap();
        }
        let (central, http) = start_central(&config);
        let this = Self { dir, broker_port, http: http.clone(), central };
        let code = this.code(&http);
        let enrolled = loaxa()
            .args(["box", "enrol", "--central", &http, "--code", &code, "--dir"])
            .arg(&loa)
            .arg("--state-dir")
            .arg(loa.join("state"))
            .status();
        assert!(enrolled.unwrap().success());
        this
    }

    /// Ends the centre and starts it again.
    fn restart_central(&mut self) {
        let _ = self.central.0.kill();
        let _ = self.central.0.wait();
        (self.central, self.http) = start_central(&self.file("xa/central.toml"));
    }

    /// Has `loaxa central authority` do or show something; gives whether all is well, and what it says.
    fn authority(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = loaxa();
        command.args(["central", "authority", "--config"]).arg(self.file("xa/central.toml")).args(arguments);
        let output = command.stdout(Stdio::piped()).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    fn metrics(&self) -> String {
        let token = std::fs::read_to_string(self.file("xa/api-token")).unwrap();
        let request = self.agent().get(format!("{}/api/v1/metrics", self.http));
        let request = request.header("authorization", format!("Bearer {}", token.trim()));
        request.call().unwrap().body_mut().read_to_string().unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A way to the centre by the authority that issues now.
    fn agent(&self) -> ureq::Agent {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ca = ureq::tls::Certificate::from_pem(&std::fs::read(self.file("xa/ca.pem")).unwrap()).unwrap();
        let roots = ureq::tls::RootCerts::new_with_certs(&[ca]);
        let tls = ureq::tls::TlsConfig::builder().root_certs(roots).build();
        ureq::Agent::config_builder().tls_config(tls).build().into()
    }

    fn code(&self, http: &str) -> String {
        let agent = self.agent();
        let token = std::fs::read_to_string(self.file("xa/api-token")).unwrap();
        let asked = json!({ "box": "loa-1", "title": "Cụm loa", "groups": ["xa"] });
        let request = agent
            .post(format!("{http}/api/v1/enrolments"))
            .header("authorization", format!("Bearer {}", token.trim()))
            .header("content-type", "application/json");
        let text = request.send(asked.to_string()).unwrap().body_mut().read_to_string().unwrap();
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        answer["code"].as_str().unwrap().to_owned()
    }

    fn database(&self) -> Connection {
        let database = Connection::open(self.file("xa/data/central.db")).unwrap();
        database.busy_timeout(Duration::from_secs(60)).unwrap();
        database
    }

    /// Puts a certificate of the commune's authority that ends then in place of the box's.
    fn end_in(&self, days: i64) {
        let read = |name: &str| std::fs::read_to_string(self.file(name)).unwrap();
        let ca = Ca::open(&Identity { certificate: read("xa/ca.pem"), key: read("xa/ca.key") }).unwrap();
        let own = KeyFile::read(&self.file("loa-1/trust/tls.key")).unwrap().key.public();
        let now = loaxa_adapters::clock::wall();
        let begun = now.minus(Span::secs(100 * 86_400)).date();
        let made = ca.issue_to_box(&BoxId::new("loa-1").unwrap(), &own, (begun, Some((100 + days) as u16)));
        let made = made.unwrap();
        std::fs::write(self.file("loa-1/tls/box.pem"), &made.certificate).unwrap();
        let (fingerprint, issued) = (made.fingerprint.to_string(), now.0 - 90 * 86_400_000_000);
        let database = self.database();
        database.execute("DELETE FROM certificate_serials", []).unwrap();
        database.execute("DELETE FROM certificates", []).unwrap();
        let add = "INSERT INTO certificates (fingerprint, box, issued) VALUES (?1, 'loa-1', ?2)";
        database.execute(add, params![fingerprint, issued]).unwrap();
        let add = "INSERT INTO certificate_serials (fingerprint, serial) VALUES (?1, ?2)";
        database.execute(add, params![fingerprint, made.serial]).unwrap();
    }

    fn start_box(&self) -> Process {
        let config = self.file("loa-1/box.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text.replace("alsa:default", "null")).unwrap();
        Process(loaxa().args(["box", "--config"]).arg(config).spawn().unwrap())
    }

    fn await_contact(&self) {
        let state = self.file("loa-1/state");
        eventually("contact", || local_socket::ask(&state).ok().filter(|status| status.connected));
    }

    /// Waits for the renewed certificate, and checks that the box shows it: nothing else of it is good any more.
    fn check_renewed(&self) {
        let identity = self.file("loa-1/state/identity.pem");
        let text = eventually("a new certificate", || std::fs::read(&identity).ok());
        let fresh = first_of(&text).unwrap();
        assert!(
            validity(&fresh).unwrap().ends > loaxa_adapters::clock::wall().plus(Span::secs(365 * 86_400))
        );
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&identity).unwrap().permissions().mode() & 0o777, 0o600);
        let before = std::fs::read(self.file("loa-1/tls/box.pem")).unwrap();
        let before = ContentHash::of(&first_of(&before).unwrap()).to_string();
        let revoke = "UPDATE certificates SET revoked = 1 WHERE fingerprint = ?1";
        assert_eq!(self.database().execute(revoke, [before]).unwrap(), 1);
    }

    fn alarms(&self, kind: &str) -> i64 {
        let count = "SELECT count(*) FROM alarms WHERE kind = ?1";
        self.database().query_row(count, [kind], |row| row.get(0)).unwrap()
    }

    /// A client with the box's first certificate.
    fn link(&self, dir: &Path) -> LinkConfig {
        let broker = format!("mqtts://localhost:{}", self.broker_port).parse().unwrap();
        let mut config = LinkConfig::new(broker, "loa-1");
        config.ca = Some(dir.join("tls/ca.pem"));
        config.identity = Some((dir.join("tls/box.pem"), dir.join("tls/box.key")));
        config
    }
}

#[test]
fn a_certificate_that_ends_soon_is_renewed_without_a_restart() {
    let commune = Commune::start(50, "renew");
    let running = commune.start_box();
    commune.check_renewed();
    assert_eq!(commune.alarms("expired_certificate"), 0);
    // The session went over to it in the same process; only one broker took it as loa-1.
    let state = commune.file("loa-1/state");
    commune.await_contact();
    drop(running);
    let _again = commune.start_box();
    eventually("contact by the new one alone", || {
        local_socket::ask(&state).ok().filter(|status| status.connected)
    });
}

#[test]
fn one_that_is_good_for_long_is_not() {
    let commune = Commune::start(70, "renew");
    let _running = commune.start_box();
    let welcomed = |status: &loaxa_box::status::Status| status.connected && status.backlog == 0;
    let state = commune.file("loa-1/state");
    eventually("a log that is home", || local_socket::ask(&state).ok().filter(welcomed));
    assert!(!state.join("identity.pem").exists());
}

#[test]
fn one_that_is_of_no_use_leaves_the_one_of_the_configuration() {
    let commune = Commune::start(70, "renew");
    let state = commune.file("loa-1/state");
    let read = |name: &str| std::fs::read_to_string(commune.file(name)).unwrap();
    std::fs::create_dir_all(&state).unwrap();
    let own = read("loa-1/tls/box.pem");
    let damaged = own.replacen("MII", "", 1);
    let with_another_key = format!("{own}\n{}", pkcs8_pem(&key(7)));
    for text in [String::new(), damaged, own, with_another_key] {
        std::fs::write(state.join("identity.pem"), text).unwrap();
        let _running = commune.start_box();
        commune.await_contact();
    }
}

#[test]
fn an_expired_one_keeps_no_emergency_away_and_is_told_and_renewed() {
    let commune = Commune::start(-3, "renew");
    let running = commune.start_box();
    commune.check_renewed();
    assert_eq!(commune.alarms("expired_certificate"), 1);
    drop(running);
    let _again = commune.start_box();
    commune.await_contact();
}

#[test]
fn by_policy_an_expired_one_opens_nothing_and_a_revoked_one_never_does() {
    let first = first_event;
    let refusing = Commune::start(-3, "refuse");
    let event = first(refusing.link(&refusing.file("loa-1")));
    assert!(matches!(event, LinkEvent::Disconnected { .. }), "{event:?}");
    let renewing = Commune::start(-3, "renew");
    assert_eq!(first(renewing.link(&renewing.file("loa-1"))), LinkEvent::Connected);
    // A later one is there: whoever shows the expired one is another.
    let database = renewing.database();
    let later = "INSERT INTO certificates (fingerprint, box, issued) VALUES ('later', 'loa-1', 9e15)";
    database.execute(later, []).unwrap();
    assert!(matches!(first(renewing.link(&renewing.file("loa-1"))), LinkEvent::Disconnected { .. }));
    database.execute("DELETE FROM certificates WHERE fingerprint = 'later'", []).unwrap();
    database.execute("UPDATE certificates SET revoked = 1", []).unwrap();
    assert!(matches!(first(renewing.link(&renewing.file("loa-1"))), LinkEvent::Disconnected { .. }));
}

/// The first connection of a client, and what it meets.
fn first_event(config: LinkConfig) -> LinkEvent {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (_link, mut events) = Link::connect(config).unwrap();
        tokio::time::timeout(Duration::from_secs(60), events.recv()).await.unwrap().unwrap()
    })
}

/// Nineteen years and eleven months after a commune began: its authority is followed by another, and then left out, while a box
/// runs and nobody goes there.
#[test]
fn an_authority_that_ends_is_followed_by_another_without_a_journey() {
    let now = loaxa_adapters::clock::wall();
    let term = (now.minus(Span::secs(19 * 365 * 86_400)).date(), now.plus(Span::secs(20 * 86_400)).date());
    let mut commune = Commune::of_authority("renew", Some(term));
    let (well, said) = commune.authority(&[]);
    assert!(
        !well && said.contains("Loa Xa CA: issues certificates") && said.contains("authority --renew"),
        "{said}"
    );
    let ends = format!(
        "loaxa_certificate_ends_timestamp_seconds{{of=\"authority\"}} {}",
        term.1.and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp()
    );
    let metrics = commune.metrics();
    assert!(metrics.contains(&ends), "{ends} in {metrics}");
    let open = "SELECT count(*) FROM troubles WHERE what LIKE 'authority_ends%' AND ended IS NULL";
    let told =
        |commune: &Commune| commune.database().query_row(open, [], |row| row.get::<_, u32>(0)).unwrap();
    eventually("the trouble", || (told(&commune) == 1).then_some(()));

    let mut running = commune.start_box();
    commune.await_contact();
    let state = commune.file("loa-1/state");
    assert!(!state.join("authorities.pem").exists(), "nothing is new yet");
    // The hour between two certificates of a box.
    let earlier = "UPDATE certificates SET issued = issued - 7200000000";
    commune.database().execute(earlier, []).unwrap();
    let first = commune.file("xa/ca.pem");
    let before = std::fs::read(&first).unwrap();
    let (well, said) = commune.authority(&["--renew"]);
    assert!(well && said.contains("Loa Xa CA: an earlier one that is still good"), "{said}");
    commune.restart_central();
    let learnt =
        eventually("the new authority on the box", || std::fs::read(state.join("authorities.pem")).ok());
    assert_eq!(learnt, std::fs::read(&first).unwrap());
    let issuer = |path: &Path| names(&first_of(&std::fs::read(path).unwrap()).unwrap()).unwrap().0;
    assert_eq!(issuer(&commune.file("loa-1/tls/box.pem")), "Loa Xa CA");
    eventually("a certificate of it", || {
        let path = state.join("identity.pem");
        (path.exists() && issuer(&path).starts_with("Loa Xa CA 2")).then_some(())
    });
    commune.await_contact();
    // A box that was off meanwhile comes in by what the old one says of the new one.
    assert_eq!(first_event(commune.link(&commune.file("loa-1"))), LinkEvent::Connected);
    eventually("the end of the trouble", || (told(&commune) == 0).then_some(()));

    let (well, said) = commune.authority(&["--alone"]);
    assert!(well && !said.contains("an earlier one"), "{said}");
    commune.restart_central();
    eventually("contact by the new one alone", || {
        local_socket::ask(&state).ok().filter(|status| status.connected && status.backlog == 0)
    });
    let audio = commune.dir.path().join("tone.wav");
    crate::support::listen::write_tone(&audio, 500.0, 1.0);
    let sent = loaxa()
        .args(["announce", "--to", "xa", "--title", "Thử", "--audio"])
        .arg(&audio)
        .args(["--central", &commune.http])
        .env("LOAXA_TOKEN", std::fs::read_to_string(commune.file("xa/api-token")).unwrap().trim())
        .env("LOAXA_CA", &first)
        .status();
    assert!(sent.unwrap().success());
    // Over HTTPS, by the same process.
    let name = ContentHash::of(&std::fs::read(&audio).unwrap()).to_string();
    eventually("its audio", || state.join("media").join(&name[..2]).join(&name).exists().then_some(()));
    assert!(running.0.try_wait().unwrap().is_none(), "the box was not started again");
    std::fs::write(commune.file("loa-1/tls/ca.pem"), before).unwrap();
    let event = first_event(commune.link(&commune.file("loa-1")));
    assert!(matches!(event, LinkEvent::Disconnected { .. }), "the old one is left out: {event:?}");
}

/// A central that enrols, and the hash of the certificate that `loa-1` has for long.
async fn central(dir: &Path) -> (Central, ContentHash) {
    let mut settings = settings(dir, embedded());
    settings.enrolment = Some(Enrolment {
        ca: Ca::make(Ca::term(loaxa_adapters::clock::wall().date())).unwrap(),
        root: key(100).public(),
        broker: "mqtts://localhost:8883".parse().unwrap(),
        crl: dir.join("crl.pem"),
        certificate_days: Some(90),
        refuse_expired: false,
    });
    let central = start(settings).await;
    let (present, issued) = (ContentHash([1; 32]), loaxa_adapters::clock::wall().minus(Span::secs(7_200)));
    let id = BoxId::new("loa-1").unwrap();
    central.store().add_certificate(present, [0x42; 16], id, issued).await.unwrap();
    (central, present)
}

fn certificate(topic: &Topic, bytes: &[u8]) -> Option<Renewed> {
    let is_one = matches!(topic, Topic::Down(_, Down::Certificate));
    is_one.then(|| codec::open::<Renewed>(bytes, &known_keys).expect("signed by central").payload)
}

/// Waits until central has raised so many alarms of this kind about a box.
async fn alarmed(central: &Central, kind: &str, times: u64) {
    crate::support::commune::until(kind, async || {
        let alarms = central.store().alarms(20).await.unwrap();
        alarms.iter().any(|alarm| alarm.kind.code() == kind && alarm.count >= times).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_for_the_box_that_asks_with_its_own_keys_and_once_an_hour() {
    let dir = tempfile::tempdir().unwrap();
    let (central, present) = central(dir.path()).await;
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    let asked = |nonce: &str, present, id: &str| {
        Renewal::new(id.parse().unwrap(), nonce.to_owned(), present, &key(50))
    };
    let say =
        |loa: &ScriptedBox, asked: &Renewal, by: u8| loa.say(Up::Renew, codec::seal(asked, &[&key(by)]));
    say(&loa, &asked("a", present, "loa-1"), 12);
    say(&loa, &asked("b", present, "loa-2"), 11);
    let unproven = Renewal { tls_key: key(51).public().to_string(), ..asked("c", present, "loa-1") };
    say(&loa, &unproven, 11);
    alarmed(&central, "bad_log", 3).await;
    say(&loa, &asked("d", ContentHash([9; 32]), "loa-1"), 11);
    alarmed(&central, "too_much", 1).await;
    say(&loa, &asked("e", present, "loa-1"), 11);
    let renewed = loa.next("a certificate", certificate).await;
    assert_eq!(renewed.nonce, "e", "nothing else was answered");
    let fresh = first_of(renewed.certificate.as_bytes()).unwrap();
    assert!(is_for(&fresh, &key(50).public()));
    let days = (validity(&fresh).unwrap().ends - loaxa_adapters::clock::wall()) / 86_400_000_000;
    assert!((88..=90).contains(&days), "{days}");
    // The answer may be lost: both are good. Within the hour there is no other.
    let id = Some(BoxId::new("loa-1").unwrap());
    let certified = async |hash| central.store().certified(hash).await.unwrap();
    assert_eq!((certified(present).await, certified(ContentHash::of(&fresh)).await), (id.clone(), id));
    say(&loa, &asked("f", present, "loa-1"), 11);
    alarmed(&central, "too_much", 2).await;
    // Two hours later the answer that was lost is asked for again, and the one of before is revoked.
    let database = Connection::open(dir.path().join("central.db")).unwrap();
    database.execute("UPDATE certificates SET issued = issued - 7200000000", []).unwrap();
    say(&loa, &asked("g", present, "loa-1"), 11);
    assert_eq!(loa.next("another", certificate).await.nonce, "g");
    assert_eq!(certified(ContentHash::of(&fresh)).await, None);
    assert!(certified(present).await.is_some());
    // A box that was shut out gets none.
    database.execute("UPDATE certificates SET issued = issued - 7200000000", []).unwrap();
    central.store().revoke_box("loa-1".parse().unwrap(), loaxa_adapters::clock::wall()).await.unwrap();
    say(&loa, &asked("h", present, "loa-1"), 11);
    alarmed(&central, "unknown_box", 1).await;
    central.stop().await;
}
