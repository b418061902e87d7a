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
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use crate::settings::Identity;
use crate::store::{SERIAL_BYTES, Serial};
use loaxa_adapters::certificate::{first_of, names, validity};
use loaxa_heart::domain::hex::hex;
use loaxa_heart::domain::ids::{BoxId, ContentHash};
use loaxa_heart::wire::signing::{KEY_BYTES, PublicKey};

/// The authority's name in its certificates.
const CA_NAME: &str = "Loa Xa CA";

/// Years that the authority's own certificate and those that it issues are good for; a box must not fall silent because
/// nobody came by, and a stolen one is revoked.
const YEARS: i32 = 20;

/// A year that is over, for a machine whose clock shows an earlier one.
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

/// First and last day of a certificate.
pub type Term = (NaiveDate, NaiveDate);

/// The authority that issues, and those before it whose certificates are still good.
pub struct Ca {
    /// PEM: the authority's own certificate, what the one before says of it, and the earlier ones.
    certificates: String,
    /// The word of the one before for it, PEM: who knows only that one takes this one's certificates, too.
    vouched: String,
    term: Term,
    issuer: Issuer<'static, KeyPair>,
    /// Earlier ones whose keys are here, with their ends: their certificates are revoked by lists of their own.
    earlier: Vec<(Issuer<'static, KeyPair>, NaiveDate)>,
}

impl Ca {
    /// Returns the term of an authority that begins now: from the first day of the year, as clocks may lag.
    pub fn term(today: NaiveDate) -> Term {
        let year = today.year().max(FIRST_YEAR);
        let first = |year| NaiveDate::from_ymd_opt(year, 1, 1).expect("every year has a first day");
        (first(year), first(year + YEARS))
    }

    /// Makes a new authority.
    ///
    /// # Errors
    /// Fails when the machine gives no randomness.
    pub fn make(term: Term) -> Result<Identity, CertificateError> {
        let key = KeyPair::generate()?;
        let certificate = ca_params(CA_NAME, term)?.self_signed(&key)?.pem();
        Ok(Identity { certificate, key: key.serialize_pem() })
    }

    /// Makes the authority after this one. Both are good until [`Ca::alone`]: who knows only the earlier one takes the later by
    /// what the earlier says of it.
    ///
    /// # Errors
    /// Fails when the earlier one can't be read, or the machine gives no randomness.
    pub fn succeeded(identity: &Identity, term: Term) -> Result<Identity, CertificateError> {
        let before = Self::open(identity)?;
        let (mut random, key) = ([0; 4], KeyPair::generate()?);
        getrandom::fill(&mut random).map_err(CertificateError::Random)?;
        let params = ca_params(&format!("{CA_NAME} {} {}", term.0.year(), hex(&random)), term)?;
        let vouched = params.signed_by(&key, &before.issuer)?.pem();
        let own = params.self_signed(&key)?.pem();
        Ok(Identity {
            certificate: format!("{own}{vouched}{}", identity.certificate),
            key: format!("{}{}", key.serialize_pem(), identity.key),
        })
    }

    /// Leaves the earlier authorities out.
    ///
    /// # Errors
    /// Fails when the authority can't be read.
    pub fn alone(identity: &Identity) -> Result<Identity, CertificateError> {
        let own = first_of(identity.certificate.as_bytes()).ok_or(CertificateError::BadPem)?;
        let key = key_of(&keys(&identity.key), &own).ok_or(CertificateError::BadPem)?;
        let certificate = one_block(&identity.certificate).ok_or(CertificateError::BadPem)?;
        Ok(Identity { certificate, key: key.serialize_pem() })
    }

    /// Opens an authority that was made before.
    ///
    /// # Errors
    /// Fails when its certificates can't be read, or its key is another's.
    pub fn open(identity: &Identity) -> Result<Self, CertificateError> {
        let certificates: Vec<CertificateDer> =
            CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
                .collect::<Result<_, _>>()
                .map_err(|_| CertificateError::BadPem)?;
        let mut own = Vec::new();
        let mut vouched = String::new();
        for certificate in &certificates {
            let (by, of) = names(certificate).ok_or(CertificateError::BadPem)?;
            let validity = validity(certificate).ok_or(CertificateError::BadPem)?;
            if by != of {
                vouched += &pem(certificate);
            } else if let Some(key) = key_of(&keys(&identity.key), certificate) {
                let term = (validity.begins.date(), validity.ends.date());
                own.push((Issuer::new(ca_params(&of, term)?, key), term, certificate));
            }
        }
        // The first one issues.
        let mut own = own.into_iter();
        let (issuer, term, first) = own.next().ok_or(CertificateError::BadPem)?;
        if certificates.first() != Some(first) {
            return Err(CertificateError::BadPem);
        }
        let earlier = own.map(|(issuer, term, _)| (issuer, term.1)).collect();
        Ok(Self { certificates: identity.certificate.clone(), vouched, term, issuer, earlier })
    }

    /// The certificates, PEM, against which boxes check the servers of central.
    pub fn certificates(&self) -> &str {
        &self.certificates
    }

    /// The certificates, PEM, that stand behind a server's own.
    pub fn behind(&self) -> &str {
        if self.vouched.is_empty() { &self.certificates } else { &self.vouched }
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
        let mut params = leaf_params(Vec::new(), id.as_str(), self.term)?;
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

    /// Makes the list of revoked certificates, PEM, for a broker that is not ours, dated `today`: one of each authority, as a
    /// broker asks for that of the certificate's issuer. A list ends with its authority, as brokers let nobody in when theirs
    /// has run out.
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
        let list = |issuer: &Issuer<'static, KeyPair>, ends: NaiveDate| {
            let params = CertificateRevocationListParams {
                // The broker's clock may lag.
                this_update: day(today.pred_opt().unwrap_or(today)),
                next_update: day(ends),
                crl_number: SerialNumber::from(revoked.len() as u64 + 1),
                issuing_distribution_point: None,
                revoked_certs: revoked.iter().map(entry).collect(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            params.signed_by(issuer)?.pem()
        };
        // PEM readers skip lines before the first block.
        let mut lists = format!("{}\n{}", self.list_mark(revoked), list(&self.issuer, self.term.1)?);
        for (issuer, ends) in &self.earlier {
            lists += &list(issuer, *ends)?;
        }
        Ok(lists)
    }

    /// First line of a list of revoked certificates; the same for the same ones by the same authorities, whatever the day.
    pub fn list_mark(&self, revoked: &[(Serial, NaiveDate)]) -> String {
        let mut told: Vec<u8> = revoked.iter().flat_map(|(serial, _)| *serial).collect();
        // Lists of a commune that never had another authority are marked as they always were.
        let first = first_of(self.certificates.as_bytes()).and_then(|own| names(&own));
        if !self.earlier.is_empty() || first.is_none_or(|(_, name)| name != CA_NAME) {
            told.extend(self.certificates.bytes());
        }
        format!("# loaxa: {} revoked, {}", revoked.len(), ContentHash::of(&told))
    }

    /// Issues a certificate and a key to a server that is reached under `hosts`, and that may log in elsewhere as `name`.
    ///
    /// # Errors
    /// Fails when a host is no name.
    pub fn issue_to_server(&self, hosts: Vec<String>, name: &str) -> Result<Identity, CertificateError> {
        self.certify(hosts, name, KeyPair::generate()?)
    }

    /// Issues another certificate for the key of a server, as [`Ca::issue_to_server`] does.
    ///
    /// # Errors
    /// Fails when a host is no name, or the key can't be read.
    pub fn issue_again(
        &self,
        hosts: Vec<String>,
        name: &str,
        key: &str,
    ) -> Result<Identity, CertificateError> {
        self.certify(hosts, name, KeyPair::from_pem(key)?)
    }

    fn certify(&self, hosts: Vec<String>, name: &str, key: KeyPair) -> Result<Identity, CertificateError> {
        let mut params = leaf_params(hosts, name, self.term)?;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Identity { certificate: format!("{certificate}{}", self.vouched), key: key.serialize_pem() })
    }
}

fn ca_params(name: &str, term: Term) -> Result<CertificateParams, CertificateError> {
    let mut params = leaf_params(Vec::new(), name, term)?;
    // One below it: the authority after this one, as this one vouches for it.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn leaf_params(hosts: Vec<String>, name: &str, term: Term) -> Result<CertificateParams, CertificateError> {
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let day = |date: NaiveDate| rcgen::date_time_ymd(date.year(), date.month() as u8, date.day() as u8);
    (params.not_before, params.not_after) = (day(term.0), day(term.1));
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// The last line of a secret key, and of a certificate.
const KEY_END: &str = "-----END PRIVATE KEY-----";
const CERTIFICATE_END: &str = "-----END CERTIFICATE-----";

/// Reads every key of a text.
fn keys(text: &str) -> Vec<KeyPair> {
    text.split_inclusive(KEY_END).filter_map(|block| KeyPair::from_pem(block.trim()).ok()).collect()
}

/// Finds the key that a certificate is for.
fn key_of(keys: &[KeyPair], certificate: &[u8]) -> Option<KeyPair> {
    let is_for = |key: &&KeyPair| {
        let public = key.public_key_raw();
        certificate.windows(public.len()).any(|window| window == public)
    };
    keys.iter().find(is_for).and_then(|key| KeyPair::from_pem(&key.serialize_pem()).ok())
}

/// The first certificate of a text, as text.
fn one_block(text: &str) -> Option<String> {
    let block =
        text.split_inclusive(CERTIFICATE_END).next().filter(|block| block.ends_with(CERTIFICATE_END))?;
    Some(format!("{}\n", block.trim_start()))
}

/// Writes a certificate as text.
fn pem(certificate: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n{CERTIFICATE_END}\n", lines.join("\n"))
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
