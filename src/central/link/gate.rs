//! The gate before the embedded broker: lets in who shows a certificate of this commune that was not revoked, or, where
//! there are no certificates, who the broker takes by its login.
//!
//! The name that a box with a certificate has behind the gate is that of its certificate, whatever it says itself. The
//! gate reads a connection's first packet within a few seconds, and after that only carries bytes.

use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::crowd::{Bounds, Crowd, descriptors_max};
use super::door::{self, Complaints, Visitor};
use super::known_at_any_time::KnownAtAnyTime;
use crate::settings::Identity;
use crate::store::{Alarm, AlarmKind, SharedStore};
use loaxa_adapters::certificate;
use loaxa_adapters::clock::wall;
use loaxa_heart::domain::ids::{BoxId, ContentHash};

/// Time for a client to show who it is, the TLS handshake included.
const SHOW_MAX: Duration = Duration::from_secs(10);
/// Connections of one box that have shown its certificate and not sent their CONNECT: one that the network forgot, and the one
/// that follows it. Whoever has a stolen key takes no more places than that; a session that was let in ends with the next.
const SHOWN_OF_BOX_MAX: usize = 2;
/// Largest first packet: names, a last will and room to spare.
const CONNECT_BYTES_MAX: usize = 4_096;
/// Largest answer of the broker to it.
const CONNACK_BYTES_MAX: usize = 1_024;

/// A reason for which a client is not let in.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
enum Refused {
    Io(#[from] std::io::Error),
    Slow,
    Revoked,
    NoConnect,
    Followed,
    Name { said: String, is: BoxId },
    Password,
    Login,
}

impl Say for Refused {
    fn say(&self) -> Sentence {
        match self {
            Refused::Io(error) => error.say(),
            Refused::Slow => said!("gate.slow"),
            Refused::Revoked => said!("gate.revoked"),
            Refused::NoConnect => said!("gate.no_connect"),
            Refused::Followed => said!("gate.followed"),
            Refused::Name { said, is } => said!("gate.name", said = said.escape_debug(), is),
            Refused::Password => said!("gate.password"),
            Refused::Login => said!("gate.login"),
        }
    }
}

/// The gate that could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub struct CantOpen(pub String);

impl Say for CantOpen {
    fn say(&self) -> Sentence {
        said!("gate_shut.bad", detail = self.0)
    }
}

/// The proof by which the gate lets a client pass.
pub enum Proof<'a> {
    /// A certificate of one of these authorities; the gate shows one of its own.
    Certificate { ca: &'a str, server: &'a Identity, behind: Behind },
    /// A login that the broker at this address, on the loopback, takes.
    Login(SocketAddr),
}

/// The broker behind a gate of certificates, and the means to judge who may pass.
#[derive(Clone)]
pub struct Behind {
    /// The embedded broker, on the loopback address.
    pub broker: SocketAddr,
    /// The password by which the broker knows that a client came through the gate.
    pub secret: String,
    pub store: SharedStore,
    /// Keeps boxes out whose certificate is out of its time.
    pub refuse_expired: bool,
    /// Names boxes whose sessions must end.
    pub revoked: broadcast::Sender<BoxId>,
}

/// The proof that the gate asks of each client.
enum Guard {
    Certificate(TlsAcceptor, Behind, Shown),
    Login(SocketAddr),
}

/// Connections that have shown a certificate and not sent their CONNECT yet.
#[derive(Default)]
struct Shown(Mutex<BTreeMap<BoxId, VecDeque<Arc<Notify>>>>);

impl Shown {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<BoxId, VecDeque<Arc<Notify>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one. Where the box has as many as it may, the oldest is sent away for it.
    fn add(&self, id: &BoxId) -> OneShown<'_> {
        let leave = Arc::<Notify>::default();
        let mut shown = self.lock();
        let of_box = shown.entry(id.clone()).or_default();
        if of_box.len() >= SHOWN_OF_BOX_MAX
            && let Some(oldest) = of_box.pop_front()
        {
            oldest.notify_one();
        }
        of_box.push_back(Arc::clone(&leave));
        OneShown { all: self, id: id.clone(), leave }
    }
}

/// A connection among those that have shown a certificate; dropped, it is none of them any more.
struct OneShown<'s> {
    all: &'s Shown,
    id: BoxId,
    leave: Arc<Notify>,
}

impl Drop for OneShown<'_> {
    fn drop(&mut self) {
        let mut shown = self.all.lock();
        let Some(of_box) = shown.get_mut(&self.id) else { return };
        of_box.retain(|one| !Arc::ptr_eq(one, &self.leave));
        if of_box.is_empty() {
            shown.remove(&self.id);
        }
    }
}

/// Opens the gate; it closes when the handle is aborted.
///
/// # Errors
/// Fails when a certificate can't be used, or the address not be listened on.
pub async fn open(listen: SocketAddr, proof: Proof<'_>) -> Result<(SocketAddr, JoinHandle<()>), CantOpen> {
    let cant = |error: &dyn std::fmt::Display| CantOpen(error.to_string());
    let guard = match proof {
        Proof::Certificate { ca, server, behind } => {
            let tls = TlsAcceptor::from(Arc::new(tls(ca, server, behind.refuse_expired)?));
            Guard::Certificate(tls, behind, Shown::default())
        }
        Proof::Login(broker) => Guard::Login(broker),
    };
    let listener = TcpListener::bind(listen).await.map_err(|error| cant(&error))?;
    let listens_on = listener.local_addr().map_err(|error| cant(&error))?;
    let crowd = Crowd::new(Bounds::of_boxes(descriptors_max()), Vec::new());
    let (guard, complaints) = (Arc::new(guard), Arc::new(Complaints::default()));
    let task = tokio::spawn(async move {
        let serve = |visitor| visit(visitor, Arc::clone(&guard), Arc::clone(&complaints));
        door::keep(listener, crowd, std::future::pending(), serve).await;
    });
    Ok((listens_on, task))
}

fn tls(ca: &str, server: &Identity, refuse_expired: bool) -> Result<ServerConfig, CantOpen> {
    // An error says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cant = |error: &dyn std::fmt::Display| CantOpen(error.to_string());
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        roots.add(authority.map_err(|error| cant(&error))?).map_err(|error| cant(&error))?;
    }
    let strict = WebPkiClientVerifier::builder(Arc::new(roots)).build().map_err(|error| cant(&error))?;
    let verifier = if refuse_expired { strict } else { Arc::new(KnownAtAnyTime(strict)) };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(server.certificate.as_bytes()).collect();
    let chain = chain.map_err(|error| cant(&error))?;
    let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).map_err(|error| cant(&error))?;
    ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| cant(&error))
}

async fn visit(visitor: Visitor, guard: Arc<Guard>, complaints: Arc<Complaints>) {
    let from = visitor.from;
    let refused = match &*guard {
        Guard::Certificate(acceptor, behind, shown) => {
            // Subscribed before the certificate is looked up, so that no revocation falls between.
            let revoked = behind.revoked.subscribe();
            match within_time(by_certificate(visitor, acceptor, (behind, shown))).await {
                Ok((id, outside, inside)) => {
                    tokio::select! {
                        () = carry(outside, inside) => {}
                        () = revocation(&id, revoked) => tracing::warn!(%id, "its session was ended"),
                    }
                    return;
                }
                Err(refused) => refused,
            }
        }
        Guard::Login(broker) => match within_time(by_login(visitor, *broker)).await {
            Ok((outside, inside)) => return carry(outside, inside).await,
            Err(refused) => refused,
        },
    };
    complaints.note(from, &refused);
}

async fn within_time<T>(showing: impl Future<Output = Result<T, Refused>>) -> Result<T, Refused> {
    tokio::time::timeout(SHOW_MAX, showing).await.unwrap_or(Err(Refused::Slow))
}

type Outside = tokio_rustls::server::TlsStream<TcpStream>;

/// Checks who a client is by its certificate, and opens its way to the broker.
async fn by_certificate(
    visitor: Visitor,
    acceptor: &TlsAcceptor,
    (behind, shown): (&Behind, &Shown),
) -> Result<(BoxId, Outside, TcpStream), Refused> {
    visitor.stream.set_nodelay(true)?;
    let mut outside = acceptor.accept(visitor.stream).await?;
    let certificate = outside.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let certificate = certificate.ok_or(Refused::Revoked)?;
    let fingerprint = ContentHash::of(certificate);
    let expired = certificate::validity(certificate).is_none_or(|validity| validity.ends <= wall());
    let known = behind.store.certified(fingerprint).await.map_err(|_| Refused::Revoked)?;
    let id = known.ok_or(Refused::Revoked)?;
    if expired {
        let is_last = behind.store.is_last_certificate(fingerprint).await.map_err(|_| Refused::Revoked)?;
        if !is_last {
            return Err(Refused::Revoked);
        }
        tell_of_expired(behind, &id).await;
    }
    let one = shown.add(&id);
    visitor.seat.keep();
    let packet = tokio::select! {
        packet = read_connect(&mut outside) => packet?,
        () = one.leave.notified() => return Err(Refused::Followed),
    };
    let packet = prove(&packet, &id, &behind.secret)?;
    let mut inside = TcpStream::connect(behind.broker).await?;
    inside.set_nodelay(true)?;
    inside.write_all(&packet).await?;
    Ok((id, outside, inside))
}

/// Raises an alarm about a box whose certificate is out of its time.
async fn tell_of_expired(behind: &Behind, id: &BoxId) {
    tracing::warn!(%id, "a box with an expired certificate is let in");
    let alarm = Alarm {
        kind: AlarmKind::ExpiredCertificate,
        subject: id.to_string(),
        detail: String::new(),
        at: wall(),
        times: 1,
    };
    if let Err(error) = behind.store.raise_alarm(alarm).await {
        tracing::error!(%error, "an alarm could not be kept");
    }
}

/// Shows a client's first packet to the broker, and what the broker answers to the client.
async fn by_login(visitor: Visitor, broker: SocketAddr) -> Result<(TcpStream, TcpStream), Refused> {
    let mut outside = visitor.stream;
    outside.set_nodelay(true)?;
    let packet = framed(read_connect(&mut outside).await?);
    let mut inside = TcpStream::connect(broker).await?;
    inside.set_nodelay(true)?;
    inside.write_all(&packet).await?;
    let mut answer = Vec::new();
    let is_let_in = loop {
        if inside.read_buf(&mut answer).await? == 0 || answer.len() > CONNACK_BYTES_MAX {
            break false;
        }
        if let Some(is_let_in) = lets_in(&answer) {
            break is_let_in;
        }
    };
    outside.write_all(&answer).await?;
    if !is_let_in {
        return Err(Refused::Login);
    }
    visitor.seat.keep();
    Ok((outside, inside))
}

/// Reads of a CONNACK whether the broker lets the client in; `None` where it is not all there yet.
fn lets_in(answer: &[u8]) -> Option<bool> {
    let length_ends = answer.iter().skip(1).position(|byte| byte & 0x80 == 0)? + 2;
    let reason = answer.get(length_ends + 1)?;
    Some(answer[0] == 0x20 && *reason == 0)
}

/// Carries bytes both ways until one side ends; the box then makes another connection.
async fn carry<S: AsyncRead + AsyncWrite>(outside: S, inside: TcpStream) {
    let (mut from_outside, mut to_outside) = tokio::io::split(outside);
    let (mut from_inside, mut to_inside) = inside.into_split();
    tokio::select! {
        _ = tokio::io::copy(&mut from_outside, &mut to_inside) => {}
        _ = tokio::io::copy(&mut from_inside, &mut to_outside) => {}
    }
}

/// Resolves when this box is revoked.
async fn revocation(id: &BoxId, mut revoked: broadcast::Receiver<BoxId>) {
    loop {
        match revoked.recv().await {
            Ok(gone) if gone != *id => {}
            // The channel overflowed, so this box's own revocation may be among the lost ones: drop the connection;
            // the check at its next connect decides.
            _ => break,
        }
    }
}

/// Reads the body of one whole packet.
async fn read_connect(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, Refused> {
    if stream.read_u8().await? != 0x10 {
        return Err(Refused::NoConnect);
    }
    let mut length = 0;
    for shift in [0, 7] {
        let byte = stream.read_u8().await?;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        } else if shift == 7 {
            return Err(Refused::NoConnect);
        }
    }
    if length > CONNECT_BYTES_MAX {
        return Err(Refused::NoConnect);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// Reads the body of a packet from its front.
struct Bytes<'p>(&'p [u8]);

impl<'p> Bytes<'p> {
    fn take(&mut self, count: usize) -> Result<&'p [u8], Refused> {
        let (front, rest) = self.0.split_at_checked(count).ok_or(Refused::NoConnect)?;
        self.0 = rest;
        Ok(front)
    }

    fn text(&mut self) -> Result<&'p [u8], Refused> {
        let length = self.take(2)?;
        self.take(usize::from(u16::from_be_bytes([length[0], length[1]])))
    }
}

/// Adds to a client's packet the name and the secret that the broker believes, if the client says its own name.
fn prove(body: &[u8], id: &BoxId, secret: &str) -> Result<Vec<u8>, Refused> {
    const HAS_LOGIN: u8 = 0b1100_0000;
    let mut bytes = Bytes(body);
    if bytes.text()? != b"MQTT" {
        return Err(Refused::NoConnect);
    }
    let flags_at = body.len() - bytes.0.len() + 1;
    let head = bytes.take(4)?;
    if head[1] & HAS_LOGIN != 0 {
        return Err(Refused::Password);
    }
    if head[0] == 5 {
        let mut length = 0;
        for shift in [0, 7] {
            let byte = bytes.take(1)?[0];
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        bytes.take(length)?;
    }
    let said = bytes.text()?;
    if said != id.as_str().as_bytes() {
        let said = String::from_utf8_lossy(said).chars().take(64).collect();
        return Err(Refused::Name { said, is: id.clone() });
    }
    let mut body = body.to_vec();
    body[flags_at] |= HAS_LOGIN;
    for text in [id.as_str(), secret] {
        body.extend_from_slice(
            &u16::try_from(text.len()).expect("names and secrets are short").to_be_bytes(),
        );
        body.extend_from_slice(text.as_bytes());
    }
    Ok(framed(body))
}

/// Puts the head of a CONNECT before its body.
fn framed(mut body: Vec<u8>) -> Vec<u8> {
    let mut packet = vec![0x10];
    match body.len() {
        length @ 0..0x80 => packet.push(length as u8),
        length => packet.extend([(length & 0x7f) as u8 | 0x80, (length >> 7) as u8]),
    }
    packet.append(&mut body);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An MQTT 5 CONNECT with a property and a last will, as `loa-1`.
    fn connect(flags: u8) -> Vec<u8> {
        let mut body = b"\0\x04MQTT\x05".to_vec();
        body.extend([flags, 0, 60, 5, 0x11, 0, 0, 0, 0]);
        body.extend(b"\0\x05loa-1\0\0\x04will\0\x01x");
        body
    }

    fn check(body: &[u8], id: &str, expected: &str) {
        let found = prove(body, &id.parse().unwrap(), "s").map_err(|refused| refused.to_string());
        assert_eq!(found.map(drop), Err(expected.to_owned()));
    }

    #[test]
    fn the_name_of_the_certificate_is_the_only_one() {
        let body = connect(0x06);
        let packet = prove(&body, &"loa-1".parse().unwrap(), "s").unwrap();
        let mut expected = body.clone();
        expected[7] |= 0xc0;
        expected.extend(b"\0\x05loa-1\0\x01s");
        assert_eq!((packet[0], usize::from(packet[1])), (0x10, expected.len()));
        assert_eq!(packet[2..], expected);
        let long = prove(&body, &"loa-1".parse().unwrap(), &"s".repeat(300)).unwrap();
        assert_eq!(usize::from(long[1] & 0x7f) | usize::from(long[2]) << 7, long.len() - 3);
        check(&body, "loa-2", "it says that it is \"loa-1\", but its certificate is loa-2's");
        check(&connect(0x80), "loa-1", "it brings a password beside its certificate");
        for end in 0..body.len() - 14 {
            check(&body[..end], "loa-1", "its first packet is no CONNECT");
        }
    }

    #[test]
    fn a_client_is_let_in_by_the_brokers_word() {
        let check = |answer: &[u8], expected| assert_eq!(lets_in(answer), expected, "{answer:?}");
        check(&[0x20, 3, 0, 0, 0], Some(true));
        check(&[0x20, 2, 0, 0], Some(true));
        check(&[0x20, 3, 0, 0x86, 0], Some(false));
        check(&[0x20, 0x90, 0x01, 0, 0], Some(true));
        check(&[0x30, 3, 0, 0], Some(false));
        check(&[0x20, 3, 0], None);
        check(&[0x20, 0x90], None);
        check(&[], None);
    }
}
