//! The live voice: staff speak, and the box gives them the air.

use super::air::{Ended, Wish};
use super::*;
use crate::decide::arbiter::Take;
use crate::domain::announcement::Interruption;
use crate::domain::authority::{Ender, Power};
use crate::domain::ids::{GroupId, KeyId};
use crate::domain::playback::{NotPlayed, PlayOutcome, PlayStart, Subject};
use crate::domain::sound::{Score, Sound};

/// Title of a live voice in the log.
const VOICE_TITLE: &str = "Phát trực tiếp";

/// A live voice that staff have opened.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) struct Voice {
    pub command: CommandId,
    pub issuer: KeyId,
    pub signers: Vec<KeyId>,
    pub groups: Vec<GroupId>,
    session: String,
    url: String,
    pub until: Wall,
}

impl Voice {
    pub fn new(command: &Command, signers: Vec<KeyId>, session: String, url: String) -> Self {
        Self {
            command: command.id.clone(),
            issuer: command.issuer.clone(),
            signers,
            groups: command.groups.clone(),
            session,
            url,
            until: command.expires,
        }
    }

    pub fn standing(&self) -> Standing<'_> {
        Standing { id: &self.command, issuer: &self.issuer, power: Power::Live, groups: &self.groups }
    }
}

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

    /// Its stream does not answer, or the box has no sound.
    pub(super) fn voice_unplayable(&mut self, now: &Reading, reason: Fault) {
        let Some(voice) = self.voice.take() else { return };
        let subject = Subject::Live { session: voice.session };
        let (title, reason) = (VOICE_TITLE.to_owned(), NotPlayed::Unplayable { reason });
        self.log(now, Event::NotPlayed { subject, title, reason });
    }

    pub(super) fn close_voice(&mut self, now: &Reading, session: &str, by: &Ender) {
        let Some(voice) = self.voice.as_ref().filter(|voice| voice.session == session) else { return };
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
            let subject = Subject::Live { session: voice.session.clone() };
            let title = VOICE_TITLE.to_owned();
            self.voice = None;
            self.log(now, Event::NotPlayed { subject, title, reason: NotPlayed::Guarded { reason } });
            return None;
        }
        let (since, take) = (Wall(0), Take::AtOnce);
        Some(Claim { job: Job::Voice, rung: Rung::Live, has_room: false, level: 0, since, serial: 0, take })
    }

    pub(super) fn voice_wish(&mut self, now: &Reading, play: PlayId) -> Option<Wish> {
        let Voice { session, url, .. } = self.voice.as_ref()?;
        let (session, url) = (session.clone(), url.clone());
        let permit = self.guard.permit(now, Rung::Live, 100, None).ok()?;
        let start = PlayStart {
            play,
            subject: Subject::Live { session: session.clone() },
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
        let parts = vec![Sound::Live { session, url }];
        let score = Score { parts, skip: Span(0), volume_percent: permit.volume_percent, gain_db: 0.0 };
        let until = self.guard_limit(permit.until);
        Some(Wish { start, score, interruption: Interruption::Resume, until, lasts: None })
    }

    /// A play of a voice has ended; another voice may have taken its place meanwhile.
    pub(super) fn voice_ended(&mut self, subject: &Subject, ended: &Ended) {
        let is_of = |voice: &Voice| *subject == Subject::Live { session: voice.session.clone() };
        if ended.goes_on_from().is_none() && self.voice.as_ref().is_some_and(is_of) {
            self.voice = None;
        }
    }
}
