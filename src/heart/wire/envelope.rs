//! The signed envelope: DSSE v1 (github.com/secure-systems-lab/dsse) with Ed25519.
//!
//! The signature is over the exact bytes of the payload and over its type, so that nothing has to be
//! written canonically and a signature for one kind of message is none for another.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::messages::{MESSAGE_BYTES_MAX, Signed};
use super::signing::{PublicKey, SIGNATURE_BYTES, SecretKey};
use crate::domain::ids::{ContentHash, KeyId};
use crate::domain::playback::CommandRefusal;

/// Most signatures in an envelope; each costs one verification.
pub const SIGNATURES_MAX: usize = 8;

/// The content of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A [`Command`](super::messages::Command), signed by people.
    Command,
    /// A [`TrustMessage`](super::messages::TrustMessage), signed by the root key.
    Trust,
    /// A [`Welcome`](super::messages::Welcome), signed by central's key.
    Welcome,
    /// A [`LogBatch`](super::messages::LogBatch), signed by the box's key.
    LogBatch,
    /// A [`LogHead`](super::messages::LogHead), signed by the box's key.
    LogHead,
    /// A [`LogAck`](super::messages::LogAck), signed by central's key.
    LogAck,
    /// An [`EnrolmentSeal`](super::enrolment::EnrolmentSeal), signed by central's key.
    Enrolment,
    /// A [`Renewal`](super::renewal::Renewal), signed by the box's key.
    Renewal,
    /// A [`Renewed`](super::renewal::Renewed), signed by central's key.
    Certificate,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 9] = [
        Kind::Command,
        Kind::Trust,
        Kind::Welcome,
        Kind::LogBatch,
        Kind::LogHead,
        Kind::LogAck,
        Kind::Enrolment,
        Kind::Renewal,
        Kind::Certificate,
    ];

    /// Returns the `payloadType` in the envelope.
    pub const fn payload_type(self) -> &'static str {
        match self {
            Kind::Command => "application/vnd.loaxa.command+json",
            Kind::Trust => "application/vnd.loaxa.trust+json",
            Kind::Welcome => "application/vnd.loaxa.welcome+json",
            Kind::LogBatch => "application/vnd.loaxa.log-batch+json",
            Kind::LogHead => "application/vnd.loaxa.log-head+json",
            Kind::LogAck => "application/vnd.loaxa.log-ack+json",
            Kind::Enrolment => "application/vnd.loaxa.enrolment+json",
            Kind::Renewal => "application/vnd.loaxa.renewal+json",
            Kind::Certificate => "application/vnd.loaxa.certificate+json",
        }
    }
}

/// The envelope as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Envelope {
    #[serde(rename = "payloadType")]
    payload_type: String,
    /// Standard base64 with padding.
    payload: String,
    signatures: Vec<Signature>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
struct Signature {
    keyid: KeyId,
    /// 64 bytes in standard base64 with padding.
    sig: String,
}

/// Returns the bytes that are signed: DSSE's pre-authentication encoding.
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Signs `payload` with each of `keys`.
pub fn seal(kind: Kind, payload: &[u8], keys: &[&SecretKey]) -> Vec<u8> {
    let message = pre_authentication_encoding(kind.payload_type(), payload);
    let envelope = Envelope {
        payload_type: kind.payload_type().to_owned(),
        payload: BASE64.encode(payload),
        signatures: keys.iter().map(|key| Signature::new(key, &message)).collect(),
    };
    envelope.to_bytes()
}

/// Makes an envelope around signatures that were made elsewhere, over [`pre_authentication_encoding`]. They are not
/// verified.
pub fn assemble(kind: Kind, payload: &[u8], signatures: &[(KeyId, [u8; SIGNATURE_BYTES])]) -> Vec<u8> {
    let signature = |(key, sig): &(KeyId, [u8; SIGNATURE_BYTES])| Signature {
        keyid: key.clone(),
        sig: BASE64.encode(sig),
    };
    let envelope = Envelope {
        payload_type: kind.payload_type().to_owned(),
        payload: BASE64.encode(payload),
        signatures: signatures.iter().map(signature).collect(),
    };
    envelope.to_bytes()
}

/// Verifies an envelope against the keys that the receiver knows. The payload is not looked into.
///
/// Signatures of unknown keys and false ones are passed over while another is valid; a key counts once.
///
/// # Errors
/// Fails when `bytes` are too large or no envelope of this kind, or when no signature of a known key is valid.
pub fn open(
    kind: Kind,
    bytes: &[u8],
    keys: &impl Fn(&KeyId) -> Option<PublicKey>,
) -> Result<Signed<Vec<u8>>, CommandRefusal> {
    let envelope = Envelope::parse(kind, bytes)?;
    let payload = envelope.payload()?;
    let message = pre_authentication_encoding(kind.payload_type(), &payload);
    let mut signers = Vec::new();
    let mut seen = BTreeSet::new();
    let mut any_known = false;
    for Signature { keyid, sig } in &envelope.signatures {
        if !seen.insert(keyid) {
            continue;
        }
        let Some(key) = keys(keyid).filter(|key| key.key_id() == *keyid) else { continue };
        any_known = true;
        let valid = decode_signature(sig).is_some_and(|sig| key.verifies(&message, &sig));
        if valid {
            signers.push(keyid.clone());
        }
    }
    if signers.is_empty() {
        return Err(match envelope.signatures.first() {
            Some(first) if !any_known => CommandRefusal::UnknownKey { key: first.keyid.clone() },
            _ => CommandRefusal::BadSignature,
        });
    }
    Ok(Signed { signers, digest: ContentHash::of(&payload), payload })
}

impl Envelope {
    fn parse(kind: Kind, bytes: &[u8]) -> Result<Self, CommandRefusal> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(CommandRefusal::TooLarge { max: MESSAGE_BYTES_MAX as u64 });
        }
        let envelope: Envelope =
            serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        if envelope.payload_type != kind.payload_type() {
            return Err(malformed(format!("its type is not {}", kind.payload_type())));
        }
        if envelope.signatures.len() > SIGNATURES_MAX {
            return Err(malformed(format!("it has more than {SIGNATURES_MAX} signatures")));
        }
        Ok(envelope)
    }

    fn payload(&self) -> Result<Vec<u8>, CommandRefusal> {
        BASE64.decode(&self.payload).map_err(|error| malformed(format!("payload: {error}")))
    }

    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings are JSON")
    }
}

impl Signature {
    fn new(key: &SecretKey, message: &[u8]) -> Self {
        Self { keyid: key.key_id(), sig: BASE64.encode(key.sign(message)) }
    }
}

fn decode_signature(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    BASE64.decode(text).ok()?.try_into().ok()
}

/// Longest explanation of a malformed message, in characters: it may quote what a stranger wrote.
const DETAIL_CHARS_MAX: usize = 200;

pub(super) fn malformed(detail: impl Into<String>) -> CommandRefusal {
    let detail: String = detail.into();
    CommandRefusal::Malformed { detail: detail.chars().take(DETAIL_CHARS_MAX).collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn knows(seeds: &'static [u8]) -> impl Fn(&KeyId) -> Option<PublicKey> {
        move |id| seeds.iter().map(|seed| key(*seed).public()).find(|key| key.key_id() == *id)
    }

    fn check(bytes: &[u8], expected: Result<&[SecretKey], CommandRefusal>) {
        let found = open(Kind::Command, bytes, &knows(&[1, 2])).map(|signed| signed.signers);
        assert_eq!(found, expected.map(|keys| keys.iter().map(SecretKey::key_id).collect()));
    }

    /// Checks the example of the DSSE specification, protocol.md.
    #[test]
    fn the_encoding_is_that_of_the_specification() {
        let encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn signers_are_those_whose_signature_is_valid() {
        let sealed = seal(Kind::Command, b"{}", &[&key(1)]);
        check(&sealed, Ok(&[key(1)]));
        check(&seal(Kind::Command, b"{}", &[&key(1), &key(2)]), Ok(&[key(1), key(2)]));
        check(&seal(Kind::Command, b"{}", &[&key(1), &key(9)]), Ok(&[key(1)]));
        check(&seal(Kind::Command, b"{}", &[&key(1), &key(1)]), Ok(&[key(1)]));
        let foreign = CommandRefusal::UnknownKey { key: key(9).key_id() };
        check(&seal(Kind::Command, b"{}", &[&key(9)]), Err(foreign));
        check(&seal(Kind::Command, b"{}", &[]), Err(CommandRefusal::BadSignature));
    }

    #[test]
    fn a_signature_for_one_kind_is_none_for_another() {
        let mut envelope = Envelope::parse(Kind::Welcome, &seal(Kind::Welcome, b"{}", &[&key(1)])).unwrap();
        check(&envelope.to_bytes(), Err(malformed("its type is not application/vnd.loaxa.command+json")));
        envelope.payload_type = Kind::Command.payload_type().to_owned();
        check(&envelope.to_bytes(), Err(CommandRefusal::BadSignature));
    }

    #[test]
    fn bounds_come_before_work() {
        let max = MESSAGE_BYTES_MAX as u64;
        check(&vec![b'{'; MESSAGE_BYTES_MAX + 1], Err(CommandRefusal::TooLarge { max }));
        let keys: Vec<_> = (1..=9).map(key).collect();
        check(
            &seal(Kind::Command, b"", &keys.iter().collect::<Vec<_>>()),
            Err(malformed("it has more than 8 signatures")),
        );
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(payload in prop::collection::vec(any::<u8>(), 0..500)) {
            let opened = open(Kind::Command, &seal(Kind::Command, &payload, &[&key(1)]), &knows(&[1])).unwrap();
            prop_assert_eq!(opened.digest, ContentHash::of(&payload));
            prop_assert_eq!(opened.payload, payload);
        }

        #[test]
        fn any_flipped_bit_is_refused(
            payload in prop::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let mut bytes = seal(Kind::Command, &payload, &[&key(1)]);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(open(Kind::Command, &bytes, &knows(&[1])).is_err());
        }

        #[test]
        fn junk_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(open(Kind::Command, &bytes, &knows(&[1])).is_err());
        }
    }
}
