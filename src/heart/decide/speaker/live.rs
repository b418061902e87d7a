//! The live voice on the air.

use super::job::Job;
use super::play::{Ended, Wish};
use super::state::Speaker;
use super::voice::Voice;
use crate::decide::arbiter::{Claim, Take};
use crate::domain::announcement::{Interruption, Rung};
use crate::domain::authority::Ender;
use crate::domain::ids::PlayId;
use crate::domain::playback::{Event, NotPlayed, PlayOutcome, PlayStart, Subject};
use crate::domain::sound::{Fault, Score, Sound};
use crate::domain::time::{Reading, Span, Wall};

/// Title of a live voice in the log.
const VOICE_TITLE: &str = "Phát trực tiếp";

impl Speaker {
    /// Gives the air to a voice. The inbox has seen to it that its signers may end the one before.
    pub(super) fn open_voice(&mut self, voice: Voice) {
        self.end_voice(&PlayOutcome::Superseded);
        self.voice = Some(voice);
    }

    /// Ends the live voice, where there is one.
    pub(super) fn end_voice(&mut self, outcome: &PlayOutcome) {
        if self.voice.take().is_some() {
            self.end_job(&Job::Voice, outcome);
        }
    }

    /// Logs that the stream of the live voice does not answer, or that the box has no sound.
    pub(super) fn voice_unplayable(&mut self, now: &Reading, reason: Fault) {
        let Some(voice) = self.voice.take() else { return };
        let subject = Subject::Live { voice: voice.id };
        let (title, reason) = (VOICE_TITLE.to_owned(), NotPlayed::Unplayable { reason });
        self.log(now, Event::NotPlayed { subject, title, reason });
    }

    /// Ends the voice with this id, where those who ask may.
    pub(super) fn close_voice(&mut self, now: &Reading, id: &str, by: &Ender) {
        let Some(voice) = self.voice.as_ref().filter(|voice| voice.id == id) else { return };
        match self.may_end(by, &voice.standing()) {
            Ok(()) => self.end_voice(&PlayOutcome::Finished),
            Err(reason) => self.refuse(now, None, reason),
        }
    }

    pub(super) fn voice_claim(&mut self, now: &Reading) -> Option<Claim<Job>> {
        let voice = self.voice.as_ref()?;
        if self.is_on_air(&Job::Voice) {
            return None;
        }
        if let Err(reason) = self.guard.permit(now, Rung::Live, 100, None) {
            let subject = Subject::Live { voice: voice.id.clone() };
            let title = VOICE_TITLE.to_owned();
            self.voice = None;
            self.log(now, Event::NotPlayed { subject, title, reason: NotPlayed::Guarded { reason } });
            return None;
        }
        let (since, take) = (Wall(0), Take::AtOnce);
        Some(Claim { job: Job::Voice, rung: Rung::Live, has_room: false, level: 0, since, serial: 0, take })
    }

    pub(super) fn voice_wish(&mut self, now: &Reading, play: PlayId) -> Option<Wish> {
        let Voice { id, url, .. } = self.voice.as_ref()?;
        let (id, url) = (id.clone(), url.clone());
        let permit = self.guard.permit(now, Rung::Live, 100, None).ok()?;
        let start = PlayStart {
            play,
            subject: Subject::Live { voice: id.clone() },
            rung: Rung::Live,
            title: VOICE_TITLE.to_owned(),
            section: None,
            campaign: None,
            class: None,
            mode: None,
            issuer: None,
            content: None,
            source: "live".to_owned(),
            language: "vi".to_owned(),
            repetition: 1,
            scheduled: None,
            entered_at_ms: 0,
            volume_percent: permit.volume_percent,
            instead_of: None,
        };
        let parts = vec![Sound::Live { voice: id, url }];
        let score = Score { parts, skip: Span(0), volume_percent: permit.volume_percent, gain_db: 0.0 };
        let limit = self.guard_limit(permit.until);
        Some(Wish { start, score, interruption: Interruption::Resume, limit, lasts: None })
    }

    /// Takes in that a play of a voice has ended; another voice may have taken its place meanwhile.
    pub(super) fn voice_ended(&mut self, subject: &Subject, ended: &Ended) {
        let is_of = |voice: &Voice| *subject == Subject::Live { voice: voice.id.clone() };
        if ended.goes_on_from().is_none() && self.voice.as_ref().is_some_and(is_of) {
            self.voice = None;
        }
    }
}
