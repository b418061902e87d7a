//! The certificate of page and API: of the commune's own authority, or from files that are read anew when they change.

use std::fmt::Display;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_rustls::rustls;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::link::certificates::{Ca, CertificateError};
use crate::settings::{Identity, PageTls, Settings};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// The wait between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Name in the certificate of our own authority.
const PAGE: &str = "page";

/// A certificate that can't be shown.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NoCertificate {
    Bad(String),
    NoAuthority,
    Certificate(#[from] CertificateError),
}

impl Say for NoCertificate {
    fn say(&self) -> Sentence {
        match self {
            NoCertificate::Bad(detail) => said!("start.page_certificate", detail),
            NoCertificate::NoAuthority => said!("start.no_enrolment"),
            NoCertificate::Certificate(error) => error.say(),
        }
    }
}

/// The certificate to show now.
#[derive(Clone)]
pub struct Certificates(watch::Receiver<Arc<ServerConfig>>);

impl Certificates {
    /// The settings of TLS with the certificate in force.
    pub fn now(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.borrow())
    }
}

/// Opens the certificate that the settings choose, for these names; files are followed for as long as it is used.
///
/// # Errors
/// Says why there is none that can be shown.
pub fn open(settings: &Settings, names: Vec<String>) -> Result<Option<Certificates>, NoCertificate> {
    match &settings.page.tls {
        PageTls::Off => Ok(None),
        PageTls::OwnAuthority => {
            let enrolment = settings.enrolment.as_ref().ok_or(NoCertificate::NoAuthority)?;
            issued_by(&enrolment.ca, names).map(Some)
        }
        PageTls::OfAuthority(authority) => issued_by(authority, names).map(Some),
        PageTls::Files { certificate, key, .. } => {
            let stamp = stamp(certificate, key);
            let (sender, certificates) = watch::channel(Arc::new(read(certificate, key)?));
            tokio::spawn(follow(certificate.clone(), key.clone(), stamp, sender));
            Ok(Some(Certificates(certificates)))
        }
    }
}

/// A certificate for these names that an authority issues now.
fn issued_by(authority: &Identity, names: Vec<String>) -> Result<Certificates, NoCertificate> {
    let ca = Ca::open(authority)?;
    let Identity { certificate, key } = ca.issue_to_server(names, PAGE)?;
    let chain = format!("{certificate}\n{}", ca.behind());
    let shown = server_config(chain.as_bytes(), key.as_bytes())?;
    let (_, certificates) = watch::channel(Arc::new(shown));
    Ok(Certificates(certificates))
}

/// The names by which this server is asked for: for a certificate, and for the list of hosts.
pub fn names(public_url: &str, settings: &Settings, listens_on: IpAddr) -> Vec<String> {
    let url = url::Url::parse(public_url).ok();
    let public =
        url.as_ref().and_then(|url| url.host_str()).map(|host| host.trim_matches(['[', ']']).to_owned());
    let local = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let listens = (!listens_on.is_unspecified()).then(|| listens_on.to_string());
    let mut names: Vec<String> = Vec::new();
    for name in public.into_iter().chain(local).chain(listens).chain(settings.page.hosts.iter().cloned()) {
        let name = name.to_ascii_lowercase();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn bad(error: &dyn Display) -> NoCertificate {
    NoCertificate::Bad(error.to_string())
}

fn server_config(chain: &[u8], key: &[u8]) -> Result<ServerConfig, NoCertificate> {
    // An error says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let chain = chain.map_err(|error| bad(&error))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| bad(&error))?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let mut config = config.map_err(|error| bad(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn read(certificate: &Path, key: &Path) -> Result<ServerConfig, NoCertificate> {
    let bytes = |path: &Path| {
        std::fs::read(path).map_err(|error| NoCertificate::Bad(format!("{}: {error}", path.display())))
    };
    server_config(&bytes(certificate)?, &bytes(key)?)
}

/// Time, size and number of both files; another where one was replaced.
type Stamp = [Option<(i64, i64, u64, u64)>; 2];

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    [certificate, key].map(|path| {
        let of = std::fs::metadata(path).ok()?;
        Some((of.mtime(), of.mtime_nsec(), of.size(), of.ino()))
    })
}

/// Reads the files when they change. What can't be used, for instance while only one of the two was replaced, leaves the
/// certificate before it in force.
async fn follow(
    certificate: std::path::PathBuf,
    key: std::path::PathBuf,
    mut seen: Stamp,
    sender: watch::Sender<Arc<ServerConfig>>,
) {
    while tokio::time::timeout(LOOK_EVERY, sender.closed()).await.is_err() {
        let found = stamp(&certificate, &key);
        if found == seen {
            continue;
        }
        seen = found;
        match read(&certificate, &key) {
            Ok(config) => {
                tracing::info!(path = %certificate.display(), "the page shows its new certificate");
                sender.send_replace(Arc::new(config));
            }
            Err(error) => tracing::warn!(%error, "the page goes on with its certificate"),
        }
    }
}
