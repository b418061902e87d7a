//! Certificates of boxes at the gate, whatever the day: the store says which are good, and an emergency is kept from no box
//! because nobody came by in time.

use std::sync::Arc;

use loaxa_adapters::any_time::within_its_time;
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// A check of a client's certificate that judges one which is out of its time as it was then.
#[derive(Debug)]
pub struct KnownAtAnyTime(pub Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for KnownAtAnyTime {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let found = self.0.verify_client_cert(end_entity, intermediates, now);
        match found.as_ref().err().and_then(within_its_time) {
            Some(at) => self.0.verify_client_cert(end_entity, intermediates, at),
            None => found,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
