//! Announcements, from their receipt to their end.

use super::held::{Held, Version};
use super::interface::{Action, Why};
use super::job::Job;
use super::play::{Ended, PREFLIGHT_MAX, PREFLIGHT_URGENT_MAX, Wish};
use super::state::Speaker;
use crate::decide::arbiter::{Claim, Take};
use crate::decide::downloads::Need;
use crate::decide::memory::{Ending, Memo, Origin, Progress, Stop};
use crate::decide::quotas::Standing;
use crate::decide::{endings, inbox};
use crate::domain::announcement::{Announcement, Mode, Repeats, Rung};
use crate::domain::authority::{Ender, Power};
use crate::domain::ids::{CommandId, ContentHash, GroupId, PlayId};
use crate::domain::playback::{
    CommandRefusal, DeliveryStep, Event, NotPlayed, PlayOutcome, PlayStart, Subject,
};
use crate::domain::policy::GuardRefusal;
use crate::domain::sound::{Fault, Score};
use crate::domain::time::{ClockQuality, Moment, Reading, Span, Wall};
use crate::wire::messages::{Body, Command, Signed};

/// A gap between repetitions up to this long is kept silent; in a longer one the programme goes on.
const GAP_KEEPS_THE_AIR_S_MAX: u32 = 60;

/// Interval at which an announcement that the guard holds back is looked at again.
const GUARD_RETRY: Span = Span::secs(60);

impl Speaker {
    /// Lists the announcements that are held, with the instant at which each expires.
    pub(super) fn held_until(&self) -> impl Iterator<Item = (&CommandId, Wall)> {
        self.held.iter().map(|(id, held)| (id, held.announcement.expires))
    }

    /// Takes an announcement in. One that was ended on its way makes no sound, but still takes the place of an earlier
    /// one.
    pub(super) fn hold(&mut self, now: &Reading, announcement: Announcement, by: Ender, has_ended: bool) {
        let id = announcement.id.clone();
        let signers = by.signers.clone();
        if let Some(old) = announcement.supersedes.as_ref().filter(|old| **old != id) {
            self.supersede(now, old, &id, Ending { by, until: announcement.expires });
        }
        if has_ended {
            self.log_step(now, &id, DeliveryStep::Cancelled);
            return self.remember(Memo::Progress(id, Some(Progress { over: true, ..Progress::default() })));
        }
        self.log_step(now, &id, DeliveryStep::Received);
        let test = announcement.mode == Mode::Test;
        self.fetch_or_stage(now, &announcement);
        self.held.insert(id.clone(), Held::new(announcement, signers, Progress::default()));
        if test {
            self.give_up(now, &id, NotPlayed::OnlyATest);
        }
    }

    fn fetch_or_stage(&mut self, now: &Reading, announcement: &Announcement) {
        let Some(media) = &announcement.media else { return };
        if self.staged.contains(&media.sha256) {
            return self.log_step(now, &announcement.id, DeliveryStep::Staged);
        }
        let by = announcement.plan.at.unwrap_or(announcement.not_before).max(announcement.not_before);
        // What never sounds can wait: the weakest power puts nothing off.
        let is_test = announcement.mode == Mode::Test;
        let need = if is_test { Need::Scheduled } else { Need::of(announcement.rung()) };
        self.actions.push_back(Action::Fetch { media: media.clone(), by, need });
    }

    /// Takes a command in again after a restart.
    pub(super) fn obey_again(&mut self, now: &Reading, signed: Signed<Command>) {
        let Signed { signers, payload: command, .. } = signed;
        let groups = &command.groups;
        let allowed = self.trust.as_ref().map(|trust| trust.permits(&signers, command.power(), groups, None));
        let Some(Ok(level)) = allowed else { return };
        if let Some(announcement) = command.announcement(level) {
            let progress = self.memory.progress.get(&command.id).cloned().unwrap_or_default();
            let was_cancelled = endings::was_cancelled_before(&self.memory, &command);
            if progress.over || was_cancelled || announcement.mode == Mode::Test {
                return;
            }
            if announcement.media.as_ref().is_some_and(|media| !self.staged.contains(&media.sha256)) {
                self.fetch_or_stage(now, &announcement);
            }
            self.held.insert(command.id.clone(), Held::new(announcement, signers, progress));
        } else if let Body::Policy(policy) = command.body
            && policy.version > self.guard.policy().version
        {
            self.guard.adopt(policy);
            self.policy_signers = signers;
        }
    }

    /// Ends what was issued by keys that may no longer do so.
    pub(super) fn drop_what_lost_authority(&mut self, now: &Reading) {
        let Some(trust) = &self.trust else { return };
        let lost = self.held.iter().filter(|(_, held)| {
            trust.permits(&held.signers, held.power(), &held.announcement.groups, None).is_err()
        });
        let lost: Vec<_> = lost.map(|(id, _)| id.clone()).collect();
        let voice_lost = self
            .voice
            .as_ref()
            .is_some_and(|voice| trust.permits(&voice.signers, Power::Live, &voice.groups, None).is_err());
        for id in lost {
            self.finish(now, &id, DeliveryStep::Cancelled, PlayOutcome::Cancelled);
        }
        if voice_lost {
            self.end_voice(&PlayOutcome::Cancelled);
        }
    }

    /// Ends what is meant for groups that the box is not in any more. An actual emergency goes on: who moves boxes needs
    /// less than who ends one.
    pub(super) fn drop_what_is_for_others(&mut self, now: &Reading) {
        let here = &self.listeners.groups;
        let elsewhere = |groups: &[GroupId]| groups.iter().all(|group| !here.contains(group));
        let left = self
            .held
            .iter()
            .filter(|(_, held)| held.power() != Power::Emergency && elsewhere(&held.announcement.groups));
        let left: Vec<_> = left.map(|(id, _)| id.clone()).collect();
        let voice_left = self.voice.as_ref().is_some_and(|voice| elsewhere(&voice.groups));
        for id in left {
            self.finish(now, &id, DeliveryStep::Cancelled, PlayOutcome::Cancelled);
        }
        if voice_left {
            self.end_voice(&PlayOutcome::Cancelled);
        }
    }

    /// Checks that `by` may end what stands.
    ///
    /// # Errors
    /// Says what its signers lack.
    pub(super) fn may_end(&self, by: &Ender, standing: &Standing) -> Result<(), CommandRefusal> {
        let trust = self.trust.as_ref().ok_or(CommandRefusal::BadSignature)?;
        trust.may_end(by, standing.power, standing.groups)
    }

    /// Ends what an announcement takes the place of, as far as its signers may. Where they may not, both sound: what
    /// was signed in order is not silenced for a wish beside it.
    fn supersede(&mut self, now: &Reading, old: &CommandId, id: &CommandId, ending: Ending) {
        match self.standing().iter().find(|standing| standing.id == old) {
            Some(standing) => match self.may_end(&ending.by, standing) {
                Ok(()) => self.finish(now, old, DeliveryStep::Superseded, PlayOutcome::Superseded),
                Err(reason) => self.refuse(now, None, reason),
            },
            None => self.remember_ending(old, id, ending),
        }
    }

    /// Ends an announcement or a voice, or remembers to when it comes. The inbox has seen to it that the signers may.
    pub(super) fn cancel(&mut self, now: &Reading, of: &CommandId, command: &Command, by: Ender) {
        if self.voice.as_ref().is_some_and(|voice| voice.command == *of) {
            self.end_voice(&PlayOutcome::Cancelled);
        } else {
            self.finish(now, of, DeliveryStep::Cancelled, PlayOutcome::Cancelled);
        }
        // What had this id may have been something lesser, with the one that is meant still on its way.
        self.remember_ending(of, &command.id, Ending { by, until: command.expires });
    }

    /// Ends everything that the signers may end, and remembers to where something older comes.
    pub(super) fn stop_all(&mut self, now: &Reading, command: &Command, by: Ender) {
        let upto = command.issued_at;
        let (mut ended, mut refusal) = (Vec::new(), None);
        for standing in self.standing() {
            let held = self.held.get(standing.id);
            match self.may_end(&by, &standing) {
                _ if held.is_some_and(|held| held.announcement.issued.at > upto) => {}
                Ok(()) => ended.push(standing.id.clone()),
                Err(reason) => refusal = Some(reason),
            }
        }
        for id in ended {
            if self.voice.as_ref().is_some_and(|voice| voice.command == id) {
                self.end_voice(&PlayOutcome::Cancelled);
            }
            self.finish(now, &id, DeliveryStep::Cancelled, PlayOutcome::Cancelled);
        }
        if let Some(reason) = refusal {
            self.refuse(now, None, reason);
        }
        let memos = endings::remember_stop(&self.memory, &self.limits, &command.id, Stop { by, upto });
        self.remember_all(memos);
    }

    /// Remembers that what has not arrived is to end. A test ends nothing that sounds.
    fn remember_ending(&mut self, of: &CommandId, by: &CommandId, ending: Ending) {
        if ending.by.mode != Some(Mode::Test) {
            let memos = endings::remember(&self.memory, &self.limits, of, by, ending);
            self.remember_all(memos);
        }
    }

    pub(super) fn log_step(&mut self, now: &Reading, id: &CommandId, step: DeliveryStep) {
        self.log(now, Event::Delivery { command: id.clone(), step });
    }

    fn save_progress(&mut self, id: &CommandId) {
        if let Some(held) = self.held.get(id) {
            let memo = Memo::Progress(id.clone(), Some(held.progress.clone()));
            self.remember(memo);
        }
    }

    /// Ends an announcement: a play of it that still sounds stops with `outcome`, and its envelope is kept no more.
    pub(super) fn finish(&mut self, now: &Reading, id: &CommandId, step: DeliveryStep, outcome: PlayOutcome) {
        let Some(mut held) = self.held.remove(id) else { return };
        self.end_job(&Job::Announcement(id.clone()), &outcome);
        self.log_step(now, id, step);
        held.progress.over = true;
        self.remember(Memo::Progress(id.clone(), Some(held.progress)));
        self.actions.push_back(Action::Forget(id.clone()));
    }

    /// Ends an announcement that has not sounded as it should.
    fn give_up(&mut self, now: &Reading, id: &CommandId, reason: NotPlayed) {
        let Some(held) = self.held.get(id) else { return };
        let subject = Subject::Announcement { command: id.clone() };
        let title = held.announcement.title.clone();
        self.log(now, Event::NotPlayed { subject, title, reason: reason.clone() });
        self.finish(now, id, DeliveryStep::NotPlayed { reason }, PlayOutcome::Cancelled);
    }

    /// Ends what has expired, and forgets what was over long ago.
    pub(super) fn expire(&mut self, now: &Reading) {
        if now.quality == ClockQuality::None {
            return;
        }
        if self.voice.as_ref().is_some_and(|voice| voice.until <= now.wall) {
            self.end_voice(&PlayOutcome::HardEnd);
        }
        self.bring_back(now);
        let over = self.held.iter().filter(|(_, held)| held.has_expired(now));
        let over: Vec<_> = over.map(|(id, _)| id.clone()).collect();
        for id in over {
            self.expire_one(now, &id);
        }
        if self.forget_at <= now.mono {
            self.forget_at = now.mono + FORGET_EVERY;
            self.let_go_of_lapsed(now);
            let memos = inbox::forget(&self.memory, now);
            self.remember_all(memos);
        }
    }

    fn expire_one(&mut self, now: &Reading, id: &CommandId) {
        // A repetition that has begun is played to its end; no other one starts.
        if self.is_on_air(&Job::Announcement(id.clone())) {
            return;
        }
        let Some(held) = self.held.get(id) else { return };
        let until_cancelled = held.announcement.plan.repeats == Repeats::UntilCancelled;
        if held.progress.repetitions > 0 && until_cancelled {
            return self.end_expired(now, id, DeliveryStep::Finished);
        }
        if held.progress.started {
            return self.end_expired(now, id, DeliveryStep::Expired);
        }
        let reason = match &held.guarded {
            Some(reason) => NotPlayed::Guarded { reason: reason.clone() },
            None => NotPlayed::Expired,
        };
        let subject = Subject::Announcement { command: id.clone() };
        let title = held.announcement.title.clone();
        self.log(now, Event::NotPlayed { subject, title, reason });
        self.end_expired(now, id, DeliveryStep::Expired);
    }

    /// Ends what has expired. An actual emergency is only put aside: where the clock turns out to have been ahead, its
    /// time is not over.
    fn end_expired(&mut self, now: &Reading, id: &CommandId, step: DeliveryStep) {
        let Some(held) = self.held.get_mut(id) else { return };
        if held.power() != Power::Emergency {
            return self.finish(now, id, step, PlayOutcome::HardEnd);
        }
        held.progress.lapsed = true;
        (held.gap_until, held.due_since) = (None, None);
        self.end_job(&Job::Announcement(id.clone()), &PlayOutcome::HardEnd);
        self.log_step(now, id, step);
        self.save_progress(id);
        let lapsed = self.held.iter().filter(|(_, held)| held.progress.lapsed);
        if lapsed.clone().count() > self.limits.emergencies {
            let first = lapsed.min_by_key(|(_, held)| held.announcement.expires).map(|(id, _)| id.clone());
            first.iter().for_each(|id| self.forget_lapsed(id));
        }
    }

    /// Takes up again the emergencies whose time is not over, since the clock that said so was ahead.
    fn bring_back(&mut self, now: &Reading) {
        let too_early =
            self.held.iter().filter(|(_, held)| held.progress.lapsed && now.wall < held.announcement.expires);
        for id in too_early.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            if let Some(held) = self.held.get_mut(&id) {
                held.progress.lapsed = false;
            }
            self.save_progress(&id);
            self.log_step(now, &id, DeliveryStep::Received);
        }
    }

    /// Lets go of the emergencies that expired so long ago that no clock was ahead by as much.
    fn let_go_of_lapsed(&mut self, now: &Reading) {
        if self.steady_at(now).is_some() {
            return;
        }
        let past = now.wall.minus(inbox::REMEMBERED_AFTER_EXPIRY);
        let old =
            self.held.iter().filter(|(_, held)| held.progress.lapsed && held.announcement.expires < past);
        for id in old.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.forget_lapsed(&id);
        }
    }

    fn forget_lapsed(&mut self, id: &CommandId) {
        let Some(held) = self.held.remove(id) else { return };
        self.remember(Memo::Progress(id.clone(), Some(Progress { over: true, ..held.progress })));
        self.actions.push_back(Action::Forget(id.clone()));
    }

    pub(super) fn on_fetched(&mut self, now: &Reading, sha256: ContentHash, result: Result<(), Fault>) {
        let wanting = self
            .held
            .iter_mut()
            .filter(|(_, held)| held.announcement.media.as_ref().is_some_and(|media| media.sha256 == sha256));
        let mut staged = Vec::new();
        for (id, held) in wanting {
            match &result {
                Ok(()) => {
                    held.failed.remove(&Version::Media);
                    staged.push(id.clone());
                }
                Err(fault) => {
                    held.failed.insert(Version::Media, fault.clone());
                }
            }
        }
        if result.is_ok() && self.staged.insert(sha256) {
            for id in staged {
                self.log_step(now, &id, DeliveryStep::Staged);
            }
        }
    }

    pub(super) fn announcement_claims(&mut self, now: &Reading) -> Vec<Claim<Job>> {
        let mut claims = Vec::new();
        // What was released on the box asks for no time of day.
        let knows_time = now.quality > ClockQuality::None;
        let ids: Vec<_> = self.held.keys().filter(|id| knows_time || self.is_local(id)).cloned().collect();
        for id in ids {
            match self.may_sound(now, &id) {
                Ok(Some(claim)) => claims.push(claim),
                Ok(None) => {}
                Err(NotNow::Guarded(refusal)) => self.on_guarded(now, &id, refusal),
                Err(NotNow::Never(fault)) => self.give_up(now, &id, NotPlayed::Unplayable { reason: fault }),
            }
        }
        claims
    }

    /// Tells whether the repetition that sounds is the last.
    pub(super) fn is_last_repetition(&self, id: &CommandId) -> bool {
        self.held.get(id).is_none_or(|held| !held.goes_on_after(held.progress.repetitions + 1))
    }

    /// Returns the rung that keeps the air through the short gaps between its repetitions.
    pub(super) fn reserved(&self, now: &Reading) -> Option<Rung> {
        let in_gap = |held: &&Held| {
            let short = held.announcement.plan.gap_s <= GAP_KEEPS_THE_AIR_S_MAX;
            short && held.gap_until.is_some_and(|until| now.mono < until)
        };
        self.held.values().filter(in_gap).map(|held| held.announcement.rung()).max()
    }

    fn may_sound(&mut self, now: &Reading, id: &CommandId) -> Result<Option<Claim<Job>>, NotNow> {
        let job = Job::Announcement(id.clone());
        if self.is_on_air(&job) {
            return Ok(None);
        }
        let Some(held) = self.held.get_mut(id) else { return Ok(None) };
        let gap = held.gap_until.is_some_and(|until| now.mono < until);
        if !held.is_due(now) || gap || held.progress.lapsed || now.wall >= held.announcement.expires {
            return Ok(None);
        }
        held.due_since.get_or_insert(now.mono);
        let held = &self.held[id];
        let has_room = held.needs_slot();
        if has_room && !self.slot_has_room(now, held.length()) {
            return Ok(None);
        }
        let announcement = &held.announcement;
        let rung = announcement.rung();
        self.guard.permit(now, rung, announcement.plan.volume_percent, None).map_err(NotNow::Guarded)?;
        if held.version(now, &self.staged).map_err(NotNow::Never)?.is_none() {
            return Ok(None);
        }
        let at_its_time = rung == Rung::Priority && announcement.plan.at.is_some();
        let at_once = rung.takes_the_air_at_once() || at_its_time;
        Ok(Some(Claim {
            job,
            rung,
            has_room,
            level: announcement.issued.level,
            since: announcement.issued.at,
            serial: announcement.issued.serial,
            take: if at_once { Take::AtOnce } else { Take::AtBoundary },
        }))
    }

    /// Takes in that the guard holds an announcement back: staff are told once. An announcement with a time that staff
    /// chose is over; any other waits for the allowed hours.
    fn on_guarded(&mut self, now: &Reading, id: &CommandId, refusal: GuardRefusal) {
        let Some(held) = self.held.get_mut(id) else { return };
        let reason = NotPlayed::Guarded { reason: refusal.clone() };
        if held.announcement.plan.at.is_some() || refusal == GuardRefusal::ExerciseAtNight {
            return self.give_up(now, id, reason);
        }
        if held.guarded.as_ref() != Some(&refusal) {
            held.guarded = Some(refusal);
            let subject = Subject::Announcement { command: id.clone() };
            let title = held.announcement.title.clone();
            self.log(now, Event::NotPlayed { subject, title, reason });
        }
    }

    pub(super) fn announcement_wish(&mut self, now: &Reading, id: &CommandId, play: PlayId) -> Option<Wish> {
        let held = self.held.get_mut(id)?;
        let version = held.version(now, &self.staged).ok()??;
        if held.entered != Some(version) {
            // Positions of one version mean nothing in another; after a restart it is taken to be the same.
            held.progress.position_us = if held.entered.is_none() { held.progress.position_us } else { 0 };
            held.entered = Some(version);
        }
        let held = &self.held[id];
        let announcement = &held.announcement;
        // What it asks for now is granted for as late as it may begin.
        let rung = announcement.rung();
        let (opened_in, free_in) = match rung.takes_the_air_at_once() {
            true => (PREFLIGHT_URGENT_MAX, Span(0)),
            false => (PREFLIGHT_MAX, self.air_is_free_at(now).since(now.mono)),
        };
        let length = self.true_length(&Job::Announcement(id.clone())).unwrap_or_else(|| held.length());
        let (wanted, reach) = (announcement.plan.volume_percent, length + opened_in.max(free_in));
        let permit = self.guard.permit(now, rung, wanted, Some(reach)).ok()?;
        let skip = Span(held.progress.position_us);
        let start = PlayStart {
            play,
            subject: Subject::Announcement { command: id.clone() },
            rung: announcement.rung(),
            title: announcement.title.clone(),
            section: None,
            campaign: None,
            class: Some(announcement.class),
            mode: Some(announcement.mode),
            issuer: Some(announcement.issued.issuer.clone()),
            content: announcement
                .media
                .as_ref()
                .filter(|_| version == Version::Media)
                .map(|media| media.sha256),
            source: held.source(version),
            language: announcement.words.as_ref().map_or("vi".to_owned(), |words| words.language.clone()),
            repetition: held.progress.repetitions + 1,
            scheduled: announcement.plan.at,
            entered_at_ms: skip.as_millis(),
            volume_percent: permit.volume_percent,
            instead_of: held.instead_of(version),
        };
        let score =
            Score { parts: held.parts(version), skip, volume_percent: permit.volume_percent, gain_db: 0.0 };
        let limit = self.guard_limit(permit.until);
        Some(Wish { start, score, interruption: announcement.plan.interruption, limit, lasts: None })
    }

    pub(super) fn announcement_begun(&mut self, now: &Reading, id: &CommandId) {
        let Some(held) = self.held.get_mut(id) else { return };
        held.guarded = None;
        if !std::mem::replace(&mut held.progress.started, true) {
            self.save_progress(id);
            self.log_step(now, id, DeliveryStep::Started);
        }
    }

    pub(super) fn announcement_unplayable(&mut self, now: &Reading, id: &CommandId, fault: Fault) {
        let Some(held) = self.held.get_mut(id) else { return };
        let Ok(Some(version)) = held.version(now, &self.staged) else { return };
        held.failed.insert(version, fault);
        held.progress.position_us = 0;
    }

    /// A play of this id has ended. An emergency may have taken the id of what had sounded: then `rung` is another's.
    pub(super) fn announcement_ended(&mut self, now: &Reading, id: &CommandId, rung: Rung, ended: Ended) {
        let held = self.held.get_mut(id).filter(|held| held.announcement.rung() == rung);
        let Some(held) = held else { return };
        if let Some(position) = ended.goes_on_from() {
            held.progress.position_us = position.0;
            return self.save_progress(id);
        }
        match ended.outcome {
            PlayOutcome::Finished => {
                held.progress.repetitions += 1;
                held.progress.position_us = 0;
                held.gap_until = Some(now.mono + Span::secs(u64::from(held.announcement.plan.gap_s)));
                if held.goes_on_after(held.progress.repetitions) {
                    self.save_progress(id);
                } else {
                    self.finish(now, id, DeliveryStep::Finished, PlayOutcome::Finished);
                }
            }
            PlayOutcome::Failed { reason } => {
                if let Some(version) = held.entered {
                    held.failed.insert(version, reason);
                }
                held.progress.position_us = 0;
                self.save_progress(id);
            }
            _ => self.finish(now, id, DeliveryStep::Interrupted, PlayOutcome::Stopped),
        }
    }

    /// Remembers that a power cut ended a play of this announcement at `position`.
    pub(super) fn announcement_power_cut(&mut self, id: &CommandId, rung: Rung, position: Span) {
        let origin = self.memory.known.get(id).and_then(|known| known.origin.as_ref());
        let is_emergency = |origin: &Origin| origin.power == Power::Emergency;
        if origin.is_some_and(|origin| is_emergency(origin) != (rung == Rung::Emergency)) {
            return;
        }
        let mut progress = self.memory.progress.get(id).cloned().unwrap_or_default();
        if !progress.over {
            progress.position_us = position.0;
            self.remember(Memo::Progress(id.clone(), Some(progress)));
        }
    }

    pub(super) fn announcement_wakes(&self, now: &Reading) -> Option<(Moment, Why)> {
        let knows_time = now.quality > ClockQuality::None;
        let due = |held: &Held| {
            let due = now.moment_of(held.due());
            let gap = held.gap_until.filter(|gap| *gap > now.mono);
            let retry = held.guarded.is_some().then(|| now.mono + GUARD_RETRY);
            let media = held.due_since.map(|since| since + held.media_wait()).filter(|wait| *wait > now.mono);
            let next =
                [Some(due).filter(|due| *due > now.mono), gap, retry, media].into_iter().flatten().min();
            next.map(|moment| (moment, Why::AnnouncementDue))
        };
        let expires = |(id, held): (&CommandId, &Held)| {
            let waits = !self.is_on_air(&Job::Announcement(id.clone()));
            waits.then(|| (now.moment_of(held.announcement.expires), Why::AnnouncementExpires))
        };
        let voice = self.voice.as_ref().filter(|_| knows_time);
        let voice = voice.map(|voice| (now.moment_of(voice.until), Why::AnnouncementExpires));
        let waiting = || {
            let timed = |id: &CommandId| knows_time || self.is_local(id);
            self.held.iter().filter(move |(id, held)| !held.progress.lapsed && timed(id))
        };
        let dues = waiting().filter_map(|(_, held)| due(held));
        dues.chain(waiting().filter_map(expires)).chain(voice).min()
    }
}

/// Interval at which what has expired is forgotten.
const FORGET_EVERY: Span = Span::secs(600);

/// Reasons for which an announcement that is due does not sound.
enum NotNow {
    Guarded(GuardRefusal),
    Never(Fault),
}
