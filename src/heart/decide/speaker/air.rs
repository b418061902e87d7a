//! The air: what is prepared, who gets it, and how a play is opened and closed in the log.

use std::collections::BTreeMap;

use super::interface::Action;
use super::job::Job;
use super::play::{
    Ended, Opening, PREFLIGHT_MAX, PREFLIGHT_URGENT_MAX, Play, Ready, Sounding, TimeLimit, Wish,
};
use super::state::Speaker;
use crate::decide::arbiter::{self, Claim, Handover};
use crate::decide::guard::Limit;
use crate::decide::memory::Memo;
use crate::domain::announcement::Rung;
use crate::domain::ids::PlayId;
use crate::domain::playback::{CHECKPOINT_EVERY, Event, NotPlayed, PlayEnd, PlayOutcome, Stamp, Subject};
use crate::domain::sound::{Cut, End, FRAMES_A_SECOND, Fault, PlayerCommand, PlayerEvent, Sounded};
use crate::domain::time::{Moment, Reading, Span};

/// Fade of what is stopped, in the range of 10 to 20 ms that the design asks for.
const FADE_MS: u32 = 20;

impl Speaker {
    /// Prepares the best claim and gives it the air when it is ready and may have it.
    pub(super) fn arrange(&mut self, now: &Reading) {
        if self.device_lost {
            return;
        }
        let claims = self.claims(now);
        let Some(best) = arbiter::best(&claims) else {
            self.discard_next();
            return;
        };
        if self.next.as_ref().is_none_or(|next| next.job != best.job) {
            self.discard_next();
            self.prepare(now, best);
        }
        if self.next.as_ref().is_none_or(|next| !next.is_open()) {
            return;
        }
        let ahead = match &best.job {
            Job::Piece(_) => self.session_begins(now),
            Job::Announcement(_) | Job::Voice => None,
        };
        match (arbiter::handover(self.air_view(), best), ahead) {
            (Handover::Start, Some((moment, shared))) => {
                self.launch(now, Cut::At { moment, shared: Some(shared) });
            }
            (_, Some(_)) => {}
            (handover, None) => self.give_air(now, handover, best.rung),
        }
    }

    fn give_air(&mut self, now: &Reading, handover: Handover, rung: Rung) {
        match handover {
            Handover::Start => self.launch(now, Cut::Now),
            Handover::Cut => {
                let holder = self.holder().map(|holder| holder.start.rung);
                debug_assert!(holder < Some(rung), "{rung:?} takes the air from {holder:?}");
                self.interrupt(rung);
                self.launch(now, Cut::Now);
            }
            Handover::Follow if self.may_follow() => self.launch(now, Cut::AtEnd),
            Handover::Follow => {}
        }
    }

    /// Collects everything that wants to sound now and is allowed to.
    fn claims(&mut self, now: &Reading) -> Vec<Claim<Job>> {
        let mut claims = self.announcement_claims(now);
        claims.extend(self.voice_claim(now));
        claims.extend(self.piece_claim(now));
        let reserved = self.reserved(now);
        claims.retain(|claim| reserved.is_none_or(|rung| claim.rung >= rung));
        claims
    }

    pub(super) fn new_play(&mut self) -> PlayId {
        self.plays_made += 1;
        PlayId::new(self.start, self.plays_made)
    }

    /// Asks the player to open what the claim needs.
    pub(super) fn prepare(&mut self, now: &Reading, claim: &Claim<Job>) {
        let play = self.new_play();
        let wish = match &claim.job {
            Job::Announcement(id) => self.announcement_wish(now, id, play),
            Job::Piece(piece) => self.piece_wish(now, *piece, play),
            Job::Voice => self.voice_wish(now, play),
        };
        let Some(Wish { start, score, interruption, limit, lasts }) = wish else { return };
        let max = if claim.rung.takes_the_air_at_once() { PREFLIGHT_URGENT_MAX } else { PREFLIGHT_MAX };
        let opening = Opening::Asked { by: now.mono + max };
        self.next = Some(Ready { job: claim.job.clone(), start, interruption, limit, lasts, opening });
        self.actions.push_back(Action::Player(PlayerCommand::Preflight { play, score }));
    }

    pub(super) fn discard_next(&mut self) {
        if let Some(next) = self.next.take() {
            self.stop_play(next.start.play);
        }
    }

    fn stop_play(&mut self, play: PlayId) {
        self.actions.push_back(Action::Player(PlayerCommand::Stop { play, fade_ms: FADE_MS }));
    }

    /// Returns the play that holds the air, or will when the current one has ended.
    fn holder(&self) -> Option<&Play> {
        self.plays.get(&self.follow.or(self.current)?)
    }

    /// Shows the arbiter the play that holds the air.
    pub(super) fn air_view(&self) -> Option<arbiter::OnAir> {
        let holder = self.holder()?;
        Some(arbiter::OnAir { rung: holder.start.rung, has_boundary: holder.due.is_some() })
    }

    /// Returns when what sounds will be over by itself, as far as that is known; now where nothing sounds.
    pub(super) fn air_is_free_at(&self, now: &Reading) -> Moment {
        let ends = self.plays.values().filter(|play| !play.sounding.is_stopping()).map(|play| {
            let began = play.sounding.since().map_or(now.mono, |stamp| stamp.moment());
            began + play.due.unwrap_or_default()
        });
        ends.max().unwrap_or(now.mono).max(now.mono)
    }

    /// Tells whether what sounds is about to end by itself and will not take the air again, so that what follows can be
    /// prepared.
    pub(super) fn air_is_given_up(&self) -> bool {
        self.holder().is_some_and(|holder| {
            holder.sounding.is_ending()
                && match &holder.job {
                    Job::Announcement(id) => self.is_last_repetition(id),
                    Job::Piece(_) | Job::Voice => true,
                }
        })
    }

    /// Tells whether a play of the job sounds, fades, or has been told to follow.
    pub(super) fn is_on_air(&self, job: &Job) -> bool {
        self.plays.values().any(|play| play.job == *job)
    }

    /// Tells whether a play can be told to follow the current one without a gap. What follows a stream is known only
    /// when the stream has ended: it may have failed.
    fn may_follow(&self) -> bool {
        let current = self.current.and_then(|play| self.plays.get(&play));
        let ends = |play: &Play| matches!(play.sounding, Sounding::Ending { .. }) && play.due.is_some();
        self.follow.is_none() && current.is_some_and(ends)
    }

    /// Starts what is ready. The log has it before the first sample.
    pub(super) fn launch(&mut self, now: &Reading, cut: Cut) {
        let Some(next) = self.next.take() else { return };
        let Opening::Opened { length } = next.opening else { return };
        let play = next.start.play;
        debug_assert!(cut == Cut::AtEnd || self.holder().is_none(), "two plays would hold the air");
        self.log(now, Event::PlayStarted(next.start.clone()));
        self.remember(Memo::OpenPlay(play, Some(next.start.clone())));
        match &next.job {
            Job::Announcement(id) => self.announcement_begun(now, &id.clone()),
            Job::Piece(piece) => self.piece_begun(now, *piece),
            Job::Voice => {}
        }
        self.actions.push_back(Action::Player(PlayerCommand::Play { play, cut }));
        let entered = Span::millis(next.start.entered_at_ms);
        let started = Play {
            job: next.job,
            start: next.start,
            interruption: next.interruption,
            due: length.map(|length| length.saturating_sub(entered)),
            limit: next.limit,
            lasts: next.lasts,
            sounding: Sounding::Ordered,
        };
        self.plays.insert(play, started);
        match cut {
            Cut::AtEnd if self.current.is_some() => self.follow = Some(play),
            _ => self.current = Some(play),
        }
    }

    /// Takes the air from what has it. The player fades it out when the new play starts.
    pub(super) fn interrupt(&mut self, by: Rung) {
        if let Some(play) = self.follow.take() {
            self.end_play(play, PlayOutcome::Interrupted { by });
        }
        if let Some(current) = self.current.take().and_then(|play| self.plays.get_mut(&play)) {
            current.sounding.stop(PlayOutcome::Interrupted { by });
        }
    }

    /// Stops a play, which will be logged with this outcome.
    pub(super) fn end_play(&mut self, play: PlayId, outcome: PlayOutcome) {
        if self.plays.get_mut(&play).is_some_and(|ended| ended.sounding.stop(outcome)) {
            self.stop_play(play);
        }
    }

    /// Stops what sounds, or is about to, of one job.
    pub(super) fn end_job(&mut self, job: &Job, outcome: &PlayOutcome) {
        self.end_where(|held| held == job, outcome);
    }

    /// Stops what sounds, or is about to, of all jobs that are meant.
    pub(super) fn end_where(&mut self, is_meant: impl Fn(&Job) -> bool, outcome: &PlayOutcome) {
        if self.next.as_ref().is_some_and(|next| is_meant(&next.job)) {
            self.discard_next();
        }
        let plays = self.plays.iter().filter(|(_, play)| is_meant(&play.job));
        let plays: Vec<_> = plays.map(|(id, _)| *id).collect();
        for play in plays {
            self.end_play(play, outcome.clone());
        }
    }

    pub(super) fn stop_everything(&mut self) {
        let plays: Vec<_> = self.plays.keys().copied().collect();
        for play in plays {
            if let Some(stopped) = self.plays.get_mut(&play) {
                stopped.sounding.stop(PlayOutcome::Stopped);
            }
            self.stop_play(play);
        }
    }

    /// Stops what has reached its limit.
    pub(super) fn enforce_limits(&mut self, now: &Reading) {
        let over = self.plays.iter().filter_map(|(id, play)| match &play.limit {
            Some(limit) if limit.at <= now.mono => Some((*id, limit.outcome.clone())),
            _ => None,
        });
        let over: Vec<_> = over.collect();
        for (play, outcome) in over {
            self.end_play(play, outcome);
        }
        let slow = self.next.as_ref().and_then(Ready::wakes).is_some_and(|(by, _)| by <= now.mono);
        if slow && let Some(next) = self.next.take() {
            self.stop_play(next.start.play);
            let fault = Fault::Player { detail: "it took too long to open".to_owned() };
            self.on_unplayable(now, next.job, fault);
        }
    }

    pub(super) fn checkpoint(&mut self, now: &Reading) {
        let Some(play) = self.current else { return };
        let Some(current) = self.plays.get_mut(&play) else { return };
        if let Some(at) = current.sounding.checkpoint_at().filter(|at| **at <= now.mono) {
            *at = now.mono + CHECKPOINT_EVERY;
            self.actions.push_back(Action::Checkpoint(play));
        }
    }

    pub(super) fn on_player(&mut self, now: &Reading, event: PlayerEvent) {
        match event {
            PlayerEvent::Preflighted { play, result } => self.on_preflighted(now, play, result),
            PlayerEvent::Started { play, at } => self.on_started(now, play, at),
            PlayerEvent::Ending { play } => {
                if let Some(ending) = self.plays.get_mut(&play) {
                    ending.sounding.near_end();
                }
            }
            PlayerEvent::Ended { play, sounded, end } => self.on_ended(now, play, sounded, end),
            PlayerEvent::DeviceLost { detail } => {
                self.device_lost = true;
                self.discard_next();
                self.log(now, Event::DeviceLost { detail });
            }
            PlayerEvent::DeviceBack => {
                self.device_lost = false;
                self.log(now, Event::DeviceBack);
            }
            PlayerEvent::AmplifierFault { detail } => self.log(now, Event::AmplifierFault { detail }),
        }
    }

    fn on_preflighted(&mut self, now: &Reading, play: PlayId, result: Result<Option<Span>, Fault>) {
        let Some(next) = self.next.as_mut().filter(|next| next.start.play == play) else { return };
        match result {
            Ok(length) => {
                next.opening = Opening::Opened { length };
                length.iter().for_each(|length| self.hold_to_length(now, *length));
            }
            Err(fault) => {
                let job = next.job.clone();
                self.next = None;
                self.on_unplayable(now, job, fault);
            }
        }
    }

    /// Prepares anew what proves too long for the volume that it was granted: the length of a text, for one, is known
    /// only when it has been spoken.
    fn hold_to_length(&mut self, now: &Reading, length: Span) {
        let Some(next) = &self.next else { return };
        let rung = next.start.rung;
        let then = match next.job {
            Job::Piece(_) => self.running.as_ref().map_or(*now, |running| now.at(running.begin_at)),
            Job::Announcement(_) | Job::Voice => *now,
        };
        let free = if rung.takes_the_air_at_once() { then.mono } else { self.air_is_free_at(now) };
        let reach = free.since(then.mono) + length.saturating_sub(Span::millis(next.start.entered_at_ms));
        let granted = next.start.volume_percent;
        let permit = self.guard.permit(&then, rung, granted, Some(reach));
        if permit.is_ok_and(|permit| permit.volume_percent < granted) {
            self.longer = Some((next.job.clone(), length));
            self.discard_next();
        }
    }

    /// Returns the length of a job's whole score, where it proved longer than was reckoned.
    pub(super) fn true_length(&self, job: &Job) -> Option<Span> {
        self.longer.as_ref().filter(|(longer, _)| longer == job).map(|(_, length)| *length)
    }

    fn on_unplayable(&mut self, now: &Reading, job: Job, fault: Fault) {
        match job {
            Job::Announcement(id) => self.announcement_unplayable(now, &id, fault),
            Job::Piece(piece) => self.piece_unplayable(now, piece, NotPlayed::Unplayable { reason: fault }),
            Job::Voice => self.voice_unplayable(now, fault),
        }
    }

    fn on_started(&mut self, now: &Reading, play: PlayId, at: Moment) {
        if self.follow == Some(play) {
            self.current = self.follow.take();
        }
        let start = self.start;
        let Some(started) = self.plays.get_mut(&play) else { return };
        // The wall time of the first sample: the reading, moved by the monotonic difference to either side.
        let wall = now.wall.minus(now.mono.since(at)).plus(at.since(now.mono));
        started.sounding.begin(Stamp::of(start, &Reading { mono: at, wall, ..*now }));
        if let Some(lasts) = started.lasts
            && started.limit.as_ref().is_none_or(|limit| at + lasts < limit.at)
        {
            started.limit = Some(TimeLimit { at: at + lasts, outcome: PlayOutcome::Finished });
        }
        self.tell_guard();
    }

    /// Holds what sounds to the limits that have come into force, and prepares anew what was prepared under others. Wider
    /// limits are for what starts after them.
    pub(super) fn apply_limits_to_the_air(&mut self, now: &Reading) {
        if self.next.as_ref().is_some_and(|next| next.start.rung != Rung::Emergency) {
            self.discard_next();
        }
        for play in self.plays.values_mut().filter(|play| play.start.rung != Rung::Emergency) {
            let limit = match self.guard.permit(now, play.start.rung, 100, None) {
                Ok(permit) => permit.until.map(|(at, limit)| (at, self.guard.refusal(limit))),
                Err(refusal) => Some((now.mono, refusal)),
            };
            if let Some((at, reason)) = limit
                && play.limit.as_ref().is_none_or(|limit| at < limit.at)
            {
                play.limit = Some(TimeLimit { at, outcome: PlayOutcome::Guarded { reason } });
            }
        }
    }

    /// Tells the guard what sounds and is not counted yet.
    fn tell_guard(&mut self) {
        let started = self.plays.values().filter_map(|play| Some(play.sounding.since()?.moment()));
        self.guard.note_on_air(started.min());
    }

    fn on_ended(&mut self, now: &Reading, play: PlayId, sounded: Sounded, end: End) {
        let Some(over) = self.plays.remove(&play) else { return };
        if self.follow == Some(play) {
            self.follow = None;
        }
        if self.current == Some(play) {
            self.current = self.follow.take();
        }
        let all_sounded = sounded.due.is_some_and(|due| due > Span(0) && sounded.played >= due);
        let started_at = over.sounding.since();
        let stopped = match over.sounding {
            Sounding::Stopping { outcome, .. } => Some(outcome),
            Sounding::Ordered | Sounding::Underway { .. } | Sounding::Ending { .. } => None,
        };
        let outcome = match (end, stopped) {
            (End::Whole, _) => PlayOutcome::Finished,
            // The play was cut in the moment of its end.
            (End::Stopped, _) if all_sounded => PlayOutcome::Finished,
            (End::Failed(reason), None) => PlayOutcome::Failed { reason },
            (_, Some(outcome)) => outcome,
            (End::Stopped, None) => PlayOutcome::Stopped,
        };
        let closing = PlayEnd {
            play,
            subject: over.start.subject.clone(),
            outcome: outcome.clone(),
            started_at,
            frames_played: frames(sounded.played),
            frames_due: sounded.due.map(frames),
            loudness_lufs: sounded.loudness_lufs,
            heard: sounded.heard,
        };
        self.log(now, Event::PlayEnded(closing));
        self.remember(Memo::OpenPlay(play, None));
        self.count_sound(now, sounded.played);
        self.tell_guard();
        let position = Span::millis(over.start.entered_at_ms) + sounded.played;
        let unheard = sounded.played == Span(0);
        let ended = Ended { outcome, interruption: over.interruption, position, unheard };
        match over.job {
            Job::Announcement(id) => self.announcement_ended(now, &id, over.start.rung, ended),
            Job::Piece(piece) => self.piece_ended(now, piece, ended),
            Job::Voice => self.voice_ended(&over.start.subject, &ended),
        }
        self.log_if_stopped(now);
    }

    fn count_sound(&mut self, now: &Reading, played: Span) {
        let (day, used) = self.guard.count(now, played);
        self.remember(Memo::Sounded(day, used));
    }

    /// Closes in the log what a power cut left open, with what the last checkpoint proves.
    pub(super) fn close_what_was_open(&mut self, now: &Reading, checkpoints: &BTreeMap<PlayId, Span>) {
        for (play, start) in self.memory.open_plays.clone() {
            let played = checkpoints.get(&play).copied().unwrap_or_default();
            let closing = PlayEnd {
                play,
                subject: start.subject.clone(),
                outcome: PlayOutcome::PowerLost,
                started_at: None,
                frames_played: frames(played),
                frames_due: None,
                loudness_lufs: None,
                heard: None,
            };
            self.log(now, Event::PlayEnded(closing));
            self.remember(Memo::OpenPlay(play, None));
            self.count_sound(now, played);
            let position = Span::millis(start.entered_at_ms) + played;
            match &start.subject {
                Subject::Announcement { command } => {
                    self.announcement_power_cut(command, start.rung, position);
                }
                Subject::Slot(key) => self.piece_power_cut(key, position),
                Subject::Live { .. } => {}
            }
        }
    }

    /// Turns the limit that the guard sets into that of a play.
    pub(super) fn guard_limit(&self, until: Option<(Moment, Limit)>) -> Option<TimeLimit> {
        until.map(|(at, limit)| {
            let outcome = PlayOutcome::Guarded { reason: self.guard.refusal(limit) };
            TimeLimit { at, outcome }
        })
    }
}

fn frames(span: Span) -> u64 {
    (span.0 * u64::from(FRAMES_A_SECOND) + 500_000) / 1_000_000
}
