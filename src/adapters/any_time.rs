//! Certificates out of their time.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

/// A check of the broker's certificate that goes by the pinned authority and the name, and not by the time: a box whose
/// clock is lost learns the time only from central, and no date may keep an emergency away. What a box obeys, signatures decide.
#[derive(Debug)]
pub struct AnyTime(Arc<WebPkiServerVerifier>);

impl AnyTime {
    /// Makes a check of one that looks at the time.
    pub const fn new(strict: Arc<WebPkiServerVerifier>) -> Self {
        Self(strict)
    }
}

/// Certificates of a chain that may each be out of their time.
const CHAIN_MAX: usize = 4;

impl ServerCertVerifier for AnyTime {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut at = now;
        for _ in 0..=CHAIN_MAX {
            let found = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at);
            let Some(within) = found.as_ref().err().and_then(within_its_time) else {
                if found.is_ok() && at != now {
                    tracing::warn!("the broker's certificate is out of its time, by this machine's clock");
                }
                return found;
            };
            at = within;
        }
        Err(rustls::Error::InvalidCertificate(rustls::CertificateError::Expired))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Returns a moment at which a certificate that was refused for the time is good.
pub fn within_its_time(error: &rustls::Error) -> Option<UnixTime> {
    let rustls::Error::InvalidCertificate(error) = error else { return None };
    match error {
        rustls::CertificateError::ExpiredContext { not_after, .. } => Some(*not_after),
        rustls::CertificateError::NotValidYetContext { not_before, .. } => Some(*not_before),
        _ => None,
    }
}
