//! The inbox: judgement on commands whose signatures were checked.
//!
//! Authority, target, time and replay decide. What is done with an accepted command is the speaker's business.

use crate::said;
use crate::texts::Sentence;
use std::collections::BTreeSet;

use crate::decide::memory::{Known, Memo, Memory, Origin};
use crate::decide::quotas::{self, Limits, Standing};
use crate::domain::announcement::Mode;
use crate::domain::authority::{Ender, Power, Trust};
use crate::domain::ids::GroupId;
use crate::domain::playback::CommandRefusal;
use crate::domain::time::{ClockQuality, Reading, Span};
use crate::wire::messages::{Body, Command, Signed};

/// A command may be issued this far in the future of the box's clock: clocks of people differ.
pub const ISSUED_AHEAD_MAX: Span = Span::secs(600);

/// The longest time that a command may stay in force.
pub const LIFETIME_MAX: Span = Span::secs(400 * 24 * 3600);

/// Largest step of a serial beyond all that its key has used, and beyond the milliseconds from 1970 to its issue. Keys
/// that count one by one, and keys that use the time, never come near. So no single command uses up a key, and no sum
/// of serials overflows.
pub const SERIAL_STEP_MAX: u64 = 1 << 32;

/// The inbox's answer to a command that it does not refuse.
#[derive(Debug, Clone, PartialEq)]
pub enum Admission {
    /// New: obey it, after these changes are on disk. `level` is the issuer's.
    New { level: u8, memos: Vec<Memo> },
    /// A repetition of the same bytes: the command is acknowledged again, and nothing is done again.
    Again,
}

/// The state and the rules that a command is judged by.
pub struct Bench<'a> {
    pub memory: &'a Memory,
    pub limits: &'a Limits,
    pub trust: Option<&'a Trust>,
    pub groups: &'a BTreeSet<GroupId>,
    /// Announcements that are not over, and the live voice.
    pub standing: &'a [Standing<'a>],
}

/// Judges a command for a box.
///
/// # Errors
/// Says why the command is refused. A refused command leaves no trace in the memory, so that it can be sent again when
/// the reason is gone.
pub fn judge(bench: &Bench, now: &Reading, signed: &Signed<Command>) -> Result<Admission, CommandRefusal> {
    let Bench { memory, limits, trust, groups, standing } = bench;
    let command = &signed.payload;
    if let Some(known) = memory.known.get(&command.id) {
        if known.digest == signed.digest {
            return Ok(Admission::Again);
        }
        let by_lesser =
            known.origin.as_ref().is_some_and(|from| weight(from.power) < weight(command.power()));
        if !by_lesser {
            return Err(CommandRefusal::Forged { id: command.id.clone() });
        }
    }
    let time = (now.quality > ClockQuality::None).then_some(now.wall);
    let no_trust = CommandRefusal::Impossible { detail: said!("detail.no_trust") };
    let trust = trust.ok_or(no_trust)?;
    let level = trust.permits(&signed.signers, command.power(), &command.groups, time)?;
    if !command.groups.iter().any(|group| groups.contains(group)) {
        return Err(CommandRefusal::NotForThisBox);
    }
    let wall = time.ok_or(CommandRefusal::ClockUnknown)?;
    if wall >= command.expires {
        return Err(CommandRefusal::Expired { at: command.expires });
    }
    check_dates(now, command)?;
    let mut memos = use_serial(memory, command)?;
    check_target(trust, standing, signed)?;
    if matches!(&command.body, Body::Announce { mode: Mode::Actual | Mode::Exercise, .. }) {
        quotas::check_held(limits, standing, &command.issuer, command.power())?;
    }
    if let Some(old) = quotas::make_room(memory, limits, standing, &command.issuer, command.power())? {
        memos.extend([Memo::Known(old.clone(), None), Memo::Progress(old, None)]);
    }
    // A lesser command that had this id leaves nothing of its progress.
    if memory.known.contains_key(&command.id) || memory.progress.contains_key(&command.id) {
        memos.extend([Memo::Known(command.id.clone(), None), Memo::Progress(command.id.clone(), None)]);
    }
    let origin = Origin { issuer: command.issuer.clone(), serial: command.serial, power: command.power() };
    let known = Known { digest: signed.digest, expires: command.expires, origin: Some(origin) };
    memos.push(Memo::Known(command.id.clone(), Some(known)));
    Ok(Admission::New { level, memos })
}

/// Weighs the claim of a command to its id, for the case that two keys use the same one. Ids travel in the open, and
/// nobody is to keep an emergency or a stop away by using its id first.
const fn weight(power: Power) -> u8 {
    match power {
        Power::Emergency => 2,
        Power::Cancel => 1,
        _ => 0,
    }
}

/// Marks the serial as used. Actual emergencies are compared with emergencies alone.
fn use_serial(memory: &Memory, command: &Command) -> Result<Vec<Memo>, CommandRefusal> {
    let (issuer, serial) = (&command.issuer, command.serial);
    let mut all = memory.serials.get(issuer).cloned().unwrap_or_default();
    let mut emergencies = memory.emergency_serials.get(issuer).cloned().unwrap_or_default();
    let is_emergency = command.power() == Power::Emergency;
    let window = if is_emergency { &emergencies } else { &all };
    if window.was_used(serial) {
        return Err(CommandRefusal::Replayed { serial });
    }
    let by_time = u64::try_from(command.issued_at.0 / 1_000).unwrap_or(0);
    let highest = all.highest.max(emergencies.highest).max(by_time);
    if serial > highest.saturating_add(SERIAL_STEP_MAX) {
        let detail = said!("detail.serial_beyond", serial, highest);
        return Err(CommandRefusal::Impossible { detail });
    }
    all.mark(serial);
    let mut memos = vec![Memo::Serials(issuer.clone(), Some(all))];
    if is_emergency {
        emergencies.mark(serial);
        memos.push(Memo::EmergencySerials(issuer.clone(), Some(emergencies)));
    }
    Ok(memos)
}

/// Checks that what the command would end may be ended by its signers: a cancel its announcement, a live voice the one
/// before it.
fn check_target(
    trust: &Trust,
    standing: &[Standing],
    signed: &Signed<Command>,
) -> Result<(), CommandRefusal> {
    let target = match &signed.payload.body {
        Body::Cancel { of: Some(of) } => standing.iter().find(|one| one.id == of),
        Body::Live { open: true, .. } => standing.iter().find(|one| one.power == Power::Live),
        _ => None,
    };
    let ender = ender(signed);
    target.map_or(Ok(()), |target| trust.may_end(&ender, target.power, target.groups))
}

/// Names the party that orders an end: issuer and signers, and the mode of an announcement that replaces another.
pub fn ender(signed: &Signed<Command>) -> Ender {
    let mode = match &signed.payload.body {
        Body::Announce { mode, .. } => Some(*mode),
        _ => None,
    };
    Ender { issuer: signed.payload.issuer.clone(), signers: signed.signers.clone(), mode }
}

fn check_dates(now: &Reading, command: &Command) -> Result<(), CommandRefusal> {
    let impossible = |detail: Sentence| Err(CommandRefusal::Impossible { detail });
    if command.not_before >= command.expires {
        return impossible(said!("detail.not_before"));
    }
    if command.issued_at > now.wall.plus(ISSUED_AHEAD_MAX) {
        return impossible(said!("detail.future"));
    }
    if command.expires > command.issued_at.plus(LIFETIME_MAX) {
        return impossible(said!("detail.too_long"));
    }
    Ok(())
}

/// Time for which an expired command is still remembered. A clock may be ahead by as much before it is set right: as
/// far as a battery clock is believed beyond the last known time. The serials alone keep an expired command from being
/// new; an ending has nothing but this.
pub const REMEMBERED_AFTER_EXPIRY: Span = Span::secs(60 * 86_400);

/// Lists what can be forgotten because it has expired long ago.
pub fn forget(memory: &Memory, now: &Reading) -> Vec<Memo> {
    if now.quality == ClockQuality::None {
        return Vec::new();
    }
    let past = now.wall.minus(REMEMBERED_AFTER_EXPIRY);
    let known = memory.known.iter().filter(|(_, known)| known.expires < past);
    let endings = memory.endings.iter().filter(|(_, ending)| ending.until < past);
    let stops = memory.stops.iter().filter(|(_, stop)| stop.upto.plus(LIFETIME_MAX) < past);
    let cancelled = memory.cancelled.iter().filter(|(_, until)| **until < past);
    known
        .flat_map(|(id, _)| [Memo::Known(id.clone(), None), Memo::Progress(id.clone(), None)])
        .chain(endings.map(|((of, by), _)| Memo::Ending(of.clone(), by.clone(), None)))
        .chain(stops.map(|(by, _)| Memo::Stop(by.clone(), None)))
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
            account: None,
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
        let (trust, limits) = (everything(&["a", "b"]), Limits { known_of_issuer: 3, ..Limits::default() });
        let bench = Bench { memory, limits: &limits, trust: Some(&trust), groups: &groups, standing: &[] };
        judge(&bench, now, signed).map_err(|refusal| refusal.to_string())
    }

    fn accept(memory: &mut Memory, signed: &Signed<Command>) {
        match judge_in(memory, &now(), signed) {
            Ok(Admission::New { memos, .. }) => memos.iter().for_each(|memo| memory.apply(memo)),
            other => panic!("{:?}: {other:?}", signed.payload.id),
        }
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
    fn a_clock_may_be_behind_by_ten_minutes() {
        let behind = |by: Span| Reading { wall: Wall(1_000_000_000).minus(by), ..now() };
        let judged = |by| judge_in(&Memory::default(), &behind(by), &test_command("c1", 5)).is_ok();
        assert!(judged(ISSUED_AHEAD_MAX) && !judged(ISSUED_AHEAD_MAX + Span(1)));
    }

    #[test]
    fn a_command_is_obeyed_once() {
        let mut memory = Memory::default();
        let signed = test_command("c1", 5);
        accept(&mut memory, &signed);
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

    fn emergency(id: &str, serial: u64) -> Signed<Command> {
        let mut signed = test_command(id, serial);
        signed.signers.push("b".parse().unwrap());
        signed.payload.body = Body::Announce {
            title: "Lũ".to_owned(),
            class: crate::domain::announcement::BulletinClass::Emergency,
            mode: Mode::Actual,
            plan: Default::default(),
            media: None,
            words: None,
            supersedes: None,
            cap: None,
        };
        signed.digest = ContentHash::of(format!("{:?}", signed.payload).as_bytes());
        signed
    }

    #[test]
    fn a_key_forgets_its_own_oldest_command_and_replays_stay_refused() {
        let mut memory = Memory::default();
        for serial in 1..=10 {
            accept(&mut memory, &test_command(&format!("c{serial}"), serial));
        }
        let mut of_another = test_command("d1", 1);
        of_another.payload.issuer = "b".parse().unwrap();
        of_another.signers = vec!["b".parse().unwrap()];
        accept(&mut memory, &of_another);
        let ids: Vec<_> = memory.known.keys().map(|id| id.as_str()).collect();
        assert_eq!(ids, ["c10", "c8", "c9", "d1"]);
        let replayed = judge_in(&memory, &now(), &test_command("c1", 1));
        assert_eq!(replayed, Err("serial 1 was used already".to_owned()));
    }

    #[test]
    fn no_serial_far_ahead_burns_a_key() {
        let mut memory = Memory::default();
        accept(&mut memory, &test_command("c1", 1));
        for burning in [u64::MAX, u64::MAX - 1, 1 + SERIAL_STEP_MAX + 1_000_000] {
            let found = judge_in(&memory, &now(), &test_command("burning", burning)).unwrap_err();
            assert!(found.contains("too far beyond"), "{found}");
        }
        // Milliseconds since 1970 are serials, too, and so is what follows.
        accept(&mut memory, &test_command("c2", 1_000_000 + SERIAL_STEP_MAX));
        accept(&mut memory, &test_command("c3", 1_000_001 + SERIAL_STEP_MAX));
    }

    #[test]
    fn nothing_lesser_uses_up_the_serial_or_the_id_of_an_emergency() {
        let mut memory = Memory::default();
        accept(&mut memory, &test_command("e1", 7));
        accept(&mut memory, &test_command("c2", SERIAL_STEP_MAX));
        let storm = emergency("e1", 7);
        accept(&mut memory, &storm);
        assert_eq!(judge_in(&memory, &now(), &storm), Ok(Admission::Again));
        let back = judge_in(&memory, &now(), &test_command("e1", 8));
        assert_eq!(back, Err("id e1 was used for other content".to_owned()));
        let again = judge_in(&memory, &now(), &emergency("e2", 7));
        assert_eq!(again, Err("serial 7 was used already".to_owned()));
    }
}
