//! The trust document as a person writes it, in TOML.
//!
//! ```toml
//! version = 1
//!
//! [[grant]]
//! holder = "Nguyễn Văn An"
//! account = "an.nguyen"            # only where two people have names that look alike
//! public = "6kqWKxTFNmZ1mzVUkYXc4jDZ9OyPFWxQzfGzxyMR0lk="
//! powers = ["normal", "priority", "emergency", "cancel"]
//! groups = ["xa-dong"]
//! level = 1
//!
//! [[threshold]]
//! power = "emergency"
//! signatures = 2
//!
//! [nesting]
//! thon-1 = "xa-dong"
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::authority::{Grant, Power, Threshold, Trust};
use crate::domain::ids::{AccountId, GroupId};
use crate::domain::person;
use crate::domain::playback::CommandRefusal;
use crate::domain::time::Wall;
use crate::said;
use crate::texts::{Say, Sentence};
use crate::wire::codec;
use crate::wire::signing::{BadPublicKey, PublicKey};

/// The faults of a text that is no trust document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum BadTrustFile {
    /// The text of the error shows line and key.
    Toml(#[from] toml::de::Error),
    Key {
        holder: String,
        error: BadPublicKey,
    },
    /// Two keys of one person would count as two people where an emergency needs two.
    Alike {
        one: String,
        other: String,
    },
    /// A name whose letters only look like those of another.
    Disguised {
        holder: String,
    },
    Senseless(#[from] CommandRefusal),
}

impl Say for BadTrustFile {
    fn say(&self) -> Sentence {
        match self {
            BadTrustFile::Toml(error) => error.say(),
            BadTrustFile::Key { holder, error } => said!("trust.key", holder, error),
            BadTrustFile::Alike { one, other } => {
                said!("trust.alike", one = one.escape_debug(), other = other.escape_debug())
            }
            BadTrustFile::Disguised { holder } => said!("trust.disguised", holder = holder.escape_debug()),
            BadTrustFile::Senseless(error) => error.say(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    #[serde(rename = "grant")]
    grants: Vec<GrantTable>,
    #[serde(default, rename = "threshold")]
    thresholds: Vec<Threshold>,
    #[serde(default)]
    nesting: BTreeMap<GroupId, GroupId>,
}

/// A [`Grant`] without the identifier of its key, which follows from the key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantTable {
    holder: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
    public: String,
    powers: BTreeSet<Power>,
    groups: BTreeSet<GroupId>,
    level: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_from: Option<Wall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_until: Option<Wall>,
}

/// Reads and checks a trust document.
///
/// # Errors
/// Says where it can't be read, or what makes no sense in it.
pub fn parse(text: &str) -> Result<Trust, BadTrustFile> {
    let document: Document = toml::from_str(text)?;
    let grant = |table: GrantTable| {
        let public: PublicKey = match table.public.parse() {
            Ok(public) => public,
            Err(error) => return Err(BadTrustFile::Key { holder: table.holder, error }),
        };
        Ok(Grant {
            key: public.key_id(),
            public: table.public,
            holder: table.holder,
            account: table.account,
            powers: table.powers,
            groups: table.groups,
            level: table.level,
            valid_from: table.valid_from,
            valid_until: table.valid_until,
        })
    };
    let trust = Trust {
        version: document.version,
        grants: document.grants.into_iter().map(grant).collect::<Result<_, _>>()?,
        thresholds: document.thresholds,
        nesting: document.nesting,
    };
    check(&trust)?;
    Ok(trust)
}

/// Checks that a trust document makes sense and that a reader can tell its people apart.
///
/// # Errors
/// Says what makes no sense, or which two holders look alike.
pub fn check(trust: &Trust) -> Result<(), BadTrustFile> {
    codec::check_trust(trust)?;
    let mut seen: BTreeMap<String, Vec<&Grant>> = BTreeMap::new();
    for grant in &trust.grants {
        // In many typefaces a capital i is an l.
        let look = person::skeleton(&grant.holder).replace('i', "l");
        let alike = seen.entry(look).or_default();
        let told_apart = |other: &&Grant| grant.account.is_some() && other.account.is_some();
        if let Some(other) = alike.iter().find(|other| !grant.is_same_person(other) && !told_apart(other)) {
            return Err(BadTrustFile::Alike { one: other.holder.clone(), other: grant.holder.clone() });
        }
        if person::is_disguised(&grant.holder) {
            return Err(BadTrustFile::Disguised { holder: grant.holder.clone() });
        }
        alike.push(grant);
    }
    Ok(())
}

/// Writes a trust document for a person to edit.
pub fn print(trust: &Trust) -> String {
    let grant = |grant: &Grant| GrantTable {
        holder: grant.holder.clone(),
        account: grant.account.clone(),
        public: grant.public.clone(),
        powers: grant.powers.clone(),
        groups: grant.groups.clone(),
        level: grant.level,
        valid_from: grant.valid_from,
        valid_until: grant.valid_until,
    };
    let document = Document {
        version: trust.version,
        grants: trust.grants.iter().map(grant).collect(),
        thresholds: trust.thresholds.clone(),
        nesting: trust.nesting.clone(),
    };
    toml::to_string_pretty(&document).expect("names, numbers and lists are TOML")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::signing::SecretKey;

    fn text(public: &str, more: &str) -> String {
        format!(
            "version = 3\n[[grant]]\nholder = \"Nguyễn Văn An\"\npublic = \"{public}\"\npowers = [\"normal\", \"live\"]\n\
             groups = [\"xa-dong\"]\nlevel = 1\nvalid_until = \"2030-01-01T00:00:00Z\"\n{more}\n\
             [nesting]\nthon-1 = \"xa-dong\"\n"
        )
    }

    fn check_wrong(text: &str, expected: &str) {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_document_is_read_and_written() {
        let public = SecretKey::from_seed(&[1; 32]).public();
        let trust = parse(&text(&public.to_string(), "")).unwrap();
        assert_eq!(trust.grants[0].key, public.key_id());
        assert_eq!(parse(&print(&trust)).unwrap(), trust);
    }

    #[test]
    fn what_makes_no_sense_is_explained() {
        let public = SecretKey::from_seed(&[1; 32]).public().to_string();
        check_wrong(&text("abc", ""), "the public key of Nguyễn Văn An");
        check_wrong(&text(&public, "colour = 1"), "line 9");
        check_wrong(
            &text(&public, "[[threshold]]\npower = \"normal\"\nsignatures = 2"),
            "2 people to sign, and 1 can",
        );
        check_wrong(
            &text(&public, "[[threshold]]\npower = \"sing\"\nsignatures = 2"),
            "unknown variant `sing`",
        );
    }

    fn second(holder: &str, account: &str) -> String {
        let public = SecretKey::from_seed(&[2; 32]).public();
        format!(
            "[[grant]]\nholder = \"{holder}\"\n{account}public = \"{public}\"\npowers = [\"normal\"]\n\
             groups = [\"xa-dong\"]\nlevel = 1\n"
        )
    }

    #[test]
    fn names_that_look_alike_need_accounts() {
        let public = SecretKey::from_seed(&[1; 32]).public().to_string();
        for alike in ["Nguyễn Văn Ân", "Nguyen Van An", "Nguyễn  Vаn An"] {
            check_wrong(&text(&public, &second(alike, "")), "look alike");
            check_wrong(&text(&public, &second(alike, "account = \"an-2\"\n")), "look alike");
        }
        for (alike, expected) in [("NGUYỄN VĂN Al", "look alike"), ("Nguyễn Văn Aղ", "several alphabets")]
        {
            let other = text(&public, &second(alike, "")).replacen("Nguyễn Văn An", "Nguyễn Văn AI", 1);
            check_wrong(&other, expected);
        }
        let told_apart = text(&public, &second("Nguyễn Văn Ân", "account = \"an-2\"\n")).replacen(
            "public",
            "account = \"an-1\"\npublic",
            1,
        );
        assert_eq!(parse(&print(&parse(&told_apart).unwrap())).unwrap(), parse(&told_apart).unwrap());
        // The same name is the same person: two keys of one, as a spare is.
        assert!(parse(&text(&public, &second("Nguyễn Văn An", ""))).is_ok());
    }
}
