//! The inbox: judgement on commands whose signatures were checked.
//!
//! Authority, target, time and replay decide. What is done with an accepted command is the speaker's business.

use std::collections::BTreeSet;

use crate::decide::memory::{KNOWN_MAX, Known, Memo, Memory};
use crate::domain::authority::{Power, Trust};
use crate::domain::ids::GroupId;
use crate::domain::playback::CommandRefusal;
use crate::domain::time::{ClockQuality, Reading, Span};
use crate::wire::messages::{Body, Command, Signed};

/// A command may be issued this far in the future of the box's clock: clocks of people differ.
pub const ISSUED_AHEAD_MAX: Span = Span::secs(600);

/// The longest time that a command may stay in force.
pub const LIFETIME_MAX: Span = Span::secs(400 * 24 * 3600);

/// The inbox's answer to a command that it does not refuse.
#[derive(Debug, Clone, PartialEq)]
pub enum Admission {
    /// New: obey it, after these changes are on disk. `level` is the issuer's.
    New { level: u8, memos: Vec<Memo> },
    /// A repetition of the same bytes: the command is acknowledged again, and nothing is done again.
    Again,
}

/// Judges a command for a box in `groups`.
///
/// # Errors Says why the command is refused. A refused command leaves no trace in the memory, so that it can be sent
/// again when the reason is gone.
pub fn judge(
    memory: &Memory,
    trust: Option<&Trust>,
    groups: &BTreeSet<GroupId>,
    now: &Reading,
    signed: &Signed<Command>,
) -> Result<Admission, CommandRefusal> {
    let command = &signed.payload;
    if let Some(known) = memory.known.get(&command.id) {
        let same = known.digest == signed.digest;
        return if same {
            Ok(Admission::Again)
        } else {
            Err(CommandRefusal::Forged { id: command.id.clone() })
        };
    }
    let time = (now.quality > ClockQuality::None).then_some(now.wall);
    let no_trust = CommandRefusal::Impossible { detail: "this box has no trust document yet".to_owned() };
    let level = trust.ok_or(no_trust)?.permits(&signed.signers, command.power(), &command.groups, time)?;
    if !command.groups.iter().any(|group| groups.contains(group)) {
        return Err(CommandRefusal::NotForThisBox);
    }
    let wall = time.ok_or(CommandRefusal::ClockUnknown)?;
    if wall >= command.expires {
        return Err(CommandRefusal::Expired { at: command.expires });
    }
    check_dates(now, command)?;
    let mut window = memory.serials.get(&command.issuer).cloned().unwrap_or_default();
    if window.was_used(command.serial) {
        return Err(CommandRefusal::Replayed { serial: command.serial });
    }
    // The room above is kept for what must get through: emergencies and cancels.
    let vital = matches!(command.power(), Power::Emergency | Power::Cancel);
    let max = if vital { KNOWN_MAX } else { KNOWN_MAX * 3 / 4 };
    if memory.known.len() >= max {
        return Err(CommandRefusal::TooMany { max: max as u32 });
    }
    window.mark(command.serial);
    let known = Known { digest: signed.digest, expires: command.expires };
    let memos =
        vec![Memo::Serials(command.issuer.clone(), window), Memo::Known(command.id.clone(), Some(known))];
    debug_assert!(memory.known.len() < KNOWN_MAX, "there is no room for another command");
    debug_assert!(
        command.not_before < command.expires && wall < command.expires,
        "it is over before it begins"
    );
    Ok(Admission::New { level, memos })
}

fn check_dates(now: &Reading, command: &Command) -> Result<(), CommandRefusal> {
    let impossible = |detail: &str| Err(CommandRefusal::Impossible { detail: detail.to_owned() });
    if command.not_before >= command.expires {
        return impossible("not_before is not earlier than expires");
    }
    if command.issued_at > now.wall.plus(ISSUED_AHEAD_MAX) {
        return impossible("it claims to be issued in the future");
    }
    if command.expires > command.issued_at.plus(LIFETIME_MAX) {
        return impossible("it would stay in force for more than 400 days");
    }
    Ok(())
}

/// Tells whether an announcement or a live voice was cancelled or superseded before it arrived.
pub fn was_cancelled(memory: &Memory, command: &Command) -> bool {
    let announces = matches!(command.body, Body::Announce { .. } | Body::Live { .. });
    let by_all = memory.all_cancelled_upto.is_some_and(|upto| command.issued_at <= upto);
    announces && (memory.cancelled.contains_key(&command.id) || by_all)
}

/// Time for which what has expired is still remembered. A clock may be ahead by as much before it is set right, and
/// must not make an expired or cancelled command new: as far as a battery clock is believed beyond the last known time.
const REMEMBERED_AFTER_EXPIRY: Span = Span::secs(60 * 86_400);

/// Lists what can be forgotten because it has expired long ago.
pub fn forget(memory: &Memory, now: &Reading) -> Vec<Memo> {
    if now.quality == ClockQuality::None {
        return Vec::new();
    }
    let past = now.wall.minus(REMEMBERED_AFTER_EXPIRY);
    let known = memory.known.iter().filter(|(_, known)| known.expires < past);
    let cancelled = memory.cancelled.iter().filter(|(_, until)| **until < past);
    known
        .flat_map(|(id, _)| [Memo::Known(id.clone(), None), Memo::Progress(id.clone(), None)])
        .chain(cancelled.map(|(id, _)| Memo::Cancelled(id.clone(), None)))
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::authority::{Grant, Threshold};
    use crate::domain::ids::{ContentHash, KeyId};
    use crate::domain::time::{Moment, Wall};

    pub(crate) fn everything(keys: &[&str]) -> Trust {
        use Power::*;
        let powers = [Normal, Priority, Emergency, Exercise, Live, Cancel, Programme, Policy, Groups, Test];
        let grant = |key: &&str| Grant {
            key: KeyId::new(*key).unwrap(),
            public: String::new(),
            holder: (*key).to_owned(),
            powers: powers.into(),
            groups: [GroupId::new("xa").unwrap()].into(),
            level: 1,
            valid_from: None,
            valid_until: None,
        };
        Trust {
            version: 1,
            grants: keys.iter().map(grant).collect(),
            thresholds: vec![Threshold { power: Emergency, signatures: 2 }],
            nesting: Default::default(),
        }
    }

    fn now() -> Reading {
        Reading {
            mono: Moment(0),
            wall: Wall(1_000_000_000),
            quality: ClockQuality::Synced,
            uncertainty_ms: 0,
        }
    }

    fn test_command(id: &str, serial: u64) -> Signed<Command> {
        let payload = Command {
            v: 1,
            id: id.parse().unwrap(),
            issuer: "a".parse().unwrap(),
            serial,
            issued_at: Wall(1_000_000_000),
            groups: vec!["xa".parse().unwrap()],
            not_before: Wall(1_000_000_000),
            expires: Wall(2_000_000_000),
            author: "An".to_owned(),
            approver: None,
            critical: Vec::new(),
            body: Body::Test,
        };
        let digest = ContentHash::of(format!("{payload:?}").as_bytes());
        Signed { signers: vec!["a".parse().unwrap()], digest, payload }
    }

    fn judge_in(memory: &Memory, now: &Reading, signed: &Signed<Command>) -> Result<Admission, String> {
        let groups = ["xa".parse().unwrap(), "thon-1".parse().unwrap()].into();
        judge(memory, Some(&everything(&["a"])), &groups, now, signed).map_err(|refusal| refusal.to_string())
    }

    fn check(change: impl Fn(&mut Signed<Command>, &mut Reading), expected: &str) {
        let (mut signed, mut now) = (test_command("c1", 5), now());
        change(&mut signed, &mut now);
        let found = judge_in(&Memory::default(), &now, &signed);
        assert_eq!(found.map(drop), Err(expected.to_owned()));
    }

    #[test]
    fn what_is_not_right_is_refused() {
        check(|signed, _| signed.signers = vec!["x".parse().unwrap()], "key x is not known or was revoked");
        check(
            |signed, _| signed.payload.groups = vec!["huyen".parse().unwrap()],
            "key a may not do this: it has no say over group huyen",
        );
        check(|_, now| now.wall = Wall(2_000_000_000), "it expired at 1970-01-01T00:33:20.000000Z");
        check(
            |signed, _| signed.payload.not_before = Wall(2_000_000_000),
            "not_before is not earlier than expires",
        );
        check(|_, now| now.wall = Wall(0), "it claims to be issued in the future");
        check(
            |_, now| now.quality = ClockQuality::None,
            "the clock is not known, and this command is no fresh emergency",
        );
        check(
            |signed, _| signed.payload.expires = Wall(1_000_000_000).plus(LIFETIME_MAX).plus(Span(1)),
            "it would stay in force for more than 400 days",
        );
    }

    #[test]
    fn a_command_is_obeyed_once() {
        let mut memory = Memory::default();
        let signed = test_command("c1", 5);
        let Ok(Admission::New { memos, .. }) = judge_in(&memory, &now(), &signed) else {
            panic!("refused");
        };
        memos.iter().for_each(|memo| memory.apply(memo));
        assert_eq!(judge_in(&memory, &now(), &signed), Ok(Admission::Again));
        let forged = test_command("c1", 6);
        assert_eq!(judge_in(&memory, &now(), &forged), Err("id c1 was used for other content".to_owned()));
        let replayed = test_command("c2", 5);
        assert_eq!(judge_in(&memory, &now(), &replayed), Err("serial 5 was used already".to_owned()));
        let after = |span| Reading { wall: Wall(2_000_000_000).plus(span), ..now() };
        assert_eq!(forget(&memory, &after(REMEMBERED_AFTER_EXPIRY)), []);
        let later = after(REMEMBERED_AFTER_EXPIRY + Span::secs(1));
        forget(&memory, &later).iter().for_each(|memo| memory.apply(memo));
        assert!(memory.known.is_empty());
        assert!(judge_in(&memory, &later, &signed).unwrap_err().starts_with("it expired"));
    }
}
