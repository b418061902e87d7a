//! The little of an X.509 certificate (RFC 5280) that is read here: when it is good, and for which key.

use loaxa_heart::domain::time::Wall;
use loaxa_heart::wire::signing::PublicKey;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Bytes before an Ed25519 key in a certificate (RFC 8410): algorithm, and the head of the bits.
const ED25519_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The time in which a certificate is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    pub begins: Wall,
    pub ends: Wall,
}

/// Reads the first certificate of a PEM text.
pub fn first_of(pem: &[u8]) -> Option<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).next()?.ok()
}

/// Tells whether a certificate is for this key. The key stands in the part that its issuer signed.
pub fn is_for(certificate: &[u8], key: &PublicKey) -> bool {
    let named = [&ED25519_HEAD[..], &key.to_bytes()].concat();
    certificate.windows(named.len()).any(|window| window == named)
}

/// The common names of a certificate's issuer and of its subject, in this order.
pub fn names(certificate: &[u8]) -> Option<(String, String)> {
    let (body, _) = element(certificate, 0x30)?;
    let (signed, _) = element(body, 0x30)?;
    // The version may be left out; serial and algorithm stand before the issuer (4.1).
    let rest = element(signed, 0xa0).map_or(signed, |(_, rest)| rest);
    let (_, rest) = element(rest, 0x02)?;
    let (_, rest) = element(rest, 0x30)?;
    let (issuer, rest) = element(rest, 0x30)?;
    let (_, rest) = element(rest, 0x30)?;
    let (subject, _) = element(rest, 0x30)?;
    Some((common_name(issuer)?, common_name(subject)?))
}

/// The text behind the identifier of a common name (X.520, 2.5.4.3).
fn common_name(name: &[u8]) -> Option<String> {
    const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
    let at = name.windows(COMMON_NAME.len()).position(|window| window == COMMON_NAME)?;
    let value = &name[at + COMMON_NAME.len()..];
    let (text, _) = element(value, *value.first()?)?;
    String::from_utf8(text.to_vec()).ok()
}

/// Reads when a certificate is good: the first sequence of its signed part that holds nothing but two times (4.1.2.5).
pub fn validity(certificate: &[u8]) -> Option<Validity> {
    let (body, _) = element(certificate, 0x30)?;
    let (mut signed, _) = element(body, 0x30)?;
    // Version, serial, algorithm and issuer stand before it.
    for _ in 0..8 {
        let tag = *signed.first()?;
        let (content, rest) = element(signed, tag)?;
        let times = || {
            let (begins, second) = time(content)?;
            time(second).filter(|(_, rest)| rest.is_empty()).map(|(ends, _)| Validity { begins, ends })
        };
        if let (0x30, Some(found)) = (tag, times()) {
            return Some(found);
        }
        signed = rest;
    }
    None
}

/// The content of a DER element with this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (bytes.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length))?
}

/// A UTCTime or a GeneralizedTime in UTC, and what follows it.
fn time(der: &[u8]) -> Option<(Wall, &[u8])> {
    let (text, rest, century) = match element(der, 0x17) {
        // Years 00 to 49 are of this century (RFC 5280).
        Some((text, rest)) => (text, rest, if text.first()? < &b'5' { "20" } else { "19" }),
        None => element(der, 0x18).map(|(text, rest)| (text, rest, ""))?,
    };
    let text = format!("{century}{}", std::str::from_utf8(text).ok()?);
    let at = chrono::NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ").ok()?;
    Some((Wall(at.and_utc().timestamp_micros()), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_good_never() {
        assert_eq!(validity(b"no certificate"), None);
        assert_eq!(validity(&[0x30, 0x83, 0xff, 0xff, 0xff]), None);
        assert!(first_of(b"-----BEGIN CERTIFICATE-----").is_none());
        assert_eq!(names(b"no certificate"), None);
        assert_eq!(names(&[0x30, 0x04, 0x30, 0x02, 0x30, 0x00]), None);
    }
}
