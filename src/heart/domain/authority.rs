//! Authority: which key may issue what to whom, and how many people must sign.

use crate::said;
use crate::texts::Sentence;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::announcement::{BulletinClass, Mode};
use super::ids::{AccountId, GroupId, KeyId};
use super::person;
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
    /// The program that runs on boxes.
    Software,
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
    /// The person apart from their name: for two people of one name, and for one person of two names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
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

impl Grant {
    /// Reports whether two keys are one person's: by their accounts where both have one, else by their names.
    pub fn is_same_person(&self, other: &Self) -> bool {
        match (&self.account, &other.account) {
            (Some(account), Some(other)) => account == other,
            _ => person::normalised(&self.holder) == person::normalised(&other.holder),
        }
    }
}

/// Counts the different people who hold keys. What might be one person is one: a key without an account joins all that
/// bear its name.
pub fn count_people<'a>(grants: impl IntoIterator<Item = &'a Grant>) -> usize {
    let mut people: Vec<Vec<(Option<&AccountId>, String)>> = Vec::new();
    for grant in grants {
        let one = (grant.account.as_ref(), person::normalised(&grant.holder));
        let is_same = |other: &(Option<&AccountId>, String)| match (one.0, other.0) {
            (Some(account), Some(other)) => account == other,
            _ => one.1 == other.1,
        };
        let (same, mut others): (Vec<_>, Vec<_>) =
            people.into_iter().partition(|keys| keys.iter().any(is_same));
        others.push(same.into_iter().flatten().chain([one.clone()]).collect());
        people = others;
    }
    people.len()
}

/// The people who order that an announcement or a voice ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ender {
    /// The key that numbered the order.
    pub issuer: KeyId,
    pub signers: Vec<KeyId>,
    /// The mode of the announcement that takes the other's place; nothing for a cancel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
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
        let mut counted = Vec::new();
        let mut level = u8::MAX;
        let mut first_refusal = None;
        for key in signers {
            match self.grants_power(key, power, groups, now) {
                Ok(grant) => {
                    counted.push(grant);
                    level = level.min(grant.level);
                }
                Err(refusal) => first_refusal = first_refusal.or(Some(refusal)),
            }
        }
        let needed = self.signatures_needed(power);
        let valid = count_people(counted) as u32;
        match first_refusal {
            Some(refusal) if valid == 0 => Err(refusal),
            _ if valid < needed => Err(CommandRefusal::TooFewSignatures { valid, needed }),
            _ => Ok(level),
        }
    }

    /// Checks that `ender` may end what needs `power` over `groups`: with the power and the people that it took to begin
    /// it, or with the power to cancel. A test ends nothing but tests, an exercise no actual emergency.
    ///
    /// # Errors
    /// Says what the signers lack.
    pub fn may_end(&self, ender: &Ender, power: Power, groups: &[GroupId]) -> Result<(), CommandRefusal> {
        let lesser = match ender.mode {
            Some(Mode::Test) => power != Power::Test,
            Some(Mode::Exercise) => power == Power::Emergency,
            Some(Mode::Actual) | None => false,
        };
        if lesser {
            let detail = said!("detail.only_trial");
            return Err(CommandRefusal::NotAllowed { key: ender.issuer.clone(), detail });
        }
        let as_begun = || self.permits(&ender.signers, power, groups, None);
        self.permits(&ender.signers, Power::Cancel, groups, None)
            .or_else(|lacks| as_begun().map_err(|_| lacks))?;
        Ok(())
    }

    /// Checks that these signers together may take a box out of all groups in `from` that are not in `to`, and bring it
    /// into all groups in `to` that are not in `from`: who may order a box about in one of its groups may not thereby
    /// take it away from another.
    ///
    /// # Errors
    /// Says what the signers lack.
    pub fn may_move(
        &self,
        signers: &[KeyId],
        from: &BTreeSet<GroupId>,
        to: &BTreeSet<GroupId>,
        now: Option<Wall>,
    ) -> Result<(), CommandRefusal> {
        let changed: Vec<_> = from.symmetric_difference(to).cloned().collect();
        self.permits(signers, Power::Groups, &changed, now).map(|_| ())
    }

    /// Reports whether `these` signers stand above `those` for `power`: they have it over every group over which those
    /// have it, and not the reverse. Keys that are not in this document are below all that are.
    pub fn outranks(&self, these: &[KeyId], those: &[KeyId], power: Power) -> bool {
        let reach = |signers: &[KeyId]| -> Vec<GroupId> {
            let of_signers = self.grants.iter().filter(|grant| signers.contains(&grant.key));
            let with_power = of_signers.filter(|grant| grant.powers.contains(&power));
            with_power.flat_map(|grant| grant.groups.iter().cloned()).collect()
        };
        let covers = |by: &[KeyId], of: &[KeyId]| self.permits(by, power, &reach(of), None).is_ok();
        covers(these, those) && !covers(those, these)
    }

    fn grants_power(
        &self,
        key: &KeyId,
        power: Power,
        groups: &[GroupId],
        now: Option<Wall>,
    ) -> Result<&Grant, CommandRefusal> {
        let unknown = || CommandRefusal::UnknownKey { key: key.clone() };
        let refuse = |detail: Sentence| CommandRefusal::NotAllowed { key: key.clone(), detail };
        let grant = self.grants.iter().find(|grant| grant.key == *key).ok_or_else(unknown)?;
        let begun = |now| grant.valid_from.is_none_or(|from| from <= now);
        let not_over = |now| grant.valid_until.is_none_or(|until| now < until);
        if now.is_some_and(|now| !begun(now) || !not_over(now)) {
            return Err(refuse(said!("detail.not_now")));
        }
        if !grant.powers.contains(&power) {
            return Err(refuse(said!("detail.no_power", power = format!("{power:?}"))));
        }
        match groups.iter().find(|group| !self.reaches(grant, group)) {
            Some(group) => Err(refuse(said!("detail.no_group", group))),
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

    #[test]
    fn a_box_is_moved_by_who_has_power_over_all_that_it_leaves_and_joins() {
        let mut trust = trust();
        for grant in &mut trust.grants {
            grant.powers.insert(Power::Groups);
        }
        let set = |names: &[&str]| names.iter().map(|name| group(name)).collect::<BTreeSet<_>>();
        let may = |by: &str, from: &[&str], to: &[&str]| {
            trust.may_move(&[key(by)], &set(from), &set(to), None).is_ok()
        };
        let (one, two) = (["thon-1", "xa"], ["thon-2", "xa"]);
        assert!(may("a", &one, &two) && may("a", &one, &["thon-1"]) && may("a", &one, &[]));
        // Who reaches one village alone.
        assert!(may("v", &one, &["xa"]) && may("v", &["xa"], &one) && may("v", &one, &one));
        assert!(!may("v", &one, &["thon-1"]) && !may("v", &one, &two) && !may("v", &["thon-1"], &one));
        // What is above the commune is nobody's here.
        assert!(
            !may("a", &["xa", "tinh"], &["xa"])
                && may("a", &["thon-1", "xa", "tinh"], &["thon-2", "xa", "tinh"])
        );
    }

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
            account: None,
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

    fn check_people(keys: &[(Option<&str>, &str)], expected: usize) {
        let like = &trust().grants[0];
        let grant = |(account, holder): &(Option<&str>, &str)| Grant {
            account: account.map(|account| account.parse().unwrap()),
            holder: (*holder).to_owned(),
            ..like.clone()
        };
        let grants: Vec<_> = keys.iter().map(grant).collect();
        assert_eq!(count_people(&grants), expected, "{keys:?}");
    }

    #[test]
    fn one_person_signs_once_however_they_are_written() {
        check_people(&[(None, "Nguyễn Văn An"), (None, "Nguye\u{302}\u{303}n Va\u{306}n An")], 1);
        check_people(&[(None, "An"), (None, "AN\u{200b}")], 1);
        check_people(&[(None, "An"), (None, "Ân")], 2);
        check_people(&[(Some("an-1"), "Nguyễn Văn An"), (Some("an-2"), "Nguyễn Văn An")], 2);
        check_people(&[(Some("an"), "Nguyễn Văn An"), (Some("an"), "Anh An")], 1);
        check_people(&[(Some("an-1"), "An"), (Some("an-2"), "An"), (None, "An")], 1);
        check_people(&[(None, "An"), (Some("an"), "Nguyễn An"), (Some("an"), "An")], 1);
    }

    fn check_ends(signers: &[&str], mode: Option<Mode>, power: Power, to: &str, expected: bool) {
        let ender =
            Ender { issuer: key(signers[0]), signers: signers.iter().map(|name| key(name)).collect(), mode };
        let found = trust().may_end(&ender, power, &[group(to)]);
        assert_eq!(found.is_ok(), expected, "{signers:?} {mode:?} {power:?}: {found:?}");
    }

    #[test]
    fn ending_takes_the_people_of_the_beginning_or_the_power_to_cancel() {
        use Mode::{Actual, Exercise, Test};
        check_ends(&["a"], None, Power::Emergency, "xa", true);
        check_ends(&["b"], None, Power::Emergency, "xa", false);
        check_ends(&["b", "a2"], Some(Actual), Power::Emergency, "xa", true);
        check_ends(&["a2", "a2"], Some(Actual), Power::Emergency, "xa", false);
        check_ends(&["v"], Some(Actual), Power::Normal, "thon-1", true);
        check_ends(&["v"], Some(Actual), Power::Normal, "xa", false);
        check_ends(&["a"], Some(Test), Power::Emergency, "xa", false);
        check_ends(&["a"], Some(Test), Power::Normal, "xa", false);
        check_ends(&["a"], Some(Exercise), Power::Emergency, "xa", false);
    }

    #[test]
    fn who_reaches_further_stands_above() {
        let mut trust = trust();
        trust.grants.push(Grant {
            key: key("w"),
            groups: [group("thon-2")].into(),
            ..trust.grants[3].clone()
        });
        let above = |these: &[&str], those: &[&str]| {
            let keys = |names: &[&str]| names.iter().map(|name| key(name)).collect::<Vec<_>>();
            trust.outranks(&keys(these), &keys(those), Power::Normal)
        };
        assert!(above(&["a"], &["v"]) && above(&["a"], &["v", "w"]) && above(&["a"], &["gone"]));
        assert!(!above(&["v"], &["a"]) && !above(&["v"], &["w"]) && !above(&["v"], &["v"]));
        // One of them reaches as far; one has not this power; none has signed.
        assert!(!above(&["a"], &["v", "a"]) && !above(&["b"], &["v"]) && !above(&[], &["v"]));
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
    fn a_key_counts_from_its_first_instant_to_before_its_last() {
        let mut trust = trust();
        trust.grants[0].valid_from = Some(Wall(10));
        let permits =
            |at: Option<i64>| trust.permits(&[key("a")], Power::Normal, &[group("xa")], at.map(Wall)).is_ok();
        let at = [Some(9), Some(10), Some(999), Some(1_000), None];
        assert_eq!(at.map(permits), [false, true, true, false, true]);
    }

    #[test]
    fn every_group_is_asked_for_and_reached_through_every_level() {
        let mut trust = trust();
        trust.nesting.insert(group("to-3"), group("thon-1"));
        let permits = |name: &str, groups: &[&str]| {
            let groups: Vec<_> = groups.iter().map(|name| group(name)).collect();
            trust.permits(&[key(name)], Power::Normal, &groups, None).is_ok()
        };
        assert!(permits("a", &["to-3"]) && permits("v", &["to-3"]));
        assert!(permits("a", &["thon-1", "xa"]) && permits("v", &["thon-1", "to-3"]));
        assert!(!permits("v", &["thon-1", "xa"]) && !permits("v", &["xa", "thon-1"]));
    }

    #[test]
    fn any_power_may_need_two_and_the_level_is_the_highest_of_those_who_count() {
        let mut trust = trust();
        trust.thresholds.push(Threshold { power: Power::Cancel, signatures: 2 });
        trust.grants[1].level = 2;
        trust.grants[1].powers.insert(Power::Cancel);
        let permits = |names: &[&str]| {
            let signers: Vec<_> = names.iter().map(|name| key(name)).collect();
            trust.permits(&signers, Power::Cancel, &[group("xa")], None).ok()
        };
        assert_eq!((permits(&["a"]), permits(&["b"])), (None, None));
        assert_eq!((permits(&["a", "b"]), permits(&["b", "a"])), (Some(1), Some(1)));
        trust.grants[0].level = 3;
        trust.thresholds.clear();
        let level = |names: &[&str]| {
            let signers: Vec<_> = names.iter().map(|name| key(name)).collect();
            trust.permits(&signers, Power::Cancel, &[group("xa")], None)
        };
        assert_eq!((level(&["a"]), level(&["b"]), level(&["a", "b"])), (Ok(3), Ok(2), Ok(2)));
    }

    #[test]
    fn a_loop_in_the_nesting_ends() {
        let mut trust = trust();
        trust.nesting = [(group("p"), group("q")), (group("q"), group("p"))].into();
        assert!(trust.permits(&[key("a")], Power::Normal, &[group("p")], None).is_err());
    }
}
