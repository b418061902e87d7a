//! Authority: which key may issue what to whom, and how many people must sign.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::announcement::{BulletinClass, Mode};
use super::ids::{GroupId, KeyId};
use super::playback::CommandRefusal;
use super::time::Wall;

/// A permission that a command needs from the trust document.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Power {
    Normal,
    Priority,
    /// An actual emergency.
    Emergency,
    Exercise,
    Live,
    Cancel,
    Programme,
    Policy,
    /// Membership of boxes in groups.
    Groups,
    /// Central's own key: tells boxes the time and acknowledges their logs.
    Central,
    Test,
}

impl Power {
    /// Returns the power that an announcement needs.
    pub const fn to_announce(class: BulletinClass, mode: Mode) -> Self {
        match (class, mode) {
            (_, Mode::Test) => Power::Test,
            (BulletinClass::Normal, _) => Power::Normal,
            (BulletinClass::Priority, _) => Power::Priority,
            (BulletinClass::Emergency, Mode::Exercise) => Power::Exercise,
            (BulletinClass::Emergency, Mode::Actual) => Power::Emergency,
        }
    }
}

/// One key and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Grant {
    pub key: KeyId,
    /// The Ed25519 public key, 32 bytes in base64.
    pub public: String,
    /// Name of the key's holder, for people to read.
    pub holder: String,
    pub powers: BTreeSet<Power>,
    /// The groups to which the key may issue, with all groups below them.
    pub groups: BTreeSet<GroupId>,
    /// Province 0, commune 1, village 2.
    pub level: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Wall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Wall>,
}

/// The number of people who must sign for a power.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Threshold {
    pub power: Power,
    pub signatures: u32,
}

/// The trust document: the only source of authority, signed by the root key that is pinned in the box.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Trust {
    /// A box never goes back to a lower version.
    pub version: u32,
    pub grants: Vec<Grant>,
    /// Powers not named here need one signature.
    pub thresholds: Vec<Threshold>,
    /// `child -> parent`: a grant for a parent reaches its children.
    #[serde(default)]
    pub nesting: std::collections::BTreeMap<GroupId, GroupId>,
}

/// Deepest nesting of groups: country, province, commune, village, hamlet and room to spare.
const NESTING_MAX: usize = 8;

impl Trust {
    /// Returns how many different holders must sign to use `power`.
    pub fn signatures_needed(&self, power: Power) -> u32 {
        let named = self.thresholds.iter().find(|threshold| threshold.power == power);
        named.map_or(1, |threshold| threshold.signatures.max(1))
    }

    /// Checks that these signers together may use `power` on all of `groups` at `now` (`None`: time unknown, validity
    /// dates are not judged). Each holder counts once, whatever number of keys they hold.
    ///
    /// # Errors
    /// Says which key lacks what, or how many signatures are missing.
    pub fn permits(
        &self,
        signers: &[KeyId],
        power: Power,
        groups: &[GroupId],
        now: Option<Wall>,
    ) -> Result<u8, CommandRefusal> {
        let mut holders = BTreeSet::new();
        let mut level = u8::MAX;
        let mut first_refusal = None;
        for key in signers {
            match self.grants_power(key, power, groups, now) {
                Ok(grant) => {
                    holders.insert(&grant.holder);
                    level = level.min(grant.level);
                }
                Err(refusal) => first_refusal = first_refusal.or(Some(refusal)),
            }
        }
        let needed = self.signatures_needed(power);
        let valid = holders.len() as u32;
        match first_refusal {
            Some(refusal) if valid == 0 => Err(refusal),
            _ if valid < needed => Err(CommandRefusal::TooFewSignatures { valid, needed }),
            _ => Ok(level),
        }
    }

    fn grants_power(
        &self,
        key: &KeyId,
        power: Power,
        groups: &[GroupId],
        now: Option<Wall>,
    ) -> Result<&Grant, CommandRefusal> {
        let unknown = || CommandRefusal::UnknownKey { key: key.clone() };
        let refuse = |detail: String| CommandRefusal::NotAllowed { key: key.clone(), detail };
        let grant = self.grants.iter().find(|grant| grant.key == *key).ok_or_else(unknown)?;
        let begun = |now| grant.valid_from.is_none_or(|from| from <= now);
        let not_over = |now| grant.valid_until.is_none_or(|until| now < until);
        if now.is_some_and(|now| !begun(now) || !not_over(now)) {
            return Err(refuse("the key is not valid at this time".to_owned()));
        }
        if !grant.powers.contains(&power) {
            return Err(refuse(format!("it has no power {power:?}")));
        }
        match groups.iter().find(|group| !self.reaches(grant, group)) {
            Some(group) => Err(refuse(format!("it has no say over group {group}"))),
            None => Ok(grant),
        }
    }

    fn reaches(&self, grant: &Grant, group: &GroupId) -> bool {
        let above = std::iter::successors(Some(group), |group| self.nesting.get(group));
        above.take(NESTING_MAX).any(|group| grant.groups.contains(group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> KeyId {
        KeyId::new(text).unwrap()
    }

    fn group(text: &str) -> GroupId {
        GroupId::new(text).unwrap()
    }

    fn trust() -> Trust {
        let grant = |name: &str, holder: &str, powers: &[Power], over: &str| Grant {
            key: key(name),
            public: String::new(),
            holder: holder.to_owned(),
            powers: powers.iter().copied().collect(),
            groups: [group(over)].into(),
            level: 1,
            valid_from: None,
            valid_until: Some(Wall(1_000)),
        };
        Trust {
            version: 1,
            grants: vec![
                grant("a", "An", &[Power::Normal, Power::Emergency, Power::Cancel], "xa"),
                grant("b", "Binh", &[Power::Emergency], "xa"),
                grant("a2", "An", &[Power::Emergency], "xa"),
                grant("v", "Vinh", &[Power::Normal], "thon-1"),
            ],
            thresholds: vec![Threshold { power: Power::Emergency, signatures: 2 }],
            nesting: [(group("thon-1"), group("xa")), (group("thon-2"), group("xa"))].into(),
        }
    }

    fn check(signers: &[&str], power: Power, to: &str, expected: Result<u8, &str>) {
        let signers: Vec<_> = signers.iter().map(|name| key(name)).collect();
        let found = trust().permits(&signers, power, &[group(to)], Some(Wall(5)));
        assert_eq!(found.map_err(|refusal| refusal.to_string()), expected.map_err(str::to_owned));
    }

    #[test]
    fn an_emergency_needs_two_people() {
        check(&["a", "b"], Power::Emergency, "xa", Ok(1));
        check(&["a"], Power::Emergency, "xa", Err("1 of 2 signatures that it needs"));
        check(&["a", "a2"], Power::Emergency, "xa", Err("1 of 2 signatures that it needs"));
        check(&["a", "v"], Power::Emergency, "xa", Err("1 of 2 signatures that it needs"));
        check(&["a"], Power::Cancel, "xa", Ok(1));
    }

    #[test]
    fn a_grant_reaches_down_and_never_up_or_aside() {
        check(&["a"], Power::Normal, "thon-1", Ok(1));
        check(&["v"], Power::Normal, "thon-1", Ok(1));
        check(&["v"], Power::Normal, "thon-2", Err("key v may not do this: it has no say over group thon-2"));
        check(&["v"], Power::Normal, "xa", Err("key v may not do this: it has no say over group xa"));
        check(&["x"], Power::Normal, "xa", Err("key x is not known or was revoked"));
    }

    #[test]
    fn a_key_ends_with_its_validity() {
        let late = trust().permits(&[key("a")], Power::Normal, &[group("xa")], Some(Wall(1_000)));
        assert!(late.is_err());
    }

    #[test]
    fn a_loop_in_the_nesting_ends() {
        let mut trust = trust();
        trust.nesting = [(group("p"), group("q")), (group("q"), group("p"))].into();
        assert!(trust.permits(&[key("a")], Power::Normal, &[group("p")], None).is_err());
    }
}
