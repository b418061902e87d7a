//! The enrolment of a new box in a commune: a one-time code, the keys that the box made, and what it gets for them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::hex::hex;
use crate::domain::ids::{BoxId, ContentHash, GroupId, KeyId};
use crate::said;
use crate::texts::{Say, Sentence};
use crate::wire::signing::PublicKey;

/// Random hex digits of a code: 80 bits.
pub const SECRET_DIGITS: usize = 20;

/// Hex digits of a key id.
const KEY_ID_DIGITS: usize = 16;

/// A one-time code. It carries the root key's id, so that nobody on the way can put another authority in its place.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolmentCode {
    secret: String,
    pub root: KeyId,
}

/// A text that is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub struct BadCode;

impl Say for BadCode {
    fn say(&self) -> Sentence {
        said!("enrolment_code.bad")
    }
}

impl EnrolmentCode {
    /// Makes the code of 10 random bytes for a commune.
    pub fn new(random: [u8; SECRET_DIGITS / 2], root: &PublicKey) -> Self {
        let secret = hex(&random);
        Self { secret, root: root.key_id() }
    }

    /// Hashes the code; central keeps only this.
    pub fn hash(&self) -> ContentHash {
        ContentHash::of(self.secret.as_bytes())
    }
}

impl FromStr for EnrolmentCode {
    type Err = BadCode;

    fn from_str(text: &str) -> Result<Self, BadCode> {
        let digits: String =
            text.chars().filter(|c| !matches!(c, '-' | ' ' | '\n')).map(|c| c.to_ascii_lowercase()).collect();
        let all_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if digits.len() != SECRET_DIGITS + KEY_ID_DIGITS || !all_hex {
            return Err(BadCode);
        }
        let (secret, root) = digits.split_at(SECRET_DIGITS);
        Ok(Self { secret: secret.to_owned(), root: root.parse().map_err(|_| BadCode)? })
    }
}

impl fmt::Display for EnrolmentCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{}{}", self.secret, self.root);
        let groups: Vec<&str> = (0..digits.len()).step_by(4).map(|at| &digits[at..at + 4]).collect();
        f.write_str(&groups.join("-"))
    }
}

impl fmt::Debug for EnrolmentCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnrolmentCode(.. {})", self.root)
    }
}

/// A box's request to `POST /api/v1/enrol`.
#[derive(Debug, Serialize, Deserialize)]
pub struct EnrolRequest {
    pub code: String,
    /// Public half of the key that will sign its log, base64.
    pub log_key: String,
    /// Public half of the key that its certificate is for, base64.
    pub tls_key: String,
}

/// Central's answer to an enrolment.
#[derive(Debug, Serialize, Deserialize)]
pub struct Enrolled {
    #[serde(rename = "box")]
    pub id: BoxId,
    pub groups: Vec<GroupId>,
    /// The commune's root key, base64; it must have the id that stands in the code.
    pub root: String,
    /// The envelope of the trust document in force.
    pub trust: String,
    /// Certificate of the authority that the broker's is checked against, PEM.
    pub ca: String,
    /// The box's own, PEM.
    pub certificate: String,
    pub broker: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::signing::SecretKey;

    fn check(text: &str, is_code: bool) {
        assert_eq!(text.parse::<EnrolmentCode>().is_ok(), is_code, "{text}");
    }

    #[test]
    fn a_code_is_read_as_it_is_shown() {
        let root = SecretKey::from_seed(&[1; 32]).public();
        let code = EnrolmentCode::new([0xab; 10], &root);
        let shown = code.to_string();
        assert_eq!(shown, "abab-abab-abab-abab-abab-3475-0f98-bd59-fcfc");
        assert_eq!(shown.parse(), Ok(code.clone()));
        assert_eq!(shown.to_uppercase().replace('-', " ").parse(), Ok(code));
        check("", false);
        check(&shown[1..], false);
        check(&shown.replace("fcfc", "fcfg"), false);
        check(&shown.replace("fcfc", "fcế"), false);
    }
}
