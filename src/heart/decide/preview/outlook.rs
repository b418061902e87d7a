//! The outlook of one announcement, or of a live voice, on a box: the heart rehearses the days with it.

use super::rehearsal::lookup;
use crate::decide::schedule::Timetable;
use crate::decide::simulation::world::{Setup, World};
use crate::decide::speaker::{Input, spoken_length};
use crate::domain::announcement::{Repeats, Rung};
use crate::domain::ids::CommandId;
use crate::domain::playback::{
    CommandRefusal, DeliveryStep, Event, NotPlayed, PlayEnd, PlayOutcome, Subject,
};
use crate::domain::policy::GuardRefusal;
use crate::domain::sound::{Fault, FileRef, Sound};
use crate::domain::time::{Span, Wall};
use crate::wire::messages::{Body, Command, Signed};

/// Rehearsed at a time; what comes first ends the rehearsal.
const STEP: Span = Span::secs(3_600);

/// Time after its beginning for which an announcement is followed: longer than any guard lets one go on.
const LOOK_AT_SOUND: Span = Span::secs(86_400);

/// The fate of an announcement on a box where nothing goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outlook {
    /// The first repetition begins at this instant.
    Sounds(Wall),
    /// The first repetition begins at this instant, and the guard stops it or a later one before its end.
    Stopped(Wall, GuardRefusal),
    Silent(NotPlayed),
    Refused(CommandRefusal),
    /// The announcement neither sounds nor ends before it expires.
    Open,
}

/// Rehearses an announcement or a live voice that a box gets at `now`, with its audio at once. The day is rehearsed from its beginning,
/// so that minutes are counted and slots are on the air.
pub fn outlook(setup: Setup, signed: &Signed<Command>, now: Wall) -> Outlook {
    let command = &signed.payload;
    let begin = Wall::from_local(now.date().and_hms_opt(0, 0, 0).unwrap_or_default());
    let lengths = lengths(&setup.timetable, command);
    let mut world = World::new(setup, begin, Box::new(lengths)).without_latency();
    world.power_on();
    world.run_for(now.since(begin));
    world.take_log();
    world.input(Input::Command(Box::new(signed.clone())));
    for (sha256, _) in world.take_fetches() {
        world.input(Input::Fetched { sha256, result: Ok(()) });
    }
    let subject = subject(command);
    let until = command.expires.plus(Span::secs(1));
    let mut reason = None;
    let mut sounds: Option<Wall> = None;
    loop {
        for entry in world.take_log() {
            if let Some(at) = sounds {
                match end(&command.id, &subject, &entry.event) {
                    Some(End::Whole) => return Outlook::Sounds(at),
                    Some(End::Stopped(reason)) => return Outlook::Stopped(at, reason),
                    None => continue,
                }
            }
            match fate(&command.id, &subject, entry.at.wall, entry.event, &mut reason) {
                Some(Outlook::Sounds(at)) if !goes_on(command) => sounds = Some(at),
                Some(fate) => return fate,
                None => {}
            }
        }
        let now = world.now().wall;
        if let Some(at) = sounds
            && now.since(at) > LOOK_AT_SOUND
        {
            return Outlook::Sounds(at);
        }
        let left = until.since(now);
        if left == Span(0) {
            return sounds.map_or(Outlook::Open, Outlook::Sounds);
        }
        world.run_for(left.min(STEP));
    }
}

/// The end of an announcement that began.
enum End {
    Whole,
    Stopped(GuardRefusal),
}

/// Reads what an entry of the log says of the end of an announcement.
fn end(id: &CommandId, of: &Subject, event: &Event) -> Option<End> {
    match event {
        Event::PlayEnded(PlayEnd { subject, outcome: PlayOutcome::Guarded { reason }, .. })
            if subject == of =>
        {
            Some(End::Stopped(reason.clone()))
        }
        Event::Delivery { command, step } if command == id => match step {
            DeliveryStep::NotPlayed { reason: NotPlayed::Guarded { reason } } => {
                Some(End::Stopped(reason.clone()))
            }
            DeliveryStep::Received | DeliveryStep::Staged | DeliveryStep::Started => None,
            _ => Some(End::Whole),
        },
        _ => None,
    }
}

/// The name under which the log has what a command brings to the air.
fn subject(command: &Command) -> Subject {
    match &command.body {
        Body::Live { voice, .. } => Subject::Live { voice: voice.clone() },
        _ => Subject::Announcement { command: command.id.clone() },
    }
}

/// Tells whether this sounds until somebody ends it, so that its end is nothing to foresee.
fn goes_on(command: &Command) -> bool {
    matches!(command.body, Body::Live { .. })
        || command
            .announcement(1)
            .is_some_and(|it| it.rung() == Rung::Emergency || it.plan.repeats == Repeats::UntilCancelled)
}

/// Makes the lookup of a programme's sounds and those of a command.
fn lengths(
    timetable: &Timetable,
    command: &Command,
) -> impl Fn(&Sound) -> Result<Option<Span>, Fault> + use<> {
    let of_programmes = lookup(timetable);
    let media = match &command.body {
        Body::Announce { media: Some(media), .. } => Some((media.sha256, Span::millis(media.ms.into()))),
        _ => None,
    };
    move |sound| match (sound, media) {
        (Sound::File(FileRef::Stored(hash)), Some((sha256, length))) if *hash == sha256 => Ok(Some(length)),
        (Sound::Text { text, .. }, _) => {
            of_programmes(sound).map(|known| known.or_else(|| Some(spoken_length(text))))
        }
        _ => of_programmes(sound),
    }
}

/// Rounds an instant: a play that follows another is opened a little before its first sample.
const fn to_the_second(at: Wall) -> Wall {
    Wall((at.0 + 500_000).div_euclid(1_000_000) * 1_000_000)
}

/// Reads what an entry of the log says of the announcement's fate; the reason of a silence comes before its end.
fn fate(
    id: &CommandId,
    of: &Subject,
    at: Wall,
    event: Event,
    reason: &mut Option<NotPlayed>,
) -> Option<Outlook> {
    let is_it = |subject: &Subject| subject == of;
    match event {
        Event::PlayStarted(start) if is_it(&start.subject) => Some(Outlook::Sounds(to_the_second(at))),
        // No step of a delivery follows for a voice.
        Event::NotPlayed { subject, reason, .. }
            if is_it(&subject) && matches!(subject, Subject::Live { .. }) =>
        {
            Some(Outlook::Silent(reason))
        }
        Event::NotPlayed { subject, reason: why, .. } if is_it(&subject) => {
            *reason = Some(why);
            None
        }
        Event::Delivery { command, step } if command == *id => match step {
            DeliveryStep::NotPlayed { reason } => Some(Outlook::Silent(reason)),
            DeliveryStep::Expired => Some(Outlook::Silent(reason.take().unwrap_or(NotPlayed::Expired))),
            DeliveryStep::Cancelled => Some(Outlook::Silent(NotPlayed::Cancelled)),
            DeliveryStep::Superseded => Some(Outlook::Silent(NotPlayed::Superseded)),
            DeliveryStep::Received
            | DeliveryStep::Staged
            | DeliveryStep::Started
            | DeliveryStep::Finished
            | DeliveryStep::Interrupted => None,
        },
        Event::CommandRefused { command: Some(command), reason } if command == *id => {
            Some(Outlook::Refused(reason))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::config::programme_file::{Audio, parse};
    use crate::decide::inbox::tests::everything;
    use crate::decide::schedule::{Calendar, Listeners};
    use crate::domain::announcement::{BulletinClass, Mode, PlayPlan, Words};
    use crate::domain::ids::{ContentHash, KeyId};
    use crate::domain::policy::Policy;

    const PROGRAMME: &str = "[programme]\nid = 'p'\nversion = 1\ntitle = 'T'\ngroup = 'xa'\n\
        [[playlist]]\nid = 'l'\ntitle = 'L'\n[[playlist.item]]\ntitle = 'A'\nfile = '60.mp3'\n\
        [[slot]]\nid = 's'\ntitle = 'S'\nplaylist = 'l'\nstart = '17:00'\nminutes = 10\n";

    fn wall(text: &str) -> Wall {
        format!("2026-11-26T{text}+07:00").parse().unwrap()
    }

    fn check(now: &str, change: impl Fn(&mut Command), expected: Outlook) {
        let programme = parse(PROGRAMME, "p", Path::new(""), Audio::Required(&|_| Ok(60_000))).unwrap();
        let timetable = Timetable::new(vec![Calendar::new(Arc::new(programme)).unwrap()]).unwrap();
        let listeners = Listeners { groups: ["xa".parse().unwrap()].into(), languages: Vec::new() };
        let (trust, policy) = (Some(everything(&["an", "binh"])), Policy::default());
        let signers: Vec<_> = ["an", "binh"].map(|key| KeyId::new(key).unwrap()).into();
        let now = wall(now);
        let mut payload = Command {
            v: 1,
            id: "c1".parse().unwrap(),
            issuer: signers[0].clone(),
            serial: 1,
            issued_at: now,
            groups: vec!["xa".parse().unwrap()],
            not_before: now,
            expires: now.plus(Span::secs(86_400)),
            author: String::new(),
            approver: None,
            critical: Vec::new(),
            body: announce(BulletinClass::Normal, None),
        };
        change(&mut payload);
        let signed = Signed { signers, digest: ContentHash::of(b"c1"), payload };
        let setup = Setup { listeners, timetable, trust, policy };
        assert_eq!(outlook(setup, &signed, now), expected, "{:?}", signed.payload);
    }

    fn announce(class: BulletinClass, at: Option<Wall>) -> Body {
        Body::Announce {
            title: "T".to_owned(),
            class,
            mode: Mode::Actual,
            plan: PlayPlan { at, ..PlayPlan::default() },
            media: None,
            words: Some(Words { text: "xin thông báo".to_owned(), language: "vi".to_owned() }),
            supersedes: None,
            cap: None,
        }
    }

    #[test]
    fn a_notice_without_a_time_sounds_in_the_next_slot() {
        check("08:00:00", |_| {}, Outlook::Sounds(wall("17:01:00")));
        check("17:05:00", |_| {}, Outlook::Sounds(wall("17:05:00")));
        check("17:10:30", |_| {}, Outlook::Sounds(wall("17:01:00").plus(Span::secs(86_400))));
        let soon = |command: &mut Command| command.expires = command.issued_at.plus(Span::secs(3_600));
        check("08:00:00", soon, Outlook::Silent(NotPlayed::Expired));
    }

    #[test]
    fn what_has_its_time_or_its_class_waits_for_no_slot() {
        let at = |text: &'static str| {
            move |command: &mut Command| command.body = announce(BulletinClass::Normal, Some(wall(text)))
        };
        check("08:00:00", at("09:30:00"), Outlook::Sounds(wall("09:30:00")));
        let hours = NotPlayed::Guarded { reason: GuardRefusal::OutsideHours };
        check("08:00:00", at("23:30:00"), Outlook::Silent(hours));
        let of = |class: BulletinClass| move |command: &mut Command| command.body = announce(class, None);
        check("08:00:00", of(BulletinClass::Priority), Outlook::Sounds(wall("08:00:00")));
        check("02:00:00", of(BulletinClass::Priority), Outlook::Sounds(wall("04:45:00")));
        check("02:00:00", of(BulletinClass::Emergency), Outlook::Sounds(wall("02:00:00")));
    }

    #[test]
    fn a_voice_is_heard_only_in_the_hours_that_are_allowed() {
        let speak = |command: &mut Command| {
            let (voice, url) = ("v1".to_owned(), "http://c/live/v1".to_owned());
            command.body = Body::Live { voice, open: true, url };
            command.expires = command.issued_at.plus(Span::secs(7_200));
        };
        check("08:00:00", speak, Outlook::Sounds(wall("08:00:00")));
        // A slot gives way.
        check("17:05:00", speak, Outlook::Sounds(wall("17:05:00")));
        let hours = NotPlayed::Guarded { reason: GuardRefusal::OutsideHours };
        check("03:15:00", speak, Outlook::Silent(hours));
    }
}
