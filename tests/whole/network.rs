//! A box on networks that are not as they should be: IPv6 alone with the smallest packets, names that lie, and a login page in
//! place of the world. Each test moves into a network of its own.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    let dir = tempfile::tempdir().unwrap();
    let here = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let mut settings =
        settings(dir.path(), BrokerChoice::Embedded { listen: here, logins: Logins::NameAlone });
    let port = TcpListener::bind(here).unwrap().local_addr().unwrap().port();
    settings.listen = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
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
