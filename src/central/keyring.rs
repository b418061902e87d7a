//! The keys on this machine and what the trust document lets them do.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

use crate::settings::Keys;
use loaxa_heart::domain::authority::{Power, Trust};
use loaxa_heart::domain::ids::{GroupId, KeyId};
use loaxa_heart::domain::playback::CommandRefusal;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::wire::codec::{self, Message, Sealed};
use loaxa_heart::wire::messages::{Command, TrustMessage};
use loaxa_heart::wire::signing::{PublicKey, SIGNATURE_BYTES, SecretKey};

/// Signs for central, and for the people whose keys lie here.
pub struct Keyring {
    keys: Keys,
    trust: Trust,
}

/// A reason for which the keys can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum BadKeyring {
    Unreadable(String),
    CentralNotTrusted(KeyId),
}

impl Say for BadKeyring {
    fn say(&self) -> Sentence {
        match self {
            BadKeyring::Unreadable(detail) => said!("authority.unreadable", detail),
            BadKeyring::CentralNotTrusted(key) => said!("authority.central_not_trusted", key),
        }
    }
}

impl Keyring {
    /// Reads the trust document. The boxes, which hold the root's public half, judge whether the root key signed it.
    ///
    /// # Errors
    /// Fails when the document can't be read, or does not know central's key.
    pub fn new(keys: Keys) -> Result<Self, BadKeyring> {
        let trust = read_trust(&keys.trust)?;
        let central = keys.central.key_id();
        if trust.permits(std::slice::from_ref(&central), Power::Central, &[], None).is_err() {
            return Err(BadKeyring::CentralNotTrusted(central));
        }
        Ok(Self { keys, trust })
    }

    /// The trust document in force here.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Finds the public half of a key that the trust document names.
    pub fn public_key(&self, id: &KeyId) -> Option<PublicKey> {
        let grant = self.trust.grants.iter().find(|grant| grant.key == *id)?;
        grant.public.parse().ok()
    }

    /// Tells whether those who signed a command may still do so at `now`.
    pub fn believes(&self, envelope: &[u8], now: Wall) -> bool {
        let opened = codec::open_command(envelope, &|id: &KeyId| self.public_key(id));
        opened.is_ok_and(|signed| {
            let command = &signed.payload;
            self.trust.permits(&signed.signers, command.power(), &command.groups, Some(now)).is_ok()
        })
    }

    /// The trust document as it is sent.
    pub fn trust_envelope(&self) -> &[u8] {
        &self.keys.trust
    }

    /// Central's own key.
    pub fn central_id(&self) -> KeyId {
        self.keys.central.key_id()
    }

    /// The keys here that number commands: people's, and central's own.
    pub fn issuers(&self) -> Vec<KeyId> {
        let own = std::iter::once(&self.keys.central);
        self.keys.issuers.iter().chain(own).map(SecretKey::key_id).collect()
    }

    /// Seals what central itself says.
    pub fn seal<M: Sealed>(&self, message: &M) -> Vec<u8> {
        codec::seal(message, &[&self.keys.central])
    }

    /// Signs a mark that this server gives out and takes back itself. No envelope begins as one.
    pub fn sign_mark(&self, mark: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.keys.central.sign(mark)
    }

    /// Tells whether a mark is one that this server gave out.
    pub fn is_mark(&self, mark: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        self.keys.central.public().verifies(mark, signature)
    }

    /// Finds the fewest of the keys here that together may use `power` on `groups`, the issuer first.
    ///
    /// # Errors
    /// Says what the keys here lack.
    pub fn signers(
        &self,
        power: Power,
        groups: &[GroupId],
        now: Wall,
    ) -> Result<Signers<'_>, CommandRefusal> {
        let mut signers: Vec<&SecretKey> = Vec::new();
        let mut refusal =
            CommandRefusal::TooFewSignatures { valid: 0, needed: self.trust.signatures_needed(power) };
        for key in &self.keys.issuers {
            let ids = |keys: &[&SecretKey]| keys.iter().map(|key| key.key_id()).collect::<Vec<_>>();
            let alone = self.trust.permits(&[key.key_id()], power, groups, Some(now));
            if matches!(alone, Err(CommandRefusal::UnknownKey { .. } | CommandRefusal::NotAllowed { .. })) {
                refusal = alone.err().unwrap_or(refusal);
                continue;
            }
            signers.push(key);
            match self.trust.permits(&ids(&signers), power, groups, Some(now)) {
                Ok(_) => return Ok(Signers(signers)),
                Err(lacks) => refusal = lacks,
            }
        }
        Err(refusal)
    }
}

/// Keys that together may sign a command.
pub struct Signers<'a>(Vec<&'a SecretKey>);

impl Signers<'_> {
    /// All of them, the issuer first.
    pub fn ids(&self) -> Vec<KeyId> {
        self.0.iter().map(|key| key.key_id()).collect()
    }

    /// The key whose serial the command carries.
    pub fn issuer(&self) -> KeyId {
        self.0.first().expect("there is at least one signer").key_id()
    }

    /// Signs the command with all of them.
    ///
    /// # Errors
    /// Fails when the command breaks a bound of the protocol.
    pub fn seal(&self, command: &Command) -> Result<Vec<u8>, CommandRefusal> {
        command.check()?;
        Ok(codec::seal(command, &self.0))
    }
}

fn read_trust(envelope: &[u8]) -> Result<Trust, BadKeyring> {
    let unreadable = |error: String| BadKeyring::Unreadable(error);
    let json: serde_json::Value =
        serde_json::from_slice(envelope).map_err(|error| unreadable(error.to_string()))?;
    let payload = json["payload"].as_str().ok_or_else(|| unreadable("it is no envelope".to_owned()))?;
    let payload = BASE64.decode(payload).map_err(|error| unreadable(error.to_string()))?;
    let message: TrustMessage = codec::decode(&payload).map_err(|error| unreadable(error.to_string()))?;
    Ok(message.trust)
}
