//! The renewal of a box's certificate over its own session: a new key, and a certificate for it before the old one ends.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{BoxId, ContentHash};
use crate::domain::playback::CommandRefusal;
use crate::wire::codec;
use crate::wire::envelope::Kind;
use crate::wire::messages::VERSION;
use crate::wire::signing::{PublicKey, SIGNATURE_BYTES, SecretKey};

/// Longest nonce, in bytes.
const NONCE_BYTES_MAX: usize = 64;

/// Longest certificate, PEM, in bytes; one of a box has some 700.
const CERTIFICATE_BYTES_MAX: usize = 8 * 1024;

/// Longest text of all authorities, in bytes: in an overlap there are three certificates of some 700, and those of the page.
const AUTHORITIES_BYTES_MAX: usize = 24 * 1024;

/// A box's request for a new certificate, signed by the key of its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Renewal {
    pub v: u32,
    #[serde(rename = "box")]
    pub id: BoxId,
    /// Random; the answer repeats it.
    pub nonce: String,
    /// SHA-256 of the certificate that the box shows now, in DER: it stays good until the new one is used.
    pub present: ContentHash,
    /// Public half of the new key, base64.
    pub tls_key: String,
    /// Signature of the new key over all the above, base64: nobody has a key certified that they do not hold.
    pub proof: String,
}

impl Renewal {
    /// Makes the request of a box for this key.
    pub fn new(id: BoxId, nonce: String, present: ContentHash, tls_key: &SecretKey) -> Self {
        let public = tls_key.public().to_string();
        let unproven = Self { v: VERSION, id, nonce, present, tls_key: public, proof: String::new() };
        let proof = BASE64.encode(tls_key.sign(&unproven.proven()));
        Self { proof, ..unproven }
    }

    /// The bytes that the new key signs. No envelope begins like this.
    fn proven(&self) -> Vec<u8> {
        let Self { id, nonce, present, tls_key, .. } = self;
        format!("loaxa-renew v1\n{id}\n{nonce}\n{present}\n{tls_key}").into_bytes()
    }

    /// Returns the new key; `None` where whoever asks does not hold it.
    pub fn key(&self) -> Option<PublicKey> {
        let key: PublicKey = self.tls_key.parse().ok()?;
        let proof: [u8; SIGNATURE_BYTES] = BASE64.decode(&self.proof).ok()?.try_into().ok()?;
        key.verifies(&self.proven(), &proof).then_some(key)
    }
}

/// Central's answer, signed by its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Renewed {
    pub v: u32,
    #[serde(rename = "box")]
    pub id: BoxId,
    /// The nonce of the request.
    pub nonce: String,
    /// The certificate for the new key, PEM.
    pub certificate: String,
    /// The authorities' certificates, PEM, that the centre's servers are checked against from now on, in place of those before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<String>,
}

impl codec::Message for Renewal {
    fn check(&self) -> Result<(), CommandRefusal> {
        codec::at_most("nonce", self.nonce.len(), NONCE_BYTES_MAX)?;
        codec::line("nonce", &self.nonce)?;
        codec::line("tls_key", &self.tls_key)?;
        codec::line("proof", &self.proof)
    }
}

impl codec::Sealed for Renewal {
    const KIND: Kind = Kind::Renewal;
}

impl codec::Message for Renewed {
    fn check(&self) -> Result<(), CommandRefusal> {
        codec::at_most("nonce", self.nonce.len(), NONCE_BYTES_MAX)?;
        codec::at_most("certificate", self.certificate.len(), CERTIFICATE_BYTES_MAX)?;
        codec::at_most("authorities", self.authorities.as_ref().map_or(0, String::len), AUTHORITIES_BYTES_MAX)
    }
}

impl codec::Sealed for Renewed {
    const KIND: Kind = Kind::Certificate;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_certified_for_whoever_holds_it() {
        let (own, other) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let asked = Renewal::new("loa-1".parse().unwrap(), "n".to_owned(), ContentHash([3; 32]), &own);
        assert_eq!(asked.key(), Some(own.public()));
        let check = |changed: Renewal| assert_eq!(changed.key(), None, "{changed:?}");
        check(Renewal { tls_key: other.public().to_string(), ..asked.clone() });
        check(Renewal { id: "loa-2".parse().unwrap(), ..asked.clone() });
        check(Renewal { nonce: "m".to_owned(), ..asked.clone() });
        check(Renewal { present: ContentHash([4; 32]), ..asked.clone() });
        check(Renewal { proof: String::new(), ..asked });
    }
}
