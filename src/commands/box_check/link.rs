//! Checks of the way to central: network, broker, certificate, trust.

use std::io::{ErrorKind, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::finding::Finding;
use crate::commands::language::{foreign, of_file};
use loaxa_adapters::authorities::Authorities;
use loaxa_adapters::{certificate, clock, mqtt};
use loaxa_box::renewal;
use loaxa_box::status::Status;
use loaxa_heart::config::box_file::{BoxConfig, CentralLink, TlsFiles};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::TrustMessage;

/// Longest wait for an answer of the broker.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time in which a broker that refuses a certificate has said so.
const REFUSAL_WAIT: Duration = Duration::from_millis(700);
/// Days before its end at which a certificate is to be renewed, and at which that is urgent.
const DAYS_WANTED: i64 = 60;
const DAYS_URGENT: i64 = 30;
/// Part of a month's data from which it is told, in percent.
const DATA_PERCENT_TOLD: u64 = 80;
const MB: u64 = 1_000_000;

pub fn network(config: &BoxConfig) -> Finding {
    let Some(central) = &config.central else {
        return Finding::good("network", said!("box_check.alone"));
    };
    let mut hosts = central.broker.places().filter_map(|(host, port)| {
        let error = (host, port).to_socket_addrs().err()?;
        Some(said!("box_check.no_network", host, error))
    });
    match hosts.next() {
        None => Finding::good("network", said!("box_check.network", host = central.broker.host)),
        Some(said) => Finding::bad("network", said, said!("box_check.mend_network")),
    }
}

pub fn broker(config: &BoxConfig, status: Option<&Status>) -> Finding {
    let Some(central) = &config.central else {
        return Finding::good("broker", said!("box_check.alone"));
    };
    let (host, port) = (&central.broker.host, central.broker.port);
    if central.broker.others.is_empty() && status.is_some_and(|status| status.connected) {
        return Finding::good("broker", said!("box_check.connected", host, port));
    }
    let no_answer = |place| Some((place, knock(central, place, &config.state_dir).err()?));
    let closed: Vec<_> = central.broker.places().filter_map(no_answer).collect();
    let Some(((host, port), why)) = closed.first() else {
        return Finding::good("broker", said!("box_check.broker", host, port));
    };
    let (said, mend) = (said!("box_check.no_broker", host, port, why), said!("box_check.mend_broker", port));
    // One broker of a cluster is enough.
    match closed.len() <= central.broker.others.len() {
        true => Finding::doubtful("broker", said, mend),
        false => Finding::bad("broker", said, mend),
    }
}

/// Connects to a broker as the daemon does, as far as it says whether the certificates are right.
fn knock(central: &CentralLink, (host, port): (&str, u16), state_dir: &Path) -> Result<(), Sentence> {
    let addresses = (host, port).to_socket_addrs().map_err(|error| error.say())?;
    let mut last = said!("box_check.no_address");
    let stream = addresses.into_iter().find_map(|address| {
        TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| last = error.say()).ok()
    });
    let Some(tcp) = stream else { return Err(last) };
    if !central.broker.tls {
        return Ok(());
    }
    tcp.set_read_timeout(Some(PATIENCE)).map_err(|error| error.say())?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| foreign(&error))?;
    let mut connection =
        ClientConnection::new(tls(&central.tls, state_dir)?, name).map_err(|error| foreign(&error))?;
    let mut socket = &tcp;
    connection.complete_io(&mut socket).map_err(|error| foreign(&error))?;
    tcp.set_read_timeout(Some(REFUSAL_WAIT)).map_err(|error| error.say())?;
    match StreamOwned::new(connection, tcp).read(&mut [0]) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
        Err(error) => Err(foreign(&error)),
        Ok(_) => Err(said!("box_check.hung_up")),
    }
}

fn tls(files: &TlsFiles, state_dir: &Path) -> Result<Arc<ClientConfig>, Sentence> {
    // An error says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    if let Some(configured) = &files.ca {
        let authorities = Authorities::new(configured.clone(), state_dir);
        let ca = authorities.file();
        for certificate in certificates(ca)? {
            roots.add(certificate).map_err(|error| of_file(ca, &foreign(&error)))?;
        }
    }
    let config = ClientConfig::builder().with_root_certificates(roots);
    let config = match &files.identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let renewed = renewal::file(state_dir);
            let (certificate, key) = match mqtt::own_certificate(&renewed, &renewed) {
                Some(_) => (&*renewed, &*renewed),
                None => (certificate.as_path(), key.as_path()),
            };
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| of_file(key, &foreign(&error)))?;
            let chain = certificates(certificate)?;
            config.with_client_auth_cert(chain, secret).map_err(|error| foreign(&error))?
        }
    };
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Sentence> {
    let unreadable = |error: rustls::pki_types::pem::Error| of_file(path, &foreign(&error));
    CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)
}

pub fn certificate(config: &BoxConfig) -> Finding {
    let identity = config.central.as_ref().and_then(|central| central.tls.identity.as_ref());
    let Some((path, key)) = identity else {
        return Finding::good("certificate", said!("box_check.certificate_none"));
    };
    let renewed = renewal::file(&config.state_dir);
    let (path, key) =
        if mqtt::own_certificate(&renewed, &renewed).is_some() { (&renewed, &renewed) } else { (path, key) };
    let remedy = || said!("box_check.mend_certificate");
    if let Err(error) = PrivateKeyDer::from_pem_file(key) {
        return Finding::bad("certificate", of_file(key, &foreign(&error)), remedy());
    }
    let ends =
        match certificates(path).map(|chain| chain.first().and_then(|first| certificate::validity(first))) {
            Ok(Some(validity)) => validity.ends,
            Ok(None) => return Finding::bad("certificate", said!("box_check.no_certificate"), remedy()),
            Err(said) => return Finding::bad("certificate", said, remedy()),
        };
    lasts(ends, clock::wall())
}

/// Judges a certificate by its end.
fn lasts(ends: Wall, now: Wall) -> Finding {
    let remedy = said!("box_check.mend_certificate");
    let until = ends.local().format("%d/%m/%Y");
    match (ends - now).div_euclid(86_400_000_000) {
        ..0 => Finding::bad("certificate", said!("box_check.certificate_over", until), remedy),
        days @ 0..DAYS_URGENT => {
            Finding::doubtful("certificate", said!("box_check.certificate_urgent", until, days), remedy)
        }
        days @ DAYS_URGENT..DAYS_WANTED => {
            Finding::doubtful("certificate", said!("box_check.certificate_soon", until, days), remedy)
        }
        _ => Finding::good("certificate", said!("box_check.certificate", until)),
    }
}

/// Judges the audio that came over the network in this month.
pub fn data(status: Option<&Status>) -> Finding {
    let Some(status) = status else { return Finding::good("data", said!("box_check.data_unknown")) };
    data_used(status.media_month_bytes, status.media_month_bytes_max)
}

fn data_used(bytes: u64, bytes_max: Option<u64>) -> Finding {
    let mb = bytes / MB;
    let Some(max) = bytes_max else { return Finding::good("data", said!("box_check.data", mb)) };
    let said = said!("box_check.data_of", mb, mb_max = max / MB);
    if bytes >= max {
        let said = said!("box_check.data_over", mb, mb_max = max / MB);
        return Finding::doubtful("data", said, said!("box_check.mend_data"));
    }
    if u128::from(bytes) * 100 >= u128::from(max) * u128::from(DATA_PERCENT_TOLD) {
        return Finding::doubtful("data", said, said!("box_check.mend_data"));
    }
    Finding::good("data", said)
}

pub fn trust(config: &BoxConfig) -> Finding {
    let remedy = || said!("box_check.mend_trust");
    let Some(trust) = &config.trust else {
        return Finding::doubtful("trust", said!("box_check.obeys_nobody"), remedy());
    };
    let root = match trust.root.read() {
        Ok(root) => root,
        Err(problems) => return Finding::bad("trust", problems.say(), remedy()),
    };
    let Some(path) = &trust.trust else {
        return Finding::good("trust", said!("box_check.root", root = root.key_id()));
    };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return Finding::bad("trust", of_file(path, &error), remedy()),
    };
    let pinned = |id: &_| Some(root).filter(|key| key.key_id() == *id);
    match codec::open::<TrustMessage>(&bytes, &pinned) {
        Ok(opened) => {
            let trust = opened.payload.trust;
            Finding::good(
                "trust",
                said!("box_check.trust", version = trust.version, keys = trust.grants.len()),
            )
        }
        Err(refusal) => Finding::bad("trust", of_file(path, &refusal), remedy()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::box_check::finding::Grade;
    use loaxa_heart::texts::Lang;

    #[test]
    fn a_certificate_is_renewed_in_time() {
        let now: Wall = "2026-11-27T00:00:00Z".parse().unwrap();
        let check = |days: i64, grade: Grade, expected: &str| {
            let found = lasts(Wall(now.0 + days * 86_400_000_000), now);
            let said = found.said.to(Lang::En);
            assert!(found.grade == grade && said.contains(expected), "{days}: {said}");
            assert_eq!(found.remedy.is_some(), grade != Grade::Good, "{days}");
        };
        check(365, Grade::Good, "good until 27/11/2027");
        check(60, Grade::Good, "good until");
        check(59, Grade::Doubtful, "59 days");
        check(30, Grade::Doubtful, "30 days");
        check(29, Grade::Doubtful, "only 29 days");
        check(0, Grade::Doubtful, "only 0 days");
        check(-1, Grade::Bad, "expired on 26/11/2026");
    }

    #[test]
    fn data_is_told_before_it_is_used_up() {
        let check = |bytes: u64, max: Option<u64>, grade: Grade, expected: &str| {
            let found = data_used(bytes, max);
            let said = found.said.to(Lang::En);
            assert!(found.grade == grade && said.contains(expected), "{bytes} of {max:?}: {said}");
        };
        check(5_000_000, None, Grade::Good, "5 MB");
        check(799 * MB, Some(1_000 * MB), Grade::Good, "799 of 1000 MB");
        check(800 * MB, Some(1_000 * MB), Grade::Doubtful, "800 of 1000 MB");
        check(1_000 * MB, Some(1_000 * MB), Grade::Doubtful, "used up");
        check(0, Some(0), Grade::Doubtful, "used up");
        check(u64::MAX, Some(u64::MAX), Grade::Doubtful, "used up");
    }

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let mut parameters = rcgen::CertificateParams::new(vec!["loa-1".to_owned()]).unwrap();
        for (year, month, day) in [(2036, 11, 26), (2056, 1, 2)] {
            parameters.not_after = rcgen::date_time_ymd(year, month, day);
            let key = rcgen::KeyPair::generate().unwrap();
            let made = parameters.self_signed(&key).unwrap();
            let expected = format!("{year}-{month:02}-{day:02}T00:00:00Z").parse().unwrap();
            let found = certificate::validity(made.der()).unwrap();
            assert_eq!(found.ends, expected);
            assert!(found.begins < found.ends);
        }
    }
}
