//! Ed25519 keys and signatures.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::Signer;

use crate::domain::ids::{ContentHash, KeyId};
use crate::said;
use crate::texts::{Say, Sentence};

/// Length of a secret key, a public key and a seed, in bytes.
pub const KEY_BYTES: usize = 32;

/// Length of a signature, in bytes.
pub const SIGNATURE_BYTES: usize = 64;

/// The secret half of a signing key; never shown by `Debug` and wiped when dropped.
#[derive(Clone)]
pub struct SecretKey(ed25519_dalek::SigningKey);

impl SecretKey {
    /// Makes the key that belongs to 32 random bytes.
    pub fn from_seed(seed: &[u8; KEY_BYTES]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Returns the 32 bytes that the key was made from, for its key file.
    pub fn seed(&self) -> [u8; KEY_BYTES] {
        self.0.to_bytes()
    }

    /// Returns the half that everyone may know.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Returns the identifier of the public half.
    pub fn key_id(&self) -> KeyId {
        self.public().key_id()
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.key_id())
    }
}

/// The public half of a signing key. Written as its 32 bytes in base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

/// A text that is no usable public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub struct BadPublicKey;

impl Say for BadPublicKey {
    fn say(&self) -> Sentence {
        said!("public_key.bad")
    }
}

impl PublicKey {
    /// Checks 32 bytes.
    ///
    /// # Errors
    /// Fails when the bytes are no point of the curve, or a weak one, under which anything would verify.
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Result<Self, BadPublicKey> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| BadPublicKey)?;
        if key.is_weak() { Err(BadPublicKey) } else { Ok(Self(key)) }
    }

    /// Returns the key's 32 bytes.
    pub fn to_bytes(&self) -> [u8; KEY_BYTES] {
        self.0.to_bytes()
    }

    /// Returns the key's identifier: the first 16 hex digits of the SHA-256 of its bytes.
    pub fn key_id(&self) -> KeyId {
        let hash = ContentHash::of(self.0.as_bytes()).to_string();
        KeyId::new(&hash[..16]).expect("hex digits are a name")
    }

    /// Tells whether `signature` is this key's over `message`; strict, so that no other signature is as good.
    pub fn verifies(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        self.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }
}

impl std::str::FromStr for PublicKey {
    type Err = BadPublicKey;

    fn from_str(text: &str) -> Result<Self, BadPublicKey> {
        let bytes = BASE64.decode(text).map_err(|_| BadPublicKey)?;
        Self::from_bytes(bytes.as_slice().try_into().map_err(|_| BadPublicKey)?)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.key_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    /// Checks test 1 of RFC 8032, section 7.1.
    #[test]
    fn the_vector_of_rfc_8032() {
        let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        let signature = hex(concat!(
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ));
        let key = SecretKey::from_seed(&seed.try_into().unwrap());
        assert_eq!(key.public().to_bytes().to_vec(), public);
        assert_eq!(key.sign(b"").to_vec(), signature);
        assert!(key.public().verifies(b"", &signature.try_into().unwrap()));
        assert!(!key.public().verifies(b"x", &key.sign(b"")));
    }

    #[test]
    fn public_keys_go_through_text_and_weak_ones_are_refused() {
        let public = SecretKey::from_seed(&[7; 32]).public();
        assert_eq!(public.to_string().parse(), Ok(public));
        let mut weak = [0; 32];
        weak[0] = 1;
        assert_eq!(PublicKey::from_bytes(&weak), Err(BadPublicKey));
        assert_eq!("".parse::<PublicKey>(), Err(BadPublicKey));
    }

    #[test]
    fn a_secret_key_is_not_shown() {
        let key = SecretKey::from_seed(&[7; 32]);
        assert_eq!(format!("{key:?}"), format!("SecretKey({})", key.key_id()));
    }
}
