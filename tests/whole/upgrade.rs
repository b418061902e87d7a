//! Upgrades over the air: the real centre, and a real box under a supervisor that starts it again and again.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::commune::*;
use crate::support::staff::Staff;
use crate::support::unit::Unit;
use loaxa_central::Central;
use loaxa_central::store::Role;
use loaxa_heart::domain::authority::{Power, Trust};
use loaxa_heart::domain::ids::ContentHash;
use serde_json::Value;

/// An and Bình may order releases.
fn with_software(trust: &mut Trust) {
    for grant in trust.grants.iter_mut().filter(|grant| grant.holder != "Trung tâm") {
        grant.powers.insert(Power::Software);
    }
}

/// A box of the commune that is launched as its unit does.
fn unit_of(central: &Central) -> Unit {
    let mut unit = Unit::new();
    unit.groups = vec!["thon-1", "xa"];
    std::fs::write(unit.path("root.pub"), format!("public {}\n", key(100).public())).unwrap();
    std::fs::write(unit.path("trust.json"), trust_of(with_software)).unwrap();
    unit.link = format!(
        "[central]\nbroker = \"mqtt://loa-1:x@{}\"\n[media]\nnight = \"any\"\n\
         [trust]\nroot = \"root.pub\"\ntrust = \"trust.json\"\nkey = \"box.key\"\n",
        central.broker_addr().unwrap()
    );
    std::fs::write(unit.path("box.toml"), unit.box_toml()).unwrap();
    unit
}

/// A supervisor that starts the launcher whenever its program has ended, as systemd does; it ends with the test.
struct Supervisor {
    stops: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Supervisor {
    fn start(unit: &Unit) -> Self {
        let stops = Arc::<AtomicBool>::default();
        let stopped = stops.clone();
        let said = std::fs::OpenOptions::new().create(true).append(true).open(unit.path("said")).unwrap();
        let mut command = unit.command(&["box", "launch"]);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let mut child = command.stderr(Stdio::from(said.try_clone().unwrap())).spawn().unwrap();
                while child.try_wait().unwrap().is_none() {
                    if stopped.load(Ordering::Relaxed) {
                        end(&mut child);
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        });
        Self { stops, thread: Some(thread) }
    }
}

fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// Makes a program of its own hash that does what the shell script `box` beside it says: a copy of the shell, for the
/// launcher gives it the argument `box`. Nobody reads the bytes behind a program.
fn program(dir: &Path, name: &str) -> (PathBuf, ContentHash) {
    let path = dir.join(name);
    std::fs::copy("/bin/sh", &path).unwrap();
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(name.as_bytes()).unwrap();
    let hash = ContentHash::of(&std::fs::read(&path).unwrap());
    (path, hash)
}

async fn staff(central: &Central, dir: &Path, arguments: &[&str]) -> String {
    loaxa_adapters::private_files::write(&dir.join("token"), TOKEN.as_bytes()).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_loaxa"));
    command.args(arguments).args(["--lang", "en", "--central", &format!("http://{}", central.http_addr())]);
    command.args(["--token-file", "token"]).current_dir(dir);
    let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    String::from_utf8([done.stdout, done.stderr].concat()).unwrap()
}

/// Waits until the box is where it should be, and runs what it should.
async fn becomes(central: &Central, unit: &Unit, fate: &str, software: &str) -> Value {
    let what = format!("{fate} with {software}");
    let ask = async || {
        let told = get_api(central, "/api/v1/software").await.json();
        let row = told["boxes"].as_array()?.first()?.clone();
        (row["fate"] == fate && row["software"] == software).then_some(told)
    };
    for _ in 0..4 {
        if let Ok(told) = tokio::time::timeout(PATIENCE, until_ever(&ask)).await {
            return told;
        }
    }
    let told = get_api(central, "/api/v1/software").await.json();
    panic!("the box never becomes {what}: {told}\n{}", unit.said());
}

async fn until_ever<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn central_with(dir: &Path) -> Central {
    let mut settings = settings(dir, embedded());
    settings.boxes.truncate(1);
    settings.boxes[0].key = None;
    settings.trust_first_use = true;
    settings.keys.trust = trust_of(with_software);
    start(settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_takes_a_healthy_release_and_goes_back_from_one_that_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let central = central_with(dir.path()).await;
    let unit = unit_of(&central);
    let desk = tempfile::tempdir().unwrap();
    let (_, good) = program(desk.path(), "good");
    let (_, bad) = program(desk.path(), "bad");
    program(desk.path(), "older");
    let (foreign, _) = program(desk.path(), "foreign");
    let mut bytes = std::fs::read(&foreign).unwrap();
    // RISC-V, of which nobody has a box here.
    bytes[18..20].copy_from_slice(&[243, 0]);
    std::fs::write(&foreign, bytes).unwrap();
    let script = format!(
        "case $LOAXA_VERSION in {bad}) exit 3;; esac\nexec {} box \"$@\"\n",
        env!("CARGO_BIN_EXE_loaxa")
    );
    std::fs::write(unit.path("box"), script).unwrap();
    let supervisor = Supervisor::start(&unit);
    until("the box is known", async || {
        let boxes = get_api(&central, "/api/v1/boxes").await.json();
        (boxes[0]["software"] == env!("CARGO_PKG_VERSION")).then_some(())
    })
    .await;

    let publish = async |file: &str, release: &str, more: &[&str]| {
        let arguments = ["software", "publish", file, "--release", release, "--wave", "xa"];
        staff(&central, desk.path(), &[&arguments, more].concat()).await
    };
    let said = publish("good", "7.1.0", &["--author", "An"]).await;
    assert!(said.starts_with("published release 7.1.0 in 1 waves for 1 boxes"), "{said}");
    let told = becomes(&central, &unit, "done", "7.1.0").await;
    let builds = told["plan"]["builds"].as_object().unwrap();
    assert!(builds.values().all(|build| build["sha256"] == good.to_string()), "{builds:?}");
    until("the rollout is finished", async || {
        let told = get_api(&central, "/api/v1/software").await.json();
        (told["state"] == "finished").then_some(())
    })
    .await;

    // The old program runs again, and the failure stops the rollout.
    publish("bad", "7.2.0", &["--failures", "1"]).await;
    let told = becomes(&central, &unit, "failed", "7.1.0").await;
    assert_eq!(told["boxes"][0]["why"], "ended");
    until("the rollout has stopped", async || {
        let told = get_api(&central, "/api/v1/software").await.json();
        (told["state"] == "stopped").then_some(())
    })
    .await;
    let lan = Staff::make(&central, "lan", &[(Role::Technician, "xa")]).await;
    let page = lan.get(&central, "/phan-mem").await;
    let shows = ["Phiên bản 7.2.0", "không thành công, đã quay về bản cũ", "chương trình tự tắt nhiều lần"];
    for words in shows {
        assert!(page.text().contains(words), "{words} is not on the page:\n{}", page.text());
    }
    // Nothing is tried of an older release, and of one for another machine nothing is even fetched.
    publish("older", "7.0.5", &[]).await;
    let told = becomes(&central, &unit, "refused", "7.1.0").await;
    assert_eq!(told["boxes"][0]["why"], "older");
    publish("foreign", "7.3.0", &[]).await;
    let told = becomes(&central, &unit, "refused", "7.1.0").await;
    assert_eq!(told["plan"]["release"], "7.3.0");
    assert_eq!(told["boxes"][0]["why"], "architecture");
    drop(supervisor);
    central.stop().await;
}

/// Bytes of a box's program on arm64, and of a second of a weak 4G link, 1 Mbit/s.
const PROGRAM_BYTES: usize = 11_646_000;
const LINK_BYTES_A_SECOND: usize = 125_000;

/// A way to the centre's pages that is as slow as a link; gives the bytes that came over it.
fn slow_link(port: u16, to: SocketAddr) -> Arc<AtomicU64> {
    const PIECE: usize = LINK_BYTES_A_SECOND / 50;
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let passed = Arc::<AtomicU64>::default();
    let count = Arc::clone(&passed);
    // Its threads end with the test's process.
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(to).unwrap();
            let (mut asks, mut asked) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut asks, &mut asked));
            let (mut from, mut to, count) = (server, client, Arc::clone(&count));
            std::thread::spawn(move || {
                let (mut piece, begun, mut sent) = ([0; PIECE], Instant::now(), 0);
                while let Ok(bytes @ 1..) = from.read(&mut piece) {
                    if to.write_all(&piece[..bytes]).is_err() {
                        return;
                    }
                    sent += bytes;
                    count.fetch_add(bytes as u64, Ordering::Relaxed);
                    let due = Duration::from_secs_f64(sent as f64 / LINK_BYTES_A_SECOND as f64);
                    std::thread::sleep(due.saturating_sub(begun.elapsed()));
                }
                let _ = to.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    passed
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures for BENCHMARKS.md, minutes long"]
async fn an_upgrade_over_one_megabit_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.boxes.truncate(1);
    settings.boxes[0].key = None;
    settings.trust_first_use = true;
    settings.keys.trust = trust_of(with_software);
    let port = crate::support::free_port();
    settings.public_url = Some(format!("http://127.0.0.1:{port}"));
    let central = start(settings).await;
    let passed = slow_link(port, central.http_addr());
    let unit = unit_of(&central);
    let desk = tempfile::tempdir().unwrap();
    let (good, _) = program(desk.path(), "good");
    let mut bytes = std::fs::read(&good).unwrap();
    // What packs no better than a program that is packed already.
    let mut noise = 1_u64;
    bytes.resize_with(PROGRAM_BYTES, || {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (noise >> 33) as u8
    });
    std::fs::write(&good, bytes).unwrap();
    std::fs::write(unit.path("box"), format!("exec {} box \"$@\"\n", env!("CARGO_BIN_EXE_loaxa"))).unwrap();
    let supervisor = Supervisor::start(&unit);
    until("the box is known", async || {
        let boxes = get_api(&central, "/api/v1/boxes").await.json();
        (boxes[0]["software"] == env!("CARGO_PKG_VERSION")).then_some(())
    })
    .await;
    let before = passed.load(Ordering::Relaxed);
    let arguments = ["software", "publish", "good", "--release", "7.1.0", "--wave", "xa", "--author", "An"];
    let said = staff(&central, desk.path(), &arguments).await;
    assert!(said.starts_with("published release 7.1.0"), "{said}");
    let ordered = Instant::now();
    becomes(&central, &unit, "done", "7.1.0").await;
    println!(
        "a program of {PROGRAM_BYTES} bytes: {} bytes came over the link, and {:.1} s after the order it runs and is healthy",
        passed.load(Ordering::Relaxed) - before,
        ordered.elapsed().as_secs_f64()
    );
    drop(supervisor);
    central.stop().await;
}
