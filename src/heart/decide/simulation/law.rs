//! The law of the simulated village, as the judge knows it: who may what, when, how loud. Written down a second time, in
//! tables, so that no mistake of the heart is repeated here.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate, NaiveTime, Timelike};

use super::cast::KEYS;
use crate::domain::announcement::Rung;
use crate::domain::ids::{CommandId, PlayId};
use crate::domain::playback::{Entry, Event, PlayEnd, PlayOutcome, PlayStart, Stamp, Subject};
use crate::domain::policy::Policy;
use crate::domain::time::{ClockQuality, Moment, Span, Wall};

/// Longest reach of a sound beyond a limit: latency, and the fade at its end.
const SLACK: Span = Span::secs(1);

/// Time before its instant at which a session is logged as started.
const LEAD: Span = Span::secs(2);

/// The longest session of the simulated programme, and room to spare.
const SESSION_MAX: Span = Span::secs(3_600);

/// A pause of this length ends a stretch of sound; a second less, for what latency makes of it.
const PAUSE: Span = Span::secs(299);

/// Frames a second in the log.
const FRAMES_PER_SECOND: u64 = 48_000;

/// The hard ends of the simulated programme's slots.
const HARD_ENDS: [(&str, (u32, u32)); 4] =
    [("sang", (5, 45)), ("trua", (11, 5)), ("chieu", (17, 20)), ("toi", (21, 0))];

/// The judge's memory of policies, keys and voices.
#[derive(Default)]
pub struct Law {
    found: Vec<(&'static str, String)>,
    policy: Policy,
    /// Policies that were sent, by their versions.
    policies: BTreeMap<u32, Policy>,
    /// Moment at which the last policy came into force: what sounds already keeps its volume.
    policy_since: Option<Moment>,
    /// Commands that nobody had the authority to give.
    unlawful: BTreeSet<CommandId>,
    /// Voices by their session: who signed them, and until when they may last.
    voices: BTreeMap<String, (Vec<String>, Wall)>,
    /// Signers of each announcement.
    signers: BTreeMap<CommandId, Vec<String>>,
    revoked: BTreeSet<String>,
    trust_version: u32,
    /// Plays that are open, and where their stamps are.
    open: BTreeMap<PlayId, (PlayStart, Stamp)>,
    /// Plays that had to end, at the latest by then.
    must_end: BTreeMap<PlayId, (Moment, &'static str)>,
    /// The last time that the wall clock was moved.
    clock_moved: Option<Moment>,
    sounded: BTreeMap<NaiveDate, Span>,
    stretch: Option<Stretch>,
    /// Days on which the clock was moved: what had sounded is not known to the minute.
    unsure: BTreeSet<NaiveDate>,
}

/// Sound without a long pause, since the box was switched on.
struct Stretch {
    used: Span,
    last_end: Moment,
    /// No other limits came into force meanwhile.
    under_one_policy: bool,
}

impl Law {
    /// Somebody gives a command, with or without the authority for it.
    pub fn given(&mut self, id: &CommandId, signers: Vec<String>, lawful: bool) {
        if !lawful {
            self.unlawful.insert(id.clone());
        }
        self.signers.insert(id.clone(), signers);
    }

    /// The level of those who signed: 2 for the village alone, 1 for the commune.
    pub fn level(&self, id: &CommandId) -> u8 {
        let of_village =
            |key: &String| KEYS.iter().any(|(known, _, group)| *known == key.as_str() && *group == "thon-1");
        if self.signers.get(id).is_some_and(|keys| keys.iter().all(of_village)) { 2 } else { 1 }
    }

    /// Somebody opens a voice.
    pub fn voice(&mut self, session: &str, signers: Vec<String>, until: Wall) {
        self.voices.insert(session.to_owned(), (signers, until));
    }

    /// A policy is on its way; the log says when it is in force.
    pub fn policy(&mut self, policy: Policy) {
        self.policies.insert(policy.version, policy);
    }

    /// The box has taken a trust document in which these keys are revoked: what they signed ends now.
    pub fn revoked(&mut self, now: Moment, keys: &[&str]) {
        self.revoked = keys.iter().map(|key| (*key).to_owned()).collect();
        let by_revoked: Vec<_> = self
            .open
            .iter()
            .filter(|(_, (start, _))| self.is_revoked(&start.subject))
            .map(|(play, _)| *play)
            .collect();
        for play in by_revoked {
            self.must_end.insert(play, (now + SLACK, "what revoked keys signed ends at once"));
        }
    }

    /// The power is off: nothing sounds.
    pub fn power_is_off(&mut self) {
        self.must_end.clear();
    }

    /// A voice is closed, or ended by its cancel.
    pub fn voice_closed(&mut self, now: Moment, session: &str) {
        let of = |subject: &Subject| matches!(subject, Subject::Live { voice } if voice == session);
        let plays = self.open.iter().filter(|(_, (start, _))| of(&start.subject)).map(|(play, _)| *play);
        for play in plays.collect::<Vec<_>>() {
            self.must_end.insert(play, (now + SLACK, "a voice that was closed ends"));
        }
    }

    /// An emergency in a village of two signers stands when one of them at least can't sign any more.
    fn is_revoked(&self, subject: &Subject) -> bool {
        let signers = match subject {
            Subject::Announcement { command } => self.signers.get(command),
            Subject::Live { voice } => self.voices.get(voice).map(|(signers, _)| signers),
            Subject::Slot(_) => None,
        };
        signers.is_some_and(|signers| signers.iter().all(|key| self.revoked.contains(key)))
    }

    fn window_end(&self, local: chrono::NaiveDateTime) -> Option<NaiveTime> {
        let open = |window: &&crate::domain::policy::Window| {
            let on_day = window.days.is_empty() || window.days.contains(&local.weekday());
            on_day && window.from <= local.time() && local.time() < window.until
        };
        self.policy.allowed.iter().filter(open).map(|window| window.until).max()
    }

    fn ceiling(&self, at: Wall) -> u8 {
        let by_day = (6..21).contains(&at.local().hour());
        let Policy { volume_day_percent_max, volume_night_percent_max, .. } = self.policy;
        let band = if by_day { volume_day_percent_max } else { volume_night_percent_max };
        band.min(self.policy.volume_zone_percent_max)
    }
}

impl Law {
    /// Takes what was found since the last call: the rule that was broken, and how.
    pub fn take_found(&mut self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.found)
    }

    fn accuse(&mut self, rule: &'static str, detail: String) {
        self.found.push((rule, detail));
    }

    /// Time has come to `now`: what had to end must have.
    pub fn time(&mut self, now: Moment) {
        let late: Vec<_> =
            self.must_end.iter().filter(|(_, (by, _))| *by < now).map(|(play, why)| (*play, *why)).collect();
        for (play, (by, rule)) in late {
            self.must_end.remove(&play);
            self.accuse(rule, format!("{play} by {by:?}"));
        }
    }

    /// An entry is on the disk.
    pub fn entry(&mut self, entry: &Entry) {
        match &entry.event {
            Event::PlayStarted(start) => self.judge_start(entry, start),
            Event::PlayEnded(end) => self.judge_end(entry, end),
            Event::Adopted { what, version } if what == "trust" => {
                if *version <= self.trust_version {
                    self.accuse("no older trust document is taken", version.to_string());
                }
                self.trust_version = *version;
            }
            Event::Adopted { what, version } if what == "policy" => {
                if *version <= self.policy.version {
                    self.accuse("no older policy is taken", version.to_string());
                }
                if let Some(policy) = self.policies.get(version) {
                    self.policy = policy.clone();
                    self.policy_since = Some(entry.at.moment());
                    self.stretch.iter_mut().for_each(|stretch| stretch.under_one_policy = false);
                }
            }
            Event::ClockSet { .. } => self.note_clock(&entry.at),
            Event::BoxStarted { .. } => {
                self.must_end.clear();
                self.stretch = None;
                self.unsure.insert(entry.at.wall.date());
            }
            Event::DeviceLost { .. } => self.must_end.clear(),
            _ => {}
        }
    }

    fn note_clock(&mut self, at: &Stamp) {
        self.clock_moved = Some(at.moment());
        self.unsure.insert(at.wall.date());
    }

    fn judge_start(&mut self, entry: &Entry, start: &PlayStart) {
        // A session is launched 2 s before its instant, and held by the player until then.
        let ahead = if matches!(start.subject, Subject::Slot(_)) { LEAD } else { Span(0) };
        let at = entry.at.wall.plus(ahead);
        self.open.insert(start.play, (start.clone(), entry.at));
        let what = || format!("{} at {}", start.title, at.local());
        if let Subject::Announcement { command } = &start.subject
            && self.unlawful.contains(command)
        {
            self.accuse("what nobody may order makes no sound", what());
        }
        if self.is_revoked(&start.subject) {
            self.accuse("what revoked keys signed makes no sound", what());
        }
        if let Subject::Live { voice } = &start.subject
            && let Some((_, until)) = self.voices.get(voice)
        {
            let by = entry.at.moment() + until.since(at) + SLACK;
            self.must_end.insert(start.play, (by, "a voice ends when its time is over"));
        }
        if start.rung == Rung::Emergency || entry.at.quality == ClockQuality::None {
            return;
        }
        let local = at.local();
        let policy = &self.policy;
        let rests =
            policy.rest_weekdays.contains(&local.weekday()) || policy.rest_dates.contains(&local.date());
        if rests && start.rung <= Rung::Programme {
            self.accuse("a day of rest is one", what());
        }
        if self.window_end(local).is_none() {
            self.accuse("nothing but an emergency starts out of hours", what());
        }
        if start.volume_percent > self.ceiling(at) {
            self.accuse("nothing is louder than allowed", format!("{} {} %", what(), start.volume_percent));
        }
        let used = self.sounded.get(&local.date()).copied().unwrap_or_default();
        let most = Span::secs(60 * u64::from(self.policy.day_minutes_max));
        if used > most && !self.unsure.contains(&local.date()) {
            self.accuse("no more sounds in a day than allowed", format!("{} after {used:?}", what()));
        }
    }

    /// Adds what has sounded to its stretch. Returns the length of that, where the same limits were in force all the time.
    fn note_stretch(&mut self, end: Moment, played: Span) -> Option<Span> {
        let begin = Moment(0) + end.since(Moment(0)).saturating_sub(played);
        let goes_on = self.stretch.take().filter(|stretch| begin.since(stretch.last_end) < PAUSE);
        let same = goes_on.as_ref().is_none_or(|stretch| stretch.under_one_policy);
        let used = goes_on.map_or(Span(0), |stretch| stretch.used) + played;
        self.stretch = Some(Stretch { used, last_end: end, under_one_policy: same });
        same.then_some(used)
    }

    fn judge_end(&mut self, entry: &Entry, end: &PlayEnd) {
        self.must_end.remove(&end.play);
        let Some((start, opened)) = self.open.remove(&end.play) else { return };
        let played = Span(end.frames_played * 1_000_000 / FRAMES_PER_SECOND);
        let counted_on = entry.at.wall.date();
        let sounded = self.sounded.entry(counted_on).or_default();
        *sounded = *sounded + played;
        let stretch = self.note_stretch(entry.at.moment(), played);
        let moved = self.clock_moved.is_some_and(|moved| moved >= opened.moment());
        let Some(began) = end.started_at.filter(|_| !moved && end.outcome != PlayOutcome::PowerLost) else {
            return;
        };
        let over = began.wall.plus(played).minus(SLACK);
        let what = format!("{} until {}", start.title, over.local());
        if let Subject::Slot(key) = &start.subject
            && let Some((_, (hour, minute))) = HARD_ENDS.iter().find(|(slot, _)| key.slot.as_str() == *slot)
        {
            let hard = key.date.and_hms_opt(*hour, *minute, 0).map(Wall::from_local);
            // A session keeps its time where the clock is moved under it.
            let steady = self.clock_moved.is_none_or(|moved| moved + SESSION_MAX < opened.moment());
            if steady && hard.is_some_and(|hard| over > hard) {
                self.accuse("no slot runs past its hard end", what.clone());
            }
        }
        if start.rung == Rung::Emergency {
            return;
        }
        let closes = self.window_end(began.wall.local());
        let closes = closes.map(|until| Wall::from_local(began.wall.date().and_time(until)));
        if closes.is_some_and(|closes| over > closes) {
            self.accuse("nothing but an emergency goes on out of hours", what.clone());
        }
        let same_policy = self.policy_since.is_none_or(|since| since < opened.moment());
        if same_policy && played > SLACK && start.volume_percent > self.ceiling(over) {
            self.accuse("nothing reaches into the night too loud", what.clone());
        }
        let longest = Span::secs(60 * u64::from(self.policy.session_minutes_max)) + SLACK;
        if played > SLACK && stretch.is_some_and(|used| used > longest + SLACK) {
            self.accuse("no stretch of sound is longer than allowed", format!("{what}: {stretch:?}"));
        }
        let most = Span::secs(60 * u64::from(self.policy.day_minutes_max)) + SLACK;
        let used = self.sounded[&counted_on];
        if used > most + SLACK && !self.unsure.contains(&counted_on) && played > SLACK {
            self.accuse("no more sounds in a day than allowed", format!("{what}: {used:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::announcement::Rung;
    use crate::domain::playback::SlotKey;

    const MINUTE: Span = Span::secs(60);

    fn stamp(at: Span) -> Stamp {
        let mono_us = at.0;
        let wall = super::super::cast::BEGIN.plus(at);
        Stamp { start: 1, mono_us, wall, quality: ClockQuality::Synced, uncertainty_ms: 0 }
    }

    /// Lets pieces of a slot sound, so long after the beginning of the day, so many minutes each.
    fn found(pieces: &[(Span, u64)]) -> Vec<&'static str> {
        let mut law = Law::default();
        law.policy.session_minutes_max = 30;
        let subject = Subject::Slot(SlotKey { slot: "s".parse().unwrap(), date: stamp(Span(0)).wall.date() });
        for (n, (at, minutes)) in pieces.iter().enumerate() {
            let play = PlayId::new(1, n as u32);
            let start = PlayStart {
                play,
                subject: subject.clone(),
                rung: Rung::Programme,
                title: "s".to_owned(),
                section: None,
                campaign: None,
                class: None,
                mode: None,
                issuer: None,
                content: None,
                source: "s.mp3".to_owned(),
                language: "vi".to_owned(),
                repetition: 1,
                scheduled: None,
                entered_at_ms: 0,
                volume_percent: 1,
                instead_of: None,
            };
            law.entry(&Entry { at: stamp(*at), event: Event::PlayStarted(start) });
            let end = PlayEnd {
                play,
                subject: subject.clone(),
                frames_due: None,
                loudness_lufs: None,
                heard: None,
                started_at: Some(stamp(*at)),
                frames_played: minutes * 60 * FRAMES_PER_SECOND,
                outcome: PlayOutcome::Finished,
            };
            let over = *at + Span(MINUTE.0 * minutes);
            law.entry(&Entry { at: stamp(over), event: Event::PlayEnded(end) });
        }
        law.take_found().into_iter().map(|(rule, _)| rule).collect()
    }

    #[test]
    fn a_stretch_that_is_too_long_is_found() {
        let at = |minutes: u64| Span::secs((8 * 60 + minutes) * 60);
        let rule = "no stretch of sound is longer than allowed";
        assert_eq!(found(&[(at(0), 30)]), [""; 0]);
        assert_eq!(found(&[(at(0), 31)]), [rule]);
        assert_eq!(found(&[(at(0), 20), (at(21), 11)]), [rule]);
        assert_eq!(found(&[(at(0), 20), (at(25), 30)]), [""; 0]);
    }
}
