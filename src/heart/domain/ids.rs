//! Identifiers: one newtype for each kind of thing, so that a box can't be taken for a group.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::said;
use crate::texts::{Say, Sentence};
use serde::{Deserialize, Serialize};

/// Longest identifier accepted, in bytes: it must fit into an MQTT topic level and a log line.
pub const NAME_BYTES_MAX: usize = 64;

/// The faults of a text that is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum BadName {
    Empty,
    TooLong,
    BadCharacter(String),
}

impl Say for BadName {
    fn say(&self) -> Sentence {
        match self {
            BadName::Empty => said!("name.empty"),
            BadName::TooLong => said!("name.too_long", max = NAME_BYTES_MAX),
            BadName::BadCharacter(name) => said!("name.bad_character", name = name.escape_debug()),
        }
    }
}

fn check_name(text: &str) -> Result<(), BadName> {
    if text.is_empty() {
        return Err(BadName::Empty);
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(BadName::TooLong);
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let starts_plain = text.starts_with(plain);
    if !starts_plain || !text.chars().all(|c| plain(c) || matches!(c, '-' | '_' | '.')) {
        return Err(BadName::BadCharacter(text.to_owned()));
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(#[schemars(length(min = 1, max = 64), regex(pattern = r"^[a-z0-9][a-z0-9._-]*$"))] String);

        impl $name {
            /// Checks a text: 1 to 64 of `a-z 0-9 - _ .`, starting with a letter or digit.
            pub fn new(text: impl Into<String>) -> Result<Self, BadName> {
                let text = text.into();
                check_name(&text)?;
                Ok(Self(text))
            }

            /// Returns the text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(/// One controller with its loudspeakers (*cụm loa*).
    BoxId);
name!(/// A named set of boxes (*nhóm / thôn*).
    GroupId);
name!(/// One signed command; the same id with the same bytes is the same command.
    CommandId);
name!(/// The weekly plan of a group (*chương trình phát thanh*).
    ProgrammeId);
name!(/// One session of a programme (*khung giờ*).
    SlotId);
name!(/// An ordered list of items (*danh sách phát*).
    PlaylistId);
name!(/// A content category (*chuyên mục*).
    SectionId);
name!(/// Items and slots with a purpose and dates (*đợt tuyên truyền*).
    CampaignId);
name!(/// A set of days that change the programme: Tết, a national day, mourning.
    HolidayId);
name!(/// A person in the trust document, whatever their name is and how many keys they hold.
    AccountId);
name!(/// A notice that staff of the centre write, before and after it becomes a command.
    NoticeId);
name!(/// A change of a programme, of limits or of groups that waits for its approval.
    ProposalId);
name!(/// A message that was prepared for an emergency (*tin soạn sẵn*).
    PreparedId);
name!(/// A signing key: the first 16 hex digits of the SHA-256 of its public half.
    KeyId);

/// The identity of a box's store, random for each new store, so that a lost store is never taken for the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// One play on one box: the number of the daemon's start in the high half, a counter in the low half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlayId(pub u64);

impl PlayId {
    /// Makes the id of the `n`-th play since the daemon's start number `start`.
    pub const fn new(start: u32, n: u32) -> Self {
        Self((start as u64) << 32 | n as u64)
    }
}

macro_rules! hex_number {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                u64::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": "^[0-9a-f]{16}$" })
            }
        }
    };
}

hex_number!(Epoch);
hex_number!(PlayId);

/// A SHA-256 of some bytes: names media, and links log entries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// Hashes `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The path of the file with this content in a media folder: its first two digits, then all of them.
    pub fn path_under(&self, folder: &Path) -> PathBuf {
        let name = self.to_string();
        folder.join(&name[..2]).join(name)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&super::hex::Hex(&self.0), f)
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ContentHash {
    type Err = BadHash;
    fn from_str(text: &str) -> Result<Self, BadHash> {
        if text.len() != 64 || !text.is_ascii() {
            return Err(BadHash);
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| BadHash)?;
        }
        Ok(Self(bytes))
    }
}

/// A text that is not 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub struct BadHash;

impl Say for BadHash {
    fn say(&self) -> Sentence {
        said!("hash.bad")
    }
}

impl Serialize for ContentHash {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for ContentHash {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ContentHash".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(), BadName>) {
        assert_eq!(BoxId::new(text).map(drop), expected, "{text:?}");
    }

    #[test]
    fn names_fit_into_a_topic() {
        check("thon-1.loa_2", Ok(()));
        check("", Err(BadName::Empty));
        check(&"a".repeat(65), Err(BadName::TooLong));
        for bad in ["a/b", "+", "#", "-a", "Thôn", "a b"] {
            check(bad, Err(BadName::BadCharacter(bad.to_owned())));
        }
    }

    #[test]
    fn hashes_and_numbers_survive_json() {
        let hash = ContentHash::of(b"loa");
        let text = serde_json::to_string(&hash).unwrap();
        assert_eq!(serde_json::from_str::<ContentHash>(&text).unwrap(), hash);
        let play = PlayId::new(3, 7);
        assert_eq!(serde_json::to_string(&play).unwrap(), "\"0000000300000007\"");
        assert!("zz".parse::<ContentHash>().is_err());
    }
}
