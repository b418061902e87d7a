//! The enrolment of a new box in a commune: a one-time code, the keys that the box made, and what it gets for them.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::domain::authority::Power;
use crate::domain::hex::hex;
use crate::domain::ids::{BoxId, ContentHash, GroupId, KeyId};
use crate::domain::playback::CommandRefusal;
use crate::said;
use crate::texts::{Say, Sentence};
use crate::wire::codec;
use crate::wire::envelope::Kind;
use crate::wire::messages::{TrustMessage, VERSION};
use crate::wire::signing::{PublicKey, SIGNATURE_BYTES, SecretKey};

/// Random hex digits of a code: 80 bits.
pub const SECRET_DIGITS: usize = 20;

/// Hex digits of a key id.
const KEY_ID_DIGITS: usize = 16;

/// A one-time code. It carries the root key's id, so that nobody on the way can put another authority in its place. Its
/// secret never travels: it makes a key, with which the box signs its request.
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

    /// Makes the key of this code, which signs the one request for which the code is good.
    pub fn key(&self) -> SecretKey {
        let seed = ContentHash::of(format!("loaxa enrolment code v1\n{}", self.secret).as_bytes());
        SecretKey::from_seed(&seed.0)
    }

    /// Hashes the public half of the code's key; central keeps only this.
    pub fn hash(&self) -> ContentHash {
        hash_of(&self.key().public())
    }
}

fn hash_of(code_key: &PublicKey) -> ContentHash {
    ContentHash::of(&code_key.to_bytes())
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
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EnrolRequest {
    /// Public half of the code's key, base64.
    pub code_key: String,
    /// Public half of the key that will sign its log, base64.
    pub log_key: String,
    /// Public half of the key that its certificate is for, base64.
    pub tls_key: String,
    /// Signature of the code's key over both, base64: nobody on the way can put keys of their own in their place.
    pub proof: String,
}

/// The keys of a box that showed a code, and the hash by which central knows the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    pub code: ContentHash,
    pub log_key: PublicKey,
    pub tls_key: PublicKey,
}

/// The bytes that the code's key signs. No envelope and no other request begins like this.
fn to_be_signed(log_key: &PublicKey, tls_key: &PublicKey) -> Vec<u8> {
    format!("loaxa-enrol v1\n{log_key}\n{tls_key}").into_bytes()
}

impl EnrolRequest {
    /// Makes the request of a box with these keys.
    pub fn new(code: &EnrolmentCode, log_key: &PublicKey, tls_key: &PublicKey) -> Self {
        let code_key = code.key();
        Self {
            code_key: code_key.public().to_string(),
            log_key: log_key.to_string(),
            tls_key: tls_key.to_string(),
            proof: BASE64.encode(code_key.sign(&to_be_signed(log_key, tls_key))),
        }
    }

    /// Checks that the keys are those of whoever has the code; `None` where they are not, or are no keys.
    pub fn asked(&self) -> Option<Asked> {
        let code_key: PublicKey = self.code_key.parse().ok()?;
        let (log_key, tls_key) = (self.log_key.parse().ok()?, self.tls_key.parse().ok()?);
        let proof: [u8; SIGNATURE_BYTES] = BASE64.decode(&self.proof).ok()?.try_into().ok()?;
        let is_proven = code_key.verifies(&to_be_signed(&log_key, &tls_key), &proof);
        is_proven.then(|| Asked { code: hash_of(&code_key), log_key, tls_key })
    }
}

/// Central's answer to an enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    #[serde(rename = "box")]
    pub id: BoxId,
    pub groups: Vec<GroupId>,
    /// The commune's root key, base64; it must have the id that stands in the code.
    pub root: String,
    /// The envelope of the trust document in force.
    pub trust: String,
    /// Certificates of the authorities that the broker's and the page's are checked against, PEM.
    pub ca: String,
    /// The box's own, PEM.
    pub certificate: String,
    pub broker: String,
    /// The envelope of an [`EnrolmentSeal`] over all the above, signed by central's key. A centre from before there were
    /// seals sends none, and the box refuses its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<String>,
}

/// Central's word for each part of its answer, and for the keys that it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EnrolmentSeal {
    pub v: u32,
    #[serde(rename = "box")]
    pub id: BoxId,
    pub groups: Vec<GroupId>,
    pub broker: String,
    /// SHA-256 of the texts of these names in the answer.
    pub trust: ContentHash,
    pub ca: ContentHash,
    pub certificate: ContentHash,
    /// The keys in the request, base64.
    pub log_key: String,
    pub tls_key: String,
}

impl codec::Message for EnrolmentSeal {
    /// Everything in it is compared with the answer, which is bounded where it is read.
    fn check(&self) -> Result<(), CommandRefusal> {
        Ok(())
    }
}

impl codec::Sealed for EnrolmentSeal {
    const KIND: Kind = Kind::Enrolment;
}

/// A reason for which a box does not believe an answer to its enrolment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum NotBelieved {
    /// The root key is not the code's.
    OtherRoot,
    /// The trust document is not the root's own.
    Trust(CommandRefusal),
    NoSeal,
    /// The seal is not of a key that the root's trust document makes central's.
    Seal(CommandRefusal),
    /// The seal is for other keys, or over another answer.
    Altered,
}

impl Say for NotBelieved {
    fn say(&self) -> Sentence {
        match self {
            NotBelieved::OtherRoot => said!("enrolment_code.other_root"),
            NotBelieved::Trust(refusal) => said!("enrolment_code.trust", refusal),
            NotBelieved::NoSeal => said!("enrolment_code.no_seal"),
            NotBelieved::Seal(refusal) => said!("enrolment_code.seal", refusal),
            NotBelieved::Altered => said!("enrolment_code.altered"),
        }
    }
}

impl Enrolled {
    /// The seal that belongs to this answer to the request for these keys.
    pub fn seal_for(&self, log_key: &PublicKey, tls_key: &PublicKey) -> EnrolmentSeal {
        let hash = |text: &str| ContentHash::of(text.as_bytes());
        EnrolmentSeal {
            v: VERSION,
            id: self.id.clone(),
            groups: self.groups.clone(),
            broker: self.broker.clone(),
            trust: hash(&self.trust),
            ca: hash(&self.ca),
            certificate: hash(&self.certificate),
            log_key: log_key.to_string(),
            tls_key: tls_key.to_string(),
        }
    }

    /// Checks the whole chain: the code names the root key, the root key signed the trust document, the trust document
    /// names central's key, and central's key signed this answer for these keys. Gives the root key.
    ///
    /// # Errors
    /// Says which link does not hold: somebody stands in between, or central is too old.
    pub fn check(
        &self,
        code: &EnrolmentCode,
        log_key: &PublicKey,
        tls_key: &PublicKey,
    ) -> Result<PublicKey, NotBelieved> {
        let root: Option<PublicKey> = self.root.parse().ok();
        let root = root.filter(|root| root.key_id() == code.root).ok_or(NotBelieved::OtherRoot)?;
        let pinned = |id: &KeyId| Some(root).filter(|root| root.key_id() == *id);
        let trust = codec::open::<TrustMessage>(self.trust.as_bytes(), &pinned);
        let trust = trust.map_err(NotBelieved::Trust)?.payload.trust;
        let seal = self.seal.as_ref().ok_or(NotBelieved::NoSeal)?;
        let keys = |id: &KeyId| -> Option<PublicKey> {
            trust.grants.iter().find(|grant| grant.key == *id)?.public.parse().ok()
        };
        let signed = codec::open::<EnrolmentSeal>(seal.as_bytes(), &keys).map_err(NotBelieved::Seal)?;
        // The box may not know the time yet.
        trust.permits(&signed.signers, Power::Central, &[], None).map_err(NotBelieved::Seal)?;
        if signed.payload == self.seal_for(log_key, tls_key) { Ok(root) } else { Err(NotBelieved::Altered) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::authority::{Grant, Trust};

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn trust(root: &SecretKey, central: &SecretKey, power: Power) -> String {
        let grant = Grant {
            key: central.key_id(),
            public: central.public().to_string(),
            holder: "trung tâm".to_owned(),
            powers: [power].into(),
            groups: ["xa".parse().unwrap()].into(),
            level: 1,
            valid_from: None,
            account: None,
            valid_until: None,
        };
        let trust =
            Trust { version: 1, grants: vec![grant], thresholds: Vec::new(), nesting: Default::default() };
        String::from_utf8(codec::seal(&TrustMessage { v: VERSION, trust }, &[root])).unwrap()
    }

    /// The answer of a central with key 2 in a commune with root key 1 to a box with keys 3 and 4.
    fn answer() -> Enrolled {
        let answer = Enrolled {
            id: "loa-1".parse().unwrap(),
            groups: vec!["xa".parse().unwrap()],
            root: key(1).public().to_string(),
            trust: trust(&key(1), &key(2), Power::Central),
            ca: "CA".to_owned(),
            certificate: "C".to_owned(),
            broker: "mqtts://trung-tam:8883".to_owned(),
            seal: None,
        };
        sealed(answer, &key(2))
    }

    fn sealed(answer: Enrolled, by: &SecretKey) -> Enrolled {
        let seal = codec::seal(&answer.seal_for(&key(3).public(), &key(4).public()), &[by]);
        Enrolled { seal: String::from_utf8(seal).ok(), ..answer }
    }

    fn judged(answer: &Enrolled) -> Result<PublicKey, NotBelieved> {
        let code = EnrolmentCode::new([7; 10], &key(1).public());
        answer.check(&code, &key(3).public(), &key(4).public())
    }

    #[test]
    fn an_answer_is_believed_as_a_whole_or_not_at_all() {
        assert_eq!(judged(&answer()), Ok(key(1).public()));
        let altered: [fn(&mut Enrolled); 6] = [
            |answer| answer.id = "loa-2".parse().unwrap(),
            |answer| answer.groups.clear(),
            |answer| answer.ca = "a stranger's".to_owned(),
            |answer| answer.certificate = "a stranger's".to_owned(),
            |answer| answer.broker = "mqtt://stranger".to_owned(),
            |answer| answer.trust = trust(&key(1), &key(2), Power::Central) + "\n",
        ];
        for alter in altered {
            let mut answer = answer();
            alter(&mut answer);
            assert_eq!(judged(&answer), Err(NotBelieved::Altered), "{answer:?}");
        }
        let code = EnrolmentCode::new([7; 10], &key(1).public());
        let others = answer().check(&code, &key(3).public(), &key(9).public());
        assert_eq!(others, Err(NotBelieved::Altered));
        assert_eq!(judged(&Enrolled { seal: None, ..answer() }), Err(NotBelieved::NoSeal));
    }

    #[test]
    fn only_who_the_root_of_the_code_trusts_may_answer() {
        let stranger = Enrolled { root: key(9).public().to_string(), ..answer() };
        assert_eq!(judged(&stranger), Err(NotBelieved::OtherRoot));
        let own_trust = Enrolled { trust: trust(&key(9), &key(9), Power::Central), ..answer() };
        assert!(matches!(judged(&sealed(own_trust, &key(9))), Err(NotBelieved::Trust(_))));
        assert!(matches!(judged(&sealed(answer(), &key(9))), Err(NotBelieved::Seal(_))));
        // A person's key is none of central's.
        let person = Enrolled { trust: trust(&key(1), &key(2), Power::Normal), ..answer() };
        assert!(matches!(judged(&sealed(person, &key(2))), Err(NotBelieved::Seal(_))));
    }

    #[test]
    fn a_request_is_for_the_keys_of_whoever_has_the_code() {
        let code = EnrolmentCode::new([7; 10], &key(1).public());
        let request = EnrolRequest::new(&code, &key(3).public(), &key(4).public());
        let asked = Asked { code: code.hash(), log_key: key(3).public(), tls_key: key(4).public() };
        assert_eq!(request.asked(), Some(asked));
        assert!(
            !serde_json::to_string(&request).unwrap().contains(&"07".repeat(10)),
            "the secret stays here"
        );
        let others = key(9).public().to_string();
        for altered in [
            EnrolRequest { tls_key: others.clone(), ..request.clone() },
            EnrolRequest { log_key: others.clone(), ..request.clone() },
            EnrolRequest { code_key: others, ..request.clone() },
            EnrolRequest { proof: String::new(), ..request },
            EnrolRequest::default(),
        ] {
            assert_eq!(altered.asked(), None, "{altered:?}");
        }
    }

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
