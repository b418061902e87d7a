//! The pieces of the running session: which is wanted, what it needs, and what becomes of it.

use super::job::{Job, PieceJob, PieceSource};
use super::play::{Ended, Play, WORTH_STARTING, Wish};
use super::running::Stage;
use super::stand_in::{StandIn, StandsIn};
use super::state::Speaker;
use crate::decide::arbiter::{Claim, Take};
use crate::decide::memory::{Memo, SessionMemo, SessionState};
use crate::decide::schedule::{Length, Role};
use crate::domain::announcement::Rung;
use crate::domain::ids::PlayId;
use crate::domain::playback::{NotPlayed, PlayOutcome, PlayStart, SlotKey};
use crate::domain::programme::Fill;
use crate::domain::sound::{FileRef, Score, Sound};
use crate::domain::time::{Reading, Span};

impl Speaker {
    /// Returns the number of the last piece that sounds or will follow.
    pub(super) fn piece_on_air(&self) -> Option<u32> {
        self.plays.values().filter_map(Play::piece).map(|piece| piece.number).max()
    }

    /// Returns the number of the piece that sounds.
    pub(super) fn sounding_piece(&self) -> Option<u32> {
        let sounding = self.plays.values().filter(|play| play.sounding.since().is_some());
        sounding.filter_map(Play::piece).map(|piece| piece.number).max()
    }

    /// Tells whether a piece was stopped and has not ended yet.
    pub(super) fn piece_is_stopping(&self) -> bool {
        self.plays.values().any(|play| play.piece().is_some() && play.sounding.is_stopping())
    }

    /// Returns the piece that wants to sound next, after the one on the air.
    fn wanted_piece(&self, now: &Reading) -> Option<PieceJob> {
        let running = self.running.as_ref()?;
        // A piece that was cut may go on: its number is settled when it has ended.
        if self.piece_is_stopping() {
            return None;
        }
        let free_at = self.air_is_free_at(now);
        let stands_in = running.stand_in.as_ref().filter(|stand_in| !stand_in.is_over(free_at));
        let stood_in = self.plays.values().find_map(Play::stands_in_for).filter(|_| stands_in.is_some());
        let after = stood_in.or_else(|| self.piece_on_air().map(|on_air| on_air + 1));
        let number = running.playable_from(after.unwrap_or(running.next))?;
        let source = running.stand_in_at(number).map_or(PieceSource::Itself, StandIn::wants);
        Some(PieceJob { turn: running.turn, number, source })
    }

    /// Claims the air for the piece that wants to sound next, where the session may sound.
    pub(super) fn piece_claim(&mut self, now: &Reading) -> Option<Claim<Job>> {
        let piece = self.wanted_piece(now)?;
        let running = self.running.as_ref()?;
        let held_by = self.air_view().map(|on_air| on_air.rung).filter(|rung| *rung > Rung::Programme);
        let held_by = held_by.filter(|_| !self.air_is_given_up());
        if held_by.is_some() {
            // The piece would be prepared in vain; it is looked at again when the air is free.
            let running = self.running.as_mut()?;
            running.blocked_by = running.blocked_by.max(held_by);
            return None;
        }
        let gap = running.gap_until.is_some_and(|until| now.mono < until);
        if gap
            || self.has_gap_before(piece)
            || running.end_at <= now.mono + WORTH_STARTING
            || running.stage == Stage::Done
        {
            return None;
        }
        let then = now.at(running.begin_at);
        if let Err(reason) = self.guard.permit(&then, Rung::Programme, running.slot.volume_percent, None) {
            if self.piece_on_air().is_none() {
                self.close_guarded(now, reason);
            }
            return None;
        }
        let is_retried = running.stand_in.is_some();
        if running.stage == Stage::Entered
            && !is_retried
            && running.would_not_fit(self.air_is_free_at(now), piece.number)
        {
            let piece = PieceJob { source: PieceSource::Itself, ..piece };
            self.piece_unplayable(now, piece, NotPlayed::NoRoom);
            return self.piece_claim(now);
        }
        if running.stage == Stage::Due {
            // The point of entry may change which piece is wanted.
            return if self.enter(now) { self.piece_claim(now) } else { None };
        }
        let running = self.running.as_ref()?;
        let (since, take) = (running.session.start, Take::AtBoundary);
        let rung = Rung::Programme;
        let job = Job::Piece(piece);
        Some(Claim { job, rung, has_room: false, level: 0, since, serial: 0, take })
    }

    /// Tells whether the piece must not follow at once on the one that sounds: its gap begins at the end of that one.
    fn has_gap_before(&self, piece: PieceJob) -> bool {
        let follows = self.piece_on_air().is_some_and(|on_air| on_air < piece.number);
        let wanted = self.running.as_ref().and_then(|running| running.piece(piece.number));
        follows && wanted.is_some_and(|wanted| wanted.gap > Span(0))
    }

    /// Says what a piece needs to sound.
    pub(super) fn piece_wish(&mut self, now: &Reading, wanted: PieceJob, play: PlayId) -> Option<Wish> {
        let running = self.running.as_ref()?;
        let PieceJob { number, source: from, .. } = wanted;
        let stand_in = running.stand_in_at(number);
        let (piece, skip, instead_of) = match from {
            PieceSource::Itself if number == running.next => (running.piece(number)?, running.position, None),
            PieceSource::Itself => (running.piece(number)?, Span(0), None),
            PieceSource::Fallback { nth } => {
                let stand_in = stand_in?;
                (stand_in.item(nth)?, Span(0), Some(stand_in.reason.clone()))
            }
        };
        let length = self.true_length(&Job::Piece(wanted)).or(piece.length.span());
        let length = length.unwrap_or(running.end_at.since(now.mono));
        let (then, wanted) = (now.at(running.begin_at), running.slot.volume_percent);
        // What it asks for now is granted for as late as it may begin.
        let reach = length + self.air_is_free_at(now).since(then.mono);
        let permit = self.guard.permit(&then, Rung::Programme, wanted, Some(reach)).ok()?;
        let start = PlayStart {
            play,
            subject: running.subject(),
            rung: Rung::Programme,
            title: piece.title.clone(),
            section: piece.section.clone(),
            campaign: piece.campaign.clone(),
            class: None,
            mode: None,
            issuer: None,
            content: match &piece.sound {
                Sound::File(FileRef::Stored(hash)) => Some(*hash),
                _ => None,
            },
            source: name_of(&piece.sound),
            language: piece.language.clone(),
            repetition: piece.repetition,
            scheduled: Some(running.session.start),
            entered_at_ms: skip.as_millis(),
            volume_percent: permit.volume_percent,
            instead_of,
        };
        let score = Score {
            parts: vec![piece.sound.clone()],
            skip,
            volume_percent: permit.volume_percent,
            gain_db: piece.gain_db,
        };
        let limits =
            [self.guard_limit(permit.until), stand_in.and_then(|stand_in| stand_in.limit(then.mono))];
        let limit = limits.into_iter().flatten().min_by_key(|limit| limit.at);
        let lasts = match (&piece.sound, piece.length) {
            (Sound::Relay { .. }, Length::Known(length)) if stand_in.is_none() => {
                Some(length.saturating_sub(skip))
            }
            _ => None,
        };
        Some(Wish { start, score, interruption: piece.interruption, limit, lasts })
    }

    /// Takes in that a piece was given the air.
    pub(super) fn piece_begun(&mut self, now: &Reading, piece: PieceJob) {
        let Some(running) = &mut self.running else { return };
        running.blocked_by = None;
        if running.stand_in_at(piece.number).is_some() {
            self.stand_in_begun(now, piece.source);
        }
    }

    /// Logs that a piece can't be played, and passes it over, or puts its fallback in its place.
    pub(super) fn piece_unplayable(&mut self, now: &Reading, piece: PieceJob, reason: NotPlayed) {
        let number = piece.number;
        if let Some(running) = &mut self.running {
            running.why = Some(reason.clone());
        }
        if let PieceSource::Fallback { nth } = piece.source {
            return self.stand_in_unplayable(now, nth, reason);
        }
        let stands_in = match &reason {
            NotPlayed::Unplayable { reason } => self.stand_in_for(number, Span(0), reason),
            _ => StandsIn::Nothing,
        };
        if stands_in == StandsIn::Still {
            // The log has it since the relay failed first.
            return;
        }
        let Some(running) = &mut self.running else { return };
        let Some(title) = running.piece(number).map(|piece| piece.title.clone()) else { return };
        let subject = running.subject();
        if stands_in == StandsIn::Nothing {
            running.not_finished += 1;
            running.broken.insert(running.index(number));
            if number == running.next {
                (running.next, running.position) = (number + 1, Span(0));
            }
        }
        self.log_not_played(now, subject, title, reason);
        self.save_session();
    }

    /// Settles where the session goes on after a play of a piece has ended.
    pub(super) fn piece_ended(&mut self, now: &Reading, piece: PieceJob, ended: Ended) {
        let PieceJob { turn, number, source } = piece;
        let Some(running) = self.running.as_mut().filter(|running| running.turn == turn) else { return };
        let counts = running.piece(number).is_some_and(|piece| matches!(piece.role, Role::Item { .. }));
        running.heard |= counts && !ended.unheard;
        if let PlayOutcome::Failed { reason } = &ended.outcome {
            running.why = Some(NotPlayed::Unplayable { reason: reason.clone() });
        }
        if let PieceSource::Fallback { nth } = source {
            self.stand_in_ended(now, nth, &ended);
            return self.save_session();
        }
        if let PlayOutcome::Failed { reason } = &ended.outcome
            && self.stand_in_for(number, ended.position, reason) != StandsIn::Nothing
        {
            if let Some(running) = &mut self.running {
                (running.next, running.position) = (number, ended.position);
            }
            return self.save_session();
        }
        let Some(running) = &mut self.running else { return };
        if running.piece(number).is_none() {
            return;
        }
        match ended.goes_on_from() {
            // This piece was to follow another that was cut as well: that one goes on first.
            Some(_) if ended.unheard && number > running.next => {}
            Some(position) => (running.next, running.position) = (number, position),
            None => {
                (running.next, running.position, running.stand_in) = (number + 1, Span(0), None);
                let finished = ended.outcome == PlayOutcome::Finished;
                running.finished += u32::from(finished && counts);
                running.not_finished += u32::from(!finished && counts);
                let gap = running.piece(running.next).map_or(Span(0), |piece| piece.gap);
                running.gap_until = (gap > Span(0)).then(|| now.mono + gap);
            }
        }
        self.save_session();
    }

    /// Remembers how far the running session has come.
    fn save_session(&mut self) {
        let Some(running) = self.running.as_ref().filter(|running| running.stage != Stage::Done) else {
            return;
        };
        let (session, state) = (running.session.clone(), running.state());
        self.remember_session(&session, state);
    }

    /// Remembers that a power cut ended a piece of this session at `position`.
    pub(super) fn piece_power_cut(&mut self, key: &SlotKey, position: Span) {
        let Some(memo) = self.memory.sessions.get(key).cloned() else { return };
        if let SessionState::Open { next, finished, not_finished, heard, why, .. } = memo.state {
            let position_us = position.0;
            let state = SessionState::Open { next, position_us, finished, not_finished, heard, why };
            self.remember(Memo::Session(key.clone(), Some(SessionMemo { state, ..memo })));
        }
    }

    /// Tells whether a normal announcement of this length fits between the items of the running session.
    pub(super) fn slot_has_room(&self, now: &Reading, length: Span) -> bool {
        let Some(running) = &self.running else { return false };
        let begun = running.next > 0 || running.finished > 0 || self.piece_on_air().is_some();
        let time = running.end_at.since(self.air_is_free_at(now));
        let sounding = self.piece_on_air().is_some();
        begun
            && (running.slot.fill == Fill::Loop || running.left(sounding) + length <= time)
            && length <= time
    }
}

/// Names what a piece sounds, for the log.
fn name_of(sound: &Sound) -> String {
    match sound {
        Sound::File(FileRef::Path(path)) => path.display().to_string(),
        Sound::File(FileRef::Stored(hash)) => hash.to_string(),
        Sound::Text { .. } => "speech".to_owned(),
        Sound::Pattern(_) => "pattern".to_owned(),
        Sound::Relay { url } => url.clone(),
        Sound::Live { .. } => "live".to_owned(),
        Sound::Silence(_) => "silence".to_owned(),
    }
}
