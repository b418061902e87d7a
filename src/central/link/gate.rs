//! The gate before the embedded broker: lets in who shows a certificate of this commune that was not revoked.
//!
//! The name that a box has behind the gate is that of its certificate, whatever it says itself. The gate reads a
//! connection's first packet, and after that only carries bytes.

use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, broadcast};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::settings::Identity;
use crate::store::SharedStore;
use loaxa_heart::domain::ids::{BoxId, ContentHash};

/// Time for a client to show who it is.
const SHOW_MAX: Duration = Duration::from_secs(20);
/// Clients that are showing who they are at the same time; the next one waits.
const SHOWING_MAX: usize = 256;
/// Most sessions at the same time, as many as the broker behind takes; the next client waits until one ends.
const SESSIONS_MAX: usize = super::broker::CLIENTS_MAX;
/// Largest first packet: names, a last will and room to spare.
const CONNECT_BYTES_MAX: usize = 4_096;
/// The wait after an accept that failed, for instance for want of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A reason for which a client is not let in.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
enum Refused {
    Io(#[from] std::io::Error),
    Slow,
    Revoked,
    NoConnect,
    Name { said: String, is: BoxId },
    Password,
}

impl Say for Refused {
    fn say(&self) -> Sentence {
        match self {
            Refused::Io(error) => error.say(),
            Refused::Slow => said!("gate.slow"),
            Refused::Revoked => said!("gate.revoked"),
            Refused::NoConnect => said!("gate.no_connect"),
            Refused::Name { said, is } => said!("gate.name", said = said.escape_debug(), is),
            Refused::Password => said!("gate.password"),
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

/// The broker behind the gate, and the means to judge who may pass.
#[derive(Clone)]
pub struct Behind {
    /// The embedded broker, on the loopback address.
    pub broker: SocketAddr,
    /// The password by which the broker knows that a client came through the gate.
    pub secret: String,
    pub store: SharedStore,
    /// Names boxes whose sessions must end.
    pub revoked: broadcast::Sender<BoxId>,
}

/// Opens the gate; it closes when the handle is aborted.
///
/// # Errors
/// Fails when a certificate can't be used, or the address not be listened on.
pub async fn open(
    listen: SocketAddr,
    ca: &str,
    server: &Identity,
    behind: Behind,
) -> Result<(SocketAddr, JoinHandle<()>), CantOpen> {
    let cant = |error: &dyn std::fmt::Display| CantOpen(error.to_string());
    let acceptor = TlsAcceptor::from(Arc::new(tls(ca, server)?));
    let listener = TcpListener::bind(listen).await.map_err(|error| cant(&error))?;
    let listens_on = listener.local_addr().map_err(|error| cant(&error))?;
    Ok((listens_on, tokio::spawn(accept(listener, acceptor, behind))))
}

fn tls(ca: &str, server: &Identity) -> Result<ServerConfig, CantOpen> {
    // An error says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cant = |error: &dyn std::fmt::Display| CantOpen(error.to_string());
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(ca.as_bytes()).map_err(|error| cant(&error))?;
    roots.add(ca).map_err(|error| cant(&error))?;
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().map_err(|error| cant(&error))?;
    let chain =
        CertificateDer::from_pem_slice(server.certificate.as_bytes()).map_err(|error| cant(&error))?;
    let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).map_err(|error| cant(&error))?;
    ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![chain], key)
        .map_err(|error| cant(&error))
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, behind: Behind) {
    let showing = Arc::new(Semaphore::new(SHOWING_MAX));
    let room = Arc::new(Semaphore::new(SESSIONS_MAX));
    // Dropped with this task, so that every session ends with the gate.
    let mut sessions = tokio::task::JoinSet::new();
    loop {
        let permit = Arc::clone(&showing).acquire_owned().await.expect("it is never closed");
        let place = Arc::clone(&room).acquire_owned().await.expect("it is never closed");
        while sessions.try_join_next().is_some() {}
        let Ok((stream, from)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let (acceptor, behind) = (acceptor.clone(), behind.clone());
        sessions.spawn(async move {
            // Subscribed before the certificate is looked up, so that no revocation falls between.
            let revoked = behind.revoked.subscribe();
            let shown = tokio::time::timeout(SHOW_MAX, let_in(stream, &acceptor, &behind)).await;
            drop(permit);
            match shown.unwrap_or(Err(Refused::Slow)) {
                Ok((id, outside, inside)) => carry(&id, outside, inside, revoked).await,
                Err(refused) => tracing::warn!(%from, %refused, "the gate let nobody in"),
            }
            drop(place);
        });
    }
}

type Outside = tokio_rustls::server::TlsStream<TcpStream>;

/// Checks who a client is, and opens its way to the broker.
async fn let_in(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    behind: &Behind,
) -> Result<(BoxId, Outside, TcpStream), Refused> {
    stream.set_nodelay(true)?;
    let mut outside = acceptor.accept(stream).await?;
    let shown = outside.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let fingerprint = ContentHash::of(shown.ok_or(Refused::Revoked)?);
    let known = behind.store.certified(fingerprint).await.map_err(|_| Refused::Revoked)?;
    let id = known.ok_or(Refused::Revoked)?;
    let packet = read_connect(&mut outside).await?;
    let packet = prove(&packet, &id, &behind.secret)?;
    let mut inside = TcpStream::connect(behind.broker).await?;
    inside.set_nodelay(true)?;
    inside.write_all(&packet).await?;
    Ok((id, outside, inside))
}

/// Carries bytes both ways until one side ends, or the box is revoked.
async fn carry(
    id: &BoxId,
    mut outside: Outside,
    mut inside: TcpStream,
    mut revoked: broadcast::Receiver<BoxId>,
) {
    let must_go = async {
        loop {
            match revoked.recv().await {
                Ok(gone) if gone != *id => {}
                // The channel overflowed, so this box's own revocation may be among the lost ones: drop the connection;
                // the check at its next connect decides.
                _ => break,
            }
        }
    };
    tokio::select! {
        // However the connection ends, the box makes another.
        _ = copy_bidirectional(&mut outside, &mut inside) => {}
        () = must_go => tracing::warn!(%id, "its session was ended"),
    }
}

/// Reads one whole packet.
async fn read_connect(stream: &mut Outside) -> Result<Vec<u8>, Refused> {
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
    let mut packet = vec![0x10];
    match body.len() {
        length @ 0..0x80 => packet.push(length as u8),
        length => packet.extend([(length & 0x7f) as u8 | 0x80, (length >> 7) as u8]),
    }
    packet.append(&mut body);
    Ok(packet)
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
}
