//! Central under attack by hundreds of connections: boxes get in, an emergency goes out, and memory stays bounded.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::commune::*;
use crate::support::staff::look;
use loaxa_central::Central;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::Body;
use loaxa_heart::wire::topics::{Down, Topic};
use serde_json::json;

/// Most memory of central under 2,000 hostile connections, in KiB.
const MEMORY_KIB_MAX: u64 = 200 * 1024;

/// Connections that stay open and say only `words`.
fn idle(to: SocketAddr, count: usize, words: &[u8]) -> Vec<TcpStream> {
    let open = |_| {
        let mut stream = TcpStream::connect_timeout(&to, PATIENCE).ok()?;
        // Central may have closed it already.
        let _ = stream.write_all(words);
        Some(stream)
    };
    (0..count).filter_map(open).collect()
}

/// A box says hello and is welcomed, and an emergency reaches it.
async fn a_box_gets_in_and_an_emergency_out(central: &Central) {
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    loa.hello("n", loa.holds(&[]));
    let welcome = |topic: &Topic, _: &[u8]| matches!(topic, Topic::Down(_, Down::Welcome)).then_some(());
    loa.next("a welcome", welcome).await;
    let fields = json!({ "to": ["xa"], "class": "emergency", "title": "Lũ" });
    let answer = announce(central, &fields, Some(&tone())).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let announced = |topic: &Topic, bytes: &[u8]| {
        let is_command = matches!(topic, Topic::Group(_) | Topic::Down(_, Down::Command));
        let command = is_command.then(|| codec::open_command(bytes, &known_keys).unwrap().payload)?;
        if let Body::Announce { media, .. } = command.body { media } else { None }
    };
    let media = loa.next("the emergency", announced).await;
    assert_eq!(get(central, &format!("/media/{}", media.path), &[]).await.body, tone());
    assert_eq!(look(central, "/").await.status, 200, "staff see the page");
}

async fn central(dir: &tempfile::TempDir) -> Central {
    start(settings(dir.path(), embedded())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_to_the_broker_delay_no_box() {
    let dir = tempfile::tempdir().unwrap();
    let central = central(&dir).await;
    let to = central.broker_addr().unwrap();
    let silent = idle(to, 300, b"");
    let dribbling = idle(to, 300, b"\x10\xff");
    a_box_gets_in_and_an_emergency_out(&central).await;
    drop((silent, dribbling));
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_requests_leave_room_for_staff_and_boxes() {
    let dir = tempfile::tempdir().unwrap();
    let central = central(&dir).await;
    let to = central.http_addr();
    let half = idle(to, 1_500, b"GET / HTTP/1.1\r\nHost: localhost\r\n");
    a_box_gets_in_and_an_emergency_out(&central).await;
    drop(half);
    central.stop().await;
}

/// Requests of which each has a large answer, one behind the other.
const ANSWERS_UNREAD: &[u8] = b"GET /assets/loaxa.css HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_no_answers_leaves_room_for_staff_and_boxes() {
    let dir = tempfile::tempdir().unwrap();
    let central = central(&dir).await;
    let to = central.http_addr();
    let unread = idle(to, 1_500, &ANSWERS_UNREAD.repeat(400));
    let trickling = Arc::new(AtomicBool::new(true));
    let over = Arc::clone(&trickling);
    let reader = std::thread::spawn(move || {
        let mut unread = unread;
        while over.load(Ordering::Relaxed) {
            for stream in &mut unread {
                let _ = stream.set_read_timeout(Some(Duration::from_millis(1)));
                // Whoever was sent away reads nothing more.
                let _ = stream.read(&mut [0; 16]);
            }
        }
    });
    a_box_gets_in_and_an_emergency_out(&central).await;
    trickling.store(false, Ordering::Relaxed);
    reader.join().unwrap();
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_come_again_and_again_keep_nobody_out() {
    let dir = tempfile::tempdir().unwrap();
    let central = central(&dir).await;
    let over = Arc::new(AtomicBool::new(false));
    let attack = |to: SocketAddr, words: &'static [u8]| {
        let over = Arc::clone(&over);
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                drop(idle(to, 50, words));
            }
        })
    };
    let attackers = [
        attack(central.broker_addr().unwrap(), b"\x10"),
        attack(central.http_addr(), b"POST /api/v1/cap HTTP/1.1\r\n"),
    ];
    a_box_gets_in_and_an_emergency_out(&central).await;
    over.store(true, Ordering::Relaxed);
    for attacker in attackers {
        attacker.join().unwrap();
    }
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_not_awaited_from_whoever_shows_no_token() {
    let dir = tempfile::tempdir().unwrap();
    let central = central(&dir).await;
    for path in [
        "/api/v1/cap",
        "/api/v1/announcements",
        "/api/v1/media?name=x",
        "/api/v1/live?to=xa",
        "/api/v1/stop",
        "/api/v1/drafts",
    ] {
        let mut stream = TcpStream::connect(central.http_addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let kind = "Content-Type: multipart/form-data; boundary=b";
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: localhost\r\n{kind}\r\nContent-Length: 200000\r\n\r\nx"
        )
        .unwrap();
        let answer = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).unwrap();
            line
        });
        let line = answer.await.unwrap();
        assert!(line.starts_with("HTTP/1.1 401"), "{path}: {line:?}");
    }
    central.stop().await;
}

/// Central as its own process with few descriptors; ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Most memory that it had so far.
    fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// Starts it in a new folder with at most 1,024 descriptors; gives where its page and its broker are.
fn run(dir: &std::path::Path) -> (Running, SocketAddr, SocketAddr) {
    let made = Command::new(env!("CARGO_BIN_EXE_loaxa"))
        .args(["central", "init", "--commune", "Xã Thử", "--group", "xa", "--demo", "--dir"])
        .arg(dir.join("xa"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let config = dir.join("xa/central.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("0.0.0.0:8443", "127.0.0.1:0").replace("0.0.0.0:8883", "127.0.0.1:0");
    std::fs::write(&config, text).unwrap();
    let command = "ulimit -n 1024; exec \"$0\" central --config \"$1\"";
    let child = Command::new("sh")
        .args(["-c", command, env!("CARGO_BIN_EXE_loaxa")])
        .arg(&config)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address =
        |key: &str| line.split_whitespace().find_map(|word| word.strip_prefix(key)).unwrap().parse();
    let (page, broker) = (address("https=").unwrap(), address("mqtt=").unwrap());
    (running, page, broker)
}

#[test]
fn two_thousand_hostile_connections_use_neither_memory_nor_descriptors_up() {
    let dir = tempfile::tempdir().unwrap();
    let (running, page, broker) = run(dir.path());
    let hello = [&[0x16, 3, 1, 0x40, 0][..], &[1; 4_096]].concat();
    let hostile = [idle(page, 1_000, &hello), idle(broker, 1_000, &hello)];
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca = std::fs::read(dir.path().join("xa/ca.pem")).unwrap();
    let ca = ureq::tls::Certificate::from_pem(&ca).unwrap();
    let tls = ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::new_with_certs(&[ca])).build();
    let config = ureq::Agent::config_builder().tls_config(tls).timeout_global(Some(Duration::from_secs(20)));
    let agent: ureq::Agent = config.build().into();
    let mut health = agent.get(format!("https://{page}/healthz")).call().unwrap();
    assert_eq!(health.body_mut().read_to_string().unwrap(), "ok\n");
    let memory = running.memory_kib();
    println!(
        "central had {} MB at most under {} hostile connections",
        memory / 1_024,
        hostile.iter().map(Vec::len).sum::<usize>()
    );
    assert!(memory < MEMORY_KIB_MAX, "{memory} KiB");
}
