//! The conformance tests of the protocol, run as another maker would run them: against our own box and our own centre, and
//! against what does not conform.
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::broker::{Broker, Mosquitto};
use crate::support::central::Keys;
use crate::support::free_port;
use crate::support::unit::{BOX_ID, GROUP, Unit};
use loaxa_adapters::keys::KeyFile;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{TrustMessage, VERSION};

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
