//! A box on networks that are not as they should be: IPv6 alone with the smallest packets, names that lie, and a login page in
//! place of the world. Each test moves into a network of its own.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use loaxa_central::Central;
use loaxa_central::settings::{BrokerChoice, Logins};
use loaxa_heart::domain::playback::PlayStart;
use serde_json::json;

use crate::support::commune::*;
use crate::support::unit::Unit;

/// Name of the centre. To a broker of this name a box comes without the two minutes by which boxes spread after a power cut.
const NAME: &str = "localhost";

/// Another address than the centre's, where a stranger answers.
const STRANGER: &str = "fd00::2";

/// Moves this thread, and all that it will start, into a network without IPv4, but for the loopback that every machine has,
/// with packets of 1,280 bytes, and before a file of names of its own.
fn enter_a_network(names: &Path) -> bool {
    let run = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
    };
    let flags = nix::sched::CloneFlags::CLONE_NEWNET | nix::sched::CloneFlags::CLONE_NEWNS;
    let entered = nix::sched::unshare(flags).is_ok()
        && run("mount", &["--make-rprivate", "/"])
        && run("mount", &["--bind", &names.display().to_string(), "/etc/hosts"])
        && run("ip", &["link", "set", "lo", "mtu", "1280", "up"])
        && run("ip", &["addr", "add", &format!("{STRANGER}/128"), "dev", "lo"]);
    if !entered {
        eprintln!("left out: a network of the test's own, which takes root");
    }
    entered
}

/// Lets the centre's name mean an address; the file stays the same one, as it is mounted.
fn name_means(names: &Path, address: &str) {
    std::fs::write(names, format!("{address} {NAME}\n")).unwrap();
}

struct Site {
    /// Holds the centre's data.
    _dir: tempfile::TempDir,
    central: Central,
    unit: Unit,
}

/// A centre on `::1`, and a box that knows it by name.
async fn site() -> Site {
    site_at(Ipv6Addr::LOCALHOST.into()).await
}

/// A centre on this address, and a box that knows it by name.
async fn site_at(address: IpAddr) -> Site {
    let dir = tempfile::tempdir().unwrap();
    let here = SocketAddr::from((address, 0));
    let mut settings =
        settings(dir.path(), BrokerChoice::Embedded { listen: here, logins: Logins::NameAlone });
    let port = TcpListener::bind(here).unwrap().local_addr().unwrap().port();
    settings.listen = SocketAddr::from((address, port));
    settings.public_url = Some(format!("http://{NAME}:{port}"));
    settings.boxes[0].key = None;
    settings.trust_first_use = true;
    let central = start(settings).await;
    let mut unit = Unit::new();
    let port = central.broker_addr().unwrap().port();
    join(&mut unit, format!("{NAME}:{port}"), &trust());
    Site { _dir: dir, central, unit }
}

/// Announces a tone in the village.
async fn announce_tone(central: &Central, title: &str) {
    let fields = json!({ "title": title, "class": "priority", "to": ["thon-1"] });
    let answer = announce(central, &fields, Some(&tone())).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// Waits until a play of this title has begun.
async fn begins(unit: &Unit, title: &str) -> PlayStart {
    until(&format!("{title} to sound\n{}", unit.said()), async || {
        unit.started().into_iter().find(|start| start.title == title)
    })
    .await
}

async fn is_in_contact(unit: &Unit) {
    until(&format!("contact with the centre\n{}", unit.said()), async || {
        unit.status().filter(|status| status.connected).map(drop)
    })
    .await;
}

async fn answered(answers: &AtomicUsize, count: usize) {
    until("the stranger to be asked", async || (answers.load(Ordering::SeqCst) >= count).then_some(())).await;
}

/// A stranger who answers everything by sending to the page on which one pays for the network, in the ways that such have. Counts
/// its answers.
fn portal(port: u16) -> Arc<AtomicUsize> {
    const PAGE: &str = "<html><title>Wi-Fi miễn phí</title>Đăng nhập để dùng mạng</html>";
    const WAYS: [&str; 4] =
        ["403 Forbidden", "511 Network Authentication Required", "302 Found\r\nlocation: /login", "200 OK"];
    let listener = TcpListener::bind((STRANGER, port)).unwrap();
    let answers = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answers);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1_024]);
            let way = WAYS[count.fetch_add(1, Ordering::SeqCst) % WAYS.len()];
            let length = PAGE.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {way}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{PAGE}"
            );
        }
    });
    answers
}

fn names() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let names = dir.path().join("hosts");
    std::fs::write(&names, "").unwrap();
    (dir, names)
}

/// Runs a test in a network of its own; its runtime begins there.
fn in_a_network(test: impl AsyncFnOnce(&Path)) {
    let (_dir, names) = names();
    if enter_a_network(&names) {
        tokio::runtime::Runtime::new().unwrap().block_on(test(&names));
    }
}

#[test]
fn a_box_without_ipv4_and_with_the_smallest_packets_is_reached() {
    in_a_network(async |names| {
        name_means(names, "::1");
        let site = site().await;
        let _running = site.unit.start();
        is_in_contact(&site.unit).await;
        announce_tone(&site.central, "Họp thôn").await;
        assert_eq!(begins(&site.unit, "Họp thôn").await.instead_of, None);
    });
}

#[test]
fn a_login_page_in_place_of_the_centre_is_believed_in_nothing_and_the_box_comes_back_by_itself() {
    in_a_network(async |names| {
        name_means(names, STRANGER);
        let site = site().await;
        let brokers = portal(site.central.broker_addr().unwrap().port());
        let servers = portal(site.central.http_addr().port());
        let _running = site.unit.start();
        answered(&brokers, 2).await;
        assert!(site.unit.status().is_none_or(|status| !status.connected), "{}", site.unit.said());
        name_means(names, "::1");
        is_in_contact(&site.unit).await;

        // The session stands while the name lies again: audio is fetched from the stranger, and is not what was signed.
        name_means(names, STRANGER);
        announce_tone(&site.central, "Họp thôn").await;
        answered(&servers, 4).await;
        assert!(site.unit.started().is_empty(), "{:?}", site.unit.started());
        name_means(names, "::1");
        assert_eq!(begins(&site.unit, "Họp thôn").await.instead_of, None);
    });
}

/// A network beside this one, which two links lead to; it ends with the test.
struct Beside(Child);

impl Beside {
    /// Makes the network of a box with a first link and a second one, which has a route of a higher metric to the centre, as
    /// `docs/operations.md` has it.
    fn make(centre: &str) -> Self {
        let holder = Command::new("unshare").args(["-n", "sleep", "1000"]).spawn().unwrap();
        let network = |id: u32| std::fs::read_link(format!("/proc/{id}/ns/net")).unwrap();
        let own = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        crate::support::eventually("another network", || (network(holder.id()) != own).then_some(()));
        let beside = Self(holder);
        let id = beside.0.id().to_string();
        run("ip", &["addr", "add", &format!("{centre}/32"), "dev", "lo"]);
        beside.run(&["link", "set", "lo", "up"]);
        for (link, metric) in [("1", "100"), ("2", "200")] {
            let (near, far) = (format!("near{link}"), format!("far{link}"));
            run("ip", &["link", "add", &near, "type", "veth", "peer", "name", &far, "netns", &id]);
            run("ip", &["addr", "add", &format!("10.{link}.0.1/24"), "dev", &near]);
            run("ip", &["link", "set", &near, "up"]);
            beside.run(&["addr", "add", &format!("10.{link}.0.2/24"), "dev", &far]);
            beside.run(&["link", "set", &far, "up"]);
            let gateway = format!("10.{link}.0.1");
            beside.run(&["route", "add", centre, "via", &gateway, "dev", &far, "metric", metric]);
        }
        beside
    }

    /// The arguments of `nsenter` for it.
    fn door(&self) -> Vec<String> {
        ["-t", &self.0.id().to_string(), "-n"].map(str::to_owned).into()
    }

    /// Has `ip` do something there.
    fn run(&self, arguments: &[&str]) {
        let door = self.door();
        let all: Vec<&str> =
            door.iter().map(String::as_str).chain(["ip"]).chain(arguments.iter().copied()).collect();
        run("nsenter", &all);
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Leads what comes to an address on to the same port of the loopback.
fn lead_on(address: &str, port: u16) {
    let listener = TcpListener::bind((address, port)).unwrap();
    // Its threads end with the test's process.
    std::thread::spawn(move || {
        for outside in listener.incoming().flatten() {
            let inside = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            for (from, to) in [(&outside, &inside), (&inside, &outside)] {
                let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
}

fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).status().unwrap();
    assert!(done.success(), "{program} {arguments:?}");
}

/// Longest time until an order sounds whose session was on a dead link; by its pings alone a box finds that out after two minutes.
const FOUND_OUT_MAX: Duration = Duration::from_secs(60);

#[test]
fn a_box_whose_first_link_dies_is_back_over_the_second() {
    const CENTRE: &str = "10.9.0.1";
    in_a_network(async |names| {
        name_means(names, CENTRE);
        let beside = Beside::make(CENTRE);
        // Without certificates the centre keeps to its own machine; what leads there stands at its outer address.
        let site = site_at(Ipv4Addr::LOCALHOST.into()).await;
        for port in [site.central.broker_addr().unwrap().port(), site.central.http_addr().port()] {
            lead_on(CENTRE, port);
        }
        let _running = site.unit.start_by("nsenter", &beside.door());
        is_in_contact(&site.unit).await;
        announce_tone(&site.central, "Họp thôn").await;
        begins(&site.unit, "Họp thôn").await;

        // As a modem's program does that lost its network. The session's packets go out over the other link in vain.
        beside.run(&["link", "set", "far1", "down"]);
        let cut = Instant::now();
        announce_tone(&site.central, "Nước lên").await;
        let sounds = || site.unit.started().into_iter().any(|start| start.title == "Nước lên");
        while !sounds() {
            assert!(cut.elapsed() < FOUND_OUT_MAX, "the box stays away:\n{}", site.unit.said());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        println!(
            "an order that was sent when the first link had died sounds after {:.1} s",
            cut.elapsed().as_secs_f64()
        );
    });
}
