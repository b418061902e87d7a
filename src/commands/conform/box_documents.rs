//! Checks of a box's documents: whose take the place of which.

use super::box_side::{Centre, HEARTBEAT};
use super::check::Check;
use super::wire::VILLAGE;
use loaxa_heart::domain::announcement::{Media, PlayPlan, PreparedItem, Words};
use loaxa_heart::domain::ids::{ContentHash, GroupId};
use loaxa_heart::domain::local_emergency::LocalEmergency;
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::messages::{Body, Heartbeat};
use loaxa_heart::wire::signing::SecretKey;

pub const CHECKS: &[Check<Centre>] = &[
    Check("conform_check.village_takes", "5", village_takes),
    Check("conform_check.village_numbers", "5", village_numbers),
    Check("conform_check.prepared", "5", prepared),
    Check("conform_check.local_emergency", "12", local_emergency),
];

impl Centre {
    /// Checks that what goes to `former` alone is not obeyed.
    fn is_moved_back(&mut self, former: &GroupId) -> Result<(), Sentence> {
        self.refuses("moved", |command| command.groups = vec![former.clone()])
    }

    /// Sends an order in the name of `by`.
    fn send_as(&mut self, by: &SecretKey, to: &[GroupId], name: &str, body: Body) -> Result<(), Sentence> {
        let mut command = self.command(name, body);
        (command.issuer, command.groups) = (by.key_id(), to.to_vec());
        self.order(codec::seal(&command, &[by]))
    }

    /// Checks that a heartbeat from now on tells of this list, with so many messages whose audio is missing.
    fn tells_prepared(&mut self, version: u32, missing: u32) -> Result<(), Sentence> {
        let told = |heartbeat: &Heartbeat| {
            let holds = heartbeat.holds.as_ref();
            holds.is_some_and(|holds| (holds.prepared, holds.prepared_missing) == (version, missing))
        };
        self.until(HEARTBEAT, |centre| centre.heartbeats.iter().any(told).then_some(()))
            .ok_or_else(|| said!("conform.not_prepared", version, missing))
    }
}

impl Centre {
    /// Checks that a heartbeat from now on tells of this version of the standing order.
    fn tells_local(&mut self, version: u32) -> Result<(), Sentence> {
        let told = |heartbeat: &Heartbeat| {
            heartbeat.holds.as_ref().is_some_and(|holds| holds.local_emergency == version)
        };
        self.until(HEARTBEAT, |centre| centre.heartbeats.iter().any(told).then_some(()))
            .ok_or_else(|| said!("conform.not_local", version))
    }
}

/// Tells the box its groups, the next version of them, in the name of `by`.
fn tell_groups(
    centre: &mut Centre,
    step: u32,
    by: &SecretKey,
    to: &[GroupId],
    groups: &[GroupId],
) -> Result<(), Sentence> {
    let held = centre.hello.as_ref().map_or(0, |hello| hello.holds.groups);
    let members = [(centre.id.clone(), groups.to_vec())].into();
    let mut command = centre.command("groups", Body::Groups { version: held + step, members });
    (command.issuer, command.groups) = (by.key_id(), to.to_vec());
    centre.order(codec::seal(&command, &[by]))
}

fn village_takes(centre: &mut Centre) -> Result<(), Sentence> {
    let village: GroupId = VILLAGE.parse().expect("it is a name");
    let both = [centre.group.clone(), village.clone()];
    let [duty, villager] = [centre.authority.duty[0].clone(), centre.authority.villager.clone()];
    tell_groups(centre, 1, &duty, &both[..1], &both)?;
    tell_groups(centre, 2, &villager, &both[1..], &both[1..])?;
    // Heard only by a box that is still in the commune's group.
    let heard = centre.obeys("sentinel", |_| {});
    tell_groups(centre, 3, &duty, &both, &both[..1])?;
    heard.and_then(|()| centre.is_moved_back(&village))
}

fn village_numbers(centre: &mut Centre) -> Result<(), Sentence> {
    let village: GroupId = VILLAGE.parse().expect("it is a name");
    let both = [centre.group.clone(), village.clone()];
    let [duty, villager] = [centre.authority.duty[0].clone(), centre.authority.villager.clone()];
    tell_groups(centre, 4, &duty, &both[..1], &both)?;
    let members = [(centre.id.clone(), both.to_vec())].into();
    centre.send_as(&villager, &both[1..], "highest", Body::Groups { version: u32::MAX, members })?;
    tell_groups(centre, 5, &duty, &both, &both[..1])?;
    centre.is_moved_back(&village)
}

/// A list of two messages whose audio is nowhere.
fn prepared_list(version: u32) -> Body {
    let item = |n: u8| PreparedItem {
        id: format!("conform-{n}").parse().expect("it is a name"),
        title: format!("{n}"),
        language: "vi".to_owned(),
        media: Media {
            sha256: ContentHash::of(&[n]),
            bytes: 1,
            codec: "audio/wav".to_owned(),
            ms: 1_000,
            path: format!("conform-{n}"),
        },
        siren: None,
    };
    Body::Prepared { version, items: [1, 2].map(item).into() }
}

fn prepared(centre: &mut Centre) -> Result<(), Sentence> {
    let village: GroupId = VILLAGE.parse().expect("it is a name");
    let both = [centre.group.clone(), village];
    let [duty, villager] = [centre.authority.duty[0].clone(), centre.authority.villager.clone()];
    let held = centre.hello.as_ref().map_or(0, |hello| hello.holds.prepared);
    tell_groups(centre, 6, &duty, &both[..1], &both)?;
    centre.send_as(&duty, &both[..1], "prepared", prepared_list(held + 1))?;
    let empty = |version| Body::Prepared { version, items: Vec::new() };
    centre.send_as(&villager, &both[1..], "replaced", empty(held + 2))?;
    let told = centre.tells_prepared(held + 1, 2);
    tell_groups(centre, 7, &duty, &both, &both[..1])?;
    centre.send_as(&duty, &both[..1], "none", empty(held + 3))?;
    told.and_then(|()| centre.tells_prepared(held + 3, 0))
}

/// A standing order of a few words.
fn standing(version: u32) -> Body {
    let order = LocalEmergency {
        title: "conform".to_owned(),
        plan: PlayPlan::default(),
        media: None,
        words: Some(Words { text: "a".to_owned(), language: "vi".to_owned() }),
        silent_s: 300,
        confirm_s: 10,
        minutes_max: 1,
        with_contact: false,
    };
    Body::LocalEmergency { version, order: Some(order) }
}

/// A standing order is taken from two people alone, told of, never replaced by an older one, and taken back.
fn local_emergency(centre: &mut Centre) -> Result<(), Sentence> {
    let [one, two] = centre.authority.duty.clone();
    let held = centre.hello.as_ref().map_or(0, |hello| hello.holds.local_emergency);
    let groups = [centre.group.clone()];
    centre.send_as(&one, &groups, "alone", standing(held + 9))?;
    let by_both = |centre: &mut Centre, name: &str, body: Body| {
        let command = centre.command(name, body);
        centre.order(codec::seal(&command, &[&one, &two]))
    };
    by_both(centre, "standing", standing(held + 2))?;
    by_both(centre, "older", standing(held + 1))?;
    let told = centre.tells_local(held + 2);
    by_both(centre, "back", Body::LocalEmergency { version: held + 3, order: None })?;
    told.and_then(|()| centre.tells_local(held + 3))
}
