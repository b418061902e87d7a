//! The conformance tests of the protocol, run as another maker would run them: against our own box and our own centre, and
//! against what does not conform.
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::broker::{Broker, Mosquitto};
use crate::support::central::Keys;
use crate::support::free_port;
use crate::support::unit::{BOX_ID, GROUP, Unit, box_id};
use loaxa_adapters::keys::{KeyFile, pkcs8_pem};
use loaxa_central::link::certificates::{Ca, Term};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{TrustMessage, VERSION};
use loaxa_heart::wire::signing::SecretKey;

fn loaxa(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loaxa"));
    command.args(arguments).stdin(Stdio::null()).env("LOAXA_LANG", "en");
    command
}

fn prepare(dir: &Path) {
    let output = loaxa(&["conform", "prepare"]).arg(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs the tests; gives whether all passed, and what was printed.
fn conform(side: &str, broker: &impl Broker, more: &[&str]) -> (bool, String) {
    let url = format!("mqtt://127.0.0.1:{}", broker.port());
    let output = loaxa(&["conform", side, "--broker", &url, "--box", BOX_ID]).args(more).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

fn passed(said: &str) -> usize {
    said.lines().filter(|line| line.starts_with("ok ")).count()
}

#[test]
fn our_box_conforms() {
    let broker = Mosquitto::start();
    let mut unit = Unit::new();
    prepare(unit.dir.path());
    unit.link = format!(
        "[central]\nbroker = \"mqtt://127.0.0.1:{}\"\n[trust]\nroot = \"root.pub\"\ntrust = \"trust.json\"\n\
         key = \"box.key\"\n",
        broker.port()
    );
    let running = unit.start();
    let (all_passed, said) = conform("box", &broker, &["--group", GROUP]);
    assert!(all_passed, "{said}");
    assert_eq!(passed(&said), 29, "{said}");
    running.kill();
}

/// The day of this test's certificates.
fn term() -> Term {
    Ca::term(loaxa_adapters::clock::wall().date())
}

#[test]
fn our_box_asks_for_its_certificate_as_the_protocol_says() {
    let mut unit = Unit::new();
    prepare(unit.dir.path());
    let write = |name: &str, text: &str| {
        loaxa_adapters::private_files::write(&unit.path(name), text.as_bytes()).unwrap();
    };
    let identity = Ca::make(term()).unwrap();
    let ca = Ca::open(&identity).unwrap();
    let server = ca.issue_to_server(vec!["localhost".to_owned()], "broker").unwrap();
    let own = SecretKey::from_seed(&[12; 32]);
    let of_box = ca.issue_to_box(&box_id(), &own.public(), (term().0, None)).unwrap();
    write("ca.pem", &identity.certificate);
    write("broker.pem", &server.certificate);
    write("broker.key", &server.key);
    write("own.pem", &of_box.certificate);
    write("own.key", &pkcs8_pem(&own));
    let (port, tls_port) = (free_port(), free_port());
    let path = |name: &str| unit.path(name).display().to_string();
    let broker = Mosquitto::start_with(
        port,
        &format!(
            "user root\nlistener {tls_port} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true",
            path("ca.pem"),
            path("broker.pem"),
            path("broker.key"),
        ),
    );
    unit.link = format!(
        "[central]\nbroker = \"mqtts://localhost:{tls_port}\"\nca = \"ca.pem\"\ncert = \"own.pem\"\nkey = \"own.key\"\n\
         [trust]\nroot = \"root.pub\"\ntrust = \"trust.json\"\nkey = \"box.key\"\n"
    );
    let running = unit.start();
    let (all_passed, said) = conform("box", &broker, &["--group", GROUP, "--renewal"]);
    assert!(all_passed, "{said}");
    assert_eq!(passed(&said), 30, "{said}");
    running.kill();
}

#[test]
fn our_centre_gives_certificates_as_the_protocol_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let [http_port, broker_port] = [(); 2].map(|()| free_port());
    let made = loaxa(&["central", "init", "--commune", "Xã", "--group", "xa", "--demo", "--dir"])
        .arg(path("xa"))
        .output();
    assert!(made.unwrap().status.success());
    let config = path("xa/central.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("0.0.0.0:8883", "127.0.0.1:8883").replace("0.0.0.0:8443", "127.0.0.1:8443");
    let text = text.replace(":8883", &format!(":{broker_port}")).replace(":8443", &format!(":{http_port}"));
    std::fs::write(&config, text).unwrap();
    let mut child = loaxa(&["central", "--config"])
        .arg(&config)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let central = Central { dir, child };
    let path = |name: &str| central.dir.path().join(name);
    let http = format!("https://localhost:{http_port}");
    let said = loaxa(&["central", "invite", BOX_ID, "--title", "Loa", "--group", "xa", "--central", &http])
        .env("LOAXA_TOKEN", std::fs::read_to_string(path("xa/api-token")).unwrap().trim())
        .env("LOAXA_CA", path("xa/ca.pem"))
        .output()
        .unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let code = said.split("--code ").nth(1).unwrap().split_whitespace().next().unwrap();
    // The log's key is that of the conformance tests.
    std::fs::create_dir_all(path("loa/trust")).unwrap();
    KeyFile { key: SecretKey::from_seed(&[7; 32]), holder: None }
        .write_new(&path("loa/trust/box.key"))
        .unwrap();
    let enrolled = loaxa(&["box", "enrol", "--central", &http, "--code", code, "--dir"])
        .arg(path("loa"))
        .arg("--state-dir")
        .arg(path("state"))
        .output()
        .unwrap();
    assert!(enrolled.status.success(), "{}", String::from_utf8_lossy(&enrolled.stderr));
    // The hour between two certificates of a box.
    let database = rusqlite::Connection::open(path("xa/data/central.db")).unwrap();
    database.execute("UPDATE certificates SET issued = issued - 7200000000", []).unwrap();
    drop(database);
    let url = format!("mqtts://localhost:{broker_port}");
    let output = loaxa(&["conform", "central", "--broker", &url, "--box", BOX_ID, "--root"])
        .arg(path("xa/root.pub"))
        .arg("--ca")
        .arg(path("xa/ca.pem"))
        .arg("--identity")
        .args([path("loa/tls/box.pem"), path("loa/tls/box.key")])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert_eq!(passed(&said), 14, "{said}");
}

/// `loaxa central` of the test's keys, with one box whose key is that of the conformance tests.
struct Central {
    dir: tempfile::TempDir,
    child: Child,
}

impl Central {
    fn start(broker: &impl Broker) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::new();
        let path = |name: &str| dir.path().join(name);
        prepare(dir.path());
        std::fs::write(path("root.pub"), format!("public {}\n", keys.root.public())).unwrap();
        let trust = TrustMessage { v: VERSION, trust: keys.trust() };
        std::fs::write(path("trust.json"), codec::seal(&trust, &[&keys.root])).unwrap();
        let key = KeyFile { key: keys.central.clone(), holder: None };
        key.write_new(&path("central.key")).unwrap();
        loaxa_adapters::private_files::write(&path("token"), b"a-token-for-conformance").unwrap();
        let box_key = std::fs::read_to_string(path("box.pub")).unwrap();
        let config = format!(
            "[central]\nlisten = \"127.0.0.1:{}\"\ndata_dir = \"central\"\ncommune = \"Xã Thử\"\ngroup = \"xa\"\n\
             [broker]\nurl = \"mqtt://127.0.0.1:{}\"\n[api]\ntoken_file = \"token\"\n\
             [keys]\ncentral = \"central.key\"\ntrust = \"trust.json\"\n\
             [[group]]\nid = \"xa\"\ntitle = \"Xã\"\n\
             [[box]]\nid = \"{BOX_ID}\"\ntitle = \"Loa\"\ngroups = [\"xa\"]\nkey = \"{}\"\n",
            free_port(),
            broker.port(),
            box_key.trim().trim_start_matches("public "),
        );
        std::fs::write(path("central.toml"), config).unwrap();
        let mut child = loaxa(&["central", "--config"])
            .arg(path("central.toml"))
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(path("said")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said = std::fs::read_to_string(path("said")).unwrap();
        assert!(line.contains("ready"), "central does not start: {said}");
        Self { dir, child }
    }

    fn root(&self) -> String {
        self.dir.path().join("root.pub").display().to_string()
    }
}

impl Drop for Central {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn our_centre_conforms() {
    let broker = Mosquitto::start();
    let central = Central::start(&broker);
    let (all_passed, said) = conform("central", &broker, &["--root", &central.root()]);
    assert!(all_passed, "{said}");
    assert_eq!(passed(&said), 10, "{said}");
}

#[test]
fn what_does_not_conform_fails() {
    let broker = Mosquitto::start();
    let (all_passed, said) = conform("box", &broker, &["--group", GROUP, "--wait", "1"]);
    assert!(!all_passed && said.contains("Bail out! no hello of loa-1 came"), "{said}");

    let url = format!("mqtt://127.0.0.1:{}", broker.port());
    let arguments = [
        "conform", "box", "--broker", &url, "--box", BOX_ID, "--group", GROUP, "--wait", "1", "--lang", "vi",
    ];
    let said = String::from_utf8(loaxa(&arguments).output().unwrap().stdout).unwrap();
    assert!(said.contains("Bail out! không có lời chào nào của loa-1"), "{said}");

    // A centre whose trust document another root has signed.
    let central = Central::start(&broker);
    prepare(central.dir.path());
    let (all_passed, said) = conform("central", &broker, &["--root", &central.root()]);
    assert!(!all_passed && said.contains("not ok 1 "), "{said}");
    assert_eq!(passed(&said), 0, "{said}");
}
