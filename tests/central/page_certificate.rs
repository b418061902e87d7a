//! The page shows a certificate of files, and the new one when the files are replaced, without a restart.
use std::path::Path;

use crate::support::commune::*;
use loaxa_central::link::certificates::Ca;
use loaxa_central::settings::{Identity, PageTls};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

fn put(dir: &Path, ca: &Identity) {
    let made = Ca::open(ca).unwrap().issue_to_server(vec!["localhost".to_owned()], "page").unwrap();
    std::fs::write(dir.join("page.pem"), made.certificate).unwrap();
    std::fs::write(dir.join("page.key"), made.key).unwrap();
}

/// Tells whether the page shows a certificate of this authority.
async fn shows(port: u16, ca: &Identity) -> bool {
    let ca = Certificate::from_pem(ca.certificate.as_bytes()).unwrap();
    let ask = move || {
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[ca])).build();
        let agent: ureq::Agent = ureq::Agent::config_builder().tls_config(tls).build().into();
        agent.get(format!("https://localhost:{port}/healthz")).call().is_ok()
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_without_a_restart_and_a_bad_one_never() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (
        Ca::make(Ca::term(loaxa_adapters::clock::wall().date())).unwrap(),
        Ca::make(Ca::term(loaxa_adapters::clock::wall().date())).unwrap(),
    );
    put(dir.path(), &first);
    let mut settings = settings(dir.path(), embedded());
    let (certificate, key) = (dir.path().join("page.pem"), dir.path().join("page.key"));
    settings.page.tls = PageTls::Files { certificate, key: key.clone(), ca: None };
    let central = start(settings).await;
    let port = central.http_addr().port();
    assert_eq!(
        (central.scheme(), shows(port, &first).await, shows(port, &second).await),
        ("https", true, false)
    );
    // Half of a pair, as while an installer copies.
    std::fs::write(&key, "no key").unwrap();
    assert!(shows(port, &first).await);
    put(dir.path(), &second);
    until("the new certificate", async || shows(port, &second).await.then_some(())).await;
    assert!(!shows(port, &first).await);
    central.stop().await;
}
