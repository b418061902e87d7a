//! The air: what is prepared, what sounds, and how a play is opened and closed in the log.

use std::collections::BTreeMap;

use super::*;
use crate::decide::guard::Limit;
use crate::domain::announcement::Interruption;
use crate::domain::playback::{NotPlayed, PlayEnd, PlayOutcome, PlayStart, Subject};
use crate::domain::sound::{End, Score, Sounded};

/// Frames a second of everything that is played; the log counts frames.
const FRAMES_PER_SECOND: u64 = 48_000;

/// Fade of what is stopped, in the range of 10 to 20 ms that the design asks for.
const FADE_MS: u32 = 20;

/// A play that the player has been asked to open.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) struct Ready {
    pub job: Job,
    pub start: PlayStart,
    pub interruption: Interruption,
    /// Nothing of it may sound after, and what that would be called.
    pub until: Option<(Moment, PlayOutcome)>,
    lasts: Option<Span>,
    state: Opening,
}

#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
enum Opening {
    /// The player was asked, and must answer by then.
    Asked { by: Moment },
    /// Opened; the whole length from the start of the score.
    Opened { length: Option<Span> },
}

impl Ready {
    pub fn is_ready(&self) -> bool {
        matches!(self.state, Opening::Opened { .. })
    }

    pub fn wakes(&self) -> Option<(Moment, Why)> {
        match self.state {
            Opening::Asked { by } => Some((by, Why::PreflightSlow)),
            Opening::Opened { .. } => None,
        }
    }
}

/// A play that the player has been told to sound.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) struct Sounding {
    pub job: Job,
    pub start: PlayStart,
    interruption: Interruption,
    /// What is to sound from where it is entered; `None` for what has no end.
    due: Option<Span>,
    started: Option<Stamp>,
    /// The player has said that little is left.
    ending: bool,
    /// It was told to stop, and this is why.
    stopping: Option<PlayOutcome>,
    checkpoint_at: Option<Moment>,
    until: Option<(Moment, PlayOutcome)>,
    lasts: Option<Span>,
}

impl Sounding {
    /// The number of the piece that it plays.
    pub fn piece(&self) -> Option<u32> {
        match self.job {
            Job::Piece { number, .. } => Some(number),
            Job::Announcement(_) | Job::Voice => None,
        }
    }

    /// The number of the relay in whose place it sounds.
    pub fn stands_in_for(&self) -> Option<u32> {
        match self.job {
            Job::Piece { number, instead: Some(_), .. } => Some(number),
            _ => None,
        }
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    pub fn wakes(&self) -> Option<(Moment, Why)> {
        if self.stopping.is_some() {
            return None;
        }
        let limit = self.until.as_ref().map(|(moment, _)| (*moment, Why::LimitReached));
        let checkpoint = self.checkpoint_at.map(|moment| (moment, Why::Checkpoint));
        [limit, checkpoint].into_iter().flatten().min()
    }
}

/// What a job needs to sound.
pub(super) struct Wish {
    pub start: PlayStart,
    pub score: Score,
    pub interruption: Interruption,
    pub until: Option<(Moment, PlayOutcome)>,
    /// How long it is to sound at most, counted from its first sample; then it has finished.
    pub lasts: Option<Span>,
}

/// What is left of a job when a play of it has ended.
pub(super) struct Ended {
    pub outcome: PlayOutcome,
    pub interruption: Interruption,
    /// Where the audio stopped, counted from its start.
    pub position: Span,
    /// Nothing of it sounded: it was cut before its first sample.
    pub unheard: bool,
}

impl Ended {
    /// Whether the job goes on, and from where.
    pub fn goes_on_from(&self) -> Option<Span> {
        let again = match &self.outcome {
            PlayOutcome::Interrupted { .. } | PlayOutcome::PowerLost | PlayOutcome::Stopped => true,
            PlayOutcome::Failed { reason } => matches!(reason, Fault::DeviceLost { .. }),
            _ => false,
        };
        match self.interruption {
            _ if !again => None,
            Interruption::Restart => Some(Span(0)),
            Interruption::Resume => Some(self.position),
            Interruption::Drop => self.unheard.then_some(self.position),
        }
    }
}

impl Speaker {
    pub(super) fn new_play(&mut self) -> PlayId {
        self.plays_made += 1;
        PlayId::new(self.start, self.plays_made)
    }

    /// Asks the player to open what the claim needs.
    pub(super) fn prepare(&mut self, now: &Reading, claim: &Claim<Job>) {
        let play = self.new_play();
        let wish = match &claim.job {
            Job::Announcement(id) => self.announcement_wish(now, id, play),
            Job::Piece { number, instead, .. } => self.piece_wish(now, *number, *instead, play),
            Job::Voice => self.voice_wish(now, play),
        };
        let Some(Wish { start, score, interruption, until, lasts }) = wish else { return };
        let max = if claim.rung.takes_the_air_at_once() { PREFLIGHT_URGENT_MAX } else { PREFLIGHT_MAX };
        let state = Opening::Asked { by: now.mono + max };
        self.next = Some(Ready { job: claim.job.clone(), start, interruption, until, lasts, state });
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

    /// What the arbiter needs to know of the play that holds the air.
    pub(super) fn air_view(&self) -> Option<arbiter::OnAir> {
        let holder = self.follow.or(self.current)?;
        let sounding = self.plays.get(&holder)?;
        Some(arbiter::OnAir { rung: sounding.start.rung, has_boundary: sounding.due.is_some() })
    }

    /// When what sounds will be over by itself, as far as that is known; now where nothing sounds.
    pub(super) fn air_is_free_at(&self, now: &Reading) -> Moment {
        let ends = self.plays.values().filter(|sounding| !sounding.is_stopping()).map(|sounding| {
            let began = sounding.started.map_or(now.mono, |stamp| stamp.moment());
            began + sounding.due.unwrap_or_default()
        });
        ends.max().unwrap_or(now.mono).max(now.mono)
    }

    /// Whether what sounds is about to end by itself and will not take the air again: what follows can be prepared.
    pub(super) fn air_is_given_up(&self) -> bool {
        let holder = self.follow.or(self.current).and_then(|play| self.plays.get(&play));
        holder.is_some_and(|sounding| {
            sounding.ending
                && match &sounding.job {
                    Job::Announcement(id) => self.is_last_repetition(id),
                    Job::Piece { .. } | Job::Voice => true,
                }
        })
    }

    /// Whether a play of the job sounds, fades, or has been ordered to follow.
    pub(super) fn is_on_air(&self, job: &Job) -> bool {
        self.plays.values().any(|sounding| sounding.job == *job)
    }

    pub(super) fn may_follow(&self) -> bool {
        let current = self.current.and_then(|play| self.plays.get(&play));
        // What follows a stream is known only when the stream has ended: it may have failed.
        let ends = |sounding: &Sounding| sounding.ending && sounding.due.is_some();
        self.follow.is_none() && current.is_some_and(|sounding| ends(sounding) && sounding.stopping.is_none())
    }

    /// Starts what is ready. The log has it before the first sample.
    pub(super) fn launch(&mut self, now: &Reading, cut: Cut) {
        let Some(next) = self.next.take() else { return };
        let Opening::Opened { length } = next.state else { return };
        let play = next.start.play;
        self.log(now, Event::PlayStarted(next.start.clone()));
        self.remember(Memo::OpenPlay(play, Some(next.start.clone())));
        match &next.job {
            Job::Announcement(id) => self.announcement_begun(now, &id.clone()),
            Job::Piece { number, instead, .. } => self.piece_begun(now, *number, *instead),
            Job::Voice => {}
        }
        self.actions.push_back(Action::Player(PlayerCommand::Play { play, cut }));
        let entered = Span::millis(next.start.entered_at_ms);
        let sounding = Sounding {
            job: next.job,
            start: next.start,
            interruption: next.interruption,
            due: length.map(|length| length.saturating_sub(entered)),
            started: None,
            ending: false,
            stopping: None,
            checkpoint_at: None,
            until: next.until,
            lasts: next.lasts,
        };
        self.plays.insert(play, sounding);
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
        if let Some(sounding) = self.current.take().and_then(|play| self.plays.get_mut(&play)) {
            sounding.stopping.get_or_insert(PlayOutcome::Interrupted { by });
        }
    }

    /// Stops a play, which will be logged with this outcome.
    pub(super) fn end_play(&mut self, play: PlayId, outcome: PlayOutcome) {
        let Some(sounding) = self.plays.get_mut(&play) else { return };
        if sounding.stopping.is_none() {
            sounding.stopping = Some(outcome);
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
        let plays = self.plays.iter().filter(|(_, sounding)| is_meant(&sounding.job));
        let plays: Vec<_> = plays.map(|(play, _)| *play).collect();
        for play in plays {
            self.end_play(play, outcome.clone());
        }
    }

    pub(super) fn stop_everything(&mut self) {
        let plays: Vec<_> = self.plays.keys().copied().collect();
        for play in plays {
            if let Some(sounding) = self.plays.get_mut(&play) {
                sounding.stopping.get_or_insert(PlayOutcome::Stopped);
            }
            self.stop_play(play);
        }
    }

    /// Stops what has reached its limit.
    pub(super) fn enforce_limits(&mut self, now: &Reading) {
        let over = self.plays.iter().filter_map(|(play, sounding)| match &sounding.until {
            Some((moment, outcome)) if *moment <= now.mono => Some((*play, outcome.clone())),
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
        let Some(sounding) = self.plays.get_mut(&play) else { return };
        if sounding.checkpoint_at.is_some_and(|at| at <= now.mono) {
            sounding.checkpoint_at = Some(now.mono + CHECKPOINT_EVERY);
            self.actions.push_back(Action::Checkpoint(play));
        }
    }

    pub(super) fn on_player(&mut self, now: &Reading, event: PlayerEvent) {
        match event {
            PlayerEvent::Preflighted { play, result } => self.on_preflighted(now, play, result),
            PlayerEvent::Started { play, at } => self.on_started(now, play, at),
            PlayerEvent::Ending { play } => {
                if let Some(sounding) = self.plays.get_mut(&play) {
                    sounding.ending = true;
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
            Ok(length) => next.state = Opening::Opened { length },
            Err(fault) => {
                let job = next.job.clone();
                self.next = None;
                self.on_unplayable(now, job, fault);
            }
        }
    }

    fn on_unplayable(&mut self, now: &Reading, job: Job, fault: Fault) {
        match job {
            Job::Announcement(id) => self.announcement_unplayable(now, &id, fault),
            Job::Piece { number, instead, .. } => {
                self.piece_unplayable(now, number, instead, NotPlayed::Unplayable { reason: fault })
            }
            Job::Voice => self.voice_unplayable(now, fault),
        }
    }

    fn on_started(&mut self, now: &Reading, play: PlayId, at: Moment) {
        if self.follow == Some(play) {
            self.current = self.follow.take();
        }
        let start = self.start;
        let Some(sounding) = self.plays.get_mut(&play) else { return };
        // The wall time of the first sample: the reading, moved by the monotonic difference to either side.
        let wall = now.wall.minus(now.mono.since(at)).plus(at.since(now.mono));
        sounding.started = Some(Stamp::of(start, &Reading { mono: at, wall, ..*now }));
        sounding.checkpoint_at = Some(at + CHECKPOINT_EVERY);
        if let Some(lasts) = sounding.lasts
            && sounding.until.as_ref().is_none_or(|(until, _)| at + lasts < *until)
        {
            sounding.until = Some((at + lasts, PlayOutcome::Finished));
        }
        self.tell_guard();
    }

    /// Holds what sounds to the limits that have come into force, and prepares anew what was prepared under others. Wider
    /// limits are for what starts after them.
    pub(super) fn apply_limits_to_the_air(&mut self, now: &Reading) {
        if self.next.as_ref().is_some_and(|next| next.start.rung != Rung::Emergency) {
            self.discard_next();
        }
        let emergency = |sounding: &Sounding| sounding.start.rung == Rung::Emergency;
        for sounding in self.plays.values_mut().filter(|sounding| !emergency(sounding)) {
            let limit = match self.guard.permit(now, sounding.start.rung, 100, None) {
                Ok(permit) => permit.until.map(|(at, limit)| (at, self.guard.refusal(limit))),
                Err(refusal) => Some((now.mono, refusal)),
            };
            if let Some((at, reason)) = limit
                && sounding.until.as_ref().is_none_or(|(until, _)| at < *until)
            {
                sounding.until = Some((at, PlayOutcome::Guarded { reason }));
            }
        }
    }

    /// Tells the guard what sounds and is not counted yet.
    fn tell_guard(&mut self) {
        let started = self.plays.values().filter_map(|sounding| Some(sounding.started?.moment()));
        self.guard.note_on_air(started.min());
    }

    fn on_ended(&mut self, now: &Reading, play: PlayId, sounded: Sounded, end: End) {
        let Some(sounding) = self.plays.remove(&play) else { return };
        if self.follow == Some(play) {
            self.follow = None;
        }
        if self.current == Some(play) {
            self.current = self.follow.take();
        }
        let all_sounded = sounded.due.is_some_and(|due| due > Span(0) && sounded.played >= due);
        let outcome = match (end, sounding.stopping) {
            (End::Whole, _) => PlayOutcome::Finished,
            // It was cut in the moment of its end.
            (End::Stopped, _) if all_sounded => PlayOutcome::Finished,
            (End::Failed(reason), None) => PlayOutcome::Failed { reason },
            (_, Some(outcome)) => outcome,
            (End::Stopped, None) => PlayOutcome::Stopped,
        };
        let closing = PlayEnd {
            play,
            subject: sounding.start.subject.clone(),
            outcome: outcome.clone(),
            started_at: sounding.started,
            frames_played: frames(sounded.played),
            frames_due: sounded.due.map(frames),
            loudness_lufs: sounded.loudness_lufs,
            heard: sounded.heard,
        };
        self.log(now, Event::PlayEnded(closing));
        self.remember(Memo::OpenPlay(play, None));
        self.count_sound(now, sounded.played);
        self.tell_guard();
        let position = Span::millis(sounding.start.entered_at_ms) + sounded.played;
        let unheard = sounded.played == Span(0);
        let ended = Ended { outcome, interruption: sounding.interruption, position, unheard };
        match sounding.job {
            Job::Announcement(id) => self.announcement_ended(now, &id, sounding.start.rung, ended),
            Job::Piece { turn, number, instead } => self.piece_ended(now, (turn, number, instead), ended),
            Job::Voice => self.voice_ended(&sounding.start.subject, &ended),
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

    /// The limit that the guard sets, as what a play would be logged with.
    pub(super) fn guard_limit(&self, until: Option<(Moment, Limit)>) -> Option<(Moment, PlayOutcome)> {
        until.map(|(moment, limit)| (moment, PlayOutcome::Guarded { reason: self.guard.refusal(limit) }))
    }
}

fn frames(span: Span) -> u64 {
    (span.0 * FRAMES_PER_SECOND + 500_000) / 1_000_000
}
