//! The link against a real mosquitto, and against a broker that lies.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use loaxa_adapters::mqtt::{Link, LinkConfig, LinkError, LinkEvent, Qos};
use loaxa_heart::domain::ids::BoxId;
use loaxa_heart::wire::messages::MESSAGE_BYTES_MAX;
use loaxa_heart::wire::topics::{self, Down, Topic, Up};
use tokio::sync::mpsc::Receiver;

use crate::support::broker::{self, Broker};

const DEADLINE: Duration = Duration::from_secs(60);

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A mosquitto with settings of a test, with which it ends.
struct Mosquitto {
    child: Child,
    _config: tempfile::NamedTempFile,
}

impl Mosquitto {
    fn start_with(port: u16, of_the_listener: &str) -> Self {
        let mut config = tempfile::NamedTempFile::new().unwrap();
        writeln!(config, "user root\npersistence false\nlistener {port} 127.0.0.1\n{of_the_listener}")
            .unwrap();
        let child = Command::new("mosquitto")
            .arg("-c")
            .arg(config.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto is installed by scripts/setup.sh");
        let broker = Self { child, _config: config };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < DEADLINE, "mosquitto does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        broker
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config(port: u16, id: &str) -> LinkConfig {
    let mut config = LinkConfig::new(format!("mqtt://127.0.0.1:{port}").parse().unwrap(), id);
    config.reconnect_s_min = 0.05;
    config.reconnect_s_max = 0.2;
    config
}

fn box_id() -> BoxId {
    BoxId::new("loa-1").unwrap()
}

async fn next(events: &mut Receiver<LinkEvent>) -> LinkEvent {
    tokio::time::timeout(DEADLINE, events.recv()).await.expect("an event in time").expect("the link goes on")
}

async fn next_but_disconnected(events: &mut Receiver<LinkEvent>) -> LinkEvent {
    loop {
        match next(events).await {
            LinkEvent::Disconnected { .. } => {}
            event => return event,
        }
    }
}

#[tokio::test]
async fn messages_go_both_ways_and_survive_a_broker_restart() {
    let broker = broker::Mosquitto::start();
    let port = broker.port();
    let (lost, log) = (Topic::Up(box_id(), Up::Lost), Topic::Up(box_id(), Up::Log));
    let mut as_box = config(port, "loa-1");
    as_box.subscriptions = topics::box_filters(&box_id(), []);
    as_box.last_will = Some((lost, b"lost".to_vec()));
    let mut as_central = config(port, "central");
    as_central.subscriptions = vec![topics::central_filter(None)];
    let (central, mut to_central) = Link::connect(as_central).unwrap();
    assert_eq!(next(&mut to_central).await, LinkEvent::Connected);
    let (the_box, mut to_box) = Link::connect(as_box).unwrap();
    assert_eq!(next(&mut to_box).await, LinkEvent::Connected);

    let large = vec![b'x'; MESSAGE_BYTES_MAX];
    the_box.publish(&log, large.clone(), Qos::AtLeastOnce).unwrap();
    assert_eq!(next(&mut to_central).await, LinkEvent::Message { topic: log.clone(), bytes: large });
    let too_large = the_box.publish(&log, vec![0; MESSAGE_BYTES_MAX + 1], Qos::AtLeastOnce);
    assert!(matches!(too_large, Err(LinkError::TooLarge { .. })));

    // A further subscription takes a moment: what is published before it is not for us.
    let group = Topic::Group("xa".parse().unwrap());
    the_box.subscribe(topics::box_filters(&box_id(), [&"xa".parse().unwrap()]));
    let begun = Instant::now();
    while to_box.is_empty() {
        assert!(begun.elapsed() < DEADLINE);
        central.publish(&group, b"c".to_vec(), Qos::AtLeastOnce).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    drop(broker);
    while next(&mut to_box).await == (LinkEvent::Message { topic: group.clone(), bytes: b"c".to_vec() }) {}
    assert!(matches!(the_box.publish(&log, vec![], Qos::AtLeastOnce), Err(LinkError::NotConnected)));
    let _broker = broker::Mosquitto::start_at(port);
    assert_eq!(next_but_disconnected(&mut to_box).await, LinkEvent::Connected);
    assert_eq!(next_but_disconnected(&mut to_central).await, LinkEvent::Connected);
    for topic in [group, Topic::Down(box_id(), Down::LogAck)] {
        central.publish(&topic, b"a".to_vec(), Qos::AtLeastOnce).unwrap();
        assert_eq!(next(&mut to_box).await, LinkEvent::Message { topic, bytes: b"a".to_vec() });
    }

    // An orderly end leaves no last will behind: the next thing that central hears is of another box.
    drop(the_box);
    while to_box.recv().await.is_some() {}
    let other = Topic::Up(BoxId::new("loa-2").unwrap(), Up::Hello);
    central.publish(&other, vec![], Qos::AtLeastOnce).unwrap();
    assert_eq!(next(&mut to_central).await, LinkEvent::Message { topic: other, bytes: vec![] });
}

/// MQTT 5: CONNACK without properties.
const CONNACK: [u8; 5] = [0x20, 3, 0, 0, 0];

/// Takes a connection, accepts the client and says `then`.
fn accept_and_say(listener: &TcpListener, then: &[u8]) -> TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
    stream.write_all(&CONNACK).unwrap();
    stream.write_all(then).unwrap();
    stream
}

fn wait_for_the_end_of(mut stream: TcpStream) {
    while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
}

/// MQTT 5: PUBLISH with QoS 0 and without properties.
fn publish_packet(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x30, (2 + topic.len() + 1 + payload.len()) as u8, 0, topic.len() as u8];
    packet.extend_from_slice(topic.as_bytes());
    packet.push(0);
    packet.extend_from_slice(payload);
    packet
}

#[tokio::test]
async fn a_broker_that_lies_is_left_and_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let broker = std::thread::spawn(move || {
        let oversized: &[u8] = &[0x30, 0xff, 0xff, 0xff, 0x7f];
        let endless_length: &[u8] = &[0x30, 0xff, 0xff, 0xff, 0xff, 0xff];
        let unasked_ack: &[u8] = &[0x40, 2, 0xff, 0xff];
        let cut_short: &[u8] = &[0x30, 1, 0];
        for lie in [oversized, endless_length, unasked_ack, cut_short] {
            wait_for_the_end_of(accept_and_say(&listener, lie));
        }
        let mut last = publish_packet("x", b"a topic that is none of ours");
        last.extend(publish_packet("loaxa/v1/box/loa-1/down/command", b"ok"));
        wait_for_the_end_of(accept_and_say(&listener, &last));
    });
    let (link, mut events) = Link::connect(config(port, "loa-1")).unwrap();
    let mut lost = 0;
    let message = loop {
        match next(&mut events).await {
            LinkEvent::Disconnected { .. } => lost += 1,
            LinkEvent::Message { topic, bytes } => break (topic, bytes),
            _ => {}
        }
    };
    assert_eq!(message, (Topic::Down(box_id(), Down::Command), b"ok".to_vec()));
    assert_eq!(lost, 4);
    drop(link);
    while events.recv().await.is_some() {}
    broker.join().unwrap();
}

#[tokio::test]
async fn a_receipt_comes_from_the_broker_or_never() {
    let broker = broker::Mosquitto::start();
    let topic = Topic::Up(box_id(), Up::Log);
    let (link, mut events) = Link::connect(config(broker.port(), "loa-1")).unwrap();
    assert_eq!(next(&mut events).await, LinkEvent::Connected);
    for n in 0..200 {
        // Some are never acknowledged, and the numbers of the others come again.
        let qos = if n % 3 == 0 { Qos::AtMostOnce } else { Qos::AtLeastOnce };
        link.publish(&topic, vec![n], qos).unwrap();
        let receipt = link.publish_for_receipt(&topic, vec![n]).unwrap();
        assert!(tokio::time::timeout(DEADLINE, receipt.has_come()).await.unwrap(), "{n}");
    }

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = config(listener.local_addr().unwrap().port(), "loa-1");
    let (link, mut events) = Link::connect(silent).unwrap();
    let stream = tokio::task::spawn_blocking(move || accept_and_say(&listener, &[])).await.unwrap();
    assert_eq!(next(&mut events).await, LinkEvent::Connected);
    let receipt = link.publish_for_receipt(&topic, vec![]).unwrap();
    let has_come = receipt.has_come();
    tokio::pin!(has_come);
    assert!(tokio::time::timeout(Duration::from_millis(500), &mut has_come).await.is_err());
    drop(stream);
    assert!(!tokio::time::timeout(DEADLINE, has_come).await.unwrap(), "it ends with the connection");
}

#[tokio::test]
async fn a_queue_has_a_bound_and_tls_needs_its_certificates() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut small = config(listener.local_addr().unwrap().port(), "loa-1");
    small.outgoing_max = 4;
    let (link, mut events) = Link::connect(small).unwrap();
    let topic = Topic::Up(box_id(), Up::Log);
    assert!(matches!(link.publish(&topic, vec![], Qos::AtLeastOnce), Err(LinkError::NotConnected)));
    let _stream = tokio::task::spawn_blocking(move || accept_and_say(&listener, &[])).await.unwrap();
    assert_eq!(next(&mut events).await, LinkEvent::Connected);
    // Nothing is acknowledged: 4 are on their way, 4 wait.
    let refused = (0..1_000).find_map(|_| link.publish(&topic, vec![], Qos::AtLeastOnce).err());
    assert!(matches!(refused, Some(LinkError::Full { max: 4 })));
    let tls = LinkConfig::new("mqtts://localhost".parse().unwrap(), "loa-1");
    assert!(matches!(Link::connect(tls), Err(LinkError::NoCa { .. })));
}

/// Certificates of a small authority: its own, a broker's for 127.0.0.1, and a box's with its id as common name.
fn write_certificates(dir: &std::path::Path) {
    write_certificates_of(dir, |_| {});
}

/// The same; `change` makes the broker's other.
fn write_certificates_of(dir: &std::path::Path, change: impl Fn(&mut rcgen::CertificateParams)) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
    let named = |name: &str, hosts: &[&str]| {
        let mut params =
            CertificateParams::new(hosts.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let mut ca = named("Loa Xã", &[]);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(dir.join("ca.pem"), ca.pem()).unwrap();
    for (name, hosts) in [("broker", &["127.0.0.1"][..]), ("loa-1", &[])] {
        let key = KeyPair::generate().unwrap();
        let mut params = named(name, hosts);
        if name == "broker" {
            change(&mut params);
        }
        let certificate = params.signed_by(&key, &ca).unwrap();
        std::fs::write(dir.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

#[tokio::test]
async fn a_broker_and_a_box_know_each_other_by_their_certificates() {
    let dir = tempfile::TempDir::new().unwrap();
    write_certificates(dir.path());
    let file = |name: &str| dir.path().join(name);
    let port = free_port();
    let of_the_broker = format!(
        "cafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\nuse_identity_as_username true",
        file("ca.pem").display(),
        file("broker.pem").display(),
        file("broker.key").display()
    );
    let _broker = Mosquitto::start_with(port, &of_the_broker);
    let mut known = config(port, "loa-1");
    known.broker.tls = true;
    known.ca = Some(file("ca.pem"));
    let stranger = known.clone();
    known.identity = Some((file("loa-1.pem"), file("loa-1.key")));
    let (_link, mut events) = Link::connect(known.clone()).unwrap();
    assert_eq!(next(&mut events).await, LinkEvent::Connected);
    let (_link, mut events) = Link::connect(stranger).unwrap();
    assert!(matches!(next(&mut events).await, LinkEvent::Disconnected { .. }));
    // A broker that another authority vouches for is none of ours.
    let elsewhere = tempfile::TempDir::new().unwrap();
    write_certificates(elsewhere.path());
    known.ca = Some(elsewhere.path().join("ca.pem"));
    let (_link, mut events) = Link::connect(known).unwrap();
    assert!(matches!(next(&mut events).await, LinkEvent::Disconnected { .. }));
}

/// A way in which the broker's certificate is another.
type Change<'c> = &'c dyn Fn(&mut rcgen::CertificateParams);

#[tokio::test]
async fn no_date_of_the_brokers_certificate_keeps_an_emergency_away_and_no_stranger_gains_by_it() {
    let day = rcgen::date_time_ymd;
    let over = |params: &mut rcgen::CertificateParams| {
        (params.not_before, params.not_after) = (day(2019, 1, 1), day(2020, 1, 1));
    };
    let not_yet = |params: &mut rcgen::CertificateParams| {
        (params.not_before, params.not_after) = (day(2098, 1, 1), day(2099, 1, 1));
    };
    let elsewhere = |params: &mut rcgen::CertificateParams| {
        over(params);
        params.subject_alt_names = vec![rcgen::SanType::DnsName("ke-xau.vn".try_into().unwrap())];
    };
    let dir = tempfile::TempDir::new().unwrap();
    let of_another = tempfile::TempDir::new().unwrap();
    write_certificates(of_another.path());
    let changes: [(Change, bool); 3] = [(&over, true), (&not_yet, true), (&elsewhere, false)];
    for (change, expected) in changes {
        write_certificates_of(dir.path(), change);
        let port = free_port();
        let file = |name: &str| dir.path().join(name);
        let files = (file("broker.pem"), file("broker.key"));
        let of_the_broker =
            format!("allow_anonymous true\ncertfile {}\nkeyfile {}", files.0.display(), files.1.display());
        let _broker = Mosquitto::start_with(port, &of_the_broker);
        let mut asked = config(port, "loa-1");
        asked.broker.tls = true;
        asked.ca = Some(file("ca.pem"));
        let (_link, mut events) = Link::connect(asked.clone()).unwrap();
        let event = next(&mut events).await;
        assert_eq!(event == LinkEvent::Connected, expected, "{event:?}");
        asked.ca = Some(of_another.path().join("ca.pem"));
        let (_link, mut events) = Link::connect(asked).unwrap();
        assert!(matches!(next(&mut events).await, LinkEvent::Disconnected { .. }), "another authority's");
    }
}
