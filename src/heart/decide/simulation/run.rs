//! One simulated life of a box, from its scenario to its judgement.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::cast::{BEGIN, KEYS, hands, is_lawful, policy, trust};
use super::judge::{Broken, Judge};
use super::scenario::{BootClock, Happening, Push, Signing, TrustChange, What};
use super::world::{Setup, World};
use crate::config::programme_file::{self, Audio};
use crate::decide::schedule::{Calendar, Listeners, Timetable};
use crate::decide::speaker::Input;
use crate::domain::announcement::{BulletinClass, Media, PlayPlan, Repeats, Words};
use crate::domain::ids::{CommandId, ContentHash, KeyId};
use crate::domain::policy::Policy;
use crate::domain::sound::{Fault, FileRef, Pattern, Sound};
use crate::domain::time::{ClockQuality, Moment, Span, Wall};
use crate::wire::messages::{Body, Command, Signed, VERSION};

/// The programme of the simulated box: four slots a day.
const PROGRAMME: &str = include_str!("commune.toml");

/// Length of an announcement's audio.
const MEDIA_MS: u32 = 25_000;

/// The judge's findings on one life.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    pub broken: Vec<Broken>,
    /// Entries and lengths of sound that were judged.
    pub judged: u64,
    pub plays: u64,
    /// Entries of the log until the scenario was over.
    pub entries: u64,
}

/// An event of the agenda: from the scenario, or the end of what lasts.
enum Doing {
    Scenario(What),
    Deliver(Box<Signed<Command>>),
    MediaHere(ContentHash),
    PowerOn(BootClock),
    ClockRight,
    CloseVoice { session: String, signing: Signing, by_cancel: Option<CommandId> },
    DeviceBack,
    FilesBack,
    DiskBack,
}

struct Life {
    world: World,
    judge: Judge,
    agenda: BTreeMap<(Moment, u64), Doing>,
    numbered: u64,
    issued: Vec<Signed<Command>>,
    trust_version: u32,
    policy_version: u32,
    files_gone: Rc<Cell<bool>>,
    plays: u64,
    entries: u64,
}

/// The rule that an assertion in the heart broke.
const INVARIANTS: &str = "the heart keeps its invariants";

/// Lets a box live through a scenario for so long. An assertion that fails in the heart is a broken rule.
pub fn live(happenings: &[Happening], length: Span) -> Verdict {
    let whole = panic::catch_unwind(AssertUnwindSafe(|| live_whole(happenings, length)));
    whole.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let broken = Broken { rule: INVARIANTS, detail: said.unwrap_or_default() };
        Verdict { broken: vec![broken], judged: 0, plays: 0, entries: 0 }
    })
}

fn live_whole(happenings: &[Happening], length: Span) -> Verdict {
    let files_gone = Rc::new(Cell::new(false));
    let world = World::new(setup(), BEGIN, Box::new(lookup(files_gone.clone())));
    let mut life = Life {
        world,
        judge: Judge::default(),
        agenda: BTreeMap::new(),
        numbered: 0,
        issued: Vec::new(),
        trust_version: 1,
        policy_version: 0,
        files_gone,
        plays: 0,
        entries: 0,
    };
    for happening in happenings {
        life.plan(Moment(0) + happening.at, Doing::Scenario(happening.what.clone()));
    }
    life.world.power_on();
    life.run(Moment(0) + length);
    life.end()
}

impl Life {
    fn plan(&mut self, at: Moment, doing: Doing) {
        self.numbered += 1;
        self.agenda.insert((at, self.numbered), doing);
    }

    fn truth(&self) -> Wall {
        BEGIN.plus(self.world.now().mono.since(Moment(0)))
    }

    fn run(&mut self, until: Moment) {
        while let Some(((at, _), doing)) = self.agenda.pop_first() {
            if at > until {
                break;
            }
            self.pass(at);
            self.act(doing);
            self.look();
        }
        self.pass(until);
    }

    /// Lets time pass in steps short enough for the judge to see an emergency that is late.
    fn pass(&mut self, until: Moment) {
        let whole = until.since(self.world.now().mono);
        self.world.run_for(whole);
        self.look();
    }

    fn look(&mut self) {
        if let Some(detail) = self.world.take_stall() {
            self.judge.accuse("the heart comes to rest", detail);
        }
        for entry in self.world.take_log() {
            self.judge.time(entry.at.moment());
            self.judge.note_finished(&entry);
            self.judge.entry(&entry);
            self.plays += u64::from(matches!(entry.event, crate::domain::playback::Event::PlayStarted(_)));
            self.entries += 1;
        }
        if self.world.disk_is_whole() {
            let heard = self.world.take_heard();
            self.judge.heard(&heard);
        }
        // Without power nothing is late.
        if self.world.speaker().is_some() {
            self.judge.time(self.world.now().mono);
        }
        for (sha256, _) in self.world.take_fetches() {
            let after = self.issued.iter().rev().find_map(|signed| media_delay(signed, sha256));
            if let Some(after) = after {
                self.plan(self.world.now().mono + after, Doing::MediaHere(sha256));
            }
        }
    }

    fn act(&mut self, doing: Doing) {
        let now = self.world.now().mono;
        match doing {
            Doing::Scenario(what) => self.happen(now, what),
            Doing::Deliver(signed) => self.world.input(Input::Command(signed)),
            Doing::MediaHere(sha256) => self.world.input(Input::Fetched { sha256, result: Ok(()) }),
            Doing::PowerOn(clock) => self.power_on(now, clock),
            Doing::CloseVoice { session, signing, by_cancel } => {
                self.close_voice(session, signing, by_cancel)
            }
            Doing::ClockRight => self.set_clock(0, ClockQuality::Synced),
            Doing::DeviceBack => self.world.player(|player, now| player.find_device(now)),
            Doing::FilesBack => self.files_gone.set(false),
            Doing::DiskBack => self.world.disk_takes(true),
        }
    }

    fn happen(&mut self, now: Moment, what: What) {
        match what {
            What::Push(push) => {
                let signed = self.issue(&push);
                self.plan(now + push.delay, Doing::Deliver(Box::new(signed)));
            }
            What::Again(back) => {
                if let Some(signed) = self.back(back) {
                    self.world.input(Input::Command(Box::new(signed)));
                }
            }
            What::Cancel(back) => self.cancel(back),
            What::PowerCut { after_actions, off_for, clock } => {
                if self.world.speaker().is_none() || !self.world.disk_is_whole() {
                    return;
                }
                self.judge.excuse();
                self.world.power_off_after(after_actions);
                // The power goes between two actions, when the heart has so many more; else after an hour.
                for _ in 0..CUT_WITHIN_STEPS {
                    self.world.run_for(CUT_STEP);
                    if self.world.speaker().is_none() {
                        break;
                    }
                }
                self.world.power_off();
                self.look();
                self.judge.law.power_is_off();
                self.plan(self.world.now().mono + off_for, Doing::PowerOn(clock));
            }
            What::ClockStep { by_us, lasts } => {
                let quality = match Span(by_us.unsigned_abs()) {
                    small if small < Span::secs(12 * 3_600) => ClockQuality::Synced,
                    middle if middle < Span::secs(60 * 86_400) => ClockQuality::Floor,
                    _ => ClockQuality::None,
                };
                self.set_clock(by_us, quality);
                self.plan(now + lasts, Doing::ClockRight);
            }
            What::Voice { signing, lasts, closed_after, by_cancel } => {
                self.open_voice(now, signing, lasts, closed_after, by_cancel);
            }
            What::Trust(change) => self.change_trust(now, change),
            What::Policy(number) => self.change_policy(number),
            What::DeviceLost { lasts } => {
                self.judge.excuse();
                self.world.player(|player, now| player.lose_device(now));
                self.plan(now + lasts, Doing::DeviceBack);
            }
            What::Break { after } => {
                let fault = Fault::Damaged {
                    what: "simulated".to_owned(),
                    detail: "it breaks off".to_owned().into(),
                };
                self.world.player(|player, _| player.break_next = Some((after, fault)));
            }
            What::FilesGone { lasts } => {
                self.files_gone.set(true);
                self.plan(now + lasts, Doing::FilesBack);
            }
            What::DiskFull { lasts } => {
                // What sounds is in no log that the judge could read until there is room again.
                self.judge.excuse();
                self.world.disk_takes(false);
                self.plan(now + lasts, Doing::DiskBack);
            }
        }
    }

    fn set_clock(&mut self, off_us: i64, quality: ClockQuality) {
        let wall = Wall(self.truth().0.saturating_add(off_us).max(0));
        self.judge.was_set_back |= off_us != 0;
        self.judge.excuse();
        self.world.set_clock(wall, quality);
    }

    fn power_on(&mut self, now: Moment, clock: BootClock) {
        if self.world.speaker().is_some() {
            return;
        }
        let off_us = if clock.quality == ClockQuality::Synced { 0 } else { clock.off_by_us };
        // A battery clock behind the last known time, or far beyond, is not believed: see `adapters::clock`.
        let believed = (0..60 * 86_400_000_000).contains(&off_us);
        let quality = if clock.quality == ClockQuality::Floor && !believed {
            ClockQuality::None
        } else {
            clock.quality
        };
        self.judge.was_set_back |= off_us != 0;
        let wall = Wall(self.truth().0.saturating_add(off_us).max(0));
        self.world.set_clock(wall, quality);
        self.world.power_on();
        if quality != ClockQuality::Synced {
            self.plan(now + clock.synced_after, Doing::ClockRight);
        }
    }

    fn back(&self, back: u64) -> Option<Signed<Command>> {
        let index = self.issued.len().checked_sub(1 + back as usize)?;
        self.issued.get(index).cloned()
    }

    fn cancel(&mut self, back: Option<u64>) {
        let announcements =
            self.issued.iter().rev().filter(|signed| matches!(signed.payload.body, Body::Announce { .. }));
        let of = match back {
            None => None,
            Some(back) => match announcements.clone().nth(back as usize) {
                Some(signed) => Some(signed.payload.id.clone()),
                None => return,
            },
        };
        let before: Vec<_> = announcements.map(|signed| signed.payload.id.clone()).collect();
        let meant = of.clone().map_or(before, |of| vec![of]);
        let signed = self.sign(Signing::Proper, Body::Cancel { of }, self.truth(), Span::secs(3 * 86_400));
        let id = signed.payload.id.clone();
        self.world.input(Input::Command(Box::new(signed)));
        if self.world.memory().known.contains_key(&id) {
            self.look();
            self.judge.cancelled(meant);
        }
    }

    fn issue(&mut self, push: &Push) -> Signed<Command> {
        let number = self.issued.len();
        let media = push.with_media.then(|| Media {
            sha256: ContentHash::of(format!("{number} {:?}", push.media_after).as_bytes()),
            bytes: 400_000,
            codec: "audio/mpeg".to_owned(),
            ms: MEDIA_MS,
            path: push.media_after.map_or("never".to_owned(), |after| after.0.to_string()),
        });
        let text = if push.speakable { "nước đang lên" } else { UNSPEAKABLE };
        let last =
            self.issued.iter().rev().find(|signed| matches!(signed.payload.body, Body::Announce { .. }));
        let supersedes = last.filter(|_| push.supersedes).map(|signed| signed.payload.id.clone());
        let truth = self.truth();
        let body = Body::Announce {
            title: format!("{:?} {number}", push.class),
            class: push.class,
            mode: push.mode,
            plan: PlayPlan {
                repeats: if push.until_cancelled {
                    Repeats::UntilCancelled
                } else {
                    Repeats::Times(push.repeats)
                },
                volume_percent: push.volume_percent,
                opening: (push.class == BulletinClass::Emergency).then(Pattern::chime),
                at: push.at.map(|at| truth.plus(at)),
                ..PlayPlan::default()
            },
            words: (!push.with_media || push.speakable)
                .then(|| Words { text: text.to_owned(), language: "vi".to_owned() }),
            media,
            supersedes,
            cap: None,
        };
        self.sign(push.signing, body, truth, push.lasts)
    }

    fn sign(&mut self, signing: Signing, body: Body, now: Wall, lasts: Span) -> Signed<Command> {
        let serial = self.issued.len() as u64 + 1;
        let (keys, groups) = hands(signing);
        let name = |text: &&str| KeyId::new(*text).expect("a plain name");
        let signers: Vec<_> = keys.iter().map(name).collect();
        let payload = Command {
            v: VERSION,
            id: format!("c{serial}").parse().expect("a plain name"),
            issuer: signers[0].clone(),
            serial,
            issued_at: now,
            groups: groups.iter().map(|group| group.parse().expect("a plain name")).collect(),
            not_before: now,
            expires: now.plus(lasts),
            author: "An".to_owned(),
            approver: None,
            critical: Vec::new(),
            body,
        };
        self.judge.sent(&payload);
        let lawful = is_lawful(signing, &payload, self.truth());
        let names = keys.iter().map(|key| (*key).to_owned()).collect();
        self.judge.law.given(&payload.id, names, lawful);
        let signed = Signed { signers, digest: ContentHash::of(payload.id.as_str().as_bytes()), payload };
        self.issued.push(signed.clone());
        signed
    }

    fn open_voice(
        &mut self,
        now: Moment,
        signing: Signing,
        lasts: Span,
        closed_after: Option<Span>,
        by_cancel: bool,
    ) {
        let session = format!("voice-{}", self.issued.len());
        let truth = self.truth();
        let body = Body::Live { voice: session.clone(), open: true, url: String::new() };
        let signed = self.sign(signing, body, truth, lasts);
        let signers = signed.signers.iter().map(ToString::to_string).collect();
        self.judge.law.voice(&session, signers, truth.plus(lasts));
        let id = signed.payload.id.clone();
        self.world.input(Input::Command(Box::new(signed)));
        if let Some(after) = closed_after {
            let by_cancel = by_cancel.then_some(id);
            self.plan(now + after, Doing::CloseVoice { session, signing, by_cancel });
        }
    }

    fn close_voice(&mut self, session: String, signing: Signing, by_cancel: Option<CommandId>) {
        let body = match by_cancel {
            Some(of) => Body::Cancel { of: Some(of) },
            None => Body::Live { voice: session.clone(), open: false, url: String::new() },
        };
        // Whoever opened it may close it; a cancel comes from the people on duty.
        let by = if matches!(body, Body::Cancel { .. }) { Signing::Proper } else { signing };
        let signed = self.sign(by, body, self.truth(), Span::secs(3_600));
        let id = signed.payload.id.clone();
        self.world.input(Input::Command(Box::new(signed)));
        if self.world.memory().known.contains_key(&id) {
            self.look();
            self.judge.law.voice_closed(self.world.now().mono, &session);
        }
    }

    fn change_trust(&mut self, now: Moment, change: TrustChange) {
        let mut trust = trust();
        match change {
            TrustChange::Next { clerk } => {
                trust.version = self.trust_version + 1;
                trust.grants.retain(|grant| clerk || grant.key.as_str() != "dung");
            }
            TrustChange::Older => trust.version = self.trust_version.saturating_sub(1),
        }
        let (version, revoked) = (trust.version, trust.grants.len() < KEYS.len());
        self.world.input(Input::Trust(trust));
        if self
            .world
            .speaker()
            .and_then(|speaker| speaker.trust())
            .is_some_and(|held| held.version == version)
            && version > self.trust_version
        {
            self.trust_version = version;
            self.look();
            self.judge.law.revoked(now, if revoked { &["dung"] } else { &[] });
        }
    }

    fn change_policy(&mut self, number: u8) {
        let policy = Policy { version: self.policy_version + 1, ..policy(number) };
        let signed =
            self.sign(Signing::Proper, Body::Policy(policy.clone()), self.truth(), Span::secs(86_400));
        self.policy_version = policy.version;
        self.judge.law.policy(policy);
        self.world.input(Input::Command(Box::new(signed)));
    }

    /// Heals everything, lets the box come to rest and asks the judge.
    fn end(mut self) -> Verdict {
        let entries = self.entries;
        self.agenda.clear();
        self.world.disk_takes(true);
        self.files_gone.set(false);
        let now = self.world.now().mono;
        let right = BootClock { quality: ClockQuality::Synced, synced_after: Span(0), off_by_us: 0 };
        self.set_clock(0, ClockQuality::Synced);
        self.power_on(now, right);
        self.world.player(|player, now| player.find_device(now));
        self.pass(now + Span::secs(2 * 86_400));
        self.world.input(Input::Shutdown);
        self.pass(now + Span::secs(2 * 86_400 + 1));
        let setup = setup();
        let last = self.truth().date().pred_opt().expect("simulated dates are ordinary");
        let days = BEGIN.date().iter_days().take_while(|date| *date <= last);
        let due: Vec<_> = days.flat_map(|date| setup.timetable.sessions_on(date, &setup.listeners)).collect();
        let due: Vec<_> = due.into_iter().map(|session| session.key).collect();
        self.judge.end(&due);
        let broken = self.judge.broken().to_vec();
        Verdict { broken, judged: self.judge.judged, plays: self.plays, entries }
    }
}

/// Words that no engine can speak.
const UNSPEAKABLE: &str = "?";

fn media_delay(signed: &Signed<Command>, sha256: ContentHash) -> Option<Span> {
    let Body::Announce { media: Some(media), .. } = &signed.payload.body else { return None };
    if media.sha256 != sha256 {
        return None;
    }
    media.path.parse().ok().map(Span)
}

fn lookup(files_gone: Rc<Cell<bool>>) -> impl Fn(&Sound) -> Result<Option<Span>, Fault> {
    move |sound| match sound {
        Sound::File(FileRef::Path(path)) if files_gone.get() => {
            Err(Fault::Missing { what: path.display().to_string() })
        }
        Sound::File(FileRef::Path(_)) => Ok(Some(Span::secs(ITEM_S))),
        Sound::File(FileRef::Stored(_)) => Ok(Some(Span::millis(u64::from(MEDIA_MS)))),
        Sound::Text { text, .. } if text == UNSPEAKABLE => {
            Err(Fault::NoSpeech { detail: "simulated".to_owned() })
        }
        Sound::Text { .. } => Ok(Some(Span::secs(12))),
        Sound::Pattern(pattern) => Ok(Some(pattern.length())),
        Sound::Relay { .. } | Sound::Live { .. } => Ok(None),
        Sound::Silence(span) => Ok(Some(*span)),
    }
}

/// Step in which a power cut waits for its action.
const CUT_STEP: Span = Span::secs(60);
const CUT_WITHIN_STEPS: u32 = 60;

/// Length of the programme's files.
const ITEM_S: u64 = 120;

/// Sets up the simulated box.
pub fn setup() -> Setup {
    let audio = Audio::Required(&|_| Ok(ITEM_S as u32 * 1_000));
    let programme = programme_file::parse(PROGRAMME, "commune.toml", Path::new("/"), audio)
        .expect("the programme of the simulation is right: a test reads it");
    let calendar = Calendar::new(Arc::new(programme)).expect("its rules were read already");
    let [group, village] = ["xa", "thon-1"].map(|name| name.parse().expect("a plain name"));
    Setup {
        listeners: Listeners { groups: [group, village].into(), languages: vec!["vi".to_owned()] },
        timetable: Timetable::new(vec![calendar]).expect("one programme does not clash with itself"),
        trust: Some(trust()),
        policy: Policy::default(),
    }
}

/// Makes a failing scenario as short as it can be while it still breaks the same rule.
pub fn shrink(happenings: &[Happening], length: Span, rule: &str) -> Vec<Happening> {
    let breaks = |list: &[Happening]| live(list, length).broken.iter().any(|broken| broken.rule == rule);
    let mut kept = happenings.to_vec();
    let mut chunk = kept.len().div_ceil(2);
    while chunk > 0 {
        let mut from = 0;
        while from < kept.len() {
            let mut fewer = kept.clone();
            fewer.drain(from..(from + chunk).min(fewer.len()));
            if breaks(&fewer) {
                kept = fewer;
            } else {
                from += chunk;
            }
        }
        chunk /= 2;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::super::scenario;
    use super::*;
    use crate::domain::announcement::Mode;

    fn check(seed: u64, days: u64) {
        let length = Span::secs(days * 86_400);
        judge_life(seed, length, scenario::faulty(seed, length));
    }

    fn judge_life(seed: u64, length: Span, happenings: Vec<Happening>) {
        let verdict = live(&happenings, length);
        if let Some(broken) = verdict.broken.first() {
            let short = shrink(&happenings, length, broken.rule);
            let story: Vec<_> = short.iter().map(|one| format!("{:?}", one)).collect();
            panic!("seed {seed}: {broken:?}\nafter\n{}", story.join("\n"));
        }
    }

    fn check_governed(seed: u64, days: u64) {
        let length = Span::secs(days * 86_400);
        judge_life(seed, length, scenario::governed(seed, length));
    }

    #[test]
    fn lives_under_changing_laws_keep_every_rule() {
        (0..60).for_each(|seed| check_governed(seed, 60));
    }

    #[test]
    fn a_calm_month_keeps_every_rule() {
        let length = Span::secs(30 * 86_400);
        let verdict = live(&scenario::calm(1, length), length);
        assert_eq!(verdict.broken, []);
        assert!(verdict.plays > 400, "{verdict:?}");
    }

    /// Seeds that once broke a rule, and for how many days they have to live to reach it.
    const FOUND: [(u64, u64); 10] = [
        (42, 110),
        (392, 110),
        (161, 365),
        (1_000, 365),
        (999, 365),
        (1_020, 365),
        (1_022, 365),
        (1_080, 365),
        (1_706, 365),
        (1_833, 365),
    ];

    #[test]
    fn what_was_found_once_stays_mended() {
        FOUND.iter().for_each(|(seed, days)| check(*seed, *days));
    }

    #[test]
    fn hard_lives_keep_every_rule() {
        (0..60).for_each(|seed| check(seed, 60));
    }

    /// Emergencies of the village and of the commune that come while another sounds.
    fn crowd(lasts_s: u64) -> Vec<Happening> {
        let push = |signing, repeats| {
            What::Push(Push {
                class: BulletinClass::Emergency,
                mode: Mode::Actual,
                delay: Span::millis(50),
                lasts: Span::secs(lasts_s),
                at: None,
                repeats,
                until_cancelled: false,
                with_media: false,
                media_after: None,
                speakable: true,
                supersedes: false,
                signing,
                volume_percent: 100,
            })
        };
        let at = |minutes: u64, what| Happening { at: Span::secs(minutes * 60), what };
        vec![
            at(1, push(Signing::Proper, 20)),
            at(2, push(Signing::Village, 1)),
            at(3, push(Signing::Proper, 1)),
            at(4, push(Signing::Village, 2)),
        ]
    }

    #[test]
    fn emergencies_that_wait_sound_by_their_level() {
        let verdict = live(&crowd(7_200), Span::secs(86_400));
        assert_eq!(verdict.broken, []);
        assert!(verdict.plays >= 24, "{verdict:?}");
    }

    #[test]
    fn an_order_against_the_levels_is_found() {
        let mut judge = Judge::default();
        let ids = ["village", "commune"].map(|id| id.parse::<CommandId>().unwrap());
        judge.law.given(&ids[0], vec!["giang".to_owned(), "hoa".to_owned()], true);
        judge.law.given(&ids[1], vec!["an".to_owned(), "binh".to_owned()], true);
        let minute = |n: u64| Moment(0) + Span::secs(60 * n);
        ids.iter().for_each(|id| judge.wait_for(id, minute(1)));
        judge.judge_order(minute(2), &ids[0]);
        let rules: Vec<_> = judge.broken().iter().map(|broken| broken.rule).collect();
        assert_eq!(rules, ["of emergencies the higher level sounds first"]);
        judge.judge_order(minute(2), &ids[1]);
        assert_eq!(judge.broken().len(), 1);
    }
}
