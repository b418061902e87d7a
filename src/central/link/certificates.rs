//! The commune's own certificate authority: a certificate opens the way to the broker.
//!
//! A certificate says who a box is. The trust document says who may order what.

use chrono::{Datelike, Days, NaiveDate};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ED25519, PublicKeyData, RevokedCertParams,
    SerialNumber, SignatureAlgorithm,
};

use crate::settings::Identity;
use crate::store::{SERIAL_BYTES, Serial};
use loaxa_heart::domain::ids::{BoxId, ContentHash};
use loaxa_heart::wire::signing::{KEY_BYTES, PublicKey};

/// The authority's name in its certificates.
const CA_NAME: &str = "Loa Xa CA";

/// Years that the authority's own certificate and those that it issues are good for; a box must not fall silent because
/// nobody came by, and a stolen one is revoked.
const YEARS: i32 = 20;

/// A first day that lies before any commune's.
const FIRST_YEAR: i32 = 2025;

/// A reason for which there is no certificate.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum CertificateError {
    Rcgen(#[from] rcgen::Error),
    BadPem,
    Random(getrandom::Error),
}

impl Say for CertificateError {
    fn say(&self) -> Sentence {
        match self {
            CertificateError::Rcgen(error) => said!("certificate.rcgen", error),
            CertificateError::BadPem => said!("certificate.bad_pem"),
            CertificateError::Random(error) => said!("certificate.random", error),
        }
    }
}

/// A certificate for a key that stays elsewhere.
pub struct Issued {
    pub certificate: String,
    /// SHA-256 of the DER bytes, by which the store knows the certificate.
    pub fingerprint: ContentHash,
    pub serial: Serial,
}

/// The authority.
pub struct Ca {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    /// Makes a new authority.
    ///
    /// # Errors
    /// Fails when the machine gives no randomness.
    pub fn make() -> Result<Identity, CertificateError> {
        let key = KeyPair::generate()?;
        let certificate = ca_params()?.self_signed(&key)?.pem();
        Ok(Identity { certificate, key: key.serialize_pem() })
    }

    /// Opens an authority that was made before.
    ///
    /// # Errors
    /// Fails when its key can't be read.
    pub fn open(identity: &Identity) -> Result<Self, CertificateError> {
        let issuer = Issuer::new(ca_params()?, KeyPair::from_pem(&identity.key)?);
        Ok(Self { certificate: identity.certificate.clone(), issuer })
    }

    /// The authority's own certificate, PEM, against which boxes check the broker.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Issues a certificate with a box's name as its CN, for the key that the box made, good for so many days from `today`
    /// and never longer than the authority.
    ///
    /// # Errors
    /// Fails when the machine gives no randomness.
    pub fn issue_to_box(
        &self,
        id: &BoxId,
        key: &PublicKey,
        (today, days): (NaiveDate, Option<u16>),
    ) -> Result<Issued, CertificateError> {
        let mut serial: Serial = [0; SERIAL_BYTES];
        getrandom::fill(&mut serial).map_err(CertificateError::Random)?;
        // RFC 5280 asks for a positive number; with the second bit set, all bytes of it are written.
        serial[0] = serial[0] & 0x7f | 0x40;
        let mut params = leaf_params(Vec::new(), id.as_str())?;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let until = days.and_then(|days| today.checked_add_days(Days::new(days.into())));
        if let Some(until) = until {
            let until = rcgen::date_time_ymd(until.year(), until.month() as u8, until.day() as u8);
            params.not_after = until.min(params.not_after);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&Ed25519(key.to_bytes()), &self.issuer)?;
        Ok(Issued { fingerprint: ContentHash::of(certificate.der()), certificate: certificate.pem(), serial })
    }

    /// Makes the list of revoked certificates, PEM, for a broker that is not ours, dated `today`. The list ends in the far
    /// future, as brokers let nobody in when their list has run out.
    ///
    /// # Errors
    /// Fails only for dates that X.509 can't name.
    pub fn revocation_list(
        &self,
        revoked: &[(Serial, NaiveDate)],
        today: NaiveDate,
    ) -> Result<String, CertificateError> {
        let day = |date: NaiveDate| rcgen::date_time_ymd(date.year(), date.month() as u8, date.day() as u8);
        let entry = |(serial, date): &(Serial, NaiveDate)| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: day(*date),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            // The broker's clock may lag.
            this_update: day(today.pred_opt().unwrap_or(today)),
            next_update: rcgen::date_time_ymd(FIRST_YEAR + YEARS, 1, 1),
            crl_number: SerialNumber::from(revoked.len() as u64 + 1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        // PEM readers skip lines before the first block.
        Ok(format!("{}\n{}", list_mark(revoked), params.signed_by(&self.issuer)?.pem()?))
    }

    /// Issues a certificate and a key to a server that is reached under `hosts`, and that may log in elsewhere as `name`.
    ///
    /// # Errors
    /// Fails when a host is no name.
    pub fn issue_to_server(&self, hosts: Vec<String>, name: &str) -> Result<Identity, CertificateError> {
        let mut params = leaf_params(hosts, name)?;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Identity { certificate, key: key.serialize_pem() })
    }
}

/// First line of a list of revoked certificates; the same for the same ones, whatever the day.
pub fn list_mark(revoked: &[(Serial, NaiveDate)]) -> String {
    let serials: Vec<u8> = revoked.iter().flat_map(|(serial, _)| *serial).collect();
    format!("# loaxa: {} revoked, {}", revoked.len(), ContentHash::of(&serials))
}

fn ca_params() -> Result<CertificateParams, CertificateError> {
    let mut params = leaf_params(Vec::new(), CA_NAME)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn leaf_params(hosts: Vec<String>, name: &str) -> Result<CertificateParams, CertificateError> {
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(FIRST_YEAR, 1, 1);
    params.not_after = rcgen::date_time_ymd(FIRST_YEAR + YEARS, 1, 1);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// A box's public key in the form that X.509 asks for.
struct Ed25519([u8; KEY_BYTES]);

impl PublicKeyData for Ed25519 {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}
