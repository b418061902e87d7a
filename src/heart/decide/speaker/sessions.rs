//! Sessions of slots: when they open, where they are entered, how they go on and what is said at their end.

use super::air::{Ended, Wish};
use super::running::{Running, Stage};
use super::stand_in::StandIn;
use super::waiting::Waiting;
use super::*;
use crate::decide::arbiter::Take;
use crate::decide::memory::{SessionMemo, SessionState};
use crate::decide::schedule::{Length, Role, Session, cue_at};
use crate::domain::playback::{NotPlayed, PlayOutcome, PlayStart, SlotKey, SlotOutcome, Subject};
use crate::domain::policy::GuardRefusal;
use crate::domain::programme::{Fill, Lateness, Order};
use crate::domain::sound::{FileRef, Score, Sound};

/// A session that starts within this time after its instant is on time.
pub const ON_TIME: Span = Span::secs(5);

/// A session is taken up this long before its start, so that its first sample sounds at the very instant.
pub const LEAD: Span = Span::secs(2);

/// How late a slot may start whose lateness is `skip` and that names no `start_within_s`.
pub const SKIP_GRACE: Span = Span::secs(60);

/// A piece is not started for less than this before the hard end.
pub(super) const WORTH_STARTING: Span = Span::secs(1);

impl Speaker {
    /// Looks which sessions have become due, and gives the first its turn.
    pub(super) fn open_sessions(&mut self, now: &Reading) {
        if now.quality == ClockQuality::None {
            // What has begun ends by the monotonic clock.
            return self.close_running(now);
        }
        if !self.waiting.looked || self.waiting.next_start.is_some_and(|start| start <= now.wall.plus(LEAD)) {
            self.look_for_sessions(now);
        }
        self.close_running(now);
        while self.running.is_none() {
            let Some(session) = self.waiting.due.pop_front() else { break };
            self.open(now, session);
        }
    }

    pub(super) fn remember_session(&mut self, session: &Session, state: SessionState) {
        let memo = SessionMemo { start: session.start, state };
        self.remember(Memo::Session(session.key.clone(), Some(memo)));
    }

    pub(super) fn log_slot(&mut self, now: &Reading, session: &Session, outcome: SlotOutcome) {
        let (key, title) =
            (session.key.clone(), self.timetable.calendar(session).slot(session).title.clone());
        self.log(now, Event::SlotEnded { key, title, scheduled: session.start, outcome });
    }

    pub(super) fn log_not_played(
        &mut self,
        now: &Reading,
        subject: Subject,
        title: String,
        reason: NotPlayed,
    ) {
        self.log(now, Event::NotPlayed { subject, title, reason });
    }

    /// Gives a session its turn, where the guard lets it.
    fn open(&mut self, now: &Reading, session: Session) {
        if session.end <= now.wall {
            // Another session had the turn until it was over.
            self.log_slot(now, &session, SlotOutcome::NotAired(NotPlayed::PreEmpted { by: Rung::Programme }));
            return self.remember_session(&session, SessionState::Closed);
        }
        let slot = self.timetable.calendar(&session).slot(&session).clone();
        let begin_at = now.moment_of(session.start);
        let then = at(now, begin_at);
        if let Err(reason) = self.guard.permit(&then, Rung::Programme, slot.volume_percent, None) {
            self.log_slot(now, &session, SlotOutcome::NotAired(NotPlayed::Guarded { reason }));
            return self.remember_session(&session, SessionState::Closed);
        }
        let rotation = self.memory.rotations.get(&session.key.slot).copied().unwrap_or(0);
        let filled = self.timetable.calendar(&session).fill(&session, &self.listeners, rotation);
        let state = self.memory.sessions.get(&session.key).map(|memo| memo.state.clone());
        let (next, position, finished, not_finished) = match state {
            Some(SessionState::Open { next, position_us, finished, not_finished }) => {
                (next, Span(position_us), finished, not_finished)
            }
            _ => (0, Span(0), 0, 0),
        };
        self.turns += 1;
        let running = Running {
            turn: self.turns,
            broken: BTreeSet::new(),
            stand_in: None,
            begin_at,
            end_at: now.moment_of(session.end),
            pieces: filled.pieces,
            next,
            position,
            gap_until: None,
            finished,
            not_finished,
            stage: Stage::Due,
            blocked_by: None,
            session,
            slot,
        };
        let subject = running.subject();
        let fresh = next == 0 && position == Span(0);
        self.running = Some(running);
        for left in filled.left_out.into_iter().filter(|_| fresh) {
            self.log_not_played(now, subject.clone(), left.title, left.reason);
        }
    }

    /// Settles where a session is entered, by its lateness policy. `false` where it is over.
    fn enter(&mut self, now: &Reading) -> bool {
        let Some(running) = &mut self.running else { return false };
        if running.stage != Stage::Due {
            return true;
        }
        let late = now.wall.since(running.session.start);
        let begun = running.next > 0 || running.position > Span(0) || running.finished > 0;
        let lateness = running.slot.lateness;
        let within = running.slot.start_within_s.map(|s| Span::secs(u64::from(s)));
        let bound = match lateness {
            Lateness::Skip => Some(within.unwrap_or(SKIP_GRACE)),
            Lateness::Join | Lateness::Shift => within,
        };
        if bound.is_some_and(|bound| late > bound.max(ON_TIME)) && !begun
            || begun && lateness == Lateness::Skip
        {
            self.close_late(now);
            return false;
        }
        if lateness == Lateness::Join && late > ON_TIME {
            let cue = cue_at(&running.pieces, running.slot.fill, late);
            let (next, skip) = cue.map_or((u32::MAX, Span(0)), |cue| (cue.index as u32, cue.skip));
            if next > running.next || next == running.next && skip > running.position {
                (running.next, running.position) = (next, skip);
            }
        }
        running.stage = Stage::Entered;
        true
    }

    fn close_late(&mut self, now: &Reading) {
        let Some(running) = self.running.take() else { return };
        let (finished, not_finished) = (running.finished, running.not_finished);
        let outcome = match running.blocked_by {
            _ if finished + not_finished > 0 => SlotOutcome::Aired { finished, not_finished },
            Some(by) => SlotOutcome::NotAired(NotPlayed::PreEmpted { by }),
            None => SlotOutcome::NotAired(NotPlayed::Late),
        };
        self.log_slot(now, &running.session, outcome);
        self.remember_session(&running.session, SessionState::Closed);
    }

    /// Ends the running session when its pieces are done or its hard end has come.
    fn close_running(&mut self, now: &Reading) {
        let Some(running) = &self.running else { return };
        let over = running.end_at <= now.mono;
        let sounding = self.piece_on_air().is_some();
        if over && sounding {
            // Its closing entry comes first.
            return self.end_where(|job| matches!(job, Job::Piece { .. }), &PlayOutcome::HardEnd);
        }
        let done = running.playable_from(running.next).is_none() && !sounding;
        if done && running.stage != Stage::Done {
            self.log_session_end(now, None);
        }
        if over {
            if self.running.as_ref().is_some_and(|running| running.stage != Stage::Done) {
                self.log_session_end(now, Some(NotPlayed::NoRoom));
            }
            self.running = None;
        }
    }

    /// Logs what became of the session, and of each piece that did not sound.
    fn log_session_end(&mut self, now: &Reading, left: Option<NotPlayed>) {
        let Some(mut running) = self.running.take() else { return };
        running.stage = Stage::Done;
        let reason = match (left, running.blocked_by) {
            (Some(NotPlayed::NoRoom), Some(by)) => Some(NotPlayed::PreEmpted { by }),
            (left, _) => left,
        };
        let silent = running.finished + running.not_finished == 0;
        if let Some(reason) = reason.clone() {
            let rest: Vec<_> = running.pieces.iter().skip(running.next as usize).collect();
            for piece in rest.into_iter().filter(|piece| matches!(piece.role, Role::Item { .. })) {
                self.log_not_played(now, running.subject(), piece.title.clone(), reason.clone());
            }
        }
        let (finished, not_finished) = (running.finished, running.not_finished);
        let outcome = match reason {
            Some(reason) if silent => SlotOutcome::NotAired(reason),
            _ => SlotOutcome::Aired { finished, not_finished },
        };
        self.log_slot(now, &running.session, outcome);
        self.remember_session(&running.session, SessionState::Closed);
        if running.slot.order == Order::Rotating
            && let Some(item) = running.rotation_after()
        {
            self.remember(Memo::Rotation(running.session.key.slot.clone(), item));
        }
        running.next = running.pieces.len() as u32;
        self.running = Some(running);
    }

    fn piece_on_air(&self) -> Option<u32> {
        self.plays.values().filter_map(Sounding::piece).max()
    }

    fn piece_is_stopping(&self) -> bool {
        self.plays.values().any(|sounding| sounding.piece().is_some() && sounding.is_stopping())
    }

    /// The number of the piece that wants to sound next, after the one on the air, and what of its stand-in.
    fn wanted_piece(&self, now: &Reading) -> Option<(u32, Option<u32>)> {
        let running = self.running.as_ref()?;
        // A piece that was cut may go on: its number is settled when it has ended.
        if self.piece_is_stopping() {
            return None;
        }
        let free_at = self.air_is_free_at(now);
        let stands_in = running.stand_in.as_ref().filter(|stand_in| !stand_in.is_over(free_at));
        let stood_in = self.plays.values().find_map(Sounding::stands_in_for).filter(|_| stands_in.is_some());
        let after = stood_in.or_else(|| self.piece_on_air().map(|on_air| on_air + 1));
        let number = running.playable_from(after.unwrap_or(running.next))?;
        let stand_in = running.stand_in.as_ref().filter(|stand_in| stand_in.relay == number);
        Some((number, stand_in.and_then(StandIn::wants)))
    }

    pub(super) fn piece_claim(&mut self, now: &Reading) -> Option<Claim<Job>> {
        let (number, instead) = self.wanted_piece(now)?;
        let running = self.running.as_ref()?;
        let held_by = self.air_view().map(|on_air| on_air.rung).filter(|rung| *rung > Rung::Programme);
        let held_by = held_by.filter(|_| !self.air_is_given_up());
        if held_by.is_some() {
            // It would be prepared in vain; it is looked at again when the air is free.
            let running = self.running.as_mut()?;
            running.blocked_by = running.blocked_by.max(held_by);
            return None;
        }
        let gap = running.gap_until.is_some_and(|until| now.mono < until);
        if gap || running.end_at <= now.mono + WORTH_STARTING || running.stage == Stage::Done {
            return None;
        }
        let then = at(now, running.begin_at);
        if let Err(reason) = self.guard.permit(&then, Rung::Programme, running.slot.volume_percent, None) {
            if self.piece_on_air().is_none() {
                self.close_guarded(now, reason);
            }
            return None;
        }
        let is_retried = running.stand_in.is_some();
        if running.stage == Stage::Entered
            && !is_retried
            && running.would_not_fit(self.air_is_free_at(now), number)
        {
            self.piece_unplayable(now, number, None, NotPlayed::NoRoom);
            return self.piece_claim(now);
        }
        if running.stage == Stage::Due {
            // Where it is entered may change which piece is wanted.
            return if self.enter(now) { self.piece_claim(now) } else { None };
        }
        let running = self.running.as_ref()?;
        let (since, take) = (running.session.start, Take::AtBoundary);
        let rung = Rung::Programme;
        let job = Job::Piece { turn: running.turn, number, instead };
        Some(Claim { job, rung, has_room: false, level: 0, since, serial: 0, take })
    }

    /// The instant at which the running session starts, while that is still to come.
    pub(super) fn session_begins(&self, now: &Reading) -> Option<(Moment, Wall)> {
        let running = self.running.as_ref().filter(|running| running.begin_at > now.mono)?;
        Some((running.begin_at, running.session.start))
    }

    fn close_guarded(&mut self, now: &Reading, reason: GuardRefusal) {
        self.log_session_end(now, Some(NotPlayed::Guarded { reason }));
    }

    pub(super) fn piece_wish(
        &mut self,
        now: &Reading,
        number: u32,
        instead: Option<u32>,
        play: PlayId,
    ) -> Option<Wish> {
        let running = self.running.as_ref()?;
        let stand_in = running.stand_in.as_ref().filter(|stand_in| stand_in.relay == number);
        let piece = match instead {
            None => running.piece(number)?,
            Some(nth) => stand_in?.item(nth)?,
        };
        let length = piece.length.span().unwrap_or(running.end_at.since(now.mono));
        let (then, wanted) = (at(now, running.begin_at), running.slot.volume_percent);
        let permit = self.guard.permit(&then, Rung::Programme, wanted, Some(length)).ok()?;
        let skip = if number == running.next && instead.is_none() { running.position } else { Span(0) };
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
            source: source(&piece.sound),
            language: piece.language.clone(),
            repetition: piece.repetition,
            scheduled: Some(running.session.start),
            entered_at_ms: skip.as_millis(),
            volume_percent: permit.volume_percent,
            instead_of: stand_in.filter(|_| instead.is_some()).map(|stand_in| stand_in.reason.clone()),
        };
        let score = Score {
            parts: vec![piece.sound.clone()],
            skip,
            volume_percent: permit.volume_percent,
            gain_db: piece.gain_db,
        };
        let limits =
            [self.guard_limit(permit.until), stand_in.and_then(|stand_in| stand_in.limit(then.mono))];
        let until = limits.into_iter().flatten().min_by_key(|(moment, _)| *moment);
        let lasts = match (&piece.sound, piece.length) {
            (Sound::Relay { .. }, Length::Known(length)) if stand_in.is_none() => {
                Some(length.saturating_sub(skip))
            }
            _ => None,
        };
        Some(Wish { start, score, interruption: piece.interruption, until, lasts })
    }

    pub(super) fn piece_begun(&mut self, now: &Reading, number: u32, instead: Option<u32>) {
        let Some(running) = &mut self.running else { return };
        running.blocked_by = None;
        if running.stand_in.as_ref().is_some_and(|stand_in| stand_in.relay == number) {
            self.stand_in_begun(now, instead);
        }
    }

    pub(super) fn piece_unplayable(
        &mut self,
        now: &Reading,
        number: u32,
        instead: Option<u32>,
        reason: NotPlayed,
    ) {
        if let Some(nth) = instead {
            return self.stand_in_unplayable(now, nth, reason);
        }
        let stands_in = match &reason {
            NotPlayed::Unplayable { reason } => self.stand_in_for(number, Span(0), reason),
            _ => None,
        };
        if stands_in == Some(false) {
            // Said when it failed first.
            return;
        }
        let Some(running) = &mut self.running else { return };
        let Some(title) = running.piece(number).map(|piece| piece.title.clone()) else { return };
        let subject = running.subject();
        if stands_in.is_none() {
            running.not_finished += 1;
            running.broken.insert(number);
            if number == running.next {
                (running.next, running.position) = (number + 1, Span(0));
            }
        }
        self.log_not_played(now, subject, title, reason);
        self.save_session();
    }

    pub(super) fn piece_ended(
        &mut self,
        now: &Reading,
        (turn, number, instead): (u32, u32, Option<u32>),
        ended: Ended,
    ) {
        if self.running.as_ref().is_none_or(|running| running.turn != turn) {
            return;
        }
        if let Some(nth) = instead {
            self.stand_in_ended(now, nth, &ended);
            return self.save_session();
        }
        if let PlayOutcome::Failed { reason } = &ended.outcome
            && self.stand_in_for(number, ended.position, reason).is_some()
        {
            if let Some(running) = &mut self.running {
                (running.next, running.position) = (number, ended.position);
            }
            return self.save_session();
        }
        let Some(running) = &mut self.running else { return };
        let Some(piece) = running.piece(number) else { return };
        let counts = matches!(piece.role, Role::Item { .. });
        match ended.goes_on_from() {
            // It was to follow another piece that was cut as well: that one goes on first.
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

    fn save_session(&mut self) {
        let Some(running) = self.running.as_ref().filter(|running| running.stage != Stage::Done) else {
            return;
        };
        let state = SessionState::Open {
            next: running.next,
            position_us: running.position.0,
            finished: running.finished,
            not_finished: running.not_finished,
        };
        let session = running.session.clone();
        self.remember_session(&session, state);
    }

    /// A power cut ended a piece of this session at `position`.
    pub(super) fn piece_power_cut(&mut self, key: &SlotKey, position: Span) {
        let Some(memo) = self.memory.sessions.get(key).cloned() else { return };
        if let SessionState::Open { next, finished, not_finished, .. } = memo.state {
            let state = SessionState::Open { next, position_us: position.0, finished, not_finished };
            self.remember(Memo::Session(key.clone(), Some(SessionMemo { state, ..memo })));
        }
    }

    /// Whether a normal announcement of this length fits between the items of the running session.
    pub(super) fn slot_has_room(&self, now: &Reading, length: Span) -> bool {
        let Some(running) = &self.running else { return false };
        let begun = running.next > 0 || running.finished > 0 || self.piece_on_air().is_some();
        let time = running.end_at.since(self.air_is_free_at(now));
        let sounding = self.piece_on_air().is_some();
        begun
            && (running.slot.fill == Fill::Loop || running.left(sounding) + length <= time)
            && length <= time
    }

    /// A new programme: what was due under the old one is accounted for first.
    pub(super) fn on_timetable(&mut self, now: &Reading, timetable: Timetable) {
        self.open_sessions(now);
        if let Some(running) = self.running.take() {
            if running.stage != Stage::Done {
                self.running = Some(running);
                self.log_session_end(now, Some(NotPlayed::Replaced));
                self.running = None;
            }
            self.end_where(|job| matches!(job, Job::Piece { .. }), &PlayOutcome::Stopped);
        }
        for session in std::mem::take(&mut self.waiting.due) {
            self.log_slot(now, &session, SlotOutcome::NotAired(NotPlayed::Replaced));
            self.remember_session(&session, SessionState::Closed);
        }
        self.timetable = timetable;
        self.waiting = Waiting::default();
        if now.quality > ClockQuality::None {
            self.remember(Memo::AccountedUpto(now.wall));
        }
    }

    /// The wall clock was stepped from `expected`: what was decided under a wrong time is looked at again.
    pub(super) fn sessions_after_step(&mut self, now: &Reading, expected: Wall) {
        self.waiting.looked = false;
        if now.quality == ClockQuality::None {
            return;
        }
        if now.wall < expected {
            let too_early = self
                .memory
                .sessions
                .iter()
                .filter(|(_, memo)| memo.state == SessionState::Missed && memo.start > now.wall);
            let too_early: Vec<_> = too_early.map(|(key, _)| key.clone()).collect();
            for key in too_early {
                self.remember(Memo::Session(key, None));
            }
            if self.memory.accounted_upto.is_some_and(|upto| upto > now.wall) {
                self.remember(Memo::AccountedUpto(now.wall));
            }
        }
        if let Some(running) = &mut self.running {
            running.end_at = running.end_at.min(now.moment_of(running.session.end));
        }
    }

    pub(super) fn session_wakes(&self, now: &Reading) -> Option<(Moment, Why)> {
        let start = match now.quality {
            ClockQuality::None => None,
            _ => {
                let start = self.waiting.next_start.map(|start| now.moment_of(start.minus(LEAD)));
                start.map(|start| (start, Why::SessionStarts))
            }
        };
        let running = self.running.as_ref();
        let fading = self.piece_is_stopping();
        let end = running.filter(|_| !fading).map(|running| (running.end_at, Why::SessionEnds));
        let begin = running.map(|running| (running.begin_at, Why::SessionStarts));
        let begin = begin.filter(|(begin, _)| *begin > now.mono);
        let gap = running.and_then(|running| running.gap_until).filter(|gap| *gap > now.mono);
        [start, begin, end, gap.map(|gap| (gap, Why::SessionStarts))].into_iter().flatten().min()
    }
}

/// The clocks as they will be at `moment`, or now where that is past.
fn at(now: &Reading, moment: Moment) -> Reading {
    let ahead = moment.since(now.mono);
    Reading { mono: now.mono + ahead, wall: now.wall.plus(ahead), ..*now }
}

/// What a piece sounds, for the log.
fn source(sound: &Sound) -> String {
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
