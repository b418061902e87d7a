//! One announcement that the box holds: when it is due, and the ways to say it.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::memory::Progress;
use crate::domain::announcement::{Announcement, Repeats, Rung, Words};
use crate::domain::authority::Power;
use crate::domain::ids::{ContentHash, KeyId};
use crate::domain::policy::GuardRefusal;
use crate::domain::sound::{Fault, FileRef, Pattern, Sound};
use crate::domain::time::{Moment, Reading, Span, Wall};

/// Longest wait of a due announcement for its audio, before its words are spoken instead.
pub const MEDIA_WAIT: Span = Span::secs(600);

/// Longest wait for its audio of an announcement that takes the air at once: enough to fetch a minute of speech over
/// 4G. A failed fetch ends the wait; then the words are spoken, or the siren sounds alone.
pub const MEDIA_WAIT_URGENT: Span = Span::secs(5);

/// Words before and after an exercise, which mark it.
const EXERCISE_WORDS: &str = "Đây là bài diễn tập. Xin nhắc lại: đây là bài diễn tập.";

/// The ways to say an announcement, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    Media,
    Words,
    Siren,
}

/// An announcement that is not over.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(super) struct Held {
    pub announcement: Announcement,
    pub signers: Vec<KeyId>,
    pub progress: Progress,
    /// End of the gap between repetitions; the next one starts no earlier.
    pub gap_until: Option<Moment>,
    /// First moment at which the announcement could have sounded.
    pub due_since: Option<Moment>,
    /// Versions that can't be played, with their faults.
    pub failed: BTreeMap<Version, Fault>,
    /// Version in which `progress.position_us` counts.
    pub entered: Option<Version>,
    /// The guard's last refusal, so that staff are told once.
    pub guarded: Option<GuardRefusal>,
}

impl Held {
    pub fn new(announcement: Announcement, signers: Vec<KeyId>, progress: Progress) -> Self {
        Self {
            announcement,
            signers,
            progress,
            gap_until: None,
            due_since: None,
            failed: BTreeMap::new(),
            entered: None,
            guarded: None,
        }
    }

    /// Returns the length of one repetition, as far as it is known before it is opened.
    pub fn length(&self) -> Span {
        let opening = self.announcement.plan.opening.as_ref().map_or(Span(0), Pattern::length);
        let body = match (&self.announcement.media, &self.announcement.words) {
            (Some(media), _) => Span::millis(u64::from(media.ms)),
            (None, Some(words)) => spoken_length(&words.text),
            (None, None) => Span(0),
        };
        opening + body
    }

    pub fn power(&self) -> Power {
        Power::to_announce(self.announcement.class, self.announcement.mode)
    }

    /// Returns the earliest instant at which the announcement may sound.
    pub fn due(&self) -> Wall {
        let chosen = self.announcement.plan.at.unwrap_or(self.announcement.not_before);
        chosen.max(self.announcement.not_before)
    }

    /// Tells whether the announcement may sound by its time. An actual emergency that was meant for at once and has been due
    /// stays so, whatever becomes of the clock.
    pub fn is_due(&self, now: &Reading) -> bool {
        let Announcement { plan, not_before, issued, .. } = &self.announcement;
        let for_now = plan.at.is_none() && *not_before <= issued.at;
        let was_due = self.power() == Power::Emergency && for_now && self.due_since.is_some();
        was_due || self.due() <= now.wall
    }

    /// Tells whether the announcement has just expired: nothing was made of that yet.
    pub fn has_expired(&self, now: &Reading) -> bool {
        self.announcement.expires <= now.wall && !self.progress.lapsed
    }

    pub fn needs_slot(&self) -> bool {
        self.announcement.rung() == Rung::Normal && self.announcement.plan.at.is_none()
    }

    /// Tells whether another repetition follows after so many.
    pub fn goes_on_after(&self, repetitions: u32) -> bool {
        match self.announcement.plan.repeats {
            Repeats::Times(times) => repetitions < u32::from(times),
            Repeats::UntilCancelled => true,
        }
    }

    pub fn media_wait(&self) -> Span {
        if self.announcement.rung().takes_the_air_at_once() { MEDIA_WAIT_URGENT } else { MEDIA_WAIT }
    }

    pub fn media_missing(&self) -> Fault {
        let what = self.announcement.media.as_ref().map(|media| media.sha256.to_string());
        Fault::Missing { what: what.unwrap_or_default() }
    }

    /// Chooses the version that can be tried now; none while its audio is awaited. Fails with the last fault when no
    /// version is left.
    pub fn version(&self, now: &Reading, staged: &BTreeSet<ContentHash>) -> Result<Option<Version>, Fault> {
        let announcement = &self.announcement;
        let urgent = announcement.rung().takes_the_air_at_once();
        let mut last = self.failed.values().next_back().cloned();
        if let Some(media) = &announcement.media
            && !self.failed.contains_key(&Version::Media)
        {
            if staged.contains(&media.sha256) {
                return Ok(Some(Version::Media));
            }
            let waited = self.due_since.is_some_and(|since| now.mono.since(since) >= self.media_wait());
            if !waited || (!urgent && announcement.words.is_none()) {
                return Ok(None);
            }
            last = Some(self.media_missing());
        }
        if announcement.words.is_some() && !self.failed.contains_key(&Version::Words) {
            return Ok(Some(Version::Words));
        }
        if urgent && !self.failed.contains_key(&Version::Siren) {
            return Ok(Some(Version::Siren));
        }
        Err(last.unwrap_or(Fault::Player { detail: "it holds neither audio nor words".to_owned() }))
    }

    /// Returns the fault for which a version stands in for a better one.
    pub fn instead_of(&self, version: Version) -> Option<Fault> {
        let better = self.failed.range(..version).next().map(|(_, fault)| fault.clone());
        let missing = self.announcement.media.is_some() && version > Version::Media;
        better.or_else(|| missing.then(|| self.media_missing()))
    }

    pub fn parts(&self, version: Version) -> Vec<Sound> {
        let announcement = &self.announcement;
        let siren = || Sound::Pattern(announcement.plan.opening.clone().unwrap_or_else(|| Pattern::siren(3)));
        let mut parts: Vec<_> = announcement.plan.opening.clone().map(Sound::Pattern).into_iter().collect();
        match (version, &announcement.media, &announcement.words) {
            (Version::Media, Some(media), _) => parts.push(Sound::File(FileRef::Stored(media.sha256))),
            (Version::Words, _, Some(Words { text, language })) => {
                parts.push(Sound::Text { text: text.clone(), language: language.clone() });
            }
            _ => parts = vec![siren()],
        }
        if announcement.rung() == Rung::Exercise {
            let words = || Sound::Text { text: EXERCISE_WORDS.to_owned(), language: "vi".to_owned() };
            parts.splice(0..0, [Sound::Pattern(Pattern::exercise()), words()]);
            parts.extend([words(), Sound::Pattern(Pattern::exercise())]);
        }
        parts
    }

    pub fn source(&self, version: Version) -> String {
        match (version, &self.announcement.media) {
            (Version::Media, Some(media)) => media.path.clone(),
            (Version::Words, _) => "speech".to_owned(),
            _ => "siren".to_owned(),
        }
    }
}

/// Estimates how long words take when they are spoken: 14 characters a second, measured with espeak-ng's Vietnamese
/// voice.
pub fn spoken_length(text: &str) -> Span {
    Span::millis(text.chars().count() as u64 * 1_000 / 14)
}
