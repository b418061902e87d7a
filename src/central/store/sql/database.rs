//! The way to the database that the configuration names.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::connect::{connect, connect_to_read};
use super::engine::{Connection, Error, Purpose, Result, Rustls, Server, Target};
use crate::store::StoreError;
use loaxa_adapters::private_files;
use loaxa_heart::config::store_file::{Database, PostgresServer};

/// Time for a connection to a server to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The longest time of one change on a server.
const CHANGE_MAX: Duration = Duration::from_secs(30);
/// Time after which a server that answers nothing counts as gone.
const SILENT_MAX: Duration = Duration::from_secs(10);

/// A way to the database, by which each thread connects for itself.
pub enum Way {
    File(PathBuf),
    Server { url: String, target: Box<Target> },
}

impl Way {
    /// Finds the way that the configuration describes. A file is made for this user alone.
    ///
    /// # Errors
    /// Fails where a file can't be made or read, or an address means nothing.
    pub fn to(database: &Database) -> Result<Self, StoreError> {
        match database {
            Database::Sqlite(path) => {
                let cant_open = |error: std::io::Error| StoreError::CantOpen {
                    path: path.display().to_string(),
                    detail: error.to_string(),
                };
                private_files::keep(path).map_err(cant_open)?;
                Ok(Way::File(path.clone()))
            }
            Database::Postgres(server) => {
                let cant_open = |detail: String| StoreError::CantOpen { path: server.url.clone(), detail };
                let target = target(server).map_err(cant_open)?;
                Ok(Way::Server { url: server.url.clone(), target: Box::new(target) })
            }
        }
    }

    /// Says to people where the database is; no secret is in it.
    pub fn name(&self) -> String {
        match self {
            Way::File(path) => path.display().to_string(),
            Way::Server { url, .. } => url.clone(),
        }
    }

    /// Connects to write. A server is reached with the first statement.
    ///
    /// # Errors
    /// Fails where the file can't be opened.
    pub fn connect(&self) -> Result<Connection> {
        match self {
            Way::File(path) => connect(path),
            Way::Server { target, .. } => {
                let purpose = Purpose { time_max: CHANGE_MAX, writes: true };
                Ok(server(target, purpose))
            }
        }
    }

    /// Connects to write as long as it takes.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn connect_to_fill(&self) -> Result<Connection> {
        match self {
            Way::File(path) => connect(path),
            Way::Server { target, .. } => {
                Ok(server(target, Purpose { time_max: Duration::ZERO, writes: true }))
            }
        }
    }

    /// Connects to read, with this memory for pages of a file and this time for one question to a server.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn connect_to_read(&self, time_max: Duration, cache_kib: u32) -> Result<Connection> {
        match self {
            Way::File(path) => connect_to_read(path, cache_kib),
            Way::Server { target, .. } => Ok(server(target, Purpose { time_max, writes: false })),
        }
    }
}

fn server(target: &Target, purpose: Purpose) -> Connection {
    Connection::Postgres(Box::new(Server::new(target.clone(), purpose)))
}

fn target(server: &PostgresServer) -> std::result::Result<Target, String> {
    let mut config: postgres::Config =
        server.url.parse().map_err(|error: postgres::Error| Error::from(error).to_string())?;
    config.application_name("loaxa").connect_timeout(CONNECT_MAX).tcp_user_timeout(SILENT_MAX);
    config.keepalives_idle(SILENT_MAX).keepalives_interval(SILENT_MAX / 3).keepalives_retries(3);
    if let Some(path) = &server.password_file {
        let kept = private_files::read(path).map_err(|error| error.to_string())?;
        config.password(kept.trim_end_matches(['\n', '\r']));
    }
    let tls = if server.has_tls() { Some(tls(server)?) } else { None };
    config.ssl_mode(if tls.is_some() {
        postgres::config::SslMode::Require
    } else {
        postgres::config::SslMode::Disable
    });
    Ok(Target { config, tls })
}

fn tls(server: &PostgresServer) -> std::result::Result<Rustls, String> {
    let mut roots = RootCertStore::empty();
    match &server.ca {
        Some(path) => {
            let of_file = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| of_file(&error))? {
                let certificate = certificate.map_err(|error| of_file(&error))?;
                roots.add(certificate).map_err(|error| of_file(&error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Rustls(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::cluster::Cluster;

    #[test]
    fn who_waited_in_vain_for_another_writer_writes_when_that_one_has_ended() {
        let cluster = Cluster::start();
        cluster.create("xa");
        let Way::Server { target, .. } = Way::to(&cluster.database("xa")).unwrap() else {
            panic!("a server")
        };
        let writer = |time_max| server(&target, Purpose { time_max, writes: true });
        let (hasty, slow) = (writer(Duration::from_millis(200)), writer(Duration::from_secs(20)));
        slow.in_transaction(|_| {
            for _ in 0..2 {
                let refused = hasty.in_transaction(|_| Ok(()));
                assert!(refused.as_ref().is_err_and(Error::is_away), "{refused:?}");
            }
            Ok(())
        })
        .unwrap();
        hasty.in_transaction(|db| db.execute_batch("CREATE TABLE kept (one BIGINT)")).unwrap();
        assert_eq!(cluster.sql("xa", "SELECT count(*) FROM kept"), "0");
    }
}
